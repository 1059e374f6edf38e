"""The posterior is the right one, whatever samples it, and says when it is not."""

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayespassk as bp
from bayespassk.families import family_names
from bayespassk.fitting import advi, nuts as nuts_module, verb
from bayespassk.fitting.model import Setup
from oracles import grid_posterior, mean_and_sd

QUIET = {"progress": False}
# Means of draws with an effective size of 2,000 or more err by 0.022 sd; five times that raises a
# false alarm in one of a million comparisons. The sd errs by 0.016 of itself; where tails are
# exponential, and draws four times as many, by 0.02 at most.
MEAN_ERROR, SD_ERROR = 0.11, 0.08


def assert_posterior(fit, system, oracle, *, mean_error=MEAN_ERROR, sd_error=SD_ERROR):
    for name in ("log_a", "logit_mean"):
        values = fit["posterior"][name].sel(system=system).values
        mean, sd = mean_and_sd(oracle[name], oracle["weight"])
        assert abs(values.mean() - mean) < mean_error * sd, name
        assert abs(values.std() / sd - 1) < sd_error, name


def test_both_samplers_agree_with_a_grid(counts, fit, nuts):
    for system in counts.systems:
        oracle = grid_posterior(counts.select(system), bp.Beta())
        for one in (fit, nuts):
            assert_posterior(one, system, oracle)


CASES = {
    "unequal attempts": bp.Counts(
        problem=range(40),
        attempts=np.repeat([0, 3, 50, 2000], 10),
        successes=np.r_[np.zeros(10), 0, 1, 0, 2, 0, 0, 3, 1, 0, 0, np.arange(10), np.arange(10) ** 3],
    ),
    "three million attempts": bp.Counts(
        problem=range(30),
        attempts=np.full(30, 3_000_000),
        successes=np.r_[np.zeros(20), 1, 1, 2, 5, 10, 40, 200, 1000, 9000, 1_500_000],
    ),
    "one problem": bp.Counts(problem=["a"], attempts=[10], successes=[3]),
    "no success": bp.Counts(problem=range(50), attempts=np.full(50, 100), successes=np.zeros(50)),
    "no failure": bp.Counts(problem=range(50), attempts=np.full(50, 100), successes=np.full(50, 100)),
    "nothing attempted": bp.Counts(problem=["a", "b"], attempts=[0, 0], successes=[0, 0]),
}  # fmt: skip


@pytest.mark.parametrize("counts", CASES.values(), ids=CASES.keys())
@pytest.mark.filterwarnings("ignore::bayespassk.errors.PriorDrivenWarning")
def test_both_samplers_agree_with_a_grid_where_data_are_odd(counts):
    oracle = grid_posterior(counts, bp.Beta())
    for method in ("quadrature", "nuts"):
        options = {"pooling": "none", "method": method, "draws": 4000} | QUIET
        assert_posterior(bp.fit(counts, bp.Beta(), random_seed=2, **options), "system", oracle)


def test_priors_are_used(counts):
    family = bp.Beta(log_a=bp.Prior(-3.0, 0.1), log_b=bp.Prior(0.0, 0.5))
    fit = bp.fit(counts, family, pooling="none", random_seed=3, **QUIET)
    assert_posterior(fit, "small", grid_posterior(counts.select("small"), family))
    assert bp.family_of(fit) == family


def test_the_plain_pymc_model_has_the_same_posterior(counts):
    """bp.build_model is what bp.fit samples: PyMC's own tools on it give the same."""
    import pymc as pm

    model = bp.build_model(counts, bp.Beta(), pooling="none")
    assert {rv.name for rv in model.free_RVs} == {"log_a", "logit_mean"}
    assert model.coords["system"] == counts.systems
    logp = model.compile_logp()
    oracle = grid_posterior(counts.select("small"), bp.Beta())
    best = np.argmax(oracle["weight"])
    other = np.flatnonzero(oracle["weight"] > 0.01 * oracle["weight"][best])[0]

    def at(i):
        return logp(
            {name: np.array([oracle[name][i], 0.0]) for name in ("log_a", "logit_mean")}
        ).item()

    want = np.log(oracle["weight"][best] / oracle["weight"][other])
    assert at(best) - at(other) == pytest.approx(want, abs=1e-6)
    prior = pm.draw([model["a"], model["b"]], 5, random_seed=1)
    assert all(np.isfinite(values).all() for values in prior)


