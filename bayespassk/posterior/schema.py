"""What a file must hold to be a fit: sizes before it is read, then all that is used of it."""

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.counts import Provenance
from bayespassk.errors import FitFileError
from bayespassk.families.base import declared
from bayespassk.posterior.covariates import required
from bayespassk.posterior.diagnostics import Diagnostics, diagnostics_of
from bayespassk.posterior.fitted import Fitted, opened
from bayespassk.posterior.pooling import Hierarchy, dims_of
from bayespassk.posterior.tree import IN_TREE, OUTER

__all__ = ["CHECKSUM", "check_fit", "check_sizes", "checksum"]

CHECKSUM = "checksum"
"""The attribute that holds it."""

TIMES, SPARE = 100, 2**25
"""A file may hold so many times its bytes, which compression may reach, and so many bytes more."""

MOST = 10_000
"""Variables that a file may have, and attributes."""

LONGEST = 2**20
"""Characters of an attribute."""

ATTRIBUTES = {
    "bayespassk_version": r"[0-9A-Za-z.+!_-]{1,64}",
    "input_sha256": r"[0-9a-f]{64}",
    "method": r"[a-z_]{1,32}",
    "sampler": r"[0-9A-Za-z .+!_-]{1,64}",
    "pooling": r"none|within|partial",
}
"""What texts that are printed as they are must be."""


# Before it is read -------------------------------------------------------------------------------


def check_sizes(path: str | os.PathLike[str]) -> None:
    """Raise an error if a netCDF file claims to hold more than it can, before it is read.

    Raises
    ------
    FitFileError
        If it does, or holds what no fit does.
    """
    import netCDF4

    with netCDF4.Dataset(path, "r") as file:
        most = TIMES * os.stat(path).st_size + SPARE  # noqa: PTH116 -- text or path
        total = 0
        for number, (name, size) in enumerate(_sizes(file, ""), 1):
            total += size
            if number > MOST:
                raise FitFileError(f"it has more than {MOST:,} variables; a fit has a few dozen")
            if total > most:
                raise FitFileError(
                    f"it claims to hold more than {most:,} bytes (at {name}), which a file of its "
                    "size does not"
                )


def _sizes(group: Any, above: str) -> Iterator[tuple[str, int]]:
    """Yield each variable of a group and of those in it, and how many bytes reading it may take."""
    if above.count("/") > 2:
        raise FitFileError(f"groups are nested too deeply at {above}")
    if group.cmptypes or group.vltypes or group.enumtypes:
        raise FitFileError("it has types of its own, and a fit has numbers and text")
    for name, variable in group.variables.items():
        kind = variable.dtype
        size = 64 if kind is str else np.dtype(kind).itemsize
        chunks = variable.chunking()
        most = math.prod(variable.shape)
        if not isinstance(chunks, str) and chunks is not None:  # a chunk is read whole
            most = max(most, math.prod(chunks))
        yield f"{above}/{name}", most * size
    for name, inner in group.groups.items():
        yield f"{above}/{name}", 0
        yield from _sizes(inner, f"{above}/{name}")


def checksum(fit: xr.DataTree) -> str:
    """Return the hash of all that a saved fit holds, as 64 hexadecimal digits.

    The same however its arrays are laid out. It finds what was changed by accident or by hand;
    who wants to deceive can compute it anew.
    """
    digest = hashlib.sha256()
    digest.update(_as_text(fit.attrs))
    for name in sorted(fit.children):
        if name == "log_likelihood":  # which follows from the rest
            continue
        group = fit[name].dataset
        digest.update(f"\n{name}\n".encode() + _as_text(group.attrs))
        for variable in sorted(map(str, group.variables)):
            values = group[variable]
            digest.update(f"\n{variable} {values.dims} {values.shape}\n".encode())
            digest.update(_as_text(values.attrs))
            _add(digest, values.values)
    return digest.hexdigest()


def _as_text(attrs: Mapping[Any, Any]) -> bytes:
    plain = {str(name): _plain(value) for name, value in attrs.items() if name != CHECKSUM}
    return json.dumps(plain, sort_keys=True, default=repr).encode()


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _add(digest: Any, values: NDArray[Any]) -> None:
    if values.dtype.kind in "OUS":
        each = list(map(str, values.ravel()))
        digest.update(json.dumps(list(map(len, each))).encode())
        digest.update("".join(each).encode(errors="surrogatepass"))
        return
    kind = values.dtype.newbyteorder("<")
    digest.update(kind.str.encode())
    digest.update(np.ascontiguousarray(values, dtype=kind).data)


# What was read -----------------------------------------------------------------------------------


