"""Forecasts answer the question asked: of which problems, at which k, and how surely."""

import numpy as np
import pytest
import xarray as xr
from scipy import special, stats

import bayespassk as bp
from bayespassk.asking import seen

FALSE_ALARM = 1e-4
KS = [1, 10, 100, 1000, 10_000, 10**6]


@pytest.fixture(scope="module")
def forecasts(fit):
    return {target: bp.forecast(fit, KS, target=target) for target in ("benchmark", "population", "realised")}  # fmt: skip


def test_dims_are_the_same_for_one_system_and_one_k(counts):
    one = bp.fit(counts.select("small"), bp.Beta(), pooling="none", random_seed=1, progress=False)
    for target in ("benchmark", "population", "realised"):
        forecast = bp.forecast(one, 1000, target=target)
        assert forecast.dims == ("chain", "draw", "system", "k")
        assert forecast.shape == (4, 1000, 1, 1)
        assert forecast["k"].item() == 1000
        assert forecast["system"].item() == "small"
        assert forecast.attrs["target"] == target


def test_every_draw_is_a_probability_that_grows_with_k(forecasts):
    for forecast in forecasts.values():
        assert ((forecast >= 0) & (forecast <= 1)).all()
        assert (forecast.diff("k") >= 0).all()


def test_population_is_the_moment_of_a_new_problem(fit, forecasts):
    p = fit["posterior"].dataset
    product = 1.0
    for j in range(10):  # fail@10 as a product of conditional failures
        product = product * (p["b"] + j) / (p["a"] + p["b"] + j)
    np.testing.assert_allclose(forecasts["population"].sel(k=10), 1 - product, rtol=1e-10)


def moments(fit, counts, system, k):
    """The mean and variance of benchmark pass@k of each draw, from moments alone."""
    p = fit["posterior"].dataset.sel(system=system)
    parameters = {name: p[name].values.ravel() for name in ("a", "b")}
    mine = counts.select(system)
    c, f = mine.successes.astype(float), (mine.attempts - mine.successes).astype(float)
    log_moment = bp.Beta().log_moment
    fail = np.exp(log_moment(parameters, c, f + k) - log_moment(parameters, c, f))
    second = np.exp(log_moment(parameters, c, f + 2 * k) - log_moment(parameters, c, f))
    return 1 - fail.mean(1), (second - fail**2).sum(1) / len(mine) ** 2, fail


@pytest.mark.parametrize("copies", [3, 64], ids=["many problems a cell", "few"])
@pytest.mark.parametrize("k", [10, 1000])
def test_benchmark_has_the_mean_and_spread_of_the_problems_own_p(
    counts, fit, copies, k, monkeypatch
):
    """Standardised by the exact moments of each draw, forecasts have mean 0 and variance 1."""
    monkeypatch.setattr(seen, "COPIES", copies)
    forecast = bp.forecast(fit, k, random_seed=5)
    for system in counts.systems:
        mean, variance, _ = moments(fit, counts, system, k)
        z = (forecast.sel(system=system, k=k).values.ravel() - mean) / np.sqrt(variance)
        limit = stats.norm.isf(FALSE_ALARM / 2)
        assert abs(z.mean()) < limit / np.sqrt(z.size)
        kurtosis = (z**4).mean()
        assert abs((z**2).mean() - 1) < limit * np.sqrt(kurtosis / z.size)


@pytest.mark.parametrize("copies", [3, 64], ids=["many problems a cell", "few"])
@pytest.mark.parametrize("k", [10, 1000])
def test_realised_adds_the_luck_of_one_run(counts, fit, copies, k, monkeypatch):
    """The number solved is a sum of independent Bernoullis: whole, with their variance."""
    monkeypatch.setattr(seen, "COPIES", copies)
    forecast = bp.forecast(fit, k, target="realised", random_seed=5)
    solved = forecast * 128
    np.testing.assert_allclose(solved, solved.round(), atol=1e-9)
    for system in counts.systems:
        mean, _, fail = moments(fit, counts, system, k)
        variance = (fail * (1 - fail)).sum(1) / fail.shape[1] ** 2
        z = (forecast.sel(system=system, k=k).values.ravel() - mean) / np.sqrt(variance)
        limit = stats.norm.isf(FALSE_ALARM / 2)
        assert abs(z.mean()) < limit / np.sqrt(z.size)
        assert abs((z**2).mean() - 1) < limit * np.sqrt((z**4).mean() / z.size)


