"""The prior: what it says before any attempt, and how much of a forecast is made of it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats
from bayespassk.asking.influence import log_densities, prior_shift, shares
from bayespassk.asking.pass_at_k import PassAtK
from bayespassk.asking.question import ask
from bayespassk.errors import OptionError
from bayespassk.families import Family, as_family
from bayespassk.families.base import draw_prior
from bayespassk.options import Target, check_k, seed_of
from bayespassk.posterior.fitted import Fitted, opened

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["prior_predictive", "sensitivity", "sensitivity_of"]


def prior_predictive(
    family: Family | str,
    k: float | Iterable[float],
    *,
    draws: int = 4000,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return pass@k of a new problem under the prior of a family: what it says before any attempt.

    Parameters
    ----------
    family : Family
        A family with its priors.
    k : int or sequence of int, dims (k,)
        Attempts allowed, 1 to 1e12.
    draws : int
        Draws of the parameters from the prior.
    random_seed : int, optional
        Repeats the result. Drawn and recorded in ``attrs`` if not given.

    Returns
    -------
    xarray.DataArray
        pass@k of the population, dims (draw, k).

    Raises
    ------
    OptionError
        If a k or `draws` has a value that means nothing.

    Notes
    -----
    How to look at it: at k = 1 the central half should hold the success rates you think possible,
    and at the largest k that you ask for, the prior should leave open what you leave open. A prior
    that is nearly certain there decides the forecast of a benchmark that is hardly ever solved.

    Examples
    --------
    >>> import bayespassk as bp
    >>> prior = bp.prior_predictive(bp.Beta(), [1, 100, 10**6], random_seed=1)
    >>> prior.quantile([0.25, 0.5, 0.75], "draw").round(2).values[1]
    array([0.04, 0.45, 0.92])
    """
    check_arguments("prior_predictive", locals())
    ks = check_k(k)
    if draws < 1:
        raise OptionError(f"draws must be at least 1; got {draws!r}")
    family, seed = as_family(family), seed_of(random_seed)
    free = draw_prior(family, np.random.default_rng(seed), (draws,))
    values = -np.expm1(family.log_moment(family.natural(free), 0.0, ks.astype(float)))
    return xr.DataArray(
        values,
        dims=("draw", "k"),
        coords={"draw": np.arange(draws), "k": ks},
        name="pass_at_k",
        attrs={"target": "population", "random_seed": seed},
    )


def sensitivity(
    fit: xr.DataTree,
    k: float | Iterable[float],
    target: Target = "benchmark",
    *,
    random_seed: int | None = None,
) -> "pd.DataFrame":
    """Return how much of each forecast is prior, how much other systems, how much own attempts.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    k : int or sequence of int, dims (k,)
        Attempts allowed, 1 to 1e12.
    target : {"benchmark", "population", "realised"}
        As for :func:`bayespassk.forecast`.
    random_seed : int, optional
        As for :func:`bayespassk.forecast`.

    Returns
    -------
    pandas.DataFrame
        One row for each system and k, with columns

        - system, k;
        - prior, likelihood: power-scaling sensitivity of the forecast as ArviZ computes it, the
          distance between the forecast and that with the prior (or the likelihood of the system's
          own attempts) raised to a power near 1, per doubling of the power. Above 0.05, the
          forecast depends on it;
        - prior_share, others_share, own_share: how much of the precision of the forecast is from
          the prior, from other systems and from the system's own attempts; the sum is 1;
        - prior_shift: the mean of the forecast with the prior squared, less that with its root, in
          standard deviations of the forecast. Beyond 0.75 either way, the prior moves it;
        - band_ratio: width of the 95% band of the forecast over that of the prior predictive
          (:func:`prior_predictive`) at this k.

    Raises
    ------
    OptionError
        If a k or the target has a value that means nothing.

    Notes
    -----
    The prior_share is made of how the *spread* of the forecast changes with the power of the prior
    and of the likelihood; where both are normal, it is the share of the prior in the precision.
    The ratio of the columns prior and likelihood is not: where prior and data disagree, both shift
    the forecast, equally and in opposite directions, and their ratio tends to 1 however many data
    there are. The share has a Monte Carlo error of about 0.05 with 4,000 draws.

    The share says nothing of *where* the prior stands: of 10 problems tried once, 8 solved, the
    benchmark's pass@1 is 0.73 where the attempts show 0.80, and the share is 0.03, as the luck of
    single problems makes most of the spread. The prior_shift there is -0.9.

    Of a system that is pooled, all that is not its own likelihood is borrowed: from the prior of
    what the systems share, and from the others, as much as each tells of the systems' centre. What
    the others lend is no attempt of the system, however many they made. The posterior of the
    system's parameters is taken for normal there.

    For the benchmark, a forecast also rests on the counts of its single problems and on the luck of
    which p they have; both count as not prior. A share near zero says that the attempts outweigh
    the prior *in this family*. It does not say that the family is right far beyond the attempts:
    fit others and compare. A band_ratio above 1 is no error: the prior alone may be surer that
    pass@k is near 1, and the attempts have contradicted it.

    References
    ----------
    Kallioinen et al. 2024, arXiv:2107.14054.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> table = bp.sensitivity(fit, [10, 10**6])
    >>> bool((table["prior_share"] < 0.5).all())
    True
    """
    check_arguments("sensitivity", locals())
    ks, fitted = check_k(k), opened(fit)
    # No warning: the table says the same, and more.
    draws = ask(fitted, PassAtK(ks), target, random_seed, warn=False)
    return sensitivity_of(fitted, draws)


def sensitivity_of(fitted: Fitted, draws: xr.DataArray) -> "pd.DataFrame":
    """Return the table of :func:`sensitivity` from a forecast of the fit."""
    import pandas as pd

    ks, seed = draws["k"].values, int(draws.attrs["forecast_seed"])
    before = _widths(prior_predictive(fitted.family, ks, random_seed=seed).values)
    rows = []
    for position, system in enumerate(fitted.systems):
        found = log_densities(fitted, position)
        weights = [_scaled(density) for density in (found.prior, found.own)]
        values = draws.isel(system=position).values.reshape(-1, len(ks))
        ratio = _widths(values) / before
        for i, one in enumerate(ks):
            sense = [_power_scaling(values[:, i], pair) for pair in weights]
            share = shares(fitted, values[:, i], found, float(one))
            shift = prior_shift(values[:, i], np.broadcast_to(found.prior, len(values)))
            own = share.prior, share.others, share.own, shift
            rows.append((system, int(one), *sense, *own, ratio[i]))
    columns = ["system", "k", "prior", "likelihood", "prior_share", "others_share", "own_share",
               "prior_shift", "band_ratio"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


ALPHAS = (0.99, 1.01)


def _widths(draws: Floats) -> Floats:
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    return np.asarray(high - low)


def _scaled(log_density: Floats) -> list[Floats] | None:
    """Return the weights of the draws with this density raised to each power; None if constant."""
    from arviz_stats.base import array_stats

    if np.ptp(log_density) == 0:
        return None
    weights = [np.exp(array_stats.power_scale_lw(log_density, alpha=alpha)) for alpha in ALPHAS]
    return [weight / weight.sum() for weight in weights]


def _power_scaling(values: Floats, weights: list[Floats] | None) -> float:
    """Return the power-scaling sensitivity of `values`, dims (draw,)."""
    from arviz_stats.base import array_stats

    if weights is None or np.ptp(values) == 0:
        return 0.0
    lower, upper = (weight[None] for weight in weights)
    return float(array_stats.power_scale_sense(values[None], lower, upper, *ALPHAS))
