"""Qwen2.5-Math: a line for each problem, with a list of whether each sample is right."""

from pathlib import Path

from bayespassk.errors import CountsError
from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.files import records
from bayespassk.logs.peeking import JSON, Peek
from bayespassk.logs.per_attempt import Attempt, add, required

__all__ = ["is_one", "read"]


def is_one(seen: Peek) -> bool:
    """Return whether a file holds results of Qwen2.5-Math."""
    return seen.kind in JSON and "idx" in seen.record and isinstance(seen.record.get("score"), list)


def read(path: Path, tally: Tally) -> None:
    """Add the samples in a file to the tally."""
    for where, found in records(path):
        place = f"{path}: {where}"
        record = required(found, ("idx", "score"), place, "a problem")
        scores, code = record["score"], record.get("code")
        if not isinstance(scores, list):
            raise CountsError(f"{place}: score must be a list; got {str(scores)[:80]!r}")
        if tally.knows(record["idx"]):
            raise CountsError(
                f"{place}: each problem must occur once: {record['idx']!r} is there again"
            )
        said = code if isinstance(code, list) and len(code) == len(scores) else None
        for i, score in enumerate(scores):
            about = {"completion": None if said is None else said[i]}
            one = Attempt(problem=record["idx"], score=score, about=about)
            add(tally, one, Outcome(), f"{place}: sample {i + 1:,}")
