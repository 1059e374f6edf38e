"""METR: a line for each run of an agent at a task."""

from pathlib import Path

from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.files import records
from bayespassk.logs.peeking import JSON, Peek
from bayespassk.logs.per_attempt import Attempt, add, required

__all__ = ["is_one", "read"]


def is_one(seen: Peek) -> bool:
    """Return whether a file holds runs of METR."""
    return seen.kind in JSON and {"task_id", "score_binarized"} <= set(seen.record)


def read(path: Path, tally: Tally) -> None:
    """Add the runs in a file to the tally."""
    for where, found in records(path):
        keys = ("task_id", "score_binarized")
        record = required(found, keys, f"{path}: {where}", "a run")
        named = (record.get(name) for name in ("alias", "model"))
        cost = record.get("generation_cost")
        one = Attempt(
            problem=record["task_id"],
            score=record["score_binarized"],
            name=record.get("run_id"),
            system=next((str(one) for one in named if one is not None), None),
            about={
                "tokens": record.get("tokens_count"),
                "dollars": cost if isinstance(cost, int | float) else None,
            },
        )
        add(tally, one, Outcome(), f"{path}: {where}")
