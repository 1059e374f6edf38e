"""Moments by quadrature, for families without a closed form.

Integrals over p are taken on the axis x = logit p, by Gauss-Legendre rules on panels. The panels
are halved until every integrand in question is integrated to `TOLERANCE`, so that the nodes follow
the integrands: a fixed rule is wrong by 1.4 in log E[p^5000 (1-p)^5000], and nothing in its result
says so. The masses beyond the first and the last node are exponential tails in closed form.

In a likelihood only the density at the nodes depends on the parameters; what depends on the counts
is a constant matrix. The cost of a gradient is that of one product with it.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special as sp

from bayespassk.arrays import CHUNK, Floats
from bayespassk.families.base import (
    ByCell,
    Family,
    Leaf,
    Parameters,
    distinct_draws,
    draw_prior,
)
from bayespassk.special import NUMPY, Special

__all__ = [
    "LogKernel",
    "Nodes",
    "Piece",
    "Quadrature",
    "Smooth",
    "about_peaks",
    "adaptive_panels",
    "few_pairs",
    "kernel_at",
    "log_power",
    "panel_nodes",
    "parts",
    "powers",
    "prior_parameters",
    "refine",
    "representatives",
]

type LogKernel = Callable[[Floats, Floats], Floats]
"""Takes log p and log (1-p), dims (..., node), to logs of functions of p, (..., pair, node)."""

TOLERANCE = 1e-10
"""Error of a panel, relative to the whole integral."""

ORDER = 12
LEVELS = 34
"""Halvings: enough for counts of 2^53, whose p^a (1-p)^b is 1e-8 wide."""

DROP = 10.0
"""What the log of an integrand falls by from one panel to the next where it may peak between.

