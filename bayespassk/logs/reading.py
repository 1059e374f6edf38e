"""From a file or folder to counts: what format is it, which options has it, and is it whole."""

import inspect
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from bayespassk.arguments import check_arguments
from bayespassk.counts import COLUMNS, Counts, Provenance, batch_size
from bayespassk.errors import CountsError, InputError, OptionError
from bayespassk.evidence import EVIDENCE
from bayespassk.logs import (
    best_of_n,
    csv_table,
    evalplus,
    evalscope,
    frames,
    harbor,
    human_eval,
    inspect_log,
    json_table,
    lighteval,
    live_code_bench,
    lm_eval,
    matrix,
    metr,
    monkeys,
    nemo_skills,
    parquet_table,
    promptfoo,
    qwen_math,
    swe_bench,
    tau_bench,
    terminal_bench,
    verifiers_log,
    verl,
)
from bayespassk.logs.attempts import RUNS, Tally
from bayespassk.logs.files import at_rest, files_below, hashed
from bayespassk.logs.naming import names_from_paths
from bayespassk.logs.peeking import JSON, Peek, peek

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
    scattered : bool
        Whether attempts at one problem are in several files, as the program writes them.
    """

    title: str
    is_one: Callable[[Peek], bool]
    read: Callable[..., Counts | None]
    accompanies: Callable[[Peek], bool] = lambda _: False
    scattered: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """The options that only some formats have, and this one among them."""
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = inspect.signature(self.read).parameters.values()
        return tuple(one.name for one in parameters if one.kind is keyword)


def _format(title: str, module: Any, scattered: bool = False) -> Format:
    more = {"accompanies": module.accompanies} if hasattr(module, "accompanies") else {}
    return Format(title=title, is_one=module.is_one, read=module.read, scattered=scattered, **more)


FORMATS: Mapping[str, Format] = {
    "csv": _format("a CSV table", csv_table),
    "parquet": _format("a Parquet table", parquet_table),
    "json": _format("a table of JSON records", json_table),
    "matrix": _format("a NumPy matrix", matrix),
    "human-eval": _format("results of human-eval", human_eval),
    "evalplus": _format("results of evalplus", evalplus),
    "lm-eval": _format("samples of lm-evaluation-harness", lm_eval),
    "inspect": _format("an Inspect log", inspect_log),
    "monkeys": _format("Large Language Monkeys", monkeys),
    "best-of-n": _format("Best-of-N Jailbreaking", best_of_n),
    "livecodebench": _format("results of LiveCodeBench", live_code_bench),
    "terminal-bench": _format("results of terminal-bench", terminal_bench),
    "harbor": _format("results of Harbor", harbor, scattered=True),
    "tau-bench": _format("results of tau-bench", tau_bench),
    "swe-bench": _format("a report of SWE-bench", swe_bench),
    "promptfoo": _format("results of promptfoo", promptfoo),
    "nemo-skills": _format("outcomes of NeMo-Skills", nemo_skills),
    "verl": _format("rollouts of verl", verl),
    "verifiers": _format("rollouts of verifiers", verifiers_log),
    "metr": _format("runs of METR", metr),
    "qwen-math": _format("results of Qwen2.5-Math", qwen_math),
    "lighteval": _format("details of lighteval", lighteval),
    "evalscope": _format("reviews of evalscope", evalscope),
}

TABLES = ("csv", "parquet", "json", "matrix")
"""Formats of which a file is a log of its own."""

SUFFIXES = (
    ".csv", ".tsv", ".parquet", ".npy", ".npz", ".eval", ".json", ".jsonl", ".yaml", ".yml",
    ".gz", ".bz2", ".xz", ".zst",
)  # fmt: skip
"""Files of a folder that are looked at; others are no logs."""

MOST_FILES = 100_000


def read(
    log: "str | PathLike[str] | NDArray[Any] | pd.DataFrame | Any",
    format: str = "auto",  # noqa: A002 -- as in numpy and pandas
    *,
    errors: str = "raise",
    system: str | None = None,
    benchmark: str | None = None,
    stopping: str | None = None,
    runs: str | None = None,
    run: str | Sequence[str] = (),
    system_from: str | None = None,
    **options: Any,
) -> Counts:
    """Return the counts in an evaluation log: a file, a folder of files, or a NumPy matrix.

    What the log was taken for, and what was decided on the way, is in ``counts.provenance``.

    Parameters
    ----------
    log : path, array, DataFrame, or logs of Inspect
        A folder is read as one log of one format, with each problem of a system in one file; "-" is
        standard input. An array has dims (problem, attempt) or (system, problem, attempt).
    format : str, default "auto"
        "auto" looks at the content, not at the name. Or one of these, with its options:

        - "csv", "parquet" and "json" (records), with one row per problem (columns problem,
          attempts, successes) or one per attempt (problem, success, and attempt if there is one):
          `columns`, a mapping of the names in the file to these, such as ``{"n": "attempts"}``;
          several for success are a column for each run, and a list is one of outcomes;
          `covariates`, columns to keep; `threshold`, `values`; `encoding`, of text that is not
          UTF-8;
        - "matrix", 0 or 1 for each problem and attempt, NaN for not attempted: `problems`,
          `systems`;
        - "human-eval", the ``_results.jsonl`` of its evaluation;
        - "evalplus", and BigCodeBench: `tests`, "base" or "plus" (those and the base tests);
        - "lm-eval", the ``samples_*.jsonl`` of ``--log_samples``: `filter`, `metric`, `threshold`,
          `values`; `scorer`, a function of a response and its record that returns a score, for
          documents with several responses, of which the log scores what a filter made of them;
        - "inspect", an ``.eval`` or ``.json``: `scorer`, a name, or ``"name.key"`` where its value
          has keys; `threshold`, `values`;
        - "monkeys", a folder of YAML, or rows of the hub: `columns`;
        - "best-of-n", of Best-of-N Jailbreaking: `batch`, the attempts in a batch;
        - "livecodebench", its ``_eval_all.json``: `covariates`, such as ``["difficulty"]``;
        - "terminal-bench", "tau-bench" (and tau2-bench), "swe-bench", "promptfoo", "metr" and
          "qwen-math", which have no options; "harbor": `scorer`; "nemo-skills", "verl",
          "verifiers", "lighteval" and "evalscope": `metric`; with `threshold` and `values` where
          scores may be others than 0 and 1.

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
    runs : {"files"}, optional
        Each file of a folder is a run of the same systems, with attempts at the same problems.
    run : str or sequence of str
        Columns of a table that say of which run a row is, as "seed", or ("seed", "temperature"); by
        default the column run, if there is one. The counts hold their runs then.
    system_from : str, optional
        Where names are in paths: "path", what differs between the paths of files; or a pattern of
        their ends, as ``"{system}/run-{run}/*.json"``, with {system}, {benchmark} and {run}.
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
    _check_format(format)
    if stopping is not None:
        batch_size(stopping)
    tally = Tally(
        errors,
        system=system,
        benchmark=benchmark,
        stopping=stopping,
        several=_are_runs(runs),
        runs=_columns_of(run),
    )
    held = frames.Held.of(log)
    if held is not None:
        return _read_held(held, format, tally, options)
    with at_rest(_path(log)) as path:
        source = _source(path, format, options, system_from, _are_runs(runs))
        _require_table(tally.runs, source.format, str(log))
        more = {"runs": runs, "run": tally.runs or None, "system_from": system_from}
        counts = _read_files(path, source, tally, options, more)
        if path == _path(log) or counts.provenance is None:
            return counts
        return counts.with_provenance(replace(counts.provenance, files=(str(log),)))


