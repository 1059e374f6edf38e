"""What an attempt costs: log-normal given problem and outcome, pooled over problems.

The log of the cost of an attempt at problem i that fails (y = 0) or succeeds (y = 1) is normal with
mean mu_iy and variance s2_iy. Over problems mu_i is bivariate normal about a line in the success
probability p of the problem, as hard problems cost more; the variances are scaled inverse
chi-squared. An attempt that met its limit has a cost that is at least that. All is learned by a
Gibbs sampler, one draw for each draw of p: costs are told by p, p is not told by costs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special as sp

from bayespassk.arrays import CHUNK, Floats, Ints

__all__ = ["CostModel", "Costs", "afforded", "learn", "mean_cost", "solved_within"]

WARM = 200
"""Sweeps before the first draw is kept."""

FREEDOM = 6.0
"""Degrees of freedom of the variances over problems."""

LEAST = 1.0
"""The chi-squared is cut here: a variance is told by the others to be at most six times the middle.

Without it the mean cost of a new problem would be infinite.
"""

SLOPE = 3.0
"""Prior standard deviation of the line, in standard deviations of all log costs."""

BETWEEN = 4.0, 0.5
"""Degrees of freedom, and the diagonal of the scale matrix, of the prior between problems."""

WITHIN = 2.0, 2.0
"""Shape and rate of the gamma prior of the middle variance within problems."""

SINGLY = 64
"""Attempts that are followed one by one; beyond, the sum of so many is taken for normal."""


@dataclass(frozen=True, eq=False)
class Costs:
    """The costs of the attempts of one system.

    Attributes
    ----------
    row : array of int, dims (attempt,)
        Which problem of the system, 0 to `rows` - 1.
    success : array of int, dims (attempt,)
    cost : array, dims (attempt,)
        Positive.
    rows : int
        How many problems there are, some perhaps without a cost.
    limit : float
        What no attempt costs more than; infinite if there is none. Costs that are not below it are
        those of attempts that met it.
    """

    row: Ints
    success: Ints
    cost: Floats
    rows: int
    limit: float


@dataclass(frozen=True, eq=False)
class CostModel:
    """Draws of what attempts cost; in logs, y is 0 for a failure and 1 for a success.

    Attributes
    ----------
    mean, variance : array, dims (draw, row, 2)
        Of the log costs at each problem.
    line : array, dims (draw, 2, 2)
        Of each outcome, the mean where p is 0, and how much it is more where p is 1: (.., term, y).
    between : array, dims (draw, 2, 2)
        Covariance of a problem's means about the line.
    middle : array, dims (draw, 2)
        The scale of the variances within problems.
    limit : float
    """

    mean: Floats
    variance: Floats
    line: Floats
    between: Floats
    middle: Floats
    limit: float

    def of_new(self, p: Floats, draws: slice, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return mean and variance for new problems with these p, dims (draw, problem, 2)."""
        line, root = self.line[draws], np.linalg.cholesky(self.between[draws])
        away = np.einsum("dij,dpj->dpi", root, rng.standard_normal((*p.shape, 2)))
        mean = line[:, None, 0] + line[:, None, 1] * p[..., None] + away
        chi2 = np.maximum(rng.chisquare(FREEDOM, mean.shape), LEAST)
        return mean, FREEDOM * self.middle[draws][:, None] / chi2


