"""How much of a forecast is a system's own attempts, how much other systems, how much prior."""

import warnings
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr

from bayespassk.arrays import Floats
from bayespassk.errors import ForecastWarning
from bayespassk.families.base import Prior, declared, log_prior
from bayespassk.options import MOST_K
from bayespassk.posterior.fitted import Fitted
from bayespassk.posterior.likelihood import cell_log_moments
from bayespassk.posterior.pooling import Hierarchy, log_effects, log_hyperprior

__all__ = [
    "FAR",
    "LIMIT",
    "Densities",
    "Shares",
    "log_densities",
    "prior_share",
    "shares",
    "warn_if_prior_rules",
]

FAR = 10
"""Up to this many times the attempts made, a forecast is not warned about."""

LIMIT = 0.5
"""A prior that weighs more than this weighs more than all else."""

NAMED = 3
"""Systems that are told of by name."""

DRAWS = 1000
"""Draws that the warning looks at: its weights are right to about 0.05."""


class Densities(NamedTuple):
    """Log densities of a fit at some draws, as they concern one system, dims (draw,).

    Up to constants; likelihoods are those of all problems, p integrated out.

    Attributes
    ----------
    prior : array
        Of the system's parameters or, where it is pooled, of what the systems share.
    own : array
        Its own likelihood.
    others : array or None
        Where it is pooled: the likelihoods of the other systems, and the density of their
        parameters about the centre.
    effect : array or None
        Where it is pooled: the density of its own parameters about the centre.
    centre : mapping of str to array, or None
        Where it is pooled: the free parameters at the centre.
    """

    prior: Floats
    own: Floats
    others: Floats | None = None
    effect: Floats | None = None
    centre: Mapping[str, Floats] | None = None


class Shares(NamedTuple):
    """How much of what is known of a forecast is of whom; the sum is 1."""

    own: float
    others: float
    prior: float


def log_densities(fitted: Fitted, system: int, step: int = 1) -> Densities:
    """Return the log densities of prior, own attempts and other systems at every `step`-th draw."""
    family, hierarchy, posterior = fitted.family, fitted.hierarchy, fitted.posterior
    own = _log_likelihood(fitted, system, step)
    group = hierarchy.group(system)
    if group == (system,) and hierarchy.pooling != "partial":
        values = _values(posterior.isel(system=system), step)
        return Densities(log_prior(family, values) + _log_problem_effects(fitted, values), own)
    at = {}
    if hierarchy.pooling == "within":
        at = {"in_benchmark": [hierarchy.benchmark[system]]}  # the last dim of centre and spread
        hierarchy = Hierarchy("partial", hierarchy.systems, effects=hierarchy.effects)
    values = _values(posterior.isel(at), step)
    values = {n: value if value.ndim > 1 else value[:, None] for n, value in values.items()}
    design = fitted.system_design
    above, below = log_hyperprior(family, hierarchy, values, design)
    effects = log_effects(family, hierarchy, values, design)
    benchmarks = below - effects.sum(-1) if hierarchy.nested else 0.0
    others = benchmarks + sum(
        (effects[:, one] + _log_likelihood(fitted, one, step) for one in group if one != system),
        np.zeros(len(above)),
    )
    prefix, where = "centre_", 0
    if hierarchy.nested:
        prefix, where = "benchmark_centre_", hierarchy.benchmark[system]
    centre = {name: values[f"{prefix}{name}"][:, where] for name in declared(family)}
    above = above + _log_problem_effects(fitted, values)
    return Densities(above, own, others, effects[:, system], centre)


def _values(posterior: xr.Dataset, step: int) -> dict[str, Floats]:
    return {
        str(name): variable.values.reshape(-1, *variable.shape[2:])[::step]
        for name, variable in posterior.items()
    }


def _log_problem_effects(fitted: Fitted, values: Mapping[str, Floats]) -> Floats:
    density = np.zeros(1)
    for name, prior in declared(fitted.family).items() if fitted.hierarchy.problem_columns else ():
        effects = Prior(0.0, prior.between).log_density(values[f"problem_effect_{name}"], 0.0)
        density = density + effects.sum(-1)
    return density


