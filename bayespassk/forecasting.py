"""Forecasts: pass@k at any k, as draws from the posterior, and tables of them."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import logsumexp

from bayespassk.arrays import Floats
from bayespassk.covariates import design_at
from bayespassk.errors import OptionError
from bayespassk.families.base import declared
from bayespassk.influence import warn_if_prior_rules
from bayespassk.options import check_interval, check_k, check_target
from bayespassk.posterior import (
    covariates_of,
    family_of,
    hierarchy_of,
    outer_coords,
    parameters_of,
    parts_of,
    system_design,
)
from bayespassk.seen import Seen

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "forecast",
    "forecast_new_system",
    "log_fail_of_new",
    "summarize",
    "tail_exponent",
]

type Target = Literal["benchmark", "population", "realised"]

MOST_K = 10**12


def forecast(
    fit: xr.DataTree,
    k: float | Iterable[float],
    target: Target = "benchmark",
    *,
    at: Mapping[str, Any] | None = None,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of pass@k for each system: one value a draw, not summarised.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    k : int or sequence of int, dims (k,)
        Attempts allowed, 1 to 1e12; far beyond the attempts made, if need be.
    target : {"benchmark", "population", "realised"}
        What pass@k is asked of. "benchmark": the very problems that were attempted, the mean
        over them of 1 - (1 - p)^k, with their p as uncertain as their counts leave them.
        "population": all problems of the kind; what a new problem drawn at random would give.
        "realised": the share of the attempted problems that one new run of k attempts at each
        would solve; the benchmark's pass@k and the luck of that run.
    at : mapping of str to value, optional
        For the target "population" of a fit with covariates: new problems with these values, such
        as ``{"level": 5}``, in place of problems with the values of those attempted.
    random_seed : int, optional
        Repeats the draws of p and of the run; by default follows from the seed of the fit, so
        that the same forecast of the same fit is the same. "population" draws nothing.

    Returns
    -------
    xarray.DataArray
        pass@k, dims (chain, draw, system, k). Draws are joint over k, so that differences,
        ratios and bands over k of these draws are right; and over systems, which are independent
        without pooling.

    Warns
    -----
    ForecastWarning
        At the largest k, if that is beyond 10 times the attempts made at any problem, the prior
        weighs more than the attempts; see :func:`bayespassk.sensitivity`.

    Raises
    ------
    OptionError
        If a k or the target has a value that means nothing.

    Notes
    -----
    Attempts say nothing about success probabilities far below 1/n. For k far beyond n the
    forecast rests on the family and the prior: the band contains what they leave open, not the
    chance that they are wrong.

    A success is an attempt that was accepted. Of a fit with :class:`bayespassk.Verified` this is
    the apparent pass@k; :func:`bayespassk.true_pass_at_k` is for the truth.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> draws = bp.forecast(fit, [1, 100, 10_000])
    >>> draws.dims
    ('chain', 'draw', 'system', 'k')
    """
    ks = check_k(k)
    check_target(target)
    family_of(fit)  # or an error that says what a fit is
    if at is not None and target != "population":
        raise OptionError(f"at needs target='population', as it is of new problems; got {target!r}")
    posterior = fit["posterior"].dataset
    seed = int(fit.attrs["random_seed"]) if random_seed is None else random_seed
    values = np.stack(
        [
            _pass_at_k(fit, system, ks, target, seed, at)
            for system in range(posterior.sizes["system"])
        ],
        axis=2,
    )
    result = xr.DataArray(
        values,
        dims=("chain", "draw", "system", "k"),
        coords=outer_coords(fit) | {"k": ks},
        name="pass_at_k",
        attrs={
            "target": target,
            "forecast_seed": seed,
            **_origin(fit),
        },
    )
    warn_if_prior_rules(fit, result)
    return result


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
    ks, family, hierarchy = check_k(k), family_of(fit), hierarchy_of(fit)
    if hierarchy.pooling == "none":
        raise OptionError(
            "fit must have pooling='partial' to say anything about a new system; without pooling "
            "systems share nothing"
        )
    if benchmark is not None and benchmark not in hierarchy.benchmarks:
        known = ", ".join(map(repr, hierarchy.benchmarks)) or "none, as there is only one"
        raise OptionError(f"benchmark must be one that systems are nested in, {known}")
    seed = int(fit.attrs["random_seed"]) if random_seed is None else random_seed
    own, of_problems = _columns_at(fit, at)
    values = {name: v.values for name, v in fit["posterior"].dataset.items()}
    rng = np.random.default_rng([seed, 4])
    free = {}
    for name in declared(family):
        centre = values[f"centre_{name}"]
        if benchmark is not None:
            centre = values[f"benchmark_centre_{name}"][..., hierarchy.benchmarks.index(benchmark)]
        elif hierarchy.nested:
            between = values[f"benchmark_spread_{name}"]
            centre = centre + between * rng.standard_normal(centre.shape)
        if hierarchy.system_columns:
            centre = centre + values[f"effect_{name}"] @ own
        if hierarchy.problem_columns:
            centre = centre + values[f"problem_effect_{name}"] @ of_problems
        spread = values[f"spread_{name}"]
        free[name] = centre + spread * rng.standard_normal(centre.shape)
    log_fail = family.log_moment(family.natural(free), 0, ks.astype(float))
    coords = {name: fit["posterior"].dataset[name].values for name in ("chain", "draw")}
    return xr.DataArray(
        -np.expm1(log_fail)[:, :, None],
        dims=("chain", "draw", "system", "k"),
        coords=coords | {"system": ["new system"], "k": ks},
        name="pass_at_k",
        attrs={"target": "population", "forecast_seed": seed, **_origin(fit)},
    )


