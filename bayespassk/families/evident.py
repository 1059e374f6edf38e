"""Evidence of p that is no count: log p was estimated, with a standard error."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special as sp

from bayespassk.arrays import Floats, Ints
from bayespassk.errors import OptionError
from bayespassk.evidence import Evidence
from bayespassk.families.base import Declare, Family, Parameters
from bayespassk.families.dependent import Dependent
from bayespassk.families.inflated import OneInflated, not_inflated
from bayespassk.families.patterned import (
    Patterned,
    codes_of,
    holds,
    log_kernel_of,
    log_moment_of,
    within,
)
from bayespassk.families.quadrature import (
    Nodes,
    Piece,
    Smooth,
    about_peaks,
    log_power,
    parts,
    powers,
    prior_parameters,
    representatives,
)
from bayespassk.families.verified import Verified
from bayespassk.runs import Runs
from bayespassk.special import NUMPY, Special

__all__ = ["Estimates", "Evident", "EvidentDensity", "require_evident", "seen_by", "without"]

MOST_TRIED = 40
"""Estimates for which panels are tried, if there are more; the others have edges about them."""

WIDE = 0.7
"""Standard deviation on the logit axis from which on panels need no edges about a peak."""

ABOUT = np.array([-9.0, -6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 9.0])
"""Edges about a peak, in standard deviations."""

MOST_NUMBERS = 100_000_000
"""Numbers that all estimates at all nodes may take."""

AT_ONE = 6.0
"""Standard errors below log p = 0 from which on an estimate excludes p = 1, where it has 1e-8 of
its largest density."""

NOTHING = np.float64(-1e30)

NEGLIGIBLE = 40.0
"""How far below the highest the log of a weight is not looked at."""


@dataclass(frozen=True, eq=False)
class Estimates:
    """What was seen of problems whose log p was estimated: the distinct ones, dims (kind,).

    Attributes
    ----------
    successes, failures : array of int
        Of attempts that were made besides.
    log_p, log_p_se : array
        The estimate and its standard error.
    """

    successes: Ints
    failures: Ints
    log_p: Floats
    log_p_se: Floats

    @classmethod
    def of(
        cls, successes: Ints, failures: Ints, evidence: Evidence
    ) -> tuple["Estimates", Ints, Ints]:
        """Return the distinct kinds, and the pairs of all problems, dims (row,)."""
        there = evidence.there
        columns = [successes, failures, evidence.log_p, evidence.log_p_se]
        rows = np.stack([np.asarray(one, dtype=float)[there] for one in columns], axis=1)
        kinds, kind = np.unique(rows, axis=0, return_inverse=True)
        a, b = (np.array(one, dtype=np.int64) for one in (successes, failures))
        a[there] = b[there] = -1 - kind.ravel()
        whole = kinds[:, :2].astype(np.int64)
        return cls(whole[:, 0], whole[:, 1], kinds[:, 2], kinds[:, 3]), a, b

    def at(self, which: Any) -> "Estimates":
        """Return some of the kinds."""
        columns = (self.successes, self.failures, self.log_p, self.log_p_se)
        return Estimates(*(one[which] for one in columns))

    def log_density(self, log_p: Floats, log_q: Floats) -> Floats:
        """Return the log of p^c (1-p)^f times the density of the estimate, dims (kind, node)."""
        z = (self.log_p[:, None] - log_p) / self.log_p_se[:, None]
        normal = -0.5 * z * z - np.log(self.log_p_se[:, None] * np.sqrt(2 * np.pi))
        c, f = (one.astype(float)[:, None] for one in (self.successes, self.failures))
        if not (self.successes.any() or self.failures.any()):
            return np.asarray(normal)
        return np.asarray(normal + log_power(c, f, log_p, log_q, np.zeros(1)))

    def peaks(self) -> tuple[Floats, Floats]:
        """Return where on the logit axis each is largest, and how wide it is there, dims (kind,).

        Its slope over (1-p) falls all along the axis, so that it has one peak.
        """
        c, f = self.successes.astype(float), self.failures.astype(float)
        precision = self.log_p_se**-2
        low, high = np.full(len(c), -800.0), np.full(len(c), 40.0)
        for _ in range(70):
            x = (low + high) / 2
            rises = c - f * np.exp(x) + (self.log_p - NUMPY.log_sigmoid(x)) * precision > 0
            low, high = np.where(rises, x, low), np.where(rises, high, x)
        x = (low + high) / 2
        p, q = sp.expit(x), sp.expit(-x)
        off = np.maximum(self.log_p - NUMPY.log_sigmoid(x), 0.0)
        curvature = (c + f) * p * q + precision * (q * q + off * p * q)
        with np.errstate(divide="ignore"):
            return x, 1 / np.sqrt(curvature)

    def edges(self) -> Floats:
        """Return edges of panels about all narrow peaks; those that lie together share them."""
        x, sd = self.peaks()
        x, sd = x[sd < WIDE], sd[sd < WIDE]
        width = np.exp2(np.floor(2 * np.log2(sd)) / 2)
        peak = np.unique(np.stack([np.rint(x / width), width], axis=1), axis=0)
        return np.asarray(((peak[:, :1] + ABOUT) * peak[:, 1:]).ravel())


@dataclass(frozen=True, eq=False)
class EvidentDensity(Nodes):
    """A density of p, where pairs (a, b) may be estimates."""

    inner: Smooth
    table: Estimates

    def _log_kernel(self, a: Any, b: Any, log_p: Floats, log_q: Floats) -> Floats:
        """Return logs of the pairs at some p, dims (pair, node)."""
        return log_kernel_of(
            a, b, log_p, log_q, lambda some: self.table.at(some).log_density(log_p, log_q)
        )

    def constants(
        self,
        a: Floats,
        b: Floats,
        parameters: Parameters | None = None,
        cuts: ArrayLike = (),
        finer: ArrayLike = (),
        also: Callable[[Floats, Floats], Floats] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Return nodes for the pairs, and what pairs are at them; see :meth:`Nodes.constants`.

        They serve the functions of p whose logs are `also`, too.
        """
        a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
        parameters = prior_parameters(self.inner) if parameters is None else parameters
        codes = codes_of(a, b)
        plain = codes < 0
        known = np.unique(codes[~plain])
        some = known[np.linspace(0, len(known) - 1, min(len(known), MOST_TRIED)).astype(int)]
        tried, counted = self.table.at(some), powers(a[plain], b[plain])

        def log_kernel(log_p: Floats, log_q: Floats) -> Floats:
            more = [] if also is None else [also(log_p, log_q)]
            each = tried.log_density(log_p, log_q)
            return np.concatenate([each, *more, counted(log_p, log_q)])

        edges = np.union1d(finer, about_peaks(a[plain], b[plain]))
        edges = np.union1d(edges, self.table.at(known).edges())
        nodes = self.inner.nodes(log_kernel, representatives(parameters), cuts, edges)
        if (size := len(a) * len(nodes["log_p"])) > MOST_NUMBERS:
            raise OptionError(
                f"log_p of {len(known):,} different problems takes {8 * size / 1e9:.1f} GB, as "
                f"some of log_p_se is as small as {self.table.log_p_se.min():.2g}. What to do: "
                "round log_p, and give log_p_se no smaller than that"
            )
        return nodes | self.kernel(nodes, a, b)

    def kernel(self, nodes: Mapping[str, Any], a: Floats, b: Floats) -> dict[str, NDArray[Any]]:
        """Return the pairs, and what they are at the nodes over their largest."""
        log_kernel = self._log_kernel(a, b, nodes["log_p"], nodes["log_q"])
        top = log_kernel.max(-1)
        kernel = np.exp(log_kernel - top[:, None])
        return {"a": np.asarray(a), "b": np.asarray(b), "kernel": kernel, "kernel_top": top}

    def pieces(
        self,
        parameters: Parameters,
        constants: Mapping[str, Any],
        xp: Special,
        log_above: float = -np.inf,
    ) -> list[Piece]:
        """Return the nodes of the density; see :meth:`Nodes.pieces`."""
        return self.inner.pieces(parameters, constants, xp, log_above)

    def log_moment(self, parameters: Parameters, a: ArrayLike, b: ArrayLike) -> Floats:
        """Return the log density of estimates, or log E[p^a (1-p)^b] of ordinary powers."""
        return log_moment_of(self, parameters, parameters, a, b, self._in_logs)

    def _in_logs(self, parameters: Parameters, constants: Mapping[str, Any]) -> Floats:
        """Return log moments, dims (draw, pair), however small."""
        (piece,) = self.pieces(parameters, constants, NUMPY)
        return self._sum(piece, constants) - sp.logsumexp(piece.log_weights, axis=-1)[:, None]

    def _sum(self, piece: Piece, constants: Mapping[str, Any], above: Any = 0.0) -> Floats:
        """Return logs of the sums of weight times pair, dims (draw, pair); small ones in logs."""
        log_weights = piece.log_weights + above
        top = piece.log_weights.max(-1, keepdims=True)
        with np.errstate(divide="ignore"):
            found = np.log(np.exp(log_weights - top) @ constants["kernel"].T)
        found = found + top + constants["kernel_top"]
        low = found < top + constants["kernel_top"] - 500
        for i in np.flatnonzero(low.any(0)):
            one = constants["a"][i : i + 1], constants["b"][i : i + 1]
            log_kernel = self._log_kernel(*one, constants["log_p"], constants["log_q"])[0]
            found[low[:, i], i] = sp.logsumexp(log_weights[low[:, i]] + log_kernel, axis=-1)
        return np.asarray(found)

    def _above(
        self, parameters: Parameters, constants: Mapping[str, Any], log_above: float
    ) -> Floats:
        """Return the share above one threshold, dims (draw, pair)."""
        (piece,) = self.pieces(parameters, constants, NUMPY)
        above = np.where(constants["log_p"] > log_above, 0.0, NOTHING)
        share = self._sum(piece, constants, above) - self._sum(piece, constants)
        return np.exp(share).clip(0.0, 1.0)

    def nodes_of_seen(self, a: Floats, b: Floats, parameters: Parameters) -> dict[str, Any]:
        """Return the nodes to draw from given estimates, which serve further attempts too."""
        codes = codes_of(a, b)
        where = np.log((np.maximum(a, 0) + 0.5) / (np.maximum(b, 0) + 0.5))
        where[codes >= 0] = self.table.peaks()[0][codes[codes >= 0]]
        lowest = np.argsort(where, kind="stable")[:3]
        further = 10.0 ** np.arange(13)[:, None, None]

        def later(log_p: Floats, log_q: Floats) -> Floats:
            each = self._log_kernel(a[lowest], b[lowest], log_p, log_q) + further * log_q
            return np.asarray(each.reshape(-1, len(log_p)))

        return self.constants(a, b, parameters, also=later)

    def _weighed(
        self, parameters: Parameters, whole: Mapping[str, Any], of: Callable[[Any], Floats]
    ) -> Iterator[tuple[slice, int, Floats, Floats]]:
        """Yield for some draws and a pair a value of each node, and its posterior weight."""
        at = 0
        for part in parts(parameters, len(whole["log_p"]) * 4):
            (piece,) = self.pieces(part, whole, NUMPY)
            draws = slice(at, at + len(piece.log_weights))
            at = draws.stop
            log_weights = piece.log_weights - piece.log_weights.max(-1, keepdims=True)
            highest = log_weights.max(0)
            values = of(piece)
            for i in range(len(whole["a"])):
                one = whole["a"][i : i + 1], whole["b"][i : i + 1]
                log_kernel = self._log_kernel(*one, whole["log_p"], whole["log_q"])[0]
                most = highest + log_kernel
                some = most > most.max() - NEGLIGIBLE
                logs = log_weights[:, some] + log_kernel[some]
                top = logs.max(-1, keepdims=True)
                if top.min() < most.max() - NEGLIGIBLE / 3:  # a draw has its own nodes elsewhere
                    some = np.ones(len(some), dtype=bool)
                    logs = log_weights + log_kernel
                    top = logs.max(-1, keepdims=True)
                yield draws, i, values[some], np.exp(logs - top)


