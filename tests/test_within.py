"""Pooling within benchmarks: nothing else in a file moves a forecast, nor does its order."""

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayespassk as bp
from bayespassk.asking import influence
from bayespassk.posterior.fitted import opened

QUIET = {"progress": False, "random_seed": 1}

pytestmark = pytest.mark.filterwarnings("ignore::bayespassk.errors.ForecastWarning")

SYSTEMS = {"a": ("maths", 0.3), "b": ("maths", 0.5), "c": ("code", 0.2), "d": ("code", 1.0), "e": ("code", 0.6), "f": ("lone", 2.0)}  # fmt: skip


def counts_of(systems=SYSTEMS, order=None):
    """Return counts of 30 problems a system, drawn by name; rows in an order that is given."""
    rng = np.random.default_rng(5)
    drawn = {name: rng.binomial(20, rng.beta(a, 2.0, 30)) for name, (_, a) in SYSTEMS.items()}
    rows = [
        (SYSTEMS[name][0], name, f"p{i}", 20, c)
        for name in systems
        for i, c in enumerate(drawn[name])
    ]
    if order is not None:
        rows = [rows[i] for i in order.permutation(len(rows))]
    columns = zip(*rows, strict=True)
    names = ("benchmark", "system", "problem", "attempts", "successes")
    return bp.Counts(**dict(zip(names, map(list, columns), strict=True)))


@pytest.fixture(scope="module")
def within():
    return bp.fit(counts_of(), bp.Beta(), **QUIET)


@pytest.mark.parametrize("benchmark", ["maths", "code", "lone"])
def test_a_benchmark_is_what_it_is_alone(within, benchmark):
    """To the digit: forecasts, what systems share, and the share of the prior."""
    mine = [name for name, (where, _) in SYSTEMS.items() if where == benchmark]
    alone = bp.fit(counts_of(mine), bp.Beta(), **QUIET)
    assert within.attrs["pooling"] == "within"
    assert alone.attrs["pooling"] == ("none" if benchmark == "lone" else "partial")
    for target in ("population", "benchmark", "realised"):
        one, other = (bp.forecast(fit, [1, 1000], target) for fit in (within, alone))
        np.testing.assert_array_equal(one.sel(system=mine).values, other.values)
    tables = [bp.sensitivity(fit, [10, 1000]).set_index("system") for fit in (within, alone)]
    np.testing.assert_allclose(tables[0].loc[mine].values, tables[1].values, rtol=1e-9)
    if benchmark != "lone":
        for group in ("posterior", "prior"):
            for name in ("centre_log_a", "spread_logit_mean"):
                here = within[group].dataset[name].sel(in_benchmark=benchmark)
                np.testing.assert_array_equal(here.values, alone[group].dataset[name].values)
        new = [bp.forecast_new_system(fit, 100, **given) for fit, given in ((within, {"benchmark": benchmark}), (alone, {}))]  # fmt: skip
        np.testing.assert_array_equal(new[0].values, new[1].values)


def test_systems_of_two_benchmarks_are_independent(within):
    """Also of those that are alone: no random number is used twice."""
    values = within["posterior"].dataset["log_a"].values.reshape(-1, len(SYSTEMS))
    r = np.corrcoef(values.T)
    for i, one in enumerate(SYSTEMS):
        for j, other in enumerate(SYSTEMS):
            if SYSTEMS[one][0] != SYSTEMS[other][0]:
                assert abs(r[i, j]) < 0.08, (one, other)


def test_all_verbs_take_it(within, tmp_path):
    bp.save(within, tmp_path / "fit.nc")
    back = bp.load(tmp_path / "fit.nc")
    xr.testing.assert_identical(back["posterior"].dataset, within["posterior"].dataset)
    xr.testing.assert_identical(bp.forecast(back, 100), bp.forecast(within, 100))
    hierarchy = opened(back).hierarchy
    assert (hierarchy.benchmarks, hierarchy.benchmark) == (("maths", "code"), (0, 0, 1, 1, 1, -1))
    assert (bp.summarize_check(bp.check(within, draws=200))["p_value"] > 1e-4).all()
    assert bp.compare({"one": within, "two": back}, progress=False)["elpd"].notna().all()
    assert "3 benchmarks" in bp.report(within, tmp_path / "report.json", k=[1, 100])["title"]
    with pytest.raises(bp.errors.OptionError, match=r"benchmark must be given.*'maths', 'code'"):
        bp.forecast_new_system(within, 10)
    log_prior = influence.log_densities(opened(within), 5).prior
    assert np.ptp(log_prior) > 0


@pytest.mark.parametrize("pooling", ["auto", "partial"])
def test_the_order_of_rows_and_systems_changes_nothing(pooling):
    """By quadrature; one benchmark, and two."""
    names = ["a", "b"] if pooling == "partial" else list(SYSTEMS)
    rng = np.random.default_rng(7)
    fits = [
        bp.fit(one, bp.Beta(), pooling=pooling, **QUIET)
        for one in (counts_of(names), counts_of(names[::-1], rng))
    ]
    for group in ("posterior", "prior"):
        first, second = (fit[group].dataset for fit in fits)
        for name, values in first.items():
            other = second[name]
            other = other.sel({dim: values[dim].values for dim in values.dims[2:]})
            np.testing.assert_array_equal(values.values, other.values, err_msg=str(name))
    one, other = (bp.forecast(fit, [1, 1000]).sel(system=names) for fit in fits)
    np.testing.assert_allclose(one.values, other.values, rtol=1e-9)


