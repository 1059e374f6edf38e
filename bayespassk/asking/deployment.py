"""Deployment: what many queries of a kind will meet that a few prompts did not."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats
from bayespassk.asking.pass_at_k import FailAtK, PassAtK
from bayespassk.asking.question import Kind, Question, ask
from bayespassk.asking.seen import Seen
from bayespassk.errors import OptionError
from bayespassk.options import Known, check_k, check_values
from bayespassk.posterior.fitted import Fitted, opened

__all__ = ["DeploymentRisk", "QueriesFor", "check_queries", "deployment_risk", "queries_for"]


def deployment_risk(
    fit: xr.DataTree,
    queries: float | Iterable[float],
    k: int = 1,
    target: Known = "population",
    *,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of the probability that at least one of many queries succeeds.

    ``1 - fail@k^Q``: each of Q queries is a new problem of the kind, tried k times. A success is
    what the log calls one: of a log of attacks, that an attack gets through.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    queries : float or sequence of float, dims (queries,)
        How many queries, Q: 1 to 1e15.
    k : int
        Attempts at each query, 1 to 1e12.
    target : {"population", "benchmark"}
        Where queries come from. "population": each is a new problem of the kind. "benchmark": each
        is one of the very problems attempted, at random, any of them many times.
    random_seed : int, optional
        As for :func:`bayespassk.forecast`; "population" draws nothing.

    Returns
    -------
    xarray.DataArray
        The probability, dims (chain, draw, system, queries), joint over queries, with k as an
        attribute. Its mean over the draws is the probability that the posterior gives to at least
        one success, its spread is what more prompts would settle. :func:`bayespassk.summarize`
        makes a table of it. The expected number of successful queries is Q times
        ``bp.forecast(fit, k, target)``.

    Raises
    ------
    OptionError
        If queries, k or the target mean nothing.

    Warns
    -----
    ForecastWarning
        As :func:`bayespassk.forecast` of k: the prior weighs more than the attempts in fail@k.

    Notes
    -----
    It rests on the mean of p over the kind, to which a rare query that is nearly sure to succeed
    adds as much as many that hardly ever do. With 100 prompts nothing is known of kinds of queries
    that are fewer than about 1 in 100, except by the family: what is said of them is its tail. If
    deployment has queries of kinds that are not among the prompts, the number does not hold.

    A zero-inflated family says that a share of the queries never succeeds; this risk is of all
    queries, and the other share decides. A fit without any success still has a risk, which is then
    that of the prior of what hides below 1/n.

    Given the parameters queries are independent. Users who ask the same thing again and again, or
    pass on what worked, are not.

    References
    ----------
    Jones et al. 2025, arXiv:2502.16797, ask the question; their forecast is
    :func:`bayespassk.estimators.gumbel_tail`.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> risk = bp.deployment_risk(fit, [1, 100])
    >>> bool((risk.sel(queries=100) > risk.sel(queries=1)).all())
    True
    """
    check_arguments("deployment_risk", locals())
    question = DeploymentRisk(check_queries(queries), _one_k(k))
    return ask(opened(fit), question, target, random_seed).assign_attrs(k=question.k)


