"""The beta family: two parameters, closed moments, a power-law tail."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special as sp

from bayespassk.arrays import Floats
from bayespassk.cells import Cells
from bayespassk.families.base import Declare, Family, Leaf, Parameters, Prior, per_pair
from bayespassk.families.libby_novick import LibbyNovick
from bayespassk.families.quadrature import log_peak
from bayespassk.special import NUMPY, Special

__all__ = ["Beta"]

MANY = 1e6
"""Attempts from which on sums leave out what is as large as they: they are right to 1e-9 before."""

BOTH = 1e3
"""Of them successes and failures each: with fewer the plain ratio of gamma functions is right."""

NODES = 6
"""Of the rule for moments near 1: enough for 16 digits of an integral over 1% of its distance from
the pole."""


@final
@dataclass(frozen=True)
class Beta(Family):
    """p ~ Beta(a, b): the beta-binomial model of pass@k.

    ``M(i, j) = B(a + i, b + j) / B(a, b)``. For large k, fail@k of a new problem falls as
    k^-a: a small `a` means many problems that almost never succeed, and slow gains from more
    attempts.

    The priors are on log a and log b. The sampler moves in (log a, logit of the mean), which
    are nearly uncorrelated where log a and log b are not.

    Parameters
    ----------
    log_a : Prior
        Prior of log a; by default its median is a = 0.2 and 95% of it lies in 0.028 to 1.4.
    log_b : Prior
        Prior of log b; by default a logistic whose median is b = 5 and 80% of which lies in 0.19
        to 135. Its tails let a benchmark that is hardly ever solved have the b of a million that
        it needs; a normal prior would forecast a plateau there that nothing supports.

    Notes
    -----
    Attempts say nothing about probabilities far below 1/n, so for k far beyond n the forecast
    rests on the beta's shape near zero and on the prior of log a. A plateau (problems that are
    impossible) is not in this family.

    References
    ----------
    Kazdan et al. 2025, arXiv:2510.05197 (beta-binomial by maximum likelihood); Schaeffer et al.
    2025, arXiv:2502.17578 (the tail exponent).

    Examples
    --------
    >>> import numpy as np
    >>> from bayespassk import Beta
    >>> log_fail = Beta().log_moment({"a": 0.25, "b": 5.0}, 0, 10_000)
    >>> round(float(-np.expm1(log_fail)), 4)  # pass@10,000 of a new problem
    0.8533
    """

    name: ClassVar[str] = "beta"
    when: ClassVar[str] = "the first to try: two parameters, a power-law tail"
    location: ClassVar[str] = "logit_mean"

    log_a: Prior = Prior(math.log(0.2), 1.0)
    log_b: Prior = Prior(math.log(5.0), 1.5, "logistic")

    def prior(self, declare: Declare, xp: Special = NUMPY) -> dict[str, Any]:
        """Declare log a, and the logit of the mean, which given log a is log b mirrored."""
        log_a = declare("log_a", self.log_a)
        logit_mean = declare("logit_mean", self.log_b, log_a - self.log_b.loc)
        return {"log_a": log_a, "logit_mean": logit_mean}

    def natural(self, free: Parameters, xp: Special = NUMPY) -> dict[str, Any]:
        """Return a and b; the mean is a / (a + b), so log b = log a - logit mean."""
        return {"a": xp.exp(free["log_a"]), "b": xp.exp(free["log_a"] - free["logit_mean"])}

    def free(self, natural: Parameters) -> dict[str, Any]:
        """Return the free parameters; see :meth:`Family.free`."""
        log_a = np.log(natural["a"])
        return {"log_a": log_a, "logit_mean": log_a - np.log(natural["b"])}

    def log_moment(self, parameters: Parameters, a: ArrayLike, b: ArrayLike) -> Floats:
        """Return log B(a' + a, b' + b) - log B(a', b') for parameters a', b'."""
        a, b = np.broadcast_arrays(np.asarray(a, float), np.asarray(b, float))
        pairs = (...,) + (None,) * a.ndim
        x, y = (np.asarray(parameters[name])[pairs] for name in ("a", "b"))
        moment = np.asarray(NUMPY.log_beta_ratio(x, y, a, b))
        many = (a + b >= MANY) & (np.minimum(a, b) >= BOTH)
        if many.any():
            own, other = (np.asarray(parameters[name])[..., None] for name in ("a", "b"))
            top = log_peak(a[many], b[many])
            over = _log_over_peak(own, other, a[many], b[many], top, NUMPY)
            moment[..., many] = over + top
        for own, other, none, number in ((x, y, a, b), (y, x, b, a)):
            near = np.broadcast_to((none == 0) & (number > 0), moment.shape) & (moment > -0.01)
            if near.any():
                each = (np.broadcast_to(one, moment.shape)[near] for one in (own, other, number))
                moment[near] = _log_near_one(*each)
        return moment

    def survival(
        self, parameters: Parameters, above: ArrayLike, a: ArrayLike = 0.0, b: ArrayLike = 0.0
    ) -> Floats:
        """Return one minus the distribution function of Beta(a' + a, b' + b)."""
        above, a, b = np.broadcast_arrays(*(np.asarray(one, float) for one in (above, a, b)))
        pairs = (...,) + (None,) * a.ndim
        x, y = (np.asarray(parameters[name])[pairs] for name in ("a", "b"))
        return np.asarray(sp.betaincc(x + a, y + b, above))

    def constants(
        self,
        a: Floats,
        b: Floats,
        parameters: Parameters | None = None,
        *,
        finer: ArrayLike = (),
    ) -> dict[str, NDArray[Any]]:
        """Return the exponents: the moment has a closed form.

        And where attempts are many, the largest value of p^a (1-p)^b, which sums need not hold.
        """
        del parameters, finer
        constants = {"successes": np.asarray(a), "failures": np.asarray(b)}
        if np.max(a + b, initial=0.0) >= MANY:
            constants["kernel_top"] = log_peak(a, b)
        return constants

    def log_moments(
        self,
        parameters: Parameters,
        constants: Mapping[str, Any],
        xp: Special,
        system: Any = None,
    ) -> Any:
        """Return log B(a' + a, b' + b) - log B(a', b'), pair by pair."""
        each = per_pair(parameters, system)
        x, y, a, b = each["a"], each["b"], constants["successes"], constants["failures"]
        if "kernel_top" not in constants:
            return xp.log_beta_ratio(x, y, a, b)
        top = constants["kernel_top"]
        return _log_over_peak(x, y, a, b, top, xp) + constants.get("added", top)

    def draw(self, parameters: Parameters, rng: np.random.Generator) -> Floats:
        """Draw p ~ Beta(a, b)."""
        return np.asarray(rng.beta(parameters["a"], parameters["b"]))

    def draw_seen(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        successes: NDArray[np.int64],
        failures: NDArray[np.int64],
    ) -> Floats:
        """Draw p ~ Beta(a + successes, b + failures)."""
        each = per_pair(parameters, None)
        return np.asarray(rng.beta(each["a"] + successes, each["b"] + failures))

    def leaves(self, parameters: Parameters, xp: Special = NUMPY) -> Iterable[Leaf]:
        """Return the beta as what has a density: the Libby-Novick beta with r = 1."""
        own = dict(parameters)
        return [Leaf(LibbyNovick(), own | {"log_odds": own["a"] * np.float64(0.0)}, None)]

    def likelihood_data(self, cells: Cells) -> dict[str, NDArray[Any]]:
        """Return the histograms of successes, failures and attempts of each system, end to end.

        The likelihood is a sum of functions of one count each, so that equal counts are
        evaluated once even where no two problems have the same (c, n). One vector of them
        compiles in a fraction of the time that three take.
        """
        systems = int(cells.system.max()) + 1
        of_a, of_b, of_sum = (
            cells.histogram(values)
            for values in (cells.successes, cells.failures, cells.successes + cells.failures)
        )
        return {
            "parameter": np.concatenate(
                [of_a.system, of_b.system + systems, of_sum.system + 2 * systems]
            ),
            # As floats: PyMC makes 32-bit integers of integers.
            "count": np.concatenate([of_a.value, of_b.value, of_sum.value]).astype(float),
            "weight": np.concatenate([of_a.problems, of_b.problems, -of_sum.problems]).astype(
                float
            ),
        }

    def log_likelihood(self, parameters: Parameters, data: Mapping[str, Any], xp: Special) -> Any:
        """Return the sum of log (a)_c + log (b)_(n-c) - log (a + b)_n over problems."""
        a, b = parameters["a"], parameters["b"]
        x = xp.concatenate([a, b, a + b])[data["parameter"]]
        return (data["weight"] * xp.log_rising(x, data["count"])).sum()


def _log_over_peak(x: Any, y: Any, a: Any, b: Any, top: Any, xp: Special) -> Any:
    """Return log B(x + a, y + b) / B(x, y) over exp(top), the largest value of p^a (1-p)^b.

    With 2^53 attempts the terms of the plain ratio are as large as they, and so is their rounding.
    """
    many = -xp.maximum(-a, -b) > x + y
    i, j = xp.where(many, a, np.float64(1.0)), xp.where(many, b, np.float64(1.0))
    over = xp.log_rising_over(x, i) + xp.log_rising_over(y, j) - xp.log_rising_over(x + y, i + j)
    return xp.where(many, over, xp.log_beta_ratio(x, y, a, b) - top)


def _log_near_one(own: Floats, other: Floats, number: Floats) -> Floats:
    """Return log B(own, other + number) / B(own, other) where it is near 0, to its last digits.

    Minus the integral of digamma(y + number) - digamma(y) for y from `other` to `other + own`: the
    gamma functions themselves have lost all digits of 1e-12.
    """
    node, weight = np.polynomial.legendre.leggauss(NODES)
    half = own[..., None] / 2
    y, m = other[..., None] + half * (1 + node), number[..., None]
    return -np.asarray((half * weight * NUMPY.harmonic(y, m)).sum(-1))
