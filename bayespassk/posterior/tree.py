"""The tree of a fit: ArviZ's own type, with what is needed to forecast from it."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.counts import Counts
from bayespassk.families import Family
from bayespassk.families.base import declared
from bayespassk.posterior.covariates import Design, required
from bayespassk.posterior.diagnostics import Diagnostics
from bayespassk.posterior.likelihood import attach_log_likelihood
from bayespassk.posterior.pooling import Hierarchy

__all__ = ["as_tree"]


def as_tree(
    counts: Counts,
    family: Family,
    found: Mapping[str, NDArray[np.float64]],
    prior: Mapping[str, NDArray[np.float64]],
    stats: Mapping[str, NDArray[Any]],
    attrs: Mapping[str, Any],
    report: Diagnostics,
    design: Design | None = None,
    moments: Mapping[str, NDArray[np.float64]] | None = None,
) -> xr.DataTree:
    """Return a fit: the tree of ArviZ, with what is needed to forecast from it in `attrs`.

    `found` and `prior` hold the free parameters, dims (chain, draw, system), and what the systems
    share; `stats` arrays with dims (chain, draw); `moments` mean and standard deviation of
    parameters where these are known otherwise than from draws, dims (moment, system).
    """
    shape = next(iter(found.values())).shape
    hierarchy = Hierarchy.from_json(attrs["hierarchy"])
    coords = {
        "chain": np.arange(shape[0]),
        "draw": np.arange(shape[1]),
        "system": list(counts.systems),
    }
    benchmarks: dict[str, Any] = {"benchmark": ("system", list(counts.benchmarks))}
    alone = hierarchy.pooling == "none"
    if alone:
        coords |= benchmarks
    system = np.array(counts.systems, dtype=object)[counts.system_index]
    rows = {  # as finished variables, as xarray would look through all text for dates
        "row": np.arange(len(counts)),
        "problem": xr.Variable("row", counts.problem, fastpath=True),
        "row_system": xr.Variable("row", system, fastpath=True),
    }
    constant: dict[str, Any] = {
        "attempts": ("row", counts.attempts),
        "system_index": ("row", counts.system_index),
    }
    # ArviZ cannot tabulate variables with and without a coordinate that is not a dim.
    elsewhere = {} if alone else {"system": coords["system"]} | benchmarks
    attrs = dict(attrs)
    if design is not None:
        attrs["design"] = design.to_json()
        constant["design"] = (("row", "column"), design.values)
        elsewhere["column"] = list(design.columns)
        for name in required(design.formula):
            constant[f"covariate_{name}"] = ("row", counts.covariates[name])
    outer = ("chain", "draw")
    free = declared(family)

    def variables(values: Mapping[str, NDArray[np.float64]]) -> xr.Dataset:
        own = family.natural({name: values[name] for name in free})
        data: dict[str, Any] = {
            name: ((*outer, "system"), value)
            for name, value in ({name: values[name] for name in free} | own).items()
        }
        for name in values.keys() - free.keys():
            above = _dims_above(name, hierarchy)
            coords.update({dim: list(labels) for dim, labels in above.items()})
            value, dims = values[name], list(above)
            if name.startswith("problem_effect_") and alone:
                dims = ["system", *dims]
            data[name] = ((*outer, *dims), value if dims else value[..., 0])
        order = [*free, *sorted(values.keys() - free.keys()), *own]
        return xr.Dataset({name: data[name] for name in order}, coords)

    tree = xr.DataTree.from_dict(
        {
            "/": xr.Dataset(attrs=attrs | {"diagnostics": json.dumps(asdict(report))}),
            "posterior": variables(found),
            "sample_stats": xr.Dataset(
                {name: (outer, value) for name, value in stats.items()},
                {name: coords[name] for name in outer},
            ),
            "prior": variables(prior),
            "observed_data": xr.Dataset({"successes": ("row", counts.successes)}, rows),
            "constant_data": xr.Dataset(constant, rows | elsewhere),
        }
    )
    if moments:
        exact = {name: (("moment", "system"), value) for name, value in moments.items()}
        outer_labels = {"moment": ["mean", "sd"], "system": coords["system"]}
        tree["exact"] = xr.DataTree(xr.Dataset(exact, outer_labels | benchmarks))
    attach_log_likelihood(tree)
    return tree


def _dims_above(name: str, hierarchy: Hierarchy) -> dict[str, tuple[str, ...]]:
    """Return the dims after (chain, draw) of a variable that systems share, and their labels."""
    if name.startswith("benchmark_centre_"):
        return {"in_benchmark": hierarchy.benchmarks}
    if name.startswith("effect_"):
        return {"system_column": hierarchy.system_columns}
    if name.startswith("problem_effect_"):
        return {"problem_column": hierarchy.problem_columns}
    return {}
