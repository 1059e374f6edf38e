"""At least m of k: that a problem is solved in at least m of k attempts."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import xarray as xr
from scipy import special as sp

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats, Ints
from bayespassk.asking.question import Kind, Mean, ask
from bayespassk.asking.seen import Seen
from bayespassk.errors import OptionError
from bayespassk.families import Family
from bayespassk.families.base import Parameters, distinct_draws
from bayespassk.options import Target, check_k, is_number, listed, shown
from bayespassk.posterior.fitted import opened
from bayespassk.special import log_binomial

__all__ = ["AtLeast", "at_least", "successes_wanted"]

SUMMED = 1024
"""Up to so many terms a binomial probability is summed, moment by moment."""

DIGITS = 64
"""Up to so many terms the sum is that of what is asked, not of its complement: for small values."""

PANELS = (2, 4, 8, 16)
"""Beyond, into how many pieces the integral is cut, until it no longer changes."""

TRIED = 64
"""Draws that this is tried with."""

NODES = 8
"""Of Gauss's rule, on each."""

SAME = 1e-6
"""A change of the integral below this is none."""

WIDE = 6.5
"""Standard deviations to either side that the integral goes."""

CERTAIN = 700.0
"""Probabilities below e to minus this are none, and SciPy takes long to find them at large k."""

HUGE = 1e280
"""A rate of certain success, as a number."""

LAMBDA = 1e15
"""Failures beyond which their luck is no matter: more than 1e12 in any case."""

type Wanted = int | float | Literal["majority", "all"]
"""Successes that are asked for: how many, which share of k, or a word."""


