"""Coverage at a cost: the share of problems solved where what is solved is set aside."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats
from bayespassk.asking.curves import complementary, interpolated
from bayespassk.asking.pass_at_k import FailAt, FailAtK, fail_of_kind, fail_of_problems
from bayespassk.asking.question import Kind, Question, ask
from bayespassk.asking.seen import Seen
from bayespassk.options import MOST_K, Known, check_values
from bayespassk.posterior.fitted import Fitted, opened

__all__ = ["CoverageAtCost", "coverage_at_cost"]

DIRECT = 32
"""Up to this round, coverage sums round by round; beyond it integrates."""

PANELS = 63
"""Pieces of the integral from there to 1e12 rounds, of equal width in log j."""

BETWEEN = 8
"""Rounds kept of each piece."""


def coverage_at_cost(
    fit: xr.DataTree,
    cost: float | Iterable[float],
    target: Known = "benchmark",
    *,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of the share of problems solved by a total of `cost` attempts.

    Attempts go round robin to the problems that are still unsolved, one each a round. After j
    rounds, 1 - fail@j of the problems are solved, and fail@0 + ... + fail@(j-1) attempts a problem
    are spent; part of a round solves in proportion.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    cost : float or sequence of float, dims (cost,)
        Attempts in total, over as many problems as the system attempted; positive.
    target : {"benchmark", "population"}
        The problems that were attempted, or as many new ones.
    random_seed : int, optional
        As for :func:`bayespassk.forecast`.

    Returns
    -------
    xarray.DataArray
        The expected share of problems solved, 0 to 1, dims (chain, draw, system, cost). Times the
        number of problems it is how many. Where all rounds up to 1e12 cost less than `cost`, it
        is the share that they solve.

    Raises
    ------
    OptionError
        If a cost or the target means nothing.

    Warns
    -----
    ForecastWarning
        If at the largest cost the median of the rounds is beyond 10 times the attempts made, and
        the prior weighs more than the attempts in the forecast there.

    Notes
    -----
    It needs a verifier that tells at once that an attempt succeeded. Attempts count as equally
    dear, and both share and cost are expectations at the p of a draw: the luck of one run comes on
    top, and matters for few problems.

    The sums are exact to round 32; beyond, they are integrals with the corrections of Euler and
    Maclaurin, and coverage as a function of cost is interpolated: to about 3e-5.

    References
    ----------
    ReD 2026, arXiv:2601.21522 (to discard what is solved maximises coverage at a given cost).

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> coverage = bp.coverage_at_cost(fit, [128, 1280])  # of 128 problems
    >>> bool((coverage.sel(cost=1280) > coverage.sel(cost=128)).all())
    True
    """
    check_arguments("coverage_at_cost", locals())
    costs = check_values(cost, "cost", "positive and finite", lambda v: 0 < v < math.inf)
    return ask(opened(fit), CoverageAtCost(costs), target, random_seed)


# The question ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class CoverageAtCost(Question):
    """The share of problems solved by a total of attempts."""

    values: Floats
    name: ClassVar[str] = "coverage"
    dim: ClassVar[str] = "cost"
    rests_on: ClassVar[str] = "the coverage at the largest cost"
    not_of_runs: ClassVar[str] = "coverage_at_cost, which is no matter of one run"

    def of_kind(self, kind: Kind) -> Floats:
        """Return the share of new problems, and in a last column the rounds of the largest cost."""
        return self._solved(fail_of_kind(kind), kind.problems)

    def of_problems(self, seen: Seen) -> Floats:
        """Return the share of the problems attempted, and in a last column those rounds."""
        return self._solved(fail_of_problems(seen), seen.problems)

    def _solved(self, fail_at: FailAt, problems: int) -> Floats:
        rounds, spent, fail = _rounds(fail_at)
        afforded = (spent <= self.values.max() / problems).sum(-1) - 1
        each = [_solved_at(cost / problems, spent, fail) for cost in self.values]
        return np.stack([*each, rounds[afforded]], axis=-1)

    def far(self, fitted: Fitted, answers: Sequence[Floats]) -> Floats:
        """Return the median of the rounds."""
        del fitted
        return np.array([np.median(one[..., -1]) for one in answers])

    def resting(self, found: Floats, k: float, again: Callable[[Question], Floats]) -> Floats:
        """Return fail@k there."""
        del found
        return again(FailAtK(np.array([k])))


def _rounds(fail_at: FailAt) -> tuple[Floats, Floats, Floats]:
    """Return rounds j, dims (j,), and attempts a problem before j and fail@j, dims (draw, j).

    The rounds are all up to `DIRECT`, and `BETWEEN` a panel from there.

    What is spent before j is the sum of fail@l over l < j. Beyond m = `DIRECT`, by the formula of
    Euler and Maclaurin, that is the sum to m, the integral of fail@l from m to j,
    (fail@m - fail@j) / 2 and (fail'@j - fail'@m) / 12, with a Gauss-Lobatto rule of four nodes a
    panel in log l and the derivatives of the cubics through them. In log j, log of what is spent
    and log -log fail@j are smooth, and between the panels' ends splines.
    """
    from scipy.interpolate import CubicSpline

    rounds = np.arange(DIRECT + 1.0)
    fail = fail_at(rounds[1:])
    fail = np.append(np.ones((len(fail), 1)), fail, axis=1)
    spent = np.append(np.zeros((len(fail), 1)), fail[:, :-1].cumsum(1), axis=1)
    log_edges = np.linspace(np.log(DIRECT), np.log(MOST_K), PANELS + 1)
    half, s = (log_edges[1] - log_edges[0]) / 2, 1 / math.sqrt(5)
    k = np.exp(log_edges[:-1, None] + half * (1 + np.array([-1, -s, s, 1])))
    later = fail_at(k[:, 1:].ravel()).reshape(len(fail), PANELS, 3)
    ends = np.append(fail[:, -1:], later[..., 2], axis=1)
    each = np.append(ends[:, :-1, None], later, axis=-1)
    integral = ((each * k) @ np.array([1, 5, 5, 1]) * half / 6).cumsum(1)
    slope = np.array([-1 / 2, 1 / (s + s * s), -1 / (s - s * s), 3.0]) / half
    first = each[:, 0] @ -slope[::-1] / DIRECT
    correction = (each @ slope / k[:, 3] - first[:, None]) / 12
    further = spent[:, -1:] + integral + (ends[:, :1] - ends[:, 1:]) / 2 + correction
    between = np.linspace(log_edges[0], log_edges[-1], BETWEEN * PANELS + 1)[1:]
    log_spent = np.log(np.append(spent[:, -1:], further, axis=1))
    further = np.exp(CubicSpline(log_edges, log_spent, axis=1)(between))
    ends = np.exp(-np.exp(CubicSpline(log_edges, complementary(ends), axis=1)(between)))
    return (
        np.append(rounds, np.exp(between)),
        np.append(spent, further, axis=1),
        np.append(fail, ends, axis=1),
    )


def _solved_at(cost: float, spent: Floats, fail: Floats) -> Floats:
    """Return the share solved by `cost` attempts a problem, dims (draw,); see `_rounds`."""
    right = (spent <= cost).sum(1)
    result = 1 - fail[:, -1]
    near, far = right <= DIRECT, (right > DIRECT) & (right < spent.shape[1])
    rows, column = np.flatnonzero(near), right[near]
    before, after = fail[rows, column - 1], fail[rows, column]
    result[near] = 1 - before + (cost - spent[rows, column - 1]) / before * (before - after)
    result[far] = 1 - interpolated(spent[far], fail[far], np.full(far.sum(), cost))
    return result
