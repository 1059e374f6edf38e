"""Evidence of p that is no count: log p was estimated, with a standard error."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse, special as sp

from bayespassk.arrays import Floats, Ints
from bayespassk.cells import Cells
from bayespassk.errors import OptionError
from bayespassk.evidence import Evidence
from bayespassk.families.base import Declare, Family, Leaf, Parameters
from bayespassk.families.dependent import Dependent
from bayespassk.families.inflated import OneInflated
from bayespassk.families.patterned import (
    Patterned,
    are_plain,
    codes_of,
    holds,
    log_moment_of,
    within,
)
from bayespassk.families.quadrature import (
    Nodes,
    Piece,
    Quadrature,
    kernel_at,
    log_peak,
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

PANEL = 4.9
"""Widest panel about a peak, in standard deviations, with which a normal is integrated to 1e-11."""

REACH = 9.0
"""How far from a peak panels are so narrow, in standard deviations."""

MOST_NUMBERS = 100_000_000
"""Numbers that all estimates at all nodes may take in a graph, which knows no others but these."""

BAND = 200.0
"""How far below its largest the log of an estimate is kept: beyond, it is 0, unless nothing else
is left of a sum."""

FULL = 0.25
"""Share of the nodes that estimates need for it to be faster to keep all."""

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
        return Estimates(*(one[which] for one in self._columns))

    @property
    def _columns(self) -> tuple[Any, Any, Any, Any]:
        return self.successes, self.failures, self.log_p, self.log_p_se

    def log_density(self, log_p: Floats, log_q: Floats) -> Floats:
        """Return the log of p^c (1-p)^f times the density of the estimate, dims (..., kind, node).

        log_p and log_q are log p and log (1-p), dims (..., node).
        """
        each = Estimates(*(one[:, None] for one in self._columns))
        return each.log_density_each(log_p[..., None, :], log_q[..., None, :])

    def log_density_each(self, log_p: Floats, log_q: Floats) -> Floats:
        """Return the same of each kind at a p of its own."""
        z = (self.log_p - log_p) / self.log_p_se
        normal = -0.5 * z * z - np.log(self.log_p_se * np.sqrt(2 * np.pi))
        if not (self.successes.any() or self.failures.any()):
            return np.asarray(normal)
        c, f = self.successes.astype(float), self.failures.astype(float)
        return np.asarray(normal + log_power(c, f, log_p, log_q, np.zeros(1)))

    def highest(self) -> Floats:
        """Return the largest value of each."""
        x = self.peaks()[0]
        return self.log_density_each(NUMPY.log_sigmoid(x), NUMPY.log_sigmoid(-x))

    def bands(self, log_p: Floats) -> tuple[Ints, Ints]:
        """Return from which node and up to which, exclusive, each is not negligible, dims (kind,).

        log_p rises, dims (node,).
        """
        c, f = self.successes.astype(float), self.failures.astype(float)
        without_normal = log_peak(c, f) - np.log(self.log_p_se * np.sqrt(2 * np.pi))
        far = self.log_p_se * np.sqrt(2 * (BAND + np.maximum(without_normal - self.highest(), 0)))
        first = np.searchsorted(log_p, self.log_p - far)
        end = np.searchsorted(log_p, self.log_p + far, side="right")
        first = np.minimum(first, len(log_p) - 1)
        return first, np.maximum(end, first + 1)

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
        """Return edges of panels about all narrow peaks: multiples of powers of 2."""
        x, sd = self.peaks()
        x, sd = x[sd < WIDE], sd[sd < WIDE]
        width = np.exp2(np.floor(np.log2(PANEL * sd)))
        first, end = (np.floor((x + far * sd) / width) for far in (-REACH, REACH))
        about = first[:, None] + np.arange(int((end - first).max(initial=-1)) + 2)
        each = np.where(about <= end[:, None] + 1, about, first[:, None]) * width[:, None]
        return np.unique(each)


@dataclass(frozen=True, eq=False)
class EvidentDensity(Nodes):
    """A density of p, whose pairs (a, b) are estimates.

    The constants have of each pair its successes a and failures b, `estimate` and `precision`, the
    log of its largest value without the density of the estimate, `kernel_top`, and with it,
    `added`; and what it is at the fixed nodes over the largest: `kernel`, dims (pair, node), or
    where most of that is nothing, the rows of a sparse array. `code` is its number below 0.
    """

    inner: Quadrature
    table: Estimates

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
        known = np.unique(codes_of(a, b))
        some = known[np.linspace(0, len(known) - 1, min(len(known), MOST_TRIED)).astype(int)]
        tried, alone = self.table.at(some), powers(np.zeros(0), np.zeros(0))

        def log_kernel(log_p: Floats, log_q: Floats) -> Floats:
            more = [] if also is None else [also(log_p, log_q)]
            each = [tried.log_density(log_p, log_q), *more, alone(log_p, log_q)]
            return np.concatenate(each, axis=-2)

        edges = np.union1d(finer, self.table.at(known).edges())
        nodes = self.inner.nodes(log_kernel, representatives(parameters), cuts, edges)
        return nodes | self.kernel(nodes, a, b)

    def kernel(self, nodes: Mapping[str, Any], a: Floats, b: Floats) -> dict[str, NDArray[Any]]:
        """Return the pairs, and what they are at the nodes over their largest."""
        codes = codes_of(a, b)
        if (codes < 0).any():
            raise ValueError("counts alone are for the density within")
        own = self.table.at(codes)
        added = own.highest()
        log_norm = -np.log(own.log_p_se * np.sqrt(2 * np.pi))
        found: dict[str, NDArray[Any]] = {
            "code": np.minimum(a, b).astype(np.int64),
            "a": own.successes.astype(float),
            "b": own.failures.astype(float),
            "estimate": own.log_p,
            "precision": own.log_p_se**-2.0,
            "kernel_top": added - log_norm,
            "added": added,
        }
        log_p, log_q = nodes["log_p"], nodes["log_q"]
        first, end = own.bands(log_p)
        ends = np.cumsum(end - first)
        if len(a) == 0 or ends[-1] > FULL * len(a) * len(log_p):
            return found | {"kernel": np.exp(own.log_density(log_p, log_q) - added[:, None])}
        row = np.repeat(np.arange(len(a)), end - first)
        node = np.arange(ends[-1]) + (end - ends)[row]
        logs = own.at(row).log_density_each(log_p[node], log_q[node]) - added[row]
        found |= {"row_values": np.exp(logs), "row_nodes": node, "row_ends": np.append(0, ends)}
        return found

    def filled(self, constants: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Return constants with the values of all pairs at all nodes, as a graph takes them."""
        if "kernel" in constants:
            return dict(constants)
        if (size := len(constants["a"]) * len(constants["log_p"])) > MOST_NUMBERS:
            raise OptionError(
                f"log_p of {len(constants['a']):,} different problems takes {8 * size / 1e9:.1f} "
                f"GB, as some of log_p_se is as small as {self.table.log_p_se.min():.2g}. What to "
                "do: method='quadrature', which takes less; or round log_p, and give log_p_se no "
                "smaller than that"
            )
        rest = {name: one for name, one in constants.items() if not name.startswith("row_")}
        return rest | {"kernel": _rows(constants).toarray()}

    def pieces(
        self,
        parameters: Parameters,
        constants: Mapping[str, Any],
        xp: Special,
        log_above: float = -np.inf,
    ) -> list[Piece]:
        """Return the nodes of the density; see :meth:`Nodes.pieces`."""
        return self.inner.pieces(parameters, constants, xp, log_above)

    def numbers(self, constants: Mapping[str, Any], pairs: int) -> int:
        """Return how many numbers are held for each draw; see :meth:`Nodes.numbers`."""
        moving = len(constants["near"]) if "near" in constants else 0
        return 4 * len(constants["log_p"]) + pairs * (1 + 4 * moving)

    def of_pairs(self, constants: Mapping[str, Any], which: Any) -> dict[str, Any]:
        """Return the constants of some of the pairs; see :meth:`Nodes.of_pairs`."""
        codes = constants["code"][which].astype(float)
        return {**constants, **self.kernel(constants, codes, codes)}

    def log_moments(
        self,
        parameters: Parameters,
        constants: Mapping[str, Any],
        xp: Special,
        system: Any = None,
    ) -> Any:
        """Return the log density of the estimates; see :meth:`Nodes.log_moments`."""
        if xp is not NUMPY or system is not None:
            return super().log_moments(parameters, constants, xp, system)
        return self._in_logs(parameters, constants)

    def log_moment(self, parameters: Parameters, a: ArrayLike, b: ArrayLike) -> Floats:
        """Return the log density of estimates, or log E[p^a (1-p)^b] of ordinary powers."""
        return log_moment_of(self, parameters, parameters, a, b, self._exactly_in_logs)

    def _exactly_in_logs(self, parameters: Parameters, constants: Mapping[str, Any]) -> Floats:
        return self._in_logs(parameters, constants, exact=True)

    def _in_logs(
        self, parameters: Parameters, constants: Mapping[str, Any], *, exact: bool = False
    ) -> Floats:
        """Return log moments, dims (draw, pair), however small."""
        pieces = self.pieces(parameters, constants, NUMPY)
        mass = np.logaddexp.reduce([sp.logsumexp(one.log_weights, axis=-1) for one in pieces])
        return np.asarray(self._log_sums(pieces, constants, exact=exact) - mass[:, None])

    def _log_sums(
        self, pieces: list[Piece], constants: Mapping[str, Any], *, exact: bool
    ) -> Floats:
        """Return logs of the sums of weight times pair, dims (draw, pair).

        Where density and estimate exclude each other, they are of the nodes about the estimate, or
        if `exact`, of all.
        """
        top = np.max([one.log_weights.max(-1) for one in pieces], axis=0)[:, None]
        total: Any = 0.0
        for piece in pieces:
            weights = np.exp(piece.log_weights - top)
            if piece.log_p.ndim > 1:
                kernel = kernel_at(piece, constants, NUMPY, None)
                total = total + (weights[:, None] * kernel).sum(-1)
            elif "kernel" in constants:
                total = total + weights @ constants["kernel"].T
            else:
                total = total + (_rows(constants) @ weights.T).T
        low = total < 1e-200
        with np.errstate(divide="ignore"):
            found = np.log(total) + top + constants["added"]
        for i in np.flatnonzero(low.any(0)):
            draws = low[:, i]
            logs = [self._logs(one, constants, i, draws, whole=exact) for one in pieces]
            found[draws, i] = sp.logsumexp(np.concatenate(logs, -1), axis=-1)
        return np.asarray(found)

    def _logs(
        self, piece: Piece, constants: Mapping[str, Any], i: Any, draws: Any, *, whole: bool
    ) -> Floats:
        """Return logs of weight times one pair at its nodes, or at all, dims (draw, node)."""
        at = slice(None) if whole else _band(piece, constants, i)
        moving = piece.log_p.ndim > 1
        log_p, log_q = (one[draws] if moving else one[at] for one in (piece.log_p, piece.log_q))
        log_weights = piece.log_weights[draws]
        return np.asarray(
            (log_weights if moving else log_weights[:, at]) + self._of(constants, i, log_p, log_q)
        )

    def _of(self, constants: Mapping[str, Any], i: Any, log_p: Floats, log_q: Floats) -> Floats:
        """Return the log of one pair at some nodes, dims (node,) or (draw, node)."""
        own = self.table.at(codes_of(constants["code"][i : i + 1], 0))
        return own.log_density(log_p, log_q)[..., 0, :]

    def _above(
        self, parameters: Parameters, constants: Mapping[str, Any], log_above: float
    ) -> Floats:
        """Return the share above one threshold, dims (draw, pair)."""
        each = [
            self._log_sums(self.pieces(parameters, constants, NUMPY, above), constants, exact=True)
            for above in (log_above, -np.inf)
        ]
        return np.exp(each[0] - each[1]).clip(0.0, 1.0)

    def spread(
        self, parameters: Parameters, a: Floats, b: Floats
    ) -> Iterator[tuple[slice, int, Floats, Floats]]:
        """Yield how p is spread over the nodes, of estimates or of counts; see `Nodes.spread`."""
        plain = codes_of(a, b) < 0
        for which, of in ((plain, self.inner.spread), (~plain, super().spread)):
            if which.any():
                for draws, i, logit, shares in of(parameters, a[which], b[which]):
                    yield draws, int(np.flatnonzero(which)[i]), logit, shares

    def nodes_of_seen(self, a: Floats, b: Floats, parameters: Parameters) -> dict[str, Any]:
        """Return the nodes to draw from given estimates, which serve further attempts too."""
        own = self.table.at(codes_of(a, b))
        lowest = own.at(np.argsort(own.peaks()[0], kind="stable")[:3])
        further = 10.0 ** np.arange(13)[:, None, None]

        def later(log_p: Floats, log_q: Floats) -> Floats:
            each = lowest.log_density(log_p, log_q)[..., None, :, :]
            each = each + further * log_q[..., None, None, :]
            return np.asarray(each.reshape(*each.shape[:-3], -1, each.shape[-1]))

        return self.constants(a, b, parameters, also=later)

    def _weighed(
        self, parameters: Parameters, whole: Mapping[str, Any], of: Callable[[Any], Floats]
    ) -> Iterator[tuple[slice, int, Floats, Floats]]:
        """Yield for some draws and a pair a value of each node, and its posterior weight."""
        at, pairs = 0, len(whole["a"])
        log_p, log_q = whole["log_p"], whole["log_q"]
        bands = [slice(first, end) for first, end in zip(*self._bands(whole), strict=True)]
        kernels = [self._of(whole, i, log_p[one], log_q[one]) for i, one in enumerate(bands)]
        for part in parts(parameters, self.numbers(whole, 1)):
            fixed, *moving = self.pieces(part, whole, NUMPY)
            highest, peak = fixed.log_weights.max(0), fixed.log_weights.max(-1)
            value, draws = of(fixed), slice(at, at + len(peak))
            at = draws.stop
            for i in range(pairs):
                more = [self._logs(one, whole, i, slice(None), whole=True) for one in moving]
                most = highest[bands[i]] + kernels[i]
                some = bands[i].start + np.flatnonzero(most > most.max() - NEGLIGIBLE)
                logs = [fixed.log_weights[:, some] + kernels[i][some - bands[i].start], *more]
                values = [value[some], *map(of, moving)]
                top = np.max([one.max(-1) for one in logs], axis=0)
                # A draw may have its own nodes elsewhere: beside these, or beyond the band.
                if top.min() < most.max() - NEGLIGIBLE / 3:
                    near = (top > peak + whole["added"][i] - BAND + NEGLIGIBLE).all()
                    here = bands[i] if near else slice(None)
                    logs[0] = fixed.log_weights[:, here] + self._of(
                        whole, i, log_p[here], log_q[here]
                    )
                    values[0] = value[here]
                    top = np.max([one.max(-1) for one in logs], axis=0)
                weights = np.exp(np.concatenate(logs, -1) - top[:, None])
                if not moving:
                    yield draws, i, values[0], weights
                    continue
                wide = [np.broadcast_to(v, w.shape) for v, w in zip(values, logs, strict=True)]
                yield draws, i, np.concatenate(wide, -1), weights

    def _bands(self, constants: Mapping[str, Any]) -> tuple[Ints, Ints]:
        codes = codes_of(constants["code"], 0)
        return self.table.at(codes).bands(constants["log_p"])


