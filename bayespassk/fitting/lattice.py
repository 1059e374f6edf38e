"""Posteriors on lattices: for families of up to four parameters, with nothing to compile.

The posterior of a system is summed over a lattice of points, oriented along its own axes and grown
from its middle until what is left out weighs nothing. Sums over a lattice are the trapezoidal
rule, whose error for a smooth density that vanishes on all sides falls faster than any power of
the step: with steps of half a standard deviation it is below rounding for a normal, and stays
small as long as the density has no features much narrower than a step.

The fourth parameter must be the share of an inflation. Moments do not depend on it, so they are
computed once for all points that differ in nothing else.

With partial pooling, the density of what the systems share (the centre and the spread of each
parameter) is a product of one sum a system: of its likelihood over its lattice, weighted by
the normal that centre and spread say. Draws of centres and spreads come by importance sampling
from mixtures of t distributions that adapt to that density; those of the parameters of a system,
given them, from its lattice.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special as sp
from threadpoolctl import threadpool_limits

from bayespassk.arrays import CHUNK, Floats, Ints
from bayespassk.cells import Cells
from bayespassk.errors import OptionError, SamplingError
from bayespassk.families import Family
from bayespassk.families.base import Prior, declared, log_prior
from bayespassk.families.dependent import MOST_SD, at_sd, dependence, with_sd
from bayespassk.families.inflated import inflated, not_inflated
from bayespassk.fitting.importance import (
    draw_t,
    evenly,
    log_t,
    mean_and_covariance,
    normalised,
    tempered,
)
from bayespassk.fitting.sampling import Draws
from bayespassk.options import system_seed
from bayespassk.posterior.pooling import Hierarchy
from bayespassk.runs import Runs
from bayespassk.special import NUMPY

__all__ = ["Integrated", "integrate", "takes"]


MOST_PARAMETERS, WITH_SHARES = 3, 4
"""Of a family without its inflations, whose moments take the time, and with them."""

STEP = {1: 0.1, 2: 0.25, 3: 0.5, 4: 0.7}
"""Of the lattice, in standard deviations, by the number of parameters."""

DEPTH = 13.0
"""How far below its highest point the log density of a lattice is followed."""

MOST_POINTS = 120_000
"""Of a lattice: one that has not ended by then is told as not converged."""

BLOCK = 200_000
"""Numbers that stay in the cache of a processor while they are worked on."""

TOGETHER = 4
"""Most draws of a point that are equal."""

STEEPEST = 12.0
"""Rise of a log density in a step: more does not move draws by more than half a cell."""

RUN = 256
"""Points that are summed before one of them is drawn: sums are faster than cumulative ones."""

SMOOTH = 0.5
"""Least spread between systems, in steps of a lattice, which cannot resolve a smaller one, and data
that leave so much open cannot tell it from this."""

LOOKING = (500, 500, 1000)
KEPT = (500, 1000, 3000)
"""Draws of what systems share, by round: of those that look where it is, and of the last."""

ENOUGH = 1000.0
MORE = 4
"""The effective sample size to reach of the draws kept, and in how many more rounds at most."""


@dataclass(frozen=True)
class Integrated:
    """A posterior, as equally weighted draws.

    Attributes
    ----------
    found : mapping of str to array
        Free parameters, dims (draw, system), and with pooling centres and spreads, dims (draw, 1).
    log_ratio : array, dims (sample,), or None
        With pooling, posterior over proposal of centres and spreads, in logs.
    whole : array of bool, dims (system,)
        Whether the lattice of a system ended, and its even and odd points agree.
    moments : mapping of str to array, dims (2, system)
        Without pooling, means and standard deviations of the free and the natural parameters as
        sums over the lattice, which are right to more digits than those of draws.
    """

    found: Draws
    log_ratio: Floats | None
    whole: NDArray[np.bool_]
    moments: Draws


def integrate(
    family: Family,
    cells: Cells,
    hierarchy: Hierarchy,
    systems: tuple[str, ...],
    draws: int,
    seed: int,
    advance: Callable[[str, int], None],
) -> Integrated:
    """Return draws from the posterior of `systems`, alone or pooled.

    `advance` is told which system is at hand. Alone, the draws of a system do not depend on others.

    Raises
    ------
    OptionError
        If the family has too many parameters (see :func:`takes`), or systems hang together in
        other ways than partial pooling within one benchmark.
    SamplingError
        If the posterior is finite nowhere.
    """
    priors = declared(family)
    _check(family, priors, hierarchy)
    of_sd = priors.get("log_run_sd")
    if of_sd is not None:
        with threadpool_limits(1):
            return _over_sd(family, of_sd, cells, systems, draws, seed, advance)
    likelihoods = [
        _Likelihood(family, tuple(priors), cells.of_system(i), name)
        for i, name in enumerate(systems)
    ]
    with threadpool_limits(1):  # products of this shape are slower with more
        if hierarchy.pooling == "none":
            return _alone(family, priors, likelihoods, draws, seed, advance)
        freedom = hierarchy.freedom
        return _pooled(family, priors, likelihoods, freedom, draws, seed, advance)


def takes(family: Family) -> bool:
    """Return whether a family has few enough parameters: three, or four with inflations.

    Beside the correlation of attempts in a run, which is summed over by itself.
    """
    family = with_sd(_settled(family), 0.0)
    inner = not_inflated(family)
    return len(declared(inner)) <= MOST_PARAMETERS and len(declared(family)) <= WITH_SHARES


def _settled(family: Family) -> Family:
    """Return the family as it is fitted: inflations go around what tells runs apart."""
    nothing = np.zeros(0, dtype=np.int64)
    none = Runs(row=nothing, run=nothing, attempts=nothing, successes=nothing, names=())
    return family.seeing(nothing, nothing, none)[0]


def _check(family: Family, priors: Mapping[str, Prior], hierarchy: Hierarchy) -> None:
    if not takes(family):
        raise OptionError(
            f"method='quadrature' takes families of up to {MOST_PARAMETERS} parameters, or "
            f"{WITH_SHARES} with inflations; {family.full_name} has {len(priors)}: use "
            "method='nuts'"
        )
    own = dependence(family)
    if own is not None and own.learned and hierarchy.pooling != "none":
        raise OptionError(
            "method='quadrature' does not pool systems whose spread of runs is learned: use "
            "method='nuts', pooling='none', or a known sd"
        )
    if hierarchy.nested or hierarchy.system_columns or hierarchy.problem_columns:
        raise OptionError(
            "method='quadrature' takes neither covariates nor pooling over several benchmarks: "
            "use method='nuts'"
        )


# Lattices -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Lattice:
    """The points of a lattice where a density is not negligible.

    Attributes
    ----------
    x : array, dims (point, parameter)
    log_likelihood, log_density : array, dims (point,)
    log_cell : float
        log of the volume that a point stands for.
    odd : array of bool, dims (point,)
        Every other point, as on a chessboard.
    axes : array, dims (parameter, axis)
        The steps from a point to the next.
    slope : array, dims (point, axis)
        How much the log-likelihood rises in a step.
    ended : bool
    """

    x: Floats
    log_likelihood: Floats
    log_density: Floats
    log_cell: float
    odd: NDArray[np.bool_]
    axes: Floats
    slope: Floats
    ended: bool

    @property
    def whole(self) -> bool:
        """Whether nothing is left out, and either half of the points gives the same integral."""
        if not self.ended:
            return False
        halves = [sp.logsumexp(self.log_density[self.odd == half]) for half in (False, True)]
        return bool(abs(halves[0] - halves[1]) < 0.02)


@dataclass(frozen=True)
class _Moments:
    """What the likelihood takes of the moments, which do not depend on shares of inflations.

    Attributes
    ----------
    rest : array, dims (point,)
        Sum of log moments over the problems that no inflation touches.
    touched : array, dims (point, cell)
        Log moments of the others; last, that of a cell which stands for all of the rest.
    """

    rest: Floats
    touched: Floats


class _Likelihood:
    """The log-likelihood of one system as a function of points, dims (point, parameter).

    The last parameters are the shares of inflations. They touch cells without a success, or
    without a failure; they scale the likelihood of all others by the same factor.
    """

    def __init__(
        self,
        family: Family,
        names: tuple[str, ...],
        cells: Cells,
        system: str,
        constants: Mapping[str, Any] | None = None,
    ) -> None:
        self.family, self.names, self.system = family, names, system
        self.inner = not_inflated(family)
        self.own = len(declared(self.inner))
        problems = cells.problems.astype(float)
        a, b = cells.successes.astype(float), cells.failures.astype(float)
        self.constants = self.inner.constants(a, b) if constants is None else dict(constants)
        one_sided = (a == 0) | (b == 0)
        self.touched = np.flatnonzero(one_sided & (self.own < len(names)))
        if "kernel_top" in self.constants:
            # What is the same at all points is left out: with 2^53 attempts, sums with it would
            # be whole numbers.
            alone = np.isin(np.arange(len(a)), self.touched)
            self.constants["added"] = np.where(alone, self.constants["kernel_top"], 0.0)
        # What is left out of the likelihood of the cells that are taken together.
        top = self.constants.get("kernel_top", np.zeros(len(a)))
        left_out = top - self.constants.get("added", top)
        self.rest = problems.copy()
        self.rest[self.touched] = 0.0
        self.left_out = float(self.rest @ left_out)
        self.problems = np.append(problems[self.touched], self.rest.sum())
        self.pairs = np.append(a[self.touched], 1.0), np.append(b[self.touched], 1.0)
        self.step = max(1, CHUNK // self.inner.numbers(self.constants, len(problems)))

    def __call__(self, x: Floats) -> Floats:
        return self.at(x, self.moments(x[:, : self.own]), np.arange(len(x)))

    def moments(self, x: Floats) -> _Moments:
        """Return what is needed of the moments at points of the parameters that rule them."""
        rest, touched = [np.zeros(0)], [np.zeros((0, len(self.touched)))]
        for at in range(0, len(x), self.step):
            free = {
                name: x[at : at + self.step, i] for i, name in enumerate(self.names[: self.own])
            }
            with np.errstate(all="ignore"):  # far out, where a density of zero is right
                natural = self.inner.natural(free)
                moments = np.asarray(self.inner.log_moments(natural, self.constants, NUMPY))
                rest.append(moments @ self.rest)
            touched.append(moments[:, self.touched])
        return _Moments(np.concatenate(rest), np.pad(np.concatenate(touched), ((0, 0), (0, 1))))

    def at(self, x: Floats, moments: _Moments, which: Ints) -> Floats:
        """Return the log-likelihood at `x`, whose moments are number `which` of these."""
        values = moments.rest[which]
        if self.own < len(self.names):
            free = {name: x[:, i] for i, name in enumerate(self.names)}
            with np.errstate(all="ignore"):
                natural = self.family.natural(free)
                touched = inflated(self.family, moments.touched[which], natural, *self.pairs)
                values = values + touched @ self.problems
        return np.where(np.isfinite(values), values, -np.inf)


class _AtPoints:
    """The likelihood at points of a lattice: moments are computed once where they are the same."""

    def __init__(self, likelihood: _Likelihood) -> None:
        self.likelihood = likelihood
        self.keys = np.zeros(0, dtype=np.int64)
        self.moments = likelihood.moments(np.zeros((0, likelihood.own)))

    def __call__(self, where: Ints, x: Floats) -> Floats:
        own = self.likelihood.own
        keys, first, which = np.unique(_key(where[:, :own]), return_index=True, return_inverse=True)
        new = ~np.isin(keys, self.keys, assume_unique=True)
        more = self.likelihood.moments(x[first[new], :own])
        self.moments = _Moments(
            np.concatenate([self.moments.rest, more.rest]),
            np.concatenate([self.moments.touched, more.touched]),
        )
        self.keys = np.concatenate([self.keys, keys[new]])
        order = np.argsort(self.keys)
        return self.likelihood.at(
            x, self.moments, order[np.searchsorted(self.keys, keys, sorter=order)][which]
        )


type _Density = Callable[[Floats], Floats]


def _lattice(
    likelihood: _Likelihood, prior: _Density, mean: Floats, covariance: Floats
) -> _Lattice:
    """Return the lattice of likelihood times prior, which has about this mean and covariance."""
    d = len(mean)
    step = STEP[d]
    # At an angle to those of the parameters, but those of the shares, which moments are free of.
    axes = step * np.linalg.cholesky(covariance) @ _turn(likelihood.own, d)
    evaluate = _AtPoints(likelihood)
    half = int(np.ceil(3 / step))
    cube = np.stack(np.meshgrid(*[np.arange(-half, half + 1)] * d, indexing="ij"), -1)
    cube = cube.reshape(-1, d)
    wave = cube[(cube**2).sum(-1) <= half**2]
    faces = np.concatenate([np.eye(d, dtype=np.int64), -np.eye(d, dtype=np.int64)])
    seen = np.zeros(0, dtype=np.int64)
    at: list[Ints] = []
    likelihoods: list[Floats] = []
    densities: list[Floats] = []
    best, points = -np.inf, 0
    while len(wave) and points < MOST_POINTS:
        x = mean + wave @ axes.T
        values = evaluate(wave, x)
        density = values + prior(x)
        best = max(best, float(density.max()))
        at.append(wave)
        likelihoods.append(values)
        densities.append(density)
        points += len(wave)
        seen = np.concatenate([seen, _key(wave)])
        grown = (wave[density > best - DEPTH][:, None] + faces).reshape(-1, d)
        _, first = np.unique(_key(grown), return_index=True)
        grown = grown[first]
        wave = grown[~np.isin(_key(grown), seen, assume_unique=True)]
    where, values = np.concatenate(at), np.concatenate(likelihoods)
    density = np.concatenate(densities)
    kept = density > best - DEPTH
    return _Lattice(
        mean + where[kept] @ axes.T,
        values[kept],
        density[kept],
        float(np.log(abs(np.linalg.det(axes)))),
        where[kept].sum(-1) % 2 == 1,
        axes,
        _slopes(where, values, kept),
        not len(wave),
    )


def _slopes(where: Ints, values: Floats, kept: NDArray[np.bool_]) -> Floats:
    """Return half of the difference between the neighbours of points, dims (point, axis).

    Where there is no neighbour, or its value is not finite, the point itself takes its place.
    """
    keys = _key(where)
    order = np.argsort(keys)
    own = values[kept]
    slopes = np.zeros((kept.sum(), where.shape[-1]))
    for axis in range(where.shape[-1]):
        sides = []
        for step in (1, -1):
            wanted = where[kept]
            wanted[:, axis] += step
            wanted_keys = _key(wanted)
            found = order[np.searchsorted(keys, wanted_keys, sorter=order).clip(0, len(keys) - 1)]
            there = (keys[found] == wanted_keys) & np.isfinite(values[found])
            sides.append(np.where(there, values[found], own))
        slopes[:, axis] = (sides[0] - sides[1]) / 2
    return slopes


@functools.cache
def _turn(own: int, d: int) -> Floats:
    """Return axes at an angle to those of the coordinates, dims (coordinate, axis).

    The first `own` among themselves, and so the others.
    """
    turn = np.eye(d)
    for some in (slice(own), slice(own, d)):
        size = len(turn[some])
        if size > 1:  # a seed whose axes, two or three of them, are far from the coordinates'
            normal = np.random.default_rng(159).standard_normal((size, size))
            turn[some, some] = np.linalg.qr(normal)[0]
    return turn


def _key(where: Ints) -> Ints:
    """Return one integer for each point of a lattice."""
    d = where.shape[-1]
    side = int(2 ** (62 / d))
    return np.asarray((where + side // 2) @ side ** np.arange(d, dtype=np.int64))


def _about(
    likelihood: _Likelihood, prior: _Density, mean: Floats, covariance: Floats
) -> tuple[Floats, Floats]:
    """Return mean and covariance of likelihood times prior, starting from those of the prior.

    By importance sampling from t distributions that are narrowed as fast as their weights allow.
    """
    rng = np.random.default_rng(3)
    for _ in range(15):
        x = draw_t(rng, mean, covariance, 500)
        log_weight = likelihood(x) + prior(x) - log_t(x, mean, covariance)
        if not np.isfinite(log_weight).any():
            raise SamplingError.at_the_start(f"for {likelihood.system!r}", "at 500 points")
        power, weight = tempered(log_weight, 60.0)
        mean, covariance = mean_and_covariance(x, weight)
        if power == 1.0 and 1 / (weight**2).sum() > 120:
            break
    return mean, covariance


# Draws --------------------------------------------------------------------------------------------


def _within(lattice: _Lattice, chosen: Ints, slope: Floats, rng: np.random.Generator) -> Floats:
    """Return draws from the cells of the chosen points, dims (draw, parameter).

    `slope`, dims (draw, axis), is how much the log density rises in a step. Draws that were
    spread evenly over their cells alone would have a larger variance than the points, by that of
    a cell, 1/12 of a squared step. So each is also moved up the slope, by half that variance
    times the slope, as in a step of Langevin's: the two together leave any density as it is, but
    for the fourth power of the step, and sharp edges stay sharp.

    Up to `TOGETHER` draws of one point stay together, which makes forecasts a multiple faster.
    """
    order = np.argsort(chosen, kind="stable")
    _, first, number = np.unique(chosen[order], return_index=True, return_counts=True)
    rank = np.arange(len(chosen)) - np.repeat(first, number)
    places = -(-number // TOGETHER)
    group = rank * np.repeat(places, number) // np.repeat(number, number)
    group += np.repeat(places.cumsum() - places, number)
    d = slope.shape[-1]
    moved = np.empty((places.sum(), d))
    for axis in range(d):
        total = np.bincount(group, slope[order, axis].clip(-STEEPEST, STEEPEST))
        moved[:, axis] = total / np.bincount(group) / 24
    moved += _even(len(moved), d, rng) - 0.5
    draws = np.empty((len(chosen), d))
    draws[order] = lattice.x[chosen[order]] + (moved @ lattice.axes.T)[group]
    return draws


def _even(number: int, d: int, rng: np.random.Generator) -> Floats:
    """Return points of the unit cube that fill it evenly, also few successive ones.

    Multiples of the powers of a root of x^(d+1) = x + 1, which no few of them come back to.
    """
    root = 1.5
    for _ in range(50):
        root = (1 + root) ** (1 / (d + 1))
    return np.asarray(
        (rng.random(d) + np.outer(np.arange(number), root ** -np.arange(1.0, d + 1))) % 1
    )


# Alone --------------------------------------------------------------------------------------------


def _alone(
    family: Family,
    priors: Mapping[str, Prior],
    likelihoods: list[_Likelihood],
    draws: int,
    seed: int,
    advance: Callable[[str, int], None],
) -> Integrated:
    names = tuple(priors)
    mean = np.array([prior.loc for prior in priors.values()])
    covariance = np.diag([prior.sd**2 for prior in priors.values()])

    def prior(x: Floats) -> Floats:
        return np.asarray(log_prior(family, {name: x[:, i] for i, name in enumerate(names)}))

    found = np.empty((draws, len(likelihoods), len(names)))
    whole = np.empty(len(likelihoods), dtype=bool)
    each = []
    for system, likelihood in enumerate(likelihoods):
        advance("Integrating each system", system)
        lattice = _lattice(likelihood, prior, *_about(likelihood, prior, mean, covariance))
        rng = np.random.default_rng(system_seed(seed, likelihood.system))
        weight = normalised(lattice.log_density)
        chosen = evenly(weight, draws, rng)
        found[:, system] = _within(lattice, chosen, _slope(lattice, prior)[chosen], rng)
        whole[system] = lattice.whole
        each.append(_mean_and_sd(family, names, lattice.x, weight))
    moments = {name: np.stack([one[name] for one in each], -1) for name in each[0]}
    return Integrated({n: found[..., i] for i, n in enumerate(names)}, None, whole, moments)


SD_STEP, SD_COARSE = 0.5, 1.0
"""Of the lattice of the log of the spread of runs: in standard deviations, and to find these."""


@dataclass(frozen=True)
class _AtSd:
    """The posterior of all other parameters at one correlation, and the density of that."""

    value: float
    lattice: _Lattice
    slope: Floats
    log_density: float


def _over_sd(
    family: Family,
    of_sd: Prior,
    cells: Cells,
    systems: tuple[str, ...],
    draws: int,
    seed: int,
    advance: Callable[[str, int], None],
) -> Integrated:
    """Return draws of systems by themselves whose spread of runs is learned: a lattice for each.

    First in steps of 1 on the logit, then about the mean in ever smaller ones, down to `SD_STEP`
    standard deviations.
    """
    names = tuple(declared(family))
    column = names.index("log_run_sd")
    found = np.empty((draws, len(systems), len(names)))
    whole = np.empty(len(systems), dtype=bool)
    each = []
    for system, name in enumerate(systems):
        advance("Integrating each system", system)
        mine = cells.of_system(system)
        pairs = mine.successes.astype(float), mine.failures.astype(float)
        nodes = not_inflated(family).constants(*pairs)

        def at(
            value: float, mine: Cells = mine, name: str = name, nodes: Mapping[str, Any] = nodes
        ) -> _AtSd:
            known = with_sd(family, float(np.exp(value)))
            own = at_sd(not_inflated(family), nodes, float(np.exp(value)))
            return _at_sd(known, mine, name, value, of_sd, own)

        start, step = of_sd.loc, SD_COARSE
        for _ in range(8):
            points = _followed(at, start, step)
            weight = normalised(np.array([one.log_density for one in points]))
            x = np.array([one.value for one in points])
            start = float(weight @ x)
            wanted = SD_STEP * float(np.sqrt(weight @ (x - start) ** 2))
            if step <= 1.1 * wanted:
                break
            step = max(wanted, step / 4)
        heavy = np.flatnonzero(weight > 1e-3 * weight.max())
        whole[system] = all(points[i].lattice.whole for i in heavy)
        rng = np.random.default_rng(system_seed(seed, name))
        number = np.bincount(evenly(weight, draws, rng), minlength=len(points))
        drawn, moments = [], []
        for one, many in zip(points, number, strict=True):
            of_rest = normalised(one.lattice.log_density)
            chosen = evenly(of_rest, int(many), rng) if many else np.zeros(0, dtype=np.int64)
            some = np.empty((int(many), len(names)))
            if many:
                some[:, np.arange(len(names)) != column] = _within(
                    one.lattice, chosen, one.slope[chosen], rng
                )
            some[:, column] = one.value
            drawn.append(some)
            every = np.insert(one.lattice.x, column, one.value, axis=1)
            moments.append(_mean_and_sd(family, names, every, of_rest))
        found[:, system] = rng.permutation(np.concatenate(drawn))
        each.append(_mixed(moments, weight))
    result = {name: np.stack([one[name] for one in each], -1) for name in each[0]}
    return Integrated({n: found[..., i] for i, n in enumerate(names)}, None, whole, result)


def _at_sd(
    family: Family,
    cells: Cells,
    system: str,
    value: float,
    of_sd: Prior,
    constants: Mapping[str, Any],
) -> _AtSd:
    """Return the lattice of the other parameters at a log of the spread of runs."""
    priors = declared(family)
    names = tuple(priors)
    mean = np.array([prior.loc for prior in priors.values()])
    covariance = np.diag([prior.sd**2 for prior in priors.values()])

    def prior(x: Floats) -> Floats:
        return np.asarray(log_prior(family, {name: x[:, i] for i, name in enumerate(names)}))

    likelihood = _Likelihood(family, names, cells, system, constants)
    lattice = _lattice(likelihood, prior, *_about(likelihood, prior, mean, covariance))
    total = sp.logsumexp(lattice.log_density) + lattice.log_cell + likelihood.left_out
    log_density = float(total + of_sd.log_density(value, of_sd.loc))
    return _AtSd(value, lattice, _slope(lattice, prior), log_density)


def _followed(at: Callable[[float], _AtSd], start: float, step: float) -> list[_AtSd]:
    """Return what is at equal steps from a start, to either side until nothing is left."""
    found = [at(start)]
    best = found[0].log_density
    for way in (step, -step):
        value = start
        while value + way < np.log(MOST_SD):
            value += way
            one = at(value)
            found.append(one)
            best = max(best, one.log_density)
            if one.log_density < best - SD_DEPTH or len(found) > MOST_SDS:
                break
    return sorted(found, key=lambda one: one.value)


SD_DEPTH = 7.0
"""How far below its highest point the density of that logarithm is followed."""

MOST_SDS = 60


def _mixed(moments: list[dict[str, Floats]], weight: Floats) -> dict[str, Floats]:
    """Return mean and standard deviation of a mixture of which those of the parts are known."""
    mixed = {}
    for name in moments[0]:
        means, sds = np.stack([one[name] for one in moments], -1)
        mean = weight @ means
        mixed[name] = np.array([mean, np.sqrt(weight @ (sds**2 + (means - mean) ** 2))])
    return mixed


def _slope(lattice: _Lattice, prior: _Density) -> Floats:
    """Return how much the log of likelihood times prior rises in a step, dims (point, axis)."""
    rises = [(prior(lattice.x + step) - prior(lattice.x - step)) / 2 for step in lattice.axes.T]
    return lattice.slope + np.stack(rises, -1)


def _mean_and_sd(
    family: Family, names: tuple[str, ...], x: Floats, weight: Floats
) -> dict[str, Floats]:
    """Return mean and standard deviation of each parameter, free or natural, dims (2,)."""
    free = {name: x[:, i] for i, name in enumerate(names)}
    moments = {}
    for name, values in (free | family.natural(free)).items():
        mean = weight @ values
        offset = values - mean
        scale = np.abs(offset).max() or 1.0  # the square of 1e200 is no number
        moments[name] = np.array([mean, scale * np.sqrt(weight @ (offset / scale) ** 2)])
    return moments


# Pooled -------------------------------------------------------------------------------------------


def _pooled(
    family: Family,
    priors: Mapping[str, Prior],
    likelihoods: list[_Likelihood],
    freedom: float,
    draws: int,
    seed: int,
    advance: Callable[[str, int], None],
) -> Integrated:
    rng = np.random.default_rng(seed)
    names = tuple(priors)
    location = np.array([prior.loc for prior in priors.values()])
    between = np.array([prior.between for prior in priors.values()])
    variance = np.array([prior.sd**2 for prior in priors.values()]) + between**2
    lattices = []
    for system, likelihood in enumerate(likelihoods):
        advance("Integrating each system", system)
        lattices.append(_lattice_within(likelihood, location, np.diag(variance)))
    advance("Integrating systems together", len(likelihoods))
    shared = _Shared(family, names, between, freedom, lattices)
    samples = _adapted(shared, *_start(lattices, between), LOOKING, 0.0, rng)
    # Once more on lattices that are as fine as what the systems say of each other.
    moments = _moments_each(shared, samples.x[evenly(samples.weight, 200, rng)])
    centre, spread = shared.split(samples.x)
    predicted = samples.weight @ centre
    variance = samples.weight @ ((centre - predicted) ** 2 + spread**2)
    lattices = [
        _lattice(one, _normal(predicted, 1.5 * variance), *about)
        for one, about in zip(likelihoods, moments, strict=True)
    ]
    shared = _Shared(family, names, between, freedom, lattices)
    samples = _adapted(shared, *samples.about(), KEPT, ENOUGH, rng)
    kept = samples.x[rng.permutation(evenly(samples.weight, draws, rng))]
    centre, spread = shared.split(kept)
    found = {f"centre_{name}": centre[:, i, None] for i, name in enumerate(names)}
    found |= {f"spread_{name}": spread[:, i, None] for i, name in enumerate(names)}
    each = np.stack([_given(lattice, centre, spread, freedom, rng) for lattice in lattices], 1)
    found |= {name: each[..., i] for i, name in enumerate(names)}
    whole = np.array([lattice.whole for lattice in lattices])
    return Integrated(found, samples.log_ratio, whole, {})


def _normal(mean: Floats, variance: Floats) -> _Density:
    return lambda x: np.asarray(-0.5 * ((x - mean) ** 2 / variance).sum(-1))


def _lattice_within(likelihood: _Likelihood, mean: Floats, covariance: Floats) -> _Lattice:
    prior = _normal(mean, np.diag(covariance))
    return _lattice(likelihood, prior, *_about(likelihood, prior, mean, covariance))


class _Shared:
    """The log density of what systems share: centres, then spreads, dims (draw, 2 d)."""

    def __init__(
        self,
        family: Family,
        names: tuple[str, ...],
        between: Floats,
        freedom: float,
        lattices: list[_Lattice],
    ) -> None:
        self.family, self.names, self.between = family, names, between
        self.freedom, self.lattices = freedom, lattices

    def split(self, x: Floats) -> tuple[Floats, Floats]:
        """Return centres and spreads, dims (draw, parameter)."""
        d = len(self.names)
        return x[:, :d], x[:, d:]

    def __call__(self, x: Floats) -> Floats:
        centre, spread = self.split(x)
        free = {name: centre[:, i] for i, name in enumerate(self.names)}
        total = np.asarray(log_prior(self.family, free))
        total = total - 0.5 * ((spread / self.between) ** 2).sum(-1)
        for lattice in self.lattices:
            total = total + _log_evidence(lattice, centre, spread, self.freedom)
        return np.where(np.isfinite(total), total, -np.inf)


def _middle_and_scale(lattice: _Lattice) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each parameter over a lattice."""
    middle, covariance = mean_and_covariance(lattice.x, normalised(lattice.log_density))
    return middle, np.sqrt(np.diag(covariance))


