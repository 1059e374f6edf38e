"""What a verifier makes of densities and points: verdicts, and the truth behind them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special as sp

from bayespassk.arrays import Floats
from bayespassk.families.base import Parameters, Prior
from bayespassk.families.quadrature import (
    MOST_PAIRS,
    TINY,
    Nodes,
    Piece,
    Quadrature,
    about_peaks,
    log_power,
    parts,
    powers,
    representatives,
)
from bayespassk.special import NUMPY, Special

__all__ = ["RATES", "JudgedDensity", "JudgedPoint", "Rates", "Verifier", "outer", "without_rates"]

RATES = ("true_positive_rate", "false_positive_rate")

NEVER = np.float64(-1e30)
"""The log of a probability of 0, times which 0 is 0."""


class Rates(NamedTuple):
    """Logs of a verifier's rates; None for a rate of 0, or what broadcasts against draws.

    Attributes
    ----------
    log_tp, log_fn : array or None
        log t and log (1-t): correct attempts that are accepted, and that are not.
    log_fp, log_tn : array or None
        log phi and log (1-phi): wrong attempts that are accepted, and that are not.
    """

    log_tp: Any
    log_fn: Any
    log_fp: Any
    log_tn: Any

    def at(self, index: Any) -> "Rates":
        """Return the rates with another shape; numbers stay numbers."""
        return Rates(*(one if np.ndim(one) == 0 else one[index] for one in self))

    def through(self, log_p: Any, log_q: Any, xp: Special = NUMPY) -> tuple[Any, Any]:
        """Return log q and log (1-q), for verdicts of yes and no, from log p and log (1-p)."""
        return (
            _either(self.log_tp, log_p, self.log_fp, log_q, xp),
            _either(self.log_fn, log_p, self.log_tn, log_q, xp),
        )


def _either(log_x: Any, log_p: Any, log_y: Any, log_q: Any, xp: Special) -> Any:
    """Return log (x p + y (1-p)), where x or y may be 0."""
    if log_y is None:
        return log_x + log_p
    if log_x is None:
        return log_y + log_q
    return xp.logaddexp(log_y + log_q, log_x + log_p)


@dataclass(frozen=True)
class Verifier:
    """How often a verifier accepts correct and wrong attempts.

    Attributes
    ----------
    true_positive_rate, false_positive_rate : float or Prior
        Known, or the prior of the logit.
    """

    true_positive_rate: float | Prior
    false_positive_rate: float | Prior

    @property
    def learned(self) -> dict[str, Prior]:
        """The priors of the logits of those rates that are not known, by the rate's name."""
        values = {name: getattr(self, name) for name in RATES}
        return {name: value for name, value in values.items() if isinstance(value, Prior)}

    def overlap(self) -> float:
        """Return the prior probability that the rates are not in order."""
        rng = np.random.default_rng(1)
        t, phi = (
            sp.expit(value.draw(rng, value.loc, (2000,))) if isinstance(value, Prior) else value
            for value in (self.true_positive_rate, self.false_positive_rate)
        )
        return float(np.mean(np.asarray(t <= phi)))

    def values(self, parameters: Parameters) -> tuple[Any, Any]:
        """Return t and phi, dims (...) where they are learned."""
        t, phi = (
            parameters[name] if name in self.learned else getattr(self, name) for name in RATES
        )
        return t, phi

    def rates(self, parameters: Parameters, xp: Special = NUMPY) -> Rates:
        """Return the logs of the rates, dims (...) where they are learned."""
        logs: list[Any] = []
        for name in RATES:
            if name in self.learned:
                rate = parameters[name]
                logs.append(xp.log(xp.maximum(rate, TINY)))
                logs.append(xp.log(xp.maximum(1 - rate, np.float64(1e-16))))
            else:
                rate = getattr(self, name)
                logs.append(np.float64(math.log(rate)) if rate > 0 else None)
                logs.append(np.float64(math.log1p(-rate)) if rate < 1 else None)
        return Rates(*logs)


def without_rates(parameters: Parameters) -> dict[str, Any]:
    """Return the parameters of the family of p."""
    return {name: value for name, value in parameters.items() if name not in RATES}


def outer(values: Any, dims: int) -> Any:
    """Return values, or 0, that broadcast against pairs of so many dims."""
    return 0.0 if values is None else np.asarray(values)[(...,) + (None,) * dims]