def _rows(constants: Mapping[str, Any]) -> Any:
    """Return the pairs at the fixed nodes, most of which is nothing."""
    shape = len(constants["a"]), len(constants["log_p"])
    names = "row_values", "row_nodes", "row_ends"
    return sparse.csr_matrix(tuple(constants[name] for name in names), shape=shape)


def _band(piece: Piece, constants: Mapping[str, Any], i: Any) -> slice:
    """Return the fixed nodes at which a pair is not negligible."""
    if "kernel" in constants or piece.log_p.ndim > 1:
        return slice(None)
    first, end = constants["row_ends"][i : i + 2]
    node = constants["row_nodes"]
    return slice(node[first], node[end - 1] + 1)


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
        self, distribution: Quadrature, own: dict[str, Any], parameters: Parameters
    ) -> tuple[Nodes, dict[str, Any]]:
        """Return a density that knows estimates; see :meth:`Patterned.density`."""
        return EvidentDensity(distribution, self.table), own

    def _rest(self, parameters: Parameters) -> dict[str, Any]:
        return dict(parameters)

    def constants(
        self,
        a: Floats,
        b: Floats,
        parameters: Parameters | None = None,
        *,
        finer: ArrayLike = (),
    ) -> dict[str, NDArray[Any]]:
        """Return those of the family within for problems with counts alone, `plain_`.

        And of each part with a density for the others, `known_1_` ...; and which are which.
        """
        a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
        plain = codes_of(a, b) < 0
        found: dict[str, NDArray[Any]] = {
            "plain_at": np.flatnonzero(plain),
            "known_at": np.flatnonzero(~plain),
        }
        found["order"] = np.argsort(np.concatenate(list(found.values())), kind="stable")
        if plain.any():
            own = self.base.constants(a[plain], b[plain], parameters, finer=finer)
            found |= {f"{PLAIN}{name}": value for name, value in own.items()}
        if not plain.all():
            for start, leaf in self._leaves(
                prior_parameters(self) if parameters is None else parameters
            ):
                own = leaf.distribution.constants(
                    a[~plain], b[~plain], leaf.parameters, finer=finer
                )
                found |= {f"{start}{name}": value for name, value in own.items()}
        return found

    def _leaves(self, parameters: Parameters, xp: Special = NUMPY) -> Iterator[tuple[str, Leaf]]:
        """Yield the leaves, and how the names of their constants begin."""
        for j, leaf in enumerate(self.leaves(parameters, xp), 1):
            yield f"known_{j}_", leaf

    def likelihood_data(self, cells: Cells) -> dict[str, NDArray[Any]]:
        """Return the constants of the cells as a graph takes them; see `Family`."""
        data = super().likelihood_data(cells)
        for start, leaf in self._leaves(prior_parameters(self)):
            own = _beginning(data, start)
            data = {name: value for name, value in data.items() if not name.startswith(start)}
            if own:
                filled = leaf.distribution.filled(own)
                data |= {f"{start}{name}": value for name, value in filled.items()}
        return data

    def numbers(self, constants: Mapping[str, Any], pairs: int) -> int:
        """Return how many numbers are held for each draw; see :meth:`Family.numbers`."""
        plain, known = (len(constants[name]) for name in ("plain_at", "known_at"))
        total = 0
        if plain:
            total += self.base.numbers(_beginning(constants, PLAIN), plain)
        if known:
            for start, leaf in self._leaves(prior_parameters(self)):
                total += leaf.distribution.numbers(_beginning(constants, start), known)
        return max(total, pairs)

    def log_moments(
        self,
        parameters: Parameters,
        constants: Mapping[str, Any],
        xp: Special,
        system: Any = None,
    ) -> Any:
        """Return the log probability of the pairs that `constants` were made for."""
        each, of = [], {name: constants[f"{name}_at"] for name in ("plain", "known")}
        systems = {name: None if system is None else system[at] for name, at in of.items()}
        if plain := _beginning(constants, PLAIN):
            each.append(self.base.log_moments(parameters, plain, xp, systems["plain"]))
        total: Any = None
        for start, leaf in self._leaves(parameters, xp):
            if not (own := _beginning(constants, start)):
                continue
            term = leaf.distribution.log_moments(leaf.parameters, own, xp, systems["known"])
            if leaf.log_share is not None:
                share = (
                    leaf.log_share[..., None]
                    if system is None
                    else leaf.log_share[systems["known"]]
                )
                term = term + share
            total = term if total is None else xp.logaddexp(total, term)
        each += [] if total is None else [total]
        if len(each) == 1:
            return each[0]
        return xp.concatenate(each, axis=-1).T[constants["order"]].T

    def survival(
        self, parameters: Parameters, above: ArrayLike, a: ArrayLike = 0.0, b: ArrayLike = 0.0
    ) -> Floats:
        """Return the probability that p lies above, given what was seen; see `Family`."""
        above, a, b = np.broadcast_arrays(*(np.asarray(one, float) for one in (above, a, b)))
        plain = codes_of(a, b) < 0
        shape = np.broadcast_shapes(*(np.shape(p) for p in parameters.values()))
        values = np.empty(shape + a.shape)
        for which, of in ((plain, self.base.survival), (~plain, super().survival)):
            if which.any():
                values[..., which] = of(parameters, above[which], a[which], b[which])
        return values

    def draw_seen(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        successes: NDArray[np.int64],
        failures: NDArray[np.int64],
    ) -> Floats:
        """Draw p of problems seen with counts or estimates, dims (draw, problem)."""
        if are_plain(successes, failures):
            return self.base.draw_seen(parameters, rng, successes, failures)
        plain = codes_of(successes, failures) < 0
        p = np.empty((len(next(iter(parameters.values()))), len(plain)))
        for which, of in ((plain, self.base.draw_seen), (~plain, super().draw_seen)):
            if which.any():
                p[:, which] = of(parameters, rng, successes[which], failures[which])
        return p


PLAIN = "plain_of_"
"""How the names of constants begin that are of problems with counts alone."""


def _beginning(constants: Mapping[str, Any], start: str) -> dict[str, Any]:
    """Return the constants whose names begin so, without that."""
    return {n.removeprefix(start): value for n, value in constants.items() if n.startswith(start)}


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
