"""Where the counts of each problem lie in what the others foretell: the LOO-PIT."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats, Ints
from bayespassk.cells import Cells
from bayespassk.counts import batch_size
from bayespassk.errors import OptionError
from bayespassk.families import Family
from bayespassk.families.dependent import dependence
from bayespassk.judging.replicating import thin_draws
from bayespassk.options import system_seed
from bayespassk.posterior.fitted import opened
from bayespassk.special import log_binomial

__all__ = ["loo_pit"]

DRAWS = 1000
"""Draws that a PIT is averaged over, if that takes no more than `NUMBERS` probabilities."""

NUMBERS = 10_000_000
FEWEST = 50

PAIRS = 4_000
"""Counts whose probabilities are computed at a time."""


def loo_pit(fit: xr.DataTree, *, random_seed: int | None = None) -> xr.DataArray:
    """Return where each problem's outcome lies in what the other problems foretell of it.

    The probability integral transform under leave-one-out: ``P(C < c) + u P(C = c)``, where C are
    the successes of a new problem given the same attempts and fitted without this problem, and u
    is uniform. For the right family the values are uniform between 0 and 1; a heap at 0 says that
    there are more problems with few successes than the family can make.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    random_seed : int, optional
        Repeats u; by default follows from the seed of the fit.

    Returns
    -------
    xarray.DataArray
        Values in 0 to 1, dims (row,), with coordinates row_system and problem; NaN for a problem
        without attempts. Its ``attrs`` hold `pareto_k`, the largest of the importance weights
        that leave a problem out: above 0.7, some value is not to be relied on.

        Where attempts end at a success, the outcome is when they ended, from late to early: near
        0 are problems without success, near 1 those solved at once.

    Raises
    ------
    OptionError
        If stopping is "adaptive", as what else could have been seen is not known then; or if
        more than 200,000 probabilities of counts are needed: never with fewer attempts at each
        problem, their number being the same.

    Notes
    -----
    Unlike in :func:`check`, no outcome is compared with a fit that has seen it. But uniform values
    do not show that the family is right far below p = 1/n. At most 1,000 draws of the posterior are
    averaged, fewer where more than 10,000 probabilities of counts are needed. Where many problems
    have equal counts, above all where many are unsolved, much of a value is u, and another seed
    gives others.

    References
    ----------
    Gelfand 1996; Czado et al. 2009, "Predictive model assessment for count data"; Vehtari et al.
    2017, arXiv:1507.04544 (leaving out by importance sampling).

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> bp.loo_pit(fit).dims
    ('row',)
    """
    check_arguments("loo_pit", locals())
    fitted = opened(fit)
    if dependence(fitted.family) is not None:
        raise OptionError(
            "loo_pit needs attempts that are independent given the problem, and the family is "
            f"{fitted.family.full_name}; bp.check replicates such counts run by run"
        )
    cells, stopping = fitted.cells, fitted.stopping
    if stopping == "adaptive":
        raise OptionError(
            "loo_pit needs to know how the attempts were ended, and stopping is 'adaptive'; "
            "bp.check replicates such counts given their attempts"
        )
    seed = fitted.seed_or(random_seed)
    values = np.empty(len(cells.inverse))
    worst = 0.0
    for system, parts in zip(fitted.systems, fitted.parts, strict=True):
        rng = np.random.default_rng([system_seed(seed, system), 2])
        for part in parts:
            below, mass, pareto_k = _left_out(fitted.family, part.parameters, part.cells, stopping)
            u, at = rng.random(len(part.rows)), part.cells.inverse
            values[part.rows] = (below[at] + u * mass[at]).clip(0.0, 1.0)
            worst = max(worst, pareto_k)
    values[(cells.successes + cells.failures == 0)[cells.inverse]] = np.nan
    return xr.DataArray(
        values,
        dims="row",
        coords=dict(fit["observed_data"].dataset.coords),
        name="loo_pit",
        attrs={
            "pareto_k": worst,
            "stopping": stopping,
            "pit_seed": seed,
            "attempted": fitted.attempted(),
        },
    )


def _left_out(
    family: Family, parameters: Mapping[str, Floats], cells: Cells, stopping: str
) -> tuple[Floats, Floats, float]:
    """Return P(C < c) and P(C = c) without the problem itself, dims (cell,), and the Pareto k."""
    from arviz_stats.base import array_stats

    size = batch_size(stopping)
    if size is None:
        pairs = _pairs(cells)
        draws = int(np.clip(NUMBERS // max(1, pairs), FEWEST, DRAWS))
        if pairs * draws > NUMBERS:
            raise OptionError(
                f"loo_pit needs the probability of {pairs:,} counts and can compute "
                f"{NUMBERS // FEWEST:,}; thin the attempts (bp.thin) and fit those"
            )
        thinned = thin_draws(parameters, draws)
        below, mass, log_likelihood = _by_successes(family, thinned, cells)
    else:
        thinned = thin_draws(parameters, DRAWS)
        below, mass, log_likelihood = _by_attempts(family, thinned, cells, size)
    weights = np.ones_like(log_likelihood)
    worst = 0.0
    informed = np.ptp(log_likelihood, axis=-1) > 0  # not by no attempts
    if informed.any():
        # ArviZ takes log-likelihoods, whose negatives are the log weights of leave-one-out.
        log_weights, pareto_k = array_stats.psislw(log_likelihood[informed])
        weights[informed] = np.exp(log_weights - log_weights.max(-1, keepdims=True))
        worst = float(np.max(pareto_k))
    weights /= weights.sum(-1, keepdims=True)
    return (weights * below).sum(-1), (weights * mass).sum(-1), worst


def _sides(attempts: int, successes: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the counts whose probabilities are needed, and which cells are summed from below."""
    low = 2 * successes <= attempts
    up_to = np.arange(successes[low].max() + 1) if low.any() else np.arange(0)
    down_to = np.arange(successes[~low].min(), attempts + 1) if (~low).any() else np.arange(0)
    return np.union1d(up_to, down_to), low


