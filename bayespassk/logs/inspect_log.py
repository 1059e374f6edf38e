"""Inspect: an .eval (a zip of JSON files) or a .json, with a record for each sample and epoch."""

import io
import json
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bayespassk.errors import CountsError
from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.documents import Document
from bayespassk.logs.files import capped, guarded, opened_document, zipfile
from bayespassk.logs.peeking import Peek

__all__ = [
    "WORDS",
    "accompanies",
    "arranged",
    "header_of",
    "is_log",
    "is_one",
    "read",
    "read_object",
    "values_of",
]

HEADER, STARTED = "header.json", "_journal/start.json"
SUMMARIES, JOURNAL = "summaries.json", "_journal/summaries/"
LARGEST_ENTRY = 2**31
ARGUMENTS = ("task_args", "model_args", "model_generate_config", "solver", "solver_args")
"""What makes systems of one model."""

WANTED = ("id", "epoch", "scores", "score", "invalidation")
ABOUT = ("model_usage", "total_time", "working_time", "started_at", "output")
TOKENS = {
    "tokens": "total_tokens",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
}
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


def accompanies(seen: Peek) -> bool:
    """Return whether a file is what Inspect writes beside the logs of a set of evaluations."""
    if seen.kind != "object":
        return False
    first = next(iter(seen.record.values()), None)
    headers = seen.path.name == "logs.json" and isinstance(first, dict) and "eval" in first
    return headers or {"eval_set_id", "tasks"} <= set(seen.record)


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
    if _is_zip(path):
        with guarded(path), zipfile.ZipFile(path) as archive:
            _read_eval(_Archive(archive, path), log)
    else:
        _read_json(path, log)
    log.finish()


def is_log(log: Any) -> bool:
    """Return whether an object is a log as Inspect holds it in memory."""
    return all(hasattr(log, name) for name in ("eval", "samples", "status", "model_dump"))


def read_object(
    log: Any,
    tally: Tally,
    *,
    scorer: str | None = None,
    threshold: float | None = None,
    values: Mapping[Any, Any] | None = None,
) -> None:
    """Add the samples of a log that Inspect holds in memory to the tally."""
    found = _Log(tally, scorer, Outcome(threshold=threshold, values=values, words=WORDS))
    found.status = log.status
    found.begin(log.eval.model_dump(mode="json"))
    if getattr(log, "results", None) is not None:
        _stopped_early(found, log.results.model_dump(mode="json", include={"early_stopping"}))
    for sample in log.samples or ():
        found.add(sample.model_dump(mode="json", include={*WANTED, *ABOUT, "output"}))
    found.finish()


def header_of(log: Any) -> dict[str, Any]:
    """Return what is known of a log, a path or an object, without its samples.

    Raises
    ------
    CountsError
        If it is damaged.
    """
    if is_log(log):
        return {"status": log.status, "eval": log.eval.model_dump(mode="json")}
    if not _is_zip(log):
        found: dict[str, Any] = {}
        with opened_document(log) as document:
            for key in document.members():
                if key in ("status", "eval"):
                    found[key] = document.value()
                if "eval" in found and "status" in found:
                    break
        return found
    with guarded(log), zipfile.ZipFile(log) as archive:
        entries = _Archive(archive, log)
        value = entries.value(HEADER if HEADER in entries.names else STARTED)
        return value if isinstance(value, dict) else {}


