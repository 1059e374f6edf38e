"""Strategies of allotting attempts, replayed on published logs, and the table of the docs.

A replay goes through the attempts of a log in a random order, the same for all strategies: the
next m attempts at a problem are the next m of that order, which are hypergeometric draws without
replacement. A problem that has had all of its attempts in the log gets no more; what a strategy
would have spent there it spends elsewhere. "bayes" starts with a uniform round and is then fitted
again before each of the others. At the end the same fit is made for all strategies, and its
forecast is held against Chen's estimate from the whole log.

    python benchmarks/allocation.py monkeys_math.csv code_contests.csv -o results \
        --page docs/explanation/allocation.md

Finished replays are kept in the folder, so that the command can be interrupted and goes on.
"""

import argparse
import datetime
import heapq
import itertools
import multiprocessing
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import bayespassk as bp
from bayespassk.options import system_seed
from bayespassk.process import one_thread_each
from bayespassk.running.journal import Journal

STRATEGIES = ["uniform", "fewest-successes", "bayes", "oracle", "reset-and-discard"]
ROUNDS = np.array([0.3, 0.45, 0.6, 0.8, 1.0])
"""Shares of the budget that "bayes" has spent after each round; the first is uniform."""

MARK = "<!-- Everything below is written by benchmarks/allocation.py -->"

type Ints = NDArray[np.int64]


class Replay:
    """The attempts of one system in a random order."""

    def __init__(self, counts: bp.Counts, seed: int):
        self.counts = counts
        rng = np.random.default_rng(seed)
        self.rng = rng
        made = counts.attempts
        outcomes = np.zeros((len(counts), made.max()), dtype=bool)
        for row, n, c in zip(outcomes, made, counts.successes, strict=True):
            row[rng.permutation(n)[:c]] = True
        self.outcomes = outcomes

    def after(self, attempts: Ints) -> bp.Counts:
        """Return what is seen after the first so many attempts at each problem."""
        sums = np.cumsum(self.outcomes, axis=1, dtype=np.int64)
        rows = np.arange(len(attempts))
        seen = np.where(attempts > 0, sums[rows, np.maximum(attempts, 1) - 1], 0)
        return bp.Counts(
            problem=self.counts.problem,
            attempts=attempts,
            successes=seen,
            system=self.counts.system,
            benchmark=self.counts.benchmark,
            stopping="adaptive",
        )

    def spread(self, budget: int, weight: NDArray[np.float64]) -> Ints:
        """Return attempts in proportion to the weights, as near as the log allows."""
        made = self.counts.attempts
        low, high = 0.0, 1.0
        while np.minimum(weight * high, made).sum() < min(budget, made[weight > 0].sum()):
            high *= 2
        for _ in range(100):
            middle = (low + high) / 2
            enough = np.minimum(weight * middle, made).sum() >= budget
            low, high = (low, middle) if enough else (middle, high)
        exact = np.minimum(weight * low, made)
        result = np.floor(exact).astype(np.int64)
        left = budget - int(result.sum())
        order = self.rng.permutation(len(result))
        order = order[np.argsort((result - exact)[order], kind="stable")]
        order = order[(result < made)[order]]
        result[order[:left]] += 1
        return result

    def fewest_successes(self, budget: int) -> Ints:
        """Return the attempts of Kazdan's Algorithm 1, one at a time."""
        made = self.counts.attempts
        ties = self.rng.random(len(made))
        heap = [(0, 0, tie, i) for i, tie in enumerate(ties)]
        heapq.heapify(heap)
        attempts = np.zeros(len(made), dtype=np.int64)
        for _ in range(budget):
            c, n, tie, i = heapq.heappop(heap)
            attempts[i] += 1
            c += int(self.outcomes[i, n])
            if attempts[i] < made[i]:
                heapq.heappush(heap, (c, n + 1, tie, i))
        return attempts

    def reset_and_discard(self, budget: int) -> Ints:
        """Return the attempts, one each a round at all problems that are not yet solved."""
        made = self.counts.attempts
        solved = self.outcomes.any(1)
        most = np.where(solved, self.outcomes.argmax(1) + 1, made)
        if most.sum() <= budget:
            return most
        depth = np.arange(1, made.max() + 1)
        spent = np.array([np.minimum(most, d).sum() for d in depth])
        d = int(depth[spent <= budget].max(initial=0))
        result = np.minimum(most, d)
        going = self.rng.permutation(np.flatnonzero(most > d))
        result[going[: budget - int(result.sum())]] += 1
        return result

    def bayes(self, budget: int, k: int, options: argparse.Namespace, seed: int) -> Ints:
        """Return the attempts of `bp.allocate`, planned for what is left of the budget."""
        made = self.counts.attempts
        attempts = self.spread(round(ROUNDS[0] * budget), np.ones(len(made)))
        for share in ROUNDS[1:]:
            fit = fitted(self.after(attempts), options, seed, quick=True)
            spent = int(attempts.sum())
            further = bp.allocate(
                fit,
                round(share * budget) - spent,
                k,
                horizon=budget - spent,
                limit=made - attempts,
                random_seed=seed,
            )
            attempts = attempts + further["attempts"].values
        return attempts


