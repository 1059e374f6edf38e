"""The model of build_model is that which fit samples, and PyMC's verbs work on it."""

import numpy as np
import nutpie
import pandas as pd
import pymc as pm
import pytensor
import pytest
import xarray as xr
from scipy.special import gammaln

import bayespassk as bp
from bayespassk.fitting.model import Setup, model_of

FAST = pytensor.compile.mode.get_mode("FAST_COMPILE").excluding("fusion")

FAMILIES = {
    "beta": bp.Beta(),
    "kumaraswamy": bp.Kumaraswamy(),
    "libby-novick": bp.LibbyNovick(),
    "scaled-beta": bp.ScaledBeta(),
    "generalized-beta": bp.GeneralizedBeta(),
    "logit-normal": bp.LogitNormal(),
    "mixture": bp.Mixture(bp.Beta(), bp.Kumaraswamy()),
    "zero-inflated": bp.ZeroInflated(bp.LibbyNovick()),
    "one-inflated": bp.OneInflated(bp.Beta()),
    "verified": bp.Verified(
        bp.ZeroInflated(bp.Beta()),
        true_positive_rate=bp.Prior.beta(95, 5),
        false_positive_rate=0.01,
    ),
}


@pytest.fixture(scope="module")
def few():
    """Two systems on six problems, whose attempts differ, with covariates of both kinds."""
    n = np.array([20, 20, 20, 50, 50, 50] * 2)
    successes = np.array([0, 0, 3, 0, 7, 50, 1, 0, 20, 4, 40, 49])
    level, size = np.tile(np.arange(6.0), 2), np.repeat([1.0, 2.0], 6)
    return bp.Counts(
        problem=list("abcdef") * 2,
        attempts=n,
        successes=successes,
        system=np.repeat(["small", "large"], 6),
        benchmark="b",
        covariates={"level": level, "size": size},
    )


def densities(model, points):
    f = model.compile_logp(mode=FAST)
    return np.array([float(f(point)) for point in points])


def points_of(model, rng, number=3):
    first = model.initial_point()
    return [
        {name: value + 0.5 * rng.normal(size=value.shape) for name, value in first.items()}
        for _ in range(number)
    ]


def assert_same(counts, family, pooling, covariates=None):
    """Assert that densities differ by the logs of binomial coefficients, and by nothing else."""
    setup = Setup.of(counts, family, pooling, covariates)
    compressed = model_of(setup.family, setup.hierarchy, setup.data(), counts.systems)
    model = bp.build_model(counts, family, pooling=pooling, covariates=covariates)
    points = points_of(model, np.random.default_rng(1))
    assert set(points[0]) == set(compressed.initial_point())
    apart = densities(model, points) - densities(compressed, points)
    n, c = counts.attempts, counts.successes
    choices = gammaln(n + 1) - gammaln(c + 1) - gammaln(n - c + 1)
    np.testing.assert_allclose(apart, choices.sum(), rtol=1e-9)


@pytest.mark.parametrize("name", FAMILIES)
def test_it_has_the_density_of_what_fit_samples(few, name):
    assert_same(few, FAMILIES[name], "none")


@pytest.mark.parametrize("covariates", [None, "size + level"])
def test_so_it_has_with_pooling_and_covariates(few, covariates):
    assert_same(few, bp.ZeroInflated(bp.LibbyNovick()), "partial", covariates)
    assert_same(few, bp.Beta(), "partial", covariates)


def test_a_covariate_of_problems_without_pooling(few):
    assert_same(few, bp.Kumaraswamy(), "none", "level")


def test_names_and_dims_are_those_of_a_paper(few):
    model = bp.build_model(few, bp.LibbyNovick(), pooling="none")
    assert {rv.name for rv in model.free_RVs} == {"log_a", "log_b", "logit_knee"}
    assert [rv.name for rv in model.observed_RVs] == ["successes"]
    assert {"a", "b", "log_odds"} <= {one.name for one in model.deterministics}
    assert set(model.coords) == {"system", "problem"}
    assert model.coords["problem"][:2] == ("small: a", "small: b")
    assert model.named_vars_to_dims["successes"] == ("problem",)
    assert not model.potentials
    one = bp.build_model(few.select("small"), bp.Beta(), pooling="none")
    assert one.coords["problem"] == tuple("abcdef")
    nested = bp.build_model(few, bp.Beta(), pooling="partial", covariates="size + level")
    assert {"system_column", "problem_column"} <= set(nested.coords)
    assert "benchmark" not in nested.coords


