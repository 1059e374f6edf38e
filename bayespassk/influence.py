"""How much of a forecast is prior: its weight against that of the attempts."""

import warnings
from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.arrays import Floats
from bayespassk.errors import ForecastWarning
from bayespassk.families.base import Prior, declared, log_prior
from bayespassk.hierarchy import log_hyperprior
from bayespassk.posterior import (
    cell_log_moments,
    family_of,
    hierarchy_of,
    parts_of,
    system_design,
)

__all__ = ["FAR", "LIMIT", "log_densities", "most_attempts", "prior_share", "warn_if_prior_rules"]


FAR = 10
"""Up to this many times the attempts made, a forecast is not warned about."""

LIMIT = 0.5
"""A prior that weighs more than this weighs more than all else."""

DRAWS = 1000
"""Draws that the warning looks at: its weights are right to about 0.05."""


def log_densities(fit: xr.DataTree, system: int, step: int = 1) -> tuple[Floats, Floats]:
    """Return log prior and log likelihood of one system at every `step`-th draw, dims (draw,).

    Up to constants; the likelihood is that of all its problems, p integrated out. With partial
    pooling the prior is that of what the systems share, and the likelihood that of all of them.
    """
    if hierarchy_of(fit).pooling == "none":
        return _log_prior(fit, system, step), _log_likelihood(fit, system, step)
    systems = range(fit["posterior"].sizes["system"])
    return _log_prior(fit, system, step), sum(
        (_log_likelihood(fit, one, step) for one in systems), np.zeros(1)
    )


def _log_likelihood(fit: xr.DataTree, system: int, step: int) -> Floats:
    family = family_of(fit)
    total = np.zeros(1)
    for part in parts_of(fit, system):
        parameters = {name: value.ravel()[::step] for name, value in part.parameters.items()}
        total = total + cell_log_moments(family, parameters, part.cells) @ part.cells.problems
    return total


def _log_prior(fit: xr.DataTree, system: int, step: int) -> Floats:
    family, hierarchy = family_of(fit), hierarchy_of(fit)
    posterior = fit["posterior"].dataset
    alone = hierarchy.pooling == "none"
    values = {
        str(name): variable.values.reshape(-1, *variable.shape[2:])[::step]
        for name, variable in (posterior.isel(system=system) if alone else posterior).items()
    }
    if alone:
        density = log_prior(family, values)
    else:
        values = {n: value if value.ndim > 1 else value[:, None] for n, value in values.items()}
        density = log_hyperprior(family, hierarchy, values, system_design(fit))[0]
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
    fit: xr.DataTree, forecast: xr.DataArray, *, near: float = np.inf, stacklevel: int = 2
) -> None:
    """Issue a :class:`ForecastWarning` where the prior outweighs the attempts at the largest k.

    Not for k up to `FAR` times the most attempts that a system made at a problem, nor up to `near`
    if that is less.
    """
    k = int(forecast["k"].values.max())
    most = most_attempts(fit)
    shares: dict[str, float] = {}
    step = max(1, forecast.sizes["chain"] * forecast.sizes["draw"] // DRAWS)
    systems = [str(system) for system in forecast["system"].values]
    for position, system in enumerate(systems):
        if k > min(FAR * most[position], near):
            values = forecast.isel(system=position).sel(k=k).values.ravel()[::step]
            share = prior_share(values, *log_densities(fit, position, step))
            if share > LIMIT:
                shares[system] = share
    if shares:
        message = _message(k, shares, dict(zip(systems, most, strict=True)))
        warnings.warn(
            ForecastWarning(
                message, systems=tuple(shares), k=k, prior_share=tuple(shares.values())
            ),
            stacklevel=stacklevel + 1,
        )


def most_attempts(fit: xr.DataTree) -> NDArray[np.int64]:
    """Return the most attempts at a problem, dims (system,)."""
    constant = fit["constant_data"].dataset
    most = np.zeros(fit["posterior"].sizes["system"], dtype=np.int64)
    np.maximum.at(most, constant["system_index"].values, constant["attempts"].values)
    return most


def _message(k: int, shares: dict[str, float], most: dict[str, int]) -> str:
    worst: Sequence[str] = sorted(shares, key=lambda system: -shares[system])[:3]
    some = ", ".join(
        f"{shares[system]:.0%} for {system!r} ({most[system]:,} attempts a problem)"
        for system in worst
    )
    return (
        f"at k = {k:,} the prior weighs more than the attempts in the forecast of {len(shares)} "
        f"of {len(most)} systems: {some}{', ...' if len(shares) > 3 else ''}. What to do: more "
        "attempts or more problems; forecasts from several families (bp.compare); or a prior "
        "you would defend. See bp.sensitivity for other k"
    )
