"""A scaled beta through a histogram of the observed rates."""

from collections.abc import Iterable

import numpy as np
import xarray as xr
from scipy import optimize, special as sp

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats, Ints
from bayespassk.cells import Cells
from bayespassk.counts import Counts
from bayespassk.estimators.weighted import estimate, require_attempts, require_fixed

__all__ = ["discretised_beta", "of_weights", "scaled_beta_pass"]


BOUNDS = ((0.01, 100.0), (0.01, 100.0))
START = (0.35, 3.5)
FLOOR = 1e-16
"""Added to the mass of each bin, so that none has a logarithm of -inf."""

MOST_EDGES = 100_000
STEP = 0.05
"""Between the nodes of the trapezoidal rule, in logit p."""


def discretised_beta(counts: Counts, k: int | Iterable[int]) -> xr.DataArray:
    """Return pass@k of the scaled beta distribution nearest to a histogram of the rates c/n.

    The bins are [0, 1/n) and from 1/n to 1 evenly in log rate, with n/10 edges, or 10 for each
    factor of 10 if that is more. With h_j problems in bin j, (alpha, beta) in [0.01, 100]^2
    maximise ``sum_j h_j log (mass_j + 1e-16)``, where mass_j is that of ``s Beta(alpha, beta)`` in
    the bin and s the largest c/n. Then pass@k is ``E[1 - (1 - s x)^k]``, x ~ Beta(alpha, beta).

    Parameters
    ----------
    counts : Counts
        The attempts, two or more at each problem. Where their number differs, n is the fewest
        attempts of the system at any problem: a rate is told apart from 0 only from 1/n on.
    k : int or sequence of int, dims (k,)
        Attempts allowed, 1 to 1e12.

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
    The rates are taken for the p: that a rate is uncertain by binomial noise is not in it, except
    that the first bin holds all p below 1/n. The largest rate is an uncertain end of the
    distribution. If nothing was solved the estimate is 0 at every k, as in the code of Kazdan et
    al.; the original fails. It carries no interval.

    The source has n = 10,000 for its bins by default, and says that it should be the attempts made;
    n/10 edges are of its last version, 10 for each factor of 10 of an earlier one. With n/10 alone
    there would be too few to tell two parameters at n below 40. Beyond a million attempts their
    number stays at that of a million.

    References
    ----------
    Schaeffer et al. 2025, arXiv:2502.17578.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> bp.estimators.discretised_beta(counts, [100, 10_000]).round(2).values
    array([[0.54, 0.88],
           [0.77, 0.96]])
    """
    check_arguments("discretised_beta", locals())
    who = "the discretised beta"
    require_fixed(counts, who)
    require_attempts(counts, 2, who)
    return estimate(of_weights, counts, k)


def of_weights(cells: Cells, weights: Floats, ks: Ints) -> Floats:
    """Return the estimate for each row of weights, dims (replicate, k)."""
    attempts = cells.successes + cells.failures
    rates = cells.successes / attempts
    edges = _edges(int(attempts.min()))
    above = rates * (1 + 1e-12)  # a rate on an edge belongs above it, whatever its last digit
    bins = np.minimum(np.searchsorted(edges, above, side="right") - 1, len(edges) - 2)
    fitted = np.ones((len(weights), 3))
    start = np.array(START)
    if len(weights) > 1:
        start = _fit(bins, edges, rates, cells.problems.astype(float), start)[:2]
    solved = weights @ (rates > 0) > 0
    for row in np.flatnonzero(solved):
        fitted[row] = _fit(bins, edges, rates, weights[row], start)
    alpha, beta, scale = fitted.T
    return np.where(solved[:, None], scaled_beta_pass(alpha, beta, scale, ks), 0.0)


def _edges(n: int) -> Floats:
    """Return 0, and from 1/n to 1 evenly in their logarithm."""
    number = min(max(n // 10, int(10 * np.log10(n)) + 1), MOST_EDGES)
    edges = np.concatenate([[0.0], np.geomspace(1.0 / n, 1.0, number)])
    return np.asarray(edges)


def _fit(bins: Ints, edges: Floats, rates: Floats, weights: Floats, start: Floats) -> Floats:
    """Return alpha, beta and the scale for one row of weights."""
    scale = rates[weights > 0].max(initial=0.0)
    if scale == 0:
        return np.append(start, 0.0)
    problems = np.bincount(bins, weights=weights)
    held = np.flatnonzero(problems)
    share = problems[held] / weights.sum()
    points, inverse = np.unique(
        np.minimum(edges[np.concatenate([held, held + 1])] / scale, 1.0), return_inverse=True
    )
    lower, upper = inverse[: len(held)], inverse[len(held) :]

    def loss(log_theta: Floats) -> float:
        alpha, beta = np.exp(log_theta)
        cdf = sp.betainc(alpha, beta, points)
        return float(-(share * np.log(cdf[upper] - cdf[lower] + FLOOR)).sum())

    # In logarithms, with slopes of both sides: otherwise it ends short of the largest value, and
    # where depends on the last digit of the start, and so on the machine.
    found = optimize.minimize(
        loss,
        np.log(start),
        method="L-BFGS-B",
        jac="3-point",
        bounds=np.log(BOUNDS),
        options={"ftol": 1e-13, "gtol": 1e-9},
    )
    return np.array([*np.exp(found.x), scale])


def scaled_beta_pass(alpha: Floats, beta: Floats, scale: Floats, ks: Ints) -> Floats:
    """Return E[1 - (1 - s x)^k], x ~ Beta(alpha, beta), dims (replicate, k).

    A trapezoidal rule in t = logit x, from where k s x is below e^-40. Beyond t = 40, where a small
    beta puts much mass, s x is s.
    """
    t = np.arange(-np.ceil((40 + np.log(ks.max())) / STEP), 40 / STEP + 1) * STEP
    log_x, log_rest = -np.logaddexp(0.0, -t), -np.logaddexp(0.0, t)
    alpha, beta, scale = alpha[:, None], beta[:, None], scale[:, None]
    weight = STEP * np.exp(alpha * log_x + beta * log_rest - sp.betaln(alpha, beta))
    weight[:, -1] /= 2
    # 1 - s x = (1 - s) + s (1 - x), which does not cancel where s and x are near 1.
    with np.errstate(divide="ignore"):
        log_fail = np.where(
            scale * np.exp(log_x) < 0.5,
            np.log1p(-scale * np.exp(log_x)),
            np.log((1 - scale) + scale * np.exp(log_rest)),
        )
        log_end = np.log1p(-scale[:, 0])
    beyond = sp.betainc(beta[:, 0], alpha[:, 0], np.exp(log_rest[-1]))
    columns = [
        (weight * -np.expm1(k * log_fail)).sum(-1) - beyond * np.expm1(k * log_end)
        for k in ks.astype(float)
    ]
    return np.asarray(np.clip(np.stack(columns, axis=-1), 0.0, 1.0))
