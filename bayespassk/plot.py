"""Figures of what others computed: one function a verb, each returns its Axes.

Sizes are those of a column of a paper (3.5 inches), with text of 7 to 8 points there; systems
differ in colour, line style and marker, so that they are told apart by the colour-blind and in
grey. Names are text of users, and no formulas.
"""

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from bayespassk.arguments import check_arguments
from bayespassk.asking.pairs import summarize_difference
from bayespassk.asking.spread import spread_of_p
from bayespassk.asking.summaries import summarize
from bayespassk.errors import OptionError
from bayespassk.options import FINDING, check_interval
from bayespassk.scoring import summarize_backtest
from bayespassk.terminal import on_line

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = [
    "WIDTH",
    "as_image",
    "plot_backtest",
    "plot_check",
    "plot_compare",
    "plot_design",
    "plot_difference",
    "plot_family",
    "plot_forecast",
    "plot_loo_pit",
    "plot_spread",
    "short",
    "subplots",
]

# Okabe and Ito's colours, told apart by the colour-blind; line styles and markers do so in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v")

WIDTH = 3.5
"""Inches: a column of a paper, and a phone."""

INSIDE = 4
"""Up to so many names, a legend is within the axes."""


def plot_forecast(
    forecast: xr.DataArray,
    *,
    prob: float = 0.95,
    attempts: int | None = None,
    truth: ArrayLike | None = None,
    tail_exponent: xr.DataArray | None = None,
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
    tail_exponent : DataArray, dims (chain, draw, system, k), optional
        From :func:`bayespassk.tail_exponent`; its median at the largest k is noted by the name of
        each system.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Raises
    ------
    OptionError
        If `prob` means nothing, or `truth` or `tail_exponent` are not of these systems.
    """
    check_arguments("plot_forecast", locals())
    table = summarize(forecast, prob)
    known = None if truth is None else np.asarray(truth, dtype=float)
    shape = forecast.sizes["system"], forecast.sizes["k"]
    if known is not None and known.shape != shape:
        raise OptionError(f"truth must have dims (system, k), here {shape}; got {known.shape}")
    many = forecast.sizes["system"] if forecast.sizes["system"] > INSIDE else 0
    ax = _axes(ax, 2.7 + 0.08 * many)
    ks = forecast["k"].values
    names = [str(name) for name in forecast["system"].values]
    notes = _tail_notes(tail_exponent, names)
    lines = []
    for i, name in enumerate(names):
        rows, look = table.iloc[i * len(ks) : (i + 1) * len(ks)], _look(i)
        ax.fill_between(ks, rows["lower"], rows["upper"], color=look["color"], alpha=0.2, lw=0)
        lines += ax.plot(ks, rows["median"], label=name, lw=1.4, **look)
        if known is not None:
            marker = MARKERS[i % len(MARKERS)]
            ax.plot(ks, known[i], marker, color=look["color"], ms=4, mec="white", mew=0.6)
    ax.set(xscale="log", xlim=(ks.min(), max(ks.max(), 2 * ks.min())), ylim=(0, 1))
    _shade_attempts(ax, ks, attempts)
    target = forecast.attrs.get("target", "")
    _label(ax, "k, attempts allowed", f"pass@k ({target})" if target else "pass@k")
    what = f"median, {prob:.0%} band"
    _legend(ax, lines, notes, what if known is None else f"{what}; dots: known")
    return ax


def _tail_notes(tail_exponent: xr.DataArray | None, names: list[str]) -> list[str]:
    """Return the names of systems, with their tail exponents if these are known."""
    if tail_exponent is None:
        return [short(name) for name in names]
    found = tail_exponent.sel(k=tail_exponent["k"].values.max()).median(("chain", "draw"))
    if found["system"].values.astype(str).tolist() != names:
        raise OptionError("tail_exponent must be of the systems of the forecast, in their order")
    return [
        f"{short(name, 20)}, tail exponent {a:.2f}"
        for name, a in zip(names, found.values, strict=True)
    ]


def plot_family(
    fit: xr.DataTree, system: str | None = None, *, prob: float = 0.95, ax: "Axes | None" = None
) -> "Axes":
    """Return the axes with the distribution of p over problems: the family's, and the problems'.

    How many problems have a success probability of at most p, against p on a log axis. The family's
    is a line with a credible band. The problems attempted lie from the hardest at the bottom to the
    easiest on top: for each a bar, in which its p lies with probability `prob` given its counts,
    and its median.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    system : str, optional
        Label of a system of the fit; needed if there are several.
    prob : float
        Posterior probability of the band and of the bars (equal-tailed).
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Raises
    ------
    OptionError
        If `system` or `prob` means nothing.

    Notes
    -----
    The shaded region is below 1/n, for the most attempts n that were made at a problem. There the
    attempts say little: a problem without success lies there because the family says so, and its
    bar reaches as far down as the family does. With a verifier that is sometimes wrong, p is the
    probability that an attempt is accepted.
    """
    check_arguments("plot_family", locals())
    check_interval(prob, "eti")
    return plot_spread(spread_of_p(fit, system, prob), ax)


def plot_spread(found: xr.Dataset, ax: "Axes | None" = None) -> "Axes":
    """Return the axes of :func:`plot_family`, of what :func:`spread_of_p` returned."""
    ax = _axes(ax)
    prob = float(found.attrs["prob"])
    low, p = float(found["p"].values[0]), found["p"].values
    lower, middle, upper = (found["share_at_most"].sel(part=part).values for part in PARTS)
    problems = found["problems"].values
    top = np.cumsum(problems) / problems.sum()
    bottom = top - problems / problems.sum()
    ends = [found["own"].sel(part=part).values.clip(low, 1.0) for part in PARTS]
    bars = ax.barh(
        (bottom + top) / 2, ends[2] - ends[0], top - bottom, ends[0], color="0.55", alpha=0.45, lw=0
    )
    (steps,) = ax.plot(
        np.repeat(ends[1], 2), np.stack([bottom, top], 1).ravel(), color="black", lw=1.1
    )
    ax.fill_between(p, lower, upper, color=COLOURS[0], alpha=0.3, lw=0)
    (line,) = ax.plot(p, middle, "--", color=COLOURS[0], lw=1.4)
    made = int(found.attrs["attempts"])
    if made:
        ax.axvspan(low, 1 / made, color="0.5", alpha=0.12, lw=0, zorder=0)
        ax.text(
            0, 1.02, f"p below 1/{made:,}: too rare for the attempts made", ha="left",
            fontsize="x-small", transform=ax.transAxes,
        )  # fmt: skip
    ax.set(xscale="log", xlim=(low, 1), ylim=(0, 1))
    _label(ax, "p, success probability of a problem", "share of problems at most p")
    _legend(
        ax,
        [line, steps, bars],
        ["family: median and band", "problems: median", f"problems: {prob:.0%} interval"],
        short(found.attrs["system"]),
    )
    return ax


PARTS = ("lower", "median", "upper")


def plot_compare(
    table: "pd.DataFrame", system: str | None = None, *, ax: "Axes | None" = None
) -> "Axes":
    """Return the axes with how much worse than the best each family foretells unseen problems.

    Parameters
    ----------
    table : DataFrame
        From :func:`bayespassk.compare`.
    system : str, optional
        A system of the table; by default "all", their sum, or the only one.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Raises
    ------
    OptionError
        If `system` is not in the table.

    Notes
    -----
    A dot is elpd minus that of the best family, its bar two standard errors of that to either side.
    A family whose bar reaches zero is not clearly worse; see :func:`bayespassk.compare` for what
    leave-one-out does not judge.
    """
    check_arguments("plot_compare", locals())
    known = table["system"].unique().tolist()
    system = known[-1] if system is None else system
    if system not in known:
        raise OptionError(
            f"system must be one of the table, {', '.join(map(repr, known))}; got {system!r}"
        )
    rows = table[table["system"] == system]
    ax = _axes(ax, 1.1 + 0.26 * len(rows))
    y = np.arange(len(rows))
    off, error = rows["elpd_diff"].to_numpy(), 2 * rows["dse"].to_numpy()
    ax.hlines(y, off - error, off + error, color="0.6", lw=2)
    ax.plot(off, y, "o", color=COLOURS[0], ms=5, zorder=3)
    ax.axvline(0, color="0.6", lw=0.8, zorder=0)
    ax.set_yticks(y, [short(name) for name in rows["family"]], parse_math=False)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_title(short(str(system)), fontsize="small", loc="left", parse_math=False)
    _label(ax, "elpd minus that of the best, bar: 2 SE", "")
    return ax


def plot_difference(
    difference: xr.DataArray,
    *,
    prob: float = 0.95,
    attempts: int | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Return the axes with pass@k of one system minus that of another, against k.

    Parameters
    ----------
    difference : DataArray, dims (chain, draw, k)
        From :func:`bayespassk.difference`; twenty or more values of k give smooth curves.
    prob : float
        Posterior probability of the bands: the inner one at each k by itself, the outer one of the
        whole curve.
    attempts : int, optional
        Attempts made at each problem; the region within them is shaded.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Raises
    ------
    OptionError
        If `prob` means nothing.

    Notes
    -----
    Where the outer band leaves zero, one system is ahead even if that k was chosen after looking.
    """
    check_arguments("plot_difference", locals())
    table = summarize_difference(difference, prob)
    ax = _axes(ax)
    ks, colour = table["k"].to_numpy(), COLOURS[0]
    outer = ax.fill_between(
        ks, table["lower_simultaneous"], table["upper_simultaneous"], color=colour, alpha=0.15, lw=0
    )
    inner = ax.fill_between(ks, table["lower"], table["upper"], color=colour, alpha=0.3, lw=0)
    (line,) = ax.plot(ks, table["median"], color=colour, lw=1.4)
    ax.axhline(0, color="black", lw=0.8)
    ends = table[["lower_simultaneous", "upper_simultaneous"]].to_numpy()
    most = 1.25 * float(np.abs(ends).max()) or 1.0  # a line at zero needs a height, too
    ax.set(xscale="log", xlim=(ks.min(), max(ks.max(), 2 * ks.min())), ylim=(-most, most))
    _shade_attempts(ax, ks, attempts)
    a, b = (short(str(difference.attrs[name])) for name in ("a", "b"))
    for name, height, side in ((a, 0.97, "top"), (b, 0.03, "bottom")):
        ax.text(
            0.98, height, f"{name} ahead", ha="right", va=side, fontsize="x-small",
            transform=ax.transAxes, parse_math=False,
        )  # fmt: skip
    target = difference.attrs.get("target", "")
    _label(ax, "k, attempts allowed", f"difference of pass@k ({target})")
    names = ["median", f"{prob:.0%}, each k by itself", f"{prob:.0%}, whole curve"]
    _legend(ax, [line, inner, outer], names, "")
    return ax


def plot_check(check: xr.Dataset, *, ax: ArrayLike | None = None) -> NDArray[Any]:
    """Return the axes of a posterior predictive check: two panels for each system.

    On the left, how many problems have how many successes (or took how many attempts, where those
    end at a success): bars hold 95% of the replicated data, dots are the data. On the right, each
    statistic in units of its standard deviation in replicated data: bars hold 95% of what is to be
    expected if the family is right; an open dot is a finding.

    Parameters
    ----------
    check : Dataset
        From :func:`bayespassk.check`.
    ax : array of Axes, dims (system, 2), optional
        Where to draw; a new figure by default, of the width of two columns.

    Returns
    -------
    array of Axes, dims (system, 2)

    Raises
    ------
    OptionError
        If `ax` has another shape.
    """
    check_arguments("plot_check", locals())
    systems = check["system"].values
    panels = _grid_of(ax, (len(systems), 2))
    if panels is None:
        panels = subplots(len(systems), 2, 2 * WIDTH, 0.4 + 2.3 * len(systems), width_ratios=(3, 2))
    of = "successes" if check.attrs.get("histogram_of") == "successes" else "attempts taken"
    for i, (left, right) in enumerate(panels):
        one = check.isel(system=i)
        _plot_histogram(left, one, str(systems[i]), legend=i == 0)
        _plot_statistics(right, one)
        last = i == len(systems) - 1
        _label(left, f"{of} at a problem" if last else "", "problems")
        _label(right, "SD from the mean of replicated data" if last else "", "")
    return panels


def _plot_histogram(ax: "Axes", check: xr.Dataset, system: str, legend: bool) -> None:
    low, middle, high = check["replicated_histogram"].quantile([0.025, 0.5, 0.975], "sample").values
    x = np.arange(len(low))
    height = np.maximum(high - low, 0.0)
    bars = ax.bar(x, height, 0.7, low, color=COLOURS[0], alpha=0.3, lw=0)
    medians = ax.hlines(middle, x - 0.35, x + 0.35, color=COLOURS[0])
    (dots,) = ax.plot(x, check["histogram"], "o", color="black", ms=4, clip_on=False)
    ax.set_xticks(x, check["bin"].values, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_ylim(0, None)
    ax.set_title(short(system, 40), fontsize="small", loc="left", parse_math=False)
    if legend:
        _legend(ax, [bars, medians, dots], ["replicated, 95%", "replicated, median", "data"], "")


def _plot_statistics(ax: "Axes", check: xr.Dataset) -> None:
    shown = check.isel(statistic=np.flatnonzero(check["observed"].notnull().values)[::-1])
    ends = shown["lower"], shown["upper"]  # of what is not replicated, 95% of normal variables
    mean = shown["replicated"].mean("sample").fillna(sum(ends) / 2)
    spread = shown["replicated"].std("sample").fillna((ends[1] - ends[0]) / (2 * 1.96))
    scale = spread.where(spread > 0, 1.0)
    low, high, seen = ((shown[n] - mean) / scale for n in ("lower", "upper", "observed"))
    y = np.arange(shown.sizes["statistic"])
    ax.barh(y, high - low, 0.5, low, color=COLOURS[0], alpha=0.3, lw=0)
    missed = shown["p_value"].values < FINDING
    beyond = 6.0
    at = seen.values.clip(-beyond, beyond)
    ax.plot(at[~missed], y[~missed], "o", color="black", ms=4)
    ax.plot(at[missed], y[missed], "o", mfc="white", mec=COLOURS[1], mew=1.5, ms=6)
    for where, height, value in zip(at, y, seen.values, strict=True):
        if abs(value) > beyond:
            side = "left" if value < 0 else "right"
            ax.text(where, height + 0.3, f"{value:.0f}", ha=side, fontsize="x-small")
    ax.axvline(0, color="0.7", lw=0.8, zorder=0)
    ax.set_yticks(y, shown["statistic"].values)
    ax.set(xlim=(-beyond - 0.4, beyond + 0.4), ylim=(-0.6, len(y) - 0.4))


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
    check_arguments("plot_loo_pit", locals())
    check_interval(prob, "eti")
    ax = _axes(ax)
    systems = list(dict.fromkeys(pit["row_system"].values))
    sizes, lines = set(), []
    for i, system in enumerate(systems):
        values = np.sort(pit.values[pit["row_system"].values == system])
        values = values[np.isfinite(values)]
        x = np.concatenate([[0.0], np.repeat(values, 2), [1.0]])
        steps = np.repeat(np.arange(len(values) + 1), 2) / max(1, len(values))
        lines += ax.plot(x, steps - x, lw=1.2, label=str(system), **_look(i))
        sizes.add(len(values))
    for size in sizes - {0}:
        half = np.sqrt(np.log(2 / (1 - prob)) / (2 * size))
        ax.axhspan(-half, half, color="0.5", alpha=0.12, lw=0, zorder=0)
    ax.axhline(0, color="0.7", lw=0.8, zorder=0)
    ax.set_xlim(0, 1)
    _label(ax, "leave-one-out PIT", "share below, minus uniform")
    _legend(ax, lines, [short(str(name)) for name in systems], f"band: {prob:.0%}, whole line")
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
    check_arguments("plot_design", locals())
    from matplotlib.ticker import LogLocator, NullFormatter

    ax = _axes(ax)
    ks, problems = table["k"].unique().tolist(), table["problems"].unique().tolist()
    lines, names = [], []
    for (k, many), rows in table.groupby(["k", "problems"], sort=False):
        i = problems.index(many)
        look = _look(i) | ({"ls": STYLES[ks.index(k) % len(STYLES)]} if len(ks) > 1 else {})
        ordered = rows.sort_values("total")
        x = ordered["total"]
        marker = MARKERS[i % len(MARKERS)]
        lines += ax.plot(x, ordered["half_width"], marker=marker, ms=3.5, **look)
        names.append(f"{many:,} problems" + (f", k = {k:,}" if len(ks) > 1 else ""))
        ax.fill_between(
            x, ordered["lower"], ordered["upper"], color=look["color"], alpha=0.12, lw=0
        )
    asked = f"pass@{ks[0]:,}" if len(ks) == 1 else "pass@k"
    ax.set(xscale="log", yscale="log")
    _label(ax, "attempts in all", f"half-width of the {table.attrs.get('prob', 0.95):.0%} band")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter("{x:.3g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    _legend(ax, lines, names, f"{asked}; line: median, shade: 80% of truths")
    return ax


def plot_backtest(scores: "pd.DataFrame", *, ax: ArrayLike | None = None) -> NDArray[Any]:
    """Return the axes of a backtest: how far forecasts were off, and how often 95% bands held.

    Above, the mean absolute error; below, the share of 95% bands that held the truth, with a
    line where it should be. A column for each k. With several n (or budgets), a line for each
    method; with one, a row for each, the smallest error (mean over k) on top, and a bar of two
    standard errors for having so few systems.

    Parameters
    ----------
    scores : DataFrame
        From :func:`bayespassk.backtest`.
    ax : array of Axes, dims (2, k), optional
        Where to draw; a new figure by default.

    Returns
    -------
    array of Axes, dims (2, k)

    Raises
    ------
    OptionError
        If `ax` has another shape.

    Notes
    -----
    Thinnings of one log share its truth, so that with few systems a coverage away from the line
    means little; see :func:`bayespassk.summarize_backtest`.
    """
    check_arguments("plot_backtest", locals())
    from matplotlib.ticker import LogLocator

    table = summarize_backtest(scores)
    table = table[table["forecasts"] > 0]
    shown, ks = str(table.columns[0]), table["k"].unique()
    alone = table[shown].nunique() == 1
    methods = table.groupby("method", sort=False)["mae"].mean().sort_values().index.tolist()
    axes = _grid_of(ax, (2, len(ks)))
    if axes is None:
        width, height = 1.3 + 2.2 * len(ks), 1.2 + (0.4 * len(methods) if alone else 3.2)
        axes = subplots(2, len(ks), width, height, sharex=not alone, sharey="row")
    for column, k in enumerate(ks):
        rows = table[table["k"] == k].set_index("method")
        if alone:
            _backtest_rows(axes[:, column], rows.reindex(methods))
        else:
            _backtest_lines(axes[:, column], rows, shown, methods)
        axes[0, column].set_title(f"k = {k:,}", fontsize="small", loc="left")
    if not alone:
        for one in axes.flat:
            one.label_outer()
        if (table["mae"] > 0).all():
            axes[0, 0].set_yscale("log", subs=[])
            axes[0, 0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes[0, 0].yaxis.set_major_formatter("{x:.3g}")
        _name(axes[0, 0].figure, axes[0, 0].get_lines(), methods, loc="outside lower left", ncols=2)
    return axes


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
        options = _look(i) | {"marker": MARKERS[i % len(MARKERS)], "ms": 4, "lw": 1.2}
        axes[0].plot(x, own["mae"], label=method, **options)
        axes[1].plot(x, own["coverage_95"], **options)
    what = "n, attempts shown at each problem" if shown == "n" else "attempts shown of each system"
    axes[0].set_xscale("log")
    axes[1].set_ylim(-0.03, 1.03)
    _label(axes[0], "", "mean absolute error")
    _label(axes[1], what, "coverage of 95% bands")
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
    bar = " ± 2 SE" if error.any() else ""
    axes[0].set_xlim(0, None)
    axes[1].set_xlim(0, 1.02)
    _label(axes[0], f"mean absolute error{bar}", "")
    _label(axes[1], "coverage of 95% bands", "")
    for ax in axes:
        ax.set_yticks(y, rows.index, parse_math=False)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.grid(axis="y", color="0.92", lw=0.8)
        ax.set_axisbelow(True)
        ax.tick_params(axis="y", length=0)


# What all have in common -----------------------------------------------------------------------


def subplots(rows: int, columns: int, width: float, height: float, **options: Any) -> NDArray[Any]:
    """Return the axes of a new figure, dims (row, column); `width` and `height` in inches."""
    import matplotlib.pyplot as plt

    size = (width, height)
    _, axes = plt.subplots(
        rows, columns, figsize=size, squeeze=False, layout="constrained", **options
    )
    return np.asarray(axes)


def as_image(axes: "Axes | NDArray[Any]", form: str = "png", dpi: float = 150) -> bytes:
    """Return the figure of some axes as an image of a form, and close it."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    figure = np.atleast_1d(np.asarray(axes, dtype=object)).flat[0].figure
    image = io.BytesIO()
    # No date and no random names: the same figure is the same file.
    known: dict[str, dict[str, None]] = {
        "svg": {"Date": None, "Creator": None}, "png": {"Software": None},
        "pdf": {"CreationDate": None},
    }  # fmt: skip
    with mpl.rc_context({"svg.hashsalt": "bayespassk", "svg.fonttype": "path"}):
        figure.savefig(image, format=form, dpi=dpi, metadata=known.get(form))
    plt.close(figure)
    return image.getvalue()


def short(name: str, most: int = 28) -> str:
    """Return a name on one line; of a long one the beginning and the end."""
    line = on_line(name)
    return line if len(line) <= most else f"{line[: most - 9]}…{line[-8:]}"


def _axes(ax: "Axes | None", height: float = 2.7) -> "Axes":
    """Return the axes to draw in: those given, or new ones."""
    if ax is not None:
        return ax
    new: Axes = subplots(1, 1, WIDTH, height)[0, 0]
    return new


def _grid_of(ax: Any, shape: tuple[int, int]) -> NDArray[Any] | None:
    """Return the axes given as an array of this shape, or raise an error."""
    if ax is None:
        return None
    given = np.asarray(ax, dtype=object)
    if given.shape != shape:
        raise OptionError(f"ax must be an array of Axes of shape {shape}; got {given.shape}")
    return given


def _look(i: int) -> dict[str, Any]:
    """Return colour and line style of the i-th line, of which 28 differ."""
    return {"color": COLOURS[i % len(COLOURS)], "ls": STYLES[i % len(STYLES)]}


def _label(ax: "Axes", x: str, y: str) -> None:
    """Name the axes, in sizes that can be read in a column."""
    ax.set_xlabel(x, fontsize="small", parse_math=False)
    ax.set_ylabel(y, fontsize="small", parse_math=False)
    ax.tick_params(labelsize="x-small")
    ax.spines[["top", "right"]].set_visible(False)


def _legend(ax: "Axes", handles: Sequence[Any], names: Iterable[str], title: str) -> None:
    """Add a legend whose names are text: within the axes if it is small, or else below."""
    from matplotlib.transforms import ScaledTranslation

    options: dict[str, Any] = {"loc": "best", "framealpha": 0.7}
    if len(handles) > INSIDE:
        # Beneath the label of the axis, whatever the size of the figure: 30 points.
        lower = ax.transAxes + ScaledTranslation(0, -30 / 72, ax.figure.dpi_scale_trans)
        options = {
            "loc": "upper left",
            "bbox_to_anchor": (-0.15, 0.0),
            "bbox_transform": lower,
            "ncols": 2,
        }
    legend = _name(
        ax,
        handles,
        names,
        title=title or None,
        title_fontsize="x-small",
        alignment="left",
        **options,
    )
    legend.get_title().set_parse_math(False)
    legend.set_in_layout(len(handles) > INSIDE)  # a long name must not take the place of a plot


def _name(where: Any, handles: Sequence[Any], names: Iterable[str], **options: Any) -> Any:
    """Return a legend of axes or of a figure, whose names are text."""
    numbers = [str(i) for i in range(len(handles))]
    legend = where.legend(
        handles, numbers, fontsize="x-small", edgecolor="none", handlelength=2.4, **options
    )
    # Names are set here, as labels that begin with "_" would be left out.
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)
        text.set_parse_math(False)
    return legend


def _shade_attempts(ax: "Axes", ks: NDArray[Any], attempts: int | None) -> None:
    """Shade the k that were attempted, and say so above."""
    if attempts is None:
        return
    ax.axvspan(ks.min(), attempts, color="0.5", alpha=0.12, lw=0, zorder=0)
    ax.text(
        0, 1.02, f"shaded: {attempts:,} attempts made", fontsize="x-small", transform=ax.transAxes
    )  # fmt: skip
