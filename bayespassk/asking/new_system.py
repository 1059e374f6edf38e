"""A system not yet attempted, of the set that was fitted."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats
from bayespassk.asking.question import columns_at
from bayespassk.errors import OptionError
from bayespassk.families.base import declared
from bayespassk.options import check_k
from bayespassk.posterior.fitted import Fitted, opened
from bayespassk.posterior.pooling import draw_effects

__all__ = ["forecast_new_system"]


def forecast_new_system(
    fit: xr.DataTree,
    k: float | Iterable[float],
    *,
    benchmark: str | None = None,
    at: Mapping[str, Any] | None = None,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of pass@k of a system not yet attempted, of the set that was fitted.

    "What will the next checkpoint do": its parameters are drawn from the normal distribution that
    partial pooling learned, its problems from the family.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` with pooling="partial".
    k : int or sequence of int, dims (k,)
        Attempts allowed, 1 to 1e12.
    benchmark : str, optional
        Where systems were nested in several benchmarks: one of them, or by default a new one.
    at : mapping of str to value
        The new system's covariates, and those of its problems, where the fit has any; all of them.
    random_seed : int, optional
        Repeats the draws of the new system's parameters; by default the seed of the fit.

    Returns
    -------
    xarray.DataArray
        pass@k of a new problem, dims (chain, draw, system, k), with one system, "new system".

    Raises
    ------
    OptionError
        If the fit has no pooling, or an argument means nothing.

    Notes
    -----
    This is about a system exchangeable with those fitted, given its covariates: one more of the
    kind, not the best of the kind or a different one. With few systems the band is wide, as it
    should be, and much of it is the prior of their spread.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="partial", random_seed=1)
    >>> bp.forecast_new_system(fit, [1, 100]).sizes["system"]
    1
    """
    check_arguments("forecast_new_system", locals())
    ks, fitted = check_k(k), opened(fit)
    family, hierarchy = fitted.family, fitted.hierarchy
    if hierarchy.pooling == "none":
        raise OptionError(
            "fit must have pooling='partial' to say anything about a new system; without pooling "
            "systems share nothing"
        )
    if hierarchy.pooling == "within" and benchmark is None:
        if len(hierarchy.benchmarks) > 1:
            raise OptionError(
                "benchmark must be given where each is fitted by itself: one of "
                f"{', '.join(map(repr, hierarchy.benchmarks))}"
            )
        (benchmark,) = hierarchy.benchmarks
    if benchmark is not None and benchmark not in hierarchy.benchmarks:
        known = ", ".join(map(repr, hierarchy.benchmarks)) or "none, as there is only one"
        raise OptionError(f"benchmark must be one that systems are nested in, {known}")
    seed = fitted.seed_or(random_seed)
    free = _drawn(fitted, benchmark, *columns_at(fitted, at), np.random.default_rng([seed, 4]))
    log_fail = family.log_moment(family.natural(free), 0, ks.astype(float))
    return xr.DataArray(
        -np.expm1(log_fail)[:, :, None],
        dims=("chain", "draw", "system", "k"),
        coords=fitted.outer | {"system": ["new system"], "k": ks},
        name="pass_at_k",
        attrs={"target": "population", "forecast_seed": seed, **fitted.origin},
    )


def _drawn(
    fitted: Fitted,
    benchmark: str | None,
    own: Floats,
    of_problems: Floats,
    rng: np.random.Generator,
) -> dict[str, Floats]:
    """Return draws of the free parameters of a new system, dims (chain, draw).

    `own` and `of_problems` are its columns of the design, dims (column,).
    """
    hierarchy = fitted.hierarchy
    values = {str(name): v.values for name, v in fitted.posterior.items()}
    free = {}
    names = list(declared(fitted.family))
    effects = draw_effects(hierarchy, rng, fitted.shape, len(names))
    for name, effect in zip(names, effects, strict=True):
        centre, spread = values[f"centre_{name}"], values[f"spread_{name}"]
        if hierarchy.pooling == "within":
            at = hierarchy.benchmarks.index(benchmark)
            centre, spread = centre[..., at], spread[..., at]
        elif benchmark is not None:
            centre = values[f"benchmark_centre_{name}"][..., hierarchy.benchmarks.index(benchmark)]
        elif hierarchy.nested:
            between = values[f"benchmark_spread_{name}"]
            centre = centre + between * rng.standard_normal(centre.shape)
        if hierarchy.system_columns:
            centre = centre + values[f"effect_{name}"] @ own
        if hierarchy.problem_columns:
            centre = centre + values[f"problem_effect_{name}"] @ of_problems
        free[name] = centre + spread * effect
    return free
