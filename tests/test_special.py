"""The special functions are exact where sampling and forecasting go, in both namespaces."""

import mpmath as mp
import numpy as np
import pytest

from bayespassk.special import NUMPY, graph, log_binomial
from oracles import log_beta_moment

ALPHAS, BETAS = (0.01, 0.3, 5.0), (0.5, 50.0, 1e5)
EXPONENTS = [
    (0, 0), (0, 1), (0, 10), (0, 1e3), (0, 1e6), (0, 1e12), (1, 0), (1e6, 0), (1e12, 0),
    (3, 97), (5000, 5000), (1, 3e6), (1000, 3e6), (1.5e6, 1.5e6), (3e6, 0),
    (1, 1e12), (5000, 1e12), (1.5e6, 1e12),
]  # fmt: skip


def ulp(x):
    return np.spacing(abs(float(x)))


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("beta", BETAS)
def test_log_beta_ratio_against_mpmath(alpha, beta):
    """To 1e-9, or where the result itself is too large for that, to its last few digits."""
    for a, b in EXPONENTS:
        want = log_beta_moment(alpha, beta, a, b)
        got = float(NUMPY.log_beta_ratio(alpha, beta, float(a), float(b)))
        assert abs(got - want) <= 1e-9 + 16 * ulp(want), (alpha, beta, a, b, got, float(want))


@pytest.mark.parametrize("x", [1e-9, 0.01, 1.0, 19.9, 20.1, 1e3, 1e5, 1e8, 1e12, 1e15, 1e18])
@pytest.mark.parametrize("m", [0, 1, 100, 1e4, 3e6])
def test_log_rising_against_mpmath(x, m):
    with mp.workdps(60):
        want = mp.loggamma(mp.mpf(x) + mp.mpf(m)) - mp.loggamma(mp.mpf(x))
    got = float(NUMPY.log_rising(np.float64(x), np.float64(m)))
    assert abs(got - want) <= 1e-13 + 16 * ulp(want)


def test_small_probabilities_keep_their_digits():
    """pass@k is 1 - exp(log fail@k): at p near 1e-9 the logarithm must be right relatively."""
    for alpha, beta, k in [(1.0, 1e9, 1), (0.3, 1e6, 100), (1e-7, 5.0, 1000), (0.2, 1e8, 10)]:
        want = log_beta_moment(alpha, beta, 0, k)
        got = float(NUMPY.log_beta_ratio(alpha, beta, 0.0, float(k)))
        assert abs(got / want - 1) < 2e-6, (alpha, beta, k)


def test_both_namespaces_agree_and_gradients_are_finite():
    import pytensor
    import pytensor.tensor as pt

    xp = graph()
    alpha, beta = pt.dvector("alpha"), pt.dvector("beta")
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3_000_000, 200).astype(float)
    b = rng.integers(0, 3_000_000, 200).astype(float)
    a[:20], b[20:40] = 0.0, 0.0
    value = xp.log_beta_ratio(alpha, beta, pt.as_tensor(a), pt.as_tensor(b))
    run = pytensor.function([alpha, beta], [value, *pt.grad(value.sum(), [alpha, beta])])
    for low, high in [(-9, 3), (3, 12), (12, 30)]:
        x, y = np.exp(rng.uniform(-9, 3, 200)), np.exp(rng.uniform(low, high, 200))
        got, *gradients = run(x, y)
        # log Gamma differs in the last digits between the two: 3e6 log 3e6 of them
        np.testing.assert_allclose(got, NUMPY.log_beta_ratio(x, y, a, b), rtol=1e-9, atol=1e-6)
        assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_log_binomial_against_mpmath():
    for n, c in [(1, 0), (10, 3), (10_000, 5000), (3_000_000, 1), (3_000_000, 1_500_000)]:
        with mp.workdps(40):
            want = mp.loggamma(n + 1) - mp.loggamma(c + 1) - mp.loggamma(n - c + 1)
        assert abs(float(log_binomial(n, c)) - want) <= 1e-9 + 16 * ulp(want)
