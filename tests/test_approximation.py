"""How far forecasts by an approximation are off: of normals whose difference is known."""

import numpy as np
import pytest
from scipy import stats

import bayespassk as bp
from bayespassk.fitting.approximation import far_apart, weights_of

DRAWS = (4, 20_000)


def free(scale, seed=1, shift=0.0):
    """Draws of a beta whose logit of the mean is known and whose log a is normal."""
    log_a = np.random.default_rng(seed).normal(-1.0 + shift, scale, DRAWS)
    return {"log_a": log_a[..., None], "logit_mean": np.full((*DRAWS, 1), -3.0)}


def pass_at(log_a, k):
    a = np.exp(log_a)
    b = a * np.exp(3.0)
    return 1 - np.exp(stats.betabinom.logpmf(0, k, a, b))


@pytest.mark.parametrize("scale", [0.05, 0.1, 0.2])
def test_bands_and_spreads_are_compared_at_n_and_far_beyond(scale):
    found = far_apart(bp.Beta(), free(scale), free(0.1, seed=2), None, 0, 10)
    ends = stats.norm.ppf([0.025, 0.975])
    off, ratios = [], []
    for k in (10, 1000, 100_000):
        exact, ours = (np.sort(pass_at(-1.0 + sd * ends, k)) for sd in (0.1, scale))
        off.append(np.abs(ours - exact).max() / np.ptp(exact))
        one, other = (pass_at(free(sd)["log_a"].ravel()[:20_000], k).std() for sd in (scale, 0.1))
        ratios.append(one / other)
    assert found.band_off == pytest.approx(max(off), abs=0.02)
    assert found.sd_ratio == pytest.approx(max(ratios, key=lambda r: abs(np.log(r))), rel=0.03)


def test_weighted_draws_stand_for_the_exact_ones():
    """Draws of a wider normal, reweighted, are those of the narrower: nothing is off."""
    wide = free(0.15, seed=3)
    x = wide["log_a"][..., 0]
    weights = weights_of(stats.norm.logpdf(x, -1, 0.1) - stats.norm.logpdf(x, -1, 0.15))
    assert weights.sum() == pytest.approx(1)
    found = far_apart(bp.Beta(), free(0.1), wide, weights, 0, 10)
    assert found.band_off < 0.02
    assert found.sd_ratio == pytest.approx(1, abs=0.03)
    assert far_apart(bp.Beta(), wide, wide, weights, 0, 10).sd_ratio > 1.3


def test_a_shift_is_seen_by_the_band_though_spreads_agree():
    found = far_apart(bp.Beta(), free(0.1, shift=0.1), free(0.1, seed=2), None, 0, 10)
    assert found.band_off > 0.2
    assert found.sd_ratio == pytest.approx(0.8, abs=0.05)  # nearer to 1, where pass@k ends
