"""What a file is, by its first bytes and records."""

import csv
import io
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bayespassk.errors import CountsError
from bayespassk.logs.documents import Document
from bayespassk.logs.files import columns_of, guarded, lines, opened, zipfile

__all__ = ["JSON", "SEPARATORS", "Peek", "header_in", "peek"]

SEPARATORS = (",", "\t", ";")
"""What may be between the columns of a table of text."""

MOST_KEYS = 1000
FAR = 2**22
"""Characters that are passed over to see what comes after an array."""

NESTED = ("eval", "results")
"""Members that are too large to be looked at whole."""

JSON = ("object", "array")
"""The kinds of a file of JSON objects: one on each line, or in an array; or a single one."""


@dataclass(frozen=True, kw_only=True)
class Peek:
    """What the beginning of a file shows.

    Parameters
    ----------
    path : Path
    kind : str
        "zip", "parquet", "npy", "object" (JSON; also the first of several lines), "array" (JSON),
        "yaml", "table", "text", "binary" or "empty".
    names : tuple of str
        The entries of a zip; the columns of a table; the keys of YAML that say what is correct.
    record : mapping
        The first JSON object, as far as it was read.
    """

    path: Path
    kind: str
    names: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        known = ", ".join(repr(name) for name in (self.names or tuple(self.record))[:12])
        return {
            "zip": f"a zip with {known or 'no entries'}",
            "parquet": f"a Parquet file with columns {known}",
            "npy": "a NumPy file",
            "object": f"JSON with keys {known}",
            "array": f"a JSON array of objects with keys {known}",
            "yaml": "YAML without a list is_correct",
            "table": f"a table with columns {known}",
            "text": "text",
            "binary": "not text",
            "empty": "empty",
        }[self.kind]


def peek(path: Path) -> Peek:
    """Return what the beginning of a file shows.

    Raises
    ------
    CountsError
        If the file is damaged as far as it was looked at.
    InputError
        If it cannot be opened.
    """
    with opened(path) as file:
        start = file.read(4096)
    if not start.strip(b"\xef\xbb\xbf \t\r\n"):
        return Peek(path=path, kind="empty")
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        with guarded(path), zipfile.ZipFile(path) as archive:
            return Peek(path=path, kind="zip", names=tuple(archive.namelist()))
    if start.startswith(b"PAR1"):
        return Peek(path=path, kind="parquet", names=columns_of(path))
    if start.startswith(b"\x93NUMPY"):
        return Peek(path=path, kind="npy")
    try:
        text = start.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4:  # not a character cut by the end of what was read
            return Peek(path=path, kind="binary")
        text = start[: error.start].decode(errors="replace")
    text = text.strip()
    return _peek_json(path) if text[:1] in ("{", "[") else _peek_text(path, text)


def _peek_json(path: Path) -> Peek:
    """Return what the first object of a file has, reading no more than is needed to know it."""
    with opened(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig") as text:
        document = Document(text, str(path))
        if document.peek() == "{":
            return Peek(path=path, kind="object", record=_first_members(document))
        for _ in document.items():
            record = _first_members(document) if document.peek() == "{" else {}
            return Peek(path=path, kind="array", record=record)
        return Peek(path=path, kind="array")


def _first_members(document: Document) -> dict[str, Any]:
    """Return the members of an object; of arrays the first item, and of "eval" the first member.

    What comes after "eval", or far from the start, is not looked at.
    """
    record: dict[str, Any] = {}
    for key in itertools.islice(document.members(), MOST_KEYS):
        if key in NESTED and document.peek() == "{":
            record[key] = {}
            for inner in document.members():
                record[key][inner] = _first_item(document)
                if key == "eval" or document.passed > FAR:
                    return record
        else:
            record[key] = _first_item(document)
            if document.passed > FAR:
                return record
    return record


def _first_item(document: Document) -> Any:
    """Return a value; of an array no more than a list with its first item."""
    if document.peek() != "[":
        return document.value()
    found = []
    for i, _ in enumerate(document.items()):
        if i == 0:
            found = [document.value()]
        elif document.passed > FAR:
            break
    return found


def _peek_text(path: Path, text: str) -> Peek:
    first = (text.splitlines() or [""])[0]
    if re.match(r"---|#|%YAML|[\w.\"' -]+:(\s|$)", first):
        return Peek(path=path, kind="yaml", names=_correct_keys(path))
    found = [header_in(text, separator) for separator in SEPARATORS]
    names = max(found, key=len)
    if len(names) > 1:
        return Peek(path=path, kind="table", names=tuple(names))
    return Peek(path=path, kind="text")


def header_in(text: str, separator: str) -> list[str]:
    """Return the names in the first line of a table that is not blank, without spaces around."""
    try:
        rows = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
        names = next((row for row in rows if any(row)), [])
    except csv.Error:
        return []
    return [name.strip() for name in names]


def _correct_keys(path: Path) -> tuple[str, ...]:
    """Return the keys of a YAML mapping that say which attempts were correct."""
    found = (re.match(rb"(is_corrects?)\s*:", line) for _, line in lines(path))
    try:
        return tuple(dict.fromkeys(match[1].decode() for match in found if match))
    except CountsError:  # a line that is too long
        return ()