def _origin(fit: xr.DataTree) -> dict[str, Any]:
    return {name: fit.attrs[name] for name in ("family", "input_sha256", "bayespassk_version")}


def _columns_at(
    fit: xr.DataTree, at: Mapping[str, Any] | None, system: int | None = None
) -> tuple[Floats, Floats]:
    """Return the columns of the design that are a system's, and those that are a problem's.

    Of `system`, covariates that are not in `at` have the value they have for all its problems.
    """
    if "design" not in fit.attrs:
        if at:
            raise OptionError(f"at needs a fit with covariates; got {dict(at)!r} and a fit without")
        return np.zeros(0), np.zeros(0)
    known, given = covariates_of(fit), dict(at or {})
    if system is not None:
        mine = fit["constant_data"].dataset["system_index"].values == system
        for name, values in known.items():
            if len(set(values[mine].tolist())) == 1:
                given.setdefault(name, values[mine][0])
    columns = design_at(fit.attrs["design"], known, given)
    varies = np.array(json.loads(fit.attrs["design"])["varies"])
    return columns[~varies], columns[varies]


def _pass_at_k(
    fit: xr.DataTree,
    system: int,
    ks: NDArray[np.int64],
    target: Target,
    seed: int,
    at: Mapping[str, Any] | None,
) -> Floats:
    """Return the draws of one system, dims (chain, draw, k)."""
    if at is not None:
        own, of_problems = _columns_at(fit, at, system)
        mine = system_design(fit)
        if mine is not None and not np.allclose(own, mine[system]):
            changed = ", ".join(hierarchy_of(fit).system_columns)
            raise OptionError(
                f"at must leave covariates of systems ({changed}) as they are; got {dict(at)!r}. "
                "Of a system with others see bp.forecast_new_system"
            )
        parameters = parameters_of(fit, system, of_problems)
        return np.asarray(-np.expm1(family_of(fit).log_moment(parameters, 0, ks)))
    if target == "population":
        return -np.expm1(log_fail_of_new(fit, system, ks))
    seen = Seen(fit, system, seed)
    return seen.realised(ks) if target == "realised" else seen.pass_at_k(ks)


