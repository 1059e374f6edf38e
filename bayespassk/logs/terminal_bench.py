"""terminal-bench: a results.json with a record for each trial of an agent at a task."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bayespassk.errors import CountsError
from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.files import opened_document
from bayespassk.logs.peeking import Peek
from bayespassk.logs.per_attempt import Attempt, add, beside, required, seconds_between

__all__ = ["accompanies", "is_one", "read"]

KEYS = ("task_id", "is_resolved")
WANTED = (
    *KEYS, "trial_name", "total_input_tokens", "total_output_tokens", "agent_started_at",
    "agent_ended_at", "trial_started_at", "trial_ended_at",
)  # fmt: skip
METADATA = "run_metadata.json"


def is_one(seen: Peek) -> bool:
    """Return whether a file holds results of terminal-bench, of a run or of a single trial."""
    return seen.kind == "object" and (_is_trial(seen.record) or _first(seen.record) is not None)


def accompanies(seen: Peek) -> bool:
    """Return whether a file is of a single trial, or about a run: its results.json holds all."""
    about = {"run_id", "agent_name", "dataset_path"} <= set(seen.record)
    return seen.kind == "object" and (about or _is_trial(seen.record))


def _is_trial(record: Mapping[str, Any]) -> bool:
    return {*KEYS, "trial_name"} <= set(record)


def _first(record: Mapping[str, Any]) -> Any:
    results = record.get("results")
    first = results[0] if isinstance(results, list) and results else None
    return first if isinstance(first, dict) and set(KEYS) <= set(first) else None


def read(path: Path, tally: Tally) -> None:
    """Add the trials in a file to the tally. One without a verdict (null) has no outcome."""
    about = beside(path, METADATA)
    names = [about.get(name) for name in ("agent_name", "model_name")]
    system = " ".join(one for one in names if isinstance(one, str)) or None
    benchmark = about.get("dataset_name")
    with opened_document(path) as document:
        alone: dict[str, Any] = {}
        found = False
        for key in document.members():
            if key == "results" and document.peek() == "[":
                found = True
                for i, _ in enumerate(document.items()):
                    _add(tally, document.pick(WANTED), system, benchmark, f"result {i + 1:,}")
            elif key in WANTED:
                alone[key] = document.value()
        document.finish()
    if not found and not alone:
        raise CountsError(f"{path}: results of terminal-bench must have 'results'")
    if not found:
        _add(tally, alone, system, benchmark, "the trial")


def _add(tally: Tally, record: Any, system: Any, benchmark: Any, where: str) -> None:
    record = required(record, KEYS, where, "a result of terminal-bench")
    times = [
        seconds_between(record.get(f"{what}_started_at"), record.get(f"{what}_ended_at"))
        for what in ("agent", "trial")
    ]
    one = Attempt(
        problem=record["task_id"],
        score=record["is_resolved"],
        name=record.get("trial_name"),
        system=system,
        benchmark=benchmark,
        about={
            "input_tokens": record.get("total_input_tokens"),
            "output_tokens": record.get("total_output_tokens"),
            "seconds": next((one for one in times if one is not None), None),
            "date": record.get("trial_started_at"),
        },
    )
    add(tally, one, Outcome(), where)
