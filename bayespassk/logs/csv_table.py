"""CSV: one row per problem with its counts, or one row per attempt."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bayespassk.arguments import check_arguments
from bayespassk.counts import COLUMNS, Counts, Provenance
from bayespassk.errors import CountsError, OptionError
from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.files import ROWS, hashed, opened
from bayespassk.logs.peeking import Peek

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["add_attempts", "counts_in", "is_long", "is_one", "read", "read_csv", "renaming"]

MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "None"]
NAMES = ("benchmark", "system", "problem")
OURS = (*COLUMNS, "attempt", "success")
WORDS = {"true": 1.0, "false": 0.0}


def is_one(seen: Peek) -> bool:
    """Return whether a file is a CSV table."""
    return seen.kind == "table"


def read_csv(
    path: str | PathLike[str], *, stopping: str = "fixed", covariates: Iterable[str] = ()
) -> Counts:
    """Return the counts in a CSV file with one row per (benchmark, system, problem).

    Parameters
    ----------
    path : path
        UTF-8 text, comma-separated, with a header. Columns problem, attempts and successes must
        be there; system and benchmark may be; others are ignored.
    stopping : str, default "fixed"
        How the attempts at a problem were ended; see :class:`bayespassk.Counts`.
    covariates : sequence of str
        Columns to keep as covariates, such as "level", for :func:`bayespassk.fit`.

    Raises
    ------
    CountsError
        If the file is empty or not a CSV file, a column is missing, or a row breaks a rule. Rows
        are counted from 1 after the header.
    InputError
        If the file does not exist or cannot be opened.

    Notes
    -----
    :func:`bayespassk.read` also takes other names of columns, one row per *attempt*, and logs.
    """
    check_arguments("read_csv", locals())
    path = Path(path)
    try:
        counts = _counts(path, Tally(stopping=stopping), {}, covariates)
    except CountsError as error:
        if str(error).startswith(str(path)):
            raise
        raise CountsError(
            f"{path}: {error}", rule=error.rule, rows=error.rows, first=error.first
        ) from None
    return counts.with_provenance(
        Provenance(
            format="csv",
            files=(str(path),),
            sha256=(hashed(path),),
            attempts=int(counts.attempts.sum()),
        )
    )


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
    outcome = Outcome(threshold=threshold, values=values, words=WORDS)
    columns = renaming(columns)
    with opened(path) as file, _parsing(path):
        header = [str(name) for name in _table(file, header=None, nrows=1, dtype=str).iloc[0]]
    if not is_long(header, columns, covariates):
        return _counts(path, tally, columns, covariates)
    theirs = {ours: theirs for theirs, ours in columns.items()}
    missing = {theirs.get(name, name): MISSING for name in ("success", "attempt")}
    with (
        opened(path) as file,
        _parsing(path),
        _table(file, dtype=str, chunksize=ROWS, na_values=missing) as frames,
    ):
        for frame in frames:
            add_attempts(tally, frame.rename(columns=columns), outcome)
    return None


def renaming(columns: Mapping[str, str] | None) -> dict[str, str]:
    """Return the names of columns in a file and what they are here, or raise an error."""
    given = {} if columns is None else dict(columns)
    for theirs, ours in given.items():
        if ours not in OURS:
            raise OptionError(
                f"columns must give, for names in the file, one of {', '.join(OURS)}, as in "
                f"{{'n': 'attempts'}}; got {ours!r} for {theirs!r}"
            )
    if len(set(given.values())) < len(given):
        raise OptionError(f"columns must give each name once; got {given!r}")
    return given


def is_long(header: list[str], columns: Mapping[str, str], covariates: Iterable[str]) -> bool:
    """Return whether a table has one row per attempt, or raise an error if that is not clear."""
    for theirs in columns:
        if theirs not in header:
            raise CountsError(
                f"columns names {theirs!r}, which is not there; the columns found are "
                f"{', '.join(repr(name) for name in header)}"
            )
    names = [columns.get(name, name) for name in header]
    double = {name for name in OURS if names.count(name) > 1}
    if double:
        raise CountsError(f"a column must be there once: {', '.join(sorted(double))} is not")
    counted = "attempts" in names or "successes" in names
    if "success" in names and counted:
        raise CountsError(
            "a table must have one row per problem (columns attempts and successes) or one per "
            "attempt (column success); this has both. Rename or remove one"
        )
    if "success" in names and list(covariates):
        raise OptionError(
            "covariates can be read from a table with one row per problem; this has one per attempt"
        )
    if not counted and "success" not in names and len(header) > 0:
        missing = ", ".join(one for one in ("problem", "attempts", "successes") if one not in names)
        raise CountsError(
            f"the columns problem, attempts and successes must be there, or problem and success "
            f"with one row per attempt: {missing} are not; the columns found are "
            f"{', '.join(repr(name) for name in header)}. Rename yours, or say which is which, as "
            "in columns={'n': 'attempts', 'c': 'successes'} (--columns n=attempts,c=successes)"
        )
    if "success" in names and "problem" not in names:
        raise CountsError(
            "the column problem must be there; the columns found are "
            f"{', '.join(repr(name) for name in header)}. Rename yours, or say which it is, as in "
            "columns={'task': 'problem'} (--columns task=problem)"
        )
    return "success" in names


def counts_in(frame: "pd.DataFrame", tally: Tally, covariates: Iterable[str]) -> Counts:
    """Return the counts in a table with one row per problem."""
    given = {"system": tally.system, "benchmark": tally.benchmark}
    for name, value in given.items():
        if value is not None:
            frame[name] = value
    return Counts.from_dataframe(frame, stopping=tally.stopping or "fixed", covariates=covariates)


def add_attempts(tally: Tally, frame: "pd.DataFrame", outcome: Outcome) -> None:
    """Add the rows of a table with one row per attempt, its index the number of the row from 0."""
    import numpy as np
    import pandas as pd

    names = [name for name in NAMES if name in frame]
    for name in names + [name for name in ("attempt",) if name in frame]:
        blank = frame[name].isna() | (frame[name].astype(str).str.strip() == "")
        if blank.any():
            first = int(frame.index[blank][0]) + 1
            raise CountsError(
                f"{name} must not be missing: the first row without is row {first:,}. What to do: "
                "fill it in for every row, or remove the column",
                rule=f"{name} must not be missing",
                first=first,
            )
    groups = frame.groupby(names, sort=False, dropna=False).ngroup().to_numpy()
    _, starts = np.unique(groups, return_index=True)
    heads = frame.iloc[starts][names].to_dict(orient="records")
    rows = np.array([tally.row(**{str(k): _plain(v) for k, v in one.items()}) for one in heads])
    try:
        codes, scores = pd.factorize(frame["success"].to_numpy(object), use_na_sentinel=False)
    except TypeError:  # lists, or other values that are not equal to each other
        raise CountsError("success must be a column of numbers or text") from None
    pairs, where, sizes = np.unique(
        groups.astype(np.int64) * len(scores) + codes, return_index=True, return_counts=True
    )
    for pair, at, size in zip(pairs.tolist(), where.tolist(), sizes.tolist(), strict=True):
        row, score = int(rows[pair // len(scores)]), _plain(scores[pair % len(scores)])
        tally.add_score(
            row, score, outcome, f"row {frame.index[at] + 1:,}", times=size, kept=tally.keeps
        )
    if tally.keeps:
        _keep(tally, frame, rows[groups], codes, [_plain(score) for score in scores], outcome)
    if "attempt" in frame:
        tally.name_attempts(rows[groups], frame["attempt"].to_numpy(dtype=object))


def _keep(
    tally: Tally,
    frame: "pd.DataFrame",
    rows: Any,
    codes: Any,
    scores: list[Any],
    outcome: Outcome,
) -> None:
    """Keep the attempts of a table in their order, with their runs."""
    import numpy as np

    outcomes = []
    for score in scores:
        try:
            found = outcome(score)
        except CountsError:  # which the tally remembers
            found = None
        outcomes.append(-1 if found is None else found)
    runs = None
    if tally.runs:
        missing = [name for name in tally.runs if name not in frame]
        if missing:
            raise CountsError(
                f"run names the column {missing[0]!r}, which is not there; the columns found are "
                f"{', '.join(repr(str(name)) for name in frame)}"
            )
        runs = frame[list(tally.runs)].astype(str).agg(", ".join, axis=1).tolist()
    tally.keep(rows, np.array(outcomes)[codes], runs)


def _plain(value: Any) -> Any:
    """Return None for what pandas has for a missing value, and Python's own numbers."""
    import pandas as pd

    if pd.isna(value) or value == "":
        return None
    return value.item() if hasattr(value, "item") else value


