"""From counts to a posterior: the PyMC model and the samplers."""

import json
import logging
import secrets
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.cells import Cells, distinct
from bayespassk.counts import Counts
from bayespassk.design import Design, design_of
from bayespassk.errors import FitFileError, OptionError, PriorDrivenWarning, SamplingError
from bayespassk.families import Beta, Family, family_from_spec
from bayespassk.families.base import Prior, declared, draw_prior, log_prior
from bayespassk.hierarchy import Centring, Hierarchy, Pooling, draw_hierarchy, pooled
from bayespassk.posterior import (
    MAX_PARETO_K,
    MAX_RHAT,
    MIN_ESS,
    Diagnostics,
    as_tree,
    cell_log_moments,
    system_seed,
)
from bayespassk.special import graph

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["build_model", "fit"]

type Method = Literal["nuts", "advi", "fullrank_advi"]
type Draws = dict[str, NDArray[np.float64]]

ADVI_STEPS = 10_000
ADVI_LEARNING_RATE = 0.02

DATA = "data_"
"""Before the names of arrays in the model, which must differ from those of parameters."""

FUSION = "fuse_indexed_into_elemwise"
"""A rewrite of PyTensor 3.3 that cannot compile ADVI of one system's quadrature."""

MOST_COMPILED = 16
_CACHE: dict[Any, Any] = {}
"""Compiled models, the oldest first."""

_COMPILING = threading.Lock()
"""Two threads that compile at once can hang."""


def build_model(
    counts: Counts,
    family: Family | None = None,
    *,
    pooling: Pooling = "none",
    covariates: str | Iterable[str] | None = None,
) -> "pm.Model":
    """Return the PyMC model of `counts`: what :func:`fit` samples, to look into or build upon.

    Parameters
    ----------
    counts : Counts
        The attempts.
    family : Family, default Beta()
        The distribution of p over problems, with its priors.
    pooling, covariates
        As for :func:`fit`.

    Returns
    -------
    pymc.Model
        Free and natural parameters have the dim "system". The success probabilities are
        integrated out, and problems with equal counts enter once, as a ``pm.Potential`` without
        the constants log C(n, c).
    """
    family = Beta() if family is None else family
    setup = _Setup.of(counts, family, pooling, covariates)
    return _model(family, setup.hierarchy, setup.data(), counts.systems)


