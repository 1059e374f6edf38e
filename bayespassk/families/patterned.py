"""Patterns: what was seen of a problem where that is more than its successes and failures."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special as sp

from bayespassk.arrays import Floats, Ints
from bayespassk.families.base import ByCell, Family, Leaf, Parameters, distinct_draws
from bayespassk.families.inflated import OneInflated, ZeroInflated
from bayespassk.families.mixture import log_moment_of_problems, pick
from bayespassk.families.quadrature import Nodes, log_power, parts, prior_parameters
from bayespassk.families.verifier import outer
from bayespassk.special import NUMPY, Special

__all__ = [
    "Patterned",
    "are_plain",
    "codes_of",
    "holds",
    "log_kernel_of",
    "log_moment_of",
    "within",
]


def codes_of(a: Any, b: Any) -> Ints:
    """Return the number of the pattern that each pair stands for; -1 for an ordinary power."""
    return np.asarray(-np.minimum(np.minimum(a, b), 0) - 1).astype(np.int64)


def are_plain(a: Any, b: Any) -> bool:
    """Return whether all pairs are ordinary powers."""
    return bool((np.asarray(a) >= 0).all() and (np.asarray(b) >= 0).all())


def log_kernel_of(
    a: Any, b: Any, log_p: Floats, log_q: Floats, of_patterns: Callable[[Ints], Floats]
) -> Floats:
    """Return logs of pairs at some p, dims (pair, node): of powers, and of patterns by number."""
    codes = codes_of(a, b)
    plain = codes < 0
    values = np.empty((len(codes), len(log_p)))
    if plain.any():
        some = np.asarray(a)[plain][:, None], np.asarray(b)[plain][:, None]
        values[plain] = log_power(*some, log_p, log_q, np.zeros(1))
    if not plain.all():
        values[~plain] = of_patterns(codes[~plain])
    return values


def log_moment_of(
    density: Any,
    parameters: Parameters,
    own: Parameters,
    a: ArrayLike,
    b: ArrayLike,
    sums: Callable[[Parameters, Mapping[str, Any]], Floats],
) -> Floats:
    """Return the log moments of a density, dims (..., pair).

    Of powers those of its inner density, with its `own` parameters; of patterns the `sums` over
    nodes that are chosen for them, dims (draw, pair).
    """
    a, b = np.broadcast_arrays(np.asarray(a, dtype=float), np.asarray(b, dtype=float))
    plain = codes_of(a, b) < 0
    if plain.all():
        return np.asarray(density.inner.log_moment(own, a, b))
    shape = np.broadcast_shapes(*(np.shape(p) for p in parameters.values()))
    values = np.empty(shape + a.shape)
    flat = {n: np.broadcast_to(p, shape).ravel() for n, p in parameters.items()}
    flat, which = distinct_draws(flat)
    constants = density.constants(a[~plain], b[~plain], flat)
    size = density.numbers(constants, int((~plain).sum()))
    each = [sums(part, constants) for part in parts(flat, size)]
    values[..., ~plain] = np.concatenate(each)[which].reshape(*shape, -1)
    if plain.any():
        values[..., plain] = density.inner.log_moment(own, a[plain], b[plain])
    return values


class Patterned(ByCell):
    """A family of p where a pair (a, b) below 0 stands for a pattern, whatever that is.

    Pattern i is (-1-i, -1-i); (0, -1-i) if p = 0 does not exclude it, (-1-i, 0) if p = 1 does not.
    What a pattern says of p is known to :meth:`density`, which sums it over the nodes of a base.
    """

    base: Family
    table: Any

    @abstractmethod
    def density(
        self, distribution: Any, own: dict[str, Any], parameters: Parameters
    ) -> tuple[Nodes, dict[str, Any]]:
        """Return a density of the base as one that knows the patterns, with its parameters."""

    @abstractmethod
    def _rest(self, parameters: Parameters) -> dict[str, Any]:
        """Return the parameters of the base."""

    def leaves(self, parameters: Parameters, xp: Special = NUMPY) -> list[Leaf]:
        """Return the leaves of the base, its densities knowing patterns."""
        found = []
        for leaf in self.base.leaves(self._rest(parameters), xp):
            if isinstance(leaf.distribution, float):
                found.append(leaf)
                continue
            density, own = self.density(leaf.distribution, dict(leaf.parameters), parameters)
            found.append(leaf._replace(distribution=density, parameters=own))
        return found

    def log_moment(self, parameters: Parameters, a: ArrayLike, b: ArrayLike) -> Floats:
        """Return log E[p^a (1-p)^b], or the log probability of patterns."""
        if are_plain(a, b):
            return self.base.log_moment(self._rest(parameters), a, b)
        each = [
            outer(leaf.log_share, np.broadcast(a, b).ndim)
            + leaf.distribution.log_moment(leaf.parameters, a, b)
            for leaf in self.leaves(parameters)
        ]
        return np.asarray(np.logaddexp.reduce(each))

    def survival(
        self, parameters: Parameters, above: ArrayLike, a: ArrayLike = 0.0, b: ArrayLike = 0.0
    ) -> Floats:
        """Return the probability that p lies above, given patterns; see :meth:`Family.survival`."""
        if are_plain(a, b):
            return self.base.survival(self._rest(parameters), above, a, b)
        above, a, b = np.broadcast_arrays(*(np.asarray(one, float) for one in (above, a, b)))
        each, log_shares = [], []
        for leaf in self.leaves(parameters):
            each.append(leaf.distribution.survival(leaf.parameters, above, a, b))
            moment = leaf.distribution.log_moment(leaf.parameters, a, b)
            log_shares.append(outer(leaf.log_share, a.ndim) + moment)
        shares = sp.softmax(np.stack(log_shares), axis=0)
        return np.asarray(sum(share * one for share, one in zip(shares, each, strict=True)))

    def constants(
        self,
        a: Floats,
        b: Floats,
        parameters: Parameters | None = None,
        *,
        finer: ArrayLike = (),
    ) -> dict[str, NDArray[Any]]:
        """Return the constants of each part with a density, suffixed _1, _2 ..."""
        if self.table is None:
            rest = None if parameters is None else self._rest(parameters)
            return self.base.constants(a, b, rest, finer=finer)
        parameters = prior_parameters(self) if parameters is None else parameters
        return {
            f"{name}_{j}": value
            for j, leaf in enumerate(self.leaves(parameters), 1)
            for name, value in leaf.distribution.constants(
                a, b, leaf.parameters, finer=finer
            ).items()
        }

    def log_moments(
        self,
        parameters: Parameters,
        constants: Mapping[str, Any],
        xp: Special,
        system: Any = None,
    ) -> Any:
        """Return the log probability of the pairs that `constants` were made for."""
        if self.table is None:
            return self.base.log_moments(self._rest(parameters), constants, xp, system)
        total: Any = None
        for j, leaf in enumerate(self.leaves(parameters, xp), 1):
            ending = f"_{j}"
            mine = {
                name.removesuffix(ending): value
                for name, value in constants.items()
                if name.endswith(ending)
            }
            term = leaf.distribution.log_moments(leaf.parameters, mine, xp, system)
            if leaf.log_share is not None:
                share = leaf.log_share[..., None] if system is None else leaf.log_share[system]
                term = term + share
            total = term if total is None else xp.logaddexp(total, term)
        return total

    def draw(self, parameters: Parameters, rng: np.random.Generator) -> Floats:
        """Draw p of a new problem."""
        return self.base.draw(self._rest(parameters), rng)

    def draw_seen(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        successes: NDArray[np.int64],
        failures: NDArray[np.int64],
    ) -> Floats:
        """Draw p of problems of which patterns were seen, dims (draw, problem)."""
        if are_plain(successes, failures):
            return self.base.draw_seen(self._rest(parameters), rng, successes, failures)
        leaves = self.leaves(parameters)
        drawn = [
            leaf.distribution.draw_seen(leaf.parameters, rng, successes, failures)
            for leaf in leaves
        ]
        if len(leaves) == 1:
            return np.asarray(drawn[0])
        log_shares = [
            outer(leaf.log_share, 1)
            + log_moment_of_problems(leaf.distribution, leaf.parameters, successes, failures)
            for leaf in leaves
        ]
        shares = sp.softmax(np.stack(log_shares, axis=-1), axis=-1)
        return np.asarray(np.choose(pick(shares, rng, drawn[0].shape), drawn))


def holds(family: Family, kinds: tuple[type[Family], ...]) -> bool:
    """Return whether a family is, or is made of, one of these kinds."""
    return isinstance(family, kinds) or any(holds(one, kinds) for one in family.components)


def within(family: Family, wrap: Callable[[Family], Family]) -> Family:
    """Return the family with what its inflations are of wrapped."""
    if isinstance(family, ZeroInflated | OneInflated):
        return replace(family, base=within(family.base, wrap))
    return wrap(family)
