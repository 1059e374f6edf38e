"""Draws of the p of attempted problems: right in the mean, the same whatever is asked of them."""

import numpy as np
import pytest
from scipy import stats

import bayespassk as bp
from bayespassk.asking import seen as module
from bayespassk.asking.pass_at_k import FailAtK, PassAtK, PassHatK
from bayespassk.asking.seen import Seen
from bayespassk.posterior.fitted import opened

KS = np.array([1, 30, 1000])

FEW_SOLVABLE = {
    "three of 1,000": (np.r_[np.zeros(997, int), 5, 40, 300], 1000),
    "one of 800": (np.r_[np.zeros(799, int), 9], 200),
    "two of 500": (np.r_[np.zeros(498, int), 1, 3], 50),
    "all but two of 500, always": (np.r_[np.full(498, 50), 49, 47], 50),
}
"""Logs of many equal rows, of which few matter."""


def of(successes, attempts, family, draws=500):
    """A fit by quadrature, quick and without noise of its own."""
    many = len(successes)
    counts = bp.Counts(problem=range(many), attempts=[attempts] * many, successes=successes)
    return bp.fit(counts, family, method="quadrature", draws=draws, random_seed=1, progress=False)


@pytest.fixture(scope="module")
def fitted(fit):
    return opened(fit)


@pytest.fixture(scope="module")
def equal_rows():
    """150 of the 200 problems have the same counts, more than are drawn one by one."""
    successes = np.r_[np.zeros(150, int), np.arange(50) % 21]
    counts = bp.Counts(problem=range(200), attempts=[20] * 200, successes=successes)
    return opened(bp.fit(counts, bp.Beta(), random_seed=1, progress=False))


@pytest.mark.parametrize(
    "question", [PassAtK(KS), FailAtK(KS * 1.0), PassHatK(KS)], ids=lambda q: q.name
)
@pytest.mark.parametrize("which", ["fitted", "equal_rows"])
def test_the_mean_is_what_is_expected_given_the_counts(question, which, request):
    """Within 5 standard errors at each k: false alarms are below 1e-5."""
    fitted = request.getfixturevalue(which)
    (part,) = fitted.parts[0]
    drawn = Seen(fitted, 0, 1).mean(question).reshape(-1, len(KS))
    flat = {name: value.ravel() for name, value in part.parameters.items()}
    c, f = (v[:, None].astype(float) for v in (part.cells.successes, part.cells.failures))
    each = question.expected(fitted.family, flat, c, f)
    expected = np.einsum("dcv,c->dv", each, part.cells.problems) / part.cells.problems.sum()
    error = (drawn - expected).std(0) / np.sqrt(len(drawn)) + 1e-12
    assert (np.abs((drawn - expected).mean(0)) < 5 * error).all()


def test_one_seed_gives_the_same_p_whatever_is_asked(fitted):
    both, alone = Seen(fitted, 0, 7).mean(PassAtK(KS)), Seen(fitted, 0, 7).mean(PassAtK(KS[:1]))
    np.testing.assert_array_equal(both[..., :1], alone)
    np.testing.assert_allclose(1 - both, Seen(fitted, 0, 7).mean(FailAtK(KS * 1.0)), atol=1e-12)
    assert (Seen(fitted, 0, 8).mean(PassAtK(KS)) != both).any()


def test_rows_are_those_that_are_looked_at(fitted):
    """Of the problems never solved pass@1 is below that of all."""
    rows = fitted.successes == 0
    few = Seen(fitted, 0, 1, rows)
    assert few.problems == int((rows & (fitted.system_index == 0)).sum())
    assert few.mean(PassAtK(KS)).mean() < Seen(fitted, 0, 1).mean(PassAtK(KS)).mean()


@pytest.mark.parametrize("which", ["fitted", "equal_rows"])
def test_a_run_solves_whole_problems_and_no_fewer_with_more_attempts(which, request):
    fitted = request.getfixturevalue(which)
    seen = Seen(fitted, 0, 1)
    solved = seen.realised(KS) * seen.problems
    np.testing.assert_allclose(solved, solved.round(), atol=1e-9)
    assert (np.diff(solved, axis=-1) >= 0).all()


def same_distribution(one, other, false_alarm=1e-6):
    """Kolmogorov and Smirnov's test at each value, draws in rows."""
    for j in range(one.shape[1]):
        assert stats.ks_2samp(one[:, j], other[:, j]).pvalue > false_alarm


def one_by_one(fitted, seed, of_p):
    """Means over problems that are each drawn from scipy's beta, dims (draw, value)."""
    (part,) = fitted.parts[0]
    a, b = (part.parameters[name].ravel()[:, None] for name in ("a", "b"))
    rng = np.random.default_rng(seed)
    total = 0.0
    cells = part.cells
    for c, f, many in zip(cells.successes, cells.failures, cells.problems, strict=True):
        total = total + of_p(rng.beta(a + c, b + f, size=(len(a), many)))
    return total / cells.problems.sum()


