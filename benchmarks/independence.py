"""How often independent attempts are found wanting, what is found, and how it is with real logs.

python benchmarks/independence.py --logs DATA --simulations 200
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, logit

import bayespassk as bp

QUESTIONS = ("runs", "common", "copies", "order")

CASES = {
    "independent": {},
    "a run effect at each problem, sd 0.3 on the logit": {"spread": 0.3},
    "the same, sd 1": {"spread": 1.0},
    "the same, sd 2": {"spread": 2.0},
    "a run effect common to all problems, sd 0.3": {"common": 0.3},
    "two of the runs are one": {"copied": True},
    "drift by 1 on the logit from first to last": {"drift": 1.0},
}

LOGS = {
    "reasoning_models_attempts.csv.gz": {},
    "terminal_bench_attempts.csv": {"errors": "drop"},
    "bon_llama3_8b_text_t1.0_n10000.jsonl": {},
}


def made(
    rng: np.random.Generator,
    spread: float = 0.0,
    common: float = 0.0,
    drift: float = 0.0,
    copied: bool = False,
) -> pd.DataFrame:
    """Return attempts at 60 problems in 5 runs of 20."""
    problems, runs, each = 60, 5, 20
    p = rng.beta(0.5, 1.5, problems).clip(1e-6, 1 - 1e-6)
    effect = rng.normal(0, spread, (problems, runs)) + rng.normal(0, common, runs)
    later = drift * (np.arange(each) / (each - 1) - 0.5)
    q = expit((logit(p)[:, None] + effect)[..., None] + later)
    success = rng.random(q.shape) < q
    if copied:
        success[:, 1] = success[:, 0]
    problem, run, _ = np.indices(success.shape)
    columns = {"problem": problem, "run": run, "success": success.astype(int)}
    return pd.DataFrame({name: values.ravel() for name, values in columns.items()})


def main() -> None:
    """Print a table of simulations, and one of real logs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logs", type=Path, help="folder of published logs")
    parser.add_argument("--simulations", type=int, default=200)
    options = parser.parse_args()
    print(f"| attempts | {' | '.join(QUESTIONS)} | rho, median | effective of 100 |")
    print("|---|" + "---|" * (len(QUESTIONS) + 2))
    for name, how in CASES.items():
        found = []
        for seed in range(options.simulations):
            table = bp.independence(made(np.random.default_rng([seed, 1]), **how), permutations=300)
            table = table.set_index("question")
            below = [float(table.loc[one, "p_value"] < 0.05) for one in QUESTIONS]
            found.append([*below, table.loc["runs", "value"], table.loc["effective", "value"]])
        *below, rho, effective = np.mean(found, axis=0)
        print(f"| {name} | {' | '.join(f'{x:.0%}' for x in below)} | {rho:.3f} | {effective:.0f} |")
    if options.logs:
        audit(options.logs)


def audit(folder: Path) -> None:
    """Print what is found in real logs: of how many systems, and the smallest p-value.

    Attempts without runs are taken in blocks of 10, in their order: what changes on the way makes
    the attempts of a block alike.
    """
    print("\n| log | attempts | systems | question | found at p < 0.05 | smallest p | rho |")
    print("|---|---|---|---|---|---|---|")
    for name, how in LOGS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            attempts = bp.read_attempts(folder / name, **how)
            if attempts["run"].nunique() == 1 and attempts.attrs["stopping"] == "fixed":
                attempts["run"] = (attempts["attempt"] // 10).astype(str)
            table = bp.independence(attempts)
        for question, mine in table[table["p_value"].notna()].groupby("question", sort=False):
            rho = f"{mine['value'].median():.3f}" if question == "runs" else ""
            print(
                f"| {name} | {len(attempts):,} | {len(mine)} | {question} | "
                f"{(mine['p_value'] < 0.05).sum()} | {mine['p_value'].min():.3f} | {rho} |"
            )


if __name__ == "__main__":
    main()