def _weights_given(
    lattice: _Lattice, centre: Floats, spread: Floats, freedom: float
) -> Iterator[Any]:
    """Yield likelihood times the density of the effect at the points, dims (draw, point), in parts.

    Divided by what has the logarithm that comes second. A part is overwritten by the next one.
    """
    middle, scale = _middle_and_scale(lattice)
    x = ((lattice.x - middle) / scale).astype(np.float32)
    top = lattice.log_likelihood.max()
    own = (lattice.log_likelihood - top).astype(np.float32)
    m, s = (centre - middle) / scale, np.maximum(spread / scale, SMOOTH * STEP[x.shape[1]])
    squares = (m**2 / s**2).sum(-1)
    last = top - np.log(s * scale).sum(-1)
    step = max(1, BLOCK // len(x))
    block = np.empty((step, len(x)), dtype=np.float32)
    if np.isinf(freedom):
        powers = np.concatenate([x**2, x], 1).T.copy()
        terms = np.concatenate([-0.5 / s**2, m / s**2], 1).astype(np.float32)
        for at in range(0, len(terms), step):
            part = np.matmul(terms[at : at + step], powers, out=block[: len(terms) - at])
            part += own
            most = part.max(-1, keepdims=True)
            part -= most
            here = slice(at, at + step)
            yield np.exp(part, out=part), most[:, 0] + last[here] - 0.5 * squares[here]
        return
    # 1 + squared distance / freedom is one product, too; the density is a power of it.
    powers = np.concatenate([x**2, x, np.ones_like(x[:, :1])], 1).T.copy()
    terms = np.concatenate([1 / s**2, -2 * m / s**2, squares[:, None] + freedom], 1)
    terms = (terms / freedom).astype(np.float32)
    likelihood, half = np.exp(own), (freedom + x.shape[1]) / 2
    last = last + sp.gammaln(half) - sp.gammaln(freedom / 2)
    last -= 0.5 * x.shape[1] * np.log(freedom * np.pi)
    for at in range(0, len(terms), step):
        part = np.matmul(terms[at : at + step], powers, out=block[: len(terms) - at])
        np.reciprocal(np.maximum(part, 1, out=part), out=part)
        part = _power(part, half)
        part *= likelihood
        yield part, last[at : at + step]


def _power(x: NDArray[np.float32], exponent: float) -> NDArray[np.float32]:
    """Return a power, by products and a root where these will do, which are much faster."""
    whole, rest = divmod(exponent, 1)
    if rest not in (0.0, 0.5):
        return np.asarray(x**exponent)
    found = np.sqrt(x) if rest else np.ones_like(x)
    for _ in range(int(whole)):
        found *= x
    return found


def _log_evidence(lattice: _Lattice, centre: Floats, spread: Floats, freedom: float) -> Floats:
    """Return the log of the likelihood integrated over the effect of each centre and spread."""
    given = _weights_given(lattice, centre, spread, freedom)
    with np.errstate(divide="ignore"):  # a density of zero, far from all there is
        parts = [np.log(weights.sum(-1)) + top for weights, top in given]
    return np.concatenate(parts) + lattice.log_cell


def _given(
    lattice: _Lattice, centre: Floats, spread: Floats, freedom: float, rng: np.random.Generator
) -> Floats:
    """Return a draw from the cells of the lattice for each centre and spread."""
    chosen: Any = []
    for weights, _ in _weights_given(lattice, centre, spread, freedom):
        chosen.append(_one_each(weights, rng))
    chosen = np.concatenate(chosen)
    _, scale = _middle_and_scale(lattice)
    parameters = lattice.x.shape[1]
    s = np.maximum(spread, SMOOTH * STEP[parameters] * scale)
    away = lattice.x[chosen] - centre
    pull = -away / s**2
    if np.isfinite(freedom):
        pull *= (freedom + parameters) / (freedom + ((away / s) ** 2).sum(-1, keepdims=True))
    return _within(lattice, chosen, lattice.slope[chosen] + pull @ lattice.axes, rng)


def _one_each(weights: Any, rng: np.random.Generator) -> Ints:
    """Return a point of each row of weights, drawn by them: first a run of points, then of it."""
    rows, points = weights.shape
    whole = points // RUN
    runs = np.empty((rows, whole + 1))
    runs[:, :whole] = weights[:, : whole * RUN].reshape(rows, whole, RUN).sum(-1)
    runs[:, whole] = weights[:, whole * RUN :].sum(-1)
    ends = runs.cumsum(-1)
    target = rng.random(rows) * ends[:, -1]
    run = (ends <= target[:, None]).sum(-1)
    target -= np.where(run, ends[np.arange(rows), run - 1], 0.0)
    place = np.minimum(run[:, None] * RUN + np.arange(RUN), points - 1)
    inside = np.take_along_axis(weights, place, -1).cumsum(-1, dtype=float)
    within = np.minimum((inside <= target[:, None]).sum(-1), RUN - 1)
    return np.asarray(place[np.arange(rows), within])


def _moments_each(shared: _Shared, x: Floats) -> list[tuple[Floats, Floats]]:
    """Return mean and covariance of each system's parameters, given these draws of `shared`."""
    centre, spread = shared.split(x)
    found = []
    for lattice in shared.lattices:
        weight = np.zeros(len(lattice.x))
        for weights, _ in _weights_given(lattice, centre, spread, shared.freedom):
            weight += (weights / weights.sum(-1, keepdims=True)).sum(0)
        weight /= weight.sum()
        found.append(mean_and_covariance(lattice.x, weight))
    return found


def _start(lattices: list[_Lattice], between: Floats) -> tuple[Floats, Floats]:
    """Return a rough mean and covariance of centres and spreads."""
    mean, variance = np.empty((2, len(lattices), len(between)))
    for i, lattice in enumerate(lattices):
        weight = normalised(lattice.log_density)
        mean[i] = weight @ lattice.x
        variance[i] = weight @ (lattice.x - mean[i]) ** 2
    typical = (0.7 * between) ** 2
    weight = 1 / (typical + variance)
    centre = (weight * mean).sum(0) / weight.sum(0)
    excess = (weight * ((mean - centre) ** 2 - variance)).sum(0) / weight.sum(0)
    systems = len(lattices)
    spread2 = 2 * typical + (systems - 1) * np.maximum(excess, 0.05 * typical)
    spread2 /= systems + 1
    error2 = 1 / (1 / (spread2 + variance)).sum(0)
    return (
        np.concatenate([centre, np.sqrt(spread2)]),
        np.diag(np.concatenate([error2, spread2 * max(0.1, 0.6 / systems)])),
    )


# Importance sampling ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Samples:
    """Weighted draws, dims (sample, ...): the weights are of the posterior, and sum to 1."""

    x: Floats
    weight: Floats
    log_ratio: Floats

    def about(self) -> tuple[Floats, Floats]:
        """Return mean and covariance."""
        return mean_and_covariance(self.x, self.weight)


def _adapted(
    density: _Shared,
    mean: Floats,
    covariance: Floats,
    rounds: Sequence[int],
    enough: float,
    rng: np.random.Generator,
) -> _Samples:
    """Return draws from mixtures of t distributions, each fitted to what was found before.

    All draws of all rounds count, each as one of the mixture of all proposals; as long as there
    are not `enough` effectively, there are more rounds. Spreads are the absolute values of what is
    proposed: many are nearly half-normal.
    """
    d = len(mean) // 2
    signs = np.array(list(itertools.product([1.0, -1.0], repeat=d)))
    signs = np.concatenate([np.ones_like(signs), signs], 1)
    proposals: list[tuple[Floats, Floats, int]] = []
    xs: list[Floats] = []
    values: list[Floats] = []
    log_ratio = np.zeros(1)
    for number in (*rounds, *[rounds[-1]] * MORE):
        if len(proposals) >= len(rounds) and 1 / (normalised(log_ratio) ** 2).sum() >= enough:
            break
        proposals.append((mean, 1.2 * covariance, number))
        drawn = draw_t(rng, *proposals[-1])
        drawn[:, d:] = np.abs(drawn[:, d:])
        xs.append(drawn)
        values.append(density(drawn))
        x = np.concatenate(xs)
        each = [np.log(n) + log_t(sign * x, m, c) for m, c, n in proposals for sign in signs]
        log_ratio = np.concatenate(values) - np.logaddexp.reduce(each)
        _, weight = tempered(log_ratio, 20.0 * len(mean))
        mean, covariance = mean_and_covariance(x, weight)
    return _Samples(x, normalised(log_ratio), log_ratio)
