"""Partial pooling: what systems share, as priors written once and run by three callers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from bayespassk.arrays import Floats
from bayespassk.families import Family
from bayespassk.families.base import Parameters, Prior, declared, draw_of, log_density_of
from bayespassk.special import NUMPY, Special

__all__ = [
    "FREEDOM",
    "Centring",
    "Effects",
    "Hierarchy",
    "Pooling",
    "dims_of",
    "draw_effects",
    "draw_hierarchy",
    "log_effects",
    "log_hyperprior",
    "pooled",
    "problem_effects",
]

type Pooling = Literal["none", "partial", "within"]

type Effects = Literal["normal", "student-t"]

FREEDOM = 4.0
"""Degrees of freedom of the effects of systems."""

type Variable = Callable[..., Any]
"""Called once a variable: ``variable(name, kind, loc, scale, dims)``; without dims, of a number.

Of a "student-t" the degrees of freedom come last.
"""


@dataclass(frozen=True)
class Hierarchy:
    """Which systems share what.

    Attributes
    ----------
    pooling : {"none", "partial", "within"}
    systems : int
        How many there are.
    benchmarks : tuple of str
        The benchmarks, where systems are nested in several; with "within", those that have more
        than one system, whose systems are pooled; empty otherwise.
    benchmark : tuple of int, dims (system,)
        Position of the benchmark of each system in `benchmarks`; -1 of a system that is alone.
    system_columns, problem_columns : tuple of str
        Columns of the design that are constant within each system, and those that are not.
    effects : {"normal", "student-t"}
        What the parameters of systems are about their centre. Fits of 0.1.0, which do not say so,
        have normal ones.
    """

    pooling: Pooling
    systems: int
    benchmarks: tuple[str, ...] = ()
    benchmark: tuple[int, ...] = ()
    system_columns: tuple[str, ...] = ()
    problem_columns: tuple[str, ...] = ()
    effects: Effects = "normal"

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
        return self.pooling == "partial" and len(self.benchmarks) > 0

    def group(self, system: int) -> tuple[int, ...]:
        """Return the systems whose attempts tell of a system, itself among them."""
        if self.pooling == "none" or (self.pooling == "within" and self.benchmark[system] < 0):
            return (system,)
        if self.pooling == "partial":
            return tuple(range(self.systems))
        return tuple(i for i, b in enumerate(self.benchmark) if b == self.benchmark[system])

    @property
    def freedom(self) -> float:
        """The degrees of freedom of the effects of systems."""
        return FREEDOM if self.effects == "student-t" else np.inf

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

        parameter ~ t(centre + system_design @ effect, spread)
        spread ~ half-normal(between),  effect ~ N(0, between)

    where t is Student's, with `FREEDOM` degrees, of all parameters together: a system that is far
    from the others in one is not pulled towards them in another. It is declared as t's of each
    parameter given those before. In fits of 0.1.0 it is N(centre, spread) of each.

    Where systems are nested in benchmarks, each of these has its own centre:

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

    def about(name: str, centre: Any, spread: Any, dim: str, freedom: float = np.inf) -> Any:
        """Declare variables about `centre`, centred as far as is told."""
        kind = ("normal",) if np.isinf(freedom) else ("student-t", freedom)
        if centring is None:
            return variable(name, kind[0], centre, spread, (dim,), *kind[1:])
        at, share = centring[name].location, centring[name].share
        expected = share * (centre - at)
        raw = variable(f"raw_{name}", kind[0], expected, spread**share, (dim,), *kind[1:])
        return centre + spread ** (1 - share) * (raw - expected)

    centres = family.prior(typical, xp)
    found: dict[str, Any] = {}
    squares: Any = 0.0
    for before, (name, prior) in enumerate(priors.items()):
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
        if hierarchy.effects == "normal":
            found[name] = about(name, centre, spread, "system")
            continue
        freedom = FREEDOM + before
        scale = spread * ((FREEDOM + squares) / freedom) ** 0.5
        found[name] = about(name, centre, scale, "system", freedom)
        squares = squares + ((found[name] - centre) / spread) ** 2
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

    def variable(
        name: str, _kind: str, _loc: Any, _scale: Any, dims: tuple[str, ...], *_: float
    ) -> Any:
        found[name] = dims
        return np.ones([sizes[dim] for dim in dims] or 1)

    if hierarchy.pooling == "none":
        found |= dict.fromkeys(declared(family), ("system",))
    elif hierarchy.pooling == "within":  # one benchmark has numbers for what its systems share
        one = dims_of(family, Hierarchy("partial", hierarchy.systems))
        found |= {name: dims or ("benchmark",) for name, dims in one.items()}
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

    def variable(
        name: str, kind: str, loc: Any, scale: Any, dims: tuple[str, ...], freedom: float = np.inf
    ) -> Any:
        nonlocal above, systems
        value = values[name]
        density = _log_density(kind, value, loc, scale, freedom).sum(-1)
        if dims in (("system",), ("benchmark",)):
            systems = systems + density
        else:
            above = above + density
        return value

    pooled(family, variable, hierarchy, NUMPY, system_design)
    return np.asarray(above), np.asarray(systems)


def log_effects(
    family: Family,
    hierarchy: Hierarchy,
    values: Parameters,
    system_design: Floats | None = None,
) -> Floats:
    """Return the log density of the parameters of each system given what they share.

    `values` as for :func:`log_hyperprior`; dims (..., system).
    """
    total: Any = 0.0

    def variable(
        name: str, kind: str, loc: Any, scale: Any, dims: tuple[str, ...], freedom: float = np.inf
    ) -> Any:
        nonlocal total
        if dims == ("system",):
            total = total + _log_density(kind, values[name], loc, scale, freedom)
        return values[name]

    pooled(family, variable, hierarchy, NUMPY, system_design)
    return np.asarray(total)


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

    def variable(
        name: str, kind: str, loc: Any, scale: Any, dims: tuple[str, ...], freedom: float = np.inf
    ) -> Any:
        size = (*shape, *([sizes[dim] for dim in dims] or [1]))
        if kind == "student-t":
            drawn[name] = loc + scale * rng.standard_t(freedom, size)
            return drawn[name]
        half = kind == "half-normal"
        value = draw_of("normal" if half else kind, rng, loc, scale, size)
        drawn[name] = np.abs(value) if half else value
        return drawn[name]

    pooled(family, variable, hierarchy, NUMPY, system_design)
    return drawn


def _log_density(
    kind: str, value: Any, loc: Any, scale: Any, freedom: float = np.inf
) -> NDArray[np.float64]:
    if kind == "half-normal":
        return np.asarray(log_density_of("normal", value, loc, scale) + np.log(2.0))
    if kind == "student-t":
        constant = gammaln((freedom + 1) / 2) - gammaln(freedom / 2) - 0.5 * np.log(freedom * np.pi)
        z = (value - loc) / scale
        return np.asarray(constant - np.log(scale) - 0.5 * (freedom + 1) * np.log1p(z**2 / freedom))
    return np.asarray(log_density_of(kind, value, loc, scale))


def draw_effects(
    hierarchy: Hierarchy, rng: np.random.Generator, shape: tuple[int, ...], parameters: int
) -> list[Floats]:
    """Return the effects of one new system, in units of the spreads, for each parameter."""
    tail: Any = 1.0
    if hierarchy.effects == "student-t":
        tail = np.sqrt(FREEDOM / rng.chisquare(FREEDOM, shape))
    return [np.asarray(tail * rng.standard_normal(shape)) for _ in range(parameters)]
