"""What estimators share: distinct rows with weights, the rules on counts, and labelled results.

An estimator is a function of the distinct (successes, failures) of a system and of how often each
counts. With the number of problems as weights it gives the estimate; with many rows of weights,
each a resampling of the problems, it gives a bootstrap in one evaluation.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import xarray as xr

from bayespassk.arrays import Floats, Ints
from bayespassk.cells import Cells
from bayespassk.counts import Counts
from bayespassk.errors import CountsError, OptionError
from bayespassk.options import check_k

__all__ = [
    "estimate",
    "labelled",
    "mean",
    "problem_weights",
    "require_attempts",
    "require_fixed",
    "systems_of",
]

type OfWeights = Callable[[Cells, Floats, Ints], Floats]
"""From cells of one system, weights, dims (replicate, cell), and k to dims (replicate, k)."""


def estimate(of_weights: OfWeights, counts: Counts, k: int | Iterable[int]) -> xr.DataArray:
    """Return the estimates of all systems, dims (system, k)."""
    ks = check_k(k)
    rows = [of_weights(cells, problem_weights(cells), ks) for cells in systems_of(counts)]
    return labelled(np.concatenate(rows), counts, k=ks)


def systems_of(counts: Counts) -> list[Cells]:
    """Return the distinct rows of each system."""
    cells = counts.distinct()
    return [cells.of_system(system) for system in range(len(counts.systems))]


def problem_weights(cells: Cells) -> Floats:
    """Return how many problems have each distinct row, dims (1, cell)."""
    return cells.problems[None, :].astype(float)


def labelled(
    values: Floats, counts: Counts, name: str = "pass_at_k", **coords: Any
) -> xr.DataArray:
    """Return values with dims (system, *coords)."""
    return xr.DataArray(
        values,
        dims=("system", *coords),
        coords={
            "system": list(counts.systems),
            "benchmark": ("system", list(counts.benchmarks)),
            **coords,
        },
        name=name,
    )


def mean(values: Floats, weights: Floats) -> Floats:
    """Return the mean over problems of values, dims (cell, k): dims (replicate, k)."""
    return np.asarray(weights @ values / weights.sum(-1, keepdims=True))


def require_fixed(counts: Counts, who: str) -> None:
    """Raise an error unless the number of attempts was fixed in advance."""
    if counts.stopping != "fixed":
        raise OptionError(
            f"{who} needs attempts whose number was fixed in advance; these have "
            f"stopping={counts.stopping!r}, after which it is biased. Fit a family and forecast: "
            "that is right for any stopping rule"
        )


def require_attempts(counts: Counts, least: int, who: str) -> None:
    """Raise an error unless every problem has `least` attempts."""
    few = np.flatnonzero(counts.attempts < least)
    if len(few) == 0:
        return
    row = int(few[0])
    rule = f"{who} needs at least {least} attempt{'s' if least > 1 else ''} at every problem"
    raise CountsError(
        f"{rule}: {len(few):,} of {len(counts):,} rows {'has' if len(few) == 1 else 'have'} fewer, "
        f"the first is row {row + 1}: system={counts.system[row]!r}, "
        f"problem={counts.problem[row]!r}, attempts={counts.attempts[row]}. What to do: leave such "
        "rows out, or fit a family, which can use them",
        rule=rule,
        rows=len(few),
        first=row + 1,
    )
