"""The problems that were attempted: draws of their success probabilities given their counts."""

from collections.abc import Callable, Iterator

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.arrays import CHUNK, Floats
from bayespassk.families.base import Parameters
from bayespassk.options import system_seed
from bayespassk.posterior import Part, family_of, parts_of
from bayespassk.special import log_no_success

__all__ = ["Seen"]

type Expected = Callable[[Parameters, Floats, Floats], Floats]
"""Takes parameters (draw,), successes and failures (cell, 1); returns dims (draw, cell, value)."""

COPIES = 64
"""Problems with equal counts that are drawn one by one; see `Seen`."""

HELD = CHUNK // 2
"""Success probabilities held at a time."""


class Seen:
    """The attempted problems of one system, for each draw of the posterior.

    Given the parameters, problems are independent, and p of a problem with (c, n) comes from its
    own posterior. Problems with equal counts are drawn one by one if there are at most `COPIES`
    of them. Where there are more, cost must not grow with their number w:

    * a mean over problems: the mean over `COPIES` = m of them is pulled towards its expectation
      by sqrt(m / w). This has exactly the mean, and the covariance over k, of the mean over all
      w, and by the central limit theorem very nearly its distribution.
    * a run: how many of the w are first solved between one k and the next is multinomial.

    Parameters
    ----------
    fit : DataTree
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
        fit: xr.DataTree,
        system: int,
        seed: int,
        rows: NDArray[np.bool_] | None = None,
    ):
        self.family = family_of(fit)
        self.parts = parts_of(fit, system, rows)
        self.problems = int(sum(part.cells.problems.sum() for part in self.parts))
        """How many problems there are."""
        posterior = fit["posterior"].dataset
        self.shape = posterior.sizes["chain"], posterior.sizes["draw"]
        self.seed = system_seed(seed, str(posterior["system"].values[system]))

    def pass_at_k(self, ks: NDArray[np.int64]) -> Floats:
        """Return the mean over problems of 1 - (1-p)^k, dims (chain, draw, k)."""

        def expected(parameters: Parameters, c: Floats, f: Floats) -> Floats:
            moments = self.family.log_moment(parameters, c, f + np.append(0.0, ks))
            return np.asarray(-np.expm1(moments[..., 1:] - moments[..., :1]))

        return self.mean(lambda rate, k: -np.expm1(-k * rate), ks, expected)

    def fail_at_k(self, ks: NDArray[np.int64]) -> Floats:
        """Return the mean over problems of (1-p)^k, dims (chain, draw, k): digits of small ones."""

        def expected(parameters: Parameters, c: Floats, f: Floats) -> Floats:
            moments = self.family.log_moment(parameters, c, f + np.append(0.0, ks))
            return np.asarray(np.exp(moments[..., 1:] - moments[..., :1]))

        return self.mean(lambda rate, k: np.exp(-k * rate), ks, expected)

    def pass_hat_k(self, ks: NDArray[np.int64]) -> Floats:
        """Return the mean over problems of p^k, dims (chain, draw, k)."""

        def expected(parameters: Parameters, c: Floats, f: Floats) -> Floats:
            moments = self.family.log_moment(parameters, c + np.append(0.0, ks), f)
            return np.asarray(np.exp(moments[..., 1:] - moments[..., :1]))

        return self.mean(lambda rate, k: _success_probability(rate) ** k, ks, expected)

    def mean(
        self,
        of: Callable[[Floats, float], Floats],
        values: NDArray[np.int64] | Floats,
        expected: Expected,
    ) -> Floats:
        """Return the mean over problems of a function, dims (chain, draw, value).

        Parameters
        ----------
        of : callable
            Takes the rates -log(1-p), dims (draw, problem), and one of `values`.
        values : array, dims (value,)
        expected : callable
            Returns the posterior expectation of the function for a problem of given counts.
        """
        result = np.zeros((self.shape[0] * self.shape[1], len(values)))
        for part, cells, draws, parameters, rng in self._blocks():
            problems = part.cells.problems
            many, copies = cells & (problems > COPIES), np.minimum(problems, COPIES)
            pull = np.sqrt(copies / problems)
            weight = np.where(cells, pull * problems / copies, 0.0) / self.problems
            copies = np.where(cells, copies, 0)
            rate, weight = self.rates(part, parameters, copies, rng), np.repeat(weight, copies)
            result[draws] += np.stack([of(rate, value) @ weight for value in values], axis=-1)
            if many.any():
                weight = ((1 - pull) * problems)[many] / self.problems
                c, f = _large(part, many)
                for some, given in _in_parts(draws, parameters, c.size * len(values)):
                    result[some] += np.einsum("scj,c->sj", expected(given, c, f), weight)
        return result.reshape(*self.shape, len(values))

    def realised(self, ks: NDArray[np.int64]) -> Floats:
        """Return the share of problems that one new run solves by k, dims (chain, draw, k).

        A run first succeeds after more than k attempts with probability (1 - p)^k, so it has
        succeeded by k where k times the rate is at least a standard exponential.
        """
        result = np.zeros((self.shape[0] * self.shape[1], len(ks)))
        order = np.argsort(ks)
        for part, cells, draws, parameters, rng in self._blocks():
            problems = part.cells.problems
            many = cells & (problems > COPIES)
            rate = self.rates(part, parameters, np.where(cells & ~many, problems, 0), rng)
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

    def of_log(
        self, attempts: NDArray[np.int64], ks: NDArray[np.int64], draws: int = 1000
    ) -> Floats:
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
            made = attempts[part.rows]
            flat = {name: value.ravel()[chosen] for name, value in part.parameters.items()}
            step = max(1, HELD // len(c))
            for i in range(0, len(chosen), step):
                some = slice(i, i + step)
                p = self.family.draw_seen({n: v[some] for n, v in flat.items()}, rng, c, f)
                result[some] += _solved(c + rng.binomial(made - c - f, p), made, ks)
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

    def rates(
        self,
        part: Part,
        parameters: Parameters,
        copies: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> Floats:
        """Return draws of -log(1 - p), dims (draw, problem), so many of each cell."""
        successes = np.repeat(part.cells.successes, copies)
        failures = np.repeat(part.cells.failures, copies)
        p = self.family.draw_seen(parameters, rng, successes, failures)
        with np.errstate(divide="ignore"):
            return -np.log1p(-p)


def _solved(
    successes: NDArray[np.int64], attempts: NDArray[np.int64], ks: NDArray[np.int64]
) -> Floats:
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


def _success_probability(rate: Floats) -> Floats:
    return np.asarray(-np.expm1(-rate))


def _large(part: Part, many: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return the successes and failures of the large cells, dims (cell, 1)."""
    cells = part.cells
    return cells.successes[many][:, None].astype(float), cells.failures[many][:, None].astype(float)
