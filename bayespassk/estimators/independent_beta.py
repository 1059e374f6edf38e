"""Bayes@N: an independent uniform prior for the p of every problem."""

from collections.abc import Iterable

import numpy as np
import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats, Ints
from bayespassk.cells import Cells
from bayespassk.counts import Counts
from bayespassk.estimators.weighted import estimate, mean
from bayespassk.special import NUMPY

__all__ = ["bayes_at_n", "of_weights"]


def bayes_at_n(counts: Counts, k: int | Iterable[int]) -> xr.DataArray:
    """Return the posterior mean of pass@k with an independent Beta(1, 1) prior on every p.

    The mean over problems of ``1 - B(1+c, 1+n-c+k) / B(1+c, 1+n-c)``, with c successes in n
    attempts. At k = 1 it is Bayes@N, the mean of ``(c+1) / (n+2)``.

    Parameters
    ----------
    counts : Counts
        The attempts, in any number at each problem, ended by any stopping rule: the likelihood does
        not depend on it. A problem not attempted counts as its prior.
    k : int or sequence of int, dims (k,)
        Attempts allowed, 1 to 1e12.

    Returns
    -------
    xarray.DataArray
        Estimates, dims (system, k).

    Raises
    ------
    OptionError
        If a k means nothing.

    Notes
    -----
    The prior says that half of all problems are solved more often than not, and no problem learns
    from another. A problem never solved in n attempts is solved with k with probability
    ``k / (n+1+k)``: for k far above n the estimate goes to 1 whatever was seen, and already at
    k = n half of the problems never solved count as solved.

    References
    ----------
    Hariri et al. 2025, arXiv:2510.04265 (scorio).

    Examples
    --------
    >>> from bayespassk import Counts, estimators
    >>> counts = Counts(problem=["a", "b"], attempts=[8, 8], successes=[4, 0])
    >>> estimators.bayes_at_n(counts, [1, 9]).round(3).values
    array([[0.3  , 0.743]])
    """
    check_arguments("bayes_at_n", locals())
    return estimate(of_weights, counts, k)


def of_weights(cells: Cells, weights: Floats, ks: Ints) -> Floats:
    """Return the estimate for each row of weights, dims (replicate, k)."""
    alpha, beta = 1.0 + cells.successes[:, None], 1.0 + cells.failures[:, None]
    log_fail = NUMPY.log_beta_ratio(alpha, beta, 0.0, ks.astype(float))
    return mean(-np.expm1(np.minimum(log_fail, 0.0)), weights)
