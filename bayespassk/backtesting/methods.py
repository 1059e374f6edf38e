"""Methods that forecast, by name: estimators, families, averages of families, and one's own."""

import json
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy import special as sp

from bayespassk import estimators
from bayespassk.arrays import Floats, Ints
from bayespassk.asking.seen import Seen
from bayespassk.counts import Counts
from bayespassk.errors import (
    ConvergenceWarning,
    ForecastWarning,
    InputError,
    LooWarning,
    OptionError,
    PriorDrivenWarning,
    SamplingError,
)
from bayespassk.estimators.bootstrapping import replicated
from bayespassk.estimators.saber import anchored_at
from bayespassk.families import Family, default_family, family_from_name, family_names
from bayespassk.fitting.verb import fit
from bayespassk.posterior.diagnostics import Diagnostics, diagnostics_of
from bayespassk.posterior.fitted import opened
from bayespassk.posterior.pooling import Pooling

__all__ = [
    "Forecast",
    "Method",
    "Own",
    "Posterior",
    "Task",
    "default_method",
    "forecasts",
    "methods_of",
]

type Own = Callable[[Counts, list[int], int], xr.DataArray]
"""A method of the user's: takes counts, k and a seed."""

ESTIMATORS: dict[str, Callable[..., xr.DataArray]] = {
    "plug-in": estimators.plug_in,
    "brown": estimators.brown,
    "log-log": estimators.log_log,
    "discretised-beta": estimators.discretised_beta,
    "beta-binomial-mle": estimators.beta_binomial_mle,
    "saber-plugin": estimators.saber_plugin,
    "saber-anchored": estimators.saber_anchored,
    "bayes-at-n": estimators.bayes_at_n,
}

DRAWS = 1000
"""Draws of a posterior that a forecast is scored by."""

QUANTILES = 2000
"""Values of alpha, at evenly spread probabilities, that stand for SABER's interval."""

POOLED = "partial:"


def default_method() -> str:
    """Return the method that bayespassk forecasts with if nothing is asked for."""
    return f"{POOLED}{default_family().full_name}"


@dataclass(frozen=True)
class Task:
    """What a method is shown, and what it is asked.

    Attributes
    ----------
    shown : Counts
        What is left of a log whose other attempts are hidden.
    attempts : array of int, dims (row,)
        Attempts in the whole log.
    ks : tuple of array of int
        The k that each system is asked about; none for some, perhaps.
    replicates : int
        Resamplings of the problems for the interval of an estimator.
    seed : int
    """

    shown: Counts
    attempts: Ints
    ks: tuple[Ints, ...]
    replicates: int
    seed: int


class Forecast(NamedTuple):
    """What a method says of one system at its k: a point, draws, and how the fit went."""

    point: Floats
    draws: Floats | None = None
    note: str = ""
    converged: bool | None = None
    divergences: float = np.nan
    max_rhat: float = np.nan
    min_ess: float = np.nan
    prior_driven: bool | None = None


class _Fitted(NamedTuple):
    """The draws of each system, dims (draw, k), of one fit."""

    draws: list[Floats]
    report: Diagnostics
    prior_driven: tuple[str, ...]
    seconds: float


type _Key = tuple[Family, Pooling]


@dataclass(frozen=True)
class _Estimator:
    name: str
    kind = "estimator"

    def spec(self) -> str:
        return self.name

    def of(self, task: Task, _fits: dict[_Key, _Fitted]) -> tuple[list[Forecast], float]:
        """Return what it says of each system; one that it refuses has a note."""
        start = time.perf_counter()
        found = [
            self._of_system(label, ks, task) if len(ks) else Forecast(np.zeros(0))
            for label, ks in zip(task.shown.systems, task.ks, strict=True)
        ]
        return found, time.perf_counter() - start

    def _of_system(self, label: str, ks: Ints, task: Task) -> Forecast:
        try:
            return self._estimate(task.shown.select(label), ks, task)
        except Exception as error:  # whatever it is, the other systems go on
            return _failed(ks, error)

    def _estimate(self, counts: Counts, ks: Ints, task: Task) -> Forecast:
        estimator = ESTIMATORS[self.name]
        point = estimator(counts, ks.tolist()).values[0]
        try:
            if self.name == "saber-anchored":
                z = sp.ndtri((np.arange(QUANTILES) + 0.5) / QUANTILES)
                return Forecast(point, anchored_at(counts, ks, z)[0])
            return Forecast(
                point, replicated(estimator, counts, ks.tolist(), task.replicates, task.seed)[0]
            )
        except InputError as error:
            return Forecast(point, note=f"no interval: {error}")


