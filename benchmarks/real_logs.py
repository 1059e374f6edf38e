"""Hide most attempts of a published log, forecast them, and compare with what they showed.

    python benchmarks/real_logs.py monkeys_math.csv --attempts 100 --k 1000,10000
    python benchmarks/real_logs.py monkeys_math.csv --attempts 20,100,1000 --thinnings 20
    python benchmarks/real_logs.py monkeys_math.csv --thinnings 10 --family beta,kumaraswamy

The first prints a table of forecasts, bands and truth, with the wall time of each step; the second
the error and the coverage of the bands over random thinnings. The truth is Chen's estimate from
all attempts.
"""

import argparse
import math
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import bayespassk as bp


def numbers(text: str) -> list[int]:
    """Return 20, 100 from "20,100"."""
    return [int(float(part)) for part in text.split(",")]


def one_thinning(log: bp.Counts, attempts: int, ks: list[int], figure: Path | None) -> str:
    """Return a Markdown table for one thinning, and draw the figure if asked for."""
    counts = bp.thin(log, attempts, random_seed=1)
    laps = {}
    start = time.perf_counter()
    fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, progress=False)
    laps["first fit, compiling"] = time.perf_counter() - start
    start = time.perf_counter()
    bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, progress=False)
    systems = len(counts.systems)
    laps["further fit, per system"] = (time.perf_counter() - start) / systems
    start = time.perf_counter()
    table = bp.summarize(bp.forecast(fit, ks))
    laps["forecast and table, per system"] = (time.perf_counter() - start) / systems
    table["truth"] = bp.estimators.chen(log, ks).ravel()
    table["inside"] = (table["lower"] <= table["truth"]) & (table["truth"] <= table["upper"])
    if figure is not None:
        draw(log, fit, attempts, figure)
    lines = ["| system | k | median | 95% band | truth | inside |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {r.system} | {r.k:,} | {r.median:.3f} | {r.lower:.3f} to {r.upper:.3f} "
        f"| {r.truth:.3f} | {'yes' if r.inside else 'no'} |"
        for r in table.itertuples()
    ]
    lines += ["", *(f"{what}: {seconds:.2f} s" for what, seconds in laps.items())]
    return "\n".join(lines)


def draw(log: bp.Counts, fit, attempts: int, path: Path) -> None:
    """Draw median and band of each system, with the truth at some k."""
    most = int(log.attempts.min())
    ks = np.unique(np.geomspace(1, most, 60).astype(int))
    shown = ks[:: len(ks) // 12]
    truth = np.full((len(log.systems), len(ks)), np.nan)
    truth[:, np.isin(ks, shown)] = bp.estimators.chen(log, shown)
    ax = bp.plot_forecast(bp.forecast(fit, ks), attempts=attempts, truth=truth)
    ax.figure.savefig(path, dpi=240)


def score(
    log: bp.Counts,
    families: dict[str, bp.Family],
    attempts: list[int],
    ks: list[int],
    thinnings: int,
) -> pd.DataFrame:
    """Return error and coverage for each n and k, over thinnings and systems.

    Of the families one by one, and of their equal average if there are several.
    """
    truth = bp.estimators.chen(log, ks).ravel()
    rows = []
    for n in attempts:
        for seed in range(thinnings):
            counts = bp.thin(log, n, random_seed=seed)
            with warnings.catch_warnings():
                for expected in (bp.PriorDrivenWarning, bp.ConvergenceWarning):
                    warnings.simplefilter("ignore", expected)
                fits = {
                    name: bp.fit(counts, family, pooling="none", random_seed=seed, progress=False)
                    for name, family in families.items()
                }
            for target in ("benchmark", "realised"):
                draws = {name: bp.forecast(fit, ks, target=target) for name, fit in fits.items()}
                if len(fits) > 1:
                    draws["average"] = bp.average(fits, ks, target, random_seed=seed)
                for name, values in draws.items():
                    table = bp.summarize(values).assign(n=n, target=target, family=name)
                    rows.append(table.assign(truth=truth))
    table = pd.concat(rows)
    table = table[table["k"] > table["n"]]
    table["error"] = table["mean"] - table["truth"]
    table["abs_error"] = table["error"].abs()
    table["covered"] = (table["lower"] <= table["truth"]) & (table["truth"] <= table["upper"])
    table["width"] = table["upper"] - table["lower"]
    return (
        table.groupby(["target", "family", "n", "k"], sort=False)
        .agg(
            MAE=("abs_error", "mean"),
            bias=("error", "mean"),
            coverage=("covered", "mean"),
            width=("width", "mean"),
            cases=("error", "size"),
        )
        .reset_index()
    )


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", type=Path, help="CSV of counts with many attempts")
    parser.add_argument("--attempts", type=numbers, default=[100])
    parser.add_argument("--k", type=numbers, default=[1000, 10_000])
    parser.add_argument("--thinnings", type=int, default=1)
    parser.add_argument("--figure", type=Path)
    parser.add_argument(
        "--family", default="beta", help="names; with --thinnings also their average"
    )
    parser.add_argument(
        "--normal-prior", action="store_true", help="log b ~ normal(log 5, 1.5), with --thinnings"
    )
    options = parser.parse_args()
    log = bp.read_csv(options.log)
    if options.thinnings == 1:
        for attempts in options.attempts:
            print(one_thinning(log, attempts, options.k, options.figure))
    else:
        families = {name: bp.family_from_name(name) for name in options.family.split(",")}
        if options.normal_prior:
            families = {"beta": bp.Beta(log_b=bp.Prior(math.log(5.0), 1.5, "normal"))}
        table = score(log, families, options.attempts, options.k, options.thinnings)
        print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
