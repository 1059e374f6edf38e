"""Mixtures: several kinds of problems in one benchmark."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special as sp

from bayespassk.arrays import Floats
from bayespassk.errors import OptionError
from bayespassk.families.base import (
    ByCell,
    Declare,
    Family,
    Leaf,
    Parameters,
    Prior,
    declared,
    with_share,
)
from bayespassk.special import NUMPY, Special

__all__ = ["Mixture", "log_moment_of_problems", "pick"]


@final
@dataclass(frozen=True, init=False)
class Mixture(ByCell):
    """p from one of several families, each problem from one: ``Mixture(Beta(), Beta())``.

    Components of one kind are told apart by their location on the logit axis (for betas the
    logit of the mean), which rises from each to the next, so that labels do not switch. The
    component with the smallest tail exponent rules the forecast at large k.

    Parameters
    ----------
    *components : Family
        Two or more, none of which is itself a mixture.
    log_gap : Prior
        Prior of the log of the distance on the logit axis between one component and the next; by
        default its median is e, 2.7, a factor of 15 in odds.
    logit_weight : Prior
        Prior of the logit of the first component's share; of the second's share of the rest, and
        so on. By default uniform for two components.

    Notes
    -----
    At a hundred problems the components of a mixture are weakly identified: read the forecast,
    not the parameters.
    """

    name: ClassVar[str] = "mixture"
    when: ClassVar[str] = "two kinds of problems, such as nearly hopeless and easy ones"
    location: ClassVar[str] = ""
    target_accept: ClassVar[float] = 0.98
    draws: ClassVar[int] = 2500
    tune: ClassVar[int] = 1500

    parts: tuple[Family, ...]
    log_gap: Prior
    logit_weight: Prior

    def __init__(
        self,
        *components: Family,
        log_gap: Prior = Prior(1.0, 0.7),  # noqa: B008 -- frozen
        logit_weight: Prior = Prior(0.0, 1.0, "logistic"),  # noqa: B008 -- frozen
    ):
        good = all(isinstance(one, Family) and not one.components for one in components)
        if len(components) < 2 or not good:
            raise OptionError(
                "a mixture needs two or more families that are not themselves made of families; "
                f"got {components!r}"
            )
        object.__setattr__(self, "parts", tuple(components))
        object.__setattr__(self, "log_gap", log_gap)
        object.__setattr__(self, "logit_weight", logit_weight)

    @property
    def components(self) -> tuple[Family, ...]:
        """The families mixed."""
        return self.parts

    @property
    def full_name(self) -> str:
        """As on the command line, "beta-mixture-2", where all components are of one kind."""
        names = [part.full_name for part in self.parts]
        if len(set(names)) == 1:
            return f"{names[0]}-mixture-{len(names)}"
        return f"mixture({', '.join(names)})"

    def prior(self, declare: Declare, xp: Special = NUMPY) -> dict[str, Any]:
        """Declare the parameters of each component, the gaps between them, and the weights."""
        free: dict[str, Any] = {}
        locations: dict[type[Family], Any] = {}
        for j, part in enumerate(self.parts, 1):
            below = locations.get(type(part))

            def declare_part(
                name: str,
                prior: Prior,
                loc: Any = None,
                *,
                j: int = j,
                part: Family = part,
                below: Any = below,
            ) -> Any:
                if name == part.location and below is not None:
                    gap = free[f"log_gap_{j}"] = declare(f"log_gap_{j}", self.log_gap)
                    return below + xp.exp(gap)
                value = free[f"{name}_{j}"] = declare(
                    f"{name}_{j}", prior, prior.loc if loc is None else loc
                )
                return value

            locations[type(part)] = part.prior(declare_part, xp)[part.location]
        for j in range(1, len(self.parts)):
            free[f"logit_weight_{j}"] = declare(f"logit_weight_{j}", self.logit_weight)
        return free

    def natural(self, free: Parameters, xp: Special = NUMPY) -> dict[str, Any]:
        """Return the natural parameters of the components, suffixed _1, _2 ..., and weights."""
        natural: dict[str, Any] = {}
        locations: dict[type[Family], Any] = {}
        for j, part in enumerate(self.parts, 1):
            ending = f"_{j}"
            own = {n.removesuffix(ending): v for n, v in free.items() if n.endswith(ending)}
            if type(part) in locations:
                own[part.location] = locations[type(part)] + xp.exp(own["log_gap"])
            locations[type(part)] = own[part.location]
            natural |= {f"{name}{ending}": v for name, v in part.natural(own, xp).items()}
        rest: Any = np.float64(0.0)
        for j in range(1, len(self.parts)):
            logit = free[f"logit_weight_{j}"]
            natural[f"weight_{j}"] = xp.exp(rest + xp.log_sigmoid(logit))
            rest = rest + xp.log_sigmoid(-logit)
        natural[f"weight_{len(self.parts)}"] = xp.exp(rest)
        return natural

    def free(self, natural: Parameters) -> dict[str, Any]:
        """Return the free parameters; see :meth:`Family.free`.

        NaN where components of one kind are not in the order of their locations.
        """
        free: dict[str, Any] = {}
        locations: dict[type[Family], Any] = {}
        for j, (part, own, _) in enumerate(self.split(natural), 1):
            mine = part.free(own)
            if type(part) in locations:
                gap = mine.pop(part.location) - locations[type(part)]
                free[f"log_gap_{j}"] = np.log(np.where(gap > 0, gap, np.nan))
                locations[type(part)] = locations[type(part)] + gap
            else:
                locations[type(part)] = mine[part.location]
            free |= {f"{name}_{j}": value for name, value in mine.items()}
        rest: Any = 1.0
        for j in range(1, len(self.parts)):
            free[f"logit_weight_{j}"] = np.log(natural[f"weight_{j}"]) - np.log(
                rest - natural[f"weight_{j}"]
            )
            rest = rest - natural[f"weight_{j}"]
        return {name: free[name] for name in declared(self)}

    def log_moment(self, parameters: Parameters, a: ArrayLike, b: ArrayLike) -> Floats:
        """Return the log of the weighted sum of the components' moments."""
        pairs = (...,) + (None,) * np.broadcast(a, b).ndim
        return np.asarray(
            np.logaddexp.reduce(
                [
                    np.log(weight)[pairs] + part.log_moment(own, a, b)
                    for part, own, weight in self.split(parameters)
                ]
            )
        )

    def survival(
        self, parameters: Parameters, above: ArrayLike, a: ArrayLike = 0.0, b: ArrayLike = 0.0
    ) -> Floats:
        """Return those of the components, weighted by what the counts say of each."""
        above, a, b = np.broadcast_arrays(*(np.asarray(one, float) for one in (above, a, b)))
        pairs = (...,) + (None,) * a.ndim
        each, log_shares = [], []
        for part, own, weight in self.split(parameters):
            each.append(part.survival(own, above, a, b))
            log_shares.append(np.log(weight)[pairs] + part.log_moment(own, a, b))
        return np.asarray((sp.softmax(log_shares, axis=0) * each).sum(0).clip(0.0, 1.0))

    def constants(
        self,
        a: Floats,
        b: Floats,
        parameters: Parameters | None = None,
        *,
        finer: ArrayLike = (),
    ) -> dict[str, NDArray[Any]]:
        """Return the constants of each component, suffixed _1, _2 ..."""
        return {
            f"{name}_{j}": value
            for j, part in enumerate(self.parts, 1)
            for name, value in part.constants(
                a, b, None if parameters is None else self._own(parameters, j), finer=finer
            ).items()
        }

    def log_moments(
        self,
        parameters: Parameters,
        constants: Mapping[str, Any],
        xp: Special,
        system: Any = None,
    ) -> Any:
        """Return the log of the weighted sum of the components' moments."""
        total: Any = None
        for j, (part, own, weight) in enumerate(self.split(parameters), 1):
            each = weight[..., None] if system is None else weight[system]
            term = xp.log(each) + part.log_moments(own, self._own(constants, j), xp, system)
            total = term if total is None else xp.logaddexp(total, term)
        return total

    def draw(self, parameters: Parameters, rng: np.random.Generator) -> Floats:
        """Draw a component, and p from it."""
        drawn = [part.draw(own, rng) for part, own, _ in self.split(parameters)]
        weights = [weight for *_, weight in self.split(parameters)]
        which = pick(np.stack(np.broadcast_arrays(*weights), axis=-1), rng, np.shape(drawn[0]))
        return np.choose(which, drawn)

    def draw_seen(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        successes: NDArray[np.int64],
        failures: NDArray[np.int64],
    ) -> Floats:
        """Draw the component of each problem given its counts, and p from it."""
        drawn, log_shares = [], []
        for part, own, weight in self.split(parameters):
            drawn.append(part.draw_seen(own, rng, successes, failures))
            log_shares.append(
                np.log(weight)[:, None] + log_moment_of_problems(part, own, successes, failures)
            )
        shares = sp.softmax(np.stack(log_shares, axis=-1), axis=-1)
        return np.choose(pick(shares, rng, drawn[0].shape), drawn)

    def leaves(self, parameters: Parameters, xp: Special = NUMPY) -> Iterable[Leaf]:
        """Yield those of the components, with their weights."""
        for part, own, weight in self.split(parameters):
            yield from with_share(part.leaves(own, xp), xp.log(weight))

    def split(self, parameters: Parameters) -> Iterator[tuple[Family, dict[str, Any], Any]]:
        """Yield each component with its own parameters and its weight."""
        for j, part in enumerate(self.parts, 1):
            yield part, self._own(parameters, j), parameters[f"weight_{j}"]

    def _own(self, values: Mapping[str, Any], j: int) -> dict[str, Any]:
        ending = f"_{j}"
        return {n.removesuffix(ending): v for n, v in values.items() if n.endswith(ending)}


class HasMoments(Protocol):
    """A family, or a part of one."""

    def log_moment(self, parameters: Parameters, a: ArrayLike, b: ArrayLike) -> Floats:
        """Return log E[p^a (1-p)^b]; see :meth:`Family.log_moment`."""


def log_moment_of_problems(
    family: HasMoments,
    parameters: Parameters,
    successes: NDArray[np.int64],
    failures: NDArray[np.int64],
) -> Floats:
    """Return log moments, dims (draw, problem), equal counts computed once."""
    pairs, which = np.unique(np.stack([successes, failures], 1), axis=0, return_inverse=True)
    return family.log_moment(parameters, pairs[:, 0], pairs[:, 1])[:, which]


def pick(shares: Floats, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return which of the last dim of `shares` a random number falls on, dims `shape`."""
    return (rng.random((*shape, 1)) > shares.cumsum(-1)[..., :-1]).sum(-1)
