"""Many fits: each system on each benchmark by itself, on all cores or on a Dask cluster."""

import hashlib
import inspect
import json
import os
import re
import tempfile
import time
import warnings
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayespassk import texts
from bayespassk.arguments import check_arguments
from bayespassk.asking.pass_at_k import forecast
from bayespassk.asking.summaries import summarize
from bayespassk.counts import Counts, check_by
from bayespassk.errors import ConvergenceWarning, InputError, OptionError, SamplingError
from bayespassk.families import Family, as_family
from bayespassk.files import write
from bayespassk.fitting.verb import fit
from bayespassk.logs.reading import logs_in, read
from bayespassk.options import Target, check_interval, check_k, check_target, seed_of, system_seed
from bayespassk.posterior.covariates import required
from bayespassk.posterior.diagnostics import diagnostics
from bayespassk.posterior.saving import save
from bayespassk.process import progress as bar
from bayespassk.running.journal import Journal, at_work_in
from bayespassk.running.workers import (
    Finished,
    Lost,
    check_client,
    check_cores,
    importable,
    in_processes,
    in_turn,
    on_cluster,
)

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

__all__ = ["fit_many"]

type Row = dict[str, Any]
type Parts = tuple[str, ...]
"""What a fit is of: the log or the key of a mapping, and the values of `by`."""

FORMAT = 1
"""Of the journal."""

FITS = "fits"
"""The folder of the fits."""

TEXT = ("name", "benchmark", "system", "status", "why", "method", "path")
WHOLE = ("problems", "attempts", "successes", "divergences", "seed")
FOUND = (
    "converged", "max_rhat", "min_ess", "divergences", "pareto_k", "method", "seed", "seconds"
)  # fmt: skip

OPTIONS = {
    name: parameter.default
    for name, parameter in inspect.signature(fit).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY and name not in ("random_seed", "progress")
}
"""Of a fit, and their defaults."""


