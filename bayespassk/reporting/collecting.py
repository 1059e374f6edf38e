"""All that a report says, computed by the verbs and kept as plain data."""

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.asking.guard import agreements, held_impossible
from bayespassk.asking.moved import beyond, with_alone
from bayespassk.asking.pass_at_k import PassAtK, TailExponent
from bayespassk.asking.question import Question, ask
from bayespassk.asking.summaries import summarize
from bayespassk.asking.truth import ApparentPassAtK, FirstPassCorrect, TruePassAtK
from bayespassk.counts import Counts
from bayespassk.errors import ConvergenceWarning, LooWarning, OptionError
from bayespassk.estimators import chen
from bayespassk.families import Verified
from bayespassk.families.dependent import dependence
from bayespassk.judging.agreeing import explained
from bayespassk.judging.averaging import Weights, averaged, disagreement_of, shares_of
from bayespassk.judging.comparing import compared
from bayespassk.judging.independence import independence
from bayespassk.judging.prior import sensitivity_of
from bayespassk.judging.replicating import checked, summarize_check
from bayespassk.options import Target, check_target
from bayespassk.posterior.fitted import Fitted
from bayespassk.reporting.verdict import verdict
from bayespassk.texts import as_records, families_verdict, provenance

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["QUANTITY", "Findings", "check_targets", "collect", "estimates"]

type Ks = NDArray[np.int64]

QUANTITY = "pass@k"

POINTS = 30
"""At how many k curves are drawn."""


@dataclass(frozen=True)
class Findings:
    """What was found: `data`, which JSON can hold, and what the figures need besides.

    Attributes
    ----------
    data : dict
        What :func:`bayespassk.report` returns.
    fit : Fitted
        The fit whose forecasts these are.
    counts : Counts
        What it was made from.
    curves : dict of str to dict of str to DataArray, dims (chain, draw, system, k)
        By target and quantity: the forecasts at enough k for a smooth line.
    check : Dataset
        From :func:`bayespassk.check`.
    comparison : DataFrame or None
        From :func:`bayespassk.compare`, if there were several fits.
    families : dict of str to DataArray, dims (chain, draw, system, k)
        The forecast of each family for the first target, if there were several fits.
    """

    data: dict[str, Any]
    fit: Fitted
    counts: Counts
    curves: dict[str, dict[str, xr.DataArray]]
    check: xr.Dataset
    comparison: "pd.DataFrame | None"
    families: dict[str, xr.DataArray]


def check_targets(fit: Fitted, target: Target | Iterable[Target] | None) -> list[Target]:
    """Return the targets asked for, or raise an error about the first bad one."""
    verified = isinstance(fit.family, Verified)
    if target is None:
        return [one for one in get_args(Target.__value__) if not (verified and one == "realised")]
    targets = [target] if isinstance(target, str) else list(target)
    if not targets or len(set(targets)) < len(targets):
        raise OptionError(f"target must be one or several different targets; got {target!r}")
    for one in targets:
        check_target(one)
        if verified and one == "realised":
            raise OptionError(
                "target must be 'benchmark' or 'population' where a verifier is sometimes wrong; "
                f"got {one!r}"
            )
    return targets


