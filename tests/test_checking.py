"""Checks find what is wrong with a family, and only that; shares of the prior are what they say."""

import json
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from scipy import stats

import bayespassk as bp
from bayespassk.asking import influence
from bayespassk.cli import cli
from bayespassk.counts import batch_size
from bayespassk.judging import loo_pit, replicating
from bayespassk.judging.replicating import Log
from bayespassk.posterior.fitted import opened

FALSE_ALARM = 1e-4
SYSTEMS = 8
PROBLEMS = 100


def log_of(stopping, attempts, successes):
    return Log(
        np.array(attempts), np.array(successes), stopping, batch_size(stopping), np.arange(0)
    )


def attempt(rng, p, size, cap):
    """One problem, one attempt after another."""
    attempts = successes = 0
    while attempts < cap and successes == 0:
        batch = min(size, cap - attempts)
        successes += sum(rng.random() < p for _ in range(batch))
        attempts += batch
    return attempts, successes


RULES = {"first-success": 12, "batches:4": 12, "batches:5": 12, "batches:50": 12}


def attempted(stopping, p, cap, rng, system):
    """Counts of problems with success probabilities p under a rule, by the slow loop."""
    size = batch_size(stopping)
    if size is None:
        attempts, successes = np.full(len(p), cap), rng.binomial(cap, p)
    else:
        attempts, successes = np.array([attempt(rng, one, size, cap) for one in p]).T
    return {"attempts": attempts, "successes": successes, "system": [system] * len(p), "problem": range(len(p))}  # fmt: skip


@pytest.mark.parametrize(("stopping", "cap"), RULES.items())
def test_a_rule_replicates_what_a_loop_over_attempts_does(stopping, cap):
    """Means of attempts and successes and of their squares, at each of four p, within error."""
    p = np.array([0.0, 0.05, 0.4, 1.0])
    log = log_of(stopping, [cap] * 4, [0] * 4)
    rng = np.random.default_rng(1)
    attempts, successes = log.replicate(np.arange(4), np.broadcast_to(p, (40_000, 4)), rng)
    limit = stats.norm.isf(FALSE_ALARM / 2 / 16)
    for i, one in enumerate(p):
        slow = np.array([attempt(rng, one, log.size, cap) for _ in range(3000)])
        fast = np.stack([attempts[:, i], successes[:, i]], axis=1)
        bp.Counts(problem=range(500), attempts=fast[:500, 0], successes=fast[:500, 1], stopping=stopping)  # fmt: skip
        for power in (1, 2):
            difference = (fast**power).mean(0) - (slow**power).mean(0)
            error = np.sqrt((slow**power).var(0) / 3000 + (fast**power).var(0) / 40_000)
            assert (np.abs(difference) <= limit * error + 1e-12).all()


def test_a_problem_cut_short_is_replicated_up_to_its_own_attempts():
    log = log_of("first-success", [7, 3, 10], [0, 1, 0])
    attempts, successes = log.replicate(
        np.arange(3), np.full((200, 3), 0.01), np.random.default_rng(1)
    )
    assert attempts.max(0).tolist() == [7, 10, 10]
    assert ((successes == 0) == (attempts == log.cap))[successes == 0].all()


def test_fixed_attempts_are_replicated_one_by_one_and_adaptive_ones_as_they_were():
    for stopping in ("fixed", "adaptive"):
        log = log_of(stopping, [5, 100], [0, 3])
        attempts, successes = log.replicate(
            np.arange(2), np.full((20_000, 2), 0.25), np.random.default_rng(1)
        )
        assert (attempts == [5, 100]).all()
        error = np.sqrt(np.array([5, 100]) * 0.25 * 0.75 / 20_000)
        assert (
            np.abs(successes.mean(0) - [1.25, 25]) < stats.norm.isf(FALSE_ALARM / 2) * error
        ).all()