@pytest.fixture(scope="module")
def many_problems():
    """Return counts whose posterior is near normal, as those of many problems are."""
    parameters = {"a": 0.5, "b": 5.0}
    return bp.simulate(bp.Beta(), parameters, problems=2000, attempts=100, random_seed=8)


@pytest.fixture(scope="module")
def exact_of_many(many_problems):
    """The posterior on a grid, and a table of forecasts from a fit by quadrature."""
    fit = bp.fit(many_problems, bp.Beta(), pooling="none", random_seed=4, **QUIET)
    table = bp.summarize(bp.forecast(fit, [100, 10_000]))
    return grid_posterior(many_problems, bp.Beta()), table


@pytest.fixture(scope="module", params=["advi", "fullrank_advi"])
def approximation(request, many_problems):
    return bp.fit(
        many_problems, bp.Beta(), pooling="none", method=request.param, random_seed=4, **QUIET
    )


def test_advi_is_right_where_the_posterior_is_near_normal(exact_of_many, approximation):
    """The location within 0.2 sd and the scale within a tenth, of a grid and of quadrature."""
    oracle, theirs = exact_of_many
    assert_posterior(approximation, "simulated", oracle, mean_error=0.2, sd_error=0.1)
    assert bp.diagnostics(approximation).pareto_k < 0.7
    assert bp.diagnostics(approximation).max_rhat is None
    assert bp.diagnostics(approximation).against == "quadrature"
    assert bp.diagnostics(approximation).band_off < 0.1
    assert bp.diagnostics(approximation).converged
    ours = bp.summarize(bp.forecast(approximation, [100, 10_000]))
    width = theirs["upper"] - theirs["lower"]
    for column in ("mean", "lower", "upper"):
        assert ((ours[column] - theirs[column]).abs() < 0.1 * width).all(), column


def test_advi_returns_the_same_layout(fit, approximation):
    assert set(approximation.children) == set(fit.children) - {"exact"}
    for group in ("posterior", "prior", "observed_data", "constant_data", "log_likelihood"):
        assert set(approximation[group].dataset) == set(fit[group].dataset)
        for name in fit[group].dataset:
            assert approximation[group][name].dims == fit[group][name].dims
            assert approximation[group][name].dtype == fit[group][name].dtype
    assert set(approximation.attrs) == set(fit.attrs) - {"log"}  # these counts are in no file


def test_advi_says_when_it_is_bad():
    """Five problems leave a skewed posterior, which no normal matches."""
    counts = bp.Counts(problem=range(5), attempts=np.full(5, 10), successes=[10, 0, 0, 1, 10])
    with pytest.warns(
        bp.errors.ConvergenceWarning,
        match="Pareto k .* against quadrature, an end .* try method='auto'",
    ) as caught:
        fit = bp.fit(
            counts, bp.Beta(), pooling="none", method="fullrank_advi", random_seed=1, **QUIET
        )
    assert caught[0].message.pareto_k > 0.7
    assert caught[0].message.systems == ("system",)
    assert not bp.diagnostics(fit).converged


def test_energy_that_changes_little_is_told():
    """E-BFMI of AR(1) energies is 2 (1 - rho); the message says what is wrong and what to do."""
    rng = np.random.default_rng(1)
    energy = rng.normal(size=(4, 5000, 2))
    for i in range(1, 5000):
        energy[:, i, 1] = 0.95 * energy[:, i - 1, 1] + np.sqrt(1 - 0.95**2) * energy[:, i, 1]
    np.testing.assert_allclose(nuts_module._bfmi(energy), [2.0, 0.1], rtol=0.15)
    bad = bp.Diagnostics(1.0, 900.0, 0, None, ("x",), 120.0, 0.1, 0.07, 3)
    for said in (
        "tail ESS 120",
        "known to 7.0% only",
        "E-BFMI 0.10",
        "3 draws at the largest tree depth",
        "0.99",
    ):
        assert said in bad.message()
    assert bp.Diagnostics(1.0, 900.0, 0, None, (), 500.0, 0.9).message() == "the sampler converged"


