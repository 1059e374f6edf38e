"""Chen's estimate at many k, for the regressions on it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayespassk.cells import Cells
from bayespassk.estimators.weighted import mean
from bayespassk.special import NUMPY

__all__ = ["Curve", "chen_curve", "log_spaced"]

type Floats = NDArray[np.float64]
type Ints = NDArray[np.int64]

DIRECT = 512
"""Logarithms summed one by one; a longer sum is a difference of two log rising factorials."""


class Curve(NamedTuple):
    """Chen's pass@k and fail@k at some k, dims (replicate, k): each exact where it is small."""

    log_k: Floats
    solved: Floats
    failed: Floats

    @property
    def log_neg_log(self) -> Floats:
        """Return log(-log pass@k): inf where nothing was solved, -inf where pass@k is 1."""
        with np.errstate(divide="ignore"):
            near_one = -np.log1p(-np.minimum(self.failed, 0.5))
            far = -np.log(self.solved)
            return np.asarray(np.log(np.where(self.failed < 0.5, near_one, far)))


def log_spaced(cells: Cells, points: int) -> Ints:
    """Return log-spaced whole k from 1 to the fewest attempts at a problem, repeats kept."""
    least = float((cells.successes + cells.failures).min())
    return np.round(np.geomspace(1.0, least, points)).astype(np.int64)


def chen_curve(cells: Cells, weights: Floats, ks: Ints) -> Curve:
    """Return the mean over problems of 1 - C(n-c, k)/C(n, k), for k <= every n."""
    distinct, inverse = np.unique(ks, return_inverse=True)
    log_fail = np.stack(
        [
            _log_fail(int(c), int(c + f), distinct)
            for c, f in zip(cells.successes, cells.failures, strict=True)
        ]
    )[:, inverse]
    return Curve(np.log(ks), mean(-np.expm1(log_fail), weights), mean(np.exp(log_fail), weights))


def _log_fail(c: int, n: int, ks: Ints) -> Floats:
    """Return log C(n-c, k) - log C(n, k), which is the same with c and k swapped."""
    few, many = np.minimum(c, ks), np.maximum(c, ks)
    result = np.full(len(ks), -np.inf)
    possible = ks <= n - c
    short = possible & (few <= DIRECT)
    if short.any():
        i = np.arange(few[short].max())
        used = i < few[short, None]
        share = np.where(used, many[short, None] / (n - i), 0.0)
        result[short] = np.log1p(-share).sum(-1)
    long = possible & ~short
    few, many = few[long].astype(float), many[long].astype(float)
    result[long] = NUMPY.log_rising(n - many - few + 1, few) - NUMPY.log_rising(n - few + 1, few)
    return result
