"""Verdicts: what a verifier that is sometimes wrong makes of a family, and the truth behind it."""

import math

import numpy as np
import pytest
from scipy import special, stats

from bayespassk.errors import OptionError
from bayespassk.families import (
    FAMILIES,
    Beta,
    Dependent,
    Kumaraswamy,
    Mixture,
    OneInflated,
    Prior,
    ScaledBeta,
    Verified,
    ZeroInflated,
)
from bayespassk.families.base import draw_prior
from bayespassk.families.mixture import log_moment_of_problems
from oracles import log_mean_of_verdicts

# Tests on random draws raise a false alarm with this probability each.
FALSE_ALARM = 1e-4

A_BETA = {"a": np.float64(0.3), "b": np.float64(5.0)}
T, PHI = Prior.beta(30, 2), Prior.beta(1.5, 80)


def verified(base, t, phi):
    return Verified(base, true_positive_rate=t, false_positive_rate=phi)


def one_of_each():
    for kind in FAMILIES:
        if kind is Mixture:
            yield Mixture(Beta(), Kumaraswamy())
        elif kind in (ZeroInflated, OneInflated):
            yield kind(Beta())
        elif kind not in (Verified, Dependent):
            yield kind()


@pytest.mark.parametrize("base", list(one_of_each()), ids=lambda f: f.full_name)
def test_a_verifier_without_error_changes_nothing(base):
    """Around every family; of the moments, which are all that a fit is made of, and the truth."""
    perfect = verified(base, 1.0, 0.0)
    natural = base.natural(draw_prior(base, np.random.default_rng(4), (3,)))
    for c, f in [(0, 0), (0, 100), (3, 97), (100, 0), (500, 500)]:
        k = f + np.array([0.0, 1.0, 100.0, 1e4, 1e8, 1e12])
        want = base.log_moment(natural, c, k)
        np.testing.assert_allclose(perfect.log_moment(natural, c, k), want, rtol=1e-10, atol=1e-8)
    k = np.array([1.0, 100.0, 1e6, 1e12])
    want = -np.expm1(base.log_moment(natural, 0, k))
    for first_pass in (False, True):  # the first pass is correct, and there is one where there can
        got = np.exp(perfect.log_truth(natural, k, first_pass=first_pass))
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("base", list(one_of_each()), ids=lambda f: f.full_name)
def test_errors_that_hardly_ever_happen_change_next_to_nothing(base):
    nearly = verified(base, 1 - 1e-12, 1e-12)
    natural = base.natural(draw_prior(base, np.random.default_rng(4), (3,)))
    want, got = (family.log_moment(natural, 3, [97.0, 1e4]) for family in (base, nearly))
    np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("base", [Beta(), Mixture(Beta(), Beta()), ZeroInflated(ScaledBeta())], ids=lambda f: f.full_name)  # fmt: skip
def test_known_rates_are_learned_rates_that_have_these_values(base):
    known, learned = verified(base, 0.9, 0.03), verified(base, T, PHI)
    natural = base.natural(draw_prior(base, np.random.default_rng(5), (4,)))
    rates = {"true_positive_rate": np.full(4, 0.9), "false_positive_rate": np.full(4, 0.03)}
    for c, f in [(0, 0), (0, 5000), (3, 97), (400, 3)]:
        k = f + np.array([0.0, 10.0, 1e5])
        args = known.log_moment(natural, c, k), learned.log_moment(natural | rates, c, k)
        np.testing.assert_allclose(*args, rtol=1e-9, atol=1e-9)
        for first_pass in (False, True):
            args = (
                family.log_truth(own, [1.0, 100.0, np.inf], c, f, first_pass=first_pass)
                for family, own in ((known, natural), (learned, natural | rates))
            )
            np.testing.assert_allclose(*args, rtol=1e-9, atol=1e-9)
    above = np.array([0.01, 0.2, 0.95])
    args = (
        known.survival(natural, above, 3.0, 97.0),
        learned.survival(natural | rates, above, 3.0, 97.0),
    )
    np.testing.assert_allclose(*args, atol=1e-8)


def extremes(seed, number):
    """Return parameters, rates and verdicts from all over their ranges."""
    rng = np.random.default_rng(seed)
    counts = [(0, 0), (0, 100), (3, 97), (50, 50), (1, 9999), (100, 0), (0, 10**6)]
    ks = [1, 10, 1000, 10**6, 10**12]
    for _ in range(number):
        alpha, beta = np.exp(rng.uniform(np.log([0.01, 0.3]), np.log([5.0, 1e4])))
        t, phi = 1 - 10 ** rng.uniform(-6, -0.3), 10 ** rng.uniform(-9, -0.5)
        yield alpha, beta, rng.choice([1.0, t]), rng.choice([0.0, phi]), *counts[rng.integers(7)], ks[rng.integers(5)]  # fmt: skip


