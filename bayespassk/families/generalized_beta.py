"""The generalized beta family (of the first kind), which holds the beta and the Kumaraswamy."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from bayespassk.arrays import Floats
from bayespassk.families.base import Declare, Parameters, Prior
from bayespassk.families.quadrature import Smooth
from bayespassk.special import NUMPY, Special

__all__ = [
    "GeneralizedBeta",
    "draw_power_of_beta",
    "location_from_scale",
    "log_density_of_power",
    "scale_from_location",
]


@final
@dataclass(frozen=True)
class GeneralizedBeta(Smooth):
    """p = B^(1/g), B ~ Beta(a, b): the generalized beta of the first kind.

    With g = 1 it is the beta, with a = 1 the Kumaraswamy family. The tail exponent is the product
    a g: fail@k falls as k^-(a g). The third parameter says how fast the density turns from its
    power law near zero to its decline towards one.

    Parameters
    ----------
    log_tail : Prior
        Prior of log (a g), the logarithm of the tail exponent; by default its median is 0.2.
    logit_location : Prior
        Prior of the logit of (a / (a + b))^(1/g), the mean of B on the scale of p.
    log_g : Prior
        Prior of log g; by default 68% of it lies in g = 0.3 to 1.3.

    References
    ----------
    McDonald 1984, Econometrica 52: 647-663.
    """

    name: ClassVar[str] = "generalized-beta"
    when: ClassVar[str] = (
        "holds both beta and Kumaraswamy: a third parameter, which data rarely pin down"
    )
    location: ClassVar[str] = "logit_location"
    draws: ClassVar[int] = 2000

    log_tail: Prior = Prior(math.log(0.2), 1.0)
    logit_location: Prior = Prior(-5.0, 2.5, "logistic")
    log_g: Prior = Prior(-0.5, 0.7)

    def prior(self, declare: Declare, xp: Special = NUMPY) -> dict[str, Any]:
        """Declare the tail exponent, the location and the shape."""
        return {name: declare(name, prior) for name, prior in self.priors.items()}

    def natural(self, free: Parameters, xp: Special = NUMPY) -> dict[str, Any]:
        """Return a, b and g."""
        g = xp.exp(free["log_g"])
        a = xp.exp(free["log_tail"] - free["log_g"])
        return {"a": a, "b": a * scale_from_location(g, free["logit_location"], xp), "g": g}

    def free(self, natural: Parameters) -> dict[str, Any]:
        """Return the free parameters; see :meth:`Family.free`."""
        a, b, g = natural["a"], natural["b"], natural["g"]
        log_g = np.log(g)
        location = location_from_scale(g, b / a)
        return {"log_tail": np.log(a) + log_g, "logit_location": location, "log_g": log_g}

    def log_density(self, parameters: Parameters, log_p: Any, log_q: Any, xp: Special) -> Any:
        """Return log of g p^(a g) (1 - p^g)^(b-1) (1-p) / B(a, b)."""
        return log_density_of_power(
            parameters["a"], parameters["b"], parameters["g"], log_p, log_q, xp
        )

    def end_rates(self, parameters: Parameters) -> tuple[Any, Any]:
        """Return a g and b."""
        return parameters["a"] * parameters["g"], parameters["b"]

    def draw(self, parameters: Parameters, rng: np.random.Generator) -> Floats:
        """Draw B^(1/g)."""
        return draw_power_of_beta(parameters["a"], parameters["b"], parameters["g"], rng)


def scale_from_location(g: Any, logit_location: Any, xp: Special) -> Any:
    """Return b / a such that the mean of B is location^g: location^-g - 1."""
    return xp.expm1(-g * xp.log_sigmoid(logit_location))


def location_from_scale(g: Any, scale: Any) -> Any:
    """Return the logit of the location of which the above is `scale`."""
    log_location = -np.log1p(scale) / g
    return log_location - NUMPY.log1mexp(log_location)


def log_density_of_power(a: Any, b: Any, g: Any, log_p: Any, log_q: Any, xp: Special) -> Any:
    """Return the log density of logit p where p^g ~ Beta(a, b)."""
    log_rest = xp.log1mexp(g * log_p)
    return xp.log(g) + a * g * log_p + (b - 1) * log_rest + log_q - xp.log_beta(a, b)


def draw_power_of_beta(a: Any, b: Any, g: Any, rng: np.random.Generator) -> Floats:
    """Draw p where p^g ~ Beta(a, b)."""
    return np.asarray(rng.beta(a, b) ** (1 / g))