def _read_held(
    held: "frames.Held",
    format: str,  # noqa: A002
    tally: Tally,
    options: dict[str, Any],
) -> Counts:
    """Return the counts in what is held in memory."""
    if format not in ("auto", held.format):
        raise OptionError(f"an {held.what} has format {held.format!r}; got {format!r}")
    used = _checked(held.format, options, held.options)
    with _telling_where(held.what, ()):
        found = held.read(tally, **used)
        counts = tally.counts(used.get("covariates") or ()) if found is None else found
        _hint_at_names(counts, tally)
    return _with_provenance(counts, tally, held.format, (held.what,), (), found, used)


def _read_files(
    log: Path,
    source: "_Source",
    tally: Tally,
    options: dict[str, Any],
    more: dict[str, Any],
) -> Counts:
    """Return the counts in files of one format."""
    used = _checked(source.format, options)
    files = [path for path, _ in source.files]
    with _telling_where(str(log), files):
        found = _each(source, tally, used)
        counts = _together(found, tally) if found else tally.counts(used.get("covariates") or ())
        _hint_at_names(counts, tally)
    hashes = tuple(hashed(path) for path in files)
    names = tuple(map(str, files))
    return _with_provenance(counts, tally, source.format, names, hashes, found, used | more)


def _each(source: "_Source", tally: Tally, used: Mapping[str, Any]) -> list[Counts]:
    """Read each file, and return the counts of those that are tables of counts."""
    found = []
    for note in source.notes:
        tally.note(note)
    tally.parts = source.parts
    for path, names in source.files:
        tally.begin(path, names)
        counts = FORMATS[source.format].read(path, tally, **used)
        if counts is not None:
            found.append(counts)
    return found


