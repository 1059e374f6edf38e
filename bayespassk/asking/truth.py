"""The truth behind verdicts: forecasts from fits whose verifier is sometimes wrong."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats, Ints
from bayespassk.asking.pass_at_k import PassAtK
from bayespassk.asking.question import Mean, ask
from bayespassk.errors import OptionError
from bayespassk.families import Family, Verified
from bayespassk.families.base import Parameters
from bayespassk.options import MOST_K, Known, check_interval, check_k
from bayespassk.posterior.fitted import Fitted, opened
from bayespassk.special import NUMPY

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "apparent_pass_at_k",
    "best_resampling",
    "first_pass_ceiling",
    "first_pass_correct_at_k",
    "resampling_utility",
    "true_pass_at_k",
]

GRID = np.unique(np.append(np.arange(1, 21), np.geomspace(20, 10_000, 41).round()).astype(np.int64))
"""The k at which the utility is computed if none are given."""


def apparent_pass_at_k(
    fit: xr.DataTree,
    k: float | Iterable[float],
    target: Known = "benchmark",
    *,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of the apparent pass@k: that one of k attempts is accepted.

    1 - E(1-q)^k, with q = p t + (1-p) phi: what somebody sees who takes the verdicts for the truth.
    It tends to 1 if phi > 0, as every problem is accepted in the end.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` of a :class:`bayespassk.Verified`, or :func:`bayespassk.load`.
    k : int or sequence of int, dims (k,)
        Attempts allowed, 1 to 1e12.
    target : {"benchmark", "population"}
        The mean over the problems attempted, or of new problems of the kind.
    random_seed : int, optional
        As for :func:`bayespassk.forecast`.

    Returns
    -------
    xarray.DataArray
        dims (chain, draw, system, k), joint over k. :func:`bayespassk.summarize` makes a table of
        it. It is what :func:`bayespassk.forecast` gives for such a fit.

    Raises
    ------
    OptionError
        If the family of the fit is not a Verified, or k or the target means nothing.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> family = bp.Verified(bp.Beta(), true_positive_rate=1.0, false_positive_rate=0.001)
    >>> fit = bp.fit(counts, family, pooling="none", random_seed=1)
    >>> apparent = bp.verifier.apparent_pass_at_k(fit, 10_000)
    >>> true = bp.verifier.true_pass_at_k(fit, 10_000)
    >>> bool((apparent.median(("chain", "draw")) > true.median(("chain", "draw"))).all())
    True
    """
    check_arguments("apparent_pass_at_k", locals())
    return ask(_verified(fit), ApparentPassAtK(check_k(k)), target, random_seed)