def fit(
    counts: Counts,
    family: Family | None = None,
    *,
    method: Method = "nuts",
    pooling: Pooling = "none",
    covariates: str | Iterable[str] | None = None,
    draws: int | None = None,
    tune: int | None = None,
    chains: int = 4,
    target_accept: float | None = None,
    random_seed: int | None = None,
    progress: bool = True,
) -> xr.DataTree:
    """Return the posterior of a family's parameters for each system in `counts`.

    Parameters
    ----------
    counts : Counts
        The attempts. Attempts may differ between problems and may have been stopped by any rule
        that looked only at outcomes.
    family : Family, default Beta()
        The distribution of p over problems, with its priors.
    method : {"nuts", "advi", "fullrank_advi"}
        "nuts" samples the posterior. "advi" fits independent normals to it, "fullrank_advi" a
        correlated normal: neither is faster here, and both are too narrow where the posterior
        is skewed or, for "advi", correlated. Their fits are told by a Pareto k above 0.7.
    pooling : {"none", "partial"}
        "none": systems share nothing, the posterior of one does not depend on the others in
        `counts`. "partial": the parameters of the systems come from a common normal distribution
        (of those of a benchmark, where there are several), whose mean and spread are learned: a
        system with few attempts borrows from the others, as much as these are alike.
    covariates : str or sequence of str, optional
        Names of covariates of `counts`, or a formula such as "level + log(size)", which the
        parameters depend on: additively, on the scale that their names say (log a, logit of the
        mean). Those that differ between systems only need pooling="partial".
    draws, tune : int, default 1000 and 1000, more for families that mix more slowly
        Draws kept, and draws spent on tuning the sampler, a chain. ADVI has no use for `tune`.
    chains : int
        Independent chains.
    target_accept : float, default 0.95, more where a family or pooling needs it
        Raise it towards 1 if there are divergences: the sampler takes smaller steps.
    random_seed : int, optional
        Repeats the result, bit by bit on the same machine and versions. Drawn and recorded in
        the fit if not given.
    progress : bool
        Show progress on standard error if that is a terminal.

    Returns
    -------
    xarray.DataTree
        Groups posterior and prior (dims chain, draw, system), sample_stats (chain, draw),
        log_likelihood (chain, draw, row; of each problem with p integrated out), observed_data
        and constant_data (row). ``az.summary``, ``az.loo`` and the plots of ArviZ take it as it
        is. The attributes carry the family, version, sampler, seed, hash of the input and
        diagnostics. With more than 1e8 numbers in it, log_likelihood is left out; see
        :func:`log_likelihood`.

    Warns
    -----
    ConvergenceWarning
        R-hat above 1.01, bulk ESS below 400, a divergence, or a Pareto k above 0.7 (ADVI). The
        fit is returned all the same; do not use it before the remedies were tried.
    PriorDrivenWarning
        A system has no success, or no failure, at all.

    Raises
    ------
    OptionError
        If an option has a value that means nothing, before anything is sampled.
    SamplingError
        If the sampler could not start.

    Notes
    -----
    The likelihood integrates p out, and equal counts are evaluated once: the cost does not grow
    with the number of problems. The first fit of a process compiles the model, which takes
    seconds; further fits of the same family take a fraction of a second.
    """
    family = Beta() if family is None else family
    if target_accept is None:
        target_accept = _target_accept(counts, family, pooling)
    size = _size(family, draws, tune, chains, target_accept)
    _check_options(counts, family, method, pooling, size)
    seed = secrets.randbits(31) if random_seed is None else int(random_seed)
    setup = _Setup.of(counts, family, pooling, covariates)
    _warn_if_prior_driven(counts)
    if method == "nuts":
        sample = _nuts_each if pooling == "none" else _nuts_jointly
        found, sampler_stats, report = sample(setup, size, seed, progress)
    else:
        found, sampler_stats, report = _advi(setup, method, size, seed, progress)
    attrs = {
        "bayespassk_version": metadata.version("bayespassk"),
        "family": json.dumps(family.spec()),
        "method": method,
        "sampler": _sampler(method),
        "pooling": pooling,
        "random_seed": seed,
        "sampling": json.dumps(asdict(size)),
        "input_sha256": counts.sha256(),
        "stopping": counts.stopping,
        "hierarchy": setup.hierarchy.to_json(),
    }
    rng = np.random.default_rng([seed, 1])
    prior = setup.draw_prior(rng, (size.chains, size.draws))
    report.warn()
    return as_tree(counts, family, found, prior, sampler_stats, attrs, report, setup.design)


@dataclass(frozen=True)
class Size:
    """How much to sample."""

    draws: int
    tune: int
    chains: int
    target_accept: float


def _size(
    family: Family,
    draws: int | None,
    tune: int | None,
    chains: int,
    target_accept: float,
) -> Size:
    """Return how much to sample: as asked, and what the family needs where nothing was."""
    defaults = family if isinstance(family, Family) else Family
    return Size(
        draws=defaults.draws if draws is None else draws,
        tune=defaults.tune if tune is None else tune,
        chains=chains,
        target_accept=target_accept,
    )


def _target_accept(counts: Counts, family: Family, pooling: str) -> float:
    """Return what the family needs, or more: the spread of few systems may be next to nothing."""
    own = family.target_accept if isinstance(family, Family) else Family.target_accept
    if pooling == "none" or not isinstance(counts, Counts):
        return own
    systems = len(counts.systems)
    return max(own, 0.99 if systems <= 2 else 0.98 if systems <= 10 else 0.95)