def _together(found: Sequence[Counts], tally: Tally) -> Counts:
    """Return the counts of several tables: of runs, which are added up, or of parts of one."""
    if len(found) == 1:
        return found[0]
    import pandas as pd

    each = [one.to_dataframe() for one in found]
    if tally.several:  # each file is a run, or holds runs of its own
        for name, frame in zip(tally.files_read, each, strict=True):
            frame["run"] = f"{name}: " + frame["run"] if "run" in frame else name
    frame = pd.concat(each, ignore_index=True)
    more = [str(name) for name in frame if name not in (*COLUMNS, "run", "cluster", *EVIDENCE)]
    return Counts.from_dataframe(frame, stopping=tally.stopping or "fixed", covariates=more)


def _hint_at_names(counts: Counts, tally: Tally) -> None:
    """Note problems whose names look the same: spaces around, or accents written otherwise."""
    seen: dict[tuple[int, str], str] = {}
    alike: list[tuple[str, str]] = []
    for system, name in zip(counts.system_index.tolist(), counts.problem, strict=True):
        plain = " ".join(unicodedata.normalize("NFC", name).split())
        other = seen.setdefault((system, plain), name)
        if other != name:
            alike.append((other, name))
    if alike:
        one, other = alike[0]
        tally.note(
            f"{len(alike):,} names of problems differ from others only by spaces or in how accents "
            f"are written, as {other!a} from {one!a}: they are held to be different problems"
        )


def _with_provenance(
    counts: Counts,
    tally: Tally,
    format: str,  # noqa: A002
    files: tuple[str, ...],
    hashes: tuple[str, ...],
    found: Any,
    options: Mapping[str, Any],
) -> Counts:
    return counts.with_provenance(
        Provenance(
            format=format,
            files=files,
            sha256=hashes,
            errors=tally.errors,
            attempts=int(counts.attempts.sum()) if found else tally.log_attempts,
            errored=tally.log_errored,
            missing=tally.log_missing,
            options={name: _shown(value) for name, value in options.items() if value is not None},
            notes=tuple(tally.notes),
        )
    )


def _path(log: Any) -> Path:
    try:
        return Path(log)
    except TypeError:
        raise OptionError(
            "log must be a path, a NumPy array, a DataFrame, or a log or list of logs of Inspect; "
            f"got {type(log).__name__}"
        ) from None


def _check_format(format: str) -> None:  # noqa: A002
    if format != "auto" and format not in FORMATS:
        raise OptionError(f"format must be 'auto' or one of {_listed()}; got {format!r}")


