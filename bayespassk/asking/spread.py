"""How p is spread over problems, for a figure."""

import numpy as np
import xarray as xr

from bayespassk.arrays import Floats
from bayespassk.families.base import Parameters
from bayespassk.posterior.fitted import Fitted, opened

__all__ = ["spread_of_p"]

SPREAD_POINTS = 61
SPREAD_DRAWS = 200
"""How finely a distribution of p is looked at, and at how many draws of its parameters."""

OWN_DRAWS = 1000
"""Draws of the p of each problem."""


def spread_of_p(
    fit: xr.DataTree | Fitted, system: str | None = None, prob: float = 0.95
) -> xr.Dataset:
    """Return how p is spread over problems: for a figure, at few draws.

    Parameters
    ----------
    fit : DataTree
    system : str, optional
        Label of a system; needed if there are several.
    prob : float
        Posterior probability of the equal-tailed intervals.

    Returns
    -------
    xarray.Dataset
        With part = lower, median, upper: `share_at_most` (part, p), the share of problems of the
        kind whose success probability is at most p, which rises from three decades below 1 / (most
        attempts) to 1; and `own` (part, group), the p of problems attempted with equal counts, the
        hardest first, with how many they are in `problems` (group); `own_at_most` (p), the share
        of them to be expected at most there. Attributes: `system`, `attempts`, the most at a
        problem, and what was `attempted` in words.

    Raises
    ------
    OptionError
        If `system` is none of the fit.
    """
    fitted = opened(fit)
    position = fitted.position(system)
    attempts = int(fitted.most_attempts[position])
    quantiles = [(1 - prob) / 2, 0.5, (1 + prob) / 2]
    grid = np.geomspace(1e-3 / max(1, attempts), 1.0, SPREAD_POINTS)
    family, parts = fitted.family, fitted.parts[position]
    rng = np.random.default_rng([fitted.seed, 7])
    total = sum(len(part.rows) for part in parts)
    at_most, own, problems = np.zeros((1, len(grid) - 1)), [], []
    own_at_most = np.zeros(len(grid))
    for part in parts:
        few = _every(part.parameters, SPREAD_DRAWS)
        above = family.survival(few, grid[:-1])
        at_most = at_most + len(part.rows) / total * (1 - above)
        drawn = family.draw_seen(
            _every(part.parameters, OWN_DRAWS), rng, part.cells.successes, part.cells.failures
        )
        own.append(np.quantile(drawn, quantiles, axis=0))
        problems.append(part.cells.problems)
        for each, many in zip(np.sort(drawn, axis=0).T, part.cells.problems, strict=True):
            own_at_most += many / total * np.searchsorted(each, grid, side="right") / len(each)
    ends, numbers = np.concatenate(own, axis=1), np.concatenate(problems)
    order = np.argsort(ends[1], kind="stable")
    share = np.append(np.quantile(at_most, quantiles, axis=0), np.ones((3, 1)), axis=1)
    return xr.Dataset(
        {
            "share_at_most": (("part", "p"), share),
            "own_at_most": ("p", own_at_most),
            "own": (("part", "group"), ends[:, order]),
            "problems": ("group", numbers[order]),
        },
        {"part": ["lower", "median", "upper"], "p": grid},
        {
            "system": fitted.systems[position],
            "attempts": attempts,
            "attempted": fitted.attempted(position),
            "prob": prob,
        },
    )


def _every(parameters: Parameters, most: int) -> dict[str, Floats]:
    """Return at most so many draws, evenly taken, dims (draw,)."""
    return {name: v.ravel()[:: -(-v.size // most)] for name, v in parameters.items()}
