"""evalplus and BigCodeBench: for each task a list of solutions, with the status of its tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bayespassk.errors import CountsError, OptionError
from bayespassk.logs.attempts import Tally
from bayespassk.logs.documents import Document
from bayespassk.logs.files import opened_document
from bayespassk.logs.peeking import Peek

__all__ = ["is_one", "read"]

STATUSES = {
    "pass": 1, "fail": 0, "timeout": 0, "success": 1, "failed": 0, "timed out": 0, None: None
}  # fmt: skip
"""What a status says; the later ones are those of evalplus before 0.3."""


def is_one(seen: Peek) -> bool:
    """Return whether a file holds results of evalplus."""
    if seen.kind != "object" or not isinstance(seen.record.get("eval"), dict):
        return False
    (first,) = seen.record["eval"].values() or (None,)
    if isinstance(first, dict):
        return isinstance(first.get("base"), list)
    return isinstance(first, list) and (not first or _pair(first[0]) is not None)


def read(path: Path, tally: Tally, *, tests: str | None = None) -> None:
    """Add the solutions in a file to the tally."""
    if tests not in (None, "base", "plus"):
        raise OptionError(f"tests must be 'base' or 'plus'; got {tests!r}")
    found = False
    with opened_document(path) as document:
        for key in document.members():
            if key != "eval":
                continue
            found = True
            for task in document.members():
                row = tally.row(task)
                for i, (base, plus, code) in enumerate(_solutions(document, task)):
                    where = f"solution {i + 1:,} of task {task!r}"
                    passed = _outcome(base, plus, tests, where)
                    tally.add(row, passed, where, about={"completion": code})
        document.finish()
    if not found:
        raise CountsError(f"{path}: results of evalplus must have the key 'eval'; is it cut short?")


def _outcome(base: Any, plus: Any, tests: str | None, where: str) -> int | None:
    """Return whether a solution passed the chosen tests; plus includes base."""
    if plus is not None and tests is None:
        raise CountsError(
            f"the results hold several tests: choose tests='base' or tests='plus' (--tests plus); "
            f"{where} has base_status {base!r} and plus_status {plus!r}"
        )
    if plus is None and tests == "plus" and base is not None:
        raise CountsError(
            f"the results must hold plus tests: {where} has no plus_status. What to do: "
            "leave tests out or choose tests='base' (--tests base); to have them, evaluate again "
            "without --base-only"
        )
    shown = [base, plus] if tests == "plus" else [base]
    for status in shown:
        if not isinstance(status, str | None) or status not in STATUSES:
            raise CountsError(
                f"a status must be {', '.join(repr(one) for one in STATUSES)}: {where} has "
                f"{status!r}"
            )
    found = [STATUSES[status] for status in shown]
    return None if None in found else int(all(found))


def _solutions(document: Document, task: str) -> Iterator[tuple[Any, Any, Any]]:
    """Yield the status of base and plus tests and the text of each solution, also of old files."""
    if document.peek() == "[":
        for _ in document.items():
            one = document.value()
            pair = _pair(one)
            if pair is None:
                raise CountsError(
                    f"task {task!r} must have solutions with a base_status, or a status"
                )
            yield *pair, one.get("solution") if isinstance(one, dict) else None
        return
    value = document.value()
    base, plus = (value.get(key) for key in ("base", "plus")) if isinstance(value, dict) else (0, 0)
    plus = plus or ([None] * len(base) if isinstance(base, list) else plus)
    if not isinstance(base, list) or not isinstance(plus, list) or len(base) != len(plus):
        raise CountsError(
            f"task {task!r} must have a list of solutions, or lists base and plus of one length; "
            f"got {str(value)[:80]!r}"
        )
    yield from ((_first(one), _first(other), None) for one, other in zip(base, plus, strict=True))


def _pair(one: Any) -> tuple[Any, Any] | None:
    if isinstance(one, dict) and "base_status" in one:
        return one["base_status"], one.get("plus_status")
    if isinstance(one, dict) and "status" in one:  # of BigCodeBench, which has one kind of tests
        return one["status"], None
    if isinstance(one, list) and one and isinstance(one[0], str):  # [status, details of tests]
        other = one[1] if len(one) > 1 else None
        return one[0], other if isinstance(other, str) else None
    return None


def _first(one: Any) -> Any:
    return one[0] if isinstance(one, list) and one else one