If it is of a thousand attempts or fewer, it falls less between the nodes beside an edge."""

NOWHERE = -1e29
"""The logs of densities are below this where there is none: their end is not a peak."""

FARTHEST = -3000.0, 200.0
"""How far panels go, at least: to p = exp(-3000) where a density is not known to be exponential
before, and not so far to the right that log p = -exp(-x) comes near underflow."""

MANY = 1e8
"""Attempts from which on p^a (1-p)^b takes more care: its logs are right to 1e-8 before."""

REPRESENTATIVES = 10
"""Draws of the parameters for which panels are chosen."""

MOST_PAIRS = 200
"""Pairs (a, b) for which panels are chosen, if there are more."""

NARROW = 0.01
"""Standard deviation on the axis of logit p of a p^a (1-p)^b that pairs beside it may not resolve:
of 40,000 attempts or more."""

ABOUT = np.array([-8.0, -5.0, -2.5, 0.0, 2.5, 5.0, 8.0])
"""Edges of panels about such a peak, in standard deviations."""

TINY = np.float64(1e-300)
"""Added before a logarithm: keeps gradients finite where prior and counts exclude each other."""


@dataclass(frozen=True)
class Piece:
    """Some of the nodes of a quadrature: for all draws the same, or following the parameters.

    Attributes
    ----------
    log_p, log_q : array, dims (node,) or (..., node)
        log p and log (1-p) at the nodes.
    log_weights : array, dims (..., node)
        log of density times weight.
    kernel : array, dims (pair, node), or None
        p^a (1-p)^b over its largest value, where the nodes do not follow the parameters.
    """

    log_p: Any
    log_q: Any
    log_weights: Any
    kernel: Any = None


class Nodes(ABC):
    """What follows from nodes with weights: the moments of a distribution, and draws from it."""

    reaches_one: ClassVar[bool] = True
    """Whether p may be so near to 1 that 1e12 attempts may all succeed."""

    @abstractmethod
    def constants(
        self,
        a: Floats,
        b: Floats,
        parameters: Parameters | None = None,
        cuts: ArrayLike = (),
        finer: ArrayLike = (),
    ) -> dict[str, NDArray[Any]]:
        """Return the nodes for the pairs (a, b), and p^a (1-p)^b at them.

        No panel reaches across any of `cuts`, which are values of logit p; those at `finer`, the
        edges about peaks of p^a (1-p)^b, are divided there.
        """

    @abstractmethod
    def kernel(self, nodes: Mapping[str, Any], a: Floats, b: Floats) -> dict[str, NDArray[Any]]:
        """Return the part of the constants that is about the pairs (a, b), at given nodes."""

    @abstractmethod
    def pieces(
        self,
        parameters: Parameters,
        constants: Mapping[str, Any],
        xp: Special,
        log_above: float = -np.inf,
    ) -> list[Piece]:
        """Return all nodes, with their weights given the parameters, dims (...).

        Those with log p up to `log_above`, which is one of the cuts of `constants`, weigh nothing.
        """

    def of_pairs(self, constants: Mapping[str, Any], which: Any) -> dict[str, Any]:
        """Return the constants of some of the pairs."""
        names = {"a", "b", "kernel", "kernel_top"} & set(constants)
        return {**constants, **{name: constants[name][which] for name in names}}

    def numbers(self, constants: Mapping[str, Any], pairs: int) -> int:
        """Return how many numbers are held for each draw while moments are computed.

        Nodes that follow the parameters take as many as there are pairs of pair and node.
        """
        return pairs * len(constants["log_p"])

    def scaled(
        self, parameters: Parameters, constants: Mapping[str, Any], xp: Special, system: Any = None
    ) -> Mapping[str, Any]:
        """Return the constants with what p^a (1-p)^b is divided by, if the parameters rule it."""
        return constants

    def log_moments(
        self,
        parameters: Parameters,
        constants: Mapping[str, Any],
        xp: Special,
        system: Any = None,
    ) -> Any:
        """Return the log of the mean of p^a (1-p)^b over the nodes, weighted by the density.

        Divided by the sum of the weights, which is 1 where the nodes resolve the density: where
        they do not, far outside the prior, a moment is that of a distribution all the same, and
        no false mode of the posterior comes of it.
        """
        pieces = self.pieces(parameters, constants, xp)
        return _log_mean(pieces, self.scaled(parameters, constants, xp, system), xp, system)

    def log_moment(self, parameters: Parameters, a: ArrayLike, b: ArrayLike) -> Floats:
        """Return log E[p^a (1-p)^b]; see :meth:`Family.log_moment`."""
        a, b = np.broadcast_arrays(np.asarray(a, dtype=float), np.asarray(b, dtype=float))
        shape = np.broadcast_shapes(*(np.shape(p) for p in parameters.values()))
        flat = {n: np.broadcast_to(p, shape).ravel() for n, p in parameters.items()}
        flat, which = distinct_draws(flat)
        few = few_pairs(a.ravel(), b.ravel())
        finer = about_peaks(a.ravel(), b.ravel())
        constants = self.constants(few[:, 0], few[:, 1], flat, finer=finer)
        step = max(1, CHUNK // len(constants["log_p"]))
        values = np.empty((len(next(iter(flat.values()))), a.size))
        for i in range(0, a.size, step):
            some = slice(i, i + step)
            own = constants | self.kernel(constants, a.ravel()[some], b.ravel()[some])
            each = parts(flat, len(own["a"]) * len(constants["log_p"]))
            values[:, some] = np.concatenate([self._exact(part, own) for part in each])
        return values[which].reshape(shape + a.shape)

    def _exact(self, parameters: Parameters, constants: Mapping[str, Any]) -> Floats:
        """Return log moments, dims (draw, pair), with care for the largest and the smallest.

        Near 1, a moment with a = 0 or b = 0 is found from its complement, which keeps the digits
        of a small pass@k. Where density and p^a (1-p)^b exclude each other, their product is
        summed in logarithms.
        """
        a, b = constants["a"], constants["b"]
        pieces = self.pieces(parameters, constants, NUMPY)
        constants = self.scaled(parameters, constants, NUMPY)
        log_moments = np.asarray(_log_mean(pieces, constants, NUMPY))
        for pairs, exponent, of in ((a == 0, b, "log_q"), (b == 0, a, "log_p")):
            for i in np.flatnonzero(pairs & (log_moments > -0.5).any(0)):
                complement = sum(
                    (np.exp(one.log_weights) * -np.expm1(exponent[i] * getattr(one, of))).sum(-1)
                    for one in pieces
                )
                small = complement < 0.4
                log_moments[small, i] = np.log1p(-complement[small])
        floor = _top(pieces, NUMPY)[:, None] + constants["kernel_top"] - 600
        for draw, i in zip(*np.nonzero(log_moments < floor), strict=True):
            log_moments[draw, i] = _sum_in_logs(pieces, draw, a[i], b[i])
        return log_moments

    def survival(
        self, parameters: Parameters, above: ArrayLike, a: ArrayLike = 0.0, b: ArrayLike = 0.0
    ) -> Floats:
        """Return the integral above a threshold over the whole; see :meth:`Family.survival`.

        Panels end at the thresholds, so that either side is integrated as well as the whole: to
        about 1e-10 of it.
        """
        above, a, b = np.broadcast_arrays(*(np.asarray(one, float) for one in (above, a, b)))
        shape = np.broadcast_shapes(*(np.shape(p) for p in parameters.values()))
        flat = {n: np.broadcast_to(p, shape).ravel() for n, p in parameters.items()}
        inside = np.unique(above[(above > 0) & (above < 1)])
        constants = self.constants(a.ravel(), b.ravel(), flat, sp.logit(inside))
        draws = len(next(iter(flat.values())))
        values = np.tile((above.ravel() <= 0).astype(float), (draws, 1))
        for threshold in inside:
            own = np.flatnonzero(above.ravel() == threshold)
            mine = self.of_pairs(constants, own)
            each = parts(flat, self.numbers(mine, len(own)))
            log_above = float(np.log(threshold))
            values[:, own] = np.concatenate([self._above(one, mine, log_above) for one in each])
        return values.reshape(shape + a.shape)

    def _above(
        self, parameters: Parameters, constants: Mapping[str, Any], log_above: float
    ) -> Floats:
        """Return the share above one threshold, dims (draw, pair)."""
        pieces = self.pieces(parameters, constants, NUMPY)
        constants = self.scaled(parameters, constants, NUMPY)
        upper = self.pieces(parameters, constants, NUMPY, log_above)
        top = _top(pieces, NUMPY)
        whole, _ = _sums(pieces, constants, NUMPY, None, top)
        share = np.asarray(_sums(upper, constants, NUMPY, None, top)[0] / whole)
        for draw, i in zip(*np.nonzero(whole < 1e-260), strict=True):
            pair = constants["a"][i], constants["b"][i]
            share[draw, i] = np.exp(
                _sum_in_logs(upper, draw, *pair) - _sum_in_logs(pieces, draw, *pair)
            )
        return share.clip(0.0, 1.0)

    def draw_seen(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        successes: NDArray[np.int64],
        failures: NDArray[np.int64],
    ) -> Floats:
        """Draw p among the nodes, with the posterior weights of the quadrature.

        Every moment of these draws is the one that the quadrature gives, those of (1-p)^k for k
        up to 1e12 among them, as the nodes are chosen for these too.
        """
        drawn = self.draw_nodes(parameters, rng, successes, failures, lambda piece: piece.log_p)
        return np.asarray(np.exp(drawn))

    def nodes_of_seen(self, a: Floats, b: Floats, parameters: Parameters) -> dict[str, Any]:
        """Return the nodes to draw from given (a, b), which serve further attempts too."""
        later_a, later_b = _with_later(a, b)
        near = a > b  # others are not near p = 1, and nodes for them there are many
        if self.reaches_one and near.any():
            more_b, more_a = _with_later(b[near], a[near])
            later_a = np.concatenate([later_a, more_a[near.sum() :]])
            later_b = np.concatenate([later_b, more_b[near.sum() :]])
        constants = self.constants(later_a, later_b, parameters)
        return self.of_pairs(constants, slice(len(a)))

    def draw_nodes(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        successes: NDArray[np.int64],
        failures: NDArray[np.int64],
        of: Callable[[Any], Floats],
    ) -> Floats:
        """Draw nodes with their posterior weights and return a value of each; see `draw_seen`."""
        pairs, which = np.unique(np.stack([successes, failures], 1), axis=0, return_inverse=True)
        result = np.empty((len(successes), len(next(iter(parameters.values())))))
        if len(pairs) == 0:
            return result.T
        a, b = pairs.astype(float).T
        parameters, point = distinct_draws(parameters)
        order = np.argsort(point, kind="stable")  # what is looked up together lies together
        point = point[order]
        columns = [np.flatnonzero(which == i) for i in range(len(pairs))]
        uniform = [rng.random((len(order), len(copies))) for copies in columns]
        whole = self.nodes_of_seen(a, b, parameters)
        for points, i, values, shares in self._weighed(parameters, whole, of):
            rows = slice(*np.searchsorted(point, [points.start, points.stop]))
            mine = point[rows] - points.start
            node = _choose(shares, mine, uniform[i][rows])
            drawn = values[node] if values.ndim == 1 else values[mine[:, None], node]
            result[np.ix_(columns[i], order[rows])] = drawn.T
        return result.T

    def spread(
        self, parameters: Parameters, a: Floats, b: Floats
    ) -> Iterator[tuple[slice, int, Floats, Floats]]:
        """Yield how p of problems seen with (a, b) is spread over the nodes.

        Some draws of the parameters and the position of a pair at a time, with logit p at the
        nodes, dims (node,) or (draw, node), and the share of each, dims (draw, node).
        """
        whole = self.nodes_of_seen(a, b, parameters)
        for draws, i, logit, shares in self._weighed(parameters, whole, self.logit):
            yield draws, i, logit, shares / shares.sum(-1, keepdims=True)

    def logit(self, piece: Any) -> Floats:
        """Return logit p at the nodes."""
        return np.asarray(piece.log_p - piece.log_q)

    def _weighed(
        self, parameters: Parameters, whole: Mapping[str, Any], of: Callable[[Any], Floats]
    ) -> Iterator[tuple[slice, int, Floats, Floats]]:
        """Yield for some draws and a pair a value of each node, and its posterior weight.

        Dims (node,) or (draw, node), and (draw, node). Nodes that weigh nothing are left out.
        """
        at = 0
        for part in parts(parameters, len(whole["log_p"])):
            constants = self.scaled(part, whole, NUMPY)
            pieces = self.pieces(part, constants, NUMPY)
            top = _top(pieces, NUMPY)
            weights = [np.exp(piece.log_weights - top[:, None]) for piece in pieces]
            draws = slice(at, at + len(top))
            at += len(top)
            for i in range(len(whole["a"])):
                shares, values = _shares(pieces, weights, constants, i, of)
                if len(values) == 1 and values[0].ndim == 1:
                    yield draws, i, values[0], shares[0]
                else:
                    wide = [
                        np.broadcast_to(v, w.shape) for v, w in zip(values, shares, strict=True)
                    ]
                    yield draws, i, np.concatenate(wide, -1), np.concatenate(shares, -1)


class Quadrature(Nodes, ByCell):
    """A family whose density is known and whose moments are not."""

    @abstractmethod
    def log_density(self, parameters: Parameters, log_p: Any, log_q: Any, xp: Special) -> Any:
        """Return the log density of logit p, where log_p = log p and log_q = log (1-p)."""

    @abstractmethod
    def end_rates(self, parameters: Parameters) -> tuple[Any, Any]:
        """Return the rates at which the density falls towards x = -infinity and +infinity."""

    @abstractmethod
    def panels(self, log_kernel: LogKernel, parameters: Parameters) -> Floats:
        """Return the edges of panels that serve the functions of p at these parameters."""

    def leaves(self, parameters: Parameters, xp: Special = NUMPY) -> Iterable[Leaf]:
        """Return the family itself: it has a density."""
        return [Leaf(self, dict(parameters), None)]

    def constants(
        self,
        a: Floats,
        b: Floats,
        parameters: Parameters | None = None,
        cuts: ArrayLike = (),
        finer: ArrayLike = (),
    ) -> dict[str, NDArray[Any]]:
        """Return the nodes for the pairs (a, b); see :meth:`Nodes.constants`."""
        a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
        parameters = prior_parameters(self) if parameters is None else parameters
        finer = np.union1d(finer, about_peaks(a, b))
        nodes = self.nodes(powers(a, b), representatives(parameters), cuts, finer)
        return nodes | self.kernel(nodes, a, b)

    def kernel(self, nodes: Mapping[str, Any], a: Floats, b: Floats) -> dict[str, NDArray[Any]]:
        """Return the pairs, and p^a (1-p)^b at the nodes; see :meth:`Nodes.kernel`."""
        top = log_peak(a, b)
        at = log_power(a[:, None], b[:, None], nodes["log_p"], nodes["log_q"])
        return {"a": a, "b": b, "kernel": np.exp(at), "kernel_top": top}

    def nodes(
        self,
        log_kernel: LogKernel,
        few: Parameters,
        cuts: ArrayLike = (),
        finer: ArrayLike = (),
    ) -> dict[str, NDArray[Any]]:
        """Return nodes that serve functions of p at a few draws of the parameters, dims (draw,).

        Panels end at `cuts`, and at the edges `finer`.
        """
        edges = np.union1d(self.panels(log_kernel, few), finer)
        x, log_weight = _nodes(np.union1d(edges, cuts))
        return {
            "edges": edges,
            "log_p": NUMPY.log_sigmoid(x),
            "log_q": NUMPY.log_sigmoid(-x),
            "log_weight": log_weight,
            "left_end": (np.arange(len(x)) == 0).astype(float),
            "right_end": (np.arange(len(x)) == len(x) - 1).astype(float),
        }

    def fixed(
        self,
        parameters: Parameters,
        constants: Mapping[str, Any],
        xp: Special,
        log_above: float = -np.inf,
    ) -> Piece:
        """Return the nodes on the panels. The first and the last stand for the tails beyond."""
        each = {name: p[..., None] for name, p in parameters.items()}
        left, right = self.end_rates(each)
        log_p, log_q = constants["log_p"], constants["log_q"]
        log_weights = (
            self.log_density(each, log_p, log_q, xp)
            + constants["log_weight"]
            - constants["left_end"] * xp.log(left)
            - constants["right_end"] * xp.log(right)
        )
        if log_above > -np.inf:
            log_weights = xp.where(log_p > log_above, log_weights, np.float64(-1e30))
        return Piece(log_p, log_q, log_weights, constants.get("kernel"))


class Smooth(Quadrature):
    """A family whose density is smooth on the whole logit axis."""

    def pieces(
        self,
        parameters: Parameters,
        constants: Mapping[str, Any],
        xp: Special,
        log_above: float = -np.inf,
    ) -> list[Piece]:
        """Return the fixed nodes."""
        return [self.fixed(parameters, constants, xp, log_above)]

    def panels(self, log_kernel: LogKernel, parameters: Parameters) -> Floats:
        """Return panels on which density times each function of p is integrated well."""
        each = {name: p[:, None] for name, p in parameters.items()}
        return adaptive_panels(
            log_kernel,
            lambda log_p, log_q: self.log_density(each, log_p, log_q, NUMPY),
            farthest=self.farthest(parameters),
        )

    def farthest(self, parameters: Parameters) -> tuple[float, float]:
        """Return logits beyond which density and p^a (1-p)^b are exponential."""
        return FARTHEST


def parts(parameters: Parameters, numbers: int) -> Iterator[dict[str, Floats]]:
    """Yield the parameters in parts small enough to hold so many numbers for every draw."""
    step = max(1, CHUNK // max(1, numbers))
    draws = len(next(iter(parameters.values())))
    for i in range(0, draws, step):
        yield {name: values[i : i + step] for name, values in parameters.items()}


def _log_mean(
    pieces: list[Piece], constants: Mapping[str, Any], xp: Special, system: Any = None
) -> Any:
    """Return the log of the weighted mean over nodes; see :meth:`Quadrature.log_moments`."""
    total, mass = _sums(pieces, constants, xp, system, _top(pieces, xp))
    log_mass = xp.log(mass)
    log_mass = log_mass[..., None] if system is None else log_mass[system]
    return xp.log(total) - log_mass + constants.get("added", constants["kernel_top"])


def _sums(
    pieces: list[Piece], constants: Mapping[str, Any], xp: Special, system: Any, top: Any
) -> tuple[Any, Any]:
    """Return the sums of weight times kernel, and of the weights, both over exp(top)."""
    total: Any = TINY
    mass: Any = 0.0
    for piece in pieces:
        weights = xp.exp(piece.log_weights - top[..., None])
        mass = mass + weights.sum(-1)
        if piece.kernel is not None and system is None:
            total = total + xp.inner(weights, piece.kernel)
        else:
            kernel = kernel_at(piece, constants, xp, system)
            each = weights[..., None, :] if system is None else weights[system]
            total = total + (each * kernel).sum(-1)
    return total, mass


def _sum_in_logs(pieces: list[Piece], draw: int, a: float, b: float) -> float:
    """Return the log of the sum of weight times p^a (1-p)^b at one draw, however small."""
    logs = [
        piece.log_weights[draw]
        + a * (piece.log_p if piece.log_p.ndim == 1 else piece.log_p[draw])
        + b * (piece.log_q if piece.log_q.ndim == 1 else piece.log_q[draw])
        for piece in pieces
    ]
    return float(np.logaddexp.reduce(np.concatenate(logs)))


def _top(pieces: list[Piece], xp: Special) -> Any:
    """Return the largest log weight, dims (...)."""
    top = pieces[0].log_weights.max(-1)
    for piece in pieces[1:]:
        top = xp.maximum(top, piece.log_weights.max(-1))
    return top


def kernel_at(piece: Piece, constants: Mapping[str, Any], xp: Special, system: Any) -> Any:
    """Return p^a (1-p)^b over its largest value, dims (..., pair, node) or (pair, node)."""
    if piece.kernel is not None:
        return piece.kernel
    log_p, log_q = piece.log_p, piece.log_q
    if system is None:
        log_p, log_q = log_p[..., None, :], log_q[..., None, :]
    else:
        log_p, log_q = log_p[system], log_q[system]
    a, b, top = (constants[name][..., None] for name in ("a", "b", "kernel_top"))
    logs = log_power(a, b, log_p, log_q, top) if xp is NUMPY else a * log_p + b * log_q - top
    if "estimate" in constants:  # of log p, of which pairs know more than counts
        estimate, precision = (constants[name][..., None] for name in ("estimate", "precision"))
        logs = logs - 0.5 * precision * (estimate - log_p) ** 2
    return xp.exp(logs)


def _with_later(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Return the pairs, and those of the least successful after up to 1e12 further failures."""
    further = 10.0 ** np.arange(13)
    few = a <= np.sort(a)[min(2, len(a) - 1)]
    return (
        np.concatenate([a, np.repeat(a[few], len(further))]),
        np.concatenate([b, np.add.outer(b[few], further).ravel()]),
    )


