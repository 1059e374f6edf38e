"""Figures of what others computed: one function a verb, each returns its Axes."""

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from bayespassk.errors import OptionError
from bayespassk.forecasting import summarize
from bayespassk.scoring import summarize_backtest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "backtest_image",
    "figure_of",
    "plot_backtest",
    "plot_check",
    "plot_design",
    "plot_forecast",
    "plot_loo_pit",
]

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


def plot_check(check: xr.Dataset) -> "Figure":
    """Return a figure of a posterior predictive check: a row of two panels for each system.

    On the left, how many problems have how many successes (or took how many attempts, where those
    end at a success): bars hold 95% of the replicated data, dots are the data. On the right, each
    statistic in units of its standard deviation in replicated data; an open dot is a finding.

    Parameters
    ----------
    check : Dataset
        From :func:`bayespassk.check`.
    """
    import matplotlib.pyplot as plt

    systems = check["system"].values
    figure, panels = plt.subplots(
        len(systems),
        2,
        figsize=(9.0, 0.6 + 2.7 * len(systems)),
        width_ratios=(3, 2),
        squeeze=False,
        layout="constrained",
    )
    for system, (left, right) in zip(systems, panels, strict=True):
        one = check.sel(system=system)
        _plot_histogram(left, one, str(system))
        _plot_statistics(right, one)
    of = "successes" if check.attrs.get("histogram_of") == "successes" else "attempts taken"
    panels[-1, 0].set_xlabel(f"{of} at a problem")
    panels[-1, 1].set_xlabel("SD from the mean of replicated data")
    panels[0, 0].legend(fontsize="small", framealpha=0.6, edgecolor="none")
    return figure


def _plot_histogram(ax: "Axes", check: xr.Dataset, system: str) -> None:
    low, middle, high = check["replicated_histogram"].quantile([0.025, 0.5, 0.975], "sample").values
    x = np.arange(len(low))
    height = np.maximum(high - low, 0.0)
    ax.bar(x, height, 0.7, low, color=COLOURS[0], alpha=0.25, lw=0, label="replicated, 95%")
    ax.hlines(middle, x - 0.35, x + 0.35, color=COLOURS[0], label="replicated, median")
    ax.plot(x, check["histogram"], "o", color="black", ms=4, clip_on=False, label="data")
    ax.set_xticks(x, check["bin"].values, rotation=35, ha="right", rotation_mode="anchor")
    ax.tick_params(labelsize="small")
    ax.set(ylabel="problems", ylim=(0, None))
    ax.set_title(system, fontsize="medium", loc="left")
    ax.spines[["top", "right"]].set_visible(False)


def _plot_statistics(ax: "Axes", check: xr.Dataset) -> None:
    shown = check.isel(statistic=np.flatnonzero(check["observed"].notnull().values)[::-1])
    mean = shown["replicated"].mean("sample")
    spread = shown["replicated"].std("sample")
    scale = spread.where(spread > 0, 1.0)
    low, high, seen = ((shown[n] - mean) / scale for n in ("lower", "upper", "observed"))
    y = np.arange(shown.sizes["statistic"])
    ax.barh(y, high - low, 0.5, low, color=COLOURS[0], alpha=0.25, lw=0)
    missed = shown["p_value"].values < 0.05
    beyond = 6.0
    at = seen.values.clip(-beyond, beyond)
    ax.plot(at[~missed], y[~missed], "o", color="black", ms=4)
    ax.plot(at[missed], y[missed], "o", mfc="white", mec=COLOURS[1], mew=1.5, ms=6)
    for where, height, value in zip(at, y, seen.values, strict=True):
        if abs(value) > beyond:
            side = "left" if value < 0 else "right"
            ax.text(where, height + 0.3, f"{value:.0f}", ha=side, fontsize="x-small")
    ax.axvline(0, color="0.7", lw=0.8, zorder=0)
    ax.set_yticks(y, shown["statistic"].values, fontsize="small")
    ax.set(xlim=(-beyond - 0.4, beyond + 0.4), ylim=(-0.6, len(y) - 0.4))
    ax.tick_params(axis="x", labelsize="small")
    ax.spines[["top", "right"]].set_visible(False)