def _counts(
    path: Path, tally: Tally, columns: Mapping[str, str], covariates: Iterable[str]
) -> Counts:
    covariates = [covariates] if isinstance(covariates, str) else list(covariates)
    ours = {ours: theirs for theirs, ours in columns.items()}
    numbers = [*(ours.get(name, name) for name in ("attempts", "successes")), *covariates]
    with opened(path) as file, _parsing(path):
        frame = _table(
            file,
            dtype=dict.fromkeys((ours.get(name, name) for name in NAMES), str),
            na_values=dict.fromkeys(numbers, MISSING),
            low_memory=False,
        )
    return counts_in(frame.rename(columns=columns), tally, covariates)


def _table(file: IO[bytes], **options: Any) -> Any:
    import pandas as pd

    return pd.read_csv(
        file,
        keep_default_na=False,
        skipinitialspace=True,
        encoding="utf-8-sig",
        index_col=False,
        **options,
    )


@contextmanager
def _parsing(path: Path) -> Iterator[None]:
    """Turn what pandas raises about a file into an error that names the file."""
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            yield
    except pd.errors.EmptyDataError:
        raise CountsError(f"{path}: the file is empty; it needs a header and rows") from None
    except pd.errors.ParserWarning:
        raise CountsError(
            f"{path}: every row must have as many values as the header; one has more. Quote names "
            "that hold a comma"
        ) from None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise CountsError(
            f"{path}: not a comma-separated file in UTF-8: {str(error).strip()}"
        ) from None
