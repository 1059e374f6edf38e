"""What holds for every estimator: labels, one system and many, extremes, and what is refused."""

import numpy as np
import pytest
import xarray as xr

import bayespassk as bp
from bayespassk import estimators
from bayespassk.estimators import histogram_beta

FOR_ANY_K = [
    estimators.bayes_at_n,
    estimators.beta_binomial_mle,
    estimators.brown,
    estimators.discretised_beta,
    estimators.log_log,
    estimators.plug_in,
    estimators.saber_anchored,
    estimators.saber_plugin,
]
NEED_FIXED = [
    estimators.brown,
    estimators.discretised_beta,
    estimators.log_log,
    estimators.plug_in,
    estimators.saber_anchored,
    estimators.saber_anchored_interval,
]
ANY_RULE = [estimators.bayes_at_n, estimators.beta_binomial_mle, estimators.saber_plugin]

everyone = pytest.mark.parametrize("estimator", FOR_ANY_K, ids=lambda f: f.__name__)


def counts_of(attempts, successes, **kw):
    return bp.Counts(problem=range(len(attempts)), attempts=attempts, successes=successes, **kw)


@pytest.fixture(scope="module")
def two():
    """Return two systems that differ, one with unequal attempts."""
    rng = np.random.default_rng(2)
    n = np.where(np.arange(80) < 40, 50, rng.integers(20, 90, 80))
    c = rng.binomial(n, rng.beta(0.4, 3.0, 80))
    system = ["x"] * 40 + ["y"] * 40
    return bp.Counts(problem=[*range(40)] * 2, attempts=n, successes=c, system=system)


@everyone
def test_systems_are_estimated_by_themselves_and_labelled(estimator, two):
    both = estimator(two, [5, 1, 300])
    assert isinstance(both, xr.DataArray)
    assert both.dims == ("system", "k")
    assert both["system"].values.tolist() == ["x", "y"]
    assert both["benchmark"].values.tolist() == ["benchmark"] * 2
    assert both["k"].values.tolist() == [5, 1, 300]
    for system in ("x", "y"):
        alone = estimator(two.select(system), [5, 1, 300])
        np.testing.assert_allclose(alone.values[0], both.sel(system=system), rtol=1e-9)
    assert estimator(two, 5).shape == (2, 1)


@everyone
def test_estimates_rise_with_k_within_0_and_1_at_any_k(estimator, two):
    found = estimator(two, [1, 2, 10, 1000, 10**6, 10**12]).values
    assert (np.diff(found) >= 0).all()
    assert ((found >= 0) & (found <= 1)).all()


@everyone
def test_millions_of_attempts_do_not_overflow(estimator):
    rng = np.random.default_rng(4)
    p = rng.beta(0.3, 5.0, 30)
    n = 3_000_000
    counts = counts_of([n] * 30, rng.binomial(n, p))
    ks = [1, 1000, n, 10**12]
    found = estimator(counts, ks).values[0]
    assert np.isfinite(found).all()
    if estimator is estimators.bayes_at_n:
        assert found[0] == pytest.approx(np.mean((counts.successes + 1) / (n + 2)), rel=1e-6)
    if estimator is estimators.saber_anchored:  # which is a law for k from n on
        assert found[2] == pytest.approx((counts.successes > 0).mean())
    else:
        assert found[1] == pytest.approx(estimators.chen(counts, 1000)[0, 0], abs=0.1)


@everyone
def test_with_nothing_solved_the_answer_is_what_is_documented(estimator):
    found = estimator(counts_of([20] * 9, [0] * 9), [1, 20, 10**6]).values[0]
    want = (
        [1 / 22, 20 / 41, 1 - 21 / (10**6 + 21)] if estimator is estimators.bayes_at_n else [0] * 3
    )
    np.testing.assert_allclose(found, want, atol=1e-12)


@everyone
def test_with_everything_solved_the_answer_is_1_or_near(estimator):
    found = estimator(counts_of([20] * 9, [20] * 9), [20, 1000]).values[0]
    np.testing.assert_allclose(found, 1, atol=1e-3)


