"""A live evaluation in Inspect: ask for attempts, run a task, read its log, tell.

Inspect has one number of epochs for a run, while a plan asks for more attempts at some problems
than at others. So a batch is run in a few parts: the problems that need 1, 2, 4, ... further
attempts, until all have had theirs. The mock model stands for yours: give another to --model.

    pip install inspect-ai
    python benchmarks/inspect_plan.py counts.csv logs --half-width 0.1 --budget 8000

The state of the evaluation is the file of counts. Interrupt the command and start it again: it goes
on.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from inspect_ai import Task, eval as run
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import Model, ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

import bayespassk as bp

PROBLEMS = 40


def mock() -> Model:
    """Return a model that knows the answer to each problem now and then."""
    p = np.random.default_rng(1).beta(0.3, 3.0, PROBLEMS)
    rng = np.random.default_rng()

    def answer(messages, *_) -> ModelOutput:
        problem = int(messages[-1].text.split()[-1])
        output = ModelOutput.from_content("mock", "yes" if rng.random() < p[problem] else "no")
        output.usage = ModelUsage()  # or a tokenizer is downloaded to count
        return output

    return get_model("mockllm/model", custom_outputs=answer)


def task() -> Task:
    """Return the task: put yours here."""
    samples = [Sample(id=str(i), input=f"Problem {i}", target="yes") for i in range(PROBLEMS)]
    return Task(dataset=MemoryDataset(samples), solver=generate(), scorer=includes())


def attempted(batch: pd.DataFrame, model: str | Model, logs: Path) -> Iterator[pd.DataFrame]:
    """Yield what came of the parts of a batch; an attempt that ended in an error is left out."""
    left = dict(zip(batch["problem"], batch["attempts"], strict=True))
    while left:
        epochs = 2 ** int(np.log2(max(left.values())))
        now = [name for name, n in left.items() if n >= epochs]
        (log,) = run(
            task(),
            model=model,
            epochs=epochs,
            sample_id=now,
            log_dir=str(logs),
            display="none",
            fail_on_error=False,
        )
        counts = bp.read(log.location, errors="drop")
        if not counts.attempts.any():
            raise SystemExit(f"every attempt ended in an error: see {log.location}")
        yield counts.to_dataframe()[["problem", "attempts", "successes"]]
        left = {name: n - epochs * (name in now) for name, n in left.items()}
        left = {name: n for name, n in left.items() if n > 0}


def main() -> None:
    """Ask, run and tell until the band is narrow enough."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("counts", type=Path, help="file of counts; made if it is not there")
    parser.add_argument("logs", type=Path, help="folder for Inspect's logs")
    parser.add_argument("--model", help="as Inspect names it  [default: the mock model]")
    parser.add_argument("--k", type=int, default=1000)
    parser.add_argument("--half-width", type=float, default=0.1)
    parser.add_argument("--budget", type=int, default=8000)
    parser.add_argument("--batch", type=int, default=1000)
    options = parser.parse_args()
    if not options.counts.exists():
        nothing = {"problem": range(PROBLEMS), "attempts": 0, "successes": 0}
        pd.DataFrame(nothing).to_csv(options.counts, index=False)
    plan = bp.Plan(options.counts, options.k, options.half_width, budget=options.budget)
    while not plan.done:
        for outcomes in attempted(plan.ask(options.batch), options.model or mock(), options.logs):
            plan.tell(outcomes)
        print(plan.message(), flush=True)
    print(plan.band.to_string(index=False))


if __name__ == "__main__":
    main()
