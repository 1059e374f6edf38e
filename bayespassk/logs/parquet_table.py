"""Parquet: one row per problem with its counts, or one row per attempt. Needs pyarrow."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bayespassk.counts import Counts
from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.csv_table import OURS, add_attempts, counts_in, is_long, renaming
from bayespassk.logs.files import ROWS, opened_parquet
from bayespassk.logs.peeking import Peek

__all__ = ["is_one", "read"]


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
    """Return the counts in a table, or add its attempts to the tally."""
    import pandas as pd

    outcome = Outcome(threshold=threshold, values=values)
    columns = renaming(columns)
    covariates = [covariates] if isinstance(covariates, str) else list(covariates)
    with opened_parquet(path) as file:
        header = list(file.schema_arrow.names)
        long = is_long(header, columns, covariates)
        wanted = [name for name in header if columns.get(name, name) in (*OURS, *covariates)]
        start, frames = 0, []
        for batch in file.iter_batches(ROWS, columns=wanted):
            frame = batch.to_pandas().rename(columns=columns)
            frame.index = pd.RangeIndex(start, start + len(frame))
            start += len(frame)
            if long:
                add_attempts(tally, frame, outcome)
            else:
                frames.append(frame)
        if long:
            return None
        whole = pd.concat(frames) if frames else pd.DataFrame(columns=[*OURS, *covariates])
    return counts_in(whole, tally, covariates)
