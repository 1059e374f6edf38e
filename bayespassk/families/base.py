"""What a family is: priors as data, one formula for every moment, and a draw."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayespassk.cells import Cells
from bayespassk.errors import OptionError
from bayespassk.special import NUMPY, Special

__all__ = ["Family", "Normal", "Parameters", "Prior", "draw_prior", "log_prior"]

type Parameters = Mapping[str, Any]
"""Parameters by name; the values are arrays (or graphs) that broadcast against each other."""

type Normal = Callable[[str, Any, Any], Any]
"""What :meth:`Family.prior` calls once a parameter: ``normal(name, mean, sd)`` -> its value."""


@dataclass(frozen=True)
class Prior:
    """A normal prior on the scale a parameter's name says: ``log_a`` is on the logarithm of a.

    Parameters
    ----------
    mean : float
        Mean, on that scale.
    sd : float
        Standard deviation, on that scale; must be positive.

    Examples
    --------
    >>> from bayespassk import Prior
    >>> prior = Prior.from_median(0.2, factor=2.7)  # 68% of its mass within a factor of 2.7
    >>> round(prior.mean, 3), round(prior.sd, 3)
    (-1.609, 0.993)
    """

    mean: float
    sd: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.sd) and self.sd > 0):
            raise OptionError(
                f"a prior needs a finite mean and a finite, positive sd; got mean={self.mean!r}, "
                f"sd={self.sd!r}"
            )

    @classmethod
    def from_median(cls, median: float, *, factor: float) -> "Prior":
        """Return the prior of a logarithm, from the parameter's own median and a factor.

        Parameters
        ----------
        median : float
            Median of the parameter itself, not of its logarithm; positive.
        factor : float
            68% of the mass lies between median / factor and median * factor; above 1.

        Raises
        ------
        OptionError
            If median is not positive or factor is not above 1.
        """
        if not (median > 0 and factor > 1):
            raise OptionError(
                "a prior from a median needs median > 0 and factor > 1; got "
                f"median={median!r}, factor={factor!r}"
            )
        return cls(math.log(median), math.log(factor))


@dataclass(frozen=True)
class Family(ABC):
    """A parametric distribution of the success probability p over problems.

    Everything bayespassk does with a family follows from one function, the mixed moment
    ``M(a, b) = E[p^a (1-p)^b]``: the likelihood of c successes in n attempts is
    ``C(n, c) M(c, n-c)``, pass@k of a new problem is ``1 - M(0, k)``, and that of a problem
    seen with (c, n) is ``1 - M(c, n-c+k) / M(c, n-c)``.

    A family is a frozen dataclass whose fields are its priors. Change one with
    ``bp.Beta(log_a=bp.Prior(-1.0, 0.5))``.
    """

    name: ClassVar[str]
    """What the command line and saved fits call the family."""

    @property
    def priors(self) -> dict[str, Prior]:
        """The priors, by the name of the parameter they are on."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def spec(self) -> dict[str, Any]:
        """Return the family as data that JSON can hold; ``family_from_spec`` reads it back."""
        return {"name": self.name, "priors": {k: asdict(v) for k, v in self.priors.items()}}

    @abstractmethod
    def prior(self, normal: Normal) -> dict[str, Any]:
        """Declare the free parameters, each by one call of `normal`, and return them by name.

        Written once, run by three callers: with ``pm.Normal`` it builds the model, with a random
        generator it draws from the prior, with given values it sums the log density. The free
        parameters are those that sample well, which need not be those the priors are on.
        """

    @abstractmethod
    def natural(self, free: Parameters, xp: Special = NUMPY) -> dict[str, Any]:
        """Return the natural parameters, those of the formulas, from the free ones."""

    @abstractmethod
    def log_moment(self, parameters: Parameters, a: Any, b: Any, xp: Special = NUMPY) -> Any:
        """Return log E[p^a (1-p)^b], a and b >= 0, given natural `parameters`."""

    @abstractmethod
    def draw(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        successes: ArrayLike = 0,
        failures: ArrayLike = 0,
    ) -> NDArray[np.float64]:
        """Draw one p for each element of the broadcast arguments.

        With counts given, p is that of a problem seen with so many successes and failures;
        without, that of a new problem.
        """

    @abstractmethod
    def likelihood_data(self, cells: Cells) -> dict[str, NDArray[Any]]:
        """Return the arrays that :meth:`log_likelihood` needs: as few numbers as will do."""

    @abstractmethod
    def log_likelihood(self, parameters: Parameters, data: Mapping[str, Any], xp: Special) -> Any:
        """Return the log-likelihood of all cells, up to the constants log C(n, c).

        `parameters` have one element a system; `data` is what :meth:`likelihood_data` made.
        """


def draw_prior(
    family: Family, rng: np.random.Generator, size: tuple[int, ...]
) -> dict[str, NDArray[np.float64]]:
    """Return draws of the free parameters of `family` from its prior, each of shape `size`."""

    def normal(_name: str, mean: Any, sd: Any) -> NDArray[np.float64]:
        return rng.normal(mean, sd, size)

    return family.prior(normal)


def log_prior(family: Family, free: Parameters) -> NDArray[np.float64]:
    """Return the log prior density at the free parameters `free`, of their broadcast shape."""
    total: Any = 0.0

    def normal(name: str, mean: Any, sd: Any) -> Any:
        nonlocal total
        z = (free[name] - mean) / sd
        total = total - 0.5 * z * z - np.log(sd) - 0.5 * math.log(2 * math.pi)
        return free[name]

    family.prior(normal)
    return np.asarray(total)
