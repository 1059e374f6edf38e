"""How much of a forecast is prior: against conjugate normals, and what is said of it."""

import re
import warnings

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


def test_without_attempts_all_is_prior():
    x = np.random.default_rng(1).standard_normal(100)
    assert influence.prior_share(x, -(x**2) / 2, np.zeros(100)) == 1.0


def test_densities_are_those_of_the_model(fit):
    """Up to a constant: a beta-binomial of SciPy, and the priors written out."""
    fitted = opened(fit)
    log_prior, log_likelihood = influence.log_densities(fitted, 1, step=400)
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
        warnings.simplefilter("error")
        bp.forecast(fit, 20)  # ten times the attempts