@pytest.mark.parametrize("name", FAMILIES)
def test_p_written_out_gives_the_same_likelihood(name, full_size):
    """The integral over logit p of its density times the binomial is the likelihood without it."""
    if name not in ("scaled-beta", "verified") and not full_size:
        pytest.skip("the hardest two; others with --slow")
    family = FAMILIES[name]
    counts = bp.Counts(problem=["x", "y"], attempts=[12, 12], successes=[0, 3])
    model = bp.build_model(counts, family, pooling="none", latent=True)
    direct = bp.build_model(counts, family, pooling="none")
    point = direct.initial_point()
    value = direct.compile_logp(vars=direct.observed_RVs, mode=FAST, sum=False)(point)[0]
    natural = model.initial_point()
    logit = next(n for n in natural if n.startswith("logit_p") and "rate" not in n)
    x = np.linspace(-60, 30, 2401)
    x = x if logit == "logit_p" else np.linspace(-12, 5, 2401)  # log of a distance from an end
    f = model.compile_logp(
        vars=[model["logit_p"], model["successes"]], mode=FAST, sum=False, jacobian=True
    )
    each = np.array([sum(f(natural | point | {logit: np.array([v, v])})) for v in x])
    got = np.log(np.trapezoid(np.exp(each), x, axis=0))
    np.testing.assert_allclose(got, value, atol=2e-4)


@pytest.fixture(scope="module")
def of_runs():
    """Runs that differ from problem to problem, one of which lacks one."""
    rows = [(s, p, r, n, c) for s in "uv" for p, r, n, c in zip("xxyyyz", "121231", (5, 5, 9, 5, 5, 7), (0, 3, 0, 1, 5, 0), strict=True)]  # fmt: skip
    names = ["system", "problem", "run", "attempts", "successes"]
    return bp.Counts.from_runs(pd.DataFrame(rows, columns=names))


@pytest.mark.parametrize(
    "family",
    [bp.Dependent(bp.Beta(), sd=0.5), bp.ZeroInflated(bp.Dependent(bp.Beta())), bp.Dependent(bp.ZeroInflated(bp.LibbyNovick()))],
    ids=str,
)  # fmt: skip
def test_attempts_in_runs_have_a_dim_of_runs(of_runs, family, full_size):
    if "libby-novick" in family.full_name and not full_size:
        pytest.skip("with --slow: it compiles for some seconds, and differs in its base alone")
    setup = Setup.of(of_runs, family, "none", None)
    compressed = model_of(setup.family, setup.hierarchy, setup.data(), of_runs.systems)
    model = bp.build_model(of_runs, family, pooling="none")
    assert model.named_vars_to_dims["successes"] == ("problem", "run")
    assert model.coords["run"] == ("1", "2", "3")
    points = points_of(model, np.random.default_rng(1))
    apart = densities(model, points) - densities(compressed, points)
    n, c = of_runs.runs.attempts, of_runs.runs.successes
    choices = gammaln(n + 1) - gammaln(c + 1) - gammaln(n - c + 1)
    np.testing.assert_allclose(apart, choices.sum(), atol=2e-3)
    with pytest.raises(bp.errors.OptionError, match="attempts of a run have a p of their own"):
        bp.build_model(of_runs, family, pooling="none", latent=True)


def test_runs_that_each_problem_has_of_its_own_are_numbered():
    rows = [(p, f"{p}-{r}", 5, r) for p in range(40) for r in range(2)]
    table = pd.DataFrame(rows, columns=["problem", "run", "attempts", "successes"])
    model = bp.build_model(bp.Counts.from_runs(table), bp.Dependent(bp.Beta()))
    assert model.coords["run"] == (0, 1)
    np.testing.assert_array_equal(model["successes"].eval()[3:5].shape, (2, 2))


def test_draws_of_a_sampler_for_runs_are_a_fit(of_runs):
    family = bp.Dependent(bp.Beta())
    rng = np.random.default_rng(1)
    draws = {
        name: (("chain", "draw", "system"), rng.gamma(9, 0.1, (2, 500, 2)))
        for name in ("a", "b", "run_sd")
    }
    fit = bp.from_posterior(xr.Dataset(draws), of_runs, family)
    given, kept = draws["run_sd"][1], fit["posterior"]["run_sd"].values
    np.testing.assert_allclose(kept, given, rtol=0.026)
    assert len(np.unique(kept)) < 60
    assert not bp.summarize(bp.forecast(fit, [1, 100], run_length=5)).empty


# PyMC's verbs: the rows of docs/reference/pymc-and-arviz.md ---------------------------------------


@pytest.fixture(scope="module")
def model(few):
    return bp.build_model(few, bp.Beta(), pooling="none")


@pytest.fixture(scope="module")
def sampled(model):
    """What pm.sample finds, by nutpie, with all that PyMC adds to it."""
    compiled = []

    def compile_it(*args, **options):
        compiled.append(args)
        return nutpie_compile(*args, **options)

    with model, pytest.MonkeyPatch.context() as patch:
        nutpie_compile = nutpie.compile_pymc_model
        patch.setattr(nutpie, "compile_pymc_model", compile_it)
        trace = pm.sample(draws=500, tune=300, chains=2, cores=1, random_seed=1, progressbar=False)
        assert len(compiled) == 1
        quick = {"progressbar": False, "compile_kwargs": {"mode": FAST}}
        pm.compute_log_likelihood(trace, **quick)
        pm.stats.compute_log_prior(trace, **quick)
        pm.sample_posterior_predictive(trace, extend_inferencedata=True, random_seed=1, **quick)
    return trace


