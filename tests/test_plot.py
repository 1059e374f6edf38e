"""Figures show what was computed, with the field's words on their axes."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import bayespassk as bp


@pytest.fixture
def forecast(fit):
    return bp.forecast(fit, np.unique(np.geomspace(1, 10_000, 25).astype(int)))


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_a_line_and_a_band_for_each_system(forecast):
    ax = bp.plot_forecast(forecast, prob=0.8, attempts=100)
    table = bp.summarize(forecast, 0.8)
    for line, system in zip(ax.lines, ("small", "large"), strict=True):
        assert line.get_label() == system
        np.testing.assert_allclose(line.get_ydata(), table[table["system"] == system]["median"])
    assert len(ax.collections) == 2
    assert ax.get_xlabel() == "k, attempts allowed"
    assert ax.get_ylabel() == "pass@k (benchmark)"
    assert ax.get_xscale() == "log"
    assert "80%" in ax.get_legend().get_title().get_text()
    assert "100 attempts made" in ax.texts[0].get_text()


def test_the_truth_may_be_overlaid_on_axes_of_ones_own(forecast, example):
    _, mine = plt.subplots()
    truth = bp.estimators.chen(example, forecast["k"].values)
    ax = bp.plot_forecast(forecast, truth=truth, ax=mine)
    assert ax is mine
    np.testing.assert_allclose(ax.lines[1].get_ydata(), truth[0])
    with pytest.raises(bp.OptionError, match=r"truth must have dims \(system, k\)"):
        bp.plot_forecast(forecast, truth=truth.T)
