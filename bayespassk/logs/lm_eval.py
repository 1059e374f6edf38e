"""lm-evaluation-harness: a line for each document and filter, as written by --log_samples."""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bayespassk.errors import CountsError, InputError, OptionError
from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.files import opened_document, records
from bayespassk.logs.peeking import JSON, Peek

__all__ = ["accompanies", "is_one", "read"]

NAME = re.compile(
    r"samples_(?P<task>.+)_(?P<time>\d{4}-\d\d-\d\dT[\d.:-]+)\.jsonl(\.gz|\.xz|\.bz2|\.zst)?"
)

EXACT = 1e-6
"""How near to Chen's formula a value of pass@k must be to tell the successes."""

KEYS = {
    "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics",
    "doc_hash", "prompt_hash", "target_hash", "scores_per_repeat",
}  # fmt: skip
"""Keys of a record that are not metrics."""


def is_one(seen: Peek) -> bool:
    """Return whether a file holds samples of lm-evaluation-harness."""
    return seen.kind in JSON and {"doc_id", "doc", "resps"} <= set(seen.record)


def accompanies(seen: Peek) -> bool:
    """Return whether a file holds results of lm-evaluation-harness: means over documents."""
    return seen.kind == "object" and {"results", "configs"} <= set(seen.record)


def read(
    path: Path,
    tally: Tally,
    *,
    filter: str | None = None,  # noqa: A002 -- as in the log
    metric: str | None = None,
    scorer: Callable[[Any, Mapping[str, Any]], Any] | None = None,
    threshold: float | None = None,
    values: Mapping[Any, Any] | None = None,
) -> None:
    """Add the documents in a file to the tally."""
    if scorer is not None and not callable(scorer):
        raise OptionError(
            "scorer must be a function of a response and its record that returns a score; got "
            f"{scorer!r}. A metric of the log is chosen by metric"
        )
    outcome = Outcome(threshold=threshold, values=values)
    chosen = _Chosen(filter, metric, any_filter=scorer is not None)
    named = NAME.fullmatch(path.name)
    system, benchmark = _model(path, named), named["task"] if named else None
    for where, record in records(path):
        if not {"doc_id", "resps"} <= set(record):
            raise CountsError(
                f"{path}: {where}: a sample must have doc_id and resps; this has "
                f"{', '.join(repr(name) for name in list(record)[:12])}"
            )
        if not chosen.takes(record):
            continue
        row = tally.row(record["doc_id"], system, benchmark)
        if tally.attempts_of(row) and scorer is not None:
            raise CountsError(f"each document must occur once: {where} has one again")
        if scorer is None:
            tally.name_attempt(row, 0)
            scores = _scores(record, chosen, where)
        else:
            scores = _scored(record, scorer, where)
        said = _said(record, len(scores)) if tally.keeps else [None] * len(scores)
        for score, one in zip(scores, said, strict=True):
            about = {"completion": one} if tally.keeps else None
            tally.add_score(row, score, outcome, where, about=about)
    chosen.check(path)


class _Chosen:
    """The filter and the metric that were chosen, and those that there are."""

    def __init__(self, filter: str | None, metric: str | None, any_filter: bool):  # noqa: A002
        self.filter, self.metric, self.any_filter = filter, metric, any_filter
        self.filters: dict[str, None] = {}

    def takes(self, record: Mapping[str, Any]) -> bool:
        """Return whether a record is of the chosen filter, and remember which there are."""
        name = str(record.get("filter", "none"))
        self.filters[name] = None
        if self.any_filter and self.filter is None:
            self.filter = name  # the responses are the same with every filter
        if self.filter is None and len(self.filters) > 1:
            raise CountsError(
                f"the log has several filters: choose filter= one of {_names(self.filters)}, or "
                f"more (--filter {next(iter(self.filters))})"
            )
        return self.filter in (None, name)

    def score(self, record: Mapping[str, Any], where: str) -> Any:
        """Return the value of the chosen metric."""
        metrics = record.get("metrics")
        if not isinstance(metrics, list) or not all(isinstance(one, str) for one in metrics):
            metrics = [name for name in record if name not in KEYS]
        name = self.metric_of(metrics, where)
        if name not in record or name in KEYS:
            raise CountsError(
                f"the log has no metric {name!r}: {where} has {_names(metrics) or 'none'}"
            )
        return record[name]

    def metric_of(self, metrics: list[str], where: str) -> str:
        """Return the metric that was chosen, or the only one."""
        if self.metric is None and len(metrics) != 1:
            raise CountsError(
                f"the log has several metrics: choose metric= one of {_names(metrics)} "
                f"(--metric {metrics[0]})"
                if metrics
                else f"{where} has no metric"
            )
        return metrics[0] if self.metric is None else self.metric

    def check(self, path: Path) -> None:
        """Raise an error if no record was of the chosen filter."""
        if self.filter is not None and self.filter not in self.filters:
            raise CountsError(
                f"{path}: the log has no filter {self.filter!r}; it has "
                f"{_names(self.filters) or 'no records'}"
            )


