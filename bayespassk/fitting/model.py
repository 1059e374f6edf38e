"""The PyMC model: groups of problems, what systems share, and where each system is to be found."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayespassk.arrays import Floats
from bayespassk.cells import Cells, distinct
from bayespassk.counts import Counts
from bayespassk.errors import OptionError
from bayespassk.families import Family
from bayespassk.families.base import (
    Prior,
    declared,
    draw_of,
    draw_prior,
    log_density_of,
    log_prior,
)
from bayespassk.families.dependent import with_spreads
from bayespassk.families.evident import seen_by
from bayespassk.fitting.importance import tempered
from bayespassk.posterior.covariates import Design, design_of
from bayespassk.posterior.likelihood import cell_log_moments
from bayespassk.posterior.pooling import (
    Centring,
    Effects,
    Hierarchy,
    Pooling,
    dims_of,
    draw_hierarchy,
    pooled,
    problem_effects,
)
from bayespassk.special import graph

if TYPE_CHECKING:
    import pymc as pm

__all__ = [
    "CENTRING",
    "DATA",
    "Setup",
    "centring_of",
    "declare_each",
    "declare_pooled",
    "model_of",
    "quiet_import",
    "variable",
]


DATA = "data_"
"""Before the names of arrays in the model, which must differ from those of parameters."""

CENTRING = ("location_", "share_")
"""Before the names of arrays that say how to sample, not what."""


@dataclass(frozen=True, eq=False)
class Setup:
    """What is fitted: problems in groups that share parameters, and how systems hang together.

    Attributes
    ----------
    cells : Cells
        The distinct counts; their `system` is the group.
    group_system : array of int, dims (group,)
    problem_design : array, dims (group, column)
    system_design : array, dims (system, column)
    """

    counts: Counts
    family: Family
    hierarchy: Hierarchy
    design: Design | None
    cells: Cells
    group_system: NDArray[np.int64]
    problem_design: Floats
    system_design: Floats

    @classmethod
    def of(
        cls,
        counts: Counts,
        family: Family,
        pooling: Pooling,
        covariates: str | Iterable[str] | Design | None,
        effects: Effects = "student-t",
    ) -> "Setup":
        """Group the problems of `counts`; `covariates` may be a design made of them before."""
        system = counts.system_index
        design = covariates if isinstance(covariates, Design) else None
        if covariates is not None and not isinstance(covariates, Design):
            design = design_of(counts, covariates)
        values = np.zeros((len(counts), 0)) if design is None else design.values
        varies = np.zeros(0, dtype=bool) if design is None else design.varies
        names = np.array(() if design is None else design.columns, dtype=object)
        if pooling == "none" and not varies.all():
            raise OptionError(
                f"the covariate {names[~varies][0]!r} is the same for all problems of a system, so "
                "that without pooling its effect cannot be known: use pooling='partial'"
            )
        if varies.any():
            keys = np.column_stack([system, values[:, varies]])
            groups, group = np.unique(keys, axis=0, return_inverse=True)
        else:  # the same, without sorting the rows
            groups, group = np.arange(float(len(counts.systems)))[:, None], system
        first = np.array([np.argmax(system == i) for i in range(len(counts.systems))])
        failures = counts.attempts - counts.successes
        family, *seen = seen_by(family, counts.successes, failures, counts.runs, counts.evidence)
        return cls(
            counts,
            family,
            _hierarchy(counts, pooling, names[~varies], names[varies], effects),
            design,
            distinct(group.ravel(), *seen),
            groups[:, 0].astype(np.int64),
            groups[:, 1:],
            values[first][:, ~varies],
        )

    def of_system(self, system: int) -> "Setup":
        """Return one system by itself."""
        groups = np.flatnonzero(self.group_system == system)
        mine = np.isin(self.cells.system, groups)
        cells = Cells(
            np.searchsorted(groups, self.cells.system[mine]),
            self.cells.successes[mine],
            self.cells.failures[mine],
            self.cells.problems[mine],
            self.cells.inverse[:0],
        )
        return replace(
            self,
            hierarchy=replace(self.hierarchy, systems=1),
            cells=cells,
            group_system=np.zeros(len(groups), dtype=np.int64),
            problem_design=self.problem_design[groups],
        )

    def data(self, centring: Mapping[str, Centring] | None = None) -> dict[str, NDArray[Any]]:
        """Return all arrays of the model."""
        data = with_spreads(self.family, self.family.likelihood_data(self.cells))
        if self.hierarchy.problem_columns:
            data |= {"group_system": self.group_system, "problem_design": self.problem_design}
        if self.hierarchy.system_columns:
            data["system_design"] = self.system_design
        if self.hierarchy.pooling != "none":
            if centring is None:
                centring = _not_centred(self)
            for name, one in centring.items():
                data |= {f"location_{name}": one.location, f"share_{name}": one.share}
        return data

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """The dims after (chain, draw) of all that is in a posterior, by name."""
        return dims_of(self.family, self.hierarchy)

    def draw_prior(self, rng: np.random.Generator, shape: tuple[int, int]) -> dict[str, Floats]:
        """Return draws from the prior of all that is in a posterior, dims (chain, draw, last)."""
        sizes = self.hierarchy.sizes
        if self.hierarchy.pooling == "none":
            drawn = draw_prior(self.family, rng, (*shape, sizes["system"]))
        else:
            drawn = draw_hierarchy(self.family, self.hierarchy, rng, shape, self.system_design)

        def variable(name: str, kind: str, loc: Any, scale: Any, dims: tuple[str, ...]) -> Any:
            size = (*shape, *(sizes[dim] for dim in dims))
            drawn[name] = draw_of(kind, rng, loc, scale, size)
            return drawn[name]

        problem_effects(self.family, variable, self.hierarchy)
        return drawn


def _hierarchy(
    counts: Counts,
    pooling: Pooling,
    system_columns: Iterable[str],
    problem_columns: Iterable[str],
    effects: Effects,
) -> Hierarchy:
    of_each = counts.benchmarks
    names = tuple(dict.fromkeys(of_each))
    if pooling == "within":
        names = tuple(name for name in names if of_each.count(name) > 1)
    elif pooling == "none" or len(names) == 1:
        names = ()
    elif effects == "normal" and len(names) == len(of_each):
        names = ()  # as 0.1.0 had it
    return Hierarchy(
        pooling,
        len(counts.systems),
        names,
        tuple(names.index(n) if n in names else -1 for n in of_each) if names else (),
        tuple(system_columns),
        tuple(problem_columns),
        "normal" if pooling == "none" else effects,
    )


def model_of(
    family: Family, hierarchy: Hierarchy, data: Mapping[str, NDArray[Any]], systems: tuple[str, ...]
) -> "pm.Model":
    """Return the model of some systems, from the arrays of :meth:`Setup.data`.

    Data are ``pm.Data``, so that a compiled model takes other arrays of as many systems.
    """
    with quiet_import():
        import pymc as pm

    coords = {"system": list(systems)}
    coords |= {dim: list(labels) for dim, labels in hierarchy.labels.items() if labels}
    with pm.Model(coords=coords) as model:
        shared = {name: pm.Data(f"{DATA}{name}", values) for name, values in data.items()}
        if hierarchy.pooling == "none":
            free = declare_each(family)
        else:
            before = "location_"
            names = [name.removeprefix(before) for name in shared if name.startswith(before)]
            centring = {n: Centring(shared[f"{before}{n}"], shared[f"share_{n}"]) for n in names}
            free = declare_pooled(family, hierarchy, centring, shared.get("system_design"))
        for name, value in family.natural(free, graph()).items():
            pm.Deterministic(name, value, dims="system")
        for name, effect in problem_effects(family, variable, hierarchy).items():
            at, design = shared["group_system"], shared["problem_design"]
            each = effect[at] if hierarchy.pooling == "none" else effect
            free[name] = free[name][at] + (design * each).sum(-1)
        natural = family.natural(free, graph())
        pm.Potential("log_likelihood", family.log_likelihood(natural, shared, graph()))
    return model


def declare_each(family: Family) -> dict[str, Any]:
    """Declare the free parameters of systems that share nothing, and return them."""

    def declare(name: str, prior: Prior, loc: Any = None) -> Any:
        loc = prior.loc if loc is None else loc
        return variable(name, prior.kind, loc, prior.scale, ("system",))

    return family.prior(declare, graph())


def declare_pooled(
    family: Family, hierarchy: Hierarchy, centring: Mapping[str, Centring], design: Any
) -> dict[str, Any]:
    """Declare what systems share, and return the free parameters of each."""
    import pymc as pm

    found = pooled(family, variable, hierarchy, graph(), design, centring)
    dims = dims_of(family, hierarchy)
    for name, value in found.items():
        pm.Deterministic(name, value, dims=dims[name])
    return {name: found[name] for name in declared(family)}


def variable(
    name: str, kind: str, loc: Any, scale: Any, dims: tuple[str, ...], freedom: float = np.inf
) -> Any:
    """Declare a variable of the model at hand."""
    import pymc as pm

    if kind == "student-t":
        nu = np.float64(freedom)
        return pm.StudentT(name, nu=nu, mu=_number(loc), sigma=_number(scale), dims=dims)
    if kind == "half-normal":
        return pm.HalfNormal(name, np.float64(scale))
    kinds = {"normal": pm.Normal, "logistic": pm.Logistic, "logit-beta": _logit_beta}
    return kinds[kind](name, _number(loc), _number(scale), dims=dims or None)


def _number(value: Any) -> Any:
    """Return a number as float64, as a Python float may become a float32 constant in a graph."""
    import pytensor.tensor as pt

    return pt.as_tensor_variable(np.float64(value)) if isinstance(value, float) else value


def _logit_beta(name: str, loc: Any, scale: Any, dims: Any = None) -> Any:
    """Declare the logit of a beta variable."""
    import pymc as pm
    import pytensor.tensor as pt

    return pm.CustomDist(
        name,
        loc,
        scale,
        logp=lambda x, loc, scale: log_density_of("logit-beta", x, loc, scale, graph()),
        random=lambda loc, scale, rng=None, size=None: draw_of("logit-beta", rng, loc, scale, size),
        support_point=lambda rv, _size, loc, _scale: pt.broadcast_to(loc, rv.shape),
        class_name="LogitBeta",
        dims=dims,
    )


@contextmanager
def quiet_import() -> Iterator[None]:
    """Hide the deprecation warnings that importing PyMC raises: no user can act upon them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


