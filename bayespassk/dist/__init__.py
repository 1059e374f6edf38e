"""Distributions for PyMC models of your own: of successes with p integrated out, and of p itself.

Each is used as PyMC's are: with a name in a model, and as ``.dist(...)`` by itself. Parameters are
the natural ones of the family, and may be numbers, arrays, or anything that a model makes.

What ends in Binomial is the distribution of the successes in n attempts, C(n, c) E[p^c (1-p)^(n-c)].
All of them take, besides `n` and what PyMC takes (``observed``, ``dims``, ``shape``):

zero, one
    The share of problems that no attempt, or every attempt, will solve.
true_positive_rate, false_positive_rate
    How often a verifier accepts what is correct, and what is wrong; successes are what it accepts.

Write ``a[system]`` for parameters of systems at the problems of each: what is taken by one index is
computed once for each system, and equal counts of a system once. ``bp.dist`` has no names for what
PyMC has already: ``pm.Beta``, ``pm.Kumaraswamy``, ``pm.LogitNormal``.

Log probabilities of betas have a closed form. For the others nodes of a quadrature are chosen for
the counts and for 200 draws of the parameters from the prior of the model (where it cannot be drawn
from, as ``pm.Flat``, from that of the family). At other draws they are right to 1e-6 in 99 of 100 and
to 1e-5 in nearly all, for up to a million attempts; of what is less probable than exp(-690) they say
no more than that. Where parameters are numbers, to 1e-7.
"""

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bayespassk.dist.binomials import mixed_binomial
from bayespassk.dist.densities import logit_p, probability
from bayespassk.errors import OptionError
from bayespassk.families import (
    Beta,
    Dependent,
    Family,
    GeneralizedBeta as GeneralizedBetaFamily,
    Kumaraswamy,
    LibbyNovick as LibbyNovickFamily,
    LogitNormal,
    Mixture,
    OneInflated,
    Prior,
    ScaledBeta as ScaledBetaFamily,
    Verified,
    ZeroInflated,
)

from bayespassk.families.dependent import RUN_SD

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

__all__ = [
    "BetaBinomial",
    "BetaMixtureBinomial",
    "DependentBinomial",
    "GeneralizedBeta",
    "GeneralizedBetaBinomial",
    "KumaraswamyBinomial",
    "LibbyNovick",
    "LibbyNovickBinomial",
    "LogitNormalBinomial",
    "LogitP",
    "MixedBinomial",
    "ScaledBeta",
    "ScaledBetaBinomial",
]

# What NumPy draws, or looks up, is known to be: users need not be told at every compilation.
warnings.filterwarnings(
    "ignore",
    r"Numba will use object mode to run (\w*Binomial|\w*Successes|LibbyNovick|ScaledBeta|"
    "GeneralizedBeta|LogitP|LogitBeta|_Constants)",
    UserWarning,
)

RATES = {"true_positive_rate": Prior.beta(99, 1), "false_positive_rate": Prior.beta(1, 99)}
"""Stand for rates that a model has priors of; these are never used."""


class MixedBinomial:
    """Successes in n attempts at problems whose p are from any family, p integrated out.

    Parameters
    ----------
    name : str
    family : Family
        Such as ``bp.ZeroInflated(bp.Kumaraswamy())``; its priors are not used.
    parameters : mapping of str to tensor
        Its natural parameters, by the names that they have in a fit; of the shape of the successes
        or what broadcasts to it.
    n : tensor of int
        Attempts.
    **options
        What ``pm.CustomDist`` takes: observed, dims, shape, ...

    Returns
    -------
    TensorVariable
        Of the model, or with ``MixedBinomial.dist`` by itself.

    Raises
    ------
    OptionError
        If parameters are missing, or not those of the family.

    Examples
    --------
    >>> import bayespassk as bp, pymc as pm
    >>> parameters = {"a": 0.3, "b": 4.0, "zero": 0.1}
    >>> family = bp.ZeroInflated(bp.Beta())
    >>> successes = bp.dist.MixedBinomial.dist(family, parameters, n=20)
    >>> round(float(pm.logp(successes, 0).eval()), 3)
    -0.487
    """

    def __new__(
        cls, name: str, family: Family, parameters: Mapping[str, Any], *, n: Any, **options: Any
    ) -> "TensorVariable":
        """Return the variable."""
        return _named(name, family, parameters, n, options, cls.__name__)

    @classmethod
    def dist(
        cls, family: Family, parameters: Mapping[str, Any], *, n: Any, **options: Any
    ) -> "TensorVariable":
        """Return the variable by itself, outside of a model."""
        return _named(None, family, parameters, n, options, cls.__name__)