def at_least(
    fit: xr.DataTree,
    m: Wanted | Iterable[int],
    k: float | Iterable[float],
    target: Target = "benchmark",
    *,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of the probability that at least m of k attempts succeed.

    The mean over problems of P(Bin(k, p) >= m). With m = 1 it is pass@k, with m = k pass^k, and
    with a share tau of k, rounded up, it is G-Pass@k at tau.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    m : int, sequence of int dims (k,), float between 0 and 1, "majority" or "all"
        Successes wanted, from 1 to k: the same at all k, or one for each. A number between 0 and 1
        is a share of k, rounded up: 0.5 is 4 of 8, and 5 of 9. "majority": more than half of k.
        "all": k itself. 1 is one success, not all of them.
    k : int or sequence of int, dims (k,)
        Attempts, 1 to 1e12.
    target : {"benchmark", "population", "realised"}
        As for :func:`bayespassk.forecast`; "realised" is the share of the attempted problems that
        one new run of k attempts at each solves at least m times.
    random_seed : int, optional
        As for :func:`bayespassk.forecast`. With the same seed, "benchmark" looks at the same draws
        of the problems' p as the forecast does, so that draws of several m are joint too.

    Returns
    -------
    xarray.DataArray
        The probability, dims (chain, draw, system, k), joint over k, with the successes wanted as
        the coordinate `m` of k. :func:`bayespassk.summarize` makes a table of it.

    Raises
    ------
    OptionError
        If m, k or the target means nothing, or m is more than k.

    Warns
    -----
    ForecastWarning
        As :func:`bayespassk.forecast`.

    Notes
    -----
    "majority" is not the accuracy of a majority vote. A vote goes to the answer that is given most
    often, which may be right with fewer than half of the attempts, where wrong answers differ; a
    majority of right answers wins any vote. So it is the least that voting solves.

    Attempts at a problem are taken for independent. If a problem's attempts are alike, there are
    more problems with all or none of k solved than this says; :func:`bayespassk.independence` can
    tell.

    For new problems with m up to 1,024, or k - m up to 1,023, it is a sum of moments, exact to
    rounding. Beyond, it is the mean of the share of problems with p above x over
    x ~ Beta(m, k - m + 1), by a rule with up to 128 nodes, refined until 64 of the draws change by
    less than 1e-6; it may take seconds. "realised" draws a run at each problem: its cost grows with
    their number.

    References
    ----------
    Liu et al. 2024, arXiv:2412.13147 (G-Pass@k); Yao et al. 2024, arXiv:2406.12045 (pass^k).

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> often = bp.at_least(fit, "majority", [1, 5, 9])
    >>> often["m"].values.tolist()
    [1, 3, 5]
    """
    check_arguments("at_least", locals())
    ks = check_k(k)
    wanted = successes_wanted(m, ks)
    found = ask(opened(fit), AtLeast(ks, wanted), target, random_seed)
    return found.assign_coords(m=("k", wanted))


def successes_wanted(m: Wanted | Iterable[int], ks: Ints) -> Ints:
    """Return the successes wanted at each k, dims (k,), or raise an error."""
    if isinstance(m, str):
        words = {"majority": ks // 2 + 1, "all": ks}
        if m not in words:
            raise OptionError(f"m must be 'majority' or 'all', where it is a word; got {m!r}")
        return words[m]
    each = listed(m)
    if len(each) == 1:
        each = each * len(ks)
    if len(each) != len(ks):
        raise OptionError(
            f"m must be one number, or one for each k; got {len(each)} for {len(ks)} k"
        )
    return np.array([_wanted(one, int(k)) for one, k in zip(each, ks, strict=True)], np.int64)


def _wanted(m: Any, k: int) -> int:
    """Return how many of k attempts must succeed."""
    if is_number(m) and 0 < m < 1:
        # 0.07 of 100 are 7, though 0.07 * 100 is more than that by rounding
        return max(1, math.ceil(float(m) * k * (1 - 1e-12)))
    if not (is_number(m) and float(m).is_integer() and 1 <= m <= k):
        raise OptionError(
            f"m must be a whole number from 1 to k, or a share of k between 0 and 1; got "
            f"{shown(m)} of k = {k:,}"
        )
    return int(m)


# The question ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class AtLeast(Mean):
    """P(Bin(k, p) >= m): that at least m of k attempts succeed."""

    values: Ints
    wanted: Ints
    name: ClassVar[str] = "at_least_m_of_k"

    def each(self, drawn: Floats, value: float) -> Floats:
        """Return the probability of problems with these rates."""
        m = self.wanted[int(np.flatnonzero(self.values == value)[0])]
        return probability(drawn, float(m), float(value))

    def expected(self, family: Family, parameters: Parameters, c: Any, f: Any) -> Floats:
        """Return its expectation."""
        each = [
            _expected(
                family, parameters, np.asarray(c, float), np.asarray(f, float), int(m), int(k)
            )
            for m, k in zip(self.wanted, self.values, strict=True)
        ]
        return np.stack(each, axis=-1)

    def of_kind(self, kind: Kind) -> Floats:
        """Return the probability of new problems."""
        none = np.zeros((1, 1))
        return kind.mean(lambda given: self.expected(kind.family, given, none, none)[..., 0, :])

    def of_run(self, seen: Seen) -> Floats:
        """Return the share of problems that one run solves so often.

        The failures before the m-th success are Poisson of a gamma, and those of more successes
        follow these: one run for all m and k.
        """
        result = np.empty((seen.shape[0] * seen.shape[1], len(self.values)))
        order = np.argsort(self.wanted, kind="stable")
        further = np.diff(self.wanted[order], prepend=0)
        for draws, p, rng in seen.each_problem():
            with np.errstate(divide="ignore", over="ignore"):
                odds = (1 - p) / p
            failures = np.zeros(p.shape)
            for i, more in zip(order, further, strict=True):
                if more:
                    with np.errstate(over="ignore"):
                        mean = rng.standard_gamma(float(more), p.shape) * odds
                    failures += rng.poisson(np.minimum(mean, LAMBDA))
                solved = failures <= self.values[i] - self.wanted[i]
                result[draws, i] = solved.mean(1)
        return result


def probability(rates: Floats, m: float, k: float) -> Floats:
    """Return P(Bin(k, p) >= m), where `rates` are -log(1-p): with the digits of either end."""
    p, q = -np.expm1(-rates), np.exp(-rates)
    with np.errstate(divide="ignore"):  # Chernoff's bound of the log of the smaller of the two
        bound = sp.xlogy(m, m / k) - sp.xlogy(m, p) + sp.xlogy(k - m, 1 - m / k)
        bound = bound + (k - m) * np.minimum(rates, HUGE)
    result = np.where(p * k < m, 0.0, 1.0)
    for some, of in ((p <= 0.5, _from_p), (p > 0.5, _from_q)):
        near = some & (bound < CERTAIN)
        result[near] = of((p if of is _from_p else q)[near], m, k)
    return result


def _from_p(p: Floats, m: float, k: float) -> Any:
    return sp.betainc(m, k - m + 1, p)


def _from_q(q: Floats, m: float, k: float) -> Any:
    return sp.betaincc(k - m + 1, m, q)


def _expected(
    family: Family, parameters: Parameters, c: Floats, f: Floats, m: int, k: int
) -> Floats:
    """Return E P(Bin(k, p) >= m) of problems seen with (c, f), dims (..., cell).

    `c` and `f` have dims (cell, 1).
    """
    above, below = k - m + 1, m
    if min(above, below) > SUMMED:
        return _integral(family, parameters, c, f, m, k)
    if above <= max(DIGITS, below):
        return np.exp(_log_sum(family, parameters, c, f, k, np.arange(m, k + 1.0)))
    return -np.expm1(_log_sum(family, parameters, c, f, k, np.arange(0.0, m)))


def _log_sum(
    family: Family, parameters: Parameters, c: Floats, f: Floats, k: int, of: Floats
) -> Floats:
    """Return the log of the probability that so many of k succeed, of any of `of`; at most 0."""
    a, b = np.append(0.0, of), np.append(0.0, k - of)
    moments = family.log_moment(parameters, c + a, f + b)
    terms = moments[..., 1:] - moments[..., :1] + log_binomial(k, of)
    return np.minimum(sp.logsumexp(terms, axis=-1), 0.0)


def _integral(
    family: Family, parameters: Parameters, c: Floats, f: Floats, m: int, k: int
) -> Floats:
    """Return the mean of P(p > x) over x ~ Beta(m, k - m + 1), which is the same.

    Its logit is close to normal, with so many on either side. The nodes are on an axis of its
    standard deviations.
    """
    shape = np.broadcast_shapes(*(np.shape(p) for p in parameters.values()))
    flat = {name: np.broadcast_to(p, shape).ravel() for name, p in parameters.items()}
    flat, which = distinct_draws(flat)
    sd, x = math.sqrt(1 / m + 1 / (k - m + 1)), m / (k + 1)

    def mean(given: Parameters, panels: int) -> Floats:
        z, weight = _rule(panels)
        d = z * sd  # from the logit of x; the density is divided by that at x
        log_weight = -m * np.log1p((1 - x) * np.expm1(-d))
        log_weight -= (k - m + 1) * np.log1p(x * np.expm1(d))
        weight = weight * np.exp(log_weight)
        at = sp.expit(np.log(m) - np.log(k - m + 1) + d)
        return np.asarray(family.survival(given, at, c, f) @ (weight / weight.sum()))

    few = {name: p[:: max(1, len(p) // TRIED)] for name, p in flat.items()}
    before, panels = mean(few, PANELS[0]), PANELS[0]
    for panels in PANELS[1:]:
        now = mean(few, panels)
        if (np.abs(now - before) < SAME).all():
            break
        before = now
    return mean(flat, panels)[which].reshape(*shape, -1)


def _rule(panels: int) -> tuple[Floats, Floats]:
    """Return nodes and weights of Gauss's rule on pieces of the axis of standard deviations."""
    x, w = np.polynomial.legendre.leggauss(NODES)
    edges = np.linspace(-WIDE, WIDE, panels + 1)
    half = np.diff(edges) / 2
    nodes = (edges[:-1] + half)[:, None] + half[:, None] * x
    return nodes.ravel(), (half[:, None] * w).ravel()
