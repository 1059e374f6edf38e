"""Successes given attempts with p integrated out, as distributions of any PyMC model."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bayespassk.arrays import Floats
from bayespassk.errors import OptionError
from bayespassk.families import Dependent, Family
from bayespassk.families.dependent import effects, in_graph
from bayespassk.families.base import Parameters
from bayespassk.families.quadrature import prior_parameters
from bayespassk.special import graph

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

__all__ = ["checked", "log_probability", "mean_of", "mixed_binomial", "tensors"]

DRAWS = 200
"""Draws of the parameters that nodes of a quadrature are chosen from."""


def mixed_binomial(
    name: str | None,
    family: Family,
    parameters: Mapping[str, Any],
    n: Any,
    class_name: str,
    typical: dict[str, Floats] | None = None,
    **options: Any,
) -> "TensorVariable":
    """Return the variable of a model; or without a name, one by itself.

    Nodes are chosen for the parameters `typical`, dims (draw,), or for draws of the model's prior.
    """
    import pymc as pm
    import pytensor.tensor as pt
    from pymc.distributions.shape_utils import rv_size_is_none

    given = tensors(family, parameters)
    names = tuple(given)
    of_runs = family if isinstance(family, Dependent) else None
    if typical is None and not _closed(family):
        typical = _typical(family, given)

    def logp(value: Any, *inputs: Any) -> Any:
        own = dict(zip(names, inputs[:-1], strict=True))
        return log_probability(family, typical, value, own, inputs[-1])

    def random(*inputs: Any, rng: Any = None, size: Any = None) -> Any:
        *values, attempts = inputs
        each = attempts.shape[:-1] if of_runs else attempts.shape
        size = () if size is None else tuple(size)
        shape = np.broadcast_shapes(*map(np.shape, values), each, size)
        own = {k: np.broadcast_to(v, shape) for k, v in zip(names, values, strict=True)}
        p = family.draw(own, rng)
        if of_runs is None:
            return rng.binomial(np.broadcast_to(attempts, shape), p)
        attempts = np.broadcast_to(attempts, shape + attempts.shape[-1:])
        return rng.binomial(attempts, draw_runs(of_runs, own, p, attempts.shape[-1], rng))

    def support_point(_rv: Any, size: Any, *inputs: Any) -> Any:
        *values, attempts = inputs
        mean = mean_of(family, dict(zip(names, values, strict=True)), typical)
        mean = mean[..., None] if of_runs else mean
        point = pt.cast(pt.round(attempts * mean), "int64")
        return point if rv_size_is_none(size) else pt.broadcast_to(point, size)

    made: dict[str, Any] = {
        "logp": logp,
        "random": random,
        "support_point": support_point,
        "dtype": "int64",
        "class_name": class_name,
    }
    if of_runs:
        made["signature"] = f"{','.join(['()'] * len(names))},(r)->(r)"
    attempts = pt.as_tensor_variable(n)
    if name is None:
        return pm.CustomDist.dist(*given.values(), attempts, **made, **options)
    return pm.CustomDist(name, *given.values(), attempts, **made, **options)


def tensors(family: Family, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the natural parameters of a family as tensors of float64, in its own order.

    Raises
    ------
    OptionError
        If one is missing, or is none of the family's.
    """
    import pytensor.tensor as pt

    wanted = list(prior_parameters(family))
    wrong = sorted(set(wanted) ^ set(parameters))
    if wrong:
        what = "missing" if wrong[0] in wanted else "none of them"
        raise OptionError(
            f"the parameters of {family.full_name} are {', '.join(wanted)}; {wrong[0]!r} is {what}"
        )
    # A Python float might become a float32 constant.
    return {name: _tensor(parameters[name]) for name in wanted}


def _tensor(value: Any) -> Any:
    import pytensor.tensor as pt
    from pytensor.graph.basic import Variable

    if isinstance(value, Variable):
        return pt.as_tensor_variable(value).astype("float64")
    return pt.as_tensor_variable(np.asarray(value, dtype=float))


def log_probability(
    family: Family,
    typical: dict[str, Floats] | None,
    value: Any,
    parameters: Parameters,
    attempts: Any,
) -> Any:
    """Return the log probability of successes, a graph of their shape.

    Of a :class:`Dependent`, of those of all runs at a problem together: of their shape but the last.
    """
    import pytensor.tensor as pt
    from pymc.pytensorf import constant_fold

    from bayespassk.dist.nodes import CHOICES, GROUP, ROW, constants_of

    value, attempts = pt.broadcast_arrays(value, attempts)
    runs = isinstance(family, Dependent)
    rows = value[..., 0] if runs else value
    given = parameters
    parameters = {  # a variable has made as many dims of a number as others have
        name: one.dimshuffle() if all(one.type.broadcastable) else one
        for name, one in parameters.items()
    }
    own, group = _taken_from(parameters)
    batched = any(one.ndim for one in parameters.values())
    each = list(parameters.values()) if batched and group is None else []
    rows, *each = pt.broadcast_arrays(rows, *each)
    of_runs = pt.shape_padright(rows) if runs else rows  # as many rows as parameters have
    c, n = (pt.broadcast_arrays(one, of_runs)[0] for one in (value, attempts))
    if each:
        own = {name: one.ravel() for name, one in zip(parameters, each, strict=True)}
        group = pt.arange(rows.size)
    elif not batched:
        own, group = dict(parameters), pt.zeros_like(rows)
    shape = (-1, c.shape[-1]) if runs else (-1,)
    counts = [c.reshape(shape), n.reshape(shape), group.ravel()]
    counts = [pt.cast(one, "int64") for one in counts]
    folded = constant_fold(counts, raise_not_constant=False)
    known = all(isinstance(one, np.ndarray) for one in folded)
    constants = constants_of(
        family, typical, *map(pt.as_tensor_variable, folded if known else counts)
    )
    system = constants[GROUP] if batched else None
    of_graph = in_graph(family) if isinstance(family, Dependent) else family
    moments = of_graph.log_moments(own, constants, graph(), system) + constants[CHOICES]
    inside = pt.ge(c, 0) & pt.le(c, n)
    inside = inside.all(-1) if runs else inside
    logp = pt.switch(inside, moments[constants[ROW]].reshape(rows.shape), -np.inf)
    return checked(logp, given)