def test_draws_are_joint_over_k_however_many_problems_a_cell_has(fit, monkeypatch):
    """The correlation between two k is the same drawn one by one and by the shortcut."""
    result = {}
    for copies in (8, 64):
        monkeypatch.setattr(seen, "COPIES", copies)
        for target in ("benchmark", "realised"):
            draws = bp.forecast(fit, [100, 1000], target=target, random_seed=6).sel(system="small")
            result[target, copies] = np.corrcoef(draws.values.reshape(-1, 2).T)[0, 1]
    for target in ("benchmark", "realised"):
        difference = np.arctanh(result[target, 8]) - np.arctanh(result[target, 64])
        assert abs(difference) < stats.norm.isf(FALSE_ALARM / 2) * np.sqrt(2 / 4000)


def test_the_order_of_k_and_the_size_of_chunks_do_not_matter(fit, monkeypatch):
    up = bp.forecast(fit, [10, 1000], target="realised")
    down = bp.forecast(fit, [1000, 10], target="realised")
    xr.testing.assert_allclose(up, down.sel(k=[10, 1000]))
    whole = bp.summarize(bp.forecast(fit, [1000]))
    monkeypatch.setattr(seen, "HELD", 10_000)
    parts = bp.summarize(bp.forecast(fit, [1000]))
    np.testing.assert_allclose(parts["mean"], whole["mean"], atol=0.005)
    np.testing.assert_allclose(parts["lower"], whole["lower"], atol=0.02)


def test_targets_differ_as_they_should(forecasts):
    """Same centre; a run adds luck to the benchmark; a new problem is less known than these."""
    spread = {target: f.std(("chain", "draw")) for target, f in forecasts.items()}
    within = {"k": [1, 10, 100]}
    assert (spread["benchmark"] < spread["realised"]).sel(within).all()
    assert (spread["benchmark"] < spread["population"]).sel(within).all()
    centre = {target: f.mean(("chain", "draw")) for target, f in forecasts.items()}
    np.testing.assert_allclose(centre["benchmark"], centre["realised"], atol=0.004)


def test_within_the_budget_the_benchmark_agrees_with_chen(counts, forecasts):
    table = bp.summarize(forecasts["benchmark"].sel(k=[1, 10, 100]))
    chen = bp.estimators.chen(counts, [1, 10, 100]).ravel()
    assert ((table["lower"] <= chen) & (chen <= table["upper"])).all()


def test_k_reaches_a_million_million(fit):
    for target in ("benchmark", "population", "realised"):
        far = bp.forecast(fit, [10**9, 10**12], target=target)
        assert np.isfinite(far).all()
        assert (far.mean(("chain", "draw")) > 0.9).all()


@pytest.mark.filterwarnings("ignore::bayespassk.errors.FamilyWarning")  # 8,000 times the same
def test_a_million_problems_cost_no_more_than_their_distinct_rows(fit, counts):
    """The same histogram with 8,000 times the problems: a narrower band about the same mean."""
    many = fit.copy(deep=True)
    rows = np.tile(np.arange(len(counts)), 8000)
    for group in ("observed_data", "constant_data"):
        data = many[group].dataset.isel(row=rows)
        many[group] = xr.DataTree(data)
    small, large = bp.forecast(fit, 1000), bp.forecast(many, 1000)
    np.testing.assert_allclose(
        large.mean(("chain", "draw")), small.mean(("chain", "draw")), atol=0.003
    )
    _, variance, _ = moments(fit, counts, "small", 1000)
    excess = small.sel(system="small").var() - large.sel(system="small").var()
    assert excess.item() == pytest.approx(variance.mean(), rel=0.3)


def test_forecasts_repeat(fit):
    xr.testing.assert_identical(bp.forecast(fit, KS), bp.forecast(fit, KS))
    assert not bp.forecast(fit, KS, random_seed=9).equals(bp.forecast(fit, KS))


@pytest.mark.parametrize("k", [0, -1, 1.5, 10**13, np.nan, np.inf, "10", [1, 0], [], True, [5, 5]])
def test_k_must_mean_something(fit, k):
    with pytest.raises(bp.errors.OptionError, match="k must"):
        bp.forecast(fit, k)


def test_other_arguments_must_mean_something(fit, forecasts):
    with pytest.raises(bp.errors.OptionError, match=r"target must be .* got 'future'"):
        bp.forecast(fit, 10, target="future")
    with pytest.raises(bp.errors.FitFileError, match="not a fit"):
        bp.forecast(xr.DataTree(), 10)
    for prob in (0, 1, 95, np.nan):
        with pytest.raises(bp.errors.OptionError, match="prob must lie between 0 and 1"):
            bp.summarize(forecasts["benchmark"], prob)
    with pytest.raises(bp.errors.OptionError, match="kind must be 'eti' or 'hdi'"):
        bp.summarize(forecasts["benchmark"], kind="ci")


