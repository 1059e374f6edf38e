"""NUTS: a model is compiled once a process, and given the data of each fit."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayespassk.errors import SamplingError
from bayespassk.families import Family
from bayespassk.fitting.model import CENTRING, DATA, Setup, centring_of, model_of, quiet_import
from bayespassk.fitting.sampling import COMPILING, Draws, Size
from bayespassk.options import system_seed
from bayespassk.posterior.diagnostics import (
    MAX_RHAT,
    MAX_SD_ERROR,
    MIN_BFMI,
    MIN_ESS,
    Diagnostics,
)
from bayespassk.posterior.pooling import Hierarchy
from bayespassk.process import progress as bar, threads

__all__ = ["mixing", "nuts_each", "nuts_jointly"]

MOST_COMPILED = 16

MAX_DEPTH = 10
"""Doublings of a trajectory that nutpie allows."""

_CACHE: dict[Any, Any] = {}
"""Compiled models, the oldest first."""


def nuts_each(
    setup: Setup, size: Size, seed: int, progress: bool
) -> tuple[Draws, Draws, Diagnostics]:
    """Sample each system by itself: its posterior shares nothing with the others."""
    systems = setup.counts.systems
    traces = []
    each = _steps(size)
    with bar(progress, "Compiling the model", len(systems) * each) as advance:
        for position, system in enumerate(systems):
            own = setup.of_system(position)
            data = own.data()
            compiled = _compiled(setup.family, own.hierarchy, data)
            say = partial(advance, f"Sampling {system}")
            tell = _teller(say, position * each) if progress else None
            seed_here = system_seed(seed, system)
            traces.append(_sample(compiled, data, size, seed_here, f"for {system!r}", tell))
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
    return (
        found,
        sampler_stats,
        _diagnose_nuts(setup, found, diverging.sum((0, 1)), stack("energy"), stack("depth")),
    )


def nuts_jointly(
    setup: Setup, size: Size, seed: int, progress: bool
) -> tuple[Draws, Draws, Diagnostics]:
    """Sample all systems together, as what they share is not known."""
    with bar(progress, "Looking at each system", _steps(size)) as advance:
        data = setup.data(centring_of(setup, np.random.default_rng([seed, 3])))
        advance("Compiling the model", 0)
        compiled = _compiled(setup.family, setup.hierarchy, data)
        say = partial(advance, f"Sampling {len(setup.counts.systems)} systems")
        tell = _teller(say, 0) if progress else None
        trace = _sample(compiled, data, size, seed, "for the systems together", tell)
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
    energy, depth = (sampler_stats[name][..., None] for name in ("energy", "tree_depth"))
    return found, sampler_stats, _diagnose_nuts(setup, found, divergences, energy, depth)


def _steps(size: Size) -> int:
    """Return how many draws are made in all, with those of tuning."""
    return size.chains * (size.tune + size.draws)


def _teller(say: Callable[[int], None], before: int) -> Callable[[Any], None]:
    """Return what tells how many draws there are, when the sampler says how far its chains are."""
    say(before)

    def tell(chains: Any) -> None:
        say(before + sum(chain.finished_draws for chain in chains))

    return tell


def _sample(
    compiled: Any,
    data: Mapping[str, NDArray[Any]],
    size: Size,
    seed: int,
    whom: str,
    tell: Callable[[Any], None] | None,
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
        progress_callback=tell,
        progress_rate=500,
        blocking=False,
    )
    try:
        return sampler.wait()
    except RuntimeError as error:
        raise SamplingError.at_the_start(whom, str(error).splitlines()[0]) from None
    except BaseException:  # waiting itself, unlike nutpie, does not hide an interruption
        sampler.cancel()
        raise


def _diagnose_nuts(
    setup: Setup,
    found: Draws,
    divergences: NDArray[np.int64],
    energy: NDArray[np.float64],
    depth: NDArray[np.int64],
) -> Diagnostics:
    """Return the worst R-hat and ESS over parameters, and the systems out of bounds.

    `divergences`, and `energy` and `depth` with dims (chain, draw, block), are those of each
    system, or of all systems together.
    """
    systems = setup.counts.systems
    bfmi = _bfmi(energy)
    cut = (depth >= MAX_DEPTH).sum((0, 1))
    wrong_block = (divergences > 0) | ~(bfmi >= MIN_BFMI) | (cut > 0)
    report, bad = mixing(found, setup.dims, len(systems))
    return replace(
        report,
        divergences=int(divergences.sum()),
        systems=tuple(np.array(systems, dtype=object)[bad | wrong_block]),
        min_bfmi=float(bfmi.min()),
        at_max_depth=int(cut.sum()),
    )


def mixing(
    found: Draws, dims: Mapping[str, tuple[str, ...]], systems: int
) -> tuple[Diagnostics, NDArray[np.bool_]]:
    """Return how well draws of parameters mix, and which systems are out of bounds by that.

    `found` has dims (chain, draw, last), and `dims` says what is last.
    """
    from arviz_stats.base import array_stats

    bad = np.zeros(systems, dtype=bool)
    least, least_tail, most, unsure = np.inf, np.inf, -np.inf, 0.0
    for name, values in found.items():
        each = np.moveaxis(values.reshape(*values.shape[:2], -1), -1, 0)
        with np.errstate(all="ignore"):  # chains that never moved have an R-hat of infinity
            ess = np.asarray(array_stats.ess(each))
            tail = np.asarray(array_stats.ess(each, method="tail", prob=(0.05, 0.95)))
            error = np.asarray(array_stats.mcse(each, method="sd")) / each.std((1, 2), ddof=1)
            rhat = np.asarray(array_stats.rhat(each)) if len(each[0]) > 1 else np.ones(len(each))
        wrong = ~(ess >= MIN_ESS) | ~(tail >= MIN_ESS) | ~(rhat <= MAX_RHAT)
        wrong |= ~(error <= MAX_SD_ERROR)
        of_systems = dims[name][:1] == ("system",)
        bad |= wrong.reshape(systems, -1).any(-1) if of_systems else wrong.any()
        least, most = min(least, float(ess.min())), max(most, float(rhat.max()))
        least_tail, unsure = min(least_tail, float(tail.min())), max(unsure, float(error.max()))
    rhat_of_all = None if next(iter(found.values())).shape[0] == 1 else most
    report = Diagnostics(rhat_of_all, least, 0, None, (), min_tail_ess=least_tail, sd_error=unsure)
    return report, bad


def _bfmi(energy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the least E-BFMI of any chain, dims (block,), from energies (chain, draw, block).

    Betancourt 2016, arXiv:1604.00695: how much of the energy's variance one step can change.
    """
    change = (np.diff(energy, axis=1) ** 2).mean(1)
    spread = energy.var(1)
    each = np.divide(change, spread, out=np.zeros_like(spread), where=spread > 0)
    return np.asarray(each.min(0))


def _compiled(family: Family, hierarchy: Hierarchy, data: Mapping[str, NDArray[Any]]) -> Any:
    """Return the compiled model of so many systems, to be given data of any such systems.

    Without fast-math, a cold and a warm cache of compiled functions give the same draws.
    """
    import nutpie
    import pytensor

    key = family, hierarchy, frozenset(data)
    with COMPILING:
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
