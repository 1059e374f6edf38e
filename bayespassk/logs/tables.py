"""Tables, whatever they are kept in: one row per problem with its counts, or one per attempt."""

import fnmatch
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bayespassk.counts import COLUMNS, Counts, require_system
from bayespassk.errors import CountsError, OptionError
from bayespassk.evidence import EVIDENCE
from bayespassk.logs.attempts import MORE, Outcome, Tally

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "MISSING",
    "NAMES",
    "OURS",
    "Asked",
    "asked",
    "layout_of",
    "parts_of",
    "read_frames",
    "renamed",
]

MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "None"]
NAMES = ("benchmark", "system", "problem")
COUNTED = (*COLUMNS, "run", "cluster", *EVIDENCE)
"""What a table with one row per problem, or per problem and run, may have."""

OURS = (*COLUMNS, "attempt", "success", *MORE, *EVIDENCE)
WORDS = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was asked of a table.

    Parameters
    ----------
    columns : mapping of str to str
        Names in the table, or patterns of them, and what they are here.
    covariates : tuple of str
        Columns to keep.
    outcome : Outcome
        Which scores are a success.
    """

    columns: Mapping[str, str]
    covariates: tuple[str, ...]
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What the columns of a table are.

    Parameters
    ----------
    columns : mapping of str to str
        The columns that are read, in the order of the table, and what they are here.
    long : bool
        Whether there is one row per attempt, not one per problem.
    """

    columns: Mapping[str, str]
    long: bool

    @property
    def wide(self) -> list[str]:
        """The columns of outcomes, if there are several: one a run."""
        names = [theirs for theirs, ours in self.columns.items() if ours == "success"]
        return names if len(names) > 1 else []


def asked(
    columns: Mapping[str, str] | None = None,
    covariates: Iterable[str] = (),
    threshold: float | None = None,
    values: Mapping[Any, Any] | None = None,
    words: Mapping[str, float] | None = None,
) -> Asked:
    """Return what was asked of a table, or raise an error if it means nothing."""
    given = {} if columns is None else dict(columns)
    for theirs, ours in given.items():
        if ours not in OURS:
            raise OptionError(
                f"columns must give, for names in the file, one of {', '.join(OURS)}, as in "
                f"{{'n': 'attempts'}}; got {ours!r} for {theirs!r}"
            )
    once = [ours for ours in given.values() if ours != "success"]
    if len(set(once)) < len(once):
        raise OptionError(f"columns must give each name once; got {given!r}")
    return Asked(
        columns=given,
        covariates=(covariates,) if isinstance(covariates, str) else tuple(covariates),
        outcome=Outcome(threshold=threshold, values=values, words=words or WORDS),
    )


def read_frames(
    header: Sequence[str], frames: Iterable["pd.DataFrame"], asked: Asked, tally: Tally
) -> Counts | None:
    """Return the counts in the parts of a table, or add its attempts to the tally.

    Parameters
    ----------
    header : sequence of str
        The columns of the table.
    frames : iterable of DataFrame
        Its parts, each with these columns, or those of them that are read.
    asked : Asked
    tally : Tally
    """
    import pandas as pd

    layout = layout_of(header, asked, tally)
    start, parts = 0, []
    for part in frames:
        frame = part[[one for one in layout.columns if one in part]]
        frame.index = pd.RangeIndex(start, start + len(frame))
        start += len(frame)
        if layout.long:
            add_attempts(tally, _unfolded(frame, layout), asked.outcome)
        else:
            parts.append(frame.rename(columns=layout.columns))
    if layout.long:
        return None
    empty = pd.DataFrame(columns=list(layout.columns.values()))
    return _counts_in(pd.concat(parts) if parts else empty, tally, asked.covariates)


def layout_of(header: Sequence[str], asked: Asked, tally: Tally) -> Layout:
    """Return what the columns of a table are, or raise an error if that is not clear."""
    theirs = renamed(header, asked.columns)
    names = [theirs.get(name, name) for name in header]
    double = {name for name in OURS if name != "success" and names.count(name) > 1}
    repeated = len(set(header)) < len(header) and names.count("success") > 1
    if double or repeated:
        raise CountsError(
            f"a column must be there once: {', '.join(sorted(double)) or 'success'} is not"
        )
    long = _is_long(header, names, asked.covariates)
    kept = (*NAMES, "attempt", "success", *MORE) if long else (*COUNTED, *asked.covariates)
    kept += tally.runs
    pairs = list(zip(header, names, strict=True))
    used = {name: ours for name, ours in pairs if ours in kept}
    read = (*NAMES, "attempt", "success", "run", *tally.runs) if long else kept
    ignored = [
        name for name, ours in pairs if ours not in read and not (tally.keeps and name in used)
    ]
    if tally.system_given is None:
        require_system(names, ignored)
    if ignored:
        some = ", ".join(repr(name) for name in ignored[:20])
        tally.note(f"columns not used: {some}{', ...' if len(ignored) > 20 else ''}")
    return Layout(columns=used, long=long)