@pytest.mark.parametrize("family", [bp.Beta(), bp.LogitNormal()], ids=str)
def test_many_alike_are_replicated_at_once_as_they_are_one_by_one(family, monkeypatch):
    """Means and standard deviations of all statistics over replicated data, within error."""
    rng = np.random.default_rng(1)
    n = np.repeat([6, 10, 40], [150, 100, 20])  # the last are too few
    counts = bp.Counts(
        problem=range(270), attempts=n, successes=rng.binomial(n, rng.beta(1, 2, 270))
    )
    fit = bp.fit(counts, family, pooling="none", random_seed=1, progress=False)
    at_once = bp.check(fit, draws=4000, random_seed=1)
    monkeypatch.setattr(replicating, "WORTH", np.inf)
    one_by_one = bp.check(fit, draws=4000, random_seed=2)
    for name in ("replicated", "replicated_histogram"):
        a, b = (found[name].dropna("statistic") if name == "replicated" else found[name] for found in (at_once, one_by_one))  # fmt: skip
        limit = stats.norm.isf(FALSE_ALARM / 4 / a.isel(sample=0).size)
        error = np.sqrt((a.var("sample") + b.var("sample")) / 4000)
        assert (abs(a.mean("sample") - b.mean("sample")) <= limit * error + 1e-12).all(), name
        spread = abs(np.log((a.std("sample") + 1e-9) / (b.std("sample") + 1e-9)))
        assert (spread < 0.25).all(), name
    assert (at_once["replicated_histogram"].sum("bin") == 270).all()


def test_a_million_problems_are_checked_by_their_distinct_counts(monkeypatch):
    rng = np.random.default_rng(1)
    p = rng.beta(0.4, 3.0, 1_000_000)
    counts = bp.Counts(problem=range(len(p)), attempts=[20] * len(p), successes=rng.binomial(20, p))
    fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, progress=False)
    monkeypatch.setattr(bp.Beta, "draw", None)  # no problem is drawn by itself
    found = bp.summarize_check(bp.check(fit))
    assert (found["p_value"] > 0.001).all()


# The family is right, or not -------------------------------------------------------------------


@pytest.fixture(scope="module", params=["fixed", "first-success", "batches:5"])
def right(request):
    """A fit of the family that the data of each of `SYSTEMS` systems were drawn from."""
    rng = np.random.default_rng(4)
    each = [
        attempted(request.param, rng.beta(0.4, 3.0, PROBLEMS), 40, rng, f"s{i}")
        for i in range(SYSTEMS)
    ]
    columns = {name: np.concatenate([one[name] for one in each]) for name in each[0]}
    counts = bp.Counts(**columns, stopping=request.param)
    return bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, progress=False)


@pytest.fixture(scope="module")
def wrong():
    """A fit of the beta to problems of two kinds: always solved, and solved 3 times in 100."""
    rng = np.random.default_rng(1)
    p = np.where(rng.random(150) < 0.5, 0.9995, 0.03)
    counts = bp.Counts(problem=range(150), attempts=[100] * 150, successes=rng.binomial(100, p))
    return bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, progress=False)


def test_the_right_family_is_seldom_found_wanting(right):
    """Of 400 systems in ``benchmarks/checks.py`` 6% to 16% were in at least one respect."""
    table = bp.summarize_check(bp.check(right))
    assert set(table["system"]) == {f"s{i}" for i in range(SYSTEMS)}
    missed = table["p_value"] < 0.05
    caught = table[missed]["system"].nunique()
    assert stats.binom.sf(caught - 1, SYSTEMS, 0.05) > FALSE_ALARM
    assert (table["finding"].str.contains("misses") == missed).all()


def test_the_wrong_rule_is_found_wanting(right):
    """Attempts that ended at a success look like no binomial counts."""
    if right.attrs["stopping"] == "fixed":
        other = with_attempts(right, right["constant_data"]["attempts"].values, right["observed_data"]["successes"].values, stopping="first-success")  # fmt: skip
    else:
        other = right.copy()
        other.attrs["stopping"] = "fixed"
    table = bp.summarize_check(bp.check(other))
    assert set(table[table["p_value"] < 0.05]["system"]) == {f"s{i}" for i in range(SYSTEMS)}


