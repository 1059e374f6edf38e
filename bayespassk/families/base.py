"""What a family is: priors as data, one formula for every moment, and a draw."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special as sp

from bayespassk.arrays import Floats, Ints
from bayespassk.cells import Cells
from bayespassk.errors import OptionError
from bayespassk.options import check_number, check_text
from bayespassk.runs import Runs
from bayespassk.special import NUMPY, Special
from bayespassk.terminal import html_table

__all__ = [
    "ByCell",
    "Declare",
    "Family",
    "Floats",
    "Leaf",
    "Parameters",
    "Prior",
    "declared",
    "distinct_draws",
    "draw_of",
    "draw_prior",
    "log_density_of",
    "log_prior",
    "per_pair",
    "priors_in_words",
    "with_share",
]


type Parameters = Mapping[str, Any]
"""Parameters by name; the values are arrays (or graphs) that broadcast against each other."""

type Declare = Callable[..., Any]
"""What :meth:`Family.prior` calls once a parameter: ``declare(name, prior, loc=prior.loc)``."""


@dataclass(frozen=True)
class Prior:
    """A normal or logistic prior, on the scale a name says: ``log_a`` is of the logarithm of a.

    Parameters
    ----------
    loc : float
        Median, on that scale; of a logit-beta, the logit of the mean of the beta.
    scale : float
        Standard deviation of a normal; scale of a logistic, whose standard deviation is 1.8 times
        that; of a logit-beta, 1 / sqrt(alpha + beta). Positive.
    kind : {"normal", "logistic", "logit-beta"}
        The tails of a logistic are exponential: data far from `loc` overrule it sooner. A
        logit-beta is the logit of a beta: see :meth:`beta`.
    spread : float, optional
        With partial pooling, the scale of the half-normal prior of the standard deviation between
        systems (and of that between benchmarks, and of the effect of a covariate); by default
        half the standard deviation of this prior.

    Examples
    --------
    >>> from bayespassk import Prior
    >>> prior = Prior.from_median(0.2, factor=2.7)  # 68% of its mass within a factor of 2.7
    >>> round(prior.loc, 3), round(prior.scale, 3)
    (-1.609, 0.993)
    """

    loc: float
    scale: float
    kind: Literal["normal", "logistic", "logit-beta"] = "normal"
    spread: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("loc", self.loc), ("scale", self.scale), ("spread", self.spread)):
            if value is not None or name != "spread":
                check_number(value, f"{name} of a prior")
        check_text(self.kind, "kind of a prior")
        if not (math.isfinite(self.loc) and math.isfinite(self.scale) and self.scale > 0):
            raise OptionError(
                "a prior needs a finite loc and a finite, positive scale; got "
                f"loc={self.loc!r}, scale={self.scale!r}"
            )
        if self.kind not in ("normal", "logistic", "logit-beta"):
            raise OptionError(
                f"a prior must be 'normal', 'logistic' or 'logit-beta'; got {self.kind!r}"
            )
        if self.spread is not None and not (math.isfinite(self.spread) and self.spread > 0):
            raise OptionError(
                f"the spread of a prior must be finite and positive; got {self.spread!r}"
            )

    @property
    def sd(self) -> float:
        """The standard deviation."""
        if self.kind == "logit-beta":
            return math.sqrt(sum(sp.polygamma(1, v) for v in _of_beta(self.loc, self.scale)))
        return self.scale * (1.0 if self.kind == "normal" else math.pi / math.sqrt(3))

    @property
    def between(self) -> float:
        """The scale of the half-normal prior of a spread between systems."""
        return self.sd / 2 if self.spread is None else self.spread

    @classmethod
    def from_median(cls, median: float, *, factor: float) -> "Prior":
        """Return the normal prior of a logarithm, from the parameter's own median and a factor.

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

    @classmethod
    def beta(cls, alpha: float, beta: float, *, spread: float | None = None) -> "Prior":
        """Return the prior of the logit of a rate that is Beta(alpha, beta).

        What is known of a rate after alpha - 1/2 hits and beta - 1/2 misses, if nothing was known
        before (Jeffreys' prior); see :func:`bayespassk.verifier.audited_rates`.

        Parameters
        ----------
        alpha, beta : float
            Positive.
        spread : float, optional
            As of the class.

        Raises
        ------
        OptionError
            If alpha or beta is not positive and finite.

        Examples
        --------
        >>> from bayespassk import Prior
        >>> prior = Prior.beta(2, 98)  # of a rate with mean 0.02
        >>> round(prior.loc, 3), prior.scale, prior.kind
        (-3.892, 0.1, 'logit-beta')
        """
        if not (0 < alpha < math.inf and 0 < beta < math.inf):
            raise OptionError(
                "the prior of a rate needs a finite, positive alpha and beta; got "
                f"alpha={alpha!r}, beta={beta!r}"
            )
        loc = math.log(alpha) - math.log(beta)
        return cls(loc, 1 / math.sqrt(alpha + beta), "logit-beta", spread)

    def quantile(self, q: float) -> float:
        """Return the value below which the prior has probability `q`, on its own scale."""
        if self.kind == "logit-beta":
            alpha, beta = _of_beta(self.loc, self.scale)
            return float(sp.logit(sp.betaincinv(alpha, beta, q)))
        return self.loc + self.scale * float(sp.ndtri(q) if self.kind == "normal" else sp.logit(q))

    def _repr_html_(self) -> str:
        """Return what a notebook shows: where the prior is, as each name would have it."""
        names = {"of the value itself": "", "of a logarithm": "log_", "of a logit": "logit_"}
        rows = [(said, *_ends(f"{name}x", self)[1:]) for said, name in names.items()]
        return html_table(repr(self), ("if it is", "median", "95% in"), rows)

    def log_density(self, x: Any, loc: Any) -> Any:
        """Return the log density at `x` of this prior moved to `loc`."""
        return log_density_of(self.kind, x, loc, self.scale)

    def draw(self, rng: np.random.Generator, loc: Any, size: tuple[int, ...]) -> Any:
        """Return draws of shape `size` from this prior moved to `loc`."""
        return draw_of(self.kind, rng, loc, self.scale, size)