def true_pass_at_k(
    fit: xr.DataTree,
    k: float | Iterable[float],
    target: Known = "benchmark",
    *,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of the true pass@k: that one of k attempts is correct.

    1 - E(1-p)^k: what a perfect verifier would find among k attempts. The one at hand may not
    accept it, and may accept a wrong one instead; of that says :func:`first_pass_correct_at_k`.

    Parameters
    ----------
    fit, k, target, random_seed
        As for :func:`apparent_pass_at_k`.

    Returns
    -------
    xarray.DataArray
        dims (chain, draw, system, k), joint over k.

    Raises
    ------
    OptionError
        If the family of the fit is not a Verified, or k or the target means nothing.

    Warns
    -----
    ForecastWarning
        If the prior weighs more than the attempts at the largest k, and that is beyond 10 times
        the attempts made or beyond 1 / phi.

    Notes
    -----
    Attempts say nothing about p far below 1/n, and with false positives nothing about p far below
    phi / t either, however many they are. For k beyond t / phi the forecast rests on the family,
    the prior and that phi is the same for all problems.

    Examples
    --------
    See :func:`apparent_pass_at_k`.
    """
    check_arguments("true_pass_at_k", locals())
    return ask(_verified(fit), TruePassAtK(check_k(k).astype(float)), target, random_seed)


def first_pass_correct_at_k(
    fit: xr.DataTree,
    k: float | Iterable[float],
    target: Known = "benchmark",
    *,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of the share of problems that are solved by taking the first pass.

    Attempts go on until one is accepted, k at most, and that one is the answer. It is there and
    correct for the share E[(p t / q)(1 - (1-q)^k)] of the problems.

    Parameters
    ----------
    fit, k, target, random_seed
        As for :func:`apparent_pass_at_k`.

    Returns
    -------
    xarray.DataArray
        dims (chain, draw, system, k), joint over k. The apparent pass@k minus this is the share of
        problems with a wrong answer that was accepted.

    Raises
    ------
    OptionError
        If the family of the fit is not a Verified, or k or the target means nothing.

    Warns
    -----
    ForecastWarning
        As :func:`true_pass_at_k`.

    Notes
    -----
    It rises with k to :func:`first_pass_ceiling`, and never above the true pass@k. It says nothing
    about picking among several accepted attempts, by a vote for instance, which may do better.

    References
    ----------
    Stroebl, Kapoor and Narayanan 2024, arXiv:2411.17501.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> family = bp.Verified(bp.Beta(), true_positive_rate=1.0, false_positive_rate=0.001)
    >>> fit = bp.fit(counts, family, pooling="none", random_seed=1)
    >>> at_k = bp.verifier.first_pass_correct_at_k(fit, 10_000, "population")
    >>> ceiling = bp.verifier.first_pass_ceiling(fit, "population")
    >>> bool((at_k.values <= ceiling.values + 1e-9).all())
    True
    """
    check_arguments("first_pass_correct_at_k", locals())
    question = FirstPassCorrect(check_k(k).astype(float))
    return ask(_verified(fit), question, target, random_seed)


def first_pass_ceiling(
    fit: xr.DataTree, target: Known = "benchmark", *, random_seed: int | None = None
) -> xr.DataArray:
    """Return the posterior of what taking the first pass tends to, with attempts without end.

    E[p t / q]: the share of problems whose first accepted attempt is correct. Below 1 if phi > 0,
    as problems that are hardly ever solved are wrongly accepted first.

    Parameters
    ----------
    fit, target, random_seed
        As for :func:`apparent_pass_at_k`.

    Returns
    -------
    xarray.DataArray
        dims (chain, draw, system, k), with one k, infinity, so that :func:`bayespassk.summarize`
        takes it as it takes the others.

    Raises
    ------
    OptionError
        If the family of the fit is not a Verified, or the target means nothing.

    Warns
    -----
    ForecastWarning
        As :func:`true_pass_at_k`.

    Notes
    -----
    It depends on how many problems have p t far above, near and far below phi. Where phi is far
    below 1/n the attempts do not tell, and the family and the prior do.

    References
    ----------
    Stroebl, Kapoor and Narayanan 2024, arXiv:2411.17501.

    Examples
    --------
    See :func:`first_pass_correct_at_k`.
    """
    check_arguments("first_pass_ceiling", locals())
    return ask(_verified(fit), FirstPassCeiling(np.array([np.inf])), target, random_seed)


def resampling_utility(
    fit: xr.DataTree,
    cost: float,
    k: float | Iterable[float] | None = None,
    target: Known = "benchmark",
    *,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of what taking the first pass of up to k attempts is worth, a problem.

    A correct answer is worth 1, a wrong one that was accepted -cost, and no answer nothing:

        U(k) = E[(p t - cost (1-p) phi) / q x (1 - (1-q)^k)].

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` of a :class:`bayespassk.Verified`, or :func:`bayespassk.load`.
    cost : float
        What a wrong answer costs, in units of what a correct one gains; 0 or more.
    k : int or sequence of int, dims (k,), optional
        Attempts allowed; by default all to 20, and from there some to 10,000.
    target, random_seed
        As for :func:`apparent_pass_at_k`.

    Returns
    -------
    xarray.DataArray
        dims (chain, draw, system, k), joint over k. The first k is 0, at which nothing is attempted
        and the utility is 0. :func:`bayespassk.summarize` makes a table of the curve,
        :func:`best_resampling` of its largest value.

    Raises
    ------
    OptionError
        If the family of the fit is not a Verified, or an argument means nothing.

    Notes
    -----
    Attempts themselves cost nothing here. With a cost of 0 more attempts never hurt. The k is one
    for all problems: the gain of stopping sooner where a problem seems hard is not in it.

    References
    ----------
    Stroebl, Kapoor and Narayanan 2024, arXiv:2411.17501 (the optimum is often below ten attempts).

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> family = bp.Verified(bp.Beta(), true_positive_rate=0.95, false_positive_rate=0.002)
    >>> fit = bp.fit(counts, family, pooling="none", random_seed=1)
    >>> table = bp.verifier.best_resampling(bp.verifier.resampling_utility(fit, cost=2))
    >>> bool((table["lower"] <= table["best_k"]).all())
    True
    """
    check_arguments("resampling_utility", locals())
    number = isinstance(cost, int | float | np.number) and not isinstance(cost, bool)
    if not number or not 0 <= cost < np.inf:
        raise OptionError(f"cost must be a finite number, 0 or more; got {cost!r}")
    ks = (GRID if k is None else check_k(k)).astype(float)
    result = ask(_verified(fit), Utility(ks, float(cost)), target, random_seed)
    nothing = xr.zeros_like(result.isel(k=[0])).assign_coords(k=[0])
    result = xr.concat([nothing, result], "k", combine_attrs="override")
    return result.assign_attrs(cost=float(cost))


def best_resampling(utility: xr.DataArray, prob: float = 0.95) -> "pd.DataFrame":
    """Return a table with the number of attempts that is worth most, and how sure that is.

    Parameters
    ----------
    utility : DataArray, dims (chain, draw, system, k)
        From :func:`resampling_utility`.
    prob : float
        Posterior probability of the equal-tailed intervals, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row for each system: system, cost, best_k (of the k in `utility`, that with the largest
        posterior mean), lower and upper (an interval of the k that is best in each draw), utility,
        utility_lower and utility_upper (at best_k), and at_largest_k: whether best_k is the largest
        of all, so that more attempts may be better still.

    Raises
    ------
    OptionError
        If `prob` means nothing.

    Notes
    -----
    best_k is the choice to make, given what is known; where each draw has its own optimum, the
    interval may be wide and the loss small, as the curve is flat near its top. A best_k of 0 says
    that answers of this verifier cost more than they gain.
    """
    check_arguments("best_resampling", locals())
    import pandas as pd

    check_interval(prob, "eti")
    ks = utility["k"].values
    ends = [(1 - prob) / 2, (1 + prob) / 2]
    rows = []
    for system in utility["system"].values:
        draws = (
            utility.sel(system=system).transpose("chain", "draw", "k").values.reshape(-1, len(ks))
        )
        best = int(draws.mean(0).argmax())
        lower, upper = np.quantile(ks[draws.argmax(1)], ends, method="inverted_cdf")
        utility_lower, utility_upper = np.quantile(draws[:, best], ends)
        rows.append(
            {
                "system": str(system),
                "cost": float(utility.attrs["cost"]),
                "best_k": int(ks[best]),
                "lower": int(lower),
                "upper": int(upper),
                "utility": draws[:, best].mean(),
                "utility_lower": utility_lower,
                "utility_upper": utility_upper,
                "at_largest_k": bool(ks[best] == ks.max()),
            }
        )
    table = pd.DataFrame(rows)
    table.attrs = {"prob": prob, "kind": "eti"}
    return table


def _verified(fit: xr.DataTree) -> Fitted:
    """Return a fit, opened, or raise an error if it does not tell verdicts from the truth."""
    fitted = opened(fit)
    if not isinstance(fitted.family, Verified):
        raise OptionError(
            "the truth behind verdicts needs a fit with bp.Verified around its family; this one of "
            f"{fitted.family.full_name} takes verdicts for the truth, and bp.forecast is for it"
        )
    return fitted


# The questions -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ApparentPassAtK(PassAtK):
    """That one of k attempts is accepted."""

    name: ClassVar[str] = "apparent_pass_at_k"
    not_of_runs: ClassVar[str] = "forecasts of the truth"


@dataclass(frozen=True, eq=False)
class _OfTruth(Mean):
    """What is drawn of each problem is its p and what the verifier makes of it."""

    values: Floats
    not_of_runs: ClassVar[str] = "forecasts of the truth"
    first_pass: ClassVar[bool]

    def drawn(
        self,
        family: Family,
        parameters: Parameters,
        rng: np.random.Generator,
        successes: Ints,
        failures: Ints,
    ) -> Floats:
        """Draw -log(1-p), p t / q and -log(1-q), dims (3, draw, problem)."""
        verified = cast("Verified", family)
        logit = verified.draw_truth(parameters, rng, successes, failures)
        return self.at(family, parameters, logit)

    def at(self, family: Family, parameters: Parameters, logit: Floats) -> Floats:
        """Return -log(1-p), p t / q and -log(1-q) from logit p, dims (3, draw, problem)."""
        _, rejected, correct = cast("Verified", family).judged(parameters, logit)
        rate = np.broadcast_to(-NUMPY.log_sigmoid(-logit), rejected.shape)
        return np.stack([rate, np.exp(correct), -rejected])

    def expected(self, family: Family, parameters: Parameters, c: Any, f: Any) -> Floats:
        """Return the expectation of the truth."""
        verified = cast("Verified", family)
        truth = verified.log_truth(parameters, self.values, c, f, first_pass=self.first_pass)
        return np.asarray(np.exp(truth - family.log_moment(parameters, c, f)))

    def near(self, fitted: Fitted) -> float:
        """Return 1 / phi, of the posterior median where that was learned."""
        rate = cast("Verified", fitted.family).false_positive_rate
        if not isinstance(rate, float):
            rate = float(fitted.posterior["false_positive_rate"].median())
        return 1 / max(rate, 1 / MOST_K)

    def coord(self) -> NDArray[Any]:
        """Return the k as whole numbers."""
        return self.values.astype(np.int64)


@dataclass(frozen=True, eq=False)
class TruePassAtK(_OfTruth):
    """That one of k attempts is correct."""

    name: ClassVar[str] = "true_pass_at_k"
    first_pass: ClassVar[bool] = False

    def each(self, drawn: Floats, value: float) -> Floats:
        """Return 1 - (1-p)^k."""
        return np.asarray(-np.expm1(-value * drawn[0]))


@dataclass(frozen=True, eq=False)
class FirstPassCorrect(_OfTruth):
    """That the first of k attempts to be accepted is correct."""

    name: ClassVar[str] = "first_pass_correct_at_k"
    first_pass: ClassVar[bool] = True

    def each(self, drawn: Floats, value: float) -> Floats:
        """Return p t / q (1 - (1-q)^k)."""
        by_k = np.ones_like(drawn[2]) if np.isinf(value) else -np.expm1(-value * drawn[2])
        return np.asarray(drawn[1] * by_k)


@dataclass(frozen=True, eq=False)
class FirstPassCeiling(FirstPassCorrect):
    """The same of attempts without end."""

    name: ClassVar[str] = "first_pass_ceiling"

    def coord(self) -> NDArray[Any]:
        """Return the infinite k."""
        return self.values

    def far(self, fitted: Fitted, answers: Any) -> Floats:
        """Return a k at which the ceiling nearly is."""
        return np.full(len(answers), np.ceil(self.near(fitted)) + 1)


@dataclass(frozen=True, eq=False)
class Utility(FirstPassCorrect):
    """What a correct answer gains, less what a wrong one costs."""

    cost: float
    name: ClassVar[str] = "utility"

    def each(self, drawn: Floats, value: float) -> Floats:
        """Return (1 + cost) times the first pass correct, less cost times any pass."""
        correct = super().each(drawn, value)
        return np.asarray((1 + self.cost) * correct + self.cost * np.expm1(-value * drawn[2]))

    def expected(self, family: Family, parameters: Parameters, c: Any, f: Any) -> Floats:
        """Return the expectation of that."""
        correct = super().expected(family, parameters, c, f)
        accepted = PassAtK(self.values).expected(family, parameters, c, f)
        return np.asarray((1 + self.cost) * correct - self.cost * accepted)

    def far(self, fitted: Fitted, answers: Any) -> None:
        """Return nothing: it is a curve to find the top of, which lies at small k."""
        del fitted, answers
