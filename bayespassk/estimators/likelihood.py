"""The beta-binomial likelihood, maximised for many weightings of the same rows at once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special as sp

from bayespassk.arrays import Floats, Ints
from bayespassk.cells import Cells
from bayespassk.special import NUMPY, log_binomial

__all__ = ["Box", "MaximumLikelihood", "fisher_information", "maximise"]


MOST_STEPS = 200
MOST_HALVINGS = 40

EXACT = 4096
"""Up to this many attempts an expectation over the successes is summed term by term."""

END = 1024
"""Beyond that, this many terms at either end are; the sum between is an integral on panels."""


class Box(NamedTuple):
    """Where (alpha, beta) is looked for, and from where."""

    low: tuple[float, float]
    high: tuple[float, float]
    start: tuple[float, float]


class MaximumLikelihood(NamedTuple):
    """alpha and beta, dims (replicate,)."""

    alpha: Floats
    beta: Floats


class _Term(NamedTuple):
    """Sum over rows of log Gamma(x + m) - log Gamma(x), for distinct m with their weights."""

    m: Floats
    weights: Floats  # dims (replicate, m)

    def value(self, x: Floats) -> Floats:
        return np.asarray((self.weights * NUMPY.log_rising(x[:, None], self.m)).sum(-1))

    def derivatives(self, x: Floats) -> tuple[Floats, Floats]:
        x = x[:, None]
        first = sp.digamma(x + self.m) - sp.digamma(x)
        second = sp.zeta(2.0, x + self.m) - sp.zeta(2.0, x)
        return (self.weights * first).sum(-1), (self.weights * second).sum(-1)


def _term(m: Ints, weights: Floats) -> _Term:
    """Return the term with equal m put together; m = 0 adds nothing."""
    values, inverse = np.unique(m, return_inverse=True)
    total = np.zeros((len(values), len(weights)))
    np.add.at(total, inverse, weights.T)
    kept = values > 0
    return _Term(values[kept].astype(float), total.T[:, kept])


class _LogLikelihood(NamedTuple):
    """The log likelihood as a function of (log alpha, log beta), dims (replicate, 2)."""

    successes: _Term
    failures: _Term
    attempts: _Term

    def rows(self, kept: NDArray[np.bool_]) -> "_LogLikelihood":
        return _LogLikelihood(*(_Term(term.m, term.weights[kept]) for term in self))

    def value(self, theta: Floats) -> Floats:
        alpha, beta = np.exp(theta.T)
        gain = self.successes.value(alpha) + self.failures.value(beta)
        return np.asarray(gain - self.attempts.value(alpha + beta))

    def derivatives(self, theta: Floats) -> tuple[Floats, Floats]:
        alpha, beta = np.exp(theta.T)
        a1, a2 = self.successes.derivatives(alpha)
        b1, b2 = self.failures.derivatives(beta)
        n1, n2 = self.attempts.derivatives(alpha + beta)
        gradient = np.stack([alpha * (a1 - n1), beta * (b1 - n1)], axis=-1)
        hessian = np.empty((len(theta), 2, 2))
        hessian[:, 0, 0] = alpha**2 * (a2 - n2) + gradient[:, 0]
        hessian[:, 1, 1] = beta**2 * (b2 - n2) + gradient[:, 1]
        hessian[:, 0, 1] = hessian[:, 1, 0] = -alpha * beta * n2
        return gradient, hessian


def maximise(cells: Cells, weights: Floats, box: Box) -> MaximumLikelihood:
    """Return the alpha and beta of the largest beta-binomial likelihood in the box.

    By Newton's method in (log alpha, log beta), with steps that go uphill and halve until they
    arrive higher, for all rows of weights at once. With many rows they start where the likelihood
    of all problems is largest.
    """
    likelihood = _LogLikelihood(
        _term(cells.successes, weights),
        _term(cells.failures, weights),
        _term(cells.successes + cells.failures, weights),
    )
    start = np.array(box.start)
    if len(weights) > 1:
        whole = maximise(cells, cells.problems[None, :].astype(float), box)
        start = np.clip([whole.alpha[0], whole.beta[0]], 1e-2, 1e2)
    theta = _climb(
        likelihood,
        np.tile(np.log(start), (len(weights), 1)),
        (np.log(box.low), np.log(box.high)),
        weights.sum(-1),
    )
    alpha, beta = np.clip(np.exp(theta), box.low, box.high).T
    return MaximumLikelihood(alpha, beta)


def _climb(
    likelihood: _LogLikelihood, start: Floats, bounds: tuple[Floats, Floats], problems: Floats
) -> Floats:
    theta = start.copy()
    moving = np.ones(len(theta), dtype=bool)
    for _ in range(MOST_STEPS):
        part, here = likelihood.rows(moving), theta[moving]
        gradient, hessian = part.derivatives(here)
        outward = (here <= bounds[0]) & (gradient < 0) | (here >= bounds[1]) & (gradient > 0)
        gradient = np.where(outward, 0.0, gradient)
        step = _uphill(gradient, hessian, outward, problems[moving])
        new = _higher(part, here, step, bounds)
        theta[moving] = new
        flat = np.abs(gradient).max(-1) <= 1e-10 * problems[moving]
        moving[moving] = ~flat & (np.abs(new - here).max(-1) > 1e-12)
        if not moving.any():
            break
    return theta


def _uphill(
    gradient: Floats, hessian: Floats, fixed: NDArray[np.bool_], problems: Floats
) -> Floats:
    """Return Newton's steps, with the curvature made that of a hill where it is not."""
    hessian = np.where(fixed[:, :, None] | fixed[:, None, :], 0.0, hessian)
    curvature, direction = np.linalg.eigh(hessian)
    steepness = np.maximum(np.abs(curvature), 1e-12 * problems[:, None])
    along = np.einsum("rij,ri->rj", direction, gradient) / steepness
    step = np.where(fixed, 0.0, np.einsum("rij,rj->ri", direction, along))
    longest = np.abs(step).max(-1, keepdims=True)
    return np.asarray(step * np.minimum(1.0, 2.0 / np.maximum(longest, 1e-300)))


