"""Families compared by leave-one-out, and forecasts averaged over families."""

import json
import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.arrays import CHUNK, Floats
from bayespassk.cells import Cells
from bayespassk.errors import ForecastWarning, LooWarning, OptionError, PriorDrivenWarning
from bayespassk.fitting import fit as fit_again
from bayespassk.forecasting import forecast
from bayespassk.influence import FAR, LIMIT, most_attempts
from bayespassk.options import Target, check_k, check_target, system_seed
from bayespassk.posterior import (
    Part,
    cell_log_moments,
    cells_of,
    counts_of,
    family_of,
    hierarchy_of,
    parts_of,
)
from bayespassk.special import log_binomial

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Fits", "average", "compare", "disagreement", "disagreement_of", "named_fits"]

type Fits = Mapping[str, xr.DataTree] | Iterable[xr.DataTree]
type Weights = Literal["equal", "stacking", "pseudo_bma"] | Mapping[str, float]

"""Numbers held at a time."""

BOOTSTRAPS = 1000
"""Bayesian bootstraps of the problems, for the weights of pseudo-BMA."""


def compare(fits: Fits, *, exact: bool = True, progress: bool = True) -> "pd.DataFrame":
    """Return how well each family foretells the counts of a problem it has not seen.

    For each problem, the log probability of its counts given those of all others, p integrated
    out (leave-one-out, LOO); elpd is their sum. It is found from one fit by Pareto-smoothed
    importance sampling. Where that is unreliable, the fit is made again without the problem.

    Parameters
    ----------
    fits : mapping of str to DataTree, or sequence of DataTree
        Fits of two or more families to the same counts. Those of a sequence are called by the
        names of their families.
    exact : bool
        Fit again without the problem where the Pareto k is above min(1 - 1/log10(draws), 0.7):
        as many fits as there are such distinct (system, successes, attempts).
    progress : bool
        Show progress of these on standard error if that is a terminal.

    Returns
    -------
    pandas.DataFrame
        One row for each system and family, the best first; of several systems also for
        "all", their sum. Columns:

        * system, family; rank (0 is the best)
        * elpd and its standard error se; higher is better
        * p: effective number of parameters
        * elpd_diff: elpd minus that of the best; dse: standard error of that
        * weight_stacking: the weights with which a mixture of the families foretells best
        * weight_pseudo_bma: as exp(elpd), averaged over Bayesian bootstraps of the problems
        * max_pareto_k: the largest of any problem, before any was fitted again
        * exact: how many problems were judged by a fit without them

    Raises
    ------
    OptionError
        If there are fewer than two fits, or they are not of the same counts.

    Warns
    -----
    LooWarning
        With ``exact=False``, if a Pareto k is too large.
    ConvergenceWarning
        If a fit made again did not converge.

    Notes
    -----
    LOO judges the attempts made, not the tail. Families that it cannot tell apart may forecast
    very differently at k far beyond n, and one that is slightly better here may be the worse
    forecaster there: an elpd_diff below two or three dse is no reason to drop a family. See
    :func:`average`.

    Standard errors take problems for independent draws and systems for independent of each
    other; with fewer than 100 problems, or differences below 4, they are too small. Of an ADVI
    fit, its draws are taken for the posterior's: what is judged is the approximation, and only
    as far as it is close to the posterior. Prefer "nuts" here.

    Each distinct row is computed once: the cost does not grow with the number of problems.

    References
    ----------
    Vehtari, Gelman and Gabry 2017, arXiv:1507.04544 (LOO); Yao et al. 2018, arXiv:1704.02030
    (stacking and pseudo-BMA).

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> families = bp.Beta(), bp.Kumaraswamy()
    >>> fits = [bp.fit(counts, one, pooling="none", random_seed=1) for one in families]
    >>> table = bp.compare(fits)
    >>> list(table["system"].unique())
    ['small', 'large', 'all']
    """
    import pandas as pd

    named = named_fits(fits)
    cells = _compared(named)
    systems = _systems(named)
    found = {
        name: [
            _leave_one_out(fit, cells.of_system(i), _Which(name, system, i), exact, progress)
            for i, system in enumerate(systems)
        ]
        for name, fit in named.items()
    }
    rows = []
    for i, system in enumerate(systems):
        rows += _rank(system, {name: each[i : i + 1] for name, each in found.items()})
    if len(systems) > 1:
        rows += _rank("all", found)
    return pd.DataFrame(rows)


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
    check_k(k := list(k) if isinstance(k, Iterable) else k)
    check_target(target)
    named = named_fits(fits)
    shares = _shares(named, weights)
    first = next(iter(named.values()))
    seed = int(first.attrs["random_seed"]) if random_seed is None else random_seed
    parts = [_forecast_of(name, fit, k, target, seed) for name, fit in named.items()]
    _warn_if_families_disagree(first, parts, shares)
    values = np.empty(parts[0].shape)
    for system in range(parts[0].sizes["system"]):
        # The same seed for each system: with equal weights, a draw has the same family in all.
        rng = np.random.default_rng([seed, 2])
        draws = [part.values[:, :, system].reshape(-1, values.shape[-1]) for part in parts]
        mixed = _mix(draws, shares[:, system], values.shape[0] * values.shape[1], rng)
        values[:, :, system] = mixed.reshape(*values.shape[:2], -1)
    result = parts[0].copy(data=values)
    result.attrs |= {
        "family": json.dumps(
            {"name": "average", "components": [family_of(fit).spec() for fit in named.values()]}
        ),
        "families": json.dumps(
            {
                name: dict(zip(_systems(named), share.tolist(), strict=True))
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
    check_k(k := list(k) if isinstance(k, Iterable) else k)
    check_target(target)
    named = named_fits(fits)
    parts = {name: _forecast_of(name, fit, k, target, random_seed) for name, fit in named.items()}
    return disagreement_of(parts, _shares(named, weights))


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
    name: str, fit: xr.DataTree, k: Any, target: Target, seed: int | None
) -> xr.DataArray:
    """Return the forecast of one of several families, whose warnings say which it is."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ForecastWarning)
        result = forecast(fit, k, target, random_seed=seed)
    for one in caught:
        said = one.message
        if isinstance(said, ForecastWarning):
            said.args = (f"{name}: {said}",)
        warnings.warn(said, one.category, stacklevel=3)
    return result


def _warn_if_families_disagree(fit: xr.DataTree, parts: list[xr.DataArray], shares: Floats) -> None:
    """Issue a :class:`ForecastWarning` if which family is right makes most of the variance."""
    k = int(parts[0]["k"].values.max())
    far = k > FAR * most_attempts(fit)
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


def named_fits(fits: Fits, fewest: int = 2) -> dict[str, xr.DataTree]:
    """Return the fits by name, or raise an error unless there are enough, and of equal counts."""
    if isinstance(fits, xr.DataTree):  # which is a mapping, of its groups
        fits = [fits]
    if isinstance(fits, Mapping):
        named = dict(fits)
    else:
        named = {}
        for fit in fits:
            name = family_of(fit).full_name
            if name in named:
                raise OptionError(
                    f"fits must differ in their names: two of them are of the family {name!r}. "
                    "Give a mapping with names of your own"
                )
            named[name] = fit
    for fit in named.values():
        family_of(fit)
    if len(named) < fewest:
        least = {1: "one family", 2: "two families"}[fewest]
        raise OptionError(f"fits must be of at least {least}; got {len(named)}")
    (first, one), *others = named.items()
    for name, fit in others:
        if fit.attrs["input_sha256"] != one.attrs["input_sha256"]:
            raise OptionError(
                f"fits must be of the same counts: that of {name!r} is of others (sha256 "
                f"{fit.attrs['input_sha256'][:16]}) than that of {first!r} (sha256 "
                f"{one.attrs['input_sha256'][:16]}). Fit both to the same Counts"
            )
    return named


def _systems(named: Mapping[str, xr.DataTree]) -> list[str]:
    return [str(s) for s in next(iter(named.values()))["posterior"].dataset["system"].values]


def _compared(named: Mapping[str, xr.DataTree]) -> Cells:
    """Return the rows in question: distinct ones, unless a fit tells problems apart by more."""
    cells = cells_of(next(iter(named.values())))
    if not any(hierarchy_of(fit).problem_columns for fit in named.values()):
        return cells
    return Cells(
        cells.system[cells.inverse],
        cells.successes[cells.inverse],
        cells.failures[cells.inverse],
        np.ones_like(cells.inverse),
        np.arange(len(cells.inverse)),
    )


# Leave-one-out ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Which:
    """Which fit and system is looked at."""

    family: str
    system: str
    position: int


@dataclass(frozen=True)
class _Loo:
    """Leave-one-out of the distinct rows of one system under one family, dims (cell,)."""

    elpd: Floats
    p: Floats
    pareto_k: Floats
    problems: NDArray[np.int64]
    exact: NDArray[np.bool_]

    @property
    def total(self) -> float:
        """The elpd of all problems."""
        return float(self.elpd @ self.problems)


def _leave_one_out(
    fit: xr.DataTree, cells: Cells, which: _Which, exact: bool, progress: bool
) -> _Loo:
    found = _importance_sampled(fit, cells, which)
    draws = fit["posterior"].sizes["chain"] * fit["posterior"].sizes["draw"]
    good = found.pareto_k <= _good_k(draws)
    if good.all():
        return found
    if not exact:
        _warn(found, good, which)
        return found
    elpd = found.elpd.copy()
    for cell in np.flatnonzero(~good):
        elpd[cell] = _elpd_without(fit, cells, int(cell), which, progress)
    return replace(found, elpd=elpd, p=found.p + found.elpd - elpd, exact=~good)


def _good_k(draws: int) -> float:
    """Return the Pareto k up to which importance sampling with so many draws is reliable."""
    return min(1 - 1 / math.log10(draws), 0.7)


def _importance_sampled(fit: xr.DataTree, cells: Cells, which: _Which) -> _Loo:
    """Return LOO from the draws of the fit itself."""
    from arviz_stats.base import array_stats

    sizes = fit["posterior"].sizes
    shape = sizes["chain"], sizes["draw"]
    r_eff = _relative_efficiency(fit, which.position)
    elpd, p, pareto_k = np.zeros((3, len(cells.problems)))
    # A problem without attempts has probability 1 under any family.
    tried = np.flatnonzero(cells.successes + cells.failures)
    step = max(1, 5 * CHUNK // (shape[0] * shape[1]))
    for i in range(0, len(tried), step):
        part = tried[i : i + step]
        values = _log_likelihood(fit, which.position, cells, part).T.reshape(-1, *shape)
        try:
            elpd[part], pareto_k[part], p[part] = array_stats.loo(values, r_eff=r_eff)
        except ValueError as error:
            raise OptionError(
                f"fits must have enough draws for LOO: that of {which.family!r} does not for "
                f"system {which.system!r} ({error}). Fit again with more draws and tune"
            ) from error
    exact = np.zeros(len(elpd), dtype=bool)
    return _Loo(elpd, p, pareto_k, cells.problems, exact)


def _relative_efficiency(fit: xr.DataTree, system: int) -> float:
    """Return the effective sample size per draw, the mean over parameters, as ArviZ does."""
    from arviz_stats.base import array_stats

    posterior = fit["posterior"].dataset.isel(system=system)
    if posterior.sizes["chain"] == 1:
        return 1.0
    shape = posterior.sizes["chain"], posterior.sizes["draw"]
    values = np.concatenate(
        [variable.values.reshape(*shape, -1) for variable in posterior.data_vars.values()], axis=-1
    )
    ess = np.asarray(array_stats.ess(np.moveaxis(values, -1, 0), method="mean"))
    return float(ess.mean() / (shape[0] * shape[1]))


def _take(cells: Cells, index: NDArray[np.int64]) -> Cells:
    """Return some of the cells of one system, without the rows they came from."""
    return Cells(
        cells.system[index],
        cells.successes[index],
        cells.failures[index],
        cells.problems[index],
        cells.inverse[:0],
    )


def _log_likelihood(
    fit: xr.DataTree, system: int, cells: Cells, index: NDArray[np.int64]
) -> Floats:
    """Return the log-likelihood of one problem of some of the cells, dims (draw, cell)."""
    if not hierarchy_of(fit).problem_columns:
        (part,) = parts_of(fit, system)
        return _log_probability(fit, part, _take(cells, index))
    rows = np.flatnonzero(fit["constant_data"].dataset["system_index"].values == system)[index]
    values = np.empty((fit["posterior"].sizes["chain"] * fit["posterior"].sizes["draw"], len(rows)))
    wanted = np.isin(fit["constant_data"].dataset["row"].values, rows)
    for part in parts_of(fit, system, wanted):
        at = np.searchsorted(rows, part.rows)
        values[:, at] = _log_probability(fit, part, part.cells)[:, part.cells.inverse]
    return values


def _log_probability(fit: xr.DataTree, part: Part, cells: Cells) -> Floats:
    """Return the log probability of counts at the parameters of `part`, dims (draw, cell)."""
    parameters = {name: p.ravel() for name, p in part.parameters.items()}
    constants = log_binomial(cells.successes + cells.failures, cells.successes)
    return np.asarray(cell_log_moments(family_of(fit), parameters, cells) + constants)


def _elpd_without(
    fit: xr.DataTree, cells: Cells, cell: int, which: _Which, progress: bool
) -> float:
    """Return the log probability of a cell's counts given all problems but one of its own."""
    inside = int(np.flatnonzero(cells.inverse == cell)[0])
    mine = np.flatnonzero(fit["constant_data"].dataset["system_index"].values == which.position)
    # Covariates are standardised over all systems, so that these have to stay together.
    alone = hierarchy_of(fit).pooling == "none" and "design" not in fit.attrs
    counts = counts_of(fit)
    others = np.arange(len(counts)) != mine[inside]  # no attempts, no knowledge
    counts = replace(
        counts,
        attempts=counts.attempts * others,
        successes=counts.successes * others,
        stopping="fixed",
    )
    left_out = f"without {cells.successes[cell]} and {cells.failures[cell]}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PriorDrivenWarning)
        again = fit_again(
            counts.select(which.system) if alone else counts,
            family_of(fit),
            method=fit.attrs["method"],
            pooling=fit.attrs["pooling"],
            covariates=json.loads(fit.attrs["design"])["formula"]
            if "design" in fit.attrs
            else None,
            random_seed=system_seed(int(fit.attrs["random_seed"]), left_out),
            progress=progress,
            **json.loads(fit.attrs["sampling"]),
        )
    (part,) = parts_of(again, 0 if alone else which.position, (~others)[mine] if alone else ~others)
    values = _log_probability(again, part, _take(cells, np.array([cell])))
    return float(np.logaddexp.reduce(values, axis=None) - np.log(values.size))


def _warn(found: _Loo, good: NDArray[np.bool_], which: _Which) -> None:
    problems, worst = int(found.problems[~good].sum()), float(found.pareto_k.max())
    warnings.warn(
        LooWarning(
            f"LOO of family {which.family!r} for system {which.system!r} is unreliable at "
            f"{problems} of {found.problems.sum()} problems: Pareto k up to {worst:.2f}. Use "
            "exact=True, which fits again without them",
            system=which.system,
            family=which.family,
            problems=problems,
            max_pareto_k=worst,
        ),
        stacklevel=4,
    )


# Tables and weights ----------------------------------------------------------------------------


def _rank(system: str, found: Mapping[str, list[_Loo]]) -> list[dict[str, Any]]:
    """Return the rows of the table about one system, or about several taken together."""
    stacking, pseudo_bma = _stacking(found), _pseudo_bma(found)
    totals = {name: math.fsum(loo.total for loo in loos) for name, loos in found.items()}
    order = sorted(found, key=lambda name: -totals[name])
    best = found[order[0]]
    return [
        {
            "system": system,
            "family": name,
            "rank": rank,
            "elpd": totals[name],
            "se": _standard_error([loo.elpd for loo in found[name]], best),
            "p": sum(float(loo.p @ loo.problems) for loo in found[name]),
            "elpd_diff": totals[name] - totals[order[0]],
            "dse": _standard_error(
                [loo.elpd - top.elpd for loo, top in zip(found[name], best, strict=True)], best
            ),
            "weight_stacking": stacking[name],
            "weight_pseudo_bma": pseudo_bma[name],
            "max_pareto_k": max(float(loo.pareto_k.max()) for loo in found[name]),
            "exact": sum(int(loo.problems[loo.exact].sum()) for loo in found[name]),
        }
        for rank, name in enumerate(order)
    ]


def _standard_error(values: list[Floats], loos: list[_Loo]) -> float:
    """Return that of a sum over problems: within a system by their variance, systems add up."""
    variance = 0.0
    for value, loo in zip(values, loos, strict=True):
        mean = np.average(value, weights=loo.problems)
        number = int(loo.problems.sum())
        variance += float((value - mean) ** 2 @ loo.problems) * number / max(number - 1, 1)
    return float(np.sqrt(variance))


def _stacking(found: Mapping[str, list[_Loo]]) -> dict[str, float]:
    from arviz_stats import compare as arviz_compare
    from arviz_stats.utils import ELPDDataLOO

    cells, problems = _side_by_side(found)
    # What all families have in common changes no weight, but exp of it could be 0.
    rows = np.repeat(cells - cells.max(0), problems, axis=1)
    judged = {
        name: ELPDDataLOO(
            elpd=row.sum(),
            se=0.0,
            p=0.0,
            n_samples=0,
            n_data_points=row.size,
            scale="log",
            warning=False,
            good_k=0.7,
            elpd_i=xr.DataArray(row, dims="row"),
        )
        for name, row in zip(found, rows, strict=True)
    }
    table = arviz_compare(judged, method="stacking", round_to="none")
    weights = table["weight"].loc[list(found)].to_numpy(dtype=float).clip(0.0)
    return dict(zip(found, (weights / weights.sum()).tolist(), strict=True))


def _pseudo_bma(found: Mapping[str, list[_Loo]]) -> dict[str, float]:
    """Return ArviZ's weights "BB-pseudo-BMA", at the cost of the distinct rows.

    The weights that a Bayesian bootstrap gives to the problems of a cell add up to a gamma
    variable of as many degrees.
    """
    cells, problems = _side_by_side(found)
    rng = np.random.default_rng(1)
    weights = np.zeros(len(found))
    for _ in range(BOOTSTRAPS):
        share = rng.standard_gamma(problems)
        total = cells @ share * (problems.sum() / share.sum())
        weight = np.exp(total - total.max())
        weights += weight / weight.sum() / BOOTSTRAPS
    return dict(zip(found, weights.tolist(), strict=True))


def _side_by_side(found: Mapping[str, list[_Loo]]) -> tuple[Floats, NDArray[np.int64]]:
    """Return the elpd, dims (family, cell), and how many problems each cell has."""
    problems = [loo.problems for loo in next(iter(found.values()))]
    elpd = [np.concatenate([loo.elpd for loo in loos]) for loos in found.values()]
    return np.stack(elpd), np.concatenate(problems)


def _shares(named: Mapping[str, xr.DataTree], weights: Weights) -> Floats:
    """Return the weights, dims (family, system); those of a system add up to one."""
    systems = _systems(named)
    if isinstance(weights, Mapping):
        given = _checked(named, weights)
    elif weights == "equal":
        given = np.ones(len(named))
    elif weights in ("stacking", "pseudo_bma"):
        table = compare(named, progress=False).set_index(["family", "system"])
        column = table[f"weight_{weights}"]
        return np.array([[column[name, system] for system in systems] for name in named])
    else:
        raise OptionError(
            "weights must be 'equal', 'stacking', 'pseudo_bma' or a mapping of the fits' names "
            f"to numbers; got {weights!r}"
        )
    return np.repeat((given / given.sum())[:, None], len(systems), axis=1)


def _checked(named: Mapping[str, xr.DataTree], weights: Mapping[str, float]) -> Floats:
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