def arranged(logs: Sequence[Any]) -> tuple[list[tuple[Any, str | None]], list[str]]:
    """Return the logs of a folder that count, and what is to be said of the others.

    Of one task that was tried again the newest log counts. Logs of one model with other arguments
    are of several systems, whose names say what differs; without that there is no name.
    """
    headers = [header_of(one) if len(logs) > 1 else {} for one in logs]
    evals = [_inner(header, "eval") for header in headers]
    made = [str(one.get("created") or "") for one in evals]
    whole = [header.get("status") == "success" for header in headers]
    superseded: set[int] = set()
    for group in _groups(lambda i: evals[i].get("task_id") or None, range(len(logs))):
        superseded |= set(group) - {max(group, key=lambda i: (made[i], whole[i]))}
    rest = [i for i in range(len(logs)) if not evals[i].get("task_id")]
    for group in _groups(lambda i: _asked(evals[i], ("task", "model", *ARGUMENTS)), rest):
        last = max(made[i] for i in group)
        superseded |= {i for i in group if not whole[i] and made[i] < last}
    kept = [i for i in range(len(logs)) if i not in superseded]
    names: dict[int, str] = {}
    for group in _groups(lambda i: _asked(evals[i], ("task", "model")), kept):
        flat = {i: dict(_flat(evals[i])) for i in group}
        keys = dict.fromkeys(key for one in flat.values() for key in one)
        differ = [key for key in keys if len({repr(flat[i].get(key)) for i in group}) > 1]
        for i in group if differ else ():
            said = ", ".join(f"{key}={flat[i][key]}" for key in differ if key in flat[i])
            model = evals[i]["model"]
            names[i] = f"{model} ({said})" if said else model
    many = len(superseded)
    note = f"{many:,} logs of tasks that were tried again are superseded by newer ones"
    return [(logs[i], names.get(i)) for i in kept], [note] * bool(many)


def _groups(key: Callable[[int], Any], places: Iterable[int]) -> list[list[int]]:
    """Return the places that share a key which is not None, where there are several."""
    found: dict[str, list[int]] = {}
    for i in places:
        if (name := key(i)) is not None:
            found.setdefault(str(name), []).append(i)
    return [group for group in found.values() if len(group) > 1]


def _asked(evaluation: Mapping[str, Any], names: Iterable[str]) -> str | None:
    if not isinstance(evaluation.get("model"), str):
        return None
    return json.dumps([evaluation.get(name) for name in names], sort_keys=True, default=str)


