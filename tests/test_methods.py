"""Methods that forecast: what they are called, and what becomes of one that fails."""

import re

import numpy as np
import pytest
import xarray as xr

import bayespassk as bp
from bayespassk.backtesting import methods
from bayespassk.backtesting.methods import ESTIMATORS, Posterior, forecasts, methods_of


@pytest.fixture(scope="module")
def task():
    """Two systems, three problems each with 4 of 20 attempts shown; the second is asked nothing."""
    shown = bp.Counts(
        system=["x"] * 3 + ["y"] * 3, problem=["a", "b", "c"] * 2, attempts=[4] * 6, successes=[0, 1, 3, 0, 2, 4]
    )  # fmt: skip
    return methods.Task(shown, np.full(6, 20), (np.array([5, 20]), np.array([], dtype=int)), 50, 1)


def test_methods_have_names():
    names = ["beta", "scaled-beta-mixture-2", "beta+logit-normal"]
    with pytest.raises(bp.errors.OptionError, match="families that differ"):
        methods_of("beta+beta")
    with pytest.raises(bp.errors.OptionError, match="differ in their names"):
        methods_of(["beta", bp.Beta()])
    assert list(methods_of(names)) == names
    asked = {
        "mine": bp.ZeroInflated(bp.LibbyNovick()),
        "default": "default",
        "pooled": "partial:beta",
    }
    found = methods_of(asked)
    assert found["mine"].families == found["default"].families
    assert (found["mine"].pooling, found["default"].pooling) == ("none", "partial")
    assert found["pooled"].pooling == "partial"
    assert list(methods_of(None)) == [*ESTIMATORS, "beta", "default"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "at least one method"), ({}, "at least one method"), ({"mine": 7}, "a method must be .* got 7"),
        ("bets", "got 'bets'"), ("partial:plug-in", "got 'partial:plug-in'"), ("partial:beta+beta", "families that differ"),
    ],
)  # fmt: skip
def test_what_is_no_method_is_refused(given, message):
    with pytest.raises(bp.errors.OptionError, match=message):
        methods_of(given)


def test_methods_that_differ_have_other_specifications():
    """A journal knows them by these: another prior or pooling is another method."""
    given = {
        "a": "beta", "b": bp.Beta(log_a=bp.Prior(0.0, 1.0)), "c": "partial:beta", "d": "beta+kumaraswamy",
        "e": "kumaraswamy", "f": "plug-in", "g": "log-log",
    }  # fmt: skip
    found = [method.spec() for method in methods_of(given).values()]
    assert len(set(found)) == len(given)
    assert methods_of(bp.Beta())["beta"].spec() == methods_of("beta")["beta"].spec()


def test_an_average_has_as_many_draws_of_each_family_and_the_worst_report():
    families = bp.Beta(), bp.Kumaraswamy()
    counts = bp.Counts(problem=["x"], attempts=[5], successes=[0])
    task = methods.Task(counts, np.array([9]), (np.array([7]),), 200, 1)
    fits = {
        (family, "none"): methods._Fitted(
            [np.full((10, 1), value)], bp.Diagnostics(1.0 + value, 900 * value, 2, None, bad), prior, 3.0
        )
        for family, value, bad, prior in zip(families, (0.2, 0.6), ((), ("system",)), (("system",), ()), strict=True)
    }  # fmt: skip
    found = methods.forecasts(methods_of(["beta", "beta+kumaraswamy"]), task, fits)
    (alone,), seconds = found["beta"]
    assert (alone.point, alone.converged, alone.prior_driven, seconds) == ([0.2], True, True, 3.0)
    (both,), seconds = found["beta+kumaraswamy"]
    assert sorted(both.draws[:, 0]) == [0.2] * 10 + [0.6] * 10
    assert (both.converged, both.divergences, both.max_rhat, both.min_ess) == (False, 4, 1.6, 180)
    assert seconds == 6.0


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_says_what_its_function_says(task, name):
    """Of the system that is asked; the other has an empty forecast."""
    (first, second), seconds = forecasts(methods_of(name), task)[name]
    if first.note and not np.isfinite(first.point).all():
        with pytest.raises((bp.errors.InputError, bp.errors.SamplingError)):
            ESTIMATORS[name](task.shown.select("x"), [5, 20])
    else:
        want = ESTIMATORS[name](task.shown.select("x"), [5, 20]).values[0]
        np.testing.assert_allclose(first.point, want)
        assert first.draws is None or first.draws.shape[1:] == (2,)
    assert second.point.shape == (0,)
    assert seconds >= 0


