"""Files as they come: compressed, cut short, of any size. Every reader opens them here."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import shutil
import sys
import tempfile
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
    "at_rest",
    "capped",
    "columns_of",
    "files_below",
    "guarded",
    "hashed",
    "lines",
    "of_short_lines",
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
"""Bytes that any compressed file may unpack to, and how many times its own size a large one may."""

PACKED: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"\x28\xb5\x2f\xfd": zstd.open,
}
"""What opens a compressed file, by its first bytes."""

POINTER = b"version https://git-lfs.github.com/spec/"

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


DAMAGE = (
    EOFError, zlib.error, zstd.ZstdError, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile,
    NotImplementedError,  # of a zip of a later version
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


@contextmanager
def at_rest(log: Path) -> Iterator[Path]:
    """Return a file that can be read more than once: of standard input ("-") or a pipe, a copy."""
    piped = str(log) == "-" or (log.exists() and not log.is_file() and not log.is_dir())
    if not piped:
        yield log
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "input")
        with guarded(log), copy.open("wb") as file:
            if str(log) == "-":
                shutil.copyfileobj(sys.stdin.buffer, file)
            else:
                with log.open("rb") as pipe:
                    shutil.copyfileobj(pipe, file)
        try:
            yield copy
        except InputError as error:
            error.args = (str(error).replace(str(copy), str(log)),)
            raise


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and below it that are not hidden; links are followed, once."""
    seen = set()
    for here, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(here, name) for name in files if not name.startswith("."))


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
        inner = None if unpack is None else unpack(file)
        if start.startswith(b"PK"):
            inner = _only_entry(path)
        if inner is None:
            yield file
            return
        with inner, capped(inner, path.stat().st_size, str(path)) as stream:
            yield stream


def capped(stream: IO[bytes], packed: int, name: str) -> IO[bytes]:
    """Return what a compressed file of so many bytes unpacks to, up to far more than a log does."""
    most = max(FEW_BYTES, MOST_TIMES * packed)
    return io.BufferedReader(_Counting(stream, most, name), buffer_size=2**17)


def _only_entry(path: Path) -> IO[bytes] | None:
    """Open the only entry of a zip, unless that is one of Inspect or of NumPy."""
    with zipfile.ZipFile(path) as archive:
        names = [one for one in archive.namelist() if not one.endswith("/")]
        if len(names) != 1 or names[0].endswith(".npy") or names[0].startswith("_journal/"):
            return None
        if names[0] == "header.json":
            return None
        try:
            return archive.open(names[0])  # which keeps the file open by itself
        except (RuntimeError, NotImplementedError) as error:  # encrypted, or compressed oddly
            raise CountsError(f"{path}: the entry {names[0]!a} cannot be read: {error}") from None


def of_short_lines(stream: IO[bytes], most: int, name: str) -> IO[bytes]:
    """Return a file of which no line is longer than so many bytes."""
    return io.BufferedReader(_Lines(stream, most, name), buffer_size=2**17)


class _Lines(io.RawIOBase):
    """A file that raises an error at the first line that is too long."""

    def __init__(self, stream: IO[bytes], most: int, name: str):
        self._stream, self._most, self._name = stream, most, name
        self._line = 0

    def readable(self) -> bool:
        return True

    def readinto(self, into: Buffer, /) -> int:
        view = memoryview(into).cast("B")
        found = self._stream.read(len(view))
        last = found.rfind(b"\n")
        self._line = self._line + len(found) if last < 0 else len(found) - last - 1
        if self._line > self._most:
            raise CountsError(f"{self._name}: a row of more than {self._most:,} bytes")
        view[: len(found)] = found
        return len(found)


class _Counting(io.RawIOBase):
    """A file that raises an error where more than so many bytes were read."""

    def __init__(self, stream: IO[bytes], most: int, name: str):
        self._stream, self._left, self._most, self._name = stream, most, most, name

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._stream.close()
        super().close()

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


def records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the JSON objects of a file, one on each line or all in one array, with their places.

    Raises
    ------
    CountsError
        If there is anything else. The message gives the place, as "line 3".
    """
    if _starts_with_bracket(path):
        with opened_document(path) as document:
            for i, _ in enumerate(document.items()):
                record = document.value()
                if not isinstance(record, dict):
                    raise CountsError(
                        f"{path}: record {i + 1:,}: each item of the array must be an object; this "
                        f"is {str(record)[:40]!r}"
                    )
                yield f"record {i + 1:,}", record
            document.finish()
        return
    for number, line in lines(path):
        if number == 1 and line.endswith((b"{", b"[", b",")):
            raise CountsError(
                f"{path}: line 1: each line must be a whole JSON object; this one goes on in the "
                "next line. What to do: write each on a line of its own, or all in one array"
            )
        record = decoded(line, f"{path}: line {number:,}")
        if not isinstance(record, dict):
            raise CountsError(
                f"{path}: line {number:,}: each line must be a JSON object; this is {line[:40]!r}"
            )
        yield f"line {number:,}", record


def _starts_with_bracket(path: Path) -> bool:
    with opened(path) as file:
        return file.read(4096).removeprefix(BYTE_ORDER_MARK).lstrip().startswith(b"[")


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