class BetaBinomial:
    """Successes where p ~ Beta(a, b).

    As ``pm.BetaBinomial``, which is off by 4 nats at b = 1e15, where a benchmark without a success
    may go.

    Parameters
    ----------
    name : str
    a, b : tensor
        Positive; `a` is the tail exponent of fail@k.
    n : tensor of int
        Attempts.
    **options
        zero, one, true_positive_rate, false_positive_rate, and what ``pm.CustomDist`` takes.

    Examples
    --------
    >>> import bayespassk as bp, pymc as pm
    >>> round(float(pm.logp(bp.dist.BetaBinomial.dist(1.0, 1.0, n=9), 3).eval()), 4)  # 1 of 10
    -2.3026
    """

    def __new__(cls, name: str, a: Any, b: Any, *, n: Any, **options: Any) -> "TensorVariable":
        """Return the variable."""
        return _named(name, Beta(), {"a": a, "b": b}, n, options, cls.__name__)

    @classmethod
    def dist(cls, a: Any, b: Any, *, n: Any, **options: Any) -> "TensorVariable":
        """Return the variable by itself, outside of a model."""
        return _named(None, Beta(), {"a": a, "b": b}, n, options, cls.__name__)


class KumaraswamyBinomial:
    """Successes where p has the distribution function 1 - (1 - p^a)^b.

    Parameters
    ----------
    name : str
    a, b : tensor
        Positive; `a` is the tail exponent of fail@k.
    n : tensor of int
        Attempts.
    **options
        zero, one, true_positive_rate, false_positive_rate, and what ``pm.CustomDist`` takes.

    Examples
    --------
    >>> import bayespassk as bp, pymc as pm
    >>> with pm.Model():
    ...     a = pm.LogNormal("a", -1.6, 1.0)
    ...     b = pm.LogNormal("b", 0.0, 1.0)
    ...     _ = bp.dist.KumaraswamyBinomial("successes", a, b, n=20, observed=[0, 3, 17])
    """

    def __new__(cls, name: str, a: Any, b: Any, *, n: Any, **options: Any) -> "TensorVariable":
        """Return the variable."""
        return _named(name, Kumaraswamy(), {"a": a, "b": b}, n, options, cls.__name__)

    @classmethod
    def dist(cls, a: Any, b: Any, *, n: Any, **options: Any) -> "TensorVariable":
        """Return the variable by itself, outside of a model."""
        return _named(None, Kumaraswamy(), {"a": a, "b": b}, n, options, cls.__name__)


class LibbyNovickBinomial:
    """Successes where the odds of p are exp(log_odds) times those of B ~ Beta(a, b).

    Parameters
    ----------
    name : str
    a, b : tensor
        Positive; `a` is the tail exponent of fail@k, `b` that of the decline towards p = 1.
    log_odds : tensor
        The logit of the p where one exponent takes over from the other.
    n : tensor of int
        Attempts.
    **options
        zero, one, true_positive_rate, false_positive_rate, and what ``pm.CustomDist`` takes.

    Examples
    --------
    >>> import bayespassk as bp, pymc as pm
    >>> of_each = bp.dist.LibbyNovickBinomial.dist(0.3, 1.0, -2.0, n=[10, 20], zero=0.05)
    >>> pm.logp(of_each, [0, 7]).eval().round(3)
    array([-0.343, -4.385])
    """

    def __new__(
        cls, name: str, a: Any, b: Any, log_odds: Any, *, n: Any, **options: Any
    ) -> "TensorVariable":
        """Return the variable."""
        own = {"a": a, "b": b, "log_odds": log_odds}
        return _named(name, LibbyNovickFamily(), own, n, options, cls.__name__)

    @classmethod
    def dist(cls, a: Any, b: Any, log_odds: Any, *, n: Any, **options: Any) -> "TensorVariable":
        """Return the variable by itself, outside of a model."""
        own = {"a": a, "b": b, "log_odds": log_odds}
        return _named(None, LibbyNovickFamily(), own, n, options, cls.__name__)


