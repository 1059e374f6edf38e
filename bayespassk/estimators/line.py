"""A straight line through log(-log pass@k) against log k."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats, Ints
from bayespassk.cells import Cells
from bayespassk.counts import Counts
from bayespassk.errors import OptionError
from bayespassk.estimators.curve import Curve, chen_curve, log_spaced
from bayespassk.estimators.weighted import estimate, require_attempts, require_fixed
from bayespassk.options import check_k

__all__ = ["Line", "fit_line", "log_log", "of_weights"]


POINTS = 100
"""How many k the line is fitted at."""


def log_log(
    counts: Counts, k: int | Iterable[int], *, at: Iterable[int] | None = None
) -> xr.DataArray:
    """Return pass@k on the power law that fits Chen's estimates for k <= n best.

    ``pass@k = exp(-A k^-b)``, with (log A, b) from ordinary least squares of
    ``log(-log pass@k)`` on ``log k``.

    Parameters
    ----------
    counts : Counts
        The attempts, two or more at each problem. Where their number differs, the line is fitted up
        to the fewest attempts of the system at any problem, beyond which Chen's estimate does not
        exist; attempts beyond that still make the points on the line better.
    k : int or sequence of int, dims (k,)
        Attempts allowed, 1 to 1e12. The fitted law is returned also for k <= n.
    at : sequence of int, optional
        The k to fit at, at least two different ones and none above the attempts at a problem. By
        default 100 from 1 to n, spaced evenly in log k and rounded, repeats kept, so that every
        stretch of log k weighs the same.

    Returns
    -------
    xarray.DataArray
        Estimates, dims (system, k). With y = log(-log pass@k), A is exp(y) at k = 1 and b minus the
        slope of y against log k.

    Raises
    ------
    OptionError
        If a k or `at` means nothing, or the number of attempts was not fixed in advance.
    CountsError
        If a problem has fewer than two attempts.

    Notes
    -----
    It carries no interval; :func:`bayespassk.estimators.bootstrap` gives one, which does not know
    that the law may be wrong. pass@k of a family with heavy tails follows the law only for large k,
    so that an exponent fitted up to n is not the exponent beyond it.

    Where Chen's pass@k is 0 or 1 it has no second logarithm. It is 0 at any k only if nothing was
    solved; the estimate is then 0 for every k, as in the code of Kazdan et al. Points at which it
    is 1 in double precision are left out: Schaeffer et al. leave out what is not finite (their code
    does so before the second logarithm, and fails at such points). If it is 1 from the second k on,
    the line is a step there; if at all k, the estimate is 1.

    References
    ----------
    Schaeffer et al. 2025, arXiv:2502.17578, who fit by least squares at 101 k of their own choice,
    about evenly spaced in log k; with those as `at` their exponents of MATH are met. Hughes et al.
    2024, arXiv:2412.03556.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> bp.estimators.log_log(counts, [100, 10_000]).round(2).values
    array([[0.49, 0.88],
           [0.77, 0.97]])
    """
    check_arguments("log_log", locals())
    who = "the log-log line"
    require_fixed(counts, who)
    require_attempts(counts, 2, who)
    if at is None:
        return estimate(of_weights, counts, k)
    points, least = check_k(at), int(counts.attempts.min())
    if len(points) < 2 or points.max() > least:
        raise OptionError(
            "at must hold two or more k, none above the attempts at any problem, of which there "
            f"are as few as {least:,}; got {points.tolist()!r:.200}"
        )

    def at_points(cells: Cells, weights: Floats, ks: Ints) -> Floats:
        return fit_line(chen_curve(cells, weights, np.sort(points))).pass_at(ks)

    return estimate(at_points, counts, k)


def of_weights(cells: Cells, weights: Floats, ks: Ints) -> Floats:
    """Return the estimate for each row of weights, dims (replicate, k)."""
    return fit_line(chen_curve(cells, weights, log_spaced(cells, POINTS))).pass_at(ks)


class Line(NamedTuple):
    """log(-log pass@k) = intercept + slope log k, dims (replicate, 1).

    An intercept of inf is pass@k = 0, of -inf is 1. A slope of -inf is a step to 1 above the first
    k fitted at, `log_first`; the intercept is then the value there.
    """

    intercept: Floats
    slope: Floats
    log_first: float

    def pass_at(self, ks: Ints) -> Floats:
        """Return pass@k, dims (replicate, k)."""
        step = np.isneginf(self.slope)
        line = self.intercept + np.where(step, 0.0, self.slope) * np.log(ks)
        line = np.where(step & (np.log(ks) > self.log_first), -np.inf, line)
        with np.errstate(over="ignore"):
            return np.exp(-np.exp(line))


def fit_line(curve: Curve) -> Line:
    """Return the least-squares line through the points at which pass@k is not 0 or 1."""
    y = curve.log_neg_log
    # A fail@k below this is lost in 1 - fail@k: pass@k is 1 in double precision.
    usable = (curve.solved > 0) & (curve.failed > 2.0**-53)
    x, y = np.broadcast_to(curve.log_k, y.shape), np.where(usable, y, 0.0)
    number = np.maximum(usable.sum(-1, keepdims=True), 1)
    x_mean = np.where(usable, x, 0.0).sum(-1, keepdims=True) / number
    y_mean = y.sum(-1, keepdims=True) / number
    dx = np.where(usable, x - x_mean, 0.0)
    several = np.where(usable, x, -np.inf).max(-1, keepdims=True) > curve.log_k[0]
    sxx = np.where(several, (dx * dx).sum(-1, keepdims=True), 1.0)
    slope = np.where(several, (dx * y).sum(-1, keepdims=True) / sxx, -np.inf)
    intercept = np.where(several, y_mean - np.where(several, slope, 0.0) * x_mean, y_mean)
    unsolved, always = curve.solved[:, :1] == 0, ~usable[:, :1]
    intercept = np.where(unsolved, np.inf, np.where(always, -np.inf, intercept))
    slope = np.where(unsolved | always, 0.0, slope)
    return Line(intercept, slope, float(curve.log_k[0]))
