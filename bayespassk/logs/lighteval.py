"""lighteval: details in Parquet, with a row for each document and a structure of metrics."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bayespassk.errors import CountsError
from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.files import opened_parquet
from bayespassk.logs.peeking import Peek
from bayespassk.logs.per_attempt import chosen

__all__ = ["is_one", "read"]

FEW_ROWS = 100
COLUMNS = ("metric", "metrics")
SEVERAL = re.compile(r"(?:.*pass@(?:k:k=)?1|avg@?)[^0-9]*(\d{1,6})(?:_samples.*)?|avg@(\d{1,6}).*")
"""Metrics that are the mean over so many samples, as math_pass@1:4_samples or avg@16."""

EXACT = 1e-6


def is_one(seen: Peek) -> bool:
    """Return whether a file holds details of lighteval."""
    names = set(seen.names)
    older = {"metrics", "full_prompt"} <= names or {"metrics", "predictions"} <= names
    return seen.kind == "parquet" and ({"metric", "doc"} <= names or older)


def read(
    path: Path,
    tally: Tally,
    *,
    metric: str | None = None,
    threshold: float | None = None,
    values: Mapping[Any, Any] | None = None,
) -> None:
    """Add the documents in a file to the tally."""
    outcome = Outcome(threshold=threshold, values=values)
    named = re.fullmatch(r"details_(.+)_\d{4}-\d\d-\d\dT.*\.parquet", path.name)
    system = path.parent.parent.name if named else None
    for number, record in _rows(path):
        where = f"row {number:,}"
        metrics = next((record[one] for one in COLUMNS if record.get(one) is not None), None)
        if not isinstance(metrics, dict):
            raise CountsError(f"{path}: {where}: metric must be a structure of metrics")
        found = [one for one, value in metrics.items() if value is not None]
        name = chosen(found or metrics, metric, "metric", where)
        row = tally.row(_problem(record, number), system, named[1] if named else None)
        tally.name_attempt(row, 0)
        score = metrics[name]
        many = SEVERAL.fullmatch(name)
        if many and isinstance(score, int | float):
            _add_many(tally, row, score, int(many[1] or many[2]), where)
        else:
            tally.add_score(row, score, outcome, where)


def _add_many(tally: Tally, row: int, mean: float, number: int, where: str) -> None:
    """Add so many samples, of which the mean is known."""
    successes = round(mean * number) if 0 <= mean <= 1 else -1
    if abs(successes - mean * number) > EXACT * number:
        raise CountsError(
            f"{where}: {mean!r} is not the mean of {number:,} outcomes of 0 and 1. What to do: "
            "choose another metric"
        )
    for outcome, times in ((1, successes), (0, number - successes)):
        if times:
            tally.add(row, outcome, where, times=times)


def _problem(record: Mapping[str, Any], number: int) -> str:
    """Return the name of a document, or else its number from 0."""
    doc = record.get("doc")
    name = doc.get("id") if isinstance(doc, dict) else record.get("example_id")
    return str(name) if isinstance(name, str | int) and str(name).strip() else str(number - 1)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with opened_parquet(path) as file:
        wanted = [one for one in file.schema_arrow.names if one in (*COLUMNS, "doc", "example_id")]
        number = 0
        for batch in file.iter_batches(FEW_ROWS, columns=wanted):
            for record in batch.to_pylist():
                number += 1
                yield number, record
