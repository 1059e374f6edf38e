"""Where narrow densities of p may be: panels of a quadrature that see them wherever they are."""

import numpy as np

from bayespassk.arrays import Floats
from bayespassk.families import Dependent, Family, Verified
from bayespassk.families.base import Leaf, Parameters
from bayespassk.families.dependent import RUN_SD
from bayespassk.families.quadrature import Smooth
from bayespassk.families.verifier import without_rates
from bayespassk.special import NUMPY

__all__ = ["edges_for"]

WIDE = 6.0
"""Densities that fall by `FALL` within this, on the axis of logit p, are narrow."""

FALL = 2.0

NEIGHBOURS = 8
"""Draws with the nearest modes, of which the narrowest density is looked at."""

MOST_EDGES = 400


def edges_for(family: Family, typical: Parameters) -> Floats:
    """Return edges of panels, values of logit p, on which densities like some draws' are seen.

    Panels are chosen for a few draws, and a narrow density that is none of theirs might fall
    between nodes. So, from the lowest mode to the highest, each edge follows the one before at the
    width of the narrowest density about there. A :class:`ScaledBeta` has nodes that follow it.

    Parameters
    ----------
    family : Family
    typical : dict of str to array, dims (draw,)
        Natural parameters.
    """
    p = family.base if isinstance(family, Dependent | Verified) else family
    edges: list[float] = []
    of_p = {name: value for name, value in without_rates(typical).items() if name != RUN_SD}
    for leaf in p.leaves(of_p):
        if not isinstance(leaf.distribution, Smooth):
            continue
        mode, width = _mode_and_width(leaf)
        mode, width = mode[width < WIDE], width[width < WIDE]
        if not len(mode):
            continue
        x, end = float((mode - 3 * width).min()), float((mode + 3 * width).max())
        own = [x]
        while x < end and len(own) < MOST_EDGES:
            x += float(width[np.argsort(np.abs(mode - x))[:NEIGHBOURS]].min())
            own.append(x)
        edges += own
    return np.unique(edges)


def _mode_and_width(leaf: Leaf) -> tuple[Floats, Floats]:
    """Return the mode of each draw's density of logit p, and how far it takes to fall from it."""
    each = {name: np.asarray(value)[:, None] for name, value in leaf.parameters.items()}

    def log_density(x: Floats) -> Floats:
        log_p, log_q = NUMPY.log_sigmoid(x), NUMPY.log_sigmoid(-x)
        return np.asarray(leaf.distribution.log_density(each, log_p, log_q, NUMPY))

    draws = len(next(iter(leaf.parameters.values())))
    mode, step = np.zeros((draws, 1)), 1.0
    grid = np.arange(-90.0, 61.0)
    for _ in range(6):
        x = mode + step * grid
        mode = np.take_along_axis(x, log_density(x).argmax(-1)[:, None], -1)
        grid, step = np.arange(-12.0, 13.0), step / 8
    away = np.geomspace(1e-4, WIDE, 60)
    top = log_density(mode)
    fallen = [top - log_density(mode + side * away) > FALL for side in (-1, 1)]
    sides = [np.where(one.any(-1), away[one.argmax(-1)], WIDE) for one in fallen]
    return mode[:, 0], np.asarray(sides[0] + sides[1])
