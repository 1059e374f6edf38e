"""What is held in memory: arrays, tables of pandas and polars, and logs of Inspect."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayespassk.counts import Counts, plain_frame
from bayespassk.errors import CountsError, OptionError
from bayespassk.logs import inspect_log, matrix
from bayespassk.logs.attempts import Tally
from bayespassk.logs.tables import asked, read_frames

__all__ = ["Held"]

SCORE = "score_"
"""How the columns of scores begin in a table of samples that Inspect makes."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """Outcomes that are in memory.

    Parameters
    ----------
    what : str
        How messages call it.
    format : str
        The format it has.
    options : tuple of str
        The options that are known for it.
    read : function of tally and options
        Adds the outcomes to the tally, or returns their counts.
    """

    what: str
    format: str
    options: tuple[str, ...]
    read: Callable[..., Counts | None]

    @classmethod
    def of(cls, log: Any) -> "Held | None":
        """Return what is held, or None if it is something else, such as a path."""
        if isinstance(log, np.ndarray):
            return cls(
                what="array",
                format="matrix",
                options=("problems", "systems"),
                read=lambda tally, **options: matrix.counts_in(log, tally, **options),
            )
        frame = plain_frame(log)
        if frame is not None:
            return cls(
                what="DataFrame",
                format="dataframe",
                options=("columns", "covariates", "scorer", "threshold", "values"),
                read=lambda tally, **options: _read_frame(frame, tally, **options),
            )
        logs = list(log) if isinstance(log, list | tuple) else [log]
        if not logs or not all(map(inspect_log.is_log, logs)):
            if isinstance(log, list | tuple):
                raise OptionError(
                    "a list must be of logs of Inspect, one at least; give outcomes as a NumPy "
                    "array or a DataFrame"
                )
            return None
        return cls(
            what="EvalLog" if len(logs) == 1 else f"{len(logs):,} EvalLogs",
            format="inspect",
            options=("scorer", "threshold", "values"),
            read=lambda tally, **options: _read_logs(logs, tally, **options),
        )


def _read_logs(logs: list[Any], tally: Tally, **options: Any) -> None:
    kept, notes = inspect_log.arranged(logs)
    for note in notes:
        tally.note(note)
    for log, name in kept:
        where = getattr(log, "location", None) or "an EvalLog"
        tally.begin(where, {} if name is None else {"system": name})
        inspect_log.read_object(log, tally, **options)


def _read_frame(
    frame: Any,
    tally: Tally,
    *,
    columns: Mapping[str, str] | None = None,
    covariates: Iterable[str] = (),
    scorer: str | None = None,
    threshold: float | None = None,
    values: Mapping[Any, Any] | None = None,
) -> Counts | None:
    """Return the counts in a table, or add its attempts to the tally."""
    words = None
    tally.begin("DataFrame")
    if columns is None and _is_samples(frame):
        columns, words = _columns_of_samples(frame, scorer), inspect_log.WORDS
    elif scorer is not None:
        raise OptionError("scorer is for a table of samples that Inspect makes; this is another")
    given = asked(columns, covariates, threshold, values, words)
    return read_frames([str(one) for one in frame], [frame.rename(columns=str)], given, tally)


def _is_samples(frame: Any) -> bool:
    names = set(map(str, frame.columns))
    return {"id", "epoch"} <= names and any(name.startswith(SCORE) for name in names)


def _columns_of_samples(frame: Any, scorer: str | None) -> dict[str, str]:
    """Return what the columns of a table of samples are here."""
    names = list(map(str, frame.columns))
    scores = [name.removeprefix(SCORE) for name in names if name.startswith(SCORE)]
    if scorer is None and len(scores) > 1:
        raise CountsError(
            f"the table has several scores: choose scorer= one of {', '.join(map(repr, scores))}"
        )
    if scorer is not None and scorer not in scores:
        raise CountsError(
            f"the table has no score {scorer!r}; it has {', '.join(map(repr, scores))}"
        )
    found = {"id": "problem", "epoch": "attempt", f"{SCORE}{scorer or scores[0]}": "success"}
    known = {"model": "system", "task_name": "benchmark", "total_tokens": "tokens"}
    found |= {theirs: ours for theirs, ours in known.items() if theirs in names}
    if "model" not in names and "eval_id" in names and frame["eval_id"].nunique() > 1:
        raise CountsError(
            "the samples are of several evaluations, and no column model says which system each is "
            "of. What to do: add it, from evals_df by eval_id, or ask samples_df for it"
        )
    return found
