"""Forecasts of every method against published logs, and the page of the docs.

Each log is thinned to n attempts a problem, every method forecasts what all attempts show of pass@k
(`bp.backtest`: for k far below their number that is the benchmark's pass@k, near it what this very
run showed), and is judged by proper scores. Corpora weigh equally, then systems. Finished thinnings
are kept in the folder, so that the command can be interrupted and goes on.

    python benchmarks/accuracy.py DATA -o results --page docs/explanation/accuracy.md
"""

import argparse
import datetime
import math
import platform
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
from rivals import RIVALS

import bayespassk as bp
from bayespassk.backtesting.methods import Posterior
from bayespassk.families import default_family

MARK = "<!-- Everything below is written by benchmarks/accuracy.py -->"


@dataclass(frozen=True)
class Corpus:
    """Logs of one kind.

    Attributes
    ----------
    file : str
        Its name; none for the bundled example.
    n, k : tuple of int
        Attempts shown and allowed; a system is judged at the k that its fewest attempts allow.
    repeats : int
        Thinnings of each log for each n.
    """

    file: str
    n: tuple[int, ...]
    k: tuple[int, ...]
    repeats: int = 2
    language_models: bool = True


CORPORA = {
    "MATH": Corpus("monkeys_math.csv", (5, 20, 100, 1000), (1000, 3000, 10_000)),
    "CodeContests": Corpus("code_contests.csv", (5, 20, 100, 1000), (1000, 3000, 10_000)),
    "checkpoints": Corpus("pythia_checkpoints.csv", (20, 100), (1000, 3000, 10_000), 1),
    "reasoning models": Corpus("reasoning_models.csv", (5, 20), (25, 40, 80)),
    "Game of 24": Corpus("game24.csv", (5, 20), (30, 100), 4),
    "terminal agents": Corpus("terminal_bench_attempts.csv", (1, 2), (3, 4), 2),
    "arithmetic": Corpus("", (5, 20, 100, 1000), (1000, 3000, 10_000)),
    "flaky tests": Corpus("flaky_tests.csv", (20, 100, 1000), (1000, 3000, 8000), 1, False),
}

BEFORE = bp.LibbyNovick(
    log_b=bp.Prior(math.log(3.0), 1.0, spread=0.3), logit_knee=bp.Prior(-3.5, 2.5, spread=2.5)
)
"""The default of 0.1.0 while it was made."""

INFLATED = bp.ZeroInflated(BEFORE, bp.Prior(-2.0, 1.0, "logistic"))

CANDIDATES = {
    "as before": Posterior((BEFORE,)),
    "zero-inflated": Posterior((INFLATED,)),
    "average of these two": Posterior((BEFORE, INFLATED)),
    "wider priors": Posterior((bp.LibbyNovick(),)),
    "default": Posterior((default_family(),)),
}
"""What could be the default, each system by itself."""

POOLED = {
    "as before, pooled": Posterior((BEFORE,), "partial"),
    "default, pooled": Posterior((default_family(),), "partial"),
}

PUBLISHED = [
    "plug-in", "brown", "log-log", "discretised-beta", "beta-binomial-mle", "saber-plugin",
    "saber-anchored", "bayes-at-n", *RIVALS,
]  # fmt: skip

METHODS: dict[str, Any] = (
    {name: RIVALS.get(name, name) for name in PUBLISHED} | {"beta": bp.Beta()} | CANDIDATES | POOLED
)


def logs_of(corpus: Corpus, folder: Path) -> dict[str, bp.Counts]:
    """Return a log for each benchmark and each fewest number of attempts, of those with enough."""
    if not corpus.file:
        return {"arithmetic": bp.load_example()}
    frame = pd.read_csv(folder / corpus.file)
    if "attempt" in frame:  # one row an attempt, those without outcome left out
        by = ["benchmark", "system", "problem"]
        outcomes = frame.dropna(subset="success").groupby(by)["success"]
        frame = outcomes.agg(attempts="size", successes="sum").astype(int).reset_index()
        frame = frame[frame["attempts"] >= corpus.k[-1]]
    fewest = frame.groupby(["benchmark", "system"])["attempts"].transform("min")
    frame = frame[fewest >= max(corpus.k[0], *(n + 1 for n in corpus.n))]
    return {
        str(name): bp.Counts.from_dataframe(part)
        for name, part in frame.groupby("benchmark", sort=False)
    }