def fit_many(
    counts: Counts | Mapping[str, Counts] | str | os.PathLike[str],
    *,
    by: str | Iterable[str] = ("benchmark", "system"),
    family: Family | str | None = None,
    k: float | Iterable[float] = (1, 10, 100, 1000, 10_000),
    target: Target = "benchmark",
    prob: float = 0.95,
    reading: Mapping[str, Any] | None = None,
    output: str | os.PathLike[str] | None = None,
    client: "Client | None" = None,
    cores: int | None = None,
    random_seed: int = 1,
    progress: bool = True,
    **options: Any,
) -> "pd.DataFrame":
    """Return the forecasts of many fits, each made by itself, and what failed and why.

    Parameters
    ----------
    counts : Counts, mapping of str to Counts, or path
        A path is of a folder that holds logs, each a file or a folder of its own, which are read
        as by :func:`bayespassk.read`, by the processes that fit them: see `client`.
    by : sequence of {"benchmark", "system"}
        What is fitted by itself: by default each system on each benchmark. ``by="benchmark"``
        fits the systems of a benchmark together, so that they learn from each other; ``by=()``
        all that there is, or all of a key of the mapping, or of a log.
    family : Family or str, default ZeroInflated(LibbyNovick())
        As for :func:`bayespassk.fit`.
    k : int or sequence of int
        Attempts allowed in the forecasts.
    target : {"benchmark", "population", "realised"}
        What pass@k is asked of; see :func:`bayespassk.forecast`.
    prob : float
        Posterior probability of the equal-tailed intervals.
    reading : mapping of str to value, optional
        Options of :func:`bayespassk.read` for all logs, such as ``{"errors": "drop"}``.
    output : path, optional
        Folder for the results: each fit as a file of its own, to be read with
        :func:`bayespassk.load`; ``journal.jsonl``, a line for each fit as soon as it is finished;
        and ``summary.csv``, the table. If it is there, only what is missing, has changed or failed
        is fitted, and what was kept and is damaged. One process at a time works in it. Without it
        fits are not kept.
    client : distributed.Client, optional
        Of a Dask cluster that does the work; needs ``pip install "bayespassk[dask]"``. Its workers
        need the same version of bayespassk, and see logs under the same path. Results come back to
        this process, which alone writes to `output`.
    cores : int, default all
        Processes of this machine, if there is no `client`; with 1, it is done in this process.
    random_seed : int
        Repeats the results. The seed of a fit is made of this and of its name, so that it does not
        depend on what else is fitted, in which order or where.
    progress : bool
        Show progress: a bar in a terminal, in a notebook a line that is renewed, elsewhere a line
        on standard error now and then.
    **options
        Of :func:`bayespassk.fit`: method, pooling, covariates, draws, tune, chains, target_accept.

    Returns
    -------
    pandas.DataFrame
        One row for each system of each fit (by default, one for each fit), in the order of
        `counts`, with columns:

        * name: what was fitted, as "benchmark/system", after the key of the mapping or the name
          of the log; benchmark, system
        * status: "ok"; "warned" if there is a fit and something to be said of it; "failed" if
          there is none. why: what was said.
        * problems, attempts, successes: how many there are
        * pass@10, pass@10_lower, pass@10_upper: posterior mean, and ends of the interval; likewise
          for every k
        * converged, max_rhat, min_ess, divergences, pareto_k: see
          :class:`bayespassk.Diagnostics`; method
        * seed: that of the fit; seconds: of fit, forecast and file
        * path: the file of the fit, if there is one

        A log that cannot be read is one row. The ``attrs`` carry version, seed, family, options,
        k, target and prob.

    Warns
    -----
    ConvergenceWarning
        Once, if fits did not converge. Other warnings are only in the table.

    Raises
    ------
    OptionError
        If an argument means nothing, or the folder holds other work. What only the fits can find
        out is in the table instead.
    InputError
        If there are no logs, or the folder or the scheduler can no longer be reached.

    Notes
    -----
    A fit is known by its name, and is finished if its counts, the options and the version of
    bayespassk are those it was made with. A process that ends in the middle, as when memory runs
    out, costs only what it was at; a fit at which three processes ended by themselves (with a
    client, as many as its scheduler allows) has failed. Each process has one thread.

    That a thousand fits are there does not mean that they are independent, and of a thousand
    95% bands fifty may miss.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> table = bp.fit_many(counts, family=bp.Beta(), k=[100, 10_000], cores=1)
    >>> table[["name", "pass@10000", "pass@10000_lower", "pass@10000_upper"]].round(2)
                  name  pass@10000  pass@10000_lower  pass@10000_upper
    0  simulated/small        0.87              0.80              0.94
    1  simulated/large        0.96              0.93              0.99
    """
    check_arguments("fit_many", locals())
    asked = _asked(by, family, k, target, prob, reading, options, random_seed, output is not None)
    if client is not None:
        check_client(client, cores)
    cores = check_cores(cores)
    if client is None and cores > 1 and not importable(asked.reading):
        raise OptionError(
            "reading must be of values and functions that other processes can import, defined at "
            "the top of a module or script. Move them there, or give cores=1"
        )
    tasks = _tasks(asked, counts, output)
    folder = None if output is None else Path(output)
    with at_work_in(folder):
        book = _Book(asked, folder)
        todo = deque(book.missing(tasks))
        try:
            _run(asked, book, todo, client, cores, progress)
        finally:  # also what was finished before an interruption
            table = book.table()
            book.write(table)
    _warn_if_not_converged(table)
    return table


