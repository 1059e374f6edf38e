"""Systems learn from each other as much as they are alike, and covariates shift parameters."""

import json
import warnings

import arviz as az
import numpy as np
import pytest
import xarray as xr
from scipy import special as sp, stats

import bayespassk as bp
from bayespassk.families import family_names
from bayespassk.fitting import nuts as nuts_module
from bayespassk.fitting.lattice import takes
from bayespassk.fitting.model import Setup, centring_of, model_of
from bayespassk.judging import leave_one_out
from bayespassk.posterior.fitted import opened
from bayespassk.posterior.pooling import FREEDOM, Hierarchy
from oracles import density

QUIET = {"progress": False}
FALSE_ALARM = 1e-5
"""Of one comparison."""

SIGMAS = stats.norm.isf(FALSE_ALARM / 2)
FREE = ("log_a", "logit_mean")

pytestmark = pytest.mark.filterwarnings("ignore::bayespassk.errors.ForecastWarning")


def drawn_counts(rng, systems, problems=40, attempts=20, **columns):
    """Return counts of systems with the (a, b) of a beta given by name."""
    sizes = np.broadcast_to(problems, len(systems))
    made = np.repeat(np.broadcast_to(attempts, len(systems)), sizes)
    p = [rng.beta(a, b, size) for (a, b), size in zip(systems.values(), sizes, strict=True)]
    return bp.Counts(
        problem=np.concatenate([np.arange(size) for size in sizes]),
        attempts=made,
        successes=rng.binomial(made, np.concatenate(p)),
        system=np.repeat([*systems], sizes),
        **columns,
    )


def hyper_oracle(counts, family):
    """Return the mean and sd of what systems share and of their parameters, by plain sums.

    The likelihood of each system on a grid of (log a, logit of the mean) is summed against the
    t between systems, as a mixture of normals whose precision is gamma, on a grid of both centres
    and both spreads. Twice as many points along
    each of these axes change no mean by more than 0.002 sd, and no sd by more than 0.002 of it.
    """
    x, y = np.linspace(-6, 3, 120), np.linspace(-8, 5, 130)
    centres = np.linspace(-5, 2, 36), np.linspace(-7, 4, 36)
    spreads = [(np.arange(36) + 0.5) / 8 * prior.between for prior in (family.log_a, family.log_b)]

    def mass(grid, centre, spread):
        """Return the mass of normals in the cells of the grid, dims (centre and spread, cell)."""
        edges = np.linspace(1.5 * grid[0] - 0.5 * grid[1], 1.5 * grid[-1] - 0.5 * grid[-2], len(grid) + 1)  # fmt: skip
        return np.diff(sp.ndtr((edges - centre[:, None, None]) / spread[:, None])).reshape(-1, len(grid))  # fmt: skip

    nodes, weights = sp.roots_genlaguerre(10, FREEDOM / 2 - 1)
    normals = [
        (w, mass(x, centres[0], spreads[0] / scale), mass(y, centres[1], spreads[1] / scale))
        for w, scale in zip(weights / weights.sum(), np.sqrt(nodes * 2 / FREEDOM), strict=True)
    ]

    def total(one, of_x=1.0, of_y=1.0):
        """Return the sum of a function of both parameters, times powers, over the t's."""
        return sum(w * ((a * of_x) @ one @ (b * of_y).T) for w, a, b in normals)

    # The prior of the centre of the logit of the mean is that of log b, mirrored about log a.
    logit_prior = density(family.log_b, centres[0][:, None] - centres[1])
    half = [stats.halfnorm.logpdf(s, scale=p.between) for s, p in zip(spreads, (family.log_a, family.log_b), strict=True)]  # fmt: skip
    log_weight = (
        (density(family.log_a, centres[0])[:, None] + half[0])[:, :, None, None]
        + logit_prior[:, None, :, None]
        + half[1]
    ).reshape(36 * 36, 36 * 36)
    a, b = np.exp(x)[:, None], np.exp(x[:, None] - y)
    likelihoods = {}
    for system in counts.systems:
        one = counts.select(system)
        pairs = zip(one.successes, one.attempts - one.successes, strict=True)
        value = sum(sp.betaln(a + c, b + f) - sp.betaln(a, b) for c, f in pairs if c + f)
        if one.attempts.any():
            likelihoods[system] = np.exp(value - value.max())
    evidence = {s: total(one) + 1e-300 for s, one in likelihoods.items()}
    log_weight += sum(np.log(one) for one in evidence.values())
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()

    def moments(first, second):
        return float(first), float(np.sqrt(second - first**2))

    found = {}
    each = weight.reshape(36, 36, 36, 36)
    axes = {"centre_log_a": centres[0], "spread_log_a": spreads[0], "centre_logit_mean": centres[1], "spread_logit_mean": spreads[1]}  # fmt: skip
    for i, (name, axis) in enumerate(axes.items()):
        marginal = each.sum(tuple({0, 1, 2, 3} - {i}))
        found[name, None] = moments(marginal @ axis, marginal @ axis**2)
    for system, one in likelihoods.items():
        given = weight / evidence[system]
        of_a = [(given * total(one, of_x=x**power)).sum() for power in (1, 2)]
        of_mean = [(given * total(one, of_y=y**power)).sum() for power in (1, 2)]
        found["log_a", system] = moments(*of_a)
        found["logit_mean", system] = moments(*of_mean)
    return found