class ScaledBetaBinomial:
    """Successes where p = s B, B ~ Beta(a, b).

    Parameters
    ----------
    name : str
    a, b : tensor
        Positive; `a` is the tail exponent of fail@k.
    s : tensor
        The largest p, 0 to 1.
    n : tensor of int
        Attempts.
    **options
        zero, one, true_positive_rate, false_positive_rate, and what ``pm.CustomDist`` takes.

    Examples
    --------
    >>> import bayespassk as bp, pymc as pm
    >>> successes = bp.dist.ScaledBetaBinomial.dist(1.0, 1.0, 0.5, n=1)  # p is uniform below 1/2
    >>> round(float(pm.logp(successes, 1).exp().eval()), 6)
    0.25
    """

    def __new__(
        cls, name: str, a: Any, b: Any, s: Any, *, n: Any, **options: Any
    ) -> "TensorVariable":
        """Return the variable."""
        own = {"a": a, "b": b, "s": s}
        return _named(name, ScaledBetaFamily(), own, n, options, cls.__name__)

    @classmethod
    def dist(cls, a: Any, b: Any, s: Any, *, n: Any, **options: Any) -> "TensorVariable":
        """Return the variable by itself, outside of a model."""
        own = {"a": a, "b": b, "s": s}
        return _named(None, ScaledBetaFamily(), own, n, options, cls.__name__)


class GeneralizedBetaBinomial:
    """Successes where p = B^(1/g), B ~ Beta(a, b): of the first kind.

    Parameters
    ----------
    name : str
    a, b, g : tensor
        Positive; the tail exponent of fail@k is a g.
    n : tensor of int
        Attempts.
    **options
        zero, one, true_positive_rate, false_positive_rate, and what ``pm.CustomDist`` takes.

    Examples
    --------
    >>> import bayespassk as bp, pymc as pm
    >>> successes = bp.dist.GeneralizedBetaBinomial.dist(1.0, 1.0, 1.0, n=9)  # p is uniform
    >>> round(float(pm.logp(successes, 3).exp().eval()), 6)
    0.1
    """

    def __new__(
        cls, name: str, a: Any, b: Any, g: Any, *, n: Any, **options: Any
    ) -> "TensorVariable":
        """Return the variable."""
        own = {"a": a, "b": b, "g": g}
        return _named(name, GeneralizedBetaFamily(), own, n, options, cls.__name__)

    @classmethod
    def dist(cls, a: Any, b: Any, g: Any, *, n: Any, **options: Any) -> "TensorVariable":
        """Return the variable by itself, outside of a model."""
        own = {"a": a, "b": b, "g": g}
        return _named(None, GeneralizedBetaFamily(), own, n, options, cls.__name__)


class LogitNormalBinomial:
    """Successes where logit p ~ Normal(logit_median, sigma).

    Parameters
    ----------
    name : str
    logit_median : tensor
    sigma : tensor
        Positive.
    n : tensor of int
        Attempts.
    **options
        zero, one, true_positive_rate, false_positive_rate, and what ``pm.CustomDist`` takes.

    Examples
    --------
    >>> import bayespassk as bp, pymc as pm
    >>> successes = bp.dist.LogitNormalBinomial.dist(0.0, 2.0, n=1)
    >>> round(float(pm.logp(successes, 1).exp().eval()), 6)
    0.5
    """

    def __new__(
        cls, name: str, logit_median: Any, sigma: Any, *, n: Any, **options: Any
    ) -> "TensorVariable":
        """Return the variable."""
        own = {"logit_median": logit_median, "sigma": sigma}
        return _named(name, LogitNormal(), own, n, options, cls.__name__)

    @classmethod
    def dist(cls, logit_median: Any, sigma: Any, *, n: Any, **options: Any) -> "TensorVariable":
        """Return the variable by itself, outside of a model."""
        own = {"logit_median": logit_median, "sigma": sigma}
        return _named(None, LogitNormal(), own, n, options, cls.__name__)


class BetaMixtureBinomial:
    """Successes where p is from one of several betas.

    Parameters
    ----------
    name : str
    w, a, b : tensor
        Weights and parameters of the components along the last dim, of a length of 2 or more that
        is known when the model is built. The dims before broadcast against the successes.
    n : tensor of int
        Attempts.
    **options
        zero, one, true_positive_rate, false_positive_rate, and what ``pm.CustomDist`` takes.

    Raises
    ------
    OptionError
        If it is not known how many components there are, or it is one.

    Examples
    --------
    >>> import bayespassk as bp, pymc as pm
    >>> successes = bp.dist.BetaMixtureBinomial.dist([0.5, 0.5], [1.0, 1.0], [1.0, 1.0], n=9)
    >>> round(float(pm.logp(successes, 3).exp().eval()), 6)
    0.1
    """

    def __new__(
        cls, name: str, w: Any, a: Any, b: Any, *, n: Any, **options: Any
    ) -> "TensorVariable":
        """Return the variable."""
        return _named(name, *_mixture(w, a, b), n, options, cls.__name__)

    @classmethod
    def dist(cls, w: Any, a: Any, b: Any, *, n: Any, **options: Any) -> "TensorVariable":
        """Return the variable by itself, outside of a model."""
        return _named(None, *_mixture(w, a, b), n, options, cls.__name__)