def test_nuts_with_hardly_any_draws_is_judged_by_its_tails_and_energy():
    """What `arviz` finds of the very draws, and draws cut short at the largest depth."""
    import arviz as az

    rng = np.random.default_rng(1)
    x = rng.normal(size=(4, 200, 1))
    counts = bp.Counts(problem=[0, 1], attempts=[3, 3], successes=[1, 2])
    setup = Setup.of(counts, bp.Beta(), "none", None)
    found = dict.fromkeys(setup.dims, x)
    depth = np.full((4, 200, 1), 3)
    depth[0, :2] = 10
    report = nuts_module._diagnose_nuts(
        setup, found, np.array([0]), rng.normal(size=x.shape), depth
    )
    tail = az.ess(xr.DataArray(x[..., 0], dims=("chain", "draw")).to_dataset(name="x"), method="tail", prob=(0.05, 0.95))["x"]  # fmt: skip
    assert report.min_tail_ess == pytest.approx(float(tail))
    assert (report.at_max_depth, report.systems) == (2, ("system",))
    assert report.sd_error == pytest.approx(1 / np.sqrt(2 * x.size), rel=0.4)  # of a normal
    depth[:] = 3
    energy = np.cumsum(rng.normal(size=x.shape), axis=1)
    low = nuts_module._diagnose_nuts(setup, found, np.array([0]), energy, depth)
    assert low.min_bfmi < 0.3
    assert not low.converged


def test_pareto_k_is_that_of_the_importance_ratios():
    """Ratios that are Pareto distributed with known shapes; the estimate errs by 0.1 or so."""
    shapes = np.array([0.1, 0.4, 1.2])
    log_ratio = shapes * np.random.default_rng(1).exponential(size=(4, 5000, 3))
    np.testing.assert_allclose(advi._pareto_k(log_ratio), shapes, atol=0.25)


def test_the_tree_is_what_arviz_takes(counts, fit, nuts):
    for one in (fit, nuts):
        summary = az.summary(one, round_to="none")
        assert len(summary) == 8
        loo = az.loo(one)
        assert loo.n_data_points == len(counts)
        assert loo.p == pytest.approx(4, abs=2)  # two parameters for each of two systems
        for plot in (az.plot_trace_dist, az.plot_forest, az.plot_rank):
            plot(one)
        assert one["posterior"]["a"].dims == ("chain", "draw", "system")
    az.plot_energy(nuts)
    assert nuts["sample_stats"]["diverging"].dims == ("chain", "draw")


def test_the_log_likelihood_is_of_each_problem(counts, fit):
    from bayespassk.special import log_binomial

    row = 200
    system = counts.systems[counts.system_index[row]]
    p = fit["posterior"].dataset.sel(system=system)
    c, n = counts.successes[row], counts.attempts[row]
    want = log_binomial(n, c) + bp.Beta().log_moment(
        {"a": p["a"].values, "b": p["b"].values}, float(c), float(n - c)
    )
    got = fit["log_likelihood"]["successes"].sel(row=row)
    np.testing.assert_allclose(got, want, rtol=1e-12)
    assert got["problem"].item() == counts.problem[row]
    assert got["row_system"].item() == system


@pytest.mark.parametrize("method", ["quadrature", "nuts"])
def test_fits_repeat_and_do_not_depend_on_other_systems(counts, fit, nuts, method):
    first = (nuts if method == "nuts" else fit)["posterior"].dataset
    options = {"pooling": "none", "method": method} | QUIET
    again = bp.fit(counts, bp.Beta(), random_seed=1, **options)["posterior"].dataset
    xr.testing.assert_identical(again, first)
    alone = bp.fit(counts.select("large"), bp.Beta(), random_seed=1, **options)["posterior"]
    np.testing.assert_array_equal(
        alone["log_a"].sel(system="large"), first["log_a"].sel(system="large")
    )
    other = bp.fit(counts, bp.Beta(), random_seed=2, **options)["posterior"]
    assert not np.array_equal(other["log_a"], first["log_a"])


