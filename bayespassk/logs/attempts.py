"""From attempts to counts: outcomes, what has none, and what occurs twice. For all formats."""

import hashlib
import json
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayespassk.counts import Counts
from bayespassk.errors import CountsError, OptionError
from bayespassk.runs import Runs

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ERRORS", "MORE", "RUNS", "Outcome", "Tally"]

ERRORS = ("raise", "drop", "fail")

NO_RUN = "(no run)"

RUNS = ("files",)
"""What may be runs of one system, in which problems occur again."""

MORE = (
    "run", "seed", "temperature", "epoch", "batch", "worker", "date", "completion",
    "tokens", "input_tokens", "output_tokens", "seconds", "dollars", "cluster",
)  # fmt: skip
"""What may be known of an attempt besides its outcome; of a completion its hash is kept."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Whether a score is a success.

    Parameters
    ----------
    threshold : float, optional
        The score from which an attempt is a success. Without it scores must be 0 or 1.
    values : mapping of score to 0 or 1, optional
        Which scores are a success; numbers may be given as text. It goes before everything else.
    words : mapping of text to float
        The scores that the words of a format stand for.

    Raises
    ------
    OptionError
        If a threshold is not a number, or a score is to stand for something else than 0 or 1.
    """

    threshold: float | None = None
    values: Mapping[Any, Any] | None = None
    words: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        number = isinstance(self.threshold, int | float) and math.isfinite(self.threshold)
        if self.threshold is not None and not number:
            raise OptionError(f"threshold must be a finite number; got {self.threshold!r}")
        given = {} if self.values is None else dict(self.values)
        for name, value in given.items():
            if str(value) not in ("0", "1", "True", "False"):
                raise OptionError(
                    f"values must say 0 or 1 for each score, as in {{'P': 0}}; got {value!r} for "
                    f"{name!r}"
                )
        meant = {str(name): int(str(value) in ("1", "True")) for name, value in given.items()}
        object.__setattr__(self, "values", meant)

    def __call__(self, score: Any) -> int | None:
        """Return 1 for a success, 0 for a failure and None for no outcome.

        Raises
        ------
        CountsError
            If this cannot be known.
        """
        if self.values:
            meant = self.values.get(str(score))
            if meant is not None:
                return int(meant)
        if score is True or score is False:
            return int(score)
        number = self._number(score)
        if number is None or number != number:  # noqa: PLR0124 -- NaN
            return None
        if self.threshold is not None:
            return int(number >= self.threshold)
        if number in (0, 1):
            return int(number)
        raise CountsError("scores must be 0 or 1, or a threshold must be given")

    def _number(self, score: Any) -> float | None:
        if score is None or isinstance(score, int | float):
            return score
        if isinstance(score, str) and self.words is not None:
            for word in (score.strip(), score.strip().lower()):
                if word in self.words:
                    return self.words[word]
            try:
                return float(score)
            except ValueError:
                pass
        raise CountsError("scores must be numbers, or values must be given for others")


REMEDIES = {
    "scores must be 0 or 1, or a threshold must be given": "say from which score an attempt is a "
    "success, as in threshold=0.5 (--threshold 0.5), or what each score is, as in "
    "values={'0.25': 0} (--values 0.25=0)",
    "scores must be numbers, or values must be given for others": "say which scores are a success, "
    "as in values={'yes': 1, 'no': 0} (--values yes=1,no=0)",
}


