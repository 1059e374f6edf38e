"""Averages over families, and how much of a forecast is which of them is right."""

import json
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats, Ints
from bayespassk.asking.influence import FAR, LIMIT
from bayespassk.asking.pass_at_k import PassAtK
from bayespassk.asking.question import ask
from bayespassk.errors import ForecastWarning, OptionError
from bayespassk.judging.comparing import Fits, compared, named_fits
from bayespassk.options import Target, check_k, check_target
from bayespassk.posterior.fitted import Fitted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Weights", "average", "averaged", "disagreement", "disagreement_of", "shares_of"]

type Weights = Literal["equal", "stacking", "pseudo_bma"] | Mapping[str, float]


def average(
    fits: Fits,
    k: float | Iterable[float],
    target: Target = "benchmark",
    *,
    weights: Weights = "equal",
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return a forecast whose draws come from several families, in proportion to weights.

    Its distribution is the mixture of the families' forecasts: where they disagree, the band
    spans them all.

    Parameters
    ----------
    fits : mapping of str to DataTree, or sequence of DataTree
        Fits of two or more families to the same counts, as for :func:`compare`.
    k, target
        As for :func:`bayespassk.forecast`.
    weights : {"equal", "stacking", "pseudo_bma"} or mapping of str to float
        "stacking" and "pseudo_bma" are those of :func:`compare`, for each system its own; of a
        mapping, for all systems alike, only the proportions matter.
    random_seed : int, optional
        Repeats the result; by default the seed of the first fit.

    Returns
    -------
    xarray.DataArray
        pass@k, dims (chain, draw, system, k) of the sizes of the first fit's. How many draws a
        family has is within one of draws times weight; their order is random. Draws are joint
        over k, and where the weights of two systems are equal, a draw has the same family in
        both. The attribute `families` holds the weights as JSON: family, then system;
        `weights` says whose they are.

    Raises
    ------
    OptionError
        If there are fewer than two fits, they are not of the same counts, or k, the target or
        the weights mean nothing.

    Warns
    -----
    ForecastWarning
        As :func:`bayespassk.forecast`, for each family by itself; and if at the largest k, more
        than ten times the attempts made, the families disagree so much that which of them is
        right makes more than half of the variance (see :func:`disagreement`).

    Notes
    -----
    Equal weights are the default on purpose: at k far beyond n families differ where the
    attempts cannot tell them apart, and weights from LOO or evidence, which judge the attempts
    made, can settle on the wrong one. An average only covers the families that are in it.

    References
    ----------
    Yao et al. 2018, arXiv:1704.02030.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> families = bp.Beta(), bp.Kumaraswamy()
    >>> fits = [bp.fit(counts, one, pooling="none", random_seed=1) for one in families]
    >>> bp.average(fits, [1, 100, 10_000]).dims
    ('chain', 'draw', 'system', 'k')
    """
    check_arguments("average", locals())
    ks = check_k(k)
    check_target(target)
    named = named_fits(fits)
    shares = shares_of(named, weights)
    first = next(iter(named.values()))
    seed = first.seed_or(random_seed)
    parts = [_forecast_of(name, fitted, ks, target, seed) for name, fitted in named.items()]
    _warn_if_families_disagree(first, parts, shares)
    return averaged(named, parts, shares, weights, seed)


def averaged(
    named: Mapping[str, Fitted],
    parts: Sequence[xr.DataArray],
    shares: Floats,
    weights: Weights,
    seed: int,
) -> xr.DataArray:
    """Return the average of the forecasts of fits, whose `shares` have dims (family, system)."""
    first = next(iter(named.values()))
    values = np.empty(parts[0].shape)
    for system in range(parts[0].sizes["system"]):
        # The same seed for each system: with equal weights, a draw has the same family in all.
        rng = np.random.default_rng([seed, 2])
        draws = [part.values[:, :, system].reshape(-1, values.shape[-1]) for part in parts]
        mixed = _mix(draws, shares[:, system], values.shape[0] * values.shape[1], rng)
        values[:, :, system] = mixed.reshape(*values.shape[:2], -1)
    result = parts[0].copy(data=values)
    components = [fitted.family.spec() for fitted in named.values()]
    result.attrs |= {
        "family": json.dumps({"name": "average", "components": components}),
        "families": json.dumps(
            {
                name: dict(zip(first.systems, share.tolist(), strict=True))
                for name, share in zip(named, shares, strict=True)
            }
        ),
        "weights": weights if isinstance(weights, str) else "given",
    }
    return result


def disagreement(
    fits: Fits,
    k: float | Iterable[float],
    target: Target = "benchmark",
    *,
    weights: Weights = "equal",
    random_seed: int | None = None,
) -> "pd.DataFrame":
    """Return how much of a forecast's variance is which family is right.

    Parameters
    ----------
    fits, k, target, weights, random_seed
        As for :func:`average`.

    Returns
    -------
    pandas.DataFrame
        One row for each system and k: columns system, k, family_share, and the median forecast
        of each family under its name. family_share is the variance of the families' means over
        the variance of their mixture: 0 where they agree, 1 where each is sure of something else.

    Raises
    ------
    OptionError
        As :func:`average`.

    Notes
    -----
    Only of the families given: that these agree does not say that another would.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> families = bp.Beta(), bp.Kumaraswamy()
    >>> fits = [bp.fit(counts, one, pooling="none", random_seed=1) for one in families]
    >>> table = bp.disagreement(fits, [100, 10_000])
    >>> list(table.columns)
    ['system', 'k', 'family_share', 'beta', 'kumaraswamy']
    """
    check_arguments("disagreement", locals())
    ks = check_k(k)
    check_target(target)
    named = named_fits(fits)
    parts = {
        name: _forecast_of(name, fitted, ks, target, random_seed) for name, fitted in named.items()
    }
    return disagreement_of(parts, shares_of(named, weights))


def disagreement_of(
    forecasts: Mapping[str, xr.DataArray], shares: Floats | None = None
) -> "pd.DataFrame":
    """Return the table of :func:`disagreement` from forecasts by name.

    `shares`, dims (family, system), are their weights, by default equal.
    """
    import pandas as pd

    parts = list(forecasts.values())
    systems, ks = parts[0]["system"].values, parts[0]["k"].values
    if shares is None:
        shares = np.full((len(parts), len(systems)), 1 / len(parts))
    medians = {
        name: part.median(("chain", "draw")).values.ravel() for name, part in forecasts.items()
    }
    return pd.DataFrame(
        {
            "system": np.repeat(systems, len(ks)),
            "k": np.tile(ks, len(systems)),
            "family_share": _family_share(parts, shares).ravel(),
            **medians,
        }
    )


def _family_share(parts: list[xr.DataArray], shares: Floats) -> Floats:
    """Return the variance between families over the whole variance, dims (system, k)."""
    means = np.stack([part.mean(("chain", "draw")).values for part in parts])
    within = np.stack([part.var(("chain", "draw")).values for part in parts])
    weights = shares[..., None] / shares.sum(0)[:, None]
    between = (weights * (means - (weights * means).sum(0)) ** 2).sum(0)
    whole = between + (weights * within).sum(0)
    return np.asarray(np.divide(between, whole, out=np.zeros_like(whole), where=whole > 0))


def _forecast_of(
    name: str, fitted: Fitted, ks: Ints, target: Target, seed: int | None
) -> xr.DataArray:
    """Return the forecast of one of several families, whose warnings say which it is."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ForecastWarning)
        result = ask(fitted, PassAtK(ks), target, seed)
    for one in caught:
        said = one.message
        if isinstance(said, ForecastWarning):
            said.args = (f"{name}: {said}",)
        warnings.warn(said, one.category, stacklevel=3)
    return result


def _warn_if_families_disagree(fitted: Fitted, parts: list[xr.DataArray], shares: Floats) -> None:
    """Issue a `ForecastWarning` if which family is right makes most of the variance."""
    k = int(parts[0]["k"].values.max())
    far = k > FAR * fitted.most_attempts
    at_k = _family_share([part.sel(k=[k]) for part in parts], shares)[:, 0]
    systems = [str(name) for name in parts[0]["system"].values[far & (at_k > LIMIT)]]
    if systems:
        worst = float(at_k[far].max())
        some = ", ".join(repr(name) for name in systems[:3])
        warnings.warn(
            ForecastWarning(
                f"at k = {k:,} the families disagree about {some}"
                f"{', ...' if len(systems) > 3 else ''}: which of them is right makes "
                f"up to {worst:.0%} of the variance, and the attempts do not say. What to do: "
                "more attempts; report the families side by side (bp.disagreement)",
                systems=systems,
                k=k,
                family_share=at_k[far & (at_k > LIMIT)].tolist(),
            ),
            stacklevel=3,
        )


def shares_of(named: Mapping[str, Fitted], weights: Weights) -> Floats:
    """Return the weights, dims (family, system); those of a system add up to one."""
    systems = next(iter(named.values())).systems
    if isinstance(weights, Mapping):
        given = _checked(named, weights)
    elif weights == "equal":
        given = np.ones(len(named))
    elif weights in ("stacking", "pseudo_bma"):
        table = compared(named, progress=False).set_index(["family", "system"])
        column = table[f"weight_{weights}"]
        return np.array([[column[name, system] for system in systems] for name in named])
    else:
        raise OptionError(
            "weights must be 'equal', 'stacking', 'pseudo_bma' or a mapping of the fits' names "
            f"to numbers; got {weights!r}"
        )
    return np.repeat((given / given.sum())[:, None], len(systems), axis=1)


def _checked(named: Mapping[str, Fitted], weights: Mapping[str, float]) -> Floats:
    for name in [*named, *weights]:
        if name not in weights or name not in named:
            raise OptionError(
                f"weights must be given for exactly the fits' names, {', '.join(map(repr, named))};"
                f" {name!r} is only {'a fit' if name in named else 'a weight'}"
            )
    given = np.array([float(weights[name]) for name in named])
    for name, value in zip(named, given.tolist(), strict=True):
        if not (math.isfinite(value) and value >= 0):
            raise OptionError(f"weights must be finite and at least 0; got {value!r} for {name!r}")
    if given.sum() <= 0:
        raise OptionError("weights must not all be 0")
    return given


def _mix(parts: list[Floats], shares: Floats, size: int, rng: np.random.Generator) -> Floats:
    """Return `size` rows, from each of `parts`, dims (draw, k), its share, in random order.

    Rows of a part are taken without replacement; of one that is too short, each equally often
    but for one.
    """
    numbers = np.diff(np.rint(np.cumsum(shares) * size).astype(int), prepend=0)
    taken = [
        part[np.resize(rng.permutation(len(part)), number)]
        for part, number in zip(parts, numbers, strict=True)
    ]
    return np.concatenate(taken)[rng.permutation(size)]
