"""Problems that come in clusters: how many independent ones they are worth."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit

from bayespassk.arrays import Floats
from bayespassk.fitting.model import Setup
from bayespassk.fitting.pieces import Piece, Posterior
from bayespassk.posterior.likelihood import cell_log_moments

__all__ = ["design_effects", "weakened"]

DRAWS = 1000
"""Draws of the posterior at which the likelihood of clusters is looked at."""


def design_effects(
    setup: Setup, pieces: Sequence[Piece], each: Sequence[Posterior]
) -> dict[str, float]:
    """Return by what factor clusters make the posterior of each system too narrow.

    The variance over the posterior of the log-likelihood of a cluster is that of its part in what
    the parameters are, as far as it goes beyond what was expected. Added up over clusters, over the
    same added up over problems, it is what the variance of the parameters is to what it would be if
    problems were independent, on average over the parameters (the trace of the sandwich over that
    of the model).
    """
    cluster, found = setup.counts.cluster, {}
    for piece, posterior in zip(pieces, each, strict=True):
        own = piece.setup
        for position, system in enumerate(own.counts.systems):
            groups = np.flatnonzero(own.group_system == position)
            if len(groups) > 1 or cluster is None:
                continue  # problems with covariates of their own: as they are
            cells = own.cells.of_system(int(groups[0]))
            free = {
                name: values[..., position].ravel()
                for name, values in posterior.found.items()
                if own.dims[name] == ("system",)
            }
            step = -(-len(next(iter(free.values()))) // DRAWS)
            natural = own.family.natural({name: values[::step] for name, values in free.items()})
            log_likelihood = cell_log_moments(own.family, natural, cells)[:, cells.inverse]
            names = own.counts.cluster[own.counts.system_index == position]
            found[system] = _effect(log_likelihood, names)
    return found


def _effect(log_likelihood: Floats, cluster: Floats) -> float:
    """Return the design effect, 1 or more; `log_likelihood` has dims (draw, problem)."""
    names, which = np.unique(cluster, return_inverse=True)
    if len(names) < 2:
        return 1.0
    away = log_likelihood - log_likelihood.mean(0)
    alone = (away**2).mean(0).sum()
    together = np.zeros((len(away), len(names)))
    for i in range(len(names)):
        together[:, i] = away[:, which == i].sum(1)
    ratio = (together**2).mean(0).sum() / alone if alone > 0 else 1.0
    # So few clusters are a sample of clusters: their variance, and bands as wide as those of t.
    freedom = len(names) - 1
    few = len(names) / freedom * (stdtrit(freedom, 0.975) / ndtri(0.975)) ** 2
    return max(1.0, float(ratio * few))


def weakened(setup: Setup, effects: dict[str, float]) -> Setup:
    """Return a setup in which each problem counts for as much as its cluster leaves of it."""
    share = np.array([1 / effects.get(name, 1.0) for name in setup.counts.systems])
    problems: Any = setup.cells.problems * share[setup.group_system[setup.cells.system]]
    return replace(setup, cells=replace(setup.cells, problems=problems))
