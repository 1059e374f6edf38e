"""Counts: how many attempts at each problem succeeded. Valid by construction."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayespassk import cells
from bayespassk.errors import CountsError, OptionError
from bayespassk.evidence import EVIDENCE, LEAST_SE, LOWEST, Evidence
from bayespassk.options import shown
from bayespassk.runs import Runs
from bayespassk.terminal import html_table, visible

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Counts",
    "Provenance",
    "batch_size",
    "check_by",
    "plain_frame",
    "require_system",
    "visible",
]

MOST_ATTEMPTS = 2**53
"""Counts above this are not exact as floating-point numbers, in which likelihoods are computed."""

COLUMNS = ("benchmark", "system", "problem", "attempts", "successes")

SYSTEMS = {"model", "llm", "modelname", "modelid", "llmname"}
"""Columns that tell systems apart under another name, without case and signs."""


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
    notes : tuple of str
        What else is to be known of how it was read, as which columns were not used.
    """

    format: str
    files: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()
    errors: str = "raise"
    attempts: int = 0
    errored: int = 0
    missing: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

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
            + "".join(f"; {note}" for note in self.notes)
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
    cluster : sequence, dims (row,), optional
        What the problem has in common with others: a subject, a repository, the template that it
        is a paraphrase of. Problems of one cluster are no independent witnesses of what new
        problems are like, which :func:`bayespassk.fit` takes account of.
    log_p, log_p_se : sequence of float, dims (row,), optional
        Evidence below 1/n: an estimate of the natural logarithm of p, from importance sampling or
        exact log-probabilities, -700 to 0, and its standard error, 1e-6 or more; both NaN (or None)
        where a problem has counts only. The estimate is taken for normal about log p with that
        standard error, and for independent of the attempts: of a problem with both, the two
        multiply. A problem with no attempts has attempts = 0. :func:`bayespassk.fit` and
        :func:`bayespassk.forecast` make use of it; what does not refuses such counts.
    runs : Runs, optional
        How attempts divide into runs, of which :class:`bayespassk.Dependent` makes use;
        :meth:`from_runs` and :meth:`from_attempts` set it.
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
    cluster: Any = None
    log_p: Any = None
    log_p_se: Any = None
    runs: Runs | None = None
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
        if self.cluster is not None:
            object.__setattr__(self, "cluster", _text(self.cluster, "cluster", length))
        self._set_evidence(rows, length)
        if self.runs is not None:
            self.runs.check(numbers["attempts"], numbers["successes"])
        rows.require(
            ~_repeated(self._row_codes),
            "each (benchmark, system, problem) must occur once",
            "this is a repeat of an earlier row: add up the rows of one problem first",
        )
        self.systems  # noqa: B018 -- raises if the labels of two systems cannot be told apart
        if size is not None:
            _require_batches(self, rows, size)

    def _set_evidence(self, rows: "_Rows", length: int) -> None:
        """Check the estimates of log p, and hold them; or None, where no problem has one."""
        if self.log_p is None and self.log_p_se is None:
            return
        for name in EVIDENCE:
            if getattr(self, name) is None:
                raise CountsError(
                    f"log_p and log_p_se must be there together: {name} is not. What to do: give "
                    "each estimate of log p its standard error"
                )
        columns: dict[str, Any] = {
            name: _floats(getattr(self, name), name, length, rows) for name in EVIDENCE
        }
        log_p, se = columns.values()
        rows.raw |= columns
        rows.require(
            np.isnan(log_p) == np.isnan(se),
            "log_p and log_p_se must be there together",
            "give each estimate of log p its standard error, and leave both empty for no estimate",
        )
        rows.require(
            ~(log_p > 0),
            "log_p must not be above 0",
            "give the natural logarithm of a probability, not the probability",
        )
        rows.require(
            ~(log_p < LOWEST),
            f"log_p must be at least {LOWEST:g}, and finite",
            "a probability of 0 is no estimate: give counts, or leave the estimate out",
        )
        rows.require(
            ~(se < LEAST_SE) & ~np.isinf(se),
            f"log_p_se must be finite and at least {LEAST_SE:g}",
            "give the standard error of log p; of an exact log-probability the least there is",
        )
        if not np.isfinite(log_p).any():
            columns = dict.fromkeys(EVIDENCE)
        elif self.runs is not None:
            raise CountsError(
                "log_p must not be there where attempts divide into runs. What to do: add up the "
                "runs of each problem"
            )
        for name, values in columns.items():
            if values is not None:
                values.flags.writeable = False
            object.__setattr__(self, name, values)

    @property
    def evidence(self) -> Evidence | None:
        """The estimates of log p, dims (row,) each; None if no problem has one."""
        return None if self.log_p is None else Evidence(self.log_p, self.log_p_se)

    @classmethod
    def from_dataframe(
        cls,
        frame: "pd.DataFrame",
        *,
        stopping: str = "fixed",
        covariates: Iterable[str] = (),
        columns: Mapping[str, str] | None = None,
    ) -> "Counts":
        """Return the counts in a table with columns problem, attempts and successes.

        Parameters
        ----------
        frame : pandas.DataFrame or polars.DataFrame
            Also taken from it, where there: columns system, benchmark, cluster, log_p and
            log_p_se. With a column run, there is one row for each run at a problem; see
            :meth:`from_runs`. Levels of the index that have names are columns too. Others
            are ignored, but one that is called model or llm, where there is no system, is refused.
        stopping : str, default "fixed"
            How the attempts at a problem were ended; see :class:`Counts`.
        covariates : sequence of str
            Columns to keep as covariates.
        columns : mapping of str to str, optional
            The names in the table of the columns above, as in ``{"n": "attempts"}``.

        Raises
        ------
        CountsError
            If a column is missing or a row breaks a rule.
        OptionError
            If `frame` is no table.
        """
        plain = plain_frame(frame)
        if plain is None:
            raise OptionError(f"frame must be a DataFrame; got {type(frame).__name__}")
        frame = plain.rename(columns=dict(columns or {}))
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
        names = [str(name) for name in frame.columns]
        require_system(names, [name for name in names if name not in covariates])
        if "run" in frame:
            return cls.from_runs(frame, stopping=stopping, covariates=covariates)
        found: dict[str, Any] = {
            name: frame[name].to_numpy()
            for name in (*COLUMNS, "cluster", *EVIDENCE)
            if name in frame
        }
        kept = {name: frame[name].to_numpy() for name in covariates}
        return cls(**found, stopping=stopping, covariates=kept)

    @classmethod
    def from_runs(
        cls, frame: "pd.DataFrame", *, stopping: str = "fixed", covariates: Iterable[str] = ()
    ) -> "Counts":
        """Return the counts in a table with one row for each run at a problem, and keep the runs.

        Parameters
        ----------
        frame : pandas.DataFrame
            Columns problem, run, attempts, successes; and, where there, system, benchmark and
            cluster. A run is a seed, a day, a worker, a temperature: attempts that may be alike.
        stopping : str, default "fixed"
            How the attempts at a problem were ended; see :class:`Counts`.
        covariates : sequence of str
            Columns to keep as covariates, which must be the same in all rows of a problem.

        Raises
        ------
        CountsError
            If a column is missing, a row breaks a rule, or a covariate or the cluster of a problem
            differs from row to row.

        Examples
        --------
        >>> import pandas as pd, bayespassk as bp
        >>> frame = pd.DataFrame({"problem": ["a", "a", "b", "b"], "run": [1, 2, 1, 2]})
        >>> bp.Counts.from_runs(frame.assign(attempts=20, successes=[3, 9, 0, 1]))
        Counts: 2 rows, 1 system, 40 attempts a problem, 0 rows without success, 2 runs
        """
        covariates = [covariates] if isinstance(covariates, str) else list(covariates)
        if given := [name for name in EVIDENCE if name in frame and name not in covariates]:
            raise CountsError(
                f"{given[0]} must not be there where attempts divide into runs. What to do: add up "
                "the runs of each problem, or remove the column"
            )
        needed = ("problem", "run", "attempts", "successes")
        missing = [name for name in (*needed, *covariates) if name not in frame]
        if missing:
            raise CountsError(
                f"the columns {', '.join((*needed, *covariates))} must be there: "
                f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not"
            )
        names = [name for name in ("benchmark", "system", "problem") if name in frame]
        text = frame[names].map(str) if frame[names].notna().all(axis=None) else frame[names]
        # Every row by itself, so that what breaks a rule is told with its number.
        each = cls(
            problem=np.arange(len(frame)),
            attempts=frame["attempts"].to_numpy(),
            successes=frame["successes"].to_numpy(),
        )
        if frame["run"].isna().any():
            raise CountsError(
                "run must not be missing: the first row without is row "
                f"{int(np.argmax(frame['run'].isna())) + 1}. What to do: give every row a run"
            )
        group = text.groupby(names, sort=False, dropna=False).ngroup().to_numpy()
        _, first = np.unique(group, return_index=True)
        for name in (*covariates, *(["cluster"] if "cluster" in frame else [])):
            values = frame[name].to_numpy()
            own = values[first][group]
            bad = (values != own) & ~(np.asarray(frame[name].isna()) & (own != own))  # noqa: PLR0124
            if bad.any():
                at = int(np.argmax(bad))
                raise CountsError(
                    f"{name} must be the same in all rows of a problem: row {at + 1} has "
                    f"{values[at]!r}, and an earlier one of the problem {own[at]!r}"
                )
        row: Any = group.astype(np.int64)
        runs = Runs.of(row, frame["run"].to_numpy(), each.attempts, each.successes)
        made, solved = runs.totals(len(first))
        of_problem = [name for name in (*names, "cluster") if name in frame]
        kept: dict[str, Any] = {name: frame[name].to_numpy()[first] for name in of_problem}
        described = {name: frame[name].to_numpy()[first] for name in covariates}
        return cls(
            **kept,
            covariates=described,
            attempts=made,
            successes=solved,
            stopping=stopping,
            runs=runs,
        )

    @classmethod
    def from_attempts(cls, attempts: "pd.DataFrame", *, stopping: str | None = None) -> "Counts":
        """Return the counts of attempts given one by one, and keep their runs.

        Parameters
        ----------
        attempts : pandas.DataFrame
            From :func:`bayespassk.read_attempts`, or with columns problem, success (0 or 1) and, if
            known, run, system, benchmark and cluster.
        stopping : str, optional
            How the attempts at a problem were ended; by default as ``attempts.attrs`` has it.

        Raises
        ------
        CountsError
            If a column is missing, or success is something else.
        """
        missing = [name for name in ("problem", "success") if name not in attempts]
        if missing:
            raise CountsError(f"attempts must have a column {missing[0]!r}")
        bad = ~attempts["success"].isin([0, 1])
        if bad.any():
            first = int(np.argmax(bad))
            raise CountsError(
                f"success must be 0 or 1; row {first + 1:,} has {attempts['success'].iloc[first]!r}"
            )
        names = ("benchmark", "system", "problem", "cluster", "run")
        by = [name for name in names if name in attempts]
        grouped = attempts.groupby(by, sort=False, dropna=False, observed=True)["success"]
        frame = grouped.agg(attempts="size", successes="sum").reset_index()
        rule = stopping or attempts.attrs.get("stopping", "fixed")
        return cls.from_dataframe(frame, stopping=rule)

    def to_dataframe(self) -> "pd.DataFrame":
        """Return a table with columns benchmark, system, problem, attempts, successes, covariates.

        And cluster, log_p and log_p_se, if there are any; with runs, column run and one row for
        each run at a problem.
        The stopping rule is not in it: give it again to :meth:`from_dataframe`.
        """
        import pandas as pd

        columns = {name: getattr(self, name) for name in COLUMNS}
        columns |= {} if self.cluster is None else {"cluster": self.cluster}
        columns |= {} if self.log_p is None else {name: getattr(self, name) for name in EVIDENCE}
        frame = pd.DataFrame(columns | dict(self.covariates))
        if self.runs is None:
            return frame
        pieces = frame.iloc[self.runs.row].reset_index(drop=True)
        pieces["attempts"], pieces["successes"] = self.runs.attempts, self.runs.successes
        pieces.insert(3, "run", np.array(self.runs.names, dtype=object)[self.runs.run])
        return pieces

    def _columns(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield all columns by name, covariates as text, since their types are as given."""
        yield from ((name, getattr(self, name)) for name in COLUMNS)
        for name, values in self.covariates.items():
            yield f"covariate {name}", np.array([str(value) for value in values], dtype=object)
        if self.cluster is not None:
            yield "cluster", self.cluster
        if self.log_p is not None:
            for name in EVIDENCE:  # as whole numbers of the same bits; there is one NaN
                bits = np.where(np.isnan(getattr(self, name)), np.nan, getattr(self, name))
                yield name, bits.astype("<f8").view("<i8")
        if self.runs is not None:
            yield from ((f"run {name}", values) for name, values in self.runs.columns().items())
            yield "runs", np.array(self.runs.names, dtype=object)

    def __reduce__(self) -> tuple[Any, ...]:
        fields: dict[str, Any] = {name: getattr(self, name) for name in COLUMNS}
        fields |= {"stopping": self.stopping, "covariates": dict(self.covariates)}
        fields |= {name: getattr(self, name) for name in EVIDENCE}
        fields |= {"cluster": self.cluster, "runs": self.runs, "provenance": self.provenance}
        return partial(Counts, **fields), ()

    def __len__(self) -> int:
        return len(self.problem)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Counts):
            return NotImplemented
        return len(self) == len(other) and self.sha256() == other.sha256()

    def __hash__(self) -> int:
        return hash(self.sha256())

    def __repr__(self) -> str:
        low, high = self.attempts.min(), self.attempts.max()
        unsolved = int((self.successes == 0).sum())
        return (
            f"Counts: {_count(len(self), 'row')}, {_count(len(self.systems), 'system')}, "
            f"{_count(low, 'attempt') if low == high else f'{low:,} to {high:,} attempts'} "
            "a problem, "
            f"{_count(unsolved, 'row')} without success"
            f"{'' if self.stopping == 'fixed' else f', stopping {self.stopping!r}'}"
            f"{'' if self.runs is None else f', {_count(len(self.runs.names), "run")}'}"
            f"{'' if self.cluster is None else f', {_count(len(set(self.cluster)), "cluster")}'}"
            f"{'' if self.log_p is None else f', log p of {np.isfinite(self.log_p).sum():,}'}"
        )

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a row a system."""
        rows = []
        for i, (benchmark, system) in enumerate(zip(self.benchmarks, self.systems, strict=True)):
            made, solved = (v[self.system_index == i] for v in (self.attempts, self.successes))
            low, high = int(made.min()), int(made.max())
            n = f"{low:,}" if low == high else f"{low:,} to {high:,}"
            unsolved = f"{int((solved == 0).sum()):,}"
            rows.append((benchmark, system, f"{len(made):,}", n, f"{solved.sum():,}", unsolved))
        heads = ("benchmark", "system", "problems", "attempts at each", "successes", "unsolved")
        return html_table(repr(self), heads, rows)

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
        counted = "attempts" in columns or "successes" in columns
        columns = {name: getattr(self, name)[rows] for name in COLUMNS} | columns
        kept = {name: values[rows] for name, values in self.covariates.items()}
        return Counts(
            **columns,
            stopping=self.stopping,
            covariates=kept,
            cluster=None if self.cluster is None else self.cluster[rows],
            log_p=None if self.log_p is None else self.log_p[rows],
            log_p_se=None if self.log_p_se is None else self.log_p_se[rows],
            runs=None if self.runs is None or counted else self.runs.of_rows(np.asarray(rows)),
            provenance=self.provenance,
        )

    def without_attempts(self, row: int) -> "Counts":
        """Return the counts as they were before any attempt at one of the problems."""
        others = np.arange(len(self)) != row
        runs = self.runs
        if runs is not None:
            mine = runs.row != row
            columns = {name: values[mine] for name, values in runs.columns().items()}
            runs = Runs(**columns, names=runs.names)
        return replace(
            self,
            attempts=self.attempts * others,
            successes=self.successes * others,
            stopping="fixed",
            runs=runs,
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
            plain = pd.Series([_bounded(value) for value in given], dtype=object)
            exact = np.asarray(pd.to_numeric(plain, errors="coerce"))
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


def require_system(names: Iterable[str], unused: Iterable[str]) -> None:
    """Raise an error if a column of a table that is not used names systems, and none is called so.

    Raises
    ------
    CountsError
        If all rows would be taken for those of one system.
    """
    if "system" in names:
        return
    for name in unused:
        if "".join(sign for sign in name.lower() if sign.isalnum()) in SYSTEMS:
            rule = "the column that names systems must be used"
            raise CountsError(
                f"{rule}: {name!r} is there, and no column system; all rows would be taken for "
                f"one system. What to do: columns={{{name!r}: 'system'}} (--columns "
                f"{name}=system), or name the only one there is, as in system='a' (--system a)",
                rule=rule,
            )


def plain_frame(table: Any) -> "pd.DataFrame | None":
    """Return a table of pandas or polars as one of pandas, its index as columns; or None."""
    if type(table).__name__ == "LazyFrame" and hasattr(table, "collect"):
        table = table.collect()
    if not hasattr(table, "columns") or not hasattr(table, "to_dict"):
        return None
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        return pd.DataFrame(table.to_dict(as_series=False)) if hasattr(table, "iter_rows") else None
    named = [name for name in table.index.names if name is not None and name not in table]
    return table.reset_index(level=named) if named else table


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


def _bounded(value: Any) -> Any:
    """Return a number of hundreds of digits as an infinite one, and all others as they are."""
    if isinstance(value, int) and value.bit_length() > 1000:
        return math.inf if value > 0 else -math.inf
    if isinstance(value, str) and len(value) > 300:
        try:
            return float(value)
        except ValueError:
            return value
    return value


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


def _floats(values: Any, name: str, length: int, rows: _Rows) -> NDArray[np.float64]:
    """Return a column of numbers, NaN where there is none."""
    import pandas as pd

    _check_column(values, name)
    if _length(values, name) != length:
        raise CountsError(
            f"{name} must have one value for each of the {length} problems; got {len(values)}"
        )
    given = list(values)
    rows.raw[name] = given
    blank = [
        value is None or value is pd.NA or (isinstance(value, str) and not value.strip())
        for value in given
    ]
    numbers = np.array(
        [np.nan if empty else _float(v) for v, empty in zip(given, blank, strict=True)]
    )
    missing = [isinstance(value, float | np.floating) and bool(np.isnan(value)) for value in given]
    rows.require(
        ~np.isnan(numbers) | np.array(blank) | np.array(missing),
        f"{name} must be numbers",
        "remove text and units, and leave it empty where there is no estimate",
    )
    return numbers


def _float(value: Any) -> float:
    """Return a number, also one that is written as text; NaN for what is none."""
    if isinstance(value, bool | np.bool_ | complex | np.ndarray):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
    except OverflowError:
        return math.copysign(math.inf, value)


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

    if name in (*COLUMNS, *EVIDENCE):
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
