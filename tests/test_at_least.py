"""At least m of k: against sums of exact terms, simulation, scorio and the questions at its ends."""

import json
from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
import scorio.eval
import xarray as xr
from scipy import stats

import bayespassk as bp
from bayespassk.asking import at_least as module
from bayespassk.asking.at_least import probability, successes_wanted
from commands import run

LIMIT = stats.norm.isf(0.5e-4)

quiet = pytest.mark.filterwarnings("ignore::bayespassk.errors.ForecastWarning")


def exact(rate, m, k):
    """Return P(Bin(k, p) >= m) by a sum of the shorter side, p = 1 - exp(-rate), to 30 digits."""
    with mp.workdps(60):
        q = mp.exp(-mp.mpf(rate))
        side = range(m) if m <= k - m else range(m, k + 1)
        total = sum(mp.binomial(k, j) * (1 - q) ** j * q ** (k - j) for j in side)
        return float(1 - total if m <= k - m else total)


@pytest.mark.parametrize(
    ("rate", "m", "k"),
    [
        (1e-12, 2, 10**12),
        (1e-9, 2, 10),
        (1e-13, 7, 10**12),
        (28.0, 10**12 - 1, 10**12),
        (30.0, 10**12, 10**12),
        (27.6310211159, 10**12 - 3, 10**12),
        (0.7, 40, 60),
        (1e-30, 1, 10**12),
        (0.05, 3, 5),
        (400.0, 5, 5),
    ],
)
def test_the_probability_of_a_problem_is_the_sum_of_its_terms(rate, m, k):
    (found,) = probability(np.array([rate]), m, k)
    assert found == pytest.approx(exact(rate, m, k), rel=1e-9, abs=1e-300)


def test_problems_that_never_or_always_succeed():
    assert probability(np.array([0.0, np.inf]), 1, 10**12).tolist() == [0, 1]
    assert probability(np.array([0.0, np.inf]), 10**12, 10**12).tolist() == [0, 1]
    assert probability(np.array([1e-3, 3.0]), 5e11, 1e12).tolist() == [0, 1]


