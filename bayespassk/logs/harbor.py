"""Harbor: a result.json for each trial of an agent at a task."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bayespassk.errors import CountsError
from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.files import opened_document
from bayespassk.logs.peeking import Peek
from bayespassk.logs.per_attempt import Attempt, add, chosen, required, seconds_between

__all__ = ["accompanies", "is_one", "read"]

WANTED = (
    "task_name", "trial_name", "source", "verifier_result", "agent_info", "config", "agent_result",
    "started_at", "finished_at", "exception_info",
)  # fmt: skip


def is_one(seen: Peek) -> bool:
    """Return whether a file is of a trial of Harbor, or of a job that holds its trials."""
    trials = seen.record.get("trial_results")
    return seen.kind == "object" and (
        {"task_name", "verifier_result"} <= set(seen.record)
        or (isinstance(trials, list) and bool(trials))
    )


def accompanies(seen: Peek) -> bool:
    """Return whether a file is about a job or a trial, and holds no outcome of one."""
    keys = set(seen.record)
    job = {"n_total_trials", "stats"} <= keys and not seen.record.get("trial_results")
    settings = seen.path.name == "config.json" and bool({"agent", "agents", "trials_dir"} & keys)
    return seen.kind == "object" and (job or settings)


def read(
    path: Path,
    tally: Tally,
    *,
    scorer: str | None = None,
    threshold: float | None = None,
    values: Mapping[Any, Any] | None = None,
) -> None:
    """Add the trials in a file to the tally. One without a reward has no outcome."""
    outcome = Outcome(threshold=threshold, values=values)
    with opened_document(path) as document:
        alone: dict[str, Any] = {}
        found = False
        for key in document.members():
            if key == "trial_results" and document.peek() == "[":
                for i, _ in enumerate(document.items()):
                    found = True
                    _add(tally, document.pick(WANTED), scorer, outcome, f"trial {i + 1:,}")
            elif key in WANTED:
                alone[key] = document.value()
        document.finish()
    if not found:
        _add(tally, alone, scorer, outcome, "the trial")


def _add(tally: Tally, record: Any, scorer: str | None, outcome: Outcome, where: str) -> None:
    record = required(record, ("task_name", "verifier_result"), where, "a result of Harbor")
    result = record["verifier_result"]
    rewards = result.get("rewards") if isinstance(result, dict) else None
    if rewards is not None and not isinstance(rewards, dict):
        raise CountsError(f"{where}: rewards must be an object; got {str(rewards)[:80]!r}")
    score = None
    if rewards:
        wanted = "reward" if scorer is None and "reward" in rewards else scorer
        score = rewards[chosen(rewards, wanted, "scorer", where)]
    info, model = _inner(record, "agent_info"), _inner(record, "agent_info", "model_info")
    names = [info.get("name"), model.get("name")]
    used = _inner(record, "agent_result")
    one = Attempt(
        problem=record["task_name"],
        score=score,
        name=record.get("trial_name"),
        system=" ".join(one for one in names if isinstance(one, str)) or None,
        benchmark=record.get("source") if isinstance(record.get("source"), str) else None,
        about={
            "input_tokens": used.get("n_input_tokens"),
            "output_tokens": used.get("n_output_tokens"),
            "dollars": used.get("cost_usd"),
            "seconds": seconds_between(record.get("started_at"), record.get("finished_at")),
            "date": record.get("started_at"),
        },
    )
    add(tally, one, outcome, where)


def _inner(record: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        found = record.get(key)
        record = found if isinstance(found, dict) else {}
    return record
