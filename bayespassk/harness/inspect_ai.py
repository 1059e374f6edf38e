"""In Inspect: a task ends when the band of pass@k is narrow enough."""

import logging
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
from inspect_ai.util import EarlyStop

from bayespassk.counts import Counts
from bayespassk.errors import CountsError, OptionError
from bayespassk.families import Family, as_family
from bayespassk.logs.attempts import Outcome
from bayespassk.logs.inspect_log import WORDS, values_of
from bayespassk.options import Target
from bayespassk.planning.live import Plan

if TYPE_CHECKING:
    from inspect_ai.dataset import Sample
    from inspect_ai.log import EvalSpec
    from inspect_ai.scorer import SampleScore

__all__ = ["NarrowEnough"]

log = logging.getLogger(__name__)


class NarrowEnough:
    """Inspect's early stopping by a band of pass@k: epochs go where they narrow it.

    Give the task the most epochs that any sample may have, and this as ``early_stopping``. All
    samples have `first` epochs; then each has a further one only where that narrows the band, and
    the task ends when the band is narrow enough or the budget is spent. A sample that is skipped at
    one epoch may be attempted at a later one. The log that is left is read by
    :func:`bayespassk.read` with the stopping rule "adaptive".

    Parameters
    ----------
    k : int
        Attempts allowed in the question asked, 1 to 1e12.
    half_width : float, optional
        Half the width of the band to reach. This or `budget` must be given.
    budget : int, optional
        Attempts that may be made, over all samples, `first` epochs among them.
    target, family, prob, random_seed
        As for :class:`bayespassk.Plan`.
    first : int
        Epochs of all samples before the first look.
    batch : int, optional
        Attempts between looks; by default as many as there are samples, or a tenth of those made if
        that is more.
    scorer, threshold, values
        As for :func:`bayespassk.read`, where the scores are not 0 or 1, or there are several.

    Raises
    ------
    OptionError
        If an option means nothing.

    Notes
    -----
    Posterior and band ignore when attempts were stopped, and rightly so; averages over epochs such
    as Inspect's own accuracy are biased after it: it has more epochs of the samples that are hard
    to tell. Stopping when a band is narrow selects for narrow bands: coverage is that of the
    posterior on average over the prior.

    An attempt that ends in an error or without a score that can be read is not counted, and not
    made again. Where no outcome of the first epochs can be read, nothing is skipped.

    One of these is for one task at a time: give each task its own.

    Examples
    --------
    >>> from inspect_ai import Task
    >>> from inspect_ai.dataset import Sample
    >>> from bayespassk.harness.inspect_ai import NarrowEnough
    >>> task = Task(
    ...     dataset=[Sample(input="1 + 1 = ?", target="2")],
    ...     epochs=100,
    ...     early_stopping=NarrowEnough(k=1000, half_width=0.05),
    ... )
    """

    def __init__(
        self,
        k: float,
        half_width: float | None = None,
        *,
        budget: int | None = None,
        target: Target = "benchmark",
        family: Family | str | None = None,
        prob: float = 0.95,
        first: int = 3,
        batch: int | None = None,
        scorer: str | None = None,
        threshold: float | None = None,
        values: Mapping[Any, Any] | None = None,
        random_seed: int = 1,
    ):
        for name, value in {"first": first, "batch": batch, "budget": budget}.items():
            if value is not None and (isinstance(value, bool) or value != int(value) or value < 1):
                raise OptionError(f"{name} must be a whole number, 1 or more; got {value!r}")
        self._asked: dict[str, Any] = {
            "k": k, "half_width": half_width, "target": target, "family": as_family(family),
            "prob": prob, "random_seed": random_seed,
        }  # fmt: skip
        self._budget, self._first, self._batch = budget, first, batch
        self._scorer = scorer
        self._outcome = Outcome(threshold=threshold, values=values, words=WORDS)
        self._lock = threading.Lock()
        nothing = Counts(problem=["a problem"], attempts=[0], successes=[0])
        Plan(nothing, budget=budget, **self._asked)  # which checks all of it
        self._begin([], 0)

    # The protocol of Inspect ---------------------------------------------------------------------

    async def start_task(self, task: "EvalSpec", samples: "list[Sample]", epochs: int) -> str:
        """Take what is to be attempted; called by Inspect."""
        del task
        self._begin([str(one.id) for one in samples], epochs)
        return f"bayespassk {metadata.version('bayespassk')}"

    async def schedule_sample(self, id: str | int, epoch: int) -> EarlyStop | None:  # noqa: A002
        """Say whether an epoch of a sample is to be skipped; called by Inspect."""
        # Fits take a moment, in which other samples go on.
        why = await anyio.to_thread.run_sync(self._skip, str(id), epoch)
        return None if why is None else EarlyStop(id=id, epoch=epoch, reason=why)

    async def complete_sample(
        self,
        id: str | int,  # noqa: A002 -- as Inspect calls it
        epoch: int,
        scores: "dict[str, SampleScore]",
    ) -> None:
        """Take the outcome of an attempt; called by Inspect."""
        del epoch
        # Without the lock, which is held while another thread fits.
        self._outcomes.append((str(id), self._read(scores)))

    async def complete_task(self) -> dict[str, Any]:
        """Return what is to be known of the stopping; called by Inspect."""
        return await anyio.to_thread.run_sync(self._summary)

    # How -----------------------------------------------------------------------------------------

    def _begin(self, names: list[str], epochs: int) -> None:
        self._names, self._epochs = names, epochs
        self._made: Counter[str] = Counter()  # attempts that were let go ahead
        self._queue: Counter[str] = Counter()  # what is wanted further
        self._next = 0  # attempts at which to look again
        self._outcomes: list[tuple[str, int | None]] = []
        self._over: str | None = None
        self._warned = self._looked = False

    def _read(self, scores: "dict[str, SampleScore]") -> int | None:
        """Return the outcome among the scores, None if there is none that can be read."""
        try:
            each = {name: {"value": one.score.value} for name, one in scores.items()}
            found = dict(values_of(each, "an attempt"))
            if self._scorer is None and len(found) > 1:
                raise CountsError(f"there are several scores ({', '.join(found)}): choose scorer=")
            name = next(iter(found), "") if self._scorer is None else self._scorer
            return self._outcome(found.get(name))
        except CountsError as error:
            if not self._warned:
                log.warning("bayespassk leaves out attempts that it cannot read: %s", error)
            self._warned = True
            return None

    def _skip(self, name: str, epoch: int) -> str | None:
        """Return why an epoch of a sample is skipped, None if it goes ahead."""
        with self._lock:
            if self._over is None and self._made.total() >= (self._budget or np.inf):
                self._over = "budget spent"
            if self._over is not None:
                return self._over
            later = epoch > self._first
            if later and (self._made.total() >= self._next or not self._queue.total()):
                with _quietly():
                    self._look(epoch)
            if self._over is not None:
                return self._over
            if later and self._looked and not self._queue[name]:
                return "narrows the band less than others"
            self._queue[name] -= self._queue[name] > 0
            self._made[name] += 1
            return None

    def _look(self, epoch: int) -> None:
        """Decide by all outcomes so far whether it is enough, or what is to be attempted next."""
        counts = self._counts()
        self._looked = counts.attempts.any()
        if not self._looked:
            return
        # An epoch that is skipped is lost. So a sample goes ahead as long as the cheapest way to
        # the band has further attempts at it: all of them where the band is out of reach.
        limit = np.full(len(counts), self._epochs - epoch + 1.0)
        left = limit.sum() if self._budget is None else self._budget - self._made.total()
        plan = self._plan(counts, min(left, limit.sum()), limit)
        asked = self._asked["half_width"]
        if asked is not None and self._half_width(plan) <= asked:
            self._over = "narrow enough"
            return
        further = plan.ask(plan.needed)
        each = zip(further["problem"], further["attempts"].tolist(), strict=True)
        self._queue = Counter(dict(each))
        self._next = self._made.total() + (
            self._batch or max(len(counts), self._made.total() // 10)
        )
        if not self._queue.total():
            self._over = "budget spent"

    def _counts(self) -> Counts:
        """Return what is known so far."""
        known = [(name, outcome) for name, outcome in list(self._outcomes) if outcome is not None]
        made = Counter(name for name, _ in known)
        solved = Counter(name for name, outcome in known if outcome)
        return Counts(
            problem=self._names,
            attempts=[made[name] for name in self._names],
            successes=[solved[name] for name in self._names],
            stopping="adaptive",
        )

    def _plan(self, counts: Counts, budget: float, limit: Any = None) -> Plan:
        return Plan(counts, budget=budget, limit=limit, **self._asked)

    def _half_width(self, plan: Plan) -> float:
        band = plan.band
        return np.inf if band is None else float((band["upper"] - band["lower"]).max() / 2)

    def _summary(self) -> dict[str, Any]:
        """Return what is to be known of the stopping."""
        with self._lock:
            counts, asked = self._counts(), dict(self._asked)
            found: dict[str, Any] = {
                "status": self._over or "all epochs made",
                "attempts": self._made.total(),
                "outcomes": int(counts.attempts.sum()),
                "version": metadata.version("bayespassk"),
                **asked,
                "family": asked["family"].full_name,
                "budget": self._budget,
            }
            with _quietly():
                band = self._plan(counts, 1.0).band
            if band is not None:
                row = band.iloc[0]
                found |= {name: float(row[name]) for name in ("median", "lower", "upper")}
            return found


@contextmanager
def _quietly() -> Iterator[None]:
    """Leave out what is warned of where attempts are few: that more are to be made is the point."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
