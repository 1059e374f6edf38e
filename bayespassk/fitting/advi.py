"""ADVI: normals fitted to the posterior."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayespassk.cells import Cells
from bayespassk.families import Family
from bayespassk.families.base import declared, log_prior
from bayespassk.fitting.approximation import far_apart, weights_of
from bayespassk.fitting.model import Setup, centring_of, model_of, quiet_import
from bayespassk.fitting.sampling import COMPILING, Draws, Size
from bayespassk.posterior.diagnostics import (
    MAX_BAND_OFF,
    MAX_PARETO_K,
    MAX_SD_OFF,
    Diagnostics,
)
from bayespassk.posterior.likelihood import cell_log_moments
from bayespassk.process import progress as bar

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["advi"]

STEPS = 10_000
LEARNING_RATE = 0.02

FUSION = "fuse_indexed_into_elemwise"
"""A rewrite of PyTensor 3.3 that cannot compile ADVI of one system's quadrature."""


def advi(
    setup: Setup, method: str, size: Size, seed: int, progress: bool, exact: Draws | None = None
) -> tuple[Draws, Draws, Diagnostics]:
    """Fit a normal to the posterior of the free parameters of all systems, and draw from it.

    `exact` are draws of the exact posterior, for comparison, if there are any.

    The steps of stochastic optimisation go on wandering about the optimum, by more than half a
    posterior standard deviation; the mean of the second half of them does not.
    """
    with quiet_import():
        import pymc as pm
        import pytensor
    from scipy.stats import multivariate_normal

    together = setup.hierarchy.pooling != "none" or setup.design is not None
    with bar(progress, "Compiling the model", STEPS) as advance:
        centring = None
        if setup.hierarchy.pooling != "none":
            centring = centring_of(setup, np.random.default_rng([seed, 3]))
        systems = setup.counts.systems
        model = model_of(setup.family, setup.hierarchy, setup.data(centring), systems)
        average = _Average(advance)
        mode = pytensor.compile.mode.get_default_mode().excluding(FUSION)
        with COMPILING, _quiet_log():
            approximation = pm.fit(
                n=STEPS,
                method=method,
                model=model,
                obj_optimizer=pm.adam(learning_rate=LEARNING_RATE),
                callbacks=[average],
                compile_kwargs={"mode": mode},
                random_seed=seed,
                progressbar=False,
            )
        if average.steps < STEPS:  # pm.fit takes an interruption for a wish to stop early
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
        return found, {"log_ratio": log_ratio[..., 0]}, _diagnosed(setup, found, log_ratio, exact)
    found = {name: flat[..., where[name]] for name in declared(setup.family)}
    log_ratio = _log_joint(setup.cells, setup.family, found, len(systems))
    for system in range(len(systems)):
        at = [indices[system] for indices in where.values()]
        log_ratio[..., system] -= multivariate_normal.logpdf(
            flat[..., at], mean[at], covariance[np.ix_(at, at)]
        )
    return found, {"log_ratio": log_ratio.sum(-1)}, _diagnosed(setup, found, log_ratio, exact)


def _unpacked(
    model: "pm.Model", flat: NDArray[np.float64], where: Draws, setup: Setup, mode: Any
) -> tuple[Draws, NDArray[np.float64]]:
    """Return what is in a posterior, dims (chain, draw, last), and the log density of the model.

    `flat` has the unconstrained values, in the order that `where` says.
    """
    dims = setup.dims
    wanted = [variable for variable in model.unobserved_RVs if variable.name in dims]
    with COMPILING:
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
        if step > STEPS // 2:
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


def _diagnosed(
    setup: Setup, found: Draws, log_ratio: NDArray[np.float64], exact: Draws | None
) -> Diagnostics:
    """Return Pareto k, and how forecasts differ from exact ones, or from reweighted ones.

    `log_ratio`, dims (chain, draw, block), is of what was fitted independently: systems, or all
    of them together.
    """
    systems, blocks = setup.counts.systems, log_ratio.shape[-1]
    flat, pareto_k = np.moveaxis(log_ratio, -1, 0).reshape(blocks, -1), _pareto_k(log_ratio)
    each = []
    for system in range(len(systems)):
        weights = None if exact is not None else weights_of(flat[system % blocks])
        right = found if exact is None else exact
        most = int(setup.counts.attempts[setup.counts.system_index == system].max(initial=0))
        each.append(far_apart(setup.family, found, right, weights, system, most))
    off = np.array([one.band_off for one in each])
    with np.errstate(divide="ignore"):
        spread = np.abs(np.log([one.sd_ratio for one in each]))
    luck = 1 / np.sqrt(flat.shape[1])  # of ends and standard deviations of so many draws
    bad = np.broadcast_to(~(pareto_k <= MAX_PARETO_K), len(systems))
    bad = bad | ~(off <= MAX_BAND_OFF + luck) | ~(spread <= np.log(MAX_SD_OFF) + 2 * luck)
    return Diagnostics(
        max_rhat=None,
        min_ess=None,
        divergences=0,
        pareto_k=float(pareto_k.max()),
        systems=tuple(np.array(systems, dtype=object)[bad]),
        sd_ratio=each[int(spread.argmax())].sd_ratio,
        band_off=float(off.max()),
        against="importance sampling" if exact is None else "quadrature",
    )


def _pareto_k(log_ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Pareto k of importance ratios, dims (block,)."""
    from arviz_stats.base import array_stats

    # ArviZ takes log-likelihoods, whose negatives are the log weights of leave-one-out.
    flat = np.moveaxis(log_ratio, -1, 0).reshape(log_ratio.shape[-1], -1)
    return np.asarray(array_stats.psislw(-flat)[1])


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