@final
@dataclass(frozen=True)
class Evident(Patterned):
    """A family as it sees problems whose log p was estimated; made by :func:`seen_by`.

    No choice of users: a fit is of the family within, and its counts hold the estimates.
    """

    name: ClassVar[str] = "evident"
    when: ClassVar[str] = "log p was estimated"
    location: ClassVar[str] = ""

    base: Family
    table: Estimates = field(compare=False, repr=False)

    @property
    def components(self) -> tuple[Family, ...]:
        """Those of the family within, as which it is known."""
        return self.base.components

    @property
    def priors(self) -> dict[str, Any]:
        """Those of the family within."""
        return self.base.priors

    @property
    def full_name(self) -> str:
        """That of the family within."""
        return self.base.full_name

    def spec(self) -> dict[str, Any]:
        """Return that of the family within."""
        return self.base.spec()

    def outcomes(self, successes: Ints, failures: Ints) -> tuple[Ints, Ints]:
        """Return the counts of problems, estimates or not; see :meth:`Family.outcomes`."""
        codes = codes_of(successes, failures)
        if (codes < 0).all():
            return successes, failures
        own = self.table.at(np.maximum(codes, 0))
        return (
            np.where(codes < 0, successes, own.successes),
            np.where(codes < 0, failures, own.failures),
        )

    def prior(self, declare: Declare, xp: Special = NUMPY) -> dict[str, Any]:
        """Declare the parameters of the family within."""
        return self.base.prior(declare, xp)

    def natural(self, free: Parameters, xp: Special = NUMPY) -> dict[str, Any]:
        """Return the natural parameters of the family within."""
        return self.base.natural(free, xp)

    def free(self, natural: Parameters) -> dict[str, Any]:
        """Return the free parameters of the family within."""
        return self.base.free(natural)

    def density(
        self, distribution: Smooth, own: dict[str, Any], parameters: Parameters
    ) -> tuple[Nodes, dict[str, Any]]:
        """Return a density that knows estimates; see :meth:`Patterned.density`."""
        return EvidentDensity(distribution, self.table), own

    def _rest(self, parameters: Parameters) -> dict[str, Any]:
        return dict(parameters)


