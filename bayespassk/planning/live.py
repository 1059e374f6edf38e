"""A live evaluation: which attempts to make next, until the band is narrow enough."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from bayespassk.arguments import check_arguments
from bayespassk.asking.pass_at_k import PassAtK
from bayespassk.asking.question import ask
from bayespassk.asking.summaries import summarize
from bayespassk.counts import COLUMNS, Counts
from bayespassk.errors import CountsError, InputError, OptionError
from bayespassk.families import Family, as_family
from bayespassk.families.dependent import require_independent
from bayespassk.files import alone, write
from bayespassk.fitting.verb import fit
from bayespassk.logs import read_csv
from bayespassk.options import Target, check_interval, check_k, check_target, seed_of
from bayespassk.planning.allocating import Strategy, allocate, check_strategy
from bayespassk.posterior.fitted import opened
from bayespassk.posterior.pooling import Pooling
from bayespassk.terminal import html_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Plan"]

type Status = Literal["open", "narrow enough", "budget spent", "out of reach"]

MARGIN = 1.25
"""The expected band must be this many times too wide before a plan is given up."""

PATIENCE = 60.0
"""Seconds that a plan waits for another process to have written the file of its counts."""

UNLIMITED = 1e5
"""Further attempts a problem that are thought affordable where there is no budget."""


class Plan:
    """What to attempt next in a live evaluation: ask for attempts, tell their outcomes.

    Parameters
    ----------
    counts : Counts or path
        The attempts made so far; a problem not yet attempted has 0. With a path, the state is that
        file: it is read now, and replaced whole by every :meth:`tell`, so that a plan that was
        interrupted goes on with the same call. Several processes may have a plan of one file:
        what is told is in the file for good when :meth:`tell` returns, and one whose file another
        has changed says so.
    k : int
        Attempts allowed in the question asked, 1 to 1e12.
    half_width : float, optional
        Half the width of the band to reach, such as 0.02, for every system. This or `budget` must
        be given.
    budget : float, optional
        What may be spent from now on, over all systems; an attempt costs 1 unless `costs` says
        otherwise.
    target : {"benchmark", "population", "realised"}
        As for :func:`bayespassk.forecast`.
    strategy : str
        As for :func:`bayespassk.allocate`; not "oracle".
    family, pooling
        As for :func:`bayespassk.fit`.
    prob : float
        Posterior probability of the band, which is equal-tailed.
    costs, limit : float or array of float, dims (row,), optional
        As for :func:`bayespassk.allocate`; of `limit`, attempts told count towards it. One number
        if there may be new problems.
    new_problems : int
        The most new problems that could be added to a system, for the target "population"; see
        :meth:`ask`.
    random_seed : int
        Repeats fits and ties.
    **options
        Passed to :func:`bayespassk.fit`, such as draws or chains.

    Raises
    ------
    CountsError, InputError
        If the counts or the file cannot be used.
    OptionError
        If an option means nothing.

    Notes
    -----
    Posterior and band ignore how attempts were allotted and when they were stopped, and rightly
    so: such rules look at outcomes only, and have the same likelihood. Averages such as Chen's
    estimator do not have this property: after such a plan they are biased.

    Stopping when a band is narrow selects for bands that are narrow: over many evaluations their
    coverage is that of the posterior only on average over the prior.

    Examples
    --------
    >>> import bayespassk as bp
    >>> import numpy as np
    >>> counts = bp.Counts(problem=range(40), attempts=[0] * 40, successes=[0] * 40)
    >>> plan = bp.Plan(counts, k=100, half_width=0.06, budget=4000, family=bp.Beta())
    >>> p, rng = np.linspace(0.001, 0.3, 40), np.random.default_rng(1)
    >>> while not plan.done:
    ...     batch = plan.ask(400)
    ...     run = rng.binomial(batch["attempts"], p[batch["problem"].astype(int)])
    ...     plan.tell(batch.assign(successes=run))
    >>> plan.status
    'narrow enough'
    """

    def __init__(
        self,
        counts: Counts | str | os.PathLike[str],
        k: float,
        half_width: float | None = None,
        *,
        budget: float | None = None,
        target: Target = "benchmark",
        strategy: Strategy = "bayes",
        family: Family | str | None = None,
        pooling: Pooling | Literal["auto"] = "auto",
        prob: float = 0.95,
        costs: ArrayLike | None = None,
        limit: ArrayLike | None = None,
        new_problems: int = 0,
        random_seed: int = 1,
        **options: Any,
    ):
        check_arguments("Plan", {n: v for n, v in locals().items() if n != "self"})
        _check(k, half_width, budget, target, strategy, prob)
        require_independent(as_family(family), "Plan")
        self._file = None if isinstance(counts, Counts) else _File(counts)
        self.counts = counts if isinstance(counts, Counts) else read_csv(counts)
        """All attempts so far."""
        check_arguments("Plan", {"counts": self.counts})
        self.k = int(k)
        self.half_width = half_width
        self.budget = budget
        self.prob = prob
        self.spent = 0.0
        """What was spent since this plan was made."""
        self._target = target
        self._strategy = strategy
        self._costs = costs
        self._limit = limit
        self._begun = self.counts.attempts.copy()
        self._new_problems = new_problems
        self._known = np.bincount(self.counts.system_index)
        self._fitting = {"family": family, "pooling": pooling, "progress": False} | options
        self._seed = seed_of(random_seed)
        self._fit: xr.DataTree | None = None
        self._ahead: xr.Dataset | None = None

    @property
    def fit(self) -> xr.DataTree | None:
        """The fit to all attempts so far; None before the first attempt."""
        return self._fitted() if self.counts.attempts.any() else None

    @property
    def band(self) -> "pd.DataFrame | None":
        """The forecast of each system, as from :func:`bayespassk.summarize`."""
        return self._forecast() if self.counts.attempts.any() else None

    @property
    def left(self) -> float:
        """What may still be spent; infinite without a budget."""
        return np.inf if self.budget is None else self.budget - self.spent

    @property
    def needed(self) -> float:
        """What the band is expected to take, or all that may be spent if that is less."""
        if self.half_width is None or self._strategy != "bayes" or not self.counts.attempts.any():
            return self._affordable
        ahead = self._all()
        widths = self._half_widths() * (ahead["path_sd"] / ahead["sd"]).values
        enough = np.flatnonzero((widths <= self.half_width).all(-1))
        return float(ahead["path_spent"][enough[0]]) if len(enough) else self._affordable

    @property
    def status(self) -> Status:
        """Where the plan stands.

        "narrow enough": the band of every system is. "budget spent": what is left does not pay
        for an attempt. "out of reach": with all that may still be spent, the band is expected to
        stay 1.25 times too wide or wider (without a budget, with a million further attempts a
        problem). Else "open".
        """
        if self._nothing_left():
            return "budget spent"
        if self.half_width is None or not self.counts.attempts.any():
            return "open"
        now = self._half_widths()
        if now.max() <= self.half_width:
            return "narrow enough"
        if self._expected(now).max() > MARGIN * self.half_width:
            return "out of reach"
        return "open"

    @property
    def done(self) -> bool:
        """Whether there is nothing more to ask."""
        return self.status != "open"

    def message(self) -> str:
        """Return where the plan stands, in a sentence or two."""
        return _message(self)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: where the evaluation stands, and the band."""
        rows = []
        if self.band is not None:
            rows = [
                (str(row["system"]), *(f"{row[part]:.4f}" for part in ("median", "lower", "upper")))
                for row in self.band.to_dict("records")
            ]
        return html_table(self.message(), ("system", "median", "lower", "upper"), rows)

    def ask(self, batch: float = 200) -> "pd.DataFrame":
        """Return the attempts to make next.

        Parameters
        ----------
        batch : float
            How much to spend, at most; an attempt costs 1 unless the plan has costs.

        Returns
        -------
        pandas.DataFrame
            Columns benchmark, system, problem and attempts, one row for each problem to attempt.
            With a column successes added, it is what :meth:`tell` takes. Its ``attrs`` hold
            `new_problems` and `new_attempts`, by system: how many problems to add, and the
            attempts to make at them in all. Empty if nothing can be paid. Asking changes nothing.

        Raises
        ------
        OptionError
            If `batch` is not positive.
        """
        import pandas as pd

        if not 0 < batch < 1e15:
            raise OptionError(f"batch must be positive; got {batch!r}")
        names = {name: getattr(self.counts, name) for name in ("benchmark", "system", "problem")}
        frame = pd.DataFrame(names).assign(attempts=0)
        frame.attrs = {"new_problems": {}, "new_attempts": {}}
        if self._nothing_left():
            return frame[:0]
        now = min(float(batch), self.left)
        if not self.counts.attempts.any():
            frame["attempts"] = _evenly(
                self._of_rows(self._costs, 1.0), self._spare(), now, self._seed
            )
        else:
            everything = now >= self._affordable
            further = self._all() if everything else self._allocated(now, self.needed)
            frame["attempts"] = further["attempts"].values
            for name in frame.attrs:
                of = dict(zip(self.counts.systems, further[name].values.tolist(), strict=True))
                frame.attrs[name] = {system: number for system, number in of.items() if number}
        return frame[frame["attempts"] > 0].reset_index(drop=True)

    def tell(self, outcomes: "pd.DataFrame | Mapping[str, Any] | Counts") -> None:
        """Add the outcomes of further attempts to the counts, and to their file.

        Parameters
        ----------
        outcomes : DataFrame, mapping or Counts
            Columns problem, attempts and successes, of further attempts only; system and benchmark
            where there are several. They need not be those that were asked for. Problems not seen
            before are added if the target is "population".

        Raises
        ------
        CountsError
            If a row breaks a rule, or is of a problem that is not in the counts. Then nothing is
            changed.
        InputError
            If the file cannot be written, or is not as the plan left it.
        """
        more = _further(self.counts, outcomes)
        counts = _added(self.counts, more, self._target == "population")
        if self._file is not None:
            self._file.write(counts)
        self.spent += _cost(self.counts, more, self._of_rows(self._costs, 1.0))
        added = len(counts) - len(self.counts)
        self._begun = np.append(self._begun, np.zeros(added, dtype=np.int64))
        self.counts, self._fit, self._ahead = counts, None, None

    # How ---------------------------------------------------------------------------------------

    def _of_rows(self, values: ArrayLike | None, default: float) -> NDArray[np.float64]:
        given = np.asarray(default if values is None else values, dtype=float)
        if given.ndim == 1 and len(given) < len(self.counts):  # new ones cost the mean
            given = np.append(given, np.full(len(self.counts) - len(given), given.mean()))
        return np.broadcast_to(given, len(self.counts))

    def _spare(self) -> NDArray[np.int64]:
        """Return how many further attempts each problem may get."""
        made = self.counts.attempts - self._begun
        limit = self._of_rows(self._limit, 2.0**53) - made
        if self.budget is None:
            limit = np.minimum(limit, UNLIMITED)
        return np.asarray(limit.clip(0).astype(np.int64))

    def _nothing_left(self) -> bool:
        """Return whether no attempt can be paid, neither at a problem nor at a new one."""
        costs = self._of_rows(self._costs, 1.0)
        old = ((self._spare() > 0) & (costs <= self.left + 1e-9)).any()
        new = self._target == "population" and self._may_be_added() > 0
        return not (old or (new and float(costs.mean()) <= self.left + 1e-9))

    def _may_be_added(self) -> int:
        """Return how many more problems may be added to each system."""
        added = np.bincount(self.counts.system_index) - self._known
        return max(0, self._new_problems - int(added.max()))

    def _fitted(self) -> xr.DataTree:
        if self._fit is None:
            self._fit = fit(self.counts, random_seed=self._seed, **self._fitting)
        return self._fit

    def _forecast(self) -> "pd.DataFrame":
        # Without the warnings of few attempts: that more are to be made is what a plan is for.
        question = PassAtK(check_k(self.k))
        draws = ask(opened(self._fitted()), question, self._target, self._seed, warn=False)
        return summarize(draws, self.prob)

    def _half_widths(self) -> NDArray[np.float64]:
        table = self._forecast()
        return np.asarray((table["upper"] - table["lower"]) / 2, dtype=float)

    @property
    def _affordable(self) -> float:
        return UNLIMITED * len(self.counts) if self.budget is None else self.left

    def _allocated(self, budget: float, horizon: float) -> xr.Dataset:
        return allocate(
            self._fitted(),
            budget,
            self.k,
            self._target,
            self._strategy,
            horizon=max(budget, horizon),
            costs=self._of_rows(self._costs, 1.0),
            limit=self._spare(),
            new_problems=self._may_be_added(),
            random_seed=self._seed + int(self.counts.attempts.sum()),
        )

    def _all(self) -> xr.Dataset:
        """Return the allocation of all that may be spent."""
        if self._ahead is None:
            self._ahead = self._allocated(self._affordable, self._affordable)
        return self._ahead

    def _expected(self, now: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the half-widths that are expected once all is spent that may be."""
        ahead = self._all()
        return np.asarray(now * (ahead["sd_expected"] / ahead["sd"]).values)


def _check(
    k: float,
    half_width: float | None,
    budget: float | None,
    target: str,
    strategy: str,
    prob: float,
) -> None:
    """Raise an error about the first option that means nothing."""
    check_k(k)
    check_target(target)
    check_strategy(strategy)
    check_interval(prob, "eti")
    if strategy == "oracle":
        raise OptionError("strategy='oracle' is for studies with known p, not for a plan")
    if half_width is None and budget is None:
        raise OptionError("a plan needs a half_width to reach, a budget, or both; got neither")
    if half_width is not None and not 0 < half_width < 0.5:
        raise OptionError(f"half_width must lie between 0 and 0.5; got {half_width!r}")
    if budget is not None and not 0 < budget < 1e15:
        raise OptionError(f"budget must be positive, and less than 1e15; got {budget!r}")


def _message(plan: Plan) -> str:
    """Return where a plan stands, in a sentence or two."""
    status = plan.status
    made = f"{int(plan.counts.attempts.sum()):,} attempts made"
    if not plan.counts.attempts.any():
        return f"Nothing is known yet: {made}."
    now = plan._half_widths()
    system = plan.counts.systems[int(now.argmax())]
    text = (
        f"{status.capitalize()}: {made}; the {100 * plan.prob:.4g}% band of pass@{plan.k:,} is "
        f"{now.max():.3f} to either side ({system!r})"
    )
    if plan.half_width is not None:
        text += f", {plan.half_width:g} is asked for"
    if status in ("open", "out of reach"):
        affordable = (
            f"the {plan.left:,.0f} that may still be spent"
            if plan.budget is not None
            else f"{UNLIMITED:,.0f} further attempts a problem"
        )
        text += f"; {plan._expected(now).max():.3f} is expected with {affordable}"
        needed = plan.needed
        if status == "open" and plan._strategy == "bayes" and needed < plan._affordable:
            text += f", and the band asked for after about {float(f'{needed:.2g}'):,.0f}"
    if status == "out of reach":
        text += ". What to do: accept a wider band, ask of a smaller k, or add problems"
    return f"{text}."


def _further(counts: Counts, outcomes: Any) -> Counts:
    """Return outcomes as counts; a system or benchmark that is the only one goes without saying."""
    import pandas as pd

    if isinstance(outcomes, Counts):
        return outcomes
    frame = pd.DataFrame(dict(outcomes) if isinstance(outcomes, Mapping) else outcomes)
    for name in ("system", "benchmark"):
        known = set(getattr(counts, name))
        if name not in frame:
            if len(known) > 1:
                raise CountsError(
                    f"outcomes must have a column {name}, as there are {len(known)} of them"
                )
            frame[name] = next(iter(known))
    return Counts.from_dataframe(frame)


def _evenly(
    costs: NDArray[np.float64], spare: NDArray[np.int64], budget: float, seed: int
) -> NDArray[np.int64]:
    """Return attempts in rounds of one at each problem, the last of them at random problems."""
    result = np.zeros(len(costs), dtype=np.int64)
    rounds = int(budget // costs.sum())
    result += np.minimum(rounds, spare)
    left = budget - float(result @ costs)
    while True:
        before = left
        for i in np.random.default_rng(seed).permutation(len(costs)):
            if result[i] < spare[i] and costs[i] <= left + 1e-9:
                result[i] += 1
                left -= float(costs[i])
        if left == before:
            return result


def _positions(counts: Counts, more: Counts) -> list[int | None]:
    """Return where the rows of `more` are among those of `counts`, or None."""
    names = zip(counts.benchmark, counts.system, counts.problem, strict=True)
    where = {name: i for i, name in enumerate(names)}
    return [where.get(name) for name in zip(more.benchmark, more.system, more.problem, strict=True)]


def _cost(counts: Counts, more: Counts, costs: NDArray[np.float64]) -> float:
    """Return what the attempts of `more` cost; at new problems, as much as on average."""
    of_new = float(np.mean(costs))
    return float(
        sum(
            n * (of_new if at is None else costs[at])
            for n, at in zip(more.attempts, _positions(counts, more), strict=True)
        )
    )


def _added(counts: Counts, more: Counts, may_be_new: bool) -> Counts:
    """Return the sums of both."""
    at = _positions(counts, more)
    new = np.array([i for i, position in enumerate(at) if position is None], dtype=np.int64)
    if len(new) and (not may_be_new or counts.covariates):
        first = int(new[0])
        raise CountsError(
            "outcomes must be of problems in the counts, as the forecast is about these: "
            f"{len(new):,} of {len(more):,} rows break this, the first is row {first + 1}: "
            f"benchmark={more.benchmark[first]!r}, system={more.system[first]!r}, "
            f"problem={more.problem[first]!r}. What to do: are the problems named alike? New ones "
            "need target='population'"
            + (" and counts without covariates" if counts.covariates else ""),
            rule="outcomes must be of problems in the counts",
            rows=len(new),
            first=first + 1,
        )
    columns: dict[str, Any] = {
        name: np.append(getattr(counts, name), getattr(more, name)[new]) for name in COLUMNS
    }
    for i, position in enumerate(at):
        if position is not None:
            for name in ("attempts", "successes"):
                columns[name][position] += getattr(more, name)[i]
    return Counts(**columns, stopping="adaptive", covariates=counts.covariates)


class _File:
    """A file of counts that is replaced whole, its other columns as they are."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(os.path.realpath(path))  # so that all names of a file are one state
        self.text = self._read()

    def _read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read: {error.strerror or error}") from None

    def write(self, counts: Counts) -> None:
        """Replace the file, unless it is not as it was left; other processes wait meanwhile."""
        text = self._text(counts)
        with alone(self.path.with_name(f".{self.path.name}.lock"), str(self.path), PATIENCE):
            if self._read() != self.text:
                raise InputError(
                    f"{self.path}: was changed since this plan read it, and is left as it is. What "
                    "to do: make the plan anew from the file, then tell it these outcomes again"
                )
            write(self.path, text)
        self.text = text

    def _text(self, counts: Counts) -> bytes:
        """Return what the file is to hold."""
        import pandas as pd

        old = pd.read_csv(
            io.BytesIO(self.text),
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            skipinitialspace=True,
            index_col=False,
        )
        frame = old.reindex(range(len(counts)), fill_value="")
        for name in COLUMNS:
            if name in old or name in ("problem", "attempts", "successes"):
                frame[name] = getattr(counts, name)
        return frame.to_csv(index=False, lineterminator="\n").encode()
