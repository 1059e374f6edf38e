"""How much of a forecast is a system's own attempts, how much other systems, how much prior."""

import warnings
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr

from bayespassk.arrays import Floats, Ints
from bayespassk.errors import ForecastWarning
from bayespassk.families.base import Prior, declared, log_prior
from bayespassk.options import MOST_K
from bayespassk.posterior.fitted import Fitted
from bayespassk.posterior.likelihood import cell_log_moments
from bayespassk.posterior.pooling import Hierarchy, log_effects, log_hyperprior

__all__ = [
    "FAR",
    "LIMIT",
    "MOST_SHIFT",
    "Densities",
    "Shares",
    "log_densities",
    "log_prior_of",
    "prior_share",
    "prior_shift",
    "shares",
    "warn_if_prior_rules",
    "warn_if_prior_shifts",
]

FAR = 10
"""Up to this many times the attempts made, a forecast may rest on other systems unwarned."""

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
    lent : array or None
        Where it is pooled: what prior and other systems tell of its parameters, which is their
        posterior over its own likelihood.
    effect : array or None
        Where it is pooled: the density of its own parameters about the centre.
    centre : mapping of str to array, or None
        Where it is pooled: the free parameters at the centre.
    """

    prior: Floats
    own: Floats
    lent: Floats | None = None
    effect: Floats | None = None
    centre: Mapping[str, Floats] | None = None


class Shares(NamedTuple):
    """How much of what is known of a forecast is of whom; the sum is 1."""

    own: float
    others: float
    prior: float


def log_densities(fitted: Fitted, system: int, step: int = 1) -> Densities:
    """Return the log densities of prior, own attempts and what is lent at every `step`-th draw.

    What others lend could be summed over all of them; but the sum of many likelihoods says next to
    nothing of one system and varies by much, and its covariance with a forecast is noise. The
    posterior of the system's own parameters is taken for normal instead.
    """
    own, prior = _log_likelihood(fitted, system, step), log_prior_of(fitted, system, step)
    if _by_itself(fitted, system):
        return Densities(prior, own)
    hierarchy, values = _joint(fitted, system, step)
    names = list(declared(fitted.family))
    effect = log_effects(fitted.family, hierarchy, values, fitted.system_design)[:, system]
    prefix, where = "centre_", 0
    if hierarchy.nested:
        prefix, where = "benchmark_centre_", hierarchy.benchmark[system]
    centre = {name: values[f"{prefix}{name}"][:, where] for name in names}
    free = np.stack([values[name][:, system] for name in names], -1)
    return Densities(prior, own, _log_normal(free) - own, effect, centre)


def _log_normal(x: Floats) -> Floats:
    """Return the log density of a normal with the mean and covariance of `x`, dims (draw, name)."""
    away = x - x.mean(0)
    inverse = np.linalg.pinv(np.cov(away, rowvar=False).reshape(x.shape[1], -1))
    return np.asarray(-0.5 * ((away @ inverse) * away).sum(-1))


def _by_itself(fitted: Fitted, system: int) -> bool:
    hierarchy = fitted.hierarchy
    return hierarchy.group(system) == (system,) and hierarchy.pooling != "partial"


def _joint(fitted: Fitted, system: int, step: int) -> tuple[Hierarchy, dict[str, Floats]]:
    """Return how the systems that a system is pooled with hang together, and all variables."""
    hierarchy, at = fitted.hierarchy, {}
    if hierarchy.pooling == "within":
        at = {"in_benchmark": [hierarchy.benchmark[system]]}  # the last dim of centre and spread
        hierarchy = Hierarchy("partial", hierarchy.systems, effects=hierarchy.effects)
    values = _values(fitted.posterior.isel(at), step)
    return hierarchy, {n: v if v.ndim > 1 else v[:, None] for n, v in values.items()}


def log_prior_of(fitted: Fitted, system: int, step: int) -> Floats:
    """Return the log density of the prior at every `step`-th draw."""
    if _by_itself(fitted, system):
        values = _values(fitted.posterior.isel(system=system), step)
        return log_prior(fitted.family, values) + _log_problem_effects(fitted, values)
    hierarchy, values = _joint(fitted, system, step)
    above, _ = log_hyperprior(fitted.family, hierarchy, values, fitted.system_design)
    return above + _log_problem_effects(fitted, values)


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
    rest. Of one that is, all but its own likelihood is what it borrows, and has that share. What is
    borrowed is divided between prior and others as what is known of pass@k at their centre, in the
    same way: the prior has its share there of all that does not come from the system itself.
    """
    if found.lent is None or found.effect is None or found.centre is None:
        prior = prior_share(values, found.prior, found.own)
        return Shares(1 - prior, 0.0, prior)
    borrowed = prior_share(values, found.lent, found.own)
    fail = fitted.family.log_moment(fitted.family.natural(found.centre), 0, np.array([float(k)]))
    squares = _normal_scores(fail[:, 0]) ** 2
    prior, mine = (_weight(squares, one) for one in (found.prior, found.own + found.effect))
    part = float(np.clip(prior / max(0.5 - mine, prior, 1e-9), 0.0, 1.0))
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


