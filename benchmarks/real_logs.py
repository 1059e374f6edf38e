"""Hide most attempts of a published log, forecast them, and compare with what they showed.

    python benchmarks/real_logs.py monkeys_math.csv --attempts 20,100,1000 --thinnings 20
    python benchmarks/real_logs.py monkeys_math.csv --thinnings 10 --family beta,kumaraswamy

Prints the error and the coverage of the bands over random thinnings, of each family by itself and
without pooling. The truth is Chen's estimate from all attempts.
"""

import argparse
import math
import warnings
from pathlib import Path

import pandas as pd

import bayespassk as bp


def numbers(text: str) -> list[int]:
    """Return 20, 100 from "20,100"."""
    return [int(float(part)) for part in text.split(",")]


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
                for expected in (bp.errors.PriorDrivenWarning, bp.errors.ConvergenceWarning):
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
    parser.add_argument("--thinnings", type=int, default=20)
    parser.add_argument("--family", default="beta", help="names; of several also their average")
    parser.add_argument("--normal-prior", action="store_true", help="log b ~ normal(log 5, 1.5)")
    options = parser.parse_args()
    log = bp.read_csv(options.log)
    families = {name: bp.family_from_name(name) for name in options.family.split(",")}
    if options.normal_prior:
        families = {"beta": bp.Beta(log_b=bp.Prior(math.log(5.0), 1.5, "normal"))}
    table = score(log, families, options.attempts, options.k, options.thinnings)
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
