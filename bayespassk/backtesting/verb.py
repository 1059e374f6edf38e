"""Backtests: attempts of a real log are hidden, forecast from the rest, and compared."""

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Ints
from bayespassk.backtesting.methods import Forecast, Method, Own, Task, forecasts, methods_of
from bayespassk.backtesting.text import write_scores
from bayespassk.counts import Counts
from bayespassk.errors import ConvergenceWarning, OptionError
from bayespassk.estimators import chen
from bayespassk.families import Family
from bayespassk.options import check_k, listed, seed_of, system_seed
from bayespassk.posterior.fitted import attempted
from bayespassk.process import progress as bar
from bayespassk.running.journal import Journal, at_work_in
from bayespassk.running.workers import Lost, check_cores, importable, in_processes, in_turn
from bayespassk.scoring import scores_of
from bayespassk.simulating import thin

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["backtest"]

type Methods = str | Family | Iterable[str | Family] | Mapping[str, str | Family | Own] | None
type Row = dict[str, Any]

MANY = 0.05
"""Share of fits that did not converge from which on there is a warning."""

FORMAT = 1
"""Of the journal."""

TEXT = ("method", "system", "note")
WHETHER = ("inside_50", "inside_80", "inside_95", "converged", "prior_driven")
WHOLE = ("n", "budget", "repeat", "k", "seed")


def backtest(
    counts: Counts,
    methods: Methods = None,
    n: int | Iterable[int] | None = None,
    k: float | Iterable[float] | None = None,
    repeats: int = 10,
    *,
    budget: int | Iterable[int] | None = None,
    replicates: int = 200,
    output: str | os.PathLike[str] | None = None,
    format: Literal["csv", "parquet"] = "csv",  # noqa: A002 -- as on the command line
    cores: int | None = None,
    random_seed: int = 1,
    progress: bool = True,
) -> "pd.DataFrame":
    """Return how well each method forecasts a log from a part of it, one row for each forecast.

    Attempts are hidden at random, the method forecasts from the others, and is compared with
    Chen's estimate from all of them.

    Parameters
    ----------
    counts : Counts
        The whole log, its attempts fixed in advance.
    methods : str, Family, sequence of these, or mapping of str to str, Family or callable
        Names are: "plug-in", "brown", "log-log", "discretised-beta", "beta-binomial-mle",
        "saber-plugin", "saber-anchored", "bayes-at-n"; a family, as "beta" or
        "zero-inflated-kumaraswamy"; the average of families with equal weights, as
        "beta+kumaraswamy"; "partial:" before these, for pooling within benchmarks; and "default". A
        callable is a method of your own: it takes (counts, k, random_seed) and returns a
        DataArray with dims (system, k), or with draws (draw, system, k) or (chain, draw, system,
        k), scored as they are. By default all estimators, "beta" and "default".
    n : int or sequence of int, default half of the fewest attempts at a problem
        Attempts shown at each problem.
    k : int or sequence of int, default the fewest attempts at a problem
        Attempts allowed, at most those made. Where systems differ in the fewest attempts at any
        of their problems, each is judged at the k that it allows.
    repeats : int
        Random thinnings for each n.
    budget : int or sequence of int, optional
        In place of n: attempts shown in all, for each system, spread evenly over its problems;
        which problems have one more than others is random.
    replicates : int
        Resamplings of the problems that make the band of an estimator.
    output : path, optional
        Folder for the results: scores.csv, summary.md, summary.png, and journal.jsonl with every
        thinning that is finished. If it is there, only what is missing or failed is computed:
        after an interruption, or with more methods, n, k or repeats. A method of your own is
        known by its name only: give it another one when you change it.
    format : {"csv", "parquet"}
        Of the scores; "parquet" needs pyarrow.
    cores : int, default all
        Processes. The result does not depend on it. Fits of one process share compiled models.
    random_seed : int
        Repeats the result.
    progress : bool
        Show progress: a bar in a terminal, in a notebook a line that is renewed, elsewhere a line
        on standard error now and then.

    Returns
    -------
    pandas.DataFrame
        One row for each n (or budget), repeat, method, system and k, with columns:

        * truth, point (posterior median, or the estimate), error = point - truth, and log_error =
          log(point) - log(truth), where neither counts for less than half of what a single
          success in the whole log would make of the truth
        * lower_95, upper_95, inside_95, width_95 and interval_score_95, and likewise for 80 and
          50: the equal-tailed band of that probability, in percent
        * crps: continuous ranked probability score; of a point without band, its absolute error
        * seconds: of the forecast of all systems and k
        * converged, divergences, max_rhat, min_ess of the fit, the worst of those averaged;
          prior_driven: whether nothing or everything shown was a success
        * seed: ``bp.thin(counts, n, random_seed=seed)`` is what was shown, and fits have this
          seed too
        * note: why there is no point, or no band

        The ``attrs`` carry version, seed, hash of the counts, methods, k and the systems.

    Raises
    ------
    OptionError
        If an argument means nothing, the attempts were not fixed in advance, or the folder holds
        results of other counts, another seed or another version.

    Warns
    -----
    ConvergenceWarning
        If more than 5% of the fits did not converge. Warnings of single fits are not shown.

    Notes
    -----
    The truth is a statistic of N attempts, of which those shown are a part; for k near N the luck
    of that run is in it. So a posterior is scored by its distribution of *that statistic*: p of
    each problem is drawn given what was shown, the hidden successes given p, and Chen's estimate
    is taken of all of them. For k far below N this is the target "benchmark" of
    :func:`bayespassk.forecast`; at k = N it is the share of problems solved in this very run. The
    point is its median. Draws of an average are those of its families, each with as many.

    The band of an estimator is that of the bootstrap over problems, except for "saber-anchored",
    which has its own. Neither claims to hold the hidden attempts' luck.

    Thinnings of one log share its truth and its problems. Many of them say how well a method does
    on this log; how well on others, only as many *systems* say; see
    :func:`bayespassk.summarize_backtest`. That a method was right at k up to N does not show that
    it is right at k = 1e6.

    In a script, a callable must be defined in a module that can be imported, or the call be
    below ``if __name__ == "__main__":``, unless cores=1.

    References
    ----------
    Chen et al. 2021, arXiv:2107.03374 (the truth); Gneiting and Raftery 2007,
    doi:10.1198/016214506000001437 (interval score, CRPS); Kazdan et al. 2025, arXiv:2510.05197
    (budgets).

    Examples
    --------
    >>> import bayespassk as bp
    >>> scores = bp.backtest(bp.load_example(), "beta", n=100, k=10_000, repeats=1, cores=1)
    >>> scores[["system", "truth", "point", "lower_95", "upper_95"]].round(2)
      system  truth  point  lower_95  upper_95
    0  small   0.87   0.80      0.72      0.90
    1  large   0.95   0.96      0.92      0.99
    """
    check_arguments("backtest", locals())
    plan = _planned(counts, methods, n, k, repeats, budget, replicates, random_seed)
    cores = _check_places(plan, format, cores)
    folder = None if output is None else Path(output)
    with at_work_in(folder):
        journal = None if folder is None else Journal(folder, plan.header())
        done = _finished(plan, journal)
        _run(plan, plan.missing(done), cores, _keeper(plan, done, journal), progress)
        scores = _table(plan, done)
        if folder is not None:
            write_scores(folder, scores, format)
    _warn_if_not_converged(scores)
    return scores