def renamed(header: Sequence[str], columns: Mapping[str, str]) -> dict[str, str]:
    """Return what the columns of a table are that were named, alone or by a pattern."""
    found: dict[str, str] = {}
    for theirs, ours in columns.items():
        mine = [theirs] if theirs in header else []
        if not mine and ours == "success" and "*" in theirs:
            mine = [name for name in header if fnmatch.fnmatchcase(name, theirs)]
        if not mine:
            raise CountsError(
                f"columns names {theirs!r}, which is not there; the columns found are "
                f"{', '.join(repr(name) for name in header)}"
            )
        found |= dict.fromkeys(mine, ours)
    return found


def _is_long(header: Sequence[str], names: Sequence[str], covariates: Sequence[str]) -> bool:
    """Return whether a table has one row per attempt, or raise an error if that is not clear."""
    counted = "attempts" in names or "successes" in names
    found = ", ".join(repr(name) for name in header)
    missing = [one for one in ("problem", "attempts", "successes") if one not in names]
    if "success" in names and counted:
        raise CountsError(
            "a table must have one row per problem (columns attempts and successes) or one per "
            "attempt (column success); this has both. Rename or remove one"
        )
    if "success" in names and covariates:
        raise OptionError(
            "covariates can be read from a table with one row per problem; this has one per attempt"
        )
    if not counted and "success" not in names:
        raise CountsError(
            f"the columns problem, attempts and successes must be there, or problem and success "
            f"with one row per attempt: {', '.join(missing)} are not; the columns found are "
            f"{found}. Rename yours, or say which is which, as in "
            "columns={'n': 'attempts', 'c': 'successes'} (--columns n=attempts,c=successes)"
        )
    if counted and missing:
        raise CountsError(
            f"the columns problem, attempts and successes must be there: {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not; the columns found are {found}. Rename "
            "yours, or say which is which, as in columns={'id': 'problem'} (--columns id=problem)"
        )
    if "success" in names and "problem" not in names:
        raise CountsError(
            f"the column problem must be there; the columns found are {found}. Rename yours, or "
            "say which it is, as in columns={'task': 'problem'} (--columns task=problem)"
        )
    return "success" in names


def _unfolded(frame: "pd.DataFrame", layout: Layout) -> "pd.DataFrame":
    """Return a table with a row for each attempt, where a row has several: columns, or a list."""
    import pandas as pd

    if layout.wide:
        others = [name for name in frame if name not in layout.wide]
        parts = [
            frame[others].rename(columns=layout.columns).assign(run=name, success=frame[name])
            for name in layout.wide
        ]
        return pd.concat(parts).sort_index(kind="stable")
    frame = frame.rename(columns=layout.columns)
    if _has_lists(frame["success"]):
        frame = frame.assign(success=frame["success"].map(_as_list))
        frame = frame.explode("success")
    return frame


def _has_lists(column: "pd.Series[Any]") -> bool:
    import pandas as pd

    if column.dtype.kind in "biufmM":
        return False
    if isinstance(column.dtype, pd.StringDtype):
        return bool(column.str.startswith("[").fillna(False).any())
    return bool(column.map(_is_list).any())


def _is_list(value: Any) -> bool:
    if isinstance(value, str):
        return value.startswith("[") and value.endswith("]")
    return hasattr(value, "__len__") and not isinstance(value, bytes | Mapping)


def _as_list(value: Any) -> Any:
    """Return a list of outcomes, also one that is written as text."""
    if not _is_list(value):
        return value
    if not isinstance(value, str):
        found = list(value)
    else:
        try:
            found = json.loads(value.replace("True", "true").replace("False", "false"))
        except (ValueError, RecursionError):
            raise CountsError(
                f"a list of outcomes must be of numbers or of true and false; got {value[:80]!r}"
            ) from None
    if any(hasattr(one, "__len__") and not isinstance(one, str) for one in found) or not found:
        raise CountsError(
            f"a list of outcomes must have one for each attempt; got {str(value)[:80]!r}. What to "
            "do: leave problems that were not attempted out"
        )
    return found


def _counts_in(frame: "pd.DataFrame", tally: Tally, covariates: Iterable[str]) -> Counts:
    """Return the counts in a table with one row per problem."""
    for name in COLUMNS:
        if name in frame:
            _require_plain(frame, name)
    given = {"system": tally.system_given, "benchmark": tally.benchmark_given}
    frame = frame.assign(**{name: one for name, one in given.items() if one is not None})
    return Counts.from_dataframe(frame, stopping=tally.stopping or "fixed", covariates=covariates)


PLAIN = {"string", "integer", "floating", "mixed-integer-float", "boolean", "empty"}
"""Kinds of columns that hold numbers or text only, as pandas calls them."""


