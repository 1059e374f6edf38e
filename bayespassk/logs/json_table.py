"""Records in JSON lines or an array, each a row of a table: of a problem, or of an attempt."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayespassk.counts import Counts
from bayespassk.errors import CountsError
from bayespassk.logs.attempts import Tally
from bayespassk.logs.files import records
from bayespassk.logs.peeking import JSON, Peek
from bayespassk.logs.tables import asked, parts_of, read_frames

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["is_one", "read"]

FEW_RECORDS = 10_000
"""Records held at a time, as each may hold more than what is read of it."""


def is_one(seen: Peek) -> bool:
    """Return whether a file holds records with the names of a table."""
    names = set(seen.record)
    counted = {"attempts", "successes"} <= names
    return seen.kind in JSON and "problem" in names and (counted or "success" in names)


def read(
    path: Path,
    tally: Tally,
    *,
    columns: Mapping[str, str] | None = None,
    covariates: Iterable[str] = (),
    threshold: float | None = None,
    values: Mapping[Any, Any] | None = None,
) -> Counts | None:
    """Return the counts in a table, or add its attempts to the tally."""
    given = asked(columns, covariates, threshold, values)
    with closing(records(path)) as found:  # type: ignore[type-var]  # it is a generator
        first = next(found, None)
    if first is None:
        raise CountsError(f"{path}: the file holds no record")
    header = list(first[1])
    with closing(records(path)) as found:  # type: ignore[type-var]
        return read_frames(header, _parts(path, header, found), given, tally)


def _parts(
    path: Path, header: list[str], found: Iterable[tuple[str, dict[str, Any]]]
) -> "Iterator[pd.DataFrame]":
    for frame in parts_of((record for _, record in found), FEW_RECORDS):
        for name in header:
            if name not in frame:
                raise CountsError(f"{path}: each record must have {name!r}, as the first has")
        yield frame
