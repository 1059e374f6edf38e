"""What problems and systems are like shifts the parameters of a fit, and forecasts follow."""

import warnings

import numpy as np
import pytest
from scipy import special as sp, stats

import bayespassk as bp
from bayespassk.judging import comparing, leave_one_out
from bayespassk.posterior.fitted import opened

QUIET = {"progress": False}
FALSE_ALARM = 1e-4
"""Of one test."""

SHIFT, A = -0.5, 0.7
"""Of the logit of the mean, for each level; log a is that of every problem."""


def leveled(rng, systems=1, problems=120, shift=SHIFT):
    """Return counts whose problems are of levels 1 to 5; the mean of level 3 is 1/4."""
    level = np.tile(np.arange(problems) % 5 + 1, systems)
    logit_mean = -np.log(3) + shift * (level - 3)
    p = rng.beta(A, A * np.exp(-logit_mean))
    return bp.Counts(
        problem=np.tile(np.arange(problems), systems),
        attempts=np.full(systems * problems, 30),
        successes=rng.binomial(30, p),
        system=np.repeat([f"s{i}" for i in range(systems)], problems),
        covariates={"level": level, "name": np.array([*"abcde"])[level - 1]},
    )


@pytest.fixture(scope="module")
def counts():
    return leveled(np.random.default_rng(1))


@pytest.fixture(scope="module")
def fit(counts):
    return bp.fit(counts, bp.Beta(), pooling="none", covariates="level", random_seed=1, **QUIET)


def test_the_effect_of_a_level_is_recovered():
    """Over ten simulated logs, in units of the posterior's sd, truth is about as far as a normal.

    The sum of ten squares is chi-squared but for the prior, which is ten times as wide; a quarter
    is allowed for that.
    """
    z = {"logit_mean": [], "log_a": []}
    for seed in range(10):
        counts = leveled(np.random.default_rng(100 + seed))
        found = bp.fit(
            counts,
            bp.Beta(),
            pooling="none",
            covariates="level",
            draws=500,
            random_seed=seed,
            **QUIET,
        )
        assert found["posterior"]["problem_effect_log_a"].dims == ("chain", "draw", "system", "problem_column")  # fmt: skip
        sd = counts.covariates["level"].std()
        for name, truth in (("logit_mean", SHIFT * sd), ("log_a", 0.0)):
            values = found["posterior"][f"problem_effect_{name}"].values
            z[name].append((values.mean() - truth) / values.std())
    for name, values in z.items():
        assert np.sum(np.square(values)) < 1.25 * stats.chi2.isf(FALSE_ALARM / 2, 10), (name, values)  # fmt: skip


def test_an_effect_that_is_not_there_is_not_found(fit):
    """Of the fixture: that of the level is more than 5 sd from 0, of an unrelated number not 4."""
    effect = fit["posterior"]["problem_effect_logit_mean"].values
    assert effect.mean() < -5 * effect.std()
    rng = np.random.default_rng(7)
    plain = leveled(rng, shift=0.0)
    null = bp.fit(
        plain, bp.Beta(), pooling="none", covariates="level", draws=500, random_seed=1, **QUIET
    )
    effect = null["posterior"]["problem_effect_logit_mean"].values
    assert abs(effect.mean()) < 4 * effect.std()


def at_level(fit, counts, level):
    """Return a and b, dims (chain, draw), of problems of a level, by hand."""
    known = counts.covariates["level"]
    posterior = fit["posterior"].dataset.isel(system=0)
    z = (level - known.mean()) / known.std()
    log_a, logit_mean = (
        posterior[name].values + posterior[f"problem_effect_{name}"].values[..., 0] * z
        for name in ("log_a", "logit_mean")
    )
    return np.exp(log_a), np.exp(log_a - logit_mean)


def test_a_forecast_at_a_level_is_that_of_shifted_parameters(counts, fit):
    """In closed form; at levels between, and beyond, those seen too."""
    ks = np.array([1, 10, 1000])
    for level in (1, 2.5, 9):
        got = bp.forecast(fit, ks, "population", at={"level": level}).values[:, :, 0]
        a, b = at_level(fit, counts, level)
        for i, k in enumerate(ks):
            np.testing.assert_allclose(got[..., i], -np.expm1(sp.betaln(a, b + k) - sp.betaln(a, b)), rtol=1e-9)  # fmt: skip


def test_a_forecast_of_the_population_is_the_mean_over_levels(counts, fit):
    """Of problems with the levels of those attempted."""
    ks = [1, 100]
    each = [bp.forecast(fit, ks, "population", at={"level": i}).values for i in range(1, 6)]
    np.testing.assert_allclose(bp.forecast(fit, ks, "population").values, np.mean(each, 0), rtol=1e-9)  # fmt: skip
    assert (counts.covariates["level"] == 1).sum() == len(counts) / 5


def test_problems_come_in_groups_of_equal_parameters(counts, fit):
    parts = opened(fit).parts[0]
    assert len(parts) == 5
    assert sorted(np.concatenate([part.rows for part in parts])) == list(range(len(counts)))
    for part in parts:
        (level,) = set(counts.covariates["level"][part.rows].tolist())
        a, b = at_level(fit, counts, level)
        np.testing.assert_allclose(part.parameters["a"], a)
        np.testing.assert_allclose(part.parameters["b"], b)
        np.testing.assert_array_equal(part.cells.successes[part.cells.inverse], counts.successes[part.rows])  # fmt: skip


