"""A fit with replicated data and the density of the prior is what ArviZ's checks take."""

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

import bayespassk as bp

QUIET = {"progress": False}
FALSE_ALARM = 1e-6


@pytest.fixture(scope="module")
def small(counts):
    return bp.fit(counts, bp.Beta(), pooling="none", draws=250, random_seed=1, **QUIET)


@pytest.fixture(scope="module")
def added(small):
    return bp.add_predictive(small)


def test_replicated_successes_are_those_of_new_problems(small, added):
    """Each is beta-binomial given its draw: their distribution functions are uniform."""
    replicated = added["posterior_predictive"]["successes"]
    assert replicated.dims == ("chain", "draw", "row")
    index = small["constant_data"]["system_index"].values
    a, b = (small["posterior"][name].values[..., index] for name in "ab")
    n, rng = small["constant_data"]["attempts"].values, np.random.default_rng(1)
    few = slice(None, None, 25)
    c, a, b = replicated.values[:, few], a[:, few], b[:, few]
    above = stats.betabinom.cdf(c, n, a, b)
    u = above - rng.random(c.shape) * stats.betabinom.pmf(c, n, a, b)
    assert stats.kstest(u.ravel(), "uniform").pvalue > FALSE_ALARM


def test_a_rule_that_ends_attempts_is_replicated():
    """Where a success ends the attempts there is one at most."""
    rng = np.random.default_rng(1)
    wait = rng.geometric(0.1, 60)
    counts = bp.Counts(
        problem=range(60), attempts=np.minimum(wait, 30), successes=(wait <= 30).astype(int),
        stopping="first-success",
    )  # fmt: skip
    fit = bp.fit(counts, bp.Beta(), pooling="none", draws=50, random_seed=1, **QUIET)
    replicated = bp.add_predictive(fit)["posterior_predictive"]["successes"].values
    assert set(np.unique(replicated)) == {0, 1}
    assert abs(replicated.mean() - counts.successes.mean()) < 0.1


def test_the_fit_itself_is_left_as_it_is_and_seeds_repeat(small, added):
    assert "posterior_predictive" not in small.children
    again = bp.add_predictive(small)
    other = bp.add_predictive(small, random_seed=9)
    same, new = (one["posterior_predictive"]["successes"].values for one in (again, other))
    np.testing.assert_array_equal(same, added["posterior_predictive"]["successes"].values)
    assert (new != same).any()
    assert not bp.summarize(bp.forecast(added, 100)).empty  # still a fit


def test_the_density_of_the_prior_is_that_of_the_family(small, added):
    density = added["log_prior"]["parameters"]
    assert density.dims == ("chain", "draw", "system")
    family, posterior = bp.Beta(), small["posterior"]
    log_a, logit_mean = posterior["log_a"].values, posterior["logit_mean"].values
    want = stats.norm.logpdf(log_a, family.log_a.loc, family.log_a.scale)
    want = want + stats.logistic.logpdf(log_a - logit_mean, family.log_b.loc, family.log_b.scale)
    np.testing.assert_allclose(density.values, want, atol=1e-9)


def test_of_pooled_systems_it_is_that_of_what_they_share(counts):
    fit = bp.fit(counts, bp.Beta(), pooling="partial", draws=250, random_seed=1, **QUIET)
    added = bp.add_predictive(fit)
    assert added["log_prior"]["parameters"].dims == ("chain", "draw")
    table = az.psense_summary(added)
    assert table.loc["spread_log_a", "prior"] > table.loc["log_a[large]", "prior"]


def test_what_is_too_large_is_refused(small, monkeypatch):
    monkeypatch.setattr("bayespassk.judging.predictive.LOG_LIKELIHOOD_LIMIT", 1000)
    with pytest.raises(bp.errors.OptionError, match=r"at most 1,000 numbers.*bp\.check"):
        bp.add_predictive(small)


# ArviZ's verbs: the rows of docs/reference/pymc-and-arviz.md ---------------------------------------


def test_loo_pit_is_about_that_of_the_package(small, added):
    """ArviZ estimates the distribution function from draws, bp.loo_pit has it in closed form."""
    theirs = az.loo_pit(added)["successes"]
    ours = bp.loo_pit(small, random_seed=1)
    assert theirs.dims == ("row",)
    both = np.sort(theirs.values), np.sort(np.asarray(ours).ravel())
    assert np.abs(both[0] - both[1]).max() < 0.1


def test_psense_summary_finds_what_the_prior_moves(added):
    table = az.psense_summary(added)
    assert {"log_a[small]", "logit_mean[large]"} <= set(table.index)
    assert (table["likelihood"] >= table["prior"]).all()


PLOTS = {
    "plot_ppc_dist": lambda one: az.plot_ppc_dist(one, kind="ecdf", num_samples=10),
    "plot_loo_pit": az.plot_loo_pit,
    "plot_prior_posterior": lambda one: az.plot_prior_posterior(one, var_names=["log_a"]),
}


@pytest.mark.parametrize("name", PLOTS)
def test_plots_of_arviz_take_it(added, name):
    assert PLOTS[name](added).viz.children
    plt.close("all")


def test_whether_problems_were_solved_is_calibrated_by_pava(small):
    added = bp.add_predictive(small, solved=True)
    for group in ("posterior_predictive", "observed_data"):
        one = added[group]
        np.testing.assert_array_equal(one["solved"].values, one["successes"].values > 0)
    assert az.plot_ppc_pava(added, var_names="solved").viz.children
    plt.close("all")


def test_compared_families_are_labelled(counts, small):
    other = bp.fit(counts, bp.Kumaraswamy(), pooling="none", draws=250, random_seed=1, **QUIET)
    table = bp.compare({"beta": small, "kumaraswamy": other})
    axes = az.plot_compare(table).viz["plot"].item()
    labels = {label.get_text() for label in axes.get_yticklabels()}
    assert {"small: beta", "all: kumaraswamy"} <= labels
    plt.close("all")


def test_a_saved_fit_is_read_by_arviz(small, tmp_path):
    bp.save(small, tmp_path / "fit.nc")
    with az.from_netcdf(tmp_path / "fit.nc") as read:
        assert az.loo(read).elpd == pytest.approx(az.loo(small).elpd, rel=1e-6)
        assert read.attrs["inference_library"] == "bayespassk"
        assert read.attrs["inference_library_version"] == bp.__version__
        assert read.attrs["created_at"].startswith("20")
    bp.save(small, tmp_path / "few.nc", log_likelihood=False)
    assert (tmp_path / "few.nc").stat().st_size < (tmp_path / "fit.nc").stat().st_size / 2
    back = bp.load(tmp_path / "fit.nc")["log_likelihood"]["successes"]
    np.testing.assert_array_equal(back, small["log_likelihood"]["successes"])