def of_system(fit, name, system=None):
    values = fit["posterior"].dataset[name]
    return (values if system is None else values.sel(system=system)).values


# Four systems ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def four():
    """Two systems alike, one with few problems that is better, and one never attempted."""
    systems = {"a": (0.3, 2.0), "b": (0.25, 4.0), "few": (0.8, 0.8), "none": (1.0, 1.0)}
    return drawn_counts(
        np.random.default_rng(1), systems, problems=[40, 40, 6, 10], attempts=[20, 20, 20, 0]
    )


@pytest.fixture(scope="module")
def pooled(four):
    with pytest.warns(bp.errors.PriorDrivenWarning, match="1 of 4 systems had no success"):
        return bp.fit(four, bp.Beta(), pooling="partial", random_seed=1, **QUIET)


def test_the_posterior_is_that_of_plain_sums_over_a_grid(four, pooled):
    """Of what systems share and of each system, within Monte Carlo error."""
    for (name, system), (mean, sd) in hyper_oracle(four, bp.Beta()).items():
        values = of_system(pooled, name, system)
        mean_error, sd_error = (float(az.mcse(values, method=m)) for m in ("mean", "sd"))
        assert mean_error < 0.06 * sd  # or the test would show nothing
        assert abs(values.mean() - mean) < SIGMAS * mean_error + 0.005 * sd, (name, system)
        assert abs(values.std() - sd) < SIGMAS * sd_error + 0.005 * sd, (name, system)


def test_a_system_without_attempts_is_one_more_of_the_kind(pooled):
    """Its parameters are t about the centre, with the spread of the others.

    But for spreads that are too small for its lattice, which its own are too wide to show.
    """
    rng = np.random.default_rng(1)
    for name in FREE:
        centre, spread = of_system(pooled, f"centre_{name}"), of_system(pooled, f"spread_{name}")
        want = centre + spread * rng.standard_t(FREEDOM, centre.shape)
        found = of_system(pooled, name, "none")
        assert stats.ks_2samp(found.ravel()[::2], want.ravel()[1::2]).pvalue > FALSE_ALARM
        z = (found - centre) / spread
        for other in (centre, spread):
            assert abs(stats.spearmanr(z.ravel(), other.ravel()).statistic) < SIGMAS / np.sqrt(z.size)  # fmt: skip


