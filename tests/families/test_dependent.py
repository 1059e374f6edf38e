"""Runs whose attempts are alike: against sums and integrals that share nothing with ours."""

import json
import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import bayespassk as bp
from bayespassk.errors import OptionError
from bayespassk.families.base import draw_prior
from bayespassk.families.dependent import (
    MOST_SD,
    dependence,
    effects,
    log_fail_in_runs,
    log_fail_of_problems,
    with_sd,
    with_spreads,
)
from bayespassk.special import NUMPY

FALSE_ALARM = 1e-4

RUNS = [
    [(3, 20), (9, 20), (0, 20)],
    [(0, 50), (0, 50), (0, 7)],
    [(5, 5), (5, 5)],
    [(1, 1)] + [(0, 1)] * 30,
    [(200, 400), (3, 400)],
]


def seeing(family, runs):
    """Return the family that sees problems with these runs, and what it sees at each."""
    frame = pd.DataFrame(
        [
            (problem, run, made, solved)
            for problem, each in enumerate(runs)
            for run, (solved, made) in enumerate(each)
        ],
        columns=["problem", "run", "attempts", "successes"],
    )
    counts = bp.Counts.from_runs(frame)
    return family.seeing(counts.successes, counts.attempts - counts.successes, counts.runs)


NODES, WEIGHTS = np.polynomial.legendre.leggauss(3000)
Z, DENSITY = 9.5 * NODES, 9.5 * WEIGHTS * stats.norm.pdf(9.5 * NODES)


def mean_over_runs(f, sd):
    """Return the mean of a function of the probability of success over runs, by Gauss-Legendre.

    And p itself, where problems have these logits in a run without an effect.
    """
    x = np.linspace(-45, 35, 1601)
    at = x[:, None] + sd * Z
    return (
        x,
        special.expit(at) @ DENSITY,
        f(special.log_expit(at), special.log_expit(-at)) @ DENSITY,
    )


def log_of_runs(runs, sd, a, b):
    """Return the log of the mean over p ~ Beta(a, b) of the probability of these outcomes."""
    total = 0.0
    for (solved, made), number in Counter(runs).items():
        x, p, value = mean_over_runs(lambda y, n: np.exp(solved * y + (made - solved) * n), sd)  # noqa: B023
        with np.errstate(divide="ignore"):
            total = total + number * np.log(value)
    # d p = p'(x) dx, on a grid of x on which everything is smooth
    _, _, q = mean_over_runs(lambda _, n: np.exp(n), sd)
    _, _, slope = mean_over_runs(lambda y, n: np.exp(y + n), sd)
    logs = total + (a - 1) * np.log(p) + (b - 1) * np.log(q) + np.log(slope) - special.betaln(a, b)
    return special.logsumexp(logs[np.isfinite(logs)]) + np.log(x[1] - x[0])