def _check_options(
    counts: Counts,
    family: Family,
    method: str,
    pooling: str,
    size: Size,
) -> None:
    if not isinstance(counts, Counts):
        raise OptionError(
            f"counts must be a bayespassk.Counts; got {type(counts).__name__}. "
            "Make one with bp.read_csv or bp.Counts.from_dataframe"
        )
    if not isinstance(family, Family):
        raise OptionError(f"family must be a family such as bp.Beta(); got {family!r}")
    try:
        family_from_spec(family.spec())
    except FitFileError as error:  # a fit could not say what it was made with
        raise OptionError(f"family must be one of bayespassk's own; got {family!r}") from error
    if method not in get_args(Method.__value__):
        raise OptionError(f"method must be 'nuts', 'advi' or 'fullrank_advi'; got {method!r}")
    if pooling not in get_args(Pooling.__value__):
        raise OptionError(f"pooling must be 'none' or 'partial'; got {pooling!r}")
    for name, least in (("draws", 4), ("tune", 1), ("chains", 1)):
        if getattr(size, name) < least:
            raise OptionError(f"{name} must be at least {least}; got {getattr(size, name)!r}")
    if not 0 < size.target_accept < 1:
        raise OptionError(f"target_accept must lie between 0 and 1; got {size.target_accept!r}")


def _warn_if_prior_driven(counts: Counts) -> None:
    def total(values: NDArray[Any]) -> NDArray[Any]:
        return np.bincount(counts.system_index, weights=values, minlength=len(counts.systems))

    successes, attempts = total(counts.successes), total(counts.attempts)
    for what, bare in (
        ("success", successes == 0),
        ("failure", (successes == attempts) & (attempts > 0)),
    ):
        systems = [counts.systems[i] for i in np.flatnonzero(bare)]
        if systems:
            some = ", ".join(repr(name) for name in systems[:3])
            warnings.warn(
                PriorDrivenWarning(
                    f"{len(systems)} of {len(counts.systems)} systems had no {what} in any "
                    f"attempt ({some}{', ...' if len(systems) > 3 else ''}): the attempts only "
                    f"say that one is rare, and forecasts beyond them rest on the prior. Their "
                    f"bands are wide for that reason. What to do: more attempts, easier or "
                    f"harder problems, or a prior you would defend",
                    systems=systems,
                ),
                stacklevel=3,
            )


# The model -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Setup:
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
    problem_design: NDArray[np.float64]
    system_design: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        counts: Counts,
        family: Family,
        pooling: Pooling,
        covariates: str | Iterable[str] | None,
    ) -> "_Setup":
        """Group the problems of `counts`."""
        system = counts.system_index
        design = None if covariates is None else design_of(counts, covariates)
        values = np.zeros((len(counts), 0)) if design is None else design.values
        varies = np.zeros(0, dtype=bool) if design is None else design.varies
        names = np.array(() if design is None else design.columns, dtype=object)
        if pooling == "none" and not varies.all():
            raise OptionError(
                f"the covariate {names[~varies][0]!r} is the same for all problems of a system, so "
                "that without pooling its effect cannot be known: use pooling='partial'"
            )
        keys = np.column_stack([system, values[:, varies]])
        groups, group = np.unique(keys, axis=0, return_inverse=True)
        first = np.array([np.argmax(system == i) for i in range(len(counts.systems))])
        return cls(
            counts,
            family,
            _hierarchy(counts, pooling, names[~varies], names[varies]),
            design,
            distinct(group.ravel(), counts.successes, counts.attempts - counts.successes),
            groups[:, 0].astype(np.int64),
            groups[:, 1:],
            values[first][:, ~varies],
        )

    def of_system(self, system: int) -> "_Setup":
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
        data = self.family.likelihood_data(self.cells)
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

    def draw_prior(
        self, rng: np.random.Generator, shape: tuple[int, int]
    ) -> dict[str, NDArray[np.float64]]:
        """Return draws from the prior of all that is in a posterior, dims (chain, draw, last)."""
        systems, columns = self.hierarchy.systems, len(self.hierarchy.problem_columns)
        if self.hierarchy.pooling == "none":
            drawn = draw_prior(self.family, rng, (*shape, systems))
            size: tuple[int, ...] = (*shape, systems, columns)
        else:
            drawn = draw_hierarchy(self.family, self.hierarchy, rng, shape, self.system_design)
            size = (*shape, columns)
        if columns:
            for name, prior in declared(self.family).items():
                drawn[f"problem_effect_{name}"] = prior.between * rng.standard_normal(size)
        return drawn


