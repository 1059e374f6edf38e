"""Inflation: a share of problems that never succeed, or that always do."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special as sp

from bayespassk.arrays import Floats, Ints
from bayespassk.errors import OptionError
from bayespassk.families.base import (
    ByCell,
    Declare,
    Family,
    Leaf,
    Parameters,
    Prior,
    with_share,
)
from bayespassk.families.mixture import log_moment_of_problems
from bayespassk.runs import Runs
from bayespassk.special import NUMPY, Special

__all__ = ["OneInflated", "ZeroInflated", "inflated", "not_inflated"]

AT = "inflated_at"
"""Name of the constants that say which pairs the inflated problems contribute to."""


class _Inflated(ByCell):
    """A family with, in addition, a share of problems with the same p, 0 or 1."""

    base: Family
    share: ClassVar[str]
    location: ClassVar[str] = ""
    draws: ClassVar[int] = 2000

    def __post_init__(self) -> None:
        if not isinstance(self.base, Family):
            raise OptionError(f"{self.name} needs a family to inflate; got {self.base!r}")
        inner: Family = self.base
        while isinstance(inner, _Inflated):
            if type(inner) is type(self):
                raise OptionError(f"{self.name} must not be applied twice; got {self.base!r}")
            inner = inner.base

    @abstractmethod
    def _at(self, a: Any, b: Any) -> Any:
        """Return where p^a (1-p)^b is 1 rather than 0 for the inflated problems."""

    @abstractmethod
    def _inflation(self) -> tuple[Prior, float]:
        """Return the prior of the logit of the share, and the p of the inflated problems."""

    @property
    def components(self) -> tuple[Family, ...]:
        """The family inflated."""
        return (self.base,)

    @property
    def full_name(self) -> str:
        """As on the command line: "zero-inflated-beta"."""
        return f"{self.name}-{self.base.full_name}"

    def seeing(
        self, successes: Ints, failures: Ints, runs: Runs | None
    ) -> tuple[Family, Ints, Ints]:
        """Return this with the family inflated as it sees the problems; see :class:`Family`."""
        base, a, b = self.base.seeing(successes, failures, runs)
        changed = {"base": base}
        return (self if base is self.base else replace(self, **changed)), a, b

    def outcomes(self, successes: Ints, failures: Ints) -> tuple[Ints, Ints]:
        """Return successes and failures; see :meth:`Family.outcomes`."""
        return self.base.outcomes(successes, failures)

    def prior(self, declare: Declare, xp: Special = NUMPY) -> dict[str, Any]:
        """Declare the parameters of the family inflated, and the logit of the share."""
        name = f"logit_{self.share}"
        return {**self.base.prior(declare, xp), name: declare(name, self._inflation()[0])}

    def natural(self, free: Parameters, xp: Special = NUMPY) -> dict[str, Any]:
        """Return the natural parameters of the family inflated, and the share."""
        share = xp.exp(xp.log_sigmoid(free[f"logit_{self.share}"]))
        return {**self.base.natural(free, xp), self.share: share}

    def free(self, natural: Parameters) -> dict[str, Any]:
        """Return the free parameters; see :meth:`Family.free`."""
        share = sp.logit(natural[self.share])
        return {**self.base.free(self._rest(natural)), f"logit_{self.share}": share}

    def log_moment(self, parameters: Parameters, a: ArrayLike, b: ArrayLike) -> Floats:
        """Return the log of share x [p^a (1-p)^b is 1 there] + (1 - share) x moment."""
        a, b = np.broadcast_arrays(np.asarray(a, dtype=float), np.asarray(b, dtype=float))
        share = np.asarray(parameters[self.share])[(...,) + (None,) * a.ndim]
        inner = self.base.log_moment(self._rest(parameters), a, b)
        return np.asarray(_inflate(share, inner, self._at(a, b), NUMPY))

    def survival(
        self, parameters: Parameters, above: ArrayLike, a: ArrayLike = 0.0, b: ArrayLike = 0.0
    ) -> Floats:
        """Return that of the family inflated and of the others, by what the counts say of each."""
        above, a, b = np.broadcast_arrays(*(np.asarray(one, float) for one in (above, a, b)))
        rest = self._rest(parameters)
        share = np.asarray(parameters[self.share])[(...,) + (None,) * a.ndim]
        inflated = _given_counts(share, self.base.log_moment(rest, a, b), self._at(a, b))
        inner = self.base.survival(rest, above, a, b)
        return np.asarray(inner + inflated * ((self._inflation()[1] > above) - inner))

    def constants(
        self,
        a: Floats,
        b: Floats,
        parameters: Parameters | None = None,
        *,
        finer: ArrayLike = (),
    ) -> dict[str, NDArray[Any]]:
        """Return the constants of the family inflated, and which pairs the others add to."""
        rest = None if parameters is None else self._rest(parameters)
        return {
            **self.base.constants(a, b, rest, finer=finer),
            f"{AT}_{self.share}": self._at(a, b).astype(float),
        }

    def numbers(self, constants: Mapping[str, Any], pairs: int) -> int:
        """Return those of the family inflated; see :meth:`Family.numbers`."""
        return self.base.numbers(constants, pairs)

    def log_moments(
        self,
        parameters: Parameters,
        constants: Mapping[str, Any],
        xp: Special,
        system: Any = None,
    ) -> Any:
        """Return the log of share x [p^a (1-p)^b is 1 there] + (1 - share) x moment."""
        share = parameters[self.share]
        share = share[..., None] if system is None else share[system]
        inner = self.base.log_moments(self._rest(parameters), constants, xp, system)
        return _inflate(share, inner, constants[f"{AT}_{self.share}"] > 0.5, xp)

    def draw(self, parameters: Parameters, rng: np.random.Generator) -> Floats:
        """Draw from the family inflated, or p = 0 (or 1) with the probability of the share."""
        p = self.base.draw(self._rest(parameters), rng)
        return np.where(rng.random(p.shape) < parameters[self.share], self._inflation()[1], p)

    def draw_seen(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        successes: NDArray[np.int64],
        failures: NDArray[np.int64],
    ) -> Floats:
        """Draw whether each problem is an inflated one given its counts, and p otherwise."""
        rest = self._rest(parameters)
        p = self.base.draw_seen(rest, rng, successes, failures)
        inner = log_moment_of_problems(self.base, rest, successes, failures)
        share = np.asarray(parameters[self.share])[:, None]
        inflated = _given_counts(share, inner, self._at(successes, failures))
        return np.where(rng.random(p.shape) < inflated, self._inflation()[1], p)

    def leaves(self, parameters: Parameters, xp: Special = NUMPY) -> Iterable[Leaf]:
        """Yield the point of the inflated problems, and the leaves of the family inflated."""
        share = parameters[self.share]
        yield Leaf(self._inflation()[1], {"share": share}, xp.log(share))
        rest = self.base.leaves(self._rest(parameters), xp)
        yield from with_share(rest, xp.log1p(-share))

    def _rest(self, parameters: Parameters) -> dict[str, Any]:
        return {name: value for name, value in parameters.items() if name != self.share}


def not_inflated(family: Family) -> Family:
    """Return what is left of a family without its inflations: itself where it has none."""
    while isinstance(family, _Inflated):
        family = family.base
    return family


def inflated(family: Family, inner: Any, parameters: Parameters, a: Floats, b: Floats) -> Any:
    """Return log moments of a family, dims (..., pair), from those of what is inflated in it."""
    if not isinstance(family, _Inflated):
        return inner
    share = parameters[family.share][..., None]
    inner = inflated(family.base, inner, parameters, a, b)
    return _inflate(share, inner, family._at(a, b), NUMPY)


def _given_counts(share: Any, inner: Any, at: Any) -> Any:
    """Return how probable it is that a problem of given counts is an inflated one."""
    return sp.expit(np.log(share) - np.log1p(-share) - inner) * at


def _inflate(share: Any, inner: Any, at: Any, xp: Special) -> Any:
    """Return log (share [at] + (1 - share) exp(inner)), near 0 to its last digits."""
    # share + (1 - share) m = 1 + (1 - share) (m - 1)
    with_share = xp.log1p((1 - share) * xp.expm1(inner))
    return xp.where(at, with_share, xp.log1p(-share) + inner)


@final
@dataclass(frozen=True)
class ZeroInflated(_Inflated):
    """A share of the problems never succeeds; the others are from `base`.

    fail@k of a new problem then has a plateau: more attempts do not solve what is impossible.

    Parameters
    ----------
    base : Family
        The distribution of p over the other problems.
    logit_zero : Prior
        Prior of the logit of the share; by default its median is 0.0025, and a fifth of it lies
        above 0.04, a tenth above 0.17: most benchmarks are held to have hardly any, unless the
        counts say so.

    Notes
    -----
    With n attempts a problem that never succeeds cannot be told from one with p far below 1/n:
    at n = 100 the data hardly distinguish a plateau from a small tail exponent, and the prior of
    the share decides between the two forecasts at large k. Use it where you know that some
    problems are broken or impossible, and average it with others where you do not.
    """

    name: ClassVar[str] = "zero-inflated"
    when: ClassVar[str] = "some problems are impossible or broken, and you know it: a plateau"
    share: ClassVar[str] = "zero"

    base: Family
    logit_zero: Prior = Prior(-6.0, 2.0, "logistic", spread=1.0)

    def _at(self, a: Any, b: Any) -> Any:
        return a == 0

    def _inflation(self) -> tuple[Prior, float]:
        return self.logit_zero, 0.0


@final
@dataclass(frozen=True)
class OneInflated(_Inflated):
    """A share of the problems always succeeds; the others are from `base`.

    Parameters
    ----------
    base : Family
        The distribution of p over the other problems.
    logit_one : Prior
        Prior of the logit of the share; by default its median is 0.12 and 80% of it lies in 0.015
        to 0.55.

    Notes
    -----
    It frees the rest of the distribution from having to explain problems that never fail, and so
    matters for the forecast of the others, not by itself.
    """

    name: ClassVar[str] = "one-inflated"
    when: ClassVar[str] = "many problems never fail, more than the rest of the data would suggest"
    share: ClassVar[str] = "one"

    base: Family
    logit_one: Prior = Prior(-2.0, 1.0, "logistic")

    def _at(self, a: Any, b: Any) -> Any:
        return b == 0

    def _inflation(self) -> tuple[Prior, float]:
        return self.logit_one, 1.0
