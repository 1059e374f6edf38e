"""Two systems on the same problems: the difference of their pass@k, and where the curves cross."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.arrays import Floats, Ints
from bayespassk.errors import ForecastWarning, OptionError
from bayespassk.forecasting import log_fail_of_new
from bayespassk.influence import FAR, LIMIT, log_densities, most_attempts, prior_share
from bayespassk.options import MOST_K, Target, check_interval, check_k, check_target
from bayespassk.posterior import family_of, outer_coords
from bayespassk.seen import Seen

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["crossing_budget", "difference", "summarize_crossing", "summarize_difference"]


EXACT = 30
"""Every whole k up to this one is looked at for a crossing."""

PER_DECADE = 20
"""How many k are looked at in each factor of ten beyond."""

SEARCHED = [10**2, 10**3, 10**4, 10**6, 10**8]
"""The search for crossings may end before any of these."""

LOW = 0.1
"""Where the pass@k of two systems add up to less, their difference is taken from these."""

DRAWS = 1000
"""Draws that the warning about the prior looks at."""


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
    ks = check_k(k)
    check_target(target)
    pair = _pair(fit, a, b)
    seed = _seed(fit, random_seed)
    values = _gap(pair, ks, target, seed)
    _warn_if_prior_rules(pair, int(ks.max()), target, seed, "the difference")
    posterior = fit["posterior"].dataset
    return xr.DataArray(
        values,
        dims=("chain", "draw", "k"),
        coords={name: posterior[name].values for name in ("chain", "draw")} | {"k": ks},
        name="difference",
        attrs=_attributes(pair, target, seed),
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


def crossing_budget(
    fit: xr.DataTree,
    a: str,
    b: str,
    target: Literal["benchmark", "population"] = "benchmark",
    *,
    most: int = 10**6,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of the attempts at which the system behind at k = 1 takes the lead.

    The smallest whole k at which the order of the two pass@k is the opposite of that at k = 1;
    infinite if there is none up to `most`.

    Parameters
    ----------
    fit : DataTree
        As for :func:`difference`.
    a, b : str
        Labels of two systems of the fit, on the same benchmark.
    target : {"benchmark", "population"}
        As for :func:`difference`. Not "realised": in single runs the lead changes by luck.
    most : int
        The largest k looked at, 2 to 1e12.
    random_seed : int, optional
        As for :func:`difference`: with the same seed the curves are those of its draws, whatever
        `most` is.

    Returns
    -------
    xarray.DataArray
        The crossing budget, in attempts, whole or infinite, dims (chain, draw). The coordinate
        `leader` has the label of the system ahead at k = 1 (where both are equal there, at the
        first k where they differ; empty if there is none). :func:`summarize_crossing` makes a
        table of it. Attributes: `most`, `probability_a_leads`, and those of :func:`difference`.

    Warns
    -----
    ForecastWarning
        As :func:`bayespassk.forecast`, for either system at the k beyond which are 2.5% of the
        draws, or at `most`.

    Raises
    ------
    OptionError
        As :func:`difference`; and if `most` means nothing or the target is "realised".

    Notes
    -----
    Every k up to 30 is looked at, then 20 in each factor of ten; between two of these the
    difference is taken to be linear in log k. Curves may cross more than once: this is the first
    time, and two crossings between neighbouring k are not seen.

    "Never" means not by `most`. A crossing far beyond the attempts made is one of two
    extrapolations, each of which rests on the family: look at another family before believing it.

    References
    ----------
    Yue et al. 2025, arXiv:2504.13837 (systems trained by reinforcement learning lead at small k
    and are overtaken by their base at large k).

    Examples
    --------
    >>> import bayespassk as bp
    >>> a = bp.simulate(bp.Beta(), {"a": 0.3, "b": 0.6}, problems=100, attempts=50, random_seed=1)
    >>> b = bp.simulate(bp.Beta(), {"a": 0.6, "b": 5.0}, problems=100, attempts=50, random_seed=2)
    >>> counts = bp.Counts(
    ...     problem=[*a.problem, *b.problem],
    ...     attempts=[*a.attempts, *b.attempts],
    ...     successes=[*a.successes, *b.successes],
    ...     system=["tuned"] * 100 + ["base"] * 100,
    ... )
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> crossing = bp.crossing_budget(fit, "tuned", "base")
    >>> list(bp.summarize_crossing(crossing)["leader"])
    ['tuned', 'base']
    """
    check_target(target)
    if target not in ("benchmark", "population"):
        raise OptionError(
            "the target of a crossing must be 'benchmark' or 'population': in single runs the "
            f"lead changes by luck; got {target!r}"
        )
    ks = _grid(most)
    pair, seed = _pair(fit, a, b), _seed(fit, random_seed)
    ahead, budget = _search(pair, ks, target, seed)
    far = min(float(np.quantile(budget, 0.975, method="inverted_cdf")), float(most))
    _warn_if_prior_rules(pair, int(far), target, seed, "the crossing budget")
    posterior = fit["posterior"].dataset
    leader = np.where(ahead > 0, pair.a, np.where(ahead < 0, pair.b, ""))
    return xr.DataArray(
        budget,
        dims=("chain", "draw"),
        coords={name: posterior[name].values for name in ("chain", "draw")}
        | {"leader": (("chain", "draw"), leader)},
        name="crossing_budget",
        attrs=_attributes(pair, target, seed)
        | {"most": int(most), "probability_a_leads": float((ahead > 0).mean())},
    )


