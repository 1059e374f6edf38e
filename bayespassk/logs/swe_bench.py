"""SWE-bench: a report of a run, with lists of what was resolved and what was not."""

from pathlib import Path

from bayespassk.errors import CountsError
from bayespassk.logs.attempts import Tally
from bayespassk.logs.files import opened_document
from bayespassk.logs.peeking import Peek

__all__ = ["is_one", "read"]

OUTCOMES = {"resolved_ids": 1, "unresolved_ids": 0, "empty_patch_ids": 0, "error_ids": None}
"""The lists of a report. An empty patch is a failure; an error of the evaluation is no outcome."""


def is_one(seen: Peek) -> bool:
    """Return whether a file is a report of SWE-bench."""
    return (
        seen.kind == "object"
        and {"resolved_ids", "unresolved_ids"} <= set(seen.record)
        and "results" not in seen.record
    )


def read(path: Path, tally: Tally) -> None:
    """Add the instances of a report to the tally: each has one attempt, and a run is a file."""
    with opened_document(path) as document:
        found = document.pick((*OUTCOMES, "incomplete_ids"))
        document.finish()
    for name in ("resolved_ids", "unresolved_ids"):
        if name not in found:
            raise CountsError(f"{path}: a report of SWE-bench must have {name!r}")
    system = path.name.removesuffix(".json").rpartition(".")[0] or None  # model.run.json
    for name, outcome in OUTCOMES.items():
        ids = found.get(name) or []
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
            raise CountsError(f"{path}: {name} must be a list of names; got {str(ids)[:80]!r}")
        for one in ids:
            row = tally.row(one, system, "SWE-bench")
            tally.name_attempt(row, 0)
            tally.add(row, outcome, f"{one!r} of {name}")
    left = found.get("incomplete_ids")
    if isinstance(left, list) and left:
        tally.note(f"{len(left):,} instances without a prediction are left out")