def _columns_of(run: str | Sequence[str]) -> tuple[str, ...]:
    return (run,) if isinstance(run, str) else tuple(run)


def _require_table(columns: Sequence[str], format: str, log: str) -> None:  # noqa: A002
    if columns and format not in ("csv", "parquet", "json"):
        raise OptionError(
            f"run names columns of a table; {log} is {FORMATS[format].title}, of which each file "
            "may be a run: runs='files' (--runs files)"
        )


def _are_runs(runs: str | None) -> bool:
    if runs is not None and runs not in RUNS:
        raise OptionError(f"runs must be 'files', if each file is a run; got {runs!r}")
    return runs == "files"


def read_attempts(
    log: "str | PathLike[str] | pd.DataFrame | Any",
    format: str = "auto",  # noqa: A002 -- as for read
    *,
    run: str | Sequence[str] = (),
    errors: str = "raise",
    system: str | None = None,
    benchmark: str | None = None,
    stopping: str | None = None,
    system_from: str | None = None,
    **options: Any,
) -> "pd.DataFrame":
    r"""Return the attempts in an evaluation log one by one, in the order of the log.

    :func:`read` adds them up; what depends on their order, or on the run that they are of, is seen
    here only: :func:`bayespassk.independence`.

    Parameters
    ----------
    log : path, DataFrame, or logs of Inspect
        A file, or a folder in which the same problem may be in several files: then each file is a
        run.
    format, errors, system, benchmark, stopping, system_from, **options
        As for :func:`read`.
    run : str or sequence of str
        Columns of a table with one row per attempt that say of which run an attempt is, as
        "seed", or ("seed", "temperature"). By default the column run, or else each file is a run.

    Returns
    -------
    pandas.DataFrame
        One row for each attempt with an outcome, in order, with columns benchmark, system, problem,
        run (text), attempt (from 0, by problem), success (0 or 1); and those that the log has of
        seed, temperature, epoch, batch, worker, date, completion (a hash of its text), tokens,
        input_tokens, output_tokens, seconds, dollars and cluster. Attempts without an outcome are
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
    _check_format(format)
    columns = _columns_of(run)
    if stopping is not None:
        batch_size(stopping)
    tally = Tally(
        errors,
        system=system,
        benchmark=benchmark,
        stopping=stopping,
        keep=True,
        several=True,
        runs=columns,
    )
    held = frames.Held.of(log)
    if held is not None:
        with _telling_where(held.what, ()):
            counted = held.read(tally, **_checked(held.format, options, held.options)) is not None
            return _attempts_in(tally, held.what, counted)
    with at_rest(_path(log)) as path:
        source = _source(path, format, options, system_from, True)
        if path != _path(log):
            source = replace(source, files=[(path, {"run": str(log)} | dict(source.files[0][1]))])
        _require_table(columns, source.format, str(log))
        used = _checked(source.format, options)
        with _telling_where(str(path), [one for one, _ in source.files]):
            counted = bool(_each(source, tally, used))
            return _attempts_in(tally, str(path), counted)


def _attempts_in(tally: Tally, where: str, counted: bool) -> "pd.DataFrame":
    if counted:
        raise CountsError(
            f"{where}: it holds counts, one row per problem, from which the order of attempts and "
            "their runs cannot be told. What to do: give the log with one row per attempt"
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


def _checked(
    chosen: str, options: Mapping[str, Any], known: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the options, or raise an error if the format does not know one of them."""
    known = FORMATS[chosen].options if known is None else known
    title = FORMATS[chosen].title if chosen in FORMATS else "a DataFrame"
    for name in options:
        if name not in known:
            raise OptionError(
                f"{title} (format {chosen!r}) has no option {name!r}; it knows "
                f"{', '.join(repr(one) for one in known) or 'none of its own'}"
            )
    return dict(options)