# What is to be done ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Asked:
    """What was asked for, of every fit.

    Attributes
    ----------
    keep : bool
        Whether fits are wanted, or only what is said of them.
    """

    by: tuple[str, ...]
    family: Family
    ks: list[int]
    target: Target
    prob: float
    reading: dict[str, Any]
    options: dict[str, Any]
    seed: int
    keep: bool

    def about(self) -> Row:
        """Return what the numbers of a fit depend on, but for its counts and its name."""
        return {
            "version": metadata.version("bayespassk"),
            "seed": self.seed,
            "family": self.family.spec(),
            "options": self.options,
            "k": self.ks,
            "target": self.target,
            "prob": self.prob,
        }

    def seed_of(self, parts: Parts) -> int:
        """Return the seed of a fit, which does not depend on what else there is."""
        return system_seed(self.seed, json.dumps(parts))

    def key(self, counts: Counts) -> str:
        """Return what changes with anything that the numbers of a fit depend on."""
        text = json.dumps([counts.sha256(), self.about()], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class _Fit:
    """A fit to make; `place` is where it stands in the table."""

    place: tuple[int, int]
    parts: Parts
    counts: Counts


@dataclass(frozen=True)
class _Log:
    """A log to read."""

    place: tuple[int, int]
    parts: Parts
    path: Path


type Task = _Fit | _Log


@dataclass(frozen=True)
class _Made:
    """What came of a task: the line of a fit, and its file if that is wanted; or further fits."""

    line: Row = field(default_factory=dict)
    file: bytes | None = None
    fits: tuple[_Fit, ...] = ()


def _asked(
    by: str | Iterable[str],
    family: Family | str | None,
    k: float | Iterable[float],
    target: Target,
    prob: float,
    reading: Mapping[str, Any] | None,
    options: Mapping[str, Any],
    seed: int,
    keep: bool,
) -> _Asked:
    """Return what was asked for, or raise an error about what means nothing in any fit."""
    family = as_family(family)
    check_target(target)
    check_interval(prob, "eti")
    for name in options.keys() - OPTIONS.keys():
        raise OptionError(f"there is no option {name!r}; those of a fit are {', '.join(OPTIONS)}")
    return _Asked(
        by=check_by(by),
        family=family,
        ks=check_k(k).tolist(),
        target=target,
        prob=float(prob),
        reading=dict(reading or {}),
        options=OPTIONS | dict(options),
        seed=seed_of(seed),
        keep=keep,
    )


def _tasks(
    asked: _Asked,
    counts: Counts | Mapping[str, Counts] | str | os.PathLike[str],
    output: str | os.PathLike[str] | None,
) -> list[Task]:
    """Return the fits to make and the logs to read, or raise an error if they are neither."""
    if isinstance(counts, str | os.PathLike):
        logs = logs_in(Path(counts))
        if output is not None:
            logs = [log for log in logs if log.resolve() != Path(output).resolve()]
            if Path(counts).resolve() == Path(output).resolve():
                raise OptionError(f"output must not be the folder of the logs; got {output} twice")
        return [_Log((i, 0), (log.name,), log.resolve()) for i, log in enumerate(logs)]
    if asked.reading:
        raise OptionError("reading is about logs: it means nothing where counts are given")
    if isinstance(counts, Counts):
        return [*_fits(asked, 0, (), counts)]
    if not isinstance(counts, Mapping) or not counts:
        raise OptionError(
            "counts must be a bayespassk.Counts, a mapping of names to these with one at least, or "
            f"the path of a folder of logs; got {counts!r:.100}"
        )
    for name, one in counts.items():
        if not isinstance(name, str) or not isinstance(one, Counts):
            raise OptionError(
                f"counts must map names to bayespassk.Counts; got {name!r} with {one!r:.100}"
            )
    return [
        task
        for i, (name, one) in enumerate(counts.items())
        for task in _fits(asked, i, (name,), one)
    ]


def _fits(asked: _Asked, place: int, parts: Parts, counts: Counts) -> tuple[_Fit, ...]:
    return tuple(
        _Fit((place, i), (*parts, *values), own)
        for i, (values, own) in enumerate(counts.split(asked.by).items())
    )


# Doing it, in any process ----------------------------------------------------------------------


def _work(asked: _Asked, task: Task) -> _Made:
    """Return what came of a task; whatever goes wrong with it is its own affair."""
    start = time.perf_counter()
    try:
        if isinstance(task, _Log):
            columns = asked.options.get("covariates")
            kept = {} if columns is None else {"covariates": required(columns)}
            counts = read(task.path, **kept | asked.reading)
            return _Made(fits=_fits(asked, task.place[0], task.parts, counts))
        line, file = _fitted(asked, task)
    except Exception as error:
        ours = isinstance(error, InputError | SamplingError)
        line = _failed(task, str(error) if ours else f"{type(error).__name__}: {error}")
        file = None
    return _Made(line | {"seconds": time.perf_counter() - start}, file)


def _fitted(asked: _Asked, task: _Fit) -> tuple[Row, bytes | None]:
    """Return what there is to say of a fit, and its file if that is wanted."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        posterior = fit(
            task.counts,
            asked.family,
            random_seed=asked.seed_of(task.parts),
            progress=False,
            **asked.options,
        )
        draws = forecast(posterior, asked.ks, asked.target)
        file = _file(posterior) if asked.keep else None
    why = "; ".join(dict.fromkeys(_said(warning) for warning in told))
    found = diagnostics(posterior)
    systems = _systems(task)
    table = summarize(draws, asked.prob)[["mean", "lower", "upper"]]
    each = table.to_numpy().reshape(len(systems), len(asked.ks), 3).tolist()
    for system, values in zip(systems, each, strict=True):
        system["pass_at_k"] = values
    line = {
        "status": "warned" if why else "ok",
        "why": why,
        "converged": found.converged,
        "max_rhat": found.max_rhat,
        "min_ess": found.min_ess,
        "divergences": found.divergences,
        "pareto_k": found.pareto_k,
        "method": posterior.attrs["method"],
        "seed": posterior.attrs["random_seed"],
        "systems": systems,
    }
    return line, file


def _file(posterior: xr.DataTree) -> bytes:
    """Return a fit as the bytes of its file: the process that asked for it writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fit.nc"
        save(posterior, path, log_likelihood=False)
        return path.read_bytes()


def _said(warning: warnings.WarningMessage) -> str:
    ours = warning.category.__module__ == "bayespassk.errors"
    return str(warning.message) if ours else f"{warning.category.__name__}: {warning.message}"


def _failed(task: Task, why: str) -> Row:
    """Return the line of a fit that there is not, or of a log that cannot be read."""
    return {"status": "failed", "why": why, "systems": _systems(task)}


def _systems(task: Task) -> list[Row]:
    """Return what is known of the systems of a task before it is done."""
    if isinstance(task, _Log):
        return [{"benchmark": "", "system": ""}]
    counts, rows = task.counts, []
    for i, benchmark in enumerate(counts.benchmarks):
        mine = counts.system_index == i
        rows.append(
            {
                "benchmark": benchmark,
                "system": counts.system[mine][0],
                "problems": int(mine.sum()),
                "attempts": int(counts.attempts[mine].sum()),
                "successes": int(counts.successes[mine].sum()),
            }
        )
    return rows


# What is done, in the process that asked for it ------------------------------------------------


def _run(
    asked: _Asked,
    book: "_Book",
    todo: deque[Task],
    client: "Client | None",
    cores: int,
    progress: bool,
) -> None:
    """Do all tasks, and those that come of them: the logs come first, and then their fits."""
    finished: Finished[Task, _Made]
    if client is not None:
        finished = on_cluster(_work, asked, todo, client)
    elif cores > 1:
        finished = in_processes(_work, asked, todo, cores)
    else:
        finished = in_turn(_work, asked, todo)
    done, left, failed = 0, len(todo), 0
    with (
        bar(progress and bool(todo), "Fits", left) as advance,
        closing(finished),  # so that its processes end with it
    ):
        for task, made in finished:
            found = _Made(_failed(task, made.reason)) if isinstance(made, Lost) else made
            more = book.missing(found.fits)
            todo.extend(more)
            left += len(more) - 1
            if found.line:
                book.keep(task, found)
                done += 1
                failed += found.line["status"] == "failed"
            advance(f"Fits, {failed:,} failed" if failed else "Fits", done, done + left)


class _Book:
    """What is known of each fit, and the folder that keeps it, if there is one."""

    def __init__(self, asked: _Asked, folder: Path | None):
        self.asked, self.folder = asked, folder
        self.lines: dict[tuple[int, int], Row] = {}
        """What is finished, by where it stands in the table."""
        self.keys: dict[tuple[int, int], str] = {}
        self.journal: Journal | None = None
        self.known: dict[Parts, Row] = {}
        """What the folder had before."""
        if folder is None:
            return
        self.journal = Journal(folder, {"journal format": FORMAT, "work": "fits"})
        self.known = {tuple(line["fit"]): line for line in self.journal.lines if _is_of_a_fit(line)}
        try:
            (folder / FITS).mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder / FITS}: cannot be made: {error.strerror}") from None

    def missing(self, tasks: Iterable[Task]) -> list[Task]:
        """Return what is not finished; what failed is tried again."""
        left = []
        for task in tasks:
            if isinstance(task, _Fit):
                key = self.keys[task.place] = self.asked.key(task.counts)
                line = self.known.get(task.parts)
                if line is not None and line["key"] == key and self._is_there(line):
                    self.lines[task.place] = line
                    continue
            left.append(task)
        return left

    def _is_there(self, line: Row) -> bool:
        """Return whether the file of a fit is as it was written, and the line can be shown."""
        if self.folder is None:
            return False
        place = f"{FITS}/{_file_name(tuple(line['fit']))}"
        try:
            self._rows(line)
            found = hashlib.sha256((self.folder / place).read_bytes()).hexdigest()
            return bool(line["file"] == place and line["sha256"] == found)
        except (OSError, AttributeError, KeyError, TypeError, ValueError):
            return False  # it is made again

    def keep(self, task: Task, made: _Made) -> None:
        """Keep what came of a fit, for good if there is a folder."""
        line = made.line | {"fit": list(task.parts), "key": self.keys.get(task.place), "file": ""}
        line["sha256"] = hashlib.sha256(made.file or b"").hexdigest()
        if self.folder is not None and self.journal is not None:
            place = f"{FITS}/{_file_name(task.parts)}"
            if made.file is None:
                (self.folder / place).unlink(missing_ok=True)  # of what has changed since
            else:
                write(self.folder / place, made.file)
                line["file"] = place
            self.journal.append(line)
        self.lines[task.place] = line

    def table(self) -> "pd.DataFrame":
        """Return what is finished as a table."""
        import pandas as pd

        rows = [row for _, line in sorted(self.lines.items()) for row in self._rows(line)]
        names = list(self._rows({"systems": [{}], "fit": []})[0])
        table = pd.DataFrame(rows, columns=names)
        for name in names:
            table[name] = table[name].astype(_type_of(name))
        table.attrs.update(self.asked.about())
        return table

    def write(self, table: "pd.DataFrame") -> None:
        """Write the table to the folder, if there is one."""
        if self.folder is not None:
            write(self.folder / "summary.csv", texts.as_csv(table))

    def _rows(self, line: Row) -> list[Row]:
        """Return the rows of a line, one for each system."""
        path = str(self.folder / line["file"]) if self.folder and line.get("file") else ""
        nothing = [[None] * 3] * len(self.asked.ks)
        rows: list[Row] = []
        for system in line["systems"]:
            values = system.get("pass_at_k", nothing)
            forecasts = {
                f"pass@{k}{end}": value
                for k, three in zip(self.asked.ks, values, strict=True)
                for end, value in zip(("", "_lower", "_upper"), three, strict=True)
            }
            row: Row = {"name": _name(line["fit"])}
            row |= {name: system.get(name) for name in ("benchmark", "system")}
            row |= {name: line.get(name) for name in ("status", "why")}
            row |= {name: system.get(name) for name in ("problems", "attempts", "successes")}
            row |= forecasts
            row |= {name: line.get(name) for name in FOUND}
            rows.append(row | {"path": path})
        return rows