def test_what_is_fitted_is_expected_to_be_nearer_by_what_fitting_takes_away():
    """Normal data of a mean that is not known, and two statistics: the mean, and one value.

    Fitted, the mean has no distance left, but for what is never taken away; a value has that of
    a residual, 1 - 1/n.
    """
    n, rng = 5, np.random.default_rng(1)
    mean = rng.normal(0, 1 / np.sqrt(n), 100_000)
    one, other = (mean[:, None] + rng.normal(0, 1, (100_000, n)) for _ in range(2))
    left = replicating._left(one.mean(1), other.mean(1))
    assert left**2 == pytest.approx(0.1)
    assert replicating._left(one, other) ** 2 == pytest.approx(2 / 3 * np.ones(n), abs=0.02)
    data = rng.normal(0, 1, (2000, n))
    away = data[:, 0] - data.mean(1)  # from what the fit to each expects
    scale = np.sqrt(1 + 1 / n)  # of replicated data
    p = [replicating._compare("one", x, scale * one[:4000, 0] / one[:4000, 0].std(), np.sqrt(2 / 3)).p_value for x in away]  # fmt: skip
    assert stats.kstest(p, "uniform").pvalue > FALSE_ALARM
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.02)


def test_loo_pit_of_the_right_family_is_uniform(right):
    pit = bp.loo_pit(right)
    assert pit.dims == ("row",)
    assert ((pit >= 0) & (pit <= 1)).all()
    assert stats.kstest(pit.values, "uniform").pvalue > FALSE_ALARM
    for system in ("s0", "s1"):
        mine = pit.values[pit["row_system"].values == system]
        assert len(mine) == PROBLEMS
        assert stats.kstest(mine, "uniform").pvalue > FALSE_ALARM


def test_a_wrong_family_is_caught_and_the_finding_says_how(wrong):
    table = bp.summarize_check(bp.check(wrong)).set_index("statistic")
    assert table.loc["unsolved", "p_value"] < 0.05
    assert "it misses how few are unsolved" in table.loc["unsolved", "finding"]
    assert table.loc["histogram", "p_value"] < 0.002
    assert "above all, 34 have 2-3 successes, and it expects" in table.loc["histogram", "finding"]
    assert stats.kstest(bp.loo_pit(wrong).values, "uniform").pvalue < 1e-6


def test_the_statistics_of_the_data_are_those_of_the_counts(counts, fit):
    found = bp.check(fit)
    assert found["replicated"].dims == ("sample", "system", "statistic")
    assert found.sizes["sample"] == 1000
    chen = bp.estimators.chen(counts, [1, 10])
    np.testing.assert_allclose(found["observed"].sel(statistic=["pass@1", "pass@10"]), chen)
    for i, system in enumerate(counts.systems):
        mine = counts.select(system).successes
        assert found["observed"].sel(system=system, statistic="unsolved") == (mine == 0).mean()
        seen = found["histogram"].values[i]
        edges = [0, 1, 2, 4, 8, 16, 32, 64, 100, 101]
        assert seen.tolist() == np.histogram(mine, edges)[0].tolist()
    assert found["bin"].values.tolist() == ["0", "1", "2-3", "4-7", "8-15", "16-31", "32-63", "64-99", "all"]  # fmt: skip
    assert (found["replicated_histogram"].sum("bin") == 128).all()


def test_replicated_data_have_the_moments_of_the_posterior(fit):
    """The mean over draws of replicated pass@10 is that of the population's pass@10."""
    found = bp.check(fit, draws=4000)["replicated"].sel(statistic="pass@10")
    want = bp.forecast(fit, 10, "population").sel(k=10).stack(sample=("chain", "draw"))
    for system in ("small", "large"):
        z = found.sel(system=system).values - want.sel(system=system).values
        assert abs(z.mean()) < stats.norm.isf(FALSE_ALARM / 2) * z.std() / np.sqrt(z.size)