def log_fail_of_new(fit: xr.DataTree, system: int, ks: NDArray[Any]) -> Floats:
    """Return log fail@k of a new problem like those of one system, dims (chain, draw, k)."""
    family, parts = family_of(fit), parts_of(fit, system)
    log_fail = [family.log_moment(part.parameters, 0, ks) for part in parts]
    if len(parts) == 1:
        return log_fail[0]
    shares = np.array([len(part.rows) for part in parts])
    return np.asarray(logsumexp(log_fail, 0, b=(shares / shares.sum())[:, None, None, None]))


def tail_exponent(fit: xr.DataTree, k: float | Iterable[float]) -> xr.DataArray:
    """Return the posterior of the local tail exponent: how fast fail@k falls at k.

    ``-d log fail@k / d log k`` for a new problem: an exponent of 0.3 says that fail@k falls as
    k^-0.3 near k, so that ten times the attempts leave half as many problems unsolved.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    k : int or sequence of int, dims (k,)
        Where to look, 1 to 1e12.

    Returns
    -------
    xarray.DataArray
        The exponent, dims (chain, draw, system, k). :func:`summarize` makes a table of it.

    Notes
    -----
    For large k it goes to a for a beta, a scaled beta, a Kumaraswamy family and a Libby-Novick
    beta, to a g for a generalized beta, to the smallest of its components' for a mixture, to 0 with
    zero inflation (a plateau), and it grows without end for a logit-normal. At k far beyond the
    attempts it is the family that speaks.

    References
    ----------
    Schaeffer et al. 2025, arXiv:2502.17578.
    """
    ks = check_k(k)
    family_of(fit)  # or an error that says what a fit is
    posterior = fit["posterior"].dataset
    step = 1e-3
    around = (ks[:, None] * np.exp([-step, step])).ravel()
    log_fail = np.stack(
        [log_fail_of_new(fit, system, around) for system in range(posterior.sizes["system"])],
        axis=2,
    )
    return xr.DataArray(
        -np.diff(log_fail.reshape(*log_fail.shape[:3], -1, 2), axis=-1)[..., 0] / (2 * step),
        dims=("chain", "draw", "system", "k"),
        coords=outer_coords(fit) | {"k": ks},
        name="tail_exponent",
    )


def summarize(
    forecast: xr.DataArray, prob: float = 0.95, kind: Literal["eti", "hdi"] = "eti"
) -> "pd.DataFrame":
    """Return a table with the mean, median and credible interval of a forecast.

    Parameters
    ----------
    forecast : DataArray, dims (chain, draw, system, k)
        From :func:`forecast`, or anything with these dims computed from it.
    prob : float
        Posterior probability of the interval, between 0 and 1.
    kind : {"eti", "hdi"}
        Equal-tailed interval, or the highest-density (shortest) one.

    Returns
    -------
    pandas.DataFrame
        Columns system, k, mean, median, lower, upper; one row for each system and k. The
        interval is of each k by itself, not of the whole curve at once. Its ``attrs`` hold
        `prob` and `kind`.

    Raises
    ------
    OptionError
        If `prob` or `kind` has a value that means nothing.
    """
    import pandas as pd

    check_interval(prob, kind)
    values = forecast.transpose("system", "k", "chain", "draw").values
    draws = values.reshape(*values.shape[:2], -1)
    if kind == "eti":
        interval = np.moveaxis(np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], axis=-1), 0, -1)
    else:
        from arviz_stats.base import array_stats

        interval = np.asarray(array_stats.hdi(draws, prob))
    systems, ks = forecast["system"].values, forecast["k"].values
    table = pd.DataFrame(
        {
            "system": np.repeat(systems, len(ks)),
            "k": np.tile(ks, len(systems)),
            "mean": draws.mean(-1).ravel(),
            "median": np.median(draws, axis=-1).ravel(),
            "lower": interval[..., 0].ravel(),
            "upper": interval[..., 1].ravel(),
        }
    )
    table.attrs = {"prob": prob, "kind": kind}
    return table
