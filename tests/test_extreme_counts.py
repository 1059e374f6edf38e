"""Counts up to 2^53, and small ones, by several families: nothing crashes, warns of floats or is NaN."""

import mpmath
import numpy as np
import pytest
import xarray as xr

import bayespassk as bp
from bayespassk.families.base import draw_prior
from bayespassk.families.quadrature import log_power
from bayespassk.special import NUMPY
from oracles import log_beta_moment

MOST = 2**53
LATTICE = [
    bp.Beta(),
    bp.LibbyNovick(),
    bp.Kumaraswamy(),
    bp.LogitNormal(),
    bp.GeneralizedBeta(),
    bp.ScaledBeta(),
    bp.ZeroInflated(bp.Beta()),
    bp.OneInflated(bp.Kumaraswamy()),
    bp.Verified(bp.Beta(), true_positive_rate=0.95, false_positive_rate=0.01),
]
FAMILIES = [*LATTICE, bp.family_from_name("beta-mixture-2")]
LOGS = {
    "ten thousand millions": [(10**10, c) for c in (0, 1, 10**6, 33 * 10**8, 10**10 - 1, 10**10)],
    "2^53": [(MOST, c) for c in (0, 1, MOST // 3, MOST - 1, MOST)],
    "mixed": [(1, 0), (1, 1), (3, 1), (MOST, MOST // 7), (10**6, 10**6), (10**6, 999_999)],
}
SLOW = {"scaled-beta", "generalized-beta"}
"""Families that take seconds for a log: one log of each will do."""


def counts_of(rows):
    attempts, successes = np.transpose(rows)
    return bp.Counts(problem=range(len(rows)), attempts=attempts, successes=successes)


@pytest.mark.parametrize("log", LOGS)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda one: one.full_name)
def test_moments_and_draws_of_any_counts(family, log):
    attempts, successes = np.transpose(LOGS[log])
    rng = np.random.default_rng(1)
    parameters = family.natural(draw_prior(family, rng, (4,)))
    if "s" in parameters:
        parameters["s"] = np.maximum(parameters["s"], 0.5)
    k = np.array([0, 1, 10**6, 10**12])
    failures = (attempts - successes)[:, None] + k.astype(float)
    moments = family.log_moment(parameters, successes[:, None].astype(float), failures)
    assert np.isfinite(moments).all()
    assert (moments <= 0).all()
    assert (np.diff(moments, axis=-1) <= 4 * np.spacing(-moments[..., 1:])).all()
    drawn = family.draw_seen(parameters, rng, successes, attempts - successes)
    assert ((drawn >= 0) & (drawn <= 1)).all()
    share = successes / attempts
    known = (successes > 10**9) & (share < 0.5)
    np.testing.assert_allclose(drawn[:, known], np.tile(share[known], (4, 1)), rtol=1e-3)


@pytest.mark.filterwarnings("ignore::bayespassk.errors.ForecastWarning")  # of six problems
@pytest.mark.filterwarnings("ignore::bayespassk.errors.FamilyWarning")
@pytest.mark.parametrize("log", LOGS)
@pytest.mark.parametrize("family", LATTICE, ids=lambda one: one.full_name)
def test_fits_and_forecasts_of_any_counts(family, log):
    """That the fits converge is tested by warnings, which are errors."""
    if family.full_name in SLOW and log != "mixed":
        pytest.skip("one log of these will do")
    rows = LOGS[log]
    if isinstance(family, bp.Verified):  # no verdict of yes in a million is beyond its rates
        rows = [(n, c) for n, c in rows if n < 1000 or 0.02 < c / n < 0.94]
    fit = bp.fit(counts_of(rows), family, draws=50, random_seed=1, progress=False)
    assert fit.attrs["method"] == "quadrature"
    for target in ("benchmark", "population"):
        found = bp.forecast(fit, [1, 10**6, 10**12], target=target).values
        assert ((found >= 0) & (found <= 1)).all()
        assert (np.diff(found, axis=-1) >= 0).all()
        if target == "benchmark" and log != "mixed":
            attempts, successes = np.transpose(rows)
            np.testing.assert_allclose(found[..., 0], (successes / attempts).mean(), rtol=1e-4)


def log_beta_peak(c, f):
    n = mpmath.mpf(c + f)
    return sum(x * mpmath.log(x / n) for x in (mpmath.mpf(c), mpmath.mpf(f)) if x)


@pytest.mark.parametrize("attempts", [10**5, 10**7, 10**10, MOST])
def test_moments_of_many_attempts_are_those_of_a_beta(attempts):
    """Of the closed form and of the quadrature, whose peaks lie anywhere between its panels."""
    c = np.unique([0, 1, attempts - 1, *(int(x * attempts) for x in np.linspace(0.01, 0.99, 23))])
    a, b = np.array([0.2, 1.3]), np.array([5.0, 0.7])
    want = [
        [log_beta_moment(*pair, int(x), attempts - int(x)) for x in c]
        for pair in zip(a, b, strict=True)
    ]
    beta, like_it = {"a": a, "b": b}, {"a": a, "b": b, "log_odds": np.zeros(2)}
    for family, parameters in ((bp.Beta(), beta), (bp.LibbyNovick(), like_it)):
        found = family.log_moment(parameters, c, attempts - c)
        np.testing.assert_allclose(found, np.array(want, dtype=float), rtol=1e-15, atol=2e-9)
    # The lattice leaves out what is the same for all parameters, which is all that is rounded.
    constants = bp.Beta().constants(c.astype(float), (attempts - c).astype(float))
    if "kernel_top" in constants:
        constants["added"] = np.zeros(len(c))
        with mpmath.workdps(60):
            tops = [log_beta_peak(int(x), attempts - int(x)) for x in c]
            over = [[float(x - top) for x, top in zip(row, tops, strict=True)] for row in want]
        found = bp.Beta().log_moments(beta, constants, NUMPY)
        np.testing.assert_allclose(found, over, atol=1e-11)


def test_the_peaks_of_more_pairs_than_panels_are_tried_for_are_found():
    """Each as if it were alone; of judged ones too."""
    n = 10**7
    c = np.unique((n * np.random.default_rng(3).beta(0.5, 1, 260)).astype(int))
    c = c[(c > 0.02 * n) & (c < 0.9 * n)]
    assert len(c) > 200
    some = np.arange(0, len(c), 50)
    judged = bp.Verified(bp.Beta(), true_positive_rate=0.95, false_positive_rate=0.01)
    for family in (bp.LibbyNovick(), judged):
        parameters = family.natural(draw_prior(family, np.random.default_rng(1), (1,)))
        found = family.log_moment(parameters, c, n - c)[:, some]
        alone = [family.log_moment(parameters, c[i : i + 1], n - c[i : i + 1]) for i in some]
        np.testing.assert_allclose(found, np.concatenate(alone, axis=1), rtol=1e-15, atol=1e-8)
        fitted = family.constants(c.astype(float), (n - c).astype(float), parameters)
        of_fit = family.log_moments(parameters, fitted, NUMPY)[:, some]
        np.testing.assert_allclose(of_fit, found, rtol=1e-15, atol=1e-8)


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


@pytest.mark.parametrize("k", [1, 3, 30, 100, 10**6])
@pytest.mark.parametrize(
    ("a", "b"), [(0.2, 2e11), (0.2, 2e8), (1e-12, 1.0), (1e-12, 1e-3), (9, 1e14)]
)
def test_small_pass_at_k_of_a_beta_keeps_its_digits(a, b, k):
    with mpmath.workdps(60):
        want = float(-mpmath.expm1(log_beta_moment(a, b, 0, k)))
    parameters = {"a": np.array([a]), "b": np.array([b])}
    swapped = {"a": np.array([b]), "b": np.array([a])}
    for moment in (
        bp.Beta().log_moment(parameters, 0, k),
        bp.Beta().log_moment(swapped, k, 0),
    ):
        assert -np.expm1(moment)[0] == pytest.approx(want, rel=1e-13)


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
