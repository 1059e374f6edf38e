"""Draw every figure and three reports, of 1, 4 and 12 systems, to be looked at.

    python benchmarks/looks.py FOLDER [--shots]

The systems are simulated from betas whose tails differ. With --shots, Chromium shows each report as
a desktop, a phone and paper do (dependency group `browser`), and pages become PNG files, as does
the part of each with the first forecast.
"""

import argparse
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import bayespassk as bp
from bayespassk.plot import as_image

KS = np.unique(np.rint(np.geomspace(1, 1e5, 30)).astype(int))
SIZES = (1, 4, 12)
NAMES = (
    "atlas-1b", "atlas-3b", "atlas-8b-instruct", "birch-7b", "birch-70b", "cedar-mini",
    "cedar-large-2026-03", "delta-coder-32b + agent", "elm-9b, T = 0.6", "elm-9b, T = 1.0",
    "fir-reasoner-14b", "ginkgo",
)  # fmt: skip


def systems(number: int) -> bp.Counts:
    """Return counts of so many systems at the same 100 problems, 80 attempts each."""
    columns: dict[str, list[Any]] = {n: [] for n in ("system", "problem", "attempts", "successes")}
    for i, name in enumerate(NAMES[:number]):
        made = bp.simulate(
            bp.Beta(), {"a": 0.25 + 0.06 * i, "b": 12 / (1 + i)}, problems=100, attempts=80,
            random_seed=i,
        )  # fmt: skip
        columns["system"] += [name] * len(made)
        for column in ("problem", "attempts", "successes"):
            columns[column] += list(getattr(made, column))
    return bp.Counts(benchmark=["arithmetic-100"] * len(columns["system"]), **columns)


def figures(number: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the name of each figure of so many systems, and what draws it."""
    counts = systems(number)
    fit = bp.fit(counts, random_seed=1)
    draws = bp.forecast(fit, KS)
    yield "forecast", lambda: bp.plot_forecast(draws, attempts=80)
    yield (
        "forecast-tail",
        lambda: bp.plot_forecast(draws, tail_exponent=bp.tail_exponent(fit, KS[-1])),
    )
    yield "forecast-one-k", lambda: bp.plot_forecast(bp.forecast(fit, [1000]), attempts=80)
    truth = bp.estimators.chen(counts, KS[KS <= 80])
    known = np.full((number, len(KS)), np.nan)
    known[:, : truth.shape[1]] = truth
    yield "forecast-dots", lambda: bp.plot_forecast(draws, attempts=80, truth=known)
    yield "family", lambda: bp.plot_family(fit, NAMES[0])
    other = bp.fit(counts, bp.Kumaraswamy(), random_seed=1)
    table = bp.compare([fit, other], progress=False)
    yield "compare", lambda: bp.plot_compare(table)
    yield "loo-pit", lambda: bp.plot_loo_pit(bp.loo_pit(fit))
    yield "check", lambda: bp.plot_check(bp.check(fit))
    if number > 1:
        between = bp.difference(fit, NAMES[1], NAMES[0], KS)
        yield "difference", lambda: bp.plot_difference(between, attempts=80)
        return
    sizes = bp.design(bp.Beta(), [50, 200], [10, 100, 1000], [1000, 10_000], truths=10)
    yield "design", lambda: bp.plot_design(sizes)
    methods = ["plug-in", "log-log", "beta"]
    scores = bp.backtest(counts, methods, n=[10, 40], k=[20, 80], repeats=2, cores=1)
    yield "backtest", lambda: bp.plot_backtest(scores)


def shots(page: Path) -> None:
    """Show a page as a desktop, a phone and paper do."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for name, width in (("desktop", 1280), ("phone", 390), ("print", 680)):
            window = browser.new_page(viewport={"width": width, "height": 900})
            window.emulate_media(media="print" if name == "print" else "screen")
            window.goto(page.absolute().as_uri())
            window.screenshot(path=page.with_name(f"{page.stem}-{name}.png"), full_page=True)
            part = window.locator("#benchmark")
            part.screenshot(path=page.with_name(f"{page.stem}-{name}-forecast.png"))
        browser.close()


def main() -> None:
    """Draw into the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shots", action="store_true")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of systems")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    for number in asked.sizes:
        for name, draw in figures(number):
            (asked.folder / f"{number:02}-{name}.png").write_bytes(as_image(draw(), dpi=100))
        page = asked.folder / f"{number:02}-report.html"
        families = bp.ZeroInflated(bp.LibbyNovick()), bp.Beta()
        bp.report([bp.fit(systems(number), one, random_seed=1) for one in families], page)
        if asked.shots:
            shots(page)


if __name__ == "__main__":
    main()
