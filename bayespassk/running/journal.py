"""A journal of finished work, so that what was interrupted goes on where it was."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bayespassk.errors import InputError, OptionError
from bayespassk.files import alone, sync_folder

__all__ = ["Journal", "at_work_in"]

NAME = "journal.jsonl"


@contextmanager
def at_work_in(folder: Path | None) -> Iterator[None]:
    """Keep other processes from working in a folder, which is made if missing, while this one does.

    Raises
    ------
    OptionError
        If it is a file.
    InputError
        If another process is at work there, or it cannot be made.
    """
    if folder is None:
        yield
        return
    if folder.exists() and not folder.is_dir():
        raise OptionError(f"output must be a folder, which is made if missing; {folder} is a file")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror or error}") from None
    with alone(folder / ".lock", str(folder)):
        yield


class Journal:
    """A file of JSON lines: a header, then one line for each piece of work.

    A line is written whole, flushed and synced before the next piece counts as finished. A last
    line that was cut short is dropped, and what it was about is done again.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    header : mapping of str to JSON values
        What the work must share; a file with another header is refused.

    Raises
    ------
    OptionError
        If the folder holds a journal of other work.
    InputError
        If the file cannot be read or written.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any]):
        self.path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.lines = self._read(header)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be used: {error.strerror or error}") from None

    def append(self, line: Mapping[str, Any]) -> None:
        """Add a line to the file, for good once this returns."""
        self._write("ab", line)
        self.lines.append(dict(line))

    def _read(self, header: Mapping[str, Any]) -> list[dict[str, Any]]:
        whole = self.path.read_bytes() if self.path.exists() else b""
        kept = whole[: whole.rfind(b"\n") + 1]
        if not kept:
            self._write("wb", header)
            return []
        first, *rest = [self._parsed(i, line) for i, line in enumerate(kept.splitlines(), 1)]
        self._check(first, header)
        if len(kept) < len(whole):
            with self.path.open("r+b") as file:
                file.truncate(len(kept))
        return rest

    def _parsed(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise OptionError(
                f"{self.path}: line {number} is not one of a journal. Choose another folder, or "
                "delete that line if you know what happened to it"
            )
        return found

    def _check(self, found: Mapping[str, Any], header: Mapping[str, Any]) -> None:
        for name, value in header.items():
            if found.get(name) != value:
                raise OptionError(
                    f"{self.path.parent}: holds work with {name} {found.get(name)!r}, and this "
                    f"has {value!r}: they must not be mixed. Choose another folder, delete that "
                    f"one, or go back to what it was made with"
                )

    def _write(self, mode: str, line: Mapping[str, Any]) -> None:
        text = json.dumps(_plain(line), ensure_ascii=False, allow_nan=False) + "\n"
        with self.path.open(mode) as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        if mode == "wb":
            sync_folder(self.path.parent)


def _plain(value: Any) -> Any:
    """Return a value with None for what JSON has no number for."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