def _hierarchy(
    counts: Counts, pooling: Pooling, system_columns: Iterable[str], problem_columns: Iterable[str]
) -> Hierarchy:
    names = tuple(dict.fromkeys(counts.benchmarks))
    nested = pooling != "none" and 1 < len(names) < len(counts.systems)
    return Hierarchy(
        pooling,
        len(counts.systems),
        names if nested else (),
        tuple(names.index(name) for name in counts.benchmarks) if nested else (),
        tuple(system_columns),
        tuple(problem_columns),
    )


def _model(
    family: Family, hierarchy: Hierarchy, data: Mapping[str, NDArray[Any]], systems: tuple[str, ...]
) -> "pm.Model":
    with _quiet_import():
        import pymc as pm
    import pytensor.tensor as pt

    kinds = {"normal": pm.Normal, "logistic": pm.Logistic}
    dims = {
        "": None,
        "system": "system",
        "benchmark": "benchmark",
        "system_column": "system_column",
    }

    def number(value: Any) -> Any:
        # A Python float may become a float32 constant in a graph: hand over float64.
        return pt.as_tensor_variable(np.float64(value)) if isinstance(value, float) else value

    def own(name: str, prior: Prior, loc: Any = None) -> Any:
        loc = number(prior.loc if loc is None else loc)
        return kinds[prior.kind](name, loc, np.float64(prior.scale), dims="system")

    def variable(name: str, kind: str, loc: Any, scale: Any, dim: str) -> Any:
        if kind == "half-normal":
            return pm.HalfNormal(name, np.float64(scale))
        return kinds[kind](name, number(loc), number(scale), dims=dims[dim])

    free_of = declared(family)
    coords = {
        "system": list(systems),
        "benchmark": list(hierarchy.benchmarks),
        "system_column": list(hierarchy.system_columns),
        "problem_column": list(hierarchy.problem_columns),
    }
    with pm.Model(coords=coords) as model:
        shared = {name: pm.Data(f"{DATA}{name}", values) for name, values in data.items()}
        if hierarchy.pooling == "none":
            free = family.prior(own, graph())
        else:
            centring = {
                name.removeprefix("location_"): Centring(
                    value, shared[f"share_{name.removeprefix('location_')}"]
                )
                for name, value in shared.items()
                if name.startswith("location_")
            }
            design = shared.get("system_design")
            found = pooled(family, variable, hierarchy, graph(), design, centring)
            for name, value in found.items():
                pm.Deterministic(name, value, dims="system" if name in free_of else "benchmark")
            free = {name: found[name] for name in free_of}
        for name, value in family.natural(free, graph()).items():
            pm.Deterministic(name, value, dims="system")
        if hierarchy.problem_columns:
            at, design = shared["group_system"], shared["problem_design"]
            each = hierarchy.pooling == "none"
            for name, prior in declared(family).items():
                effect = pm.Normal(
                    f"problem_effect_{name}",
                    sigma=np.float64(prior.between),
                    dims=("system", "problem_column") if each else "problem_column",
                )
                free[name] = free[name][at] + (design * (effect[at] if each else effect)).sum(-1)
        natural = family.natural(free, graph())
        pm.Potential("log_likelihood", family.log_likelihood(natural, shared, graph()))
    return model