def collect(
    fits: Mapping[str, Fitted],
    ks: Ks,
    targets: Sequence[Target],
    prob: float,
    seed: int,
    weights: Weights | None = None,
) -> Findings:
    """Return all that is said about fits of the same counts.

    The forecasts are of the first, or with `weights` the average of all.
    """
    (name, fit), *_ = fits.items()
    counts, first = fit.counts, targets[0]
    verified = isinstance(fit.family, Verified)
    grid = np.union1d(ks, np.rint(np.geomspace(1, max(int(ks.max()), 2), POINTS)).astype(np.int64))
    shares = None if weights is None else shares_of(fits, weights)
    curves = {str(target): _curves(fits, grid, target, seed, weights, shares) for target in targets}
    asked = _questions(fit, ks)
    beside = {
        target: {
            what: with_alone(fit, asked[what], one.sel(k=ks))
            if shares is None
            else (one.sel(k=ks), None)
            for what, one in each.items()
        }
        for target, each in curves.items()
    }
    at_k = {target: {w: one for w, (one, _) in each.items()} for target, each in beside.items()}
    families = _families(fits, grid, first, seed)
    tail = ask(fit, TailExponent(ks[[int(ks.argmax())]]), "population")
    table, comparison = _comparison(
        fits, {n: one.sel(k=ks) for n, one in families.items()}, first, prob
    )
    found = checked(fit, seed)
    systems, benchmarks = list(fit.systems), list(fit.benchmarks)
    data: dict[str, Any] = {
        "title": _title(systems, benchmarks),
        "version": metadata.version("bayespassk"),
        "asked": {
            "family": name,
            "average": None
            if shares is None
            else {
                one: dict(zip(systems, row.tolist(), strict=True))
                for one, row in zip(fits, shares, strict=True)
            },
            "targets": list(targets),
            "k": ks.tolist(),
            "prob": prob,
            "seed": seed,
            "verifier": verified,
        },
        "data": {
            "stopping": counts.stopping,
            "log": json.loads(fit.tree.attrs["log"]) if "log" in fit.tree.attrs else None,
            "systems": _systems(fit, benchmarks),
        },
        "forecast": {
            target: [
                row
                for what, one in each.items()
                for row in as_records(summarize(one, prob).assign(what=what))
            ]
            for target, each in at_k.items()
        },
        "tail_exponent": as_records(summarize(tail, prob)),
        "estimate": [
            {"system": system, "k": int(k), "pass_at_k": float(value)}
            for system, row in zip(systems, estimates(counts, ks), strict=True)
            for k, value in zip(ks, row, strict=True)
            if np.isfinite(value)
        ],
        "pooling": _pooled(fit, beside, shares is None),
        "comparison": comparison,
        "checks": {
            "family": name,
            "replicated": found.sizes["sample"],
            "stopping": found.attrs["stopping"],
            "rows": as_records(summarize_check(found)),
        },
        "independence": {
            "modelled": dependence(fit.family) is not None,
            "rows": as_records(independence(counts, random_seed=seed)),
        },
        "agreement": _agreement(fits, shares is not None),
        "sensitivity": {
            "family": name,
            "target": first,
            "rows": [
                row
                for target, each in at_k.items()
                for what, one in each.items()
                for row in as_records(sensitivity_of(fit, one).assign(target=target, what=what))
            ],
        },
        "fits": {one: provenance(other) for one, other in fits.items()},
    }
    most = dict(zip(systems, fit.most_attempts.tolist(), strict=True))
    data = {"title": data["title"], "verdict": verdict(data, most)} | data
    return Findings(data, fit, counts, curves, found, table, families)


def _agreement(fits: Mapping[str, Fitted], average: bool) -> dict[str, Any]:
    """Return how the family agrees with the attempts, and which others do where it does not.

    Of an average also how the other families do that it is made of.
    """
    (name, fit), *rest = fits.items()
    rows = agreements(fit)
    others = explained(fit, rows)
    return {
        "family": name,
        "rows": rows,
        "explained": None if others is None else as_records(others),
        "averaged": {one: agreements(other) for one, other in rest} if average else {},
    }


def _curves(
    fits: Mapping[str, Fitted],
    ks: Ks,
    target: Target,
    seed: int,
    weights: Weights | None,
    shares: NDArray[np.float64] | None,
) -> dict[str, xr.DataArray]:
    """Return what is forecast, by quantity. The sensitivity says what a warning would, and more."""
    (fit, *_) = fits.values()
    if weights is not None and shares is not None:
        parts = [ask(one, PassAtK(ks), target, seed, warn=False) for one in fits.values()]
        return {QUANTITY: averaged(fits, parts, shares, weights, seed)}
    return {
        what: ask(fit, one, target, seed, warn=False) for what, one in _questions(fit, ks).items()
    }