def _ends(name: str, prior: Prior) -> tuple[str, str, str]:
    """Return a parameter on its natural scale: its name there, the median, and the middle 95%."""
    scales: dict[str, Callable[[float], Any]] = {"log_": math.exp, "logit_": sp.expit}
    prefix = next((one for one in scales if name.startswith(one)), "")
    natural = scales.get(prefix, float)
    low, middle, high = (f"{float(natural(prior.quantile(q))):.2g}" for q in (0.025, 0.5, 0.975))
    return name.removeprefix(prefix), middle, f"{low} to {high}"


def priors_in_words(family: "Family") -> str:
    """Return the priors as sentences: where each parameter is held to be before the attempts."""
    each = (_ends(name, prior) for name, prior in declared(family).items())
    return "; ".join(f"{name}: median {middle}, 95% in {ends}" for name, middle, ends in each)


def log_density_of(kind: str, x: Any, loc: Any, scale: Any, xp: Special = NUMPY) -> Any:
    """Return the log density at `x` of a prior of this kind, location and scale."""
    if kind == "logit-beta":
        alpha, beta = _of_beta(loc, scale, xp)
        log_beta = xp.gammaln(alpha) + xp.gammaln(beta) - xp.gammaln(alpha + beta)
        return alpha * xp.log_sigmoid(x) + beta * xp.log_sigmoid(-x) - log_beta
    z = (x - loc) / scale
    if kind == "normal":
        return -0.5 * z * z - np.log(scale) - 0.5 * math.log(2 * math.pi)
    return -np.abs(z) - 2 * np.log1p(np.exp(-np.abs(z))) - np.log(scale)


