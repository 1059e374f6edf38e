"""SABER: a beta-binomial's tail, by itself or through the last point that was measured."""

from collections.abc import Iterable

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import special as sp

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats, Ints
from bayespassk.cells import Cells
from bayespassk.counts import Counts
from bayespassk.errors import CountsError, OptionError
from bayespassk.estimators.curve import chen_curve
from bayespassk.estimators.likelihood import Box, MaximumLikelihood, fisher_information, maximise
from bayespassk.estimators.weighted import (
    estimate,
    labelled,
    problem_weights,
    require_attempts,
    require_fixed,
    systems_of,
)
from bayespassk.options import check_interval, check_k, listed
from bayespassk.special import NUMPY

__all__ = [
    "anchored_at",
    "anchored_of_weights",
    "plugin_of_weights",
    "saber_anchored",
    "saber_anchored_interval",
    "saber_budget",
    "saber_plugin",
]


BOX = Box((1e-10, 1e-10), (100.0, 1e10), (0.5, 2.0))
"""SABER has no bounds, and stops anywhere where the likelihood has no maximum; here it is at these.

Where rates differ less than by chance, alpha and beta grow without end, their ratio fixed; from
alpha = 100 on that is the binomial, but the law of the tail needs beta far above alpha.
"""

SMALLEST_ALPHA = 1e-6
"""What the lower end of an interval for alpha is at least, as in saber-risk."""


def saber_plugin(
    counts: Counts, k: int | Iterable[int], *, correction: bool = True
) -> xr.DataArray:
    """Return pass@k by the power law of the tail of a beta-binomial of largest likelihood.

    ``1 - Gamma(alpha+beta)/Gamma(beta) (k + beta + (alpha-1)/2)^-alpha``, between 0 and 1.

    Parameters
    ----------
    counts : Counts
        The attempts, in any number at each problem, ended by any stopping rule: each problem enters
        the likelihood with its own n.
    k : int or sequence of int, dims (k,)
        Attempts allowed, 1 to 1e12.
    correction : bool
        Whether beta + (alpha-1)/2 is added to k, which makes the law right to the next order in
        1/k. Without it, it is equation 11 of the paper, for k far above beta only.

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
    It is :func:`bayespassk.estimators.beta_binomial_mle` without a box around the parameters,
    with its tail in the place of its exact value: good for k + beta far above alpha^1.5, and
    possibly far off at small k where most attempts succeed. It carries no interval.

    If nothing was solved the likelihood has no maximum, and the estimate is 0, the limit. Nor has
    it one where the rates differ less than by chance, as with a single success in all: alpha would
    grow without end, and is held at 100. (saber-risk then stops where rounding errors let it.)

    References
    ----------
    Feng et al. 2026, arXiv:2601.22636, equations 11 and 56.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> bp.estimators.saber_plugin(counts, [100, 10_000]).round(2).values
    array([[0.51, 0.88],
           [0.77, 0.96]])
    """
    check_arguments("saber_plugin", locals())
    if correction:
        return estimate(plugin_of_weights, counts, k)

    def without(cells: Cells, weights: Floats, ks: Ints) -> Floats:
        return _tail(maximise(cells, weights, BOX), ks, 0.0) * _any_solved(cells, weights)

    return estimate(without, counts, k)


def plugin_of_weights(cells: Cells, weights: Floats, ks: Ints) -> Floats:
    """Return the estimate for each row of weights, dims (replicate, k)."""
    best = maximise(cells, weights, BOX)
    shift = best.beta + (best.alpha - 1) / 2
    return _tail(best, ks, shift[:, None]) * _any_solved(cells, weights)


def _tail(best: MaximumLikelihood, ks: Ints, shift: Floats | float) -> Floats:
    alpha, beta = best.alpha[:, None], best.beta[:, None]
    log_fail = NUMPY.log_rising(beta, alpha) - alpha * np.log(ks + shift)
    return np.asarray(-np.expm1(np.minimum(log_fail, 0.0)))


def _any_solved(cells: Cells, weights: Floats) -> NDArray[np.bool_]:
    """Return whether a problem was solved, dims (replicate, 1)."""
    return np.asarray((weights @ (cells.successes > 0) > 0)[:, None])


