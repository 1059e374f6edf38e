"""Reference values from code that shares nothing with the package's."""

import mpmath as mp
import numpy as np
from scipy import special as sp, stats

import bayespassk as bp


def log_beta_moment(alpha: float, beta: float, a: float, b: float) -> mp.mpf:
    """Return log B(alpha + a, beta + b) / B(alpha, beta) to 40 digits or more."""
    with mp.workdps(70):
        x, y, i, j = (mp.mpf(v) for v in (alpha, beta, a, b))

        def log_beta(p, q):
            return mp.loggamma(p) + mp.loggamma(q) - mp.loggamma(p + q)

        return log_beta(x + i, y + j) - log_beta(x, y)


def density(prior: bp.Prior, x: np.ndarray) -> np.ndarray:
    """Return the log density of a prior, by SciPy."""
    return getattr(stats, {"normal": "norm"}.get(prior.kind, prior.kind)).logpdf(
        x, prior.loc, prior.scale
    )


def grid_posterior(counts: bp.Counts, family: bp.Beta) -> dict[str, np.ndarray]:
    """Return the posterior of a beta on a grid of (log a, log b): points and their weights.

    Plain sums of gammaln over problems; a coarse grid finds the mode, a fine one covers it.
    """
    c, n = counts.successes.astype(float), counts.attempts.astype(float)

    def log_posterior(log_a, log_b):
        a, b = np.exp(log_a)[..., None], np.exp(log_b)[..., None]
        likelihood = sp.betaln(a + c, b + n - c) - sp.betaln(a, b)
        return likelihood.sum(-1) + density(family.log_a, log_a) + density(family.log_b, log_b)

    log_a, log_b = np.linspace(-12, 6, 120), np.linspace(-20, 40, 240)
    for points in (160, 160, 160):
        grid = np.meshgrid(log_a, log_b, indexing="ij")
        value = log_posterior(*grid)
        near = value > value.max() - 18
        steps = log_a[1] - log_a[0], log_b[1] - log_b[0]
        log_a, log_b = (
            np.linspace(axis[near].min() - step, axis[near].max() + step, points)
            for axis, step in zip(grid, steps, strict=True)
        )
    grid = np.meshgrid(log_a, log_b, indexing="ij")
    value = log_posterior(*grid)
    weight = np.exp(value - value.max())
    return {
        "log_a": grid[0].ravel(),
        "log_b": grid[1].ravel(),
        "logit_mean": (grid[0] - grid[1]).ravel(),
        "weight": (weight / weight.sum()).ravel(),
    }


def mean_and_sd(values: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Return the weighted mean and standard deviation."""
    mean = float(values @ weight)
    return mean, float(np.sqrt((values - mean) ** 2 @ weight))
