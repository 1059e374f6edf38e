"""The Libby-Novick beta: a power law that ends where the counts say, not where p nears one."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from bayespassk.arrays import Floats
from bayespassk.families.base import Declare, Parameters, Prior
from bayespassk.families.quadrature import Smooth
from bayespassk.special import NUMPY, Special

__all__ = ["LibbyNovick"]


@final
@dataclass(frozen=True)
class LibbyNovick(Smooth):
    """p whose odds are r times the odds of B ~ Beta(a, b): the beta of Libby and Novick.

    The density of logit p rises as exp(a logit p) and falls as exp(-b logit p), and turns from one
    to the other at logit r. With r = 1 it is the beta, whose power law near zero holds until p is
    of order 1/b: there the few problems that are solved often, of which the counts know most,
    decide about the exponent of the many that are solved rarely. Here they need not.

    For large k, fail@k of a new problem falls as (k r)^-a Gamma(a + b) / Gamma(b).

    Parameters
    ----------
    log_a : Prior
        Prior of log a, the tail exponent; by default its median is 0.2.
    log_b : Prior
        Prior of log b, the exponent of the decline towards p = 1; by default its median is 1.
    logit_knee : Prior
        Prior of logit r - log(1 + b), near the logit of the p up to which the power law holds.

    References
    ----------
    Libby and Novick 1982, J. Educational Statistics 7: 271-294.
    """

    name: ClassVar[str] = "libby-novick"
    when: ClassVar[str] = (
        "where problems solved often and problems solved rarely do not follow one power law"
    )
    location: ClassVar[str] = "logit_knee"
    few_systems_accept: ClassVar[float] = 0.97

    log_a: Prior = Prior(math.log(0.2), 1.0, spread=0.5)
    log_b: Prior = Prior(0.0, 2.0, spread=0.3)
    logit_knee: Prior = Prior(-3.5, 4.0, spread=2.5)

    def prior(self, declare: Declare, xp: Special = NUMPY) -> dict[str, Any]:
        """Declare the two exponents and where one takes over from the other."""
        return {name: declare(name, prior) for name, prior in self.priors.items()}

    def natural(self, free: Parameters, xp: Special = NUMPY) -> dict[str, Any]:
        """Return a, b and log r."""
        log_odds = free["logit_knee"] - xp.log_sigmoid(-free["log_b"])
        return {"a": xp.exp(free["log_a"]), "b": xp.exp(free["log_b"]), "log_odds": log_odds}

    def free(self, natural: Parameters) -> dict[str, Any]:
        """Return the free parameters; see :meth:`Family.free`."""
        a, b = natural["a"], natural["b"]
        knee = natural["log_odds"] - np.log1p(b)
        return {"log_a": np.log(a), "log_b": np.log(b), "logit_knee": knee}

    def log_density(self, parameters: Parameters, log_p: Any, log_q: Any, xp: Special) -> Any:
        """Return log of B^a (1-B)^b / Beta(a, b), logit B = logit p - log r."""
        a, b = parameters["a"], parameters["b"]
        x = log_p - log_q - parameters["log_odds"]
        # log (1 - B) is log B - x, but not to its last digits, of which a large b makes much.
        of_both, none = xp.log_sigmoid(abs(x)), np.float64(0.0)
        log_b, log_1mb = of_both - xp.maximum(-x, none), of_both - xp.maximum(x, none)
        return a * log_b + b * log_1mb - xp.log_beta(a, b)

    def farthest(self, parameters: Parameters) -> tuple[float, float]:
        """Return points 48 or more beyond where the density turns, and p^a (1-p)^b ends."""
        log_odds = parameters["log_odds"]
        return min(-90.0, float(np.min(log_odds)) - 48), max(90.0, float(np.max(log_odds)) + 48)

    def end_rates(self, parameters: Parameters) -> tuple[Any, Any]:
        """Return a and b."""
        return parameters["a"], parameters["b"]

    def draw(self, parameters: Parameters, rng: np.random.Generator) -> Floats:
        """Draw B and multiply its odds."""
        drawn, odds = rng.beta(parameters["a"], parameters["b"]), np.exp(parameters["log_odds"])
        return np.asarray(odds * drawn / (1 - drawn + odds * drawn))
