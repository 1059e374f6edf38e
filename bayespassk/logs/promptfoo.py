"""promptfoo: a result for each test, prompt and provider."""

import json
from pathlib import Path
from typing import Any

from bayespassk.errors import CountsError
from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.files import opened_document
from bayespassk.logs.peeking import Peek
from bayespassk.logs.per_attempt import Attempt, add, required, seconds_of

__all__ = ["is_one", "read"]

KEYS = ("success", "provider")
WANTED = (
    *KEYS, "vars", "promptIdx", "testIdx", "prompt", "failureReason", "error",
    "latencyMs", "cost", "response",
)  # fmt: skip
ERROR = 2
"""The reason of a failure that is an error of the provider, not of an assertion."""


def is_one(seen: Peek) -> bool:
    """Return whether a file holds results of promptfoo."""
    inner = seen.record.get("results")
    return (
        seen.kind == "object"
        and isinstance(inner, dict)
        and "results" in inner
        and bool({"evalId", "config", "shareableUrl"} & set(seen.record) or "stats" in inner)
    )


def read(path: Path, tally: Tally) -> None:
    """Add the results in a file to the tally: tests with the same variables are one problem."""
    found = []
    with opened_document(path) as document:
        for key in document.members():
            if key == "results" and document.peek() == "{":
                for inner in document.members():
                    if inner == "results" and document.peek() == "[":
                        for i, _ in enumerate(document.items()):
                            result = document.pick(WANTED)
                            found.append(required(result, KEYS, f"result {i + 1:,}", "a result"))
        document.finish()
    if not found:
        raise CountsError(f"{path}: results of promptfoo must have results.results; is it empty?")
    prompts = {str(one.get("promptIdx")) for one in found}
    for i, record in enumerate(found):
        where = f"result {i + 1:,}"
        failed = record.get("failureReason") == ERROR
        response = record.get("response")
        one = Attempt(
            problem=_problem(record),
            score=None if failed else record["success"],
            system=_system(record, several=len(prompts) > 1),
            about={
                "seconds": seconds_of(record.get("latencyMs")),
                "dollars": record.get("cost"),
                "completion": response.get("output") if isinstance(response, dict) else None,
            },
        )
        add(tally, one, Outcome(), where)


def _problem(record: dict[str, Any]) -> str:
    """Return what names a problem: the variables of its test, or its number if there are none."""
    found = record.get("vars")
    if not isinstance(found, dict) or not found:
        return str(record.get("testIdx"))
    (first, *others) = found.values()
    if isinstance(first, str) and not others:
        return first
    return json.dumps(found, sort_keys=True, ensure_ascii=False)


def _system(record: dict[str, Any], several: bool) -> str | None:
    """Return the name of the provider, with that of the prompt if there are several."""
    provider = record["provider"]
    if isinstance(provider, dict):
        provider = provider.get("label") or provider.get("id")
    if not several:
        return provider if isinstance(provider, str) else None
    prompt = record.get("prompt")
    label = prompt.get("label") if isinstance(prompt, dict) else None
    return f"{provider}, prompt {record.get('promptIdx')}" + (
        f": {label[:40]}" if isinstance(label, str) else ""
    )