MOST_SHIFT = 0.75
"""Of the mean, in standard deviations of a forecast, between half and twice the prior's weight:
beyond it, a band of 95% may hold 93% for a prior that is as good."""

FEWEST = 50
"""Effective draws below which weights say nothing."""


def prior_shift(values: Floats, log_prior: Floats) -> float:
    """Return how far the prior shifts the mean of `values`, in standard deviations.

    The mean with the prior squared, less that with its root, over the standard deviation of
    the posterior: by importance weights, or by the derivative at the posterior itself where there
    are too few draws for these.

    Parameters
    ----------
    values, log_prior : array, dims (draw,)
        Of the same draws of the posterior.

    Notes
    -----
    A prior can be a small part of what is known, by :func:`prior_share`, and yet stand so far from
    the attempts that it moves the forecast. Where both are normal, a prior with the share s of
    the precision, its centre d of the posterior's standard deviations from the forecast, shifts
    by about 1.5 s d.

    References
    ----------
    Kallioinen et al. 2024, arXiv:2107.14054 (power-scaling).
    """
    spread = float(values.std())
    if not np.isfinite(spread) or spread == 0:
        return 0.0
    means, least = [], np.inf
    for power in (1.0, -0.5):  # on top of the prior that is in the posterior
        weight = np.exp(power * log_prior - (power * log_prior).max())
        weight = np.minimum(weight, weight.mean() * np.sqrt(len(weight)))
        least = min(least, float(weight.sum() ** 2 / (weight**2).sum()))
        means.append(float(weight @ values / weight.sum()))
    if least < FEWEST:
        return float(np.log(4) * np.cov(values, log_prior)[0, 1] / spread)
    return (means[0] - means[1]) / spread


def warn_if_prior_shifts(
    fitted: Fitted,
    answers: Mapping[int, Floats],
    ks: Ints,
    stacklevel: int = 2,
) -> None:
    """Issue a `ForecastWarning` where the prior shifts a forecast by more than `MOST_SHIFT` sds.

    Parameters
    ----------
    fitted : Fitted
    answers : mapping of int to array, dims (..., k)
        The draws of the forecast of each system that is looked at, by its position.
    ks : array of int, dims (k,)
    """
    found: list[tuple[float, int, int]] = []
    for system, draws in answers.items():
        values = draws.reshape(-1, draws.shape[-1])
        step = max(1, len(values) // DRAWS)
        density = np.broadcast_to(log_prior_of(fitted, system, step), len(values[::step]))
        shifts = [prior_shift(values[::step, i], density) for i in range(len(ks))]
        at = int(np.abs(shifts).argmax())
        if abs(shifts[at]) > MOST_SHIFT:
            found.append((shifts[at], system, int(min(ks[at], MOST_K))))
    if not found:
        return
    found.sort(key=lambda one: -abs(one[0]))
    each = [f"{shift:+.1f} for {fitted.systems[i]!r} at k = {k:,}" for shift, i, k in found[:NAMED]]
    warnings.warn(
        ForecastWarning(
            f"the prior moves the forecast of {len(found)} of {len(fitted.systems)} systems: twice "
            "its weight against half of it shifts the mean, in standard deviations of the "
            f"forecast, by {', '.join(each)}{', ...' if len(found) > NAMED else ''}. What to do: "
            "more attempts or more problems; or a prior you would defend. See bp.sensitivity for "
            "other k",
            systems=[fitted.systems[system] for _, system, _ in found],
            k=max(k for _, _, k in found),
            prior_shift=[shift for shift, _, _ in found],
        ),
        stacklevel=stacklevel + 1,
    )


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
) -> set[int]:
    """Issue a `ForecastWarning` where prior and others outweigh a system's own attempts.

    Returns the positions of the systems told of.

    Parameters
    ----------
    fitted : Fitted
    far : mapping of int to float
        By system, the k that is looked at. Up to `FAR` times the most attempts that it made at a
        problem, or up to `near` if that is less, only the prior is told of: that others lend there
        is what pooling is for.
    draws : callable
        Takes the position of a system; returns the draws of its forecast at that k, dims (draw,).
    rests_on : str
        What rests on that forecast, in words; empty if it is what was asked for.
    """
    most = fitted.most_attempts
    found: dict[int, Shares] = {}
    for system, k in far.items():
        values = draws(system)
        step = max(1, len(values) // DRAWS)
        at = min(k, float(MOST_K))
        one = shares(fitted, values[::step], log_densities(fitted, system, step), at)
        beyond = k > min(FAR * most[system], near)
        if one.prior + (one.others if beyond else 0.0) > LIMIT:
            found[system] = one
    if not found:
        return set()
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
    return set(ruled)


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
