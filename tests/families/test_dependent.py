"""Runs whose attempts are alike: against sums and integrals that share nothing with ours."""

import json
import math

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import bayespassk as bp
from bayespassk.cells import distinct
from bayespassk.errors import OptionError
from bayespassk.families.base import draw_prior
from bayespassk.families.dependent import (
    Patterns,
    dependence,
    log_fail_in_runs,
    log_fail_of_problems,
    with_rho,
)
from bayespassk.special import graph

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


def log_of_runs(runs, rho, a, b):
    """Return the log of the mean over p ~ Beta(a, b) of the probability of these outcomes.

    By the trapezoidal rule on the axis of logit p, and beta functions.
    """
    x, step = np.linspace(-60, 40, 1_000_001, retstep=True)
    s = 1 / rho - 1
    p, q = special.expit(x), special.expit(-x)
    logs = a * np.log(p) + b * np.log(q) - special.betaln(a, b)
    for solved, made in runs:
        logs += special.betaln(p * s + solved, q * s + made - solved)
        logs -= special.betaln(p * s, q * s)
    return special.logsumexp(logs[np.isfinite(logs)]) + np.log(step)


@pytest.mark.parametrize("rho", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("runs", RUNS, ids=str)
def test_the_likelihood_is_the_integral_of_beta_binomials(runs, rho):
    a, b = 0.6, 4.0
    family, c, f = seeing(bp.Dependent(bp.Beta(), rho=rho), [runs])
    parameters = {"a": np.array([a]), "b": np.array([b])}
    got = family.log_moment(parameters, c.astype(float), f.astype(float))
    np.testing.assert_allclose(got[0, 0], log_of_runs(runs, rho, a, b), rtol=1e-8)


def test_learned_and_known_correlations_are_one_formula():
    runs = [one for one in RUNS for _ in range(2)]
    known, c, f = seeing(bp.Dependent(bp.Kumaraswamy(), rho=0.2), runs)
    learned, *_ = seeing(bp.Dependent(bp.Kumaraswamy()), runs)
    parameters = {"a": np.array([0.3, 0.5]), "b": np.array([3.0, 20.0])}
    want = known.log_moment(parameters, c.astype(float), f.astype(float))
    rho = {"rho": np.array([0.2, 0.2])}
    got = learned.log_moment(parameters | rho, c.astype(float), f.astype(float))
    np.testing.assert_allclose(got, want, rtol=1e-9)


@pytest.mark.parametrize("base", [bp.Beta(), bp.ZeroInflated(bp.LibbyNovick())], ids=str)
def test_without_correlation_it_is_the_family_itself(base):
    family, c, f = seeing(bp.Dependent(base, rho=0.0), RUNS)
    totals = [(sum(s for s, _ in one), sum(m for _, m in one)) for one in RUNS]
    solved, made = np.array(totals, dtype=float).T
    free = draw_prior(base, np.random.default_rng(2), (3,))
    natural = base.natural(free)
    want = base.log_moment(natural, solved, made - solved)
    np.testing.assert_allclose(family.log_moment(natural, c, f), want, rtol=1e-8, atol=1e-8)


def test_every_attempt_in_a_run_of_its_own_is_independent():
    family, c, f = seeing(bp.Dependent(bp.Beta(), rho=0.7), [[(1, 1)] * 3 + [(0, 1)] * 40])
    parameters = {"a": np.array([0.3]), "b": np.array([5.0])}
    got = family.log_moment(parameters, c.astype(float), f.astype(float))
    np.testing.assert_allclose(got[0], bp.Beta().log_moment(parameters, 3.0, 40.0), rtol=1e-9)


def test_problems_with_the_same_runs_in_another_order_are_one():
    _, c, f = seeing(bp.Dependent(bp.Beta()), [[(1, 5), (0, 5)], [(0, 5), (1, 5)], [(1, 10)]])
    assert c[0] == c[1] != c[2]
    assert f[0] == f[1] != f[2]


@pytest.mark.parametrize("rho", [1e-9, 0.05, 0.4, 0.99])
@pytest.mark.parametrize(("k", "run"), [(1, 20), (20, 20), (50, 20), (10, math.inf), (10**12, math.inf), (10**12, 100), (7, 1)])  # fmt: skip
def test_attempts_in_runs_fail_as_products_say(k, run, rho):
    """Of a point mass of p, as the beta-binomial product has it."""
    mp.mp.dps = 40
    s = 1 / mp.mpf(rho) - 1
    family = bp.Dependent(bp.Beta(), rho=rho)
    for p in (1e-15, 1e-6, 0.01, 0.6):
        q = 1 - mp.mpf(p)

        def of_run(m, q=q):
            if not m:
                return mp.mpf(0)
            return mp.loggamma(q * s + m) - mp.loggamma(q * s) - mp.loggamma(s + m) + mp.loggamma(s)

        whole, rest = (0, k) if math.isinf(run) else divmod(k, run)
        want = float(whole * of_run(run if whole else 0) + of_run(rest))
        got = log_fail_of_problems(
            family,
            {"a": np.ones(1), "b": np.ones(1)},
            np.array([[np.log1p(-p)]]),
            np.array([float(k)]),
            run,
        )
        np.testing.assert_allclose(got[0, 0, 0], want, rtol=1e-7)


@pytest.mark.parametrize("run", [1, 5, math.inf])
def test_new_problems_fail_in_runs_as_sampled_ones_do(run):
    rng = np.random.default_rng(3)
    family, rho = bp.Dependent(bp.ZeroInflated(bp.Beta()), rho=0.3), 0.3
    parameters = {"a": np.array([0.5]), "b": np.array([2.0]), "zero": np.array([0.2])}
    got = np.exp(log_fail_in_runs(family, parameters, np.array([10.0]), run))[0, 0]
    p = rng.beta(0.5, 2.0, 200_000) * (rng.random(200_000) >= 0.2)
    s, of = 1 / rho - 1, 1 if math.isinf(run) else int(10 / run)
    of_run = rng.beta((p[:, None] * s).clip(1e-12), (1 - p[:, None]) * s, (len(p), of))
    failed = ((1 - of_run) ** (10 / of)).prod(1)
    assert abs(failed.mean() - got) < 4.5 * failed.std() / np.sqrt(len(p))


def test_problems_are_drawn_from_their_posterior():
    rho, runs = 0.25, [[(2, 10), (0, 10), (0, 10)], [(0, 10)] * 3]
    family, c, f = seeing(bp.Dependent(bp.ZeroInflated(bp.Beta()), rho=rho), runs)
    draws = 4000
    parameters = {"a": np.full(draws, 0.5), "b": np.full(draws, 3.0), "zero": np.full(draws, 0.3)}
    p = family.draw_seen(parameters, np.random.default_rng(5), c, f)
    x = (np.arange(200_000) + 0.5) / 200_000
    s = 1 / rho - 1
    for i, each in enumerate(runs):
        log_weight = stats.beta.logpdf(x, 0.5, 3.0)
        for solved, made in each:
            log_weight += stats.betabinom.logpmf(solved, made, x * s, (1 - x) * s)
        weight = np.exp(log_weight)
        mass = weight.mean() * 0.7
        zero = 0.3 if i == 1 else 0.0
        mean = (weight * x).mean() * 0.7 / (mass + zero)
        square = (weight * x**2).mean() * 0.7 / (mass + zero)
        assert abs(p[:, i].mean() - mean) < 4.5 * np.sqrt((square - mean**2) / draws)
        never = zero / (mass + zero)
        assert abs((p[:, i] == 0).mean() - never) < 4.5 * np.sqrt(0.25 / draws)


def test_the_graph_of_patterns_agrees_with_numpy():
    import pytensor
    import pytensor.tensor as pt

    family, c, f = seeing(bp.Dependent(bp.ZeroInflated(bp.Beta())), RUNS[:4])
    for systems in (1, 2):
        cells = distinct(np.tile(np.arange(systems), 4)[:4], c, f)
        data = family.likelihood_data(cells)
        free = draw_prior(family, np.random.default_rng(1), (systems,))
        inputs = {name: pt.dvector(name) for name in free}
        tensors = {k: pt.as_tensor(v) for k, v in data.items()}
        value = family.log_likelihood(family.natural(inputs, graph()), tensors, graph())
        outputs = [value, *pt.grad(value, list(inputs.values()))]
        mode = pytensor.compile.mode.Mode("py", "fast_compile")
        got, *gradients = pytensor.function(list(inputs.values()), outputs, mode=mode)(
            *free.values()
        )
        natural = family.natural(free)
        want = sum(
            family.log_moment({n: v[[i]] for n, v in natural.items()}, c[[j]], f[[j]])[0, 0]
            for j, i in enumerate(np.tile(np.arange(systems), 4)[:4])
        )
        np.testing.assert_allclose(got, want, rtol=1e-8)
        assert all(np.isfinite(one).all() for one in gradients)


def simulated(seed, rho=0.2, problems=60, runs=5, length=20):
    parameters = {"a": 0.5, "b": 2.0} | {"rho": rho}
    return bp.simulate(
        bp.Dependent(bp.Beta()), parameters, problems=problems, attempts=runs * length,
        run_length=length, random_seed=seed,
    )  # fmt: skip


def test_simulated_runs_are_as_alike_as_they_should_be():
    counts = simulated(1, rho=0.3, problems=4000, runs=2)
    c = counts.runs.successes.reshape(-1, 2)
    within = ((c[:, 0] - c[:, 1]) ** 2).mean() / 2
    p = 0.5 / 2.5
    spread = p * (1 - p) * (1 - 1 / 3.5)  # E p (1-p)
    want = 20 * spread * (1 + 19 * 0.3)
    assert within == pytest.approx(want, rel=0.1)


def test_a_fit_learns_how_alike_runs_are_and_says_what_they_are_worth():
    counts = simulated(3)
    fit = bp.fit(counts, bp.Dependent(bp.Beta()), random_seed=1)
    low, high = np.quantile(fit["posterior"]["rho"], [0.005, 0.995])
    assert low < 0.2 < high
    alone = bp.fit(counts, bp.Beta(), random_seed=1)
    wide, narrow = (
        np.ptp(np.quantile(bp.forecast(one, 1), [0.025, 0.975])) for one in (fit, alone)
    )
    assert wide > 1.5 * narrow


def test_a_saved_fit_knows_its_runs(tmp_path):
    fit = bp.fit(simulated(4), bp.Dependent(bp.Beta()), random_seed=1)
    before = bp.summarize(bp.forecast(fit, [1, 1000], run_length=20))
    bp.save(fit, tmp_path / "fit.nc")
    again = bp.load(tmp_path / "fit.nc")
    after = bp.summarize(bp.forecast(again, [1, 1000], run_length=20))
    pd.testing.assert_frame_equal(before, after)
    assert json.loads(again.attrs["family"])["name"] == "dependent"


def test_one_long_run_reaches_less_than_many_short_ones():
    fit = bp.fit(simulated(5), bp.Dependent(bp.Beta(), rho=0.3), random_seed=1)
    for target in ("benchmark", "population"):
        own, five, one = (
            float(bp.forecast(fit, 100, target, run_length=n).median()) for n in (1, 20, math.inf)
        )
        assert own > five > one
        plain = float(bp.forecast(fit, 100, target).median())
        assert own == pytest.approx(plain, rel=1e-6)


def test_nuts_and_quadrature_agree_where_rho_is_learned(full_size):
    counts = simulated(6)
    family = bp.Dependent(bp.Beta())
    exact = bp.fit(counts, family, method="quadrature", random_seed=1)
    sampled = bp.fit(counts, family, method="nuts", random_seed=1, draws=1000 if full_size else 500)
    for name in ("a", "b", "rho"):
        one, other = (np.log(fit["posterior"][name].values.ravel()) for fit in (exact, sampled))
        assert abs(one.mean() - other.mean()) < 0.2 * one.std()
        assert one.std() == pytest.approx(other.std(), rel=0.25)


@pytest.mark.parametrize("rho", [None, 0.1])
def test_ranks_of_the_truth_are_uniform(rho, full_size):
    """Simulation-based calibration; a false alarm in 1,000 of these tests."""
    prior = {} if rho is None else {"rho": rho}
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
    counts = simulated(7, rho=0.5, problems=80)
    fit = bp.fit(counts, bp.Dependent(bp.Beta()), random_seed=1)
    found = bp.check(fit)
    assert (found["p_value"].sel(statistic=["unsolved", "spread"]) > 0.01).all()


def test_leave_one_out_prefers_runs_where_there_are_some():
    counts = simulated(8, rho=0.4)
    fits = {
        "alone": bp.fit(counts, bp.Beta(), random_seed=1),
        "runs": bp.fit(counts, bp.Dependent(bp.Beta()), random_seed=1),
    }
    table = bp.compare(fits)
    best = table[table["system"] == "simulated"].iloc[0]
    assert best["family"] == "runs"


def test_what_means_nothing_is_refused():
    with pytest.raises(OptionError, match="rho must be"):
        bp.Dependent(bp.Beta(), rho=1.0)
    with pytest.raises(OptionError, match="other than verified"):
        bp.Dependent(bp.Dependent(bp.Beta()))
    with pytest.raises(OptionError, match="smooth"):
        bp.Dependent(bp.ScaledBeta())
    with pytest.raises(OptionError, match="hold runs"):
        bp.fit(bp.Counts(problem=["a"], attempts=[9], successes=[1]), bp.Dependent(bp.Beta()))
    fit = bp.fit(simulated(9), bp.Beta(), random_seed=1)
    with pytest.raises(OptionError, match="run_length needs a fit with"):
        bp.forecast(fit, 10, run_length=5)
    dependent = bp.fit(simulated(9), bp.Dependent(bp.Beta(), rho=0.1), random_seed=1)
    with pytest.raises(OptionError, match="run_length must be"):
        bp.forecast(dependent, 10, run_length=0.5)
    with pytest.raises(OptionError, match="allocate takes attempts for independent"):
        bp.allocate(dependent, 100, 50)
    with pytest.raises(OptionError, match="loo_pit"):
        bp.loo_pit(dependent)


def test_helpers_see_through_inflations():
    family = bp.ZeroInflated(bp.Dependent(bp.Beta()))
    assert dependence(family) is not None
    assert dependence(with_rho(family, 0.3)).rho == 0.3
    assert dependence(bp.Beta()) is None
    table = Patterns.of_powers(np.array([2.0]), np.array([3.0]))
    at = np.array([0.3])
    got = table.log_probability(np.log(at), np.log1p(-at), 0.0)
    assert float(got[0, 0]) == pytest.approx(2 * np.log(0.3) + 3 * np.log(0.7))