def learn(costs: Costs, p: Floats, rng: np.random.Generator) -> CostModel:
    """Return draws of the costs, one for each draw of p, dims (draw, row): by Gibbs's sampler."""
    y, row, at = np.log(costs.cost), costs.row, costs.success
    centre, unit = float(y.mean()), max(float(y.std()), 1e-3)
    y = (y - centre) / unit
    limit = (np.log(costs.limit) - centre) / unit
    met = costs.cost >= costs.limit
    cell, shape = row * 2 + at, (costs.rows, 2)
    number = np.bincount(cell, minlength=2 * costs.rows).reshape(shape).astype(float)

    def summed(values: Floats) -> Floats:
        return np.bincount(cell, values, 2 * costs.rows).reshape(shape)

    total, squares = summed(y), summed(y * y)
    mean = np.divide(total, number, out=np.zeros(shape), where=number > 0)
    variance, middle = np.full(shape, 0.3), np.full(2, 0.3)
    line, between = np.zeros((2, 2)), np.eye(2)
    total_draws = len(p)
    found = CostModel(
        mean=np.empty((total_draws, *shape)),
        variance=np.empty((total_draws, *shape)),
        line=np.empty((total_draws, 2, 2)),
        between=np.empty((total_draws, 2, 2)),
        middle=np.empty((total_draws, 2)),
        limit=costs.limit,
    )
    for draw in range(-WARM, total_draws):
        if met.any():
            y[met] = _beyond(limit, mean[row, at][met], np.sqrt(variance[row, at][met]), rng)
            total, squares = summed(y), summed(y * y)
        design = np.stack([np.ones(costs.rows), p[max(draw, 0)]], -1)
        line, between = _line(design, mean, rng)
        mean = _means(design @ line, between, number / variance, total / variance, rng)
        left = np.maximum(squares - 2 * mean * total + number * mean**2, 0.0)
        chi2 = np.maximum(rng.chisquare(FREEDOM + number), LEAST)
        variance = (FREEDOM * middle + left) / chi2
        shape_, rate = WITHIN[0] + costs.rows * FREEDOM / 2, FREEDOM / 2 * (1 / variance).sum(0)
        middle = rng.gamma(shape_, 1 / (WITHIN[1] + rate))
        if draw >= 0:
            found.mean[draw] = centre + unit * mean
            found.variance[draw] = unit**2 * variance
            found.line[draw] = unit * line
            found.line[draw, 0] += centre
            found.between[draw] = unit**2 * between
            found.middle[draw] = unit**2 * middle
    return found


def _beyond(limit: float, mean: Floats, sd: Floats, rng: np.random.Generator) -> Floats:
    """Return draws of normals that are at least a limit."""
    log_tail = sp.log_ndtr((mean - limit) / sd)
    return np.asarray(mean - sd * sp.ndtri_exp(np.log(rng.random(len(mean))) + log_tail))


