"""Chen's estimator, against its definition."""

from math import comb

import numpy as np
import pytest

import bayespassk as bp


def test_chen_is_the_mean_of_ratios_of_binomial_coefficients():
    rng = np.random.default_rng(0)
    n = rng.integers(20, 60, 50)
    c = rng.integers(0, n + 1)
    counts = bp.Counts(problem=range(50), attempts=n, successes=c, system=["x", "y"] * 25)
    ks = [1, 2, 10, 20]
    want = [
        [
            np.mean([1 - comb(n[i] - c[i], k) / comb(n[i], k) for i in range(start, 50, 2)])
            for k in ks
        ]
        for start in (0, 1)
    ]
    np.testing.assert_allclose(bp.estimators.chen(counts, ks), want, rtol=1e-12)


def test_chen_is_exact_for_large_counts():
    counts = bp.Counts(problem=["a"], attempts=[3_000_000], successes=[1])
    assert bp.estimators.chen(counts, 1_500_000)[0, 0] == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize("k", [0, 11, [1, 20]])
def test_chen_is_refused_where_it_is_undefined(k):
    counts = bp.Counts(problem=["a", "b"], attempts=[10, 20], successes=[0, 0])
    with pytest.raises(
        bp.errors.OptionError, match=r"as few as 10; got k=|k must be a whole number from 1"
    ):
        bp.estimators.chen(counts, k)
