"""Draws as tables: mean, median and credible interval."""

import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from bayespassk.arrays import Floats
from bayespassk.errors import ConvergenceWarning
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
        Columns system, k, mean, median, lower, upper; one row for each system and k. The
        interval is of each k by itself, not of the whole curve at once. Its ``attrs`` hold
        `prob` and `kind`. Where draws are of NUTS and a Monte Carlo standard error is more than 2%
        of the width of an interval, there are also mcse_mean and, of equal-tailed intervals,
        mcse_lower and mcse_upper: how far another seed would move these.

    Warns
    -----
    ConvergenceWarning
        If there is such an error: more draws would move what is shown.

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
    if forecast.attrs.get("method") == "nuts":
        errors = _errors(values, prob, kind)
        width = (interval[..., 1] - interval[..., 0])[None]
        share = np.divide(errors, width, out=np.zeros_like(errors), where=width > 0)
        if np.nanmax(share) > MOST_ERROR:
            for name, error in zip(("mcse_mean", "mcse_lower", "mcse_upper"), errors, strict=False):
                table[name] = error.ravel()
            _warn(share, [str(name) for name in systems])
    table.attrs = {"prob": prob, "kind": kind}
    return table


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