@functools.lru_cache(maxsize=64)
def prior_parameters(family: Family) -> dict[str, Floats]:
    """Return parameters drawn from the prior of a family: always the same."""
    return family.natural(draw_prior(family, np.random.default_rng(1), (12,)))


def representatives(parameters: Parameters) -> dict[str, Floats]:
    """Return the extremes of each parameter, and others evenly taken."""
    draws = len(next(iter(parameters.values())))
    taken = {0, draws - 1}
    for values in parameters.values():
        taken |= {int(np.argmin(values)), int(np.argmax(values))}
    taken |= set(np.linspace(0, draws - 1, min(draws, REPRESENTATIVES)).astype(int).tolist())
    index = np.array(sorted(taken))
    return {name: values[index] for name, values in parameters.items()}


def _shares(
    pieces: list[Piece],
    weights: list[Floats],
    constants: Mapping[str, Any],
    i: int,
    of: Callable[[Any], Floats],
) -> tuple[list[Floats], list[Floats]]:
    """Return posterior weights of the nodes of each piece given pair `i`, and their values.

    Nodes that weigh nothing for any draw are left out. Where that would leave a draw without its
    own, as p^a (1-p)^b and its density nearly exclude each other, all are taken, in logarithms.
    """
    shares, values = [], []
    for piece, weight in zip(pieces, weights, strict=True):
        if piece.kernel is None:
            one = {n: constants[n][..., i : i + 1] for n in ("a", "b", "kernel_top")}
            shares.append(weight * kernel_at(piece, one, NUMPY, None)[:, 0])
            values.append(of(piece))
        else:
            kernel = piece.kernel[i]
            highest = kernel * weight.max(0)
            relevant = np.flatnonzero(highest > 1e-16 * highest.max())
            shares.append(weight[:, relevant] * kernel[relevant])
            values.append(of(piece)[relevant])
    total = sum(share.sum(-1) for share in shares)
    if total.min() > max(1e-6 * total.max(), 1e-250):
        return shares, values
    a, b = constants["a"][i], constants["b"][i]
    logs = [piece.log_weights + log_power(a, b, piece.log_p, piece.log_q) for piece in pieces]
    top = functools.reduce(np.maximum, [log.max(-1, keepdims=True) for log in logs])
    return [np.exp(log - top) for log in logs], [of(piece) for piece in pieces]


