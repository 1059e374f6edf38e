"""The model as one would write it in a paper: attempts, successes of each problem, parameters."""

from typing import TYPE_CHECKING, Any

import numpy as np

from bayespassk.arrays import Ints
from bayespassk.counts import Counts
from bayespassk.dist import LogitP
from bayespassk.dist.binomials import mixed_binomial
from bayespassk.dist.densities import successes_given
from bayespassk.errors import OptionError
from bayespassk.families import Dependent, Family
from bayespassk.families.dependent import outermost
from bayespassk.families.quadrature import prior_parameters
from bayespassk.fitting.model import Setup, declare_each, declare_pooled, quiet_import, variable
from bayespassk.posterior.pooling import Centring, dims_of, problem_effects
from bayespassk.special import graph

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["built"]

MOST_EMPTY = 4
"""Pairs of a problem and a run for each that has attempts, before runs are numbered."""


def built(setup: Setup, family: Family, latent: bool) -> "pm.Model":
    """Return the model of these problems; with `latent`, the p of each is written out."""
    with quiet_import():
        import pymc as pm

    counts, hierarchy, family = setup.counts, setup.hierarchy, outermost(family)
    made, solved, coords = counts.attempts, counts.successes, {}
    dims: tuple[str, ...] = ("problem",)
    if isinstance(family, Dependent):
        made, solved, coords["run"] = _by_run(counts)
        dims = ("problem", "run")
    columns = {dim: list(labels) for dim, labels in hierarchy.labels.items() if labels}
    coords = {"system": list(counts.systems), "problem": _labels(setup)} | coords | columns
    with pm.Model(coords=coords) as model:
        # PyMC makes 32-bit integers of integers.
        many = made.max(initial=0) >= 2**31
        attempts = pm.Data("attempts", made.astype(float) if many else made, dims=dims)
        free = declare_each(family) if hierarchy.pooling == "none" else _pooled(setup)
        for name, value in family.natural(free, graph()).items():
            pm.Deterministic(name, value, dims="system")
        effects = problem_effects(family, variable, hierarchy)
        own, group = _of_groups(setup, model, free, effects)
        parameters = {name: value[group] for name, value in own.items()}
        where = {"dims": dims, "observed": solved}
        if latent:
            logit = LogitP("logit_p", family, parameters, dims="problem")
            pm.Deterministic("p", pm.math.sigmoid(logit), dims="problem")
            successes_given("successes", family, parameters, logit, attempts, **where)
        else:
            name = f"{_title(family)}Binomial"
            typical = prior_parameters(family)
            mixed_binomial("successes", family, parameters, attempts, name, typical, **where)
    return model


def _by_run(counts: Counts) -> tuple[Ints, Ints, list[Any]]:
    """Return attempts and successes, dims (problem, run), and what the runs are called.

    Runs that nearly every problem has of its own are numbered at each.
    """
    runs = counts.runs
    if runs is None:  # which was refused before
        raise OptionError("the counts hold no runs")
    names: list[Any] = list(runs.names)
    column = runs.run
    if len(names) * len(counts) > MOST_EMPTY * len(runs.row):
        column = np.arange(len(runs.row)) - np.searchsorted(runs.row, runs.row)
        names = list(range(int(column.max(initial=0)) + 1))
    made, solved = np.zeros((2, len(counts), len(names)), dtype=np.int64)
    made[runs.row, column], solved[runs.row, column] = runs.attempts, runs.successes
    return made, solved, names


def _pooled(setup: Setup) -> dict[str, Any]:
    """Declare what systems share, each as its distance from the mean in units of the spread."""
    import pymc as pm

    names = dims_of(setup.family, setup.hierarchy)
    apart = {name: Centring(np.float64(0.0), np.float64(0.0)) for name in names}
    design = None
    if setup.hierarchy.system_columns:
        dims = ("system", "system_column")
        design = pm.Data("system_design", setup.system_design, dims=dims)
    return declare_pooled(setup.family, setup.hierarchy, apart, design)


def _of_groups(
    setup: Setup, model: "pm.Model", free: dict[str, Any], effects: dict[str, Any]
) -> tuple[dict[str, Any], Any]:
    """Return natural parameters of each group of problems, and the group of each problem.

    A group is a system, or those of its problems that have the same covariates.
    """
    import pymc as pm

    family, hierarchy = setup.family, setup.hierarchy
    if not effects:
        return {name: model[name] for name in family.natural(free, graph())}, (
            setup.counts.system_index
        )
    model.add_coord("group", np.arange(len(setup.group_system)))
    design = pm.Data("problem_design", setup.problem_design, dims=("group", "problem_column"))
    moved = {
        name: free[name][setup.group_system]
        + (design * (one[setup.group_system] if hierarchy.pooling == "none" else one)).sum(-1)
        for name, one in effects.items()
    }
    return family.natural(moved, graph()), setup.cells.system[setup.cells.inverse]


def _labels(setup: Setup) -> list[str]:
    """Return the names of the problems, with those of their systems where there are several."""
    counts = setup.counts
    problems = [str(one) for one in counts.problem]
    if len(counts.systems) == 1:
        return problems
    return [
        f"{counts.systems[system]}: {problem}"
        for system, problem in zip(counts.system_index, problems, strict=True)
    ]


def _title(family: Family) -> str:
    """Return the name of a family as that of a class."""
    return "".join(word.title() for word in family.full_name.replace("-", " ").split() if word)