def fitted(counts: bp.Counts, options: argparse.Namespace, seed: int, quick: bool = False):
    """Return the fit that all strategies share, or a shorter one to allot by."""
    size = {"draws": 400, "chains": 2} if quick else {"draws": 1000}
    family = bp.family_from_name(options.family)
    return bp.fit(counts, family, pooling="none", random_seed=seed, progress=False, **size)


def replayed(
    counts: bp.Counts, budget: int, repeat: int, options: argparse.Namespace
) -> list[dict]:
    """Return the rows of one system, budget and order of the attempts."""
    system = counts.systems[0]
    seed = system_seed(repeat, system)
    ks, log = np.array(options.k), Replay(counts, seed)
    p = counts.successes / counts.attempts
    truth = dict(zip(options.k, bp.estimators.chen(counts, ks).ravel().tolist(), strict=True))
    rows = []
    for strategy in options.strategies:
        allotted: dict[int, Ints] = {}
        for k in options.k:
            if strategy == "bayes":
                allotted[k] = log.bayes(budget, k, options, seed)
            elif strategy == "oracle":
                with np.errstate(divide="ignore"):
                    weight = np.exp(0.5 * (np.log(p) + (2 * k - 1) * np.log1p(-p)))
                allotted[k] = log.spread(budget, weight / weight.max())
            elif k == options.k[0]:
                allotted[k] = {
                    "uniform": lambda: log.spread(budget, np.ones(len(counts))),
                    "fewest-successes": lambda: log.fewest_successes(budget),
                    "reset-and-discard": lambda: log.reset_and_discard(budget),
                }[strategy]()
            else:
                allotted[k] = allotted[options.k[0]]
        made = {}
        for k, attempts in allotted.items():
            key = attempts.tobytes()
            if key not in made:
                made[key] = fitted(log.after(attempts), options, seed)
            draws = bp.forecast(made[key], k).values.ravel()
            low, high = np.quantile(draws, [0.025, 0.975])
            rows.append(
                {
                    "benchmark": counts.benchmarks[0],
                    "system": system,
                    "budget": budget,
                    "repeat": repeat,
                    "strategy": strategy,
                    "k": k,
                    "truth": truth[k],
                    "median": float(np.median(draws)),
                    "mean": float(draws.mean()),
                    "lower": low,
                    "upper": high,
                    "spent": int(attempts.sum()),
                    "most": int(attempts.max()),
                }
            )
    return rows


def _start() -> None:
    one_thread_each()
    warnings.simplefilter("ignore")


def replays(options: argparse.Namespace) -> pd.DataFrame:
    """Return the rows of all replays, made or kept from before."""
    logs = [bp.read_csv(path) for path in options.logs]
    systems = [log.select(name) for log in logs for name in log.systems]
    header = {
        "version": metadata.version("bayespassk"),
        "family": options.family,
        "k": options.k,
        "strategies": options.strategies,
        "rounds": ROUNDS.tolist(),
    }
    journal = Journal(options.output, header)
    done = {(line["system"], line["budget"], line["repeat"]) for line in journal.lines}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.cores, mp_context=context, initializer=_start) as pool:
        work = [
            pool.submit(replayed, counts, budget, repeat, options)
            for repeat in range(options.seeds)
            for budget, counts in itertools.product(options.budgets, systems)
            if (f"{counts.benchmarks[0]}/{counts.systems[0]}", budget, repeat) not in done
        ]
        for i, finished in enumerate(as_completed(work), 1):
            rows = finished.result()
            key = f"{rows[0]['benchmark']}/{rows[0]['system']}"
            journal.append(
                {
                    "system": key,
                    "budget": rows[0]["budget"],
                    "repeat": rows[0]["repeat"],
                    "rows": rows,
                }
            )
            print(f"{i} of {len(work)}", end="\r", flush=True)
    found = [
        row
        for line in journal.lines
        if line["repeat"] < options.seeds and line["budget"] in options.budgets
        for row in line["rows"]
    ]
    return pd.DataFrame(found)