def draw_runs(
    family: Dependent, parameters: Mapping[str, Floats], p: Floats, runs: int, rng: np.random.Generator
) -> Floats:
    """Draw the probability of a success in each run at problems with these p, dims (..., run)."""
    drawn = np.repeat(p[..., None], runs, axis=-1)
    sds = np.broadcast_to(family.sd_of(parameters), p.shape)
    for sd in np.unique(sds):
        mine = sds == sd
        drawn[mine] = effects(float(sd)).draw(drawn[mine], rng)
    return drawn


def mean_of(family: Family, parameters: Parameters, typical: Any = None) -> Any:
    """Return the mean of p, a graph of the shape of the parameters."""
    import pytensor.tensor as pt

    each = pt.broadcast_arrays(*parameters.values())
    made = family.constants(np.ones(1), np.zeros(1), typical)
    constants = {name: pt.as_tensor_variable(value) for name, value in made.items()}
    moment = family.log_moments(dict(zip(parameters, each, strict=True)), constants, graph())
    return pt.exp(moment[..., 0])


def _taken_from(parameters: Parameters) -> tuple[dict[str, Any], Any]:
    """Return what all parameters were taken from by one index, as a[system], and the index."""
    from pytensor.graph.basic import Constant
    from pytensor.tensor.subtensor import AdvancedSubtensor
    import pytensor.tensor as pt

    found: dict[str, Any] = {}
    index: Any = None
    for name, one in parameters.items():
        if one.ndim == 0:
            continue
        node = one.owner
        if not (node and isinstance(node.op, AdvancedSubtensor) and node.op.idx_list == (0,)):
            return {}, None
        whole, own = node.inputs
        if whole.ndim != 1 or own.ndim != 1 or own.type.dtype == "bool":
            return {}, None
        if index is not None and own is not index:
            both = isinstance(own, Constant) and isinstance(index, Constant)
            if not (both and own.equals(index)):
                return {}, None
        index, found[name] = own, whole
    if index is None:
        return {}, None
    some = next(iter(found.values()))
    whole = {n: found[n] if n in found else one + 0 * some for n, one in parameters.items()}
    return whole, index


def _positive(name: str) -> bool:
    """Return whether a natural parameter is positive; others are shares or logits."""
    return name.partition("_")[0] in ("a", "b", "g", "sigma", "run")


def checked(logp: Any, parameters: Parameters) -> Any:
    """Return a graph that says which natural parameter is out of bounds, where one is."""
    import pytensor.tensor as pt
    from pymc.distributions.dist_math import check_parameters

    for name, one in parameters.items():
        if _positive(name):
            logp = check_parameters(logp, pt.gt(one, 0), msg=f"{name} > 0")
        elif not name.startswith("log"):
            logp = check_parameters(logp, pt.ge(one, 0), pt.le(one, 1), msg=f"0 <= {name} <= 1")
    return logp


def _closed(family: Family) -> bool:
    """Return whether moments have a closed form, so that there are no nodes to choose."""
    parts = family.components
    if parts and family.name != "verified":
        return all(_closed(one) for one in parts)
    return family.name == "beta"


def _typical(family: Family, parameters: Mapping[str, Any]) -> dict[str, Floats]:
    """Return values of the parameters, dims (draw,): draws of the prior of the model they are of.

    Those of the family's own prior where the model has none that can be drawn from.
    """
    import pymc as pm
    from pytensor.graph.utils import MissingInputError

    try:
        drawn = pm.draw(list(parameters.values()), draws=DRAWS, random_seed=1, mode="FAST_COMPILE")
    except (NotImplementedError, MissingInputError):  # a flat prior; an input of a function
        return prior_parameters(family)
    each = np.broadcast_arrays(*(np.reshape(one, (DRAWS, -1)) for one in drawn))
    values = np.stack([one.ravel() for one in each])
    good = np.isfinite(values).all(0)
    for name, one in zip(parameters, values, strict=True):
        good &= (one > 0) if _positive(name) else True
    if not good.any():
        return prior_parameters(family)
    return dict(zip(parameters, values[:, good], strict=True))
