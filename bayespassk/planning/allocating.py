"""Where to make the next attempts: how many further ones each problem should get."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats, Ints
from bayespassk.asking.question import Kind
from bayespassk.counts import Counts
from bayespassk.errors import OptionError
from bayespassk.families import Family
from bayespassk.families.dependent import require_independent
from bayespassk.options import Target, check_k, check_target
from bayespassk.planning.lessons import (
    Cloud,
    Lessons,
    free_parameters,
    lessons_of,
    new_problem_slope,
    standardised,
    variance_after,
)
from bayespassk.posterior.fitted import Fitted, Part, opened

__all__ = ["Strategy", "allocate", "check_strategy"]

type Strategy = Literal["bayes", "fewest-successes", "oracle", "uniform", "reset-and-discard"]

POINTS = 24
"""Draws of the parameters that expectations are taken over, or 6 for each axis if that is more."""

MANY = 100_000
"""New problems, if their number is not limited."""

ALIKE = 0.9
"""Moves whose gain for their cost is this share of the best are made at once."""

PORTION = 4
"""Of problems with equal counts, one in so many moves at once."""


def allocate(
    fit: xr.DataTree,
    budget: float,
    k: float = 1000,
    target: Target = "benchmark",
    strategy: Strategy = "bayes",
    *,
    horizon: float | None = None,
    costs: ArrayLike | None = None,
    limit: ArrayLike | None = None,
    new_problems: int | None = None,
    new_problem_cost: float = 0.0,
    p: ArrayLike | None = None,
    random_seed: int | None = None,
) -> xr.Dataset:
    """Return how many further attempts each problem should get, to narrow the forecast of pass@k.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`: what is known so far.
    budget : float
        What may be spent, over all systems; an attempt costs 1 unless `costs` says otherwise.
    k : int
        Attempts allowed in the question asked, 1 to 1e12.
    target : {"benchmark", "population", "realised"}
        As for :func:`bayespassk.forecast`. "realised" is allotted as "benchmark": the luck of a
        new run cannot be learned.
    strategy : {"bayes", "fewest-successes", "oracle", "uniform", "reset-and-discard"}
        "bayes": what lowers the expected posterior variance of the forecast most, summed over
        systems. "fewest-successes": Algorithm 1 of Kazdan et al., the problem with the fewest
        successes, of these the one with the fewest attempts. "oracle": in proportion to
        sqrt(p (1-p)^(2k-1)), their Theorem 1, for studies in which `p` is known. "uniform": as
        equal a number at all problems as can be. "reset-and-discard": one after the other at all
        problems not yet solved; solved ones get none.
    horizon : float, optional
        What will be spent in all from now on, this budget and later ones: "bayes" plans for all of
        it and returns the first part. By default the budget.
    costs : float or array of float, dims (row,), default 1
        Of an attempt at each problem of the fit; positive.
    limit : int or array of int, dims (row,), optional
        The most further attempts at a problem.
    new_problems : int, optional
        The most new problems that could be attempted, for each system. Only "bayes" with the
        target "population" ever asks for any; by default it may as many as it likes.
    new_problem_cost : float
        Cost of a new problem, besides its attempts, which cost what those at others do on average.
    p : array of float, dims (row,)
        The success probability of each problem: for "oracle", which needs it.
    random_seed : int, optional
        Repeats the order of problems that are alike; by default the seed of the fit.

    Returns
    -------
    xarray.Dataset
        * attempts, dims (row,): further attempts at each problem, with its names as the
          coordinates benchmark, system and problem
        * new_problems, new_attempts, dims (system_index,): how many new problems, and how many
          attempts at them in all
        * sd, sd_expected, dims (system_index,): posterior standard deviation of pass@k now, and
          what is expected after the horizon of "bayes", or after these attempts of another
          strategy
        * path_spent, dims (step,), path_sd, dims (step, system_index): the standard deviation that
          "bayes" expects after it has spent so much of the horizon: how much it takes

        The ``attrs`` carry what was asked, `spent`, and where the fit is from.

    Raises
    ------
    OptionError
        If an argument means nothing.

    Notes
    -----
    Attempts at a problem that is never solved say something about p of the order of 1/n only, so
    that what one more of them teaches first grows: gains are not concave. So "bayes" compares whole
    batches, 1, 2, 4, ... attempts at a problem, by their gain for their cost.

    The expected variance is exact in what is open about each problem given the parameters; of
    these it takes forecast and likelihood to be linear and normal. Against nested simulation the
    expected standard deviation was mostly within 6%, and up to 19% too small where next to
    nothing was solved ("Where to make the next attempts" in the documentation). It believes the
    family: give every problem a few attempts first, so that the family has something to be judged
    by.

    What attempts at one system teach of others is not counted.

    The likelihood ignores how attempts were allotted, so that a fit to the outcomes needs no
    correction. Chen's estimator and others that average over problems do.

    References
    ----------
    Kazdan et al. 2025, arXiv:2510.05197 (fewest successes, oracle); ReD 2026, arXiv:2601.21522
    (reset and discard).

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 20, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> further = bp.allocate(fit, 1000, k=10_000)
    >>> int(further["attempts"].sum())
    1000
    >>> bool(further["attempts"].values[counts.successes > 10].sum() == 0)
    True
    """
    check_arguments("allocate", locals())
    (whole,) = check_k(k)
    check_target(target)
    check_strategy(strategy)
    fitted = opened(fit)
    require_independent(fitted.family, "allocate")
    counts = fitted.counts
    task = _Task.of(fitted, counts, budget, horizon, costs, limit, new_problems, new_problem_cost)
    seed = fitted.seed_or(random_seed)
    systems = [
        _system_of(fitted, i, int(whole), target, task, np.random.default_rng([seed, 7, i]))
        for i in range(len(counts.systems))
    ]
    rng = np.random.default_rng([seed, 8])
    if strategy == "bayes":
        attempts, new, path = _bayes(systems, task, rng)
        expected = path[-1][1]
    else:
        attempts = _by_rule(strategy, counts, task, int(whole), p, rng)
        new = np.zeros((len(systems), 2), dtype=np.int64)
        expected = np.array(
            [_variance_at(one, one.unplaced, attempts[one.rows]) for one in systems]
        )
        path = [(task.budget, expected)]
    spent = float(attempts @ task.costs + new[:, 1].sum() * task.mean_cost)
    spent += float(new[:, 0].sum() * task.new_cost)
    of = np.array(fitted.benchmarks, dtype=object)
    labels = np.array(counts.systems, dtype=object)
    scale = np.array([one.now / one.start for one in systems])
    return xr.Dataset(
        {
            "attempts": ("row", attempts),
            "new_problems": ("system_index", new[:, 0]),
            "new_attempts": ("system_index", new[:, 1]),
            "sd": ("system_index", np.sqrt([one.now for one in systems])),
            "sd_expected": ("system_index", np.sqrt(scale * expected)),
            "path_spent": ("step", np.array([at for at, _ in path])),
            "path_sd": (
                ("step", "system_index"),
                np.sqrt(scale * np.array([variance for _, variance in path])),
            ),
        },
        coords={
            "benchmark": ("row", of[counts.system_index]),
            "system": ("row", labels[counts.system_index]),
            "problem": ("row", counts.problem),
            "system_index": labels,
        },
        attrs={
            "k": int(whole),
            "target": target,
            "strategy": strategy,
            "budget": float(budget),
            "horizon": task.horizon,
            "spent": spent,
            "allocation_seed": seed,
        }
        | fitted.origin,
    )


def check_strategy(strategy: str) -> None:
    """Raise an error unless `strategy` is one of those known."""
    known = get_args(Strategy.__value__)
    if strategy not in known:
        raise OptionError(
            f"strategy must be one of {', '.join(map(repr, known))}; got {strategy!r}"
        )


# What was asked ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Task:
    """Money and limits, checked.

    Attributes
    ----------
    costs, limit : array, dims (row,)
    """

    budget: float
    horizon: float
    costs: Floats
    limit: Ints
    new_problems: int | None
    new_cost: float

    @classmethod
    def of(
        cls,
        fitted: Fitted,
        counts: Counts,
        budget: float,
        horizon: float | None,
        costs: ArrayLike | None,
        limit: ArrayLike | None,
        new_problems: int | None,
        new_problem_cost: float,
    ) -> "_Task":
        horizon = budget if horizon is None else horizon
        for name, value in (("budget", budget), ("horizon", horizon)):
            if not 0 < value < 1e15:
                raise OptionError(f"{name} must be positive, and less than 1e15; got {value!r}")
        if horizon < budget:
            raise OptionError(
                f"horizon must be at least the budget, which is part of it; got {horizon!r} and "
                f"{budget!r}"
            )
        rows = len(counts)
        each = _of_rows(1.0 if costs is None else costs, rows, "costs", "positive and finite")
        most = _of_rows(2**53 if limit is None else limit, rows, "limit", "0 or more", least=0.0)
        if new_problems is not None and not 0 <= new_problems < 2**53:
            raise OptionError(f"new_problems must be 0 or more; got {new_problems!r}")
        if not 0 <= new_problem_cost < math.inf:
            raise OptionError(f"new_problem_cost must be 0 or more; got {new_problem_cost!r}")
        if fitted.hierarchy.problem_columns:
            if new_problems:
                raise OptionError(
                    "new_problems needs a fit without covariates that differ between problems, as "
                    "it would not be known which values new ones have. Leave it out"
                )
            new_problems = 0
        return cls(
            float(budget),
            float(horizon),
            each,
            most.astype(np.int64),
            new_problems,
            float(new_problem_cost),
        )

    @property
    def mean_cost(self) -> float:
        return float(self.costs.mean())


def _of_rows(
    values: ArrayLike, rows: int, name: str, rule: str, least: float = np.nextafter(0.0, 1.0)
) -> Floats:
    """Return one number for each row, or raise an error about the first bad one."""
    given = np.asarray(values, dtype=float)
    if given.ndim > 1 or (given.ndim == 1 and len(given) != rows):
        raise OptionError(
            f"{name} must be one number, or one for each of the {rows:,} rows of the fit; got "
            f"shape {given.shape}"
        )
    given = np.broadcast_to(given, rows).copy()
    bad = np.flatnonzero(~((given >= least) & np.isfinite(given)))
    if len(bad):
        raise OptionError(
            f"{name} must be {rule}: {len(bad):,} of {rows:,} "
            f"{'breaks' if len(bad) == 1 else 'break'} this, the first is row {bad[0] + 1}: "
            f"{given[bad[0]]}"
        )
    return given


# Expected variance -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _System:
    """One system, and what further attempts at its problems would teach.

    Problems with equal counts, costs and limits are a group; the last group are new problems. How
    many of a group get each of the sizes of `lessons.sizes` is an array by itself: `placed`, dims
    (group, size).

    Attributes
    ----------
    rows, group : array of int, dims (problem,)
        Where the problems are in the fit, and their groups.
    cost : array, dims (group,)
        Of an attempt.
    allowed : array of bool, dims (group, size)
    extra : float
        Cost of a new problem, besides its attempts.
    lessons : Lessons
    population : array, or None
        The slope of the forecast of new problems, if these are what is asked about.
    unplaced : array of int, dims (group, size)
        `placed` where no problem gets an attempt.
    now, start : float
        Posterior variance of pass@k, and that which is expected without a further attempt.
    """

    rows: Ints
    group: Ints
    cost: Floats
    allowed: NDArray[np.bool_]
    extra: float
    lessons: Lessons
    population: Floats | None
    unplaced: Ints
    now: float
    start: float


def _system_of(
    fitted: Fitted, system: int, k: int, target: Target, task: _Task, rng: np.random.Generator
) -> _System:
    parts = fitted.parts[system]
    rows = np.concatenate([part.rows for part in parts])
    where = np.concatenate([np.full(len(part.rows), i) for i, part in enumerate(parts)])
    cell = np.concatenate([part.cells.inverse for part in parts])
    kind = np.stack([where, cell, task.costs[rows], task.limit[rows]], 1)
    groups, group = np.unique(kind, axis=0, return_inverse=True)
    z, _ = standardised(free_parameters(fitted, system))
    fail = Kind.of(fitted, system).log_fail(np.array([k]))[..., 0].ravel()
    each = _lessons(fitted.family, parts, fail, z, k, task, rng)
    first = np.cumsum([0, *(len(one.within) for one in each)])
    at = np.append(first[groups[:, 0].astype(np.int64)] + groups[:, 1].astype(np.int64), first[-2])
    lessons = Lessons.joined(each, at)
    population, new = None, 0
    if target == "population":
        population = new_problem_slope(np.exp(fail), z)
        new = MANY if task.new_problems is None else task.new_problems
    unplaced = np.zeros((len(groups) + 1, len(lessons.sizes)), dtype=np.int64)
    unplaced[:, 0] = np.append(np.bincount(group, minlength=len(groups)), new)
    start = float(variance_after(*_totals(lessons, population, len(rows), unplaced)))
    return _System(
        rows=rows,
        group=group,
        cost=np.append(groups[:, 2], task.mean_cost),
        allowed=lessons.sizes <= np.append(groups[:, 3], 2**53).astype(np.int64)[:, None],
        extra=task.new_cost,
        lessons=lessons,
        population=population,
        unplaced=unplaced,
        now=start if population is None else np.exp(fail).var(),
        start=start,
    )


def _lessons(
    family: Family,
    parts: Sequence[Part],
    log_fail: Floats,
    z: Floats,
    k: int,
    task: _Task,
    rng: np.random.Generator,
) -> list[Lessons]:
    """Return what attempts at the problems of each part teach, and last at new problems."""
    points = max(POINTS, 6 * z.shape[1])
    middle = ((np.arange(points) + 0.5) / points * len(z)).astype(np.int64)
    chosen = np.argsort(log_fail, kind="stable")[middle]
    most = task.horizon / min(task.costs.min(), task.mean_cost)
    sizes = np.append(0, 2 ** np.arange(max(1, int(most).bit_length())))
    none = np.zeros(1, dtype=np.int64)
    seen = [(part, part.cells.successes, part.cells.failures) for part in parts]
    return [
        lessons_of(family, _cloud(part, chosen, z), successes, failures, k, sizes, rng)
        for part, successes, failures in (*seen, (parts[0], none, none))
    ]


def _cloud(part: Part, chosen: Ints, z: Floats) -> Cloud:
    return Cloud(
        {name: value.ravel()[chosen] for name, value in part.parameters.items()}, z[chosen]
    )


def _totals(
    lessons: Lessons, population: Floats | None, problems: int, placed: NDArray[Any]
) -> tuple[float, Floats, Floats]:
    """Return the variance within problems, the slope of the forecast, and the information."""
    old = placed[:-1]
    information = np.einsum("gl,glij->ij", placed, lessons.information)
    if population is not None:
        return 0.0, population, information
    within = float((old * lessons.within[:-1]).sum()) / problems**2
    return within, np.einsum("gl,gli->i", old, lessons.slope[:-1]) / problems, information


def _variance(system: _System, placed: NDArray[Any]) -> float:
    """Return the variance that is expected with what is placed."""
    totals = _totals(system.lessons, system.population, len(system.rows), placed)
    return float(variance_after(*totals))


def _variance_at(system: _System, placed: Ints, attempts: Ints) -> float:
    """Return the variance that is expected after so many attempts, dims (problem,).

    And those at new problems, as they are placed.
    """
    between = np.zeros(placed.shape)
    between[-1] = placed[-1]
    sizes = system.lessons.sizes
    m = np.minimum(attempts, sizes[-1])
    upper = np.searchsorted(sizes, m).clip(1)
    share = np.log1p(m) - np.log1p(sizes[upper - 1])
    share = share / (np.log1p(sizes[upper]) - np.log1p(sizes[upper - 1]))
    np.add.at(between, (system.group, upper), share)
    np.add.at(between, (system.group, upper - 1), 1 - share)
    return _variance(system, between)


class _Moves(NamedTuple):
    """Moves of one problem from one size to a larger one, each of one group.

    Attributes
    ----------
    gain, cost : array, dims (move,)
    place : array of int, dims (move, 3)
        (group, from, to).
    """

    gain: Floats
    cost: Floats
    place: Ints

    def within(self, left: float) -> "_Moves":
        """Return those that can be paid."""
        can = self.cost <= left + 1e-9
        return _Moves(self.gain[can], self.cost[can], self.place[can])


def _moves(system: _System, placed: Ints, left: float) -> _Moves:
    """Return all moves that can be paid, from what is placed."""
    lessons, problems = system.lessons, len(system.rows)
    sizes = lessons.sizes
    group, low = np.nonzero(placed)
    high = np.arange(len(sizes))
    cost = system.cost[group, None] * (sizes - sizes[low, None])
    cost = cost + system.extra * ((group == len(system.cost) - 1) & (low == 0))[:, None]
    can = (high > low[:, None]) & system.allowed[group] & (cost <= left + 1e-9)
    which, to = np.nonzero(can)
    of, start = group[which], low[which]
    within, slope, information = _totals(lessons, system.population, problems, placed)
    more = lessons.information[of, to] - lessons.information[of, start]
    if system.population is not None:
        after = variance_after(0.0, slope, information + more)
    else:
        flatter = (lessons.slope[of, to] - lessons.slope[of, start]) / problems
        closer = (lessons.within[of, to] - lessons.within[of, start]) / problems**2
        after = variance_after(within + closer, slope + flatter, information + more)
    gain = variance_after(within, slope, information) - after
    return _Moves(gain, cost[which, to], np.stack([of, start, to], 1))


def _attempts(system: _System, placed: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Return the attempts at each problem, and the new problems and attempts at them.

    Problems that are alike get equally many where that is expected to be better than the sizes
    that were compared.
    """
    sizes = system.lessons.sizes
    result = np.zeros(len(system.rows), dtype=np.int64)
    groups = [rng.permutation(np.flatnonzero(system.group == i)) for i in range(len(placed) - 1)]
    for mine, numbers in zip(groups, placed, strict=False):
        result[mine] = np.repeat(sizes, numbers)
    best = _variance_at(system, placed, result)
    for mine in groups:
        if np.ptp(result[mine]) > 1:
            even = result.copy()
            each, over = divmod(int(result[mine].sum()), len(mine))
            even[mine] = each + (np.arange(len(mine)) < over)
            variance = _variance_at(system, placed, even)
            if variance < best:
                result, best = even, variance
    new = placed[-1, 1:]
    return result, np.array([new.sum(), new @ sizes[1:]])


type _Path = list[tuple[float, Floats]]
"""After each step, what was spent and the variance to expect of each system."""


def _bayes(
    systems: list[_System], task: _Task, rng: np.random.Generator
) -> tuple[Ints, Ints, _Path]:
    """Return the further attempts at all rows, and at new problems, dims (system, 2)."""
    placed, path = _placed(systems, task)
    attempts = np.zeros(len(task.costs), dtype=np.int64)
    new = np.zeros((len(systems), 2), dtype=np.int64)
    for i, (one, own) in enumerate(zip(systems, placed, strict=True)):
        attempts[one.rows], new[i] = _attempts(one, own, rng)
    spare = task.horizon - float(
        attempts @ task.costs + new[:, 1].sum() * task.mean_cost + new[:, 0].sum() * task.new_cost
    )
    if spare >= task.costs.min():
        attempts += _filled(
            np.zeros(len(attempts)),
            np.ones(len(attempts)),
            task.costs,
            task.limit - attempts,
            spare,
            rng,
        )
    last = [
        _variance_at(one, own, attempts[one.rows]) for one, own in zip(systems, placed, strict=True)
    ]
    path.append((task.horizon, np.array(last)))
    return *_first_part(attempts, new, task, rng), path


def _placed(systems: list[_System], task: _Task) -> tuple[list[Ints], _Path]:
    """Return how many problems of each system get how many attempts, and the way there.

    The best move for its cost is made, again and again, until none is left that can be paid.
    """
    left = task.horizon
    placed = [one.unplaced for one in systems]
    moves = [_moves(one, own, left) for one, own in zip(systems, placed, strict=True)]
    variances = np.array([one.start for one in systems])
    path = [(0.0, variances)]
    while True:
        best, at = max(
            ((float((one.gain / one.cost).max(initial=0.0)), i) for i, one in enumerate(moves)),
        )
        if best <= 0:
            return placed, path
        placed[at], left = _moved(systems[at], placed[at], moves[at], left, best)
        moves[at] = _moves(systems[at], placed[at], left)
        variances = variances.copy()
        variances[at] = _variance(systems[at], placed[at])
        path.append((task.horizon - left, variances))
        moves = [one.within(left) for one in moves]


def _moved(
    system: _System, placed: Ints, moves: _Moves, left: float, best: float
) -> tuple[Ints, float]:
    """Make the best move, and those of other problems nearly as good; return what is left too."""
    placed = placed.copy()
    ratio = moves.gain / moves.cost
    done: set[tuple[int, int]] = set()
    for i in np.argsort(-ratio, kind="stable"):
        if ratio[i] < ALIKE * best:
            break
        group, low, high = (int(value) for value in moves.place[i])
        if (group, low) in done:
            continue
        done.add((group, low))
        waiting = int(placed[group, low])
        number = min(-(-waiting // PORTION), int((left + 1e-9) // moves.cost[i]))
        if system.population is not None and group == len(system.cost) - 1:
            # New problems teach as much each, and there is no telling them apart.
            number = min(number, max(1, int(left / moves.cost[i]) // PORTION))
        placed[group, low] -= number
        placed[group, high] += number
        left -= number * float(moves.cost[i])
    return placed, left


def _first_part(
    attempts: Ints, new: Ints, task: _Task, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Return the part of the attempts of a horizon that the budget pays, evenly."""
    if task.budget >= task.horizon:
        return attempts, new
    share = task.budget / task.horizon
    each = new[:, 1] // np.maximum(new[:, 0], 1)
    fewer = np.floor(new[:, 0] * share).astype(np.int64)
    begun = np.stack([fewer, fewer * each], 1)
    left = task.budget - float(begun[:, 1].sum() * task.mean_cost + fewer.sum() * task.new_cost)
    part = _filled(
        np.zeros(len(attempts)),
        attempts.astype(float),
        task.costs,
        np.minimum(task.limit, attempts),
        left,
        rng,
    )
    left -= float(part @ task.costs)
    for i in np.flatnonzero(new[:, 0] > fewer):  # where old ones take less than their part
        price = float(each[i] * task.mean_cost + task.new_cost)
        more = min(int(new[i, 0] - fewer[i]), int((left + 1e-9) // price))
        begun[i] += more, more * each[i]
        left -= more * price
    if not part.any() and not begun.any():  # too little for a new problem as planned
        at = int(new[:, 0].argmax())
        affordable = int((task.budget - task.new_cost + 1e-9) // task.mean_cost)
        if new[at, 0] and affordable > 0:
            begun[at] = 1, min(affordable, each[at])
    return part, begun


# Rules -------------------------------------------------------------------------------------------


def _by_rule(
    strategy: Strategy,
    counts: Counts,
    task: _Task,
    k: int,
    p: ArrayLike | None,
    rng: np.random.Generator,
) -> Ints:
    made, rows = counts.attempts.astype(float), len(counts)

    def filled(made: Floats, weight: Floats, limit: Ints, budget: float) -> Ints:
        return _filled(made, weight, task.costs, limit, budget, rng)

    if strategy == "uniform":
        return filled(made, np.ones(rows), task.limit, task.budget)
    if strategy == "oracle":
        if p is None:
            raise OptionError("strategy='oracle' needs p, the success probability of each problem")
        known = _of_rows(p, rows, "p", "between 0 and 1", least=0.0)
        if known.max() > 1:
            raise OptionError(f"p must be between 0 and 1; got {known.max()}")
        with np.errstate(divide="ignore"):
            log_weight = 0.5 * (np.log(known) + (2 * k - 1) * np.log1p(-known))
        top = log_weight.max()
        weight = np.exp(log_weight - top) if top > -np.inf else np.ones(rows)
        return filled(made, weight, task.limit, task.budget)
    if strategy == "reset-and-discard":
        unsolved = (counts.successes == 0).astype(float)
        return filled(np.zeros(rows), unsolved, task.limit, task.budget)
    result, left = np.zeros(rows, dtype=np.int64), task.budget
    for fewest in np.unique(counts.successes):
        mine = (counts.successes == fewest).astype(float)
        more = filled(made, mine, task.limit, left)
        result += more
        left -= float(more @ task.costs)
        if left < task.costs.min():
            break
    return result


def _filled(
    made: Floats,
    weight: Floats,
    costs: Floats,
    limit: Ints,
    budget: float,
    rng: np.random.Generator,
) -> Ints:
    """Return further attempts that bring all problems to equal attempts for their weight.

    Those that are beyond already get none, none gets more than its limit, and the cost is at most
    the budget: as near as whole numbers allow, with ties broken at random.
    """

    def at(level: float) -> Floats:
        return (weight * level - made).clip(0.0, limit)

    low, high = 0.0, 1.0
    while at(high) @ costs < budget and high < 1e300:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle) @ costs < budget else (low, middle)
    exact = at(high)
    result = np.floor(exact + 1e-9).astype(np.int64)
    left = budget - float(result @ costs)
    order = rng.permutation(len(made))
    order = order[np.argsort(-(exact - result)[order].round(9), kind="stable")]
    for i in order:
        if (
            weight[i] > 0
            and result[i] < limit[i]
            and costs[i] <= left + 1e-9
            and exact[i] > result[i]
        ):
            result[i] += 1
            left -= float(costs[i])
    return result
