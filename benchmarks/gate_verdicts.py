"""How often the verdicts of bp.gate are wrong: logs of known truth, most outside all families.

Of each of the ten truths of benchmarks/verdicts.py, logs of 40 problems and 20 attempts at each are
drawn and fitted by the default family. Each is asked at 0.95 whether pass@k reaches a mark: the
true value itself, where every verdict is luck, and marks 5 and 10 points to either side. And
whether one of two systems of equal p is above the other.

    python benchmarks/gate_verdicts.py --repeats 20
"""

import argparse
import functools
import multiprocessing
import warnings

import numpy as np
import pandas as pd
from verdicts import TRUTHS

import bayespassk as bp
from bayespassk.gating import Requirement, _told

PROBLEMS, N, PROB = 40, 20, 0.95
KS = (1, 20, 200, 2000)
APART = (-0.1, -0.05, 0.0, 0.05, 0.1)


def rows_of(task: tuple[str, int]) -> list[dict]:
    """Return a row for each question asked of one log."""
    warnings.simplefilter("ignore")
    name, repeat = task
    rng = np.random.default_rng([list(TRUTHS).index(name), repeat, 28])
    p = TRUTHS[name](rng, PROBLEMS).clip(0, 1 - 1e-16)
    counts = bp.Counts(
        problem=[*range(PROBLEMS)] * 2,
        attempts=[N] * (2 * PROBLEMS),
        successes=[*rng.binomial(N, p), *rng.binomial(N, p)],
        system=["a"] * PROBLEMS + ["b"] * PROBLEMS,
    )
    alone = bp.fit(counts.select("a"), random_seed=1, progress=False)
    both = bp.fit(counts, random_seed=1, progress=False)
    rows = []
    for k in KS:
        truth = float(-np.expm1(k * np.log1p(-p)).mean())
        draws = bp.forecast(alone, k, random_seed=1).values.ravel()
        for apart in APART:
            mark = truth + apart
            if not 0 < mark < 1:
                continue
            status, _ = _told(Requirement("", k, True, mark), draws, PROB)
            rows.append({"truth": name, "k": k, "mark": f"{100 * apart:+.0f}", "status": status})
        between = bp.difference(both, "a", "b", k, random_seed=1).values.ravel()
        status, _ = _told(Requirement("", k, True, 0.0), between, PROB)
        rows.append({"truth": name, "k": k, "mark": "a > b", "status": status})
    return rows


def wrong(row: pd.Series) -> bool:
    """Return whether a verdict is wrong; of equal systems, and at the mark, each that is said."""
    if row["status"] == "cannot tell":
        return False
    if row["mark"] in ("a > b", "+0"):
        return True
    return (row["status"] == "met") == row["mark"].startswith("+")


def table(rows: pd.DataFrame, by: str) -> str:
    """Return a Markdown table of shares."""
    lines = [f"| {by} | asked | met | not met | cannot tell | wrong |", "|---|---|---|---|---|---|"]
    for value, part in rows.groupby(by, sort=False):
        shares = [f"{(part['status'] == one).mean():.0%}" for one in ANSWERS]
        shares.append(f"{part['wrong'].mean():.1%}")
        lines.append(f"| {value} | {len(part)} | {' | '.join(shares)} |")
    return "\n".join(lines)


ANSWERS = ("met", "not met", "cannot tell")


def main() -> None:
    """Print tables by mark, and of wrong verdicts by k and by truth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--cores", type=int, default=1)
    options = parser.parse_args()
    tasks = [(name, repeat) for name in TRUTHS for repeat in range(options.repeats)]
    with multiprocessing.get_context("spawn").Pool(options.cores) as pool:
        found = pool.imap(functools.partial(rows_of), tasks)
        rows = pd.DataFrame([row for some in found for row in some])
    rows["wrong"] = rows.apply(wrong, axis=1)
    print(f"{len(tasks)} logs, {PROBLEMS} problems, {N} attempts at each, prob {PROB}\n")
    print(table(rows, "mark"), end="\n\n")
    for mark, part in (
        ("at the mark", rows[rows["mark"] == "+0"]),
        ("5 points off", rows[rows["mark"].isin(["+5", "-5"])]),
        ("two equal systems", rows[rows["mark"] == "a > b"]),
    ):
        print(f"{mark}:\n")
        print(table(part, "k"), end="\n\n")
        print(table(part, "truth"), end="\n\n")


if __name__ == "__main__":
    main()
