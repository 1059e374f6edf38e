"""Figures of what others computed: one function a verb, each returns its Axes.

New figures have the size of a notebook; text has that of matplotlib's settings, so that with
``plt.rc_context({"font.size": 8})`` and axes of 3.5 inches they are for a column of a paper.
Systems differ in colour, line style and marker, so that they are told apart by the colour-blind
and in grey. Names are text of users, and no formulas. Above each figure stands what it is of.
"""

import io
import itertools
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from bayespassk.arguments import check_arguments
from bayespassk.asking.pairs import summarize_difference
from bayespassk.asking.spread import spread_of_p
from bayespassk.asking.summaries import summarize
from bayespassk.errors import OptionError
from bayespassk.options import FINDING, check_interval
from bayespassk.posterior.fitted import attempted
from bayespassk.scoring import summarize_backtest
from bayespassk.terminal import on_line
from bayespassk.texts import times

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = [
    "LABELLED",
    "WIDTH",
    "as_image",
    "for_page",
    "plot_backtest",
    "plot_budget",
    "plot_check",
    "plot_compare",
    "plot_design",
    "plot_difference",
    "plot_family",
    "plot_forecast",
    "plot_loo_pit",
    "plot_spread",
    "short",
    "short_names",
    "subplots",
]

# Okabe and Ito's colours, told apart by the colour-blind; line styles and markers do so in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v")

WIDTH = 3.5
"""Inches: a column of a paper, and a phone."""

WIDE = 5.2
"""Inches: of a new figure, whose text can be read in a notebook."""

_MOST: ContextVar[float] = ContextVar("inches that new figures are wide, at most", default=np.inf)

OURS = "of bayespassk"
"""The label of figures made here, whose whole width is free for what stands above."""

SMALL = "small"
"""The size of all text but the names of axes."""

LABELLED = 4
"""Up to so many systems are lines with their names at the ends; more are rows."""

NAME = 20
"""Letters that a name has beside a line or a row."""


