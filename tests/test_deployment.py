"""Deployment: against mpmath, simulated queries, and Gumbel's line on exact tails."""

import json

import mpmath as mp
import numpy as np
import pytest
import xarray as xr
from scipy import stats

import bayespassk as bp
from commands import run

quiet = pytest.mark.filterwarnings("ignore::bayespassk.errors.ForecastWarning")


def at(fit, a, b):
    """The fit, with these parameters of the beta at every draw."""
    few = fit.copy(deep=True)
    p = fit["posterior"].dataset.isel(draw=slice(2))
    free = {"log_a": np.log(a), "logit_mean": np.log(a / b)}
    few["posterior"] = xr.DataTree(p.assign({n: xr.full_like(p[n], v) for n, v in free.items()}))
    return few


@quiet
@pytest.mark.parametrize("queries", [1, 1000, 10**6, 10**12])
@pytest.mark.parametrize(("a", "b", "k"), [(0.01, 1e6, 1), (2.0, 1e9, 5), (0.3, 4.0, 10)])
def test_the_risk_is_one_minus_fail_to_the_number_of_queries(fit, a, b, k, queries):
    found = bp.deployment_risk(at(fit, a, b), queries, k)
    with mp.workdps(50):
        x, y = mp.exp(mp.log(a)), mp.mpf(b)
        fail = mp.rf(y, k) / mp.rf(x + y, k)
        want = float(1 - fail**queries)
    np.testing.assert_allclose(found, want, rtol=1e-5)


@quiet
def test_queries_for_is_the_inverse(fit):
    for target in ("population", "benchmark"):
        risks = [0.01, 0.5, 0.999999]
        found = bp.queries_for(fit, risks, 2, target)
        for i in range(3):
            for one in found.isel(chain=0, draw=slice(0, 1000, 250), risk=i).values.ravel():
                assert one == int(one) >= 1
        for draw in (0, 500):
            own = found.isel(chain=0, draw=draw, system=0).values
            for risk, queries in zip(risks, own, strict=True):
                here = bp.deployment_risk(fit, [queries, queries + 1], 2, target)
                assert here.isel(chain=0, draw=draw, system=0)[0] >= risk * (1 - 1e-9)
                if queries > 1:
                    before = bp.deployment_risk(fit, queries - 1, 2, target)
                    assert before.isel(chain=0, draw=draw, system=0)[0] < risk


@quiet
def test_simulated_queries_succeed_as_often(fit):
    """Users one by one, each with a p of a beta, tried three times."""
    one = at(fit, 0.05, 60.0)
    rng = np.random.default_rng(4)
    p = rng.beta(0.05, 60.0, (20_000, 100))
    through = (rng.binomial(3, p) > 0).any(1).mean()
    found = bp.deployment_risk(one, 100, 3).values.ravel()[0]
    assert abs(found - through) < 4 * np.sqrt(found * (1 - found) / 20_000)


@quiet
def test_queries_of_the_benchmark_are_those_problems(fit):
    """A query draws one of the problems at random, whose p is that of the forecast."""
    risk = bp.deployment_risk(fit, [1, 50], 10, "benchmark", random_seed=5)
    passed = bp.forecast(fit, 10, "benchmark", random_seed=5).isel(k=0)
    np.testing.assert_allclose(risk.sel(queries=1), passed, rtol=1e-9)
    np.testing.assert_allclose(risk.sel(queries=50), 1 - (1 - passed) ** 50, rtol=1e-7)
    table = bp.summarize(risk)
    assert table["queries"].tolist() == [1, 50, 1, 50]
    assert risk.attrs["k"] == 10


def test_where_nothing_succeeded_the_prior_is_told_of():
    counts = bp.Counts(problem=range(50), attempts=[20] * 50, successes=[0] * 50)
    with pytest.warns(bp.errors.PriorDrivenWarning):
        fit = bp.fit(counts, random_seed=1, draws=250, progress=False)
    with pytest.warns(bp.errors.ForecastWarning, match="what many queries meet"):
        risk = bp.deployment_risk(fit, [1, 10**6])
    assert ((risk > 0) & (risk <= 1)).all()


@pytest.mark.parametrize(
    ("queries", "k", "target", "said"),
    [
        (0, 1, "population", "queries must be whole numbers from 1 to 1e.15; got 0"),
        (1.5, 1, "population", "queries must be whole"),
        (10, [1, 2], "population", "k must be one number of attempts at each query; got 2"),
        (10, 1, "realised", "queries, which are no run at the problems attempted"),
    ],
)
def test_what_means_nothing_is_said(fit, queries, k, target, said):
    with pytest.raises(bp.errors.OptionError, match=said):
        bp.deployment_risk(fit, queries, k, target)