@dataclass(frozen=True)
class Posterior:
    """The average of families with equal weights, with or without pooling."""

    families: tuple[Family, ...]
    pooling: Pooling = "none"
    kind = "posterior"

    def spec(self) -> str:
        """Return what it is, as text: two of the same name may differ."""
        each = [family.spec() for family in self.families]
        return json.dumps({"families": each, "pooling": self.pooling}, sort_keys=True)

    def of(self, task: Task, fits: dict[_Key, _Fitted]) -> tuple[list[Forecast], float]:
        """Return the draws of all families together, each with as many, and the worst report."""
        found = []
        for family in self.families:
            key = family, self.pooling
            if key not in fits:
                fits[key] = _fitted(task, *key)
            found.append(fits[key])
        systems = range(len(task.shown.systems))
        return [self._of_system(task, i, found) for i in systems], sum(f.seconds for f in found)

    @staticmethod
    def _of_system(task: Task, system: int, found: list[_Fitted]) -> Forecast:
        draws = np.concatenate([one.draws[system] for one in found])
        label = task.shown.systems[system]
        reports = [one.report for one in found]
        return Forecast(
            np.median(draws, axis=0),
            draws,
            converged=all(label not in report.systems for report in reports),
            divergences=sum(report.divergences for report in reports),
            max_rhat=max(np.nan if r.max_rhat is None else r.max_rhat for r in reports),
            min_ess=min(np.nan if r.min_ess is None else r.min_ess for r in reports),
            prior_driven=any(label in one.prior_driven for one in found),
        )


@dataclass(frozen=True)
class _Own:
    function: Own
    kind = "own"

    def spec(self) -> str:
        return "own"

    def of(self, task: Task, _fits: dict[_Key, _Fitted]) -> tuple[list[Forecast], float]:
        """Return what the user's function says, with its points or its draws as they are."""
        start = time.perf_counter()
        ks = sorted({int(k) for each in task.ks for k in each})
        values = _values(self.function(task.shown, ks, task.seed), task.shown, ks)
        found = []
        for own, asked in zip(values, task.ks, strict=True):
            draws = own[:, np.searchsorted(ks, asked)]
            point = np.median(draws, axis=0)
            note = "it says nothing of some k" if np.isnan(point).any() else ""
            found.append(Forecast(point, draws if len(draws) > 1 else None, note))
        return found, time.perf_counter() - start


type Method = _Estimator | Posterior | _Own


def _values(found: Any, counts: Counts, ks: list[int]) -> Floats:
    """Return the result of a user's function, dims (system, draw, k), or raise an error."""
    dims = {"chain", "draw", "system", "k"}
    if not (isinstance(found, xr.DataArray) and {"system", "k"} <= set(found.dims) <= dims):
        what = found.dims if isinstance(found, xr.DataArray) else type(found).__name__
        raise OptionError(
            "a method of your own must return a DataArray with dims (system, k), or with draws in "
            f"dims (draw, system, k) or (chain, draw, system, k); got {what}"
        )
    shape = found.sizes["system"], found.sizes["k"]
    if shape != (len(counts.systems), len(ks)):
        raise OptionError(
            f"a method of your own must return {len(counts.systems)} systems and {len(ks)} k, as "
            f"it was asked; got {shape[0]} and {shape[1]}"
        )
    values = found.transpose("system", "k", ...).values.astype(float)
    draws = values.reshape(*shape, -1).swapaxes(1, 2)
    unknown = np.isnan(draws)
    if not (np.isfinite(draws) | unknown.all(1, keepdims=True)).all():
        raise OptionError(
            "a method of your own must return finite numbers, or NaN in all draws of what it does "
            "not tell; some are not"
        )
    return draws