def _line(design: Floats, mean: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return a draw of the line and of the covariance about it, dims (2, 2) each."""
    freedom, scale = BETWEEN
    precision = design.T @ design + np.eye(2) / SLOPE**2
    middle = np.linalg.solve(precision, design.T @ mean)
    left = mean.T @ mean - middle.T @ precision @ middle
    root = np.linalg.cholesky(np.linalg.inv(scale * np.eye(2) + (left + left.T) / 2))
    chi = np.sqrt(rng.chisquare([freedom + len(mean), freedom + len(mean) - 1]))
    bartlett = root @ np.array([[chi[0], 0.0], [rng.standard_normal(), chi[1]]])
    between = np.linalg.inv(bartlett @ bartlett.T)
    about = np.linalg.cholesky(np.linalg.inv(precision)) @ rng.standard_normal((2, 2))
    return np.asarray(middle + about @ np.linalg.cholesky(between).T), between


def _means(
    at: Floats, between: Floats, weight: Floats, total: Floats, rng: np.random.Generator
) -> Floats:
    """Return a draw of the means of problems, dims (row, 2), about the line at each."""
    prior = np.linalg.inv(between)
    precision = prior + weight[:, :, None] * np.eye(2)
    covariance = np.linalg.inv(precision)
    middle = np.einsum("rij,rj->ri", covariance, at @ prior + total)
    noise = rng.standard_normal((len(at), 2))
    return np.asarray(middle + np.einsum("rij,rj->ri", np.linalg.cholesky(covariance), noise))


# What follows from it ----------------------------------------------------------------------------


def mean_cost(mean: Floats, variance: Floats, limit: float = np.inf) -> Floats:
    """Return the expected cost of attempts, no more than a limit each."""
    with np.errstate(over="ignore"):
        whole = np.exp(mean + variance / 2)
    if not np.isfinite(limit):
        return np.asarray(whole)
    sd, log_limit = np.sqrt(variance), np.log(limit)
    with np.errstate(invalid="ignore"):
        below = whole * sp.ndtr((log_limit - mean - variance) / sd)
    below = np.where(np.isfinite(below), below, 0.0)
    return np.asarray(np.minimum(below + limit * sp.ndtr((mean - log_limit) / sd), limit))


def afforded(cost: Floats, budgets: Floats) -> Floats:
    """Return how many attempts each budget buys at a mean cost, dims (..., budget)."""
    return np.asarray(budgets / cost[..., None])


def solved_within(
    p: Floats,
    mean: Floats,
    variance: Floats,
    limit: float,
    budgets: Floats,
    rng: np.random.Generator,
) -> Iterator[tuple[slice, Floats]]:
    """Yield some draws with the probability that each problem is solved before its budget is spent.

    Attempts are made one after the other. An attempt that the budget ends is lost. Failed attempts
    are drawn, `SINGLY` of them one by one; whether and at which cost an attempt succeeds is
    averaged over. So a problem's probability rises with the budget, and has next to no luck in it.

    Parameters
    ----------
    p : array, dims (draw, problem)
    mean, variance : array, dims (draw, problem, 2)
        Of the log costs of failures and of successes.
    limit : float
    budgets : array, dims (budget,)
        What may be spent on each problem.

    Yields
    ------
    slice, array, dims (draw, problem, budget)
    """
    step = max(1, CHUNK // (4 * p.shape[1] * len(budgets)))
    for i in range(0, len(p), step):
        draws = slice(i, min(i + step, len(p)))
        yield draws, _solved(p[draws], mean[draws], variance[draws], limit, budgets, rng)


def _solved(
    p: Floats,
    mean: Floats,
    variance: Floats,
    limit: float,
    budgets: Floats,
    rng: np.random.Generator,
) -> Floats:
    sd = np.sqrt(variance)
    largest = float(budgets.max())
    with np.errstate(divide="ignore"):
        log_q = np.log1p(-p)
    solved = np.zeros((*p.shape, len(budgets)))
    spent, left = np.zeros(p.shape), np.ones(p.shape)
    open_: NDArray[np.bool_] = np.ones(p.shape, bool)
    for _ in range(SINGLY):
        room = budgets - spent[open_][:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            z = (np.log(np.maximum(room, 0.0)) - mean[open_][:, 1:]) / sd[open_][:, 1:]
        within = np.where(room >= limit, 1.0, np.where(room > 0, sp.ndtr(z), 0.0))
        solved[open_] += (left * p)[open_][:, None] * within
        with np.errstate(over="ignore"):
            cost = np.exp(mean[..., 0] + sd[..., 0] * rng.standard_normal(p.shape))
        spent += np.minimum(cost, limit)
        left = left * (1 - p)
        open_ = (spent < largest) & (left > 0)
        if not open_.any():
            return np.asarray(np.minimum(solved, 1.0))
    one = mean_cost(mean[..., 0], variance[..., 0], limit)
    second = mean_cost(2 * mean[..., 0], 4 * variance[..., 0], limit**2)
    room = np.maximum(budgets - spent[..., None], 0.0)
    many = room / one[..., None]
    luck = np.sqrt(many * np.maximum(second / one**2 - 1, 0.0)[..., None])
    many = np.floor(np.maximum(many + luck * rng.standard_normal((*p.shape, 1)), 0.0))
    with np.errstate(invalid="ignore"):
        later = np.where(many > 0, -np.expm1(many * log_q[..., None]), 0.0)
    return np.asarray(np.minimum(solved + left[..., None] * later, 1.0))
