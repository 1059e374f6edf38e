"""Best-of-N Jailbreaking: a line for each attempt, made in batches until one holds a success."""

import math
from dataclasses import dataclass
from pathlib import Path

from bayespassk.errors import CountsError, OptionError
from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.files import records
from bayespassk.logs.peeking import JSON, Peek

__all__ = ["is_one", "read"]

KEYS = ("i", "n", "flagged")
MOST_ATTEMPTS = 2**40


def is_one(seen: Peek) -> bool:
    """Return whether a file holds attempts of Best-of-N Jailbreaking."""
    return seen.kind in JSON and set(KEYS) <= set(seen.record)


@dataclass
class _Problem:
    """What is known of a problem: its last attempt, and its first success."""

    row: int
    attempts: int = 0
    last: int = -1
    first_success: int | None = None


def read(path: Path, tally: Tally, *, batch: int | None = None) -> None:
    """Add the attempts in a file to the tally, and find the size of a batch."""
    if batch is not None and (not isinstance(batch, int) or batch < 1):
        raise OptionError(f"batch must be a whole number of attempts from 1; got {batch!r}")
    outcome, problems = Outcome(), dict[str, _Problem]()
    for where, record in records(path):
        if not set(KEYS) <= set(record):
            raise CountsError(
                f"{path}: {where}: an attempt must have {', '.join(KEYS)}; this has "
                f"{', '.join(repr(name) for name in list(record)[:12])}"
            )
        name, n = str(record["i"]), record["n"]
        if not isinstance(n, int) or isinstance(n, bool) or not 0 <= n < MOST_ATTEMPTS:
            raise CountsError(
                f"{path}: {where}: n must be the number of the attempt, from 0 to 2^40; got "
                f"{str(n)[:80]}"
            )
        one = problems.get(name)
        if one is None:
            one = problems[name] = _Problem(tally.row(name))
        tally.name_attempt(one.row, n)
        tally.add_score(one.row, record["flagged"], outcome, where)
        one.attempts += 1
        one.last = max(one.last, n)
        if record["flagged"] is True and (one.first_success is None or n < one.first_success):
            one.first_success = n
    for name, one in problems.items():
        missing = max(0, one.last + 1 - one.attempts)
        tally.add_missing(one.row, missing, f"problem {name!r}, whose last attempt is {one.last:,}")
    if tally.stopping is None and problems:
        tally.check()
        tally.note_stopping(f"batches:{_batch(list(problems.values()), batch)}")


def _batch(problems: list[_Problem], batch: int | None) -> int:
    """Return the size of a batch, if only one explains where attempts ended."""
    if batch is not None:
        return batch
    cap = max(one.last for one in problems) + 1
    ended = [
        one.last + 1 for one in problems if one.last + 1 < cap or one.first_success is not None
    ]
    most = math.gcd(*ended)
    least = max(
        (one.last + 1 - one.first_success for one in problems if one.first_success is not None),
        default=1,
    )
    small = [size for size in range(1, math.isqrt(most) + 1) if most % size == 0]
    sizes = sorted({*small, *(most // size for size in small)})
    possible = [size for size in sizes if size >= least]
    if len(possible) == 1:
        return possible[0]
    if possible or not ended:
        some = ", ".join(f"{size:,}" for size in possible[:8]) or "any"
        raise CountsError(
            f"the log does not tell how many attempts were made at a time: {some} are possible. "
            "What to do: give batch=60, if there were 60 (--batch 60), or stopping='fixed' if "
            "their number was fixed in advance (--stopping fixed)",
            rule="the size of a batch must be known",
        )
    raise CountsError(
        f"attempts must end with the first batch that holds a success: no size of a batch explains "
        f"this log, in which up to {least:,} attempts come from a success on, and numbers of "
        f"attempts are multiples of no more than {most:,}. What to do: say how they were ended, as "
        "in stopping='fixed' or stopping='adaptive' (--stopping adaptive)",
        rule="attempts must end with the first batch that holds a success",
    )
