"""Inspect: an .eval (a zip of JSON files) or a .json, with a record for each sample and epoch."""

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bayespassk.errors import CountsError
from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.documents import Document
from bayespassk.logs.files import guarded, opened_document, zipfile
from bayespassk.logs.peeking import Peek

__all__ = ["is_one", "read"]

HEADER, STARTED = "header.json", "_journal/start.json"
SUMMARIES, JOURNAL = "summaries.json", "_journal/summaries/"
LARGEST_ENTRY = 2**31
WANTED = ("id", "epoch", "scores", "score", "error", "invalidation")
WORDS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0, "yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0}
"""What Inspect's own metrics take the words of a score for."""


def is_one(seen: Peek) -> bool:
    """Return whether a file is an Inspect log."""
    if seen.kind == "zip":
        return bool({HEADER, STARTED} & set(seen.names))
    first = seen.record.get("eval")
    return (
        seen.kind == "object"
        and {"version", "status"} <= set(seen.record)
        and isinstance(first, dict)
        and all(isinstance(value, str) for value in first.values())
    )


def read(
    path: Path,
    tally: Tally,
    *,
    scorer: str | None = None,
    threshold: float | None = None,
    values: Mapping[Any, Any] | None = None,
) -> None:
    """Add the samples in a log to the tally: an epoch is an attempt."""
    log = _Log(tally, scorer, Outcome(threshold=threshold, values=values, words=WORDS))
    with path.open("rb") as file:
        zipped = file.read(2) == b"PK"
    if zipped:
        with guarded(path), zipfile.ZipFile(path) as archive:
            _read_eval(_Archive(archive, path), log)
    else:
        _read_json(path, log)
    log.finish()


@dataclass
class _Log:
    """What is known of a log while it is read."""

    tally: Tally
    scorer: str | None
    outcome: Outcome
    system: str | None = None
    benchmark: str | None = None
    epochs: int = 0
    logged: Counter[int] = field(default_factory=Counter)
    planned: list[tuple[str, int]] = field(default_factory=list)
    scorers: dict[str, None] = field(default_factory=dict)
    samples: int = 0

    def begin(self, evaluation: Any) -> None:
        """Take what was planned from the header."""
        if not isinstance(evaluation, dict):
            raise CountsError("the header of the log must have 'eval'; is the file cut short?")
        self.system, self.benchmark = (
            value if isinstance(value, str) else None
            for value in (evaluation.get("model"), evaluation.get("task"))
        )
        ids = _inner(evaluation, "dataset").get("sample_ids")
        epochs = _inner(evaluation, "config").get("epochs") or 1
        if isinstance(ids, list) and isinstance(epochs, int) and 0 < epochs < 2**32:
            self.epochs = epochs  # rows in this order, not in that in which samples were finished
            self.planned = [
                (str(one), self.tally.row(one, self.system, self.benchmark)) for one in ids
            ]

    def add(self, sample: Any) -> None:
        """Add a sample, or its summary."""
        if not isinstance(sample, dict) or not {"id", "epoch"} <= set(sample):
            raise CountsError(f"a sample must have id and epoch; got {str(sample)[:80]!r}")
        name, epoch = str(sample["id"]), sample["epoch"]
        if not isinstance(epoch, int):
            raise CountsError(f"epoch must be a whole number; sample {name!r} has {epoch!r}")
        where = f"sample {name!r}, epoch {epoch}"
        self.samples += 1
        row = self.tally.row(name, self.system, self.benchmark)
        self.logged[row] += 1
        self.tally.name_attempt(row, epoch)
        scores = sample.get("scores") or {}
        if sample.get("score"):  # as it was when there was one scorer
            scores = {"score": sample["score"]}
        if not isinstance(scores, dict):
            raise CountsError(f"scores must be of scorers; {where} has {str(scores)[:80]!r}")
        score = None if sample.get("invalidation") else self._score(scores, where)
        self.tally.add_score(row, score, self.outcome, where)

    def finish(self) -> None:
        """Add what was planned and is not there."""
        if not self.samples:
            raise CountsError(
                "the log has no samples: it was made without them, ended before the first, or is "
                "only the header"
            )
        if self.scorer is not None and self.scorers and self.scorer not in self.scorers:
            raise CountsError(
                f"the log has no scorer {self.scorer!r}; it has {_names(self.scorers)}"
            )
        for name, row in dict(self.planned).items():
            missing = max(0, self.epochs - self.logged[row])
            there = f"{self.logged[row]:,} of {self.epochs:,} epochs"
            self.tally.add_missing(row, missing, f"sample {name!r}, with {there}")

    def _score(self, scores: Mapping[str, Any], where: str) -> Any:
        """Return the value of the chosen scorer, or None if there is none."""
        found = dict(_values(scores, where))
        self.scorers |= dict.fromkeys(found)
        if self.scorer is not None:
            return found.get(self.scorer)
        if len(self.scorers) > 1:
            raise CountsError(
                f"the log has several scores: choose scorer= one of {_names(self.scorers)} "
                f"(--scorer {next(iter(self.scorers))})"
            )
        return next(iter(found.values()), None)


