"""How many problems with equal counts fall where: drawn at a cost that they do not add to."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special as sp

from bayespassk.arrays import Floats, Ints
from bayespassk.families.base import Family, Leaf, Parameters, distinct_draws
from bayespassk.families.quadrature import Nodes

__all__ = ["Spread", "spread"]


class Spread(NamedTuple):
    """Some of the problems of one cell.

    Attributes
    ----------
    cell : int
    draws : array of int, dims (draw,)
        Of which draws of the parameters.
    logit : array, dims (1, node) or (draw, node)
        logit p.
    problems : array of int, dims (draw, node)
        How many have it.
    """

    cell: int
    draws: NDArray[np.int64]
    logit: Floats
    problems: Ints


def spread(
    family: Family,
    parameters: Parameters,
    rng: np.random.Generator,
    successes: Ints,
    failures: Ints,
    problems: Ints,
) -> Iterator[Spread]:
    """Yield how the problems of each cell are spread over p, given their counts.

    How many have which p is multinomial: over the parts of the family, and within a part over the
    nodes of its quadrature. Every moment is that of so many problems drawn one by one, and so is
    the chance that none, one or two of a thousand are solvable.

    Parameters
    ----------
    family : Family
    parameters : mapping of str to array, dims (draw,)
    rng : Generator
    successes, failures, problems : array of int, dims (cell,)
        The counts that the problems of a cell have, and how many problems these are.
    """
    few, which = distinct_draws(parameters)
    order = np.argsort(which, kind="stable")  # what is looked up together lies together
    which = which[order]
    leaves = list(family.leaves(few))
    a, b = successes.astype(float), failures.astype(float)
    of_leaf = _among(leaves, a, b, which, rng, problems)
    for leaf, number in zip(leaves, of_leaf, strict=True):
        if not isinstance(leaf.distribution, Nodes):  # all have the same p, 0 or 1
            p = leaf.distribution if isinstance(leaf.distribution, float) else leaf.distribution.p
            logit = np.full((1, 1), np.inf if p else -np.inf)
            for cell in range(len(a)):
                yield Spread(cell, order, logit, number[:, cell, None])
            continue
        for draws, cell, logit, shares in leaf.distribution.spread(leaf.parameters, a, b):
            rows = slice(*np.searchsorted(which, [draws.start, draws.stop]))
            mine = which[rows] - draws.start
            drawn = rng.multinomial(number[rows, cell], shares[mine])
            yield Spread(cell, order[rows], logit[None] if logit.ndim == 1 else logit[mine], drawn)


def _among(
    leaves: list[Leaf],
    a: Floats,
    b: Floats,
    which: NDArray[np.int64],
    rng: np.random.Generator,
    problems: Ints,
) -> list[Ints]:
    """Return how many problems are from each leaf, dims (draw, cell)."""
    if len(leaves) == 1:
        return [np.broadcast_to(problems, (len(which), len(problems)))]
    log_shares = []
    for leaf in leaves:
        if isinstance(leaf.distribution, float):
            log_moment = np.where((b if leaf.distribution else a) == 0, 0.0, -np.inf)[None]
        else:
            log_moment = leaf.distribution.log_moment(leaf.parameters, a, b)
        log_shares.append(leaf.log_share[:, None] + log_moment)
    shares = sp.softmax(np.stack(log_shares, axis=-1), axis=-1)[which]
    drawn = rng.multinomial(np.broadcast_to(problems, shares.shape[:-1]), shares)
    return [drawn[..., j] for j in range(len(leaves))]
