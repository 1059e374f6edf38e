"""The bootstrap over problems: the same for all ways of computing it, and right where it is known."""

from functools import partial

import numpy as np
import pytest
from scipy import stats

import bayespassk as bp
from bayespassk import estimators

ESTIMATORS = [getattr(estimators, name) for name in (
    "bayes_at_n", "beta_binomial_mle", "brown", "chen", "discretised_beta", "log_log", "plug_in",
    "saber_anchored", "saber_plugin",
)]  # fmt: skip

everyone = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda f: f.__name__)


@pytest.fixture(scope="module")
def counts():
    return bp.thin(bp.load_example(), 60, random_seed=1)


@everyone
def test_all_replicates_together_are_each_by_itself(estimator, counts):
    """Evaluated at once with weights, as with counts made for each replicate."""
    options = {"replicates": 30, "random_seed": 8, "prob": 0.5}
    together = estimators.bootstrap(estimator, counts, [2, 60], **options)
    alone = estimators.bootstrap(partial(estimator), counts, [2, 60], **options)
    tolerance = 2e-3 if estimator is estimators.discretised_beta else 1e-7
    np.testing.assert_allclose(together, alone, rtol=tolerance)


@everyone
def test_intervals_are_labelled_and_repeat(estimator, counts):
    one = estimators.bootstrap(estimator, counts, [1, 50], replicates=20, random_seed=3)
    assert one.dims == ("system", "k", "ci_bound")
    assert one["ci_bound"].values.tolist() == ["lower", "upper"]
    assert (one.sel(ci_bound="lower") <= one.sel(ci_bound="upper")).all()
    again = estimators.bootstrap(estimator, counts, [1, 50], replicates=20, random_seed=3)
    np.testing.assert_array_equal(one, again)


def test_the_interval_of_a_mean_is_the_normal_one():
    """pass@1 is a mean over 2,000 problems; 20,000 replicates leave an error of 3% of its SE."""
    rng = np.random.default_rng(1)
    n = 30
    c = rng.binomial(n, rng.beta(0.5, 1.5, 2000))
    counts = bp.Counts(problem=range(2000), attempts=[n] * 2000, successes=c)
    found = estimators.bootstrap(estimators.chen, counts, 1, 20_000, 0.9, random_seed=1).values[
        0, 0
    ]
    error = c.std() / n / np.sqrt(2000)
    want = c.mean() / n + error * stats.norm.ppf([0.05, 0.95])
    np.testing.assert_allclose(found, want, atol=0.1 * error)


def test_a_system_is_resampled_alike_whichever_others_are_there(counts):
    easy = bp.Counts(
        problem=range(20), attempts=[60] * 20, successes=[*range(40, 60)], system="other"
    )
    both = bp.Counts(
        problem=[*easy.problem, *counts.problem],
        attempts=[*easy.attempts, *counts.attempts],
        successes=[*easy.successes, *counts.successes],
        system=[*easy.system, *counts.system],
    )
    options = {"replicates": 50, "random_seed": 2}
    alone = estimators.bootstrap(estimators.plug_in, counts, 10, **options)
    together = estimators.bootstrap(estimators.plug_in, both, 10, **options)
    np.testing.assert_allclose(together.values[1], alone.values[0], rtol=1e-12)


@everyone
def test_replicates_without_a_success_are_no_obstacle(estimator):
    """With one problem of eight ever solved, a third of the replicates hold none."""
    rare = bp.Counts(problem=range(8), attempts=[10] * 8, successes=[2] + [0] * 7)
    found = estimators.bootstrap(estimator, rare, [1, 10], replicates=60, random_seed=1)
    assert np.isfinite(found).all()
    if estimator is not estimators.bayes_at_n:
        assert (found.sel(ci_bound="lower") == 0).all()


def test_where_nothing_was_solved_the_interval_has_no_length():
    none = bp.Counts(problem=range(8), attempts=[10] * 8, successes=[0] * 8)
    for estimator in (estimators.chen, estimators.brown, estimators.saber_plugin):
        assert (estimators.bootstrap(estimator, none, [1, 10], replicates=5) == 0).all()


def test_what_the_estimator_refuses_is_refused_before_resampling(counts):
    with pytest.raises(bp.errors.OptionError, match="Chen's estimator needs 1 <= k"):
        estimators.bootstrap(estimators.chen, counts, 61)


def test_what_is_not_an_estimate_of_pass_at_k_is_refused(counts):
    with pytest.raises(
        bp.errors.OptionError, match=r"dims \(system, k\), of shape \(2, 1\); got shape"
    ):
        estimators.bootstrap(estimators.saber_anchored_interval, counts, 10)


@pytest.mark.parametrize(("option", "message"), [({"replicates": 1}, "replicates must"), ({"replicates": 2.5}, "replicates must"), ({"prob": 1.0}, "prob must"), ({"k": 0}, "k must")])  # fmt: skip
def test_options_that_mean_nothing_are_refused(counts, option, message):
    with pytest.raises(bp.errors.OptionError, match=message):
        estimators.bootstrap(estimators.plug_in, counts, **({"k": 10} | option))
