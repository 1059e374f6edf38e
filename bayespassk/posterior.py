"""A fit as data: what its tree carries, how it is saved, and what is read from it."""

import json
import os
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.arrays import CHUNK
from bayespassk.cells import Cells, distinct
from bayespassk.counts import Counts
from bayespassk.errors import ConvergenceWarning, FitFileError
from bayespassk.families import Family, family_from_spec
from bayespassk.families.base import declared, distinct_draws
from bayespassk.hierarchy import Hierarchy
from bayespassk.special import NUMPY, log_binomial

__all__ = [
    "Diagnostics",
    "Part",
    "cell_log_moments",
    "cells_of",
    "counts_of",
    "covariates_of",
    "diagnostics",
    "family_of",
    "hierarchy_of",
    "load",
    "log_likelihood",
    "outer_coords",
    "parameters_of",
    "parts_of",
    "save",
    "system_design",
]

MAX_RHAT, MIN_ESS, MAX_PARETO_K = 1.01, 400.0, 0.7

LOG_LIKELIHOOD_LIMIT = 20_000_000
"""Numbers the group log_likelihood may hold (160 MB); larger fits go without it."""


@dataclass(frozen=True)
class Diagnostics:
    """Whether the sampler converged: the worst over systems and parameters.

    Attributes
    ----------
    max_rhat : float or None
        Rank-normalised split R-hat; only of NUTS with two or more chains.
    min_ess : float or None
        Bulk effective sample size of NUTS; that of the importance weights of quadrature with
        pooling; else None.
    divergences : int
        Divergent transitions after tuning.
    pareto_k : float or None
        Pareto k of the importance ratios posterior / approximation; None for NUTS, and for
        quadrature without pooling.
    systems : tuple of str
        The systems for which one of these is out of bounds.
    """

    max_rhat: float | None
    min_ess: float | None
    divergences: int
    pareto_k: float | None
    systems: tuple[str, ...]

    @property
    def converged(self) -> bool:
        """Whether nothing is out of bounds."""
        return not self.systems

    def message(self) -> str:
        """Return what is out of bounds and what to try, or that nothing is."""
        found = []
        if self.max_rhat is not None and not self.max_rhat <= MAX_RHAT:
            found.append(f"R-hat {self.max_rhat:.3f} (should be at most {MAX_RHAT})")
        if self.min_ess is not None and not self.min_ess >= MIN_ESS:
            found.append(f"bulk ESS {self.min_ess:.0f} (at least {MIN_ESS:.0f})")
        if self.divergences:
            found.append(f"{self.divergences} divergences (none)")
        if self.pareto_k is not None and not self.pareto_k <= MAX_PARETO_K:
            found.append(f"Pareto k {self.pareto_k:.2f} (at most {MAX_PARETO_K})")
        if not found and not self.systems:
            return "the sampler converged"
        if not found:
            found.append("the posterior does not fit on a lattice")
        remedy = (
            "method='nuts', or 'fullrank_advi' if this was 'advi'"
            if self.max_rhat is None
            else "twice the draws and tune, target_accept=0.99 against divergences, a narrower "
            "prior"
        )
        some = ", ".join(repr(name) for name in self.systems[:3])
        return (
            f"the fit did not converge for {some}{', ...' if len(self.systems) > 3 else ''}: "
            f"{', '.join(found)}. Do not use its numbers yet; try {remedy}"
        )

    def warn(self, stacklevel: int = 2) -> None:
        """Issue a :class:`ConvergenceWarning` if something is out of bounds."""
        if self.converged:
            return
        warnings.warn(
            ConvergenceWarning(
                self.message(),
                systems=self.systems,
                max_rhat=self.max_rhat,
                min_ess=self.min_ess,
                divergences=self.divergences,
                pareto_k=self.pareto_k,
            ),
            stacklevel=stacklevel + 1,
        )


def diagnostics(fit: xr.DataTree) -> Diagnostics:
    """Return whether the sampler of a fit converged, as found when it was made."""
    values = json.loads(_attribute(fit, "diagnostics"))
    return Diagnostics(**(values | {"systems": tuple(values["systems"])}))


def outer_coords(fit: xr.DataTree) -> dict[str, Any]:
    """Return the coordinates of what has dims (chain, draw, system)."""
    coords = fit["posterior"].dataset.coords
    known = coords if "benchmark" in coords else fit["constant_data"].dataset.coords
    found = {name: coords[name] for name in ("chain", "draw", "system")}
    return found | {"benchmark": known["benchmark"]}