def _flat(evaluation: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the arguments that a system was run with, by name."""
    for name in ARGUMENTS:
        value = evaluation.get(name)
        if isinstance(value, dict):
            yield from ((key, one) for key, one in value.items() if one is not None)
        elif value is not None:
            yield name, value


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


@dataclass
class _Log:
    """What is known of a log while it is read: of each sample and epoch the last record counts."""

    tally: Tally
    scorer: str | None
    outcome: Outcome
    system: str | None = None
    benchmark: str | None = None
    status: str | None = None
    epochs: int = 0
    early: bool = False
    retried: bool = False
    planned: list[str] = field(default_factory=list)
    scorers: dict[str, None] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    _name: array[int] = field(default_factory=lambda: array("q"))
    _epoch: array[int] = field(default_factory=lambda: array("q"))
    _outcome: array[int] = field(default_factory=lambda: array("b"))
    _strange: dict[int, Any] = field(default_factory=dict)
    _about: list[dict[str, Any]] = field(default_factory=list)

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
            self.epochs = epochs
            self.planned = [str(one) for one in ids]

    def add(self, sample: Any) -> None:
        """Add a sample, or its summary."""
        if not isinstance(sample, dict) or not {"id", "epoch"} <= set(sample):
            raise CountsError(f"a sample must have id and epoch; got {str(sample)[:80]!r}")
        name, epoch = str(sample["id"]), sample["epoch"]
        if not isinstance(epoch, int) or not -(2**62) < epoch < 2**62:
            raise CountsError(
                f"epoch must be a whole number; sample {name!r} has {str(epoch)[:80]!r}"
            )
        where = f"sample {name!r}, epoch {epoch}"
        scores = sample.get("scores") or {}
        if sample.get("score"):  # as it was when there was one scorer
            scores = {"score": sample["score"]}
        if not isinstance(scores, dict):
            raise CountsError(f"scores must be of scorers; {where} has {str(scores)[:80]!r}")
        score = None if sample.get("invalidation") else self._score(scores, where)
        try:
            outcome = self.outcome(score)
        except CountsError:
            self._strange[len(self._name)], outcome = score, None
        self._name.append(self.names.setdefault(name, len(self.names)))
        self._epoch.append(epoch)
        self._outcome.append(-1 if outcome is None else outcome)
        if self.tally.keeps:
            self._about.append(_about(sample))

    def finish(self) -> None:
        """Hand the attempts to the tally, and what was planned and is not there."""
        if not self._name:
            raise CountsError(
                "the log has no samples: it was made without them, ended before the first, or is "
                "only the header"
            )
        if self.scorer is not None and self.scorers and self.scorer not in self.scorers:
            raise CountsError(
                f"the log has no scorer {self.scorer!r}; it has {_names(self.scorers)}"
            )
        whole = self.status == "success" and not self.early  # else it was interrupted
        order = [one for one in self.planned if one in self.names or not whole]
        rows = {
            one: self.tally.row(one, self.system, self.benchmark) for one in (*order, *self.names)
        }
        names = list(self.names)
        logged = Counter[str]()
        for i in self._last() if self.retried else range(len(self._name)):
            name, epoch = names[self._name[i]], self._epoch[i]
            logged[name] += 1
            where, about = (
                f"sample {name!r}, epoch {epoch}",
                self._about[i] if self._about else None,
            )
            self.tally.name_attempt(rows[name], epoch)
            if i in self._strange:
                self.tally.add_score(rows[name], self._strange[i], self.outcome, where, about=about)
            else:
                outcome = None if self._outcome[i] < 0 else self._outcome[i]
                self.tally.add(rows[name], outcome, where, about=about)
        gone = 0
        for name in dict.fromkeys(self.planned):
            missing = max(0, self.epochs - logged[name])
            gone += missing
            if not whole and not self.early:
                there = f"{logged[name]:,} of {self.epochs:,} epochs"
                self.tally.add_missing(rows[name], missing, f"sample {name!r}, with {there}")
        if whole and gone:
            self.tally.note(
                f"{gone:,} planned attempts are not in a log that ended with success: it was "
                "filtered afterwards"
            )

    def _last(self) -> list[int]:
        """Return the places of the last record of each sample and epoch, in their order."""
        name, epoch = np.frombuffer(self._name, np.int64), np.frombuffer(self._epoch, np.int64)
        order = np.lexsort((epoch, name))  # which keeps the order of those that are equal
        last = np.ones(len(order), dtype=bool)
        last[:-1] = (np.diff(name[order]) != 0) | (np.diff(epoch[order]) != 0)
        again = int((~last).sum())
        if again:
            self.tally.note(f"{again:,} records of attempts that were tried again are superseded")
        found: list[int] = np.sort(order[last]).tolist()
        return found

    def _score(self, scores: Mapping[str, Any], where: str) -> Any:
        """Return the value of the chosen scorer, or None if there is none."""
        found = dict(values_of(scores, where))
        self.scorers |= dict.fromkeys(found)
        if self.scorer is not None:
            return found.get(self.scorer)
        if len(self.scorers) > 1:
            raise CountsError(
                f"the log has several scores: choose scorer= one of {_names(self.scorers)} "
                f"(--scorer {next(iter(self.scorers))})"
            )
        return next(iter(found.values()), None)


def _about(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of an attempt besides its outcome."""
    usage = sample.get("model_usage")
    used = (
        [one for one in usage.values() if isinstance(one, dict)] if isinstance(usage, dict) else []
    )
    found = {"epoch": sample["epoch"], "date": sample.get("started_at")}
    seconds = sample.get("working_time")
    found["seconds"] = sample.get("total_time") if seconds is None else seconds
    for ours, theirs in TOKENS.items():
        numbers = [one[theirs] for one in used if isinstance(one.get(theirs), int | float)]
        found[ours] = sum(numbers) if numbers else None
    costs = [one["total_cost"] for one in used if isinstance(one.get("total_cost"), int | float)]
    output = sample.get("output")
    if isinstance(output, dict):
        found["completion"] = output.get("completion") or None
    return found | {"dollars": sum(costs) if costs else None}


def values_of(scores: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any]]:
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
    begun, wanted = False, (*WANTED, *ABOUT) if log.tally.keeps else WANTED
    with opened_document(path) as document:
        for key in document.members():
            if key == "status":
                log.status = document.value()
            elif key == "eval":
                log.begin(document.value())
                begun = True
            elif key == "results":
                _stopped_early(log, document.value())
            elif key == "samples" and document.peek() == "[":
                if not begun:
                    raise CountsError("'eval' must come before 'samples'")
                for _ in document.items():
                    log.add(document.pick(wanted))
        document.finish()
    if not begun:
        raise CountsError("the log must have 'eval'; is the file cut short?")


