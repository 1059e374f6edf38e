"""Counts: how many attempts at each problem succeeded. Valid by construction."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayespassk import cells
from bayespassk.errors import CountsError, OptionError
from bayespassk.options import shown
from bayespassk.terminal import visible

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Counts", "Provenance", "batch_size", "check_by", "visible"]

MOST_ATTEMPTS = 2**53
"""Counts above this are not exact as floating-point numbers, in which likelihoods are computed."""

COLUMNS = ("benchmark", "system", "problem", "attempts", "successes")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where counts came from, and what was decided on the way.

    It is about the log as it was read: a selection of the counts, or a thinning, keeps it.

    Parameters
    ----------
    format : str
        The format the log was read as, such as "inspect".
    files : tuple of str
        The files that were read, as they were named.
    sha256 : tuple of str
        The hash of each of these files, as 64 hexadecimal digits.
    errors : str
        What was done with attempts without an outcome: "raise", "drop" or "fail".
    attempts : int
        Attempts in the log, those without an outcome among them.
    errored : int
        Attempts in the log that have no outcome: they ended with an error, or have no score.
    missing : int
        Attempts that were planned, as the log says, and are not in it.
    options : mapping of str to str
        The other options that the log was read with.
    """

    format: str
    files: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()
    errors: str = "raise"
    attempts: int = 0
    errored: int = 0
    missing: int = 0
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def dropped(self) -> int:
        """How many attempts were left out."""
        return self.errored + self.missing if self.errors == "drop" else 0

    def to_json(self) -> str:
        """Return this as JSON, so that a file can hold it."""
        return json.dumps(asdict(self) | {"dropped": self.dropped})

    def __str__(self) -> str:
        files = self.files[0] if len(self.files) == 1 else f"{len(self.files):,} files"
        options = "".join(f", {name} {value}" for name, value in self.options.items())
        without = self.errored + self.missing
        fate = {"drop": "left out", "fail": "counted as failures"}.get(self.errors, "refused")
        return (
            f"{files or 'counts'} read as {self.format}{options}: "
            f"{_count(self.attempts, 'attempt')}, "
            + (f"{without:,} without an outcome {fate}" if without else "all with an outcome")
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Counts:
    """Successes and attempts of systems at problems: one row per (benchmark, system, problem).

    Everything is checked on the way in, so that what exists is valid; the columns are read-only.

    Parameters
    ----------
    problem : sequence, dims (row,)
        Name of each problem, as text or numbers; one task with a verifiable outcome.
    attempts : sequence of int, dims (row,)
        Independent attempts made at the problem, 0 to 2^53; they may differ between problems,
        and may have been stopped by any rule that looked only at outcomes.
    successes : sequence of int, dims (row,)
        Attempts that passed; 0 to `attempts`.
    system : sequence or str, dims (row,), default "system"
        What was evaluated: model, scaffold and decoding. One name stands for every row.
    benchmark : sequence or str, dims (row,), default "benchmark"
        The set the problem is from. One name stands for every row.
    stopping : str, default "fixed"
        How the attempts at a problem were ended. No posterior and no forecast depends on it, as
        every rule that looked only at outcomes has the same likelihood; what is simulated again
        (:func:`bayespassk.check`), :func:`bayespassk.thin` and Chen's estimator do.

        - "fixed": their number was fixed in advance, for each problem;
        - "first-success": at the first success, or at a cap;
        - "batches:B": they were made B at a time, until a batch held a success, or up to a cap;
        - "adaptive": they were allotted by what was seen, in a way not told.

        The cap is the largest number of attempts that the system made at any problem. A problem
        without success and with fewer attempts was cut short for another reason; its own attempts
        are its cap.

    covariates : mapping of str to sequence, dims (row,), optional
        Properties of problems or systems, as numbers or text: a difficulty level, the size of a
        model, a temperature. Only those named in :func:`bayespassk.fit` are looked at.
    provenance : Provenance, optional
        Where the counts came from, as :func:`bayespassk.read` found it.

    Raises
    ------
    OptionError
        If `stopping` is none of these.
    CountsError
        If a row breaks a rule. The message names the rule, how many rows break it and the first.

    Examples
    --------
    >>> from bayespassk import Counts
    >>> counts = Counts(problem=["a", "b"], attempts=[100, 100], successes=[3, 0])
    >>> counts
    Counts: 2 rows, 1 system, 100 attempts a problem, 1 row without success
    """

    problem: Any
    attempts: Any
    successes: Any
    system: Any = "system"
    benchmark: Any = "benchmark"
    stopping: str = "fixed"
    covariates: Any = field(default_factory=dict)
    provenance: Provenance | None = None

    def __post_init__(self) -> None:
        for name in ("problem", "attempts", "successes", "system", "benchmark"):
            _check_column(getattr(self, name), name)
        if not isinstance(self.covariates, Mapping):
            raise CountsError(
                f"covariates must be a dict of names to columns; got {shown(self.covariates)}"
            )
        size = batch_size(self.stopping)
        length = _length(self.problem, "problem")
        text = {
            name: _text(getattr(self, name), name, length)
            for name in ("benchmark", "system", "problem")
        }
        raw = {}
        for name in ("attempts", "successes"):
            values = getattr(self, name)
            values = values if isinstance(values, np.ndarray) else np.asarray(values, dtype=object)
            if values.ndim != 1 or len(values) != length:
                raise CountsError(
                    f"{name} must have one value for each of the {length} problems; got "
                    f"{'a single value' if values.ndim == 0 else f'shape {values.shape}'}"
                )
            raw[name] = getattr(self, name)
        if length == 0:
            raise CountsError(
                "there must be at least one row; got none. Is the file empty, or was everything "
                "filtered out?"
            )
        rows = _Rows(text, raw)
        numbers = {name: rows.whole_numbers(name) for name in raw}
        rows.require(
            numbers["successes"] <= numbers["attempts"],
            "successes must not exceed attempts",
            "are the two columns swapped?",
        )
        for name, values in (text | numbers).items():
            values.flags.writeable = False
            object.__setattr__(self, name, values)
        covariates = {
            str(name): _covariate(values, str(name), length)
            for name, values in dict(self.covariates).items()
        }
        object.__setattr__(self, "covariates", MappingProxyType(covariates))
        rows.require(
            ~_repeated(self._row_codes),
            "each (benchmark, system, problem) must occur once",
            "this is a repeat of an earlier row: add up the rows of one problem first",
        )
        self.systems  # noqa: B018 -- raises if the labels of two systems cannot be told apart
        if size is not None:
            _require_batches(self, rows, size)

    @classmethod
    def from_dataframe(
        cls, frame: "pd.DataFrame", *, stopping: str = "fixed", covariates: Iterable[str] = ()
    ) -> "Counts":
        """Return the counts in a table with columns problem, attempts and successes.

        Parameters
        ----------
        frame : pandas.DataFrame
            Also taken from it, where there: columns system and benchmark. Other columns are
            ignored.
        stopping : str, default "fixed"
            How the attempts at a problem were ended; see :class:`Counts`.
        covariates : sequence of str
            Columns to keep as covariates.

        Raises
        ------
        CountsError
            If a column is missing or a row breaks a rule.
        """
        covariates = [covariates] if isinstance(covariates, str) else list(covariates)
        missing = [name for name in ("problem", "attempts", "successes") if name not in frame]
        if missing:
            raise CountsError(
                f"the columns problem, attempts and successes must be there: {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} not; the columns found are "
                f"{', '.join(repr(str(name)) for name in frame.columns)}. Rename yours"
            )
        for name in covariates:
            if name not in frame:
                raise CountsError(
                    f"a covariate must be a column: {name!r} is not; the columns found are "
                    f"{', '.join(repr(str(name)) for name in frame.columns)}"
                )
        columns: dict[str, Any] = {
            name: frame[name].to_numpy() for name in COLUMNS if name in frame
        }
        kept = {name: frame[name].to_numpy() for name in covariates}
        return cls(**columns, stopping=stopping, covariates=kept)

    def to_dataframe(self) -> "pd.DataFrame":
        """Return a table with columns benchmark, system, problem, attempts, successes, covariates.

        The stopping rule is not in it: give it again to :meth:`from_dataframe`.
        """
        import pandas as pd

        columns = {name: getattr(self, name) for name in COLUMNS}
        return pd.DataFrame(columns | dict(self.covariates))

    def _columns(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield all columns by name, covariates as text, since their types are as given."""
        yield from ((name, getattr(self, name)) for name in COLUMNS)
        for name, values in self.covariates.items():
            yield f"covariate {name}", np.array([str(value) for value in values], dtype=object)

    def __reduce__(self) -> tuple[Any, ...]:
        fields: dict[str, Any] = {name: getattr(self, name) for name in COLUMNS}
        fields |= {"stopping": self.stopping, "covariates": dict(self.covariates)}
        fields["provenance"] = self.provenance
        return partial(Counts, **fields), ()

    def __len__(self) -> int:
        return len(self.problem)

    def __repr__(self) -> str:
        low, high = self.attempts.min(), self.attempts.max()
        unsolved = int((self.successes == 0).sum())
        return (
            f"Counts: {_count(len(self), 'row')}, {_count(len(self.systems), 'system')}, "
            f"{f'{low:,}' if low == high else f'{low:,} to {high:,}'} attempts a problem, "
            f"{_count(unsolved, 'row')} without success"
            f"{'' if self.stopping == 'fixed' else f', stopping {self.stopping!r}'}"
        )

    @cached_property
    def _pairs(self) -> tuple[list[tuple[str, str]], NDArray[np.int64]]:
        first = self.benchmark[0], self.system[0]
        if (self.benchmark == first[0]).all() and (self.system == first[1]).all():
            return [first], np.zeros(len(self), dtype=np.int64)
        seen: dict[tuple[str, str], int] = {}
        pairs = zip(self.benchmark, self.system, strict=True)
        index = np.fromiter((seen.setdefault(p, len(seen)) for p in pairs), np.int64, len(self))
        return list(seen), index

    @cached_property
    def _row_codes(self) -> NDArray[np.int64]:
        names = {name: i for i, name in enumerate(dict.fromkeys(self.problem))}
        problem = np.fromiter(map(names.__getitem__, self.problem), np.int64, len(self))
        return self.system_index * len(names) + problem

    @property
    def system_index(self) -> NDArray[np.int64]:
        """Position in :attr:`systems` of each row's system, dims (row,)."""
        return self._pairs[1]

    @cached_property
    def systems(self) -> tuple[str, ...]:
        """Labels of the systems, in order of appearance.

        A label is the system's name; where one name occurs in several benchmarks, all labels are
        "benchmark/system", since a forecast is about one system on one benchmark.
        """
        pairs = self._pairs[0]
        labels = [system for _, system in pairs]
        if len(set(labels)) < len(labels):
            labels = [f"{benchmark}/{system}" for benchmark, system in pairs]
        if len(set(labels)) < len(labels):
            raise CountsError(
                "the labels 'benchmark/system' must differ; two of them are equal because of a "
                "'/' in a name. Rename a benchmark or a system"
            )
        return tuple(labels)

    @cached_property
    def benchmarks(self) -> tuple[str, ...]:
        """The benchmark of each of :attr:`systems`."""
        return tuple(benchmark for benchmark, _ in self._pairs[0])

    def select(self, system: str) -> "Counts":
        """Return the rows of one of :attr:`systems`.

        Raises
        ------
        CountsError
            If there is no such system.
        """
        if system not in self.systems:
            raise CountsError(
                f"there is no system {system!r}; the systems are "
                f"{', '.join(repr(label) for label in self.systems)}"
            )
        return self.of_rows(self.system_index == self.systems.index(system))

    def split(self, by: str | Iterable[str]) -> dict[tuple[str, ...], "Counts"]:
        """Return the rows of each benchmark, of each system, or of each system on a benchmark.

        Parameters
        ----------
        by : sequence of {"benchmark", "system"}
            The columns whose values rows must share; with none all rows are one part.

        Returns
        -------
        dict of tuple of str to Counts
            By the values of these columns, in order of appearance.

        Raises
        ------
        OptionError
            If `by` holds anything else.
        """
        by = check_by(by)
        if not by:
            return {(): self}
        rows: dict[tuple[str, ...], list[int]] = {}
        for row, values in enumerate(zip(*(getattr(self, name) for name in by), strict=True)):
            rows.setdefault(values, []).append(row)
        return {values: self.of_rows(np.array(mine)) for values, mine in rows.items()}

    def of_rows(self, rows: NDArray[Any], **columns: NDArray[Any]) -> "Counts":
        """Return some of the rows, by position or as a mask, in the order given.

        `columns` of these rows take the place of those that they had.
        """
        columns = {name: getattr(self, name)[rows] for name in COLUMNS} | columns
        kept = {name: values[rows] for name, values in self.covariates.items()}
        return Counts(
            **columns, stopping=self.stopping, covariates=kept, provenance=self.provenance
        )

    def with_provenance(self, provenance: Provenance) -> "Counts":
        """Return the same counts, with where they came from."""
        found = object.__new__(Counts)
        found.__dict__.update(self.__dict__ | {"provenance": provenance})
        return found

    def distinct(self) -> cells.Cells:
        """Return the distinct (system, successes, failures), with how many problems have them."""
        return cells.distinct(self.system_index, self.successes, self.attempts - self.successes)

    def sha256(self) -> str:
        """Return the hash of the contents, rows in their order, as 64 hexadecimal digits."""
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        return _digest(self)


def _digest(counts: Counts) -> str:
    """Return the hash of the contents; see :meth:`Counts.sha256`."""
    digest = hashlib.sha256()
    pairs, index = counts._pairs
    few = dict(zip(("benchmark", "system"), zip(*pairs, strict=True), strict=True))
    for name, values in counts._columns():
        if name in few:  # of few different names, each is written once
            each = np.array([f"{len(value)}:{value}" for value in few[name]], dtype=object)
            alone = len(each) == 1
            column = each[0].encode() * len(index) if alone else "".join(each[index]).encode()
        elif values.dtype == object:
            lengths = list(map(len, values))
            before = {length: f"{length}:" for length in set(lengths)}
            both = zip(map(before.__getitem__, lengths), values, strict=True)
            column = "".join(chain.from_iterable(both)).encode()
        else:
            column = values.astype("<i8").tobytes()
        digest.update(f"{name}:{len(column)}:".encode())
        digest.update(column)
    if counts.stopping != "fixed":  # so that hashes made before there was a choice stay
        digest.update(f"stopping:{counts.stopping}".encode())
    return digest.hexdigest()


def batch_size(stopping: str) -> int | None:
    """Return how many attempts were made before looking for a success; None for no such rule.

    Raises
    ------
    OptionError
        If `stopping` is not a rule that :class:`Counts` knows.
    """
    if isinstance(stopping, str) and stopping in ("fixed", "adaptive"):
        return None
    if isinstance(stopping, str) and stopping == "first-success":
        return 1
    found = re.fullmatch(r"batches:([1-9]\d*)", stopping) if isinstance(stopping, str) else None
    if found is None:
        raise OptionError(
            "stopping must be 'fixed', 'first-success', 'batches:B' with B the attempts in a "
            f"batch, as in 'batches:10', or 'adaptive'; got {shown(stopping)}"
        )
    return int(found[1])


def check_by(by: str | Iterable[str]) -> tuple[str, ...]:
    """Return the columns to split counts by, or raise an error unless they are such."""
    by = (by,) if isinstance(by, str) else tuple(by)
    if not set(by) <= {"benchmark", "system"} or len(set(by)) < len(by):
        raise OptionError(f"by must hold 'benchmark', 'system', both or none; got {by!r}")
    return by


class _Rows:
    """The columns as given, to quote the first row that breaks a rule."""

    def __init__(self, text: dict[str, NDArray[Any]], raw: dict[str, Any]):
        self.text = text
        self.raw = raw

    def require(self, ok: NDArray[np.bool_], rule: str, remedy: str) -> None:
        """Raise an error about the rows where `ok` is false, if there are any."""
        bad = np.flatnonzero(~ok)
        if len(bad) == 0:
            return
        first = int(bad[0])
        values = ", ".join(
            [f"{name}={self.text[name][first]!r}" for name in ("benchmark", "system", "problem")]
            + [f"{name}={_shown(column[first])}" for name, column in self.raw.items()]
        )
        raise CountsError(
            f"{rule}: {len(bad):,} of {len(ok):,} rows {'breaks' if len(bad) == 1 else 'break'} "
            f"this, the first is row {first + 1}: {values}. What to do: {remedy}",
            rule=rule,
            rows=len(bad),
            first=first + 1,
        )

    def whole_numbers(self, name: str) -> NDArray[np.int64]:
        """Return a column as integers, or raise the error of the first rule it breaks."""
        import pandas as pd

        given = np.asarray(self.raw[name])
        self.raw[name] = given
        if np.issubdtype(given.dtype, np.integer):
            exact = given
        else:
            blank = pd.isna(given) | np.array([isinstance(v, str) and not v.strip() for v in given])
            self.require(
                ~blank,
                f"{name} must not be missing",
                "fill the value in, or leave the row out if the problem was not attempted",
            )
            exact = np.asarray(pd.to_numeric(pd.Series(given, dtype=object), errors="coerce"))
            self.require(
                ~pd.isna(exact) & ~np.array([isinstance(v, bool | np.bool_) for v in given]),
                f"{name} must be numbers",
                "remove text, units and thousands separators",
            )
        self.require(exact >= 0, f"{name} must not be negative", "counts start at 0")
        self.require(
            exact <= MOST_ATTEMPTS,
            f"{name} must be at most 2^53 = {MOST_ATTEMPTS:,}",
            "is this column really a count of attempts?",
        )
        if not np.issubdtype(exact.dtype, np.integer):
            exact = exact.astype(float)
            self.require(
                exact == np.floor(exact),
                f"{name} must be whole numbers",
                "give counts, not rates: successes out of attempts, not their ratio",
            )
        return np.array(exact, dtype=np.int64)


def _require_batches(counts: Counts, rows: "_Rows", size: int) -> None:
    """Raise an error if a row cannot come from attempts made `size` at a time."""
    cap = np.zeros(len(counts.systems), dtype=np.int64)
    np.maximum.at(cap, counts.system_index, counts.attempts)
    remedy = f"is stopping={counts.stopping!r} true of this row? If not, give another"
    if size > 1:
        rows.require(
            (counts.attempts % size == 0) | (counts.attempts == cap[counts.system_index]),
            f"attempts made {size:,} at a time must be a multiple of {size:,}, except at the "
            "cap, the most attempts of the system at any problem",
            remedy,
        )
    last = np.where(counts.attempts % size == 0, size, counts.attempts % size)
    rows.require(
        counts.successes <= last,
        "successes must not exceed 1 where attempts end at the first success"
        if size == 1
        else "successes must not exceed the attempts of the last batch, the only one that "
        "holds a success",
        remedy,
    )


def _check_column(values: Any, name: str) -> None:
    """Raise an error about what no column can be made of: tables, trees, arrays of other dims."""
    if hasattr(values, "data_vars") or getattr(values, "ndim", 1) != 1:
        raise CountsError(
            f"{name} must be a sequence with one value a row; got "
            f"{type(values).__name__}, which is not one-dimensional"
        )


def _length(values: Any, name: str) -> int:
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise CountsError(f"{name} must be a sequence with one value a row; got {values!r}")
    return len(values)


def _text(values: Any, name: str, length: int) -> NDArray[Any]:
    """Return names as an object array of text, one name repeated for all rows."""
    if isinstance(values, str):
        values = [values] * length
    elif _length(values, name) != length:
        raise CountsError(
            f"{name} must be one name or one for each of the {length} problems; got {len(values)}"
        )
    if _are_plain(values):
        return np.array(list(map(str, values)), dtype=object)
    missing = [i for i, value in enumerate(values) if not _is_name(value)]
    if missing:
        raise CountsError(
            f"{name} must not be missing: {len(missing):,} of {length:,} rows "
            f"{'breaks' if len(missing) == 1 else 'break'} this, the first is row "
            f"{missing[0] + 1}. What to do: give every row a name",
            rule=f"{name} must not be missing",
            rows=len(missing),
            first=missing[0] + 1,
        )
    names = np.empty(length, dtype=object)
    names[:] = [str(value) for value in values]
    _require_writable(names, name)
    return names


def _require_writable(names: NDArray[Any], column: str) -> None:
    bad = [i for i, name in enumerate(names) if not _is_writable(name)]
    if bad:
        rule = f"{column} must be text that a file can hold, without NUL or halves of characters"
        raise CountsError(
            f"{rule}: {len(bad):,} of {len(names):,} rows {'breaks' if len(bad) == 1 else 'break'} "
            f"this, the first is row {bad[0] + 1}: {names[bad[0]]!a}. What to do: rename it",
            rule=rule,
            rows=len(bad),
            first=bad[0] + 1,
        )


def _covariate(values: Any, name: str, length: int) -> NDArray[Any]:
    """Return a covariate as numbers or text, read-only."""
    import pandas as pd

    if name in COLUMNS:
        raise CountsError(f"a covariate must not be called {name!r}: that is a column of its own")
    if not name.strip() or "/" in name or "`" in name:
        raise CountsError(
            f"the name of a covariate must not be blank or hold '/' or '`'; got {name!r}"
        )
    column = np.array(values)
    if column.shape != (length,):
        raise CountsError(
            f"the covariate {name!r} must have one value for each of the {length} problems; got "
            f"shape {column.shape}"
        )
    missing = np.flatnonzero(pd.isna(column))
    if len(missing):
        raise CountsError(
            f"a covariate must not be missing: {len(missing):,} of {length:,} rows of {name!r} "
            f"{'breaks' if len(missing) == 1 else 'break'} this, the first is row "
            f"{missing[0] + 1}. What to do: fill it in, or leave these rows out",
            rule="a covariate must not be missing",
            rows=len(missing),
            first=int(missing[0]) + 1,
        )
    if not np.issubdtype(column.dtype, np.number):
        column = np.array([str(value) for value in values], dtype=object)
        _require_writable(column, f"the covariate {name!r}")
    elif not np.isfinite(column).all():
        raise CountsError(f"the covariate {name!r} must hold finite numbers or text")
    column.flags.writeable = False
    return column


def _are_plain(values: Any) -> bool:
    """Return whether all are names that a file can hold, as nearly all are: told at once."""
    try:
        joined = "".join(values)
    except TypeError:
        return False
    return _is_writable(joined) and all(map(str.strip, values))


def _is_name(value: Any) -> bool:
    return value is not None and value == value and str(value).strip() != ""  # noqa: PLR0124


def _is_writable(name: str) -> bool:
    """Return whether a name can be in a file: no NUL, no surrogate without its other half."""
    return "\0" not in name and name == name.encode(errors="ignore").decode()


def _repeated(codes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return where a code has occurred before."""
    again = np.ones(len(codes), dtype=bool)
    again[np.unique(codes, return_index=True)[1]] = False
    return again


def _shown(value: Any) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)[:80]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