def test_against_mpmath_at_the_extremes(full_size):
    """To 1e-7 in the logarithm, or to the last digits of a result too large for that."""
    for alpha, beta, t, phi, a, b, k in extremes(6, 60 if full_size else 8):
        family, natural = verified(Beta(), t, phi), {"a": np.float64(alpha), "b": np.float64(beta)}
        learned = natural | {"true_positive_rate": np.float64(t), "false_positive_rate": np.float64(phi)}  # fmt: skip
        case = alpha, beta, t, phi, a, b
        want = log_mean_of_verdicts(*case)
        slack = 1e-7 + 16 * np.spacing(abs(float(want)))
        assert abs(family.log_moment(natural, a, b) - want) < slack, case
        if t < 1 and phi > 0:
            got = verified(Beta(), T, PHI).log_moment(learned, a, b)
            assert abs(got - want) < 10 * slack, case
        for first_pass, last in ((False, k), (True, k), (True, None)):
            want = log_mean_of_verdicts(*case, last, first_pass)
            got = family.log_truth(natural, last or np.inf, a, b, first_pass=first_pass)
            assert abs(got - want) < 1e-7 + 16 * np.spacing(abs(float(want))), (case, last, first_pass)  # fmt: skip


def test_the_truth_is_what_attempts_and_verdicts_give():
    """Attempts are made and judged one by one, until one is accepted."""
    t, phi, problems, most = 0.8, 0.05, 200_000, 30
    rng = np.random.default_rng(7)
    p = rng.beta(0.3, 5.0, problems)
    correct = rng.random((most, problems)) < p
    accepted = rng.random((most, problems)) < np.where(correct, t, phi)
    first = accepted.argmax(0)  # of none, 0
    right = np.take_along_axis(accepted & correct, first[None], 0)[0]
    family = verified(Beta(), t, phi)
    limit = stats.norm.isf(FALSE_ALARM / 9 / 2)
    for k in (1, 5, most):
        for got, want in (
            (correct[:k].any(0), np.exp(family.log_truth(A_BETA, k))),
            (right & (first < k), np.exp(family.log_truth(A_BETA, k, first_pass=True))),
            (accepted[:k].any(0), -np.expm1(family.log_moment(A_BETA, 0, k))),
        ):
            assert abs(got.mean() - want) < limit * np.sqrt(want * (1 - want) / problems), k


CASES = [
    (verified(Beta(), 0.9, 0.02), A_BETA),
    (verified(ZeroInflated(OneInflated(Beta())), 0.9, 0.02), A_BETA | {"zero": np.float64(0.3), "one": np.float64(0.1)}),
    (verified(ZeroInflated(Kumaraswamy()), 1.0, 0.0), A_BETA | {"zero": np.float64(0.3)}),
    (verified(ScaledBeta(), T, PHI), A_BETA | {"s": np.float64(0.4), "true_positive_rate": np.float64(0.8), "false_positive_rate": np.float64(0.1)}),
]  # fmt: skip


@pytest.mark.parametrize(("family", "natural"), CASES, ids=lambda v: getattr(v, "full_name", ""))
@pytest.mark.parametrize("counts", [(0, 50), (2, 18), (9, 3)])
def test_draws_of_the_truth_are_those_that_the_verdicts_leave(family, natural, counts):
    """The mean over draws is the ratio of means, within its own error."""
    draws, (c, f) = 20_000, counts
    shape = {name: np.full(draws, value) for name, value in natural.items()}
    rng = np.random.default_rng(8)
    logit = family.draw_truth(shape, rng, np.array([c]), np.array([f]))[:, 0]
    p, seen = special.expit(logit), family.log_moment(natural, c, f)
    q = np.exp(family.judged(shape, logit[:, None])[0])[:, 0]
    t = natural.get("true_positive_rate", family.true_positive_rate)
    with np.errstate(invalid="ignore"):
        ratio = np.where(p > 0, p * t / q, 0.0)
    limit = stats.norm.isf(FALSE_ALARM / 6 / 2)
    for k in (1, 100):
        values = 1 - (1 - p) ** k, ratio * (1 - (1 - q) ** k), ratio
        questions = (k, False), (k, True), (np.inf, True)
        for value, (last, first_pass) in zip(values, questions, strict=True):
            want = np.exp(family.log_truth(natural, last, c, f, first_pass=first_pass) - seen)
            if min(want, 1 - want) * draws > 100:  # else the mean is not near normal
                assert abs(value.mean() - want) < limit * value.std() / np.sqrt(draws)
            else:
                assert abs(value.mean() - want) < 200 / draws


