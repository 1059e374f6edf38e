"""How much of a forecast is prior: against conjugate normals, and what is said of it."""

import re
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

import bayespassk as bp
from bayespassk.asking import influence
from bayespassk.posterior.fitted import opened


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_of_normals_it_is_the_share_of_the_precision(share):
    """Precisions add up; the scale of the forecast plays no part. Monte Carlo error 0.02."""
    x = np.random.default_rng(1).standard_normal(40_000)  # a posterior of precision 1 at 0
    log_prior, log_likelihood = -share * x**2 / 2, -(1 - share) * x**2 / 2
    for values in (x, np.exp(3 * x), -x):
        found = influence.prior_share(values, log_prior, log_likelihood)
        assert found == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize(
    ("spread", "others", "prior"), [(1.0, 2.0, 0.5), (0.2, 5.0, 0.1), (2.0, 0.1, 1.0)]
)
def test_shares_of_a_pooled_normal_are_those_of_precisions(spread, others, prior):
    """A parameter ~ N(c, spread), seen with precision 1; c has a prior and what others tell of it.

    A spread that is known well narrows a forecast, too: that is lent, not seen.
    """
    tie = 1 / spread**2
    precision = np.array([[1 + tie, -tie], [-tie, tie + prior + others]])
    draws = np.random.default_rng(1).multivariate_normal([0, 0], np.linalg.inv(precision), 100_000)
    theta, centre = draws.T
    found = influence.Densities(
        prior=-prior * centre**2 / 2,
        own=-(theta**2) / 2,
        lent=influence._log_normal(theta[:, None]) + theta**2 / 2,
        effect=-tie * (theta - centre) ** 2 / 2,
        centre={"x": centre},
    )
    family = SimpleNamespace(natural=lambda free: free, log_moment=lambda p, *_: p["x"][:, None])
    one = influence.shares(SimpleNamespace(family=family), theta, found, 10.0)
    borrowed = 1 - np.linalg.inv(precision)[0, 0]  # its own attempts have precision 1
    assert sum(one) == pytest.approx(1.0)
    assert one.own == pytest.approx(1 - borrowed, abs=0.02)
    assert one.prior == pytest.approx(borrowed * prior / (prior + others), abs=0.02)


def test_shares_among_many_systems_are_no_noise():
    """Two halves of the draws say the same; with the likelihoods of all others they did not."""
    rng = np.random.default_rng(3)
    systems = np.repeat([f"s{i}" for i in range(10)], 30)
    p = rng.beta(0.3, 2.0, len(systems))
    counts = bp.Counts(problem=np.tile(np.arange(30), 10), attempts=[20] * len(p), successes=rng.binomial(20, p), system=systems)  # fmt: skip
    fitted = opened(bp.fit(counts, bp.Beta(), random_seed=1, progress=False))
    draws = bp.pass_hat_k(fitted.tree, 1, "population").values[..., 0].reshape(4000, -1)
    for system in range(10):
        found = influence.log_densities(fitted, system)
        halves = [
            influence.shares(
                fitted,
                draws[some, system],
                influence.Densities(
                    *(one[some] for one in found[:4]),
                    {name: one[some] for name, one in found.centre.items()},
                ),
                1.0,
            )
            for some in (slice(2000), slice(2000, None))
        ]
        assert np.abs(np.subtract(*halves)).max() < 0.2
        assert 0.04 < halves[0].own < 0.5  # of ten that are alike it is about a tenth


def test_without_attempts_all_is_prior():
    x = np.random.default_rng(1).standard_normal(100)
    assert influence.prior_share(x, -(x**2) / 2, np.zeros(100)) == 1.0


def test_densities_are_those_of_the_model(fit):
    """Up to a constant: a beta-binomial of SciPy, and the priors written out."""
    fitted = opened(fit)
    log_prior, log_likelihood = influence.log_densities(fitted, 1, step=400)[:2]
    a, b = (fitted.posterior[name].isel(system=1).values.ravel()[::400] for name in ("a", "b"))
    mine = fitted.system_index == 1
    c, n = fitted.successes[mine], fitted.attempts[mine]
    want = stats.betabinom.logpmf(c, n, a[:, None], b[:, None]).sum(1)
    np.testing.assert_allclose(np.diff(log_likelihood), np.diff(want), rtol=1e-8)
    family = fitted.family
    want = stats.norm.logpdf(np.log(a), family.log_a.loc, family.log_a.scale)
    want = want + stats.logistic.logpdf(np.log(b), family.log_b.loc, family.log_b.scale)
    np.testing.assert_allclose(np.diff(log_prior), np.diff(want), rtol=1e-8)


NARROW = bp.Beta(log_a=bp.Prior(-1.6, 0.05), log_b=bp.Prior(1.6, 0.05))


