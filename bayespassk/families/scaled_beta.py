"""The scaled beta family: a beta on (0, s), for benchmarks of which no problem is easy."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayespassk.arrays import Floats
from bayespassk.families.base import Declare, Parameters, Prior
from bayespassk.families.quadrature import (
    LogKernel,
    Piece,
    Quadrature,
    adaptive_panels,
    panel_nodes,
    refine,
)
from bayespassk.special import NUMPY, Special

__all__ = ["ScaledBeta"]

NEAR_END = np.array([0.0, 2.0, 4.0, 7.0, 11.0, 16.0, 22.0])
"""First panels of logit (p / s) next to s, from where the fixed ones end. They move with s."""


@final
@dataclass(frozen=True)
class ScaledBeta(Quadrature):
    """p = s B, B ~ Beta(a, b): no problem is solved with probability above s.

    The tail is the beta's with k replaced by s k. Fixed panels cannot follow a support that ends
    at a parameter: within two panels of s the nodes move with it.

    Parameters
    ----------
    log_a : Prior
        Prior of log a, the tail exponent; by default its median is 0.2.
    log_b : Prior
        Prior of log (b / s), the log of the second parameter of the beta that is like this one
        near p = 0; as for :class:`bayespassk.Beta`.
    logit_s : Prior
        Prior of logit s; by default its median is s = 0.88 and 80% of it lies in 0.2 to 0.995.

    References
    ----------
    Schaeffer et al. 2025, arXiv:2502.17578.
    """

    name: ClassVar[str] = "scaled-beta"
    when: ClassVar[str] = (
        "no problem is solved nearly always: success probabilities end at some s < 1"
    )
    location: ClassVar[str] = "logit_mean"
    reaches_one: ClassVar[bool] = False
    target_accept: ClassVar[float] = 0.99

    log_a: Prior = Prior(math.log(0.2), 1.0)
    log_b: Prior = Prior(math.log(5.0), 1.5, "logistic")
    logit_s: Prior = Prior(2.0, 1.5, "logistic")

    def prior(self, declare: Declare, xp: Special = NUMPY) -> dict[str, Any]:
        """Declare log a, the logit of the mean of the beta that is like this near 0, and logit s.

        Near p = 0 the density is that of a Beta(a, b / s), which the data determine: b by itself
        and s are correlated.
        """
        log_a = declare("log_a", self.log_a)
        logit_mean = declare("logit_mean", self.log_b, log_a - self.log_b.loc)
        return {
            "log_a": log_a,
            "logit_mean": logit_mean,
            "logit_s": declare("logit_s", self.logit_s),
        }

    def natural(self, free: Parameters, xp: Special = NUMPY) -> dict[str, Any]:
        """Return a, b and s."""
        log_s = xp.log_sigmoid(free["logit_s"])
        return {
            "a": xp.exp(free["log_a"]),
            "b": xp.exp(free["log_a"] - free["logit_mean"] + log_s),
            "s": xp.exp(log_s),
        }

    def free(self, natural: Parameters) -> dict[str, Any]:
        """Return the free parameters; see :meth:`Family.free`."""
        log_a, log_s = np.log(natural["a"]), np.log(natural["s"])
        mean = log_a - np.log(natural["b"]) + log_s
        logit_s = log_s - np.log1p(-natural["s"])
        return {"log_a": log_a, "logit_mean": mean, "logit_s": logit_s}

    def log_density(self, parameters: Parameters, log_p: Any, log_q: Any, xp: Special) -> Any:
        """Return the log density of logit p; -1e30 where p >= s."""
        a, b = parameters["a"], parameters["b"]
        log_share = log_p - xp.log(parameters["s"])
        inside = log_share < 0
        log_share = xp.where(inside, log_share, np.float64(-1.0))
        value = a * log_share + (b - 1) * xp.log1mexp(log_share) + log_q - xp.log_beta(a, b)
        return xp.where(inside, value, np.float64(-1e30))

    def end_rates(self, parameters: Parameters) -> tuple[Any, Any]:
        """Return a, and 1 for the end that is not reached."""
        return parameters["a"], parameters["a"] * 0 + 1

    def panels(self, log_kernel: LogKernel, parameters: Parameters) -> Floats:
        """Return panels for the density, or where it is not smooth at s for one like it below."""
        each = {name: p[:, None] for name, p in parameters.items()}
        steep = np.maximum(each["b"] / each["s"], 0.3)

        def log_density(log_p: Floats, log_q: Floats) -> Floats:
            like_it = each["a"] * log_p + steep * log_q
            exact = self.log_density(each, log_p, log_q, NUMPY)
            return np.asarray(np.where(each["b"] > 8, exact, like_it))

        return adaptive_panels(log_kernel, log_density, np.arange(-16.5, 39.0, 1.5))

    def nodes(
        self,
        log_kernel: LogKernel,
        few: Parameters,
        cuts: ArrayLike = (),
        finer: ArrayLike = (),
    ) -> dict[str, NDArray[Any]]:
        """Return the nodes of every quadrature, and those that move with s."""
        constants = super().nodes(log_kernel, few, cuts, finer)
        starts = [-np.inf, *NUMPY.log_sigmoid(np.asarray(cuts, dtype=float))]

        def log_integrands(offset: Floats) -> Floats:
            no_weight = np.zeros(len(offset) + 1)
            nodes = {"near": np.append(offset, NEAR_END[-1]), "near_log_weight": no_weight}
            values = []
            for start in starts:
                piece = self.pieces(few, constants | nodes, NUMPY, start)[1]
                kernel = log_kernel(piece.log_p, piece.log_q)
                values.append(piece.log_weights[:, None] + kernel)
            return np.stack(values)[..., :-1].reshape(-1, len(offset))

        edges = refine(log_integrands, NEAR_END)
        x, weight = panel_nodes(edges[:-1], edges[1:])
        constants["near"] = np.append(x.ravel(), edges[-1])
        constants["near_log_weight"] = np.append(np.log(weight).ravel(), 0.0)
        return constants

    def pieces(
        self,
        parameters: Parameters,
        constants: Mapping[str, Any],
        xp: Special,
        log_above: float = -np.inf,
    ) -> list[Piece]:
        """Return the fixed nodes below the panel next to that of s, and nodes from there to s."""
        log_s = xp.log(parameters["s"])
        log_rest = xp.log(xp.maximum(1 - parameters["s"], np.float64(1e-16)))
        edges = constants["edges"]
        above = (edges <= (log_s - log_rest)[..., None]).sum(-1)
        join = edges[xp.maximum(above - 2, 0)]
        fixed = self.fixed(parameters, constants, xp, log_above)
        below = constants["log_p"] < xp.log_sigmoid(join)[..., None]
        kept = xp.where(below, fixed.log_weights, np.float64(-1e30))
        start = xp.log_sigmoid(join) - log_s
        if log_above == -np.inf:
            near = _near_end(parameters, constants, start, log_s, log_rest, xp)
        else:
            near = _near_end_above(log_above, parameters, constants, start, log_s, log_rest)
        return [Piece(fixed.log_p, fixed.log_q, kept, fixed.kernel), near]

    def draw(self, parameters: Parameters, rng: np.random.Generator) -> Floats:
        """Draw s B."""
        return np.asarray(parameters["s"] * rng.beta(parameters["a"], parameters["b"]))


def _near_end(
    parameters: Parameters,
    constants: Mapping[str, Any],
    log_start: Any,
    log_s: Any,
    log_rest: Any,
    xp: Special,
) -> Piece:
    """Return nodes for p/s = B from exp(log_start) to 1; log_rest is log (1-s).

    The last node stands for what is beyond the others, where (1-B)^(b-1) is all that varies.
    """
    a, b = (parameters[name][..., None] for name in ("a", "b"))
    offset, log_weight = constants["near"], constants["near_log_weight"]
    first = (log_start - xp.log1mexp(log_start))[..., None]
    y = first + offset[:-1]
    last = first + offset[-1]
    centre = last + xp.log1p(1 / b)
    log_b = xp.concatenate([xp.log_sigmoid(y), xp.log_sigmoid(centre)], axis=-1)
    log_1mb = xp.concatenate([xp.log_sigmoid(-y), xp.log_sigmoid(-centre)], axis=-1)
    log_weights = xp.concatenate(
        [
            a * xp.log_sigmoid(y) + b * xp.log_sigmoid(-y) + log_weight[:-1],
            a * xp.log_sigmoid(centre) + b * xp.log_sigmoid(-last) - xp.log(b),
        ],
        axis=-1,
    ) - xp.log_beta(a, b)
    log_s, log_rest = log_s[..., None], log_rest[..., None]
    return Piece(log_s + log_b, xp.logaddexp(log_rest, log_s + log_1mb), log_weights)


def _near_end_above(
    log_above: float,
    parameters: Parameters,
    constants: Mapping[str, Any],
    log_start: Floats,
    log_s: Floats,
    log_rest: Floats,
) -> Piece:
    """Return the same from a threshold on, where that is nearer to s; none where it is beyond s."""
    start = np.maximum(log_start, log_above - log_s)
    inside = start < 0
    near = _near_end(parameters, constants, np.where(inside, start, -1.0), log_s, log_rest, NUMPY)
    return Piece(near.log_p, near.log_q, np.where(inside[..., None], near.log_weights, -1e30))