class _Archive:
    """The entries of a zip that are JSON, read without unpacking any to a file."""

    def __init__(self, archive: zipfile.ZipFile, path: Path):
        self._archive, self._path = archive, path
        self.names = dict.fromkeys(archive.namelist())
        for name in (HEADER, STARTED):
            if archive.namelist().count(name) > 1:
                raise CountsError(f"a header of the zip must be there once: {name!r} is not")

    def document(self, name: str) -> Iterator[Document]:
        """Yield an entry, to be read while it is open."""
        if name not in self.names:
            raise CountsError(
                f"{self._path}: the zip must have an entry {name!r}; is it cut short?"
            )
        entry = self._archive.getinfo(name)  # the last of this name
        if entry.file_size > LARGEST_ENTRY:
            raise CountsError(
                f"{self._path}: the entry {name!r} claims {entry.file_size:,} bytes, and no more "
                f"than {LARGEST_ENTRY:,} are read"
            )
        try:
            stream = self._archive.open(entry)
        except (RuntimeError, NotImplementedError) as error:  # encrypted, or compressed oddly
            raise CountsError(f"{self._path}: the entry {name!r} cannot be read: {error}") from None
        stream = capped(stream, entry.compress_size, f"{self._path}: {name}")
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
    log.status = header.get("status") if HEADER in archive.names else None
    log.begin(header.get("eval"))
    _stopped_early(log, header.get("results"))
    samples = [one for one in archive.names if re.fullmatch(r"samples/.*\.json", one, re.DOTALL)]
    unread: dict[str, None] = dict.fromkeys(samples)
    wanted: tuple[str, ...] = WANTED
    log.retried = True  # Inspect appends what it tried again
    if log.tally.keeps:  # the summaries do not have the completion
        wanted = (*WANTED, *ABOUT)
    elif not header.get("invalidated"):  # nor which samples are
        for name in _summaries(archive.names):
            for document in archive.document(name):
                for _ in document.items():
                    summary = document.value()  # a summary is short
                    log.add(summary)
                    unread.pop(f"samples/{summary['id']}_epoch_{summary['epoch']}.json", None)
    for name in unread:
        for document in archive.document(name):
            log.add(document.pick(wanted))


def _summaries(names: Iterable[str]) -> list[str]:
    """Return the entries with summaries of all samples; of an interrupted log, those so far."""
    if SUMMARIES in names:
        return [SUMMARIES]
    found = [re.fullmatch(rf"{JOURNAL}(\d{{1,18}})\.json", name) for name in names]
    return [match[0] for match in sorted((m for m in found if m), key=lambda m: int(m[1]))]


def _stopped_early(log: _Log, results: Any) -> None:
    """Note that attempts were ended by what was seen, if the log says so."""
    if isinstance(results, dict) and results.get("early_stopping"):
        log.early = True
        log.tally.note_stopping("adaptive")


def _inner(of: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = of.get(key)
    return found if isinstance(found, dict) else {}


def _names(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