# Two short chains of a seed nobody chose need not converge.
@pytest.mark.filterwarnings("ignore::bayespassk.errors.ConvergenceWarning")
def test_a_seed_is_drawn_and_recorded(counts):
    first = bp.fit(counts, bp.Beta(), pooling="none", draws=600, chains=2, tune=500, **QUIET)
    seed = int(first.attrs["random_seed"])
    second = bp.fit(
        counts, bp.Beta(), pooling="none", draws=600, chains=2, tune=500, random_seed=seed, **QUIET
    )
    xr.testing.assert_identical(first["posterior"].dataset, second["posterior"].dataset)


def test_a_fit_carries_its_provenance(counts, fit, nuts):
    for one, sampler in ((fit, "bayespassk "), (nuts, "nutpie ")):
        assert one.attrs["input_sha256"] == counts.sha256()
        assert one.attrs["bayespassk_version"] == bp.__version__
        assert one.attrs["random_seed"] == 1
        assert one.attrs["sampler"].startswith(sampler)
        assert bp.diagnostics(one).converged
    found = bp.diagnostics(nuts)
    assert found.max_rhat < 1.01
    assert found.min_ess > 2000
    assert found.divergences == 0
    assert found.pareto_k is None


def test_equal_rows_cost_nothing(counts):
    """A hundred times the problems make the same arrays: only the weights grow."""
    frame = counts.to_dataframe()
    frames = [frame.assign(problem=frame["problem"] + f"-{i}") for i in range(100)]
    large = bp.Counts.from_dataframe(pd.concat(frames))
    small_data = bp.Beta().likelihood_data(counts.distinct())
    large_data = bp.Beta().likelihood_data(large.distinct())
    assert {k: v.shape for k, v in small_data.items()} == {
        k: v.shape for k, v in large_data.items()
    }
    np.testing.assert_array_equal(100 * small_data["weight"], large_data["weight"])


@pytest.mark.filterwarnings("ignore::bayespassk.errors.ConvergenceWarning")
def test_further_fits_compile_nothing(counts, monkeypatch):
    import nutpie

    def refuse(*_):
        raise AssertionError("compiled again")

    options = {"pooling": "none", "draws": 100, "tune": 100, "random_seed": 1} | QUIET
    bp.fit(counts.select("small"), bp.Beta(), **options)
    monkeypatch.setattr(nutpie, "compile_pymc_model", refuse)
    bp.fit(bp.thin(counts, 3, random_seed=1), bp.Beta(), **options)


@pytest.mark.parametrize("name", sorted(set(family_names()) - {"dependent-beta"}))
@pytest.mark.parametrize("pooling", ["none", "partial"])
def test_no_family_is_compiled_twice(counts, name, pooling, monkeypatch):
    """Whatever the counts of as many systems: other numbers, and other numbers of problems."""
    import nutpie

    compiled = []
    monkeypatch.setattr(nutpie, "compile_pymc_model", compiled.append)
    monkeypatch.setattr(nuts_module, "_CACHE", {})
    family = bp.family_from_name(name)
    for n, problems in ((3, 20), (7, 50)):
        frame = bp.thin(counts, n, random_seed=1).to_dataframe()
        some = bp.Counts.from_dataframe(frame[np.arange(len(frame)) % 100 < problems])
        setup = Setup.of(some, family, pooling, None)
        setup = setup.of_system(0) if pooling == "none" else setup
        nuts_module._compiled(family, setup.hierarchy, setup.data())
    assert len(compiled) == 1


def test_a_fit_that_did_not_converge_is_returned_with_a_loud_warning(counts):
    with pytest.warns(
        bp.errors.ConvergenceWarning, match="(?s)bulk ESS.*Do not use its numbers"
    ) as caught:
        fit = bp.fit(
            counts, bp.Beta(), pooling="none", draws=20, tune=20, chains=2, random_seed=1, **QUIET
        )
    warning = caught[0].message
    assert warning.min_ess < 400
    assert set(warning.systems) == {"small", "large"}
    assert not bp.diagnostics(fit).converged
    assert fit["posterior"].dataset.sizes["draw"] == 20
    assert fit.attrs["method"] == "nuts"  # as it was told how long to tune


