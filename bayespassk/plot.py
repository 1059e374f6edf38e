"""Figures of what others computed: one function a verb, each returns its Axes."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from bayespassk.errors import OptionError
from bayespassk.forecasting import summarize

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_forecast"]

# Okabe and Ito's colours, told apart by the colour-blind; the line styles do so in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
STYLES = ("-", "--", "-.", ":")


def plot_forecast(
    forecast: xr.DataArray,
    *,
    prob: float = 0.95,
    attempts: int | None = None,
    truth: ArrayLike | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Return the axes with pass@k against k: the median and a credible band for each system.

    Parameters
    ----------
    forecast : DataArray, dims (chain, draw, system, k)
        From :func:`bayespassk.forecast`; twenty or more values of k give smooth curves.
    prob : float
        Posterior probability of the band at each k (equal-tailed).
    attempts : int, optional
        Attempts made at each problem; the region within them is shaded.
    truth : array, dims (system, k), optional
        Known or estimated pass@k to overlay, NaN where there is none.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    """
    import matplotlib.pyplot as plt

    table = summarize(forecast, prob)
    known = None if truth is None else np.asarray(truth, dtype=float)
    shape = forecast.sizes["system"], forecast.sizes["k"]
    if known is not None and known.shape != shape:
        raise OptionError(f"truth must have dims (system, k), here {shape}; got {known.shape}")
    if ax is None:
        _, ax = plt.subplots(figsize=(6.0, 3.8), layout="constrained")
    for i, (system, rows) in enumerate(table.groupby("system", sort=False)):
        colour, style = COLOURS[i % len(COLOURS)], STYLES[i // len(COLOURS) % len(STYLES)]
        ax.fill_between(rows["k"], rows["lower"], rows["upper"], color=colour, alpha=0.2, lw=0)
        ax.plot(rows["k"], rows["median"], style, color=colour, label=str(system))
        if known is not None:
            ax.plot(rows["k"], known[i], "o", color=colour, ms=3.5, mec="white", mew=0.5)
    if attempts is not None:
        ax.axvspan(forecast["k"].values.min(), attempts, color="0.5", alpha=0.12, lw=0)
        ax.text(attempts, 1.01, f"{attempts:,} attempts made ", ha="right", fontsize="small")
    target = forecast.attrs.get("target", "")
    ax.set(
        xscale="log",
        xlim=(forecast["k"].values.min(), forecast["k"].values.max()),
        ylim=(0, 1),
        xlabel="k, attempts allowed",
        ylabel=f"pass@k ({target})" if target else "pass@k",
    )
    what = f"line: median, band: {prob:.0%}"
    ax.legend(
        title=what if known is None else f"{what}, dots: known",
        title_fontsize="small",
        fontsize="small",
        alignment="left",
        framealpha=0.6,
        edgecolor="none",
    )
    ax.spines[["top", "right"]].set_visible(False)
    return ax