def _choose(weights: Floats, point: NDArray[np.int64], uniform: Floats) -> NDArray[np.int64]:
    """Return for each uniform number, dims (draw, copy), a column of its row of `weights`."""
    cumulative = weights.cumsum(-1)
    cumulative /= cumulative[:, -1:]
    cumulative += np.arange(len(weights))[:, None]
    found = np.searchsorted(cumulative.ravel(), (uniform + point[:, None]).ravel())
    column = found.reshape(uniform.shape) - point[:, None] * weights.shape[1]
    return np.asarray(column.clip(0, weights.shape[1] - 1))


def log_peak(a: Floats, b: Floats) -> Floats:
    """Return the largest value of a log p + b log (1-p)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        peak = -a * np.log1p(b / a) - b * np.log1p(a / b)
    return np.where((a > 0) & (b > 0), peak, 0.0)


def log_power(a: Any, b: Any, log_p: Any, log_q: Any, top: Any = None) -> Floats:
    """Return the log of p^a (1-p)^b over exp(`top`), which is its largest value by default.

    Near that, from the distance on the logit axis: with 2^53 attempts the terms of the plain sum,
    and so their rounding, are as large as the result.
    """
    peak = log_peak(a, b)
    top = peak if top is None else top
    plain = a * log_p + b * log_q - top
    if np.max(a + b, initial=0.0) < MANY:
        return np.asarray(plain)
    both = (a > 0) & (b > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = log_p - log_q - np.where(both, np.log(a) - np.log(b), np.inf)
    near = np.abs(distance) < 1
    d = np.where(near, distance, 0.0)
    total = np.where(both, a + b, 1.0)
    close = -a * np.log1p(b / total * np.expm1(-d)) - b * np.log1p(a / total * np.expm1(d))
    lower = np.where(np.abs(peak - top) > 1e-12 * np.abs(peak), peak - top, 0.0)
    return np.asarray(np.where(near, close + lower, plain))


def _nodes(edges: Floats) -> tuple[Floats, Floats]:
    """Return the nodes and log weights of all panels, with the two ends, of log weight 0."""
    x, weight = panel_nodes(edges[:-1], edges[1:])
    return (
        np.concatenate([edges[:1], x.ravel(), edges[-1:]]),
        np.concatenate([[0.0], np.log(weight).ravel(), [0.0]]),
    )


@functools.cache
def _gauss_legendre() -> tuple[Floats, Floats]:
    x, weight = np.polynomial.legendre.leggauss(ORDER)
    return x, weight


def panel_nodes(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return the nodes and weights of the panels from `low` to `high`, dims (panel, node)."""
    x, weight = _gauss_legendre()
    half = (high - low)[:, None] / 2
    return low[:, None] + half * (1 + x), half * weight