@pytest.mark.parametrize("sd", [0.02, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("runs", RUNS, ids=str)
def test_the_likelihood_is_the_integral_over_problems_and_runs(runs, sd):
    a, b = 0.6, 4.0
    family, c, f = seeing(bp.Dependent(bp.Beta(), sd=sd), [runs])
    parameters = {"a": np.array([a]), "b": np.array([b])}
    got = family.log_moment(parameters, c.astype(float), f.astype(float))
    np.testing.assert_allclose(got[0, 0], log_of_runs(runs, sd, a, b), rtol=1e-6)


def test_a_learned_and_a_known_spread_are_one_formula():
    runs = [one for one in RUNS for _ in range(2)]
    known, c, f = seeing(bp.Dependent(bp.Kumaraswamy(), sd=0.4), runs)
    learned, *_ = seeing(bp.Dependent(bp.Kumaraswamy()), runs)
    parameters = {"a": np.array([0.3, 0.5]), "b": np.array([3.0, 20.0])}
    want = known.log_moment(parameters, c.astype(float), f.astype(float))
    sd = {"run_sd": np.array([0.4, 0.4])}
    got = learned.log_moment(parameters | sd, c.astype(float), f.astype(float))
    np.testing.assert_allclose(got, want, rtol=1e-8)


@pytest.mark.parametrize("base", [bp.Beta(), bp.ZeroInflated(bp.LibbyNovick())], ids=str)
def test_without_effects_of_runs_it_is_the_family_itself(base):
    family, c, f = seeing(bp.Dependent(base, sd=0.0), RUNS)
    totals = [(sum(s for s, _ in one), sum(m for _, m in one)) for one in RUNS]
    solved, made = np.array(totals, dtype=float).T
    free = draw_prior(base, np.random.default_rng(2), (3,))
    natural = base.natural(free)
    want = base.log_moment(natural, solved, made - solved)
    np.testing.assert_allclose(family.log_moment(natural, c, f), want, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("sd", [0.3, 2.0])
def test_every_attempt_in_a_run_of_its_own_is_independent(sd):
    family, c, f = seeing(bp.Dependent(bp.Beta(), sd=sd), [[(1, 1)] * 3 + [(0, 1)] * 40])
    parameters = {"a": np.array([0.3]), "b": np.array([5.0])}
    got = family.log_moment(parameters, c.astype(float), f.astype(float))
    np.testing.assert_allclose(got[0], bp.Beta().log_moment(parameters, 3.0, 40.0), rtol=1e-7)


def test_problems_with_the_same_runs_in_another_order_are_one():
    _, c, f = seeing(bp.Dependent(bp.Beta()), [[(1, 5), (0, 5)], [(0, 5), (1, 5)], [(1, 10)]])
    assert c[0] == c[1] != c[2]
    assert f[0] == f[1] != f[2]


@pytest.mark.parametrize("sd", [0.0, 0.05, 1.0, 4.0])
@pytest.mark.parametrize(("k", "run"), [(1, 20), (20, 20), (50, 20), (10, math.inf), (10**12, math.inf), (10**12, 100), (7, 1)])  # fmt: skip
def test_attempts_in_runs_fail_as_integrals_say(k, run, sd):
    """Of problems with known p, against Gauss-Legendre with the logit found by bisection."""
    for p in (1e-15, 1e-6, 0.01, 0.6):
        low, high = -400.0, 400.0
        for _ in range(200):
            middle = (low + high) / 2
            mean = special.expit(middle + sd * Z) @ DENSITY
            low, high = (low, middle) if mean > p else (middle, high)
        rate = -special.log_expit(-(middle + sd * Z))

        def log_of_run(m, rate=rate):
            if not m:
                return 0.0
            passed = -np.expm1(-m * rate) @ DENSITY
            return np.log1p(-passed) if passed < 0.5 else special.logsumexp(-m * rate, b=DENSITY)

        whole, rest = (0, k) if math.isinf(run) else divmod(k, run)
        want = whole * log_of_run(run if whole else 0) + log_of_run(rest)
        if run == 1:
            want = k * np.log1p(-p)
        got = log_fail_of_problems(
            bp.Dependent(bp.Beta(), sd=sd),
            {"a": np.ones(1), "b": np.ones(1)},
            np.array([[np.log1p(-p)]]),
            np.array([float(k)]),
            run,
        )
        close = {"rtol": 1e-5 if sd > 1 else 1e-7}
        np.testing.assert_allclose(-np.expm1(got[0, 0, 0]), -np.expm1(want), **close)
        np.testing.assert_allclose(np.exp(got[0, 0, 0]), np.exp(want), atol=1e-12, **close)


def test_problems_that_all_draws_share_have_each_draw_its_own_spread():
    family = bp.Dependent(bp.Beta())
    sds = np.array([0.3, 2.0, 0.3, 1.0])
    parameters = {"a": np.ones(4), "b": np.ones(4), "run_sd": sds}
    log_q = np.log1p(-np.array([0.001, 0.3, 0.3, 0.9]))
    ks = np.array([5.0, 40.0])
    shared = log_fail_of_problems(family, parameters, log_q[None], ks, 10)
    assert shared.shape == (2, 4, 4)
    apart = log_fail_of_problems(family, parameters, np.tile(log_q, (4, 1)), ks, 10)
    np.testing.assert_allclose(shared, apart, rtol=1e-12)
    x = np.linspace(-12, 12, 4001)
    in_runs = special.expit(x[:, None] + 2.0 * Z)
    at = np.interp(0.3, in_runs @ DENSITY, x)
    fails = np.log(special.expit(-(at + 2.0 * Z)) ** 10 @ DENSITY)
    assert shared[1, 1, 1] == pytest.approx(4 * fails, rel=1e-3)
    assert shared[1, 0, 1] != pytest.approx(shared[1, 1, 1], rel=0.01)


@pytest.mark.parametrize("run", [1, 5, math.inf])
def test_new_problems_fail_in_runs_as_sampled_ones_do(run):
    rng = np.random.default_rng(3)
    sd = 1.5
    family = bp.Dependent(bp.ZeroInflated(bp.Beta()), sd=sd)
    parameters = {"a": np.array([0.5]), "b": np.array([2.0]), "zero": np.array([0.2])}
    got = np.exp(log_fail_in_runs(family, parameters, np.array([10.0]), run))[0, 0]
    p = rng.beta(0.5, 2.0, 200_000) * (rng.random(200_000) >= 0.2)
    of = 1 if math.isinf(run) else int(10 / run)
    of_run = effects(sd).draw(np.repeat(p[:, None], of, axis=1), rng)
    failed = ((1 - of_run) ** (10 / of)).prod(1)
    assert abs(failed.mean() - got) < 4.5 * failed.std() / np.sqrt(len(p))


def test_effects_leave_the_mean_over_runs_as_it_is():
    rng = np.random.default_rng(4)
    for p in (0.001, 0.2, 0.97):
        drawn = effects(1.3).draw(np.full(200_000, p), rng)
        assert abs(drawn.mean() - p) < 4.5 * drawn.std() / np.sqrt(len(drawn))
        z = special.logit(drawn)
        assert z.std() == pytest.approx(1.3, rel=0.02)


def test_problems_are_drawn_from_their_posterior():
    sd, runs = 1.2, [[(2, 10), (0, 10), (0, 10)], [(0, 10)] * 3]
    family, c, f = seeing(bp.Dependent(bp.ZeroInflated(bp.Beta()), sd=sd), runs)
    draws = 4000
    parameters = {"a": np.full(draws, 0.5), "b": np.full(draws, 3.0), "zero": np.full(draws, 0.3)}
    p = family.draw_seen(parameters, np.random.default_rng(5), c, f)
    rng = np.random.default_rng(6)
    for i, each in enumerate(runs):
        x = rng.beta(0.5, 3.0, 400_000)
        log_weight = np.zeros(len(x))
        for solved, made in each:
            log_of = [stats.binom.pmf(solved, made, effects(sd).draw(x, rng)) for _ in range(8)]
            log_weight += np.log(np.mean(log_of, axis=0))
        weight = np.exp(log_weight)
        zero = 0.3 if i == 1 else 0.0
        mass = 0.7 * weight.mean()
        mean = 0.7 * (weight * x).mean() / (mass + zero)
        error = np.sqrt(
            p[:, i].var() / draws
            + (0.7 * (weight * (x - mean)).std() / (mass + zero)) ** 2 / len(x)
        )
        assert abs(p[:, i].mean() - mean) < 5 * error
        never = zero / (mass + zero)
        assert abs((p[:, i] == 0).mean() - never) < 0.04


@pytest.mark.parametrize("length", [3, 200, 2000])
def test_a_sampler_sees_the_likelihood_at_any_spread(length):
    """The spline that a graph has of the spread, against the sum at each."""
    counts = simulated(2, problems=8 if length < 2000 else 2, runs=3, length=length)
    family, c, f = bp.Dependent(bp.ZeroInflated(bp.LibbyNovick())).seeing(
        counts.successes, counts.attempts - counts.successes, counts.runs
    )
    made = family.constants(c.astype(float), f.astype(float))
    natural = family.natural(draw_prior(family, np.random.default_rng(1), (30,)))
    natural["run_sd"][:2] = 1e-5, 30.0
    within = natural | {"run_sd": natural["run_sd"].clip(None, MOST_SD)}
    want = family.log_moments(within, made, NUMPY)
    splines = with_spreads(family, made)
    for draw in range(30):
        one = {name: values[[draw]] for name, values in natural.items()}
        got = family.log_moments(one, splines, NUMPY)[0]
        np.testing.assert_allclose(got, want[draw], rtol=5e-5, atol=2e-3)


def test_too_many_kinds_of_runs_for_a_sampler_are_refused(monkeypatch):
    monkeypatch.setattr("bayespassk.families.dependent.MOST_SPREADS", 10_000)
    with pytest.raises(OptionError, match="method='quadrature'"):
        bp.fit(simulated(2, problems=8), bp.Dependent(bp.Beta()), method="nuts")


def simulated(seed, sd=1.0, problems=60, runs=5, length=20):
    parameters = {"a": 0.5, "b": 2.0, "run_sd": sd}
    return bp.simulate(
        bp.Dependent(bp.Beta()), parameters, problems=problems, attempts=runs * length,
        run_length=length, random_seed=seed,
    )  # fmt: skip


def test_a_fit_learns_how_alike_runs_are_and_says_what_they_are_worth():
    counts = simulated(3)
    fit = bp.fit(counts, bp.Dependent(bp.Beta()), random_seed=1)
    low, high = np.quantile(fit["posterior"]["run_sd"], [0.005, 0.995])
    assert low < 1.0 < high
    alone = bp.fit(counts, bp.Beta(), random_seed=1)
    wide, narrow = (
        np.ptp(np.quantile(bp.forecast(one, 1), [0.025, 0.975])) for one in (fit, alone)
    )
    assert wide > 1.5 * narrow


def test_a_saved_fit_knows_its_runs(tmp_path):
    fit = bp.fit(simulated(4, problems=20), bp.Dependent(bp.Beta()), random_seed=1, draws=50)
    before = bp.summarize(bp.forecast(fit, [1, 1000], run_length=20))
    bp.save(fit, tmp_path / "fit.nc")
    again = bp.load(tmp_path / "fit.nc")
    after = bp.summarize(bp.forecast(again, [1, 1000], run_length=20))
    pd.testing.assert_frame_equal(before, after)
    assert json.loads(again.attrs["family"])["name"] == "dependent"


def test_one_long_run_reaches_less_than_many_short_ones():
    fit = bp.fit(simulated(5), bp.Dependent(bp.Beta(), sd=1.0), random_seed=1, draws=50)
    for target in ("benchmark", "population"):
        own, five, one = (
            float(bp.forecast(fit, 100, target, run_length=n).median()) for n in (1, 20, math.inf)
        )
        assert own > five > one
        plain = float(bp.forecast(fit, 100, target).median())
        assert own == pytest.approx(plain, rel=1e-6)


@pytest.mark.parametrize("known", [True, False])
def test_nuts_and_quadrature_agree(known, full_size):
    if not full_size:
        pytest.skip("with --slow: it compiles; tests/test_building.py has the density sampled")
    counts = simulated(6, problems=30)
    family = bp.Dependent(bp.Beta(), sd=0.8) if known else bp.Dependent(bp.Beta())
    exact = bp.fit(counts, family, method="quadrature", random_seed=1)
    sampled = bp.fit(counts, family, method="nuts", random_seed=1, draws=1000 if full_size else 500)
    for name in ("a", "b") if known else ("a", "b", "run_sd"):
        one, other = (np.log(fit["posterior"][name].values.ravel()) for fit in (exact, sampled))
        assert abs(one.mean() - other.mean()) < 0.2 * one.std()
        assert one.std() == pytest.approx(other.std(), rel=0.25)


def test_the_lattices_of_a_learned_spread_are_its_posterior():
    """Against the marginal likelihood of known ones, by importance sampling from the prior."""
    counts = simulated(11, problems=12, runs=3, length=10)
    fit = bp.fit(counts, bp.Dependent(bp.Beta()), random_seed=1)
    grid = np.linspace(-5, 2.9, 41)
    rng = np.random.default_rng(1)
    free = draw_prior(bp.Beta(), rng, (6_000,))
    natural = bp.Beta().natural(free)
    log_density = []
    for log_sd in grid:
        family, c, f = bp.Dependent(bp.Beta(), sd=float(np.exp(log_sd))).seeing(
            counts.successes, counts.attempts - counts.successes, counts.runs
        )
        each = family.log_moment(natural, c.astype(float), f.astype(float)).sum(1)
        prior = bp.Dependent(bp.Beta()).sd
        log_density.append(special.logsumexp(each) + prior.log_density(log_sd, prior.loc))
    weight = np.exp(np.array(log_density) - max(log_density))
    weight /= weight.sum()
    mean = weight @ grid
    sd = np.sqrt(weight @ (grid - mean) ** 2)
    found = fit["exact"]["log_run_sd"].values[:, 0]
    assert found[0] == pytest.approx(mean, abs=0.06 * sd)
    assert found[1] == pytest.approx(sd, rel=0.06)
    drawn = fit["posterior"]["log_run_sd"].values
    assert drawn.mean() == pytest.approx(mean, abs=0.1 * sd)


@pytest.mark.parametrize("sd", [None, 0.7])
def test_ranks_of_the_truth_are_uniform(sd, full_size):
    """Simulation-based calibration; a false alarm in 1,000 of these tests."""
    if sd is None and not full_size:
        pytest.skip("takes seconds a simulation: run with --slow; the lattices of a learned spread are held against sums")  # fmt: skip
    prior = {} if sd is None else {"sd": sd}
    ranks = bp.calibrate(
        bp.Dependent(bp.Beta(), **prior),
        problems=15, attempts=np.geomspace(5, 60, 15).astype(int), run_length=7,
        simulations=400 if full_size else 20, draws=300, method="quadrature", random_seed=7,
    )  # fmt: skip
    table = bp.summarize_calibration(ranks, bins=10 if full_size else 5)
    worst = table.loc[table["p_value"].idxmin()]
    assert worst["p_value"] > 1e-3 / (2 * len(table)), worst.to_dict()


def test_a_check_replicates_runs():
    """Independent attempts of as many problems spread less than what runs make of them."""
    counts = simulated(7, sd=2.0, problems=80)
    fit = bp.fit(counts, bp.Dependent(bp.Beta()), random_seed=1)
    found = bp.check(fit)
    assert (found["p_value"].sel(statistic=["unsolved", "spread"]) > 0.01).all()


def test_leave_one_out_prefers_runs_where_there_are_some():
    counts = simulated(8, sd=1.5)
    fits = {
        "alone": bp.fit(counts, bp.Beta(), random_seed=1),
        "runs": bp.fit(counts, bp.Dependent(bp.Beta()), random_seed=1),
    }
    table = bp.compare(fits)
    best = table[table["system"] == "simulated"].iloc[0]
    assert best["family"] == "runs"


def test_what_means_nothing_is_refused():
    with pytest.raises(OptionError, match="sd must be"):
        bp.Dependent(bp.Beta(), sd=-1.0)
    with pytest.raises(OptionError, match="other than verified"):
        bp.Dependent(bp.Dependent(bp.Beta()))
    with pytest.raises(OptionError, match="smooth"):
        bp.Dependent(bp.ScaledBeta())
    with pytest.raises(OptionError, match="hold runs"):
        bp.fit(bp.Counts(problem=["a"], attempts=[9], successes=[1]), bp.Dependent(bp.Beta()))
    fit = bp.fit(simulated(9), bp.Beta(), random_seed=1)
    with pytest.raises(OptionError, match="run_length needs a fit with"):
        bp.forecast(fit, 10, run_length=5)
    dependent = bp.fit(simulated(9), bp.Dependent(bp.Beta(), sd=0.3), random_seed=1)
    with pytest.raises(OptionError, match="run_length must be"):
        bp.forecast(dependent, 10, run_length=0.5)
    with pytest.raises(OptionError, match="allocate takes attempts for independent"):
        bp.allocate(dependent, 100, 50)
    with pytest.raises(OptionError, match="loo_pit"):
        bp.loo_pit(dependent)


def test_helpers_see_through_inflations():
    family = bp.ZeroInflated(bp.Dependent(bp.Beta()))
    assert dependence(family) is not None
    assert dependence(with_sd(family, 0.3)).sd == 0.3
    assert dependence(bp.Beta()) is None
