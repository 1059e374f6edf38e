"""The beta-binomial of largest likelihood."""

from collections.abc import Iterable

import numpy as np
import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats, Ints
from bayespassk.cells import Cells
from bayespassk.counts import Counts
from bayespassk.estimators.likelihood import Box, maximise
from bayespassk.estimators.weighted import estimate
from bayespassk.special import NUMPY

__all__ = ["beta_binomial_mle", "of_weights"]


BOX = Box((0.01, 0.01), (100.0, 100.0), (0.5, 3.5))


def beta_binomial_mle(counts: Counts, k: int | Iterable[int]) -> xr.DataArray:
    """Return pass@k of the beta distribution of p whose likelihood is the largest.

    ``1 - B(alpha, beta+k) / B(alpha, beta)``, with (alpha, beta) in [0.01, 100]^2 where the
    product over problems of ``B(alpha+c, beta+n-c) / B(alpha, beta)`` is the largest.

    Parameters
    ----------
    counts : Counts
        The attempts, in any number at each problem, ended by any stopping rule that looked only at
        outcomes: each problem enters with its own n, and the likelihood does not depend on the
        rule.
    k : int or sequence of int, dims (k,)
        Attempts allowed, 1 to 1e12.

    Returns
    -------
    xarray.DataArray
        Estimates, dims (system, k): of a new problem of the kind, as a "population" forecast.

    Raises
    ------
    OptionError
        If a k means nothing.

    Notes
    -----
    One point of the parameters stands for all that fit the counts: there is no band, and where few
    problems were solved the likelihood is nearly flat along a ridge, of which the box then decides.
    beta above 100 is not possible, so that a benchmark with p around 1 in 10,000 is not fitted.
    If nothing was solved the estimate is 0 at every k, as in the code of Kazdan et al.

    The maximum is found by Newton's method from (0.5, 3.5), to more digits than by the paper's
    L-BFGS-B with differences for derivatives, which can leave an error of 1% in pass@1.

    References
    ----------
    Kazdan et al. 2025, arXiv:2510.05197.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> bp.estimators.beta_binomial_mle(counts, [100, 10_000]).round(2).values
    array([[0.51, 0.88],
           [0.77, 0.96]])
    """
    check_arguments("beta_binomial_mle", locals())
    return estimate(of_weights, counts, k)


def of_weights(cells: Cells, weights: Floats, ks: Ints) -> Floats:
    """Return the estimate for each row of weights, dims (replicate, k)."""
    best = maximise(cells, weights, BOX)
    alpha, beta = best.alpha[:, None], best.beta[:, None]
    log_fail = NUMPY.log_beta_ratio(alpha, beta, 0.0, ks.astype(float))
    solved = weights @ (cells.successes > 0) > 0
    return np.where(solved[:, None], -np.expm1(np.minimum(log_fail, 0.0)), 0.0)
