"""pass@k at any k, as draws from the posterior; pass^k, and how fast fail@k falls."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats, Ints
from bayespassk.asking.guard import agreements, warn_if_contradicted, warn_if_impossible
from bayespassk.asking.moved import warn_if_moved, with_alone
from bayespassk.asking.question import Kind, Mean, Question, ask
from bayespassk.asking.seen import Seen, rates_of
from bayespassk.errors import OptionError
from bayespassk.families import Family
from bayespassk.families.base import Parameters
from bayespassk.families.dependent import dependence, log_fail_in_runs, log_fail_of_problems
from bayespassk.options import Target, check_k
from bayespassk.posterior.fitted import Fitted, opened

__all__ = [
    "FailAt",
    "FailAtK",
    "PassAtK",
    "PassHatK",
    "fail_of_kind",
    "fail_of_problems",
    "forecast",
    "pass_hat_k",
    "tail_exponent",
]

type FailAt = Callable[[Floats], Floats]
"""Takes numbers of attempts, dims (k,); returns fail@k at every draw, dims (draw, k)."""


def forecast(
    fit: xr.DataTree,
    k: float | Iterable[float],
    target: Target = "benchmark",
    *,
    at: Mapping[str, Any] | None = None,
    run_length: float | None = None,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of pass@k for each system: one value a draw, not summarised.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    k : int or sequence of int, dims (k,)
        Attempts allowed, 1 to 1e12; far beyond the attempts made, if need be.
    target : {"benchmark", "population", "realised"}
        What pass@k is asked of. "benchmark": the very problems that were attempted, the mean
        over them of 1 - (1 - p)^k, with their p as uncertain as their counts leave them.
        "population": all problems of the kind; what a new problem drawn at random would give.
        "realised": the share of the attempted problems that one new run of k attempts at each
        would solve; the benchmark's pass@k and the luck of that run.
    at : mapping of str to value, optional
        For the target "population" of a fit with covariates: new problems with these values, such
        as ``{"level": 5}``, in place of problems with the values of those attempted.
    run_length : int, optional
        Of a fit with :class:`bayespassk.Dependent`: the k attempts are made in runs of so many,
        which are alike; ``math.inf`` for one run of all. By default each is in a run of its own.
    random_seed : int, optional
        Repeats the draws of p and of the run; by default follows from the seed of the fit, so
        that the same forecast of the same fit is the same. "population" draws nothing.

    Returns
    -------
    xarray.DataArray
        pass@k, dims (chain, draw, system, k). With pooling by quadrature the coordinates `alone`
        and `moved`, dims (system, k), are the median of each system by itself, and that of its
        forecast less this. Draws are joint over k, so that differences,
        ratios and bands over k of these draws are right; and over systems, which are independent
        without pooling.

    Warns
    -----
    ForecastWarning
        At the largest k, the prior weighs more than all else, or, beyond 10 times the attempts
        made at any problem, prior and other systems more than the attempts; or at any k, twice the
        weight of the prior against half of it shifts the mean by more than 0.75 standard
        deviations (see :func:`bayespassk.sensitivity`); or most problems not solved are held to be
        impossible, and k is beyond a third of the attempts.
    PoolingWarning
        Pooling moved a median beyond the 95% band of the system alone.
    FamilyWarning
        Up to the attempts made, the family contradicts Chen's estimate (p below 0.01). See
        :func:`bayespassk.agreement`.

    Raises
    ------
    OptionError
        If a k or the target has a value that means nothing.

    Notes
    -----
    Attempts say nothing about success probabilities far below 1/n. For k far beyond n the
    forecast rests on the family and the prior: the band contains what they leave open, not the
    chance that they are wrong.

    A success is an attempt that was accepted. Of a fit with :class:`bayespassk.Verified` this is
    the apparent pass@k; :func:`bayespassk.verifier.true_pass_at_k` is for the truth.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> draws = bp.forecast(fit, [1, 100, 10_000])
    >>> draws.dims
    ('chain', 'draw', 'system', 'k')
    """
    check_arguments("forecast", locals())
    fitted, ks = opened(fit, evidence=True), check_k(k)
    question = PassAtK(ks) if run_length is None else _in_runs(fitted, ks, run_length)
    draws = ask(fitted, question, target, random_seed, at=at)
    if dependence(fitted.family) is not None:
        draws.attrs["run_length"] = 1.0 if run_length is None else float(run_length)
    draws, band = with_alone(fitted, question, draws)
    rows = agreements(fitted)
    warn_if_moved(draws, band)
    warn_if_contradicted(rows)
    warn_if_impossible(fitted, draws)
    return draws.assign_attrs(agreement=json.dumps(rows))


