"""Counts up to 2^53, and small ones, by several families: nothing crashes, warns of floats or is NaN."""

import mpmath
import numpy as np
import pytest
import xarray as xr

import bayespassk as bp
from bayespassk.families.base import draw_prior
from bayespassk.families.quadrature import log_power

MOST = 2**53
FAMILIES = [bp.Beta(), bp.LibbyNovick(), bp.Kumaraswamy(), bp.ZeroInflated(bp.Beta())]
MANY = [(MOST, c) for c in (0, 1, MOST // 3, MOST - 1, MOST)]
LOGS = {
    "ten thousand millions": [(10**10, c) for c in (0, 1, 10**6, 33 * 10**8, 10**10 - 1, 10**10)],
    "2^53": MANY,
    "mixed": [(1, 0), (1, 1), (3, 1), (MOST, MOST // 7), (10**6, 10**6), (10**6, 999_999)],
}


def counts_of(rows):
    attempts, successes = np.transpose(rows)
    return bp.Counts(problem=range(len(rows)), attempts=attempts, successes=successes)


@pytest.mark.parametrize("log", LOGS)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda one: one.full_name)
def test_moments_and_draws_of_any_counts(family, log):
    attempts, successes = np.transpose(LOGS[log])
    rng = np.random.default_rng(1)
    free = draw_prior(family, rng, (8,))
    parameters = family.natural(free)
    moments = family.log_moment(parameters, successes, attempts - successes)
    assert np.isfinite(moments).all()
    assert (moments <= 0).all()
    drawn = family.draw_seen(parameters, rng, successes, attempts - successes)
    assert ((drawn >= 0) & (drawn <= 1)).all()


# A beta's likelihood of 2^53 attempts is rounded to whole nats, and the lattice says so.
@pytest.mark.filterwarnings("ignore::bayespassk.errors.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::bayespassk.errors.ForecastWarning")
@pytest.mark.parametrize("log", LOGS)
@pytest.mark.parametrize("family", [bp.Beta(), bp.LibbyNovick()], ids=lambda one: one.full_name)
def test_fits_and_forecasts_of_any_counts(family, log):
    fit = bp.fit(counts_of(LOGS[log]), family, draws=50, random_seed=1, progress=False)
    attempts, successes = np.transpose(LOGS[log])
    for target in ("benchmark", "population"):
        found = bp.forecast(fit, [1, 10**6, 10**12], target=target)
        assert np.isfinite(found).all()
    if log == "2^53":
        mean = float(bp.forecast(fit, [1]).mean())
        assert mean == pytest.approx((successes / attempts).mean(), abs=0.01)


def test_exact_moments_of_parameters_without_bound_do_not_overflow():
    """100 problems with one success in a million attempts: b of a Kumaraswamy has no end."""
    rows = [(10_000, 0)] * 99 + [(10_000, 1)]
    fit = bp.fit(counts_of(rows), bp.Kumaraswamy(), draws=10, random_seed=1, progress=False)
    mean, sd = fit["exact"]["b"].values[:, 0]
    assert np.isfinite([mean, sd]).all()
    assert sd > mean


def test_powers_of_many_attempts_keep_their_digits():
    a, b = MOST / 3, MOST * 2 / 3
    x = np.log(0.5) + 1e-8 * np.array([-2.0, -0.5, 0.0, 1.0, 3.0])
    found = log_power(a, b, -np.logaddexp(0, -x), -np.logaddexp(0, x))
    # A normal about the logit of a / (a + b), with the information a b / (a + b).
    assert found == pytest.approx(
        -0.5 * a * b / (a + b) * (x - np.log(0.5)) ** 2, rel=1e-5, abs=1e-6
    )


@pytest.mark.parametrize("k", [1, 3, 30])
@pytest.mark.parametrize("log_mean", [-12, -9])
def test_small_pass_at_k_of_a_beta_keeps_its_digits(k, log_mean):
    a = 0.2
    b = a * 10.0**-log_mean
    with mpmath.workdps(60):
        want = -mpmath.expm1(
            mpmath.log(mpmath.beta(a, mpmath.mpf(b) + k)) - mpmath.log(mpmath.beta(a, b))
        )
    parameters = {"a": np.array([a]), "b": np.array([b])}
    found = -np.expm1(bp.Beta().log_moment(parameters, 0, k))
    assert found[0] == pytest.approx(float(want), rel=1e-13)
    swapped = {"a": np.array([b]), "b": np.array([a])}
    assert -np.expm1(bp.Beta().log_moment(swapped, k, 0))[0] == pytest.approx(
        float(want), rel=1e-13
    )


def as_forecast(draws):
    return xr.DataArray(
        np.reshape(draws, (4, -1, 1, 1)),
        dims=("chain", "draw", "system", "k"),
        coords={"system": ["s"], "k": [10]},
    )


def test_highest_density_of_draws_with_nan_is_nan():
    draws = np.random.default_rng(1).beta(2, 5, 4000)
    draws[7] = np.nan
    table = bp.summarize(as_forecast(draws), kind="hdi")
    assert table[["lower", "upper"]].isna().all(axis=None)


def test_highest_density_of_two_modes_says_so():
    rng = np.random.default_rng(1)
    two = np.concatenate([rng.beta(20, 80, 2000), rng.beta(80, 20, 2000)])
    with pytest.warns(bp.errors.ForecastWarning, match="spans two modes") as caught:
        bp.summarize(as_forecast(two), kind="hdi")
    assert caught[0].message.systems == ("s",)
    for one in (rng.beta(2, 5, 4000), rng.beta(0.5, 5, 4000), rng.beta(5, 0.3, 4000)):
        bp.summarize(as_forecast(one), kind="hdi")  # warnings are errors
