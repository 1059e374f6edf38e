"""Forecasts with and without pooling, from thinned attempts, against what all attempts show.

Every log is thinned at random to n attempts a problem, fitted with each kind of pooling, and
the benchmark's pass@k forecast; the truth is Chen's estimate from all attempts. With --held-out one
system at a time is thinned and the others keep all their attempts: what can a new system with few
attempts borrow from systems that are known?

With --diagnose, partial pooling is fitted to whole logs and to odd parts of them, and what the
sampler says of itself is printed.

    python benchmarks/pooling.py monkeys_math.csv code_contests.csv
    python benchmarks/pooling.py monkeys_math.csv pythia_checkpoints.csv --diagnose
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import bayespassk as bp

KS = [1000, 10_000]


def thinned(log: bp.Counts, attempts: int, seed: int, only: str | None = None) -> bp.Counts:
    """Return the log with fewer attempts, of one system if `only` is given."""
    few = bp.thin(log, attempts, random_seed=seed)
    if only is None:
        return few
    mine = log.system_index == log.systems.index(only)
    return bp.Counts(
        problem=log.problem,
        system=log.system,
        attempts=np.where(mine, few.attempts, log.attempts),
        successes=np.where(mine, few.successes, log.successes),
    )


def rows_of(
    log: bp.Counts, n: int, seed: int, systems: list[str], options: argparse.Namespace
) -> list[dict]:
    """Return one row for each kind of pooling, system and k."""
    counts = thinned(log, n, seed, systems[0] if options.held_out else None)
    found = []
    for pooling in options.pooling.split(","):
        own = counts.select(systems[0]) if options.held_out and pooling == "none" else counts
        start = time.perf_counter()
        fit = bp.fit(
            own,
            bp.family_from_name(options.family),
            pooling=pooling,
            random_seed=seed,
            progress=False,
        )
        seconds = time.perf_counter() - start
        diagnostics = bp.diagnostics(fit)
        table = bp.summarize(bp.forecast(fit, KS)).set_index(["system", "k"])
        for system in systems:
            truth = bp.estimators.chen(log.select(system), KS).ravel()
            for k, value in zip(KS, truth, strict=True):
                row = table.loc[system, k]
                found.append(
                    {
                        "n": n,
                        "pooling": pooling,
                        "k": k,
                        "error": row["median"] - value,
                        "inside": row["lower"] <= value <= row["upper"],
                        "width": row["upper"] - row["lower"],
                        "fit": (n, pooling, seed, systems[0]),
                        "divergences": diagnostics.divergences,
                        "rhat": diagnostics.max_rhat,
                        "ess": diagnostics.min_ess,
                        "seconds": seconds,
                    }
                )
    return found


def summary(name: str, rows: list[dict]) -> list[dict]:
    """Return a line for each number of attempts and kind of pooling."""
    frame, lines = pd.DataFrame(rows), []
    for (n, pooling), group in frame.groupby(["n", "pooling"], sort=False):
        fits = group.drop_duplicates("fit")
        line = {"log": name, "n": n, "pooling": pooling}
        for k in KS:
            at = group[group["k"] == k]
            line |= {
                f"MAE {k}": f"{at['error'].abs().mean():.3f}",
                f"bias {k}": f"{at['error'].mean():+.3f}",
                f"inside {k}": f"{at['inside'].mean():.2f}",
                f"width {k}": f"{at['width'].mean():.2f}",
            }
        lines.append(
            line
            | {
                "divergences": int(fits["divergences"].sum()),
                "fits": len(fits),
                "R-hat": f"{fits['rhat'].max():.3f}",
                "ESS": f"{fits['ess'].min():.0f}",
                "seconds": f"{fits['seconds'].median():.2f}",
            }
        )
    return lines


def cases(path: Path, attempts: list[int]) -> dict[str, bp.Counts]:
    """Return what is diagnosed: the log thinned, whole, and some odd parts of it."""
    log = bp.read_csv(path)
    name = path.stem
    found = {f"{name}, all": log}
    found |= {
        f"{name}, n = {n}": bp.thin(log, n, random_seed=1)
        for n in attempts
        if n < log.attempts.min()
    }
    frame, position = log.to_dataframe(), log.system_index
    found[f"{name}, one system"] = log.select(log.systems[0])
    found[f"{name}, two systems"] = bp.Counts.from_dataframe(frame[position < 2])
    if len(set(frame.benchmark)) > 1:
        one = frame[frame.benchmark == frame.benchmark.iloc[0]]
        found[f"{name}, one benchmark"] = bp.Counts.from_dataframe(one)
    unsolved = frame.assign(successes=frame.successes.where(position > 0, 0))
    found[f"{name}, one system without success"] = bp.Counts.from_dataframe(unsolved)
    found[f"{name}, no success"] = bp.Counts.from_dataframe(frame.assign(successes=0))
    return found


def diagnose(options: argparse.Namespace) -> None:
    """Print what the sampler says of itself."""
    print("| counts | systems | family | divergences | R-hat | ESS | steps | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    for path in options.logs:
        for label, counts in cases(path, list(map(int, options.attempts.split(",")))).items():
            for name in options.family.split(","):
                start = time.perf_counter()
                family = bp.family_from_name(name)
                fit = bp.fit(counts, family, pooling="partial", random_seed=1, progress=False)
                seconds, found = time.perf_counter() - start, bp.diagnostics(fit)
                steps = float(fit["sample_stats"]["n_steps"].mean())
                print(
                    f"| {label} | {len(counts.systems)} | {name} | {found.divergences} "
                    f"| {found.max_rhat:.3f} | {found.min_ess:.0f} | {steps:.0f} | {seconds:.0f} |",
                    flush=True,
                )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logs", type=Path, nargs="+", help="CSV of counts with many attempts")
    parser.add_argument("--attempts", default="5,20,100,1000")
    parser.add_argument("--pooling", default="none,partial")
    parser.add_argument("--family", default="beta")
    parser.add_argument("--thinnings", type=int, default=20)
    parser.add_argument("--diagnose", action="store_true", help="print how the sampler fared")
    parser.add_argument("--held-out", action="store_true", help="thin one system at a time")
    options = parser.parse_args()
    for one in (
        bp.errors.ForecastWarning,
        bp.errors.PriorDrivenWarning,
        bp.errors.ConvergenceWarning,
    ):
        warnings.simplefilter("ignore", one)  # the table has the figures
    if options.diagnose:
        diagnose(options)
        return
    lines = []
    for path in options.logs:
        log, rows = bp.read_csv(path), []
        groups = [[s] for s in log.systems] if options.held_out else [list(log.systems)]
        for n in map(int, options.attempts.split(",")):
            for seed in range(1, options.thinnings + 1):
                for systems in groups:
                    rows += rows_of(log, n, seed, systems, options)
        lines += summary(path.stem, rows)
    columns = list(lines[0])
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for line in lines:
        print("| " + " | ".join(str(line[column]) for column in columns) + " |")


if __name__ == "__main__":
    main()