@contextmanager
def _quiet_import() -> Iterator[None]:
    """Hide the deprecation warnings that importing PyMC raises: no user can act upon them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@contextmanager
def _quiet_log() -> Iterator[None]:
    """PyMC logs that ADVI finished; progress and warnings say what there is to say."""
    log = logging.getLogger("pymc")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)


def _compiled(family: Family, hierarchy: Hierarchy, data: Mapping[str, NDArray[Any]]) -> Any:
    """Return the compiled model of so many systems, to be given data of any such systems.

    Without fast-math, a cold and a warm cache of compiled functions give the same draws.
    """
    import nutpie
    import pytensor

    key = family, hierarchy, frozenset(data)
    with _COMPILING:
        if key not in _CACHE:
            while len(_CACHE) >= MOST_COMPILED:
                del _CACHE[next(iter(_CACHE))]
            systems = tuple(f"system {i}" for i in range(hierarchy.systems))
            model = _model(family, hierarchy, data, systems)
            with pytensor.config.change_flags(numba__fastmath=False), _quiet_import():
                _CACHE[key] = nutpie.compile_pymc_model(model)
        return _CACHE[key]


def _with_data(compiled: Any, data: Mapping[str, NDArray[Any]]) -> Any:
    """Return the compiled model with other data; arrays that its graph does not use are dropped."""
    used = {variable.name for variable in compiled.shared_var_keys}
    named = {f"{DATA}{name}": values for name, values in data.items()}
    return compiled.with_data(**{name: named[name] for name in used & set(named)})


# Where each system is -----------------------------------------------------------------------------


def _centring(setup: _Setup, rng: np.random.Generator) -> dict[str, Centring]:
    """Return how to sample each parameter of each system, from a look at each by itself.

    Without regard to the others and to covariates, the parameters of a system have a mean and a
    standard deviation se; tau is what their means spread by beyond that. The share of the data is
    1 / (1 + (se / tau)^2).
    """
    names = declared(setup.family)
    systems = setup.hierarchy.systems
    cells = distinct(
        setup.counts.system_index,
        setup.counts.successes,
        setup.counts.attempts - setup.counts.successes,
    )
    mean, se = np.zeros((2, systems, len(names)))
    for system in range(systems):
        mean[system], se[system] = _look(setup.family, cells.of_system(system), rng)
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


def _not_centred(setup: _Setup) -> dict[str, Centring]:
    numbers = dict.fromkeys(declared(setup.family), setup.hierarchy.systems)
    if setup.hierarchy.nested:
        benchmarks = len(setup.hierarchy.benchmarks)
        numbers |= {f"benchmark_centre_{name}": benchmarks for name in numbers}
    return {name: Centring(np.zeros(n), np.zeros(n)) for name, n in numbers.items()}


def _between(
    mean: NDArray[np.float64],
    se: NDArray[np.float64],
    group: NDArray[np.int64],
    prior: Prior,
) -> tuple[NDArray[np.float64], float]:
    """Return the centre of each group, and the variance of means beyond that of their errors.

    The latter as if two more means were known, as far apart as the prior lets one expect.
    """
    typical = (0.7 * prior.between) ** 2
    weight = 1 / (typical + se**2)
    centre = np.bincount(group, weight * mean) / np.bincount(group, weight)
    excess = np.average((mean - centre[group]) ** 2 - se**2, weights=weight)
    variance = 2 * typical + (len(mean) - 1) * max(float(excess), 0.05 * typical)
    return centre, variance / (len(mean) + 1)


def _share(se: NDArray[np.float64], variance: float, systems: int) -> NDArray[np.float64]:
    """Return how far to centre. Not far with few systems, whose spread may be next to nothing."""
    return (systems - 1) / (systems + 3) / (1 + se**2 / variance) ** 2


LOOKS = 400
"""Points at which the posterior of a system is looked at, at a time."""


def _look(
    family: Family, cells: Cells, rng: np.random.Generator
) -> tuple[NDArray[np.float64], ...]:
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
        power, weight = _tempered(log_weight, LOOKS / 8)
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


def _tempered(log_weight: NDArray[np.float64], least: float) -> tuple[float, NDArray[np.float64]]:
    """Return the largest power, up to 1, at which weights have an effective size of `least`."""

    def normalised(power: float) -> NDArray[np.float64]:
        weight = np.exp(power * (log_weight - log_weight.max()))
        return np.asarray(weight / weight.sum())

    low, high = 0.0, 1.0
    if 1 / (normalised(high) ** 2).sum() >= least:
        return high, normalised(high)
    for _ in range(40):
        middle = (low + high) / 2
        if 1 / (normalised(middle) ** 2).sum() >= least:
            low = middle
        else:
            high = middle
    return low, normalised(low)


# Samplers --------------------------------------------------------------------------------------


def _nuts_each(
    setup: _Setup, size: Size, seed: int, progress: bool
) -> tuple[Draws, Draws, Diagnostics]:
    """Sample each system by itself: its posterior shares nothing with the others."""
    systems = setup.counts.systems
    traces = []
    with _progress(progress, "Compiling the model", len(systems)) as advance:
        for position, system in enumerate(systems):
            own = setup.of_system(position)
            data = own.data()
            compiled = _compiled(setup.family, own.hierarchy, data)
            advance(f"Sampling {system}", position)
            seed_here = system_seed(seed, system)
            traces.append(_sample(compiled, data, size, seed_here, f"for {system!r}"))
    names = [*declared(setup.family), *_effects(setup)]
    at = [*["system"] * len(declared(setup.family)), *["effect"] * len(_effects(setup))]
    found = {
        name: np.concatenate(
            [trace.posterior[name].values for trace in traces], axis=-1 if kind == "system" else -2
        )
        for name, kind in zip(names, at, strict=True)
    }

    def stack(name: str) -> NDArray[Any]:
        return np.stack([trace.sample_stats[name].values for trace in traces], axis=-1)

    # The systems are independent, so together they are one sampler of their product: energies
    # add up, and a draw diverged if it did for any system.
    diverging = stack("diverging")
    sampler_stats = {
        "diverging": diverging.any(-1),
        "energy": stack("energy").sum(-1),
        "lp": stack("logp").sum(-1),
        "n_steps": stack("n_steps").sum(-1),
        "tree_depth": stack("depth").max(-1),
        "acceptance_rate": stack("mean_tree_accept").mean(-1),
    }
    return found, sampler_stats, _diagnose_nuts(setup, found, diverging.sum((0, 1)))


def _nuts_jointly(
    setup: _Setup, size: Size, seed: int, progress: bool
) -> tuple[Draws, Draws, Diagnostics]:
    """Sample all systems together, as what they share is not known."""
    with _progress(progress, "Looking at each system", 3) as advance:
        data = setup.data(_centring(setup, np.random.default_rng([seed, 3])))
        advance("Compiling the model", 1)
        compiled = _compiled(setup.family, setup.hierarchy, data)
        advance(f"Sampling {len(setup.counts.systems)} systems", 2)
        trace = _sample(compiled, data, size, seed, "for the systems together")
    found = {
        str(name): value.values if value.ndim > 2 else value.values[..., None]
        for name, value in trace.posterior.data_vars.items()
        if not str(name).startswith("raw_") and str(name) not in _natural_names(setup.family)
    }
    stats = trace.sample_stats
    names = {
        "diverging": "diverging",
        "energy": "energy",
        "lp": "logp",
        "n_steps": "n_steps",
        "tree_depth": "depth",
        "acceptance_rate": "mean_tree_accept",
    }
    sampler_stats = {ours: stats[theirs].values for ours, theirs in names.items()}
    divergences = np.array([int(sampler_stats["diverging"].sum())])
    return found, sampler_stats, _diagnose_nuts(setup, found, divergences)


def _sample(
    compiled: Any, data: Mapping[str, NDArray[Any]], size: Size, seed: int, whom: str
) -> Any:
    """Return what the sampler found."""
    import nutpie

    sampler = nutpie.sample(
        _with_data(compiled, data),
        draws=size.draws,
        tune=size.tune,
        chains=size.chains,
        seed=seed,
        target_accept=size.target_accept,
        save_warmup=False,
        progress_bar=False,
        blocking=False,
    )
    try:
        return sampler.wait()
    except RuntimeError as error:
        raise SamplingError(
            f"the sampler could not start {whom}, as the posterior is not finite "
            f"where it tried ({str(error).splitlines()[0]}). Try a narrower prior or "
            "another family, and report it: it should not happen"
        ) from None
    except BaseException:  # waiting itself, unlike nutpie, does not hide an interruption
        sampler.cancel()
        raise


def _effects(setup: _Setup) -> list[str]:
    names = declared(setup.family) if setup.hierarchy.problem_columns else ()
    return [f"problem_effect_{name}" for name in names]


def _natural_names(family: Family) -> set[str]:
    free = {name: np.zeros(1) for name in declared(family)}
    return set(family.natural(free)) - set(free)


def _diagnose_nuts(setup: _Setup, found: Draws, divergences: NDArray[np.int64]) -> Diagnostics:
    """Return the worst R-hat and ESS over parameters, and the systems out of bounds.

    `divergences` are those of each system, or one number of all systems together.
    """
    from arviz_stats.base import array_stats

    systems = setup.counts.systems
    bad = np.broadcast_to(divergences > 0, len(systems)).copy()
    least, most = np.inf, -np.inf
    for name, values in found.items():
        each = np.moveaxis(values.reshape(*values.shape[:2], -1), -1, 0)
        with np.errstate(all="ignore"):  # chains that never moved have an R-hat of infinity
            ess = np.asarray(array_stats.ess(each))
            rhat = np.asarray(array_stats.rhat(each)) if len(each[0]) > 1 else np.ones(len(each))
        wrong = ~(ess >= MIN_ESS) | ~(rhat <= MAX_RHAT)
        of_systems = values.shape[2:3] == (len(systems),) and not name.startswith(_ABOVE)
        bad |= wrong.reshape(len(systems), -1).any(-1) if of_systems else wrong.any()
        least, most = min(least, float(ess.min())), max(most, float(rhat.max()))
    return Diagnostics(
        max_rhat=None if next(iter(found.values())).shape[0] == 1 else most,
        min_ess=least,
        divergences=int(divergences.sum()),
        pareto_k=None,
        systems=tuple(np.array(systems, dtype=object)[bad]),
    )


_ABOVE = ("centre_", "spread_", "effect_", "benchmark_")
"""Of the variables that are not one system's."""