def draw_of(
    kind: str, rng: np.random.Generator, loc: Any, scale: Any, size: tuple[int, ...]
) -> Any:
    """Return draws of shape `size` from a prior of this kind, location and scale."""
    if kind == "logit-beta":
        # Not the logit of a beta draw, which may round to 0 or 1.
        alpha, beta = _of_beta(loc, scale)
        return _log_gamma(rng, alpha, size) - _log_gamma(rng, beta, size)
    standard = rng.logistic(size=size) if kind == "logistic" else rng.standard_normal(size)
    return loc + scale * standard


def _of_beta(loc: Any, scale: Any, xp: Special = NUMPY) -> tuple[Any, Any]:
    """Return alpha and beta of a logit-beta."""
    total = -2 * xp.log(scale)
    return xp.exp(xp.log_sigmoid(loc) + total), xp.exp(xp.log_sigmoid(-loc) + total)


def _log_gamma(rng: np.random.Generator, shape: Any, size: tuple[int, ...]) -> Any:
    """Return logs of gamma draws, which for small shapes are too small to be numbers."""
    return np.log(rng.gamma(shape + 1, size=size)) - rng.standard_exponential(size) / shape


class Leaf(NamedTuple):
    """A part of a distribution of p that is not itself made of parts; see :meth:`Family.leaves`.

    Attributes
    ----------
    distribution : Quadrature or float
        What has a density, to be summed over nodes; or a point, the p of all problems there.
    parameters : dict of str to array, dims (...)
        Its own natural parameters.
    log_share : array, dims (...), or None
        log of the share of problems that are from it; None if it is all there is.
    """

    distribution: Any
    parameters: dict[str, Any]
    log_share: Any