def plot_forecast(
    forecast: xr.DataArray,
    *,
    prob: float = 0.95,
    attempts: int | None = None,
    truth: ArrayLike | None = None,
    dots: str = "known",
    tail_exponent: xr.DataArray | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Return the axes with pass@k: the median and a credible band for each system.

    Against k, of up to 4 systems, whose names stand at the ends of their lines. Of more systems, or
    at one k: a row for each system, the highest forecast on top, with an interval at up to three
    k of the forecast: the largest within the attempts, the largest of all, and one between.

    Parameters
    ----------
    forecast : DataArray, dims (chain, draw, system, k)
        From :func:`bayespassk.forecast`; twenty or more values of k give smooth curves.
    prob : float
        Posterior probability of the band at each k (equal-tailed).
    attempts : int, optional
        Attempts made at each problem, n; the region within them is shaded. By default those of the
        forecast; 0 for no shading.
    truth : array, dims (system, k), optional
        Known or estimated pass@k to overlay as dots, NaN where there is none.
    dots : str
        What they are, such as "Chen's estimate".
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
    if attempts is None and "attempts" in forecast.coords:
        attempts = int(np.max(forecast["attempts"].values))
    names = [str(name) for name in forecast["system"].values]
    lower, median, upper = (table[part].to_numpy().reshape(shape) for part in PARTS)
    notes = _tail_notes(tail_exponent, names)
    drawn = _Forecast(names, notes, forecast["k"].values, lower, median, upper, known, attempts)
    what = "" if known is None else f"; dots: {dots}"
    target = forecast.attrs.get("target", "")
    asked = f"pass@k ({target})" if target else "pass@k"
    if len(names) > LABELLED or len(drawn.ks) == 1:
        ax = _rows(drawn, asked, ax)
        _head(ax, _about(forecast), f"median and {prob:.0%} interval{what}")
    else:
        ax = _curves(drawn, asked, ax)
        shaded = "; shaded: k up to n" if attempts else ""
        _head(ax, _about(forecast), f"median and {prob:.0%} band{shaded}{what}")
    return ax


class _Forecast(NamedTuple):
    """What is drawn of a forecast; arrays with dims (system, k)."""

    names: list[str]
    notes: list[str]
    ks: NDArray[Any]
    lower: NDArray[Any]
    median: NDArray[Any]
    upper: NDArray[Any]
    known: NDArray[Any] | None
    attempts: int | None


def _curves(drawn: _Forecast, asked: str, ax: "Axes | None") -> "Axes":
    """Draw a line and a band for each system, with its name at the end."""
    ks, several = drawn.ks, len(drawn.names) > 1
    said = short_names(drawn.names) if several else [""]
    said = ["\n".join(filter(None, both)) for both in zip(said, drawn.notes, strict=True)]
    ax = _axes(ax, width=WIDE + _room(said))
    for i, name in enumerate(drawn.names):
        look = _look(i)
        ax.fill_between(ks, drawn.lower[i], drawn.upper[i], color=look["color"], alpha=0.2, lw=0)
        ax.plot(ks, drawn.median[i], label=name, lw=1.4, **look)
        if drawn.known is not None:
            marker = MARKERS[i % len(MARKERS)]
            ax.plot(ks, drawn.known[i], marker, color=look["color"], ms=4.5, mec="white", mew=0.6)
    ax.set(xscale="log", xlim=(ks.min(), ks.max()), ylim=(0, 1))
    _shade_attempts(ax, ks, drawn.attempts)
    _label(ax, "k, attempts allowed", asked)
    _name_ends(ax, drawn.median[:, -1], said)
    return ax


def _name_ends(ax: "Axes", heights: NDArray[Any], names: list[str]) -> None:
    """Write names to the right of axes whose y goes from 0 to 1, near these heights but apart."""
    inches = 0.8 * ax.bbox.height / ax.figure.dpi  # a layout leaves less of it
    line = 1.2 * _points(SMALL) / 72 / inches
    sizes = np.array([line * (name.count("\n") + 1) for name in names])
    at = heights.copy()
    order = np.argsort(at, kind="stable")
    for low, high in itertools.pairwise(order):  # upwards, where they would overlap
        at[high] = max(at[high], at[low] + (sizes[low] + sizes[high]) / 2)
    ceiling = 1.0 + line / 2
    for i in order[::-1]:  # and down again, from the top
        at[i] = min(at[i], ceiling - sizes[i] / 2)
        ceiling = at[i] - sizes[i] / 2
    for i, (name, height) in enumerate(zip(names, at.tolist(), strict=True)):
        ax.text(
            1.02, height, name, va="center", color=_look(i)["color"], fontsize=SMALL,
            transform=ax.transAxes, parse_math=False,
        )  # fmt: skip


def _rows(drawn: _Forecast, asked: str, ax: "Axes | None") -> "Axes":
    """Draw a row for each system, with an interval for each of a few k."""
    few = _few(drawn.ks, drawn.attempts)
    order = np.argsort(-drawn.median[:, few[-1]], kind="stable")
    height = 1.3 + len(order) * (0.12 + 0.11 * len(few)) + 0.2 * (len(few) > 1)
    ax = _axes(ax, height, WIDE + _room(drawn.notes))
    y, lines = np.arange(len(order)), []
    for j, k in enumerate(few):
        at = y + (j - (len(few) - 1) / 2) * 0.26
        colour, marker = COLOURS[j], MARKERS[j]
        ax.hlines(at, drawn.lower[order, k], drawn.upper[order, k], color=colour, lw=2, alpha=0.5)
        lines += ax.plot(
            drawn.median[order, k], at, marker, color=colour, ms=4, zorder=3, clip_on=False
        )
        if drawn.known is not None:
            ax.plot(drawn.known[order, k], at, "o", color="black", ms=2.5, zorder=4)
    for place, i in enumerate(order):
        ax.text(
            1.03, place, drawn.notes[i], va="center", fontsize=SMALL,
            transform=ax.get_yaxis_transform(),
        )  # fmt: skip
    names = short_names(drawn.names)
    ax.set_yticks(y, [names[i] for i in order], parse_math=False)
    ax.set(xlim=(0, 1), ylim=(len(order) - 0.5, -0.5))
    ax.set_axisbelow(True)
    ax.grid(axis="x", color="0.92", lw=0.8)
    said = [_with_ratio(int(drawn.ks[k]), drawn.attempts) for k in few]
    _label(ax, f"{asked}, k = {said[0]}" if len(few) == 1 else asked, "")
    ax.tick_params(axis="y", length=0)
    if len(few) > 1:
        _legend(ax, lines, [f"k = {one}" for one in said], "", columns=1)
    return ax


def _few(ks: NDArray[Any], attempts: int | None) -> list[int]:
    """Return the places of at most three k: the last within the attempts, the last, one between."""
    order = np.argsort(ks, kind="stable")
    logs = np.log(ks[order])
    first = max(0, int((ks <= (attempts or 0)).sum()) - 1)
    middle = int(np.abs(logs - (logs[first] + logs[-1]) / 2).argmin())
    return [int(order[i]) for i in sorted({first, middle, len(ks) - 1})]


def _with_ratio(k: int, attempts: int | None) -> str:
    """Return k, and how many times the attempts it is."""
    if not attempts:
        return f"{k:,}"
    return f"{k:,} (within n)" if k <= attempts else f"{k:,} ({times(k / attempts)} n)"


def _about(draws: xr.DataArray | xr.Dataset) -> str:
    """Return what was attempted, if draws know it."""
    names = ("benchmark", "problems", "attempts")
    if not set(names) <= set(draws.coords) or not draws.coords["problems"].ndim:
        return ""
    sets, problems, attempts = (draws.coords[name].values for name in names)
    about = attempted(sets.astype(str).tolist(), problems, attempts)
    one = draws.sizes["system"] == 1
    return f"{short(str(draws['system'].values[0]), 40)} on {about}" if one else about


def _tail_notes(tail_exponent: xr.DataArray | None, names: list[str]) -> list[str]:
    """Return what is noted of the tail exponent of each system, if these are known."""
    if tail_exponent is None:
        return [""] * len(names)
    found = tail_exponent.sel(k=tail_exponent["k"].values.max()).median(("chain", "draw"))
    if found["system"].values.astype(str).tolist() != names:
        raise OptionError("tail_exponent must be of the systems of the forecast, in their order")
    return [f"tail exponent {a:.2f}" for a in found.values]


def plot_family(
    fit: xr.DataTree, system: str | None = None, *, prob: float = 0.95, ax: "Axes | None" = None
) -> "Axes":
    """Return the axes with the distribution of p over problems: the family's, and the problems'.

    How many problems have a success probability of at most p, against p on a log axis. The family's
    is a dashed line with a credible band. The solid line is of the problems attempted: the share
    that is to be expected at most there, given the counts of each. Behind it these lie from the
    hardest at the bottom to the easiest on top: for each a grey bar, in which its p lies with
    probability `prob`.

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
    The dotted line is at 1/n, for the most attempts n that were made at a problem. Below it the
    attempts say little: a problem without success lies there because the family says so, and its
    bar reaches as far down as the family does. With a verifier that is sometimes wrong, p is the
    probability that an attempt is accepted.
    """
    check_arguments("plot_family", locals())
    check_interval(prob, "eti")
    return plot_spread(spread_of_p(fit, system, prob), ax)


def plot_spread(found: xr.Dataset, ax: "Axes | None" = None) -> "Axes":
    """Return the axes of :func:`plot_family`, of what :func:`spread_of_p` returned."""
    ax = _axes(ax, 4.4)
    prob = float(found.attrs["prob"])
    low, p = float(found["p"].values[0]), found["p"].values
    lower, middle, upper = (found["share_at_most"].sel(part=part).values for part in PARTS)
    problems = found["problems"].values
    top = np.cumsum(problems) / problems.sum()
    bottom = top - problems / problems.sum()
    ends = [found["own"].sel(part=part).values.clip(low, 1.0) for part in PARTS]
    bars = ax.barh((bottom + top) / 2, ends[2] - ends[0], top - bottom, ends[0], color="0.85", lw=0)
    band = ax.fill_between(p, lower, upper, color=COLOURS[0], alpha=0.3, lw=0)
    (own,) = ax.plot(p, found["own_at_most"].values, color="black", lw=1.4)
    (line,) = ax.plot(p, middle, "--", color=COLOURS[0], lw=1.4)
    made = int(found.attrs["attempts"])
    if made:
        ax.axvline(1 / made, color="black", ls=":", lw=1)
        ax.text(
            1 / made, 0.98, " 1/n", va="top", fontsize=SMALL, transform=ax.get_xaxis_transform()
        )
    ax.set(xscale="log", xlim=(low, 1), ylim=(0, 1))
    _label(ax, "p, success probability of a problem", "share of problems at most p")
    _legend(
        ax,
        [own, line, band, bars],
        [
            "problems attempted, expected",
            "family, median",
            f"family, {prob:.0%} band",
            f"each problem, {prob:.0%} interval",
        ],
        "",
    )
    _head(
        ax,
        f"{short(found.attrs['system'], 40)} on {found.attrs['attempted']}",
        "left of 1/n the attempts say little: there the family speaks",
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
    A family whose bar reaches zero is not clearly worse. On the right stands the weight of each
    family by stacking: its share in the mixture of these families that foretells problems left out
    best, which is no probability that it is right. See :func:`bayespassk.compare` for what
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
    ax = _axes(ax, 1.5 + 0.28 * len(rows))
    y = np.arange(len(rows))
    off, error = rows["elpd_diff"].to_numpy(), 2 * rows["dse"].to_numpy()
    ax.hlines(y, off - error, off + error, color="0.6", lw=2)
    ax.plot(off, y, "o", color=COLOURS[0], ms=5, zorder=3)
    ax.axvline(0, color="0.6", lw=0.8, zorder=0)
    ax.set_yticks(y, [short(name, 36) for name in rows["family"]], parse_math=False)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    weights = rows.get("weight_stacking")
    for at, weight in enumerate([] if weights is None else weights):
        ax.text(
            1.02, at, f"weight {weight:.2f}", va="center", fontsize=SMALL,
            transform=ax.get_yaxis_transform(),
        )  # fmt: skip
    _label(ax, "elpd minus that of the best; bar: 2 SE", "")
    said = table.attrs.get("attempted", {}).get(system, "")
    whose = "all systems" if system == "all" else short(str(system), 40)
    shares = "" if weights is None else "; weight: share by stacking"
    _head(
        ax,
        f"Families for {whose}{f' on {said}' if said else ''}",
        f"by foretelling problems left out (leave-one-out){shares}",
    )
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
        Attempts made at each problem, n; the region within them is shaded. By default those of the
        difference; 0 for no shading.
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
    attempts = difference.attrs.get("attempts") if attempts is None else attempts
    ax = _axes(ax, 4.1)
    ks, colour = table["k"].to_numpy(), COLOURS[0]
    outer = ax.fill_between(
        ks, table["lower_simultaneous"], table["upper_simultaneous"], color=colour, alpha=0.15, lw=0
    )
    inner = ax.fill_between(ks, table["lower"], table["upper"], color=colour, alpha=0.3, lw=0)
    (line,) = ax.plot(ks, table["median"], color=colour, lw=1.4)
    if len(ks) == 1:  # which is no line
        row = table.iloc[0]
        ends = [[row["median"] - row["lower"]], [row["upper"] - row["median"]]]
        ax.errorbar(ks, [row["median"]], ends, fmt="o", color=colour, capsize=3)
    ax.axhline(0, color="black", lw=0.8)
    limits = table[["lower_simultaneous", "upper_simultaneous"]].to_numpy()
    most = 1.25 * float(np.abs(limits).max()) or 1.0  # a line at zero needs a height, too
    right = ks.max() if len(ks) > 1 else 2 * ks.min()
    ax.set(
        xscale="log", xlim=(ks.min() if len(ks) > 1 else ks.min() / 2, right), ylim=(-most, most)
    )
    _shade_attempts(ax, ks, attempts)
    a, b = short_names([str(difference.attrs[name]) for name in ("a", "b")], 28)
    for name, height, side in ((a, 0.97, "top"), (b, 0.03, "bottom")):
        ax.text(
            0.98, height, f"{name} ahead", ha="right", va=side, fontsize=SMALL,
            transform=ax.transAxes, parse_math=False,
        )  # fmt: skip
    target = difference.attrs.get("target", "")
    _label(ax, "k, attempts allowed", f"difference of pass@k ({target})")
    names = ["median", f"{prob:.0%}, each k by itself", f"{prob:.0%}, whole curve"]
    _legend(ax, [line, inner, outer], names, "")
    shaded = "; shaded: k up to n" if attempts else ""
    _head(ax, difference.attrs.get("attempted", ""), f"{a} minus {b}{shaded}")
    return ax


def plot_budget(forecast: xr.DataArray, *, prob: float = 0.95, ax: "Axes | None" = None) -> "Axes":
    """Return the axes with pass@budget against the budget: a line and a band for each system.

    Parameters
    ----------
    forecast : DataArray, dims (chain, draw, system, budget)
        From :func:`bayespassk.forecast_budget`; twenty or more budgets give smooth curves.
    prob : float
        Posterior probability of the bands, at each budget by itself.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Raises
    ------
    OptionError
        If `prob` means nothing.

    Notes
    -----
    Where bands of two systems overlap, one may be ahead all the same: the draws are joint over
    budgets, and :func:`bayespassk.compare_at_budget` has the difference.
    """
    check_arguments("plot_budget", locals())
    ordered = forecast.sortby("budget")
    table = summarize(ordered, prob)
    ax = _axes(ax, 3.8)
    lines, names = [], []
    for i, system in enumerate(map(str, ordered["system"].values)):
        own = table[table["system"] == system]
        colour, budgets = COLOURS[i % len(COLOURS)], own["budget"].to_numpy()
        ax.fill_between(budgets, own["lower"], own["upper"], color=colour, alpha=0.2, lw=0)
        style: dict[str, Any] = {"color": colour, "ls": STYLES[i % len(STYLES)], "lw": 1.4}
        marker = MARKERS[i % len(MARKERS)] if len(budgets) == 1 else None
        lines += ax.plot(budgets, own["median"], marker=marker, **style)
        names.append(short(system))
    ax.set(xscale="log", ylim=(0, 1))
    unit = str(forecast.attrs.get("unit", "")).replace("_", " ")
    _label(ax, f"budget for each problem{f', {unit}' if unit else ''}", "pass@budget")
    _legend(ax, lines, names, "")
    way = {"serial": "attempts one after the other", "parallel": "attempts all at once"}
    target = str(forecast.attrs.get("target", ""))
    how = way.get(str(forecast.attrs.get("way", "")), "")
    _head(ax, str(forecast.attrs.get("attempted", "")), f"{target}; {how}; {prob:.0%} bands")
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
        height = 0.8 + 2.4 * len(systems)
        panels = subplots(len(systems), 2, 8.4, height, width_ratios=(3, 2))
    of = "successes" if check.attrs.get("histogram_of") == "successes" else "attempts taken"
    for i, (left, right) in enumerate(panels):
        one = check.isel(system=i)
        last = i == len(systems) - 1
        _plot_histogram(left, one)
        _plot_statistics(right, one)
        _label(left, f"{of} at a problem" if last else "", "problems")
        _label(right, "SD from the mean of replicated data" if last else "", "")
        how = "" if i else "bar, line: 95%, median of replicated; dot: data"
        _head(left, _about(check.isel(system=[i])) or str(systems[i]), how)
    return panels


def _plot_histogram(ax: "Axes", check: xr.Dataset) -> None:
    low, middle, high = check["replicated_histogram"].quantile([0.025, 0.5, 0.975], "sample").values
    x = np.arange(len(low))
    height = np.maximum(high - low, 0.0)
    ax.bar(x, height, 0.7, low, color=COLOURS[0], alpha=0.3, lw=0)
    ax.hlines(middle, x - 0.35, x + 0.35, color=COLOURS[0])
    ax.plot(x, check["histogram"], "o", color="black", ms=4, clip_on=False)
    ax.set_xticks(x, check["bin"].values, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_ylim(0, None)


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
            ax.text(where, height + 0.3, f"{value:.0f}", ha=side, fontsize=SMALL)
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
    ax = _axes(ax, 3.9)
    systems = list(dict.fromkeys(map(str, pit["row_system"].values)))
    steps = [_steps(pit.values[pit["row_system"].values == system]) for system in systems]
    halves = [np.sqrt(np.log(2 / (1 - prob)) / (2 * max(1, len(x) // 2 - 1))) for x, _ in steps]
    apart = np.array([np.abs(y).max() / half for (_, y), half in zip(steps, halves, strict=True)])
    named = np.argsort(-apart, kind="stable")
    said = short_names(systems)
    if len(systems) > LABELLED:  # who leaves the band has a name, and the others are grey
        named = named[apart[named] > 1][:LABELLED]
    lines: list[Any] = []
    names: list[str] = []
    for i in [*np.setdiff1d(np.arange(len(systems)), named), *np.sort(named)]:
        x, y = steps[i]
        place = len(lines)
        look = _look(place) if i in named else {"color": "0.65", "ls": "-"}
        line = ax.plot(x, y, lw=1.2 if i in named else 0.8, label=systems[i], **look)
        if i in named:
            lines += line
            names.append(said[i])
    for half in set(halves):
        ax.axhspan(-half, half, color="0.5", alpha=0.12, lw=0, zorder=0)
    ax.axhline(0, color="0.7", lw=0.8, zorder=0)
    ax.set_xlim(0, 1)
    _label(ax, "leave-one-out PIT", "share below, minus uniform")
    rest = len(systems) - len(named)
    several = len(systems) > 1
    if lines and several:
        _legend(ax, lines, names, "")
    about = pit.attrs.get("attempted", "")
    _head(
        ax,
        about if several else " on ".join(filter(None, (short(systems[0], 40), about))),
        f"band: {prob:.0%} of right families stay within"
        + (f"; grey: {rest} of {len(systems)} systems" if rest else ""),
    )
    return ax


def _steps(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the line of the share of values that are at most x, minus x."""
    ordered = np.sort(values[np.isfinite(values)])
    x = np.concatenate([[0.0], np.repeat(ordered, 2), [1.0]])
    return x, np.repeat(np.arange(len(ordered) + 1), 2) / max(1, len(ordered)) - x


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

    lines_of_legend = len(table[["k", "problems"]].drop_duplicates())
    ax = _axes(ax, 3.6 + 0.1 * lines_of_legend)
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
    _legend(ax, lines, names, "")
    target, family = (table.attrs.get(name, "") for name in ("target", "family"))
    about = [f"{asked} ({target})" if target else asked]
    if table.attrs.get("pilot"):
        about.append(f"truths from a pilot of {family} ({table.attrs['attempted']})")
    elif family:
        about.append(f"truths from the prior of {family}")
    _head(ax, ", ".join(about), "line: median, shade: 80% of truths")
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
        width, height = 1.3 + 2.9 * len(ks), 1.6 + (0.45 * len(methods) if alone else 3.6)
        axes = subplots(2, len(ks), width, height, sharex=not alone, sharey="row")
    for column, k in enumerate(ks):
        rows = table[table["k"] == k].set_index("method")
        if alone:
            _backtest_rows(axes[:, column], rows.reindex(methods))
        else:
            _backtest_lines(axes[:, column], rows, shown, methods)
        axes[0, column].set_title(f"k = {k:,}", fontsize=SMALL, loc="left")
    made = int(table[shown].iloc[0]) if alone else None
    each = "at each problem" if shown == "n" else "of each system"
    hidden = f"; {made:,} attempts {each} shown" if made else ""
    how = f"target: Chen's estimate from all n attempts{hidden}"
    _head(axes[0, 0], scores.attrs.get("attempted", ""), how, axes.size)
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
    figure, axes = plt.subplots(
        rows, columns, figsize=size, squeeze=False, layout="constrained", **options
    )
    figure.set_label(OURS)
    return np.asarray(axes)


@contextmanager
def for_page(points: float, most: float) -> Iterator[None]:
    """Make new figures for a page: text of so many points, and at most so many inches wide."""
    import matplotlib.pyplot as plt

    before = _MOST.set(most)
    try:
        with plt.rc_context({"font.size": points}):
            yield
    finally:
        _MOST.reset(before)


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


def short_names(names: Sequence[str], most: int = NAME) -> list[str]:
    """Return names on one line each, as :func:`short`, that differ where the names do.

    Of long names that begin and end alike, most of what they begin with is left out.
    """
    lines = [on_line(name) for name in names]
    for width in range(most, max(map(len, lines))):
        plain = [short(line, width) for line in lines]
        for said in (plain, _without_beginning(lines, plain, width)):
            if len(set(said)) == len(set(lines)):
                return said
    return lines


def _without_beginning(lines: list[str], said: list[str], width: int) -> list[str]:
    """Return names of so many letters, those that would be said alike without what they share."""
    found = list(said)
    for alike in {one for one in said if said.count(one) > 1}:
        group = [i for i, one in enumerate(said) if one == alike]
        own = [lines[i] for i in group]  # what the first and the last have in common, all have
        pairs = zip(min(own), max(own), strict=False)
        both = "".join(a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        begin = re.sub(r"[^\W_]*$", "", both)
        for i in group:
            found[i] = short(f"{begin[:5]}…{lines[i][len(begin) :]}", width)
    return found


def _axes(ax: "Axes | None", height: float = 3.4, width: float = WIDE) -> "Axes":
    """Return the axes to draw in: those given, or new ones."""
    if ax is not None:
        return ax
    new: Axes = subplots(1, 1, min(width, _MOST.get()), height)[0, 0]
    return new


def _room(names: Iterable[str]) -> float:
    """Return the inches that names take beside axes."""
    longest = max(len(line) for name in names for line in name.split("\n"))
    return longest * 0.55 * _points(SMALL) / 72 + 0.1 if longest else 0.0


def _points(size: str) -> float:
    """Return a size of text in points."""
    from matplotlib.font_manager import FontProperties

    return float(FontProperties(size=size).get_size_in_points())


def _head(ax: "Axes", about: str, how: str, panels: int = 1) -> None:
    """Write above what is shown, and how: above a figure of so many panels if ours, or the axes."""
    figure = ax.figure
    alone = figure.get_label() == OURS and len(figure.axes) == panels
    room = max(24, int(_inches(ax, panels) * 72 / (0.53 * _points(SMALL))))
    rows = [
        row
        for part in (about, how)
        for row in textwrap.wrap(on_line(part), room, max_lines=3, placeholder="…")
    ]
    options: dict[str, Any] = {"fontsize": SMALL, "parse_math": False}
    if alone:
        figure.suptitle("\n".join(rows), x=0.01, ha="left", **options)
    else:
        own = [title for title in [ax.get_title(loc="left")] if title]
        ax.set_title("\n".join(rows + own), loc="left", **options)


def _inches(ax: "Axes", panels: int = 1) -> float:
    """Return the width there is: of a figure of so many panels, if it is ours, or of the axes."""
    figure = ax.figure
    alone = figure.get_label() == OURS and len(figure.axes) == panels
    return float((figure.bbox if alone else ax.bbox).width / figure.dpi)


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
    ax.set_xlabel(x, fontsize="medium", parse_math=False)
    ax.set_ylabel(y, fontsize="medium", parse_math=False)
    ax.tick_params(labelsize=SMALL)
    ax.spines[["top", "right"]].set_visible(False)


def _legend(
    ax: "Axes", handles: Sequence[Any], names: Iterable[str], title: str, columns: int = 2
) -> None:
    """Add a legend whose names are text: beneath the axes, where it covers nothing.

    In as many columns as the figure has room for.
    """
    from matplotlib.transforms import ScaledTranslation

    names = list(names)
    em = _points(SMALL) / 72
    while columns > 1:
        rows = -(-len(names) // columns)
        widest = [max(map(len, names[i : i + rows])) for i in range(0, len(names), rows)]
        if sum(0.53 * em * one + 5 * em for one in widest) < 0.9 * _inches(ax):
            break
        columns -= 1
    # Beneath the label of the axis, whatever the size of the figure.
    down = (10 + 1.25 * (_points(SMALL) + _points("medium"))) / 72
    lower = ax.transAxes + ScaledTranslation(0, -down, ax.figure.dpi_scale_trans)
    legend = _name(
        ax,
        handles,
        names,
        title=title or None,
        title_fontsize=SMALL,
        alignment="left",
        loc="upper left",
        bbox_to_anchor=(-0.02, 0.0),
        bbox_transform=lower,
        ncols=columns,
        borderaxespad=0,
    )
    legend.get_title().set_parse_math(False)


def _name(where: Any, handles: Sequence[Any], names: Iterable[str], **options: Any) -> Any:
    """Return a legend of axes or of a figure, whose names are text."""
    numbers = [str(i) for i in range(len(handles))]
    legend = where.legend(
        handles, numbers, fontsize=SMALL, edgecolor="none", handlelength=2.4, **options
    )
    # Names are set here, as labels that begin with "_" would be left out.
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)
        text.set_parse_math(False)
    return legend


def _shade_attempts(ax: "Axes", ks: NDArray[Any], attempts: int | None) -> None:
    """Shade the k that were attempted, and write above how many times the attempts k is."""
    if not attempts:
        return
    ax.axvspan(ks.min(), attempts, color="0.5", alpha=0.12, lw=0, zorder=0)
    tens = attempts * 10.0 ** np.arange(13)
    tens = tens[(tens >= ks.min()) & (tens <= ks.max())]
    above = ax.secondary_xaxis("top")
    above.set_xticks(tens, ["n" if one == attempts else f"{one / attempts:,.0f} n" for one in tens])
    above.minorticks_off()
    above.tick_params(labelsize=SMALL, length=3, pad=1)
    above.spines["top"].set_visible(False)