def queries_for(
    fit: xr.DataTree,
    risk: float | Iterable[float] = 0.5,
    k: int = 1,
    target: Known = "population",
    *,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of the queries after which one has succeeded with probability `risk`.

    The smallest whole Q with ``1 - fail@k^Q >= risk``; see :func:`deployment_risk`.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    risk : float or sequence of float, dims (risk,)
        Probabilities to reach, between 0 and 1.
    k : int
        Attempts at each query, 1 to 1e12.
    target : {"population", "benchmark"}
        As for :func:`deployment_risk`.
    random_seed : int, optional
        As for :func:`bayespassk.forecast`.

    Returns
    -------
    xarray.DataArray
        Numbers of queries, dims (chain, draw, system, risk), with k as an attribute; infinite where
        no query succeeds. Look at quantiles, not at the mean: a few draws in which hardly any query
        succeeds are all of it.

    Raises
    ------
    OptionError
        If risk, k or the target mean nothing.

    Warns
    -----
    ForecastWarning
        As :func:`deployment_risk`.

    Notes
    -----
    It is not how long until the first success if the parameters were known to nobody: a quantile of
    these draws says how sure the posterior is of such a Q. What is said of kinds of queries that
    are not among the prompts holds here too.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> bp.queries_for(fit, [0.01, 0.5]).dims
    ('chain', 'draw', 'system', 'risk')
    """
    check_arguments("queries_for", locals())
    values = check_values(risk, "risk", "between 0 and 1", lambda v: 0 < v < 1)
    question = QueriesFor(values, _one_k(k))
    return ask(opened(fit), question, target, random_seed).assign_attrs(k=question.k)


def check_queries(queries: float | Iterable[float]) -> Floats:
    """Return the numbers of queries as an array, or raise an error about the first bad one."""
    return check_values(
        queries,
        "queries",
        f"whole numbers from 1 to {MOST_QUERIES:g}",
        lambda v: 1 <= v <= MOST_QUERIES and float(v).is_integer(),
    )


MOST_QUERIES = 1e15


def _one_k(k: int) -> int:
    ks = check_k(k)
    if len(ks) > 1:
        raise OptionError(f"k must be one number of attempts at each query; got {len(ks)}")
    return int(ks[0])


# The questions -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _OfQueries(Question):
    """What follows from fail@k of one query, whichever it is."""

    values: Floats
    k: int
    not_of_runs: ClassVar[str] = "queries, which are no run at the problems attempted"
    rests_on: ClassVar[str] = "what many queries meet"

    def of_kind(self, kind: Kind) -> Floats:
        """Return the answer where each query is a new problem."""
        return self.of_log_fail(kind.log_fail(np.array([float(self.k)])))

    def of_problems(self, seen: Seen) -> Floats:
        """Return the answer where each query is one of the problems attempted."""
        with np.errstate(divide="ignore"):  # of problems that are all solved
            log_fail = np.log1p(-np.minimum(seen.mean(PassAtK(np.array([self.k]))), 1.0))
        return self.of_log_fail(log_fail)

    def of_log_fail(self, log_fail: Floats) -> Floats:
        """Return the answer from log fail@k, dims (..., 1)."""
        raise NotImplementedError

    def far(self, fitted: Fitted, answers: Sequence[Floats]) -> Floats:
        """Return k: that is how far a query goes."""
        del fitted
        return np.full(len(answers), float(self.k))

    def resting(self, found: Floats, k: float, again: Callable[[Question], Floats]) -> Floats:
        """Return log pass@k: it may be small."""
        del found, k
        fail = again(FailAtK(np.array([float(self.k)])))
        return np.asarray(np.log(np.maximum(1 - fail, 1e-16)))


@dataclass(frozen=True, eq=False)
class DeploymentRisk(_OfQueries):
    """1 - fail@k^Q: that one of Q queries succeeds."""

    name: ClassVar[str] = "deployment_risk"
    dim: ClassVar[str] = "queries"

    def of_log_fail(self, log_fail: Floats) -> Floats:
        """Return the risk at each number of queries."""
        return np.asarray(-np.expm1(self.values * log_fail))


@dataclass(frozen=True, eq=False)
class QueriesFor(_OfQueries):
    """The smallest whole Q with 1 - fail@k^Q at least a risk."""

    name: ClassVar[str] = "queries"
    dim: ClassVar[str] = "risk"

    def of_log_fail(self, log_fail: Floats) -> Floats:
        """Return the number of queries for each risk; log fail@k may be -inf or 0."""
        with np.errstate(divide="ignore"):
            exactly: Any = np.log1p(-self.values) / log_fail
        # one that is whole but for rounding is that
        return np.maximum(np.ceil(np.where(log_fail < 0, exactly, math.inf) * (1 - 1e-12)), 1.0)
