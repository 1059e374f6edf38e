"""NumPy: a matrix with a row for each problem and a column for each attempt."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bayespassk.counts import Counts
from bayespassk.errors import CountsError, OptionError
from bayespassk.logs.attempts import Tally
from bayespassk.logs.files import capped, guarded, zipfile
from bayespassk.logs.peeking import Peek

__all__ = ["counts_in", "is_one", "read"]

CELLS = 10**7
LONGEST_HEADER = 10_000
"""Bytes, beyond which NumPy does not read a header either."""

BAD_HEADER = (
    ValueError, TypeError, SyntaxError, EOFError, OverflowError, MemoryError, RecursionError,
    TokenError,
)  # fmt: skip
"""What NumPy raises, as its header is Python text."""


def is_one(seen: Peek) -> bool:
    """Return whether a file holds NumPy arrays."""
    arrays = bool(seen.names) and all(name.endswith(".npy") for name in seen.names)
    return seen.kind == "npy" or (seen.kind == "zip" and arrays)


def read(
    path: Path,
    tally: Tally,
    *,
    problems: Sequence[Any] | None = None,
    systems: Sequence[Any] | None = None,
) -> Counts:
    """Return the counts in a file that NumPy saved; of an .npz, each array is of a system."""
    with guarded(path):
        with path.open("rb") as file:
            zipped = file.read(2) == b"PK"
        if not zipped:
            with path.open("rb") as file:
                _check_header(file, path)
            with _saved(path):
                matrix = np.lib.format.open_memmap(path, mode="r")
            return counts_in(matrix, tally, problems=problems, systems=systems)
        with zipfile.ZipFile(path) as archive:
            found = {
                name.removesuffix(".npy"): _entry(archive, name, path)
                for name in dict.fromkeys(archive.namelist())
            }
    if len(found) == 1:
        (only,) = found.values()
        return counts_in(only, tally, problems=problems, systems=systems)
    if systems is not None:
        raise OptionError("systems are named by the arrays of an .npz")
    each = [_counts_of(one, tally, problems, name) for name, one in found.items()]
    if not each:
        raise CountsError(f"{path}: holds no array")
    return _joined(each, tally)


@contextmanager
def _saved(path: Path) -> Iterator[None]:
    """Turn what NumPy raises about a file into an error that names it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of headers that Python 2 wrote
            yield
    except BAD_HEADER as error:
        raise CountsError(
            f"{path}: not an array of numbers that NumPy saved, or cut short: "
            f"{str(error).splitlines()[0][:200] if str(error) else type(error).__name__}"
        ) from None


def _entry(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    """Return an array of an .npz."""
    entry = archive.getinfo(name)
    try:
        for check in (True, False):
            stream = archive.open(entry)
            with capped(stream, entry.compress_size, str(path)) as file, _saved(path):
                if check:
                    _check_header(file, path)
                else:
                    found: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    except (RuntimeError, NotImplementedError) as error:
        raise CountsError(f"{path}: the entry {name!a} cannot be read: {error}") from None
    return found


def _check_header(file: IO[bytes], path: Path) -> None:
    """Raise an error if the header is not plain text, on which Python's own parser fails badly."""
    start = file.read(12)
    length = 2 if start[6:7] == b"\x01" else 4
    size = min(int.from_bytes(start[8 : 8 + length], "little"), LONGEST_HEADER)
    header = start[8 + length :] + file.read(size)
    if not (start.startswith(b"\x93NUMPY") and header.isascii() and b"\0" not in header[:size]):
        raise CountsError(f"{path}: not an array of numbers that NumPy saved, or cut short")


def counts_in(
    array: NDArray[Any],
    tally: Tally,
    *,
    problems: Sequence[Any] | None = None,
    systems: Sequence[Any] | None = None,
) -> Counts:
    """Return the counts in an array of 0, 1 and, for attempts that were not made, NaN.

    Raises
    ------
    CountsError
        If it is not a matrix (problem, attempt) or an array (system, problem, attempt) of these.
    OptionError
        If there is not a name for each problem and system.
    """
    number = len(array) if array.ndim == 3 else 1
    if systems is not None and (array.ndim != 3 or len(systems) != number):
        raise OptionError(
            "systems must have a name for each matrix of an array with dimensions system, problem "
            f"and attempt; got {len(systems):,} names for an array of shape {array.shape}"
        )
    if array.ndim != 3:
        return _counts_of(array, tally, problems)
    each = [
        _counts_of(one, tally, problems, str(i if systems is None else systems[i]))
        for i, one in enumerate(array if array.size else ())
    ]
    if not each:
        raise CountsError(
            f"there must be at least one attempt; got an array of shape {array.shape}"
        )
    return _joined(each, tally)


def _joined(each: Sequence[Counts], tally: Tally) -> Counts:
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in each])
        for name in ("benchmark", "system", "problem", "attempts", "successes")
    }
    return Counts(**columns, stopping=tally.stopping or "fixed")


def _counts_of(
    matrix: NDArray[Any],
    tally: Tally,
    problems: Sequence[Any] | None,
    system: str | None = None,
) -> Counts:
    if matrix.ndim != 2 or matrix.dtype.kind not in "biuf":
        raise CountsError(
            "the outcomes must be a matrix of numbers, with a row for each problem and a column "
            f"for each attempt; got an array of {matrix.dtype} of shape {matrix.shape}"
        )
    if len(matrix) and not matrix.shape[1]:
        raise CountsError(f"there must be at least one attempt; got shape {matrix.shape}")
    rows = len(matrix)
    if problems is not None and len(problems) != rows:
        raise OptionError(
            f"problems must have a name for each of the {rows:,} rows; got {len(problems):,}"
        )
    attempts, successes = np.zeros((2, rows), dtype=np.int64)
    step, broken, first = max(1, CELLS // max(1, matrix.shape[1])), 0, ""
    for start in range(0, rows, step):
        part = np.asarray(matrix[start : start + step])
        made = ~np.isnan(part)
        wrong = made & (part != 0) & (part != 1)
        if wrong.any() and not broken:
            row, column = np.argwhere(wrong)[0]
            first = f"row {start + row + 1:,}, column {column + 1:,}: {part[row, column].item()!r}"
        broken += int(wrong.sum())
        attempts[start : start + step] = made.sum(axis=1)
        successes[start : start + step] = (part == 1).sum(axis=1)
    if broken:
        raise CountsError(
            f"outcomes must be 0, 1 or NaN (not attempted): {broken:,} of {matrix.size:,} "
            f"{'breaks' if broken == 1 else 'break'} this, the first is in {first}. What to do: "
            "compare scores with a threshold first, as in numpy.where(numpy.isnan(x), x, x >= 0.5)",
            rule="outcomes must be 0, 1 or NaN",
            rows=broken,
        )
    return Counts(
        problem=range(rows) if problems is None else problems,
        attempts=attempts,
        successes=successes,
        system=tally.system_given or system or "system",
        benchmark=tally.benchmark_given or "benchmark",
        stopping=tally.stopping or "fixed",
    )