class Tally:
    """Counts in the making: attempts are added one by one, or many at a time.

    Parameters
    ----------
    errors : str
        What to do with attempts that have no outcome: "raise", "drop" or "fail".
    system, benchmark : str, optional
        Names that go before those of the log.
    stopping : str, optional
        How attempts were ended; goes before what the log says.
    keep : bool
        Keep each attempt with its outcome, in the order of the log, for :meth:`attempts`.
    several : bool
        Whether a problem may be in several files, each a run.
    runs : sequence of str
        Columns of a table that say together of which run an attempt is.

    Attributes
    ----------
    parts : bool
        Whether the files are parts of one log, in which attempts at a problem may be anywhere.
    """

    def __init__(
        self,
        errors: str = "raise",
        *,
        system: str | None = None,
        benchmark: str | None = None,
        stopping: str | None = None,
        keep: bool = False,
        several: bool = False,
        runs: Sequence[str] = (),
    ):
        if errors not in ERRORS:
            raise OptionError(
                f"errors must be 'raise', 'drop' (leave attempts without an outcome out) or 'fail' "
                f"(count them as failures); got {errors!r}"
            )
        self.errors, self.system, self.benchmark, self.stopping = (
            errors,
            system,
            benchmark,
            stopping,
        )
        self._noted = ""
        self.log_errored = self.log_missing = 0
        self._rows: dict[tuple[str, str, str], int] = {}
        self._attempts, self._successes, self._without = array("q"), array("q"), array("q")
        self._file, self._owner, self._files = 0, array("i"), [""]
        self._seen_row, self._seen_attempt = array("i"), array("q")
        self._labels: dict[str, int] = {}
        self._broken: dict[str, list[Any]] = {}
        self._again: set[int] = set()
        self._of_file: dict[str, str] = {}
        self.notes: dict[str, None] = {}
        self._first_without = ""
        self._covariates: list[Mapping[str, Any]] = []
        self.keeps, self.several, self.runs = keep, several, tuple(runs)
        self.parts = False
        self._kept_row, self._kept_outcome, self._kept_run = array("i"), array("b"), array("i")
        self._run_names: dict[str, int] = {}
        self._about: dict[str, list[Any]] = {}
        self._pieces: dict[tuple[int, str], list[int]] = {}

    def begin(self, path: Path | str, names: Mapping[str, str] | None = None) -> None:
        """Say that what follows is from another file, in which no problem may occur again.

        `names` are those that the path gives to "system", "benchmark" and "run".
        """
        self._file += 1
        self._of_file = dict(names or {})
        self._files.append(self._of_file.get("run", str(path)))

    @property
    def files_read(self) -> list[str]:
        """The files, or the runs that their paths name, in order."""
        return self._files[1:]

    @property
    def system_given(self) -> str | None:
        """The name of the system that goes before that of the log."""
        return self.system or self._of_file.get("system")

    @property
    def benchmark_given(self) -> str | None:
        """The name of the benchmark that goes before that of the log."""
        return self.benchmark or self._of_file.get("benchmark")

    def note(self, text: str) -> None:
        """Remember what is to be said of how the log was read."""
        self.notes[text] = None

    def row(
        self,
        problem: Any,
        system: Any = None,
        benchmark: Any = None,
        covariates: Mapping[str, Any] | None = None,
    ) -> int:
        """Return the number of the row of a problem; a new one if it was not seen before."""
        key = self._key(problem, system, benchmark)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = len(self._rows)
            for column in (self._attempts, self._successes, self._without):
                column.append(0)
            self._owner.append(self._file)
            self._covariates.append(covariates or {})
        elif self._owner[row] != self._file and (self.several or self.parts):
            self._owner[row] = self._file
        elif self._owner[row] != self._file:
            first = self._files[self._owner[row]]
            self._owner[row] = self._file
            self._breaks(
                "each (benchmark, system, problem) must be in one file",
                f"problem {key[2]!r} of system {key[1]!r} is in {first} and in "
                f"{self._files[self._file]}",
                "if the files are runs of one system, say so: runs='files' (--runs files); if they "
                "are of different systems that the paths name, system_from='path' (--system-from "
                "path), or read the files one by one, each with its system='a' (--system a)",
                times=int(row not in self._again),
                unit="problems",
            )
            self._again.add(row)
        return row

    def _key(self, problem: Any, system: Any, benchmark: Any) -> tuple[str, str, str]:
        system = self.system_given or _named(system) or "system"
        benchmark = self.benchmark_given or _named(benchmark) or "benchmark"
        return str(benchmark), str(system), str(problem)

    def knows(self, problem: Any, system: Any = None, benchmark: Any = None) -> bool:
        """Return whether a problem of the file that is read has a row."""
        row = self._rows.get(self._key(problem, system, benchmark))
        return row is not None and self._owner[row] == self._file

    def add(
        self,
        row: int,
        outcome: int | None,
        where: str = "",
        times: int = 1,
        kept: bool = False,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        """Add an attempt, or several alike; an outcome of None is none.

        `kept` says that :meth:`keep` was told of it, `about` is what else is known of the attempt,
        by the names of `MORE`.
        """
        if self.keeps and not kept:
            known = dict(about or {})
            run = known.pop("run", None)
            self.keep(
                np.full(times, row),
                np.full(times, -1 if outcome is None else outcome),
                None if run is None else [str(run)] * times,
                {name: [one] * times for name, one in known.items()},
            )
        run = (about or {}).get("run")
        if run is None and self.several and not self.parts:
            run = self._files[self._file]
        if run is not None and not self.keeps:
            piece = self._pieces.setdefault((row, str(run)), [0, 0, 0])
            piece[2 if outcome is None else 0] += times
            piece[1] += times * (outcome or 0)
        if outcome is None:
            self._without[row] += times
            self.log_errored += times
            self._first_without = self._first_without or where
        else:
            self._attempts[row] += times
            self._successes[row] += times * outcome

    def keep(
        self,
        rows: NDArray[Any],
        outcomes: NDArray[Any],
        runs: Sequence[str] | None = None,
        about: Mapping[str, Sequence[Any]] | None = None,
    ) -> None:
        """Keep attempts in their order: 1, 0, or -1 for no outcome; runs are files by default.

        `about` has what else is known of each of them, by the names of `MORE`.
        """
        for name, values in (about or {}).items():
            column = self._about.setdefault(name, [])
            column.extend([None] * (len(self._kept_row) - len(column)))
            column.extend(map(_hashed, values) if name == "completion" else values)
        if runs is None:
            codes = np.full(len(rows), self._code(self._files[self._file]), dtype=np.int32)
        else:
            codes = np.array([self._code(run) for run in runs], dtype=np.int32)
        self._kept_row.frombytes(np.asarray(rows, dtype=np.int32).tobytes())
        self._kept_outcome.frombytes(np.asarray(outcomes, dtype=np.int8).tobytes())
        self._kept_run.frombytes(codes.tobytes())

    def _code(self, run: str) -> int:
        return self._run_names.setdefault(run, len(self._run_names))

    def attempts(self) -> "pd.DataFrame":
        """Return the attempts that were kept, those without an outcome as `errors` has it."""
        import pandas as pd

        self.check()
        row = np.frombuffer(self._kept_row, dtype=np.int32)
        outcome = np.frombuffer(self._kept_outcome, dtype=np.int8)
        run = np.frombuffer(self._kept_run, dtype=np.int32)
        columns = ("benchmark", "system", "problem")
        names = pd.DataFrame(list(self._rows), columns=columns, dtype=object)
        if len(names):  # or a rule for names is broken
            text = {one: names[one].to_numpy() for one in columns}
            none = dict.fromkeys(("attempts", "successes"), np.zeros(len(names), dtype=np.int64))
            Counts.from_dataframe(pd.DataFrame(text | none, dtype=object))
        frame = names.iloc[row].reset_index(drop=True)
        frame["run"] = pd.Series(np.array(list(self._run_names), dtype=object)[run], dtype=object)
        frame["attempt"] = frame.groupby(["benchmark", "system", "problem"], sort=False).cumcount()
        frame["success"] = outcome.astype(np.int64)
        for name in MORE:
            column = self._about.get(name, [])
            if any(one is not None for one in column):
                column.extend([None] * (len(row) - len(column)))
                frame[name] = _as_numbers(pd.Series(column, dtype=object), name)
        if self.errors == "fail":
            frame["success"] = frame["success"].clip(lower=0)
        frame = frame[frame["success"] >= 0].reset_index(drop=True)
        frame.attrs["stopping"] = self.stopping or self._noted or "fixed"
        return frame

    def add_score(
        self,
        row: int,
        score: Any,
        outcome: Outcome,
        where: str,
        times: int = 1,
        kept: bool = False,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        """Add attempts that were scored, or remember that their score cannot be read."""
        try:
            self.add(row, outcome(score), where, times, kept, about)
        except CountsError as error:
            self._attempts[row] += times
            shown = repr(score)
            self._breaks(
                str(error),
                f"{where}: {shown if len(shown) < 80 else shown[:80] + ' ...'}",
                REMEDIES[str(error)],
                times,
            )

    def add_missing(self, row: int, attempts: int, where: str) -> None:
        """Add attempts that were planned, and are not in the log."""
        self._without[row] += attempts
        self.log_missing += attempts
        if attempts:
            self._first_without = self._first_without or where

    def name_attempt(self, row: int, attempt: Any) -> None:
        """Remember the number or name of an attempt, which may occur once in a row (and run)."""
        if self.several and not self.parts:
            attempt = f"{self._file}: {attempt}"
        if not isinstance(attempt, int) or not 0 <= attempt < 2**62:
            attempt = -1 - self._labels.setdefault(str(attempt), len(self._labels))
        self._seen_row.append(row)
        self._seen_attempt.append(attempt)

    def name_attempts(
        self,
        rows: NDArray[Any],
        attempts: Sequence[Any] | NDArray[Any],
        runs: Sequence[str] | None = None,
    ) -> None:
        """Remember the names of many attempts, given as text, and their runs."""
        import pandas as pd

        if runs is not None:
            attempts = [f"{run}: {one}" for run, one in zip(runs, attempts, strict=True)]
        if self.several and not self.parts:
            attempts = [f"{self._file}: {one}" for one in attempts]
        codes, names = pd.factorize(np.asarray(attempts, dtype=object))
        known = [self._labels.setdefault(str(name), len(self._labels)) for name in names]
        self._seen_row.frombytes(rows.astype(np.int32).tobytes())
        self._seen_attempt.frombytes((-1 - np.array(known, dtype=np.int64)[codes]).tobytes())

    def note_stopping(self, rule: str) -> None:
        """Take from the log how attempts were ended, if nobody said so."""
        if rule != (self._noted or rule):
            raise CountsError(
                f"the attempts of all files must be ended by one rule; found {self._noted!r} and "
                f"{rule!r}. What to do: read the files one by one, or give stopping="
            )
        self._noted = rule

    def attempts_of(self, row: int) -> int:
        """Return how many attempts of a row were added, with and without an outcome."""
        return self._attempts[row] + self._without[row]

    def counts(self, covariates: Sequence[str] = ()) -> Counts:
        """Return the counts.

        Raises
        ------
        CountsError
            If something that was added breaks a rule.
        """
        self.check()
        attempts = np.array(self._attempts, dtype=np.int64)
        if self.errors == "fail":
            attempts += np.array(self._without, dtype=np.int64)
        benchmark, system, problem = zip(*self._rows, strict=True) if self._rows else ((), (), ())
        successes = np.array(self._successes, dtype=np.int64)
        return Counts(
            runs=self._runs(attempts, successes),
            benchmark=benchmark,
            system=system,
            problem=problem,
            attempts=attempts,
            successes=successes,
            stopping=self.stopping or self._noted or "fixed",
            covariates={
                name: [described.get(name) for described in self._covariates] for name in covariates
            },
        )

    def _runs(self, attempts: NDArray[np.int64], successes: NDArray[np.int64]) -> Runs | None:
        """Return how attempts divide into runs; None if there is one, or none is known."""
        if len({name for _, name in self._pieces}) < 2:
            return None
        row = np.array([one for one, _ in self._pieces], dtype=np.int64)
        names = [name for _, name in self._pieces]
        made, solved, without = np.array(list(self._pieces.values()), dtype=np.int64).T
        if self.errors == "fail":
            made = made + without
        runs = Runs.of(row, names, made, solved)
        left = attempts - runs.totals(len(attempts))[0]
        if not left.any():
            return runs
        # Planned and not there, of which no run is known.
        every = np.arange(len(attempts))
        return Runs.of(
            np.append(row, every),
            [*names, *[NO_RUN] * len(every)],
            np.append(made, left),
            np.append(solved, successes - runs.totals(len(attempts))[1]),
        )

    @property
    def log_attempts(self) -> int:
        """How many attempts are in the log."""
        return sum(self._attempts) + self.log_errored

    def _breaks(
        self, rule: str, first: str, remedy: str, times: int = 1, unit: str = "attempts"
    ) -> None:
        self._broken.setdefault(rule, [0, first, remedy, unit])[0] += times

    def check(self) -> None:
        """Raise an error if something that was added breaks a rule."""
        for rule, (number, first, remedy, unit) in self._broken.items():
            total = self.log_attempts if unit == "attempts" else len(self._rows)
            raise CountsError(
                f"{rule}: {number:,} of {total:,} {unit} "
                f"{'breaks' if number == 1 else 'break'} this, the first is {first}. What to do: "
                f"{remedy}",
                rule=rule,
                rows=number,
            )
        self._check_repeats()
        without = self.log_errored + self.log_missing
        if without and self.errors == "raise":
            rule = "every attempt must have an outcome"
            raise CountsError(
                f"{rule}: {without:,} of {self.log_attempts + self.log_missing:,} attempts "
                f"{'has' if without == 1 else 'have'} none ({self.log_errored:,} ended with an "
                f"error or without a score, {self.log_missing:,} were planned and are not there), "
                f"the first is {self._first_without}. What to do: errors='fail' (--errors fail) "
                "counts them as failures, errors='drop' (--errors drop) leaves them out",
                rule=rule,
                rows=without,
            )

    def _check_repeats(self) -> None:
        rows = np.frombuffer(self._seen_row, dtype=np.int32)
        attempts = np.frombuffer(self._seen_attempt, dtype=np.int64)
        order = np.lexsort((attempts, rows))
        same = (np.diff(rows[order]) == 0) & (np.diff(attempts[order]) == 0)
        repeats = order[1:][same]
        if len(repeats) == 0:
            return
        first = int(repeats.min())
        benchmark, system, problem = list(self._rows)[rows[first]]
        attempt: Any = int(attempts[first])
        if attempt < 0:
            attempt = list(self._labels)[-1 - attempt]
        rule = "each attempt at a problem must occur once"
        raise CountsError(
            f"{rule}: {len(repeats):,} of {len(rows):,} attempts "
            f"{'is' if len(repeats) == 1 else 'are'} there again, the first is attempt "
            f"{first + 1:,} of the log: {benchmark=}, {system=}, {problem=}, {attempt=}. What "
            "to do: remove the repeats, or renumber the attempts if they are different ones",
            rule=rule,
            rows=len(repeats),
            first=first + 1,
        )


def _as_numbers(column: "pd.Series[Any]", name: str) -> "pd.Series[Any]":
    """Return a column of numbers as such, also where a table has them as text."""
    import pandas as pd

    if name not in ("completion", "date", "worker", "cluster"):
        try:
            return pd.to_numeric(column)
        except (ValueError, TypeError, OverflowError):
            pass
    return column


def _named(name: Any) -> Any:
    """Return a name, or None if it is missing: 0 and "" differ."""
    return None if name is None or str(name).strip() == "" else name


def _hashed(completion: Any) -> str | None:
    """Return what tells whether two completions are the same."""
    if completion is None:
        return None
    text = completion if isinstance(completion, str) else json.dumps(completion, default=str)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]
