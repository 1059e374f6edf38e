"""A fit in pieces: systems that share something are fitted together, others apart, then joined.

Within a piece systems are in the order of their names, and its seed is that of its benchmark, so
that neither the order of rows nor what else is in the counts changes what is found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np

from bayespassk.arrays import Floats, Ints
from bayespassk.families import Family
from bayespassk.fitting.model import Setup
from bayespassk.fitting.sampling import Draws
from bayespassk.options import system_seed
from bayespassk.posterior.diagnostics import Diagnostics
from bayespassk.posterior.pooling import Hierarchy, Pooling, dims_of

__all__ = ["Piece", "Posterior", "joined", "pieces_of"]


class Posterior(NamedTuple):
    """What a sampler found.

    Attributes
    ----------
    found : mapping of str to array, dims (chain, draw, last)
    stats : mapping of str to array, dims (chain, draw)
    report : Diagnostics
    moments : mapping of str to array, dims (moment, system)
        Exact means and standard deviations, where they are known.
    """

    found: Draws
    stats: Draws
    report: Diagnostics
    moments: Draws


@dataclass(frozen=True, eq=False)
class Piece:
    """Systems that are fitted together.

    Attributes
    ----------
    setup : Setup
    seed : int
    systems, benchmarks : array of int
        Where they, and the benchmarks that have variables of their own, are in the whole.
    """

    setup: Setup
    seed: int
    systems: Ints
    benchmarks: Ints


def pieces_of(setup: Setup, seed: int) -> list[Piece]:
    """Return what is fitted together; without pooling all, as systems are apart in any case."""
    hierarchy = setup.hierarchy
    everyone = np.arange(hierarchy.systems)
    if hierarchy.pooling == "none":
        return [Piece(setup, seed, everyone, everyone[:0])]
    if hierarchy.pooling == "partial":
        return [_piece(setup, everyone, "partial", seed)]
    benchmark = np.array(hierarchy.benchmark)
    alone = np.flatnonzero(benchmark < 0)
    pieces = [
        _piece(setup, np.flatnonzero(benchmark == i), "partial", seed)
        for i in range(len(hierarchy.benchmarks))
    ]
    return [*pieces, *([_piece(setup, alone, "none", seed)] if len(alone) else [])]


def _piece(setup: Setup, systems: Ints, pooling: Pooling, seed: int) -> Piece:
    counts, whole = setup.counts, setup.hierarchy
    labels, benchmarks = counts.systems, counts.benchmarks
    if pooling != "none":
        systems = np.array(sorted(systems, key=lambda i: (benchmarks[i], labels[i])))
    rank = np.full(len(labels), -1)
    rank[systems] = np.arange(len(systems))
    of_row = rank[counts.system_index]
    rows = np.argsort(of_row, kind="stable")[(of_row < 0).sum() :]
    design = setup.design
    if design is not None:
        design = replace(design, values=design.values[rows])
    effects = whole.effects
    # Systems are called by their labels in the whole.
    called = np.array(labels, dtype=object)[counts.system_index[rows]]
    mine = counts.of_rows(rows, system=called)
    own = Setup.of(mine, setup.family, pooling, design, effects)
    names = set(own.counts.benchmarks)
    if pooling != "none" and len(names) == 1:
        seed = system_seed(seed, f"benchmark {names.copy().pop()}")
    inside = own.hierarchy.benchmarks if whole.pooling == "partial" else names
    where = [whole.benchmarks.index(name) for name in inside if name in whole.benchmarks]
    return Piece(own, seed, systems, np.array(where, dtype=np.int64))


def joined(pieces: Sequence[Piece], each: Sequence[Posterior], whole: Setup) -> Posterior:
    """Return what was found for all pieces as that of the whole.

    They are independent, so together they are one sampler of their product.
    """
    found = joined_draws(pieces, [one.found for one in each], whole.family, whole.hierarchy)
    if len(each) == 1:
        (one,) = each
        moments = one.moments if whole.hierarchy.pooling == "none" else {}
        report = replace(one.report, systems=_in_order(whole, one.report.systems))
        return Posterior(found, one.stats, report, moments)
    stats = {name: _stat(name, [one.stats[name] for one in each]) for name in each[0].stats}
    return Posterior(found, stats, _worst([one.report for one in each], whole), {})


def joined_draws(
    pieces: Sequence[Piece], each: Sequence[Mapping[str, Floats]], family: Family, whole: Hierarchy
) -> Draws:
    """Return the draws of all variables, dims (chain, draw, last), in the order of the whole."""
    dims, sizes = dims_of(family, whole), whole.sizes
    found: Draws = {}
    for piece, values in zip(pieces, each, strict=True):
        at: dict[tuple[str, ...], Ints] = {
            ("system",): piece.systems,
            ("benchmark",): piece.benchmarks,
        }
        for name, value in values.items():
            first = dims[name][:1]
            places = at.get(first)
            if places is None:  # of the only piece
                found[name] = value
                continue
            if name not in found:
                shape = (*value.shape[:2], sizes[first[0]], *value.shape[3:])
                found[name] = np.full(shape, np.nan)
            found[name][:, :, places] = value
    return found


def _stat(name: str, values: list[Floats]) -> Floats:
    """Return what a number about each draw is of all pieces together."""
    together = np.stack(values, axis=-1)
    if name == "diverging":
        return np.asarray(together.any(-1))
    if name == "acceptance_rate":
        return np.asarray(together.mean(-1))
    return np.asarray(together.max(-1) if name == "tree_depth" else together.sum(-1))


def _worst(reports: Sequence[Diagnostics], whole: Setup) -> Diagnostics:
    """Return the worst of each figure, and all systems out of bounds."""
    values: dict[str, Any] = {}
    for field in fields(Diagnostics):
        known = [getattr(report, field.name) for report in reports]
        known = [value for value in known if value is not None]
        if field.name == "systems":
            values["systems"] = _in_order(whole, [name for one in known for name in one])
        elif field.name == "divergences":
            values["divergences"] = sum(known)
        else:
            worst = min if field.name.startswith("min") else max
            values[field.name] = worst(known) if known else None
    return Diagnostics(**values)


def _in_order(whole: Setup, systems: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in whole.counts.systems if name in systems)
