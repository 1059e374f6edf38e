"""The guard of a forecast: within the attempts made, a family must agree with them."""

import warnings
from typing import Any

import xarray as xr

from bayespassk.asking.agreement import agreement
from bayespassk.asking.influence import LIMIT
from bayespassk.asking.shares import impossible
from bayespassk.errors import FamilyWarning, ForecastWarning
from bayespassk.families import Family, ZeroInflated
from bayespassk.posterior.fitted import Fitted

__all__ = [
    "CONTRADICTED",
    "agreements",
    "contradicted",
    "held_impossible",
    "warn_if_contradicted",
    "warn_if_impossible",
]

CONTRADICTED = 0.01
"""A family whose attempts it makes less often than this is held to be wrong about them."""

LEAST = 0.02
"""Share of a benchmark's problems, held to be impossible, from which on it matters."""

NAMED = 3
"""Systems that are told of by name."""


def agreements(fitted: Fitted) -> list[dict[str, Any]]:
    """Return for each system where family and attempts are furthest apart, as plain data.

    `k` is the number of attempts, `estimate` Chen's estimate of pass@k, `expected` what the family
    says of a new problem, `p_value` how often the estimates at all k up to n are so far off if the
    family is right. Systems of which nothing can be said are left out.
    """
    rows = []
    for position, system in enumerate(fitted.systems):
        found = agreement(fitted, position)
        if found is None:
            continue
        at = found.worst
        rows.append(
            {
                "system": system,
                "k": int(found.j[at]),
                "estimate": float(found.estimate[at]),
                "expected": float(found.expected[at]),
                "p_value": float(found.p_value),
            }
        )
    return rows


def contradicted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those whose attempts speak against the family, the clearest first."""
    found = [row for row in rows if row["p_value"] < CONTRADICTED]
    return sorted(found, key=lambda row: float(row["p_value"]))


def held_impossible(fitted: Fitted) -> dict[str, float]:
    """Return of each system which share of the problems not solved is held to be impossible.

    Only where that is most of them, and makes a difference.
    """
    if not _may_be_impossible(fitted.family):
        return {}
    never, unsolved = impossible(fitted), (fitted.successes == 0) & (fitted.attempts > 0)
    found = {}
    for position, system in enumerate(fitted.systems):
        mine = fitted.system_index == position
        expected = float(never[mine & unsolved].sum())
        if expected > LEAST * mine.sum():
            found[system] = expected / int((mine & unsolved).sum())
    return {system: share for system, share in found.items() if share > LIMIT}


def _may_be_impossible(family: Family) -> bool:
    return any(isinstance(one, ZeroInflated) for one in (family, *family.components)) or any(
        _may_be_impossible(one) for one in family.components
    )


def warn_if_impossible(fitted: Fitted, draws: xr.DataArray, stacklevel: int = 2) -> None:
    """Issue a `ForecastWarning` where a forecast rests on problems held to be impossible."""
    k, most = int(draws["k"].values.max()), fitted.most_attempts
    found = {
        system: share
        for system, share in held_impossible(fitted).items()
        if 3 * k > most[fitted.systems.index(system)]
    }
    if not found:
        return
    each = ", ".join(f"{share:.0%} of {s!r}" for s, share in list(found.items())[:NAMED])
    warnings.warn(
        ForecastWarning(
            f"the family holds most problems not solved by {len(found)} of {len(fitted.systems)} "
            f"systems to be impossible: {each}{', ...' if len(found) > NAMED else ''}. The "
            "attempts do not tell these from problems that are solved once in more attempts than "
            f"were made, and the forecast at k = {k:,} rests on that. What to do: more attempts; "
            "or bp.LibbyNovick() beside it, which has no impossible problems",
            systems=list(found),
            k=k,
        ),
        stacklevel=stacklevel + 1,
    )


def warn_if_contradicted(rows: list[dict[str, Any]], stacklevel: int = 2) -> None:
    """Issue a `FamilyWarning` where the attempts contradict the family: see `agreements`."""
    found = contradicted(rows)
    if not found:
        return
    each = [
        f"{row['system']!r}: pass@{row['k']:,} is {row['estimate']:.3f} by its attempts and "
        f"{row['expected']:.3f} by the family (p = {row['p_value']:.2g})"
        for row in found[:NAMED]
    ]
    warnings.warn(
        FamilyWarning(
            f"the attempts contradict the family for {len(found)} of {len(rows)} systems: "
            f"{'; '.join(each)}{'; ...' if len(found) > NAMED else ''}. Nothing says that "
            "it is right beyond them. What to do: bp.agreement(fit) says which families agree "
            "with them",
            systems=[row["system"] for row in found],
            p_value=[row["p_value"] for row in found],
        ),
        stacklevel=stacklevel + 1,
    )
