"""How often bands hold the truth where attempts come in runs, and problems in clusters.

python benchmarks/dependent.py --simulations 200
"""

import argparse
import sys
import warnings

import numpy as np
import pandas as pd
from scipy.special import expit, logit

import bayespassk as bp

KS = (1, 10, 100, 10_000)

PROBLEMS, RUNS, LENGTH = 60, 5, 20

SPREADS = {
    "independent": (0.0, 0.0),
    "a run effect at each problem, sd 0.3 on the logit": (0.3, 0.0),
    "the same, sd 1": (1.0, 0.0),
    "the same, sd 2": (2.0, 0.0),
    "a run effect common to all problems, sd 0.3": (0.0, 0.3),
}

CLUSTERS = {
    "20 clusters of 5 problems, effects of sd 2": (20, 5, 2.0),
    "the same, without effects": (20, 5, 0.0),
    "10 clusters of 20, sd 1": (10, 20, 1.0),
    "40 clusters of 5, sd 2": (40, 5, 2.0),
}

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(61)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def in_runs(rng: np.random.Generator, own: float, common: float) -> tuple[np.ndarray, bp.Counts]:
    """Return p of problems, the mean over runs, and counts of 5 runs of 20 at each."""
    x = logit(rng.beta(0.5, 2.0, PROBLEMS).clip(1e-9, 1 - 1e-9))
    effect = rng.normal(0, own, (PROBLEMS, RUNS)) + rng.normal(0, common, RUNS)
    solved = rng.binomial(LENGTH, expit(x[:, None] + effect))
    problem, run = np.indices(solved.shape)
    frame = {"problem": problem.ravel(), "run": run.ravel(), "successes": solved.ravel()}
    p = expit(x[:, None] + np.hypot(own, common) * NODES) @ WEIGHTS
    return p, bp.Counts.from_runs(pd.DataFrame(frame).assign(attempts=LENGTH))


def held(fit: object, target: str, truth: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return whether the 95% band at each k holds the truth, and its width."""
    draws = bp.forecast(fit, KS, target)
    low, high = draws.quantile([0.025, 0.975], ("chain", "draw")).values[:, 0]
    return (low <= truth) & (truth <= high), high - low


def row(name: str, family: str, each: list[tuple[np.ndarray, np.ndarray]]) -> str:
    """Return a row of a table: how often, and the mean width, by k."""
    share, width = (np.mean(one, axis=0) for one in zip(*each, strict=True))
    cells = [f"{s:.0%} ({w:.3f})" for s, w in zip(share, width, strict=True)]
    return f"| {name} | {family} | {' | '.join(cells)} |"


def head(what: str) -> str:
    """Return the head of a table."""
    ks = " | ".join(f"k = {k:,}" for k in KS)
    return f"| {what} | fit | {ks} |\n|---|---|{'---|' * len(KS)}"


def runs(simulations: int) -> None:
    """Print how often bands of the benchmark hold where attempts come in runs."""
    print(head("attempts"))
    base = bp.LibbyNovick()
    for name, spread in SPREADS.items():
        found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {
            "Libby-Novick": [],
            "Dependent": [],
        }
        for i in range(simulations):
            p, counts = in_runs(np.random.default_rng([i, 5]), *spread)
            truth = [float(-np.expm1(k * np.log1p(-p)).mean()) for k in KS]
            for label, family in (("Libby-Novick", base), ("Dependent", bp.Dependent(base))):
                fit = bp.fit(counts, family, random_seed=1, draws=250)
                found[label].append(held(fit, "benchmark", truth))
        for label, each in found.items():
            print(row(name, label, each))
        sys.stdout.flush()


def clusters(simulations: int) -> None:
    """Print how often bands of the population hold where problems come in clusters."""
    print(head("problems"))
    for name, (number, size, sd) in CLUSTERS.items():
        many = np.random.default_rng(0)
        x = logit(many.beta(0.5, 2.0, 400_000).clip(1e-300, 1 - 1e-16))
        q = expit(x + sd * many.standard_normal(len(x)))
        truth = [float(-np.expm1(k * np.log1p(-q)).mean()) for k in KS]
        labels = {"without clusters": None, "with clusters": np.repeat(np.arange(number), size)}
        found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {label: [] for label in labels}
        for i in range(simulations):
            rng = np.random.default_rng([i, number])
            x = logit(rng.beta(0.5, 2.0, number * size).clip(1e-300, 1 - 1e-16))
            solved = rng.binomial(50, expit(x + np.repeat(sd * rng.standard_normal(number), size)))
            for label, cluster in labels.items():
                counts = bp.Counts(
                    problem=np.arange(len(x)),
                    attempts=np.full(len(x), 50),
                    successes=solved,
                    cluster=cluster,
                )
                fit = bp.fit(counts, bp.LibbyNovick(), random_seed=1)
                found[label].append(held(fit, "population", truth))
        for label, each in found.items():
            print(row(name, label, each))
        sys.stdout.flush()


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--only", choices=["runs", "clusters"])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    for what, table in (("runs", runs), ("clusters", clusters)):
        if arguments.only in (None, what):
            table(arguments.simulations)
            print()


if __name__ == "__main__":
    main()
