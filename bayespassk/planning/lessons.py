"""What further attempts would teach: the posterior variance of a forecast to expect after them.

With x = (1-p)^k, the forecast of fail@k is F = mean of x over problems, or the family's own moment
for new ones. Given the parameters theta, problems are independent, so that

    Var F = E sum Var(x_i | theta) / N^2 + Var E[F | theta].

After m further attempts at problem i, with y successes, the first part is exact: every
expectation given theta is a ratio of moments of the family. In the second, E[F | theta, y] is taken
to be linear in theta over the posterior, and the likelihood of y to be normal: its slope flattens
as y determines p, and the variance of theta shrinks with the information in y.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayespassk.arrays import CHUNK, Floats, Ints
from bayespassk.families import Family
from bayespassk.families.base import Parameters
from bayespassk.posterior.fitted import Fitted
from bayespassk.special import log_binomial

__all__ = [
    "Cloud",
    "Lessons",
    "free_parameters",
    "lessons_of",
    "new_problem_slope",
    "standardised",
    "variance_after",
]


LEAST = 6
"""Up to this y from either end, every y is looked at."""

LEVELS = 24
"""At how many quantiles of y it is looked at beyond."""

GUESSES = 400
"""Draws of y that place these; they weigh nothing."""

WIDTH = 40
"""Numbers of each of the pairs (a, b)."""


@dataclass(frozen=True)
class Cloud:
    """Some points of a distribution of the parameters.

    Attributes
    ----------
    parameters : mapping of str to array, dims (point,)
        Natural parameters.
    z : array, dims (point, axis)
        The free ones, standardised: with mean 0 and covariance 1 over the whole distribution.
    """

    parameters: Parameters
    z: Floats


@dataclass(frozen=True)
class Lessons:
    """What m further attempts at one problem teach, dims (cell, size).

    Attributes
    ----------
    sizes : array, dims (size,)
        The m, increasing, the first of them 0.
    within : array, dims (cell, size)
        Expected variance of x given theta.
    slope : array, dims (cell, size, axis)
        Expected derivative of E[x | theta, y] by z.
    information : array, dims (cell, size, axis, axis)
        Expected Fisher information about z.
    """

    sizes: Ints
    within: Floats
    slope: Floats
    information: Floats

    @classmethod
    def joined(cls, each: "Sequence[Lessons]", cells: Ints) -> "Lessons":
        """Return those of some cells, counted through all of `each`, which have the same sizes."""
        within, slope, information = (
            np.concatenate([getattr(one, name) for one in each])[cells]
            for name in ("within", "slope", "information")
        )
        return cls(each[0].sizes, within, slope, information)


def variance_after(within: Any, slope: Floats, information: Floats) -> Floats:
    """Return the variance that is expected of a forecast, dims (...).

    That within problems, and that which is left of the parameters, standardised to have had
    covariance 1 before the information; `slope` has dims (..., axis).
    """
    precision = information + np.eye(slope.shape[-1])
    spread = np.linalg.solve(precision, np.broadcast_to(slope, precision.shape[:-1])[..., None])
    return np.asarray(within + (slope * spread[..., 0]).sum(-1))


def free_parameters(fitted: Fitted, system: int) -> Floats:
    """Return what the success probabilities of a system depend on, dims (draw, axis)."""
    columns = [values.ravel() for values in fitted.free(system).values()]
    if fitted.hierarchy.problem_columns:
        posterior = fitted.posterior.isel(system=system)
        for name in fitted.free(system):
            effects = posterior[f"problem_effect_{name}"].values
            columns.extend(effects.reshape(-1, effects.shape[-1]).T)
    return np.stack(columns, axis=-1)


def new_problem_slope(fail_at_k: Floats, z: Floats) -> Floats:
    """Return the slope by z of the fail@k of new problems, given at all draws, dims (axis,)."""
    return np.asarray(np.linalg.lstsq(np.column_stack([np.ones(len(z)), z]), fail_at_k)[0][1:])


def standardised(free: Floats) -> tuple[Floats, Floats]:
    """Return draws with mean 0 and covariance 1, dims (draw, axis), and the matrix that did it.

    Axes along which the draws do not differ are left out.
    """
    centred = free - free.mean(0)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(centred.T)))
    kept = values > 1e-12 * values.max()
    to = vectors[:, kept] / np.sqrt(values[kept])
    return centred @ to, to


def lessons_of(
    family: Family,
    cloud: Cloud,
    successes: Ints,
    failures: Ints,
    k: int,
    sizes: Ints,
    rng: np.random.Generator,
) -> Lessons:
    """Return what further attempts at problems with these counts, dims (cell,), would teach."""
    cells, axes = len(successes), cloud.z.shape[1]
    shape = cells, len(sizes)
    lessons = Lessons(
        sizes, np.empty(shape), np.empty((*shape, axes)), np.empty((*shape, axes, axes))
    )
    fit = np.linalg.pinv(np.column_stack([np.ones(len(cloud.z)), cloud.z]))[1:]
    p = family.draw_seen(
        cloud.parameters, rng, *(np.repeat(v, _repeats(cloud)) for v in (successes, failures))
    )
    p = np.moveaxis(p.reshape(len(p), cells, -1), 1, 0).reshape(cells, -1)
    nodes = [[_outcomes(int(m), rng.binomial(m, p[i])) for m in sizes] for i in range(cells)]
    step = max(1, CHUNK // WIDTH // max(1, sum(len(y) for y, _ in nodes[0]) * 2))
    for i in range(0, cells, step):
        some = slice(i, i + step)
        _fill(family, cloud, fit, successes[some], failures[some], k, nodes[some], lessons, i)
    return lessons


def _repeats(cloud: Cloud) -> int:
    return -(-GUESSES // len(cloud.z))


def _outcomes(m: int, guesses: Ints) -> tuple[Ints, Floats]:
    """Return some of the y from 0 to m, and how many each stands for."""
    ends = np.arange(min(LEAST, m) + 1)
    doubled = 2 ** np.arange(3, max(4, m.bit_length()))
    middle = np.quantile(guesses, (np.arange(LEVELS) + 0.5) / LEVELS, method="inverted_cdf")
    y = np.unique(np.concatenate([ends, m - ends, doubled, m - doubled, middle]).astype(np.int64))
    y = y[(y >= 0) & (y <= m)]
    edges = np.concatenate([[-0.5], (y[1:] + y[:-1]) / 2, [m + 0.5]])
    return y, np.diff(edges)


def _fill(
    family: Family,
    cloud: Cloud,
    fit: Floats,
    successes: Ints,
    failures: Ints,
    k: int,
    nodes: list[list[tuple[Ints, Floats]]],
    lessons: Lessons,
    first: int,
) -> None:
    """Compute the lessons of a few cells."""
    sizes = len(lessons.sizes)
    flat = [node for of_cell in nodes for node in of_cell]
    lengths = np.array([len(y) for y, _ in flat])
    starts = np.concatenate([[0], lengths.cumsum()[:-1]])
    which = np.repeat(np.arange(len(flat)), lengths)
    cell = which // sizes
    y, width = (np.concatenate(parts) for parts in zip(*flat, strict=True))
    m = lessons.sizes[which % sizes]
    c, f = successes[cell] + y, failures[cell] + m - y

    pairs, back = np.unique(np.stack([c, f], 1), axis=0, return_inverse=True)
    a, b = pairs.T.astype(float)
    moments = family.log_moment(
        cloud.parameters, a[:, None], b[:, None] + np.array([0.0, k, 2.0 * k])
    )
    seen = moments[..., 0][:, back]
    x = np.exp(moments[..., 1] - moments[..., 0])[:, back]
    variance = (np.exp(moments[..., 2] - moments[..., 0])[:, back] - x**2).clip(0.0)
    log_weight = seen + log_binomial(m, y) + np.log(width)

    def total(values: Floats) -> Floats:
        return np.add.reduceat(values, starts, axis=-1)

    top = np.maximum.reduceat(log_weight, starts, axis=-1)[:, which]
    weight = np.exp(log_weight - top)
    weight /= total(weight)[:, which]
    log_chance = log_weight - seen[:, starts[cell * sizes]]
    shape = (len(nodes), sizes)
    rows = slice(first, first + len(nodes))
    within = total(weight * variance).mean(0).reshape(shape)
    lessons.within[rows] = np.minimum.accumulate(within, axis=1)
    mean = weight.mean(0)
    slope = total(mean * (fit @ x))
    lessons.slope[rows] = np.moveaxis(slope.reshape(-1, *shape), 0, -1)
    score = fit @ log_chance
    for i in range(len(score)):
        for j in range(i + 1):
            product = total(weight * score[i] * score[j])
            product -= total(weight * score[i]) * total(weight * score[j])
            value = product.mean(0).reshape(shape)
            lessons.information[rows, :, i, j] = lessons.information[rows, :, j, i] = value
