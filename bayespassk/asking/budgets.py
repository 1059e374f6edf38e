"""Budgets: the attempts a problem that it takes to reach a pass@k."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats
from bayespassk.asking.curves import complementary, interpolated
from bayespassk.asking.pass_at_k import FailAt, FailAtK, fail_of_kind, fail_of_problems
from bayespassk.asking.question import Kind, Question, ask
from bayespassk.asking.seen import Seen
from bayespassk.options import MOST_K, Target, check_interval, check_values
from bayespassk.posterior.fitted import Fitted, opened

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Budget", "budget_for", "check_pass_at_k", "summarize_budget"]

COARSE = np.unique(np.append(np.arange(1.0, 11.0), np.geomspace(10, MOST_K, 89).round()))
"""Where fail@k is computed first, to learn where the budgets lie."""

FINE = 32
"""At how many further k it is computed there, for each pass@k asked of."""

TAIL = np.array([0.001, 0.003, 0.01, 0.02])
LEVELS = np.union1d(np.linspace(0, 1, FINE - 2 * len(TAIL)), [TAIL, 1 - TAIL])
"""Of the budgets at which it is; few lie far out, and are far from each other."""


def budget_for(
    fit: xr.DataTree,
    pass_at_k: float | Iterable[float] = 0.9,
    target: Target = "benchmark",
    *,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of the attempts a problem that it takes to reach a pass@k.

    The smallest whole k, up to 1e12, at which pass@k is at least the value given; infinite where
    even 1e12 attempts do not reach it.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    pass_at_k : float or sequence of float, dims (pass_at_k,)
        Values to reach, between 0 and 1.
    target : {"benchmark", "population", "realised"}
        Whose pass@k, as for :func:`bayespassk.forecast`. "realised": the attempts a problem after
        which one new run has solved this share of the problems attempted.
    random_seed : int, optional
        As for :func:`bayespassk.forecast`. With the same seed, "benchmark" looks at the same draws
        of the problems' p as the forecast does.

    Returns
    -------
    xarray.DataArray
        Attempts a problem, dims (chain, draw, system, pass_at_k), whole numbers or infinity; with
        the most attempts made at a problem as the coordinate `attempts_made`. Every problem is
        given as many, solved or not; see :func:`coverage_at_cost` for what stopping at a success
        saves. :func:`summarize_budget` makes a table of it. As some draws may be infinite, take
        quantiles, not means.

    Raises
    ------
    OptionError
        If a value of pass@k or the target means nothing.

    Warns
    -----
    ForecastWarning
        If a median budget is beyond 10 times the attempts made, and the prior weighs more than the
        attempts in the forecast there.

    Notes
    -----
    A budget far beyond the attempts made rests on the family and the prior. How often it is
    infinite says what they imply, not whether some problems are impossible: a beta can be slow
    but has no plateau, a zero-inflated family has one because it was given one.

    fail@k is computed on a grid that is fine where the budgets lie: at every k there, if they are
    few, and else between points of the grid on the cubic through four of them in
    (log k, log -log fail@k). That is off by less than 1 in 1,000 even where few draws lie, and
    mostly by less than 1 in 10^6.

    References
    ----------
    For the plug-in budget of a beta-binomial: SABER 2026, arXiv:2601.22636.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> budget = bp.budget_for(fit, [0.5, 0.7])
    >>> bool((budget.sel(pass_at_k=0.7) >= budget.sel(pass_at_k=0.5)).all())
    True
    """
    check_arguments("budget_for", locals())
    shares = check_pass_at_k(pass_at_k)
    fitted = opened(fit)
    result = ask(fitted, Budget(shares), target, random_seed)
    return result.assign_coords(attempts_made=("system", fitted.most_attempts))


def check_pass_at_k(pass_at_k: float | Iterable[float]) -> Floats:
    """Return the values to reach as an array, or raise an error about the first bad one."""
    return check_values(pass_at_k, "pass_at_k", "between 0 and 1", lambda v: 0 < v < 1)


def summarize_budget(budget: xr.DataArray, prob: float = 0.95) -> "pd.DataFrame":
    """Return a table with the median and the credible interval of a budget.

    Parameters
    ----------
    budget : DataArray, dims (chain, draw, system, pass_at_k)
        From :func:`budget_for`.
    prob : float
        Posterior probability of the equal-tailed interval, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row for each system and pass@k: columns system, pass_at_k, median, lower, upper (each
        is one of the draws, and may be infinite: not within 1e12 attempts), probability_never (the
        share of draws that are) and attempts_made. There is no mean: it would often be infinite.

    Raises
    ------
    OptionError
        If `prob` means nothing.
    """
    check_arguments("summarize_budget", locals())
    import pandas as pd

    check_interval(prob, "eti")
    ordered = budget.transpose("system", "pass_at_k", "chain", "draw")
    draws = ordered.values.reshape(ordered.shape[0] * ordered.shape[1], -1)
    shares = ordered["pass_at_k"].values
    table = pd.DataFrame(
        {
            "system": np.repeat(ordered["system"].values, len(shares)),
            "pass_at_k": np.tile(shares, ordered.sizes["system"]),
            "median": _quantile(draws, 0.5),
            "lower": _quantile(draws, (1 - prob) / 2),
            "upper": _quantile(draws, (1 + prob) / 2),
            "probability_never": np.isinf(draws).mean(-1),
            "attempts_made": np.repeat(ordered["attempts_made"].values, len(shares)),
        }
    )
    table.attrs = {"prob": prob, "kind": "eti"}
    return table


