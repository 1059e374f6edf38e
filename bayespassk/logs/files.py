"""Files as they come: compressed, cut short, of any size. Every reader opens them here."""

import bz2
import gzip
import hashlib
import io
import lzma
import sys
import zlib
from collections.abc import Buffer, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from bayespassk.errors import CountsError, InputError
from bayespassk.logs.documents import Document, decoded

if sys.version_info >= (3, 14):
    import zipfile

    from compression import zstd
else:  # the same module, which knows the compression of newer logs
    from backports import zstd
    from backports.zstd import zipfile

__all__ = [
    "ROWS",
    "columns_of",
    "guarded",
    "hashed",
    "lines",
    "opened",
    "opened_document",
    "opened_parquet",
    "records",
    "zipfile",
]

ROWS = 250_000
"""Rows of a table held at a time."""

LONGEST_LINE = 2**28
"""Bytes of a line that are read; a line of a log is far shorter."""

FEW_BYTES = 2**28
MOST_TIMES = 200
"""Bytes that any compressed file may unpack to, and how many times its own size that may be beyond."""

PACKED: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda file: gzip.open(file),
    b"BZh": lambda file: bz2.open(file),
    b"\xfd7zXZ\x00": lambda file: lzma.open(file),
    b"\x28\xb5\x2f\xfd": lambda file: zstd.open(file),
}
"""What opens a compressed file, by its first bytes."""

POINTER = b"version https://git-lfs.github.com/spec/"

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


DAMAGE = (
    EOFError, zlib.error, zstd.ZstdError, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile
)  # fmt: skip
"""What the modules of the standard library raise about a damaged compressed file."""


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Turn what the reading of a damaged file raises into an error that names the file."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise CountsError(f"{path}: not text in UTF-8: {error.reason}") from None
    except DAMAGE as error:
        raise CountsError(
            f"{path}: the compressed file is damaged or cut short: {error or 'it ends too early'}"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None


def hashed(path: Path) -> str:
    """Return the SHA-256 of the bytes of a file, as 64 hexadecimal digits."""
    with guarded(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, and what is in it if it is compressed.

    Raises
    ------
    CountsError
        If it is damaged, unpacks to far more than a log would, or is only a pointer to the log.
    """
    with guarded(path), path.open("rb") as file:
        start = file.read(len(POINTER))
        file.seek(0)
        if start == POINTER:
            raise CountsError(
                f"{path}: a pointer of git-LFS, not the file itself. What to do: fetch it, as with "
                "git lfs pull"
            )
        unpack = next((one for sign, one in PACKED.items() if start.startswith(sign)), None)
        if unpack is None:
            yield file
            return
        most = max(FEW_BYTES, MOST_TIMES * path.stat().st_size)
        with unpack(file) as inner, Capped(inner, most, str(path)) as capped:
            yield capped  # type: ignore[misc]  # it has what a binary file has


class Capped(io.BufferedReader):
    """What a compressed file unpacks to, up to so many bytes."""

    def __init__(self, stream: IO[bytes], most: int, name: str):
        super().__init__(_Counting(stream, most, name), buffer_size=2**17)


class _Counting(io.RawIOBase):
    def __init__(self, stream: IO[bytes], most: int, name: str):
        self._stream, self._left, self._most, self._name = stream, most, most, name

    def readable(self) -> bool:
        return True

    def readinto(self, into: Buffer, /) -> int:
        view = memoryview(into).cast("B")
        found = self._stream.read(len(view))
        self._left -= len(found)
        if self._left < 0:
            raise CountsError(
                f"{self._name}: unpacks to more than {self._most:,} bytes, far more than a log of "
                "its size would. What to do: if it is one, unpack it first"
            )
        view[: len(found)] = found
        return len(found)


@contextmanager
def opened_document(path: Path) -> Iterator[Document]:
    """Open a file that is one JSON document."""
    with opened(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig") as text:
        yield Document(text, str(path))


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file that are not blank, with their numbers from 1.

    Raises
    ------
    CountsError
        If a line is too long to be one of a log.
    """
    with opened(path) as file:
        number = 0
        while line := file.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) > LONGEST_LINE:
                raise CountsError(
                    f"{path}: line {number:,}: longer than {LONGEST_LINE:,} bytes; is this a file "
                    "of lines?"
                )
            line = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
            if line := line.strip():
                yield number, line


def records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the JSON objects of a file that has one on each line, with the number of the line.

    Raises
    ------
    CountsError
        If a line is not a JSON object. The message gives its number.
    """
    for number, line in lines(path):
        record = decoded(line, f"{path}: line {number:,}")
        if not isinstance(record, dict):
            raise CountsError(
                f"{path}: line {number:,}: each line must be a JSON object; this is {line[:40]!r}"
            )
        yield number, record


def columns_of(path: Path) -> tuple[str, ...]:
    """Return the names of the columns of a Parquet file."""
    with opened_parquet(path) as file:
        return tuple(file.schema_arrow.names)


@contextmanager
def opened_parquet(path: Path) -> Iterator[Any]:
    """Open a Parquet file, or raise an error if it is damaged or pyarrow is not there."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise InputError(
            f"{path}: Parquet files need pyarrow, which is not installed: "
            'pip install "bayespassk[parquet]"'
        ) from None
    try:
        with guarded(path), pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, NotImplementedError) as error:
        raise CountsError(
            f"{path}: the Parquet file is damaged or cut short: {str(error).splitlines()[0][:200]}"
        ) from None
