"""A family against the attempts: its pass@j for j up to n beside Chen's estimate."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from bayespassk.arrays import Floats, Ints
from bayespassk.families import Family
from bayespassk.families.base import Parameters
from bayespassk.families.dependent import dependence
from bayespassk.posterior.fitted import Fitted, Part
from bayespassk.special import log_binomial, log_no_success

__all__ = ["LEFT", "Agreement", "agreement"]

DRAWS = 200
"""Draws of the posterior that are looked at: a variance over them is right to 10%."""

LEFT_OF_MANY = 0.5
"""The same where problems have covariates: of many parameters and few problems for each, the
difference of two variances says little, and fitted right families are found wanting."""

MOST = 9
"""Values of j that are looked at."""

LEFT = 0.1
"""The least share of a statistic's variance that is not taken as fitted away."""

SMALLEST = 1e-12
"""A standard deviation of pass@j below which distances mean nothing."""

SIMULATED = 10_000
GROUPS, NODES, OVERLAPS = 32, 64, 200


@dataclass(frozen=True)
class Agreement:
    """What the attempts at one system say of pass@j, and what the family expects they would.

    Attributes
    ----------
    j : array of int, dims (j,)
        1, 3, 10, 30 ... and the most attempts that at least half of the problems had.
    estimate : array, dims (j,)
        Chen's estimate, over the problems with at least j attempts.
    expected, sd : array, dims (j,)
        The family's pass@j of a new problem, and how far from it the estimate is to be if the
        family is right: luck of problems and attempts, less what fitting takes away of it.
    p_value : float
        How often, if the family is right, the estimate is that far off at one of all j.
    z_limit : float
        How many `sd` the estimate may be off at any j, if 95% of right families are to pass.
    """

    j: Ints
    estimate: Floats
    expected: Floats
    sd: Floats
    p_value: float
    z_limit: float

    @property
    def worst(self) -> int:
        """The position of the j at which the two are furthest apart."""
        return int(np.abs((self.estimate - self.expected) / self.sd).argmax())

    @property
    def band(self) -> tuple[Floats, Floats]:
        """The ends between which the estimate lies at all j together, with probability 0.95."""
        off = self.z_limit * self.sd
        return (self.expected - off).clip(0.0, 1.0), (self.expected + off).clip(0.0, 1.0)


def agreement(fitted: Fitted, system: int) -> Agreement | None:
    """Return whether the family agrees with the attempts of one system on pass@j, j up to n.

    None where there is nothing to compare: no attempts, a stopping rule under which Chen's estimate
    is biased, or a family whose attempts depend on each other.

    Notes
    -----
    Nothing is fitted again, and nothing replicated. For a given family the estimate T of pass@j
    has the mean t = pass@j of a new problem, and a variance that follows from fail@u, as two sets
    of attempts are without a success if their union is. Over all that the model can make,
    T - t is the sum of T - E[t | data] and E[t | data] - t, which are uncorrelated. So the
    variance of T - E[t | data] is that of T given t, less that of the posterior of t: data used
    to fit and to check are not twice surprised. Where nearly all would be taken away a tenth is
    left, so that what was fitted exactly is never a finding. Several j are judged by the largest
    of their distances, in standard deviations, against normal variables with their correlations.
    """
    rows = (fitted.system_index == system) & (fitted.attempts > 0)
    dependent = dependence(fitted.family) is not None
    if fitted.stopping != "fixed" or dependent or not rows.any():
        return None
    parts = fitted.parts_of(system, rows)
    js = _js(fitted.attempts[rows])
    problems = np.array([(fitted.attempts[rows] >= j).sum() for j in js])
    each = [_of_part(fitted, part, js) for part in parts]
    expected, variance, estimate = (sum(one[1:], one[0]) for one in zip(*each, strict=True))
    within = variance / np.multiply.outer(problems, problems) * fitted.design_effect(system)
    left = LEFT_OF_MANY if fitted.hierarchy.problem_columns else LEFT
    return _judged(js, estimate / problems, expected / problems, within, left)


