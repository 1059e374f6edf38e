"""From counts to a posterior: the PyMC model and the samplers."""

import functools
import json
import logging
import secrets
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
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
from bayespassk.families import Beta, Family, family_from_spec
from bayespassk.families.base import Prior, log_prior
from bayespassk.posterior import (
    MAX_PARETO_K,
    MAX_RHAT,
    MIN_ESS,
    Diagnostics,
    as_tree,
    cell_log_moments,
    free_names,
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

_COMPILING = threading.Lock()
"""Two threads that compile at once can hang."""


def build_model(counts: Counts, family: Family | None = None) -> "pm.Model":
    """Return the PyMC model of `counts`: what :func:`fit` samples, to look into or build upon.

    Parameters
    ----------
    counts : Counts
        The attempts.
    family : Family, default Beta()
        The distribution of p over problems, with its priors.

    Returns
    -------
    pymc.Model
        Free and natural parameters have the dim "system". The success probabilities are
        integrated out, and problems with equal counts enter once, as a ``pm.Potential`` without
        the constants log C(n, c).
    """
    family = Beta() if family is None else family
    data = family.likelihood_data(counts.distinct())
    return _model(family, data, counts.systems)


def fit(
    counts: Counts,
    family: Family | None = None,
    *,
    method: Method = "nuts",
    pooling: Literal["none"] = "none",
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
    pooling : {"none"}
        Systems share nothing: the posterior of one does not depend on the others in `counts`.
    draws, tune : int, default 1000 and 1000, more for families that mix more slowly
        Draws kept, and draws spent on tuning the sampler, a chain. ADVI has no use for `tune`.
    chains : int
        Independent chains.
    target_accept : float, default 0.95, 0.99 for a scaled beta, 0.98 for a mixture
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
    size = _size(family, draws, tune, chains, target_accept)
    _check_options(counts, family, method, pooling, size)
    seed = secrets.randbits(31) if random_seed is None else int(random_seed)
    cells = counts.distinct()
    _warn_if_prior_driven(counts)
    if method == "nuts":
        free, sampler_stats, report = _nuts(counts.systems, cells, family, size, seed, progress)
    else:
        free, sampler_stats, report = _advi(counts, cells, family, method, size, seed, progress)
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
    }
    report.warn()
    return as_tree(counts, family, free, sampler_stats, attrs, report)


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
    target_accept: float | None,
) -> Size:
    """Return how much to sample: as asked, and what the family needs where nothing was."""
    defaults = family if isinstance(family, Family) else Family
    return Size(
        draws=defaults.draws if draws is None else draws,
        tune=defaults.tune if tune is None else tune,
        chains=chains,
        target_accept=defaults.target_accept if target_accept is None else target_accept,
    )


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
    if pooling != "none":
        raise OptionError(f"pooling must be 'none'; got {pooling!r}")
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


def _model(
    family: Family, data: Mapping[str, NDArray[Any]], systems: tuple[str, ...]
) -> "pm.Model":
    with _quiet_import():
        import pymc as pm
    import pytensor.tensor as pt

    def declare(name: str, prior: Prior, loc: Any = None) -> Any:
        # A Python float may become a float32 constant in a graph: hand over float64.
        loc = pt.as_tensor_variable(np.float64(prior.loc) if loc is None else loc)
        scale = np.float64(prior.scale)
        kind = {"normal": pm.Normal, "logistic": pm.Logistic}[prior.kind]
        return kind(name, loc, scale, dims="system")

    with pm.Model(coords={"system": list(systems)}) as model:
        free = family.prior(declare, graph())
        natural = family.natural(free, graph())
        for name, value in natural.items():
            pm.Deterministic(name, value, dims="system")
        shared = {name: pm.Data(f"{DATA}{name}", values) for name, values in data.items()}
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


@functools.lru_cache(maxsize=16)
def _compiled(family: Family) -> Any:
    """Return the compiled model of one system, to be given the data of any system.

    Without fast-math, a cold and a warm cache of compiled functions give the same draws.
    """
    import nutpie
    import pytensor

    one = np.zeros(1, dtype=np.int64)
    cells = Cells(one, one + 1, one + 1, one, one)
    model = _model(family, family.likelihood_data(cells), ("system",))
    with pytensor.config.change_flags(numba__fastmath=False), _quiet_import():
        return nutpie.compile_pymc_model(model)


def _with_data(compiled: Any, data: Mapping[str, NDArray[Any]]) -> Any:
    """Return the compiled model with other data; arrays that its graph does not use are dropped."""
    used = {variable.name for variable in compiled.shared_var_keys}
    named = {f"{DATA}{name}": values for name, values in data.items()}
    return compiled.with_data(**{name: named[name] for name in used & set(named)})