def _start(finer: Floats, farthest: tuple[float, float]) -> Floats:
    """Return panels of 6 about x = 0 that double in width towards the farthest points."""
    left, right = [-6.0], [6.0]
    while left[-1] > farthest[0]:
        left.append(2 * left[-1])
    while right[-1] < farthest[1]:
        right.append(2 * right[-1])
    return np.unique([*left, 0.0, *finer, *right])


def few_pairs(a: Floats, b: Floats) -> Floats:
    """Return some of the different pairs (a, b), dims (pair, 2): those that panels are for."""
    pairs = np.unique(np.stack([a, b], axis=1), axis=0)
    if len(pairs) > MOST_PAIRS:
        pairs = pairs[np.linspace(0, len(pairs) - 1, MOST_PAIRS).astype(int)]
    return pairs


def about_peaks(a: Floats, b: Floats) -> Floats:
    """Return edges about narrow peaks of p^a (1-p)^b, where pairs are too many to try each."""
    if len(np.unique(np.stack([a, b], axis=1), axis=0)) <= MOST_PAIRS:
        return np.zeros(0)
    both = (a > 0) & (b > 0)
    a, b = a[both], b[both]
    sd = np.sqrt(1 / a + 1 / b)
    a, b, sd = a[sd < NARROW], b[sd < NARROW], sd[sd < NARROW]
    # Those that lie together share their panels.
    width = np.exp2(np.ceil(2 * np.log2(sd)) / 2)
    peak = np.unique(np.stack([np.rint(np.log(a / b) / width), width], axis=1), axis=0)
    return np.asarray(((peak[:, :1] + ABOUT) * peak[:, 1:]).ravel())