@everyone
@pytest.mark.parametrize("successes", [[0, 20, 0, 20], [10, 10, 10, 10], [1, 0, 0, 0], [19, 20, 20, 20], [20, 20, 20, 0], [1, 1, 1, 1]])  # fmt: skip
def test_odd_counts_give_a_number(estimator, successes):
    """Always or never solved, rates that do not differ, one success, one failure."""
    found = estimator(counts_of([20] * 4, successes), [1, 2, 20, 10**12]).values[0]
    assert np.isfinite(found).all()
    assert (np.diff(found) >= -1e-12).all()


def test_limits_of_the_likelihood_are_reached():
    """No spread beyond chance: the binomial. Always or never: the share that is solved."""
    same = counts_of([20] * 30, [10] * 30)
    assert estimators.beta_binomial_mle(same, 3)[0, 0] == pytest.approx(1 - 0.5**3, abs=0.01)
    hard = counts_of([100] * 30, [1] * 30)  # no box: alpha and beta grow, their ratio is the rate
    assert estimators.saber_plugin(hard, 40)[0, 0] == pytest.approx(1 - 0.99**40, abs=1e-3)
    always = counts_of([20] * 4, [20, 20, 20, 0])
    assert estimators.saber_anchored(always, 10**6)[0, 0] == pytest.approx(0.75, abs=1e-6)
    assert estimators.beta_binomial_mle(always, 1)[0, 0] == pytest.approx(0.75, abs=0.03)


def test_points_at_which_pass_at_k_is_1_are_left_out_of_the_line():
    counts = counts_of([10] * 5, [6, 7, 8, 9, 10])  # 1 from k = 5 on
    at = [1, 2, 3, 4]
    within = estimators.log_log(counts, [1, 100], at=at)
    beyond = estimators.log_log(counts, [1, 100], at=[*at, 5, 6, 10])
    np.testing.assert_allclose(within, beyond, rtol=1e-12)


def test_a_curve_that_is_1_from_the_second_k_on_is_a_step():
    found = estimators.log_log(counts_of([10] * 4, [9, 10, 10, 10]), [1, 2, 10**9]).values[0]
    np.testing.assert_allclose(found, [0.975, 1, 1], rtol=1e-12)


def test_the_regressions_use_k_up_to_the_fewest_attempts():
    """More attempts at some problems change the points on the line, not where it is fitted."""
    rng = np.random.default_rng(0)
    p = rng.beta(0.5, 3.0, 3000)
    n = np.where(np.arange(3000) % 2, 40, 4000)
    ragged = counts_of(n, rng.binomial(n, p))
    plain = counts_of([40] * 3000, rng.binomial(40, p))
    for estimator in (estimators.log_log, estimators.brown):
        np.testing.assert_allclose(estimator(ragged, 1000), estimator(plain, 1000), atol=0.03)


def test_the_anchor_is_met_at_n(two):
    one = two.select("x")
    share = float((one.successes > 0).mean())
    assert estimators.saber_anchored(one, 50)[0, 0] == pytest.approx(share)
    interval = estimators.saber_anchored_interval(one, [50, 5000], prob=0.8)
    assert interval.dims == ("system", "k", "ci_bound")
    np.testing.assert_allclose(interval.sel(k=50).values[0], share)
    point = estimators.saber_anchored(one, 5000).values[0, 0]
    lower, upper = interval.sel(k=5000).values[0]
    assert lower < point < upper
    wider = estimators.saber_anchored_interval(one, 5000, prob=0.99).values[0, 0]
    assert wider[0] < lower < upper < wider[1]


def test_where_attempts_differ_the_anchor_is_chen_at_the_fewest(two):
    one = two.select("y")
    n = int(one.attempts.min())
    found = estimators.saber_anchored(one, n)[0, 0]
    assert found == pytest.approx(estimators.chen(one, n)[0, 0], rel=1e-12)


def test_the_budget_is_where_the_anchored_estimate_reaches_the_target(two):
    budget = estimators.saber_budget(two, [0.7, 0.9, 0.99])
    assert budget.dims == ("system", "target")
    for system in ("x", "y"):
        for target in (0.9, 0.99):
            k = float(budget.sel(system=system, target=target))
            around = estimators.saber_anchored(two.select(system), [int(k), int(k) + 1]).values[0]
            assert around[0] <= target <= around[1] + 1e-12
    assert estimators.saber_budget(two, 0.001).values.tolist() == [[50], [two.attempts.min()]]
    nothing = estimators.saber_budget(counts_of([20] * 9, [0] * 9), 0.5)
    assert np.isinf(nothing.values).all()