def scores_of(
    options: argparse.Namespace,
    methods: Mapping[str, Any],
    corpora: Mapping[str, Corpus] = CORPORA,
) -> pd.DataFrame:
    """Return the scores of all corpora, with columns that say which, and which benchmark."""
    tables = []
    for name in options.corpora:
        corpus = corpora[name]
        for log, counts in logs_of(corpus, options.data).items():
            scores = bp.backtest(
                counts,
                methods,
                n=corpus.n,
                k=corpus.k,
                repeats=corpus.repeats,
                replicates=100,
                output=options.output / f"{name} {log}".replace(" ", "_"),
                cores=options.cores,
            )
            tables.append(scores.assign(corpus=name, log=log))
    scores = pd.concat(tables, ignore_index=True)
    return scores[scores["k"] >= 2 * scores["n"]]


SCORES = {"crps": "CRPS", "mae": "MAE", "interval_score_95": "interval score", "width_95": "width"}
HELD = ("inside_95", "inside_80", "inside_50")


def by_corpus(scores: pd.DataFrame) -> pd.DataFrame:
    """Return means of each corpus and method, systems weighing equally, in points and percent.

    Where a method says nothing, the mean is over what it says; `answered` is that share.
    """
    points = scores.assign(mae=scores["error"].abs(), answered=scores["point"].notna())
    for name in (*SCORES, *HELD, "answered"):
        points[name] = 100 * points[name].astype(float)
    columns = [*SCORES, *HELD, "answered"]
    systems = points.groupby(["corpus", "method", "log", "system"], sort=False)[columns].mean()
    return systems.groupby(["corpus", "method"], sort=False).mean()


