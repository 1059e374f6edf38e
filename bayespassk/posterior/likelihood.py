"""The likelihood of a fit: of distinct rows as the sampler sees it, and of each problem."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.arguments import check_arguments
from bayespassk.arrays import CHUNK
from bayespassk.cells import Cells
from bayespassk.families import Family
from bayespassk.families.base import distinct_draws
from bayespassk.posterior.fitted import opened
from bayespassk.special import NUMPY, log_binomial

__all__ = ["attach_log_likelihood", "cell_log_moments", "log_likelihood"]

LOG_LIKELIHOOD_LIMIT = 20_000_000
"""Numbers the group log_likelihood may hold (160 MB); larger fits go without it."""


def cell_log_moments(
    family: Family, parameters: Mapping[str, NDArray[np.float64]], cells: Cells
) -> NDArray[np.float64]:
    """Return the log moments of all cells at all draws, dims (draw, cell): the likelihood.

    As the sampler sees it: with the same constants, so the same nodes where there is a quadrature.
    """
    constants = family.constants(cells.successes.astype(float), cells.failures.astype(float))
    parameters, which = distinct_draws(parameters)
    draws = len(next(iter(parameters.values())))
    step = max(1, CHUNK // max(1, family.numbers(constants, len(cells.problems))))
    moments = [
        family.log_moments(
            {name: p[i : i + step] for name, p in parameters.items()}, constants, NUMPY
        )
        for i in range(0, draws, step)
    ]
    return np.asarray(np.concatenate(moments)[which])


def log_likelihood(fit: xr.DataTree) -> xr.DataArray:
    """Return the log-likelihood of each problem, p integrated out, dims (chain, draw, row).

    What the group log_likelihood of a fit holds, also for fits that are too large to carry it:
    mind that it has chains x draws x rows numbers. Each distinct row is computed once.
    """
    check_arguments("log_likelihood", locals())
    fitted = opened(fit, evidence=True)
    family, sizes, observed = fitted.family, fitted.shape, fit["observed_data"].dataset
    values = np.empty((*sizes, observed.sizes["row"]))
    for parts in fitted.parts:
        for part in parts:
            cells = part.cells
            parameters = {name: p.ravel() for name, p in part.parameters.items()}
            moments = cell_log_moments(family, parameters, cells)
            successes, failures = family.outcomes(cells.successes, cells.failures)
            moments += log_binomial(successes + failures, successes)
            first, last = part.rows[[0, -1]]
            together = last - first + 1 == len(part.rows)  # much faster than a list of them
            rows = slice(first, last + 1) if together else part.rows
            for chain, of_cells in enumerate(moments.reshape(*sizes, -1)):  # to hold few copies
                values[chain][:, rows] = np.take(of_cells, cells.inverse, axis=1)
    return xr.DataArray(
        values,
        dims=("chain", "draw", "row"),
        coords={**fitted.outer, **observed.coords},
        name="successes",
    )


def attach_log_likelihood(fit: xr.DataTree) -> None:
    """Add the group log_likelihood to a fit, unless it would be too large."""
    sizes = fit["posterior"].dataset.sizes
    rows = fit["observed_data"].dataset.sizes["row"]
    if sizes["chain"] * sizes["draw"] * rows <= LOG_LIKELIHOOD_LIMIT:
        fit["log_likelihood"] = xr.DataTree(log_likelihood(fit).to_dataset())