# The question ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Budget(Question):
    """The smallest whole k with pass@k of at least a value."""

    values: Floats
    name: ClassVar[str] = "budget"
    dim: ClassVar[str] = "pass_at_k"
    rests_on: ClassVar[str] = "the median budget"

    def of_kind(self, kind: Kind) -> Floats:
        """Return the budgets of new problems."""
        return _budgets(fail_of_kind(kind), self.values)

    def of_problems(self, seen: Seen) -> Floats:
        """Return the budgets of the problems attempted."""
        return _budgets(fail_of_problems(seen), self.values)

    def of_run(self, seen: Seen) -> Floats:
        """Return after how many attempts a problem one run gets there."""
        return _budgets_of_runs(seen, self.values)

    def far(self, fitted: Fitted, answers: Sequence[Floats]) -> Floats:
        """Return the median budget of the largest pass@k."""
        del fitted
        largest = int(np.argmax(self.values))
        return np.array([_quantile(one[..., largest].ravel(), 0.5) for one in answers])

    def resting(self, found: Floats, k: float, again: Callable[[Question], Floats]) -> Floats:
        """Return fail@k there."""
        del found
        return again(FailAtK(np.array([k])))


def _budgets(fail_at: FailAt, shares: Floats) -> Floats:
    """Return the smallest k with fail@k <= 1 - share, dims (draw, share)."""
    ks, fail = COARSE, fail_at(COARSE)
    found = _smallest_k(ks, fail, shares)
    further = np.setdiff1d(_where_budgets_lie(found), ks)
    if not further.size:
        return found
    ks, fail = np.append(ks, further), np.append(fail, fail_at(further), axis=1)
    order = np.argsort(ks)
    return _smallest_k(ks[order], fail[:, order], shares)


def _where_budgets_lie(found: Floats) -> Floats:
    """Return whole numbers among the budgets: all of them if few, or quantiles."""
    further = [np.empty(0)]
    for column in found.T:
        finite = column[np.isfinite(column)]
        if finite.size:
            low, high = max(finite.min() - 2, 1.0), min(finite.max() + 2, MOST_K)
            if high - low < 2 * FINE:
                further.append(np.arange(low, high + 1))
            else:
                inner = np.quantile(finite, LEVELS, method="inverted_cdf")
                further.append(np.concatenate([[low], inner, [high]]))
    return np.unique(np.concatenate(further))


def _smallest_k(ks: Floats, fail: Floats, shares: Floats) -> Floats:
    """Return the smallest whole k with fail@k <= 1 - share, from fail@k at `ks`, which rise."""
    x, log_k = complementary(fail), np.broadcast_to(np.log(ks), fail.shape)
    result = np.empty((len(fail), len(shares)))
    for j, share in enumerate(shares):
        index = (fail > 1 - share).sum(1)
        k = np.append(ks, np.inf)[index]
        below = ks[np.maximum(index - 1, 0)]
        wide = (index > 0) & np.isfinite(k) & (k - below > 1)
        at = np.full(wide.sum(), complementary(np.array(1 - share)))
        between = np.exp(interpolated(x[wide], log_k[wide], at))
        k[wide] = np.clip(np.ceil(between), below[wide] + 1, k[wide])
        result[:, j] = k
    return result


def _budgets_of_runs(seen: Seen, shares: Floats) -> Floats:
    """Return after how many attempts one run has solved each share of the problems.

    A problem with success probability p is first solved at attempt ceil(E / -log(1-p)), where E is
    a standard exponential.
    """
    needed = np.ceil(shares * seen.problems * (1 - 1e-12)).astype(int) - 1
    result = np.empty((seen.shape[0] * seen.shape[1], len(shares)))
    for draws, p, rng in seen.each_problem():
        with np.errstate(divide="ignore"):
            first = np.ceil(rng.standard_exponential(p.shape) / -np.log1p(-p))
        result[draws] = np.partition(np.maximum(first, 1.0), needed, axis=1)[:, needed]
    return np.where(result > MOST_K, np.inf, result)


def _quantile(draws: Floats, q: float) -> Any:
    """Return the smallest draw that a share q of them does not exceed: never between two."""
    index = max(math.ceil(q * draws.shape[-1] - 1e-9) - 1, 0)
    return np.sort(draws, axis=-1)[..., index]
