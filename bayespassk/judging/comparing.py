"""Families against each other, by how well they foretell problems left out."""

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats
from bayespassk.cells import Cells
from bayespassk.errors import OptionError
from bayespassk.families.dependent import dependence
from bayespassk.judging.leave_one_out import Loo, Which, leave_one_out, relative_efficiency
from bayespassk.posterior.fitted import Fitted, opened

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Fits", "compare", "compared", "named_fits"]

type Fits = Mapping[str, xr.DataTree] | Iterable[xr.DataTree]

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

        Rows are called after the family, of several systems "system: family", as
        ``az.plot_compare`` has them. The ``attrs`` say what was `attempted` by each system.

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
    check_arguments("compare", locals())
    return compared(named_fits(fits), exact=exact, progress=progress)


def compared(
    named: Mapping[str, Fitted], *, exact: bool = True, progress: bool = True
) -> "pd.DataFrame":
    """Return the table of :func:`compare`, of fits that are opened."""
    import pandas as pd

    one = next(iter(named.values()))
    apart = any(
        fitted.hierarchy.problem_columns or dependence(fitted.family) for fitted in named.values()
    )
    found = {
        name: _left_out(name, fitted, _rows_of(fitted, apart), exact, progress)
        for name, fitted in named.items()
    }
    rows = []
    for i, system in enumerate(one.systems):
        rows += _rank(system, {name: each[i : i + 1] for name, each in found.items()})
    if len(one.systems) > 1:
        rows += _rank("all", found)
    table = pd.DataFrame(rows)
    several = len(one.systems) > 1
    names = table["system"] + ": " + table["family"] if several else table["family"]
    table.index = pd.Index(names, name=None)
    each = {system: one.attempted(i) for i, system in enumerate(one.systems)}
    table.attrs = {"attempted": {"all": one.attempted()} | each}
    return table


def _left_out(name: str, fitted: Fitted, cells: Cells, exact: bool, progress: bool) -> list[Loo]:
    """Return LOO of each system."""
    r_eff = relative_efficiency(fitted)
    return [
        leave_one_out(fitted, cells.of_system(i), Which(name, system, i), r_eff, exact, progress)
        for i, system in enumerate(fitted.systems)
    ]


def _rows_of(fitted: Fitted, apart: bool) -> Cells:
    """Return the rows in question: distinct ones, unless some fit tells problems apart by more."""
    cells = fitted.cells
    if not apart:
        return cells
    return Cells(
        cells.system[cells.inverse],
        cells.successes[cells.inverse],
        cells.failures[cells.inverse],
        np.ones_like(cells.inverse),
        np.arange(len(cells.inverse)),
    )


def named_fits(fits: Fits, fewest: int = 2) -> dict[str, Fitted]:
    """Return the fits by name, opened, or raise an error unless there are enough of equal counts.

    Raises
    ------
    OptionError
        If there are too few, two have the same name, or they are of different counts.
    FitFileError
        If one is not a fit.
    """
    if isinstance(fits, xr.DataTree):  # which is a mapping, of its groups
        fits = [fits]
    if isinstance(fits, Mapping):
        named = {name: opened(fit) for name, fit in fits.items()}
    else:
        named = {}
        for fit in fits:
            fitted = opened(fit)
            name = fitted.family.full_name
            if name in named:
                raise OptionError(
                    f"fits must differ in their names: two of them are of the family {name!r}. "
                    "Give a mapping with names of your own"
                )
            named[name] = fitted
    if len(named) < fewest:
        least = {1: "one family", 2: "two families"}[fewest]
        raise OptionError(f"fits must be of at least {least}; got {len(named)}")
    (first, one), *others = named.items()
    for name, fitted in others:
        here, there = (each.origin["input_sha256"] for each in (fitted, one))
        if here != there:
            raise OptionError(
                f"fits must be of the same counts: that of {name!r} is of others (sha256 "
                f"{here[:16]}) than that of {first!r} (sha256 {there[:16]}). Fit both to the same "
                "Counts"
            )
    return named


# Tables and weights ------------------------------------------------------------------------------


def _rank(system: str, found: Mapping[str, list[Loo]]) -> list[dict[str, Any]]:
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


def _standard_error(values: list[Floats], loos: list[Loo]) -> float:
    """Return that of a sum over problems: within a system by their variance, systems add up."""
    variance = 0.0
    for value, loo in zip(values, loos, strict=True):
        mean = np.average(value, weights=loo.problems)
        number = int(loo.problems.sum())
        variance += float((value - mean) ** 2 @ loo.problems) * number / max(number - 1, 1)
    return float(np.sqrt(variance))


def _stacking(found: Mapping[str, list[Loo]]) -> dict[str, float]:
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


def _pseudo_bma(found: Mapping[str, list[Loo]]) -> dict[str, float]:
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


def _side_by_side(found: Mapping[str, list[Loo]]) -> tuple[Floats, NDArray[np.int64]]:
    """Return the elpd, dims (family, cell), and how many problems each cell has."""
    problems = [loo.problems for loo in next(iter(found.values()))]
    elpd = [np.concatenate([loo.elpd for loo in loos]) for loos in found.values()]
    return np.stack(elpd), np.concatenate(problems)
