"""The sampler against simulated truth: ranks of what is true among draws are uniform.

Simulation-based calibration of every family, for the parameters and for the forecast. The full
size is that of ``benchmarks/calibration.py``, whose table is in the documentation.
"""

import numpy as np
import pytest

import bayespassk as bp
from bayespassk.families.base import draw_prior
from bayespassk.judging import calibrating

# For all tests of this file together. Each looks at up to eleven quantities.
FALSE_ALARM = 1e-3
QUANTITIES = 11

SIMULATIONS = {
    "beta": 100,
    "libby-novick": 40,
    "kumaraswamy": 30,
    "generalized-beta": 30,
    "scaled-beta": 20,
    "logit-normal": 30,
    "zero-inflated-beta": 50,
    "one-inflated-beta": 50,
    "beta-mixture-2": 30,
}
"""In the small form, those of families that take longer are fewer."""

# Attempts differ between problems, from a few to a few hundred.
ATTEMPTS = np.geomspace(5, 300, 40).astype(int)


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize("name", SIMULATIONS)
def test_ranks_of_the_truth_are_uniform(name, full_size):
    small = SIMULATIONS[name]
    ranks = bp.calibrate(
        bp.family_from_name(name),
        problems=len(ATTEMPTS),
        attempts=ATTEMPTS,
        simulations=1000 if full_size else small,
        draws=500 if full_size else 300,
        tune=500 if full_size else 300,
        random_seed=7,
    )
    table = bp.summarize_calibration(ranks, bins=10 if full_size or small > 50 else 5)
    worst = table.loc[table["p_value"].idxmin()]
    assert len(table) <= QUANTITIES
    assert worst["p_value"] > FALSE_ALARM / (QUANTITIES * len(SIMULATIONS)), worst.to_dict()


def test_a_fit_with_the_wrong_prior_is_not_calibrated(monkeypatch):
    """The test can fail: truths from another prior than that of the fit have ranks at one end."""
    elsewhere = bp.Beta(log_a=bp.Prior(0.5, 0.3))
    monkeypatch.setattr(
        calibrating, "draw_prior", lambda _family, rng, size: draw_prior(elsewhere, rng, size)
    )
    ranks = bp.calibrate(bp.Beta(), simulations=40, attempts=5, draws=200, tune=300, random_seed=7)
    table = bp.summarize_calibration(ranks, bins=5).set_index("quantity")
    assert table.loc["log_a", "p_value"] < 1e-6


def test_ranks_repeat_and_options_are_checked():
    options = {"simulations": 2, "problems": 5, "attempts": 10, "draws": 50, "tune": 100}
    one, two = (bp.calibrate(bp.Beta(), random_seed=3, **options) for _ in range(2))
    assert one.equals(two)
    assert list(one["quantity"].values[-2:]) == ["realised pass@100", "realised pass@10,000"]
    with pytest.raises(bp.errors.OptionError, match="at least one simulation"):
        bp.calibrate(simulations=0)
    with pytest.raises(bp.errors.OptionError, match="at least one simulation"):
        bp.calibrate(attempts=0)