@pytest.mark.parametrize(
    "successes", [[0, 0, 0, 0], [20, 20, 20, 20], [0, 20, 0, 20], [10, 10, 10, 10]]
)
def test_the_interval_is_refused_where_the_likelihood_has_no_maximum(successes):
    with pytest.raises(
        bp.errors.CountsError, match="likelihood has a maximum; that of system 'system'"
    ):
        estimators.saber_anchored_interval(counts_of([20] * 4, successes), 100)


@pytest.mark.parametrize("estimator", NEED_FIXED, ids=lambda f: f.__name__)
@pytest.mark.parametrize("stopping", ["first-success", "batches:10", "adaptive"])
def test_estimators_that_need_fixed_attempts_refuse_others(estimator, stopping):
    stopped = counts_of([10, 20, 20], [1, 1, 0], stopping=stopping)
    with pytest.raises(bp.errors.OptionError, match=f"fixed in advance; .* stopping='{stopping}'"):
        estimator(stopped, 5)
    with pytest.raises(bp.errors.OptionError, match="fixed in advance"):
        estimators.saber_budget(stopped, 0.9)


@pytest.mark.parametrize("estimator", ANY_RULE, ids=lambda f: f.__name__)
def test_likelihoods_do_not_depend_on_the_rule(estimator):
    columns = {"attempts": [10, 20, 20, 5], "successes": [1, 1, 0, 1]}
    free = estimator(counts_of(**columns, stopping="first-success"), [1, 100])
    np.testing.assert_array_equal(free, estimator(counts_of(**columns), [1, 100]))


def test_problems_with_too_few_attempts_are_named():
    counts = counts_of([20, 1, 0, 20], [3, 1, 0, 0])
    with pytest.raises(bp.errors.CountsError, match=r"2 attempts at every problem: 2 of 4 rows have fewer, the first is row 2: system='system', problem='1', attempts=1") as caught:  # fmt: skip
        estimators.log_log(counts, 10)
    assert (caught.value.rows, caught.value.first) == (2, 2)
    for estimator in (estimators.brown, estimators.discretised_beta):
        with pytest.raises(bp.errors.CountsError, match="at least 2 attempts"):
            estimator(counts, 10)
    for estimator in (estimators.plug_in, estimators.saber_anchored):
        with pytest.raises(
            bp.errors.CountsError, match="1 of 4 rows has fewer, the first is row 3"
        ):
            estimator(counts, 10)
    for estimator in ANY_RULE:
        assert np.isfinite(estimator(counts, 10)).all()


@everyone
@pytest.mark.parametrize("k", [0, 1.5, -3, [1, 1], [], 10**13])
def test_a_k_that_means_nothing_is_refused(estimator, two, k):
    with pytest.raises(bp.errors.OptionError, match="k must"):
        estimator(two, k)


@pytest.mark.parametrize("at", [[5], [1, 89], [0, 3]])
def test_points_to_fit_at_must_make_sense(two, at):
    with pytest.raises(bp.errors.OptionError, match="must"):
        estimators.log_log(two, 5, at=at)


@pytest.mark.parametrize("target", [0, 1, 1.5, -0.1, [0.5, float("nan")], []])
def test_a_target_that_means_nothing_is_refused(two, target):
    with pytest.raises(bp.errors.OptionError, match="target must lie between 0 and 1"):
        estimators.saber_budget(two, target)


def test_the_discretised_beta_does_not_depend_on_the_last_digit_of_its_start(monkeypatch):
    """So that it is the same on every machine: that of the source ends short of the largest value."""
    counts = bp.thin(bp.load_example(), 30, random_seed=2)
    first = bp.estimators.discretised_beta(counts, [10, 1000])
    start = tuple(value * (1 + 1e-7) for value in histogram_beta.START)
    monkeypatch.setattr(histogram_beta, "START", start)
    np.testing.assert_allclose(bp.estimators.discretised_beta(counts, [10, 1000]), first, rtol=1e-5)