def _log_truth(
    log_p: Floats,
    log_q: Floats,
    rates: Rates,
    pairs: tuple[Floats, Floats, Floats],
    first_pass: bool,
) -> Floats:
    """Return log (h q^a (1-q)^b) at nodes, dims (..., pair, node); see `Verified.log_truth`."""
    k, a, b = (one[:, None] for one in pairs)
    yes, no = (np.maximum(one, NEVER)[..., None, :] for one in rates.through(log_p, log_q))
    with np.errstate(divide="ignore", invalid="ignore"):
        log_h, log_fail = 0.0, np.asarray(log_q)[..., None, :]
        if first_pass:
            log_h, log_fail = np.asarray(rates.log_tp + log_p)[..., None, :] - yes, no
        finite = NUMPY.log1mexp(np.where(np.isinf(k), 1.0, k) * log_fail)
        endless = np.where(np.isneginf(log_p), -np.inf, 0.0)[..., None, :]
        by_k = np.where(np.isinf(k), endless, finite)
        return np.asarray(a * yes + b * no + log_h + by_k)


@dataclass(frozen=True)
class _JudgedPiece(Piece):
    """Nodes seen through a verifier: log_p and log_q are of verdicts, `logit` is logit p itself."""

    logit: Any = None


@dataclass(frozen=True)
class JudgedDensity(Nodes):
    """A density of p, seen through a verifier."""

    verifier: Verifier
    inner: Quadrature

    def constants(
        self,
        a: Floats,
        b: Floats,
        parameters: Parameters | None = None,
        cuts: ArrayLike = (),
        finer: ArrayLike = (),
    ) -> dict[str, NDArray[Any]]:
        """Return nodes for q^a (1-q)^b; and what that is there, if the rates are known.

        `cuts` are of p itself, `finer` of q.
        """
        return self._constants(a, b, parameters or {}, cuts, finer)

    def _constants(
        self,
        a: Floats,
        b: Floats,
        parameters: Parameters,
        cuts: ArrayLike = (),
        finer: ArrayLike = (),
        later: tuple[Floats, Floats, Floats] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Return the constants of the pairs; the nodes serve pass@k of the truth `later` too."""
        a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
        few = representatives(parameters)
        rates, of_pairs = self.verifier.rates(few).at((..., None)), powers(a, b)

        def log_kernel(log_p: Floats, log_q: Floats) -> Floats:
            judged = of_pairs(*rates.through(log_p, log_q))
            if later is None:
                return judged
            truth = _log_truth(log_p, log_q, rates, later, first_pass=False)
            return np.concatenate([judged, truth], axis=-2)

        edges = self._unjudged(np.union1d(finer, about_peaks(a, b)), few)
        nodes = self.inner.nodes(log_kernel, without_rates(few), cuts, edges)
        return nodes | self.kernel(nodes, a, b)

    def _unjudged(self, edges: Floats, few: Parameters) -> Floats:
        """Return where logit p is for values of logit q: at each of a few draws, if they differ."""
        t, phi = (np.atleast_1d(rate)[:, None] for rate in self.verifier.values(few))
        p = (sp.expit(edges) - phi) / (t - phi)
        return np.asarray(sp.logit(p[(p > 0) & (p < 1)]))

    def kernel(self, nodes: Mapping[str, Any], a: Floats, b: Floats) -> dict[str, NDArray[Any]]:
        """Return the pairs, and q^a (1-q)^b at the nodes, if the rates are known."""
        if self.verifier.learned:
            return {"a": a, "b": b}
        rates = self.verifier.rates({}).at((..., None))
        yes, no = rates.through(nodes["log_p"], nodes["log_q"])
        top = np.asarray(_log_peak(a, b, rates, NUMPY))
        at = log_power(a[:, None], b[:, None], yes, no, top[:, None])
        return {"a": a, "b": b, "kernel": np.exp(at), "kernel_top": top}

    def scaled(
        self, parameters: Parameters, constants: Mapping[str, Any], xp: Special, system: Any = None
    ) -> Mapping[str, Any]:
        """Return the constants with the largest value of q^a (1-q)^b that the rates allow."""
        if not self.verifier.learned:
            return constants
        rates = self.verifier.rates(parameters, xp).at((..., None) if system is None else system)
        return {**constants, "kernel_top": _log_peak(constants["a"], constants["b"], rates, xp)}

    def pieces(
        self,
        parameters: Parameters,
        constants: Mapping[str, Any],
        xp: Special,
        log_above: float = -np.inf,
    ) -> list[Any]:
        """Return the nodes of the density, with what the verifier makes of them."""
        rates = self.verifier.rates(parameters, xp).at((..., None))
        own = without_rates(parameters)
        return [
            _JudgedPiece(
                *rates.through(piece.log_p, piece.log_q, xp),
                piece.log_weights,
                piece.kernel,
                piece.log_p - piece.log_q,
            )
            for piece in self.inner.pieces(own, constants, xp, log_above)
        ]

    def log_truth(
        self, parameters: Parameters, k: Floats, a: Floats, b: Floats, first_pass: bool
    ) -> Floats:
        """Return a mean of the truth; see :meth:`Verified.log_truth`."""
        shape = np.broadcast_shapes(*(np.shape(p) for p in parameters.values()))
        flat = {n: np.broadcast_to(p, shape).ravel() for n, p in parameters.items()}
        few, pairs = representatives(flat), (k.ravel(), a.ravel(), b.ravel())
        which = np.unique(np.linspace(0, k.size - 1, min(k.size, MOST_PAIRS)).astype(int))
        some = pairs[0][which], pairs[1][which], pairs[2][which]
        of_density, of_few = powers(np.zeros(1), np.zeros(1)), self.verifier.rates(few)

        def log_kernel(log_p: Floats, log_q: Floats) -> Floats:
            truth = _log_truth(log_p, log_q, of_few.at((..., None)), some, first_pass)
            itself = np.broadcast_to(of_density(log_p, log_q)[..., :1, :], truth[..., :1, :].shape)
            return np.concatenate([itself, truth], axis=-2)

        constants = self.inner.nodes(log_kernel, without_rates(few))
        values = []
        for part in parts(flat, k.size * len(constants["log_p"])):
            rates = self.verifier.rates(part).at((..., None))
            pieces = self.inner.pieces(without_rates(part), constants, NUMPY)
            total, mass = [], []
            for piece in pieces:
                truth = _log_truth(piece.log_p, piece.log_q, rates, pairs, first_pass)
                total.append(sp.logsumexp(piece.log_weights[..., None, :] + truth, axis=-1))
                mass.append(sp.logsumexp(piece.log_weights, axis=-1))
            values.append(sp.logsumexp(total, axis=0) - sp.logsumexp(mass, axis=0)[:, None])
        return np.concatenate(values).reshape(shape + k.shape)

    def survival(
        self, parameters: Parameters, above: ArrayLike, a: ArrayLike = 0.0, b: ArrayLike = 0.0
    ) -> Floats:
        """Return the probability that q lies above; see :meth:`Verified.survival`."""
        if not self.verifier.learned:
            return super().survival(parameters, self._threshold(parameters, above), a, b)
        shape = np.broadcast_shapes(*(np.shape(p) for p in parameters.values()))
        flat = {n: np.broadcast_to(p, shape).ravel() for n, p in parameters.items()}
        values = []
        for i in range(math.prod(shape)):
            one = {name: value[i] for name, value in flat.items()}
            values.append(super().survival(one, self._threshold(one, above), a, b))
        return np.stack(values).reshape(shape + values[0].shape)

    def _threshold(self, parameters: Parameters, above: ArrayLike) -> Floats:
        """Return the p at which q is `above`, for one pair of rates."""
        t, phi = self.verifier.values(parameters)
        return np.asarray(((np.asarray(above) - phi) / (t - phi)).clip(0.0, 1.0))

    def nodes_of_seen(self, a: Floats, b: Floats, parameters: Parameters) -> dict[str, Any]:
        """Return the nodes to draw from given (a, b), which serve pass@k of the truth too."""
        fewest = np.argsort(a)[:3]
        k, which = (one.ravel() for one in np.meshgrid(10.0 ** np.arange(13), fewest))
        return self._constants(a, b, parameters, later=(k, a[which], b[which]))

    def logit(self, piece: Any) -> Floats:
        """Return logit p itself at the nodes, not that of a verdict."""
        return np.asarray(piece.logit)

    def draw_logit(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        successes: NDArray[np.int64],
        failures: NDArray[np.int64],
    ) -> Floats:
        """Draw logit p of problems whose verdicts were seen."""
        return self.draw_nodes(parameters, rng, successes, failures, self.logit)


@dataclass(frozen=True)
class JudgedPoint:
    """Problems that all have the same p, 0 or 1, seen through a verifier."""

    verifier: Verifier
    p: float

    def _logs(self, parameters: Parameters, xp: Special) -> tuple[Any, Any]:
        """Return log q and log (1-q), NEVER for the log of 0."""
        rates = self.verifier.rates(parameters, xp)
        pair = (rates.log_tp, rates.log_fn) if self.p == 1 else (rates.log_fp, rates.log_tn)
        yes, no = (NEVER if one is None else one for one in pair)
        return yes, no

    def log_moment(self, parameters: Parameters, a: ArrayLike, b: ArrayLike) -> Floats:
        """Return log (q^a (1-q)^b)."""
        a, b = np.broadcast_arrays(np.asarray(a, dtype=float), np.asarray(b, dtype=float))
        yes, no = (outer(one, a.ndim) for one in self._logs(parameters, NUMPY))
        return np.broadcast_to(a * yes + b * no, np.shape(parameters["share"]) + a.shape)

    def log_truth(
        self, parameters: Parameters, k: Floats, a: Floats, b: Floats, first_pass: bool
    ) -> Floats:
        """Return a mean of the truth; see :meth:`Verified.log_truth`."""
        with np.errstate(divide="ignore"):
            log_p, log_q = np.log([self.p]), np.log1p([-self.p])
        rates = self.verifier.rates(parameters).at((..., None))
        pairs = k.ravel(), a.ravel(), b.ravel()
        values = _log_truth(log_p, log_q, rates, pairs, first_pass)[..., 0]
        return np.asarray(values.reshape(values.shape[:-1] + k.shape))

    def survival(
        self, parameters: Parameters, above: ArrayLike, a: ArrayLike = 0.0, b: ArrayLike = 0.0
    ) -> Floats:
        """Return whether q lies above."""
        above = np.asarray(above)
        yes = outer(self._logs(parameters, NUMPY)[0], above.ndim)
        return np.asarray(np.exp(yes) > above, dtype=float)

    def constants(
        self, a: Floats, b: Floats, _parameters: Parameters | None = None, _cuts: ArrayLike = ()
    ) -> dict[str, NDArray[Any]]:
        """Return the exponents."""
        return {"a": np.asarray(a, dtype=float), "b": np.asarray(b, dtype=float)}

    def log_moments(
        self,
        parameters: Parameters,
        constants: Mapping[str, Any],
        xp: Special,
        system: Any = None,
    ) -> Any:
        """Return log (q^a (1-q)^b), pair by pair."""
        at = (..., None) if system is None else system
        yes, no = (one if np.ndim(one) == 0 else one[at] for one in self._logs(parameters, xp))
        return constants["a"] * yes + constants["b"] * no

    def draw_logit(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        successes: NDArray[np.int64],
        failures: NDArray[np.int64],
    ) -> Floats:
        """Return an infinite logit p for each problem."""
        shape = len(parameters["share"]), len(successes)
        return np.full(shape, np.inf if self.p == 1 else -np.inf)


def _log_peak(a: Any, b: Any, rates: Rates, xp: Special) -> Any:
    """Return the largest value of a log q + b log (1-q) for q between phi and t."""
    of = xp.maximum(a + b, np.float64(1.0))
    yes, no = (xp.log(xp.maximum(one / of, TINY)) for one in (a, b))
    yes = _between(yes, rates.log_tp, rates.log_fp, xp)
    no = _between(no, rates.log_fn, rates.log_tn, xp)
    return a * yes + b * no


def _between(x: Any, one: Any, other: Any, xp: Special) -> Any:
    """Return x moved to between two others, either of which may be None, for -infinity."""
    if one is None or other is None:
        return -xp.maximum(-x, -(other if one is None else one))
    low, high = -xp.maximum(-one, -other), xp.maximum(one, other)
    return xp.maximum(low, -xp.maximum(-x, -high))