def test_checks_repeat_and_follow_the_seed(fit):
    xr.testing.assert_identical(bp.check(fit, draws=100), bp.check(fit, draws=100))
    assert not bp.check(fit, draws=100, random_seed=2).equals(bp.check(fit, draws=100))
    xr.testing.assert_identical(bp.loo_pit(fit), bp.loo_pit(fit))
    assert not bp.loo_pit(fit, random_seed=2).equals(bp.loo_pit(fit))
    with pytest.raises(bp.errors.OptionError, match=r"draws must be at least 100.*got 5"):
        bp.check(fit, draws=5)
    with pytest.raises(bp.errors.FitFileError, match="not a fit"):
        bp.check(xr.DataTree())


def with_attempts(fit, attempts, successes, **attrs):
    """The fit with other counts of its rows."""
    other = fit.copy(deep=True)
    constant = other["constant_data"].dataset
    other["constant_data"] = xr.DataTree(constant.assign(attempts=("row", attempts)))
    observed = other["observed_data"].dataset
    other["observed_data"] = xr.DataTree(observed.assign(successes=("row", successes)))
    other.attrs.update(attrs)
    return other


def test_problems_and_systems_without_attempts_are_left_out(counts, fit):
    small = counts.system == "small"
    attempts, successes = counts.attempts.copy(), counts.successes.copy()
    attempts[small], successes[small] = 0, 0
    attempts[200], successes[200] = 0, 0
    fewer = with_attempts(fit, attempts, successes)
    table = bp.summarize_check(bp.check(fewer))
    assert set(table["system"]) == {"large"}
    assert "of 127 problems" in table["finding"].iloc[0]
    assert (np.isnan(bp.loo_pit(fewer).values) == (attempts == 0)).all()
    none = with_attempts(fit, 0 * attempts, 0 * successes)
    assert bp.summarize_check(bp.check(none)).empty


def test_adaptive_attempts_are_checked_as_they_are_and_have_no_pit(counts, fit):
    adaptive = with_attempts(fit, counts.attempts, counts.successes, stopping="adaptive")
    found = bp.check(adaptive)
    assert found.attrs["stopping"] == "adaptive"
    assert "pass@10" not in found["statistic"].values
    with pytest.raises(bp.errors.OptionError, match="how the attempts were ended"):
        bp.loo_pit(adaptive)


def test_a_saved_fit_is_checked_by_its_rule(right, tmp_path):
    bp.save(right, tmp_path / "fit.nc")
    loaded = bp.load(tmp_path / "fit.nc")
    xr.testing.assert_identical(bp.check(loaded, draws=100), bp.check(right, draws=100))
    del loaded.attrs["stopping"]  # as saved before there was a choice
    assert bp.check(loaded, draws=100).attrs["stopping"] == "fixed"


# Leave-one-out, by brute force -----------------------------------------------------------------


def left_out_on_a_grid(attempts, successes, outcome):
    """P(C < c) and P(C = c) of each problem with the posterior of the others, on a grid."""
    log_a = np.linspace(np.log(0.2) - 5, np.log(0.2) + 5, 161)[:, None]
    log_b = np.linspace(np.log(5) - 15, np.log(5) + 15, 241)[None, :]
    a, b = np.exp(log_a), np.exp(log_b)
    prior = stats.norm.logpdf(log_a, np.log(0.2), 1) + stats.logistic.logpdf(log_b, np.log(5), 1.5)
    each = np.array([stats.betabinom.logpmf(c, n, a, b) for c, n in zip(successes, attempts, strict=True)])  # fmt: skip
    result = []
    for i in range(len(attempts)):
        posterior = prior + each.sum(0) - each[i]
        weight = np.exp(posterior - posterior.max())
        result.append([(weight * value).sum() / weight.sum() for value in outcome(i, a, b)])
    return np.array(result).T