def _fitted(task: Task, family: Family, pooling: Pooling) -> _Fitted:
    """Return draws of what the whole log will show, at the k of each system."""
    # As `fit` does by default: benchmarks learn nothing of each other.
    pooling = "within" if pooling == "partial" else pooling
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", PriorDrivenWarning)
        posterior = opened(
            fit(task.shown, family, pooling=pooling, random_seed=task.seed, progress=False)
        )
    bare = [w.message.systems for w in caught if isinstance(w.message, PriorDrivenWarning)]
    draws = [
        Seen(posterior, system, task.seed).of_log(task.attempts, ks, DRAWS)
        for system, ks in enumerate(task.ks)
    ]
    seconds = time.perf_counter() - start
    return _Fitted(
        draws, diagnostics_of(posterior), tuple(s for each in bare for s in each), seconds
    )


def forecasts(
    methods: Mapping[str, Method], task: Task, fits: dict[_Key, _Fitted] | None = None
) -> dict[str, tuple[list[Forecast], float]]:
    """Return for each method what it says of each system, and how many seconds that took.

    A family that several methods need is fitted once, or taken from `fits`; each is charged for
    it. A method that fails says so in the note of its forecasts, which are NaN.
    """
    fits = {} if fits is None else fits
    found = {}
    for name, method in methods.items():
        with warnings.catch_warnings():
            for expected in (ConvergenceWarning, ForecastWarning, LooWarning, PriorDrivenWarning):
                warnings.simplefilter("ignore", expected)
            try:
                found[name] = method.of(task, fits)
            except Exception as error:  # whatever it is, the other methods go on
                found[name] = [_failed(ks, error) for ks in task.ks], np.nan
    return found


def _failed(ks: Ints, error: Exception) -> Forecast:
    known = isinstance(error, InputError | SamplingError)
    note = str(error) if known else f"{type(error).__name__}: {error}"
    return Forecast(np.full(len(ks), np.nan), note=note)


# By name ---------------------------------------------------------------------------------------


def methods_of(
    given: str | Family | Iterable[str | Family] | Mapping[str, Any] | None,
) -> dict[str, Method]:
    """Return the methods that were asked for, by name, or raise an error about the first bad one.

    None stands for all estimators, the beta and, if it is another, the default.
    """
    if given is None:
        found: dict[str, Method] = {name: _Estimator(name) for name in ESTIMATORS}
        found["beta"] = _named("beta")
        if _named("default") != found["beta"]:
            found["default"] = _named("default")
        return found
    if isinstance(given, Mapping):
        found = {str(name): _method(what) for name, what in given.items()}
    else:
        listed = [given] if isinstance(given, str | Family) else list(given)
        names = [one.full_name if isinstance(one, Family) else str(one) for one in listed]
        if len(set(names)) < len(names):
            raise OptionError(
                f"methods must differ in their names; got {', '.join(map(repr, names))}. Give a "
                "mapping with names of your own"
            )
        found = {name: _method(one) for name, one in zip(names, listed, strict=True)}
    if not found:
        raise OptionError("methods must hold at least one method; got none")
    return found


def _method(what: Any) -> Method:
    if isinstance(what, Family):
        return Posterior((what,))
    if isinstance(what, Posterior):
        return what
    if isinstance(what, str):
        return _named(what)
    if callable(what):
        return _Own(what)
    raise OptionError(
        f"a method must be a name, a family, or a function of (counts, k, random_seed); got "
        f"{what!r}"
    )


def _named(name: str) -> Method:
    """Return the method of a name, or raise an error that lists what there is."""
    if name in ESTIMATORS:
        return _Estimator(name)
    if name == "default":
        return _named(default_method())
    pooling: Pooling = "partial" if name.startswith(POOLED) else "none"
    try:
        families = [family_from_name(one) for one in name.removeprefix(POOLED).split("+")]
    except OptionError:
        raise OptionError(
            f"a method must be an estimator ({', '.join(ESTIMATORS)}), a family "
            f"({', '.join(family_names())}, or a combination of them), an average of families such "
            "as beta+kumaraswamy, one of these two with partial pooling, as in partial:beta, or "
            f"default; got {name!r}"
        ) from None
    if len(set(families)) < len(families):
        raise OptionError(f"an average must be of families that differ; got {name!r}")
    return Posterior(tuple(families), pooling)
