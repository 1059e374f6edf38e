"""Draws as tables: mean, median and credible interval."""

import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats
from bayespassk.asking.moved import ALONE, medians_alone
from bayespassk.errors import ConvergenceWarning, ForecastWarning
from bayespassk.options import check_interval

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["summarize"]

LEAST = 0.1
"""Share of the draws that makes a mode of its own worth a word."""

BINS = 15
"""Of an interval, among which a valley is looked for."""


def summarize(
    forecast: xr.DataArray, prob: float = 0.95, kind: Literal["eti", "hdi"] = "eti"
) -> "pd.DataFrame":
    """Return a table with the mean, median and credible interval of a forecast.

    Parameters
    ----------
    forecast : DataArray, dims (chain, draw, system, k)
        From :func:`forecast`, or anything with these dims computed from it. In place of k the last
        dim may be queries (:func:`deployment_risk`) or risk (:func:`queries_for`).
    prob : float
        Posterior probability of the interval, between 0 and 1.
    kind : {"eti", "hdi"}
        Equal-tailed interval, or the highest-density (shortest) one.

    Returns
    -------
    pandas.DataFrame
        Columns system, k (or what the dim is), mean, median, lower, upper, and of a pooled forecast
        alone, the median of the system by itself where it is known; one row for each system and k.
        The interval is of each k by itself, not of the whole curve at once; of draws with NaN it is
        NaN. Its ``attrs`` hold `prob` and `kind`. Where draws are of NUTS and a Monte Carlo
        standard error is more than 2% of the width of an interval, there are also mcse_mean and,
        of equal-tailed intervals, mcse_lower and mcse_upper: how far another seed would move these.

    Warns
    -----
    ConvergenceWarning
        If there is such an error: more draws would move what is shown.
    ForecastWarning
        A highest-density interval spans two clear modes.

    Raises
    ------
    OptionError
        If `prob` or `kind` has a value that means nothing.
    """
    check_arguments("summarize", locals())
    import pandas as pd

    check_interval(prob, kind)
    (dim,) = (str(one) for one in forecast.dims if one not in ("chain", "draw", "system"))
    values = forecast.transpose("system", dim, "chain", "draw").values
    draws = values.reshape(*values.shape[:2], -1)
    if kind == "eti":
        interval = np.moveaxis(np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], axis=-1), 0, -1)
    else:
        from arviz_stats.base import array_stats

        interval = np.asarray(array_stats.hdi(draws, prob))
        interval[np.isnan(draws).any(-1)] = np.nan  # which ArviZ leaves out
        _warn_of_modes(forecast, dim, draws, interval, prob)
    systems, ks = forecast["system"].values, forecast[dim].values
    table = pd.DataFrame(
        {
            "system": np.repeat(systems, len(ks)),
            dim: np.tile(ks, len(systems)),
            "mean": draws.mean(-1).ravel(),
            "median": np.median(draws, axis=-1).ravel(),
            "lower": interval[..., 0].ravel(),
            "upper": interval[..., 1].ravel(),
        }
    )
    if forecast.attrs.get("method") == "nuts":
        errors = _errors(values, prob, kind)
        width = (interval[..., 1] - interval[..., 0])[None]
        share = np.divide(errors, width, out=np.zeros_like(errors), where=width > 0)
        if np.nanmax(share) > MOST_ERROR:
            for name, error in zip(("mcse_mean", "mcse_lower", "mcse_upper"), errors, strict=False):
                table[name] = error.ravel()
            _warn(share, [str(name) for name in systems])
    alone = medians_alone(forecast.transpose(..., "system", dim), np.median(draws, axis=-1))
    if alone is not None:
        table[ALONE] = alone.ravel()
    table.attrs = {"prob": prob, "kind": kind}
    return table


def _warn_of_modes(
    forecast: xr.DataArray, dim: str, draws: Floats, interval: Floats, prob: float
) -> None:
    """Warn where an interval of highest density has a valley between two modes."""
    for i, system in enumerate(forecast["system"].values):
        for j, k in enumerate(forecast[dim].values):
            low, high = interval[i, j]
            if not low < high:
                continue
            height = np.histogram(draws[i, j], BINS, (low, high))[0]
            left = np.maximum.accumulate(height)
            right = np.maximum.accumulate(height[::-1])[::-1]
            share = height.cumsum() / height.sum()
            valley = height < 0.5 * np.minimum(left, right)
            if (valley & (share > LEAST) & (share < 1 - LEAST)).any():
                warnings.warn(
                    ForecastWarning(
                        f"the {prob:.0%} highest-density interval at {dim} = {k:,} of "
                        f"{str(system)!r} spans two modes and what lies between, where there is "
                        "little: use "
                        "kind='eti', or look at the draws",
                        systems=[str(system)],
                        k=int(k),
                    ),
                    stacklevel=3,
                )
                return


MOST_ERROR = 0.02
"""Monte Carlo standard errors above this share of a band's width are told."""


def _errors(values: Floats, prob: float, kind: str) -> Floats:
    """Return Monte Carlo standard errors of mean, lower and upper, dims (which, system, k).

    Of draws that follow each other in a chain: `values` have dims (system, k, chain, draw).
    """
    from arviz_stats.base import array_stats

    ends = ((1 - prob) / 2, (1 + prob) / 2) if kind == "eti" else ()
    with np.errstate(all="ignore"):  # values that are all the same have none
        found = [
            array_stats.mcse(values, method="mean"),
            *(array_stats.mcse(values, method="quantile", prob=end) for end in ends),
        ]
    return np.nan_to_num(np.asarray(found))


def _warn(share: Floats, systems: list[str]) -> None:
    """Issue a warning about the systems with large Monte Carlo errors."""
    bad = np.flatnonzero((share > MOST_ERROR).any((0, 2)))
    some = ", ".join(repr(systems[i]) for i in bad[:3])
    warnings.warn(
        ConvergenceWarning(
            f"another seed would move what is shown of {some}{', ...' if len(bad) > 3 else ''}: "
            f"the Monte Carlo standard error is up to {share.max():.1%} of the width of the band "
            f"(should be at most {MOST_ERROR:.0%}); see the columns mcse_mean, mcse_lower and "
            "mcse_upper. Fit again with more draws",
            systems=[systems[i] for i in bad],
        ),
        stacklevel=3,
    )
