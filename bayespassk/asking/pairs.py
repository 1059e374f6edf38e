"""Two systems on the same problems: the difference of their pass@k."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats, Ints
from bayespassk.asking.influence import warn_if_prior_rules
from bayespassk.asking.pass_at_k import FailAtK, PassAtK
from bayespassk.asking.question import Question, answer
from bayespassk.errors import OptionError
from bayespassk.options import Target, check_interval, check_k, check_target
from bayespassk.posterior.fitted import Fitted, attempted, opened

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Pair",
    "attributes",
    "difference",
    "gap",
    "pair_of",
    "summarize_difference",
    "warn_of_pair",
]

LOW = 0.1
"""Where the pass@k of two systems add up to less, their difference is taken from these."""


def difference(
    fit: xr.DataTree,
    a: str,
    b: str,
    k: float | Iterable[float],
    target: Target = "benchmark",
    *,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of pass@k of system `a` minus that of `b`, one value a draw.

    With target "benchmark", ``mean_i [(1 - p_bi)^k - (1 - p_ai)^k]`` over the problems i that
    both attempted: which problems these happen to be makes no part of the spread.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`, of counts that hold both systems.
    a, b : str
        Labels of two systems of the fit, on the same benchmark.
    k : int or sequence of int, dims (k,)
        Attempts allowed, 1 to 1e12.
    target : {"benchmark", "population", "realised"}
        As for :func:`bayespassk.forecast`. For "benchmark" and "realised" both systems are taken
        over the problems that both attempted, if need be fewer than those of either.
    random_seed : int, optional
        As for :func:`bayespassk.forecast`: with the same problems and seed, the difference is
        that of its draws.

    Returns
    -------
    xarray.DataArray
        The difference, -1 to 1, dims (chain, draw, k), joint over k; accurate in relative terms
        where both pass@k are near 0 or near 1. :func:`summarize_difference` makes a table of it.
        Attributes: `a`, `b`, those of a forecast, and unless the target is "population" `problems`
        (how many both attempted) and `dropped` (how many only one did).

    Warns
    -----
    ForecastWarning
        As :func:`bayespassk.forecast`, for either system at the largest k.

    Raises
    ------
    OptionError
        If `a` or `b` is not a system of the fit, they are the same or on different benchmarks or
        have no problem in common, or k or the target means nothing.

    Notes
    -----
    Without pooling, the posteriors of two systems are independent given their counts. The
    pairing of "benchmark" and "realised" comes from asking about the same problems. In "realised"
    the two runs are independent.

    Nothing is known there of how hard a new problem is for both at once, so the interval of
    "population" is that of two independent sets of problems: too wide, if problems that are hard
    for one are hard for the other. That of "benchmark" is about these very problems and says
    nothing of others. Intervals from a bootstrap over problems, such as those of
    ``passk-inference`` (for k up to the attempts made), answer the question of "population" and
    know which problems are hard for both; they lie between the two.

    Nor does the difference tell whether it comes from the LLM, the scaffold or the decoding, or
    would be seen again with another training run.

    References
    ----------
    Miller 2024, arXiv:2411.00640 (paired differences in evaluations).

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> table = bp.summarize_difference(bp.difference(fit, "large", "small", [1, 100, 10_000]))
    >>> bool(table["probability_a_above"].iloc[0] > 0.99)
    True
    """
    check_arguments("difference", locals())
    ks, pair = check_k(k), pair_of(fit, a, b)
    check_target(target)
    seed = pair.fitted.seed_or(random_seed)
    values = gap(pair, ks, target, seed)
    warn_of_pair(pair, int(ks.max()), target, seed, "the difference")
    return xr.DataArray(
        values,
        dims=("chain", "draw", "k"),
        coords=pair.fitted.outer | {"k": ks},
        name="difference",
        attrs=attributes(pair, target, seed),
    )


def summarize_difference(difference: xr.DataArray, prob: float = 0.95) -> "pd.DataFrame":
    """Return a table of a difference: interval at each k, band over all, P(a above b).

    Parameters
    ----------
    difference : DataArray, dims (chain, draw, k)
        From :func:`difference`, or anything with these dims computed from it.
    prob : float
        Posterior probability of the interval and of the band, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row for each k. Columns:

        * k, mean, median
        * lower, upper: equal-tailed credible interval of this k by itself
        * lower_simultaneous, upper_simultaneous: a band that contains the whole curve, at all k
          of the table at once, with probability `prob`. Its ends are the r-th smallest and r-th
          largest draw at every k, with the largest r for which at least `prob` of the draws
          are inside at all k
        * probability_a_above: of the difference being positive; ties count half

        Its ``attrs`` hold `prob` and `kind`.

    Raises
    ------
    OptionError
        If `prob` has a value that means nothing.

    Notes
    -----
    Read the simultaneous band where the k that are spoken of are chosen after looking. It is for
    the k of the table: ask for them closely spaced if it is to hold between them. Its ends are
    further out in the tails than those of the interval, and need more draws for the same
    precision.
    """
    check_arguments("summarize_difference", locals())
    import pandas as pd

    check_interval(prob, "eti")
    by_k = difference.transpose("k", "chain", "draw")
    draws = by_k.values.reshape(by_k.sizes["k"], -1)
    lower, upper = np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], axis=-1)
    lowest, highest = _simultaneous(draws, prob)
    table = pd.DataFrame(
        {
            "k": by_k["k"].values,
            "mean": draws.mean(-1),
            "median": np.median(draws, axis=-1),
            "lower": lower,
            "upper": upper,
            "lower_simultaneous": np.minimum(lowest, lower),
            "upper_simultaneous": np.maximum(highest, upper),
            "probability_a_above": (draws > 0).mean(-1) + (draws == 0).mean(-1) / 2,
        }
    )
    table.attrs = {"prob": prob, "kind": "eti"}
    return table