def _js(attempts: Ints) -> Ints:
    """Return 1, 3, 10, 30 ... and the most attempts that half of the problems had."""
    most = int(np.sort(attempts)[::-1][(len(attempts) - 1) // 2])
    steps = [f * 10**i for i in range(16) for f in (1, 3) if f * 10**i < most]
    found = [*steps, most]
    return np.array(found if len(found) <= MOST else [1, *found[1 - MOST :]], dtype=np.int64)


def _of_part(fitted: Fitted, part: Part, js: Ints) -> tuple[Floats, Floats, Floats]:
    """Return sums over problems: pass@j of each draw, covariances of the estimate, the estimate."""
    successes, failures = fitted.family.outcomes(part.cells.successes, part.cells.failures)
    attempts = successes + failures
    problems = part.cells.problems
    step = max(1, -(-fitted.draws // DRAWS))
    parameters = {name: value.ravel()[::step] for name, value in part.parameters.items()}
    nodes = _nodes(int(attempts.max()), js)
    fail = np.exp(_log_fail(fitted.family, parameters, nodes))
    at = fail[:, np.searchsorted(nodes, js)]
    enough = attempts[:, None] >= js
    chen = log_no_success(successes[:, None], attempts[:, None].clip(js), js)
    estimate = (np.where(enough, -np.expm1(chen), 0.0) * problems[:, None]).sum(0)
    mean = (1 - at) * (enough * problems[:, None]).sum(0).astype(float)
    log_mean = np.log(fail.mean(0).clip(1e-300))
    products = at.T @ at / len(at)
    covariance = np.zeros((len(js), len(js)))
    for n, number in zip(*_groups(attempts, problems), strict=True):
        use = int((js <= n).sum())
        for i in range(use):
            for k in range(i, use):
                union = _no_success_in_either(int(n), int(js[i]), int(js[k]), nodes, log_mean)
                covariance[i, k] += number * (union - products[i, k])
                covariance[k, i] = covariance[i, k]
    return np.asarray(mean), covariance, np.asarray(estimate, dtype=float)


def _log_fail(family: Family, parameters: Parameters, u: Ints) -> Floats:
    return np.asarray(family.log_moment(parameters, 0.0, u.astype(float)))


def _nodes(most: int, js: Ints) -> Ints:
    """Return the numbers of attempts at which fail@u is computed; others are interpolated."""
    spread = np.geomspace(1, most, NODES).round().astype(np.int64)
    return np.unique(np.concatenate([np.arange(1, min(most, NODES) + 1), spread, js]))


def _groups(attempts: Ints, problems: Ints) -> tuple[Ints, Ints]:
    """Return numbers of attempts and how many problems had them: few, the others rounded down."""
    values = np.unique(attempts)
    if len(values) > GROUPS:
        values = values[np.linspace(0, len(values) - 1, GROUPS).astype(int)]
    place = np.searchsorted(values, attempts, side="right") - 1
    return values, np.bincount(place, problems, minlength=len(values)).astype(np.int64)


def _no_success_in_either(n: int, j: int, k: int, nodes: Ints, log_fail: Floats) -> float:
    """Return the probability that neither of two sets, j and k of n attempts, has a success.

    The union of the two has j + k - o attempts, where the overlap o is hypergeometric.
    """
    low, high = max(0, j + k - n), j  # j <= k
    mean = j * k / n
    reach = 10 * np.sqrt(mean * (1 - k / n)) + 10
    low, high = max(low, int(mean - reach)), min(high, int(mean + reach) + 1)
    overlap = np.unique(np.linspace(low, high, OVERLAPS).round())
    log_p = log_binomial(j, overlap) + log_binomial(n - j, k - overlap)
    weight = np.exp(log_p - log_p.max())
    fail = np.exp(np.interp(np.log(j + k - overlap), np.log(nodes), log_fail))
    return float(weight @ fail / weight.sum())


def _judged(js: Ints, estimate: Floats, expected: Floats, within: Floats, left: float) -> Agreement:
    """Return the largest distance among normal variables, and how often it is larger."""
    of_right = within - np.cov(expected, rowvar=False).reshape(within.shape)
    least = left * np.diag(within).clip(0.0) + SMALLEST**2
    sd = np.sqrt(np.maximum(np.diag(of_right), least))
    values, vectors = np.linalg.eigh(of_right / np.multiply.outer(sd, sd))
    root = vectors * np.sqrt(values.clip(0.0))
    root = np.concatenate([root, np.diag(np.sqrt((1 - (root**2).sum(1)).clip(0.0)))], axis=1)
    normal = np.random.default_rng(1).standard_normal((SIMULATED, root.shape[1]))
    largest = np.abs(normal @ root.T / np.sqrt((root**2).sum(1))).max(1)
    mean = expected.mean(0)
    z = float(np.abs((estimate - mean) / sd).max())
    simulated = ((largest >= z).sum() + 1) / (SIMULATED + 1)
    p_value = min(simulated, 2 * len(js) * float(ndtr(-z)))  # the second for what is rarer
    limit = float(np.quantile(largest, 0.95))
    return Agreement(js, estimate, mean, sd, float(min(p_value, 1.0)), limit)
