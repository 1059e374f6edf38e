"""From a file or folder to counts: what format is it, which options has it, and is it whole."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayespassk.arguments import check_arguments
from bayespassk.counts import Counts, Provenance, batch_size
from bayespassk.errors import CountsError, InputError, OptionError
from bayespassk.logs import (
    best_of_n,
    csv_table,
    evalplus,
    human_eval,
    inspect_log,
    live_code_bench,
    lm_eval,
    matrix,
    monkeys,
    parquet_table,
)
from bayespassk.logs.attempts import Tally
from bayespassk.logs.files import hashed
from bayespassk.logs.peeking import Peek, peek

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FORMATS", "logs_in", "read", "read_attempts"]


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of logs.

    Parameters
    ----------
    title : str
        What messages call such a file.
    is_one : function of Peek
        Whether a file is of this format.
    read : function of path, tally and options
        Adds what is in the file to the tally, or returns its counts.
    accompanies : function of Peek
        Whether a file is what the program that makes such logs puts beside them.
    """

    title: str
    is_one: Callable[[Peek], bool]
    read: Callable[..., Counts | None]
    accompanies: Callable[[Peek], bool] = lambda _: False

    @property
    def options(self) -> tuple[str, ...]:
        """The options that only some formats have, and this one among them."""
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = inspect.signature(self.read).parameters.values()
        return tuple(one.name for one in parameters if one.kind is keyword)


FORMATS: Mapping[str, Format] = {
    "csv": Format(title="a CSV table", is_one=csv_table.is_one, read=csv_table.read),
    "parquet": Format(
        title="a Parquet table", is_one=parquet_table.is_one, read=parquet_table.read
    ),
    "matrix": Format(title="a NumPy matrix", is_one=matrix.is_one, read=matrix.read),
    "human-eval": Format(
        title="results of human-eval",
        is_one=human_eval.is_one,
        read=human_eval.read,
        accompanies=human_eval.accompanies,
    ),
    "evalplus": Format(title="results of evalplus", is_one=evalplus.is_one, read=evalplus.read),
    "lm-eval": Format(
        title="samples of lm-evaluation-harness",
        is_one=lm_eval.is_one,
        read=lm_eval.read,
        accompanies=lm_eval.accompanies,
    ),
    "inspect": Format(title="an Inspect log", is_one=inspect_log.is_one, read=inspect_log.read),
    "monkeys": Format(title="Large Language Monkeys", is_one=monkeys.is_one, read=monkeys.read),
    "best-of-n": Format(
        title="Best-of-N Jailbreaking", is_one=best_of_n.is_one, read=best_of_n.read
    ),
    "livecodebench": Format(
        title="results of LiveCodeBench", is_one=live_code_bench.is_one, read=live_code_bench.read
    ),
}

SUFFIXES = (".csv", ".parquet", ".npy", ".eval", ".json", ".jsonl", ".gz", ".yaml", ".yml")
"""Files of a folder that are looked at; others are no logs."""

MOST_FILES = 100_000


