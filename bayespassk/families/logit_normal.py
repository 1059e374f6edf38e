"""The logit-normal family: for comparison, as its tail is not a power law."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from scipy import special as sp

from bayespassk.arrays import Floats
from bayespassk.families.base import Declare, Parameters, Prior
from bayespassk.families.quadrature import Smooth
from bayespassk.special import NUMPY, Special

__all__ = ["LogitNormal"]


@final
@dataclass(frozen=True)
class LogitNormal(Smooth):
    """logit p ~ Normal(mu, sigma).

    fail@k falls faster than any power of k in the end: the local tail exponent grows with log k.
    On published logs its forecasts are too high; it is here to be compared with.

    Parameters
    ----------
    mu : Prior
        Prior of the mean of logit p, which is the logit of the median.
    log_sigma : Prior
        Prior of the log of the standard deviation of logit p; by default its median is 3.
    """

    name: ClassVar[str] = "logit-normal"
    when: ClassVar[str] = (
        "for comparison: no power law, so forecasts far beyond n come out too high"
    )
    location: ClassVar[str] = "mu"

    mu: Prior = Prior(-5.0, 2.5, "logistic")
    log_sigma: Prior = Prior(math.log(3.0), 0.7)

    def prior(self, declare: Declare, xp: Special = NUMPY) -> dict[str, Any]:
        """Declare the median and the spread."""
        return {name: declare(name, prior) for name, prior in self.priors.items()}

    def natural(self, free: Parameters, xp: Special = NUMPY) -> dict[str, Any]:
        """Return the median of p and the standard deviation of logit p."""
        return {"logit_median": free["mu"], "sigma": xp.exp(free["log_sigma"])}

    def free(self, natural: Parameters) -> dict[str, Any]:
        """Return the free parameters; see :meth:`Family.free`."""
        return {"mu": natural["logit_median"], "log_sigma": np.log(natural["sigma"])}

    def log_density(self, parameters: Parameters, log_p: Any, log_q: Any, xp: Special) -> Any:
        """Return the log density of the normal at logit p."""
        sigma = parameters["sigma"]
        z = (log_p - log_q - parameters["logit_median"]) / sigma
        return -0.5 * z * z - xp.log(sigma) - np.float64(0.5 * math.log(2 * math.pi))

    def farthest(self, parameters: Parameters) -> tuple[float, float]:
        """Return points far out on both sides: the density is nowhere exponential."""
        return -3000.0, 3000.0

    def end_rates(self, parameters: Parameters) -> tuple[Any, Any]:
        """Return 1 and 1: nothing is left beyond the ends."""
        one = parameters["sigma"] * 0 + 1
        return one, one

    def draw(self, parameters: Parameters, rng: np.random.Generator) -> Floats:
        """Draw the inverse logit of a normal."""
        mu, sigma = parameters["logit_median"], parameters["sigma"]
        return np.asarray(sp.expit(rng.normal(mu, sigma)))
