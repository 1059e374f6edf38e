"""What budgets in tokens, seconds or dollars solve, and what a success costs."""

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats
from bayespassk.asking.question import Kind, Question, ask
from bayespassk.asking.seen import Seen
from bayespassk.costs import CostModel, Costs, afforded, learn, mean_cost, solved_within
from bayespassk.counts import Counts
from bayespassk.errors import CountsError, ForecastWarning, OptionError
from bayespassk.options import (
    MOST_K,
    Target,
    check_interval,
    check_target,
    check_values,
    is_number,
    shown,
    system_seed,
)
from bayespassk.posterior.fitted import Fitted, opened

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_budgets", "compare_at_budget", "cost_per_success", "forecast_budget"]

DRAWS = 1000
"""Draws of the fit for which costs are learned, evenly spread over its chains."""

NEW = 128
"""New problems that are drawn for each draw of the parameters, where runs at them are followed."""

MANY = 1024
"""And where the mean cost of an attempt is all that is asked of them."""

AGAIN = 3
"""A largest cost that so many attempts of a system have is a limit."""

FEW = 0.1
"""A share of attempts without a cost beyond this is told."""

LEAST, MOST = 1e-9, 1e18
"""Budgets that can be computed with."""

type Way = Literal["serial", "parallel"]
type Limit = float | Literal["auto"] | Mapping[str, float] | None


