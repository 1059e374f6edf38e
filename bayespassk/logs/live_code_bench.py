"""LiveCodeBench: for each question a list of whether each of its solutions is right."""

from collections.abc import Iterable
from pathlib import Path

from bayespassk.errors import CountsError
from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.files import opened_document
from bayespassk.logs.peeking import Peek

__all__ = ["accompanies", "is_one", "read"]

NAMES = ("question_id", "test_id", "id")


def is_one(seen: Peek) -> bool:
    """Return whether a file holds results of LiveCodeBench."""
    keys = set(seen.record)
    return seen.kind == "array" and "graded_list" in keys and bool({"question_id", "id"} & keys)


def accompanies(seen: Peek) -> bool:
    """Return whether a file holds what was generated, or the metrics, of LiveCodeBench."""
    keys = set(seen.record)
    generated = bool({"question_id", "id"} & keys) and "output_list" in keys
    return seen.kind == "array" and "graded_list" not in keys and (generated or _metrics(keys))


def _metrics(keys: set[str]) -> bool:
    return "detail" in keys and any(key.startswith("pass@") for key in keys)


def read(path: Path, tally: Tally, *, covariates: Iterable[str] = ()) -> None:
    """Add the solutions in a file to the tally.

    A problem is a question; where its tests are problems of their own, a question and a test; and
    where there are no questions, what id names.
    """
    outcome = Outcome()
    covariates = [covariates] if isinstance(covariates, str) else list(covariates)
    with opened_document(path) as document:
        for i, _ in enumerate(document.items()):
            record = document.pick((*NAMES, "graded_list", "output_list", *covariates))
            if not isinstance(record.get("graded_list"), list):
                raise CountsError(
                    f"question {i + 1:,} of the file must have question_id and a list graded_list; "
                    f"got {str(record)[:80]!r}"
                )
            names = [one for one in NAMES[:2] if one in record] or ["id"]
            if "test_id" in names and "question_id" not in names:
                names = ["id"] if "id" in record else names
            for name in (*names, *covariates):
                if not isinstance(record.get(name), str | int | float):
                    raise CountsError(
                        f"question {i + 1:,} of the file must have {name!r}, as text or "
                        f"a number; got {str(record.get(name))[:80]!r}"
                    )
            question = "/".join(str(record[name]) for name in names)
            described = {name: record[name] for name in covariates}
            if tally.knows(question, benchmark="LiveCodeBench"):
                raise CountsError(
                    f"each question must occur once: {question!r} is there again, as question "
                    f"{i + 1:,} of the file. What to do: remove one"
                )
            row = tally.row(question, benchmark="LiveCodeBench", covariates=described)
            said = record.get("output_list")
            told = (
                said if isinstance(said, list) and len(said) == len(record["graded_list"]) else None
            )
            for j, graded in enumerate(record["graded_list"]):
                about = {"completion": None if told is None else told[j]}
                where = f"solution {j + 1:,} of {question!r}"
                tally.add_score(row, graded, outcome, where, about=about)
        document.finish()
