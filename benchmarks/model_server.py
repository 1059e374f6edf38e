"""A live evaluation, with a simulated model server in place of a model: ask, attempt, tell.

The server answers each attempt after a while, at random passes or fails, and now and then breaks
down, as real ones do: then the attempt is not counted, and asked for again in a later batch. The
state of the evaluation is the file of counts. Interrupt the command and start it again: it goes on.

    python benchmarks/model_server.py counts.csv --half-width 0.08 --budget 6000
"""

import argparse
import asyncio
from pathlib import Path

import numpy as np
import pandas as pd

import bayespassk as bp

PROBLEMS = 60


class Server:
    """Stands for a model and the verifier of its answers."""

    def __init__(self, seed: int, broken: float):
        self.p = np.random.default_rng(1).beta(0.3, 3.0, PROBLEMS)
        self.rng = np.random.default_rng(seed)
        self.broken = broken

    async def attempt(self, problem: str) -> bool:
        """Return whether an attempt at a problem passed."""
        await asyncio.sleep(self.rng.exponential(1e-4))
        if self.rng.random() < self.broken:
            raise ConnectionError("the server is overloaded")
        return bool(self.rng.random() < self.p[int(problem)])


async def attempted(server: Server, batch: pd.DataFrame) -> pd.DataFrame:
    """Return what came of a batch: the attempts that were answered, and how many passed."""
    problems = np.repeat(batch["problem"], batch["attempts"])
    answers = await asyncio.gather(*map(server.attempt, problems), return_exceptions=True)
    each = pd.DataFrame({"problem": problems.to_numpy(), "passed": answers})
    each = each[[isinstance(answer, bool) for answer in answers]]
    of_problem = each.groupby("problem")["passed"]
    return of_problem.agg(attempts="size", successes="sum").astype(int).reset_index()


def main() -> None:
    """Ask, attempt and tell until the band is narrow enough."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("counts", type=Path, help="file of counts; made if it is not there")
    parser.add_argument("--k", type=int, default=1000)
    parser.add_argument("--half-width", type=float, default=0.08)
    parser.add_argument("--budget", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=600)
    parser.add_argument("--broken", type=float, default=0.02, help="share of attempts that fail")
    options = parser.parse_args()
    if not options.counts.exists():
        nothing = {"problem": range(PROBLEMS), "attempts": 0, "successes": 0}
        pd.DataFrame(nothing).to_csv(options.counts, index=False)
    plan = bp.Plan(
        options.counts,
        options.k,
        options.half_width,
        budget=options.budget,
        family=bp.Beta(),
    )
    server = Server(int(plan.counts.attempts.sum()), options.broken)
    while not plan.done:
        plan.tell(asyncio.run(attempted(server, plan.ask(options.batch))))
        print(plan.message(), flush=True)
    truth = -np.expm1(options.k * np.log1p(-server.p)).mean()
    print(plan.band.to_string(index=False))
    print(f"What the server's pass@{options.k:,} is: {truth:.4f}")


if __name__ == "__main__":
    main()
