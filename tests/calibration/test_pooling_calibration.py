"""Partial pooling against simulated truth: ranks of what is true among draws are uniform.

Simulation-based calibration with everything drawn from the prior: what the systems share, their
parameters, the problems and the counts. Some of these draws are extreme, with nothing ever solved
or all of it; they are part of the prior.
"""

import warnings

import numpy as np
import pytest
import xarray as xr

import bayespassk as bp
from bayespassk.judging.calibrating import KEPT, _rank
from bayespassk.posterior.pooling import Hierarchy, draw_effects, draw_hierarchy

FALSE_ALARM = 1e-3
"""Of the test of all quantities together."""

SYSTEMS, PROBLEMS, ATTEMPTS, K = 4, 40, 20, 100
SHARED = ("centre_log_a", "spread_log_a", "centre_logit_mean", "spread_logit_mean")


def simulated(rng, prior):
    """Return what is true of everything, by name, and the counts it made."""
    family = bp.Beta()
    hierarchy = Hierarchy("partial", SYSTEMS, effects="student-t")
    drawn = draw_hierarchy(prior, hierarchy, rng, ())
    names = ("log_a", "logit_mean")
    effects = draw_effects(hierarchy, rng, (1,), len(names))
    of_new = {
        name: drawn[f"centre_{name}"] + drawn[f"spread_{name}"] * effect
        for name, effect in zip(names, effects, strict=True)
    }
    natural = family.natural({name: drawn[name] for name in of_new})
    each = {name: np.repeat(value, PROBLEMS) for name, value in natural.items()}
    p = family.draw(each, rng)
    counts = bp.Counts(
        problem=np.tile(np.arange(PROBLEMS), SYSTEMS),
        attempts=np.full(SYSTEMS * PROBLEMS, ATTEMPTS),
        successes=rng.binomial(ATTEMPTS, p),
        system=np.repeat([f"s{i}" for i in range(SYSTEMS)], PROBLEMS),
    )
    with np.errstate(divide="ignore"):
        solved = -np.expm1(K * np.log1p(-p[:PROBLEMS]))
    truth = {name: drawn[name][0] for name in SHARED}
    truth |= {f"{name} of a system": drawn[name][0] for name in of_new}
    truth["benchmark of a system"] = solved.mean()
    truth["new system"] = -np.expm1(family.log_moment(family.natural(of_new), 0, K))[0]
    return truth, counts


def ranks_once(rng, prior=None, **options):
    """Return the rank of each truth among draws, and whether the fit had a divergence."""
    truth, counts = simulated(rng, bp.Beta() if prior is None else prior)
    with warnings.catch_warnings():
        for expected in (
            bp.errors.ConvergenceWarning,
            bp.errors.PriorDrivenWarning,
            bp.errors.ForecastWarning,
        ):
            warnings.simplefilter("ignore", expected)
        seed = int(rng.integers(2**31))
        fit = bp.fit(
            counts, bp.Beta(), pooling="partial", random_seed=seed, progress=False, **options
        )
        posterior = fit["posterior"].dataset
        draws = {name: posterior[name].values for name in SHARED}
        for name in ("log_a", "logit_mean"):
            draws[f"{name} of a system"] = posterior[name].values[..., 0]
        draws["benchmark of a system"] = bp.forecast(fit, K).values[:, :, 0, 0]
        draws["new system"] = bp.forecast_new_system(fit, K).values[:, :, 0, 0]
    ranks = {name: _rank(draws[name].ravel(), float(truth[name]), rng) for name in truth}
    return ranks, bp.diagnostics(fit).divergences == 0


def table_of(simulations, bins, seed, prior=None, **options):
    """Return what :func:`bayespassk.summarize_calibration` makes of many such ranks."""
    options = {"draws": 300, "chains": 2} | options
    results = [
        ranks_once(np.random.default_rng([seed, i]), prior, **options) for i in range(simulations)
    ]
    ranks = xr.Dataset(
        {
            "rank": (("simulation", "quantity"), [list(ranks.values()) for ranks, _ in results]),
            "converged": ("simulation", [good for _, good in results]),
        },
        {"quantity": list(results[0][0])},
        {"draws": KEPT},
    )
    return bp.summarize_calibration(ranks, bins)


@pytest.mark.filterwarnings("ignore::bayespassk.errors.FamilyWarning")  # of the right family
@pytest.mark.parametrize("method", ["quadrature", "nuts"])
def test_ranks_of_the_truth_are_uniform(method, full_size):
    """By NUTS in the larger form; tests/test_lattice.py compares the two on one log."""
    if method == "nuts" and not full_size:
        pytest.skip("takes as long as all others of this file: run with --slow")
    options = {"tune": 400} if method == "nuts" else {}
    size = (300, 10, 11) if full_size else (40, 5, 11)
    table = table_of(*size, method=method, **options)
    worst = table.loc[table["p_value"].idxmin()]
    assert worst["p_value"] > FALSE_ALARM / 2 / len(table), table.to_string()
    assert (table["converged"] > 0.9 * table["simulations"]).all()  # divergences are rare


@pytest.mark.filterwarnings("ignore::bayespassk.errors.PoolingWarning")
@pytest.mark.filterwarnings("ignore::bayespassk.errors.FamilyWarning")  # which is right
def test_the_test_can_fail():
    """Systems whose log a is elsewhere than the prior says have ranks at one end."""
    elsewhere = bp.Beta(log_a=bp.Prior(2.5, 0.3))
    table = table_of(20, 5, 24, elsewhere).set_index("quantity")
    assert table.loc["centre_log_a", "p_value"] < 1e-4
    assert table.loc["log_a of a system", "p_value"] < 1e-4
