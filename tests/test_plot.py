"""Figures show what was computed, with the field's words on their axes."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import bayespassk as bp
from bayespassk.plot import for_page, short_names


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
    assert ax.get_legend() is None
    assert ax.figure.get_suptitle() == (
        "simulated: 128 problems, n = 100\nmedian and 80% band; shaded: k up to n"
    )
    assert [text.get_text() for text in ax.texts] == ["small", "large"]
    assert ax.texts[0].get_color() == ax.lines[0].get_color()
    above = ax.child_axes[0]
    assert [text.get_text() for text in above.get_xticklabels()] == ["n", "10 n", "100 n"]
    np.testing.assert_allclose(above.get_xticks(), [100, 1000, 10_000])


def test_the_truth_may_be_overlaid_on_axes_of_ones_own(forecast, example):
    _, mine = plt.subplots()
    truth = bp.estimators.chen(example, forecast["k"].values)
    ax = bp.plot_forecast(forecast, truth=truth, ax=mine)
    assert ax is mine
    np.testing.assert_allclose(ax.lines[1].get_ydata(), truth[0])
    with pytest.raises(bp.errors.OptionError, match=r"truth must have dims \(system, k\)"):
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


def test_the_tail_exponent_is_noted_by_each_name(fit, forecast):
    tail = bp.tail_exponent(fit, [10, 10_000])
    ax = bp.plot_forecast(forecast, tail_exponent=tail)
    medians = tail.sel(k=10_000).median(("chain", "draw")).values
    assert [text.get_text() for text in ax.texts] == [
        f"{name}\ntail exponent {a:.2f}"
        for name, a in zip(("small", "large"), medians, strict=True)
    ]
    with pytest.raises(bp.errors.OptionError, match="tail_exponent must be of the systems"):
        bp.plot_forecast(forecast.isel(system=[0]), tail_exponent=tail)


def test_systems_differ_in_style_and_not_only_in_colour(forecast):
    draws = forecast.isel(system=[0] * 4).assign_coords(system=list("abcd"))
    ax = bp.plot_forecast(draws, truth=np.ones((4, draws.sizes["k"])))
    assert len({line.get_linestyle() for line in ax.lines[::2]}) == 4
    assert len({line.get_marker() for line in ax.lines[1::2]}) == 4


def test_names_at_the_ends_of_lines_do_not_overlap(forecast):
    """Lines that end at one place have names apart, in the order of the lines."""
    draws = forecast.isel(system=[0] * 4).assign_coords(system=list("abcd"))
    ax = bp.plot_forecast(draws)
    ax.figure.draw_without_rendering()
    boxes = sorted((text.get_window_extent() for text in ax.texts), key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 + 1 for low, high in itertools.pairwise(boxes))
    assert all(box.x0 >= ax.bbox.x1 for box in boxes)
    assert all(box.x1 <= ax.figure.bbox.x1 for box in boxes)


def many(forecast, number):
    """Return forecasts of so many systems, the later the lower."""
    one = forecast.isel(system=[0])
    draws = one.isel(system=[0] * number).copy(
        data=one.values ** (1 + np.arange(number)[:, None] / 4)
    )
    return draws.assign_coords(
        system=[f"a system with a long name, number {i}" for i in range(number)]
    )


@pytest.mark.parametrize("number", [5, 12, 40])
def test_many_systems_are_rows_with_intervals(forecast, number):
    """No bands lie over each other: a row a system, the highest on top, at three k."""
    draws = many(forecast, number)
    tail = draws.isel(k=[-1])
    ax = bp.plot_forecast(
        draws.isel(system=slice(None, None, -1)),
        tail_exponent=tail.isel(system=slice(None, None, -1)),
    )
    table = bp.summarize(draws)
    assert not [one for one in ax.collections if one.get_paths()[0].vertices.shape[0] > 2]
    named = [label.get_text() for label in ax.get_yticklabels()]
    assert [name[-2:].strip() for name in named] == [str(i) for i in range(number)]
    assert [text.get_text()[:-2] for text in ax.texts] == ["tail exponent 0."] * number
    ks = forecast["k"].values
    first, _, last = ax.lines[:3]
    np.testing.assert_allclose(last.get_xdata(), table[table["k"] == 10_000]["median"])
    near = ks[ks <= 100].max()  # whose dots, if there are any, are known
    np.testing.assert_allclose(first.get_xdata(), table[table["k"] == near]["median"])
    said = [text.get_text() for text in ax.get_legend().get_texts()]
    assert said[0] == f"k = {near:,} (within n)"
    assert said[2] == "k = 10,000 (100 n)"
    ax.figure.draw_without_rendering()
    assert ax.bbox.width > 0.5 * ax.figure.bbox.width
    assert ax.get_legend().get_window_extent().y1 < ax.bbox.y0


def test_one_k_is_a_row_for_each_system(fit):
    ax = bp.plot_forecast(bp.forecast(fit, 1000), truth=np.array([[0.5], [0.6]]), dots="a guess")
    table = bp.summarize(bp.forecast(fit, 1000)).sort_values("median", ascending=False)
    assert [label.get_text() for label in ax.get_yticklabels()] == table["system"].tolist()
    segments = ax.collections[0].get_segments()
    np.testing.assert_allclose([one[:, 0] for one in segments], table[["lower", "upper"]])
    assert sorted(ax.lines[1].get_xdata()) == [0.5, 0.6]
    assert ax.get_xlabel() == "pass@k (benchmark), k = 1,000 (10 n)"
    assert "dots: a guess" in ax.figure.get_suptitle()


def test_axes_of_ones_own_have_the_head_as_their_title(forecast):
    _, axes = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
    for ax in axes:
        bp.plot_forecast(forecast, ax=ax)
        assert ax.get_title(loc="left").startswith("simulated: 128 problems")
    axes[0].figure.draw_without_rendering()
    heads = [ax.title.get_window_extent() for ax in axes]
    assert heads[0].x1 <= heads[1].x0


def test_a_family_is_a_curve_through_the_problems(fit, counts):
    ax = bp.plot_family(fit, "small")
    own, curve = [line for line in ax.lines if len(line.get_xdata()) > 2]
    assert own.get_ydata()[-1] == pytest.approx(1)
    assert (np.diff(own.get_ydata()) >= 0).all()
    expected = 1 - bp.share_above(fit, own.get_xdata()[[20, 40]]).sel(system="small").mean(
        ("chain", "draw")
    )
    np.testing.assert_allclose(own.get_ydata()[[20, 40]], expected, atol=0.02)
    unsolved = ((counts.system == "small") & (counts.successes == 0)).sum() / 128
    assert ax.patches[0].get_height() == pytest.approx(unsolved)  # the hardest are the unsolved
    above = bp.share_above(fit, curve.get_xdata()[[0, 20, 40]], "population").sel(system="small")
    want = 1 - above.median(("chain", "draw")).values
    np.testing.assert_allclose(curve.get_ydata()[[0, 20, 40]], want, atol=0.03)
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "p, success probability of a problem"
    assert [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2] == [[0.01, 0.01]]
    assert "small on simulated: 128 problems, n = 100" in ax.figure.get_suptitle()
    greys = {patch.get_facecolor() for patch in ax.patches}
    assert len(greys) == 1
    for wrong in (None, "other"):
        with pytest.raises(
            bp.errors.OptionError, match="system must be one of the fit, 'small', 'large'"
        ):
            bp.plot_family(fit, wrong)


def test_bars_of_problems_hold_their_success_probabilities(fit, example):
    """Of the problems solved least often in 100 attempts, 10,000 tell where p is: the bar is there."""
    ax = bp.plot_family(fit, "large", prob=0.99)
    bars = ax.patches
    assert sum(bar.get_height() for bar in bars) == pytest.approx(1)
    rates = np.sort((example.successes / example.attempts)[example.system == "large"])
    at = np.searchsorted(
        np.cumsum([bar.get_height() for bar in bars]), (np.arange(128) + 0.5) / 128
    )
    inside = [
        bars[i].get_x() <= rate <= bars[i].get_x() + bars[i].get_width()
        for i, rate in zip(at, np.maximum(rates, ax.get_xlim()[0]), strict=True)
    ]
    assert np.mean(inside) > 0.95


def test_a_comparison_shows_distances_from_the_best():
    table = pd.DataFrame(
        {
            "system": ["x", "x", "all", "all"],
            "family": ["beta", "$worse", "beta", "$worse"],
            "elpd_diff": [0.0, -1.0, 0.0, -30.0],
            "dse": [0.0, 2.0, 0.0, 5.0],
        }
    )
    ax = bp.plot_compare(table)
    assert ax.lines[0].get_xdata().tolist() == [0, -30]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["beta", "$worse"]
    ((x0, _), (x1, _)) = ax.collections[0].get_segments()[1]
    assert (x0, x1) == (-40, -20)
    assert bp.plot_compare(table, "x").lines[0].get_xdata().tolist() == [0, -1]
    with pytest.raises(bp.errors.OptionError, match="system must be one of the table, 'x', 'all'"):
        bp.plot_compare(table, "y")


def test_a_difference_has_a_band_of_each_k_within_one_of_the_curve(fit):
    difference = bp.difference(fit, "large", "small", [1, 10, 100, 1000])
    ax = bp.plot_difference(difference, prob=0.8, attempts=100)
    table = bp.summarize_difference(difference, 0.8)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), table["median"])
    outer, inner = (band.get_paths()[0].get_extents() for band in ax.collections[:2])
    assert outer.y0 == pytest.approx(table["lower_simultaneous"].min())
    assert inner.y1 == pytest.approx(table["upper"].max())
    assert [text.get_text() for text in ax.texts] == ["large ahead", "small ahead"]
    assert "large minus small" in ax.figure.get_suptitle()
    assert ax.get_ylabel() == "difference of pass@k (benchmark)"
    low, high = ax.get_ylim()
    assert low == -high


def test_a_backtest_may_be_drawn_in_axes_of_ones_own(example):
    scores = bp.backtest(example, ["plug-in"], n=[10, 50], k=100, repeats=2, cores=1)
    _, mine = plt.subplots(2, 1, squeeze=False)
    assert bp.plot_backtest(scores, ax=mine) is mine
    with pytest.raises(bp.errors.OptionError, match=r"shape \(2, 1\); got \(1, 2\)"):
        bp.plot_backtest(scores, ax=mine.T)


@pytest.mark.parametrize("name", ["_hidden", "a $x_{$", "two\nlines", "l" * 300])
def test_names_are_shown_as_text_on_one_line(fit, forecast, name):
    named = forecast.isel(system=[0, 0]).assign_coords(system=[name, "b"])
    ax = bp.plot_forecast(named)
    ax.figure.canvas.draw()
    text = ax.texts[0]
    assert len(text.get_text()) <= 20
    head = bp.plot_forecast(named.isel(system=[0])).figure
    head.canvas.draw()
    assert head.get_suptitle().startswith(text.get_text()[:3])
    assert head.get_suptitle().count("\n") <= 2
    assert "\n" not in text.get_text()
    assert text.get_text()[:3] == name[:3]
    difference = bp.difference(fit, "large", "small", 1)
    difference.attrs["a"] = name
    bp.plot_difference(difference).figure.canvas.draw()


LONG = [f"organisation/a-very-long-name-of-a-model-{i}-instruct-2026-03-05" for i in range(12)]


@pytest.mark.parametrize("most", [20, 28])
@pytest.mark.parametrize(
    "names",
    [
        LONG,
        [*LONG, *(name.replace("organisation", "another") for name in LONG)],
        [*LONG, LONG[0]],
        ["a" * 40 + "b" + "a" * 40, "a" * 80],
        ["alpha", "beta"],
        ["", ""],
    ],
)
def test_long_names_that_differ_are_shown_as_such(names, most):
    said = short_names(names, most)
    assert len(set(said)) == len(set(names))
    assert all(one == name for one, name in zip(said, names, strict=True) if len(name) <= most)
    if names[0] == LONG[0]:
        assert max(map(len, said)) <= most
        assert said[7].startswith("organ…7-")


def test_systems_with_long_names_can_be_told_apart_in_every_figure(counts):
    frame = counts.to_dataframe()
    frame["system"] = frame["system"].map({"small": LONG[0], "large": LONG[1]})
    renamed = bp.fit(bp.Counts.from_dataframe(frame), bp.Beta(), pooling="none", random_seed=1)
    few = bp.plot_forecast(bp.forecast(renamed, [1, 10]))
    assert len({text.get_text() for text in few.texts[:2]}) == 2
    rows = bp.plot_forecast(bp.forecast(renamed, 10))
    assert len({label.get_text() for label in rows.get_yticklabels()}) == 2
    between = bp.plot_difference(bp.difference(renamed, *LONG[:2], [1, 10]))
    assert len({text.get_text() for text in between.texts}) == 2
    pit = bp.plot_loo_pit(bp.loo_pit(renamed))
    assert len({text.get_text() for text in pit.get_legend().get_texts()}) == 2


def test_figures_for_a_page_are_narrow_and_all_of_them_can_be_seen(fit, forecast):
    draws = forecast.isel(system=[0] * 4).assign_coords(system=LONG[:4])
    with for_page(10.5, 4.6):
        family, lines = bp.plot_family(fit, "small"), bp.plot_forecast(draws)
    for ax in (family, lines):
        assert ax.figure.get_size_inches()[0] == 4.6
        ax.figure.draw_without_rendering()
    parts = [family.get_legend(), *lines.texts]
    assert all(one.get_window_extent().x1 <= lines.figure.bbox.x1 for one in parts)
    assert lines.bbox.width > 0.4 * lines.figure.bbox.width
    assert bp.plot_family(fit, "small").figure.get_size_inches()[0] == 5.2


def test_a_backtest_says_of_what_it_is(example):
    scores = bp.backtest(example, ["plug-in"], n=[10, 50], k=[100, 200], repeats=1, cores=1)
    head = bp.plot_backtest(scores)[0, 0].figure.get_suptitle()
    assert head.startswith("simulated: 128 problems, n = 10,000\ntarget: Chen's estimate from all")
    alone = scores[scores["n"] == 50]
    assert "50 attempts at each problem shown" in " ".join(
        bp.plot_backtest(alone)[0, 0].figure.get_suptitle().split()
    )
    _, mine = plt.subplots(2, 2, squeeze=False)
    bp.plot_backtest(scores, ax=mine)
    assert mine[0, 0].get_title(loc="left").endswith("\nk = 100")
    assert mine[0, 1].get_title(loc="left") == "k = 200"
    bare = scores.copy()
    bare.attrs = {}  # as from a file
    assert bp.plot_backtest(bare)[0, 0].figure.get_suptitle().startswith("target: Chen")


def test_a_design_says_from_which_pilot_its_truths_are(fit):
    options = {"problems": 50, "attempts": [10, 20], "truths": 2}
    head = bp.plot_design(bp.design(fit, system="small", **options)).figure.get_suptitle()
    assert "from a pilot of beta (small on simulated: 128 problems, n = 100)" in head.replace("\n", " ")  # fmt: skip
    prior = bp.plot_design(bp.design("beta", **options)).figure.get_suptitle()
    assert "truths from the prior of beta" in prior


def test_names_in_a_figure_are_no_formulas(example):
    scores = bp.backtest(example, {"a $x_{$": "plug-in"}, n=[10, 50], k=100, repeats=2, cores=1)
    bp.plot_backtest(scores)[0, 0].figure.canvas.draw()
    bp.plot_backtest(scores[scores["n"] == 10])[0, 0].figure.canvas.draw()
