"""The bootstrap over problems, for any estimator."""

from collections.abc import Callable, Iterable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats
from bayespassk.cells import Cells
from bayespassk.counts import Counts
from bayespassk.errors import OptionError
from bayespassk.estimators.beta_binomial import beta_binomial_mle, of_weights as of_beta_binomial
from bayespassk.estimators.combinatorial import chen, of_weights as of_combinatorial
from bayespassk.estimators.exponentiated_power_law import (
    brown,
    of_weights as of_exponentiated_power_law,
)
from bayespassk.estimators.histogram_beta import discretised_beta, of_weights as of_histogram_beta
from bayespassk.estimators.independent_beta import bayes_at_n, of_weights as of_independent_beta
from bayespassk.estimators.line import log_log, of_weights as of_line
from bayespassk.estimators.observed_rates import of_weights as of_observed_rates, plug_in
from bayespassk.estimators.saber import (
    anchored_of_weights,
    plugin_of_weights,
    saber_anchored,
    saber_plugin,
)
from bayespassk.estimators.weighted import OfWeights, labelled, systems_of
from bayespassk.options import check_interval, check_k, seed_of, system_seed

__all__ = ["bootstrap", "replicated"]

type Estimator = Callable[..., xr.DataArray | Floats]

OF_WEIGHTS: dict[Estimator, OfWeights] = {
    beta_binomial_mle: of_beta_binomial,
    chen: of_combinatorial,
    brown: of_exponentiated_power_law,
    discretised_beta: of_histogram_beta,
    bayes_at_n: of_independent_beta,
    log_log: of_line,
    plug_in: of_observed_rates,
    saber_anchored: anchored_of_weights,
    saber_plugin: plugin_of_weights,
}

TOGETHER = 250
"""Replicates evaluated at a time."""


def bootstrap(
    estimator: Estimator,
    counts: Counts,
    k: int | Iterable[int],
    replicates: int = 1000,
    prob: float = 0.95,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the percentile interval of an estimator over resampled problems.

    The problems of each system are drawn again, with replacement and as many as there are, each
    with all its attempts; the interval is from the (1-prob)/2 to the (1+prob)/2 quantile of the
    estimates.

    Parameters
    ----------
    estimator : callable
        One of the estimators of pass@k in :mod:`bayespassk.estimators`, for which the distinct rows
        are evaluated once or all replicates together; or any function of (counts, k) that returns
        dims (system, k), which is called for each replicate.
    counts : Counts
        The attempts. The regressions are fitted up to the fewest attempts at any problem of the
        system, whether or not that problem was drawn.
    k : int or sequence of int, dims (k,)
        Attempts allowed, 1 to 1e12.
    replicates : int
        How often to resample, 2 or more.
    prob : float
        Probability of the interval, between 0 and 1.
    random_seed : int, optional
        Repeats the result. A system's resampling does not depend on which others are in the counts.

    Returns
    -------
    xarray.DataArray
        Ends of the interval, dims (system, k, ci_bound), with ci_bound "lower" and "upper".

    Raises
    ------
    OptionError, CountsError
        If an argument means nothing, or the estimator refuses the counts or k.

    Notes
    -----
    It is an interval for the mean over problems like these, and of the noise of attempts it holds
    what differs between problems. It does not know the bias of the estimator: for k far above n,
    where the estimate is wrong, so is the interval around it. Where nothing was solved its length
    is 0.

    References
    ----------
    Efron 1979, doi:10.1214/aos/1176344552.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> bp.estimators.bootstrap(bp.estimators.chen, counts, 100, random_seed=1).round(2).values
    array([[[0.44, 0.59]],
    <BLANKLINE>
           [[0.7 , 0.85]]])
    """
    check_arguments("bootstrap", locals())
    check_interval(prob, "eti")
    values = replicated(estimator, counts, k, replicates, random_seed)
    ends = np.quantile(values, [(1 - prob) / 2, (1 + prob) / 2], axis=1)
    ci_bound = ["lower", "upper"]
    return labelled(np.moveaxis(ends, 0, -1), counts, k=check_k(k), ci_bound=ci_bound)


def replicated(
    estimator: Estimator,
    counts: Counts,
    k: int | Iterable[int],
    replicates: int,
    random_seed: int | None,
) -> Floats:
    """Return the estimates over resampled problems, dims (system, replicate, k).

    Arguments and errors are those of :func:`bootstrap`.
    """
    ks = check_k(k)
    if not isinstance(replicates, int | np.integer) or replicates < 2:
        raise OptionError(f"replicates must be a whole number from 2, say 1000; got {replicates!r}")
    whole = estimator(counts, ks.tolist())  # or an error that says what the estimator needs
    if np.shape(whole) != (len(counts.systems), len(ks)):
        raise OptionError(
            f"estimator must return pass@k with dims (system, k), of shape "
            f"{(len(counts.systems), len(ks))}; got shape {np.shape(whole)}"
        )
    seed = seed_of(random_seed)
    values = np.empty((len(counts.systems), replicates, len(ks)))
    of_weights = OF_WEIGHTS.get(estimator)
    for system, cells in enumerate(systems_of(counts)):
        label = counts.systems[system]
        rng = np.random.default_rng(system_seed(seed, label))
        number = int(cells.problems.sum())
        drawn = rng.multinomial(number, cells.problems / number, size=replicates)
        for start in range(0, replicates, TOGETHER):
            part = drawn[start : start + TOGETHER]
            if of_weights is None:
                found = [_again(estimator, cells, row, label, counts, ks.tolist()) for row in part]
                values[system, start : start + TOGETHER] = found
            else:
                values[system, start : start + TOGETHER] = of_weights(cells, part.astype(float), ks)
    return values


def _again(
    estimator: Estimator,
    cells: Cells,
    problems: NDArray[np.int64],
    system: str,
    counts: Counts,
    k: list[int],
) -> Floats:
    """Return the estimate of one replicate, from counts of its own."""
    successes = np.repeat(cells.successes, problems)
    failures = np.repeat(cells.failures, problems)
    replicate = Counts(
        problem=np.arange(len(successes)),
        attempts=successes + failures,
        successes=successes,
        system=system,
        stopping=counts.stopping,
    )
    return np.asarray(np.asarray(estimator(replicate, k), dtype=float)[0])