def forecast_budget(
    fit: xr.DataTree,
    attempts: "pd.DataFrame",
    budget: float | Iterable[float],
    *,
    unit: str = "output_tokens",
    way: Way = "serial",
    target: Target = "benchmark",
    limit: Limit = "auto",
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of pass@budget: the share of problems solved within a budget for each.

    Attempts cost tokens, seconds or dollars, more where they fail and where problems are hard. What
    they cost is learned with the fit: log-normal given problem and outcome, pooled over problems.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`, of these very attempts.
    attempts : DataFrame
        From :func:`bayespassk.read_attempts`: columns problem, success and the unit; system and
        benchmark where there are several. Attempts without a cost, or with one of 0, are left out
        of what is learned of costs.
    budget : float or sequence of float, dims (budget,)
        What may be spent on each problem, in the unit.
    unit : str
        The column of costs, such as "output_tokens", "seconds" or "dollars".
    way : {"serial", "parallel"}
        "serial": attempts at a problem follow one another until one succeeds or the budget is
        spent; an attempt that the budget ends is lost. "parallel": as many attempts are made at
        each problem as the budget buys on average, ``budget / mean cost of an attempt``, whatever
        comes of them; part of an attempt is made at that share of the problems.
    target : {"benchmark", "population", "realised"}
        As for :func:`bayespassk.forecast`. "realised": what one new run solves; of "serial" only.
    limit : float, mapping of system to float, "auto" or None
        What no attempt costs more than, as where a model may write so many tokens and no more. An
        attempt that met it would have cost more: its cost is censored. Forecasts are under the
        same limit. "auto": the largest cost of a system, where three of its attempts or more have
        exactly that; None: there is none.
    random_seed : int, optional
        As for :func:`bayespassk.forecast`.

    Returns
    -------
    xarray.DataArray
        pass@budget, dims (chain, draw, system, budget), joint over budgets; up to 1,000 draws of
        the fit. The coordinate `bought`, dims (chain, draw, system, budget), is how many attempts a
        budget buys on average, `limit`, dims (system,), what was taken for the limit.
        :func:`bayespassk.summarize` makes a table of it, :func:`compare_at_budget` one of two
        systems, :func:`bayespassk.plot_budget` a figure.

    Raises
    ------
    OptionError
        If the attempts are not those that were fitted, or an argument means nothing.
    CountsError
        If there is no such column, or a system has no cost at all.

    Warns
    -----
    ForecastWarning
        As :func:`bayespassk.forecast`, of the attempts that the largest budget buys; or costs are
        missing of more than 10% of the attempts of a system.

    Notes
    -----
    Verifying an attempt must cost nothing and be right. Attempts are independent, and so are their
    costs, given the problem and whether they succeed. A mixture of quick and slow ways to solve a
    problem is not log-normal: compare the bands with attempts held back.

    Costs are told by p, which the fit has, and p is told nothing by costs: an attempt that met its
    limit is a failure to the fit, as it is to the log. With another limit, p would be another.

    Given the failures of a serial run, which are drawn, its probability of success is averaged over
    its luck; after 64 attempts the cost of more is taken for normal. New problems are drawn, 128
    for each draw and 1,024 for a mean cost, with the pass@k of the attempts bought as control
    variate: at fixed parameters that left a spread of about 1 point, beside bands of 20 points.

    Examples
    --------
    >>> import bayespassk as bp
    >>> import pandas as pd
    >>> rows = [(i, j < i, 100 + 20 * j) for i in range(10) for j in range(10)]
    >>> attempts = pd.DataFrame(rows, columns=["problem", "success", "output_tokens"])
    >>> counts = bp.Counts.from_attempts(attempts.astype({"success": int}))
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> passed = bp.forecast_budget(fit, attempts.astype({"success": int}), [200, 1000])
    >>> bool((passed.sel(budget=1000) >= passed.sel(budget=200)).all())
    True
    """
    check_arguments("forecast_budget", locals())
    budgets = check_budgets(budget)
    if way not in ("serial", "parallel"):
        raise OptionError(f"way must be 'serial' or 'parallel'; got {shown(way)}")
    check_target(target, "" if way == "serial" else AtBudget.not_of_runs)
    fitted = _fewer(opened(fit))
    models = _Models(fitted, _costs(fitted, attempts, unit, limit), random_seed)
    question = (Serially if way == "serial" else AtBudget)(budgets, models)
    found = ask(fitted, question, target, random_seed)
    bought = np.stack([models.bought[system] for system in fitted.systems], axis=2)
    return found.assign_coords(
        bought=(found.dims, bought),
        limit=("system", [models.costs[system].limit for system in fitted.systems]),
    ).assign_attrs(unit=unit, way=way)


def cost_per_success(
    fit: xr.DataTree,
    attempts: "pd.DataFrame",
    *,
    unit: str = "output_tokens",
    target: Literal["benchmark", "population"] = "benchmark",
    limit: Limit = "auto",
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of what a success costs, where attempts are made at all problems alike.

    The mean cost of an attempt over the mean success probability: what is spent on many attempts
    at each problem, failures included, over how many of them succeed.

    Parameters
    ----------
    fit, attempts, unit, limit, random_seed
        As for :func:`forecast_budget`.
    target : {"benchmark", "population"}
        The problems attempted, or new ones of the kind.

    Returns
    -------
    xarray.DataArray
        The cost, dims (chain, draw, system, what), in the unit, with what = "attempt" for the mean
        cost of an attempt, and "success".

    Raises
    ------
    OptionError, CountsError
        As :func:`forecast_budget`.

    Notes
    -----
    It is not the cost of solving another problem: successes at one problem count again and again.
    Easy problems make it small. Problems solved for a budget are what :func:`forecast_budget` says.

    Examples
    --------
    >>> import bayespassk as bp
    >>> import pandas as pd
    >>> rows = [(i, int(j < i), 100.0 + j) for i in range(10) for j in range(10)]
    >>> attempts = pd.DataFrame(rows, columns=["problem", "success", "seconds"])
    >>> fit = bp.fit(bp.Counts.from_attempts(attempts), bp.Beta(), random_seed=1)
    >>> bp.cost_per_success(fit, attempts, unit="seconds").dims
    ('chain', 'draw', 'system', 'what')
    """
    check_arguments("cost_per_success", locals())
    check_target(target, PerSuccess.not_of_runs)
    fitted = _fewer(opened(fit))
    models = _Models(fitted, _costs(fitted, attempts, unit, limit), random_seed)
    found = ask(fitted, PerSuccess(np.arange(2.0), models), target, random_seed)
    return found.assign_coords(what=["attempt", "success"]).assign_attrs(unit=unit)


def compare_at_budget(forecast: xr.DataArray, a: str, b: str, prob: float = 0.95) -> "pd.DataFrame":
    """Return a table of pass@budget of one system minus that of another, and who is ahead.

    Parameters
    ----------
    forecast : DataArray, dims (chain, draw, system, budget)
        From :func:`forecast_budget`.
    a, b : str
        Labels of two systems, on the same problems.
    prob : float
        Posterior probability of the equal-tailed intervals.

    Returns
    -------
    pandas.DataFrame
        A row for each budget, rising: budget, mean, median, lower and upper of the difference,
        probability_a_above, and probability_crossed: that who is ahead at the smallest budget at
        which they differ is behind here or at a smaller budget of the table. Its ``attrs`` have a,
        b, prob and crossing: median, lower and upper of the budget at which they first cross, among
        the draws that do, between the budgets of the table on a line in its logarithm; None if none
        does.

    Raises
    ------
    OptionError
        If a system is not there, or `prob` means nothing.

    Notes
    -----
    A crossing is looked for at the budgets of the forecast: give many, to see it well. Where the
    cost of an attempt is in tokens of different models, equal budgets are not equal dollars.

    Examples
    --------
    >>> import bayespassk as bp
    >>> import numpy as np, xarray as xr
    >>> draws = xr.DataArray(
    ...     np.random.default_rng(1).random((1, 50, 2, 3)).cumsum(-1) / 3,
    ...     dims=("chain", "draw", "system", "budget"),
    ...     coords={"system": ["x", "y"], "budget": [1.0, 2.0, 4.0]},
    ... )
    >>> bp.compare_at_budget(draws, "x", "y")["budget"].tolist()
    [1.0, 2.0, 4.0]
    """
    check_arguments("compare_at_budget", locals())
    import pandas as pd

    check_interval(prob, "eti")
    known = [str(one) for one in forecast["system"].values]
    for name in (a, b):
        if name not in known:
            raise OptionError(f"there is no system {name!r}; there are {', '.join(known)}")
    ordered = forecast.sortby("budget").transpose("system", "budget", "chain", "draw")
    one, other = (ordered.isel(system=known.index(name)).values for name in (a, b))
    away = (one - other).reshape(len(one), -1)
    budgets = ordered["budget"].values
    low, middle, high = np.quantile(away, [(1 - prob) / 2, 0.5, (1 + prob) / 2], axis=-1)
    # Who leads is seen where they first differ: at the smallest budgets both may solve nothing.
    first = np.take_along_axis(away, (away != 0).argmax(0)[None], 0)
    behind = np.sign(away) * np.sign(first) < 0
    table = pd.DataFrame(
        {
            "budget": budgets,
            "mean": away.mean(-1),
            "median": middle,
            "lower": low,
            "upper": high,
            "probability_a_above": (away > 0).mean(-1),
            "probability_crossed": np.maximum.accumulate(behind, axis=0).mean(-1),
        }
    )
    where = _crossings(np.log(budgets), away, behind)
    ends = (0.5, (1 - prob) / 2, (1 + prob) / 2)
    crossing = [float(np.exp(np.quantile(where, q))) for q in ends] if len(where) else None
    table.attrs = {"a": str(a), "b": str(b), "prob": prob, "kind": "eti", "crossing": crossing}
    return table


def check_budgets(budget: float | Iterable[float]) -> Floats:
    """Return the budgets as an array, or raise an error about the first bad one."""
    rule = f"positive, {LEAST:g} to {MOST:g}"
    return check_values(budget, "budget", rule, lambda v: LEAST <= v <= MOST)


def _crossings(log_budget: Floats, away: Floats, behind: Any) -> Floats:
    """Return log budgets at which draws first cross, dims (crossing,)."""
    draws = np.flatnonzero(behind.any(0))
    after = behind[:, draws].argmax(0)
    before = away[after - 1, draws]
    share = before / (before - away[after, draws])
    return np.asarray(log_budget[after - 1] + share * (log_budget[after] - log_budget[after - 1]))


# The attempts ------------------------------------------------------------------------------------


def _fewer(fitted: Fitted) -> Fitted:
    """Return the fit with no more than `DRAWS` draws, evenly spread."""
    chains, draws = fitted.shape
    step = math.ceil(chains * draws / DRAWS)
    if step == 1:
        return fitted
    few = fitted.tree.copy()
    few["posterior"] = xr.DataTree(
        fitted.tree["posterior"].dataset.isel(draw=slice(None, None, step))
    )
    return opened(few)


def _costs(fitted: Fitted, attempts: "pd.DataFrame", unit: str, limit: Limit) -> dict[str, Costs]:
    """Return the costs of the attempts at each system of a fit, by its label.

    Raises
    ------
    OptionError, CountsError
        If the attempts are not those of the fit, or costs are no numbers.
    """
    if unit not in attempts:
        raise CountsError(
            f"attempts must have a column {unit!r}; it has {', '.join(map(str, attempts.columns))}"
        )
    unknown = set(limit) - set(fitted.systems) if isinstance(limit, Mapping) else set()
    if unknown:
        raise OptionError(
            f"limit must be of systems of the fit; got {shown(min(map(str, unknown)))}, there are "
            f"{', '.join(map(repr, fitted.systems))}"
        )
    cost = _numbers(attempts[unit], unit)
    names = [name for name in ("benchmark", "system", "problem") if name in attempts]
    counts = Counts.from_attempts(attempts[[*names, "success"]])
    place = attempts.groupby(names, sort=False, dropna=False, observed=True).ngroup().to_numpy()
    index, own = _rows(fitted, counts)
    row, success = index[place], attempts["success"].to_numpy().astype(np.int64)
    found = {}
    for position, system in enumerate(fitted.systems):
        mine = own[position]
        here = np.isin(row, mine)
        known = here & (cost > 0)
        if not known.any():
            raise CountsError(f"the attempts of {system!r} have no {unit} that is more than 0")
        lacking = 1 - known.sum() / here.sum()
        if lacking > FEW:
            warnings.warn(
                ForecastWarning(
                    f"{lacking:.0%} of the attempts of {system!r} have no {unit}, or 0: what these "
                    "cost is taken to be like what the others cost",
                    systems=[system],
                ),
                stacklevel=3,
            )
        values = cost[known]
        most = _limit(limit, system, values)
        order = np.searchsorted(mine, row[known])
        found[system] = Costs(order, success[known], values, len(mine), most)
    return found


def _numbers(column: "pd.Series[Any]", unit: str) -> Floats:
    """Return the costs of attempts, NaN where there is none."""
    import pandas as pd

    cost = np.asarray(pd.to_numeric(column, errors="coerce"), dtype=float)
    bad = (column.notna().to_numpy() & np.isnan(cost)) | (cost < 0) | (cost > MOST)
    if bad.any():
        first = int(np.argmax(bad))
        raise CountsError(
            f"{unit} must be numbers, 0 to {MOST:g}: {bad.sum():,} of {len(cost):,} rows break "
            f"this, the first is row {first + 1:,} with {shown(column.iloc[first])}",
            rows=int(bad.sum()),
            first=first + 1,
        )
    return cost


def _rows(fitted: Fitted, counts: Counts) -> tuple[Any, list[Any]]:
    """Return which row of the fit each of the counts is, and the rows of each system, rising."""
    labels = dict(
        zip(zip(counts.benchmarks, _names(counts), strict=True), counts.systems, strict=True)
    )
    of_fit = {
        (fitted.systems[system], str(problem)): i
        for i, (system, problem) in enumerate(
            zip(fitted.system_index.tolist(), fitted.problems, strict=True)
        )
    }
    keys = [
        (labels[benchmark, system], str(problem))
        for benchmark, system, problem in zip(
            counts.benchmark, counts.system, counts.problem, strict=True
        )
    ]
    index = np.array([of_fit.get(key, -1) for key in keys])
    same = (index >= 0) & (fitted.attempts[index] == counts.attempts)
    same &= fitted.successes[index] == counts.successes
    missing = len(of_fit) - len(set(index[index >= 0].tolist()))
    if not same.all() or missing:
        system, problem = keys[int(np.argmin(same))]
        raise OptionError(
            "attempts must be those that were fitted: "
            f"{(~same).sum():,} of {len(same):,} problems have others, or are not in the fit"
            + (f", the first is {problem!r} of {system!r}" if not same.all() else "")
            + f"; {missing:,} problems of the fit have none. What to do: "
            "bp.fit(bp.Counts.from_attempts(attempts))"
        )
    own = [np.flatnonzero(fitted.system_index == i) for i in range(len(fitted.systems))]
    return index, own


def _names(counts: Counts) -> list[str]:
    """Return the name of each of the systems, without its benchmark, in the order of labels."""
    pairs = dict.fromkeys(zip(counts.benchmark.tolist(), counts.system.tolist(), strict=True))
    return [system for _, system in pairs]


def _limit(limit: Limit, system: str, cost: Floats) -> float:
    """Return the limit of a system."""
    if isinstance(limit, Mapping):
        limit = limit.get(system)
    if limit is None:
        return math.inf
    if isinstance(limit, str):
        if limit != "auto":
            raise OptionError(f"limit must be a number, 'auto' or None; got {limit!r}")
        largest = float(cost.max())
        return largest if (cost == largest).sum() >= AGAIN else math.inf
    if not is_number(limit) or not limit > 0:
        raise OptionError(f"limit must be a positive number, 'auto' or None; got {shown(limit)}")
    if (cost > limit).any():
        raise OptionError(
            f"limit must be no less than any cost: {(cost > limit).sum():,} attempts of {system!r} "
            f"cost more than {limit:g}, up to {cost.max():g}"
        )
    return float(limit)


# The questions -----------------------------------------------------------------------------------


class _Models:
    """What is known of the costs of each system, learned when it is asked for.

    Attributes
    ----------
    bought : dict of str to array, dims (chain, draw, budget)
        The attempts that each budget buys, once a question was asked.
    """

    def __init__(self, fitted: Fitted, costs: dict[str, Costs], random_seed: int | None):
        self.fitted, self.costs = fitted, costs
        self.seed = fitted.seed_or(random_seed)
        self.bought: dict[str, Floats] = {}
        self._known: dict[str, tuple[Floats, CostModel]] = {}

    def rng(self, system: str, use: int) -> np.random.Generator:
        """Return random numbers that do not depend on which other systems there are."""
        return np.random.default_rng([system_seed(self.seed, system), use])

    def seen(self, seen: Seen) -> tuple[Floats, CostModel]:
        """Return draws of p of the problems attempted, dims (draw, row), and of their costs."""
        system = seen.system
        if system not in self._known:
            p, rows = seen.each_row()
            p = p[:, np.argsort(rows)]
            self._known[system] = p, learn(self.costs[system], p, self.rng(system, 10))
        return self._known[system]

    def of_kind(self, kind: Kind, new: int) -> tuple[CostModel, Floats, Floats, Floats]:
        """Return the model, and p, mean and variance of new problems, dims (draw, problem, ...)."""
        position = self.fitted.systems.index(kind.system)
        _, model = self.seen(Seen(self.fitted, position, self.seed))
        rng, total = self.rng(kind.system, 11), len(model.mean)
        part = rng.choice(len(kind.parts), (total, new), p=kind.shares)
        p = np.empty((total, new))
        for i, one in enumerate(kind.parts):
            flat = {n: np.repeat(v.ravel(), new) for n, v in one.parameters.items()}
            drawn = kind.family.draw(flat, rng).reshape(total, new)
            p = np.where(part == i, drawn, p)
        return model, p, *model.of_new(p, slice(None), rng)


def _attempt(p: Floats, mean: Floats, variance: Floats, limit: float) -> Floats:
    """Return the mean cost of an attempt over problems, dims (draw,)."""
    each = mean_cost(mean, variance, limit)
    return np.asarray(((1 - p) * each[..., 0] + p * each[..., 1]).mean(-1))


@dataclass(frozen=True, eq=False)
class _Spending(Question):
    """What follows from p and costs."""

    values: Floats
    models: _Models
    dim: ClassVar[str] = "budget"
    rests_on: ClassVar[str] = "what the largest budget solves"

    def _buy(self, system: str, shape: tuple[int, int], cost: Floats) -> Floats:
        many = afforded(cost, self.values)
        self.models.bought[system] = many.reshape(*shape, -1)
        return many

    def far(self, fitted: Fitted, answers: Any) -> Floats | None:
        """Return the median of the attempts that the largest budget buys."""
        del answers
        most = int(np.argmax(self.values))
        each = [np.median(self.models.bought[one][..., most]) for one in fitted.systems]
        return np.clip(each, 1.0, MOST_K)


@dataclass(frozen=True, eq=False)
class AtBudget(_Spending):
    """pass@k for the attempts that a budget buys on average."""

    name: ClassVar[str] = "pass_at_budget"
    not_of_runs: ClassVar[str] = "way='parallel'"

    def of_problems(self, seen: Seen) -> Floats:
        """Return it of the problems attempted."""
        p, model = self.models.seen(seen)
        cost = _attempt(p, model.mean, model.variance, model.limit)
        return _passed(p, self._buy(seen.system, seen.shape, cost))

    def of_kind(self, kind: Kind) -> Floats:
        """Return it of new problems."""
        model, p, mean, variance = self.models.of_kind(kind, MANY)
        cost = _attempt(p, mean, variance, model.limit)
        many = self._buy(kind.system, self.models.fitted.shape, cost)
        low = np.floor(many)
        below, above = _exactly(kind, low), _exactly(kind, low + 1)
        return np.asarray(below + (many - low) * (above - below))


@dataclass(frozen=True, eq=False)
class Serially(_Spending):
    """The probability to be solved before a budget is spent, one attempt after the other."""

    name: ClassVar[str] = "pass_at_budget"

    def of_problems(self, seen: Seen) -> Floats:
        """Return it of the problems attempted."""
        p, model = self.models.seen(seen)
        self._buy(seen.system, seen.shape, _attempt(p, model.mean, model.variance, model.limit))
        rng = self.models.rng(seen.system, 12)
        found = solved_within(p, model.mean, model.variance, model.limit, self.values, rng)
        return np.concatenate([each.mean(1) for _, each in found])

    def of_run(self, seen: Seen) -> Floats:
        """Return the share of the problems that one run solves within each budget."""
        p, model = self.models.seen(seen)
        self._buy(seen.system, seen.shape, _attempt(p, model.mean, model.variance, model.limit))
        rng = self.models.rng(seen.system, 12)
        found = solved_within(p, model.mean, model.variance, model.limit, self.values, rng)
        luck = self.models.rng(seen.system, 13)
        solved = [(luck.random((*each.shape[:2], 1)) < each).mean(1) for _, each in found]
        return np.concatenate(solved)

    def of_kind(self, kind: Kind) -> Floats:
        """Return it of new problems, by those drawn and by what is exact of the attempts bought."""
        model, p, mean, variance = self.models.of_kind(kind, NEW)
        cost = _attempt(p, mean, variance, model.limit)
        many = self._buy(kind.system, self.models.fitted.shape, cost)
        rng = self.models.rng(kind.system, 12)
        found = solved_within(p, mean, variance, model.limit, self.values, rng)
        drawn = np.concatenate([each.mean(1) for _, each in found])
        with np.errstate(divide="ignore"):
            log_q = np.log1p(-p)
        passed = np.stack([-np.expm1(k[:, None] * log_q).mean(-1) for k in many.T], axis=-1)
        return np.asarray(np.clip(drawn + _exactly(kind, many) - passed, 0.0, 1.0))


@dataclass(frozen=True, eq=False)
class PerSuccess(_Spending):
    """The mean cost of an attempt, and that over the mean of p."""

    name: ClassVar[str] = "cost"
    dim: ClassVar[str] = "what"
    not_of_runs: ClassVar[str] = "cost_per_success, which is no matter of one run"

    def of_problems(self, seen: Seen) -> Floats:
        """Return them of the problems attempted."""
        p, model = self.models.seen(seen)
        cost = _attempt(p, model.mean, model.variance, model.limit)
        return np.stack([cost, cost / p.mean(1)], axis=-1)

    def of_kind(self, kind: Kind) -> Floats:
        """Return them of new problems."""
        model, p, mean, variance = self.models.of_kind(kind, MANY)
        cost = _attempt(p, mean, variance, model.limit)
        one = -np.expm1(kind.log_fail(np.array([1.0])))
        return np.stack([cost, cost / one.ravel()], axis=-1)

    def far(self, fitted: Fitted, answers: Any) -> None:
        """Return nothing: it goes beyond no attempt."""
        del fitted, answers


def _passed(p: Floats, many: Floats) -> Floats:
    """Return pass@k over problems, linear between whole k, dims (draw, budget)."""
    with np.errstate(divide="ignore"):
        log_q = np.log1p(-p)
    each = []
    for k in many.T:
        low = np.floor(k)[:, None]
        with np.errstate(invalid="ignore"):
            below = np.where(low > 0, -np.expm1(low * log_q), 0.0).mean(-1)
        above = -np.expm1((low + 1) * log_q).mean(-1)
        each.append(below + (k - low[:, 0]) * (above - below))
    return np.stack(each, axis=-1)


GRID = 200
"""Numbers of attempts at which pass@k of new problems is known exactly."""


def _exactly(kind: Kind, many: Floats) -> Floats:
    """Return pass@k of new problems where k differs by draw, dims (draw, budget).

    fail@k is computed at whole and at spaced k, and is a line in log k between.
    """
    most = max(float(many.max()), 2.0)
    ks = np.unique(np.append(np.geomspace(max(many[many > 0].min(), 1e-9), most, GRID), [1, 2, 3]))
    log_fail = kind.log_fail(ks).reshape(len(many), -1)
    found = np.empty(many.shape)
    for draw, (k, own) in enumerate(zip(many, log_fail, strict=True)):
        ratio = np.interp(np.log(np.maximum(k, ks[0])), np.log(ks), own / ks)
        found[draw] = -np.expm1(k * ratio)
    return found