def _advi(
    setup: _Setup, method: str, size: Size, seed: int, progress: bool
) -> tuple[Draws, Draws, Diagnostics]:
    """Fit a normal to the posterior of the free parameters of all systems, and draw from it.

    The steps of stochastic optimisation go on wandering about the optimum, by more than half a
    posterior standard deviation; the mean of the second half of them does not.
    """
    with _quiet_import():
        import pymc as pm
        import pytensor
    from scipy.stats import multivariate_normal

    together = setup.hierarchy.pooling != "none" or setup.design is not None
    with _progress(progress, "Compiling the model", ADVI_STEPS) as advance:
        centring = None
        if setup.hierarchy.pooling != "none":
            centring = _centring(setup, np.random.default_rng([seed, 3]))
        systems = setup.counts.systems
        model = _model(setup.family, setup.hierarchy, setup.data(centring), systems)
        average = _Average(advance)
        mode = pytensor.compile.mode.get_default_mode().excluding(FUSION)
        with _COMPILING, _quiet_log():
            approximation = pm.fit(
                n=ADVI_STEPS,
                method=method,
                model=model,
                obj_optimizer=pm.adam(learning_rate=ADVI_LEARNING_RATE),
                callbacks=[average],
                compile_kwargs={"mode": mode},
                random_seed=seed,
                progressbar=False,
            )
        if average.steps < ADVI_STEPS:  # pm.fit takes an interruption for a wish to stop early
            raise KeyboardInterrupt
        for shared, total in zip(approximation.params, average.totals, strict=True):
            shared.set_value(total / average.terms)
    mean, covariance = approximation.mean.eval(), approximation.cov.eval()
    where = {name: np.arange(len(mean))[at[1]] for name, at in approximation.ordering.items()}
    rng = np.random.default_rng(seed)
    shape = (size.chains, size.draws)
    flat = rng.multivariate_normal(mean, covariance, shape, method="cholesky")
    if together:
        found, log_joint = _unpacked(model, flat, where, setup, mode)
        log_ratio = (log_joint - multivariate_normal.logpdf(flat, mean, covariance))[..., None]
        return found, {"log_ratio": log_ratio[..., 0]}, _diagnose_advi(("all",), log_ratio, systems)
    found = {name: flat[..., where[name]] for name in declared(setup.family)}
    log_ratio = _log_joint(setup.cells, setup.family, found, len(systems))
    for system in range(len(systems)):
        at = [indices[system] for indices in where.values()]
        log_ratio[..., system] -= multivariate_normal.logpdf(
            flat[..., at], mean[at], covariance[np.ix_(at, at)]
        )
    report = _diagnose_advi(systems, log_ratio, systems)
    return found, {"log_ratio": log_ratio.sum(-1)}, report


