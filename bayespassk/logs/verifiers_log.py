"""verifiers: a line for each rollout of an example, with its reward."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.files import records
from bayespassk.logs.peeking import JSON, Peek
from bayespassk.logs.per_attempt import Attempt, add, beside, required, seconds_of

__all__ = ["accompanies", "is_one", "read"]


def is_one(seen: Peek) -> bool:
    """Return whether a file holds rollouts of verifiers."""
    return seen.kind in JSON and {"example_id", "reward"} <= set(seen.record)


def accompanies(seen: Peek) -> bool:
    """Return whether a file is the metadata that verifiers writes beside its rollouts."""
    return seen.kind == "object" and {"env_id", "model", "rollouts_per_example"} <= set(seen.record)


def read(
    path: Path,
    tally: Tally,
    *,
    metric: str = "reward",
    threshold: float | None = None,
    values: Mapping[Any, Any] | None = None,
) -> None:
    """Add the rollouts in a file to the tally; `metric` is another of the rewards of a rollout."""
    outcome = Outcome(threshold=threshold, values=values)
    about = beside(path, "metadata.json")
    names = {name: about.get(name) for name in ("model", "env_id")}
    for where, found in records(path):
        record = required(found, ("example_id", metric), f"{path}: {where}", "a rollout")
        one = Attempt(
            problem=record["example_id"],
            score=record[metric],
            system=names["model"] if isinstance(names["model"], str) else None,
            benchmark=names["env_id"] if isinstance(names["env_id"], str) else None,
            about={
                "completion": record.get("completion"),
                "seconds": seconds_of(record.get("total_ms")),
            },
        )
        add(tally, one, outcome, f"{path}: {where}")
