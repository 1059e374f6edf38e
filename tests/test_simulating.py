"""Simulated and thinned counts are distributed as they say."""

import numpy as np
import pytest
from scipy import stats

import bayespassk as bp
from bayespassk.special import log_binomial

FALSE_ALARM = 1e-4


def test_simulated_counts_are_beta_binomial():
    parameters = {"a": 0.5, "b": 3.0}
    counts = bp.simulate(bp.Beta(), parameters, problems=20_000, attempts=5, random_seed=1)
    c = np.arange(6.0)
    p = np.exp(log_binomial(5, c) + bp.Beta().log_moment(parameters, c, 5 - c))
    seen = np.bincount(counts.successes, minlength=6)
    assert stats.chisquare(seen, p * len(counts)).pvalue > FALSE_ALARM


def test_thinning_keeps_the_expected_estimate():
    """Chen's estimate is unbiased: the mean over thinnings is that of the whole log."""
    whole = bp.simulate(bp.Beta(), {"a": 0.3, "b": 4.0}, problems=60, attempts=400, random_seed=2)
    want = bp.estimators.chen(whole, 10)[0, 0]
    thinned = [bp.estimators.chen(bp.thin(whole, 20, random_seed=i), 10)[0, 0] for i in range(200)]
    error = np.std(thinned) / np.sqrt(len(thinned))
    assert abs(np.mean(thinned) - want) < stats.norm.isf(FALSE_ALARM / 2) * error


def test_thinning_to_everything_changes_nothing(counts):
    assert bp.thin(counts, 100, random_seed=3).sha256() == counts.sha256()


def test_seeds_repeat(example):
    first, second, other = (bp.thin(example, 50, random_seed=seed) for seed in (1, 1, 2))
    assert first.sha256() == second.sha256() != other.sha256()


@pytest.mark.parametrize("attempts", [0, -5, 101])
def test_thinning_needs_attempts_that_were_made(counts, attempts):
    with pytest.raises(bp.errors.OptionError, match="as few as 100; got"):
        bp.thin(counts, attempts)


def test_thinning_has_a_limit():
    counts = bp.Counts(problem=["a"], attempts=[10**9], successes=[5])
    with pytest.raises(bp.errors.OptionError, match="1e9"):
        bp.thin(counts, 10)