def overall(means: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of each method, corpora weighing equally."""
    return means.groupby("method", sort=False).mean()


def answered_by(scores: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return the rows of all methods at which one says something."""
    keys = ["corpus", "log", "system", "n", "repeat", "k"]
    said = scores[(scores["method"] == method) & scores["point"].notna()][keys]
    return scores.merge(said, on=keys)


def left_out(means: pd.DataFrame, candidates: list[str]) -> pd.DataFrame:
    """Return what choosing by all corpora but one says of that one.

    The choice is the candidate with the least mean ratio of its CRPS to that of "as before".
    """
    crps = means["crps"].unstack("method")[candidates]
    ratio = crps.div(crps[candidates[0]], axis=0)
    rows = []
    for corpus in crps.index:
        chosen = ratio.drop(corpus).mean().idxmin()
        held = means.loc[(corpus, chosen)]
        rows.append(
            {
                "left out": corpus,
                "chosen by the others": chosen,
                "CRPS": f"{crps.loc[corpus, chosen]:.2f}",
                "as before": f"{crps.loc[corpus, candidates[0]]:.2f}",
                "best in hindsight": f"{crps.loc[corpus].min():.2f} ({crps.loc[corpus].idxmin()})",
                "held 95 / 80 / 50%": _held(held),
            }
        )
    return pd.DataFrame(rows)


def hindsight(scores: pd.DataFrame) -> pd.Series:
    """Return the CRPS of the published method that is best in each cell, by corpus."""
    cells = scores[scores["method"].isin(PUBLISHED)].groupby(
        ["corpus", "log", "n", "k", "method"], sort=False
    )["crps"]
    best = 100 * cells.mean().unstack().min(axis=1)
    return best.groupby(level=["corpus", "log"], sort=False).mean().groupby(level=0).mean()


def by_ratio(scores: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return how often the bands of a method held, by k / n."""
    mine = scores[(scores["method"] == method) & scores["point"].notna()].copy()
    mine["ratio"] = pd.cut(mine["k"] / mine["n"], RATIOS, right=False, labels=_labels(RATIOS))
    rows = []
    for ratio, part in mine.groupby("ratio", sort=True, observed=True):
        corpora = part.assign(**{name: part[name].astype(float) for name in HELD}).groupby("corpus")
        each = 100 * corpora[list(HELD)].mean()
        means = 100 * part.assign(mae=part["error"].abs()).groupby("corpus")[FAR_OFF].mean()
        rows.append(
            {
                "k / n": ratio,
                "corpora": len(each),
                "held 95 / 80 / 50%": _held(each.mean()),
                "least of a corpus, 95%": f"{each['inside_95'].min():.0f}",
                "width of 95%": f"{means['width_95'].mean():.1f}",
                "MAE": f"{means['mae'].mean():.1f}",
                "bias": f"{means['error'].mean():+.1f}",
            }
        )
    return pd.DataFrame(rows)


FAR_OFF = ["width_95", "mae", "error"]
RATIOS = [2, 5, 20, 100, 500, 1e9]


def _labels(edges: list[float]) -> list[str]:
    return [
        f"{low:g} to {high:g}" if high < 1e9 else f"{low:g} or more"
        for low, high in pairwise(edges)
    ]


def _held(row: pd.Series) -> str:
    return " / ".join(f"{row[name]:.0f}" if row[name] == row[name] else "-" for name in HELD)


def table(frame: pd.DataFrame) -> str:
    """Return a frame as a Markdown table."""
    lines = [list(frame.columns), ["---"] * len(frame.columns), *frame.astype(str).values.tolist()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def methods_table(means: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """Return a row for each method, the best CRPS first."""
    whole = overall(means).loc[[one for one in order if one in means.index.get_level_values(1)]]
    whole = whole.sort_values("crps")
    rows = [
        {"method": f"`{name}`" if name in PUBLISHED or name == "beta" else f"**{name}**"}
        | {title: f"{row[score]:.2f}" for score, title in SCORES.items()}
        | {"held 95 / 80 / 50%": _held(row), "answers": f"{row['answered']:.0f}%"}
        for name, row in whole.iterrows()
    ]
    return pd.DataFrame(rows)


def corpora_table(means: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each corpus: the default, alone and pooled, and who is best there."""
    rows = []
    best_cells = hindsight(scores)
    for corpus in dict.fromkeys(means.index.get_level_values("corpus")):
        of = means.loc[corpus]
        peers = of.loc[[one for one in PUBLISHED if one in of.index and of["answered"][one] > 95]]
        seconds = scores[(scores["corpus"] == corpus) & (scores["method"] == "default, pooled")]
        rows.append(
            {
                "corpus": corpus,
                "default": f"{of['crps']['default']:.2f}",
                "pooled": f"{of['crps']['default, pooled']:.2f}",
                "as before": f"{of['crps']['as before']:.2f}",
                "pooled, as before": f"{of['crps']['as before, pooled']:.2f}",
                "best published": f"{peers['crps'].min():.2f} (`{peers['crps'].idxmin()}`)",
                "best in each cell, in hindsight": f"{best_cells[corpus]:.2f}",
                "default held": _held(of.loc["default"]),
                "pooled held": _held(of.loc["default, pooled"]),
                "as before held": _held(of.loc["as before"]),
                "seconds, pooled": f"{seconds['seconds'].median():.1f}",
            }
        )
    return pd.DataFrame(rows)


def page(scores: pd.DataFrame) -> str:
    """Return what goes below the mark."""
    means = by_corpus(scores)
    both = answered_by(scores, "brown")
    versions = ", ".join(f"{one} {metadata.version(one)}" for one in ("bayespassk", "pymc"))
    models = [name for name, corpus in CORPORA.items() if corpus.language_models]
    of_one = scores[scores["method"] == "default"].groupby("corpus", sort=False)
    sizes = [
        f"{name} ({len(part[['log', 'system']].drop_duplicates())} systems, {len(part)} forecasts)"
        for name, part in of_one
    ]
    parts = [
        f"Measured {datetime.datetime.now(datetime.UTC).date()} with {versions}, Python "
        f"{platform.python_version()}. Corpora: {', '.join(sizes)}. Scores and widths in points of "
        "pass@k; smaller is better.",
        "## Over all corpora",
        table(methods_table(means, list(METHODS))),
        "## Where Brown's regression answers",
        "It, the best single published method, says nothing where too little was solved.",
        table(methods_table(by_corpus(both), list(METHODS))),
        "## Language models only",
        table(methods_table(means.loc[[m for m in models if m in means.index]], list(METHODS))),
        "## Each corpus",
        table(corpora_table(means, scores)),
        "## The choice of the default",
        table(left_out(means, list(CANDIDATES))),
        "## How often bands held, by k / n",
        "The default, pooled as it is by default:",
        table(by_ratio(scores, "default, pooled")),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Run the backtests, print the tables and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of published logs")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to work in")
    parser.add_argument("--page", type=Path, help="Markdown page whose end is written anew")
    parser.add_argument("--corpora", nargs="+", default=list(CORPORA), choices=list(CORPORA))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--cores", type=int)
    options = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.errors.ConvergenceWarning)
        scores = scores_of(options, {name: METHODS[name] for name in options.methods})
    if len(options.methods) < len(METHODS):
        print(overall(by_corpus(scores)).round(2).to_string())
        return
    text = page(scores)
    print(text)
    if options.page:
        head = options.page.read_text(encoding="utf-8").split(MARK)[0]
        options.page.write_text(f"{head}{MARK}\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
