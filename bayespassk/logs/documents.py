"""JSON, strictly: keys that occur twice are refused, and a document need not fit in memory."""

import json
import re
from collections.abc import Collection, Iterator
from typing import IO, Any

from bayespassk.errors import CountsError

__all__ = ["Document", "decoded"]

AT_A_TIME = 2**16
LONGEST_VALUE = 2**27
"""Characters of a single value that are read whole, such as all that is known of an attempt."""

MOST_PARTS = 2**21
"""Brackets and commas of a value that is read whole: what few bytes can hold, memory may not."""

MOST_MEMBERS = 2**21
"""Members of an object that is read one by one."""

NEAR = 16
"""Characters that a token may need to be whole: what is nearer to the end may go on after it."""

TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|"|[\[\]{}]', re.DOTALL)
"""What tells where a value ends: texts, the beginning of one that goes on, and brackets."""

SPACE = re.compile(r"[ \t\r\n]+")


class _RepeatedKeyError(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise _RepeatedKeyError(f"the key {repeated[:80]!a} occurs twice in one object")
    return members


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def _has_too_many_parts(text: str | bytes, start: int = 0) -> bool:
    """Return whether a text holds more values than are read at once."""
    if len(text) - start <= MOST_PARTS:
        return False
    if isinstance(text, str):
        return sum(text.count(sign, start) for sign in "[{,") > MOST_PARTS
    return sum(text.count(sign, start) for sign in b"[{,") > MOST_PARTS


def decoded(text: bytes, where: str) -> Any:
    """Return the value of a JSON text. NaN and infinities are numbers, as Python writes them.

    Raises
    ------
    CountsError
        If it is not JSON in UTF-8, or a key occurs twice. The message begins with `where`.
    """
    if _has_too_many_parts(text):
        raise CountsError(f"{where}: more than {MOST_PARTS:,} brackets and commas in one value")
    try:
        return _DECODER.decode(text.decode())
    except UnicodeDecodeError as error:
        raise CountsError(f"{where}: not text in UTF-8: {error.reason}") from None
    except json.JSONDecodeError as error:
        cut = error.pos >= len(error.doc) - 1 or error.msg.startswith("Unterminated")
        raise CountsError(
            f"{where}: not JSON: {error.msg} at character {error.colno:,}"
            f"{'; is the file cut short?' if cut else ''}"
        ) from None
    except RecursionError:
        raise CountsError(f"{where}: nested too deeply") from None
    except ValueError as error:  # a repeated key, or a number of thousands of digits
        raise CountsError(f"{where}: {error}") from None


class Document:
    """A JSON document that is read from its start to its end, a value at a time.

    Parameters
    ----------
    stream : text file
    name : str
        What messages call it.

    Raises
    ------
    CountsError
        From every method, where the document is not JSON; the message gives the line.
    """

    def __init__(self, stream: IO[str], name: str):
        self._stream, self.name = stream, name
        self._text, self._at, self._ended = "", 0, False
        self._line, self._passed = 1, 0

    def peek(self) -> str:
        """Return the next character that is not a space, or "" at the end."""
        while True:
            if found := SPACE.match(self._text, self._at):
                self._at = found.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    @property
    def passed(self) -> int:
        """How many characters were read."""
        return self._passed + self._at

    def value(self) -> Any:
        """Return the next value."""
        self.peek()
        while True:
            if _has_too_many_parts(self._text, self._at):
                raise self.error(f"more than {MOST_PARTS:,} brackets and commas in one value")
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                cut = error.pos > len(self._text) - NEAR or error.msg.startswith("Unterminated")
                if self._ended or not cut:
                    raise self.error(f"not JSON: {error.msg}", error.pos) from None
            except RecursionError:
                raise self.error("nested too deeply") from None
            except ValueError as error:
                raise self.error(str(error)) from None
            else:
                if self._ended or end <= len(self._text) - NEAR:  # else a number may go on
                    self._at = end
                    return value
            self._more()

    def skip(self) -> None:
        """Pass over the next value, which may be larger than memory, without building it."""
        if self.peek() not in ("[", "{"):
            self.value()
            return
        try:
            if not _has_too_many_parts(self._text, self._at):
                _, end = _DECODER.raw_decode(self._text, self._at)
                if self._ended or end <= len(self._text) - NEAR:
                    self._at = end
                    return
        except (ValueError, RecursionError):
            pass  # it goes on after what was read, or is not looked at so closely
        depth = 0
        while True:
            for token in TOKEN.finditer(self._text, self._at):
                sign = self._text[token.start()]
                if sign == '"' and token.end() == token.start() + 1:  # text that goes on
                    self._at = token.start()
                    break
                self._at = token.end()
                depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(sign, 0)
                if depth == 0:
                    return
            else:
                self._at = len(self._text)
            if not self._more():
                raise self.error("not JSON: a value does not end")

    def members(self) -> Iterator[str]:
        """Yield the keys of an object. The value is next; it is passed over if it is not read."""
        seen: set[str] = set()
        for _ in self._parts("{", "}"):
            key = self.value()
            if not isinstance(key, str):
                raise self.error("not JSON: a key must be text")
            if key in seen:
                raise self.error(f"the key {key[:80]!a} occurs twice in one object")
            if len(seen) >= MOST_MEMBERS:
                raise self.error(f"more than {MOST_MEMBERS:,} members of one object")
            seen.add(key)
            self._take(":")
            here = self._place()
            yield key
            if self._place() == here:
                self.skip()

    def items(self) -> Iterator[None]:
        """Yield before each item of an array. It is passed over if it is not read."""
        for _ in self._parts("[", "]"):
            here = self._place()
            yield
            if self._place() == here:
                self.skip()

    def pick(self, names: Collection[str]) -> dict[str, Any]:
        """Return some members of an object, and pass over the others."""
        return {key: self.value() for key in self.members() if key in names}

    def finish(self) -> None:
        """Raise an error if something follows."""
        if self.peek():
            raise self.error("there must be one JSON document; more follows its end")

    def error(self, message: str, position: int | None = None) -> CountsError:
        """Return an error about the place that was reached."""
        at = self._at if position is None else position
        line = self._line + self._text.count("\n", 0, at)
        cut = "; is the file cut short?" if at >= len(self._text) - 1 and self._ended else ""
        return CountsError(f"{self.name}: line {line:,}: {message}{cut}")

    def _parts(self, opening: str, closing: str) -> Iterator[None]:
        """Yield before each part of what is enclosed by two brackets; it must then be read."""
        self._take(opening)
        if self.peek() != closing:
            yield
            while self.peek() != closing:
                self._take(",")
                yield
        self._at += 1

    def _place(self) -> int:
        """Return how many characters come before the next one that is not a space."""
        self.peek()
        return self._passed + self._at

    def _take(self, wanted: str) -> None:
        found = self.peek()
        if found != wanted:
            raise self.error(
                f"not JSON: {wanted!r} must come here; found {found!a}"
                if found
                else f"not JSON: {wanted!r} must come here, and the document ends"
            )
        self._at += 1

    def _more(self) -> bool:
        """Read on, forgetting what was passed; return whether there was more."""
        if self._ended:
            return False
        if len(self._text) - self._at > LONGEST_VALUE:
            raise self.error(f"a single value of more than {LONGEST_VALUE:,} characters")
        self._line += self._text.count("\n", 0, self._at)
        self._passed += self._at
        self._text, self._at = self._text[self._at :], 0
        chunk = self._stream.read(max(AT_A_TIME, len(self._text)))
        self._text += chunk
        self._ended = not chunk
        return not self._ended