def summarize_crossing(crossing: xr.DataArray, prob: float = 0.95) -> "pd.DataFrame":
    """Return a table of who leads at first, whether it is overtaken, and by which k.

    Parameters
    ----------
    crossing : DataArray, dims (chain, draw)
        From :func:`crossing_budget`.
    prob : float
        Posterior probability of the interval, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        Two rows: `a` leads at k = 1, and `b` does. Columns:

        * leader, overtaken_by
        * probability_leads: that `leader` is ahead at k = 1
        * probability_overtaken: that it is ahead at k = 1 and overtaken
        * median, lower, upper: of the crossing budget if it leads, equal-tailed; each is one
          of the draws, infinite for "never up to `most`", and NaN if it leads in no draw

        Its ``attrs`` hold `prob`, `kind`, `target`, `most` and `probability_never`: that nobody is
        overtaken.

    Raises
    ------
    OptionError
        If `prob` has a value that means nothing.

    Notes
    -----
    What is below `most` does not depend on it: a larger one only moves probability from "never"
    to crossings beyond. The interval of a leader that seldom leads is from few draws.
    """
    import pandas as pd

    check_interval(prob, "eti")
    a, b = crossing.attrs["a"], crossing.attrs["b"]
    budget, ahead = crossing.values.ravel(), crossing["leader"].values.ravel()
    rows = []
    for leader, other in ((a, b), (b, a)):
        mine = budget[ahead == leader]
        median, lower, upper = (
            np.quantile(mine, [0.5, (1 - prob) / 2, (1 + prob) / 2], method="inverted_cdf")
            if len(mine)
            else np.full(3, np.nan)
        )
        rows.append(
            {
                "leader": leader,
                "overtaken_by": other,
                "probability_leads": len(mine) / len(budget),
                "probability_overtaken": float(np.isfinite(mine).sum()) / len(budget),
                "median": float(median),
                "lower": float(lower),
                "upper": float(upper),
            }
        )
    table = pd.DataFrame(rows)
    table.attrs = {
        "prob": prob,
        "kind": "eti",
        "target": crossing.attrs["target"],
        "most": crossing.attrs["most"],
        "probability_never": float(np.isinf(budget).mean()),
    }
    return table


# The pair --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pair:
    """Two systems of a fit and the problems they share.

    `rows`, dims (row,), says which rows of the fit are about a problem that both attempted.
    """

    fit: xr.DataTree
    a: str
    b: str
    positions: tuple[int, int]
    rows: NDArray[np.bool_]
    problems: int
    dropped: int