def test_a_forecast_of_the_benchmark_is_of_each_problem_at_its_level(counts, fit):
    """The mean over draws is that of 1 - M(c, n - c + k) / M(c, n - c), problem by problem."""
    for k in (1, 100, 10_000):
        want = 0.0
        for row, level in enumerate(counts.covariates["level"]):
            a, b = at_level(fit, counts, level)
            a, b = a + counts.successes[row], b + counts.attempts[row] - counts.successes[row]
            want = want - np.expm1(sp.betaln(a, b + k) - sp.betaln(a, b)) / len(counts)
        for target in ("benchmark", "realised"):
            got = bp.forecast(fit, k, target, random_seed=3).values[:, :, 0, 0]
            error = (got - want).std() / np.sqrt(got.size)  # draws of p are independent
            assert abs((got - want).mean()) < stats.norm.isf(FALSE_ALARM / 12) * error


def test_the_likelihood_is_that_of_each_problem_at_its_level(counts, fit):
    got = fit["log_likelihood"]["successes"].values
    for row in (0, 1, 57):
        a, b = at_level(fit, counts, counts.covariates["level"][row])
        c, n = counts.successes[row], counts.attempts[row]
        want = stats.betabinom.logpmf(c, n, a, b)
        np.testing.assert_allclose(got[..., row], want, rtol=1e-9)


def test_leave_one_out_prefers_a_covariate_that_matters(counts, fit):
    """And a fit with it and one without are of the same counts."""
    without = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, **QUIET)
    table = bp.compare({"level": fit, "none": without}, progress=False)
    assert table["family"].tolist() == ["level", "none"]
    assert table.loc["none", "elpd_diff"] < -2 * table.loc["none", "dse"]
    sampled = leave_one_out._importance_sampled(opened(fit), comparing._rows_of(opened(fit), True), leave_one_out.Which("level", "s0", 0), 1.0)  # fmt: skip
    assert len(sampled.elpd) == len(counts)


@pytest.mark.parametrize("target", ["benchmark", "population"])
def test_attempts_are_allocated_among_problems_that_differ(fit, target):
    found = bp.allocate(fit, 500, 1000, target)
    assert int(found["attempts"].sum()) == 500
    assert int(found["new_problems"][0]) == 0
    assert float(found["sd_expected"][0]) < float(found["sd"][0])


def test_new_problems_have_no_covariates_to_be_allocated_by(fit):
    with pytest.raises(bp.errors.OptionError, match="new_problems needs a fit without covariates"):
        bp.allocate(fit, 500, 1000, "population", new_problems=3)


def test_text_has_an_effect_for_each_value_but_the_first(counts):
    found = bp.fit(
        counts, bp.Beta(), pooling="none", covariates=["name"], draws=500, random_seed=1, **QUIET
    )
    posterior = found["posterior"].dataset
    assert posterior["problem_column"].values.tolist() == [f"name[T.{i}]" for i in "bcde"]
    draws = [bp.forecast(found, 1, "population", at={"name": i}).mean() for i in "abcde"]
    assert draws[0] > draws[2] > draws[4]
    with pytest.raises(bp.errors.OptionError, match="name='z' was not seen"):
        bp.forecast(found, 1, "population", at={"name": "z"})


def test_a_covariate_of_one_system_by_itself_is_refused_without_pooling(counts):
    size = np.repeat([1.0, 2.0], 60)
    frame = counts.to_dataframe().assign(system=size.astype(str), size=size)
    two = bp.Counts.from_dataframe(frame, covariates=["size"])
    with pytest.raises(
        bp.errors.OptionError, match="'size' is the same for all problems of a system"
    ):
        bp.fit(two, bp.Beta(), pooling="none", covariates="size")


def test_the_effect_of_what_systems_are_like_is_recovered_from_many():
    """Twelve systems: 0.9 in the logit of the mean a sd of log size; spread 0.3. A fixed seed.

    Within 4 sd of the truth, and more than 4 from nothing.
    """
    rng = np.random.default_rng(5)
    systems, problems = 12, 40
    size = 10.0 ** rng.uniform(8, 12, systems)
    z = (np.log(size) - np.log(size).mean()) / np.log(size).std()
    logit_mean = -1.0 + 0.9 * z + 0.3 * rng.standard_normal(systems)
    p = rng.beta(A, np.repeat(A * np.exp(-logit_mean), problems))
    counts = bp.Counts(
        problem=np.tile(np.arange(problems), systems),
        attempts=np.full(systems * problems, 20),
        successes=rng.binomial(20, p),
        system=np.repeat([f"s{i}" for i in range(systems)], problems),
        covariates={"size": np.repeat(size, problems)},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.errors.ConvergenceWarning)  # fewer draws than by default
        fit = bp.fit(
            counts, bp.Beta(), pooling="partial", covariates="log(size)", draws=400, tune=600, chains=2, random_seed=1, **QUIET
        )  # fmt: skip
    effect = fit["posterior"]["effect_logit_mean"].values
    assert abs(effect.mean() - 0.9) < 4 * effect.std()
    assert effect.mean() > 4 * effect.std()
    small, large = (
        bp.forecast_new_system(fit, 10, at={"size": value}) for value in (1e8, 1e12)
    )  # fmt: skip
    assert float((large > small).mean()) > 0.9
