"""Scores of forecasts, against their definitions, and tables of them, by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import bayespassk as bp
from bayespassk import scoring


def test_crps_is_the_integral_of_the_squared_difference():
    rng = np.random.default_rng(0)
    draws = rng.beta(2, 5, 37)
    for truth in (0.0, 0.2, 0.9):
        at = np.sort([*draws, truth, 0.0, 1.0])
        heights = [(draws <= x).mean() - (truth <= x) for x in at[:-1]]
        want = np.sum(np.square(heights) * np.diff(at))
        assert scoring.crps(draws, truth) == pytest.approx(want, abs=1e-14)


def test_crps_is_the_mean_distance_less_half_of_that_between_draws():
    """Every pair of draws, each with itself too; the order of the draws does not matter."""
    rng = np.random.default_rng(1)
    for size in (1, 2, 3, 50):
        draws, truth = rng.normal(size=size), rng.normal()
        between = np.mean([abs(x - y) for x in draws for y in draws])
        want = np.mean([abs(x - truth) for x in draws]) - between / 2
        assert scoring.crps(draws, truth) == pytest.approx(want, abs=1e-14)
        assert scoring.crps(rng.permutation(draws), truth) == pytest.approx(want, abs=1e-14)
    assert scoring.crps(np.array([0.3]), 0.7) == pytest.approx(0.4)


def test_crps_of_many_draws_is_that_of_their_distribution():
    draws, truth = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000), 0.7
    want = integrate.quad(lambda x: (stats.norm.cdf(x) - (x >= truth)) ** 2, -9, 9, points=[truth])[
        0
    ]
    assert scoring.crps(draws, truth) == pytest.approx(want, rel=1e-3)


def test_interval_score_is_width_and_penalty():
    assert scoring.interval_score(0.2, 0.5, 0.3, 0.9) == pytest.approx(0.3)
    assert scoring.interval_score(0.2, 0.5, 0.6, 0.9) == pytest.approx(0.3 + 20 * 0.1)
    assert scoring.interval_score(0.2, 0.5, 0.1, 0.5) == pytest.approx(0.3 + 4 * 0.1)


def test_the_best_interval_by_its_score_is_the_equal_tailed_one():
    """A proper score: on average over truths, no other pair of ends does better."""
    truths = np.random.default_rng(2).gamma(2.0, size=400)
    grid = np.quantile(truths, np.linspace(0.02, 0.98, 25))

    def mean_score(lower, upper):
        return np.mean([scoring.interval_score(lower, upper, truth, 0.8) for truth in truths])

    of_pairs = {(low, high): mean_score(low, high) for low in grid for high in grid if low <= high}
    best = min(of_pairs, key=of_pairs.get)
    np.testing.assert_allclose(best, (grid[2], grid[-3]))  # quantiles 0.1 and 0.9


def test_scores_of_a_forecast_by_hand():
    found = scoring.scores_of(0.5, 0.25, np.linspace(0, 1, 101), 0.01)
    assert found["error"] == -0.25
    assert found["log_error"] == pytest.approx(np.log(0.5))
    assert (found["lower_80"], found["upper_80"]) == pytest.approx((0.1, 0.9))
    assert found["inside_50"] is True
    bare = scoring.scores_of(0.5, 0.0, None, 0.01)
    assert bare["log_error"] == pytest.approx(np.log(0.02))
    assert bare["inside_95"] is None
    assert bare["crps"] == 0.5


def test_a_band_that_ends_at_the_truth_holds_it():
    draws = np.full(10, (0.1 + 0.2) * 1.0)
    assert scoring.scores_of(0.3, 0.3, draws, 0.01)["inside_95"] is True


def test_a_summary_by_hand():
    table = pd.DataFrame({
        "n": 10, "method": "m", "k": 5, "system": ["a", "a", "b", "b"], "repeat": [0, 1, 0, 1],
        "truth": 0.5, "point": [0.6, 0.7, 0.5, np.nan], "error": [0.1, 0.2, 0.0, np.nan],
        "log_error": [0.1, 0.2, 0.0, np.nan], "crps": [0.1, 0.1, 0.1, np.nan], "seconds": 1.0,
        "converged": pd.array([True, False, True, None], dtype="boolean"),
        **{f"inside_{p}": pd.array([True, False, True, None], dtype="boolean") for p in scoring.PROBS},
        **{f"{what}_{p}": [0.3, 0.3, 0.3, np.nan] for p in scoring.PROBS for what in ("width", "interval_score")},
    })  # fmt: skip
    (row,) = bp.summarize_backtest(table).to_dict("records")
    assert (row["forecasts"], row["failed"]) == (3, 1)
    assert row["mae"] == pytest.approx(0.1)
    assert row["rmse"] == pytest.approx(np.sqrt(0.05 / 3))
    assert row["coverage_95"] == pytest.approx(2 / 3)
    assert row["not_converged"] == pytest.approx(1 / 3)
    assert row["mae_se_systems"] == pytest.approx(np.std([0.15, 0.0], ddof=1) / np.sqrt(2))
    assert np.isnan(row["mae_se_thinnings"])  # b has one
    by_system = bp.summarize_backtest(table, ["system"])
    assert by_system["mae"].tolist() == pytest.approx([0.15, 0.0])
    assert by_system["mae_se_thinnings"][0] == pytest.approx(0.05)
    with pytest.raises(bp.errors.OptionError, match="no column 'budget'"):
        bp.summarize_backtest(table, ["budget"])


def test_a_share_is_compatible_with_the_probabilities_of_wilsons_interval():
    """Against SciPy's, and at the edge of what seven of seven prove."""
    low, high = scoring.compatible(1.0, 7)
    assert (round(low, 3), high) == (0.646, 1.0)
    for hits, number in ((0, 5), (3, 10), (57, 60)):
        want = stats.binomtest(hits, number).proportion_ci(0.95, "wilson")
        np.testing.assert_allclose(scoring.compatible(hits / number, number), want, atol=1e-4)
