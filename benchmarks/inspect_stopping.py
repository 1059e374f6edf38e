"""Inspect's early stopping by a band: the attempts it saves, and how often the band holds.

    python benchmarks/inspect_stopping.py --tasks 200

Simulates tasks of 40 samples whose p are from a beta, as Inspect would run them, epoch by epoch,
with bayespassk.harness.inspect_ai.NarrowEnough. Each is also run with a fixed number of epochs, the
same for all samples: the smallest whose band is as narrow, which nobody knows before. Prints how
many attempts each took, and how often the 95% bands of pass@k held the truth. Shapes of the betas
are not from the prior of the family, but from a narrower distribution within it.
"""

import argparse
import asyncio
import functools
import multiprocessing
import sys
import time
import warnings
from types import SimpleNamespace

import numpy as np

import bayespassk as bp

SAMPLES, EPOCHS, K, HALF_WIDTH = 40, 60, 50, 0.08


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
    """Return the attempts with which all samples have as many and the band is as narrow.

    And whether that band holds the truth.
    """
    rng = np.random.default_rng([seed, 1])
    outcomes = rng.random((len(p), 2 * EPOCHS)) < p[:, None]

    def band(epochs):
        solved = outcomes[:, :epochs].sum(1)
        counts = bp.Counts(problem=range(len(p)), attempts=[epochs] * len(p), successes=solved)
        fit = bp.fit(counts, family, random_seed=1, progress=False)
        row = bp.summarize(bp.forecast(fit, K, random_seed=1)).iloc[0]
        return row["lower"], row["upper"]

    low, high = 1, 2 * EPOCHS
    while low < high:
        middle = (low + high) // 2
        lower, upper = band(middle)
        if (upper - lower) / 2 <= HALF_WIDTH:
            high = middle
        else:
            low = middle + 1
    lower, upper = band(low)
    return low * len(p), lower <= truth_of(p) <= upper


def truth_of(p):
    """Return pass@k of the benchmark."""
    return float(-np.expm1(K * np.log1p(-p)).mean())


def simulated(seed, family):
    """Return what one task took, and whether the bands held."""
    from bayespassk.harness.inspect_ai import NarrowEnough

    warnings.simplefilter("ignore")
    rng = np.random.default_rng(seed)
    a, b = np.exp(rng.normal(np.log(0.4), 0.5)), np.exp(rng.normal(np.log(3.0), 0.5))
    p = rng.beta(a, b, SAMPLES)
    stopper = NarrowEnough(k=K, half_width=HALF_WIDTH, family=family, first=4)
    made, _, said = asyncio.run(run(stopper, p, EPOCHS, rng))
    held = said["lower"] <= truth_of(p) <= said["upper"]
    below = truth_of(p) < said["lower"]
    same, same_held = fixed(p, family, seed)
    return {
        "status": said["status"],
        "attempts": int(made.sum()),
        "fixed": same,
        "held": bool(held),
        "below": bool(below),
        "fixed held": bool(same_held),
    }


def share(values):
    """Return how many of them are true, as text."""
    values = np.asarray(values, dtype=bool)
    return (
        f"{values.sum()} of {len(values)} ({100 * values.mean():.1f}%)" if len(values) else "none"
    )


def main():
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--family", default="beta", help="as bayespassk fit has it")
    options = parser.parse_args()
    rows, begun = [], time.monotonic()
    one = functools.partial(simulated, family=bp.family_from_name(options.family))
    with multiprocessing.get_context("spawn").Pool(options.cores) as pool:
        for row in pool.imap(one, range(options.tasks)):
            rows.append(row)
            seconds = time.monotonic() - begun
            print(f"{len(rows)} {seconds:.0f} s {row}", file=sys.stderr, flush=True)
    ended = [row for row in rows if row["status"] == "narrow enough"]
    adaptive, same = (np.array([row[name] for row in ended]) for name in ("attempts", "fixed"))
    print(f"{len(rows)} tasks, of which {len(ended)} ended narrow enough")
    print(f"95% bands held, all tasks: {share([row['held'] for row in rows])}")
    print(f"  where it ended narrow enough: {share([row['held'] for row in ended])}")
    print(f"  truth below the band: {share([row['below'] for row in rows])}")
    print(f"  as narrow with a fixed number: {share([row['fixed held'] for row in rows])}")
    print(f"attempts where it ended narrow enough: {adaptive.sum():,} against {same.sum():,},")
    print(
        f"  {adaptive.sum() / same.sum():.2f} of them; of a task {np.median(adaptive / same):.2f}"
    )
    low, high = np.quantile(adaptive / same, [0.1, 0.9])
    print(f"  in the median, {low:.2f} to {high:.2f} in four tasks of five")


if __name__ == "__main__":
    main()