def powers(a: Floats, b: Floats) -> LogKernel:
    """Return p^a (1-p)^b of some of the pairs (a, b), with (0, 0) for the density itself."""
    few_a, few_b = np.concatenate([few_pairs(a, b), [[0.0, 0.0]]]).T[..., None]
    return lambda log_p, log_q: log_power(few_a, few_b, log_p[..., None, :], log_q[..., None, :])


def adaptive_panels(
    log_kernel: LogKernel,
    log_density: Callable[[Floats, Floats], Floats],
    finer: ArrayLike = (),
    farthest: tuple[float, float] = FARTHEST,
) -> Floats:
    """Return the edges of panels on which each function of p times each density is integrated well.

    `log_density` takes log p and log (1-p), dims (node,), and returns dims (density, node), as may
    `log_kernel` with pairs between; `finer` are edges that there must be; panels go to `farthest`
    at least.
    """

    def log_integrands(x: Floats) -> Floats:
        log_p, log_q = NUMPY.log_sigmoid(x), NUMPY.log_sigmoid(-x)
        kernel = log_kernel(log_p, log_q)
        return np.asarray((log_density(log_p, log_q)[:, None] + kernel).reshape(-1, len(x)))

    return refine(log_integrands, _start(np.asarray(finer, dtype=float), farthest))