def with_share(leaves: Iterable[Leaf], log_share: Any) -> Iterator[Leaf]:
    """Yield the leaves of what has itself a share of the problems, `log_share`."""
    for leaf in leaves:
        whole = leaf.log_share is None
        yield leaf._replace(log_share=log_share if whole else log_share + leaf.log_share)


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
    """What the command line and saved fits call the family; wrappers add that of what they wrap."""

    when: ClassVar[str]
    """One line on when to use it."""

    location: ClassVar[str]
    """The free parameter that says where on the logit axis the mass is; mixtures order it."""

    target_accept: ClassVar[float] = 0.95
    few_systems_accept: ClassVar[float] = 0.99
    draws: ClassVar[int] = 1000
    tune: ClassVar[int] = 1000
    """What `fit` asks of the sampler by default: with these it converges on the logs tried."""

    @property
    def priors(self) -> dict[str, Prior]:
        """The priors, by the name of the parameter they are on."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Prior)}

    @property
    def components(self) -> tuple["Family", ...]:
        """The families that this one is made of; none unless it is a mixture or a wrapper."""
        return ()

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the parameters and where the priors hold them to be."""
        priors = declared(self)
        rows = [
            (*_ends(name, prior), f"{name}: {prior.kind}, {prior.loc:.4g}, {prior.scale:.4g}")
            for name, prior in priors.items()
        ]
        heads = ("parameter", "prior median", "95% in", "prior (kind, loc, scale)")
        return html_table(f"{self.full_name}: {self.when}", heads, rows)

    @property
    def full_name(self) -> str:
        """The name, with those of the components where there are any."""
        return self.name

    def spec(self) -> dict[str, Any]:
        """Return the family as data that JSON can hold; ``family_from_spec`` reads it back."""
        spec: dict[str, Any] = {
            "name": self.name,
            "priors": {k: asdict(v) for k, v in self.priors.items()},
        }
        if self.components:
            spec["components"] = [component.spec() for component in self.components]
        return spec

    def seeing(
        self, successes: Ints, failures: Ints, runs: Runs | None
    ) -> tuple["Family", Ints, Ints]:
        """Return the family to see these problems with, and what it sees at each, dims (row,).

        Itself, and the counts as they are; but one that tells attempts of one run from those of
        several sees patterns, to which it gives numbers below 0.
        """
        del runs
        return self, successes, failures

    def outcomes(self, successes: Ints, failures: Ints) -> tuple[Ints, Ints]:
        """Return successes and failures at problems at which this was seen; see :meth:`seeing`."""
        return successes, failures

    @abstractmethod
    def prior(self, declare: Declare, xp: Special = NUMPY) -> dict[str, Any]:
        """Declare the free parameters, each by one call of `declare`, and return them by name.

        Written once, run by three callers: one builds the PyMC model, one draws from the prior,
        one sums log densities. The free parameters are those that sample well, which need not
        be those the priors are on.
        """

    @abstractmethod
    def natural(self, free: Parameters, xp: Special = NUMPY) -> dict[str, Any]:
        """Return the natural parameters, those of the formulas, from the free ones."""

    @abstractmethod
    def free(self, natural: Parameters) -> dict[str, Any]:
        """Return the free parameters from the natural ones: the inverse of :meth:`natural`."""

    @abstractmethod
    def log_moment(self, parameters: Parameters, a: ArrayLike, b: ArrayLike) -> Floats:
        """Return log E[p^a (1-p)^b] for every draw of the parameters and every pair (a, b).

        Parameters
        ----------
        parameters : mapping of str to array, dims (...)
            Natural parameters, arrays of one shape.
        a, b : array, of a common shape after broadcasting
            Exponents, 0 or more; they need not be whole.

        Returns
        -------
        array
            Of the shape of the parameters followed by that of the pairs: each with each.
        """

    @abstractmethod
    def survival(
        self, parameters: Parameters, above: ArrayLike, a: ArrayLike = 0.0, b: ArrayLike = 0.0
    ) -> Floats:
        """Return the probability that p lies above `above`, of a problem seen with (a, b).

        E[p^a (1-p)^b [p > above]] / E[p^a (1-p)^b]; without a and b that of a new problem.

        Parameters
        ----------
        parameters : mapping of str to array, dims (...)
            Natural parameters, arrays of one shape.
        above, a, b : array, of a common shape after broadcasting
            Thresholds, 0 to 1; successes and failures.

        Returns
        -------
        array
            Of the shape of the parameters followed by that of the others: each with each.
        """

    @abstractmethod
    def constants(
        self,
        a: Floats,
        b: Floats,
        parameters: Parameters | None = None,
        *,
        finer: ArrayLike = (),
    ) -> dict[str, NDArray[Any]]:
        """Return what :meth:`log_moments` needs to know of the pairs (a, b), dims (pair,).

        Where that is a choice (nodes of a quadrature), it is made for `parameters`, by default
        for draws of the prior; panels end at the values of logit p in `finer`, too.
        """

    def numbers(self, constants: Mapping[str, Any], pairs: int) -> int:
        """Return how many numbers :meth:`log_moments` holds for each draw of the parameters.

        As nodes that follow the parameters take: as many as there are pairs of pair and node.
        """
        return pairs * int(max(value.shape[-1] for value in constants.values()))

    @abstractmethod
    def log_moments(
        self,
        parameters: Parameters,
        constants: Mapping[str, Any],
        xp: Special,
        system: Any = None,
    ) -> Any:
        """Return log E[p^a (1-p)^b] of the pairs that `constants` were made for.

        Without `system`, dims (..., pair): every draw of the parameters with every pair. With
        it, dims (pair,): the pair i with the parameters of system[i].
        """

    @abstractmethod
    def draw(self, parameters: Parameters, rng: np.random.Generator) -> Floats:
        """Draw the p of a new problem for each element of the parameters."""

    @abstractmethod
    def draw_seen(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        successes: NDArray[np.int64],
        failures: NDArray[np.int64],
    ) -> Floats:
        """Draw the p of problems whose outcomes were seen, dims (draw, problem).

        `parameters` have dims (draw,), the counts (problem,).
        """

    def rates(self, parameters: Parameters, logit: Floats) -> Floats:
        """Return -log(1-p), dims (draw, node), where an attempt succeeds with probability p.

        `parameters` have dims (draw,), `logit` is logit p.
        """
        del parameters
        return np.asarray(-NUMPY.log_sigmoid(-logit))

    @abstractmethod
    def leaves(self, parameters: Parameters, xp: Special = NUMPY) -> Iterable[Leaf]:
        """Return the densities and the points that this family is made of, with their shares.

        What it takes to see the p of a problem through something else; see
        :class:`bayespassk.Verified`.
        """

    @abstractmethod
    def likelihood_data(self, cells: Cells) -> dict[str, NDArray[Any]]:
        """Return the arrays that :meth:`log_likelihood` needs: as few numbers as will do."""

    @abstractmethod
    def log_likelihood(self, parameters: Parameters, data: Mapping[str, Any], xp: Special) -> Any:
        """Return the log-likelihood of all cells, up to the constants log C(n, c).

        `parameters` have one element a system; `data` is what :meth:`likelihood_data` made.
        """