def seen_by(
    family: Family,
    successes: Ints,
    failures: Ints,
    runs: Runs | None,
    evidence: Evidence | None,
) -> tuple[Family, Ints, Ints]:
    """Return the family to see these problems with, and what it sees at each, dims (row,).

    As :meth:`Family.seeing`, with estimates of log p where there are any.

    Raises
    ------
    OptionError
        If the family cannot take estimates, or not these.
    """
    if evidence is None:
        return family.seeing(successes, failures, runs)
    family = without(family)
    require_evident(family)
    table, a, b = Estimates.of(successes, failures, evidence)
    if holds(family, (OneInflated,)):
        near = (table.failures == 0) & (table.log_p > -AT_ONE * table.log_p_se)
        if near.any():
            at = int(np.flatnonzero(near)[0])
            raise OptionError(
                f"{family.full_name} holds some problems to have p = 1, which log_p = "
                f"{table.log_p[at]:.4g} with log_p_se = {table.log_p_se[at]:.4g} does not exclude, "
                "and it does not weigh the two. What to do: a family that is not one-inflated"
            )
    return within(family, lambda inner: Evident(inner, table)), a, b


def without(family: Family) -> Family:
    """Return a family as it was before it saw estimates."""
    return within(family, lambda inner: inner.base if isinstance(inner, Evident) else inner)


def require_evident(family: Family) -> None:
    """Raise an error unless a family can take estimates of log p."""
    if holds(family, (Verified, Dependent)):
        raise OptionError(
            f"log_p takes attempts for independent and verdicts for true, and {family.full_name} "
            "does not. What to do: another family, or counts without log_p"
        )
    inner = not_inflated(family)
    leaves = inner.leaves(prior_parameters(inner))
    if not all(isinstance(leaf.distribution, Smooth) for leaf in leaves):
        raise OptionError(
            f"log_p takes families whose density is smooth, which {family.full_name} is not: use "
            "bp.LibbyNovick()"
        )