def check_fit(fit: xr.DataTree) -> Fitted:
    """Return a fit, opened, or raise an error about the first thing in it that is wrong.

    Groups and variables that are not known are left alone.

    Raises
    ------
    FitFileError
        If something that is used is missing, or is not what it must be.
    """
    fitted = opened(fit, evidence=True)
    _check_attributes(fitted)
    _check_posterior(fitted)
    _check_rows(fitted)
    _check_labels(fitted)
    _check_known(fitted)
    fitted.counts  # noqa: B018 -- raises if the rows are no counts
    return fitted


def _require(ok: bool, what: str, rule: str) -> None:
    if not ok:
        raise FitFileError(f"{what} must be {rule}; in this one it is not. Make the fit again")


def _check_attributes(fitted: Fitted) -> None:
    attrs = fitted.tree.attrs
    _require(len(attrs) <= MOST, "the number of attributes", f"at most {MOST:,}")
    for name, pattern in ATTRIBUTES.items():
        value = attrs.get(name)
        fine = isinstance(value, str) and re.fullmatch(pattern, value) is not None
        _require(fine, f"the attribute {name}", f"text of the form {pattern}")
    seed = attrs["random_seed"]
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool) and bool(seed >= 0)
    _require(whole, "the attribute random_seed", "a whole number from 0")
    for value in attrs.values():
        fine = not isinstance(value, str) or len(value) <= LONGEST
        _require(fine, "an attribute", f"of at most {LONGEST:,} characters")
    _check_diagnostics(fitted)
    size = json.loads(attrs["sampling"])
    numbers = isinstance(size, dict) and all(map(_is_number, size.values()))
    _require(numbers, "the attribute sampling", "numbers by their names")
    if "log" in attrs:
        _check_log(json.loads(attrs["log"]))


def _check_diagnostics(fitted: Fitted) -> None:
    found = diagnostics_of(fitted)
    for one in fields(Diagnostics):
        value = getattr(found, one.name)
        if one.name == "systems":
            fine = set(value) <= set(fitted.systems)
        elif one.name == "against":
            fine = value is None or (isinstance(value, str) and value.replace(" ", "").isalpha())
        else:
            fine = value is None or _is_number(value)
        _require(fine, f"{one.name} of the diagnostics", "as bayespassk writes it")


def _check_log(log: Any) -> None:
    """Check what is said of the files that counts came from."""
    _require(isinstance(log, dict), "the attribute log", "an object")
    kinds = {"format": str, "errors": str, "options": dict}
    kinds |= dict.fromkeys(("files", "sha256", "notes"), list)
    for one in (*(field.name for field in fields(Provenance)), "dropped"):
        value = log.get(one)
        kind = kinds.get(one, int)
        fine = isinstance(value, kind) and not isinstance(value, bool)
        inner = list(value.values()) if isinstance(value, dict) else value
        if isinstance(inner, list):
            fine = fine and all(isinstance(text, str) for text in inner)
        _require(fine, f"{one} of the attribute log", "as bayespassk writes it")


def _check_posterior(fitted: Fitted) -> None:
    hierarchy = fitted.hierarchy
    _check_hierarchy(hierarchy, len(fitted.systems))
    _require(min(*fitted.shape, len(fitted.systems)) > 0, "the number of draws", "1 or more")
    labels = {dim: len(one) for dim, one in hierarchy.labels.items()}
    sizes = {"system": len(fitted.systems)} | labels
    for name, dims in dims_of(fitted.family, hierarchy).items():
        _check_draws(fitted.posterior, name, dims, (*fitted.shape, *(sizes[one] for one in dims)))
    if fitted.alone is not None:
        alone = fitted.alone
        for name in declared(fitted.family):
            _check_draws(alone.posterior, name, ("system",), (*alone.shape, len(fitted.systems)))


def _check_hierarchy(hierarchy: Hierarchy, systems: int) -> None:
    of = "the hierarchy"
    _require(hierarchy.systems == systems, of, "of the systems of the posterior")
    _require(hierarchy.pooling in ("none", "within", "partial"), of, "of a pooling that is known")
    _require(hierarchy.effects in ("normal", "student-t"), of, "of effects that are known")
    for names in (hierarchy.benchmarks, hierarchy.system_columns, hierarchy.problem_columns):
        _require(
            isinstance(names, tuple) and all(isinstance(n, str) for n in names), of, "of names"
        )
    places = hierarchy.benchmark
    whole = isinstance(places, tuple) and all(type(one) is int for one in places)
    _require(whole and len(places) in (0, systems), of, "of a benchmark for each system")
    inside = all(-1 <= one < len(hierarchy.benchmarks) for one in places)
    needed = bool(hierarchy.benchmarks) or hierarchy.pooling == "within"
    _require(inside and (bool(places) or not needed), of, "of benchmarks that there are")