def family_of(fit: xr.DataTree) -> Family:
    """Return the family of a fit, with the priors it was fitted with.

    Raises
    ------
    FitFileError
        If `fit` is not a fit, or its family is not known to this version.
    """
    return family_from_spec(json.loads(_attribute(fit, "family")))


def hierarchy_of(fit: xr.DataTree) -> Hierarchy:
    """Return how the systems of a fit hang together."""
    if "hierarchy" not in fit.attrs:  # made before there was a choice
        return Hierarchy("none", fit["posterior"].sizes["system"])
    return Hierarchy.from_json(fit.attrs["hierarchy"])


def parameters_of(
    fit: xr.DataTree, system: int, columns: NDArray[np.float64] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Return the natural parameters of one system, each with dims (chain, draw).

    `columns`, dims (column,), are those covariates that differ between problems, standardised; by
    default they are at their means.
    """
    family = family_of(fit)
    posterior = fit["posterior"].dataset.isel(system=system)
    free = {name: posterior[name].values for name in free_names(family)}
    if columns is not None and len(columns):
        free = {
            name: value + posterior[f"problem_effect_{name}"].values @ columns
            for name, value in free.items()
        }
    return family.natural(free)


class Part(NamedTuple):
    """Problems of one system with the same parameters: all of them, unless there are covariates.

    Attributes
    ----------
    rows : array of int, dims (problem,)
        Which rows of the fit.
    cells : Cells
        Their distinct counts; `inverse` is in the order of `rows`.
    parameters : dict of str to array, dims (chain, draw)
        The natural parameters of the family.
    """

    rows: NDArray[np.int64]
    cells: Cells
    parameters: dict[str, NDArray[np.float64]]


def parts_of(fit: xr.DataTree, system: int, rows: NDArray[np.bool_] | None = None) -> list[Part]:
    """Return the problems of one system, and the parameters they are drawn with.

    `rows`, dims (row,), says which rows of the fit to take; by default all of the system.
    """
    constant = fit["constant_data"].dataset
    mine = constant["system_index"].values == system
    index = np.flatnonzero(mine if rows is None else mine & rows)
    successes = fit["observed_data"].dataset["successes"].values[index]
    failures = constant["attempts"].values[index] - successes

    def part(which: NDArray[np.int64], parameters: dict[str, NDArray[np.float64]]) -> Part:
        cells = distinct(np.zeros(len(which), np.int64), successes[which], failures[which])
        return Part(index[which], cells, parameters)

    hierarchy = hierarchy_of(fit)
    if not hierarchy.problem_columns:
        return [part(np.arange(len(index)), parameters_of(fit, system))]
    varies = np.array(json.loads(fit.attrs["design"])["varies"])
    design, group = np.unique(
        constant["design"].values[index][:, varies], axis=0, return_inverse=True
    )
    return [
        part(np.flatnonzero(group.ravel() == i), parameters_of(fit, system, columns))
        for i, columns in enumerate(design)
    ]


def system_design(fit: xr.DataTree) -> NDArray[np.float64] | None:
    """Return the covariates of the systems, standardised, dims (system, column), or None."""
    if not hierarchy_of(fit).system_columns:
        return None
    constant = fit["constant_data"].dataset
    varies = np.array(json.loads(fit.attrs["design"])["varies"])
    system = constant["system_index"].values
    first = [int(np.argmax(system == i)) for i in range(fit["posterior"].sizes["system"])]
    return np.asarray(constant["design"].values[first][:, ~varies])


def counts_of(fit: xr.DataTree) -> Counts:
    """Return the counts a fit was made from; systems are called by their labels."""
    constant, posterior = fit["constant_data"].dataset, fit["posterior"].dataset
    system = constant["system_index"].values
    return Counts(
        problem=constant["problem"].values,
        attempts=constant["attempts"].values,
        successes=fit["observed_data"].dataset["successes"].values,
        system=posterior["system"].values[system],
        benchmark=outer_coords(fit)["benchmark"].values[system],
        stopping=str(fit.attrs.get("stopping", "fixed")),
        covariates=covariates_of(fit),
    )


def covariates_of(fit: xr.DataTree) -> dict[str, NDArray[Any]]:
    """Return the covariates that a fit was made with, dims (row,)."""
    prefix = "covariate_"
    return {
        str(name).removeprefix(prefix): values.values
        for name, values in fit["constant_data"].dataset.data_vars.items()
        if str(name).startswith(prefix)
    }


def cells_of(fit: xr.DataTree) -> Cells:
    """Return the distinct rows of the counts a fit was made from."""
    successes = fit["observed_data"].dataset["successes"].values
    constant = fit["constant_data"].dataset
    attempts, system = constant["attempts"].values, constant["system_index"].values
    return distinct(system, successes, attempts - successes)


def free_names(family: Family) -> list[str]:
    """Return the names of the free parameters of a family, in their order."""
    return list(declared(family))


def cell_log_moments(
    family: Family, parameters: Mapping[str, NDArray[np.float64]], cells: Cells
) -> NDArray[np.float64]:
    """Return the log moments of all cells at all draws, dims (draw, cell): the likelihood.

    As the sampler sees it: with the same constants, so the same nodes where there is a quadrature.
    """
    constants = family.constants(cells.successes.astype(float), cells.failures.astype(float))
    parameters, which = distinct_draws(parameters)
    draws = len(next(iter(parameters.values())))
    # Nodes that follow the parameters take as many numbers as there are pairs of cell and node.
    nodes = max(value.shape[-1] for value in constants.values())
    step = max(1, CHUNK // max(1, len(cells.problems) * nodes))
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
    family, posterior = family_of(fit), fit["posterior"].dataset
    observed = fit["observed_data"].dataset
    sizes = posterior.sizes["chain"], posterior.sizes["draw"]
    values = np.empty((*sizes, observed.sizes["row"]))
    for system in range(posterior.sizes["system"]):
        for part in parts_of(fit, system):
            cells = part.cells
            parameters = {name: p.ravel() for name, p in part.parameters.items()}
            moments = cell_log_moments(family, parameters, cells)
            moments += log_binomial(cells.successes + cells.failures, cells.successes)
            first, last = part.rows[[0, -1]]
            together = last - first + 1 == len(part.rows)  # much faster than a list of them
            rows = slice(first, last + 1) if together else part.rows
            for chain, of_cells in enumerate(moments.reshape(*sizes, -1)):  # to hold few copies
                values[chain][:, rows] = np.take(of_cells, cells.inverse, axis=1)
    return xr.DataArray(
        values,
        dims=("chain", "draw", "row"),
        coords={
            "chain": posterior["chain"].values,
            "draw": posterior["draw"].values,
            **observed.coords,
        },
        name="successes",
    )


def _attach_log_likelihood(fit: xr.DataTree) -> None:
    sizes = fit["posterior"].dataset.sizes
    rows = fit["observed_data"].dataset.sizes["row"]
    if sizes["chain"] * sizes["draw"] * rows <= LOG_LIKELIHOOD_LIMIT:
        fit["log_likelihood"] = xr.DataTree(log_likelihood(fit).to_dataset())


def save(fit: xr.DataTree, path: str | os.PathLike[str]) -> None:
    """Write a fit to a netCDF file, whole or not at all; an older file is replaced.

    The group log_likelihood is left out: it is by far the largest, and :func:`load` computes it
    again from the rest. To keep it in the file, use ``fit.to_netcdf``.

    Raises
    ------
    FitFileError
        If `fit` is not a fit, or the file cannot be written.
    """
    path = Path(path)
    family_of(fit)
    kept = {name: group for name, group in fit.children.items() if name != "log_likelihood"}
    tree = xr.DataTree(xr.Dataset(attrs=fit.attrs), children=kept)
    temporary = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        os.close(handle)
        tree.to_netcdf(temporary, engine="netcdf4")
        temporary.chmod(path.stat().st_mode if path.exists() else 0o644)
        temporary.replace(path)
    except OSError as error:
        raise FitFileError(f"{path}: cannot be written: {error.strerror or error}") from None
    except RuntimeError as error:  # all that netCDF says of a write that failed is "HDF error"
        raise FitFileError(f"{path}: cannot be written: {error}. Is the disk full?") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def load(path: str | os.PathLike[str]) -> xr.DataTree:
    """Return the fit in a netCDF file, read whole; the file is closed.

    Raises
    ------
    FitFileError
        If the file is missing, is not netCDF, or is not a fit made by bayespassk.
    """
    try:
        with xr.open_datatree(path, engine="netcdf4") as opened:
            fit = opened.load()
    except FileNotFoundError:
        raise FitFileError(f"{path}: there is no such file") from None
    except (OSError, RuntimeError, ValueError) as error:
        raise FitFileError(f"{path}: not a netCDF file that can be read: {error}") from None
    try:
        family_of(fit)
    except FitFileError as error:
        raise FitFileError(f"{path}: {error}") from None
    if "log_likelihood" not in fit.children:
        _attach_log_likelihood(fit)
    return fit


def _attribute(fit: xr.DataTree, name: str) -> str:
    if not isinstance(fit, xr.DataTree) or name not in fit.attrs or "posterior" not in fit.children:
        raise FitFileError(
            "this is not a fit made by bayespassk: make one with bp.fit, or read one with bp.load"
        )
    return str(fit.attrs[name])
