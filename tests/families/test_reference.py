"""log_moment of each family against mpmath at the extremes.

What mpmath takes seconds for is kept in references.json, and computed anew with --slow; of each
test the first in any case. To write what is not kept yet:

    BAYESPASSK_BASELINE=write pytest tests/families/test_reference.py tests/families/test_evident.py
"""

import numpy as np
import pytest
from scipy import special, stats

from bayespassk import (
    Beta,
    GeneralizedBeta,
    Kumaraswamy,
    LibbyNovick,
    LogitNormal,
    Mixture,
    ScaledBeta,
    ZeroInflated,
)
from oracles import (
    log_beta_moment,
    log_moment_of_logit_normal,
    log_moment_of_odds,
    log_moment_of_power,
    survival_of_power,
)

COUNTS = [(0, 0), (0, 100), (3, 97), (50, 50), (5000, 5000), (1, 2_999_999), (100, 0), (0, 10**6)]
KS = [0, 1, 1000, 10**6, 10**9, 10**12]


def extremes(seed, number, *ranges):
    """Return parameters from all over their ranges, log-uniform, each with counts and a k."""
    rng = np.random.default_rng(seed)
    for _ in range(number):
        c, f = COUNTS[rng.integers(len(COUNTS))]
        values = [float(np.exp(rng.uniform(*np.log(limits)))) for limits in ranges]
        yield *values, c, f + KS[rng.integers(len(KS))]


TAIL, SECOND = (0.01, 10.0), (0.3, 1e5)


@pytest.fixture
def number(full_size):
    """How many extremes are tried."""
    return 100 if full_size else 12


def check(family, parameters, c, f, want):
    """To 1e-7 in the logarithm, or to the last digits of a result too large for that."""
    values = {name: np.float64(value) for name, value in parameters.items()}
    got = float(family.log_moment(values, c, f))
    assert abs(got - want) <= 1e-7 + 16 * np.spacing(abs(float(want))), (parameters, c, f, got)


def test_kumaraswamy(number, reference):
    for a, b, c, f in extremes(1, number, TAIL, SECOND):
        want = reference(log_moment_of_power, 1, b, a, 1, c, f)
        check(Kumaraswamy(), {"a": a, "b": b}, c, f, want)


def test_libby_novick(number, reference):
    for a, b, odds, c, f in extremes(6, number, TAIL, SECOND, (1e-6, 100.0)):
        parameters = {"a": a, "b": b, "log_odds": np.log(odds)}
        want = reference(log_moment_of_odds, a, b, np.log(odds), c, f)
        check(LibbyNovick(), parameters, c, f, want)


def test_generalized_beta(number, reference):
    for tail, b, g, c, f in extremes(2, number, TAIL, SECOND, (0.1, 3.0)):
        parameters = {"a": tail / g, "b": b, "g": g}
        want = reference(log_moment_of_power, tail / g, b, g, 1, c, f)
        check(GeneralizedBeta(), parameters, c, f, want)


def test_scaled_beta(number, reference):
    for a, b, rest, c, f in extremes(3, number, TAIL, SECOND, (1e-9, 1.0)):
        s = 1 - rest * 0.999
        want = reference(log_moment_of_power, a, b, 1, s, c, f)
        check(ScaledBeta(), {"a": a, "b": b, "s": s}, c, f, want)


def test_logit_normal(number, reference):
    for distance, sigma, c, f in extremes(4, number, (0.1, 20.0), (0.3, 10.0)):
        parameters = {"logit_median": -distance, "sigma": sigma}
        want = reference(log_moment_of_logit_normal, -distance, sigma, c, f)
        check(LogitNormal(), parameters, c, f, want)


def test_mixtures_and_inflation_are_sums(number):
    for a, b, share, c, f in extremes(5, number, TAIL, SECOND, (1e-6, 1.0)):
        one = np.exp(np.float64(log_beta_moment(a, b, c, f)))
        two = np.exp(np.float64(log_beta_moment(2.0, 3.0, c, f)))
        mixed = {
            "a_1": a,
            "b_1": b,
            "a_2": 2.0,
            "b_2": 3.0,
            "weight_1": share,
            "weight_2": 1 - share,
        }
        zero = {"a": a, "b": b, "zero": share}
        for family, parameters, want in (
            (Mixture(Beta(), Beta()), mixed, share * one + (1 - share) * two),
            (ZeroInflated(Beta()), zero, share * (c == 0) + (1 - share) * one),
        ):
            if want > 1e-250:
                check(family, parameters, c, f, np.log(want))