def _values(scores: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any]]:
    """Yield the values of scores by name; those of a value with keys as "scorer.key"."""
    for name, score in scores.items():
        if not isinstance(score, dict) or "value" not in score:
            raise CountsError(f"a score must have a value; {name!r} of {where} has none")
        value = score["value"]
        if isinstance(value, dict):
            yield from ((f"{name}.{key}", one) for key, one in value.items())
        else:
            yield name, value


def _read_json(path: Path, log: _Log) -> None:
    begun = False
    with opened_document(path) as document:
        for key in document.members():
            if key == "eval":
                log.begin(document.value())
                begun = True
            elif key == "results":
                _stopped_early(log, document.value())
            elif key == "samples" and document.peek() == "[":
                if not begun:
                    raise CountsError("'eval' must come before 'samples'")
                for _ in document.items():
                    log.add(document.pick(WANTED))
        document.finish()
    if not begun:
        raise CountsError("the log must have 'eval'; is the file cut short?")


class _Archive:
    """The entries of a zip that are JSON, read without unpacking any to a file."""

    def __init__(self, archive: zipfile.ZipFile, path: Path):
        self._archive, self._path = archive, path
        self.names = archive.namelist()
        if len(set(self.names)) < len(self.names):
            again = next(name for name in self.names if self.names.count(name) > 1)
            raise CountsError(f"each entry of the zip must occur once: {again!r} is there again")

    def document(self, name: str) -> Iterator[Document]:
        """Yield an entry, to be read while it is open."""
        if name not in self.names:
            raise CountsError(
                f"{self._path}: the zip must have an entry {name!r}; is it cut short?"
            )
        entry = self._archive.getinfo(name)
        if entry.file_size > LARGEST_ENTRY:
            raise CountsError(
                f"{self._path}: the entry {name!r} claims {entry.file_size:,} bytes, and no more "
                f"than {LARGEST_ENTRY:,} are read"
            )
        try:
            stream = self._archive.open(entry)
        except (RuntimeError, NotImplementedError) as error:  # encrypted, or compressed oddly
            raise CountsError(f"{self._path}: the entry {name!r} cannot be read: {error}") from None
        with stream, io.TextIOWrapper(stream, encoding="utf-8-sig") as text:
            document = Document(text, f"{self._path}: {name}")
            yield document
            document.finish()

    def value(self, name: str) -> Any:
        """Return all of an entry."""
        (found,) = [document.value() for document in self.document(name)]
        return found


def _read_eval(archive: _Archive, log: _Log) -> None:
    header = archive.value(HEADER if HEADER in archive.names else STARTED)
    if not isinstance(header, dict):
        raise CountsError("the header of the log must be an object")
    log.begin(header.get("eval"))
    _stopped_early(log, header.get("results"))
    samples = [one for one in archive.names if re.fullmatch(r"samples/.*\.json", one, re.DOTALL)]
    unread = dict.fromkeys(samples)
    if not header.get("invalidated"):  # the summaries do not say which samples are
        for name in _summaries(archive.names):
            for document in archive.document(name):
                for _ in document.items():
                    summary = document.value()  # a summary is short
                    log.add(summary)
                    unread.pop(f"samples/{summary['id']}_epoch_{summary['epoch']}.json", None)
    for name in unread:
        for document in archive.document(name):
            log.add(document.pick(WANTED))


def _summaries(names: Iterable[str]) -> list[str]:
    """Return the entries with summaries of all samples; of an interrupted log, those so far."""
    if SUMMARIES in names:
        return [SUMMARIES]
    found = [re.fullmatch(rf"{JOURNAL}(\d+)\.json", name) for name in names]
    return [match[0] for match in sorted((m for m in found if m), key=lambda m: int(m[1]))]


def _stopped_early(log: _Log, results: Any) -> None:
    """Note that attempts were ended by what was seen, if the log says so."""
    if isinstance(results, dict) and results.get("early_stopping"):
        log.planned.clear()
        log.tally.note_stopping("adaptive")


def _inner(of: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = of.get(key)
    return found if isinstance(found, dict) else {}


def _names(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