def test_loo_pit_is_that_of_leaving_out_each_problem_by_brute_force(monkeypatch):
    attempts = np.array([5, 5, 5, 5, 5, 5, 8, 8, 8, 3, 3, 3])
    successes = np.array([0, 0, 0, 1, 4, 5, 0, 7, 2, 0, 3, 1])
    counts = bp.Counts(problem=range(12), attempts=attempts, successes=successes)
    small = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, progress=False, draws=4000)

    def fixed(i, a, b):
        n, c = attempts[i], successes[i]
        return stats.betabinom.cdf(c - 1, n, a, b), stats.betabinom.pmf(c, n, a, b)

    cells = opened(small).cells
    monkeypatch.setattr(loo_pit, "DRAWS", 16_000)
    below, mass, _ = loo_pit._left_out(bp.Beta(), opened(small).parameters(0), cells, "fixed")
    want = left_out_on_a_grid(attempts, successes, fixed)
    np.testing.assert_allclose(below[cells.inverse], want[0], atol=0.015)
    np.testing.assert_allclose(mass[cells.inverse], want[1], atol=0.015)
    # under a rule: the probability of no success in all attempts, and in those before the last
    ends = np.where(successes == 0, 8, attempts)

    def sequential(i, a, b):
        now, before = (stats.betabinom.pmf(0, n, a, b) for n in (ends[i], ends[i] - 1))
        return (0 * now, now) if successes[i] == 0 else (now, before - now)

    once = np.minimum(successes, 1)
    counts = bp.Counts(problem=range(12), attempts=ends, successes=once, stopping="first-success")
    small = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, progress=False, draws=4000)
    cells = opened(small).cells
    below, mass, _ = loo_pit._left_out(
        bp.Beta(), opened(small).parameters(0), cells, "first-success"
    )
    want = left_out_on_a_grid(ends, once, sequential)
    np.testing.assert_allclose(below[cells.inverse], want[0], atol=0.015)
    np.testing.assert_allclose(mass[cells.inverse], want[1], atol=0.015)


def test_too_many_counts_for_a_pit_are_refused(fit, monkeypatch):
    monkeypatch.setattr(loo_pit, "NUMBERS", 1000)
    with pytest.raises(
        bp.errors.OptionError, match=r"loo_pit needs the probability of .* counts .*bp\.thin"
    ):
        bp.loo_pit(fit)


# How much is prior -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sparse():
    """A system that never succeeded, and one that was never attempted."""
    counts = bp.Counts(
        problem=[*range(128), *range(20)],
        system=["never"] * 128 + ["none"] * 20,
        attempts=[100] * 128 + [0] * 20,
        successes=[0] * 148,
    )
    with pytest.warns(bp.errors.PriorDrivenWarning):
        return bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, progress=False)


@pytest.mark.parametrize("conflict", [0.0, 10.0])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9])
def test_the_share_of_a_normal_prior_is_its_share_of_the_precision(share, conflict):
    """Also where prior and likelihood are 10 posterior SD from each other."""
    x = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    prior_mean, data_mean = -conflict * (1 - share), conflict * share
    log_prior, log_likelihood = (
        -share * (x - prior_mean) ** 2 / 2,
        -(1 - share) * (x - data_mean) ** 2 / 2,
    )
    found = influence.prior_share(np.exp(3 * x), log_prior, log_likelihood)
    assert found == pytest.approx(share, abs=0.005)