# Where each system is -----------------------------------------------------------------------------


def centring_of(setup: Setup, rng: np.random.Generator) -> dict[str, Centring]:
    """Return how to sample each parameter of each system, from a look at each by itself.

    Without regard to the others and to covariates, the parameters of a system have a mean and a
    standard deviation se; tau is what their means spread by beyond that. The share of the data is
    1 / (1 + (se / tau)^2).
    """
    names = declared(setup.family)
    systems = setup.hierarchy.systems
    counts = setup.counts
    failures = counts.attempts - counts.successes
    family, *seen = seen_by(setup.family, counts.successes, failures, counts.runs, counts.evidence)
    cells = distinct(counts.system_index, *seen)
    mean, se = np.zeros((2, systems, len(names)))
    for system in range(systems):
        mean[system], se[system] = _look(family, cells.of_system(system), rng)
    found = {}
    benchmark = np.array(setup.hierarchy.benchmark or [0] * systems)
    for i, (name, prior) in enumerate(names.items()):
        centre, variance = _between(mean[:, i], se[:, i], benchmark, prior)
        found[name] = Centring(mean[:, i], _share(se[:, i], variance, systems))
        if setup.hierarchy.nested:
            error = np.sqrt(
                [1 / (1 / (variance + se[benchmark == b, i] ** 2)).sum() for b in set(benchmark)]
            )
            _, variance = _between(centre, error, np.zeros(len(centre), dtype=int), prior)
            share = _share(error, variance, len(centre))
            found[f"benchmark_centre_{name}"] = Centring(centre, share)
    return found


