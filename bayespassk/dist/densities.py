"""Distributions of p itself and of its logit, and of successes given it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special as sp

from bayespassk.arrays import Floats
from bayespassk.dist.binomials import checked, mean_of, tensors
from bayespassk.errors import OptionError
from bayespassk.families import Family, ScaledBeta, Verified
from bayespassk.families.base import Leaf, Parameters
from bayespassk.families.dependent import dependence
from bayespassk.families.verifier import without_rates
from bayespassk.special import NUMPY, Special, graph

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

__all__ = ["logit_p", "probability", "successes_given"]

MOST = -700.0, 36.0
"""Logits of draws of p that are rounded to 0 and to 1."""


def logit_p(
    name: str | None, family: Family, parameters: Mapping[str, Any], **options: Any
) -> "TensorVariable":
    """Return a variable that is logit p, of problems that are neither always nor never solved."""

    def log_density(x: Any, own: Parameters) -> Any:
        log_p, log_q = -_softplus(-x), -_softplus(x)
        return _log_density(_leaves(family, own, graph())[0], log_p, log_q, graph())

    def draw(own: Parameters, rng: np.random.Generator) -> Floats:
        p = _draw(_leaves(family, own, NUMPY)[0], rng)
        with np.errstate(divide="ignore"):
            return np.clip(sp.logit(p), *MOST)

    def middle(own: Parameters) -> Any:
        mean = mean_of(_p(family), without_rates(own))
        return graph().log(mean) - graph().log1p(-mean)

    bounds = None
    if isinstance(_p(family), ScaledBeta):

        def bounds(own: Parameters) -> tuple[Any, Any]:
            return None, graph().log(own["s"]) - graph().log1p(-own["s"])

    return _continuous(
        name, family, parameters, log_density, draw, middle, bounds, "LogitP", **options
    )


def probability(
    name: str | None, family: Family, parameters: Mapping[str, Any], **options: Any
) -> "TensorVariable":
    """Return a variable that is p, of a family with one density; sampled as its logit."""

    def log_density(p: Any, own: Parameters) -> Any:
        import pytensor.tensor as pt

        inside = pt.gt(p, 0) & pt.lt(p, 1)
        within = pt.switch(inside, p, 0.5)
        log_p, log_q = graph().log(within), graph().log1p(-within)
        density = _log_density(_leaves(family, own, graph())[0], log_p, log_q, graph())
        # Where there is none the family says -1e30.
        possible = inside & pt.gt(density, -1e29)
        return pt.switch(possible, density - log_p - log_q, -np.inf)

    def bounds(own: Parameters) -> tuple[Any, Any]:
        return np.float64(0.0), own.get("s", np.float64(1.0))

    def draw(own: Parameters, rng: np.random.Generator) -> Floats:
        return family.draw(own, rng)

    def middle(own: Parameters) -> Any:
        return mean_of(family, own)

    kind = type(family).__name__
    return _continuous(name, family, parameters, log_density, draw, middle, bounds, kind, **options)


def successes_given(
    name: str, family: Family, parameters: Mapping[str, Any], logit: Any, n: Any, **options: Any
) -> "TensorVariable":
    """Return the variable of successes at problems with these logits, atoms summed over.

    Binomial; but a share of problems may be never or always solved, whatever `logit` says, and
    a verifier may say of attempts what they are not.
    """
    import pymc as pm
    import pytensor.tensor as pt
    from pymc.distributions.shape_utils import rv_size_is_none

    given = tensors(family, parameters)
    names = tuple(given)
    if _p(family) is family and not _leaves(family, given, graph())[1]:
        return pm.Binomial(name, n=n, logit_p=logit, **options)

    def logp(value: Any, x: Any, attempts: Any, *inputs: Any) -> Any:
        own = dict(zip(names, inputs, strict=True))
        densities, points = _leaves(family, own, graph())
        failures = attempts - value

        def kernel(log_p: Any, log_q: Any) -> Any:
            yes, no = _judged(family, own, log_p, log_q, graph())
            return _times(value, yes) + _times(failures, no)

        total = _log_share(densities, graph()) + kernel(-_softplus(-x), -_softplus(x))
        for leaf in points:
            never = leaf.distribution == 0.0
            nought, none = np.float64(0.0), np.float64(-1e30)
            there = kernel(*((none, nought) if never else (nought, none)))
            total = graph().logaddexp(total, leaf.log_share + there)
        choices = pt.gammaln(attempts + 1) - pt.gammaln(value + 1) - pt.gammaln(failures + 1)
        inside = pt.ge(value, 0) & pt.ge(failures, 0)
        return checked(pt.switch(inside, total + choices, -np.inf), own)

    def random(x: Any, attempts: Any, *inputs: Any, rng: Any = None, size: Any = None) -> Any:
        shape = np.broadcast_shapes(*map(np.shape, (x, attempts, *inputs)), tuple(size or ()))
        own = {k: np.broadcast_to(v, shape) for k, v in zip(names, inputs, strict=True)}
        log_p, log_q = (
            np.broadcast_to(NUMPY.log_sigmoid(sign * np.asarray(x)), shape) for sign in (1, -1)
        )
        which = rng.random(shape)
        for leaf in _leaves(family, own, NUMPY)[1]:
            share = np.exp(leaf.log_share)
            here = (which >= 0) & (which < share)
            which = which - share
            log_p = np.where(here, 0.0 if leaf.distribution else -np.inf, log_p)
            log_q = np.where(here, -np.inf if leaf.distribution else 0.0, log_q)
        yes, _ = _judged(family, own, log_p, log_q, NUMPY)
        return rng.binomial(np.broadcast_to(attempts, shape), np.exp(yes))

    def support_point(_rv: Any, size: Any, x: Any, attempts: Any, *_inputs: Any) -> Any:
        point = pt.cast(pt.round(attempts * pt.sigmoid(x)), "int64")
        return point if rv_size_is_none(size) else pt.broadcast_to(point, size)

    return pm.CustomDist(
        name,
        logit,
        pt.as_tensor_variable(n),
        *given.values(),
        logp=logp,
        random=random,
        support_point=support_point,
        dtype="int64",
        class_name=f"{''.join(part.title() for part in family.full_name.split('-'))}Successes",
        **options,
    )


def _continuous(
    name: str | None,
    family: Family,
    parameters: Mapping[str, Any],
    log_density: Callable[[Any, Parameters], Any],
    draw: Callable[[Parameters, np.random.Generator], Floats],
    middle: Callable[[Parameters], Any],
    bounds: Callable[[Parameters], tuple[Any, Any]] | None,
    class_name: str,
    **options: Any,
) -> "TensorVariable":
    """Return a continuous variable with these natural parameters."""
    import pymc as pm
    import pytensor.tensor as pt
    from pymc.distributions.shape_utils import rv_size_is_none

    given = tensors(family, parameters)
    names = tuple(given)

    def own(inputs: Any) -> dict[str, Any]:
        return dict(zip(names, inputs, strict=True))

    def logp(value: Any, *inputs: Any) -> Any:
        return checked(log_density(value, own(inputs)), own(inputs))

    def random(*inputs: Any, rng: Any = None, size: Any = None) -> Any:
        shape = np.broadcast_shapes(*map(np.shape, inputs), tuple(size) if size is not None else ())
        return draw({k: np.broadcast_to(v, shape) for k, v in own(inputs).items()}, rng)

    def support_point(_rv: Any, size: Any, *inputs: Any) -> Any:
        point = middle(own(inputs))
        return point if rv_size_is_none(size) else pt.broadcast_to(point, size)

    made: dict[str, Any] = {
        "logp": logp,
        "random": random,
        "support_point": support_point,
        "class_name": class_name,
    }
    if name is None:
        return pm.CustomDist.dist(*given.values(), **made, **options)
    if bounds is not None:
        interval = pm.distributions.transforms.Interval
        made["default_transform"] = interval(bounds_fn=lambda _rng, _size, *i: bounds(own(i)))
    return pm.CustomDist(name, *given.values(), **made, **options)


def _p(family: Family) -> Family:
    """Return the family of p itself, without the verifier it is seen through."""
    return family.base if isinstance(family, Verified) else family


def _leaves(family: Family, parameters: Parameters, xp: Special) -> tuple[list[Leaf], list[Leaf]]:
    """Return the densities that p has, and the points."""
    if dependence(family) is not None:
        raise OptionError(
            "the p of problems whose attempts depend on each other is not written out: the attempts "
            "of a run have a p of their own. Use bp.build_model(counts, family), which sums over it"
        )
    leaves = list(_p(family).leaves(without_rates(parameters), xp))
    points = [leaf for leaf in leaves if isinstance(leaf.distribution, float)]
    return [leaf for leaf in leaves if not isinstance(leaf.distribution, float)], points


def _log_density(densities: list[Leaf], log_p: Any, log_q: Any, xp: Special) -> Any:
    """Return the log density of logit p, of all densities together."""
    if len(densities) == 1:
        return densities[0].distribution.log_density(densities[0].parameters, log_p, log_q, xp)
    total: Any = None
    for leaf in densities:
        own = leaf.distribution.log_density(leaf.parameters, log_p, log_q, xp) + leaf.log_share
        total = own if total is None else xp.logaddexp(total, own)
    return total - _log_share(densities, xp)


def _log_share(densities: list[Leaf], xp: Special) -> Any:
    """Return the log of the share of problems that are of a density; 0 if it is all."""
    total: Any = None
    for leaf in densities:
        if leaf.log_share is None:
            return np.float64(0.0)
        total = leaf.log_share if total is None else xp.logaddexp(total, leaf.log_share)
    return total


def _draw(densities: list[Leaf], rng: np.random.Generator) -> Floats:
    """Draw p from all densities together."""
    drawn = np.stack([leaf.distribution.draw(leaf.parameters, rng) for leaf in densities])
    if len(densities) == 1:
        return np.asarray(drawn[0])
    shares = np.stack([np.exp(leaf.log_share) for leaf in densities])
    below = shares.cumsum(0)[:-1] / shares.sum(0)
    which = (rng.random(drawn.shape[1:]) > below).sum(0)
    return np.asarray(np.take_along_axis(drawn, which[None], 0)[0])


def _judged(
    family: Family, own: Parameters, log_p: Any, log_q: Any, xp: Special
) -> tuple[Any, Any]:
    """Return the logs of the probability that an attempt is counted a success, or a failure."""
    if not isinstance(family, Verified):
        return log_p, log_q
    return family.verifier.rates(own, xp).through(log_p, log_q, xp)


def _times(number: Any, log: Any) -> Any:
    """Return their product, 0 where the number is."""
    import pytensor.tensor as pt

    return pt.switch(pt.eq(number, 0), np.float64(0.0), number * log)


def _softplus(x: Any) -> Any:
    return graph().softplus(x)