def _require_plain(frame: "pd.DataFrame", name: str) -> None:
    """Raise an error if a column holds lists, structures, times or bytes."""
    import numpy as np
    import pandas as pd

    column = frame[name]
    if column.dtype.kind in "biuf" or pd.api.types.infer_dtype(column, skipna=True) in PLAIN:
        return
    kinds = (str, int, float, type(None), np.generic, type(pd.NA))
    bad = next(
        (
            i
            for i, one in enumerate(column)
            if not isinstance(one, kinds) or isinstance(one, np.datetime64 | np.timedelta64)
        ),
        None,
    )
    if bad is not None:
        rule = f"{name} must be numbers{'' if name in ('attempts', 'successes') else ' or text'}"
        raise CountsError(
            f"{rule}: row {frame.index[bad] + 1:,} holds {str(column.iloc[bad])[:80]!r}",
            rule=rule,
            first=int(frame.index[bad]) + 1,
        )


def add_attempts(tally: Tally, frame: "pd.DataFrame", outcome: Outcome) -> None:
    """Add the rows of a table with one row per attempt, its index the number of the row from 0."""
    import numpy as np
    import pandas as pd

    names = [name for name in NAMES if name in frame]
    for name in names + [name for name in ("attempt", "run") if name in frame]:
        _require_plain(frame, name)
    for name in names + [name for name in ("attempt",) if name in frame]:
        blank = frame[name].isna() | _are_blank(frame[name])
        if blank.any():
            first = int(frame.index[blank][0]) + 1
            raise CountsError(
                f"{name} must not be missing: the first row without is row {first:,}. What to do: "
                "fill it in for every row, or remove the column",
                rule=f"{name} must not be missing",
                first=first,
            )
    _require_plain(frame, "success")
    groups = frame.groupby(names, sort=False, dropna=False, observed=True).ngroup().to_numpy()
    _, starts = np.unique(groups, return_index=True)
    heads = frame.iloc[starts][names].to_dict(orient="records")
    rows = np.array([tally.row(**{str(k): _plain(v) for k, v in one.items()}) for one in heads])
    codes, scores = pd.factorize(frame["success"].to_numpy(object), use_na_sentinel=False)
    runs = _runs_of(tally, frame)
    run, names_of_runs = pd.factorize(np.array(runs, dtype=object)) if runs else (0, [None])
    triples, where, sizes = np.unique(
        (groups.astype(np.int64) * len(scores) + codes) * len(names_of_runs) + run,
        return_index=True,
        return_counts=True,
    )
    for triple, at, size in zip(triples.tolist(), where.tolist(), sizes.tolist(), strict=True):
        pair, name = triple // len(names_of_runs), names_of_runs[triple % len(names_of_runs)]
        row, score = int(rows[pair // len(scores)]), _plain(scores[pair % len(scores)])
        tally.add_score(
            row,
            score,
            outcome,
            f"row {frame.index[at] + 1:,}",
            times=size,
            kept=tally.keeps,
            about=None if name is None else {"run": name},
        )
    if tally.keeps:
        plain = [_plain(score) for score in scores]
        _keep(tally, frame, rows[groups], codes, plain, outcome, runs)
    if "attempt" in frame:
        tally.name_attempts(rows[groups], frame["attempt"].to_numpy(dtype=object), runs)


def _keep(
    tally: Tally,
    frame: "pd.DataFrame",
    rows: Any,
    codes: Any,
    scores: list[Any],
    outcome: Outcome,
    runs: list[str] | None,
) -> None:
    """Keep the attempts of a table in their order, with their runs."""
    import numpy as np

    outcomes = []
    for score in scores:
        try:
            found = outcome(score)
        except CountsError:  # which the tally remembers
            found = None
        outcomes.append(-1 if found is None else found)
    about = {name: [_plain(one) for one in frame[name]] for name in MORE if name in frame}
    about.pop("run", None)
    tally.keep(rows, np.array(outcomes, dtype=np.int8)[codes], runs, about)


def _runs_of(tally: Tally, frame: "pd.DataFrame") -> list[str] | None:
    """Return of which run each row is; None if the table does not say."""
    by = list(tally.runs) or [name for name in ("run",) if name in frame]
    missing = [name for name in by if name not in frame]
    if missing:
        raise CountsError(
            f"run names the column {missing[0]!r}, which is not there; the columns found are "
            f"{', '.join(repr(str(name)) for name in frame)}"
        )
    columns = [[str(one) for one in frame[name]] for name in by]
    return [", ".join(row) for row in zip(*columns, strict=True)] if by else None


def _are_blank(column: "pd.Series[Any]") -> "pd.Series[bool]":
    import pandas as pd

    if isinstance(column.dtype, pd.StringDtype):
        return (column.str.strip() == "").fillna(False).astype(bool)
    return column.map(lambda one: isinstance(one, str) and not one.strip()).astype(bool)


def _plain(value: Any) -> Any:
    """Return None for what pandas has for a missing value, and Python's own numbers."""
    import numpy as np
    import pandas as pd

    if isinstance(value, list | dict) or np.ndim(value) > 0:
        return value
    if pd.isna(value) or value == "":
        return None
    return value.item() if hasattr(value, "item") else value


def parts_of(rows: Iterable[Mapping[str, Any]], size: int) -> Iterator["pd.DataFrame"]:
    """Yield tables of so many records each."""
    import itertools

    import pandas as pd

    for some in itertools.batched(rows, size):
        yield pd.DataFrame(list(some), dtype=object)
