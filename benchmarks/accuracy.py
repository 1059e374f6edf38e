"""Forecasts of every method against published logs, cell by cell, and the page of the docs.

Each log is thinned to n attempts a problem, every method forecasts pass@k far beyond, and is
judged by Chen's estimate from all attempts (`bp.backtest`). A cell is a log, an n and a k. Of each
cell the page tells which published estimator was best *there*, chosen with the truth in hand, and
what bayespassk's default did. Finished thinnings are kept in the folder, so that the command can be
interrupted and goes on.

    python benchmarks/accuracy.py monkeys_math.csv code_contests.csv pythia_checkpoints.csv \
        -o results --page docs/explanation/accuracy.md
"""

import argparse
import datetime
import platform
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd

import bayespassk as bp

ESTIMATORS = [
    "plug-in",
    "brown",
    "log-log",
    "discretised-beta",
    "beta-binomial-mle",
    "saber-plugin",
    "saber-anchored",
    "bayes-at-n",
]
OURS = ["beta", "partial:beta", "partial:libby-novick"]
DEFAULT = "partial:libby-novick"
MARK = "<!-- Everything below is written by benchmarks/accuracy.py -->"
SHORT = {
    "beta-binomial-mle": "MLE",
    "discretised-beta": "discretised",
    "partial:libby-novick": "default",
}


def logs_of(path: Path, least: int) -> dict[str, bp.Counts]:
    """Return the log, or one for each of its benchmarks, of systems with attempts enough."""
    frame = bp.read_csv(path).to_dataframe()
    fewest = frame.groupby(["benchmark", "system"])["attempts"].transform("min")
    kept = frame[fewest >= least]
    several = kept["benchmark"].nunique() > 1
    return {
        f"{path.stem}_{name}" if several else path.stem: bp.Counts.from_dataframe(part)
        for name, part in kept.groupby("benchmark", sort=False)
    }


def scores_of(options: argparse.Namespace) -> pd.DataFrame:
    """Return the scores of all logs, with a column that says which."""
    tables = []
    for path in options.logs:
        for name, counts in logs_of(path, max(options.k[0], *options.n)).items():
            few = len(counts.systems) > options.many
            scores = bp.backtest(
                counts,
                ESTIMATORS + OURS,
                n=options.n,
                k=options.k,
                repeats=options.few_repeats if few else options.repeats,
                output=options.output / name,
                cores=options.cores,
            )
            tables.append(scores.assign(log=name))
    return pd.concat(tables, ignore_index=True)


def cells_of(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the MAE of each method in points, dims (log, n, k) by method."""
    points = scores.assign(mae=100 * scores["error"].abs())
    cells = points.groupby(["log", "n", "k", "method"], sort=False)["mae"].mean().unstack()
    return cells[cells.index.get_level_values("k") > cells.index.get_level_values("n")]


def cell_rows(scores: pd.DataFrame, cells: pd.DataFrame) -> list[dict]:
    """Return a row of the table for each cell."""
    ours = scores[scores["method"] == DEFAULT].groupby(["log", "n", "k"])
    bias, width = 100 * ours["error"].mean(), 100 * ours["width_95"].mean()
    inside = ours["inside_95"].agg(lambda held: held.astype(float).mean())
    rows = []
    for where, maes in cells.iterrows():
        peers = maes[ESTIMATORS]
        bold = "**" if maes[DEFAULT] <= peers.min() else ""
        rows.append(
            {
                "n": where[1],
                "k": f"{where[2]:,}",
                "best peer": peers.idxmin(),
                "its MAE": f"{peers.min():.2f}",
                "default": f"{bold}{maes[DEFAULT]:.2f}{bold}",
                "bias": f"{bias[where]:+.1f}",
                "width": f"{width[where]:.1f}",
                "95% bands held": f"{inside[where]:.0%}",
            }
            | {SHORT.get(m, m): f"{maes[m]:.2f}" for m in (*OURS[:2], "log-log", "brown")}
            | {"MLE": f"{maes['beta-binomial-mle']:.2f}"}
        )
    return rows


def overall_rows(scores: pd.DataFrame, cells: pd.DataFrame) -> list[dict]:
    """Return a row for each method: over all cells, each with the same weight."""
    best = cells[ESTIMATORS].min(axis=1)
    beyond = scores[scores["k"] > scores["n"]]
    inside = beyond.assign(held=beyond["inside_95"].astype(float)).groupby(
        ["log", "n", "k", "method"]
    )["held"]
    held = inside.mean().unstack()
    rows = [
        {
            "method": f"`{method}`",
            "mean MAE": f"{cells[method].mean():.2f}",
            "largest MAE": f"{cells[method].max():.1f}",
            "at most the best peer's": f"{(cells[method] <= best).sum()} of {len(cells)}",
            "below the default's": f"{(cells[method] < cells[DEFAULT]).sum()}",
            "95% bands held": f"{held[method].mean():.0%}",
            "in the worst cell": f"{held[method].min():.0%}",
        }
        for method in ESTIMATORS + OURS
    ]
    return sorted(rows, key=lambda row: float(row["mean MAE"]))


def markdown(rows: list[dict]) -> str:
    """Return rows as a Markdown table."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([row[c] for c in columns] for row in rows)]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def page(scores: pd.DataFrame) -> str:
    """Return what goes below the mark."""
    cells = cells_of(scores)
    versions = ", ".join(
        f"{one} {metadata.version(one)}" for one in ("bayespassk", "pymc", "nutpie")
    )
    parts = [
        f"Measured {datetime.datetime.now(datetime.UTC).date()} with {versions}, Python "
        f"{platform.python_version()}. MAE, bias and width in points of pass@k.",
        "## Over all cells",
        markdown(overall_rows(scores, cells)),
    ]
    for name, of_log in cells.groupby(level="log", sort=False):
        mine = scores[scores["log"] == name]
        fits = mine[mine["method"] == DEFAULT].drop_duplicates(["n", "repeat"])
        parts += [
            f"## {name}",
            f"{mine['system'].nunique()} systems, {mine['repeat'].nunique()} thinnings for each n. "
            f"The default's fits took {fits['seconds'].median():.0f} s in the median; "
            f"{int((fits['divergences'] > 0).sum())} of {len(fits)} had a divergence, "
            f"{np.mean(~fits['converged'].astype(bool)):.0%} did not converge by every criterion.",
            markdown(cell_rows(mine, of_log)),
        ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Run the backtests, print the tables and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logs", type=Path, nargs="+", help="CSV of counts with many attempts")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to work in")
    parser.add_argument("--page", type=Path, help="Markdown page whose end is written anew")
    parser.add_argument("--n", type=int, nargs="+", default=[5, 20, 100, 300, 1000])
    parser.add_argument("--k", type=int, nargs="+", default=[1000, 3000, 10_000])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--few-repeats", type=int, default=2, help="for logs of many systems")
    parser.add_argument("--many", type=int, default=10, help="systems that are many")
    parser.add_argument("--cores", type=int)
    options = parser.parse_args()
    text = page(scores_of(options))
    print(text)
    if options.page:
        head = options.page.read_text(encoding="utf-8").split(MARK)[0]
        options.page.write_text(f"{head}{MARK}\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