@pytest.mark.parametrize("log", [log for log in FEW_SOLVABLE if "always" not in log])
def test_bands_of_many_equal_rows_are_those_of_problems_drawn_one_by_one(log):
    """The whole distribution, and each end of the band within 4 standard errors.

    A mean over 64 copies pulled towards its expectation has the right mean and variance, and
    9 to 19% of what is right lies below its band.
    """
    successes, n = FEW_SOLVABLE[log]
    fitted = opened(of(successes, n, bp.Beta()))
    ks = np.array([n, 10 * n, 1000 * n])
    drawn = Seen(fitted, 0, 1).mean(PassAtK(ks)).reshape(-1, 3)
    brute = one_by_one(
        fitted, 2, lambda p: np.stack([-np.expm1(k * np.log1p(-p)).sum(-1) for k in ks], -1)
    )
    same_distribution(drawn, brute)
    for end in (0.025, 0.975):
        below = (brute < np.quantile(drawn, end, axis=0)).mean(0)
        assert (np.abs(below - end) < 4 * np.sqrt(2 * 0.025 * 0.975 / len(brute))).all()


def test_what_fails_now_and_then_among_what_never_failed_is_drawn_as_rightly():
    """pass^k is ruled by the few of 498 problems that would fail."""
    successes, n = FEW_SOLVABLE["all but two of 500, always"]
    fitted = opened(of(successes, n, bp.Beta()))
    ks = np.array([n, 100 * n])
    drawn = Seen(fitted, 0, 1).mean(PassHatK(ks)).reshape(-1, 2)
    brute = one_by_one(fitted, 2, lambda p: np.stack([(p**k).sum(-1) for k in ks], -1))
    same_distribution(drawn, brute)


def test_what_never_failed_is_drawn_far_out_too():
    """pass^k at k = 1e6: the nodes of c = n alone were wrong by a factor of 2 at 1e8."""
    fitted = opened(of(np.r_[np.full(60, 50), 49, 40], 50, bp.LibbyNovick(), draws=250))
    question = PassHatK(np.array([10**4, 10**6, 10**8]))
    (part,) = fitted.parts[0]
    flat = {name: value.ravel() for name, value in part.parameters.items()}
    c, f = (v[:, None].astype(float) for v in (part.cells.successes, part.cells.failures))
    expected = question.expected(fitted.family, flat, c, f)
    expected = np.einsum("dcv,c->dv", expected, part.cells.problems) / part.cells.problems.sum()
    drawn = Seen(fitted, 0, 1).mean(question).reshape(-1, 3)
    error = (drawn - expected).std(0) / np.sqrt(len(drawn))
    assert (np.abs((drawn - expected).mean(0)) < 5 * error).all()


@pytest.mark.parametrize(
    "family",
    [
        bp.LibbyNovick(),
        bp.Kumaraswamy(),
        bp.ZeroInflated(bp.Beta()),
        bp.OneInflated(bp.Beta()),
        bp.ScaledBeta(),
        bp.Verified(bp.Beta(), true_positive_rate=0.9, false_positive_rate=1e-4),
        bp.Verified(bp.ZeroInflated(bp.Beta()), true_positive_rate=1.0, false_positive_rate=0.0),
    ],
    ids=lambda family: family.full_name,
)
def test_every_family_spreads_equal_rows_as_it_draws_them(family, monkeypatch):
    """Drawn one by one for every draw, as cells of few problems are."""
    successes, n = np.r_[np.zeros(96, int), 1, 3, 20, 50], 50
    fitted = opened(of(successes, n, family, draws=250))
    questions = [PassAtK(np.array([n, 100 * n])), PassHatK(np.array([2, 40]))]
    spread = [Seen(fitted, 0, 1).mean(one).reshape(-1, 2) for one in questions]
    monkeypatch.setattr(module, "COPIES", 10**9)
    for question, drawn in zip(questions, spread, strict=True):
        same_distribution(drawn, Seen(fitted, 0, 2).mean(question).reshape(-1, 2))


def test_budgets_of_many_equal_rows_are_those_of_problems_drawn_one_by_one():
    """The upper end of a budget was 8 times too small."""
    successes, n = FEW_SOLVABLE["two of 500"]
    fit = of(successes, n, bp.Beta())
    budgets = bp.budget_for(fit, [0.02]).values.reshape(-1, 1)
    rng = np.random.default_rng(3)
    (part,) = opened(fit).parts[0]
    a, b = (part.parameters[name].ravel()[:, None] for name in ("a", "b"))
    rates = -np.log1p(-rng.beta(a + successes, b + n - successes))
    low, high = np.zeros(len(a)), np.full(len(a), np.log(1e12))
    for _ in range(40):  # the least k at which pass@k reaches 0.02, halved in log k
        middle = (low + high) / 2
        reached = -np.expm1(-np.exp(middle)[:, None] * rates).mean(-1) >= 0.02
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    brute = np.where(high >= np.log(1e12) * (1 - 1e-9), np.inf, np.ceil(np.exp(high)))[:, None]
    same_distribution(budgets, brute)
    upper, right = (np.quantile(one, 0.9) for one in (budgets, brute))
    assert 0.7 < upper / right < 1.4
