"""Draws as tables: mean, median and credible interval."""

from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from bayespassk.asking.moved import ALONE, medians_alone
from bayespassk.options import check_interval

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["summarize"]


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
        Columns system, k, mean, median, lower, upper, and of a pooled forecast alone, the median of
        the system by itself where it is known; one row for each system and k. The
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
    alone = medians_alone(forecast.transpose(..., "system", "k"), np.median(draws, axis=-1))
    if alone is not None:
        table[ALONE] = alone.ravel()
    table.attrs = {"prob": prob, "kind": kind}
    return table