class DependentBinomial:
    """Successes of each run at a problem, where the attempts of a run are alike.

    From run to run the logit of a success differs by a normal effect; p, the mean over runs, is
    from a family. The last dim is that of runs, and the log probability one number a problem.

    Parameters
    ----------
    name : str
    family : Family
        Of p, such as ``bp.ZeroInflated(bp.LibbyNovick())``; its priors are not used. What
        :class:`bayespassk.Dependent` takes.
    parameters : mapping of str to tensor
        Its natural parameters, of the shape of the problems or what broadcasts to it.
    sd : float or tensor
        The standard deviation of the effects of runs on the logit, of the same shape; from 0 to 20,
        beyond which it makes no difference.
    n : tensor of int, dims (..., run)
        Attempts; 0 of a run that a problem was not in.
    **options
        What ``pm.CustomDist`` takes.

    Raises
    ------
    OptionError
        If parameters are missing or not those of the family, or Dependent does not take it.

    Notes
    -----
    As a function of an sd that is learned, log probabilities are those of a spline through 60 to 90
    values: mostly right to 1e-4, and to 2e-3, or a 20,000th of what they are, in nearly all draws of
    the priors for runs of 3 to 2,000 attempts.

    Examples
    --------
    >>> import bayespassk as bp, pymc as pm
    >>> own = {"a": 0.5, "b": 2.0}
    >>> runs = bp.dist.DependentBinomial.dist(bp.Beta(), own, 1.0, n=[[10, 10], [10, 0]])
    >>> pm.logp(runs, [[3, 0], [3, 0]]).eval().round(3)
    array([-4.261, -2.696])
    """

    def __new__(
        cls, name: str, family: Family, parameters: Mapping[str, Any], sd: Any, *, n: Any, **options: Any
    ) -> "TensorVariable":
        """Return the variable."""
        return mixed_binomial(name, *_dependent(family, parameters, sd), n, cls.__name__, **options)

    @classmethod
    def dist(
        cls, family: Family, parameters: Mapping[str, Any], sd: Any, *, n: Any, **options: Any
    ) -> "TensorVariable":
        """Return the variable by itself, outside of a model."""
        return mixed_binomial(None, *_dependent(family, parameters, sd), n, cls.__name__, **options)


class LibbyNovick:
    """p, whose odds are exp(log_odds) times those of B ~ Beta(a, b).

    Parameters
    ----------
    name : str
    a, b : tensor
        Positive.
    log_odds : tensor
    **options
        What ``pm.CustomDist`` takes.

    Examples
    --------
    >>> import bayespassk as bp, pymc as pm
    >>> round(float(pm.logp(bp.dist.LibbyNovick.dist(1.0, 1.0, 0.0), 0.3).eval()) + 0, 6)  # uniform
    0.0
    """

    def __new__(cls, name: str, a: Any, b: Any, log_odds: Any, **options: Any) -> "TensorVariable":
        """Return the variable."""
        own = {"a": a, "b": b, "log_odds": log_odds}
        return probability(name, LibbyNovickFamily(), own, **options)

    @classmethod
    def dist(cls, a: Any, b: Any, log_odds: Any, **options: Any) -> "TensorVariable":
        """Return the variable by itself, outside of a model."""
        own = {"a": a, "b": b, "log_odds": log_odds}
        return probability(None, LibbyNovickFamily(), own, **options)


class ScaledBeta:
    """p = s B, B ~ Beta(a, b).

    Parameters
    ----------
    name : str
    a, b : tensor
        Positive.
    s : tensor
        The largest p, 0 to 1.
    **options
        What ``pm.CustomDist`` takes.

    Examples
    --------
    >>> import bayespassk as bp, pymc as pm
    >>> uniform = bp.dist.ScaledBeta.dist(1.0, 1.0, 0.5)
    >>> round(float(pm.logp(uniform, 0.3).exp().eval()), 6)
    2.0
    """

    def __new__(cls, name: str, a: Any, b: Any, s: Any, **options: Any) -> "TensorVariable":
        """Return the variable."""
        return probability(name, ScaledBetaFamily(), {"a": a, "b": b, "s": s}, **options)

    @classmethod
    def dist(cls, a: Any, b: Any, s: Any, **options: Any) -> "TensorVariable":
        """Return the variable by itself, outside of a model."""
        return probability(None, ScaledBetaFamily(), {"a": a, "b": b, "s": s}, **options)