@pytest.mark.filterwarnings("ignore:the 80% highest-density:bayespassk.errors.ForecastWarning")
def test_the_table_is_tidy_and_its_intervals_hold_what_they_say(forecasts):
    draws = forecasts["benchmark"]
    for kind in ("eti", "hdi"):
        table = bp.summarize(draws, 0.8, kind=kind)
        assert list(table.columns) == ["system", "k", "mean", "median", "lower", "upper"]
        assert table["k"].tolist() == KS * 2
        assert table["system"].tolist() == ["small"] * 6 + ["large"] * 6
        for row in table.itertuples():
            values = draws.sel(system=row.system, k=row.k).values
            assert values.mean() == pytest.approx(row.mean)
            assert np.median(values) == pytest.approx(row.median)
            inside = ((values >= row.lower) & (values <= row.upper)).mean()
            assert inside == pytest.approx(0.8, abs=0.002)
    width = {
        k: (t := bp.summarize(draws, 0.8, kind=k))["upper"] - t["lower"] for k in ("eti", "hdi")
    }
    assert (width["hdi"] <= width["eti"] + 1e-12).all()


def test_the_table_takes_what_was_computed_from_forecasts(forecasts):
    draws = forecasts["benchmark"]
    gain = draws.sel(system=["large"]) - draws.sel(system="small", drop=True)
    table = bp.summarize(gain)
    assert table["lower"].iloc[0] > 0.05  # "large" solves more with one attempt


def test_the_tail_exponent_is_the_slope_of_fail_at_k_and_goes_to_a(fit):
    """For a beta fail@k falls as k^-a; nearer, the slope is k (digamma(a+b+k) - digamma(b+k))."""
    exponent = bp.tail_exponent(fit, [1, 100, 10**12])
    p = fit["posterior"].dataset
    np.testing.assert_allclose(exponent.sel(k=10**12), p["a"], rtol=1e-5)
    slope = 100 * (special.digamma(p["a"] + p["b"] + 100) - special.digamma(p["b"] + 100))
    np.testing.assert_allclose(exponent.sel(k=100), slope, rtol=1e-5)
    assert set(bp.summarize(exponent).columns) >= {"system", "k", "lower"}


def chained(rho, draws, seed=1, systems=2):
    """Draws of normal AR(1) chains, in the form of a forecast by NUTS."""
    rng = np.random.default_rng(seed)
    step = rng.normal(0, np.sqrt(1 - rho**2), (4, draws, systems, 1))
    values = rng.normal(size=(4, draws, systems, 1))
    for i in range(1, draws):
        values[:, i] = rho * values[:, i - 1] + step[:, i]
    names = [f"s{i}" for i in range(systems)]
    return xr.DataArray(
        values,
        dims=("chain", "draw", "system", "k"),
        coords={"system": names, "k": [10]},
        attrs={"method": "nuts"},
    )


def test_monte_carlo_errors_are_told_where_they_matter():
    """The spread of means and ends over seeds is the error that is told, within 35%."""
    draws = chained(0.9, 500, systems=60)
    with pytest.warns(bp.errors.ConvergenceWarning, match="another seed would move") as caught:
        table = bp.summarize(draws)
    assert len(caught[0].message.systems) == 60
    for name in ("mean", "lower", "upper"):
        error = np.sqrt((table[f"mcse_{name}"] ** 2).mean())
        assert error == pytest.approx(table[name].std(), rel=0.35), name
    with pytest.warns(bp.errors.ConvergenceWarning):
        assert "mcse_lower" not in bp.summarize(draws, kind="hdi")
    good = bp.summarize(chained(0.0, 2000))
    assert not any(name.startswith("mcse") for name in good)


def test_draws_that_are_no_chain_have_no_error_of_one(fit):
    draws = chained(0.9, 100)
    draws.attrs["method"] = "quadrature"
    assert list(bp.summarize(draws)) == ["system", "k", "mean", "median", "lower", "upper"]
    assert bp.forecast(fit, 10).attrs["method"] == fit.attrs["method"]
    same = chained(0.9, 50)
    same[:] = 1.0  # no width and no error
    assert "mcse_mean" not in bp.summarize(same)