def _unpacked(
    model: "pm.Model", flat: NDArray[np.float64], where: Draws, setup: _Setup, mode: Any
) -> tuple[Draws, NDArray[np.float64]]:
    """Return all variables, dims (chain, draw, last), and the log density of the model.

    `flat` has the unconstrained values, in the order that `where` says.
    """
    wanted = [*model.unobserved_RVs]
    wanted = [
        v
        for v in wanted
        if not v.name.startswith("raw_") and v.name not in _natural_names(setup.family)
    ]
    with _COMPILING:
        of_point = model.compile_fn(
            [*model.replace_rvs_by_values(wanted), model.logp()], mode=mode, point_fn=True
        )
    shapes = {name: np.shape(value) for name, value in model.initial_point().items()}
    parts = [
        of_point({n: point[at].reshape(shapes[n]) for n, at in where.items()})
        for point in flat.reshape(-1, flat.shape[-1])
    ]
    outer = flat.shape[:2]
    found = {}
    for variable, values in zip(wanted, zip(*parts, strict=True), strict=False):
        value = np.stack(values)
        found[variable.name] = value.reshape(*outer, *(value.shape[1:] or (1,)))
    return found, np.array([part[-1] for part in parts]).reshape(outer)


class _Average:
    """Sums the variational parameters over the second half of the steps, and shows progress."""

    def __init__(self, advance: Callable[[str, int], None]):
        self.advance = advance
        self.totals: list[Any] = []
        self.terms = 0
        self.steps = 0

    def __call__(self, approximation: Any, _losses: Any, step: int) -> None:
        self.steps = step
        if step > ADVI_STEPS // 2:
            now = [shared.get_value() for shared in approximation.params]
            self.totals = [t + v for t, v in zip(self.totals or [0.0] * len(now), now, strict=True)]
            self.terms += 1
        if step % 100 == 0:
            self.advance("Fitting a normal to the posterior", step)