def _pair(fit: xr.DataTree, a: str, b: str) -> _Pair:
    """Return the pair, or raise an error that says why they cannot be compared."""
    family_of(fit)  # or an error that says what a fit is
    posterior = fit["posterior"].dataset
    systems = [str(name) for name in posterior["system"].values]
    for name, value in (("a", a), ("b", b)):
        if value not in systems:
            raise OptionError(
                f"{name} must be one of the systems of the fit, "
                f"{', '.join(map(repr, systems))}; got {value!r}"
            )
    if a == b:
        raise OptionError(f"a and b must be two different systems; got {a!r} twice")
    one, other = systems.index(a), systems.index(b)
    of = outer_coords(fit)["benchmark"].values
    benchmark = [str(of[position]) for position in (one, other)]
    if benchmark[0] != benchmark[1]:
        raise OptionError(
            "a and b must be on the same benchmark, as a difference is about the same problems: "
            f"{a!r} is on {benchmark[0]!r}, {b!r} on {benchmark[1]!r}"
        )
    return _Pair(fit, a, b, (one, other), *_in_common(fit, one, other))


def _in_common(fit: xr.DataTree, one: int, other: int) -> tuple[NDArray[np.bool_], int, int]:
    """Return which rows are of problems that both attempted, how many these are, and the rest."""
    problem = fit["observed_data"].dataset["problem"].values
    system = fit["constant_data"].dataset["system_index"].values
    names = [set(problem[system == position]) for position in (one, other)]
    both = names[0] & names[1]
    if not both:
        posterior = fit["posterior"].dataset
        labels = [str(posterior["system"].values[position]) for position in (one, other)]
        raise OptionError(
            f"a and b must have problems in common: none of the {len(names[0]):,} of {labels[0]!r} "
            f"is among the {len(names[1]):,} of {labels[1]!r}. Are the problems named alike?"
        )
    rows = np.fromiter((name in both for name in problem), np.bool_, len(problem))
    return rows, len(both), len(names[0] ^ names[1])


def _seed(fit: xr.DataTree, given: int | None) -> int:
    return int(fit.attrs["random_seed"]) if given is None else given


def _attributes(pair: _Pair, target: str, seed: int) -> dict[str, str | int]:
    """Return what a number about the pair must carry with it."""
    names = ("family", "input_sha256", "bayespassk_version")
    attributes: dict[str, str | int] = {
        "a": pair.a,
        "b": pair.b,
        "target": target,
        "forecast_seed": seed,
    }
    attributes |= {name: pair.fit.attrs[name] for name in names}
    if target != "population":
        attributes |= {"problems": pair.problems, "dropped": pair.dropped}
    return attributes


