"""human-eval: a line for each completion, with whether it passed."""

from pathlib import Path

from bayespassk.errors import CountsError
from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.files import records
from bayespassk.logs.peeking import JSON, Peek

__all__ = ["accompanies", "is_one", "read"]


def is_one(seen: Peek) -> bool:
    """Return whether a file holds results of human-eval."""
    return seen.kind in JSON and {"task_id", "passed"} <= set(seen.record)


def accompanies(seen: Peek) -> bool:
    """Return whether a file holds completions that were not, or not here, evaluated."""
    keys = set(seen.record)
    return (
        seen.kind in JSON
        and "task_id" in keys
        and bool(keys & {"completion", "solution", "prompt"})
        and not keys & {"passed", "reward", "score_binarized"}
    )


def read(path: Path, tally: Tally) -> None:
    """Add the completions in a file to the tally."""
    outcome = Outcome()
    for where, record in records(path):
        for key in ("task_id", "passed"):
            if key not in record:
                raise CountsError(
                    f"{path}: {where}: a result of human-eval must have {key!r}; this has "
                    f"{', '.join(repr(name) for name in list(record)[:12])}"
                )
        row = tally.row(record["task_id"])
        if record.get("completion_id") is not None:
            tally.name_attempt(row, record["completion_id"])
        about = {"completion": record.get("completion")} if tally.keeps else None
        tally.add_score(row, record["passed"], outcome, where, about=about)