def test_the_prior_weighs_more_the_further_k_and_the_fewer_the_attempts(fit, sparse):
    table = bp.sensitivity(sparse, [1, 10**4, 10**6, 10**9], "population")
    share = table.pivot(index="k", columns="system", values="prior_share")
    assert (share["none"] == 1).all()
    assert share["never"].loc[: 10**6].is_monotonic_increasing
    assert share.loc[1, "never"] < 0.65
    assert (share["never"].loc[10**6 :] > 0.85).all()  # both near 1, within the error
    assert table[table["system"] == "none"]["likelihood"].max() == 0
    ratio = table.pivot(index="k", columns="system", values="band_ratio")
    np.testing.assert_allclose(ratio["none"], 1, atol=0.1)
    many = bp.sensitivity(fit, [1, 10**4, 10**6, 10**9])
    assert list(many.columns) == ["system", "k", "prior", "likelihood", "prior_share", "others_share", "own_share", "prior_shift", "band_ratio"]  # fmt: skip
    assert (many["prior_share"] < 0.2).all()
    assert many["k"].tolist() == [1, 10**4, 10**6, 10**9] * 2
    assert (many[many["k"] == 1]["band_ratio"] < 0.05).all()


def test_sensitivities_are_those_of_arviz(fit):
    """As its own accessors compute them from a tree with a group log_prior."""
    table = bp.sensitivity(fit, [10_000], "population").set_index("system")
    draws = bp.forecast(fit, 10_000, "population").isel(k=0, drop=True)
    for i, system in enumerate(("small", "large")):
        found = influence.log_densities(opened(fit), i)
        for density, name in ((found.prior, "prior"), (found.own, "likelihood")):
            log_density = draws.isel(system=0, drop=True).copy(data=density.reshape(4, 1000))
            weights = []
            for alpha in (0.99, 1.01):
                weight = np.exp(
                    log_density.azstats.power_scale_lw(alpha=alpha, dim=["chain", "draw"])
                )
                weights.append(weight / weight.sum())
            want = draws.sel(system=system).azstats.power_scale_sense(
                lower_w=weights[0], upper_w=weights[1], lower_alpha=0.99, upper_alpha=1.01
            )
            assert table.loc[system, name] == pytest.approx(float(want))


def test_a_forecast_that_is_mostly_prior_says_so_once(sparse):
    with pytest.warns(bp.errors.ForecastWarning) as caught:
        bp.forecast(sparse, [1, 10**9, 1000], "population")
    assert len(caught) == 1
    warning = caught[0].message
    assert warning.systems == ("never", "none")
    assert warning.k == 10**9
    assert all(0.5 < share <= 1 for share in warning.prior_share)
    assert (
        "at k = 1,000,000,000 the prior weighs more than the attempts in the forecast of 2 of 2"
        in str(warning)
    )
    assert "for 'never' (100 attempts a problem)" in str(warning)
    assert "bp.compare" in str(warning)
    assert caught[0].filename == __file__


def test_it_does_not_cry_wolf_at_ten_times_the_attempts_nor_where_the_data_rule(fit, sparse):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bp.forecast(fit, [1, 10**12])
        with pytest.raises(bp.errors.ForecastWarning) as caught:
            bp.forecast(sparse, 1000)
        assert caught.value.systems == ("none",)
        bp.sensitivity(sparse, 10**9)


def test_the_prior_predictive_is_pass_at_k_under_the_prior():
    prior = bp.prior_predictive(bp.Beta(), [1, 100], draws=20_000, random_seed=1)
    assert prior.dims == ("draw", "k")
    rng = np.random.default_rng(2)
    a = np.exp(rng.normal(np.log(0.2), 1, 20_000))
    b = np.exp(rng.logistic(np.log(5), 1.5, 20_000))
    assert stats.ks_2samp(prior.sel(k=1), a / (a + b)).pvalue > FALSE_ALARM
    assert (prior.diff("k") > 0).all()
    again = bp.prior_predictive(bp.Beta(), [1, 100], draws=20_000, random_seed=prior.attrs["random_seed"])  # fmt: skip
    xr.testing.assert_identical(prior, again)
    assert isinstance(bp.prior_predictive(bp.Beta(), 1, draws=5).attrs["random_seed"], int)
    with pytest.raises(bp.errors.OptionError, match="draws must be at least 1"):
        bp.prior_predictive(bp.Beta(), 1, draws=0)
    with pytest.raises(bp.errors.OptionError, match="k must be"):
        bp.prior_predictive(bp.Beta(), 0)
    ax = bp.plot_forecast(prior.expand_dims(chain=[0], system=["prior"]))
    assert ax.get_ylabel() == "pass@k (population)"
    plt.close("all")