def _check_draws(
    group: xr.Dataset, name: str, dims: tuple[str, ...], shape: tuple[int, ...]
) -> None:
    """Check draws of a variable; `dims` are those after chain and draw."""
    what = f"the variable {name!r} of the posterior"
    _require(name in group.data_vars, what, "there")
    values = group[name]
    wanted = (*OUTER, *(IN_TREE.get(one, one) for one in dims))
    _require(values.dims == wanted, what, f"of dims {', '.join(wanted)}")
    _require(values.shape == shape, what, f"of shape {shape}")
    _require(values.dtype.kind == "f", what, "of real numbers")
    _require(bool(np.isfinite(values.values).all()), what, "finite")


def _check_rows(fitted: Fitted) -> None:
    tree = fitted.tree
    for group, names in (
        ("observed_data", ("successes", "problem")),
        ("constant_data", ("attempts", "system_index")),
    ):
        _require(group in tree.children, f"the group {group}", "there")
        for name in names:
            there = name in tree[group].dataset.variables
            _require(there, f"{name!r} of {group}", "there")
            fine = tree[group].dataset[name].dims == ("row",)
            _require(fine, f"{name!r} of {group}", "one for each row")
    rows = len(fitted.successes)
    for values, what in (
        (fitted.attempts, "attempts"),
        (fitted.successes, "successes"),
        (fitted.system_index, "system_index"),
    ):
        _require(values.dtype.kind in "iu", what, "whole numbers")
        _require(len(values) == rows > 0, what, "of as many rows as there are problems")
    known = np.unique(fitted.system_index).tolist()
    every = known == list(range(len(fitted.systems)))
    _require(every, "system_index", "the position of a system, and each of them must have a row")
    _check_texts(fitted.problems, "the names of problems")


def _check_labels(fitted: Fitted) -> None:
    posterior = fitted.posterior
    known = posterior if "benchmark" in posterior.coords else fitted.tree["constant_data"].dataset
    for group, name in ((posterior, "system"), (known, "benchmark")):
        fine = name in group.coords and group[name].dims == ("system",)
        _require(fine, f"the names {name}", "one for each system")
        _check_texts(group[name].values, f"the names {name}")
    _require(len(fitted.benchmarks) == len(fitted.systems), "the benchmarks", "one for each system")
    _require(len(set(fitted.systems)) == len(fitted.systems), "the systems", "of different names")


def _check_texts(values: NDArray[Any], what: str) -> None:
    texts = values.dtype.kind == "U" or (
        values.dtype.kind == "O" and set(map(type, values.tolist())) <= {str}
    )
    _require(texts, what, "text")


def _check_known(fitted: Fitted) -> None:
    """Check the groups that may be there, and what covariates were made into."""
    tree, systems, rows = fitted.tree, len(fitted.systems), len(fitted.successes)
    chains, draws = fitted.shape
    sizes = {
        "prior": {"chain": chains, "draw": draws, "system": systems},
        "sample_stats": {"chain": chains, "draw": draws},
        "log_likelihood": {"chain": chains, "draw": draws, "row": rows},
        "exact": {"moment": 2, "system": systems},
        "constant_data": {"row": rows},
        "observed_data": {"row": rows},
    }
    for group, wanted in sizes.items():
        here = tree[group].dataset.sizes if group in tree.children else {}
        for dim, size in wanted.items():
            fine = here.get(dim, size) == size
            _require(fine, f"the dim {dim} of {group}", f"of size {size:,}")
    if "log_likelihood" in tree.children:
        inner = tree["log_likelihood"].dataset
        fine = "successes" in inner and inner["successes"].dims == ("chain", "draw", "row")
        _require(fine, "log_likelihood", "successes of dims chain, draw, row")
    for name, values in fitted.covariates.items():
        fine = values.shape == (rows,)
        _require(fine, f"the covariate {name!r}", "one value for each row")
    columns = (*fitted.hierarchy.system_columns, *fitted.hierarchy.problem_columns)
    _require(
        bool(columns) == (fitted.design is not None), "the design", "there for covariates only"
    )
    if fitted.design is not None:
        _check_design(fitted, fitted.design, columns, rows)


def _check_design(fitted: Fitted, design: Any, columns: Iterable[str], rows: int) -> None:
    _require(isinstance(design, dict), "the design", "an object")
    names = design.get("columns")
    _require(
        isinstance(names, list) and sorted(names) == sorted(columns), "the design", "of its columns"
    )
    for name in ("mean", "sd", "varies"):
        values = design.get(name)
        kind = bool if name == "varies" else int | float
        fine = isinstance(values, list) and len(values) == len(names)
        fine = fine and all(isinstance(value, kind) for value in values)
        _require(fine, f"{name} of the design", "one for each column")
    needed = required(design["formula"])
    _require(set(needed) <= set(fitted.covariates), "the formula", "of covariates that there are")
    constant = fitted.tree["constant_data"].dataset
    there = "design" in constant and constant["design"].dims == ("row", "column")
    _require(there, "the design", "there for each row")
    values = constant["design"]
    fine = values.shape == (rows, len(names)) and values.dtype.kind == "f"
    _require(fine and bool(np.isfinite(values.values).all()), "the design", "finite numbers")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