def refine(log_integrands: Callable[[Floats], Floats], edges: Floats) -> Floats:
    """Return edges of panels that integrate exp of every integrand, dims (f, node), well.

    A panel is halved until halving changes no integral by more than `TOLERANCE` of its whole, and
    as long as an integrand may have its peak there between two nodes.
    """
    low, high = edges[:-1], edges[1:]
    done: Any = -np.inf  # log of the integral over panels that are kept
    scale, parts, _ = _integrate(log_integrands, low, high, done)
    kept = []
    for _ in range(LEVELS):
        middle = (low + high) / 2
        low2 = np.stack([low, middle], axis=1).ravel()
        high2 = np.stack([middle, high], axis=1).ravel()
        before = scale
        scale, halves, missed = _integrate(log_integrands, low2, high2, done)
        # New nodes may all be farther from a narrow peak than one that is given up.
        parts = parts * np.exp(np.minimum(before - scale, 600.0))
        both = halves.reshape(len(halves), -1, 2).sum(-1)
        whole = np.exp(done - scale)[..., 0] + both.sum(-1)
        # Or by no more than the rounding of an integrand whose log is far from 0 everywhere.
        error = np.maximum(TOLERANCE, 4 * np.spacing(np.abs(scale))) * whole[:, None]
        coarse = (np.abs(both - parts) > error).any(0)
        coarse |= missed.reshape(-1, 2).any(-1)
        kept.append(high[~coarse])
        with np.errstate(divide="ignore"):
            done = np.logaddexp(done, scale + np.log(both[:, ~coarse].sum(-1, keepdims=True)))
        again = np.repeat(coarse, 2)
        low, high, parts = low2[again], high2[again], halves[:, again]
        if not coarse.any():
            break
    return np.unique(np.concatenate([edges[:1], *kept, high]))


