"""The problems that were attempted: draws of their success probabilities given their counts."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bayespassk.arrays import CHUNK, Floats, Ints
from bayespassk.families import Family
from bayespassk.families.base import Parameters
from bayespassk.families.spreading import spread
from bayespassk.options import system_seed
from bayespassk.posterior.fitted import Fitted, Part
from bayespassk.special import log_no_success

__all__ = ["Averaged", "Seen", "rates_of"]

COPIES = 64
"""Problems with equal counts that are drawn one by one; see `Seen`."""

HELD = CHUNK // 2
"""Success probabilities held at a time."""


class Averaged(Protocol):
    """A question about the mean over problems of a function of p; see `question.Mean`."""

    @property
    def values(self) -> NDArray[Any]:
        """What it is asked at, dims (value,)."""

    def drawn(
        self,
        family: Family,
        parameters: Parameters,
        rng: np.random.Generator,
        successes: Ints,
        failures: Ints,
    ) -> Floats:
        """Draw what `each` takes, dims (..., draw, problem)."""

    def at(self, family: Family, parameters: Parameters, logit: Floats) -> Floats:
        """Return what `each` takes from logit p, dims (..., draw, problem)."""

    def each(self, drawn: Floats, value: float) -> Floats:
        """Return the function at one of `values`, dims (draw, problem)."""


class Seen:
    """The attempted problems of one system, for each draw of the posterior.

    Given the parameters, problems are independent, and p of a problem with (c, n) comes from its
    own posterior. Problems with equal counts are drawn one by one if there are at most `COPIES`
    of them. Where there are more, cost must not grow with their number: how many of them have
    which p is multinomial, and so is how many are first solved between one k and the next.

    Parameters
    ----------
    fitted : Fitted
    system : int
        Its position in the fit.
    seed : int
        The same seed gives the same draws of p, whatever is asked of them. Draws of different
        systems are those of the joint posterior.
    rows : array of bool, dims (row,), optional
        Which rows of the fit to look at; by default all of the system.
    """

    def __init__(
        self,
        fitted: Fitted,
        system: int,
        seed: int,
        rows: NDArray[np.bool_] | None = None,
    ):
        self.family = fitted.family
        self.parts = fitted.parts[system] if rows is None else fitted.parts_of(system, rows)
        self.problems = int(sum(part.cells.problems.sum() for part in self.parts))
        """How many problems there are."""
        self.system = fitted.systems[system]
        self.shape = fitted.shape
        self.seed = system_seed(seed, fitted.systems[system])

    def mean(self, question: Averaged) -> Floats:
        """Return the mean over problems of a function of p, dims (chain, draw, value)."""
        values = question.values
        result = np.zeros((self.shape[0] * self.shape[1], len(values)))
        for part, cells, draws, parameters, rng in self._blocks():
            copies = np.where(cells & ~_many(part), part.cells.problems, 0)
            if not copies.any():
                continue
            drawn = question.drawn(self.family, parameters, rng, *_each(part, copies))
            result[draws] += np.stack([question.each(drawn, v).sum(-1) for v in values], axis=-1)
        rng = np.random.default_rng([self.seed, 8])
        for part in self.parts:
            many = _many(part)
            if many.any():
                self._add_spread(result, question, part, many, rng)
        return (result / self.problems).reshape(*self.shape, len(values))

    def _add_spread(
        self,
        result: Floats,
        question: Averaged,
        part: Part,
        many: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> None:
        """Add the sums over the problems of the large cells, dims (draw, value)."""
        flat = {name: value.ravel() for name, value in part.parameters.items()}
        cells = part.cells
        counts = cells.successes[many], cells.failures[many], cells.problems[many]
        for one in spread(self.family, flat, rng, *counts):
            own = {name: value[one.draws] for name, value in flat.items()}
            at = question.at(self.family, own, one.logit)
            for j, value in enumerate(question.values):
                each = question.each(at, value)
                total = one.problems @ each[0] if len(each) == 1 else (one.problems * each).sum(-1)
                result[one.draws, j] += total

    def realised(self, ks: Ints | Floats) -> Floats:
        """Return the share of problems that one new run solves by k, dims (chain, draw, k).

        A run first succeeds after more than k attempts with probability (1 - p)^k, so it has
        succeeded by k where k times the rate is at least a standard exponential.
        """
        result = np.zeros((self.shape[0] * self.shape[1], len(ks)))
        order = np.argsort(ks)
        for part, cells, draws, parameters, rng in self._blocks():
            problems = part.cells.problems
            many = cells & _many(part) & (part.cells.failures >= 0)  # of patterns of runs: few
            few = _each(part, np.where(cells & ~many, problems, 0))
            rate = rates_of(self.family, parameters, rng, *few)
            patience = rng.standard_exponential(rate.shape)
            result[draws] += np.stack([(k * rate >= patience).sum(-1) for k in ks], axis=-1)
            if many.any():
                c, f = _large(part, many)
                for some, given in _in_parts(draws, parameters, c.size * len(ks)):
                    moments = self.family.log_moment(given, c, f + np.append(0.0, ks[order]))
                    by = -np.expm1(moments[..., 1:] - moments[..., :1])
                    between = np.diff(by, prepend=0.0, append=1.0).clip(0.0)
                    first = rng.multinomial(problems[many], between)[..., :-1]
                    result[some, order] += first.cumsum(-1).sum(1)
        return (result / self.problems).reshape(*self.shape, len(ks))

    def each_problem(self) -> Iterator[tuple[slice, Floats, np.random.Generator]]:
        """Yield some draws of the posterior with the p of every problem, dims (draw, problem)."""
        rng = np.random.default_rng([self.seed, 1])
        total = self.shape[0] * self.shape[1]
        step = max(1, CHUNK // self.problems)
        for i in range(0, total, step):
            draws = slice(i, min(i + step, total))
            drawn = [
                self.family.draw_seen(
                    {name: value.ravel()[draws] for name, value in part.parameters.items()},
                    rng,
                    *_each(part, part.cells.problems),
                )
                for part in self.parts
            ]
            yield draws, np.concatenate(drawn, axis=1), rng

    def each_row(self) -> tuple[Floats, Ints]:
        """Return draws of the p of every problem, dims (draw, problem), and which row each is."""
        rng = np.random.default_rng([self.seed, 9])
        drawn = [
            self.family.draw_seen(
                {name: value.ravel() for name, value in part.parameters.items()},
                rng,
                part.cells.successes[part.cells.inverse],
                part.cells.failures[part.cells.inverse],
            )
            for part in self.parts
        ]
        return np.concatenate(drawn, axis=1), np.concatenate([part.rows for part in self.parts])

    def of_log(self, attempts: Ints, ks: Ints, draws: int = 1000) -> Floats:
        """Return Chen's estimate from a longer log, of which the fit saw a part: dims (draw, k).

        The hidden attempts at a problem succeed with its p, drawn given what was shown of it; the
        successes shown are successes of the log. For k far below the attempts this is pass@k of
        the benchmark, and at k equal to them the share of problems solved in that very run.

        Parameters
        ----------
        attempts : array of int, dims (row,)
            Attempts in all, of each row of the fit: no fewer than the fit saw.
        ks : array of int, dims (k,)
            At most the fewest of them at a problem of this system.
        draws : int
            How many draws of the posterior to look at, evenly spread over its chains.
        """
        rng = np.random.default_rng([self.seed, 6])
        total = self.shape[0] * self.shape[1]
        chosen = np.linspace(0, total - 1, min(draws, total)).astype(np.int64)
        result = np.zeros((len(chosen), len(ks)))
        for part in self.parts:
            c, f = part.cells.successes[part.cells.inverse], part.cells.failures[part.cells.inverse]
            solved, failed = self.family.outcomes(c, f)
            made = attempts[part.rows]
            flat = {name: value.ravel()[chosen] for name, value in part.parameters.items()}
            step = max(1, HELD // len(c))
            for i in range(0, len(chosen), step):
                some = slice(i, i + step)
                p = self.family.draw_seen({n: v[some] for n, v in flat.items()}, rng, c, f)
                result[some] += _solved(solved + rng.binomial(made - solved - failed, p), made, ks)
        return result / self.problems

    def _blocks(
        self,
    ) -> Iterator[tuple[Part, NDArray[np.bool_], slice, dict[str, Floats], np.random.Generator]]:
        """Yield each part with some cells and some draws, few enough to hold their p at once.

        All draws of a few cells rather than all cells of a few draws: what is chosen to suit
        draws, as are the nodes of a quadrature, is then chosen once for each cell.
        """
        rng = np.random.default_rng(self.seed)
        total = self.shape[0] * self.shape[1]
        for part in self.parts:
            flat = {name: value.ravel() for name, value in part.parameters.items()}
            each = np.minimum(part.cells.problems, COPIES)
            block = (np.cumsum(each) - each) // max(COPIES, HELD // total)
            step = max(1, HELD // max(1, int(np.bincount(block, each).max())))
            for number in range(int(block[-1]) + 1):
                for i in range(0, total, step):
                    draws = slice(i, min(i + step, total))
                    some = {name: value[draws] for name, value in flat.items()}
                    yield part, block == number, draws, some, rng


def rates_of(
    family: Family,
    parameters: Parameters,
    rng: np.random.Generator,
    successes: Ints,
    failures: Ints,
) -> Floats:
    """Return draws of -log(1-p) of problems with these counts, dims (draw, problem)."""
    p = family.draw_seen(parameters, rng, successes, failures)
    with np.errstate(divide="ignore"):
        return -np.log1p(-p)


def _each(part: Part, copies: Ints) -> tuple[Ints, Ints]:
    """Return the successes and failures of so many problems of each cell, dims (problem,)."""
    cells = part.cells
    return np.repeat(cells.successes, copies), np.repeat(cells.failures, copies)


def _solved(successes: Ints, attempts: Ints, ks: Ints) -> Floats:
    """Return the sum over problems of Chen's 1 - C(n-c, k) / C(n, k), dims (draw, k).

    `successes` have dims (draw, problem); what is distinct among them is evaluated once.
    """
    sizes, which = np.unique(attempts, return_inverse=True)
    pairs, inverse = np.unique(successes * len(sizes) + which, return_inverse=True)
    c, n = pairs // len(sizes), sizes[pairs % len(sizes)]
    solved = -np.expm1(log_no_success(c[:, None], n[:, None], ks))
    result = np.empty((len(successes), len(ks)))
    for i in range(len(ks)):
        result[:, i] = solved[:, i][inverse].sum(-1)
    return result


def _in_parts(
    draws: slice, parameters: Parameters, width: int
) -> Iterator[tuple[slice, dict[str, Floats]]]:
    """Yield a few draws at a time with their parameters, where each takes `width` numbers."""
    step = max(1, HELD // width)
    for i in range(draws.start, draws.stop, step):
        some = slice(i, min(i + step, draws.stop))
        inner = slice(some.start - draws.start, some.stop - draws.start)
        yield some, {name: value[inner] for name, value in parameters.items()}


def _many(part: Part) -> NDArray[np.bool_]:
    """Return which cells have too many problems to draw them one by one, dims (cell,)."""
    return part.cells.problems > COPIES


def _large(part: Part, many: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return the successes and failures of the large cells, dims (cell, 1)."""
    cells = part.cells
    return cells.successes[many][:, None].astype(float), cells.failures[many][:, None].astype(float)