def _simultaneous(draws: Floats, prob: float) -> tuple[Floats, Floats]:
    """Return the ends, dims (k,), of a band that holds `prob` of the whole curves.

    `draws` has dims (k, draw). A curve is inside the r-th smallest and largest draws at all k if
    and only if, at every k, at least r draws are not above it and at least r not below.
    """
    ordered, size = np.sort(draws, axis=-1), draws.shape[-1]
    depth = np.full(size, size)
    for values, row in zip(draws, ordered, strict=True):
        not_above = np.searchsorted(row, values, "right")
        not_below = size - np.searchsorted(row, values, "left")
        depth = np.minimum(depth, np.minimum(not_above, not_below))
    inside = int(np.ceil(prob * size - 1e-9))
    r = int(np.sort(depth)[size - inside])
    return ordered[:, r - 1], ordered[:, size - r]


# The pair --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Pair:
    """Two systems of a fit and the problems they share.

    Attributes
    ----------
    fitted : Fitted
    a, b : str
    positions : tuple of int
    rows : array of bool, dims (row,)
        Which rows of the fit are about a problem that both attempted.
    problems, dropped : int
        How many these are, and how many only one of the two attempted.
    """

    fitted: Fitted
    a: str
    b: str
    positions: tuple[int, int]
    rows: NDArray[np.bool_]
    problems: int
    dropped: int

    def both(self, question: Question, target: str, seed: int) -> tuple[Floats, Floats]:
        """Return the answers of a and of b at their problems, dims (chain, draw, value)."""
        a, b = (
            answer(self.fitted, position, question, target, seed, rows=self.rows)
            for position in self.positions
        )
        return a, b


def pair_of(fit: xr.DataTree, a: str, b: str) -> Pair:
    """Return the pair, or raise an error that says why they cannot be compared."""
    fitted = opened(fit)
    for name, value in (("a", a), ("b", b)):
        if value not in fitted.systems:
            raise OptionError(
                f"{name} must be one of the systems of the fit, "
                f"{', '.join(map(repr, fitted.systems))}; got {value!r}"
            )
    if a == b:
        raise OptionError(f"a and b must be two different systems; got {a!r} twice")
    one, other = fitted.systems.index(a), fitted.systems.index(b)
    benchmark = [fitted.benchmarks[position] for position in (one, other)]
    if benchmark[0] != benchmark[1]:
        raise OptionError(
            "a and b must be on the same benchmark, as a difference is about the same problems: "
            f"{a!r} is on {benchmark[0]!r}, {b!r} on {benchmark[1]!r}"
        )
    return Pair(fitted, a, b, (one, other), *_in_common(fitted, one, other))


def _in_common(fitted: Fitted, one: int, other: int) -> tuple[NDArray[np.bool_], int, int]:
    """Return which rows are of problems that both attempted, how many these are, and the rest."""
    problem, system = fitted.problems, fitted.system_index
    names = [set(problem[system == position]) for position in (one, other)]
    both = names[0] & names[1]
    if not both:
        labels = fitted.systems[one], fitted.systems[other]
        raise OptionError(
            f"a and b must have problems in common: none of the {len(names[0]):,} of {labels[0]!r} "
            f"is among the {len(names[1]):,} of {labels[1]!r}. Are the problems named alike?"
        )
    rows = np.fromiter((name in both for name in problem), np.bool_, len(problem))
    return rows, len(both), len(names[0] ^ names[1])


def attributes(pair: Pair, target: str, seed: int) -> dict[str, str | int]:
    """Return what a number about the pair must carry with it."""
    about: dict[str, str | int] = {"a": pair.a, "b": pair.b, "target": target}
    about["method"] = pair.fitted.tree.attrs["method"]
    about |= {"forecast_seed": seed, **pair.fitted.origin}
    fitted, both = pair.fitted, list(pair.positions)
    about["attempted"] = attempted(
        [fitted.benchmarks[i] for i in both],
        np.array([pair.problems]) if target != "population" else fitted.problems_attempted[both],
        fitted.most_attempts[both],
    )
    about["attempts"] = int(fitted.most_attempts[both].max())
    if target != "population":
        about |= {"problems": pair.problems, "dropped": pair.dropped}
    return about


def warn_of_pair(pair: Pair, k: int, target: str, seed: int, rests_on: str) -> None:
    """Issue a `ForecastWarning` if the prior outweighs the attempts in a forecast at k.

    Of either system, not of their difference: where both forecasts are prior and go to 1, the
    spread of the difference says little about where it comes from.
    """

    def draws(system: int) -> Floats:
        question = PassAtK(np.array([k]))
        return answer(pair.fitted, system, question, target, seed, rows=pair.rows).ravel()

    far = dict.fromkeys(pair.positions, float(k))
    warn_if_prior_rules(pair.fitted, far, draws, rests_on, stacklevel=3)


def gap(pair: Pair, ks: Ints, target: str, seed: int) -> Floats:
    """Return pass@k of a minus that of b, dims (chain, draw, k).

    It is fail@k of b minus that of a, which keeps its digits where both pass@k are near 1; where
    both are near 0 the pass@k themselves do.
    """
    if target == "realised":  # a run counts problems, which loses no digits
        a, b = pair.both(PassAtK(ks), target, seed)
        return a - b
    fail_a, fail_b = pair.both(FailAtK(ks.astype(float)), target, seed)
    found = fail_b - fail_a
    low = 2 - fail_a - fail_b < LOW
    if low.any():
        a, b = pair.both(PassAtK(ks), target, seed)
        found[low] = (a - b)[low]
    return found
