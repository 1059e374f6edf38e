"""Other questions to a posterior: budgets, reliability, coverage at a cost, shares and ranks."""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.arrays import CHUNK, Floats
from bayespassk.errors import ForecastWarning, OptionError
from bayespassk.families.base import Parameters
from bayespassk.forecasting import forecast
from bayespassk.influence import (
    DRAWS,
    FAR,
    LIMIT,
    log_densities,
    most_attempts,
    prior_share,
    warn_if_prior_rules,
)
from bayespassk.options import MOST_K, Target, check_interval, check_k, check_target
from bayespassk.posterior import Part, family_of, outer_coords, parts_of
from bayespassk.seen import Seen

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "budget_for",
    "check_pass_at_k",
    "coverage_at_cost",
    "pass_hat_k",
    "probability_impossible",
    "rank_systems",
    "share_above",
    "spread_of_p",
    "summarize_budget",
]

type Known = Literal["benchmark", "population"]

type FailAt = Callable[[Floats], Floats]
"""Takes numbers of attempts, dims (k,); returns fail@k at every draw, dims (draw, k)."""

COARSE = np.unique(np.append(np.arange(1.0, 11.0), np.geomspace(10, MOST_K, 89).round()))
"""Where fail@k is computed first, to learn where the budgets lie."""

FINE = 32
"""At how many further k it is computed there, for each pass@k asked of."""

DIRECT = 32
"""Up to this round, coverage sums round by round; beyond it integrates."""

PANELS = 63
"""Pieces of the integral from there to 1e12 rounds, of equal width in log j."""

BETWEEN = 8
"""Rounds kept of each piece."""


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
    shares = check_pass_at_k(pass_at_k)
    check_target(target)
    seed = _seed(fit, random_seed)
    values = []
    for system in _systems(fit):
        if target == "realised":
            values.append(_budgets_of_runs(Seen(fit, system, seed), shares))
        else:
            values.append(_budgets(_fail_at(fit, system, target, seed), shares))
    result = _as_array(fit, values, {"pass_at_k": shares}, "budget", target, seed)
    medians = np.array([_quantile(draws[:, np.argmax(shares)], 0.5) for draws in values])
    _warn_if_far(fit, medians, target, seed, "the median budget lies")
    return result.assign_coords(attempts_made=("system", most_attempts(fit)))


def check_pass_at_k(pass_at_k: float | Iterable[float]) -> Floats:
    """Return the values to reach as an array, or raise an error about the first bad one."""
    return _checked(pass_at_k, "pass_at_k", "between 0 and 1", lambda v: 0 < v < 1)


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