def read(
    log: str | PathLike[str] | NDArray[Any],
    format: str = "auto",  # noqa: A002 -- as in numpy and pandas
    *,
    errors: str = "raise",
    system: str | None = None,
    benchmark: str | None = None,
    stopping: str | None = None,
    **options: Any,
) -> Counts:
    """Return the counts in an evaluation log: a file, a folder of files, or a NumPy matrix.

    What the log was taken for, and what was decided on the way, is in ``counts.provenance``.

    Parameters
    ----------
    log : path or array, dims (problem, attempt)
        A folder is read as one log of one format, with each problem of a system in one file.
    format : str, default "auto"
        "auto" looks at the content, not at the name. Or one of these, with its options:

        - "csv" and "parquet", with one row per problem (columns problem, attempts, successes) or
          one per attempt (problem, success, and attempt if there is one): `columns`, a mapping of
          the names in the file to these, such as ``{"n": "attempts"}``; `covariates`, columns to
          keep; `threshold`, `values`;
        - "matrix", 0 or 1 for each problem and attempt, NaN for not attempted: `problems`;
        - "human-eval", the ``_results.jsonl`` of its evaluation;
        - "evalplus": `tests`, "base" or "plus" (those and the base tests);
        - "lm-eval", the ``samples_*.jsonl`` of ``--log_samples``: `filter`, `metric`, `threshold`,
          `values`; `scorer`, a function of a response and its record that returns a score, for
          documents with several responses, of which the log scores what a filter made of them;
        - "inspect", an ``.eval`` or ``.json``: `scorer`, a name, or ``"name.key"`` where its value
          has keys; `threshold`, `values`;
        - "monkeys", a folder of YAML, or rows of the hub: `columns`;
        - "best-of-n", of Best-of-N Jailbreaking: `batch`, the attempts in a batch;
        - "livecodebench", its ``_eval_all.json``: `covariates`, such as ``["difficulty"]``.

        `threshold` is the score from which an attempt is a success, `values` says so for single
        scores, as in ``{"P": 0}``. Without them scores must be 0 or 1.
    errors : str, default "raise"
        What to do with attempts without an outcome, which ended with an error, have no score, or
        were planned and are not there: "fail" counts them as failures, "drop" leaves them out.
        A forecast after "drop" is about attempts that have an outcome.
    system, benchmark : str, optional
        Names that go before those of the log.
    stopping : str, optional
        How attempts were ended; see :class:`bayespassk.Counts`. By default as the log says, and
        "fixed" if it does not.
    **options
        Of the format, as listed there.

    Raises
    ------
    CountsError
        If the log is empty, cut short or breaks a rule; if the same attempt occurs twice; if an
        attempt has no outcome and `errors` is "raise"; or if there are several things to choose
        from, such as scorers. The message says where, and what to do.
    InputError
        If the file cannot be opened, or it is of no known format.
    OptionError
        If the format has no such option.

    Notes
    -----
    A success is what the log says it is: how often its scorer is right is not seen here.
    Numbers of attempts may differ between problems. Memory grows with the number of problems, and
    with that of attempts by some 30 bytes each, not with the size of the file.

    Examples
    --------
    >>> import numpy as np, bayespassk as bp
    >>> outcomes = np.array([[0, 1, 1], [0, 0, np.nan]])
    >>> counts = bp.read(outcomes)
    >>> counts
    Counts: 2 rows, 1 system, 2 to 3 attempts a problem, 1 row without success
    >>> print(counts.provenance)
    array read as matrix: 5 attempts, all with an outcome
    """
    check_arguments("read", locals())
    if format != "auto" and format not in FORMATS:
        raise OptionError(f"format must be 'auto' or one of {_listed()}; got {format!r}")
    if stopping is not None:
        batch_size(stopping)
    tally = Tally(errors, system=system, benchmark=benchmark, stopping=stopping)
    files: list[Path] = []
    if isinstance(log, np.ndarray):
        if format not in ("auto", "matrix"):
            raise OptionError(f"an array has format 'matrix'; got {format!r}")
        chosen = "matrix"
    else:
        chosen, files = _files(Path(log), format)
    used = _checked(chosen, options)
    found = None
    with _telling_where("array" if isinstance(log, np.ndarray) else str(log), files):
        for path in files:
            tally.begin(path)
            found = FORMATS[chosen].read(path, tally, **used)
        if isinstance(log, np.ndarray):
            found = matrix.counts_in(log, tally, **used)
        counts = tally.counts(used.get("covariates") or ()) if found is None else found
    names = tuple(str(path) for path in files) or ("array",)
    provenance = Provenance(
        format=chosen,
        files=names,
        sha256=tuple(hashed(path) for path in files),
        errors=errors,
        attempts=int(counts.attempts.sum()) if found is not None else tally.log_attempts,
        errored=tally.log_errored,
        missing=tally.log_missing,
        options={name: _shown(value) for name, value in used.items() if value is not None},
    )
    return counts.with_provenance(provenance)