def _warn_if_prior_rules(pair: _Pair, k: int, target: Target, seed: int, what: str) -> None:
    """Issue a :class:`ForecastWarning` if the prior outweighs the attempts in a forecast at k.

    Of either system, not of their difference: where both forecasts are prior and go to 1, the
    spread of the difference says little about where it comes from.
    """
    most = most_attempts(pair.fit)[list(pair.positions)]
    shares: dict[str, float] = {}
    shown = []
    for name, position, made in zip((pair.a, pair.b), pair.positions, most, strict=True):
        if k > FAR * made:
            values = _pass_at_k(pair, position, k, target, seed).ravel()
            step = max(1, values.size // DRAWS)
            share = prior_share(values[::step], *log_densities(pair.fit, position, step))
            if share > LIMIT:
                shares[name] = share
                shown.append(f"{share:.0%} for {name!r} ({made:,} attempts a problem)")
    if shares:
        warnings.warn(
            ForecastWarning(
                f"at k = {k:,} the prior weighs more than the attempts in the forecast that "
                f"{what} rests on: {', '.join(shown)}. What to do: more attempts or more "
                "problems; another family; or a prior you would defend",
                systems=tuple(shares),
                k=k,
                prior_share=tuple(shares.values()),
            ),
            stacklevel=3,
        )


# The curves ------------------------------------------------------------------------------------


def _gap(pair: _Pair, ks: Ints, target: Target, seed: int) -> Floats:
    """Return pass@k of a minus that of b, dims (chain, draw, k).

    It is fail@k of b minus that of a, which keeps its digits where both pass@k are near 1; where
    both are near 0 the pass@k themselves do.
    """
    if target == "population":
        fail_a, fail_b = (log_fail_of_new(pair.fit, position, ks) for position in pair.positions)
        gap = np.exp(fail_b) - np.exp(fail_a)
        pass_a, pass_b = -np.expm1(fail_a), -np.expm1(fail_b)
        return np.where(pass_a + pass_b < LOW, pass_a - pass_b, gap)
    a, b = (Seen(pair.fit, position, seed, pair.rows) for position in pair.positions)
    if target == "realised":
        return a.realised(ks) - b.realised(ks)
    fail_a, fail_b = a.fail_at_k(ks), b.fail_at_k(ks)
    gap = fail_b - fail_a
    low = 2 - fail_a - fail_b < LOW
    some = low.any((0, 1))
    if some.any():
        gap[low] = (a.pass_at_k(ks[some]) - b.pass_at_k(ks[some]))[low[..., some]]
    return gap


def _pass_at_k(pair: _Pair, position: int, k: int, target: Target, seed: int) -> Floats:
    """Return pass@k of one system, dims (chain, draw, 1)."""
    ks = np.array([k])
    if target == "population":
        return np.asarray(-np.expm1(log_fail_of_new(pair.fit, position, ks)))
    seen = Seen(pair.fit, position, seed, pair.rows)
    return seen.realised(ks) if target == "realised" else seen.pass_at_k(ks)


def _grid(most: int) -> Ints:
    """Return the k at which crossings are looked for."""
    whole = isinstance(most, int | float | np.number) and float(most).is_integer()
    if not whole or isinstance(most, bool) or not 2 <= most <= MOST_K:
        raise OptionError(f"most must be a whole number from 2 to 1e12; got {most!r}")
    decades = np.log10(MOST_K)
    spread = np.rint(np.logspace(0, decades, int(PER_DECADE * decades) + 1)).astype(np.int64)
    every = np.union1d(np.arange(1, EXACT + 1), spread)
    return np.append(every[every < most], int(most))


def _search(pair: _Pair, ks: Ints, target: Target, seed: int) -> tuple[Floats, Floats]:
    """Return what `_first_crossing` does; no k is looked at beyond the last crossing."""
    gaps: list[Floats] = []
    for part in np.split(ks, np.searchsorted(ks, SEARCHED)):
        if len(part):
            gaps.append(_gap(pair, part, target, seed))
            gap = np.concatenate(gaps, -1)
            ahead, budget = _first_crossing(gap, ks[: gap.shape[-1]])
            if np.isfinite(budget).all():
                break
    return ahead, budget


def _first_crossing(gap: Floats, ks: Ints) -> tuple[Floats, Floats]:
    """Return who is ahead at first (1: a, -1: b, 0: nobody ever), and when that is reversed.

    `gap` has dims (..., k).
    """

    def at(values: Floats, index: NDArray[np.intp]) -> Floats:
        return np.take_along_axis(values, index[..., None], -1)[..., 0]

    sign = np.sign(gap)
    ahead = at(sign, (sign != 0).argmax(-1))
    reversed_ = (sign == -ahead[..., None]) & (sign != 0)
    after = reversed_.argmax(-1)
    before = np.maximum(after - 1, 0)
    from_zero, to_zero = np.abs(at(gap, before)), np.abs(at(gap, after))
    with np.errstate(invalid="ignore"):  # 0 / 0 where they are never reversed
        share = from_zero / (from_zero + to_zero)
        between = ks[before] * (ks[after] / ks[before]) ** share
    budget = np.clip(np.ceil(between), ks[before] + 1, ks[after])
    return ahead, np.where(reversed_.any(-1), budget, np.inf)


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
