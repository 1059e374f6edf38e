"""CSV and its like: commas, tabs or semicolons; one row per problem, or one per attempt."""

import codecs
import io
import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bayespassk.arguments import check_arguments
from bayespassk.counts import Counts, Provenance
from bayespassk.errors import CountsError, OptionError
from bayespassk.evidence import EVIDENCE
from bayespassk.logs.attempts import Tally
from bayespassk.logs.files import ROWS, hashed, of_short_lines, opened
from bayespassk.logs.peeking import SEPARATORS, Peek, header_in
from bayespassk.logs.tables import MISSING, NAMES, OURS, Asked, asked, read_frames, renamed

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["is_one", "read", "read_csv"]

LONGEST_HEADER = 2**20
LONGEST_ROW = 2**24
MOST_COLUMNS = 20_000


def is_one(seen: Peek) -> bool:
    """Return whether a file is a table of text."""
    return seen.kind == "table"


def read_csv(
    path: str | PathLike[str], *, stopping: str = "fixed", covariates: Iterable[str] = ()
) -> Counts:
    """Return the counts in a CSV file with one row per (benchmark, system, problem).

    Parameters
    ----------
    path : path
        UTF-8 text, comma-separated, with a header. Columns problem, attempts and successes must
        be there; system and benchmark may be. Others are not used, which the provenance says; one
        called model or llm is refused if there is no column system.
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
        tally = Tally(stopping=stopping)
        counts = _read(path, tally, asked(covariates=covariates))
        if counts is None:
            raise CountsError(
                "the columns problem, attempts and successes must be there; this has one row per "
                "attempt. What to do: bp.read reads it"
            )
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
            notes=tuple(tally.notes),
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
    encoding: str | None = None,
) -> Counts | None:
    """Return the counts in a table, or add its attempts to the tally."""
    return _read(path, tally, asked(columns, covariates, threshold, values), encoding)


def _read(path: Path, tally: Tally, asked: Asked, encoding: str | None = None) -> Counts | None:
    encoding = _known(encoding)
    with opened(path) as file, _parsing(path, encoding):
        header, separator = _header(path, file.read(LONGEST_HEADER), encoding, asked)
    with (
        opened(path) as file,
        of_short_lines(file, LONGEST_ROW, str(path)) as rows,
        _parsing(path, encoding),
        closing(_parts(rows, header, separator, encoding, asked)) as frames,
    ):
        return read_frames(header, frames, asked, tally)


def _known(encoding: str | None) -> str:
    """Return the name of an encoding of text, UTF-8 if none is given."""
    if encoding is None:
        return "utf-8-sig"
    try:
        "a".encode(encoding)
    except (LookupError, TypeError, ValueError):
        raise OptionError(
            f"encoding must name one of text that Python knows, as 'utf-16' or 'cp1252'; got "
            f"{encoding!r}"
        ) from None
    return encoding


def _header(path: Path, start: bytes, encoding: str, asked: Asked) -> tuple[list[str], str]:
    """Return the names of the columns, and what is between them: what makes most of them known."""
    decoded = codecs.getincrementaldecoder(encoding)().decode(start)  # the last may be half of one
    text = io.StringIO(decoded, newline=None).read()
    known, found = {*OURS, *asked.columns}, []
    for separator in SEPARATORS:
        names = header_in(text, separator)
        found.append((len(known & set(names)), len(names) > 1, names, separator))
    *_, names, separator = max(found, key=lambda one: one[:2])
    if not any(names):
        raise CountsError(f"{path}: the file is empty; it needs a header and rows")
    if len(names) > MOST_COLUMNS:
        raise CountsError(f"{path}: a table must have no more than {MOST_COLUMNS:,} columns")
    return names, separator


def _parts(
    file: IO[bytes], header: list[str], separator: str, encoding: str, asked: Asked
) -> "Generator[pd.DataFrame]":
    """Yield the rows: of a table of attempts as they are written, of one of counts as numbers."""
    import pandas as pd

    theirs = renamed(header, asked.columns)
    ours = [theirs.get(name, name) for name in header]
    alone = [name if name not in header[:i] else f"{name}\0{i}" for i, name in enumerate(header)]
    long = not {"attempts", "successes"} & set(ours)
    empty = (
        ("success", "attempt") if long else ("attempts", "successes", *EVIDENCE, *asked.covariates)
    )
    text = [one for one, name in zip(alone, ours, strict=True) if name in NAMES]
    with pd.read_csv(
        file,
        sep=separator,
        names=alone,
        header=0,
        dtype=str if long else dict.fromkeys(text, str),
        na_values={one: MISSING for one, name in zip(alone, ours, strict=True) if name in empty},
        chunksize=ROWS if long else 2**62,
        keep_default_na=False,
        skipinitialspace=True,
        low_memory=False,
        encoding=encoding,
        index_col=False,
    ) as parts:
        yield from parts


@contextmanager
def _parsing(path: Path, encoding: str) -> Iterator[None]:
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
            "that hold a separator"
        ) from None
    except (pd.errors.ParserError, UnicodeError) as error:
        name = "UTF-8" if encoding == "utf-8-sig" else encoding
        raise CountsError(
            f"{path}: not a comma-separated file in {name}: {str(error).strip()}. What to do: if "
            "it is text in another encoding, say which, as in encoding='cp1252' (--encoding "
            "cp1252)"
        ) from None
