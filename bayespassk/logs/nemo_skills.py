"""NeMo-Skills: a line for each problem of a run; a run is a file, as output-rs0.jsonl."""

import re
from pathlib import Path

from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.files import records
from bayespassk.logs.peeking import JSON, Peek
from bayespassk.logs.per_attempt import Attempt, add, chosen

__all__ = ["is_one", "read"]

SCORES = ("symbolic_correct", "is_correct", "judge_correct")
PROBLEMS = ("id", "problem_id", "problem", "question")


def is_one(seen: Peek) -> bool:
    """Return whether a file holds outcomes of NeMo-Skills."""
    keys = set(seen.record)
    scored = any(isinstance(seen.record.get(name), bool) for name in SCORES)
    return seen.kind in JSON and scored and bool({"generation", "expected_answer"} & keys)


def read(path: Path, tally: Tally, *, metric: str | None = None) -> None:
    """Add the generations in a file to the tally."""
    named = re.search(r"rs(\d+)", path.name)
    for where, record in records(path):
        score = chosen((name for name in SCORES if name in record), metric, "metric", where)
        one = Attempt(
            problem=next((record[name] for name in PROBLEMS if record.get(name) is not None), None),
            score=record[score],
            about={
                "seed": int(named[1]) if named and len(named[1]) < 18 else None,
                "output_tokens": record.get("num_generated_tokens"),
                "seconds": record.get("generation_time"),
                "completion": record.get("generation"),
            },
        )
        add(tally, one, Outcome(), f"{path}: {where}")
