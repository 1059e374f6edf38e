"""From counts to a posterior: the PyMC model and the samplers."""

import functools
import json
import logging
import secrets
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.cells import Cells
from bayespassk.counts import Counts
from bayespassk.errors import FitFileError, OptionError, PriorDrivenWarning, SamplingError
from bayespassk.families import Family, default_family, family_from_spec
from bayespassk.families.base import declared, log_prior
from bayespassk.integrating import MOST_PARAMETERS, integrate
from bayespassk.modelling import CENTRING, DATA, Setup, centring_of, model_of, quiet_import
from bayespassk.options import system_seed
from bayespassk.posterior.diagnostics import MAX_PARETO_K, MAX_RHAT, MIN_ESS, Diagnostics
from bayespassk.posterior.likelihood import cell_log_moments
from bayespassk.posterior.pooling import Hierarchy, Pooling
from bayespassk.posterior.tree import as_tree
from bayespassk.process import progress as bar, threads

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["build_model", "fit"]

type Method = Literal["auto", "quadrature", "nuts", "advi", "fullrank_advi"]
type Draws = dict[str, NDArray[np.float64]]

ADVI_STEPS = 10_000
ADVI_LEARNING_RATE = 0.02

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
    pooling: Pooling | Literal["auto"] = "auto",
    covariates: str | Iterable[str] | None = None,
) -> "pm.Model":
    """Return the PyMC model of `counts`: what :func:`fit` samples, to look into or build upon.

    Parameters
    ----------
    counts : Counts
        The attempts.
    family : Family, default LibbyNovick()
        The distribution of p over problems, with its priors. The default is what forecast best
        on published logs; `docs/explanation/accuracy.md` has the figures.
    pooling, covariates
        As for :func:`fit`.

    Returns
    -------
    pymc.Model
        Free and natural parameters have the dim "system". The success probabilities are
        integrated out, and problems with equal counts enter once, as a ``pm.Potential`` without
        the constants log C(n, c).
    """
    family = default_family() if family is None else family
    setup = Setup.of(counts, family, _pooling(counts, pooling), covariates)
    return model_of(family, setup.hierarchy, setup.data(), counts.systems)