def _log_joint(cells: Cells, family: Family, free: Draws, systems: int) -> NDArray[np.float64]:
    """Return log prior + log likelihood of each system, dims (chain, draw, system)."""
    total = log_prior(family, free)
    for system in range(systems):
        mine = cells.of_system(system)
        one = family.natural({name: value[..., system].ravel() for name, value in free.items()})
        moments = cell_log_moments(family, one, mine)
        total[..., system] += (moments @ mine.problems).reshape(total.shape[:-1])
    return total


def _diagnose_advi(
    blocks: tuple[str, ...], log_ratio: NDArray[np.float64], systems: tuple[str, ...]
) -> Diagnostics:
    """Return the Pareto k of blocks that were fitted independently: systems, or all together."""
    from arviz_stats.base import array_stats

    # ArviZ takes log-likelihoods, whose negatives are the log weights of leave-one-out.
    draws = np.moveaxis(log_ratio, -1, 0).reshape(len(blocks), -1)
    pareto_k = np.asarray(array_stats.psislw(-draws)[1])
    bad = np.broadcast_to(~(pareto_k <= MAX_PARETO_K), len(systems))
    return Diagnostics(
        max_rhat=None,
        min_ess=None,
        divergences=0,
        pareto_k=float(pareto_k.max()),
        systems=tuple(np.array(systems, dtype=object)[bad]),
    )


@contextmanager
def _progress(show: bool, start: str, steps: int) -> Iterator[Callable[[str, int], None]]:
    """Show a bar on standard error if that is a terminal; yields what moves it to a step."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    hide = not (show and console.is_terminal)
    with Progress(*columns, console=console, transient=True, disable=hide) as bar:
        task = bar.add_task(start, total=steps)

        def advance(description: str, completed: int) -> None:
            bar.update(task, description=description, completed=completed)

        yield advance


def _sampler(method: str) -> str:
    name = "nutpie" if method == "nuts" else "pymc"
    return f"{name} {metadata.version(name)}"
