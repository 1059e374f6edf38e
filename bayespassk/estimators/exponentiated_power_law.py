"""An exponentiated power law through pass@k itself."""

from collections.abc import Iterable

import numpy as np
import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats, Ints
from bayespassk.cells import Cells
from bayespassk.counts import Counts
from bayespassk.estimators.curve import Curve, chen_curve, log_spaced
from bayespassk.estimators.line import fit_line
from bayespassk.estimators.weighted import estimate, require_attempts, require_fixed

__all__ = ["brown", "of_weights"]


POINTS = 40
"""How many k the law is fitted at."""

MOST_STEPS = 200
STEEPEST = 100.0
"""Largest |b|: a law that is steeper is a step from one k to the next."""


def brown(counts: Counts, k: int | Iterable[int]) -> xr.DataArray:
    """Return pass@k on the exponentiated power law nearest to Chen's estimates for k <= n.

    ``pass@k = exp(a k^b)``, a < 0, with (a, b) from least squares on pass@k itself, with equal
    weights, at 40 k from 1 to n, spaced evenly in log k and rounded, repeats kept.

    Parameters
    ----------
    counts : Counts
        The attempts, two or more at each problem. Where their number differs, the law is fitted up
        to the fewest attempts of the system at any problem.
    k : int or sequence of int, dims (k,)
        Attempts allowed, 1 to 1e12. The fitted law is returned also for k <= n.

    Returns
    -------
    xarray.DataArray
        Estimates, dims (system, k).

    Raises
    ------
    OptionError
        If a k means nothing, or the number of attempts was not fixed in advance.
    CountsError
        If a problem has fewer than two attempts.

    Notes
    -----
    It is the same law as :func:`bayespassk.estimators.log_log`, with other weights: the points
    near pass@k = 1/2 matter most, so that a few small ones at low k do not. Points at which pass@k
    is 1 are fitted like others. If nothing was solved the estimate is 0, if pass@k is 1 at every k
    it is 1. It carries no interval and ignores that points at different k rest on the same
    attempts.

    References
    ----------
    Brown et al. 2024, arXiv:2407.21787.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> bp.estimators.brown(counts, [100, 10_000]).round(2).values
    array([[0.5 , 0.9 ],
           [0.77, 0.97]])
    """
    check_arguments("brown", locals())
    who = "the exponentiated power law"
    require_fixed(counts, who)
    require_attempts(counts, 2, who)
    return estimate(of_weights, counts, k)


def of_weights(cells: Cells, weights: Floats, ks: Ints) -> Floats:
    """Return the estimate for each row of weights, dims (replicate, k)."""
    curve = chen_curve(cells, weights, log_spaced(cells, POINTS))
    line = fit_line(curve)
    start = np.concatenate([line.intercept, np.maximum(line.slope, -5.0)], axis=-1)
    fitted = np.isfinite(start).all(-1)
    start[fitted] = _nearest(
        Curve(curve.log_k, curve.solved[fitted], curve.failed[fitted]), start[fitted]
    )
    return line._replace(intercept=start[:, :1], slope=start[:, 1:]).pass_at(ks)


def _nearest(curve: Curve, start: Floats) -> Floats:
    """Return (log -a, b), dims (replicate, 2), by Levenberg and Marquardt for all at once."""
    theta, damping = start.copy(), np.full(len(start), 1e-3)
    loss = _loss(theta, curve)
    moving = np.ones(len(start), dtype=bool)
    for _ in range(MOST_STEPS):
        if not moving.any():
            break
        residual, slope = _residual(theta, curve)
        by_exponent = slope * curve.log_k
        g0, g1 = (slope * residual).sum(-1), (by_exponent * residual).sum(-1)
        h00, h11 = (slope**2).sum(-1), (by_exponent**2).sum(-1)
        h01 = (slope * by_exponent).sum(-1)
        tiny = np.finfo(float).tiny
        d00, d11 = h00 * (1 + damping) + tiny, h11 * (1 + damping) + tiny
        determinant = np.maximum(d00 * d11 - h01**2, tiny)
        step = np.stack([d11 * g0 - h01 * g1, d00 * g1 - h01 * g0], axis=-1)
        step = np.clip(-step / determinant[:, None], -3.0, 3.0)
        candidate = theta + step
        candidate[:, 1] = np.clip(candidate[:, 1], -STEEPEST, STEEPEST)
        found = _loss(candidate, curve)
        better = moving & (found <= loss)
        moving &= ~(better & (np.abs(candidate - theta).max(-1) < 1e-11)) & (damping < 1e12)
        theta[better], loss[better] = candidate[better], found[better]
        damping = np.where(better, damping / 5, damping * 4)
    return theta


def _residual(theta: Floats, curve: Curve) -> tuple[Floats, Floats]:
    """Return law minus pass@k, and its derivative by log -a, dims (replicate, k)."""
    rate = np.exp(np.minimum(theta[:, :1] + theta[:, 1:] * curve.log_k, 700.0))
    law = np.exp(-rate)
    return law - curve.solved, -rate * law


def _loss(theta: Floats, curve: Curve) -> Floats:
    return np.asarray((_residual(theta, curve)[0] ** 2).sum(-1))