@dataclass(frozen=True, kw_only=True)
class _Source:
    """The files of a log, with the names that their paths give, and what is to be said of them."""

    format: str
    files: Sequence[tuple[Path, Mapping[str, str]]]
    notes: Sequence[str] = ()
    parts: bool = False


def _source(
    log: Path,
    format: str,  # noqa: A002
    options: Mapping[str, Any],
    system_from: str | None,
    runs: bool,
) -> _Source:
    """Return the format of a log and its files."""
    if not log.is_dir():
        chosen = format if format != "auto" else _recognised(peek(log), options)
        return _Source(format=chosen, files=[(log, names_from_paths(log, [log], system_from)[0])])
    chosen, files = _files(log, format, options)
    parts = chosen == "parquet" and parquet_table.are_parts(files)
    if len(files) > 1 and chosen in TABLES and not (runs or system_from or parts):
        raise InputError(
            f"{log}: holds {len(files):,} tables, and a table is a log of its own: read one, such "
            f"as {files[0]}; or, if each is a run of the same system, say runs='files' (--runs "
            "files), and if of different systems, system_from='path' (--system-from path)"
        )
    names: Sequence[str | None] = [None] * len(files)
    notes: list[str] = []
    if chosen == "inspect":
        kept, notes = inspect_log.arranged(files)
        files, names = [path for path, _ in kept], [name for _, name in kept]
    named = names_from_paths(log, files, system_from)
    each = [
        ({} if name is None else {"system": name}) | dict(more)
        for name, more in zip(names, named, strict=True)
    ]
    parts = parts or FORMATS[chosen].scattered
    return _Source(
        format=chosen, files=list(zip(files, each, strict=True)), notes=notes, parts=parts
    )


def _files(
    log: Path,
    format: str,  # noqa: A002
    options: Mapping[str, Any],
) -> tuple[str, list[Path]]:
    """Return the format of a folder and its files."""
    found: dict[str, list[Path]] = {}
    for path in _candidates(log):
        seen = peek(path)
        if _is_beside(seen, list(FORMATS.values())):
            continue
        if format == "auto":
            found.setdefault(_recognised(seen, options), []).append(path)
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
    logs = [path for path in found if (one := seen.get(path)) and inspect_log.is_one(one)]
    try:
        kept = {path for path, _ in inspect_log.arranged(logs)[0]}
    except InputError:  # of a log that is damaged, of which its reader will say so
        kept = set(logs)
    found = [path for path in found if path not in logs or path in kept]
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
    return (path for path in files_below(folder) if _is_log(path))


def _is_log(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _recognised(seen: Peek, options: Mapping[str, Any]) -> str:
    """Return the format of a file, or raise an error that says what was seen."""
    if seen.kind == "empty":
        raise CountsError(f"{seen.path}: the file is empty")
    named = options.get("columns") is not None
    found = [
        name
        for name, one in FORMATS.items()
        if one.is_one(seen) and not (named and "columns" not in one.options)
    ]
    if named and seen.kind in JSON and "monkeys" not in found:
        return "json"
    found = [name for name in found if name not in TABLES] or found
    if not found and options.get("encoding") is not None and seen.kind in ("binary", "text"):
        return "csv"
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
        f"{seen.path}: {'no' if not found else 'more than one'} known format: it is {seen}."
        f"{_remedy(seen)} Name the format if you know it: "
        f"{', '.join(map(repr, found)) or _listed()}"
    )


def _remedy(seen: Peek) -> str:
    if seen.kind in JSON:
        return (
            " If it is a table, say which column is which, as in columns={'id': 'problem', 'ok': "
            "'success'} (--columns id=problem,ok=success)."
        )
    if seen.kind == "binary":
        return (
            " If it is a table in another encoding than UTF-8, say which, as in encoding='utf-16' "
            "(--encoding utf-16)."
        )
    return ""


def _listed() -> str:
    return ", ".join(repr(name) for name in FORMATS)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{name}={one}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ",".join(str(one) for one in value[:20]) + (",..." if len(value) > 20 else "")
    return getattr(value, "__name__", str(value))