def _higher(
    likelihood: _LogLikelihood, here: Floats, step: Floats, bounds: tuple[Floats, Floats]
) -> Floats:
    """Return where the steps lead, halved until that is no lower; `here` if it always is."""
    result, before = here.copy(), likelihood.value(here)
    left = np.ones(len(here), dtype=bool)
    for halving in range(MOST_HALVINGS):
        candidate = np.clip(here[left] + step[left] * 0.5**halving, *bounds)
        value = likelihood.rows(left).value(candidate)
        good = value >= before[left]
        accepted = np.flatnonzero(left)[good]
        result[accepted] = candidate[good]
        left[accepted] = False
        if not left.any():
            break
    return result


def fisher_information(cells: Cells, alpha: float, beta: float) -> Floats:
    """Return the expected information of (alpha, beta) in all problems of a system, dims (2, 2).

    For n attempts, with t the trigamma function and c the successes of a new problem,
    ``t(alpha) - E t(alpha+c)``, ``t(beta) - E t(beta+n-c)`` on the diagonal, less the term of
    both, ``t(alpha+beta) - t(alpha+beta+n)``. The expectations are sums, not simulations.
    """
    attempts = cells.successes + cells.failures
    total = np.zeros((2, 2))
    for n in np.unique(attempts[attempts > 0]):
        problems = cells.problems[attempts == n].sum()
        c, weight = _successes(int(n))
        log_pmf = log_binomial(n, c) + NUMPY.log_beta_ratio(alpha, beta, c, n - c)
        pmf = weight * np.exp(log_pmf)
        both = sp.zeta(2.0, alpha + beta) - sp.zeta(2.0, alpha + beta + n)
        of_alpha = (pmf * (sp.zeta(2.0, alpha) - sp.zeta(2.0, alpha + c))).sum()
        of_beta = (pmf * (sp.zeta(2.0, beta) - sp.zeta(2.0, beta + n - c))).sum()
        total += problems * (np.diag([of_alpha, of_beta]) - both)
    return total


def _successes(n: int) -> tuple[Floats, Floats]:
    """Return points and weights with which a sum over c = 0 to n of a smooth function is one."""
    if n <= EXACT:
        return np.arange(n + 1.0), np.ones(n + 1)
    ends = np.arange(float(END))
    edges = [END - 0.5]
    while edges[-1] < n / 2:
        edges.append(min(2 * edges[-1], n / 2))
    x, w = np.polynomial.legendre.leggauss(24)
    low, high = np.array(edges[:-1])[:, None], np.array(edges[1:])[:, None]
    inner = ((low + high) / 2 + (high - low) / 2 * x).ravel()
    weight = ((high - low) / 2 * w).ravel()
    c = np.concatenate([ends, inner, n - inner, n - ends])
    return c, np.concatenate([np.ones(END), weight, weight, np.ones(END)])