def shares(fitted: Fitted, values: Floats, found: Densities, k: float) -> Shares:
    """Return how much of what is known about a forecast at `k` is own, others' and prior.

    Of a system that is not pooled the prior has the share of :func:`prior_share`, its attempts the
    rest. Of one that is, all but its own likelihood (what systems share, and the others) is what it
    borrows, and has that share. What is borrowed is divided between prior and others as what is
    known of pass@k at their centre: in the same way, from how it changes with the power of each.
    """
    if found.others is None or found.effect is None or found.centre is None:
        prior = prior_share(values, found.prior, found.own)
        return Shares(1 - prior, 0.0, prior)
    borrowed = prior_share(values, found.prior + found.others + found.effect, found.own)
    fail = fitted.family.log_moment(fitted.family.natural(found.centre), 0, np.array([float(k)]))
    squares = _normal_scores(fail[:, 0]) ** 2
    prior, others = (max(_weight(squares, one), 0.0) for one in (found.prior, found.others))
    part = 1.0 if not others else prior / (prior + others)
    return Shares(1 - borrowed, borrowed * (1 - part), borrowed * part)


def _log_likelihood(fitted: Fitted, system: int, step: int) -> Floats:
    total = np.zeros(1)
    for part in fitted.parts[system]:
        parameters = {name: value.ravel()[::step] for name, value in part.parameters.items()}
        moments = cell_log_moments(fitted.family, parameters, part.cells)
        total = total + moments @ part.cells.problems
    return total


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

    prior, likelihood = _weight(squares, log_prior), _weight(squares, log_likelihood)
    return float(np.clip(prior / max(prior + likelihood, 0.5), 0.0, 1.0))


def _weight(squares: Floats, log_density: Floats) -> float:
    """Return -d log s / d log alpha of the power alpha of a density."""
    return -float(np.cov(squares, log_density)[0, 1]) / 2


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
    """Issue a `ForecastWarning` where prior and other systems outweigh a system's own attempts.

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
    found: dict[int, Shares] = {}
    for system, k in far.items():
        if k > min(FAR * most[system], near):
            values = draws(system)
            step = max(1, len(values) // DRAWS)
            at = min(k, float(MOST_K))
            one = shares(fitted, values[::step], log_densities(fitted, system, step), at)
            if one.prior + one.others > LIMIT:
                found[system] = one
    if not found:
        return
    ruled = sorted(found)
    warnings.warn(
        ForecastWarning(
            _message(fitted, far, found, rests_on),
            systems=[fitted.systems[system] for system in ruled],
            k=int(min(max(far[system] for system in ruled), MOST_K)),
            prior_share=[found[system].prior for system in ruled],
            others_share=[found[system].others for system in ruled],
        ),
        stacklevel=stacklevel + 1,
    )


def _message(
    fitted: Fitted, far: Mapping[int, float], found: Mapping[int, Shares], rests_on: str
) -> str:
    """Return what is said of the systems whose forecasts are mostly not their own, worst first."""
    worst = sorted(found, key=lambda system: found[system].own)
    ks = {far[system] for system in worst}
    pooled = any(one.others for one in found.values())
    each = [
        f"{found[system].prior:.0%} "
        + (f"and {found[system].others:.0%} " if pooled else "")
        + f"for {fitted.systems[system]!r} ("
        + (f"k = {_k(far[system])}, " if len(ks) > 1 else "")
        + f"{fitted.most_attempts[system]:,} attempts a problem)"
        for system in worst[:NAMED]
    ]
    what = "prior and other systems weigh" if pooled else "the prior weighs"
    own = "a system's own attempts" if pooled else "the attempts"
    remedy = "; or pooling='none', if the others are not alike" if pooled else ""
    return (
        f"at k = {_k(max(ks))} {what} more than {own} in the forecast of "
        f"{len(found)} of {len(far)} systems{f', which {rests_on} rests on' if rests_on else ''}: "
        f"{', '.join(each)}{', ...' if len(found) > NAMED else ''}. What to do: more attempts or "
        f"more problems; forecasts from several families (bp.compare); or a prior you would defend"
        f"{remedy}. See bp.sensitivity for other k"
    )


def _k(k: float) -> str:
    return f"{k:,.0f}" if k <= MOST_K else "beyond 1e12"
