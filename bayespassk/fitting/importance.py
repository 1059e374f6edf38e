"""Weighted draws: importance sampling, and what is said of points with weights."""

import numpy as np
from scipy import special as sp

from bayespassk.arrays import Floats, Ints

__all__ = ["draw_t", "evenly", "log_t", "mean_and_covariance", "normalised", "tempered"]

FREEDOM = 6.0
"""Degrees of freedom of proposals."""


def draw_t(rng: np.random.Generator, mean: Floats, covariance: Floats, number: int) -> Floats:
    """Return draws from a t distribution, dims (draw, parameter)."""
    normal = rng.standard_normal((number, len(mean)))
    scale = np.sqrt(rng.chisquare(FREEDOM, (number, 1)) / FREEDOM)
    return np.asarray(mean + normal / scale @ np.linalg.cholesky(covariance).T)


def log_t(x: Floats, mean: Floats, covariance: Floats) -> Floats:
    """Return the log density of a t distribution at points, dims (point, parameter)."""
    d = len(mean)
    factor = np.linalg.cholesky(covariance)
    squares = (np.linalg.solve(factor, (x - mean).T) ** 2).sum(0)
    log_det = np.log(np.diag(factor)).sum()
    constant = sp.gammaln((FREEDOM + d) / 2) - sp.gammaln(FREEDOM / 2)
    constant -= 0.5 * d * np.log(FREEDOM * np.pi) + log_det
    return np.asarray(constant - 0.5 * (FREEDOM + d) * np.log1p(squares / FREEDOM))


def mean_and_covariance(x: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Return mean and covariance of weighted points, dims (point, parameter)."""
    mean = weight @ x
    offset = x - mean
    covariance = (offset * weight[:, None]).T @ offset
    return mean, covariance + 1e-9 * np.eye(len(mean)) * np.trace(covariance)


def normalised(log_weight: Floats, power: float = 1.0) -> Floats:
    """Return weights to a power, with the sum 1."""
    weight = np.exp(power * (log_weight - log_weight.max()))
    return np.asarray(weight / weight.sum())


def tempered(log_weight: Floats, least: float, halvings: int = 30) -> tuple[float, Floats]:
    """Return the largest power, up to 1, at which weights have an effective size of `least`.

    Found to 2^-halvings; and the weights to that power, with the sum 1.
    """
    low, high = 0.0, 1.0
    weight = normalised(log_weight)
    if 1 / (weight**2).sum() >= least:
        return high, weight
    for _ in range(halvings):
        middle = (low + high) / 2
        weight = normalised(log_weight, middle)
        if 1 / (weight**2).sum() >= least:
            low = middle
        else:
            high = middle
    return low, normalised(log_weight, low)


def evenly(weight: Floats, number: int, rng: np.random.Generator) -> Ints:
    """Return positions, each as often as its weight says to within one, in random order."""
    steps = (np.arange(number) + rng.random()) / number
    found = np.searchsorted(weight.cumsum() / weight.sum(), steps)
    return rng.permutation(found.clip(0, len(weight) - 1))
