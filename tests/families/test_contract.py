"""What every family must do: the contract on which everything above the families rests."""

import dataclasses
import json
from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats

from bayespassk.cells import distinct
from bayespassk.errors import FitFileError, OptionError
from bayespassk.families import FAMILIES, Beta, Prior, family_from_name, family_from_spec
from bayespassk.families.base import draw_prior, log_prior
from bayespassk.special import NUMPY, graph, log_binomial

# Tests on random draws raise a false alarm with this probability each.
FALSE_ALARM = 1e-4


class Case(NamedTuple):
    family: object
    parameters: dict


CASES = [
    Case(Beta(), {"a": np.float64(a), "b": np.float64(b)})
    for a in (0.01, 0.3, 5.0)
    for b in (0.5, 50.0, 1e5)
]


def identify(case):
    return f"{case.family.name}-" + "-".join(f"{v:g}" for v in case.parameters.values())


@pytest.fixture(params=CASES, ids=identify)
def case(request):
    return request.param


def log_moment(case, a, b):
    return case.family.log_moment(case.parameters, a, b)


def test_every_family_has_a_case():
    assert {type(case.family) for case in CASES} == set(FAMILIES)


def test_the_zeroth_moment_is_one(case):
    assert abs(log_moment(case, 0.0, 0.0)) < 1e-12


@pytest.mark.parametrize("n", [1, 10, 1000, 3_000_000])
def test_an_attempt_succeeds_or_fails(case, n):
    """E[p^a q^b] = E[p^(a+1) q^b] + E[p^a q^(b+1)]."""
    a = np.unique(np.round(np.geomspace(1, n, 9) - 1))
    b = n - a
    split = np.logaddexp(log_moment(case, a + 1, b), log_moment(case, a, b + 1))
    np.testing.assert_allclose(split, log_moment(case, a, b), rtol=1e-13, atol=1e-8)


@pytest.mark.parametrize("n", [1, 7, 200])
def test_probabilities_of_all_counts_sum_to_one(case, n):
    c = np.arange(n + 1.0)
    total = np.exp(log_binomial(n, c) + log_moment(case, c, n - c)).sum()
    assert abs(total - 1) < 1e-9


def test_fail_at_k_falls_and_is_log_convex(case):
    """More attempts never hurt, and each one helps less: so for every mixture of binomials."""
    k = np.arange(1.0, 2000.0)
    log_fail = log_moment(case, 0.0, k)
    assert (np.diff(log_fail) < 0).all()
    assert (np.diff(log_fail, 2) > -1e-12).all()


def test_k_may_be_a_million_million(case):
    log_fail = log_moment(case, 0.0, np.array([1e6, 1e9, 1e12]))
    assert np.isfinite(log_fail).all()
    assert (np.diff(log_fail) < 0).all()


@pytest.mark.parametrize(("successes", "failures"), [(0, 0), (0, 100), (3, 20)])
def test_draws_agree_with_moments(case, successes, failures):
    """The mean of p^i (1-p)^j over draws is the ratio of moments, within its own error."""
    draws = 20_000
    rng = np.random.default_rng(20)
    shape = {name: np.full(draws, value) for name, value in case.parameters.items()}
    p = case.family.draw(shape, rng, successes, failures)
    assert p.shape == (draws,)
    assert ((p >= 0) & (p <= 1)).all()
    seen = log_moment(case, float(successes), float(failures))
    tests = [(0, 1), (0, 10), (0, 1000), (1, 0), (1, 1)]
    limit = stats.norm.isf(FALSE_ALARM / len(tests) / 2)
    for i, j in tests:
        values = p**i * (1 - p) ** j
        mean = np.exp(log_moment(case, successes + float(i), failures + float(j)) - seen)
        second = np.exp(log_moment(case, successes + 2.0 * i, failures + 2.0 * j) - seen)
        sd = np.sqrt(max(second - mean**2, 0.0) / draws)
        if mean * draws > 100 and (1 - mean) * draws > 100:  # else the mean is not near normal
            assert abs(values.mean() - mean) < limit * sd + 1e-12


def test_the_spec_survives_json(case):
    changed = dataclasses.replace(
        case.family, **{name: Prior(0.5, 2.0) for name in list(case.family.priors)[:1]}
    )
    for family in (case.family, changed):
        assert family_from_spec(json.loads(json.dumps(family.spec()))) == family
        assert hash(family) == hash(family_from_spec(family.spec()))
    assert changed != case.family