def _not_centred(setup: Setup) -> dict[str, Centring]:
    numbers = dict.fromkeys(declared(setup.family), setup.hierarchy.systems)
    if setup.hierarchy.nested:
        benchmarks = len(setup.hierarchy.benchmarks)
        numbers |= {f"benchmark_centre_{name}": benchmarks for name in numbers}
    return {name: Centring(np.zeros(n), np.zeros(n)) for name, n in numbers.items()}


def _between(
    mean: Floats,
    se: Floats,
    group: NDArray[np.int64],
    prior: Prior,
) -> tuple[Floats, float]:
    """Return the centre of each group, and the variance of means beyond that of their errors.

    The latter as if two more means were known, as far apart as the prior lets one expect.
    """
    typical = (0.7 * prior.between) ** 2
    weight = 1 / (typical + se**2)
    centre = np.bincount(group, weight * mean) / np.bincount(group, weight)
    excess = np.average((mean - centre[group]) ** 2 - se**2, weights=weight)
    variance = 2 * typical + (len(mean) - 1) * max(float(excess), 0.05 * typical)
    return centre, variance / (len(mean) + 1)


def _share(se: Floats, variance: float, systems: int) -> Floats:
    """Return how far to centre. Not far with few systems, whose spread may be next to nothing."""
    return (systems - 1) / (systems + 3) / (1 + se**2 / variance) ** 2


LOOKS = 400
"""Points at which the posterior of a system is looked at, at a time."""


def _look(family: Family, cells: Cells, rng: np.random.Generator) -> tuple[Floats, ...]:
    """Return mean and standard deviation of the free parameters of one system by itself.

    By importance sampling from normals that are narrowed until they resemble the posterior: rough,
    which is enough to choose how to sample.
    """
    names = list(declared(family))
    free = draw_prior(family, rng, (LOOKS,))
    log_proposal = log_prior(family, free)
    x = np.stack([free[name] for name in names], axis=-1)
    for _ in range(12):
        moments = cell_log_moments(family, family.natural(free), cells)
        log_target = log_prior(family, free) + moments @ cells.problems
        log_weight = np.where(np.isfinite(log_target), log_target - log_proposal, -np.inf)
        power, weight = tempered(log_weight, LOOKS / 8, halvings=40)
        mean = weight @ x
        covariance = np.einsum("d,di,dj->ij", weight, x - mean, x - mean)
        if power == 1.0:
            break
        spread = 1.5 * covariance + 1e-10 * np.eye(len(names))
        x = rng.multivariate_normal(mean, spread, LOOKS)
        offset = np.linalg.solve(spread, (x - mean).T).T
        log_proposal = -0.5 * ((x - mean) * offset).sum(-1) - 0.5 * np.linalg.slogdet(spread)[1]
        free = {name: x[:, i] for i, name in enumerate(names)}
    return mean, np.sqrt(np.diag(covariance))