def _is_of_a_fit(line: Row) -> bool:
    """Return whether a line of a journal says which fit it is of, and what that was made from."""
    parts = line.get("fit")
    named = isinstance(parts, list) and all(isinstance(part, str) for part in parts)
    return named and isinstance(line.get("key"), str)


def _name(parts: Iterable[str]) -> str:
    return "/".join(parts) or "all"


def _file_name(parts: Parts) -> str:
    """Return a name that any file system takes, and no other fit has."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "_", _name(parts)).lstrip("._")[:80]
    return f"{plain}-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]}.nc"


def _type_of(column: str) -> Any:
    if column in TEXT:
        return "str"
    if column in WHOLE:
        return "Int64"
    return "boolean" if column == "converged" else "float64"


def _warn_if_not_converged(table: "pd.DataFrame") -> None:
    bad = table[~table["converged"].fillna(True).astype(bool)]
    names = list(dict.fromkeys(bad["name"]))
    if names:
        some = ", ".join(map(repr, names[:3]))
        warnings.warn(
            ConvergenceWarning(
                f"{len(names):,} of {table['name'].nunique():,} fits did not converge ({some}"
                f"{', ...' if len(names) > 3 else ''}): do not use their numbers yet. The column "
                "why says what was wrong and what to try",
                systems=names,
                max_rhat=_worst(bad["max_rhat"].max()),
                min_ess=_worst(bad["min_ess"].min()),
                divergences=int(bad["divergences"].sum()),
                pareto_k=_worst(bad["pareto_k"].max()),
            ),
            stacklevel=3,
        )


def _worst(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