def test_the_command_prints_what_python_returns(fit, fit_path):
    done = run("risk", fit_path, "--queries", "1,1000", "--attempts", 2, "--format", "json")
    rows = json.loads(done.stdout)["rows"]
    want = bp.summarize(bp.deployment_risk(fit, [1, 1000], 2))
    assert [row["median"] for row in rows] == pytest.approx(want["median"].tolist())
    mean = bp.forecast(fit, 2, "population").mean(("chain", "draw")).values.ravel()
    assert [row["expected"] for row in rows] == pytest.approx(np.outer(mean, [1, 1000]).ravel())
    table = run("risk", fit_path, "--queries", "1e6").stdout
    assert "1,000,000" in table
    assert "of no others" in table
    run("risk", fit_path, "--queries", "many", status=2)


def test_the_command_says_after_how_many_queries(fit, fit_path):
    done = run("risk", fit_path, "--reach", "0.01,0.5", "--attempts", 2, "--format", "json")
    rows = json.loads(done.stdout)["meta"]["queries_for"]
    draws = bp.queries_for(fit, [0.01, 0.5], 2).isel(system=0)
    assert [row["risk"] for row in rows[:2]] == [0.01, 0.5]
    for row in rows[:2]:
        each = draws.sel(risk=row["risk"])
        for name, q in (("lower", 0.025), ("median", 0.5), ("upper", 0.975)):
            assert (each < row[name]).mean() <= q <= (each <= row[name]).mean()
    shown = run("risk", fit_path, "--reach", "0.5").stdout
    assert "a risk of 0.5 by query" in shown
    for bad in ("1.5", "half", "0"):
        assert (
            "--reach must be probabilities"
            in run("risk", fit_path, "--reach", bad, status=2).stderr
        )


# Gumbel's line -----------------------------------------------------------------------------------


def test_the_line_is_that_of_the_points():
    """Worked with numpy's polyfit."""
    p = np.random.default_rng(2).beta(0.1, 30.0, 300)
    found = bp.estimators.gumbel_tail(p, [300, 10**6], top=7)
    y = -np.log(-np.log(np.sort(p)[::-1][:7]))
    slope, intercept = np.polyfit(y, np.log(np.arange(1, 8) / 300), 1)
    want = np.exp(-np.exp(-(np.log([1 / 300, 1e-6]) - intercept) / slope))
    np.testing.assert_allclose(found, want, rtol=1e-9)


def test_with_half_a_rank_less_the_line_is_lower_far_out():
    """The source leaves the share of the i-th largest open: i / m is ours, and the higher choice."""
    p = np.random.default_rng(2).beta(0.1, 30.0, 300)
    y = -np.log(-np.log(np.sort(p)[::-1][:10]))
    for queries in (10**4, 10**7):
        slope, intercept = np.polyfit(y, np.log((np.arange(10) + 0.5) / 300), 1)
        other = np.exp(-np.exp(-(-np.log(queries) - intercept) / slope))
        assert bp.estimators.gumbel_tail(p, queries).item() > other


def test_it_is_biased_upwards_on_an_exact_tail():
    """Where y is exponential, the line is right but for the ranks: what 2605.15134 shows."""
    rng = np.random.default_rng(6)
    y = rng.exponential(0.5, (400, 1000))
    found = [bp.estimators.gumbel_tail(np.exp(-np.exp(-one)), 10**6).values[0] for one in y]
    largest = 0.5 * np.log(1e6)  # where one in 1e6 is above
    off = -np.log(-np.log(found)) - largest
    assert off.mean() > 3 * off.std() / 20


def test_what_has_no_line_is_an_error():
    with pytest.raises(
        bp.errors.OptionError, match="at least top = 10 values between 0 and 1; got 2"
    ):
        bp.estimators.gumbel_tail([0.1, 0.2, 0.0, 1.0], 100)
    with pytest.raises(bp.errors.OptionError, match="must not all be the same"):
        bp.estimators.gumbel_tail([0.1] * 20, 100)
    with pytest.raises(bp.errors.OptionError, match="p must be probabilities"):
        bp.estimators.gumbel_tail([1.1] * 20, 100)


def test_certain_queries_count_as_larger():
    found = bp.estimators.gumbel_tail([1.0, *stats.beta(0.2, 3).ppf(np.linspace(0.1, 0.9, 30))], 31)
    assert 0 < found.item() <= 1
