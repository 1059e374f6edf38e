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


def test_a_backtest_has_errors_above_and_coverage_below(example):
    scores = bp.backtest(example, ["plug-in", "log-log"], n=[10, 50], k=[100, 1000], repeats=2, cores=1)  # fmt: skip
    axes = bp.plot_backtest(scores)
    assert axes.shape == (2, 2)
    table = bp.summarize_backtest(scores)
    for column, k in enumerate((100, 1000)):
        assert axes[0, column].get_title(loc="left") == f"k = {k:,}"
        for line in axes[0, column].lines:
            want = table[(table["k"] == k) & (table["method"] == line.get_label())]
            np.testing.assert_allclose(line.get_ydata(), want["mae"])
    legend = axes[0, 0].figure.legends[0]
    assert {text.get_text() for text in legend.get_texts()} == {"plug-in", "log-log"}
    assert axes[1, 0].get_xlabel() == "n, attempts shown at each problem"
    axes = bp.plot_backtest(scores[scores["n"] == 50])
    best = table[table["n"] == 50].groupby("method")["mae"].mean().sort_values()
    assert [label.get_text() for label in axes[0, 0].get_yticklabels()] == best.index.tolist()
    assert axes[1, 1].get_xlabel() == "coverage of 95% bands"


def test_names_in_a_figure_are_no_formulas(example):
    scores = bp.backtest(example, {"a $x_{$": "plug-in"}, n=[10, 50], k=100, repeats=2, cores=1)
    bp.plot_backtest(scores)[0, 0].figure.canvas.draw()
    bp.plot_backtest(scores[scores["n"] == 10])[0, 0].figure.canvas.draw()
