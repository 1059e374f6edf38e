"""A fit put together: draws, and the data they are from, as the groups of ArviZ's tree."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.arrays import Floats
from bayespassk.counts import Counts
from bayespassk.evidence import EVIDENCE
from bayespassk.families import Family
from bayespassk.families.base import declared
from bayespassk.posterior.covariates import Design, required
from bayespassk.posterior.diagnostics import Diagnostics
from bayespassk.posterior.likelihood import attach_log_likelihood
from bayespassk.posterior.pooling import Hierarchy, dims_of

__all__ = ["as_tree"]

OUTER = ("chain", "draw")

IN_TREE = {"benchmark": "in_benchmark"}
"""Dims of variables that are called otherwise in the tree, where "benchmark" tells of a system."""


def as_tree(
    counts: Counts,
    family: Family,
    found: Mapping[str, Floats],
    prior: Mapping[str, Floats],
    stats: Mapping[str, NDArray[Any]],
    attrs: Mapping[str, Any],
    report: Diagnostics,
    design: Design | None = None,
    moments: Mapping[str, Floats] | None = None,
    alone: Mapping[str, Floats] | None = None,
) -> xr.DataTree:
    """Return a fit: the tree of ArviZ, with what is needed to forecast from it in `attrs`.

    `found` and `prior` hold the free parameters, dims (chain, draw, system), and what the systems
    share; `stats` arrays with dims (chain, draw); `moments` mean and standard deviation of
    parameters where these are known otherwise than from draws, dims (moment, system); `alone` the
    free parameters of each system without the others, which may have fewer draws.
    """
    hierarchy = Hierarchy.from_json(attrs["hierarchy"])
    chains, draws = next(iter(found.values())).shape[:2]
    outer = {"chain": np.arange(chains), "draw": np.arange(draws)}
    systems = {"system": list(counts.systems)}
    labels = systems | {"benchmark": ("system", list(counts.benchmarks))}
    # ArviZ cannot tabulate variables with and without a coordinate that is not a dim.
    apart = hierarchy.pooling == "none"
    coords = outer | (labels if apart else systems)
    library, _, version = str(attrs["sampler"]).partition(" ")
    told = {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "inference_library": library,
        "inference_library_version": version,
        "diagnostics": json.dumps(asdict(report)),
    }
    if design is not None:
        told = {"design": design.to_json()} | told
    rows = _rows(counts)
    groups = {
        "/": xr.Dataset(attrs=dict(attrs) | told),
        "posterior": _variables(family, hierarchy, found, coords),
        "sample_stats": xr.Dataset({name: (OUTER, value) for name, value in stats.items()}, outer),
        "prior": _variables(family, hierarchy, prior, coords),
        "observed_data": xr.Dataset({"successes": ("row", counts.successes)}, rows),
        "constant_data": _constant(counts, design, rows | ({} if apart else labels)),
    }
    if moments:
        exact = {name: (("moment", "system"), value) for name, value in moments.items()}
        groups["exact"] = xr.Dataset(exact, {"moment": ["mean", "sd"]} | labels)
    if alone:
        few = {"draw": np.arange(next(iter(alone.values())).shape[1])}
        each = {name: ((*OUTER, "system"), value) for name, value in alone.items()}
        groups["alone"] = xr.Dataset(each, outer | few | labels)
    tree = xr.DataTree.from_dict(groups)
    attach_log_likelihood(tree)
    return tree


def _variables(
    family: Family, hierarchy: Hierarchy, values: Mapping[str, Floats], coords: Mapping[str, Any]
) -> xr.Dataset:
    """Return free parameters, what systems share, and natural parameters, in this order."""
    free = list(declared(family))
    shared = sorted(values.keys() - set(free))
    dims, labels = dims_of(family, hierarchy), hierarchy.labels
    coords = dict(coords)
    data: dict[str, Any] = {}
    for name in (*free, *shared):
        own = [IN_TREE.get(dim, dim) for dim in dims[name]]
        data[name] = ((*OUTER, *own), values[name] if own else values[name][..., 0])
        coords |= {IN_TREE.get(d, d): list(labels[d]) for d in dims[name] if d != "system"}
    with np.errstate(over="ignore"):  # a draw of a wide prior may be larger than any number
        natural = family.natural({name: values[name] for name in free})
    data |= {name: ((*OUTER, "system"), value) for name, value in natural.items()}
    return xr.Dataset(data, coords)


def _rows(counts: Counts) -> dict[str, Any]:
    """Return the coordinates of rows: as finished variables, whose text is not looked through."""
    system = np.array(counts.systems, dtype=object)[counts.system_index]
    return {
        "row": np.arange(len(counts)),
        "problem": xr.Variable("row", counts.problem, fastpath=True),
        "row_system": xr.Variable("row", system, fastpath=True),
    }


def _constant(counts: Counts, design: Design | None, coords: Mapping[str, Any]) -> xr.Dataset:
    """Return what was given and is not an outcome."""
    data: dict[str, Any] = {
        "attempts": ("row", counts.attempts),
        "system_index": ("row", counts.system_index),
    }
    if counts.cluster is not None:
        data["cluster"] = ("row", counts.cluster)
    if counts.evidence is not None:
        data |= {name: ("row", getattr(counts, name)) for name in EVIDENCE}
    if counts.runs is not None:
        data |= {f"run_{name}": ("piece", v) for name, v in counts.runs.columns().items()}
        data["run_names"] = ("run", np.array(counts.runs.names, dtype=object))
    if design is None:
        return xr.Dataset(data, coords)
    data["design"] = (("row", "column"), design.values)
    for name in required(design.formula):
        data[f"covariate_{name}"] = ("row", counts.covariates[name])
    return xr.Dataset(data, {**coords, "column": list(design.columns)})
