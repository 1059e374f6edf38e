"""How forecasts by an approximate posterior differ from those by the exact one."""

from dataclasses import dataclass

import numpy as np

from bayespassk.arrays import Floats, Ints
from bayespassk.families import Family
from bayespassk.families.base import declared
from bayespassk.fitting.sampling import Draws

__all__ = ["Apart", "far_apart", "weights_of"]

BEYOND = (1, 100, 10_000)
"""How many times the most attempts a forecast is looked at."""

ENDS = (0.025, 0.975)


@dataclass(frozen=True)
class Apart:
    """The worst over some k of the population's pass@k of one system.

    Attributes
    ----------
    sd_ratio : float
        The standard deviation by the approximation over the exact one, furthest from 1.
    band_off : float
        How far an end of the 95% band is off, over the width of the exact band.
    """

    sd_ratio: float
    band_off: float


def far_apart(
    family: Family,
    approximate: Draws,
    exact: Draws,
    weights: Floats | None,
    system: int,
    attempts: int,
) -> Apart:
    """Return how far forecasts by two sets of draws of the free parameters are from each other.

    Parameters
    ----------
    family : Family
    approximate, exact : dict of str to array, dims (chain, draw, system)
    weights : array, dims (draw,), or None
        Of the exact draws, all chains together; equal if None.
    system : int
    attempts : int
        The most at a problem: forecasts are looked at there, and at 100 and 10,000 times as many.
    """
    ks = np.array(BEYOND, dtype=np.int64) * max(1, attempts)
    one, other = (_pass_at(family, free, system, ks) for free in (approximate, exact))
    if weights is None:
        weights = np.full(len(other), 1 / len(other))
    mean = weights @ other
    right = np.sqrt(weights @ (other - mean) ** 2)
    ratio = np.divide(one.std(0), right, out=np.ones_like(right), where=right > 0)
    ends = np.stack([_quantiles(other[:, i], weights) for i in range(len(ks))], axis=1)
    width = ends[1] - ends[0]
    off = np.abs(np.quantile(one, ENDS, axis=0) - ends).max(0)
    share = np.divide(off, width, out=np.zeros_like(width), where=width > 0)
    with np.errstate(divide="ignore"):
        worst = int(np.abs(np.log(ratio)).argmax())
    return Apart(float(ratio[worst]), float(share.max()))


def weights_of(log_ratio: Floats) -> Floats:
    """Return Pareto-smoothed importance weights with the sum 1, dims (draw,)."""
    from arviz_stats.base import array_stats

    # ArviZ takes log-likelihoods, whose negatives are the log weights of leave-one-out.
    log_weights = np.asarray(array_stats.psislw(-log_ratio.ravel())[0])
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum())


def _pass_at(family: Family, free: Draws, system: int, ks: Ints) -> Floats:
    """Return the population's pass@k at each draw, dims (draw, k)."""
    own = {name: free[name][..., system].ravel() for name in declared(family)}
    return np.asarray(-np.expm1(family.log_moment(family.natural(own), 0.0, ks.astype(float))))


def _quantiles(values: Floats, weights: Floats) -> Floats:
    """Return the ends of the band of weighted values."""
    order = np.argsort(values)
    below = weights[order].cumsum()
    return np.asarray(values[order][np.searchsorted(below, ENDS).clip(0, len(values) - 1)])
