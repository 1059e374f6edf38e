"""verl: a line for each rollout, with its score. What was put in names the problem."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.files import records
from bayespassk.logs.peeking import JSON, Peek
from bayespassk.logs.per_attempt import Attempt, add, required

__all__ = ["is_one", "read"]


def is_one(seen: Peek) -> bool:
    """Return whether a file holds rollouts of verl."""
    number = isinstance(seen.record.get("score"), int | float | None)
    return seen.kind in JSON and {"input", "output", "score"} <= set(seen.record) and number


def read(
    path: Path,
    tally: Tally,
    *,
    metric: str = "score",
    threshold: float | None = None,
    values: Mapping[Any, Any] | None = None,
) -> None:
    """Add the rollouts in a file to the tally; `metric` is what else a reward function wrote."""
    outcome = Outcome(threshold=threshold, values=values)
    for where, found in records(path):
        record = required(found, ("input", metric), f"{path}: {where}", "a rollout")
        one = Attempt(
            problem=record["input"],
            score=record[metric],
            about={"completion": record.get("output"), "epoch": record.get("step")},
        )
        add(tally, one, outcome, f"{path}: {where}")