@pytest.mark.filterwarnings("ignore::bayespassk.errors.FamilyWarning")  # of a narrow prior
def test_the_warning_says_whose_at_which_k_and_how_much(counts):
    """One place for all questions: a forecast, a budget and a difference say the same of a system."""
    few = bp.thin(counts, 2, random_seed=1)
    fit = bp.fit(few, NARROW, pooling="none", random_seed=1, progress=False)
    for verb in (
        lambda: bp.forecast(fit, 10**6, "population"),
        lambda: bp.budget_for(fit, 0.95, "population"),
        lambda: bp.difference(fit, "large", "small", 10**6, "population"),
    ):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            verb()
        (one,) = [w.message for w in told if isinstance(w.message, bp.errors.ForecastWarning)]
        assert one.k > 20
        assert set(one.systems) <= {"small", "large"}
        assert all(0.5 < share <= 1 for share in one.prior_share)
        assert re.search(r"at k = [\d,]+ the prior weighs more than the attempts", str(one))
        assert told[0].filename == __file__, "the warning points to who asked"
    with warnings.catch_warnings():
        warnings.simplefilter("error", bp.errors.ForecastWarning)
        bp.forecast(fit, 20)  # ten times the attempts


@pytest.mark.parametrize(("share", "apart"), [(0.1, 5.0), (0.5, 1.0), (0.02, 0.0)])
def test_the_shift_of_normals_is_that_of_precisions_which_change(share, apart):
    """A prior `apart` posterior sds below the posterior, with this share of the precision."""
    x = np.random.default_rng(1).standard_normal(100_000)
    log_prior = -share * (x + apart) ** 2 / 2

    def mean(power):  # of a prior to a power and a likelihood with its mean where 0 is their middle
        likelihood = share * apart / (1 - share)
        return (-power * share * apart + (1 - share) * likelihood) / (power * share + 1 - share)

    found = influence.prior_shift(3 * x + 7, log_prior)
    assert found == pytest.approx(mean(2) - mean(0.5), abs=0.04)
    assert influence.prior_shift(-x, log_prior) == pytest.approx(-found, abs=1e-9)
    assert influence.prior_shift(np.ones(100), log_prior[:100]) == 0.0


def test_where_weights_fail_the_derivative_is_taken():
    x = np.random.default_rng(1).standard_normal((40, 1000))
    log_prior = -((x - 3) ** 2).sum(0)  # of 40 parameters
    want = np.log(4) * np.cov(x[0], log_prior)[0, 1] / x[0].std()
    assert influence.prior_shift(x[0], log_prior) == pytest.approx(want)


@pytest.mark.filterwarnings("ignore::bayespassk.errors.FamilyWarning")
def test_a_prior_that_moves_the_forecast_is_told_though_its_share_is_small():
    """Ten problems, tried once: the attempts show 0.80, and at k = 1 nobody expects the prior."""
    counts = bp.Counts(problem=range(10), attempts=[1] * 10, successes=[1] * 8 + [0] * 2)
    family = bp.LibbyNovick(log_b=bp.Prior(1.1, 1.0), logit_knee=bp.Prior(-3.5, 2.5))
    fit = bp.fit(counts, family, pooling="none", random_seed=1, progress=False)
    table = bp.sensitivity(fit, [1]).iloc[0]
    assert table["prior_share"] < 0.1
    assert -1.3 < table["prior_shift"] < -0.6
    with pytest.warns(bp.errors.ForecastWarning, match=r"the prior moves .* at k = 1\b") as told:
        bp.forecast(fit, [1, 10])
    (said,) = (one.message for one in told if one.category is bp.errors.ForecastWarning)
    assert said.k == 1
    assert said.prior_shift[0] == pytest.approx(table["prior_shift"], abs=0.25)
    many = bp.Counts(problem=range(10), attempts=[100] * 10, successes=[80] * 8 + [3] * 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bp.forecast(bp.fit(many, pooling="none", random_seed=1, progress=False), [1, 10])


@pytest.mark.filterwarnings("ignore::bayespassk.errors.FamilyWarning")  # of a narrow prior
def test_what_neighbours_lend_is_not_called_attempts(counts):
    """Few attempts beside a system that is known well: the warning does not fall silent."""
    few = bp.thin(counts.select("small"), 3, random_seed=1)
    known = counts.select("large")
    both = bp.Counts(
        problem=np.concatenate([few.problem, known.problem]),
        system=np.repeat(["few", "known"], [len(few), len(known)]),
        attempts=np.concatenate([few.attempts, known.attempts]),
        successes=np.concatenate([few.successes, known.successes]),
    )
    fit = bp.fit(both, NARROW_SPREAD, random_seed=1, progress=False)
    with pytest.warns(
        bp.errors.ForecastWarning, match="prior and other systems weigh more"
    ) as told:
        bp.forecast(fit, 10**5, "population")
    (one,) = [w.message for w in told if w.category is bp.errors.ForecastWarning]
    assert "few" in one.systems
    assert one.others_share[one.systems.index("few")] > 0.3
    table = bp.sensitivity(fit, 10**5, "population").set_index("system")
    np.testing.assert_allclose(table[["prior_share", "others_share", "own_share"]].sum(axis=1), 1)
    assert table.loc["few", "own_share"] < table.loc["known", "own_share"]


NARROW_SPREAD = bp.Beta(
    log_a=bp.Prior(-1.6, 1.0, spread=0.1), log_b=bp.Prior(1.6, 1.5, "logistic", spread=0.1)
)
