"""Fit every family to published logs; compare them by LOO and by what they forecast.

    python benchmarks/families.py monkeys_math.csv code_contests.csv --attempts 100,10000

Prints, in Markdown, a summary for each log and number of attempts, and then one row for each system
and family. The truth of a forecast is Chen's estimate from all attempts; "average" is the equal
average of beta and Kumaraswamy. Where all attempts are fitted, k = 1000 and 10,000 are within the
budget, and the error says how well the family describes what was seen.
"""

import argparse
import time
import warnings
from pathlib import Path

import pandas as pd

import bayespassk as bp

FAMILIES = (
    "beta",
    "kumaraswamy",
    "scaled-beta",
    "generalized-beta",
    "logit-normal",
    "zero-inflated-beta",
    "one-inflated-beta",
    "beta-mixture-2",
)
KS = [1000, 10_000]
SEED = 1


def fit_all(counts: bp.Counts, names: list[str], target_accept: float | None) -> tuple[dict, dict]:
    """Return a fit of each family and the seconds each took, its model compiled before."""
    fits, seconds = {}, {}
    for name in names:
        family = bp.family_from_name(name)
        start = time.perf_counter()
        fits[name] = bp.fit(
            counts,
            family,
            pooling="none",
            target_accept=target_accept,
            random_seed=SEED,
            progress=False,
        )
        seconds[name] = time.perf_counter() - start
    return fits, seconds


def rows_of(
    log: bp.Counts, system: str, attempts: int, names: list[str], target_accept: float | None
) -> list[dict]:
    """Return one row for each family, and one for the average of the first two."""
    whole = log.select(system)
    most = int(whole.attempts.min())
    counts = whole if attempts >= most else bp.thin(whole, attempts, random_seed=SEED)
    fits, seconds = fit_all(counts, names, target_accept)
    ranking = bp.compare(fits, progress=False).set_index("family")
    truth = bp.estimators.chen(whole, KS).ravel()
    rows = []
    for name, fit in fits.items():
        found, loo = bp.diagnostics(fit), ranking.loc[name]
        row = {
            "system": system,
            "n": int(counts.attempts.min()),
            "family": name,
            "elpd_diff": -abs(loo["elpd_diff"]),
            "dse": loo["dse"],
            "stacking": loo["weight_stacking"],
            "pseudo_bma": loo["weight_pseudo_bma"],
            "pareto_k": loo["max_pareto_k"],
            "divergences": found.divergences,
            "rhat": found.max_rhat,
            "ess": found.min_ess,
            "seconds": seconds[name],
        }
        rows.append(row | scores(bp.forecast(fit, KS, random_seed=SEED), truth))
    pair = {name: fits[name] for name in ("beta", "kumaraswamy") if name in fits}
    if len(pair) == 2:
        both = bp.average(pair, KS, random_seed=SEED)
        rows.append(
            {"system": system, "n": rows[0]["n"], "family": "average"} | scores(both, truth)
        )
    return rows


def scores(draws, truth) -> dict:
    """Return error of the mean and whether the 95% band holds the truth, for each k."""
    table = bp.summarize(draws)
    inside = (table["lower"] <= truth) & (truth <= table["upper"])
    found = {}
    for k, mean, known, within in zip(KS, table["mean"], truth, inside, strict=True):
        found |= {f"error_{k}": mean - known, f"inside_{k}": within}
    return found


def summarize(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each log, n and family."""
    grouped = table.groupby(["log", "n", "family"], sort=False)
    summary = grouped.agg(
        elpd_diff=("elpd_diff", "sum"),
        stacking=("stacking", "mean"),
        pseudo_bma=("pseudo_bma", "mean"),
        divergences=("divergences", "sum"),
        rhat=("rhat", "max"),
        ess=("ess", "min"),
        seconds=("seconds", "mean"),
    )
    for k in KS:
        summary[f"MAE_{k}"] = grouped[f"error_{k}"].agg(lambda e: e.abs().mean())
        summary[f"inside_{k}"] = grouped[f"inside_{k}"].agg(lambda i: f"{sum(i)} of {len(i)}")
    return summary.reset_index()


def markdown(table: pd.DataFrame) -> str:
    """Return a table in Markdown, numbers to three digits, blank where there is none."""
    lines = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
    rows = table.itertuples(index=False)
    lines += ["| " + " | ".join(_shown(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def _shown(value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.0f}" if abs(value) >= 100 else f"{value:.3f}"
    return str(value)


def main() -> None:
    """Parse, fit and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logs", type=Path, nargs="+", help="CSV of counts with many attempts")
    parser.add_argument("--attempts", default="100,10000")
    parser.add_argument("--target-accept", type=float, help="by default what each family asks")
    parser.add_argument("--families", default=",".join(FAMILIES))
    options = parser.parse_args()
    names = options.families.split(",")
    warnings.simplefilter("ignore", bp.errors.ForecastWarning)
    warnings.simplefilter("ignore", bp.errors.ConvergenceWarning)  # the table has the figures
    accept = options.target_accept
    fit_all(
        bp.thin(bp.load_example(), 10, random_seed=1).select("large"), names, accept
    )  # compiles
    rows = []
    for path in options.logs:
        log = bp.read_csv(path)
        for attempts in map(int, options.attempts.split(",")):
            for system in log.systems:
                found = rows_of(log, system, attempts, names, accept)
                rows += [{"log": path.stem} | row for row in found]
    table = pd.DataFrame(rows)
    print(markdown(summarize(table)), "\n")
    print(markdown(table))


if __name__ == "__main__":
    main()
