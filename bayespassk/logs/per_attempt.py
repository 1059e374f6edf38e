"""What logs with a record for each attempt have in common."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from bayespassk.errors import CountsError, InputError
from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.files import opened_document

__all__ = ["Attempt", "add", "beside", "chosen", "required", "seconds_between", "seconds_of"]


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """An attempt, as its record has it.

    Parameters
    ----------
    problem : value
        The name of the problem.
    score : value
        What is to be taken for an outcome, or None.
    name : value, optional
        Number or name of the attempt, which may occur once at a problem.
    system, benchmark : value, optional
        Their names.
    about : mapping
        What else is known of it, by the names of `attempts.MORE`.
    """

    problem: Any
    score: Any
    name: Any = None
    system: Any = None
    benchmark: Any = None
    about: Mapping[str, Any] = field(default_factory=dict)


def add(tally: Tally, one: Attempt, outcome: Outcome, where: str) -> None:
    """Add an attempt to the tally.

    Raises
    ------
    CountsError
        If its problem has no name.
    """
    if not isinstance(one.problem, str | int | float) or isinstance(one.problem, bool):
        raise CountsError(
            f"{where}: the name of a problem must be text or a number; got "
            f"{str(one.problem)[:80]!r}"
        )
    row = tally.row(one.problem, one.system, one.benchmark)
    if one.name is not None:
        tally.name_attempt(row, one.name)
    tally.add_score(row, one.score, outcome, where, about=one.about)


def required(record: Any, names: Iterable[str], where: str, what: str) -> dict[str, Any]:
    """Return a record, or raise an error if it is none or one of these names is not there."""
    if not isinstance(record, dict):
        raise CountsError(f"{where}: {what} must be an object; got {str(record)[:80]!r}")
    for name in names:
        if name not in record:
            raise CountsError(
                f"{where}: {what} must have {name!r}; this has "
                f"{', '.join(repr(one) for one in list(record)[:12])}"
            )
    return record


def chosen(found: Iterable[str], wanted: str | None, option: str, where: str) -> str:
    """Return the name that was chosen of several, or the only one there is."""
    names = list(found)
    listed = ", ".join(repr(one) for one in names)
    if wanted is None and len(names) > 1:
        raise CountsError(
            f"the log has several scores: choose {option}= one of {listed} (--{option} {names[0]})"
        )
    if wanted is not None and wanted not in names:
        raise CountsError(f"{where}: there is no score {wanted!r}; there is {listed or 'none'}")
    if not names:
        raise CountsError(f"{where}: there is no score")
    return names[0] if wanted is None else wanted


def beside(path: Path, name: str) -> Mapping[str, Any]:
    """Return the JSON object in a file beside another, or an empty one if there is none."""
    try:
        with opened_document(path.with_name(name)) as document:
            found = document.value()
    except InputError:
        return {}
    return found if isinstance(found, dict) else {}


def seconds_of(milliseconds: Any) -> float | None:
    """Return milliseconds as seconds, or None if they are no number."""
    try:
        return float(milliseconds) / 1000
    except (TypeError, ValueError, OverflowError):
        return None


def seconds_between(start: Any, end: Any) -> float | None:
    """Return the seconds between two times as logs write them, or None."""
    try:
        first, last = (datetime.fromisoformat(one) for one in (start, end))
        return (last - first).total_seconds()
    except (TypeError, ValueError):
        return None