@pytest.mark.parametrize("a", [0.01, 0.3, 5.0])
@pytest.mark.parametrize("b", [0.5, 50.0, 1e5])
@pytest.mark.parametrize("k", [0, 1, 1000, 10**6, 10**12])
def test_beta(a, b, k):
    """To 1e-9 in the logarithm, or to the last digits of a result too large for that."""
    for c, n in [
        (0, 0),
        (0, 100),
        (3, 100),
        (5000, 10_000),
        (1, 3_000_000),
        (1_500_000, 3_000_000),
    ]:
        want = log_beta_moment(a, b, c, n - c + k)
        got = float(Beta().log_moment({"a": a, "b": b}, float(c), float(n - c + k)))
        assert abs(got - want) <= 1e-9 + 16 * np.spacing(abs(float(want))), (c, n)


ABOVE = np.array([1e-300, 1e-12, 1e-9, 1e-6, 1e-3, 0.1, 0.3, 0.5, 0.9, 0.999, 1 - 1e-9])


def as_floats(**parameters):
    return {name: np.float64(value) for name, value in parameters.items()}


@pytest.mark.parametrize(
    ("a", "b"), [(0.01, 0.3), (0.3, 5.0), (5.0, 50.0), (0.2, 1e5), (1.0, 0.02)]
)
def test_survival_of_a_new_problem_has_a_closed_form(a, b):
    """Which quadratures do not use: absolute to 1e-9, in either tail."""
    beta, log_p = stats.beta(a, b), np.log(ABOVE)
    got = Beta().survival(as_floats(a=a, b=b), ABOVE)
    np.testing.assert_allclose(got, beta.sf(ABOVE), rtol=1e-9, atol=1e-300)
    want = np.exp(b * np.log(-np.expm1(a * log_p)))
    got = Kumaraswamy().survival(as_floats(a=a, b=b), ABOVE)
    np.testing.assert_allclose(got, want, atol=1e-9)
    for g in (0.1, 1.0, 3.0):
        rest = -np.expm1(g * log_p)
        want = np.where(rest < 0.5, special.betainc(b, a, rest), beta.sf(ABOVE**g))
        got = GeneralizedBeta().survival(as_floats(a=a, b=b, g=g), ABOVE)
        np.testing.assert_allclose(got, want, atol=1e-9)
    for s in (0.01, 0.3, 0.95, 1.0):
        above = np.append(ABOVE, s * np.array([0.5, 0.9, 0.9999, 1 - 1e-7]))
        got = ScaledBeta().survival(as_floats(a=a, b=b, s=s), above)
        np.testing.assert_allclose(got, beta.sf(np.minimum(above / s, 1.0)), atol=1e-9)


@pytest.mark.parametrize(("median", "sigma"), [(-3.0, 5.0), (0.0, 1.0), (5.0, 0.3), (-12.0, 2.0)])
def test_survival_of_the_logit_normal(median, sigma):
    got = LogitNormal().survival(as_floats(logit_median=median, sigma=sigma), ABOVE)
    want = special.ndtr((median - special.logit(ABOVE)) / sigma)
    np.testing.assert_allclose(got, want, atol=1e-9)


@pytest.mark.parametrize(("c", "f"), [(0, 100), (3, 97), (50, 50), (100, 0)])
def test_survival_of_a_problem_seen(c, f, reference):
    """Near where its posterior lies, and far below; near the end of a scaled beta too."""
    a, b = 0.3, 2.0
    for above in (1e-9, 1e-4, 0.02, 0.28, 0.2999):
        pair = above, float(c), float(f)
        got = Beta().survival(as_floats(a=a, b=b), *pair)
        np.testing.assert_allclose(got, stats.beta(a + c, b + f).sf(above), atol=1e-12)
        got = Kumaraswamy().survival(as_floats(a=a, b=b), *pair)
        np.testing.assert_allclose(got, reference(survival_of_power, 1, b, a, 1, *pair), atol=1e-9)
        got = ScaledBeta().survival(as_floats(a=a, b=b, s=0.3), *pair)
        np.testing.assert_allclose(
            got, reference(survival_of_power, a, b, 1, 0.3, *pair), atol=1e-9
        )
