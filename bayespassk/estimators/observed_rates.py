"""The plug-in estimator: observed rates in the place of success probabilities."""

from collections.abc import Iterable

import numpy as np
import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats, Ints
from bayespassk.cells import Cells
from bayespassk.counts import Counts
from bayespassk.estimators.weighted import estimate, mean, require_attempts, require_fixed

__all__ = ["of_weights", "plug_in"]


def plug_in(counts: Counts, k: int | Iterable[int]) -> xr.DataArray:
    """Return pass@k with the observed rate c/n of each problem in the place of its p.

    The mean over problems of ``1 - (1 - c/n)^k``; SABER's "naive" baseline.

    Parameters
    ----------
    counts : Counts
        The attempts, one or more at each problem; their number may differ between problems.
    k : int or sequence of int, dims (k,)
        Attempts allowed, 1 to 1e12.

    Returns
    -------
    xarray.DataArray
        Estimates, dims (system, k).

    Raises
    ------
    OptionError
        If a k means nothing, or the number of attempts was not fixed in advance: after "stop at
        the first success" c/n is too high.
    CountsError
        If a problem was not attempted.

    Notes
    -----
    A problem not solved in n attempts is taken to be impossible. The estimate ends on a plateau,
    the share of problems with a success. It is too low on average at every k above 1, as (1 - p)^k
    is convex in p, and far too low for k above n, by the problems with p below 1/n.

    References
    ----------
    Feng et al. 2026, arXiv:2601.22636, as the baseline of SABER.

    Examples
    --------
    >>> from bayespassk import Counts, estimators
    >>> counts = Counts(problem=["a", "b"], attempts=[10, 10], successes=[5, 0])
    >>> estimators.plug_in(counts, [1, 2, 1000]).values
    array([[0.25 , 0.375, 0.5  ]])
    """
    check_arguments("plug_in", locals())
    require_fixed(counts, "the plug-in estimator")
    require_attempts(counts, 1, "the plug-in estimator")
    return estimate(of_weights, counts, k)


def of_weights(cells: Cells, weights: Floats, ks: Ints) -> Floats:
    """Return the estimate for each row of weights, dims (replicate, k)."""
    with np.errstate(divide="ignore"):
        log_q = np.log1p(-cells.successes / (cells.successes + cells.failures))
    return mean(-np.expm1(log_q[:, None] * ks), weights)
