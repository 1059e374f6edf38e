"""The Kumaraswamy family: two parameters, a power-law tail, heavier in the middle than a beta."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from bayespassk.arrays import Floats
from bayespassk.families.base import Declare, Parameters, Prior
from bayespassk.families.generalized_beta import (
    draw_power_of_beta,
    location_from_scale,
    scale_from_location,
)
from bayespassk.families.quadrature import Smooth
from bayespassk.special import NUMPY, Special

__all__ = ["Kumaraswamy"]


@final
@dataclass(frozen=True)
class Kumaraswamy(Smooth):
    """p with distribution function 1 - (1 - p^a)^b: the Kumaraswamy family.

    For large k, fail@k of a new problem falls as b Gamma(1 + a) k^-a. With the same tail exponent
    it has more problems between never and always solved than the beta.

    Parameters
    ----------
    log_a : Prior
        Prior of log a, the tail exponent; by default its median is 0.2.
    logit_location : Prior
        Prior of the logit of (1 / (1 + b))^(1/a), which lies near the median of p.

    References
    ----------
    Kumaraswamy 1980, J. Hydrology 46: 79-88; Schaeffer et al. 2025, arXiv:2502.17578.
    """

    name: ClassVar[str] = "kumaraswamy"
    when: ClassVar[str] = "as simple as the beta; compare the two: their forecasts part beyond n"
    location: ClassVar[str] = "logit_location"
    draws: ClassVar[int] = 2000

    log_a: Prior = Prior(math.log(0.2), 1.0)
    logit_location: Prior = Prior(-5.0, 2.5, "logistic")

    def prior(self, declare: Declare, xp: Special = NUMPY) -> dict[str, Any]:
        """Declare the tail exponent and the location."""
        return {name: declare(name, prior) for name, prior in self.priors.items()}

    def natural(self, free: Parameters, xp: Special = NUMPY) -> dict[str, Any]:
        """Return a and b."""
        a = xp.exp(free["log_a"])
        return {"a": a, "b": scale_from_location(a, free["logit_location"], xp)}

    def free(self, natural: Parameters) -> dict[str, Any]:
        """Return the free parameters; see :meth:`Family.free`."""
        a, b = natural["a"], natural["b"]
        return {"log_a": np.log(a), "logit_location": location_from_scale(a, b)}

    def log_density(self, parameters: Parameters, log_p: Any, log_q: Any, xp: Special) -> Any:
        """Return log of a b p^a (1 - p^a)^(b-1) (1-p)."""
        a, b = parameters["a"], parameters["b"]
        log_rest = xp.log1mexp(a * log_p)
        return xp.log(a) + xp.log(b) + a * log_p + (b - 1) * log_rest + log_q

    def end_rates(self, parameters: Parameters) -> tuple[Any, Any]:
        """Return a and b."""
        return parameters["a"], parameters["b"]

    def draw(self, parameters: Parameters, rng: np.random.Generator) -> Floats:
        """Draw p by its distribution function."""
        return draw_power_of_beta(1.0, parameters["b"], parameters["a"], rng)
