"""Special functions for two kinds of input: arrays (forecasts) and graphs (likelihoods).

A family writes its formula once against :class:`Special`. :data:`NUMPY` evaluates it on arrays;
:func:`graph` builds it in PyTensor, with gradients. Both are the same few lines, so the likelihood
and the forecast cannot drift apart.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special as sp

__all__ = ["NUMPY", "Special", "graph", "log_binomial", "log_no_success"]

# log Gamma(x) = (x - 1/2) log x - x + log(2 pi)/2 + sum_j _STIRLING[j] / x^(2j+1): DLMF 5.11.1.
# Five terms leave less than 1e-17 above _STIRLING_FROM.
_STIRLING = tuple(np.float64(1.0) / d for d in (12.0, -360.0, 1260.0, -1680.0, 1188.0))
_STIRLING_FROM = np.float64(20.0)


@dataclass(frozen=True)
class Special:
    """The functions a family's formula may use; arguments and results broadcast as arrays do.

    ``inner(v, rows)`` is the sum of v times each of `rows` over their last dim: dims (..., node)
    and (row, node) give (..., row).
    """

    exp: Callable[[Any], Any]
    log: Callable[[Any], Any]
    log1p: Callable[[Any], Any]
    expm1: Callable[[Any], Any]
    logaddexp: Callable[[Any, Any], Any]
    softplus: Callable[[Any], Any]
    maximum: Callable[[Any, Any], Any]
    where: Callable[[Any, Any, Any], Any]
    gammaln: Callable[[Any], Any]
    concatenate: Callable[..., Any]
    inner: Callable[[Any, Any], Any]

    def log_rising(self, x: Any, m: Any) -> Any:
        """Return log Gamma(x + m) - log Gamma(x) for x > 0, m >= 0: the log rising factorial.

        Above x = 20 the difference of two Stirling series is taken term by term, so that a few
        units in the last place of the *result* are lost instead of those of log Gamma(x); the
        plain difference is wrong by 4 nats at x = 1e15. Each branch is fed only arguments at
        which it is finite, which keeps gradients finite too.
        """
        large = x >= _STIRLING_FROM
        x_small = self.where(large, np.float64(1.0), x)
        x_large = self.where(large, x, _STIRLING_FROM)
        return self.where(large, self._rising_far(x_large, m), self._rising_near(x_small, m))

    def _rising_near(self, x: Any, m: Any) -> Any:
        return self.gammaln(x + m) - self.gammaln(x)

    def _rising_far(self, x: Any, m: Any) -> Any:
        total = x + m
        return (
            m * self.log(total)
            + (x - np.float64(0.5)) * self.log1p(m / x)
            - m
            + (_stirling_tail(total) - _stirling_tail(x))
        )

    def log_rising_over(self, x: Any, m: Any) -> Any:
        """Return the log rising factorial over m^m e^-m, for m > 0.

        Of the size of x log m: for large m the terms of the size of m log m are left out, and their
        rounding with them.
        """
        large, long = x >= _STIRLING_FROM, m >= _STIRLING_FROM
        n = self.where(long, m, _STIRLING_FROM)
        x_small = self.where(large, np.float64(1.0), x)
        x_large = self.where(large, x, _STIRLING_FROM)
        half = np.float64(0.5)
        of_small = (
            (x_small - half) * self.log(x_small + n)
            - x_small
            + np.float64(0.5 * np.log(2 * np.pi))
            + _stirling_tail(x_small + n)
            - self.gammaln(x_small)
        )
        of_large = (
            (x_large - half) * self.log1p(n / x_large)
            + _stirling_tail(x_large + n)
            - _stirling_tail(x_large)
        )
        over = n * self.log1p(x / n) + self.where(large, of_large, of_small)
        few = self.where(long, np.float64(1.0), m)
        return self.where(long, over, self.log_rising(x, few) - few * self.log(few) + few)

    def log_beta(self, alpha: Any, beta: Any) -> Any:
        """Return log B(alpha, beta), for alpha of moderate size and any beta > 0."""
        return self.gammaln(alpha) - self.log_rising(beta, alpha)

    def harmonic(self, x: Any, m: Any) -> Any:
        """Return digamma(x + m) - digamma(x), the sum of 1 / (x + i) for i below m: of arrays."""
        large = np.maximum(x, _STIRLING_FROM)
        series = np.log1p(m / large) + (_digamma_tail(large) - _digamma_tail(large + m))
        return np.where(x < _STIRLING_FROM, sp.digamma(x + m) - sp.digamma(x), series)

    def log1mexp(self, x: Any) -> Any:
        """Return log (1 - exp(x)) for x < 0, without loss near 0 or far from it."""
        near = x > np.float64(-0.7)
        return self.where(
            near,
            self.log(-self.expm1(self.where(near, x, np.float64(-0.7)))),
            self.log1p(-self.exp(self.where(near, np.float64(-0.7), x))),
        )

    def log_sigmoid(self, x: Any) -> Any:
        """Return log 1 / (1 + exp(-x)): the log of the probability whose logit is x."""
        return -self.softplus(-x)

    def log_beta_ratio(self, alpha: Any, beta: Any, a: Any, b: Any) -> Any:
        """Return log B(alpha + a, beta + b) - log B(alpha, beta) for a, b >= 0.

        The gamma functions are paired so that the largest argument meets its neighbour: with
        alpha + a < beta + b, as log (alpha)_a + log (beta)_alpha - log (beta + b)_(alpha + a),
        where (x)_m is the rising factorial. The error is a few units in the last place of
        (alpha + a) log(beta + b), at b = 1e12 as at b = 1.
        """
        swap = alpha + a > beta + b
        x, y = self.where(swap, beta, alpha), self.where(swap, alpha, beta)
        i, j = self.where(swap, b, a), self.where(swap, a, b)
        return self.log_rising(x, i) + self.log_rising(y, x) - self.log_rising(y + j, x + i)


class _Arrays(Special):
    """Of arrays: what is in one branch alone is not computed in the other."""

    def log_rising(self, x: Any, m: Any) -> Any:
        """Return log Gamma(x + m) - log Gamma(x); see :meth:`Special.log_rising`."""
        large = np.asarray(x) >= _STIRLING_FROM
        if large.all():
            return self._rising_far(x, m)
        if not large.any():
            return self._rising_near(x, m)
        return super().log_rising(x, m)

    def log_sigmoid(self, x: Any) -> Any:
        """Return log 1 / (1 + exp(-x))."""
        return np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))


def _stirling_tail(x: Any) -> Any:
    inverse_square = 1 / (x * x)
    tail = inverse_square * _STIRLING[-1]
    for coefficient in _STIRLING[-2:0:-1]:
        tail = (tail + coefficient) * inverse_square
    return (tail + _STIRLING[0]) / x


def _digamma_tail(x: Any) -> Any:
    """Return log x - digamma(x) for large x: DLMF 5.11.2."""
    square = 1 / (x * x)
    return 0.5 / x + square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square / 240)))


NUMPY = _Arrays(
    exp=np.exp,
    log=np.log,
    log1p=np.log1p,
    expm1=np.expm1,
    logaddexp=np.logaddexp,
    softplus=lambda x: np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))),  # fast
    maximum=np.maximum,
    where=np.where,
    gammaln=sp.gammaln,
    concatenate=np.concatenate,
    inner=lambda v, rows: v @ rows.T,
)


@functools.cache
def graph() -> Special:
    """Return the PyTensor namespace; PyTensor is imported only when a model is built."""
    import pytensor.tensor as pt

    return Special(
        exp=pt.exp,
        log=pt.log,
        log1p=pt.log1p,
        expm1=pt.expm1,
        logaddexp=lambda x, y: x + pt.softplus(y - x),
        softplus=pt.softplus,
        maximum=pt.maximum,
        where=pt.switch,
        gammaln=pt.gammaln,
        concatenate=pt.concatenate,
        # Not pt.dot, which takes much longer to compile.
        inner=lambda v, rows: (v[..., None, :] * rows).sum(-1),
    )


def log_binomial(n: Any, c: Any) -> Any:
    """Return log C(n, c), the number of orders in which c of n attempts can succeed."""
    n, c = np.asarray(n, dtype=float), np.asarray(c, dtype=float)
    return -np.log1p(n) - sp.betaln(c + 1.0, n - c + 1.0)


FEW = 32
"""Factors of a product that are taken one by one, which keeps the digits of a small result."""


def log_no_success(successes: Any, attempts: Any, k: Any) -> Any:
    """Return log C(n-c, k) - log C(n, k): that k attempts out of n hold none of the c successes.

    For k <= n; it is the same with c and k swapped, so the shorter of two products is taken.
    """
    c, n, k = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (successes, attempts, k)))
    few, many = np.minimum(c, k), np.maximum(c, k)
    possible = many <= n - few  # their sum may not be exact
    long = possible & (few > FEW)
    result = np.where(possible, 0.0, -np.inf)
    x, m = n[long] - few[long] + 1, few[long]
    result[long] = NUMPY.log_rising(x - many[long], m) - NUMPY.log_rising(x, m)
    short = possible & ~long
    few, many, n, total = few[short], many[short], n[short], np.zeros(short.sum())
    for i in range(int(few.max(initial=0.0))):
        total += np.log1p(-np.where(i < few, many, 0.0) / np.maximum(n - i, 1.0))
    result[short] = total
    return np.minimum(result, 0.0)