def test_systems_without_success_are_said_to_rest_on_the_prior():
    counts = bp.Counts(
        problem=[*range(40)] * 2,
        attempts=np.full(80, 50),
        successes=np.r_[np.zeros(40), np.arange(40)],
        system=np.repeat(["none", "some"], 40),
    )
    with pytest.warns(
        bp.errors.PriorDrivenWarning, match="1 of 2 systems had no success.*'none'"
    ) as caught:
        fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, **QUIET)
    assert caught[0].message.systems == ("none",)
    with pytest.warns(bp.errors.ForecastWarning, match="for 'none'"):
        table = bp.summarize(bp.forecast(fit, 10_000)).set_index("system")
    assert table.loc["none", "lower"] < 0.05  # it may well be that nothing is ever solved,
    assert table.loc["none", "upper"] > 0.3  # or a lot


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"method": "mcmc"},
            "method must be 'auto', 'quadrature', 'nuts', 'advi' or 'fullrank_advi'; got 'mcmc'",
        ),
        (
            {"pooling": "complete"},
            "pooling must be 'auto', 'none', 'within' or 'partial'; got 'complete'",
        ),
        ({"draws": 3}, "draws must be at least 4; got 3"),
        ({"tune": 0}, "tune must be at least 1"),
        ({"chains": 0}, "chains must be at least 1"),
        ({"target_accept": 1.0}, "target_accept must lie between 0 and 1"),
        ({"family": 3}, r"family must be a family such as bp\.Beta\(\).*; got 3"),
    ],
)
def test_options_that_mean_nothing_are_refused_before_sampling(
    counts, options, message, monkeypatch
):
    monkeypatch.setattr(verb, "nuts_each", None)
    with pytest.raises(bp.errors.OptionError, match=message):
        bp.fit(counts, **options)


def test_a_family_that_a_saved_fit_could_not_name_is_refused_before_sampling(counts, monkeypatch):
    monkeypatch.setattr(verb, "nuts_each", None)
    family = bp.Beta()
    monkeypatch.setattr(bp.Beta, "spec", lambda _: {"name": "mine", "priors": {}})
    with pytest.raises(bp.errors.OptionError, match="family must be one of bayespassk's own"):
        bp.fit(counts, family, pooling="none")


def test_counts_must_be_counts(counts):
    with pytest.raises(bp.errors.OptionError, match=r"bp\.read_csv"):
        bp.fit(counts.to_dataframe(), bp.Beta(), pooling="none")