def table_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return, for each benchmark, budget, k and strategy, the error and the coverage.

    `ratio` is the MSE over that of uniform, and `se` its standard error in log, from replays of
    systems resampled together.
    """
    rows = rows.assign(
        square=(rows["median"] - rows["truth"]) ** 2,
        inside=(rows["lower"] <= rows["truth"]) & (rows["truth"] <= rows["upper"]),
        width=rows["upper"] - rows["lower"],
        bias=rows["median"] - rows["truth"],
    )
    rng, lines = np.random.default_rng(1), []
    for (benchmark, budget, k), cell in rows.groupby(["benchmark", "budget", "k"], sort=False):
        squares = cell.pivot_table("square", ["system", "repeat"], "strategy")
        picks = rng.integers(len(squares), size=(1000, len(squares)))
        boot = squares.values[picks].mean(1)
        base = squares.columns.get_loc("uniform")
        log_ratio = np.log(boot) - np.log(boot[:, [base]])
        for i, strategy in enumerate(squares.columns):
            mine = cell[cell["strategy"] == strategy]
            mse = squares[strategy].mean()
            lines.append(
                {
                    "benchmark": benchmark,
                    "budget": budget,
                    "k": k,
                    "strategy": strategy,
                    "mse": mse,
                    "ratio": mse / squares["uniform"].mean(),
                    "low": float(np.exp(np.quantile(log_ratio[:, i], 0.025))),
                    "high": float(np.exp(np.quantile(log_ratio[:, i], 0.975))),
                    "bias": mine["bias"].mean(),
                    "width": mine["width"].mean(),
                    "inside": mine["inside"].mean(),
                    "replays": len(mine),
                }
            )
    return pd.DataFrame(lines)


def markdown(rows: list[dict]) -> str:
    """Return rows as a Markdown table."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([row[c] for c in columns] for row in rows)]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


ERRORS = "MSE:"
BANDS = "Share of 95% bands that held the truth, of their mean width (and the bias), in points:"


def error_of(row) -> str:
    """Return an MSE, and its ratio to that of uniform; bold where that is clearly below 1."""
    if row.Index == "uniform":
        return f"{1e4 * row.mse:.2f}"
    mark = "**" * (row.high < 1)
    return f"{1e4 * row.mse:.2f} ({mark}{row.ratio:.2f}{mark}, {row.low:.2f} to {row.high:.2f})"


def band_of(row) -> str:
    """Return how often bands held, their width and the bias."""
    return f"{row.inside:.0%} of {100 * row.width:.1f} ({100 * row.bias:+.1f})"


def page(rows: pd.DataFrame, options: argparse.Namespace) -> str:
    """Return what goes below the mark."""
    table = table_of(rows)
    versions = ", ".join(f"{n} {metadata.version(n)}" for n in ("bayespassk", "pymc", "nutpie"))
    parts = [
        f"Measured {datetime.datetime.now(datetime.UTC).date()} with {versions}; family "
        f"`{options.family}`, {rows['repeat'].nunique()} replays of each system. MSE of the "
        "posterior median in squared points (of 100) of pass@k; in brackets the ratio to uniform "
        "with a 95% interval from resampling the replays, which knows nothing of other systems.",
    ]
    for benchmark, cells in table.groupby("benchmark", sort=False):
        systems = rows[rows["benchmark"] == benchmark]["system"].nunique()
        parts.append(f"### {benchmark}, {systems} systems")
        for words, cell_of in ((ERRORS, error_of), (BANDS, band_of)):
            lines = []
            for (k, budget), cell in cells.sort_values(["k", "budget"]).groupby(["k", "budget"]):
                each = cell.set_index("strategy").loc[options.strategies].itertuples()
                line = {"k": f"{k:,}", "budget": f"{budget:,}"}
                lines.append(line | {row.Index: cell_of(row) for row in each})
            parts += [words, markdown(lines)]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Replay, print the tables and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logs", type=Path, nargs="+", help="CSV of counts with many attempts")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to work in")
    parser.add_argument("--page", type=Path, help="Markdown page whose end is written anew")
    parser.add_argument("--family", default="beta")
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    parser.add_argument("--budgets", type=int, nargs="+", default=[1000, 3000, 10_000, 30_000])
    parser.add_argument("--k", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--cores", type=int)
    options = parser.parse_args()
    text = page(replays(options), options)
    print(text)
    if options.page:
        head = options.page.read_text(encoding="utf-8").split(MARK)[0]
        options.page.write_text(f"{head}{MARK}\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