def pass_hat_k(
    fit: xr.DataTree,
    k: float | Iterable[float],
    target: Target = "benchmark",
    *,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of pass^k: the probability that all of k attempts succeed.

    The mean of p^k over problems: reliability, where pass@k is reach.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    k : int or sequence of int, dims (k,)
        Attempts that must all succeed, 1 to 1e12.
    target : {"benchmark", "population", "realised"}
        As for :func:`bayespassk.forecast`; "realised" is the share of the attempted problems at
        which a new run of k attempts would not fail once.
    random_seed : int, optional
        As for :func:`bayespassk.forecast`.

    Returns
    -------
    xarray.DataArray
        pass^k, dims (chain, draw, system, k), joint over k. :func:`bayespassk.summarize` makes a
        table of it.

    Raises
    ------
    OptionError
        If a k or the target means nothing.

    Warns
    -----
    ForecastWarning
        As :func:`bayespassk.forecast`.

    Notes
    -----
    At k far beyond the attempts made it rests on how the family ends near p = 1, of which
    attempts say as little as of its end near 0.

    References
    ----------
    Yao et al. 2024, arXiv:2406.12045 (pass^k).

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> bp.pass_hat_k(fit, [1, 5]).dims
    ('chain', 'draw', 'system', 'k')
    """
    ks = check_k(k)
    check_target(target)
    seed = _seed(fit, random_seed)
    values = [_all_succeed(fit, system, ks, target, seed) for system in _systems(fit)]
    result = _as_array(fit, values, {"k": ks}, "pass_hat_k", target, seed)
    warn_if_prior_rules(fit, result)
    return result


def coverage_at_cost(
    fit: xr.DataTree,
    cost: float | Iterable[float],
    target: Known = "benchmark",
    *,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of the share of problems solved by a total of `cost` attempts.

    Attempts go round robin to the problems that are still unsolved, one each a round. After j
    rounds, 1 - fail@j of the problems are solved, and fail@0 + ... + fail@(j-1) attempts a problem
    are spent; part of a round solves in proportion.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    cost : float or sequence of float, dims (cost,)
        Attempts in total, over as many problems as the system attempted; positive.
    target : {"benchmark", "population"}
        The problems that were attempted, or as many new ones.
    random_seed : int, optional
        As for :func:`bayespassk.forecast`.

    Returns
    -------
    xarray.DataArray
        The expected share of problems solved, 0 to 1, dims (chain, draw, system, cost). Times the
        number of problems it is how many. Where all rounds up to 1e12 cost less than `cost`, it
        is the share that they solve.

    Raises
    ------
    OptionError
        If a cost or the target means nothing.

    Warns
    -----
    ForecastWarning
        If at the largest cost the median of the rounds is beyond 10 times the attempts made, and
        the prior weighs more than the attempts in the forecast there.

    Notes
    -----
    It needs a verifier that tells at once that an attempt succeeded. Attempts count as equally
    dear, and both share and cost are expectations at the p of a draw: the luck of one run comes on
    top, and matters for few problems.

    The sums are exact to round 32; beyond, they are integrals with the corrections of Euler and
    Maclaurin, and coverage as a function of cost is interpolated: to about 3e-5.

    References
    ----------
    ReD 2026, arXiv:2601.21522 (to discard what is solved maximises coverage at a given cost).

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> coverage = bp.coverage_at_cost(fit, [128, 1280])  # of 128 problems
    >>> bool((coverage.sel(cost=1280) > coverage.sel(cost=128)).all())
    True
    """
    costs = _checked(cost, "cost", "positive and finite", lambda v: 0 < v < math.inf)
    _check_known(target, "coverage_at_cost")
    seed = _seed(fit, random_seed)
    values, rounds = [], []
    for system in _systems(fit):
        problems = sum(len(part.rows) for part in parts_of(fit, system))
        rounds_at, spent, fail = _rounds(_fail_at(fit, system, target, seed))
        values.append(np.stack([_solved_at(one / problems, spent, fail) for one in costs], axis=-1))
        afforded = (spent <= costs.max() / problems).sum(-1) - 1
        rounds.append(np.median(rounds_at[afforded]))
    result = _as_array(fit, values, {"cost": costs}, "coverage", target, seed)
    _warn_if_far(fit, np.array(rounds), target, seed, "the largest cost pays for rounds")
    return result


def share_above(
    fit: xr.DataTree,
    p: float | Iterable[float],
    target: Known = "benchmark",
    *,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of the share of problems whose success probability is above p.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    p : float or sequence of float, dims (p,)
        Thresholds, 0 or more and below 1. Above 0 lie all problems that are not impossible.
    target : {"benchmark", "population"}
        Share of the problems attempted, or of all problems of the kind.
    random_seed : int, optional
        As for :func:`bayespassk.forecast`. The draws of which problems lie above are other than
        those of a forecast with the same seed; "population" draws nothing.

    Returns
    -------
    xarray.DataArray
        The share, dims (chain, draw, system, p), joint over p.

    Raises
    ------
    OptionError
        If a threshold or the target means nothing.

    Notes
    -----
    A problem's probability to lie above p, given its counts and the parameters, is
    E[p'^c (1-p')^f [p' > p]] / E[p'^c (1-p')^f]; how many of the problems with equal counts do is
    multinomial over the intervals between the thresholds. So the cost does not grow with the
    number of problems.

    Attempts say nothing about success probabilities far below 1/n: the share above 1e-6 after 100
    attempts a problem is what the family and the prior make of it.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> share = bp.share_above(fit, [0.01, 0.5])
    >>> bool((share.sel(p=0.01) >= share.sel(p=0.5)).all())
    True
    """
    thresholds = _checked(p, "p", "0 or more and below 1", lambda v: 0 <= v < 1)
    _check_known(target, "share_above")
    seed = _seed(fit, random_seed)
    above = _share_of_kind if target == "population" else _share_of_problems
    values = [above(fit, system, thresholds, seed) for system in _systems(fit)]
    return _as_array(fit, values, {"p": thresholds}, "share_above", target, seed)


def probability_impossible(fit: xr.DataTree, p: float = 0.0) -> xr.DataArray:
    """Return for each problem the probability that its success probability is at most p.

    With p = 0, the posterior probability that the problem cannot be solved at all; with a p such
    as 1e-9, that it practically cannot.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    p : float
        0 or more and below 1.

    Returns
    -------
    xarray.DataArray
        dims (row,), with the coordinates of ``fit["observed_data"]``: averaged over the draws of
        the posterior, and given the parameters exact, not from draws of p.

    Raises
    ------
    OptionError
        If p means nothing.

    Notes
    -----
    At p = 0 it is 0 for every family that gives no weight to p = 0: all but the zero-inflated. For
    those it is, for a problem without success in n attempts, zero / (zero + (1 - zero) M(0, n)),
    where M(0, n) is the family's fail@n; a problem that was solved once is not impossible.

    It does not tell that a problem *is* impossible. Without a success, impossible and hardly ever
    solved look alike: how the problems without success are shared out between the two is decided
    by the family near p = 0 and by the prior of the share. A beta with a small tail exponent fits
    such counts as well, and calls none of them impossible. Use it to choose which problems to look
    at by eye, the largest first.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> float(bp.probability_impossible(fit).max())
    0.0
    """
    (threshold,) = _checked(p, "p", "0 or more and below 1", lambda v: 0 <= v < 1)
    family = family_of(fit)
    rows = fit["observed_data"].dataset.coords
    coords = {name: rows[name] for name in rows if rows[name].dims == ("row",)}
    values = np.empty(len(coords["row"]))
    for system in _systems(fit):
        for part in parts_of(fit, system):
            blocks = [1 - above for _, above in _above(family, part, np.array([threshold]))]
            chances = np.concatenate(blocks).mean(0)[:, 0]
            values[part.rows] = chances[part.cells.inverse]
    return xr.DataArray(
        values, dims="row", coords=coords, name="probability_impossible", attrs={"p": threshold}
    )


SPREAD_POINTS = 61
SPREAD_DRAWS = 200
"""How finely a distribution of p is looked at, and at how many draws of its parameters."""

OWN_DRAWS = 1000
"""Draws of the p of each problem."""


def spread_of_p(fit: xr.DataTree, system: str | None = None, prob: float = 0.95) -> xr.Dataset:
    """Return how p is spread over problems: for a figure, at few draws.

    Parameters
    ----------
    fit : DataTree
    system : str, optional
        Label of a system; needed if there are several.
    prob : float
        Posterior probability of the equal-tailed intervals.

    Returns
    -------
    xarray.Dataset
        With part = lower, median, upper: `share_at_most` (part, p), the share of problems of the
        kind whose success probability is at most p, which rises from three decades below 1 / (most
        attempts) to 1; and `own` (part, group), the p of problems attempted with equal counts, the
        hardest first, with how many they are in `problems` (group). Attributes: `system`,
        `attempts`, the most at a problem.

    Raises
    ------
    OptionError
        If `system` is none of the fit.
    """
    family_of(fit)  # or an error that says what a fit is
    names = fit["posterior"].dataset["system"].values.astype(str).tolist()
    if (system is None and len(names) > 1) or system not in (None, *names):
        raise OptionError(
            f"system must be one of the fit, {', '.join(map(repr, names))}; got {system!r}"
        )
    position = 0 if system is None else names.index(system)
    attempts = int(most_attempts(fit)[position])
    quantiles = [(1 - prob) / 2, 0.5, (1 + prob) / 2]
    grid = np.geomspace(1e-3 / max(1, attempts), 1.0, SPREAD_POINTS)
    family, parts = family_of(fit), parts_of(fit, position)
    rng = np.random.default_rng([int(fit.attrs["random_seed"]), 7])
    total = sum(len(part.rows) for part in parts)
    at_most, own, problems = np.zeros((1, len(grid) - 1)), [], []
    for part in parts:
        few = _every(part.parameters, SPREAD_DRAWS)
        above = family.survival(few, grid[:-1])
        at_most = at_most + len(part.rows) / total * (1 - above)
        drawn = family.draw_seen(
            _every(part.parameters, OWN_DRAWS), rng, part.cells.successes, part.cells.failures
        )
        own.append(np.quantile(drawn, quantiles, axis=0))
        problems.append(part.cells.problems)
    each, many = np.concatenate(own, axis=1), np.concatenate(problems)
    order = np.argsort(each[1], kind="stable")
    share = np.append(np.quantile(at_most, quantiles, axis=0), np.ones((3, 1)), axis=1)
    return xr.Dataset(
        {
            "share_at_most": (("part", "p"), share),
            "own": (("part", "group"), each[:, order]),
            "problems": ("group", many[order]),
        },
        {"part": ["lower", "median", "upper"], "p": grid},
        {"system": names[position], "attempts": attempts, "prob": prob},
    )


def _every(parameters: Parameters, most: int) -> dict[str, Floats]:
    """Return at most so many draws, evenly taken, dims (draw,)."""
    return {name: v.ravel()[:: -(-v.size // most)] for name, v in parameters.items()}


def rank_systems(
    fit: xr.DataTree,
    k: float | Iterable[float],
    target: Target = "benchmark",
    *,
    benchmark: str | None = None,
    random_seed: int | None = None,
) -> "pd.DataFrame":
    """Return the posterior probability that each system is the best, the second, and so on.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`, of two or more systems.
    k, target, random_seed
        As for :func:`bayespassk.forecast`.
    benchmark : str, optional
        Rank the systems on this benchmark. Needed if the fit has more than one.

    Returns
    -------
    pandas.DataFrame
        One row for each k and system, the best mean rank first. Columns k, system, mean_rank
        (1 is the best), and rank_1 to rank_S, the probability that the system has that rank by
        pass@k: rank_1 is that it is the best. Where draws tie, the ranks are shared equally.

    Raises
    ------
    OptionError
        If k or the target means nothing, or there are fewer than two systems to rank, or they are
        of different benchmarks and none is chosen.

    Warns
    -----
    ForecastWarning
        As :func:`bayespassk.forecast`.

    Notes
    -----
    The draws of p of different systems are independent given the parameters, though the systems
    attempted the same problems: which problems are hard for both is not used. A high probability of
    being the best says nothing about by how much; look at differences of forecasts for that. With
    "benchmark" it is about these very problems: with others, of the same kind, the order is less
    sure, which "population" tells.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> table = bp.rank_systems(fit, 10)
    >>> table["system"].tolist()
    ['large', 'small']
    """
    import pandas as pd
    from scipy.stats import rankdata

    family_of(fit)
    chosen = _of_one_benchmark(fit, benchmark)
    draws = forecast(fit, k, target, random_seed=random_seed)
    names = draws["system"].values[chosen]
    tables = []
    for one in draws["k"].values:
        values = draws.sel(k=one).values[..., chosen].reshape(-1, len(chosen))
        first, last = (rankdata(-values, method, axis=1) for method in ("min", "max"))
        table = pd.DataFrame(
            {"k": one, "system": names, "mean_rank": ((first + last) / 2).mean(0)}
            | {
                f"rank_{r}": (((first <= r) & (r <= last)) / (last - first + 1)).mean(0)
                for r in range(1, len(chosen) + 1)
            }
        )
        tables.append(table.sort_values("mean_rank", kind="stable"))
    return pd.concat(tables, ignore_index=True)


def _of_one_benchmark(fit: xr.DataTree, benchmark: str | None) -> NDArray[np.int64]:
    """Return the positions of the systems to rank, or raise an error: what to choose from."""
    of = outer_coords(fit)["benchmark"].values.astype(str)
    known = list(dict.fromkeys(of.tolist()))
    if benchmark is None and len(known) > 1:
        raise OptionError(
            "systems on different benchmarks cannot be ranked against each other: choose one with "
            f"benchmark=, of {', '.join(map(repr, known))}"
        )
    if benchmark is not None and benchmark not in known:
        raise OptionError(
            f"benchmark must be one of {', '.join(map(repr, known))}; got {benchmark!r}"
        )
    chosen = np.flatnonzero(of == (known[0] if benchmark is None else benchmark))
    if len(chosen) < 2:
        raise OptionError(f"a ranking needs two or more systems of a benchmark; got {len(chosen)}")
    return chosen


def _fail_at(fit: xr.DataTree, system: int, target: str, seed: int) -> FailAt:
    """Return fail@k as a function of k; of a run, that of the problems it is made at."""
    if target == "population":
        family, parts = family_of(fit), parts_of(fit, system)
        problems = sum(len(part.rows) for part in parts)

        def of_kind(ks: Floats) -> Floats:
            each = (
                len(part.rows) / problems * np.exp(family.log_moment(part.parameters, 0, ks))
                for part in parts
            )
            return np.asarray(sum(each)).reshape(-1, len(ks))

        return of_kind
    seen = Seen(fit, system, seed)

    def of_problems(ks: Floats) -> Floats:
        def expected(parameters: Parameters, c: Floats, f: Floats) -> Floats:
            moments = seen.family.log_moment(parameters, c, f + np.append(0.0, ks))
            return np.asarray(np.exp(moments[..., 1:] - moments[..., :1]))

        mean = seen.mean(lambda rate, k: np.exp(-k * rate), ks, expected)
        return mean.reshape(-1, len(ks))

    return of_problems


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
                inner = np.quantile(finite, np.linspace(0, 1, FINE), method="inverted_cdf")
                further.append(np.concatenate([[low], inner, [high]]))
    return np.unique(np.concatenate(further))


def _smallest_k(ks: Floats, fail: Floats, shares: Floats) -> Floats:
    """Return the smallest whole k with fail@k <= 1 - share, from fail@k at `ks`, which rise."""
    x, log_k = _complementary(fail), np.broadcast_to(np.log(ks), fail.shape)
    result = np.empty((len(fail), len(shares)))
    for j, share in enumerate(shares):
        index = (fail > 1 - share).sum(1)
        k = np.append(ks, np.inf)[index]
        below = ks[np.maximum(index - 1, 0)]
        wide = (index > 0) & np.isfinite(k) & (k - below > 1)
        at = np.full(wide.sum(), _complementary(np.array(1 - share)))
        between = np.exp(_interpolate(x[wide], log_k[wide], at))
        k[wide] = np.clip(np.ceil(between), below[wide] + 1, k[wide])
        result[:, j] = k
    return result


def _complementary(fail: Floats) -> Floats:
    """Return log -log fail: nearly straight in log k, for power laws and for exponential decay."""
    return np.asarray(np.log(-np.log(np.clip(fail, 1e-300, 1 - 2.0**-53))))


def _interpolate(x: Floats, y: Floats, at: Floats) -> Floats:
    """Return y at x = `at`, dims (draw,), on the cubic through the four points around.

    x, dims (draw, point), rises. The result stays between the y of the points next to it; where
    points coincide it is on the line between these two.
    """
    right = (x < at[:, None]).sum(1).clip(1, x.shape[1] - 1)
    index = (right - 2).clip(0, x.shape[1] - 4)[:, None] + np.arange(4)
    xs, ys = np.take_along_axis(x, index, 1), np.take_along_axis(y, index, 1)
    cubic = np.zeros(len(at))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for i in range(4):
            others = np.delete(xs, i, axis=1)
            basis = (at[:, None] - others) / (xs[:, i : i + 1] - others)
            cubic += ys[:, i] * basis.prod(1)
    sides = np.stack([right - 1, right], axis=1)
    (x0, x1), (y0, y1) = (np.take_along_axis(v, sides, 1).T for v in (x, y))
    line = y0 + (at - x0) / (x1 - x0) * (y1 - y0)
    return np.where(np.isfinite(cubic), cubic, line).clip(np.minimum(y0, y1), np.maximum(y0, y1))


def _budgets_of_runs(seen: Seen, shares: Floats) -> Floats:
    """Return after how many attempts one run has solved each share of the problems.

    A problem with success probability p is first solved at attempt ceil(E / -log(1-p)), where E is
    a standard exponential.
    """
    needed = np.ceil(shares * seen.problems * (1 - 1e-12)).astype(int) - 1
    result = np.empty((seen.shape[0] * seen.shape[1], len(shares)))
    for draws, p, rng in _each_problem(seen):
        with np.errstate(divide="ignore"):
            first = np.ceil(rng.standard_exponential(p.shape) / -np.log1p(-p))
        result[draws] = np.partition(np.maximum(first, 1.0), needed, axis=1)[:, needed]
    return np.where(result > MOST_K, np.inf, result)


def _all_succeed(
    fit: xr.DataTree, system: int, ks: NDArray[np.int64], target: str, seed: int
) -> Floats:
    """Return pass^k, dims (draw, k)."""
    if target == "population":
        family, parts = family_of(fit), parts_of(fit, system)
        problems = sum(len(part.rows) for part in parts)
        each = (
            len(part.rows) / problems * np.exp(family.log_moment(part.parameters, ks * 1.0, 0))
            for part in parts
        )
        return np.asarray(sum(each)).reshape(-1, len(ks))
    seen = Seen(fit, system, seed)
    if target == "benchmark":
        return seen.pass_hat_k(ks).reshape(-1, len(ks))
    result = np.empty((seen.shape[0] * seen.shape[1], len(ks)))
    for draws, p, rng in _each_problem(seen):
        with np.errstate(divide="ignore"):
            until_failure = rng.standard_exponential(p.shape) / -np.log(p)
        result[draws] = np.stack([(until_failure >= k).mean(1) for k in ks], axis=-1)
    return result


def _each_problem(seen: Seen) -> Iterator[tuple[slice, Floats, np.random.Generator]]:
    """Yield some draws of the posterior with the p of every problem, dims (draw, problem)."""
    rng = np.random.default_rng([seen.seed, 1])
    total = seen.shape[0] * seen.shape[1]
    step = max(1, CHUNK // seen.problems)
    for i in range(0, total, step):
        draws = slice(i, min(i + step, total))
        drawn = [
            seen.family.draw_seen(
                {name: value.ravel()[draws] for name, value in part.parameters.items()},
                rng,
                np.repeat(part.cells.successes, part.cells.problems),
                np.repeat(part.cells.failures, part.cells.problems),
            )
            for part in seen.parts
        ]
        yield draws, np.concatenate(drawn, axis=1), rng


def _rounds(fail_at: FailAt) -> tuple[Floats, Floats, Floats]:
    """Return rounds j, dims (j,), and attempts a problem before j and fail@j, dims (draw, j).

    The rounds are all up to `DIRECT`, and `BETWEEN` a panel from there.

    What is spent before j is the sum of fail@l over l < j. Beyond m = `DIRECT`, by the formula of
    Euler and Maclaurin, that is the sum to m, the integral of fail@l from m to j,
    (fail@m - fail@j) / 2 and (fail'@j - fail'@m) / 12, with a Gauss-Lobatto rule of four nodes a
    panel in log l and the derivatives of the cubics through them. In log j, log of what is spent
    and log -log fail@j are smooth, and between the panels' ends splines.
    """
    from scipy.interpolate import CubicSpline

    rounds = np.arange(DIRECT + 1.0)
    fail = fail_at(rounds[1:])
    fail = np.append(np.ones((len(fail), 1)), fail, axis=1)
    spent = np.append(np.zeros((len(fail), 1)), fail[:, :-1].cumsum(1), axis=1)
    log_edges = np.linspace(np.log(DIRECT), np.log(MOST_K), PANELS + 1)
    half, s = (log_edges[1] - log_edges[0]) / 2, 1 / math.sqrt(5)
    k = np.exp(log_edges[:-1, None] + half * (1 + np.array([-1, -s, s, 1])))
    later = fail_at(k[:, 1:].ravel()).reshape(len(fail), PANELS, 3)
    ends = np.append(fail[:, -1:], later[..., 2], axis=1)
    each = np.append(ends[:, :-1, None], later, axis=-1)
    integral = ((each * k) @ np.array([1, 5, 5, 1]) * half / 6).cumsum(1)
    slope = np.array([-1 / 2, 1 / (s + s * s), -1 / (s - s * s), 3.0]) / half
    first = each[:, 0] @ -slope[::-1] / DIRECT
    correction = (each @ slope / k[:, 3] - first[:, None]) / 12
    further = spent[:, -1:] + integral + (ends[:, :1] - ends[:, 1:]) / 2 + correction
    between = np.linspace(log_edges[0], log_edges[-1], BETWEEN * PANELS + 1)[1:]
    log_spent = np.log(np.append(spent[:, -1:], further, axis=1))
    further = np.exp(CubicSpline(log_edges, log_spent, axis=1)(between))
    ends = np.exp(-np.exp(CubicSpline(log_edges, _complementary(ends), axis=1)(between)))
    return (
        np.append(rounds, np.exp(between)),
        np.append(spent, further, axis=1),
        np.append(fail, ends, axis=1),
    )


def _solved_at(cost: float, spent: Floats, fail: Floats) -> Floats:
    """Return the share solved by `cost` attempts a problem, dims (draw,); see `_rounds`."""
    right = (spent <= cost).sum(1)
    result = 1 - fail[:, -1]
    near, far = right <= DIRECT, (right > DIRECT) & (right < spent.shape[1])
    rows, column = np.flatnonzero(near), right[near]
    before, after = fail[rows, column - 1], fail[rows, column]
    result[near] = 1 - before + (cost - spent[rows, column - 1]) / before * (before - after)
    result[far] = 1 - _interpolate(spent[far], fail[far], np.full(far.sum(), cost))
    return result


def _share_of_kind(fit: xr.DataTree, system: int, thresholds: Floats, _seed: int) -> Floats:
    """Return the share of all problems of the kind above each threshold, dims (draw, p)."""
    family, parts = family_of(fit), parts_of(fit, system)
    problems = sum(len(part.rows) for part in parts)
    each = (
        len(part.rows) / problems * family.survival(part.parameters, thresholds) for part in parts
    )
    return np.asarray(sum(each)).reshape(-1, len(thresholds))


def _share_of_problems(fit: xr.DataTree, system: int, thresholds: Floats, seed: int) -> Floats:
    """Return draws of the share of the problems attempted above each, dims (draw, p)."""
    seen, order = Seen(fit, system, seed), np.argsort(thresholds)
    rng = np.random.default_rng([seen.seed, 2])
    number = np.zeros((seen.shape[0] * seen.shape[1], len(thresholds)))
    for part in seen.parts:
        for draws, above in _above(seen.family, part, thresholds[order]):
            falling = np.minimum.accumulate(above, axis=-1)
            between = -np.diff(falling, prepend=1.0, append=0.0)
            landed = rng.multinomial(part.cells.problems, between)
            number[draws, order] += landed[..., :0:-1].cumsum(-1)[..., ::-1].sum(1)
    return number / seen.problems


def _above(family: Any, part: Part, thresholds: Floats) -> Iterator[tuple[slice, Floats]]:
    """Yield some draws with the probability of lying above, dims (draw, cell, threshold)."""
    c, f = (v[:, None].astype(float) for v in (part.cells.successes, part.cells.failures))
    flat = {name: value.ravel() for name, value in part.parameters.items()}
    total = len(next(iter(flat.values())))
    step = max(1, CHUNK // (len(c) * len(thresholds)))
    for i in range(0, total, step):
        draws = slice(i, min(i + step, total))
        given = {name: value[draws] for name, value in flat.items()}
        yield draws, family.survival(given, thresholds, c, f)


def _warn_if_far(fit: xr.DataTree, ks: Floats, target: str, seed: int, what: str) -> None:
    """Issue a `ForecastWarning` where `ks`, dims (system,), are far and the prior rules there."""
    names = fit["posterior"].dataset["system"].values.astype(str)
    most = most_attempts(fit)
    shares: dict[int, float] = {}
    for system in np.flatnonzero(ks > FAR * most):
        k = np.array([min(float(ks[system]), float(MOST_K))])
        fail = _fail_at(fit, int(system), target, seed)(k)[:, 0]
        step = max(1, len(fail) // DRAWS)
        share = prior_share(fail[::step], *log_densities(fit, int(system), step))
        if share > LIMIT:
            shares[int(system)] = share
    if shares:
        worst = max(shares, key=lambda system: shares[system])
        at = f"{ks[worst]:,.0f}" if np.isfinite(ks[worst]) else "beyond 1e12"
        message = (
            f"{what} more than {FAR} times beyond the attempts made, where the prior weighs more "
            f"than the attempts, for {len(shares)} of {len(names)} systems: "
            f"{shares[worst]:.0%} for {str(names[worst])!r} (k {at}, {most[worst]:,} attempts a "
            "problem). What to do: more attempts or more problems; other families too; or a prior "
            "you would defend. See bp.sensitivity"
        )
        warnings.warn(
            ForecastWarning(
                message,
                systems=tuple(str(names[system]) for system in shares),
                k=int(min(max(ks[list(shares)]), MOST_K)),
                prior_share=tuple(shares.values()),
            ),
            stacklevel=3,
        )


def _systems(fit: xr.DataTree) -> range:
    return range(fit["posterior"].sizes["system"])


def _seed(fit: xr.DataTree, random_seed: int | None) -> int:
    family_of(fit)  # or an error that says what a fit is
    return int(fit.attrs["random_seed"]) if random_seed is None else random_seed


def _quantile(draws: Floats, q: float) -> Any:
    """Return the smallest draw that a share q of them does not exceed: never between two."""
    index = max(math.ceil(q * draws.shape[-1] - 1e-9) - 1, 0)
    return np.sort(draws, axis=-1)[..., index]


def _as_array(
    fit: xr.DataTree,
    values: list[Floats],
    last: dict[str, NDArray[Any]],
    name: str,
    target: str,
    seed: int,
) -> xr.DataArray:
    """Return draws of all systems, dims (draw, value) each, as one array like a forecast."""
    posterior = fit["posterior"].dataset
    sizes = posterior.sizes["chain"], posterior.sizes["draw"]
    (dim,) = last
    return xr.DataArray(
        np.stack([value.reshape(*sizes, -1) for value in values], axis=2),
        dims=("chain", "draw", "system", dim),
        coords=outer_coords(fit) | last,
        name=name,
        attrs={
            "target": target,
            "forecast_seed": seed,
            **{key: fit.attrs[key] for key in ("family", "input_sha256", "bayespassk_version")},
        },
    )


def _checked(
    given: float | Iterable[float], name: str, rule: str, accept: Callable[[float], bool]
) -> Floats:
    """Return the values as an array, or raise an error about the first bad one."""
    values = list(given) if isinstance(given, Iterable) else [given]
    if not values:
        raise OptionError(f"{name} must hold at least one value; got none")
    for value in values:
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not number or not accept(value):
            raise OptionError(f"{name} must be {rule}; got {value!r}")
    if len(set(values)) < len(values):
        raise OptionError(f"{name} must not repeat a value; got {values!r}")
    return np.array(values, dtype=float)


def _check_known(target: str, verb: str) -> None:
    """Raise an error unless `target` is one of the two that `verb` is about."""
    if target not in ("benchmark", "population"):
        raise OptionError(
            f"target must be 'benchmark' or 'population' for {verb}, which is no matter of one "
            f"run; got {target!r}"
        )