def fit(
    counts: Counts,
    family: Family | None = None,
    *,
    method: Method = "auto",
    pooling: Pooling | Literal["auto"] = "auto",
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
    family : Family, default LibbyNovick()
        The distribution of p over problems, with its priors. The default is what forecast best
        on published logs; `docs/explanation/accuracy.md` has the figures.
    method : {"auto", "quadrature", "nuts", "advi", "fullrank_advi"}
        "nuts" samples the posterior. "quadrature" sums it over lattices, for families of up to
        three parameters and without covariates: the same posterior in a fraction of the time, as
        independent draws, with nothing to compile. "auto" is "quadrature" where that can be,
        unless `tune` or `target_accept` is given, and otherwise "nuts". "advi" fits independent
        normals to the posterior, "fullrank_advi" a correlated normal: neither is faster here, and
        both are too narrow where it is skewed or, for "advi", correlated. Their fits are told by a
        Pareto k above 0.7.
    pooling : {"auto", "none", "partial"}
        "none": systems share nothing, the posterior of one does not depend on the others in
        `counts`. "partial": the parameters of the systems come from a common normal distribution
        (of those of a benchmark, where there are several), whose mean and spread are learned: a
        system with few attempts borrows from the others, as much as these are alike. "auto":
        "partial" for two or more systems, but "none" with ADVI.
    covariates : str or sequence of str, optional
        Names of covariates of `counts`, or a formula such as "level + log(size)", which the
        parameters depend on: additively, on the scale that their names say (log a, logit of the
        mean). Those that differ between systems only need pooling="partial".
    draws, tune : int, default 1000 and 1000, more for families that mix more slowly and for pooling
        Draws kept, and draws spent on tuning the sampler, a chain. Only NUTS has use for `tune`.
    chains : int
        Independent chains; draws that are independent anyway are dealt out to as many.
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
        is. By quadrature without pooling there is also the group exact (moment, system): "mean"
        and "sd" of each parameter, to more digits than draws have. The attributes carry the
        family, version, sampler, seed, hash of the input and diagnostics. With more than 2e7
        numbers in it, 5,000 problems at 4,000 draws, log_likelihood is left out; see
        :func:`log_likelihood`.

    Warns
    -----
    ConvergenceWarning
        R-hat above 1.01, bulk ESS below 400, a divergence, a Pareto k above 0.7 (ADVI, pooling by
        quadrature), or a posterior that no lattice holds. The fit is returned all the same; do not
        use it before the remedies were tried.
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
    with the number of problems. The first fit of a process by NUTS or ADVI compiles the model,
    which takes seconds.
    """
    family = default_family() if family is None else family
    pooling = _pooling(counts, pooling, method)
    if method == "auto":
        wanted = covariates is None and tune is None and target_accept is None
        method = "quadrature" if wanted and _can_integrate(counts, family, pooling) else "nuts"
    if target_accept is None:
        target_accept = _target_accept(counts, family, pooling)
    if (
        draws is None
        and pooling != "none"
        and method != "quadrature"
        and isinstance(family, Family)
    ):
        draws = family.draws * 3 // 2  # spreads mix more slowly than parameters
    size = _size(family, draws, tune, chains, target_accept)
    _check_options(counts, family, method, pooling, size)
    seed = secrets.randbits(31) if random_seed is None else int(random_seed)
    setup = Setup.of(counts, family, pooling, covariates)
    _warn_if_prior_driven(counts)
    moments: Draws = {}
    if method == "quadrature":
        found, moments, report = _quadrature(setup, size, seed, progress)
        sampler_stats: Draws = {}
    elif method == "nuts":
        sample = _nuts_each if pooling == "none" else _nuts_jointly
        found, sampler_stats, report = sample(setup, size, seed, progress)
    else:
        found, sampler_stats, report = _advi(setup, method, size, seed, progress)
    attrs = {
        "bayespassk_version": _version("bayespassk"),
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
    if counts.provenance is not None:
        attrs["log"] = counts.provenance.to_json()
    rng = np.random.default_rng([seed, 1])
    prior = setup.draw_prior(rng, (size.chains, size.draws))
    report.warn()
    return as_tree(
        counts, family, found, prior, sampler_stats, attrs, report, setup.design, moments
    )


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


def _can_integrate(counts: Any, family: Any, pooling: str) -> bool:
    """Return whether "quadrature" takes these."""
    if not (isinstance(counts, Counts) and isinstance(family, Family)):
        return False  # which is told with the other options
    nested = pooling != "none" and 1 < len(set(counts.benchmarks)) < len(counts.systems)
    return len(declared(family)) <= MOST_PARAMETERS and not nested


def _pooling(counts: Counts, pooling: Any, method: str = "nuts") -> Pooling:
    """Return what "auto" stands for."""
    if pooling != "auto":
        return pooling  # type: ignore[no-any-return]  # it is checked with the other options
    several = isinstance(counts, Counts) and len(counts.systems) > 1
    return "partial" if several and "advi" not in str(method) else "none"


def _target_accept(counts: Counts, family: Family, pooling: str) -> float:
    """Return what the family needs, or more: the spread of few systems may be next to nothing."""
    own = family.target_accept if isinstance(family, Family) else Family.target_accept
    if pooling == "none" or not isinstance(counts, Counts):
        return own
    systems, benchmarks = len(counts.systems), len(set(counts.benchmarks))
    few = family.few_systems_accept if isinstance(family, Family) else Family.few_systems_accept
    if systems <= 4 or benchmarks > 1:
        return max(own, few)
    return max(own, min(few, 0.98 if systems <= 10 else 0.95))


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
        raise OptionError(
            "method must be 'auto', 'quadrature', 'nuts', 'advi' or 'fullrank_advi'; got "
            f"{method!r}"
        )
    if pooling not in get_args(Pooling.__value__):
        raise OptionError(f"pooling must be 'auto', 'none' or 'partial'; got {pooling!r}")
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
            # The starting points must not depend on whose data are the first of a process.
            first = {
                name: np.zeros_like(values) if name.startswith(CENTRING) else values
                for name, values in data.items()
            }
            model = model_of(family, hierarchy, first, systems)
            with pytensor.config.change_flags(numba__fastmath=False), quiet_import():
                _CACHE[key] = nutpie.compile_pymc_model(model)
        return _CACHE[key]


def _with_data(compiled: Any, data: Mapping[str, NDArray[Any]]) -> Any:
    """Return the compiled model with other data; arrays that its graph does not use are dropped."""
    used = {variable.name for variable in compiled.shared_var_keys}
    named = {f"{DATA}{name}": values for name, values in data.items()}
    return compiled.with_data(**{name: named[name] for name in used & set(named)})


# Samplers --------------------------------------------------------------------------------------


def _quadrature(
    setup: Setup, size: Size, seed: int, progress: bool
) -> tuple[Draws, Draws, Diagnostics]:
    """Sum the posterior over lattices; of parameters also mean and standard deviation."""
    draws, systems = size.chains * size.draws, setup.counts.systems
    with bar(progress, "Integrating", len(systems)) as advance:
        one = integrate(setup.family, setup.cells, setup.hierarchy, systems, draws, seed, advance)
    found = {
        name: values.reshape(size.chains, size.draws, values.shape[-1])
        for name, values in one.found.items()
    }
    ess, pareto_k, bad = None, None, ~one.whole
    if one.log_ratio is not None:
        from arviz_stats.base import array_stats  # half a second, which a fit alone need not wait

        weight = np.exp(one.log_ratio - one.log_ratio.max())
        ess = float(weight.sum() ** 2 / (weight**2).sum())
        # ArviZ takes log-likelihoods, whose negatives are the log weights of leave-one-out.
        pareto_k = float(array_stats.psislw(-one.log_ratio)[1])
        bad = bad | (not pareto_k <= MAX_PARETO_K) | (not ess >= MIN_ESS)
    report = Diagnostics(None, ess, 0, pareto_k, tuple(np.array(systems, dtype=object)[bad]))
    return found, dict(one.moments), report


def _nuts_each(
    setup: Setup, size: Size, seed: int, progress: bool
) -> tuple[Draws, Draws, Diagnostics]:
    """Sample each system by itself: its posterior shares nothing with the others."""
    systems = setup.counts.systems
    traces = []
    with bar(progress, "Compiling the model", len(systems)) as advance:
        for position, system in enumerate(systems):
            own = setup.of_system(position)
            data = own.data()
            compiled = _compiled(setup.family, own.hierarchy, data)
            advance(f"Sampling {system}", position)
            seed_here = system_seed(seed, system)
            traces.append(_sample(compiled, data, size, seed_here, f"for {system!r}"))
    found = {  # each has the dim system, after chain and draw
        name: np.concatenate([trace.posterior[name].values for trace in traces], axis=2)
        for name in setup.dims
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
    setup: Setup, size: Size, seed: int, progress: bool
) -> tuple[Draws, Draws, Diagnostics]:
    """Sample all systems together, as what they share is not known."""
    with bar(progress, "Looking at each system", 3) as advance:
        data = setup.data(centring_of(setup, np.random.default_rng([seed, 3])))
        advance("Compiling the model", 1)
        compiled = _compiled(setup.family, setup.hierarchy, data)
        advance(f"Sampling {len(setup.counts.systems)} systems", 2)
        trace = _sample(compiled, data, size, seed, "for the systems together")
    dims = setup.dims
    found = {
        str(name): value.values if dims[str(name)] else value.values[..., None]
        for name, value in trace.posterior.data_vars.items()
        if name in dims
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
        cores=threads(),
        seed=seed,
        target_accept=size.target_accept,
        save_warmup=False,
        progress_bar=False,
        blocking=False,
    )
    try:
        return sampler.wait()
    except RuntimeError as error:
        raise SamplingError.at_the_start(whom, str(error).splitlines()[0]) from None
    except BaseException:  # waiting itself, unlike nutpie, does not hide an interruption
        sampler.cancel()
        raise


def _diagnose_nuts(setup: Setup, found: Draws, divergences: NDArray[np.int64]) -> Diagnostics:
    """Return the worst R-hat and ESS over parameters, and the systems out of bounds.

    `divergences` are those of each system, or one number of all systems together.
    """
    from arviz_stats.base import array_stats

    systems = setup.counts.systems
    dims = setup.dims
    bad = np.broadcast_to(divergences > 0, len(systems)).copy()
    least, most = np.inf, -np.inf
    for name, values in found.items():
        each = np.moveaxis(values.reshape(*values.shape[:2], -1), -1, 0)
        with np.errstate(all="ignore"):  # chains that never moved have an R-hat of infinity
            ess = np.asarray(array_stats.ess(each))
            rhat = np.asarray(array_stats.rhat(each)) if len(each[0]) > 1 else np.ones(len(each))
        wrong = ~(ess >= MIN_ESS) | ~(rhat <= MAX_RHAT)
        of_systems = dims[name][:1] == ("system",)
        bad |= wrong.reshape(len(systems), -1).any(-1) if of_systems else wrong.any()
        least, most = min(least, float(ess.min())), max(most, float(rhat.max()))
    return Diagnostics(
        max_rhat=None if next(iter(found.values())).shape[0] == 1 else most,
        min_ess=least,
        divergences=int(divergences.sum()),
        pareto_k=None,
        systems=tuple(np.array(systems, dtype=object)[bad]),
    )


def _advi(
    setup: Setup, method: str, size: Size, seed: int, progress: bool
) -> tuple[Draws, Draws, Diagnostics]:
    """Fit a normal to the posterior of the free parameters of all systems, and draw from it.

    The steps of stochastic optimisation go on wandering about the optimum, by more than half a
    posterior standard deviation; the mean of the second half of them does not.
    """
    with quiet_import():
        import pymc as pm
        import pytensor
    from scipy.stats import multivariate_normal

    together = setup.hierarchy.pooling != "none" or setup.design is not None
    with bar(progress, "Compiling the model", ADVI_STEPS) as advance:
        centring = None
        if setup.hierarchy.pooling != "none":
            centring = centring_of(setup, np.random.default_rng([seed, 3]))
        systems = setup.counts.systems
        model = model_of(setup.family, setup.hierarchy, setup.data(centring), systems)
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
    model: "pm.Model", flat: NDArray[np.float64], where: Draws, setup: Setup, mode: Any
) -> tuple[Draws, NDArray[np.float64]]:
    """Return what is in a posterior, dims (chain, draw, last), and the log density of the model.

    `flat` has the unconstrained values, in the order that `where` says.
    """
    dims = setup.dims
    wanted = [variable for variable in model.unobserved_RVs if variable.name in dims]
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


def _sampler(method: str) -> str:
    name = {"nuts": "nutpie", "quadrature": "bayespassk"}.get(method, "pymc")
    return f"{name} {_version(name)}"


@functools.cache
def _version(package: str) -> str:
    return metadata.version(package)