@pytest.mark.parametrize(("family", "natural"), CASES, ids=lambda v: getattr(v, "full_name", ""))
def test_the_curves_are_in_order(family, natural):
    """All rise with k; taking the first pass is below its ceiling, the truth and the appearance."""
    k = np.unique(np.geomspace(1, 1e12, 60).round())
    true, first = (np.exp(family.log_truth(natural, k, first_pass=one)) for one in (False, True))
    ceiling = np.exp(family.log_truth(natural, np.inf, first_pass=True))
    apparent = -np.expm1(family.log_moment(natural, 0, k))
    for curve in (true, first, apparent):
        assert (np.diff(curve) >= -1e-9).all()
    for above in (true, ceiling, apparent):
        assert (first <= above + 1e-9).all()
    assert first[-1] == pytest.approx(ceiling, abs=1e-3)


def test_impossible_problems_are_accepted_in_the_end_but_never_solved():
    natural = A_BETA | {"zero": np.float64(0.3)}
    family = verified(ZeroInflated(Beta()), 0.9, 0.01)
    assert np.exp(family.log_moment(natural, 0, 1e6)) < 1e-9
    assert np.exp(family.log_truth(natural, 1e12)) == pytest.approx(0.7, abs=1e-3)
    honest = verified(ZeroInflated(Beta()), 0.9, 0.0)
    assert np.exp(honest.log_truth(natural, np.inf, first_pass=True)) == pytest.approx(
        0.7, abs=1e-9
    )


def test_parameters_and_questions_are_each_with_each():
    for family, natural in CASES:
        wide = {name: np.full((2, 3), value) for name, value in natural.items()}
        got = family.log_truth(wide, [1.0, 10.0], [[0.0], [3.0], [1.0]], 7.0)
        assert got.shape == (2, 3, 3, 2)
        np.testing.assert_allclose(got[1, 2, 1, 1], family.log_truth(natural, 10.0, 3.0, 7.0), atol=1e-8)  # fmt: skip
        same = log_moment_of_problems(family, {n: v[0] for n, v in wide.items()}, np.array([3, 3]), np.array([7, 7]))  # fmt: skip
        assert same.shape == (3, 2)


@pytest.mark.parametrize(
    ("base", "t", "phi", "what"),
    [
        (Beta(), 0.0, 0.0, "must be above"),
        (Beta(), 0.3, 0.3, "must be above"),
        (Beta(), 0.3, 0.5, "must be above"),
        (Beta(), 1.1, 0.0, "number from 0 to 1"),
        (Beta(), 0.9, -0.1, "number from 0 to 1"),
        (Beta(), math.nan, 0.0, "number from 0 to 1"),
        (Beta(), True, 0.0, "number from 0 to 1"),
        (Beta(), "high", 0.0, "number from 0 to 1"),
        (Beta(), 0.9, Prior.beta(1, 1), "prior probability 0.09"),
        (Beta(), Prior.beta(1, 1), Prior.beta(1, 1), "prior probability"),
        ("beta", 0.9, 0.1, "needs a family"),
        (verified(Beta(), 0.9, 0.1), 0.9, 0.1, "needs a family"),
        (ZeroInflated(verified(Beta(), 0.9, 0.1)), 0.9, 0.1, "goes around all others"),
    ],
)
def test_rates_and_families_that_mean_nothing_are_refused(base, t, phi, what):
    with pytest.raises(OptionError, match=what):
        verified(base, t, phi)


@pytest.mark.parametrize(("alpha", "beta"), [(bad, 1.0) for bad in (0, -1, math.nan, math.inf)])
def test_priors_of_rates_that_mean_nothing_are_refused(alpha, beta):
    for pair in ((alpha, beta), (beta, alpha)):
        with pytest.raises(OptionError, match="finite, positive alpha and beta"):
            Prior.beta(*pair)


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.5), (95.5, 5.5), (0.5, 1000.5), (0.02, 2.0)])
def test_the_prior_of_a_rate_is_the_logit_of_a_beta(alpha, beta):
    """In density, in draws (which may be far too small for a rate) and in spread."""
    prior, beta_ = Prior.beta(alpha, beta), stats.beta(alpha, beta)
    x = np.linspace(-30, 8, 20)
    want = beta_.logpdf(special.expit(x)) + special.log_expit(x) + special.log_expit(-x)
    np.testing.assert_allclose(prior.log_density(x, prior.loc), want, rtol=1e-9)
    draws = prior.draw(np.random.default_rng(9), prior.loc, (20_000,))
    assert np.isfinite(draws).all()
    assert stats.kstest(special.expit(draws), beta_.cdf).pvalue > FALSE_ALARM
    error = np.sqrt((stats.kurtosis(draws) + 2) / 20_000)  # of a variance, relatively
    assert abs(draws.var() / (2 * prior.between) ** 2 - 1) < stats.norm.isf(FALSE_ALARM / 2) * error
    assert Prior.beta(alpha, beta, spread=0.1).between == 0.1