def test_a_method_that_fails_says_why_and_the_others_go_on(task):
    def broken(_counts, _k, _seed):
        raise ZeroDivisionError("by zero")

    def refuses(_counts, _k, _seed):
        raise bp.errors.InputError("not with these")

    given = {"broken": broken, "refuses": refuses, "plain": "plug-in"}
    found = forecasts(methods_of(given), task)
    assert [one.note for one in found["broken"][0]] == ["ZeroDivisionError: by zero"] * 2
    assert [one.note for one in found["refuses"][0]] == ["not with these"] * 2
    assert np.isnan(found["broken"][0][0].point).tolist() == [True, True]
    assert np.isfinite(found["plain"][0][0].point).all()


def test_a_method_of_ones_own_is_asked_once_about_all_k(task):
    """And each system gets the columns of the k that it is asked about, in draws or in points."""
    asked = []

    def draws(counts, k, seed):
        asked.append((counts.systems, k, seed))
        values = np.arange(12.0).reshape(3, 2, 2)
        return xr.DataArray(values, dims=("draw", "system", "k"))

    def points(_counts, _k, _seed):
        return xr.DataArray([[0.5, 0.1], [0.2, 0.3]], dims=("k", "system"))

    found = forecasts(methods_of({"draws": draws, "points": points}), task)
    assert asked == [(("x", "y"), [5, 20], 1)]
    first, second = found["draws"][0]
    np.testing.assert_array_equal(first.draws, [[0, 1], [4, 5], [8, 9]])
    np.testing.assert_array_equal(first.point, [4, 5])
    assert second.draws.shape == (3, 0)
    first, _ = found["points"][0]
    assert first.draws is None
    np.testing.assert_array_equal(first.point, [0.5, 0.2])


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (0.5, "must return a DataArray .* got float"),
        (xr.DataArray(np.zeros(2), dims=("k",)), "must return a DataArray .* got \\('k',\\)"),
        (xr.DataArray(np.zeros((2, 3)), dims=("system", "k")), "2 systems and 2 k, as it was asked; got 2 and 3"),
        (xr.DataArray(np.full((2, 2), np.inf), dims=("system", "k")), "finite numbers"),
    ],
)  # fmt: skip
def test_what_a_method_of_ones_own_may_not_return(task, result, message):
    (first, _), _ = forecasts(methods_of({"own": lambda *_: result}), task)["own"]
    assert not np.isfinite(first.point).any()
    assert re.search(message, first.note)


def test_one_system_has_none_to_pool_with():
    """Its forecast with partial pooling is that without."""
    counts = bp.Counts(problem=range(8), attempts=[6] * 8, successes=[0, 0, 0, 1, 1, 2, 4, 6])
    task = methods.Task(counts, np.full(8, 30), (np.array([30]),), 50, 3)
    found = forecasts(methods_of(["beta", "partial:beta"]), task)
    (alone,), (pooled,) = found["beta"][0], found["partial:beta"][0]
    assert len(alone.draws) == methods.DRAWS
    np.testing.assert_array_equal(alone.draws, pooled.draws)


def test_a_method_may_say_nothing_of_some_k(counts):
    """NaN in all draws of a k is no forecast there, with a note; and no score."""

    def some(shown, k, random_seed):
        draws = np.random.default_rng(random_seed).uniform(size=(50, len(shown.systems), len(k)))
        draws[:, :, -1] = np.nan
        return xr.DataArray(draws, dims=("draw", "system", "k"))

    scores = bp.backtest(counts, {"some": some}, n=20, k=[50, 100], repeats=1, cores=1)
    near, far = scores[scores["k"] == 50], scores[scores["k"] == 100]
    assert near["point"].notna().all()
    assert near["inside_95"].notna().all()
    assert far["point"].isna().all()
    assert far["crps"].isna().all()
    assert far["inside_95"].isna().all()
    assert set(far["note"]) == {"it says nothing of some k"}
    table = bp.summarize_backtest(scores).set_index("k")
    assert table.loc[100, "failed"] == 2


def test_a_method_may_be_an_average_of_families_that_have_no_name():
    mine = Posterior((bp.Beta(log_a=bp.Prior(-1.0, 0.5)), bp.Kumaraswamy()), "partial")
    assert methods_of({"mine": mine})["mine"] is mine