def _families(
    fits: Mapping[str, Fitted], ks: Ks, target: Target, seed: int
) -> dict[str, xr.DataArray]:
    """Return the forecast of each family, if there are several."""
    if len(fits) < 2:
        return {}
    return {name: ask(one, PassAtK(ks), target, seed, warn=False) for name, one in fits.items()}


def _questions(fit: Fitted, ks: Ks) -> dict[str, Question]:
    if isinstance(fit.family, Verified):
        return {
            "apparent pass@k": ApparentPassAtK(ks),
            "true pass@k": TruePassAtK(ks.astype(float)),
            "first pass correct": FirstPassCorrect(ks.astype(float)),
        }
    return {QUANTITY: PassAtK(ks)}


def _pooled(
    fit: Fitted, beside: Mapping[str, Mapping[str, tuple[xr.DataArray, Any]]], alone: bool
) -> dict[str, Any]:
    """Return whether it is known how far pooling moved forecasts, and which beyond their bands."""
    found = [
        {"target": target, "what": what, "system": fit.systems[system], "k": int(draws["k"][k])}
        for target, each in beside.items()
        for what, (draws, band) in each.items()
        if alone
        for system, k in beyond(draws, band)
    ]
    known = alone and fit.alone is not None
    return {"pooling": fit.hierarchy.pooling, "known": known, "beyond": found}


def _comparison(
    fits: Mapping[str, Fitted], forecasts: Mapping[str, xr.DataArray], target: Target, prob: float
) -> "tuple[pd.DataFrame | None, dict[str, Any] | None]":
    """Return how the families compare: those who foretell best, and where forecasts part."""
    if not forecasts:
        return None, None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = compared(fits, progress=False)
    said = [str(one.message) for one in caught if issubclass(one.category, SERIOUS)]
    bands = {name: as_records(summarize(one, prob)) for name, one in forecasts.items()}
    return table, {
        "verdict": families_verdict(table),
        "rows": as_records(table),
        "warnings": said,
        "target": target,
        "disagreement": [
            {name: row[name] for name in ("system", "k", "family_share")}
            | {"medians": {one: bands[one][i]["median"] for one in fits}}
            | {"bands": {one: [bands[one][i]["lower"], bands[one][i]["upper"]] for one in fits}}
            for i, row in enumerate(as_records(disagreement_of(forecasts)))
        ],
    }


SERIOUS = (ConvergenceWarning, LooWarning)


def _title(systems: list[str], benchmarks: list[str]) -> str:
    whose = " and ".join(systems) if len(systems) < 3 else f"{len(systems)} systems"
    sets = list(dict.fromkeys(benchmarks))
    on = " and ".join(sets) if len(sets) < 3 else f"{len(sets)} benchmarks"
    return f"pass@k of {whose} on {on}"


def _systems(fit: Fitted, benchmarks: list[str]) -> list[dict[str, Any]]:
    """Return what was attempted, a row for each system."""
    counts, never = fit.counts, held_impossible(fit)
    rows = []
    for i, (system, benchmark) in enumerate(zip(counts.systems, benchmarks, strict=True)):
        mine = counts.system_index == i
        made, solved = counts.attempts[mine], counts.successes[mine]
        rows.append(
            {
                "system": system,
                "benchmark": benchmark,
                "problems": len(made),
                "attempts_least": int(made.min()),
                "attempts_most": int(made.max()),
                "attempts": int(made.sum()),
                "successes": int(solved.sum()),
                "unsolved": int(((solved == 0) & (made > 0)).sum()),
                "always_solved": int(((solved == made) & (made > 0)).sum()),
                "untried": int((made == 0).sum()),
                "attempted_thrice": int((made >= 3).sum()),
                "held_impossible": never.get(system),
            }
        )
    return rows


def estimates(counts: Counts, ks: Ks) -> NDArray[np.float64]:
    """Return Chen's estimates, dims (system, k); NaN where the attempts do not allow any."""
    found = np.full((len(counts.systems), len(ks)), np.nan)
    within = ks <= counts.attempts.min()
    if counts.stopping == "fixed" and within.any():
        found[:, within] = chen(counts, ks[within])
    return found