# Samplers --------------------------------------------------------------------------------------


def _nuts(
    systems: tuple[str, ...],
    cells: Cells,
    family: Family,
    size: Size,
    seed: int,
    progress: bool,
) -> tuple[Draws, Draws, Diagnostics]:
    """Sample each system by itself: its posterior shares nothing with the others."""
    traces = []
    with _progress(progress, "Compiling the model", len(systems)) as advance:
        with _quiet_import():
            import nutpie
        with _COMPILING:
            compiled = _compiled(family)
        for position, system in enumerate(systems):
            advance(f"Sampling {system}", position)
            sampler = nutpie.sample(
                _with_data(compiled, family.likelihood_data(cells.of_system(position))),
                draws=size.draws,
                tune=size.tune,
                chains=size.chains,
                seed=system_seed(seed, system),
                target_accept=size.target_accept,
                save_warmup=False,
                progress_bar=False,
                blocking=False,
            )
            try:
                traces.append(sampler.wait())
            except RuntimeError as error:
                raise SamplingError(
                    f"the sampler could not start for {system!r}, as the posterior is not finite "
                    f"where it tried ({str(error).splitlines()[0]}). Try a narrower prior or "
                    "another family, and report it: it should not happen"
                ) from None
            except BaseException:  # waiting itself, unlike nutpie, does not hide an interruption
                sampler.cancel()
                raise
    free = {
        name: np.concatenate([trace.posterior[name].values for trace in traces], axis=-1)
        for name in free_names(family)
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
    return free, sampler_stats, _diagnose_nuts(systems, free, diverging.sum((0, 1)))


def _diagnose_nuts(
    systems: tuple[str, ...], free: Draws, divergences: NDArray[np.int64]
) -> Diagnostics:
    """Return the worst R-hat and ESS over parameters, and the systems out of bounds."""
    from arviz_stats.base import array_stats

    values = np.stack([np.moveaxis(value, -1, 0) for value in free.values()], axis=-1)
    values = np.moveaxis(values, -1, 1)  # dims (system, parameter, chain, draw)
    with np.errstate(all="ignore"):  # chains that never moved have an R-hat of infinity
        ess = np.asarray(array_stats.ess(values)).min(-1)
        rhat = np.asarray(array_stats.rhat(values)).max(-1) if values.shape[2] > 1 else None
    bad = (divergences > 0) | ~(ess >= MIN_ESS)
    if rhat is not None:
        bad |= ~(rhat <= MAX_RHAT)
    return Diagnostics(
        max_rhat=None if rhat is None else float(rhat.max()),
        min_ess=float(ess.min()),
        divergences=int(divergences.sum()),
        pareto_k=None,
        systems=tuple(np.array(systems, dtype=object)[bad]),
    )


def _advi(
    counts: Counts,
    cells: Cells,
    family: Family,
    method: str,
    size: Size,
    seed: int,
    progress: bool,
) -> tuple[Draws, Draws, Diagnostics]:
    """Fit a normal to the posterior of the free parameters of all systems, and draw from it.

    The steps of stochastic optimisation go on wandering about the optimum, by more than half a
    posterior standard deviation; the mean of the second half of them does not.
    """
    with _quiet_import():
        import pymc as pm
        import pytensor
    from scipy.stats import multivariate_normal

    with _progress(progress, "Compiling the model", ADVI_STEPS) as advance:
        model = build_model(counts, family)
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
    free = {name: flat[..., where[name]] for name in free_names(family)}
    log_ratio = _log_joint(cells, family, free, len(counts.systems))
    for system in range(len(counts.systems)):
        at = [indices[system] for indices in where.values()]
        log_ratio[..., system] -= multivariate_normal.logpdf(
            flat[..., at], mean[at], covariance[np.ix_(at, at)]
        )
    report = _diagnose_advi(counts.systems, log_ratio)
    return free, {"log_ratio": log_ratio.sum(-1)}, report


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


def _diagnose_advi(systems: tuple[str, ...], log_ratio: NDArray[np.float64]) -> Diagnostics:
    from arviz_stats.base import array_stats

    # ArviZ takes log-likelihoods, whose negatives are the log weights of leave-one-out.
    draws = np.moveaxis(log_ratio, -1, 0).reshape(len(systems), -1)
    pareto_k = np.asarray(array_stats.psislw(-draws)[1])
    return Diagnostics(
        max_rhat=None,
        min_ess=None,
        divergences=0,
        pareto_k=float(pareto_k.max()),
        systems=tuple(np.array(systems, dtype=object)[~(pareto_k <= MAX_PARETO_K)]),
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
