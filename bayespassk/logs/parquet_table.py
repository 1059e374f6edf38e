"""Parquet: one row per problem with its counts, or one row per attempt. Needs pyarrow."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayespassk.counts import Counts
from bayespassk.logs.attempts import Tally
from bayespassk.logs.files import ROWS, opened_parquet
from bayespassk.logs.peeking import Peek
from bayespassk.logs.tables import asked, layout_of, read_frames

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["are_parts", "is_one", "partitions_of", "read"]

PART = re.compile(r"(.*[-_.])?part[-_.]?\d.*|.*\d-of-\d.*", re.IGNORECASE)
"""Names of files that are parts of one table."""


def is_one(seen: Peek) -> bool:
    """Return whether a file is a Parquet table of counts or attempts."""
    return seen.kind == "parquet" and "is_corrects" not in seen.names


def read(
    path: Path,
    tally: Tally,
    *,
    columns: Mapping[str, str] | None = None,
    covariates: Iterable[str] = (),
    threshold: float | None = None,
    values: Mapping[Any, Any] | None = None,
) -> Counts | None:
    """Return the counts in a table, or add its attempts to the tally.

    What pandas had as an index is a column like others, also where it is only told by the file,
    as numbers from 0 are; so are the partitions that the folders of the path name, as in
    ``system=a``.
    """
    given = asked(columns, covariates, threshold, values)
    with opened_parquet(path) as file:
        more = _counted(file.schema_arrow) | partitions_of(path)
        names = list(file.schema_arrow.names)
        header = [*names, *(name for name in more if name not in names)]
        columns = layout_of(header, given, tally).columns
        wanted = [one for one in names if one in columns]
        return read_frames(header, _parts(file, wanted, more), given, tally)


def _parts(file: Any, wanted: list[str], more: Mapping[str, Any]) -> "Iterator[pd.DataFrame]":
    """Yield the rows, without what pandas had made of them."""
    import numpy as np
    import pyarrow as pa

    start = 0
    for batch in file.iter_batches(ROWS, columns=wanted):
        frame = batch.to_pandas(ignore_metadata=True, date_as_object=False)
        for name, one in more.items():
            if name not in frame:
                numbers = np.arange(start, start + len(frame))
                frame[name] = one if isinstance(one, str) else one[0] + one[1] * numbers
        for name in wanted:
            if pa.types.is_decimal(batch.schema.field(name).type):
                frame[name] = frame[name].astype(float)
        start += len(frame)
        yield frame


def _counted(schema: Any) -> dict[str, tuple[int, int]]:
    """Return the start and the step of an index with a name that is only told, not kept."""
    try:
        index = json.loads(schema.metadata[b"pandas"])["index_columns"]
        return {
            one["name"]: (int(one["start"]), int(one["step"]))
            for one in index
            if isinstance(one, dict) and isinstance(one["name"], str)
        }
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}


def partitions_of(path: Path) -> dict[str, str]:
    """Return the columns that the folders of a path name, as in system=a/part-0.parquet."""
    from urllib.parse import unquote

    pairs = [part.partition("=") for part in path.parts[:-1]]
    return {name: unquote(value) for name, sign, value in pairs if name and sign and value}


def are_parts(paths: Sequence[Path]) -> bool:
    """Return whether files are parts of one table: by their folders, or by their names."""
    return all(partitions_of(path) or PART.fullmatch(path.name) for path in paths)