def _scores(record: Mapping[str, Any], chosen: _Chosen, where: str) -> list[Any]:
    """Return the score of each attempt at a document."""
    number = max((len(one) for one in _responses(record, where)), default=1)
    each = record.get("scores_per_repeat")
    if isinstance(each, dict) and each:
        name = chosen.metric_of(list(each), where)
        if isinstance(each.get(name), list) and len(each[name]) == number:
            return list(each[name])
    if number <= 1:
        return [chosen.score(record, where)]
    successes = _successes(record, number)
    if successes is not None:
        return [1] * successes + [0] * (number - successes)
    raise CountsError(
        f"each attempt must have a score: {where} has {number:,} responses, and the log "
        "scores only what a filter made of them. What to do: in Python give scorer=, a "
        "function of a response and its record that returns 0 or 1",
        rule="each attempt must have a score",
    )


def _successes(record: Mapping[str, Any], number: int) -> int | None:
    """Return how many of the attempts succeeded, if values of pass@k by Chen's formula tell."""
    found = [(re.fullmatch(r"pass@(\d{1,4})", str(name)), value) for name, value in record.items()]
    told = [
        (int(name[1]), value)
        for name, value in found
        if name and isinstance(value, int | float) and 1 <= int(name[1]) <= number
    ]
    if not told:
        return None
    possible = [
        c
        for c in range(number + 1)
        if all(abs(_chen(number, c, k) - value) < EXACT for k, value in told)
    ]
    return possible[0] if len(possible) == 1 else None


def _chen(n: int, c: int, k: int) -> float:
    return 1 - math.comb(n - c, k) / math.comb(n, k)


def _said(record: Mapping[str, Any], number: int) -> list[Any]:
    """Return the responses, if there is one for each attempt."""
    responses = record["resps"]
    return list(responses[0]) if responses and len(responses[0]) == number else [None] * number


def _scored(record: Mapping[str, Any], scorer: Callable[..., Any], where: str) -> list[Any]:
    """Return the scores of all attempts at a document."""
    responses = _responses(record, where)
    if len(responses) != 1:
        raise CountsError(
            f"a scorer needs one request for each document; {where} has {len(responses):,}, as "
            "multiple choice has. Read its metric instead"
        )
    return [scorer(one, record) for one in responses[0]]


def _responses(record: Mapping[str, Any], where: str) -> list[list[Any]]:
    responses = record["resps"]
    if not isinstance(responses, list) or not all(isinstance(one, list) for one in responses):
        raise CountsError(f"resps must be a list of lists of responses; {where} has another value")
    return responses


def _model(path: Path, named: "re.Match[str] | None") -> str | None:
    """Return the name of the model, which is in the results beside the samples."""
    if named is None:
        return None
    time = named["time"]
    beside = [path.with_name(f"results_{time}.json"), *path.parent.glob(f"*_{_literal(time)}.json")]
    beside = [one for one in beside if one.is_file()]
    if not beside:
        return None
    try:
        with opened_document(beside[0]) as document:
            found = {key: document.value() for key in document.members() if key == "model_name"}
    except InputError:
        return None
    name = found.get("model_name")
    return name if isinstance(name, str) and name else None


def _literal(text: str) -> str:
    """Return a pattern that only this text fits."""
    return re.sub(r"([*?[])", r"[\1]", text)


def _names(names: Any) -> str:
    return ", ".join(repr(name) for name in names)