def plot_loo_pit(pit: xr.DataArray, *, prob: float = 0.95, ax: "Axes | None" = None) -> "Axes":
    """Return the axes with the distribution of leave-one-out PIT values, minus the uniform.

    For the right family a line stays within the band, all of it with probability `prob`. Above
    zero on the left: more problems with few successes than the family makes.

    Parameters
    ----------
    pit : DataArray, dims (row,)
        From :func:`bayespassk.loo_pit`.
    prob : float
        Probability that a line of the right family lies in its band as a whole: sqrt(log(2 /
        (1 - prob)) / 2N) about zero for N problems (Dvoretzky, Kiefer, Wolfowitz; Massart 1990).
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Raises
    ------
    OptionError
        If `prob` is not between 0 and 1.
    """
    import matplotlib.pyplot as plt

    if not 0 < prob < 1:
        raise OptionError(f"prob must lie between 0 and 1, for instance 0.95; got {prob!r}")
    if ax is None:
        _, ax = plt.subplots(figsize=(6.0, 3.8), layout="constrained")
    systems = list(dict.fromkeys(pit["row_system"].values))
    sizes = set()
    for i, system in enumerate(systems):
        values = np.sort(pit.values[pit["row_system"].values == system])
        values = values[np.isfinite(values)]
        colour, style = COLOURS[i % len(COLOURS)], STYLES[i // len(COLOURS) % len(STYLES)]
        x = np.concatenate([[0.0], np.repeat(values, 2), [1.0]])
        steps = np.repeat(np.arange(len(values) + 1), 2) / max(1, len(values))
        ax.plot(x, steps - x, style, color=colour, lw=1.2, label=str(system))
        sizes.add(len(values))
    for size in sizes - {0}:
        half = np.sqrt(np.log(2 / (1 - prob)) / (2 * size))
        ax.axhspan(-half, half, color="0.5", alpha=0.12, lw=0, zorder=0)
    ax.axhline(0, color="0.7", lw=0.8, zorder=0)
    ax.set(xlim=(0, 1), xlabel="leave-one-out PIT", ylabel="share of problems below, minus uniform")
    ax.legend(
        title=f"band: {prob:.0%}, whole line",
        title_fontsize="small",
        fontsize="small",
        alignment="left",
        framealpha=0.6,
        edgecolor="none",
    )
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_design(table: "pd.DataFrame", *, ax: "Axes | None" = None) -> "Axes":
    """Return the axes with the expected half-width of a band against the attempts in all.

    One line for each number of problems, along the attempts at each; solid, dashed and so on for
    the k. Where lines cross, more problems are worth more than more attempts.

    Parameters
    ----------
    table : DataFrame
        From :func:`bayespassk.design`.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter

    if ax is None:
        _, ax = plt.subplots(figsize=(6.0, 3.8), layout="constrained")
    ks, problems = table["k"].unique().tolist(), table["problems"].unique().tolist()
    for (k, many), rows in table.groupby(["k", "problems"], sort=False):
        colour = COLOURS[problems.index(many) % len(COLOURS)]
        label = f"{many:,} problems" + (f", k = {k:,}" if len(ks) > 1 else "")
        style = STYLES[ks.index(k) % len(STYLES)]
        ordered = rows.sort_values("total")
        x = ordered["total"]
        ax.plot(x, ordered["half_width"], style, marker="o", ms=3.5, color=colour, label=label)
        ax.fill_between(x, ordered["lower"], ordered["upper"], color=colour, alpha=0.12, lw=0)
    asked = f"pass@{ks[0]:,}" if len(ks) == 1 else "pass@k"
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="attempts in all",
        ylabel=f"half-width of the {table.attrs.get('prob', 0.95):.0%} band of {asked}",
    )
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter("{x:.3g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.legend(
        title="line: median, shade: 80% of truths",
        title_fontsize="small",
        fontsize="small",
        alignment="left",
        framealpha=0.6,
        edgecolor="none",
    )
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def figure_of(ax: "Axes") -> "Figure":
    """Return the whole figure that axes are in."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("the axes are in no figure")
    return figure


def plot_backtest(scores: "pd.DataFrame") -> NDArray[Any]:
    """Return the axes of a backtest: how far forecasts were off, and how often 95% bands held.

    Above, the mean absolute error; below, the share of 95% bands that held the truth, with a
    line where it should be. A column for each k. With several n (or budgets), a line for each
    method; with one, a row for each, the smallest error (mean over k) on top, and a bar of two
    standard errors for having so few systems.

    Parameters
    ----------
    scores : DataFrame
        From :func:`bayespassk.backtest`.

    Returns
    -------
    array of Axes, dims (2, k)

    Notes
    -----
    Thinnings of one log share its truth, so that with few systems a coverage away from the line
    means little; see :func:`bayespassk.summarize_backtest`.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator

    table = summarize_backtest(scores)
    table = table[table["forecasts"] > 0]
    shown, ks = str(table.columns[0]), table["k"].unique()
    alone = table[shown].nunique() == 1
    methods = table.groupby("method", sort=False)["mae"].mean().sort_values().index.tolist()
    _, axes = plt.subplots(
        2,
        len(ks),
        figsize=(3.4 + 2.6 * len(ks), 1.6 + (0.44 * len(methods) if alone else 4.6)),
        sharex=not alone,
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for column, k in enumerate(ks):
        rows = table[table["k"] == k].set_index("method")
        if alone:
            _backtest_rows(axes[:, column], rows.reindex(methods))
        else:
            _backtest_lines(axes[:, column], rows, shown, methods)
        axes[0, column].set_title(f"k = {k:,}", fontsize="medium", loc="left")
    for ax in axes.flat:
        if not alone:
            ax.label_outer()
        ax.spines[["top", "right"]].set_visible(False)
    if not alone:
        if (table["mae"] > 0).all():
            axes[0, 0].set_yscale("log", subs=[])
            axes[0, 0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes[0, 0].yaxis.set_major_formatter("{x:.3g}")
        handles = axes[0, 0].get_lines()
        names = [line.get_label() for line in handles]
        legend = axes[0, 0].figure.legend(
            handles, names, loc="outside right center", fontsize="small", edgecolor="none"
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    return np.asarray(axes)


def _backtest_lines(
    axes: "NDArray[Any]", rows: "pd.DataFrame", shown: str, methods: list[str]
) -> None:
    """Draw error and coverage at one k against the attempts shown, side by side where equal."""
    values = np.sort(rows[shown].unique())
    apart = 0.25 * np.log(values[1:] / values[:-1]).min() / len(methods)
    axes[1].axhline(0.95, color="0.6", lw=0.8, zorder=0)
    for i, method in enumerate(methods):
        own = rows.loc[[method]].sort_values(shown) if method in rows.index else rows[:0]
        x = own[shown] * np.exp((i - (len(methods) - 1) / 2) * apart)
        colour, style = COLOURS[i % len(COLOURS)], STYLES[i // len(COLOURS) % len(STYLES)]
        options = {"color": colour, "ls": style, "marker": "o", "ms": 4.5, "lw": 1.2}
        axes[0].plot(x, own["mae"], label=method, **options)
        axes[1].plot(x, own["coverage_95"], **options)
    what = "n, attempts shown at each problem" if shown == "n" else "attempts shown of each system"
    axes[0].set(xscale="log", ylabel="mean absolute error")
    axes[1].set(xlabel=what, ylabel="coverage of 95% bands", ylim=(-0.03, 1.03))
    axes[1].set_xticks(values, [f"{value:,}" for value in values])
    axes[1].minorticks_off()


def _backtest_rows(axes: "NDArray[Any]", rows: "pd.DataFrame") -> None:
    """Draw error and coverage of each method at one k, of one number of attempts shown."""
    y = np.arange(len(rows))
    error = 2 * rows["mae_se_systems"].fillna(0.0)
    axes[0].hlines(y, (rows["mae"] - error).clip(lower=0), rows["mae"] + error, color="0.7", lw=2)
    axes[0].plot(rows["mae"], y, "o", color=COLOURS[0], ms=5, clip_on=False, zorder=3)
    axes[1].axvline(0.95, color="0.6", lw=0.8, zorder=0)
    axes[1].plot(rows["coverage_95"], y, "o", color=COLOURS[1], ms=5, clip_on=False, zorder=3)
    bar = ", bar: 2 SE over systems" if error.any() else ""
    axes[0].set(xlim=(0, None), xlabel=f"mean absolute error{bar}")
    axes[1].set(xlim=(0, 1.02), xlabel="coverage of 95% bands")
    for ax in axes:
        ax.set_yticks(y, rows.index, fontsize="small", parse_math=False)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.grid(axis="y", color="0.92", lw=0.8)
        ax.set_axisbelow(True)
        ax.tick_params(axis="y", length=0)


def backtest_image(scores: "pd.DataFrame") -> bytes:
    """Return :func:`plot_backtest` as a PNG."""
    import matplotlib.pyplot as plt

    figure = plot_backtest(scores)[0, 0].figure
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=150)
    plt.close(figure)
    return image.getvalue()
