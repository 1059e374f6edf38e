"""evalscope: a review for each sample; samples of one group are attempts at one problem."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bayespassk.errors import CountsError
from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.files import records
from bayespassk.logs.peeking import JSON, Peek
from bayespassk.logs.per_attempt import Attempt, add, chosen, required

__all__ = ["accompanies", "is_one", "read"]


def is_one(seen: Peek) -> bool:
    """Return whether a file holds reviews of evalscope."""
    return seen.kind in JSON and isinstance(seen.record.get("sample_score"), dict)


def accompanies(seen: Peek) -> bool:
    """Return whether a file is a prediction or a report of evalscope, without outcomes."""
    keys = set(seen.record)
    report = {"dataset_name", "model_name", "metrics"} <= keys
    return seen.kind in JSON and (report or {"index", "model_output", "messages"} <= keys)


def read(
    path: Path,
    tally: Tally,
    *,
    metric: str | None = None,
    threshold: float | None = None,
    values: Mapping[Any, Any] | None = None,
) -> None:
    """Add the reviews in a file to the tally."""
    outcome = Outcome(threshold=threshold, values=values)
    reviews = path.parent.parent.name == "reviews"
    system, benchmark = (path.parent.name, path.name.partition(".")[0]) if reviews else (None, None)
    for where, found in records(path):
        place = f"{path}: {where}"
        record = required(found, ("sample_score",), place, "a review")
        sample = required(record["sample_score"], ("score",), place, "a sample_score")
        score = sample["score"]
        value = score.get("value") if isinstance(score, dict) else None
        if isinstance(value, dict):
            value = value[chosen(value, metric, "metric", place)]
        elif isinstance(value, list):
            raise CountsError(f"{place}: the value of a score must be a number or an object")
        names = (sample.get("group_id"), sample.get("sample_id"), record.get("index"))
        one = Attempt(
            problem=next((one for one in names if one is not None), None),
            score=value,
            name=sample.get("sample_id"),
            system=system,
            benchmark=benchmark,
            about={"completion": score.get("prediction") if isinstance(score, dict) else None},
        )
        add(tally, one, outcome, place)