def saber_anchored(counts: Counts, k: int | Iterable[int]) -> xr.DataArray:
    """Return pass@k by a power law through the measured pass@n.

    ``1 - (1 - pass@n) (n/k)^alpha``, between 0 and 1, with pass@n the share of problems with a
    success and alpha from the beta-binomial of largest likelihood.

    Parameters
    ----------
    counts : Counts
        The attempts, one or more at each problem. Where their number differs, n is the fewest
        attempts of the system at any problem, and pass@n is Chen's estimate, which is the share of
        problems with a success where all n are equal. (saber-risk takes the mean number, and the
        share solved by whatever number, which is pass@n for no n.) alpha uses all attempts.
    k : int or sequence of int, dims (k,)
        Attempts allowed, 1 to 1e12. Meant for k >= n; below, it is the same law backwards.

    Returns
    -------
    xarray.DataArray
        Estimates, dims (system, k).

    Raises
    ------
    OptionError
        If a k means nothing, or the number of attempts was not fixed in advance: pass@n is then
        biased, as all of Chen's estimates are.
    CountsError
        If a problem was not attempted.

    Notes
    -----
    If nothing was solved the estimate is 0 at every k; if all problems were, it is 1 from n on.
    Where the rates differ less than by chance, as with a single success in all, alpha has no
    estimate and is held at 100: from n on the estimate then goes to 1 at once.
    alpha is uncertain, see :func:`bayespassk.estimators.saber_anchored_interval`, and so is pass@n.

    References
    ----------
    Feng et al. 2026, arXiv:2601.22636, equation 12.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> bp.estimators.saber_anchored(counts, [100, 10_000]).round(2).values
    array([[0.52, 0.88],
           [0.78, 0.97]])
    """
    check_arguments("saber_anchored", locals())
    _check_anchor(counts)
    return estimate(anchored_of_weights, counts, k)


def _check_anchor(counts: Counts) -> None:
    require_fixed(counts, "SABER's anchor")
    require_attempts(counts, 1, "SABER's anchor")


def anchored_of_weights(cells: Cells, weights: Floats, ks: Ints) -> Floats:
    """Return the estimate for each row of weights, dims (replicate, k)."""
    alpha = maximise(cells, weights, BOX).alpha[:, None]
    return _anchored(alpha, cells, weights, ks) * _any_solved(cells, weights)


def _anchor(cells: Cells, weights: Floats) -> tuple[int, Floats]:
    """Return n and fail@n, dims (replicate, 1)."""
    n = int((cells.successes + cells.failures).min())
    return n, chen_curve(cells, weights, np.array([n])).failed


def _anchored(alpha: Floats, cells: Cells, weights: Floats, ks: Ints) -> Floats:
    n, failed = _anchor(cells, weights)
    with np.errstate(divide="ignore"):
        log_fail = np.log(failed) + alpha * (np.log(n) - np.log(ks))
    return np.asarray(0.0 - np.expm1(np.minimum(log_fail, 0.0)))


def saber_anchored_interval(
    counts: Counts, k: int | Iterable[int], prob: float = 0.95
) -> xr.DataArray:
    """Return SABER's interval for its anchored estimate.

    The ends of ``alpha +- z SE(alpha)``, the lower at least 1e-6, put into the formula of
    :func:`bayespassk.estimators.saber_anchored`. SE(alpha) is the root of the diagonal element of
    the inverse of the Fisher information of (alpha, beta), whose expectations are summed here and
    simulated in saber-risk.

    Parameters
    ----------
    counts : Counts
        As for :func:`bayespassk.estimators.saber_anchored`.
    k : int or sequence of int, dims (k,)
        Attempts allowed, 1 to 1e12.
    prob : float
        Probability that z stands for, between 0 and 1.

    Returns
    -------
    xarray.DataArray
        Ends of the interval, dims (system, k, ci_bound), with ci_bound "lower" and "upper".

    Raises
    ------
    OptionError
        If k or prob means nothing, or the number of attempts was not fixed in advance.
    CountsError
        If a problem was not attempted, or the likelihood of a system has no maximum, so that there
        is no Fisher information at it: nothing solved, everything solved, every problem solved
        always or never, or rates that differ less than by chance.

    Notes
    -----
    The interval knows of one uncertainty, that of alpha. At k = n its length is 0, as if pass@n
    were known; that the problems are a sample, and that a beta may be wrong far below 1/n, is not
    in it. Expect it to cover less than it says.

    References
    ----------
    Feng et al. 2026, arXiv:2601.22636, equation 14.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> bp.estimators.saber_anchored_interval(counts, 10_000).round(2).values
    array([[[0.81, 0.93]],
    <BLANKLINE>
           [[0.95, 0.98]]])
    """
    check_arguments("saber_anchored_interval", locals())
    check_interval(prob, "eti")
    ks = check_k(k)
    z = sp.ndtri((1 + prob) / 2)
    values = np.sort(anchored_at(counts, ks, np.array([-z, z])), axis=1)
    return labelled(values.swapaxes(1, 2), counts, k=ks, ci_bound=["lower", "upper"])


