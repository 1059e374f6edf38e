"""A fit from draws that were made elsewhere."""

import json
import re
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import numpy as np
import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats
from bayespassk.counts import Counts
from bayespassk.errors import OptionError
from bayespassk.families import Family, as_family
from bayespassk.families.base import declared
from bayespassk.families.dependent import rounded
from bayespassk.families.quadrature import prior_parameters
from bayespassk.fitting.model import Setup
from bayespassk.fitting.nuts import mixing
from bayespassk.options import seed_of
from bayespassk.posterior.diagnostics import Diagnostics
from bayespassk.posterior.tree import as_tree

__all__ = ["from_posterior"]

OUTER = ("chain", "draw")


def from_posterior(
    posterior: xr.DataTree | xr.Dataset,
    counts: Counts,
    family: Family | str,
    *,
    random_seed: int | None = None,
) -> xr.DataTree:
    """Return a fit made of draws from any sampler: PyMC, NumPyro, Stan, or one's own.

    All verbs take it: :func:`forecast`, :func:`check`, :func:`compare`, :func:`report`.

    Parameters
    ----------
    posterior : DataTree or Dataset
        Draws of the parameters of `family` for each system, dims (chain, draw, system); for one
        system without that dim. A tree as PyMC and ArviZ have it, with the group posterior, or
        that group. The parameters are the natural ones (of a Kumaraswamy "a" and "b") or the free
        ones (its "log_a" and "logit_location"), which are taken if both are there. Where "system"
        has coordinates these are the names of the systems, in any order. Groups prior and
        sample_stats are kept, the former if it holds the same names.
    counts : Counts
        What the draws were conditioned on.
    family : Family or str
        The distribution of p over problems, or its name. Its priors should be those of the model:
        what says how much of a forecast is prior (:func:`sensitivity`, a warning) rests on them;
        nothing else does.
    random_seed : int, optional
        The seed of the fit, which forecasts and checks use if they are not given another.

    Returns
    -------
    xarray.DataTree
        A fit, as :func:`fit` returns; its method is "given".

    Raises
    ------
    OptionError
        If a parameter is missing, has other dims than these, does not fit the systems, or a value
        that is not finite or out of bounds.

    Warns
    -----
    ConvergenceWarning
        As for NUTS: R-hat, effective sample sizes, and divergences if sample_stats has them.

    Notes
    -----
    Of a hierarchical model the parameters of each system are taken, and what systems share is left:
    :func:`forecast_new_system` needs a fit by :func:`fit`. Nothing here can tell whether the draws
    are from a posterior of these counts.

    Examples
    --------
    >>> import bayespassk as bp, numpy as np, xarray as xr
    >>> counts = bp.Counts(problem=range(4), attempts=[9] * 4, successes=[0, 0, 3, 9])
    >>> rng = np.random.default_rng(1)
    >>> draws = {name: (("chain", "draw"), rng.gamma(9, 0.1, (2, 1000))) for name in "ab"}
    >>> fit = bp.from_posterior(xr.Dataset(draws), counts, bp.Beta(), random_seed=1)
    >>> bp.summarize(bp.forecast(fit, 10))["mean"].round(1).item()
    0.7
    """
    check_arguments("from_posterior", locals())
    family = as_family(family)
    if isinstance(posterior, xr.DataTree):
        groups = {name: group.to_dataset() for name, group in posterior.children.items()}
    else:
        groups = {"posterior": posterior}
    if "posterior" not in groups:
        raise OptionError(
            f"the tree must have the group posterior; got the groups {sorted(groups)}"
        )
    found = rounded(family, _free(groups["posterior"], counts, family))
    chains, draws = next(iter(found.values())).shape[:2]
    seed = seed_of(random_seed)
    setup = Setup.of(counts, family, "none", None)
    stats = _stats(groups.get("sample_stats"), chains, draws)
    report, bad = mixing(found, setup.dims, len(counts.systems))
    report = _with_divergences(report, bad, stats, counts)
    attrs = {
        "bayespassk_version": metadata.version("bayespassk"),
        "family": json.dumps(family.spec()),
        "method": "given",
        "sampler": _sampler(groups["posterior"].attrs),
        "pooling": "none",
        "random_seed": seed,
        "sampling": json.dumps({"draws": draws, "tune": 0, "chains": chains, "target_accept": 0.0}),
        "input_sha256": counts.sha256(),
        "stopping": counts.stopping,
        "hierarchy": setup.hierarchy.to_json(),
    }
    if counts.provenance is not None:
        attrs["log"] = counts.provenance.to_json()
    prior = None
    if "prior" in groups and set(declared(family)) <= set(groups["prior"].data_vars):
        prior = _free(groups["prior"], counts, family)
    if prior is None or next(iter(prior.values())).shape[:2] != (chains, draws):
        prior = setup.draw_prior(np.random.default_rng([seed, 1]), (chains, draws))
    report.warn(2)
    return as_tree(counts, family, found, prior, stats, attrs, report)


