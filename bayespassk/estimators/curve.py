"""Chen's estimate at many k, for the regressions on it."""

from typing import NamedTuple

import numpy as np

from bayespassk.arrays import Floats, Ints
from bayespassk.cells import Cells
from bayespassk.estimators.weighted import mean
from bayespassk.special import log_no_success

__all__ = ["Curve", "chen_curve", "log_spaced"]


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
    n = cells.successes + cells.failures
    log_fail = log_no_success(cells.successes[:, None], n[:, None], distinct)[:, inverse]
    return Curve(np.log(ks), mean(-np.expm1(log_fail), weights), mean(np.exp(log_fail), weights))
