"""The samplers against simulated truth: ranks of what is true among draws are uniform.

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
    ("nuts", "beta"): 60,
    ("nuts", "beta-mixture-2"): 12,
    ("quadrature", "beta"): 100,
    ("quadrature", "libby-novick"): 30,
    ("quadrature", "kumaraswamy"): 30,
    ("quadrature", "generalized-beta"): 20,
    ("quadrature", "scaled-beta"): 12,
    ("quadrature", "logit-normal"): 20,
    ("quadrature", "zero-inflated-beta"): 50,
    ("quadrature", "one-inflated-beta"): 50,
}
"""In the small form, of half of the problems; those of families that take longer are fewer.

NUTS has to compile each family first. What it samples there is the density that quadrature sums:
tests/test_model.py.
"""

FULL_SIZE = {("nuts", name): 1000 for _, name in SIMULATIONS} | dict.fromkeys(SIMULATIONS, 1000)

# Attempts differ between problems, from a few to a few hundred.
ATTEMPTS = np.geomspace(5, 300, 40).astype(int)


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize(("method", "name"), FULL_SIZE)
def test_ranks_of_the_truth_are_uniform(method, name, full_size):
    if not full_size and (method, name) not in SIMULATIONS:
        pytest.skip("NUTS compiles it for 10 seconds or more: run with --slow")
    simulations = FULL_SIZE[method, name] if full_size else SIMULATIONS[method, name]
    attempts = ATTEMPTS if full_size else ATTEMPTS[::2]
    ranks = bp.calibrate(
        bp.family_from_name(name),
        problems=len(attempts),
        attempts=attempts,
        method=method,
        simulations=simulations,
        draws=500 if full_size else 300,
        tune=500 if full_size else 300,
        random_seed=7,
    )
    table = bp.summarize_calibration(ranks, bins=10 if simulations > 50 else 5)
    worst = table.loc[table["p_value"].idxmin()]
    assert len(table) <= QUANTITIES
    tests = QUANTITIES * len(FULL_SIZE if full_size else SIMULATIONS)
    assert worst["p_value"] > FALSE_ALARM / tests, worst.to_dict()


def test_a_fit_with_the_wrong_prior_is_not_calibrated(monkeypatch):
    """The test can fail: truths from another prior than that of the fit have ranks at one end."""
    elsewhere = bp.Beta(log_a=bp.Prior(0.5, 0.3))
    monkeypatch.setattr(
        calibrating, "draw_prior", lambda _family, rng, size: draw_prior(elsewhere, rng, size)
    )
    options = {"simulations": 40, "attempts": 5, "draws": 200, "random_seed": 7}
    ranks = bp.calibrate(bp.Beta(), method="quadrature", **options)
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


def test_bands_hold_where_few_of_many_equal_rows_are_solvable(full_size):
    """1,000 problems, most of them never solved, which are not drawn one by one."""
    family = bp.Beta(log_a=bp.Prior(np.log(0.002), 0.7), log_b=bp.Prior(np.log(3.0), 0.5))
    ranks = bp.calibrate(
        family,
        problems=1000,
        attempts=1000,
        method="quadrature",
        simulations=1000 if full_size else 60,
        random_seed=3,
    )
    table = bp.summarize_calibration(ranks, bins=10 if full_size else 5)
    assert table["converged"].eq(table["simulations"]).all()
    assert table["p_value"].min() * len(table) > FALSE_ALARM
