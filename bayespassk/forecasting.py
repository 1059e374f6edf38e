"""Forecasts: pass@k at any k, as draws from the posterior, and tables of them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.errors import OptionError
from bayespassk.influence import warn_if_prior_rules
from bayespassk.posterior import family_of, parameters_of, parts_of
from bayespassk.seen import Seen

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_interval", "check_k", "check_target", "forecast", "summarize", "tail_exponent"]

type Target = Literal["benchmark", "population", "realised"]
type Floats = NDArray[np.float64]

MOST_K = 10**12


def forecast(
    fit: xr.DataTree,
    k: float | Iterable[float],
    target: Target = "benchmark",
    *,
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
    random_seed : int, optional
        Repeats the draws of p and of the run; by default follows from the seed of the fit, so
        that the same forecast of the same fit is the same. "population" draws nothing.

    Returns
    -------
    xarray.DataArray
        pass@k, dims (chain, draw, system, k). Draws are joint over k, so that differences,
        ratios and bands over k of these draws are right; across systems they are independent.

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

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, random_seed=1)
    >>> draws = bp.forecast(fit, [1, 100, 10_000])
    >>> draws.dims
    ('chain', 'draw', 'system', 'k')
    """
    ks = check_k(k)
    check_target(target)
    family_of(fit)  # or an error that says what a fit is
    posterior = fit["posterior"].dataset
    seed = int(fit.attrs["random_seed"]) if random_seed is None else random_seed
    values = np.stack(
        [_pass_at_k(fit, system, ks, target, seed) for system in range(posterior.sizes["system"])],
        axis=2,
    )
    result = xr.DataArray(
        values,
        dims=("chain", "draw", "system", "k"),
        coords=dict(posterior.coords) | {"k": ks},
        name="pass_at_k",
        attrs={
            "target": target,
            "forecast_seed": seed,
            **{name: fit.attrs[name] for name in ("family", "input_sha256", "bayespassk_version")},
        },
    )
    warn_if_prior_rules(fit, result)
    return result


def _pass_at_k(
    fit: xr.DataTree, system: int, ks: NDArray[np.int64], target: Target, seed: int
) -> Floats:
    """Return the draws of one system, dims (chain, draw, k)."""
    if target == "population":
        family, parts = family_of(fit), parts_of(fit, system)
        shares = np.array([len(part.rows) for part in parts]) / sum(len(p.rows) for p in parts)
        moments = [family.log_moment(part.parameters, 0, ks.astype(float)) for part in parts]
        return np.tensordot(shares, -np.expm1(moments), 1)
    seen = Seen(fit, system, seed)
    return seen.realised(ks) if target == "realised" else seen.pass_at_k(ks)


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
    For large k it goes to a for a beta, a scaled beta and a Kumaraswamy family, to a g for a
    generalized beta, to the smallest of its components' for a mixture, to 0 with zero inflation
    (a plateau), and it grows without end for a logit-normal. At k far beyond the attempts it is
    the family that speaks.

    References
    ----------
    Schaeffer et al. 2025, arXiv:2502.17578.
    """
    ks = check_k(k)
    family, posterior = family_of(fit), fit["posterior"].dataset
    step = 1e-3
    around = ks[:, None] * np.exp([-step, step])
    log_fail = np.stack(
        [
            family.log_moment(parameters_of(fit, system), 0, around)
            for system in range(posterior.sizes["system"])
        ],
        axis=2,
    )
    return xr.DataArray(
        -np.diff(log_fail, axis=-1)[..., 0] / (2 * step),
        dims=("chain", "draw", "system", "k"),
        coords=dict(posterior.coords) | {"k": ks},
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


def check_k(k: float | Iterable[float]) -> NDArray[np.int64]:
    """Return the values of k as an array, or raise an error about the first bad one."""
    given = list(k) if isinstance(k, Iterable) else [k]
    if not given:
        raise OptionError("k must hold at least one number of attempts; got none")
    for value in given:
        whole = isinstance(value, int | float | np.number) and float(value).is_integer()
        if not whole or isinstance(value, bool) or not 1 <= value <= MOST_K:
            raise OptionError(f"k must be a whole number from 1 to 1e12; got {value!r}")
    if len(set(given)) < len(given):
        raise OptionError(f"k must not repeat a value; got {given!r}")
    return np.array([int(value) for value in given], dtype=np.int64)


def check_target(target: str) -> None:
    """Raise an error unless `target` is one of the three."""
    if target not in get_args(Target.__value__):
        raise OptionError(f"target must be 'benchmark', 'population' or 'realised'; got {target!r}")


def check_interval(prob: float, kind: str) -> None:
    """Raise an error unless `prob` and `kind` describe a credible interval."""
    if not 0 < prob < 1:
        raise OptionError(f"prob must lie between 0 and 1, for instance 0.95; got {prob!r}")
    if kind not in ("eti", "hdi"):
        raise OptionError(f"kind must be 'eti' or 'hdi'; got {kind!r}")