@pytest.mark.filterwarnings("ignore::bayespassk.errors.ConvergenceWarning")
def test_the_order_changes_nothing_by_nuts_either():
    counts = [counts_of(["a", "b"]), counts_of(["b", "a"], np.random.default_rng(7))]
    fits = [bp.fit(one, bp.Beta(), method="nuts", draws=150, tune=150, pooling="partial", **QUIET) for one in counts]  # fmt: skip
    one, other = (fit["posterior"].dataset["log_a"].sel(system=["a", "b"]) for fit in fits)
    np.testing.assert_allclose(one.values, other.values, rtol=1e-9)


@pytest.mark.filterwarnings("ignore::bayespassk.errors.ConvergenceWarning")
@pytest.mark.parametrize("method", ["nuts", "advi"])
def test_samplers_take_it(method):
    fit = bp.fit(counts_of(["a", "b", "f"]), bp.Beta(), method=method, pooling="within", draws=100, tune=100, chains=2, **QUIET)  # fmt: skip
    posterior = fit["posterior"].dataset
    assert posterior["spread_log_a"].dims == ("chain", "draw", "in_benchmark")
    assert all(np.isfinite(v.values).all() for v in posterior.values())
    assert all(v.dims == ("chain", "draw") for v in fit["sample_stats"].dataset.values())
    forecast = bp.forecast(fit, 1).mean(("chain", "draw", "k"))
    np.testing.assert_allclose(forecast, [0.13, 0.2, 0.5], atol=0.12)


def test_what_the_words_stand_for():
    for names, pooling, want in (
        (["a", "b"], "auto", "partial"),
        (["a", "b"], "within", "partial"),
        (["a", "c"], "auto", "none"),
        (["a", "b", "f"], "auto", "within"),
    ):
        fit = bp.fit(counts_of(names), bp.Beta(), pooling=pooling, draws=20, **QUIET)
        assert fit.attrs["pooling"] == want
    many = counts_of(["a", "b", "f"])
    with pytest.raises(bp.errors.OptionError, match="each benchmark is a model of its own"):
        bp.build_model(many, bp.Beta())
    # One system on each of two benchmarks, asked for: nested.
    model = bp.build_model(counts_of(["a", "c"]), bp.Beta(), pooling="partial")
    assert "benchmark_spread_log_a" in model.named_vars
    sized = bp.Counts.from_dataframe(
        many.to_dataframe().assign(size=[1.0] * 30 + [2.0] * 60), covariates=["size"]
    )
    with pytest.raises(bp.errors.OptionError, match="covariates of systems on 2 benchmarks"):
        bp.fit(sized, bp.Beta(), covariates="size", **QUIET)


# How far pooling moved a forecast ----------------------------------------------------------------


def test_a_table_says_what_each_system_says_alone(within):
    """As fits of each alone have it, to within a thousand draws."""
    draws = bp.forecast(within, [1, 1000])
    table = bp.summarize(draws).set_index(["system", "k"])
    apart = bp.fit(counts_of(), bp.Beta(), pooling="none", **QUIET)
    alone = bp.summarize(bp.forecast(apart, [1, 1000])).set_index(["system", "k"])
    assert "alone" not in alone
    for row, want in alone.iterrows():
        sd = (want["upper"] - want["lower"]) / 4
        assert abs(table.loc[row, "alone"] - want["median"]) < 0.25 * sd, row
    moved = (table["alone"] - table["median"]).abs()
    assert moved["f"].max() == 0  # which is not pooled
    assert moved[("a", 1000)] > 0.001
    # What is computed from a forecast is not what was said of it.
    assert "alone" not in bp.summarize(1 - draws)
    assert "alone" in bp.summarize(draws.sel(k=[1000]))
    assert "alone" not in bp.summarize(draws.isel(draw=slice(0, 100)))


@pytest.mark.filterwarnings("ignore::bayespassk.errors.FamilyWarning")
def test_a_forecast_moved_beyond_its_band_is_told():
    """A system that is nearly always solved among three that hardly ever are, with few attempts."""
    rng = np.random.default_rng(1)
    hard = [rng.binomial(200, rng.beta(0.3, 60.0, 100)) for _ in range(4)]
    rows = [
        ("b", f"s{i}", f"p{j}", 200, c) for i, one in enumerate(hard) for j, c in enumerate(one)
    ]
    rows += [("b", "odd", f"p{j}", 2, c) for j, c in enumerate([2, 2, 1, 2, 2, 2, 1, 2])]
    names = ("benchmark", "system", "problem", "attempts", "successes")
    counts = bp.Counts(**dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    fit = bp.fit(counts, bp.Beta(log_b=bp.Prior(0, 2.0, "logistic", spread=0.1)), **QUIET)
    with pytest.warns(bp.errors.PoolingWarning, match="beyond the 95% band.*'odd'") as told:
        bp.forecast(fit, [1, 1000], "population")
    (one,) = [w for w in told if w.category is bp.errors.PoolingWarning]
    assert one.message.systems == ("odd",)
    assert one.filename == __file__


def test_copies_are_told():
    counts = counts_of(["a", "b"])
    frame = counts.to_dataframe()
    copy = frame[frame.system == "a"].assign(system="a again").sample(frac=1, random_state=1)
    both = bp.Counts.from_dataframe(pd.concat([frame, copy]))
    with pytest.warns(bp.errors.PoolingWarning, match="2 of 3 pooled systems.*'a' and 'a again'"):
        bp.fit(both, bp.Beta(), draws=50, **QUIET)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bp.fit(both, bp.Beta(), draws=50, pooling="none", **QUIET)
        bp.fit(counts, bp.Beta(), draws=50, **QUIET)