def _integrate(
    log_integrands: Callable[[Floats], Floats], low: Floats, high: Floats, least: Any
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return logs of scales, dims (f, 1), scaled integrals, dims (f, panel), and `_missed`.

    A scale is the largest value at these nodes, or `least`.
    """
    x, weight = panel_nodes(low, high)
    values = log_integrands(x.ravel())
    scale = np.maximum(values.max(-1, keepdims=True), least)
    scaled = np.exp(values - scale).reshape(len(values), *x.shape)
    return scale, (scaled * weight).sum(-1), _missed(values, scale[:, 0], low, high)


def _missed(values: Floats, top: Floats, low: Floats, high: Floats) -> NDArray[np.bool_]:
    """Return which panels may hide a peak between their edge and their first or last node.

    The log of an integrand is concave: its peak lies next to the node of the largest value, if
    need be across an edge, where a panel whose own nodes are all far down looks like nothing.
    """
    at = values.argmax(-1)
    highest = np.flatnonzero(values.max(-1) >= top)
    found = np.zeros(len(low), dtype=bool)
    for side, end in ((-1, 0), (1, ORDER - 1)):
        own = highest[at[highest] % ORDER == end]
        panel = at[own] // ORDER
        beyond = (panel + side).clip(0, len(low) - 1)
        meet = high[panel] == low[beyond] if side > 0 else low[panel] == high[beyond]
        there = values[own, (at[own] + side).clip(0, values.shape[1] - 1)]
        found[beyond[meet & (there < top[own] - DROP) & (there > NOWHERE)]] = True
    return found