def read_attempts(
    log: str | PathLike[str],
    format: str = "auto",  # noqa: A002 -- as for read
    *,
    run: str | Sequence[str] = (),
    errors: str = "raise",
    system: str | None = None,
    benchmark: str | None = None,
    stopping: str | None = None,
    **options: Any,
) -> "pd.DataFrame":
    r"""Return the attempts in an evaluation log one by one, in the order of the log.

    :func:`read` adds them up; what depends on their order, or on the run that they are of, is seen
    here only: :func:`bayespassk.independence`.

    Parameters
    ----------
    log : path
        A file, or a folder in which the same problem may be in several files: then each file is a
        run.
    format, errors, system, benchmark, stopping, **options
        As for :func:`read`.
    run : str or sequence of str
        Columns of a CSV table with one row per attempt that say of which run an attempt is, as
        "seed", or ("seed", "temperature"). By default each file is a run.

    Returns
    -------
    pandas.DataFrame
        One row for each attempt with an outcome, in order, with columns benchmark, system, problem,
        run (text), attempt (from 0, by problem), success (0 or 1). Attempts without an outcome are
        failures with errors="fail", and left out with "drop". ``attrs`` has the `stopping` rule.

    Raises
    ------
    CountsError, InputError, OptionError
        As for :func:`read`; or the log holds counts only.

    Examples
    --------
    >>> import pathlib, tempfile, bayespassk as bp
    >>> path = pathlib.Path(tempfile.mkdtemp(), "attempts.csv")
    >>> _ = path.write_text("problem,seed,success\na,1,1\na,1,0\na,2,1\n")
    >>> bp.read_attempts(path, run="seed")[["problem", "run", "attempt", "success"]]
      problem run  attempt  success
    0       a   1        0        1
    1       a   1        1        0
    2       a   2        2        1
    """
    check_arguments("read_attempts", locals())
    if format != "auto" and format not in FORMATS:
        raise OptionError(f"format must be 'auto' or one of {_listed()}; got {format!r}")
    columns = (run,) if isinstance(run, str) else tuple(run)
    chosen, files = _files(Path(log), format, runs=True)
    if columns and chosen != "csv":
        raise OptionError(
            f"run names columns of a CSV table; {log} is {FORMATS[chosen].title}, of which each "
            "file is a run"
        )
    if stopping is not None:
        batch_size(stopping)
    tally = Tally(
        errors, system=system, benchmark=benchmark, stopping=stopping, keep=True, runs=columns
    )
    used = _checked(chosen, options)
    with _telling_where(str(log), files):
        for path in files:
            tally.begin(path)
            if FORMATS[chosen].read(path, tally, **used) is not None:
                raise CountsError(
                    f"{path}: it holds counts, one row per problem, from which the order of "
                    "attempts and their runs cannot be told. What to do: give the log with one row "
                    "per attempt"
                )
        return tally.attempts()


@contextmanager
def _telling_where(log: str, files: Sequence[Path]) -> Iterator[None]:
    """Put the log before what is wrong with it, where the error does not name a file of it."""
    try:
        yield
    except CountsError as error:
        if str(error).startswith(tuple(str(path) for path in files) or "\0"):
            raise
        raise CountsError(
            f"{log}: {error}", rule=error.rule, rows=error.rows, first=error.first
        ) from None


