"""Posteriors on lattices: for families of up to three parameters, with nothing to compile.

The posterior of a system is summed over a lattice of points, oriented along its own axes and grown
from its middle until what is left out weighs nothing. Sums over a lattice are the trapezoidal
rule, whose error for a smooth density that vanishes on all sides falls faster than any power of
the step: with steps of half a standard deviation it is below rounding for a normal, and stays
small as long as the density has no features much narrower than a step.

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
from bayespassk.special import NUMPY

__all__ = ["MOST_PARAMETERS", "Integrated", "integrate"]


MOST_PARAMETERS = 3

STEP = {1: 0.1, 2: 0.25, 3: 0.5}
"""Of the lattice, in standard deviations, by the number of parameters."""

DEPTH = 13.0
"""How far below its highest point the log density of a lattice is followed."""

MOST_POINTS = 60_000
"""Of a lattice: one that has not ended by then is told as not converged."""

BLOCK = 200_000
"""Numbers that stay in the cache of a processor while they are worked on."""

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
        If the family has more than three parameters, or systems hang together in other ways than
        partial pooling within one benchmark.
    SamplingError
        If the posterior is finite nowhere.
    """
    priors = declared(family)
    _check(family, priors, hierarchy)
    likelihoods = [
        _Likelihood(family, tuple(priors), cells.of_system(i), name)
        for i, name in enumerate(systems)
    ]
    with threadpool_limits(1):  # products of this shape are slower with more
        if hierarchy.pooling == "none":
            return _alone(family, priors, likelihoods, draws, seed, advance)
        freedom = hierarchy.freedom
        return _pooled(family, priors, likelihoods, freedom, draws, seed, advance)


def _check(family: Family, priors: Mapping[str, Prior], hierarchy: Hierarchy) -> None:
    if len(priors) > MOST_PARAMETERS:
        raise OptionError(
            f"method='quadrature' takes families of up to {MOST_PARAMETERS} parameters; "
            f"{family.full_name} has {len(priors)}: use method='nuts'"
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
    ended : bool
    """

    x: Floats
    log_likelihood: Floats
    log_density: Floats
    log_cell: float
    odd: NDArray[np.bool_]
    ended: bool

    @property
    def whole(self) -> bool:
        """Whether nothing is left out, and either half of the points gives the same integral."""
        if not self.ended:
            return False
        halves = [sp.logsumexp(self.log_density[self.odd == half]) for half in (False, True)]
        return bool(abs(halves[0] - halves[1]) < 0.02)


class _Likelihood:
    """The log-likelihood of one system as a function of points, dims (point, parameter)."""

    def __init__(self, family: Family, names: tuple[str, ...], cells: Cells, system: str) -> None:
        self.family, self.names, self.system = family, names, system
        self.problems = cells.problems.astype(float)
        self.constants = family.constants(
            cells.successes.astype(float), cells.failures.astype(float)
        )
        nodes = max(value.shape[-1] for value in self.constants.values())
        # Nodes that follow the parameters take as many numbers as there are pairs of cell and node.
        self.step = max(1, CHUNK // (len(cells.problems) * nodes))

    def __call__(self, x: Floats) -> Floats:
        parts = []
        for at in range(0, len(x), self.step):
            free = {name: x[at : at + self.step, i] for i, name in enumerate(self.names)}
            with np.errstate(all="ignore"):  # far out, where a density of zero is right
                natural = self.family.natural(free)
                moments = self.family.log_moments(natural, self.constants, NUMPY)
            parts.append(np.asarray(moments) @ self.problems)
        values = np.concatenate(parts)
        return np.where(np.isfinite(values), values, -np.inf)


type _Density = Callable[[Floats], Floats]


def _lattice(
    likelihood: _Likelihood, prior: _Density, mean: Floats, covariance: Floats
) -> _Lattice:
    """Return the lattice of likelihood times prior, which has about this mean and covariance."""
    d = len(mean)
    step = STEP[d]
    # At an angle to the axes, so that no two points share a value of a parameter.
    axes = step * np.linalg.cholesky(covariance) @ _turn(d)
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
        values = likelihood(x)
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
    where = np.concatenate(at)
    density = np.concatenate(densities)
    kept = density > best - DEPTH
    return _Lattice(
        mean + where[kept] @ axes.T,
        np.concatenate(likelihoods)[kept],
        density[kept],
        float(np.log(abs(np.linalg.det(axes)))),
        where[kept].sum(-1) % 2 == 1,
        not len(wave),
    )


@functools.cache
def _turn(d: int) -> Floats:
    """Return axes at an angle to those of the coordinates, dims (coordinate, axis)."""
    if d == 1:
        return np.eye(1)
    # A seed whose axes, with two and with three of them, are far from those of the coordinates.
    return np.linalg.qr(np.random.default_rng(159).standard_normal((d, d)))[0]


def _key(where: Ints) -> Ints:
    """Return one integer for each point of a lattice."""
    return np.asarray((where + 100_000) @ (200_003 ** np.arange(where.shape[-1])))


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
        found[:, system] = lattice.x[evenly(weight, draws, rng)]
        whole[system] = lattice.whole
        each.append(_mean_and_sd(family, names, lattice.x, weight))
    moments = {name: np.stack([one[name] for one in each], -1) for name in each[0]}
    return Integrated({n: found[..., i] for i, n in enumerate(names)}, None, whole, moments)


def _mean_and_sd(
    family: Family, names: tuple[str, ...], x: Floats, weight: Floats
) -> dict[str, Floats]:
    """Return mean and standard deviation of each parameter, free or natural, dims (2,)."""
    free = {name: x[:, i] for i, name in enumerate(names)}
    moments = {}
    for name, values in (free | family.natural(free)).items():
        mean = weight @ values
        moments[name] = np.array([mean, np.sqrt(weight @ (values - mean) ** 2)])
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


def _weights_given(
    lattice: _Lattice, centre: Floats, spread: Floats, freedom: float
) -> Iterator[Any]:
    """Yield likelihood times the density of the effect at the points, dims (draw, point), in parts.

    Divided by what has the logarithm that comes second. A part is overwritten by the next one.
    """
    middle, covariance = mean_and_covariance(lattice.x, normalised(lattice.log_density))
    scale = np.sqrt(np.diag(covariance))
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
    """Return a point of the lattice for each centre and spread."""
    chosen = []
    for weights, _ in _weights_given(lattice, centre, spread, freedom):
        cumulative = weights.cumsum(-1)
        uniform = rng.random(len(cumulative), dtype=np.float32) * cumulative[:, -1]
        chosen.append((cumulative < uniform[:, None]).sum(-1))
    return np.asarray(lattice.x[np.concatenate(chosen)])


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