def pass_hat_k(
    fit: xr.DataTree,
    k: float | Iterable[float],
    target: Target = "benchmark",
    *,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of pass^k: the probability that all of k attempts succeed.

    The mean of p^k over problems: reliability, where pass@k is reach.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    k : int or sequence of int, dims (k,)
        Attempts that must all succeed, 1 to 1e12.
    target : {"benchmark", "population", "realised"}
        As for :func:`bayespassk.forecast`; "realised" is the share of the attempted problems at
        which a new run of k attempts would not fail once.
    random_seed : int, optional
        As for :func:`bayespassk.forecast`.

    Returns
    -------
    xarray.DataArray
        pass^k, dims (chain, draw, system, k), joint over k. :func:`bayespassk.summarize` makes a
        table of it.

    Raises
    ------
    OptionError
        If a k or the target means nothing.

    Warns
    -----
    ForecastWarning
        As :func:`bayespassk.forecast`.

    Notes
    -----
    At k far beyond the attempts made it rests on how the family ends near p = 1, of which
    attempts say as little as of its end near 0.

    References
    ----------
    Yao et al. 2024, arXiv:2406.12045 (pass^k).

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> bp.pass_hat_k(fit, [1, 5]).dims
    ('chain', 'draw', 'system', 'k')
    """
    check_arguments("pass_hat_k", locals())
    return ask(opened(fit, evidence=True), PassHatK(check_k(k)), target, random_seed)


def tail_exponent(fit: xr.DataTree, k: float | Iterable[float]) -> xr.DataArray:
    """Return the posterior of the local tail exponent: how fast fail@k falls at k.

    ``-d log fail@k / d log k`` for a new problem: an exponent of 0.3 says that fail@k falls as
    k^-0.3 near k, so that ten times the attempts leave half as many problems unsolved.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    k : int or sequence of int, dims (k,)
        Where to look, 1 to 1e12.

    Returns
    -------
    xarray.DataArray
        The exponent, dims (chain, draw, system, k). :func:`summarize` makes a table of it.

    Notes
    -----
    For large k it goes to a for a beta, a scaled beta, a Kumaraswamy family and a Libby-Novick
    beta, to a g for a generalized beta, to the smallest of its components' for a mixture, to 0 with
    zero inflation (a plateau), and it grows without end for a logit-normal. At k far beyond the
    attempts it is the family that speaks.

    References
    ----------
    Schaeffer et al. 2025, arXiv:2502.17578.
    """
    check_arguments("tail_exponent", locals())
    return ask(opened(fit, evidence=True), TailExponent(check_k(k)), "population")


# The questions -----------------------------------------------------------------------------------


def _in_runs(fitted: Fitted, ks: Ints, run_length: float) -> "PassAtKInRuns":
    """Return the question of attempts in runs, or raise an error if it cannot be asked."""
    if dependence(fitted.family) is None:
        raise OptionError(
            "run_length needs a fit with bp.Dependent, which learns how alike the attempts of a "
            f"run are; the family of this one is {fitted.family.full_name}"
        )
    whole = math.isinf(run_length) or float(run_length).is_integer()
    if not (whole and run_length >= 1):
        raise OptionError(
            f"run_length must be a whole number from 1, or math.inf; got {run_length!r}"
        )
    return PassAtKInRuns(ks, float(run_length))


def _ratios(family: Family, parameters: Parameters, c: Any, f: Any, ks: Any) -> Floats:
    """Return log E[(1-p)^k] of problems seen with (c, f), dims (..., cell, k)."""
    moments = family.log_moment(parameters, c, f + np.append(0.0, ks))
    return np.asarray(moments[..., 1:] - moments[..., :1])


@dataclass(frozen=True, eq=False)
class PassAtK(Mean):
    """1 - (1-p)^k: that one of k attempts succeeds."""

    values: Ints | Floats
    name: ClassVar[str] = "pass_at_k"

    def each(self, drawn: Floats, value: float) -> Floats:
        """Return pass@k of problems with these rates."""
        return np.asarray(-np.expm1(-value * drawn))

    def expected(self, family: Family, parameters: Parameters, c: Any, f: Any) -> Floats:
        """Return the expectation of pass@k."""
        return np.asarray(-np.expm1(_ratios(family, parameters, c, f, self.values)))

    def of_kind(self, kind: Kind) -> Floats:
        """Return pass@k of new problems."""
        return np.asarray(-np.expm1(kind.log_fail(self.values)))

    def of_run(self, seen: Seen) -> Floats:
        """Return the share of problems that one run solves by k."""
        return seen.realised(self.values)


@dataclass(frozen=True, eq=False)
class PassAtKInRuns(Mean):
    """That one of k attempts succeeds, which are made in runs whose attempts are alike."""

    values: Ints
    run_length: float
    name: ClassVar[str] = "pass_at_k"
    not_of_runs: ClassVar[str] = "attempts in runs, whose luck is among what is averaged"

    def drawn(
        self,
        family: Family,
        parameters: Parameters,
        rng: np.random.Generator,
        successes: Ints,
        failures: Ints,
    ) -> Floats:
        """Draw log fail@k of problems with these counts, dims (k, draw, problem)."""
        rates = rates_of(family, parameters, rng, successes, failures)
        ks = self.values.astype(float)
        return log_fail_of_problems(family, parameters, -rates, ks, self.run_length)

    def at(self, family: Family, parameters: Parameters, logit: Floats) -> Floats:
        """Return log fail@k, dims (k, draw, node)."""
        log_q = -family.rates(parameters, logit)
        ks = self.values.astype(float)
        return log_fail_of_problems(family, parameters, log_q, ks, self.run_length)

    def each(self, drawn: Floats, value: float) -> Floats:
        """Return pass@k at one of the k."""
        return np.asarray(-np.expm1(drawn[int(np.flatnonzero(self.values == value)[0])]))

    def expected(self, family: Family, parameters: Parameters, c: Any, f: Any) -> Floats:
        """Return nothing: what was seen of a problem is drawn from."""
        raise NotImplementedError

    def of_kind(self, kind: Kind) -> Floats:
        """Return pass@k of new problems."""
        ks = self.values.astype(float)
        return kind.mean(
            lambda given: -np.expm1(log_fail_in_runs(kind.family, given, ks, self.run_length))
        )


@dataclass(frozen=True, eq=False)
class FailAtK(Mean):
    """(1-p)^k: that none of k attempts succeeds, with the digits of small ones; k may be any."""

    values: Floats
    name: ClassVar[str] = "fail_at_k"

    def each(self, drawn: Floats, value: float) -> Floats:
        """Return fail@k of problems with these rates."""
        return np.asarray(np.exp(-value * drawn))

    def expected(self, family: Family, parameters: Parameters, c: Any, f: Any) -> Floats:
        """Return the expectation of fail@k."""
        return np.asarray(np.exp(_ratios(family, parameters, c, f, self.values)))

    def of_kind(self, kind: Kind) -> Floats:
        """Return fail@k of new problems."""
        return np.exp(kind.log_fail(self.values))

    def of_run(self, seen: Seen) -> Floats:
        """Return fail@k of the problems that a run is made at, without its luck."""
        return seen.mean(self)


def fail_of_kind(kind: Kind) -> FailAt:
    """Return fail@k of new problems as a function of k."""
    return lambda ks: FailAtK(ks).of_kind(kind).reshape(-1, len(ks))


def fail_of_problems(seen: Seen) -> FailAt:
    """Return fail@k of the problems attempted as a function of k."""
    return lambda ks: seen.mean(FailAtK(ks)).reshape(-1, len(ks))


@dataclass(frozen=True, eq=False)
class PassHatK(Mean):
    """p^k: that all of k attempts succeed."""

    values: Ints
    name: ClassVar[str] = "pass_hat_k"

    def each(self, drawn: Floats, value: float) -> Floats:
        """Return pass^k of problems with these rates."""
        return np.asarray((-np.expm1(-drawn)) ** value)

    def expected(self, family: Family, parameters: Parameters, c: Any, f: Any) -> Floats:
        """Return the expectation of pass^k."""
        moments = family.log_moment(parameters, c + np.append(0.0, self.values), f)
        return np.asarray(np.exp(moments[..., 1:] - moments[..., :1]))

    def of_kind(self, kind: Kind) -> Floats:
        """Return pass^k of new problems."""
        ks = self.values.astype(float)
        return kind.mean(lambda given: np.exp(kind.family.log_moment(given, ks, 0)))

    def of_run(self, seen: Seen) -> Floats:
        """Return the share of problems at which one run of k attempts does not fail."""
        result = np.empty((seen.shape[0] * seen.shape[1], len(self.values)))
        for draws, p, rng in seen.each_problem():
            with np.errstate(divide="ignore"):
                until_failure = rng.standard_exponential(p.shape) / -np.log(p)
            result[draws] = np.stack([(until_failure >= k).mean(1) for k in self.values], axis=-1)
        return result


@dataclass(frozen=True, eq=False)
class TailExponent(Question):
    """-d log fail@k / d log k of new problems."""

    values: Ints
    name: ClassVar[str] = "tail_exponent"

    def of_kind(self, kind: Kind) -> Floats:
        """Return the slope around each k."""
        around = (self.values[:, None] * np.exp([-STEP, STEP])).ravel()
        log_fail = kind.log_fail(around)
        slope = -np.diff(log_fail.reshape(*log_fail.shape[:-1], -1, 2), axis=-1)[..., 0]
        return np.asarray(slope / (2 * STEP))

    def of_problems(self, seen: Seen) -> Floats:
        """Return nothing: it is a matter of the kind."""
        raise NotImplementedError

    def far(self, fitted: Fitted, answers: Any) -> None:
        """Return nothing: at large k it is the family that speaks, which the docstring says."""
        del fitted, answers


STEP = 1e-3
"""In log k, to either side, of the slope of a tail."""
