"""How much of a forecast is prior: its weight against that of the attempts."""

import warnings
from collections.abc import Callable, Mapping

import numpy as np

from bayespassk.arrays import Floats
from bayespassk.errors import ForecastWarning
from bayespassk.families.base import Prior, declared, log_prior
from bayespassk.options import MOST_K
from bayespassk.posterior.fitted import Fitted
from bayespassk.posterior.likelihood import cell_log_moments
from bayespassk.posterior.pooling import Hierarchy, log_hyperprior

__all__ = ["FAR", "LIMIT", "log_densities", "prior_share", "warn_if_prior_rules"]

FAR = 10
"""Up to this many times the attempts made, a forecast is not warned about."""

LIMIT = 0.5
"""A prior that weighs more than this weighs more than all else."""

NAMED = 3
"""Systems that are told of by name."""

DRAWS = 1000
"""Draws that the warning looks at: its weights are right to about 0.05."""


def log_densities(fitted: Fitted, system: int, step: int = 1) -> tuple[Floats, Floats]:
    """Return log prior and log likelihood of one system at every `step`-th draw, dims (draw,).

    Up to constants; the likelihood is that of all its problems, p integrated out. With partial
    pooling the prior is that of what the systems share, and the likelihood that of all of them.
    """
    likelihoods = (_log_likelihood(fitted, one, step) for one in fitted.hierarchy.group(system))
    return _log_prior(fitted, system, step), sum(likelihoods, np.zeros(1))


def _log_likelihood(fitted: Fitted, system: int, step: int) -> Floats:
    total = np.zeros(1)
    for part in fitted.parts[system]:
        parameters = {name: value.ravel()[::step] for name, value in part.parameters.items()}
        moments = cell_log_moments(fitted.family, parameters, part.cells)
        total = total + moments @ part.cells.problems
    return total


def _log_prior(fitted: Fitted, system: int, step: int) -> Floats:
    family, hierarchy, posterior = fitted.family, fitted.hierarchy, fitted.posterior
    alone = hierarchy.group(system) == (system,) and hierarchy.pooling != "partial"
    own = {"system": system} if alone else {}
    if hierarchy.pooling == "within":
        own["in_benchmark"] = [hierarchy.benchmark[system]]  # the last dim of centre and spread
        hierarchy = Hierarchy("partial", len(hierarchy.benchmark), effects=hierarchy.effects)
    values = {
        str(name): variable.values.reshape(-1, *variable.shape[2:])[::step]
        for name, variable in posterior.isel(own).items()
    }
    if alone:
        density = log_prior(family, values)
    else:
        values = {n: value if value.ndim > 1 else value[:, None] for n, value in values.items()}
        density = log_hyperprior(family, hierarchy, values, fitted.system_design)[0]
    for name, prior in declared(family).items() if hierarchy.problem_columns else ():
        effects = Prior(0.0, prior.between).log_density(values[f"problem_effect_{name}"], 0.0)
        density = density + effects.sum(-1)
    return density


def prior_share(values: Floats, log_prior: Floats, log_likelihood: Floats) -> float:
    """Return how much of what is known about `values` is from the prior, 0 to 1.

    Let the prior be raised to the power alpha, and s be the standard deviation of the posterior
    of `values`, which are first replaced by normal scores of their ranks, so that the scale of a
    forecast does not matter. Where both prior and likelihood are normal, -d log s / d log alpha at
    alpha = 1 is half the share of the prior in the precision of the posterior, and with the power
    put on the likelihood it is half of the rest. So the share is the first over the sum of both,
    or over 1/2 where the sum is less, as the counts of single problems then say the rest. It is 1
    without attempts.

    Parameters
    ----------
    values, log_prior, log_likelihood : array, dims (draw,)
        Of the same draws of the posterior.

    Notes
    -----
    The derivative with respect to log alpha is a covariance of squares with log densities, so
    nothing is weighted again. Unlike the ratio of two distances between distributions, this does
    not tend to 1/2 where prior and data disagree: then both shift the posterior, equally and in
    opposite directions.

    References
    ----------
    Kallioinen et al. 2024, arXiv:2107.14054 (power-scaling).
    """
    if np.ptp(log_likelihood) == 0:  # there were no attempts
        return 1.0
    squares = _normal_scores(values) ** 2

    def weight(log_density: Floats) -> float:
        return -float(np.cov(squares, log_density)[0, 1]) / 2

    prior, likelihood = weight(log_prior), weight(log_likelihood)
    return float(np.clip(prior / max(prior + likelihood, 0.5), 0.0, 1.0))


def _normal_scores(values: Floats) -> Floats:
    """Return normal quantiles at the ranks; equal values get the mean of their ranks."""
    from scipy.special import ndtri

    _, inverse, copies = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(copies) - copies / 2
    return np.asarray(ndtri(middle[inverse] / len(values)))


def warn_if_prior_rules(
    fitted: Fitted,
    far: Mapping[int, float],
    draws: Callable[[int], Floats],
    rests_on: str,
    near: float = np.inf,
    stacklevel: int = 2,
) -> None:
    """Issue a `ForecastWarning` where the prior outweighs the attempts.

    Parameters
    ----------
    fitted : Fitted
    far : mapping of int to float
        By system, the k that is looked at. Up to `FAR` times the most attempts that it made at a
        problem nothing is said of it; nor up to `near`, if that is less.
    draws : callable
        Takes the position of a system; returns the draws of its forecast at that k, dims (draw,).
    rests_on : str
        What rests on that forecast, in words; empty if it is what was asked for.
    """
    most = fitted.most_attempts
    shares: dict[int, float] = {}
    for system, k in far.items():
        if k > min(FAR * most[system], near):
            values = draws(system)
            step = max(1, len(values) // DRAWS)
            share = prior_share(values[::step], *log_densities(fitted, system, step))
            if share > LIMIT:
                shares[system] = share
    if not shares:
        return
    ruled = sorted(shares)
    warnings.warn(
        ForecastWarning(
            _message(fitted, far, shares, rests_on),
            systems=[fitted.systems[system] for system in ruled],
            k=int(min(max(far[system] for system in ruled), MOST_K)),
            prior_share=[shares[system] for system in ruled],
        ),
        stacklevel=stacklevel + 1,
    )


def _message(
    fitted: Fitted, far: Mapping[int, float], shares: Mapping[int, float], rests_on: str
) -> str:
    """Return what is said of the systems whose forecasts are mostly prior, the worst first."""
    worst = sorted(shares, key=lambda system: -shares[system])
    ks = {far[system] for system in worst}
    each = [
        f"{shares[system]:.0%} for {fitted.systems[system]!r} ("
        + (f"k = {_k(far[system])}, " if len(ks) > 1 else "")
        + f"{fitted.most_attempts[system]:,} attempts a problem)"
        for system in worst[:NAMED]
    ]
    return (
        f"at k = {_k(max(ks))} the prior weighs more than the attempts in the forecast of "
        f"{len(shares)} of {len(far)} systems{f', which {rests_on} rests on' if rests_on else ''}: "
        f"{', '.join(each)}{', ...' if len(shares) > NAMED else ''}. What to do: more attempts or "
        "more problems; forecasts from several families (bp.compare); or a prior you would defend. "
        "See bp.sensitivity for other k"
    )


def _k(k: float) -> str:
    return f"{k:,.0f}" if k <= MOST_K else "beyond 1e12"