def test_sample_finds_the_posterior_of_fit(few, sampled):
    exact = bp.fit(few, bp.Beta(), pooling="none", random_seed=1, progress=False)["exact"]
    for name in ("log_a", "logit_mean"):
        for system in few.systems:
            values = sampled["posterior"][name].sel(system=system).values
            mean, sd = exact[name].sel(system=system).values
            assert abs(values.mean() - mean) < 0.25 * sd, name  # the ESS is some 500
            assert abs(values.std() / sd - 1) < 0.2


def test_compute_log_likelihood_has_that_of_each_problem(few, sampled):
    group = sampled["log_likelihood"]["successes"]
    assert group.dims == ("chain", "draw", "problem")
    fit = bp.from_posterior(sampled, few, bp.Beta())
    np.testing.assert_allclose(group.values, fit["log_likelihood"]["successes"].values, atol=1e-8)


def test_compute_log_prior_has_that_of_each_parameter(sampled):
    own = sampled["log_prior"]
    want = bp.Beta().log_a.log_density(sampled["posterior"]["log_a"].values, bp.Beta().log_a.loc)
    np.testing.assert_allclose(own["log_a"].values, want, atol=1e-9)


def test_sample_posterior_predictive_replicates_successes(few, sampled):
    replicated = sampled["posterior_predictive"]["successes"]
    assert replicated.dims == ("chain", "draw", "problem")
    assert (replicated.values >= 0).all()
    assert (replicated.values <= few.attempts).all()
    a, b = (sampled["posterior"][name].values[..., few.system_index] for name in "ab")
    each = replicated.values - few.attempts * a / (a + b)
    assert abs(each.mean() / (each.std() / np.sqrt(each.size))) < 6


def test_sample_prior_predictive_draws_from_all_of_it(few):
    """Also of rates with a beta prior, and with p written out."""
    model = bp.build_model(few, FAMILIES["verified"], pooling="none", latent=True)
    with model:
        drawn = pm.sample_prior_predictive(
            200, random_seed=1, compile_kwargs={"mode": "FAST_COMPILE"}
        )
    rate = drawn["prior"]["true_positive_rate"].values
    assert abs(rate.mean() - 0.95) < 0.01
    p, c = drawn["prior"]["p"].values, drawn["prior_predictive"]["successes"].values
    assert (c[p < 1e-9] <= few.attempts.max() * 0.2).all()  # false positives alone
    assert c.max() > 40


def test_do_and_observe(model):
    """What is set is no longer sampled; a model without data can be given them."""
    done = pm.do(model, {"log_a": np.log([0.3, 0.5])})
    assert [rv.name for rv in done.free_RVs] == ["logit_mean"]
    drawn = pm.draw(done["a"], random_seed=1, mode=FAST)
    np.testing.assert_allclose(drawn, [0.3, 0.5])
    seen = pm.observe(model, {"log_a": np.log([0.3, 0.5])})
    point = {"logit_mean": np.zeros(2)}
    whole = model.compile_logp(mode=FAST)(point | {"log_a": np.log([0.3, 0.5])})
    assert float(seen.compile_logp(mode=FAST)(point)) == pytest.approx(float(whole))


def test_other_attempts_are_other_data(few):
    model = bp.build_model(few, bp.Kumaraswamy(), pooling="none")
    point = points_of(model, np.random.default_rng(1), 1)[0]
    f = model.compile_logp(mode=FAST)
    before = float(f(point))
    with model:
        pm.set_data({"attempts": few.attempts + 1000})
    more = bp.Counts(problem=few.problem, attempts=few.attempts + 1000, successes=few.successes, system=np.repeat(few.systems, 6))  # fmt: skip
    again = bp.build_model(more, bp.Kumaraswamy(), pooling="none")
    assert float(f(point)) == pytest.approx(densities(again, [point])[0], abs=1e-6)
    assert abs(float(f(point)) - before) > 10


def test_it_is_drawn(model):
    text = str(pm.model_to_graphviz(model))
    assert "BetaBinomial" in text
    assert "problem" in text


def test_the_text_of_the_model_names_its_distribution(model):
    assert "BetaBinomial" in model.str_repr()


def test_attempts_that_stay_need_not_be_looked_up(few):
    """Frozen, the model is made of constants, and has the same density."""
    from pymc.model.transform.optimization import freeze_dims_and_data

    model = bp.build_model(few, bp.Kumaraswamy(), pooling="none")
    frozen = freeze_dims_and_data(model)
    points = points_of(model, np.random.default_rng(2))
    np.testing.assert_allclose(densities(frozen, points), densities(model, points), atol=1e-8)

    def looks_up(one):
        nodes = one.compile_logp(mode=FAST).f.maker.fgraph.apply_nodes
        return any(type(node.op).__name__ == "_Constants" for node in nodes)

    assert looks_up(model)
    assert not looks_up(frozen)


def test_fit_approximates(model, full_size):
    if not full_size:
        pytest.skip("some seconds of compiling; with --slow")
    with model:
        found = pm.fit(
            2000, method="fullrank_advi", random_seed=1, progressbar=False,
            obj_optimizer=pm.adam(learning_rate=0.03),
        )  # fmt: skip
    assert np.isfinite(found.hist[-1])
    assert found.hist[-100:].mean() < found.hist[:100].mean()