def test_few_attempts_are_shrunk_towards_the_others_and_many_are_not(four, pooled):
    """Against the fit of each system by itself, in units of its standard deviation there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.errors.PriorDrivenWarning)
        alone = bp.fit(four, bp.Beta(), pooling="none", random_seed=1, **QUIET)
    others = of_system(pooled, "logit_mean", "a").mean()
    moved = {}
    for system in ("a", "b", "few"):
        before, after = (of_system(fit, "logit_mean", system) for fit in (alone, pooled))
        moved[system] = abs(after.mean() - before.mean()) / before.std()
    few = [of_system(fit, "logit_mean", "few").mean() for fit in (alone, pooled)]
    assert others < few[1] < few[0]
    assert moved["few"] > 0.25
    assert moved["few"] > 1.25 * max(moved["a"], moved["b"])


@pytest.mark.filterwarnings("ignore::bayespassk.errors.PoolingWarning")
def test_the_spread_follows_the_systems():
    """Equal counts: less than the prior says. Systems far apart: more."""
    rng = np.random.default_rng(2)
    one = drawn_counts(rng, {"s": (0.3, 3.0)}, problems=100, attempts=50).to_dataframe()
    equal = bp.Counts(
        **{n: np.tile(one[n], 4) for n in ("problem", "attempts", "successes")},
        system=np.repeat([*"stuv"], 100),
    )
    apart = drawn_counts(
        rng, {"s": (0.2, 20.0), "t": (0.3, 3.0), "u": (2.0, 2.0), "v": (3.0, 0.5)}, problems=100
    )
    median = {}
    for name, counts in (("equal", equal), ("apart", apart)):
        fit = bp.fit(counts, bp.Beta(), pooling="partial", random_seed=1, **QUIET)
        median[name] = np.median(of_system(fit, "spread_logit_mean"))
    prior = stats.halfnorm.median(scale=bp.Beta().log_b.between)
    assert median["equal"] < 0.5 * prior
    assert median["apart"] > 1.5 * prior


def test_results_repeat_bit_by_bit(four, pooled):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.errors.PriorDrivenWarning)
        again = bp.fit(four, bp.Beta(), pooling="partial", random_seed=1, **QUIET)
        other = bp.fit(four, bp.Beta(), pooling="partial", random_seed=2, **QUIET)
    for group in ("posterior", "prior", "sample_stats"):
        xr.testing.assert_identical(again[group].dataset, pooled[group].dataset)
    assert not np.array_equal(of_system(other, "log_a"), of_system(pooled, "log_a"))


def test_a_fit_does_not_depend_on_what_was_fitted_before(monkeypatch):
    """Where the chains start must not come from the counts that the model was compiled with."""
    import nutpie

    hard, easy = (
        drawn_counts(np.random.default_rng(1), {"a": (0.3, b), "b": (0.3, b)}) for b in (90.0, 0.3)
    )
    compiled, plain = [], []
    monkeypatch.setattr(nutpie, "compile_pymc_model", compiled.append)
    for counts in (hard, easy):
        monkeypatch.setattr(nuts_module, "_CACHE", {})
        setup = Setup.of(counts, bp.Beta(), "partial", None)
        data = setup.data(centring_of(setup, np.random.default_rng(1)))
        nuts_module._compiled(bp.Beta(), setup.hierarchy, data)
        plain.append(model_of(bp.Beta(), setup.hierarchy, data, counts.systems))

    def starts(models):
        return [{n: v.tolist() for n, v in model.initial_point().items()} for model in models]

    assert starts(compiled)[0] == starts(compiled)[1]
    assert starts(plain)[0] != starts(plain)[1]  # the test could fail


def test_the_tree_holds_what_systems_share(pooled):
    posterior = pooled["posterior"].dataset
    for name in FREE:
        assert posterior[name].dims == ("chain", "draw", "system")
        for shared in (f"centre_{name}", f"spread_{name}"):
            assert posterior[shared].dims == ("chain", "draw")
            assert pooled["prior"].dataset[shared].dims == ("chain", "draw")
    assert set(posterior) == set(pooled["prior"].dataset)
    assert not any(str(name).startswith("raw_") for name in posterior)
    assert pooled.attrs["pooling"] == "partial"
    assert opened(pooled).hierarchy == Hierarchy("partial", 4, effects="student-t")
    np.testing.assert_allclose(posterior["a"], np.exp(posterior["log_a"]))
    assert bp.diagnostics(pooled).converged


def test_arviz_takes_a_pooled_fit(pooled, nested):
    """Variables with different dims, too: one of each in the figures, which take a second each."""
    assert len(az.summary(pooled, round_to="none")) == 4 * 4 + 4
    assert "effect_log_a[log(size)]" in az.summary(nested, round_to="none").index
    for fit in (pooled, nested):
        each = {value.dims: name for name, value in fit["posterior"].data_vars.items()}
        for plot in (az.plot_trace_dist, az.plot_forest):
            plot(fit, var_names=list(each.values()))
    az.plot_energy(nested)


def test_the_prior_in_the_tree_is_that_of_the_fit(pooled):
    """Systems by themselves have a wider prior than a typical one: the effect is added."""
    prior, family, rng = pooled["prior"].dataset, bp.Beta(), np.random.default_rng(1)
    size = 100_000
    spread = family.log_a.between * np.abs(rng.standard_normal(size))
    want = rng.normal(family.log_a.loc, family.log_a.scale, size) + spread * rng.standard_t(FREEDOM, size)  # fmt: skip
    for system in range(4):
        values = prior["log_a"].isel(system=system).values.ravel()
        assert stats.ks_2samp(values, want).pvalue > FALSE_ALARM


def saved(fit, tmp_path):
    path = tmp_path / "fit.nc"
    bp.save(fit, path)
    return bp.load(path)


def test_a_saved_fit_is_the_same(pooled, tmp_path):
    back = saved(pooled, tmp_path)
    xr.testing.assert_identical(back["posterior"].dataset, pooled["posterior"].dataset)
    assert opened(back).hierarchy == opened(pooled).hierarchy
    for of in (lambda f: bp.forecast(f, [1, 100]), lambda f: bp.forecast_new_system(f, [1, 100])):
        xr.testing.assert_identical(of(back), of(pooled))


def test_all_verbs_take_a_pooled_fit(four, pooled):
    forecast = bp.forecast(pooled, [1, 20, 1000])
    assert forecast.dims == ("chain", "draw", "system", "k")
    assert forecast["system"].values.tolist() == list(four.systems)
    # What was seen is known to within the attempts: pass@1 of the benchmark is near the mean rate.
    for system in ("a", "b", "few"):
        one = four.select(system)
        rate = (one.successes / one.attempts).mean()
        values = forecast.sel(system=system, k=1).values
        assert abs(values.mean() - rate) < 4 * values.std()
    check = bp.check(pooled, draws=200)
    table = bp.summarize_check(check)
    assert set(table["system"]) == {"a", "b", "few"}
    assert (table["p_value"] > 1e-3).all()
    pit = bp.loo_pit(pooled)
    assert np.isnan(pit.values).tolist() == (four.attempts == 0).tolist()
    assert stats.kstest(pit.values[four.attempts > 0], "uniform").pvalue > FALSE_ALARM
    assert bp.difference(pooled, "a", "b", 10).dims[:2] == ("chain", "draw")
    assert set(bp.rank_systems(pooled, 10, "population")["system"]) == set(four.systems)
    assert forecast["benchmark"].values.tolist() == ["benchmark"] * 4
    share = bp.sensitivity(pooled, [10, 10**6]).set_index(["system", "k"])["prior_share"]
    assert share.between(0, 1).all()
    assert share["none", 10] > share["a", 10]
    assert bp.tail_exponent(pooled, 100).sizes["system"] == 4


def test_leave_one_out_of_a_system_without_attempts_is_nothing(pooled):
    table = bp.compare({"one": pooled, "two": pooled}, progress=False).set_index("system")
    assert (table.loc["none", "elpd"] == 0).all()
    assert (table["elpd_diff"] == 0).all()
    assert table.loc["all", "elpd"].iloc[0] == pytest.approx(table.loc[["a", "b", "few"], "elpd"].groupby("system").first().sum())  # fmt: skip


# A new system ----------------------------------------------------------------------------------


def assert_new_system(got, posterior, rng, centre_of):
    """Assert that a forecast is what simulation makes of `centre_of(name)` and the spreads.

    Given the posterior draws, those of the new system are independent of each other.
    """
    free = {}
    size = (100, *posterior["spread_log_a"].shape)
    tail = np.sqrt(FREEDOM / rng.chisquare(FREEDOM, size))  # of all parameters of a system
    for name in FREE:
        centre = centre_of(name)
        spread = posterior[f"spread_{name}"].values
        free[name] = centre + spread * tail * rng.standard_normal(size)
    ks = got["k"].values
    a, b = np.exp(free["log_a"]), np.exp(free["log_a"] - free["logit_mean"])
    for i, k in enumerate(ks):
        passed = -np.expm1(sp.betaln(a, b + k) - sp.betaln(a, b))
        ours = got.values[:, :, 0, i]
        for power in (1, 2):
            error = (passed**power).std() * np.sqrt(1.01 / ours.size)
            assert abs((ours**power).mean() - (passed**power).mean()) < SIGMAS * error


def test_a_new_system_is_drawn_from_the_distribution_of_systems(pooled):
    got = bp.forecast_new_system(pooled, [1, 20, 10_000])
    assert got.dims == ("chain", "draw", "system", "k")
    assert got["system"].values.tolist() == ["new system"]
    assert (np.diff(got.values, axis=-1) >= 0).all()
    posterior = pooled["posterior"].dataset
    rng = np.random.default_rng(1)
    assert_new_system(got, posterior, rng, lambda name: posterior[f"centre_{name}"].values)
    # That of a system never attempted is the same, by another way.
    never = bp.forecast(pooled, [1, 20, 10_000], "population").sel(system="none")
    for k in (1, 20, 10_000):
        one, two = got.sel(k=k).values.ravel()[::8], never.sel(k=k).values.ravel()[::8]
        assert stats.ks_2samp(one, two).pvalue > FALSE_ALARM
    xr.testing.assert_identical(got, bp.forecast_new_system(pooled, [1, 20, 10_000]))
    assert not got.equals(bp.forecast_new_system(pooled, [1, 20, 10_000], random_seed=9))
    assert bp.summarize(got)["k"].tolist() == [1, 20, 10_000]


def test_what_a_new_system_cannot_be(fit, pooled):
    for options, message in (
        ({"k": 0}, "k must be a whole number"),
        ({"k": 1, "benchmark": "nope"}, "benchmark must be one that systems are nested in, none"),
        ({"k": 1, "at": {"level": 3}}, "at needs a fit with covariates"),
    ):
        with pytest.raises(bp.errors.OptionError, match=message):
            bp.forecast_new_system(pooled, **options)
    with pytest.raises(bp.errors.OptionError, match="must have pooling='partial'"):
        bp.forecast_new_system(fit, 1)
    with pytest.raises(bp.errors.FitFileError, match="not a fit"):
        bp.forecast_new_system(xr.DataTree(), 1)
    with pytest.raises(bp.errors.OptionError, match="at needs target='population'"):
        bp.forecast(pooled, 1, at={"level": 3})
    with pytest.raises(bp.errors.OptionError, match="at needs a fit with covariates"):
        bp.forecast(pooled, 1, "population", at={"level": 3})


# Few systems, odd counts -----------------------------------------------------------------------

ODD = {
    "one system": ([0.3], 20, {}),
    "two systems": ([0.3, 0.1], 20, {}),
    "two systems alike": ([0.2, 0.2], 20, {}),
    "one without success": ([0.3, 0.0], 20, {"success": ["s1"]}),
    "no success at all": ([0.0, 0.0], 20, {"success": ["s0", "s1"]}),
    "no failure at all": ([1.0, 1.0], 20, {"failure": ["s0", "s1"]}),
    "one of each": ([0.0, 1.0], 20, {"success": ["s0"], "failure": ["s1"]}),
}


@pytest.mark.parametrize("name", ODD)
def test_there_are_no_divergences_where_there_is_little_to_learn_from(name):
    rates, attempts, driven = ODD[name]
    for seed in (1, 2):
        rng = np.random.default_rng(seed)
        systems, problems = len(rates), 40
        p = [np.full(problems, rate) if rate in (0.0, 1.0) else rng.beta(1.0, 1 / rate - 1, problems) for rate in rates]  # fmt: skip
        counts = bp.Counts(
            problem=np.tile(np.arange(problems), systems),
            attempts=np.full(systems * problems, attempts),
            successes=rng.binomial(attempts, np.concatenate(p)),
            system=np.repeat([f"s{i}" for i in range(systems)], problems),
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit = bp.fit(counts, bp.Beta(), pooling="partial", random_seed=seed, **QUIET)
        said = {type(w.message) for w in caught}
        assert said == ({bp.errors.PriorDrivenWarning} if driven else set())
        for what, whose in driven.items():
            assert any(f"had no {what}" in str(w.message) and list(w.message.systems) == whose for w in caught)  # fmt: skip
        found = bp.diagnostics(fit)
        assert (found.divergences, found.converged) == (0, True), found.message()


@pytest.mark.filterwarnings("ignore::bayespassk.errors.ConvergenceWarning")
@pytest.mark.parametrize("method", ["quadrature", "nuts"])
@pytest.mark.parametrize("name", sorted(set(family_names()) - {"beta", "dependent-beta"}))
def test_every_family_can_be_pooled(example, full_size, name, method):
    family = bp.family_from_name(name)
    if method == "quadrature" and not takes(family):
        pytest.skip("has too many parameters for quadrature")
    if method == "nuts" and not full_size:
        pytest.skip("compiles for 20 seconds or more: run with --slow; its density is tested in any case")  # fmt: skip
    counts = bp.thin(example, 20, random_seed=1)
    tune = {"tune": 150} if method == "nuts" else {}
    fit = bp.fit(
        counts, family, pooling="partial", method=method, draws=100, chains=2, random_seed=1, **tune, **QUIET
    )  # fmt: skip
    assert all(np.isfinite(v.values).all() for v in fit["posterior"].dataset.values())
    rate = [(counts.successes / counts.attempts)[counts.system_index == i].mean() for i in (0, 1)]
    found = bp.forecast(fit, 1).mean(("chain", "draw", "k"))
    np.testing.assert_allclose(found, rate, atol=0.02)
    new = bp.forecast_new_system(fit, [1, 10**6])
    assert ((new >= 0) & (new <= 1)).all()


# Leave-one-out ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def little():
    """Five problems for two systems, two of them equal but for their level."""
    return bp.Counts(
        problem=[*"vwx", *"vw"],
        attempts=[20] * 5,
        successes=[3, 3, 9, 5, 12],
        system=[*"sss", *"tt"],
        covariates={"level": [1, 2, 3, 1, 2]},
    )


def elpd_by_prior_draws(counts, options):
    """Return the leave-one-out of each system: ratios of means of likelihoods over the prior.

    Five problems leave enough of a million draws for an error of about 0.01.
    """
    family, rng, draws = bp.Beta(), np.random.default_rng(1), 1_000_000

    def normal(centre, sd):
        return centre + sd * rng.standard_normal(draws)

    def between(prior):
        return prior.between * np.abs(rng.standard_normal(draws))

    pooled = "pooling" in options
    level = counts.covariates["level"]
    level = (level - level.mean()) / level.std()
    if pooled:
        centre_a = normal(family.log_a.loc, family.log_a.scale)
        centre_m = centre_a - family.log_b.loc + family.log_b.scale * rng.logistic(size=draws)
        spread_a, spread_m = between(family.log_a), between(family.log_b)
    log_p = np.empty((len(counts), draws))
    for system in range(2):
        if pooled:
            tail = np.sqrt(FREEDOM / rng.chisquare(FREEDOM, draws))
            log_a, logit_mean = normal(centre_a, tail * spread_a), normal(centre_m, tail * spread_m)
            effect_a = effect_m = 0.0
        else:
            log_a = normal(family.log_a.loc, family.log_a.scale)
            logit_mean = log_a - family.log_b.loc + family.log_b.scale * rng.logistic(size=draws)
            effect_a, effect_m = normal(0, family.log_a.between), normal(0, family.log_b.between)
        for row in np.flatnonzero(counts.system_index == system):
            x, m = log_a + effect_a * level[row], logit_mean + effect_m * level[row]
            a, b = np.exp(x), np.exp(x - m)
            c, f = counts.successes[row], counts.attempts[row] - counts.successes[row]
            log_p[row] = sp.betaln(a + c, b + f) - sp.betaln(a, b) + np.log(sp.comb(c + f, c))
    whole = np.logaddexp.reduce(log_p.sum(0))
    each = np.array([whole - np.logaddexp.reduce(log_p.sum(0) - one) for one in log_p])
    return {"s": each[:3].sum(), "t": each[3:].sum(), "all": each.sum()}


@pytest.mark.filterwarnings("ignore::bayespassk.errors.ConvergenceWarning")
@pytest.mark.parametrize(
    "options", [{"pooling": "partial"}, {"covariates": "level"}], ids=["pooling", "covariates"]
)
def test_leave_one_out_by_fits_made_again_is_that_of_sums_over_the_prior(
    little, options, monkeypatch
):
    """Also where systems share nothing but how a covariate was standardised.

    The first by quadrature, the second, which it does not take, by NUTS.
    """
    size = {"draws": 2000, "chains": 2, "random_seed": 1, "progress": False}
    fit = bp.fit(little, bp.Beta(), **{"pooling": "none"} | options, **size)
    monkeypatch.setattr(leave_one_out, "_good_k", lambda _: -np.inf)
    monkeypatch.setattr(leave_one_out, "_elpd_without", _once(leave_one_out._elpd_without))
    table = bp.compare({"one": fit, "two": fit}, progress=False)
    exact = table.set_index(["system", "family"])
    assert exact.loc["all", "exact"].tolist() == [5, 5]
    for system, want in elpd_by_prior_draws(little, options).items():
        assert exact.loc[(system, "one"), "elpd"] == pytest.approx(want, abs=0.1)


def _once(slow):
    """Return the function, which is called for each of two equal fits, made to work once."""
    known = {}

    def quick(fit, cells, cell, which, progress):
        key = which.position, cell
        if key not in known:
            known[key] = slow(fit, cells, cell, which, progress)
        return known[key]

    return quick


# Nested systems, covariates of both kinds ------------------------------------------------------

LEVELS = np.arange(1, 6)


@pytest.fixture(scope="module")
def nested_counts():
    """Four systems in two benchmarks, of two sizes each; problems of five levels, easy to hard."""
    rng = np.random.default_rng(3)
    level = np.tile(np.repeat(LEVELS, 8), 4)
    system = np.repeat(np.arange(4), 40)
    size = np.array([1e9, 8e9, 1e9, 7e10])[system]
    logit_mean = -1.0 - 0.6 * (level - 3) + 0.3 * np.log(size / 8e9)
    a = 0.8
    p = rng.beta(a, a * np.exp(-logit_mean))
    return bp.Counts(
        problem=np.tile(np.arange(40), 4),
        attempts=np.full(160, 20),
        successes=rng.binomial(20, p),
        system=np.array(["x", "y"])[system % 2],
        benchmark=np.array(["maths", "code"])[system // 2],
        covariates={"level": level, "size": size, "unused": rng.normal(size=160)},
    )


@pytest.fixture(scope="module")
def nested(nested_counts):
    size = {"draws": 700, "tune": 700, "target_accept": 0.99}
    return bp.fit(
        nested_counts,
        bp.Beta(),
        pooling="partial",
        covariates="level + log(size)",
        random_seed=1,
        **size,
        **QUIET,
    )


def test_systems_are_nested_if_there_are_several_benchmarks(nested):
    def found(systems, benchmarks):
        rows = len(systems)
        counts = bp.Counts(problem=["p"] * rows, attempts=[5] * rows, successes=[1] * rows, system=systems, benchmark=benchmarks)  # fmt: skip
        model = bp.build_model(counts, bp.Beta(), pooling="partial")
        return {"benchmark_centre_log_a", "benchmark_spread_log_a"} <= set(model.named_vars)

    assert not found(["s", "t"], "one")
    assert found(["s", "t"], ["one", "two"])  # one system in each
    assert found(["s", "s"], ["one", "two"])
    assert found(["s", "t", "s"], ["one", "one", "two"])
    assert found(["s", "t", "s", "t"], ["one", "one", "two", "two"])
    assert opened(nested).hierarchy == Hierarchy(
        "partial", 4, ("maths", "code"), (0, 0, 1, 1), ("log(size)",), ("level",), "student-t"
    )
    posterior = nested["posterior"].dataset
    assert posterior["system"].values.tolist() == ["maths/x", "maths/y", "code/x", "code/y"]
    assert posterior["benchmark_centre_log_a"].dims == ("chain", "draw", "in_benchmark")
    assert posterior["in_benchmark"].values.tolist() == ["maths", "code"]
    assert posterior["benchmark_spread_log_a"].dims == ("chain", "draw")
    assert posterior["effect_log_a"].dims == ("chain", "draw", "system_column")
    assert posterior["problem_effect_log_a"].dims == ("chain", "draw", "problem_column")


def test_all_verbs_take_a_nested_fit_with_covariates(nested_counts, nested, tmp_path):
    back = saved(nested, tmp_path)
    xr.testing.assert_identical(back["posterior"].dataset, nested["posterior"].dataset)
    for fit in (nested, back):
        forecast = bp.forecast(fit, [1, 100])
        rate = nested_counts.successes.reshape(4, 40).mean(1) / 20
        np.testing.assert_allclose(forecast.sel(k=1).mean(("chain", "draw")), rate, atol=0.03)
    checked = bp.summarize_check(bp.check(nested, draws=200))
    # Of 1,200 right families the least p-value of "curve" was 4e-5: it is of normal variables.
    least = np.where(checked["statistic"] == "curve", 1e-6, 1e-4)
    assert (checked["p_value"] > least).all()
    assert stats.kstest(bp.loo_pit(nested).values, "uniform").pvalue > FALSE_ALARM
    assert bp.sensitivity(nested, [10, 1000])["prior_share"].between(0, 1).all()
    table = bp.compare({"one": nested, "two": back}, progress=False).set_index("system")
    by_arviz = az.loo(nested)
    assert table.loc["all", "elpd"].iloc[0] == pytest.approx(by_arviz.elpd, abs=0.02)
    assert json.loads(nested.attrs["design"])["formula"] == "level + log(size)"
    assert nested.attrs["input_sha256"] == nested_counts.sha256()
    assert bp.diagnostics(nested).converged


def test_the_level_is_found_to_matter_as_it_does(nested):
    """Truth: -0.6 a level, of a standard deviation of sqrt(2). Within 4 sd of a fixed seed."""
    effect = of_system(nested, "problem_effect_logit_mean")[..., 0] / np.sqrt(2)
    assert abs(effect.mean() + 0.6) < 4 * effect.std()
    assert effect.std() < 0.12


def columns_at(nested_counts, level, size):
    """Return standardised covariates, by hand."""
    known = nested_counts.covariates
    log_size = np.log(known["size"])
    return (
        (level - known["level"].mean()) / known["level"].std(),
        (np.log(size) - log_size.mean()) / log_size.std(),
    )


@pytest.mark.parametrize("benchmark", ["code", None])
def test_a_new_system_of_a_known_or_of_a_new_benchmark(nested_counts, nested, benchmark):
    """A size and level not seen, on a benchmark that was, or on one more of the kind."""
    ks = [1, 100]
    got = bp.forecast_new_system(nested, ks, benchmark=benchmark, at={"level": 7, "size": 1e12})
    level, size = columns_at(nested_counts, 7, 1e12)
    posterior, rng = nested["posterior"].dataset, np.random.default_rng(1)

    def centre_of(name):
        if benchmark is None:
            spread = posterior[f"benchmark_spread_{name}"].values
            centre = posterior[f"centre_{name}"].values + spread * rng.standard_normal(
                (100, *spread.shape)
            )
        else:
            centre = posterior[f"benchmark_centre_{name}"].sel(in_benchmark=benchmark).values
        effects = posterior[f"effect_{name}"].values, posterior[f"problem_effect_{name}"].values
        return centre + effects[0][..., 0] * size + effects[1][..., 0] * level

    assert_new_system(got, posterior, rng, centre_of)


def test_a_new_system_needs_all_covariates_and_a_known_benchmark(nested):
    for options, message in (
        ({}, "exactly 'level', 'size'; 'level' is missing"),
        ({"at": {"level": 3}}, "'size' is missing"),
        ({"at": {"level": 3, "size": 1e9, "unused": 1}}, "'unused' is not among them"),
        ({"at": {"level": 3, "size": -1}}, "cannot be evaluated"),
        ({"at": {"level": 3, "size": 1e9}, "benchmark": "x"}, "nested in, 'maths', 'code'"),
    ):
        with pytest.raises(bp.errors.OptionError, match=message):
            bp.forecast_new_system(nested, 1, **options)


def test_new_problems_of_a_known_system_keep_its_covariates(nested_counts, nested):
    """Those of a system may be left out or said again, not changed."""
    got = bp.forecast(nested, [1, 100], "population", at={"level": 5})
    level, _ = columns_at(nested_counts, 5, 1e9)
    posterior = nested["posterior"].dataset
    moved = {
        name: posterior[name].values + (posterior[f"problem_effect_{name}"].values[..., :1] * level)
        for name in FREE
    }
    a, b = np.exp(moved["log_a"]), np.exp(moved["log_a"] - moved["logit_mean"])
    for i, k in enumerate((1, 100)):
        want = -np.expm1(sp.betaln(a, b + k) - sp.betaln(a, b))
        np.testing.assert_allclose(got.values[..., i], want, rtol=1e-9)
    one = nested["posterior"].dataset["system"].values.tolist().index("maths/x")
    assert opened(nested).hierarchy.system_columns == ("log(size)",)
    with pytest.raises(
        bp.errors.OptionError, match=r"must leave covariates of systems \(log\(size\)\)"
    ):
        bp.forecast(nested, 1, "population", at={"level": 5, "size": 1e9})
    assert opened(nested).parameters(one)["a"].shape == a.shape[:2]
    with pytest.raises(bp.errors.OptionError, match="'level' is missing"):
        bp.forecast(nested, 1, "population", at={"size": 1e9})
    with pytest.raises(bp.errors.OptionError, match="at needs target='population'"):
        bp.forecast(nested, 1, at={"level": 5})