def anchored_at(counts: Counts, ks: Ints, z: Floats) -> Floats:
    """Return the anchored estimate with alpha + z SE(alpha) for alpha, dims (system, z, k)."""
    _check_anchor(counts)
    values = np.empty((len(counts.systems), len(z), len(ks)))
    for system, cells in enumerate(systems_of(counts)):
        alpha, error = _alpha(cells, counts.systems[system])
        each = np.maximum(alpha + z[:, None] * error, SMALLEST_ALPHA)
        values[system] = _anchored(each, cells, problem_weights(cells), ks)
    return values


def _alpha(cells: Cells, system: str) -> tuple[float, float]:
    """Return alpha and its standard error, or raise an error if the likelihood has no maximum."""
    best = maximise(cells, problem_weights(cells), BOX)
    alpha, beta = float(best.alpha[0]), float(best.beta[0])
    information = fisher_information(cells, alpha, beta)
    determinant = float(np.linalg.det(information))
    product = float(information[0, 0] * information[1, 1])
    if not (1e-6 < alpha < 99 and 1e-6 < beta < 1e8 and determinant > 1e-10 * product):
        rule = "SABER's interval needs a beta-binomial whose likelihood has a maximum"
        raise CountsError(
            f"{rule}; that of system {system!r} has none (it is largest towards "
            f"alpha={alpha:.2g}, beta={beta:.2g}): nothing or everything was solved, problems were "
            "solved always or never, or rates differ less than by chance. Use "
            "bp.estimators.bootstrap, or fit a family, whose prior bounds what is left open",
            rule=rule,
        )
    return alpha, float(np.sqrt(information[1, 1] / determinant))


def saber_budget(counts: Counts, target: float | Iterable[float]) -> xr.DataArray:
    """Return the attempts a problem at which SABER's anchored estimate reaches a target.

    ``n ((1 - pass@n) / (1 - target))^(1/alpha)``; n if pass@n is the target or above already.

    Parameters
    ----------
    counts : Counts
        As for :func:`bayespassk.estimators.saber_anchored`.
    target : float or sequence of float, dims (target,)
        pass@k to reach, between 0 and 1.

    Returns
    -------
    xarray.DataArray
        Attempts a problem, dims (system, target), not rounded; inf if nothing was solved, or where
        the number is beyond what a double holds.

    Raises
    ------
    OptionError
        If a target does not lie between 0 and 1, or the number of attempts was not fixed in
        advance.
    CountsError
        If a problem was not attempted.

    Notes
    -----
    An error of alpha is in the exponent: with alpha = 0.2, a tenth more or less of alpha moves the
    budget for half the remaining problems by a factor of about 1.4. That problems may be impossible
    is not in it; :func:`bayespassk.budget_for` of a zero-inflated family may say never.

    References
    ----------
    Feng et al. 2026, arXiv:2601.22636, equation 16.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> bp.estimators.saber_budget(counts, [0.5, 0.99]).round().values
    array([[1.0000000e+02, 3.0105096e+07],
           [1.0000000e+02, 1.9466000e+05]])
    """
    check_arguments("saber_budget", locals())
    targets = np.array(listed(target), dtype=float)
    bad = targets[~((targets > 0) & (targets < 1))]
    if len(bad) or not len(targets):
        raise OptionError(
            "target must lie between 0 and 1, for instance 0.9; got "
            f"{float(bad[0]) if len(bad) else 'none'!r}"
        )
    _check_anchor(counts)
    values = np.empty((len(counts.systems), len(targets)))
    for system, cells in enumerate(systems_of(counts)):
        weights = problem_weights(cells)
        n, failed = _anchor(cells, weights)
        alpha = maximise(cells, weights, BOX).alpha[0]
        with np.errstate(divide="ignore", over="ignore"):
            gap = np.maximum(np.log(failed[0]) - np.log1p(-targets), 0.0)
            values[system] = n * np.exp(gap / alpha)
        if not cells.successes.any():
            values[system] = np.inf
    return labelled(values, counts, "attempts", target=targets)
