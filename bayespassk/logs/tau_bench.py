"""tau-bench and tau2-bench: a record for each trial at a task, with its reward."""

from pathlib import Path
from typing import Any

from bayespassk.errors import CountsError
from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.files import opened_document, records
from bayespassk.logs.peeking import JSON, Peek
from bayespassk.logs.per_attempt import Attempt, add, required

__all__ = ["is_one", "read"]

EXACT = 1e-6
"""How near to 1 the reward of a success is, as the programs themselves have it."""

WANTED = ("task_id", "trial", "reward_info", "duration", "agent_cost", "seed", "start_time")


def is_one(seen: Peek) -> bool:
    """Return whether a file holds trials of tau-bench or of tau2-bench."""
    keys = set(seen.record)
    first = {"task_id", "reward"} <= keys and bool({"trial", "traj"} & keys)
    return (seen.kind in JSON and first) or (seen.kind == "object" and "simulations" in keys)


def read(path: Path, tally: Tally) -> None:
    """Add the trials in a file to the tally: a success has a reward of 1, up to 1e-6."""
    if _is_second(path):
        _read_second(path, tally)
        return
    for where, found in records(path):
        record = required(found, ("task_id", "reward"), f"{path}: {where}", "a trial")
        one = Attempt(
            problem=record["task_id"],
            score=_succeeded(record["reward"], where),
            name=record.get("trial"),
        )
        add(tally, one, Outcome(), where)


def _succeeded(reward: Any, where: str) -> bool | None:
    if reward is None:
        return None
    if not isinstance(reward, int | float):
        raise CountsError(f"{where}: the reward must be a number or null; got {str(reward)[:80]!r}")
    return None if reward != reward else abs(reward - 1) <= EXACT  # noqa: PLR0124 -- NaN


def _is_second(path: Path) -> bool:
    with opened_document(path) as document:
        return document.peek() == "{" and "simulations" in document.members()


def _read_second(path: Path, tally: Tally) -> None:
    info: Any = None
    found = []
    with opened_document(path) as document:
        for key in document.members():
            if key == "info":
                info = document.value()
            elif key == "simulations" and document.peek() == "[":
                for i, _ in enumerate(document.items()):
                    where = f"simulation {i + 1:,}"
                    keys = ("task_id", "reward_info")
                    found.append(required(document.pick(WANTED), keys, where, "a simulation"))
        document.finish()
    info = info if isinstance(info, dict) else {}
    system, benchmark = (
        _name(info, "agent_info", "llm"),
        _name(info, "environment_info", "domain_name"),
    )
    for i, record in enumerate(found):
        where = f"simulation {i + 1:,}"
        reward = record["reward_info"]
        one = Attempt(
            problem=record["task_id"],
            score=_succeeded(reward.get("reward") if isinstance(reward, dict) else None, where),
            name=record.get("trial"),
            system=system,
            benchmark=benchmark,
            about={
                "seconds": record.get("duration"),
                "dollars": record.get("agent_cost"),
                "seed": record.get("seed"),
                "date": record.get("start_time"),
            },
        )
        add(tally, one, Outcome(), where)


def _name(info: dict[str, Any], key: str, name: str) -> str | None:
    inner = info.get(key)
    found = inner.get(name) if isinstance(inner, dict) else None
    return found if isinstance(found, str) else None
