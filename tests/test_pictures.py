"""Figures look as they did when somebody last looked at them: see pictures.py."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import bayespassk as bp
from pictures import MOST_CHANGED, axes, changed, same

KS = np.unique(np.geomspace(1, 10_000, 25).astype(int))


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def forecast(fit):
    return bp.forecast(fit, KS)


def test_forecast(fit, forecast, example):
    truth = np.where(np.arange(len(KS)) % 3 == 0, bp.estimators.chen(example, KS), np.nan)
    ax = bp.plot_forecast(forecast, attempts=100, truth=truth, tail_exponent=bp.tail_exponent(fit, 10_000), ax=axes())  # fmt: skip
    assert same(ax.figure, "forecast")


def test_forecast_of_many_systems(forecast):
    one = forecast.isel(system=[0])
    many = one.values ** (1 + np.arange(7)[:, None] / 4)
    draws = one.isel(system=[0] * 7).copy(data=many)
    draws = draws.assign_coords(system=[f"system {i}" for i in range(7)])
    assert same(bp.plot_forecast(draws, ax=axes(height=3.5)).figure, "many-systems")


def test_family(fit):
    assert same(bp.plot_family(fit, "small", ax=axes()).figure, "family")


def test_difference(fit):
    difference = bp.difference(fit, "large", "small", KS)
    assert same(bp.plot_difference(difference, attempts=100, ax=axes()).figure, "difference")


def test_compare(counts, fit):
    other = bp.fit(counts, bp.ZeroInflated(bp.Beta()), pooling="none", random_seed=1)
    table = bp.compare([fit, other], progress=False)
    assert same(bp.plot_compare(table, ax=axes(height=1.6)).figure, "compare")


def test_design():
    table = bp.design(bp.Beta(), [50, 200], [10, 100, 1000], [1000, 10_000], truths=10)
    assert same(bp.plot_design(table, ax=axes()).figure, "design")


def test_check(fit):
    assert same(bp.plot_check(bp.check(fit), ax=axes(2, 2, 7.0, 5.0))[0, 0].figure, "check")


def test_loo_pit(fit):
    assert same(bp.plot_loo_pit(bp.loo_pit(fit), ax=axes()).figure, "loo-pit")


def test_backtest(example):
    scores = bp.backtest(example, ["plug-in", "log-log", "beta"], n=[10, 50], k=[100, 1000], repeats=2, cores=1)  # fmt: skip
    assert same(bp.plot_backtest(scores, ax=axes(2, 2, 5.7, 4.4))[0, 0].figure, "backtest")
    assert same(
        bp.plot_backtest(scores[scores["n"] == 50], ax=axes(2, 2, 5.7, 3.4))[0, 0].figure,
        "backtest-one-n",
    )


@pytest.mark.parametrize("what", ["a line", "a band", "the shading"])
def test_a_picture_that_lacks_something_is_not_the_same(fit, what):
    """The comparison can fail: this is what it takes."""
    difference = bp.difference(fit, "large", "small", KS)
    attempts = 0 if what == "the shading" else 100
    ax = bp.plot_difference(difference, attempts=attempts, ax=axes())
    if what == "a line":
        ax.lines[0].remove()
    if what == "a band":
        ax.collections[0].remove()
    assert changed(ax.figure, "difference") > MOST_CHANGED