# What is to be done ----------------------------------------------------------------------------


type Piece = tuple[int, int, dict[str, list[int]]]
"""How many attempts are shown, which repeat, and the k that are missing, by method."""


@dataclass(frozen=True)
class _Plan:
    """All that was asked for, checked.

    Attributes
    ----------
    unit : {"n", "budget"}
        What `sizes` are.
    truth : array, dims (system, k)
        NaN where a system has too few attempts for k.
    """

    counts: Counts
    methods: dict[str, Method]
    unit: str
    sizes: list[int]
    ks: list[int]
    repeats: int
    replicates: int
    seed: int
    truth: NDArray[np.float64]

    def header(self) -> Row:
        """Return what results in one folder must share."""
        return {
            "journal format": FORMAT,
            "bayespassk version": metadata.version("bayespassk"),
            "input sha256": self.counts.sha256(),
            "random_seed": self.seed,
            "replicates": self.replicates,
        }

    def missing(self, done: "_Done") -> list[Piece]:
        """Return what is left to do."""
        pieces = []
        for size in self.sizes:
            for repeat in range(self.repeats):
                left = {
                    name: ks
                    for name in self.methods
                    if (ks := [k for k in self.ks if (size, repeat, name, k) not in done])
                }
                if left:
                    pieces.append((size, repeat, left))
        return pieces

    def seed_of(self, size: int, repeat: int) -> int:
        """Return the seed of a thinning, which does not depend on what else there is."""
        return system_seed(self.seed, f"{self.unit}={size}, repeat={repeat}")

    def shown(self, size: int, seed: int) -> Counts:
        """Return what is left when all other attempts are hidden."""
        if self.unit == "n":
            return thin(self.counts, size, random_seed=seed)
        return thin(self.counts, _spread(self.counts, size, seed), random_seed=seed)