def test_the_log_prior_is_the_density_that_draws_come_from(case):
    """E over prior draws of q(x) / prior(x) is 1 for a density q narrower than the prior."""
    family = case.family
    rng = np.random.default_rng(3)
    free = draw_prior(family, rng, (200_000,))
    values = np.stack(list(free.values()), axis=-1)
    centre, spread = np.median(values, axis=0), stats.iqr(values, axis=0) / 1.35
    q = stats.norm.logpdf(values, centre, 0.7 * spread).sum(-1)
    ratio = np.exp(q - log_prior(family, free))
    error = ratio.std() / np.sqrt(len(ratio))
    assert abs(ratio.mean() - 1) < stats.norm.isf(FALSE_ALARM / 2) * error


@pytest.mark.parametrize("prior", [Prior(-1.0, 2.0), Prior(0.5, 0.3, "logistic")])
def test_a_prior_is_what_scipy_says(prior):
    kind = {"normal": stats.norm, "logistic": stats.logistic}[prior.kind]
    frozen = kind(prior.loc, prior.scale)
    x = np.linspace(-6, 6, 13)
    np.testing.assert_allclose(prior.log_density(x, prior.loc), frozen.logpdf(x), rtol=1e-12)
    draws = prior.draw(np.random.default_rng(8), prior.loc, (20_000,))
    assert stats.kstest(draws, frozen.cdf).pvalue > FALSE_ALARM


def counts_of_two_systems():
    rng = np.random.default_rng(4)
    attempts = np.concatenate([np.full(40, 100), rng.integers(0, 3_000_000, 40)])
    successes = rng.binomial(attempts, rng.beta(0.3, 20.0, 80))
    return distinct(np.repeat([0, 1], 40), successes, attempts - successes)


@pytest.mark.parametrize("family", [f() for f in FAMILIES], ids=lambda f: f.name)
def test_the_likelihood_is_the_sum_of_log_moments_over_problems(family):
    cells = counts_of_two_systems()
    free = draw_prior(family, np.random.default_rng(5), (2,))
    natural = family.natural(free)
    each = {name: value[cells.system] for name, value in natural.items()}
    want = (cells.problems * family.log_moment(each, cells.successes, cells.failures)).sum()
    got = family.log_likelihood(natural, family.likelihood_data(cells), NUMPY)
    np.testing.assert_allclose(got, want, rtol=1e-10)


@pytest.mark.parametrize("family", [f() for f in FAMILIES], ids=lambda f: f.name)
def test_the_graph_agrees_with_numpy_and_has_finite_gradients(family):
    import pytensor
    import pytensor.tensor as pt

    data = family.likelihood_data(counts_of_two_systems())
    free = draw_prior(family, np.random.default_rng(6), (2,))
    inputs = {name: pt.dvector(name) for name in free}
    value = family.log_likelihood(
        family.natural(inputs, graph()), {k: pt.as_tensor(v) for k, v in data.items()}, graph()
    )
    run = pytensor.function(list(inputs.values()), [value, *pt.grad(value, list(inputs.values()))])
    for size in (1.0, 4.0, 8.0):  # within the prior, and far outside it
        point = {name: size * np.random.default_rng(7).normal(size=2) for name in free}
        got, *gradients = run(*point.values())
        want = family.log_likelihood(family.natural(point), data, NUMPY)
        np.testing.assert_allclose(got, want, rtol=1e-9)
        assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_names_and_specs_that_mean_nothing_are_refused():
    with pytest.raises(OptionError, match="family must be one of 'beta'"):
        family_from_name("gamma")
    with pytest.raises(FitFileError, match="'gamma'"):
        family_from_spec({"name": "gamma"})
    with pytest.raises(FitFileError, match="cannot be read"):
        family_from_spec({"name": "beta", "priors": {"log_a": {"centre": 0}}})


@pytest.mark.parametrize(("loc", "scale"), [(0.0, 0.0), (0.0, -1.0), (np.nan, 1.0), (0.0, np.inf)])
def test_a_prior_must_be_a_distribution(loc, scale):
    with pytest.raises(OptionError, match="finite, positive scale"):
        Prior(loc, scale)
    with pytest.raises(OptionError, match="'normal' or 'logistic'; got 'cauchy'"):
        Prior(0.0, 1.0, "cauchy")


def test_a_prior_from_a_median():
    prior = Prior.from_median(0.2, factor=np.e)
    assert (prior.loc, prior.scale) == (pytest.approx(np.log(0.2)), pytest.approx(1.0))
    with pytest.raises(OptionError, match="factor > 1"):
        Prior.from_median(0.2, factor=1.0)