def _pairs(cells: Cells) -> int:
    """Return how many (successes, attempts) have to be summed over."""
    attempts = cells.successes + cells.failures
    return sum(len(_sides(int(n), cells.successes[attempts == n])[0]) for n in np.unique(attempts))


def _by_successes(
    family: Family, parameters: dict[str, Floats], cells: Cells
) -> tuple[Floats, Floats, Floats]:
    """Return P(C < c), P(C = c) and the log likelihood, dims (cell, draw)."""
    attempts = cells.successes + cells.failures
    draws = len(next(iter(parameters.values())))
    below, mass, log_likelihood = (np.empty((len(attempts), draws)) for _ in range(3))
    for n in np.unique(attempts):
        at = np.flatnonzero(attempts == n)
        successes = cells.successes[at]
        counts, low = _sides(int(n), successes)
        log_mass = _log_probabilities(family, parameters, int(n), counts)
        place = np.searchsorted(counts, successes)
        each = np.exp(log_mass)
        upwards, downwards = each.cumsum(0), each[::-1].cumsum(0)[::-1]
        log_likelihood[at] = log_mass[place]
        mass[at] = each[place]
        below[at] = np.where(low[:, None], upwards[place] - each[place], 1.0 - downwards[place])
    return below, mass, log_likelihood


def _log_probabilities(
    family: Family, parameters: dict[str, Floats], attempts: int, successes: Ints
) -> Floats:
    """Return log P(C = c) in `attempts` attempts at a new problem, dims (count, draw)."""
    constants = log_binomial(attempts, successes)
    parts = [
        family.log_moment(parameters, part.astype(float), (attempts - part).astype(float))
        for part in np.array_split(successes, -(-len(successes) // PAIRS))
    ]
    return np.asarray(np.concatenate(parts, -1) + constants).T


def _by_attempts(
    family: Family, parameters: dict[str, Floats], cells: Cells, size: int
) -> tuple[Floats, Floats, Floats]:
    """Return the same where attempts end at a success: C is larger the sooner they ended.

    P(C < c) is the probability that the attempts made are all failures; P(C = c) that those before
    the last batch are and those in it are not.
    """
    attempts = cells.successes + cells.failures
    last = np.where(attempts % size == 0, size, attempts % size)
    before = np.where(attempts == 0, 0, attempts - last)
    fail = family.log_moment(parameters, 0.0, np.concatenate([attempts, before]).astype(float))
    fail_now, fail_before = np.exp(fail.T[: len(attempts)]), np.exp(fail.T[len(attempts) :])
    unsolved = (cells.successes == 0)[:, None]
    seen = family.log_moment(
        parameters, cells.successes.astype(float), cells.failures.astype(float)
    )
    below = np.where(unsolved, 0.0, fail_now)
    mass = np.where(unsolved, fail_now, fail_before - fail_now)
    return below, mass, np.asarray(seen.T)