type _Done = dict[tuple[int, int, str, int], list[Row]]
"""The rows of all systems by size, repeat, method and k."""


def _planned(
    counts: Counts,
    methods: Methods,
    n: int | Iterable[int] | None,
    k: float | Iterable[float] | None,
    repeats: int,
    budget: int | Iterable[int] | None,
    replicates: int,
    seed: int,
) -> _Plan:
    """Return the plan, or raise an error about the first argument that means nothing."""
    if not isinstance(counts, Counts):
        raise OptionError(f"counts must be a bayespassk.Counts; got {type(counts).__name__}")
    if counts.stopping != "fixed":
        raise OptionError(
            "a backtest needs attempts whose number was fixed in advance; these have stopping="
            f"{counts.stopping!r}: a part of them is not what fewer attempts would have shown, and "
            "the truth from all of them would be biased. bp.check can judge a family on them"
        )
    least = int(counts.attempts.min())
    if least < 2:
        raise OptionError(
            f"a backtest needs two attempts or more at every problem; there are as few as {least}"
        )
    for name, value, fewest in (("repeats", repeats, 1), ("replicates", replicates, 2)):
        if not isinstance(value, int | np.integer) or value < fewest:
            raise OptionError(f"{name} must be a whole number from {fewest}; got {value!r}")
    if n is not None and budget is not None:
        raise OptionError(f"give n or budget, not both; got n={n!r} and budget={budget!r}")
    unit = "n" if budget is None else "budget"
    sizes = _sizes(counts, unit, (least // 2 if n is None else n) if budget is None else budget)
    ks = check_k(least if k is None else k)
    return _Plan(
        counts=counts,
        methods=methods_of(methods),
        unit=unit,
        sizes=sizes,
        ks=ks.tolist(),
        repeats=int(repeats),
        replicates=int(replicates),
        seed=seed_of(seed),
        truth=_truth(counts, ks),
    )


def _sizes(counts: Counts, unit: str, given: int | Iterable[int]) -> list[int]:
    """Return each n or budget, or raise an error unless it leaves attempts to hide everywhere."""
    sizes = listed(given)
    problems = np.bincount(counts.system_index)
    fewest = np.full(len(problems), np.iinfo(np.int64).max)
    np.minimum.at(fewest, counts.system_index, counts.attempts)
    most = int((fewest - 1).min() if unit == "n" else (problems * (fewest - 1)).min())
    for size in sizes:
        if not isinstance(size, int | np.integer) or not 1 <= size <= most:
            what = "at every problem" if unit == "n" else "for each system"
            raise OptionError(
                f"{unit} must be a whole number of attempts to show {what}, here from 1 to "
                f"{most:,}, so that some are hidden at every problem; got {size!r}"
            )
    if not sizes or len(set(sizes)) < len(sizes):
        raise OptionError(f"{unit} must hold values that differ; got {sizes!r}")
    return [int(size) for size in sizes]


def _truth(counts: Counts, ks: Ints) -> NDArray[np.float64]:
    """Return Chen's estimates from the whole log, dims (system, k), NaN where k is too large."""
    truth = np.full((len(counts.systems), len(ks)), np.nan)
    most = 0
    for i, label in enumerate(counts.systems):
        own = counts.select(label)
        least = int(own.attempts.min())
        allowed = ks <= least
        if allowed.any():
            truth[i, allowed] = chen(own, ks[allowed])[0]
        most = max(most, least)
    if (ks > most).any():
        raise OptionError(
            f"k must be at most {most:,}, as beyond the attempts at every problem of a system "
            f"there is no truth to compare with; got k={ks[ks > most][0]:,}. Leave it out, or "
            "leave out the problems with fewer attempts"
        )
    return truth


def _spread(counts: Counts, budget: int, seed: int) -> Ints:
    """Return the attempts to show at each row: as even as can be, who has one more at random."""
    rng = np.random.default_rng([seed, 5])
    shown = np.empty(len(counts), dtype=np.int64)
    for system in range(len(counts.systems)):
        mine = np.flatnonzero(counts.system_index == system)
        each, over = divmod(budget, len(mine))
        shown[mine] = each
        shown[rng.permutation(mine)[:over]] += 1
    return shown


def _check_places(plan: _Plan, form: str, cores: int | None) -> int:
    """Return how many processes to use; raise an error if results could not be kept or made."""
    if form not in ("csv", "parquet"):
        raise OptionError(f"format must be 'csv' or 'parquet'; got {form!r}")
    if form == "parquet" and util.find_spec("pyarrow") is None:
        raise OptionError("format='parquet' needs the package pyarrow: install it, or take 'csv'")
    cores = check_cores(cores)
    for name, method in plan.methods.items() if cores > 1 else ():
        if method.kind == "own" and not importable(method):
            raise OptionError(
                f"a method of your own must be a function that other processes can import, defined "
                f"at the top of a module or script; {name!r} is not. Move it there, or give cores=1"
            )
    return cores


# Doing it --------------------------------------------------------------------------------------


def _piece(plan: _Plan, piece: Piece) -> list[Row]:
    """Return the scores of one thinning: of each method at its missing k, all systems."""
    size, repeat, left = piece
    seed = plan.seed_of(size, repeat)
    shown = plan.shown(size, seed)
    rows = []
    for asked in {tuple(ks): None for ks in left.values()}:
        places = [plan.ks.index(k) for k in asked]
        judged = ~np.isnan(plan.truth[:, places])
        task = Task(
            shown,
            plan.counts.attempts,
            tuple(np.array(asked, dtype=np.int64)[one] for one in judged),
            plan.replicates,
            seed,
        )
        methods = {name: plan.methods[name] for name, ks in left.items() if tuple(ks) == asked}
        for name, (each, seconds) in forecasts(methods, task).items():
            first = {"repeat": repeat, "method": name, "seconds": seconds, "seed": seed}
            rows += [
                {plan.unit: size} | first | row
                for system in range(len(each))
                for row in _rows(plan, system, task.ks[system], each[system])
            ]
    return rows


def _rows(plan: _Plan, system: int, ks: Ints, forecast: Forecast) -> Iterator[Row]:
    """Yield the scores of one system at each k."""
    mine = plan.counts.system_index == system
    attempts, problems = int(plan.counts.attempts[mine].max()), int(mine.sum())
    about = {
        name: getattr(forecast, name)
        for name in ("converged", "divergences", "max_rhat", "min_ess", "prior_driven", "note")
    }
    for i, k in enumerate(ks.tolist()):
        draws = None if forecast.draws is None else forecast.draws[:, i]
        if draws is not None and np.isnan(draws).any():  # it says nothing of this k
            draws = None
        truth = float(plan.truth[system, plan.ks.index(k)])
        floor = k / (2 * attempts * problems)
        scores = scores_of(truth, float(forecast.point[i]), draws, floor)
        yield {"system": plan.counts.systems[system], "k": k} | scores | about


def _keeper(
    plan: _Plan, done: "_Done", journal: Journal | None
) -> Callable[[Piece, list[Row]], None]:
    """Return what keeps the rows of a finished piece, for good if there is a journal."""

    def keep(piece: Piece, rows: list[Row]) -> None:
        size, repeat, left = piece
        if journal is not None:
            asked = {name: {"k": ks, "is": plan.methods[name].spec()} for name, ks in left.items()}
            journal.append({plan.unit: size, "repeat": repeat, "asked": asked, "rows": rows})
        _add(done, piece, rows)

    return keep


def _run(
    plan: _Plan,
    pieces: list[Piece],
    cores: int,
    keep: Callable[[Piece, list[Row]], None],
    progress: bool,
) -> None:
    tasks = deque(pieces)
    cores = min(cores, len(pieces))
    finished = (
        in_processes(_piece, plan, tasks, cores) if cores > 1 else in_turn(_piece, plan, tasks)
    )
    with (
        bar(progress and bool(pieces), "Backtest", len(pieces)) as advance,
        closing(finished),  # so that its processes end with it
    ):
        for number, (piece, rows) in enumerate(finished, 1):
            if isinstance(rows, Lost):
                raise RuntimeError(
                    f"a thinning could not be scored: {rows.reason}. If methods of your own are "
                    'defined in a script, put the call below if __name__ == "__main__":; if memory '
                    "ran out, give fewer cores. With output=, finished work is kept"
                )
            keep(piece, rows)
            said = f"Backtest: {plan.unit} = {piece[0]:,}, repeat {piece[1] + 1}"
            advance(said, number, len(pieces))


# What was found --------------------------------------------------------------------------------


def _finished(plan: _Plan, journal: Journal | None) -> _Done:
    """Return what a journal has of the plan's methods, or raise an error if one has changed.

    What failed is left out: it is tried again.
    """
    done: _Done = {}
    for number, line in enumerate([] if journal is None else journal.lines, 2):
        if plan.unit not in line:
            continue
        try:
            _take(plan, done, line)
        except OptionError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError):
            raise OptionError(
                f"the journal of the folder: line {number} is not one of a backtest. Choose "
                "another folder, or delete that line if you know what happened to it"
            ) from None
    return {
        key: rows for key, rows in done.items() if all(row["point"] is not None for row in rows)
    }


def _take(plan: _Plan, done: _Done, line: Mapping[str, Any]) -> None:
    """Add what a line of a journal says of the methods of a plan."""
    for name, asked in line["asked"].items():
        if name in plan.methods and asked["is"] != plan.methods[name].spec():
            raise OptionError(
                f"the folder has results of a method {name!r} that was another one "
                f"({asked['is']}): give this one another name, or choose another folder"
            )
    left = {name: asked["k"] for name, asked in line["asked"].items()}
    _add(done, (line[plan.unit], line["repeat"], left), line["rows"])


def _add(done: _Done, piece: Piece, rows: list[Row]) -> None:
    size, repeat, left = piece
    for name, ks in left.items():
        done |= {(size, repeat, name, k): [] for k in ks}
    for row in rows:
        done[size, repeat, row["method"], row["k"]].append(row)


def _table(plan: _Plan, done: _Done) -> "pd.DataFrame":
    """Return what was asked for, in order, whatever else is in the journal."""
    import pandas as pd

    place = {label: i for i, label in enumerate(plan.counts.systems)}
    rows = [
        row
        for size in plan.sizes
        for repeat in range(plan.repeats)
        for name in plan.methods
        for row in sorted(
            (row for k in plan.ks for row in done[size, repeat, name, k]),
            key=lambda row: place[row["system"]],
        )
    ]
    table = pd.DataFrame(rows)
    table = table[[name for name in table.columns if name != "note"] + ["note"]]
    for name in table.columns:
        table[name] = table[name].astype(_type_of(str(name)))
    table.attrs = {
        "version": metadata.version("bayespassk"),
        "seed": plan.seed,
        "input_sha256": plan.counts.sha256(),
        "methods": {name: {"kind": m.kind, "is": m.spec()} for name, m in plan.methods.items()},
        plan.unit: plan.sizes,
        "k": plan.ks,
        "repeats": plan.repeats,
        "replicates": plan.replicates,
        "attempts": [int(plan.counts.attempts.min()), int(plan.counts.attempts.max())],
        "systems": list(plan.counts.systems),
        "attempted": _attempted(plan.counts),
    }
    return table


def _attempted(counts: Counts) -> str:
    """Return what was attempted, in words."""
    most = np.zeros(len(counts.systems), dtype=np.int64)
    np.maximum.at(most, counts.system_index, counts.attempts)
    return attempted(counts.benchmarks, np.bincount(counts.system_index), most)


def _type_of(column: str) -> Any:
    if column in TEXT:
        return "str"
    if column in WHETHER:
        return "boolean"
    return "int64" if column in WHOLE else "float64"


def _warn_if_not_converged(scores: "pd.DataFrame") -> None:
    shown = "budget" if "budget" in scores else "n"
    fits = scores[scores["converged"].notna()].drop_duplicates(
        [shown, "repeat", "method", "system"]
    )
    bad = fits[~fits["converged"].astype(bool)]
    if len(bad) <= MANY * len(fits):
        return
    worst = ", ".join(f"{name} {number}" for name, number in bad["method"].value_counts().items())
    warnings.warn(
        ConvergenceWarning(
            f"{len(bad):,} of {len(fits):,} forecasts are from fits that did not converge "
            f"({worst}): their scores say little of the method. See the columns max_rhat, min_ess "
            "and divergences; leave these methods out, or look at one fit with bp.fit, "
            "draws and tune doubled",
            systems=sorted(set(bad["system"])),
            max_rhat=float(bad["max_rhat"].max()),
            min_ess=float(bad["min_ess"].min()),
            divergences=int(bad["divergences"].sum()),
        ),
        stacklevel=3,
    )
