"""Chen's unbiased estimator: the share of k-subsets of the attempts made with a success."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats, Ints
from bayespassk.cells import Cells
from bayespassk.counts import Counts
from bayespassk.errors import OptionError
from bayespassk.estimators.weighted import mean, problem_weights, require_fixed, systems_of
from bayespassk.options import listed
from bayespassk.special import log_no_success

__all__ = ["chen", "of_weights"]


def chen(counts: Counts, k: int | Iterable[int]) -> NDArray[np.float64]:
    """Return the unbiased estimate of benchmark pass@k of Chen et al. 2021, for k <= n.

    The mean over problems of ``1 - C(n-c, k) / C(n, k)``, with c successes in n attempts.

    Parameters
    ----------
    counts : Counts
        The attempts; every problem needs at least max(k) of them.
    k : int or sequence of int, dims (k,)
        Attempts allowed.

    Returns
    -------
    array, dims (system, k)
        Estimates, one row for each of ``counts.systems``.

    Raises
    ------
    OptionError
        If a k is below 1, or above the attempts at some problem: there the estimator is
        undefined, also for a problem without success. Or if the number of attempts was not fixed
        in advance: after "stop at the first success" the estimator is too high, and after attempts
        allotted by what was seen it may be biased either way.

    Notes
    -----
    It carries no interval; :func:`bayespassk.estimators.bootstrap` gives one. It says nothing of
    k above n.

    References
    ----------
    Chen et al. 2021, arXiv:2107.03374.

    Examples
    --------
    >>> from bayespassk import Counts, estimators
    >>> counts = Counts(problem=["a", "b"], attempts=[10, 10], successes=[5, 0])
    >>> estimators.chen(counts, [1, 2, 10]).round(3)
    array([[0.25 , 0.389, 0.5  ]])
    """
    check_arguments("chen", locals())
    require_fixed(counts, "Chen's estimator")
    ks = np.asarray(listed(k))
    least = int(counts.attempts.min())
    if ks.min() < 1 or ks.max() > least:
        bad = ks[(ks < 1) | (ks > least)][0]
        raise OptionError(
            f"Chen's estimator needs 1 <= k <= attempts at every problem, of which there are as "
            f"few as {least:,}; got k={bad:,}. For larger k, fit a family and forecast"
        )
    rows = [of_weights(cells, problem_weights(cells), ks) for cells in systems_of(counts)]
    return np.concatenate(rows)


def of_weights(cells: Cells, weights: Floats, ks: Ints) -> Floats:
    """Return the estimate for each row of weights, dims (replicate, k)."""
    n = cells.successes + cells.failures
    log_fail = log_no_success(cells.successes[:, None], n[:, None], ks)
    return mean(-np.expm1(log_fail), weights)
