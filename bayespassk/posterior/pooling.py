"""Partial pooling: what systems share, as priors written once and run by three callers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayespassk.arrays import Floats
from bayespassk.families import Family
from bayespassk.families.base import Parameters, Prior, declared, draw_of, log_density_of
from bayespassk.special import NUMPY, Special

__all__ = [
    "Centring",
    "Hierarchy",
    "Pooling",
    "dims_of",
    "draw_hierarchy",
    "log_hyperprior",
    "pooled",
    "problem_effects",
]

type Pooling = Literal["none", "partial"]

type Variable = Callable[[str, str, Any, Any, tuple[str, ...]], Any]
"""Called once a variable: ``variable(name, kind, loc, scale, dims)``; without dims, of a number."""


@dataclass(frozen=True)
class Hierarchy:
    """Which systems share what.

    Attributes
    ----------
    pooling : {"none", "partial"}
    systems : int
        How many there are.
    benchmarks : tuple of str
        The benchmarks, where systems are nested in several; empty otherwise.
    benchmark : tuple of int, dims (system,)
        Position of the benchmark of each system in `benchmarks`.
    system_columns, problem_columns : tuple of str
        Columns of the design that are constant within each system, and those that are not.
    """

    pooling: Pooling
    systems: int
    benchmarks: tuple[str, ...] = ()
    benchmark: tuple[int, ...] = ()
    system_columns: tuple[str, ...] = ()
    problem_columns: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the hierarchy as text; :meth:`from_json` reads it back."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Hierarchy":
        """Return the hierarchy that :meth:`to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        tuples: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**tuples)

    @property
    def nested(self) -> bool:
        """Whether systems are nested in benchmarks."""
        return len(self.benchmarks) > 0

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """The labels along each dim that a variable may have, besides "system"."""
        return {
            "benchmark": self.benchmarks,
            "system_column": self.system_columns,
            "problem_column": self.problem_columns,
        }

    @property
    def sizes(self) -> dict[str, int]:
        """The length of each dim that a variable may have."""
        return {"system": self.systems} | {dim: len(one) for dim, one in self.labels.items()}


@dataclass(frozen=True)
class Centring:
    """How a parameter of each system (or benchmark) is sampled.

    With `share` 1 the sampler moves in the parameter itself, which is right where the attempts
    determine it; with 0 in its distance from the mean of the systems in units of their spread,
    right where they do not. Values are arrays (or graphs), dims (system,) or (benchmark,).
    """

    location: Any
    share: Any


def pooled(
    family: Family,
    variable: Variable,
    hierarchy: Hierarchy,
    xp: Special,
    system_design: Any = None,
    centring: Mapping[str, Centring] | None = None,
) -> dict[str, Any]:
    """Declare what systems share and their parameters; return these, and those of benchmarks.

    The parameters of a typical system have the family's prior. Those of a system differ from
    them, each on its own scale:

        parameter ~ N(centre + system_design @ effect, spread)
        spread ~ half-normal(between),  effect ~ N(0, between)

    and where systems are nested in benchmarks, each of these has its own centre:

        benchmark_centre ~ N(centre, benchmark_spread),  benchmark_spread ~ half-normal(between)

    where ``between`` is that of the parameter's prior.

    Parameters
    ----------
    family : Family
    variable : callable
        Declares one variable and returns it; numbers have a last dim of size 1 or broadcast.
    hierarchy : Hierarchy
    xp : Special
    system_design : array, dims (system, column), optional
        Covariates of systems.
    centring : mapping of str to Centring, optional
        By the parameter's name; by default each parameter is declared as it is.
    """
    priors: dict[str, Prior] = {}

    def typical(name: str, prior: Prior, loc: Any = None) -> Any:
        priors[name] = prior
        loc = prior.loc if loc is None else loc
        return variable(f"centre_{name}", prior.kind, loc, prior.scale, ())

    def about(name: str, centre: Any, spread: Any, *dims: str) -> Any:
        """Declare normal variables about `centre`, centred as far as is told."""
        if centring is None:
            return variable(name, "normal", centre, spread, dims)
        at, share = centring[name].location, centring[name].share
        expected = share * (centre - at)
        raw = variable(f"raw_{name}", "normal", expected, spread**share, dims)
        return centre + spread ** (1 - share) * (raw - expected)

    centres = family.prior(typical, xp)
    found = {}
    for name, prior in priors.items():
        centre = centres[name]
        if hierarchy.nested:
            between = variable(f"benchmark_spread_{name}", "half-normal", 0.0, prior.between, ())
            of_each = about(f"benchmark_centre_{name}", centre, between, "benchmark")
            found[f"benchmark_centre_{name}"] = of_each
            centre = of_each[..., np.array(hierarchy.benchmark)]
        if hierarchy.system_columns:
            effect = variable(f"effect_{name}", "normal", 0.0, prior.between, ("system_column",))
            centre = centre + (effect[..., None, :] * system_design).sum(-1)
        spread = variable(f"spread_{name}", "half-normal", 0.0, prior.between, ())
        found[name] = about(name, centre, spread, "system")
    return found


def problem_effects(family: Family, variable: Variable, hierarchy: Hierarchy) -> dict[str, Any]:
    """Declare the effects of covariates that differ between problems; return them by parameter.

        effect ~ N(0, between)

    of each column, for all systems or, without pooling, for each.
    """
    if not hierarchy.problem_columns:
        return {}
    outer = ("system",) if hierarchy.pooling == "none" else ()
    return {
        name: variable(
            f"problem_effect_{name}", "normal", 0.0, prior.between, (*outer, "problem_column")
        )
        for name, prior in declared(family).items()
    }


def dims_of(family: Family, hierarchy: Hierarchy) -> dict[str, tuple[str, ...]]:
    """Return the dims after (chain, draw) of all variables of a posterior, as they are declared."""
    sizes = hierarchy.sizes
    found: dict[str, tuple[str, ...]] = {}

    def variable(name: str, _kind: str, _loc: Any, _scale: Any, dims: tuple[str, ...]) -> Any:
        found[name] = dims
        return np.zeros([sizes[dim] for dim in dims] or 1)

    if hierarchy.pooling == "none":
        found |= dict.fromkeys(declared(family), ("system",))
    else:
        design = np.zeros((hierarchy.systems, len(hierarchy.system_columns)))
        pooled(family, variable, hierarchy, NUMPY, design)
    problem_effects(family, variable, hierarchy)
    return found


def log_hyperprior(
    family: Family,
    hierarchy: Hierarchy,
    values: Parameters,
    system_design: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Return the log density of what is above the systems, and of the systems given that.

    `values` holds all variables that :func:`pooled` declares: numbers with dims (..., 1), others
    with their own last. Both results have dims (...).
    """
    above: Any = 0.0
    systems: Any = 0.0

    def variable(name: str, kind: str, loc: Any, scale: Any, dims: tuple[str, ...]) -> Any:
        nonlocal above, systems
        value = values[name]
        density = _log_density(kind, value, loc, scale).sum(-1)
        if dims in (("system",), ("benchmark",)):
            systems = systems + density
        else:
            above = above + density
        return value

    pooled(family, variable, hierarchy, NUMPY, system_design)
    return np.asarray(above), np.asarray(systems)


def draw_hierarchy(
    family: Family,
    hierarchy: Hierarchy,
    rng: np.random.Generator,
    shape: tuple[int, ...],
    system_design: Floats | None = None,
) -> dict[str, Floats]:
    """Return prior draws of all variables that :func:`pooled` declares, dims (*shape, last)."""
    sizes = hierarchy.sizes
    drawn: dict[str, Floats] = {}

    def variable(name: str, kind: str, loc: Any, scale: Any, dims: tuple[str, ...]) -> Any:
        size = (*shape, *([sizes[dim] for dim in dims] or [1]))
        half = kind == "half-normal"
        value = draw_of("normal" if half else kind, rng, loc, scale, size)
        drawn[name] = np.abs(value) if half else value
        return drawn[name]

    pooled(family, variable, hierarchy, NUMPY, system_design)
    return drawn


def _log_density(kind: str, value: Any, loc: Any, scale: Any) -> NDArray[np.float64]:
    if kind == "half-normal":
        return np.asarray(log_density_of("normal", value, loc, scale) + np.log(2.0))
    return np.asarray(log_density_of(kind, value, loc, scale))