class GeneralizedBeta:
    """p = B^(1/g), B ~ Beta(a, b): the generalized beta of the first kind.

    Parameters
    ----------
    name : str
    a, b, g : tensor
        Positive.
    **options
        What ``pm.CustomDist`` takes.

    Examples
    --------
    >>> import bayespassk as bp, pymc as pm
    >>> square_root = bp.dist.GeneralizedBeta.dist(1.0, 1.0, 2.0)  # of a uniform number
    >>> round(float(pm.logp(square_root, 0.5).exp().eval()), 6)
    1.0
    """

    def __new__(cls, name: str, a: Any, b: Any, g: Any, **options: Any) -> "TensorVariable":
        """Return the variable."""
        return probability(name, GeneralizedBetaFamily(), {"a": a, "b": b, "g": g}, **options)

    @classmethod
    def dist(cls, a: Any, b: Any, g: Any, **options: Any) -> "TensorVariable":
        """Return the variable by itself, outside of a model."""
        return probability(None, GeneralizedBetaFamily(), {"a": a, "b": b, "g": g}, **options)


class LogitP:
    """logit p of problems whose p is from any family: what to sample where p may be 1e-30.

    Of a family with a share of problems that are never or always solved it is that of the others.

    Parameters
    ----------
    name : str
    family : Family
        Its priors are not used.
    parameters : mapping of str to tensor
        Its natural parameters.
    **options
        What ``pm.CustomDist`` takes.

    Raises
    ------
    OptionError
        If parameters are missing, or not those of the family.

    Examples
    --------
    >>> import bayespassk as bp, pymc as pm
    >>> logit = bp.dist.LogitP.dist(bp.Beta(), {"a": 1.0, "b": 1.0})
    >>> round(float(pm.logp(logit, 0.0).exp().eval()), 6)  # of the standard logistic distribution
    0.25
    """

    def __new__(
        cls, name: str, family: Family, parameters: Mapping[str, Any], **options: Any
    ) -> "TensorVariable":
        """Return the variable."""
        return logit_p(name, family, parameters, **options)

    @classmethod
    def dist(
        cls, family: Family, parameters: Mapping[str, Any], **options: Any
    ) -> "TensorVariable":
        """Return the variable by itself, outside of a model."""
        return logit_p(None, family, parameters, **options)


def _named(
    name: str | None,
    family: Family,
    parameters: Mapping[str, Any],
    n: Any,
    options: Mapping[str, Any],
    class_name: str,
) -> "TensorVariable":
    """Return the variable of successes, with the inflations and rates that are among `options`."""
    own, rest = dict(parameters), dict(options)
    for share, wrapper in (("zero", ZeroInflated), ("one", OneInflated)):
        if share in rest:
            own[share] = rest.pop(share)
            family = wrapper(family)
    given = {rate: rest.pop(rate) for rate in RATES if rate in rest}
    if given:
        if missing := RATES.keys() - given:
            raise OptionError(
                "a verifier has a true_positive_rate and a false_positive_rate; got no "
                f"{min(missing)}"
            )
        known = {rate: isinstance(value, float | int) for rate, value in given.items()}
        rates = {rate: given[rate] if known[rate] else prior for rate, prior in RATES.items()}
        family = Verified(family, **rates)
        own |= {rate: value for rate, value in given.items() if not known[rate]}
    return mixed_binomial(name, family, own, n, class_name, **rest)


def _dependent(
    family: Family, parameters: Mapping[str, Any], sd: Any
) -> tuple[Family, dict[str, Any]]:
    """Return the family that knows of runs, and its parameters."""
    if isinstance(sd, float | int):
        return Dependent(family, sd), dict(parameters)
    return Dependent(family), {**parameters, RUN_SD: sd}


def _mixture(w: Any, a: Any, b: Any) -> tuple[Family, dict[str, Any]]:
    """Return the mixture of so many betas, and its parameters."""
    import pytensor.tensor as pt

    each = {"weight": w, "a": a, "b": b}
    tensors = {name: pt.as_tensor_variable(value).astype("float64") for name, value in each.items()}
    known = {one.type.shape[-1] for one in tensors.values() if one.ndim} - {None}
    if len(known) != 1 or (number := known.pop()) < 2:
        raise OptionError(
            "w, a and b need a last dim of one length, 2 or more, which is known when the model is "
            f"built; got the shapes {', '.join(str(one.type.shape) for one in tensors.values())}"
        )
    own = {f"{n}_{j + 1}": one[..., j] for j in range(number) for n, one in tensors.items()}
    return Mixture(*[Beta()] * number), own
