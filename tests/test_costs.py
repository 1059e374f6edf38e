"""What attempts cost: learned from simulated attempts, and followed against brute force."""

import numpy as np
import pytest
from scipy import integrate, stats

from bayespassk.costs import Costs, learn, mean_cost, solved_within

LINE = np.array([[9.0, 8.6], [-0.8, -0.9]])
BETWEEN = np.array([[0.3, 0.1], [0.1, 0.4]])


def simulated(seed, rows=40, attempts=10, limit=np.inf, sd=0.3):
    """Return p, the means of log costs, and attempts made of them."""
    rng = np.random.default_rng(seed)
    p = rng.beta(0.5, 0.8, rows)
    design = np.stack([np.ones(rows), p], -1)
    mean = design @ LINE + rng.multivariate_normal([0, 0], BETWEEN, rows)
    row = np.repeat(np.arange(rows), attempts)
    success = (rng.random(row.size) < p[row]).astype(np.int64)
    cost = np.exp(mean[row, success] + sd * rng.standard_normal(row.size))
    return p, mean, Costs(row, success, np.minimum(cost, limit), rows, limit)


def test_what_is_learned_covers_what_was_simulated():
    """Ranks of the truth among draws, with and without a limit that a third of failures meet."""
    ranks, others = [], []
    for seed in range(8):
        limit = (np.inf, 8000.0)[seed % 2]
        p, mean, costs = simulated(seed, rows=30, limit=limit)
        found = learn(costs, np.tile(p, (300, 1)), np.random.default_rng(seed))
        ranks.append((found.mean < mean).mean(0).ravel())
        others.append((found.line < LINE).mean(0).ravel())
        others.append((found.middle < 0.3**2).mean(0))
    ranks, others = np.concatenate(ranks), np.concatenate(others)
    inside = ((ranks > 0.025) & (ranks < 0.975)).mean()
    assert inside == pytest.approx(0.95, abs=0.03)
    assert ranks.mean() == pytest.approx(0.5, abs=0.05)
    assert ((others > 0.025) & (others < 0.975)).mean() > 0.8


def test_a_limit_taken_for_a_cost_would_make_attempts_cheap():
    """What the censored part is for: the means of problems that mostly meet the limit."""
    _, mean, costs = simulated(3, limit=5000.0)
    p = np.full((300, 40), 0.5)
    rng = np.random.default_rng(1)
    censored = learn(costs, p, rng).mean[..., 0].mean(0)
    plain = learn(Costs(costs.row, costs.success, costs.cost, 40, np.inf), p, rng)
    far = mean[:, 0] > np.log(7000)
    assert far.sum() > 10
    assert (plain.mean[..., 0].mean(0) - mean[:, 0])[far].mean() < -0.4
    assert abs((censored - mean[:, 0])[far].mean()) < 0.3


@pytest.mark.parametrize("limit", [np.inf, 20_000.0, 3000.0])
def test_the_mean_cost_is_the_integral(limit):
    mean, variance = 9.0, 0.5
    law = stats.lognorm(np.sqrt(variance), scale=np.exp(mean))
    want = integrate.quad(law.sf, 0, min(limit, 1e7), limit=500)[0]
    found = mean_cost(np.array(mean), np.array(variance), limit)
    assert float(found) == pytest.approx(want, rel=1e-6)


def one_by_one(p, mean, sd, limit, budgets, runs, rng):
    """Return the share of runs that succeed within each budget: attempt after attempt."""
    solved = np.zeros(len(budgets))
    for _ in range(runs):
        spent = 0.0
        while spent < max(budgets):
            success = rng.random() < p
            spent += min(np.exp(mean[int(success)] + sd * rng.standard_normal()), limit)
            if success:
                solved += spent <= budgets
                break
    return solved / runs


@pytest.mark.parametrize(
    ("p", "limit"), [(0.3, np.inf), (0.05, 9000.0), (1.0, np.inf), (0.6, 5000.0)]
)
def test_budgets_are_spent_as_brute_force_spends_them(p, limit):
    rng = np.random.default_rng(2)
    mean, sd, budgets = np.array([8.8, 8.3]), 0.4, np.array([2e3, 5e3, 1e4, 3e4, 1e5])
    want = one_by_one(p, mean, sd, limit, budgets, 4000, rng)
    shape = (100, 10)
    means, variances = np.broadcast_to(mean, (*shape, 2)), np.full((*shape, 2), sd**2)
    found = solved_within(np.full(shape, p), means, variances, limit, budgets, rng)
    found = np.concatenate([each for _, each in found]).mean((0, 1))
    np.testing.assert_allclose(found, want, atol=4 * 0.5 / np.sqrt(4000))


@pytest.mark.parametrize("p", [1e-3, 1e-9, 0.0])
def test_beyond_what_is_followed_one_by_one_it_is_the_attempts_bought(p):
    """Thousands of attempts, and 1e12 of them."""
    rng = np.random.default_rng(2)
    shape, attempts = (20, 50), np.array([1e3, 3e3, 1e9, 1e12])
    means, variances = np.full((*shape, 2), 5.0), np.full((*shape, 2), 0.04)
    budgets = attempts * np.exp(5.0 + 0.02)
    found = solved_within(np.full(shape, p), means, variances, np.inf, budgets, rng)
    found = np.concatenate([each for _, each in found]).mean((0, 1))
    np.testing.assert_allclose(found, -np.expm1(attempts * np.log1p(-p)), rtol=2e-3)


def test_a_run_of_thousands_is_as_simulated():
    """The luck of the costs of many failures, against 2,000 runs of their own."""
    rng = np.random.default_rng(5)
    p, mean, sd, budget = 0.004, 3.0, 1.0, np.array([4000.0, 8000.0])
    cost = np.exp(mean + sd * rng.standard_normal((2000, 1500)))
    first = rng.geometric(p, 2000)
    spent = cost.cumsum(1)[np.arange(2000), np.minimum(first, 1500) - 1]
    want = ((first <= 1500) & (spent <= budget[:, None])).mean(1)
    shape = (100, 20)
    means, variances = np.full((*shape, 2), mean), np.full((*shape, 2), sd**2)
    found = solved_within(np.full(shape, p), means, variances, np.inf, budget, rng)
    found = np.concatenate([each for _, each in found]).mean((0, 1))
    np.testing.assert_allclose(found, want, atol=4 * 0.5 / np.sqrt(2000))


def test_the_mean_cost_of_a_new_problem_is_finite():
    """A variance told by few attempts is bounded, or a draw in a million would be all of it."""
    rng = np.random.default_rng(1)
    p, _, costs = simulated(1, attempts=3)
    found = learn(costs, np.tile(p, (500, 1)), rng)
    mean, variance = found.of_new(np.full((500, 400), 0.5), slice(None), rng)
    assert (variance <= 6.001 * found.middle[:, None]).all()
    each = mean_cost(mean, variance)[..., 0]
    half = each[:, ::2].mean(1), each[:, 1::2].mean(1)
    assert np.corrcoef(*half)[0, 1] > 0.8
