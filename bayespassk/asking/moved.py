"""How far pooling moved a forecast: against that of each system by itself."""

import math
import warnings

import numpy as np
import xarray as xr

from bayespassk.arrays import Floats
from bayespassk.asking.question import Question, ask
from bayespassk.errors import PoolingWarning
from bayespassk.posterior.fitted import Fitted

__all__ = ["ALONE", "beyond", "medians_alone", "warn_if_moved", "with_alone"]

ALONE, MOVED = "alone", "moved"
"""The median of a system by itself, and that of the answer less this: coordinates of an answer."""

NAMED = 3
"""Systems that are told of by name."""


def with_alone(
    fitted: Fitted, question: Question, draws: xr.DataArray
) -> tuple[xr.DataArray, Floats | None]:
    """Return an answer with what each system by itself says, and the ends of its 95% band.

    The latter have dims (2, system, value); None, and the answer as it is, if nothing was pooled or
    the systems by themselves are not known. Of a system that is not pooled both are its own.
    """
    alone = fitted.alone
    if alone is None:
        return draws, None
    seed = int(draws.attrs["forecast_seed"])
    by_itself = ask(alone, question, draws.attrs["target"], seed, warn=False)
    low, middle, high = _quantiles(by_itself)
    _, median, _ = own = _quantiles(draws)
    single = [len(fitted.hierarchy.group(system)) == 1 for system in range(len(fitted.systems))]
    middle[single], low[single], high[single] = median[single], own[0][single], own[2][single]
    dims = ("system", question.dim)
    told = draws.assign_coords({ALONE: (dims, middle), MOVED: (dims, median - middle)})
    return told, np.stack([low, high])


def _quantiles(draws: xr.DataArray) -> Floats:
    """Return the ends of the 95% band and the median, dims (3, system, value)."""
    found = np.quantile(draws.values, [0.025, 0.5, 0.975], axis=(0, 1))
    return np.asarray(found)


def medians_alone(draws: xr.DataArray, median: Floats) -> Floats | None:
    """Return the medians of systems by themselves; None if not known, or not of these draws.

    Arithmetic keeps coordinates: 1 - pass@k has those of pass@k, which say nothing of it.
    """
    if not {ALONE, MOVED} <= set(draws.coords):
        return None
    alone, moved = draws[ALONE].values, draws[MOVED].values
    same = alone.shape == median.shape and np.allclose(alone + moved, median, rtol=1e-9, atol=0)
    return np.asarray(alone) if same else None


def beyond(draws: xr.DataArray, band: Floats | None) -> list[tuple[int, int]]:
    """Return systems and values, by position, whose median is outside their band alone."""
    if band is None:
        return []
    median = _quantiles(draws)[1]
    outside = (median < band[0]) | (median > band[1])
    return [(int(system), int(value)) for system, value in zip(*np.nonzero(outside), strict=True)]


def warn_if_moved(draws: xr.DataArray, band: Floats | None, stacklevel: int = 2) -> None:
    """Issue a `PoolingWarning` where pooling moved a forecast beyond the band alone."""
    found = beyond(draws, band)
    if not found:
        return
    worst = dict(found)
    names = [str(draws["system"].values[system]) for system in worst]
    warnings.warn(
        PoolingWarning(
            f"pooling moved the forecast of {len(worst)} of {draws.sizes['system']} systems beyond "
            f"the 95% band of the system alone: {_said(draws, worst)}. What to do: leave out "
            "systems that are not alike, or use pooling='none'",
            systems=names,
            k=int(draws["k"].values[next(iter(worst.values()))]),
        ),
        stacklevel=stacklevel + 1,
    )


def _said(draws: xr.DataArray, worst: dict[int, int]) -> str:
    each = []
    for system, value in list(worst.items())[:NAMED]:
        alone, moved = (float(draws[name].values[system, value]) for name in (ALONE, MOVED))
        digits = max(3, 1 - math.floor(math.log10(abs(moved))))  # that show the difference
        each.append(
            f"{str(draws['system'].values[system])!r} (k = {int(draws['k'].values[value]):,}: "
            f"{alone:.{digits}f} alone, now {alone + moved:.{digits}f})"
        )
    return ", ".join(each) + (", ..." if len(worst) > NAMED else "")