def _free(dataset: xr.Dataset, counts: Counts, family: Family) -> dict[str, Floats]:
    """Return the free parameters, each with dims (chain, draw, system)."""
    free, natural = list(declared(family)), list(prior_parameters(family))
    names = free if set(free) <= set(dataset.data_vars) else natural
    missing = [name for name in names if name not in dataset.data_vars]
    if missing:
        raise OptionError(
            f"the posterior must hold the parameters of {family.full_name}: {', '.join(natural)}, "
            f"or {', '.join(free)}; there is no {missing[0]!r} among "
            f"{', '.join(map(str, dataset.data_vars))}"
        )
    values = {name: _of_systems(dataset[name], name, counts) for name in names}
    shapes = {name: value.shape for name, value in values.items()}
    if len(set(shapes.values())) > 1:
        raise OptionError(f"all parameters need as many chains and draws; got {shapes}")
    for name, value in values.items():
        _require(np.isfinite(value), value, name, "finite", counts)
        if names is natural and not name.startswith("log"):
            _require(value > 0, value, name, "above 0", counts)
    if names is free:
        return values
    with np.errstate(all="ignore"):
        made = {name: np.asarray(value) for name, value in family.free(values).items()}
    for name, value in made.items():
        rule = f"such that {name} is finite"
        _require(np.isfinite(value), value, f"{', '.join(natural)}", rule, counts)
    return made


def _of_systems(values: xr.DataArray, name: str, counts: Counts) -> Floats:
    """Return one parameter, dims (chain, draw, system), with systems in the order of the counts."""
    systems = list(counts.systems)
    wanted = (*OUTER, "system")
    if set(values.dims) == set(OUTER) and len(systems) == 1:
        values = values.expand_dims("system", -1)
    if set(values.dims) != set(wanted):
        raise OptionError(
            f"{name!r} must have the dims chain, draw and system"
            f"{' (which one system need not have)' if len(systems) == 1 else ''}; got "
            f"{', '.join(map(str, values.dims)) or 'none'}. What to do: values.rename(...)"
        )
    values = values.transpose(*wanted)
    if "system" in values.coords and values["system"].dtype.kind not in "iu":
        known = [str(label) for label in values["system"].values]
        if sorted(known) != sorted(systems):
            wrong = sorted(set(known) ^ set(systems)) or known
            raise OptionError(
                f"the systems of {name!r} must be those of the counts, "
                f"{', '.join(map(repr, systems))}; {wrong[0]!r} is not in both"
            )
        values = values.isel(system=[known.index(one) for one in systems])
    if values.sizes["system"] != len(systems):
        raise OptionError(
            f"{name!r} must have {len(systems)} systems, as the counts; got "
            f"{values.sizes['system']}"
        )
    return np.asarray(values.values, dtype=float)


def _require(good: Any, values: Floats, name: str, rule: str, counts: Counts) -> None:
    """Refuse values of which some are not as they must be."""
    bad = np.argwhere(~good)
    if len(bad):
        chain, draw, system = bad[0]
        raise OptionError(
            f"{name} must be {rule}: {len(bad)} of {values.size} values are not, the first at "
            f"chain={chain}, draw={draw}, system={counts.systems[system]!r}: "
            f"{values[chain, draw, system]!r}"
        )


def _stats(dataset: xr.Dataset | None, chains: int, draws: int) -> dict[str, Any]:
    """Return what a sampler said of each draw."""
    if dataset is None:
        return {}
    return {
        str(name): one.values
        for name, one in dataset.data_vars.items()
        if one.dims == OUTER and one.shape == (chains, draws)
    }


def _with_divergences(
    report: Diagnostics, bad: Any, stats: Mapping[str, Any], counts: Counts
) -> Diagnostics:
    """Return the diagnostics with the divergences, which are of all systems together."""
    divergences = int(np.sum(stats.get("diverging", 0)))
    systems = np.array(counts.systems, dtype=object)[bad | (divergences > 0)]
    values = vars(report) | {"divergences": divergences, "systems": tuple(systems)}
    return Diagnostics(**values)


def _sampler(attrs: Mapping[Any, Any]) -> str:
    """Return what made the draws, if they say so."""
    library = attrs.get("inference_library")
    said = f"{library} {attrs.get('inference_library_version', '')}" if library else "given"
    return re.sub(r"[^0-9A-Za-z .+!_-]", "", said).strip()[:64] or "given"
