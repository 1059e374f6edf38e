"""Inspect's early stopping by a band: the attempts it saves, and how often the band holds.

    python benchmarks/inspect_stopping.py [TASKS]

Simulates tasks of 40 samples whose p are from a beta, as Inspect would run them, epoch by epoch,
with bayespassk.harness.inspect_ai.NarrowEnough. Each is also run with a fixed number of epochs, the
same for all samples: the smallest whose band is as narrow. Prints how many attempts each took, and
how often the 95% band of pass@k held the truth.
"""

import asyncio
import sys
import warnings
from types import SimpleNamespace

import numpy as np

import bayespassk as bp

SAMPLES, EPOCHS, K, HALF_WIDTH = 40, 100, 50, 0.05


async def run(stopper, p, epochs, rng):
    """Return attempts and successes of each sample, and what the stopper says in the end."""
    made, solved = np.zeros((2, len(p)), dtype=np.int64)
    await stopper.start_task(None, [SimpleNamespace(id=i) for i in range(len(p))], epochs)
    for epoch in range(1, epochs + 1):
        for i in range(len(p)):
            if await stopper.schedule_sample(i, epoch) is None:
                success = rng.random() < p[i]
                made[i] += 1
                solved[i] += success
                score = SimpleNamespace(value="C" if success else "I")
                await stopper.complete_sample(i, epoch, {"match": SimpleNamespace(score=score)})
    return made, solved, await stopper.complete_task()


def fixed(p, family, seed):
    """Return the attempts with which every sample has the same number and the band is as narrow."""
    rng = np.random.default_rng([seed, 1])
    outcomes = rng.random((len(p), 2 * EPOCHS)) < p[:, None]

    def half_width(epochs):
        solved = outcomes[:, :epochs].sum(1)
        counts = bp.Counts(problem=range(len(p)), attempts=[epochs] * len(p), successes=solved)
        row = bp.summarize(bp.forecast(bp.fit(counts, family, random_seed=1), K)).iloc[0]
        return (row["upper"] - row["lower"]) / 2

    low, high = 1, 2 * EPOCHS
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if half_width(middle) <= HALF_WIDTH else (middle + 1, high)
    return low * len(p)


def simulated(seed, family):
    """Return what one task took, and whether the band held."""
    from bayespassk.harness.inspect_ai import NarrowEnough

    rng = np.random.default_rng(seed)
    a, b = np.exp(rng.normal(np.log(0.4), 0.5)), np.exp(rng.normal(np.log(3.0), 0.5))
    p = rng.beta(a, b, SAMPLES)
    stopper = NarrowEnough(k=K, half_width=HALF_WIDTH, family=family, first=4)
    made, _, said = asyncio.run(run(stopper, p, EPOCHS, rng))
    truth = -np.expm1(K * np.log1p(-p)).mean()
    held = said["lower"] <= truth <= said["upper"]
    return said["status"], int(made.sum()), fixed(p, family, seed), held


def main():
    """Print the table."""
    warnings.simplefilter("ignore")
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    rows = [simulated(seed, bp.Beta()) for seed in range(tasks)]
    ended = [row for row in rows if row[0] == "narrow enough"]
    adaptive, same = (np.array([row[i] for row in ended]) for i in (1, 2))
    held = np.mean([row[3] for row in rows])
    print(
        f"{tasks} tasks, of which {len(ended)} ended narrow enough; bands held {100 * held:.0f}%."
    )
    print(f"Of these, attempts in all: {adaptive.sum():,} against {same.sum():,}; the median task")
    print(f"took {np.median(adaptive / same):.2f} of a fixed number of epochs.")


if __name__ == "__main__":
    main()