def _checked(chosen: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options, or raise an error if the format does not know one of them."""
    known = FORMATS[chosen].options
    for name in options:
        if name not in known:
            raise OptionError(
                f"{FORMATS[chosen].title} (format {chosen!r}) has no option {name!r}; it knows "
                f"{', '.join(repr(one) for one in known) or 'none of its own'}"
            )
    return dict(options)


def _files(
    log: Path,
    format: str,  # noqa: A002
    runs: bool = False,
) -> tuple[str, list[Path]]:
    """Return the format of a log and its files, of which several may be tables if each is a run."""
    if not log.is_dir():
        return (format if format != "auto" else _recognised(peek(log))), [log]
    found: dict[str, list[Path]] = {}
    for path in _candidates(log):
        seen = peek(path)
        if _is_beside(seen, list(FORMATS.values())):
            continue
        if format == "auto":
            found.setdefault(_recognised(seen), []).append(path)
        elif FORMATS[format].is_one(seen):
            found.setdefault(format, []).append(path)
    if len(found) > 1:
        some = "; ".join(f"{name}: {paths[0]}" for name, paths in found.items())
        raise InputError(
            f"{log}: the logs of a folder must be of one format; these are of several: {some}. "
            "Read one file, or name a format"
        )
    if not found:
        raise InputError(
            f"{log}: cannot be read: the folder holds no log"
            f"{'' if format == 'auto' else f' of format {format!r}'}; looked for files with "
            f"{', '.join(SUFFIXES)}"
        )
    ((chosen, files),) = found.items()
    if len(files) > 1 and chosen in ("csv", "parquet", "matrix") and not runs:
        raise InputError(
            f"{log}: holds {len(files):,} tables, and a table is a log of its own: read one, such "
            f"as {files[0]}"
        )
    return chosen, files


def logs_in(folder: Path) -> list[Path]:
    """Return the logs in a folder, each a file or a folder of its own, in order of their names.

    Hidden files are left out, files whose names are not those of logs, and what the program that
    made a log puts beside it. What the others are is seen when they are read.

    Raises
    ------
    InputError
        If the folder cannot be read or holds no log.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror or error}") from None
    seen = {path: _seen(path) for path in paths if _is_log(path)}
    here = [
        one for one in FORMATS.values() if any(peek and one.is_one(peek) for peek in seen.values())
    ]
    found = [
        path
        for path in paths
        if (path.is_dir() and any(_logs_below(path)))
        or (path in seen and not _is_beside(seen[path], here))
    ]
    if not found:
        raise InputError(
            f"{folder}: holds no log: no file with {', '.join(SUFFIXES)}, and no folder of such"
        )
    return found


def _seen(path: Path) -> Peek | None:
    """Return the beginning of a file, or None if it is damaged: its reader will say so."""
    try:
        return peek(path)
    except InputError:
        return None


def _is_beside(seen: Peek | None, formats: list[Format]) -> bool:
    """Return whether a file is what goes with logs of these formats."""
    return seen is not None and any(one.accompanies(seen) for one in formats)


def _candidates(folder: Path) -> list[Path]:
    found = []
    for path in _logs_below(folder):
        found.append(path)
        if len(found) > MOST_FILES:
            raise InputError(f"{folder}: more than {MOST_FILES:,} files; name a smaller folder")
    return sorted(found)


def _logs_below(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and _is_log(path):
            yield path


def _is_log(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _recognised(seen: Peek) -> str:
    """Return the format of a file, or raise an error that says what was seen."""
    if seen.kind == "empty":
        raise CountsError(f"{seen.path}: the file is empty")
    found = [name for name, one in FORMATS.items() if one.is_one(seen)]
    if len(found) == 1:
        return found[0]
    if human_eval.accompanies(seen):
        raise InputError(
            f"{seen.path}: completions without outcomes: run evaluate_functional_correctness on "
            f"this file and read the {seen.path.name}_results.jsonl that it writes"
        )
    if lm_eval.accompanies(seen):
        raise InputError(
            f"{seen.path}: results of lm-evaluation-harness, means over documents: run it with "
            "--log_samples and read the samples_*.jsonl that it writes beside them"
        )
    raise InputError(
        f"{seen.path}: {'no' if not found else 'more than one'} known format: it is {seen}. Name "
        f"the format if you know it: {_listed()}"
    )


def _listed() -> str:
    return ", ".join(repr(name) for name in FORMATS)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{name}={one}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ",".join(str(one) for one in value[:20]) + (",..." if len(value) > 20 else "")
    return getattr(value, "__name__", str(value))