def test_threads_may_fit_at_once(counts, monkeypatch):
    """Two threads that compile at once can hang: they take turns."""
    import nutpie

    inside, most = [], []

    def compile_slowly(_model):
        inside.append(threading.get_ident())
        most.append(len(inside))
        time.sleep(0.2)
        inside.pop()

    def work(sd):
        family = bp.Beta(log_a=bp.Prior(-1.0, sd))
        nuts_module._compiled(family, setup.hierarchy, setup.data())

    monkeypatch.setattr(nutpie, "compile_pymc_model", compile_slowly)
    monkeypatch.setattr(nuts_module, "_CACHE", {})
    setup = Setup.of(counts, bp.Beta(), "none", None).of_system(0)
    threads = [threading.Thread(target=work, args=(sd,)) for sd in (0.7, 0.8, 0.9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert most == [1, 1, 1]
    assert len(nuts_module._CACHE) == 3


@pytest.fixture
def said(monkeypatch):
    """What progress of NUTS is told."""
    told = []

    @contextmanager
    def bar(show, start, of):
        told.append((show, start, of))
        yield lambda *how: told.append(how)

    monkeypatch.setattr(nuts_module, "bar", bar)
    return told


SHORT = {"method": "nuts", "draws": 500, "tune": 500, "chains": 2, "random_seed": 1}


@pytest.mark.filterwarnings("ignore::bayespassk.errors.ConvergenceWarning")
def test_progress_of_nuts_counts_draws(counts, said):
    shown = bp.fit(counts, bp.Beta(), pooling="none", **SHORT)
    assert said[0] == (True, "Compiling the model", 4000)
    sampled = [how[1] for how in said[1:]]
    assert {how[0] for how in said[1:]} == {"Sampling small", "Sampling large"}
    assert sampled == sorted(sampled)
    assert (sampled[0], sampled[-1]) == (0, 4000)
    said.clear()
    quiet = bp.fit(counts, bp.Beta(), pooling="none", **SHORT, **QUIET)
    assert said[0][0] is False
    xr.testing.assert_identical(quiet["posterior"].dataset, shown["posterior"].dataset)


def test_progress_of_nuts_counts_draws_of_systems_together(counts, said, monkeypatch):
    def sample(*given):
        given[-1]([SimpleNamespace(finished_draws=700), SimpleNamespace(finished_draws=600)])
        raise InterruptedError

    monkeypatch.setattr(nuts_module, "_compiled", lambda *_: None)
    monkeypatch.setattr(nuts_module, "_sample", sample)
    with pytest.raises(InterruptedError):
        bp.fit(counts, bp.Beta(), pooling="partial", **SHORT)
    assert said[0] == (True, "Looking at each system", 2000)
    assert said[-2:] == [("Sampling 2 systems", 0), ("Sampling 2 systems", 1300)]


@pytest.mark.filterwarnings("ignore::bayespassk.errors.ConvergenceWarning")
def test_draws_do_not_depend_on_the_compilation_cache(counts, tmp_path):
    """A process whose cache of compiled functions is empty draws the same, bit by bit."""
    options = {"pooling": "none", "method": "nuts", "draws": 100, "tune": 200, "random_seed": 1}
    options |= QUIET
    fit = bp.fit(counts, bp.Beta(), **options)
    code = (
        "import bayespassk as bp, sys\n"
        "counts = bp.thin(bp.load_example(), 100, random_seed=1)\n"
        f"fit = bp.fit(counts, bp.Beta(), **{options})\n"
        "sys.stdout.write(fit['posterior']['log_a'].values.tobytes().hex())"
    )
    cold = {"PYTENSOR_FLAGS": f"base_compiledir={tmp_path}", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | cold,
    )
    assert bytes.fromhex(done.stdout) == fit["posterior"]["log_a"].values.tobytes()


@pytest.mark.parametrize("method", ["quadrature", "nuts"])
def test_a_sampler_that_cannot_start_says_so(counts, method):
    """A prior that nothing can be drawn from: log a about 1e300."""
    family = bp.Beta(log_a=bp.Prior(1e300, 1.0))
    with pytest.raises(bp.errors.SamplingError, match="could not start for 'small'"):
        bp.fit(counts, family, pooling="none", method=method, random_seed=1, **QUIET)


def test_advi_fits_a_quadrature_of_one_system(counts, fit):
    """Which a rewrite of the graph that PyTensor makes by default could not compile."""
    with pytest.warns(bp.errors.ConvergenceWarning, match="against quadrature, an end of a band"):
        one = bp.fit(
            counts.select("small"),
            bp.Kumaraswamy(),
            pooling="none",
            method="advi",
            random_seed=1,
            **QUIET,
        )
    assert bp.diagnostics(one).sd_ratio < 0.8  # a Pareto k below 0.7 did not tell
    assert bp.diagnostics(one).pareto_k < 1
    draws = bp.forecast(one, 100).mean()
    assert abs(draws - bp.forecast(fit, 100).sel(system="small").mean()) < 0.1


def test_a_tail_that_is_visited_seldom_is_told():
    """Chains like those of a heavy tail: all else is good, and the spread is not known yet."""
    counts = bp.Counts(problem=[0, 1], attempts=[3, 3], successes=[1, 2])
    setup = Setup.of(counts, bp.Beta(), "none", None)
    rng = np.random.default_rng(1)
    depth, energy = np.full((4, 1000, 1), 3), rng.normal(size=(4, 1000, 1))
    heavy = rng.standard_t(2, size=(4, 1000, 1))
    found = dict.fromkeys(setup.dims, heavy)
    report = nuts_module._diagnose_nuts(setup, found, np.array([0]), energy, depth)
    assert report.min_ess > 3000
    assert report.min_tail_ess > 3000
    assert report.sd_error > 0.05
    assert report.systems == ("system",)