@quiet
@pytest.mark.parametrize("target", ["benchmark", "population"])
def test_its_ends_are_pass_at_k_and_pass_hat_k(fit, target):
    ks = [1, 7, 1000]
    one, every = bp.at_least(fit, 1, ks, target), bp.at_least(fit, "all", ks, target)
    np.testing.assert_allclose(one, bp.forecast(fit, ks, target), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(every, bp.pass_hat_k(fit, ks, target), rtol=1e-9, atol=1e-14)
    assert every["m"].values.tolist() == ks
    assert one.dims == ("chain", "draw", "system", "k")


@quiet
@pytest.mark.parametrize(("m", "k"), [(1, 4), (3, 8), (70, 100), (30, 2000), (1900, 2000)])
def test_new_problems_of_a_beta_are_beta_binomial(fit, m, k):
    found = bp.at_least(fit, m, k, "population").isel(chain=0, draw=slice(0, 1000, 50), k=0)
    p = fit["posterior"].dataset.isel(chain=0, draw=slice(0, 1000, 50))
    each = stats.betabinom.pmf(np.arange(m, k + 1), k, *(p[n].values[..., None] for n in "ab"))
    want = each.sum(-1)
    np.testing.assert_allclose(found, want, rtol=1e-7, atol=1e-12)


@quiet
@pytest.mark.parametrize(
    "family",
    [
        bp.Beta(),
        bp.ZeroInflated(bp.ScaledBeta()),
        bp.Verified(bp.Beta(), true_positive_rate=0.9, false_positive_rate=0.01),
    ],
    ids=lambda one: one.full_name,
)
def test_the_integral_is_the_sum(counts, family, monkeypatch):
    fit = bp.fit(counts, family, pooling="none", draws=10, random_seed=1, progress=False)
    cases = [(50, 100)]
    want = [bp.at_least(fit, m, k, "population") for m, k in cases]
    monkeypatch.setattr(module, "SUMMED", 1)
    for (m, k), sums in zip(cases, want, strict=True):
        integral = bp.at_least(fit, m, k, "population")
        np.testing.assert_allclose(integral, sums, atol=2e-6)


@quiet
def test_attempts_without_end_tell_which_p_are_above_the_share(fit):
    few = fit.copy(deep=True)
    few["posterior"] = xr.DataTree(fit["posterior"].dataset.isel(draw=slice(20)))
    found = bp.at_least(few, 0.25, 10**12, "population")
    assert found["m"].item() == 25 * 10**10
    share = bp.share_above(few, 0.25, "population")
    np.testing.assert_allclose(found.isel(k=0), share.isel(p=0), atol=2e-6)


def test_the_benchmark_and_a_run_at_it_are_as_simulated(fit, counts):
    """Of p drawn given the counts, and of attempts made one after the other, by NumPy alone."""
    rng = np.random.default_rng(8)
    found = {t: bp.at_least(fit, [2, 3], [4, 5], t) for t in ("benchmark", "realised")}
    for system in counts.systems:
        mine, own = counts.select(system), fit["posterior"].dataset.sel(system=system)
        a, b = (own[name].values.reshape(-1, 1) for name in ("a", "b"))
        p = rng.beta(a + mine.successes, b + mine.attempts - mine.successes)
        made = rng.random((5, *p.shape)) < p
        four, five = made[:4].sum(0) >= 2, made.sum(0) >= 3
        mean = [6 * p**2 * (1 - p) ** 2 + 4 * p**3 * (1 - p) + p**4]
        mean += [10 * p**3 * (1 - p) ** 2 + 5 * p**4 * (1 - p) + p**5]
        for i, (simulated, each) in enumerate(zip((four, five), mean, strict=True)):
            for target, want in (("benchmark", each.mean(1)), ("realised", simulated.mean(1))):
                got = found[target].sel(system=system).isel(k=i).values.ravel()
                sd = np.sqrt((got.var() + want.var()) / len(got))
                assert abs(got.mean() - want.mean()) < LIMIT * sd
                assert got.std() == pytest.approx(want.std(), rel=0.08)
        both = found["realised"].sel(system=system).values.reshape(-1, 2)
        want = np.corrcoef(four.mean(1), five.mean(1))[0, 1]  # of one run
        assert np.corrcoef(both.T)[0, 1] == pytest.approx(want, abs=0.08)


def test_with_many_attempts_it_is_what_scorio_estimates():
    """G-Pass@k by its formula, from 3,000 attempts at each of 60 problems."""
    rng = np.random.default_rng(3)
    p = rng.beta(0.5, 1.5, 60)
    outcomes = (rng.random((60, 3000)) < p[:, None]).astype(int)
    counts = bp.Counts(problem=range(60), attempts=[3000] * 60, successes=outcomes.sum(1))
    fit = bp.fit(counts, bp.Beta(), pooling="none", draws=250, random_seed=1, progress=False)
    for tau in (0.25, 0.5, 0.75, 1.0):
        m = "all" if tau == 1 else tau
        found = bp.at_least(fit, m, 8).values
        want = scorio.eval.g_pass_at_k_tau(outcomes, 8, tau)
        assert found.mean() == pytest.approx(want, abs=3 * found.std() / 10 + 1e-4)
    k = 8
    above = [bp.at_least(fit, m, k) for m in range(k // 2 + 1, k + 1)]
    want = scorio.eval.mg_pass_at_k(outcomes, k)
    assert (2 / k * sum(above)).mean().item() == pytest.approx(want, abs=2e-3)


def test_it_falls_as_more_successes_are_wanted(fit):
    each = [bp.at_least(fit, m, 6) for m in range(1, 7)]
    for less, more in pairwise(each):
        assert (less >= more).all()


def test_a_million_problems_take_no_longer():
    """Equal counts are spread over p by how many fall where."""
    counts = bp.Counts(
        problem=range(200_000), attempts=[10] * 200_000, successes=np.arange(200_000) % 100 // 90
    )
    fit = bp.fit(counts, bp.Beta(), pooling="none", draws=50, random_seed=1, progress=False)
    assert bp.at_least(fit, 2, 10).shape == (4, 50, 1, 1)


@pytest.mark.parametrize(
    ("m", "ks", "want"),
    [
        (0.5, [8, 9, 1], [4, 5, 1]),
        (0.07, [100], [7]),
        (0.6, [5, 10**12], [3, 6 * 10**11]),
        (1e-9, [10], [1]),
        ("majority", [1, 2, 9], [1, 2, 5]),
        ("all", [3], [3]),
        ([2, 3], [4, 5], [2, 3]),
        (2.0, [4, 5], [2, 2]),
    ],
)
def test_how_many_successes_are_wanted(m, ks, want):
    assert successes_wanted(m, np.array(ks)).tolist() == want


@pytest.mark.parametrize(
    ("m", "k", "said"),
    [
        (5, 4, "m must be a whole number from 1 to k, or a share of k between 0 and 1; got 5 of"),
        (0, 4, "m must be a whole number"),
        (1.5, 4, "m must be a whole number"),
        ("most", 4, "'majority' or 'all', where it is a word; got 'most'"),
        ([1, 2], [3, 4, 5], "one number, or one for each k; got 2 for 3 k"),
        (None, 4, "m must be a whole number"),
    ],
)
def test_what_means_nothing_is_said(fit, m, k, said):
    with pytest.raises(bp.errors.OptionError, match=said):
        bp.at_least(fit, m, k)


def test_the_command_prints_what_python_returns(fit, fit_path):
    done = run("at-least", fit_path, "--m", "0.5", "--k", "4,9", "--format", "json")
    rows = json.loads(done.stdout)["rows"]
    want = bp.summarize(bp.at_least(fit, 0.5, [4, 9]))
    assert [row["m"] for row in rows] == [2, 5, 2, 5]
    assert [row["median"] for row in rows] == pytest.approx(want["median"].tolist())
    table = run("at-least", fit_path, "--m", "2,3", "--k", "4,9").stdout
    assert "at least m of k attempts at a problem succeed, target benchmark" in table
    run("at-least", fit_path, "--m", "most", status=2)