# Figures and the command line ------------------------------------------------------------------


def test_the_figure_of_a_check_shows_data_and_replicated_data(wrong, right):
    ((left, right_panel),) = bp.plot_check(bp.check(wrong))
    assert left.get_xlabel() == "successes at a problem"
    assert left.lines[0].get_ydata().sum() == 150
    assert [t.get_text() for t in right_panel.get_yticklabels()][-1] == "unsolved"
    assert len(right_panel.lines[1].get_xdata()) >= 3  # the findings
    found = bp.check(right, draws=100)
    panels = bp.plot_check(found)
    assert panels.shape == (SYSTEMS, 2)
    assert bp.plot_check(found, ax=panels) is panels
    with pytest.raises(
        bp.errors.OptionError, match=r"ax must be an array of Axes of shape \(\d, 2\)"
    ):
        bp.plot_check(found, ax=panels[0])
    plt.close("all")


def test_the_figure_of_loo_pit_has_a_line_for_each_system_and_a_band(wrong, fit):
    ax = bp.plot_loo_pit(bp.loo_pit(fit))
    assert [line.get_label() for line in ax.lines[:2]] == ["small", "large"]
    half = np.sqrt(np.log(2 / 0.05) / 256)
    for line in ax.lines[:2]:
        assert np.abs(line.get_ydata()).max() < half
    line = bp.plot_loo_pit(bp.loo_pit(wrong)).lines[0]
    assert np.abs(line.get_ydata()).max() > half
    with pytest.raises(bp.errors.OptionError, match="prob must lie between 0 and 1"):
        bp.plot_loo_pit(bp.loo_pit(fit), prob=95)
    plt.close("all")


def invoke(*arguments):
    done = CliRunner().invoke(cli, [str(a) for a in arguments])
    if done.exception is not None:
        raise done.exception
    return done


def test_check_from_the_command_line(fit, fit_path, tmp_path):
    figure = tmp_path / "check.png"
    shown = invoke("check", fit_path, "--figure", figure).stdout
    assert "of 128 problems are unsolved; the family expects" in shown
    assert "1,000 data sets were replicated from the fit, stopping rule fixed" in shown
    assert figure.read_bytes().startswith(b"\x89PNG")
    found = json.loads(invoke("check", fit_path, "--format", "json").stdout)
    want = bp.summarize_check(bp.check(fit))
    assert [row["p_value"] for row in found["rows"]] == pytest.approx(want["p_value"].tolist())
    assert found["meta"]["stopping"] == "fixed"
    out = tmp_path / "check.csv"
    assert invoke("check", fit_path, "--format", "csv", "-o", out).stdout == ""
    assert out.read_text().startswith("system,statistic,observed,lower,upper,p_value,finding\n")
    with pytest.raises(bp.errors.OptionError, match="cannot be written"):
        invoke("check", fit_path, "--figure", tmp_path / "check.xyz")
    with pytest.raises(bp.errors.OptionError, match="--stopping has no meaning for a saved fit"):
        invoke("check", fit_path, "--stopping", "adaptive")


def test_the_stopping_rule_from_the_command_line(tmp_path):
    path = tmp_path / "counts.csv"
    rng = np.random.default_rng(1)
    columns = attempted("batches:5", rng.beta(0.4, 3.0, 60), 40, rng, "s")
    bp.Counts(**columns).to_dataframe().to_csv(path, index=False)
    shown = invoke("check", path, "--stopping", "batches:5").stdout
    assert "attempts a problem; the family expects" in shown
    assert "stopping rule batches:5" in shown
    with pytest.raises(
        bp.errors.CountsError, match=r"counts.csv: attempts made 7 at a time must be"
    ):
        invoke("check", path, "--stopping", "batches:7")
