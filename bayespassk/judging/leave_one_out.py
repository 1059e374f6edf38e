"""Leave-one-out of each problem: by importance sampling, or by fitting again without it."""

import json
import math
import warnings
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bayespassk.arrays import CHUNK, Floats
from bayespassk.cells import Cells
from bayespassk.errors import LooWarning, OptionError, PoolingWarning, PriorDrivenWarning
from bayespassk.fitting.verb import fit_with
from bayespassk.options import system_seed
from bayespassk.posterior.fitted import Fitted, Part, opened
from bayespassk.posterior.likelihood import cell_log_moments
from bayespassk.special import log_binomial

__all__ = ["Loo", "Which", "leave_one_out", "relative_efficiency"]


@dataclass(frozen=True)
class Which:
    """Which fit and system is looked at."""

    family: str
    system: str
    position: int


@dataclass(frozen=True)
class Loo:
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


def leave_one_out(
    fitted: Fitted, cells: Cells, which: Which, r_eff: float, exact: bool, progress: bool
) -> Loo:
    """Return LOO of one system; where importance sampling fails, by fits without the problem.

    Or, unless `exact`, with a `LooWarning`. `r_eff` is the :func:`relative_efficiency` of the fit.
    """
    found = _importance_sampled(fitted, cells, which, r_eff)
    good = found.pareto_k <= _good_k(fitted.draws)
    if good.all():
        return found
    if not exact:
        _warn(found, good, which)
        return found
    elpd = found.elpd.copy()
    for cell in np.flatnonzero(~good):
        elpd[cell] = _elpd_without(fitted, cells, int(cell), which, progress)
    return replace(found, elpd=elpd, p=found.p + found.elpd - elpd, exact=~good)


def _good_k(draws: int) -> float:
    """Return the Pareto k up to which importance sampling with so many draws is reliable."""
    return min(1 - 1 / math.log10(draws), 0.7)


def _importance_sampled(fitted: Fitted, cells: Cells, which: Which, r_eff: float) -> Loo:
    """Return LOO from the draws of the fit itself."""
    from arviz_stats.base import array_stats

    shape = fitted.shape
    elpd, p, pareto_k = np.zeros((3, len(cells.problems)))
    # A problem without attempts has probability 1 under any family.
    tried = np.flatnonzero(cells.successes + cells.failures)
    step = max(1, 5 * CHUNK // (shape[0] * shape[1]))
    for i in range(0, len(tried), step):
        part = tried[i : i + step]
        values = _log_likelihood(fitted, which.position, cells, part).T.reshape(-1, *shape)
        try:
            elpd[part], pareto_k[part], p[part] = array_stats.loo(values, r_eff=r_eff)
        except ValueError as error:
            raise OptionError(
                f"fits must have enough draws for LOO: that of {which.family!r} does not for "
                f"system {which.system!r} ({error}). Fit again with more draws and tune"
            ) from error
    exact = np.zeros(len(elpd), dtype=bool)
    return Loo(elpd, p, pareto_k, cells.problems, exact)


def relative_efficiency(fitted: Fitted) -> float:
    """Return the effective sample size per draw, the mean over all parameters, as `az.loo` does."""
    from arviz_stats.base import array_stats

    if fitted.shape[0] == 1:
        return 1.0
    values = np.concatenate(
        [
            values.values.reshape(*fitted.shape, -1)
            for values in fitted.posterior.data_vars.values()
        ],
        axis=-1,
    )
    ess = np.asarray(array_stats.ess(np.moveaxis(values, -1, 0), method="mean"))
    return float(ess.mean() / fitted.draws)


def _take(cells: Cells, index: NDArray[np.int64]) -> Cells:
    """Return some of the cells of one system, without the rows they came from."""
    return Cells(
        cells.system[index],
        cells.successes[index],
        cells.failures[index],
        cells.problems[index],
        cells.inverse[:0],
    )


def _log_likelihood(fitted: Fitted, system: int, cells: Cells, index: NDArray[np.int64]) -> Floats:
    """Return the log-likelihood of one problem of some of the cells, dims (draw, cell)."""
    if not fitted.hierarchy.problem_columns:
        (part,) = fitted.parts[system]
        return _log_probability(fitted, part, _take(cells, index))
    rows = np.flatnonzero(fitted.system_index == system)[index]
    values = np.empty((fitted.draws, len(rows)))
    wanted = np.isin(np.arange(len(fitted.attempts)), rows)
    for part in fitted.parts_of(system, wanted):
        at = np.searchsorted(rows, part.rows)
        values[:, at] = _log_probability(fitted, part, part.cells)[:, part.cells.inverse]
    return values


def _log_probability(fitted: Fitted, part: Part, cells: Cells) -> Floats:
    """Return the log probability of counts at the parameters of `part`, dims (draw, cell)."""
    parameters = {name: p.ravel() for name, p in part.parameters.items()}
    successes, failures = fitted.family.outcomes(cells.successes, cells.failures)
    constants = log_binomial(successes + failures, successes)
    return np.asarray(cell_log_moments(fitted.family, parameters, cells) + constants)


def _elpd_without(fitted: Fitted, cells: Cells, cell: int, which: Which, progress: bool) -> float:
    """Return the log probability of a cell's counts given all problems but one of its own."""
    inside = int(np.flatnonzero(cells.inverse == cell)[0])
    mine = np.flatnonzero(fitted.system_index == which.position)
    # Covariates are standardised over all systems, so that these have to stay together.
    everyone = range(len(fitted.systems))
    group = everyone if fitted.design else fitted.hierarchy.group(which.position)
    counts, attrs = fitted.counts, fitted.tree.attrs
    if attrs["method"] == "given":
        raise OptionError(
            f"exact=True fits again without a problem, which cannot be done for the family "
            f"{which.family!r}: its draws were given (bp.from_posterior). Use exact=False"
        )
    without = int(mine[inside])
    counts = counts.without_attempts(without)  # no attempts, no knowledge
    kept = np.isin(fitted.system_index, group)
    successes, failures = fitted.family.outcomes(cells.successes, cells.failures)
    left_out = f"without {successes[cell]} and {failures[cell]}"
    with warnings.catch_warnings():
        for told_before in (PriorDrivenWarning, PoolingWarning):
            warnings.simplefilter("ignore", told_before)
        size = json.loads(attrs["sampling"])
        again = fit_with(
            fitted.hierarchy.effects,
            counts if kept.all() else counts.of_rows(kept),
            fitted.family,
            attrs["method"],
            "none" if len(group) == 1 else attrs["pooling"],
            fitted.formula,
            (size["draws"], size["tune"], size["chains"], size["target_accept"]),
            system_seed(fitted.seed, left_out),
            progress,
        )
    position, rows = list(group).index(which.position), (np.arange(len(kept)) == without)[kept]
    refitted = opened(again)
    (part,) = refitted.parts_of(position, rows)
    values = _log_probability(refitted, part, _take(cells, np.array([cell])))
    return float(np.logaddexp.reduce(values, axis=None) - np.log(values.size))


def _warn(found: Loo, good: NDArray[np.bool_], which: Which) -> None:
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
        stacklevel=6,
    )