class ByCell(Family):
    """A family whose likelihood is the sum of the log moments of the distinct rows."""

    def likelihood_data(self, cells: Cells) -> dict[str, NDArray[Any]]:
        """Return the constants of the cells, how many problems each has, and their systems."""
        data = self.constants(cells.successes.astype(float), cells.failures.astype(float))
        data["problems"] = cells.problems.astype(float)
        if cells.system.max() > 0:
            data["cell_system"] = cells.system
        return data

    def log_likelihood(self, parameters: Parameters, data: Mapping[str, Any], xp: Special) -> Any:
        """Return the sum over cells of their log moment times their number of problems."""
        moments = self.log_moments(parameters, data, xp, data.get("cell_system"))
        return (moments * data["problems"]).sum()


def per_pair(parameters: Parameters, system: Any) -> dict[str, Any]:
    """Return parameters that broadcast against pairs; see :meth:`Family.log_moments`."""
    at = (..., None) if system is None else system
    return {name: p[at] for name, p in parameters.items()}


def declared(family: Family) -> dict[str, Prior]:
    """Return the prior of each free parameter, in the order in which they are declared."""
    found: dict[str, Prior] = {}

    def declare(name: str, prior: Prior, _loc: Any = None) -> Any:
        found[name] = prior
        return np.float64(prior.loc)

    family.prior(declare)
    return found


def distinct_draws(parameters: Parameters) -> tuple[dict[str, Floats], NDArray[np.int64]]:
    """Return the different draws, dims (distinct,), and which of them each draw is, dims (draw,).

    Draws from a lattice are the same point again and again: what is computed of each point once
    is a multiple faster.
    """
    first = next(iter(parameters.values()))
    _, index, which = np.unique(first, return_index=True, return_inverse=True)
    chosen = {name: values[index] for name, values in parameters.items()}
    if all(np.array_equal(chosen[name][which], values) for name, values in parameters.items()):
        return chosen, which
    return dict(parameters), np.arange(len(first))


def draw_prior(
    family: Family, rng: np.random.Generator, size: tuple[int, ...]
) -> dict[str, NDArray[np.float64]]:
    """Return draws of the free parameters of `family` from its prior, each of shape `size`."""

    def declare(_name: str, prior: Prior, loc: Any = None) -> Any:
        return prior.draw(rng, prior.loc if loc is None else loc, size)

    return family.prior(declare)


def log_prior(family: Family, free: Parameters) -> NDArray[np.float64]:
    """Return the log prior density at the free parameters `free`, of their broadcast shape."""
    total: Any = 0.0

    def declare(name: str, prior: Prior, loc: Any = None) -> Any:
        nonlocal total
        total = total + prior.log_density(free[name], prior.loc if loc is None else loc)
        return free[name]

    family.prior(declare)
    return np.asarray(total)
