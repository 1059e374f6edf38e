"""The figures of a report, each with what is seen in it, in words."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayespassk.asking.spread import spread_of_p
from bayespassk.options import FINDING, TARGETS
from bayespassk.plot import (
    LABELLED,
    as_image,
    for_page,
    plot_check,
    plot_compare,
    plot_forecast,
    plot_spread,
    short,
    subplots,
)
from bayespassk.reporting.collecting import Findings, estimates

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Figure", "figures"]

CURVES = 40
"""Systems whose forecasts are drawn in one figure; the tables have all."""

POINTS, WIDTH = 10.5, 4.6
"""Of the text of figures, and inches of their width: they can be read on a phone, and printed."""

PANELS = 4
"""Systems that have a figure of their own."""


@dataclass(frozen=True)
class Figure:
    """A figure of a report.

    Attributes
    ----------
    name : str
        Letters, digits and hyphens: what a file of it is called.
    section : str
        The part of the report it is in; that of a forecast is its target.
    caption, alt : str
        What it is, and what is seen in it; both may hold text of users.
    image : bytes
        PNG or SVG.
    """

    name: str
    section: str
    caption: str
    alt: str
    image: bytes


def figures(found: Findings, form: str) -> list[Figure]:
    """Return the figures as images, `form` png or svg."""
    with warnings.catch_warnings(), for_page(POINTS, WIDTH):
        # Names may be in any script; tables have them where a figure cannot.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        warnings.filterwarnings("ignore", ".*does not support .* natively", UserWarning)
        return [
            Figure(name, section, caption, alt, as_image(axes, form, dpi=200))
            for name, section, caption, alt, axes in _drawn(found)
        ]


type _Drawn = tuple[str, str, str, str, Any]


def _drawn(found: Findings) -> Iterator[_Drawn]:
    for target in found.curves:
        yield _forecast(found, target)
    for i, system in enumerate(_shown(found, PANELS)):
        yield _family(found, i, system)
    if found.comparison is not None:
        yield _compare(found.comparison)
        for i, system in enumerate(_shown(found, PANELS)):
            yield _each_family(found, i, system)
    for i, system in enumerate(_worst(found)):
        yield _check(found, i, system)


def _shown(found: Findings, most: int) -> list[str]:
    return list(found.fit.systems[:most])


def _left_out(found: Findings, most: int) -> str:
    """Return what is said of systems that are not drawn."""
    number = len(found.fit.systems)
    return f" The first {most} of {number} systems are shown." if number > most else ""


def _forecast(found: Findings, target: str) -> _Drawn:
    each = found.curves[target]
    systems = _shown(found, CURVES)
    number = len(systems)
    ks = next(iter(each.values()))["k"].values
    dotted = _spaced(ks)
    if number * len(each) > LABELLED:  # rows, of the k that were asked for
        ks = np.unique(found.data["asked"]["k"])
        each = {what: one.sel(k=ks) for what, one in each.items()}
        dotted = np.full(len(ks), True)
    known = np.where(dotted, estimates(found.counts, ks), np.nan)[:number]
    attempts = int(found.fit.most_attempts[:number].max())
    truth = known
    if found.data["asked"][
        "verifier"
    ]:  # several quantities, of which the attempts show the apparent pass@k
        truth = np.concatenate([known] + [np.full_like(known, np.nan)] * (len(each) - 1))
        many = len(found.fit.systems) > 1
        draws = xr.concat(
            [
                one.isel(system=slice(number)).assign_coords(
                    system=[f"{s}: {what}" if many else what for s in systems]
                )
                for what, one in each.items()
            ],
            "system",
        )
    else:
        draws = next(iter(each.values())).isel(system=slice(number))
    prob = found.data["asked"]["prob"]
    axes = plot_forecast(
        draws,
        prob=prob,
        attempts=attempts,
        truth=truth if np.isfinite(truth).any() else None,
        dots="Chen's estimate",
    )
    last = draws.isel(k=[0, -1])
    low, middle, high = (last.quantile(q, ("chain", "draw")) for q in _ends(prob))
    said = "; ".join(
        (
            f"{name} rises from {middle.values[i, 0]:.3g} at k = {ks[0]:,} to "
            if len(ks) > 1
            else f"{name} is "
        )
        + f"{middle.values[i, 1]:.3g} at k = {ks[-1]:,} "
        f"(band there {low.values[i, 1]:.3g} to {high.values[i, 1]:.3g})"
        for i, name in enumerate(draws["system"].values)
    )
    dots = " Dots are Chen's estimate from the attempts made." if np.isfinite(truth).any() else ""
    return (
        f"forecast-{target}",
        target,
        f"Forecast of pass@k, target {target}: {TARGETS[target]}, with {prob:.0%} credible "
        f"intervals at each k; up to {attempts:,} attempts were made at a problem, n.{dots}"
        f"{_left_out(found, CURVES)}",
        f"pass@k by k, target {target}. {said}.",
        axes,
    )


def _spaced(ks: Any) -> Any:
    """Return which k have a dot: every third."""
    return np.arange(len(ks)) % 3 == 0


def _ends(prob: float) -> tuple[float, float, float]:
    return (1 - prob) / 2, 0.5, (1 + prob) / 2


def _family(found: Findings, i: int, system: str) -> _Drawn:
    prob = found.data["asked"]["prob"]
    row = found.data["data"]["systems"][i]
    name = found.data["asked"]["family"]
    return (
        f"family-{i + 1}",
        "family",
        f"Success probabilities of the problems of {system}, family {name}."
        f"{_left_out(found, PANELS)}",
        f"Share of problems against p on a log axis for {system}: the family's curve and that of "
        f"the {row['problems']:,} problems attempted, of which {row['unsolved']:,} were not solved "
        "and have the long bars at the lower left.",
        plot_spread(spread_of_p(found.fit, system, prob)),
    )


def _compare(table: "pd.DataFrame") -> _Drawn:
    rows = table[table["system"] == table["system"].iloc[-1]]
    said = "; ".join(
        f"{row.family} {row.elpd_diff:.1f} (SE {row.dse:.1f})"
        for row in rows.itertuples(index=False)
    )
    return (
        "compare",
        "comparison",
        "How much worse than the best each family foretells problems left out: the difference of "
        "elpd (dot) and two standard errors (bar). A bar that reaches zero is no clear difference.",
        f"A row for each family with its elpd minus that of the best: {said}.",
        plot_compare(table),
    )


def _each_family(found: Findings, i: int, system: str) -> _Drawn:
    """Draw the forecasts of all families for one system, as if these were systems."""
    least = {
        dim: slice(min(draws.sizes[dim] for draws in found.families.values()))
        for dim in ("chain", "draw")
    }
    each = [
        draws.sel(system=[system]).assign_coords(system=[name]).isel(least).drop_vars(list(least))
        for name, draws in found.families.items()
    ]
    draws = xr.concat(each, "system", coords="minimal", compat="override", join="exact")
    where = [f"{short(system, 40)} on {one}" for one in draws["benchmark"].values]
    draws = draws.assign_coords(benchmark=("system", where))
    target, prob = found.data["comparison"]["target"], found.data["asked"]["prob"]
    last = found.data["comparison"]["disagreement"]
    row = max((one for one in last if one["system"] == system), key=lambda one: one["k"])
    said = "; ".join(
        f"{name} {row['medians'][name]:.3g} ({row['bands'][name][0]:.3g} to "
        f"{row['bands'][name][1]:.3g})"
        for name in found.families
    )
    return (
        f"families-{i + 1}",
        "comparison",
        f"Forecasts of each family for {system}, target {target}, with {prob:.0%} credible "
        f"intervals.{_left_out(found, PANELS)}",
        f"pass@k by k for {system}. At k = {row['k']:,}: {said}.",
        plot_forecast(draws, prob=prob),
    )


def _worst(found: Findings) -> list[str]:
    """Return the systems whose check is drawn: those with findings before others."""
    missed = (found.check["p_value"] < FINDING).sum("statistic").values
    order = np.argsort(-missed, kind="stable")[:PANELS]
    return [str(found.check["system"].values[i]) for i in np.sort(order)]


def _check(found: Findings, i: int, system: str) -> _Drawn:
    axes = subplots(2, 1, WIDTH, 6.4)
    one = found.check.sel(system=[system])
    plot_check(one, ax=axes.reshape(1, 2))
    rows = [row for row in found.data["checks"]["rows"] if row["system"] == system]
    missed = [str(row["statistic"]) for row in rows if row["p_value"] < FINDING]
    said = f"outside for {', '.join(missed)}" if missed else "inside for every statistic"
    return (
        f"check-{i + 1}",
        "checks",
        f"Check of {system}.",
        f"Data of {system} (dots) against replicated data (bars); the dots below are {said}.",
        axes,
    )
