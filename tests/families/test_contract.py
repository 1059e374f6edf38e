"""What every family must do: the contract on which everything above the families rests."""

import json
from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats

from bayespassk.cells import distinct
from bayespassk.errors import FitFileError, OptionError
from bayespassk.families import (
    FAMILIES,
    Beta,
    Dependent,
    GeneralizedBeta,
    Kumaraswamy,
    LibbyNovick,
    LogitNormal,
    Mixture,
    OneInflated,
    Prior,
    ScaledBeta,
    Verified,
    ZeroInflated,
    family_from_name,
    family_from_spec,
)
from bayespassk.families.base import draw_prior, log_prior
from bayespassk.families.quadrature import Quadrature
from bayespassk.special import NUMPY, graph, log_binomial

# Tests on random draws raise a false alarm with this probability each.
FALSE_ALARM = 1e-4


class Case(NamedTuple):
    family: object
    parameters: dict


def cases(family, **values):
    """Return one case for each position of the lists of values."""
    return [
        Case(family, dict(zip(values, map(np.float64, row), strict=True)))
        for row in zip(*values.values(), strict=True)
    ]


def verified(base, t, phi):
    return Verified(base, true_positive_rate=t, false_positive_rate=phi)


AUDITED = Prior.beta(30, 2), Prior.beta(1.5, 80)

CASES = [
    *(c for a in (0.01, 0.3, 5.0) for c in cases(Beta(), a=[a] * 3, b=[0.5, 50.0, 1e5])),
    *cases(Kumaraswamy(), a=[0.01, 0.2, 0.3, 5.0, 1.0], b=[0.3, 1.5, 50.0, 1e5, 0.02]),
    *cases(GeneralizedBeta(), a=[0.1, 2.0, 0.4, 30.0], b=[0.5, 50.0, 1e4, 5.0], g=[1.0, 0.1, 3.0, 0.05]),
    *cases(LibbyNovick(), a=[0.02, 0.3, 5.0, 0.2], b=[0.3, 3.0, 50.0, 1.0], log_odds=[-6.0, -2.0, 1.0, 0.0]),
    *cases(ScaledBeta(), a=[0.3, 0.05, 2.0, 0.2], b=[0.5, 50.0, 1e4, 3.0], s=[0.3, 0.9, 0.01, 1.0]),
    *cases(LogitNormal(), logit_median=[-3.0, 0.0, 5.0, -12.0], sigma=[5.0, 1.0, 0.3, 2.0]),
    *cases(
        Mixture(Beta(), Beta()),
        a_1=[0.2, 0.05], b_1=[50.0, 5.0], a_2=[2.0, 0.5], b_2=[1.0, 0.5], weight_1=[0.7, 0.01], weight_2=[0.3, 0.99],
    ),
    *cases(
        Mixture(Kumaraswamy(), Beta(), Beta()),
        a_1=[0.2], b_1=[2.0], a_2=[0.5], b_2=[5.0], a_3=[5.0], b_3=[2.0], weight_1=[0.2], weight_2=[0.5], weight_3=[0.3],
    ),
    *cases(ZeroInflated(Beta()), a=[0.3, 0.05], b=[5.0, 1e4], zero=[0.2, 1e-6]),
    *cases(ZeroInflated(Kumaraswamy()), a=[0.3], b=[5.0], zero=[0.9]),
    *cases(OneInflated(ZeroInflated(Beta())), a=[0.3], b=[5.0], zero=[0.3], one=[0.1]),
    *cases(OneInflated(Mixture(Beta(), Beta())), a_1=[0.2], b_1=[50.0], a_2=[2.0], b_2=[1.0], weight_1=[0.7], weight_2=[0.3], one=[0.2]),
    *cases(Dependent(Beta()), a=[0.3, 0.05], b=[5.0, 1e4], run_sd=[0.1, 2.0]),
    *cases(Dependent(ZeroInflated(LibbyNovick())), a=[0.3], b=[3.0], log_odds=[-2.0], zero=[0.2], run_sd=[0.3]),
    *cases(verified(Beta(), 0.9, 0.012), a=[0.3, 0.01, 5.0], b=[5.0, 1e5, 0.5]),
    *cases(verified(Beta(), 1.0, 1e-9), a=[0.3], b=[50.0]),
    *cases(verified(Kumaraswamy(), 0.5, 0.3), a=[0.2], b=[1.5]),
    *cases(verified(ScaledBeta(), 0.99, 0.001), a=[0.3, 0.2], b=[0.5, 3.0], s=[0.3, 1.0]),
    *cases(verified(OneInflated(ZeroInflated(Kumaraswamy())), 0.9, 0.0), a=[0.3], b=[5.0], zero=[0.3], one=[0.1]),
    *cases(verified(LogitNormal(), 0.9, 0.02), logit_median=[-3.0, 5.0], sigma=[5.0, 0.3]),
    *cases(
        verified(Beta(), *AUDITED),
        a=[0.3, 0.05], b=[5.0, 1e4], true_positive_rate=[0.9, 1 - 1e-9], false_positive_rate=[0.02, 1e-13],
    ),
    *cases(
        verified(Mixture(Beta(), Beta()), 0.95, AUDITED[1]),
        a_1=[0.2], b_1=[50.0], a_2=[2.0], b_2=[1.0], weight_1=[0.7], weight_2=[0.3], false_positive_rate=[0.05],
    ),
    *cases(verified(ScaledBeta(), *AUDITED), a=[0.3], b=[0.5], s=[0.3], true_positive_rate=[0.8], false_positive_rate=[0.1]),
]  # fmt: skip

ONE_OF_EACH = list({case.family.full_name: case.family for case in CASES}.values())


def identify(case):
    return f"{case.family.full_name}-" + "-".join(f"{v:g}" for v in case.parameters.values())


@pytest.fixture(params=CASES, ids=identify)
def case(request):
    return request.param


def log_moment(case, a, b):
    return case.family.log_moment(case.parameters, a, b)


def has_plateau(case):
    return "zero" in case.parameters


def test_every_family_has_a_case():
    assert {type(case.family) for case in CASES} == set(FAMILIES)


def test_the_zeroth_moment_is_one(case):
    assert abs(log_moment(case, 0.0, 0.0)) < 1e-9


def test_densities_of_quadratures_integrate_to_one(case):
    """Which moments do not show, as they are divided by the integral."""
    parts = [case.family, *case.family.components]
    for family in parts:
        if isinstance(family, Quadrature):
            own = family.natural(draw_prior(family, np.random.default_rng(9), (20,)))
            if family is case.family:
                own = {name: np.array([value]) for name, value in case.parameters.items()}
            pieces = family.pieces(own, family.constants(np.zeros(1), np.zeros(1), own), NUMPY)
            mass = sum(np.exp(piece.log_weights).sum(-1) for piece in pieces)
            np.testing.assert_allclose(mass, 1.0, rtol=1e-8)


def test_the_leaves_of_a_family_make_up_its_moments(case):
    """Densities and points with their shares: what a verifier is put around."""
    a, b = np.array([0.0, 3.0, 0.0, 7.0]), np.array([0.0, 5.0, 100.0, 0.0])
    each = []
    for leaf in case.family.leaves(case.parameters):
        log_share = 0.0 if leaf.log_share is None else leaf.log_share
        if isinstance(leaf.distribution, float):
            with np.errstate(divide="ignore"):
                moment = np.log(leaf.distribution**a * (1 - leaf.distribution) ** b)
        else:
            moment = leaf.distribution.log_moment(leaf.parameters, a, b)
        each.append(log_share + moment)
    np.testing.assert_allclose(np.logaddexp.reduce(each), log_moment(case, a, b), atol=1e-7)


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
    assert (np.diff(log_fail, 2) > -1e-11).all()


def test_k_may_be_a_million_million(case):
    log_fail = log_moment(case, 0.0, np.array([1e6, 1e9, 1e12]))
    assert np.isfinite(log_fail).all()
    assert (np.diff(log_fail) < 0).all()


def test_fail_at_k_ends_at_the_plateau_or_at_nothing(case):
    shares = [case.parameters["zero"]] if has_plateau(case) else [0.0]
    if has_plateau(case) and "one" in case.parameters:
        shares = [shares[0] * (1 - case.parameters["one"])]
    tail = np.exp(log_moment(case, 0.0, np.array([1e6, 1e12])))
    assert (tail >= shares[0] * (1 - 1e-9)).all()
    assert tail[1] < tail[0] or tail[0] == 0.0


@pytest.mark.parametrize("counts", [None, (0, 0), (0, 100), (3, 20), (7, 0)])
def test_draws_agree_with_moments(case, counts):
    """The mean of p^i (1-p)^j over draws is the ratio of moments, within its own error."""
    successes, failures = counts or (0, 0)
    draws = 20_000
    rng = np.random.default_rng(20)
    shape = {name: np.full(draws, value) for name, value in case.parameters.items()}
    if counts is None:
        p = case.family.draw(shape, rng)
    else:
        seen = np.array([successes]), np.array([failures])
        p = case.family.draw_seen(shape, rng, *seen)[:, 0]
    assert p.shape == (draws,)
    assert ((p >= 0) & (p <= 1)).all()
    seen = log_moment(case, float(successes), float(failures))
    tests = [(0, 1), (0, 10), (0, 1000), (0, 10**6), (1, 0), (1, 1)]
    limit = stats.norm.isf(FALSE_ALARM / len(tests) / 2)
    for i, j in tests:
        values = p**i * (1 - p) ** j
        mean = np.exp(log_moment(case, successes + float(i), failures + float(j)) - seen)
        second = np.exp(log_moment(case, successes + 2.0 * i, failures + 2.0 * j) - seen)
        sd = np.sqrt(max(second - mean**2, 0.0) / draws)
        if mean * draws > 100 and (1 - mean) * draws > 100:  # else the mean is not near normal
            assert abs(values.mean() - mean) < limit * sd + 1e-12


ABOVE = np.array([0.0, 1e-12, 1e-9, 1e-4, 0.01, 0.3, 0.7, 0.99, 1 - 1e-9, 1.0])


def effective(weights):
    """How many equal weights are as good."""
    return weights.sum() ** 2 / max((weights**2).sum(), 1e-300)


def test_survival_agrees_with_draws(case):
    """The share of draws above, and of draws weighted by p^a (1-p)^b, within their own errors."""
    draws = 50_000
    shape = {name: np.full(draws, value) for name, value in case.parameters.items()}
    p = case.family.draw(shape, np.random.default_rng(21))
    limit = stats.norm.isf(FALSE_ALARM / len(ABOVE) / 2)
    for a, b in ((0, 0), (0, 3), (2, 1)):
        weight = p**a * (1 - p) ** b
        share = weight / weight.mean()
        survival = case.family.survival(case.parameters, ABOVE, a, b)
        for above, want in zip(ABOVE, survival, strict=True):
            inside = p > above
            if min(effective(share[inside]), effective(share[~inside])) > 100:  # near normal
                error = np.sqrt((share**2 * (inside - want) ** 2).mean() / draws)
                assert abs((share * inside).mean() - want) < limit * error + 1e-12


@pytest.mark.parametrize("counts", [(0, 100), (3, 20), (7, 0), (400, 600), (1, 10**6)])
def test_survival_is_that_after_one_more_attempt_on_average(case, counts):
    """S(a, b) M(a, b) = S(a + 1, b) M(a + 1, b) + S(a, b + 1) M(a, b + 1), at every threshold."""
    a, b = map(float, counts)
    above = np.unique(
        np.append(ABOVE, (a + 0.5) / (a + b + 1) * np.array([0.9, 1.0, 1.1]).clip(0, 1))
    )
    above = above[above <= 1]
    whole = log_moment(case, a, b)
    won, lost = np.exp([log_moment(case, a + 1, b) - whole, log_moment(case, a, b + 1) - whole])
    survival, parameters = case.family.survival, case.parameters
    split = won * survival(parameters, above, a + 1, b) + lost * survival(
        parameters, above, a, b + 1
    )
    got = survival(parameters, above, a, b)
    np.testing.assert_allclose(got, split, atol=1e-8)
    assert (np.diff(got) <= 1e-9).all()
    assert ((got >= 0) & (got <= 1)).all()
    assert got[-1] == 0


def test_survival_is_each_with_each():
    """Every draw of the parameters with every threshold and every pair of counts."""
    c, f = np.array([[0.0], [3.0]]), np.array([[10.0], [2.0]])
    for family in ONE_OF_EACH:
        natural = family.natural(draw_prior(family, np.random.default_rng(2), (2, 3)))
        got = family.survival(natural, ABOVE[2:6], c, f)
        assert got.shape == (2, 3, 2, 4), family
        one = {name: np.asarray(value)[1, 2] for name, value in natural.items()}
        np.testing.assert_allclose(
            got[1, 2, 1, 3],
            family.survival(one, ABOVE[5], 3.0, 2.0),
            atol=1e-8,
            err_msg=str(family),
        )


def test_seen_problems_are_drawn_each_from_its_own_posterior():
    """Draws, dims (draw, problem), with equal counts among the problems."""
    c, f = np.array([0, 3, 0, 50]), np.array([100, 97, 100, 0])
    for family in ONE_OF_EACH:
        free = draw_prior(family, np.random.default_rng(2), (3000,))
        centre = {name: np.full(3000, np.median(value)) for name, value in free.items()}
        natural = family.natural(centre)
        p = family.draw_seen(natural, np.random.default_rng(3), c, f)
        assert p.shape == (3000, 4)
        one = {name: value[0] for name, value in natural.items()}
        seen = family.log_moment(one, c, f)
        want, second = (np.exp(family.log_moment(one, c + more, f) - seen) for more in (1.0, 2.0))
        sd = np.sqrt(np.maximum(second - want**2, 0.0))
        assert (abs(p.mean(0) - want) < 5 * sd / np.sqrt(3000) + 1e-6).all(), family
        assert abs(np.corrcoef(p[:, 0], p[:, 2])[0, 1]) < 0.1 or p[:, 0].std() < 1e-9, family


@pytest.mark.parametrize("family", ONE_OF_EACH, ids=lambda f: f.full_name)
def test_no_problems_make_no_draws(family):
    """As where all problems of a benchmark share their counts with many others."""
    natural = family.natural(draw_prior(family, np.random.default_rng(2), (5,)))
    none = np.empty(0, dtype=np.int64)
    assert family.draw_seen(natural, np.random.default_rng(3), none, none).shape == (5, 0)


@pytest.mark.parametrize("family", ONE_OF_EACH, ids=lambda f: f.full_name)
def test_the_spec_survives_json(family):
    spec = json.loads(json.dumps(family.spec()))
    assert family_from_spec(spec) == family
    assert hash(family_from_spec(spec)) == hash(family)
    for name in list(family.priors)[:1]:  # a wrapper may have none of its own
        spec["priors"][name] = {"loc": 2.5, "scale": 0.2}
        changed = family_from_spec(spec)
        assert changed.priors[name] == Prior(2.5, 0.2)
        assert changed != family


@pytest.mark.parametrize("family", ONE_OF_EACH, ids=lambda f: f.full_name)
def test_the_name_says_how_to_make_it(family):
    try:
        again = family_from_name(family.full_name)
    except OptionError:
        assert family.full_name == "mixture(kumaraswamy, beta, beta)" or isinstance(
            family, Verified
        )
    else:
        assert again == family


@pytest.mark.parametrize("family", ONE_OF_EACH, ids=lambda f: f.full_name)
def test_the_log_prior_is_the_density_that_draws_come_from(family):
    """E over prior draws of q(x) / prior(x) is 1 for a density q narrower than the prior."""
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


@pytest.mark.parametrize("family", ONE_OF_EACH, ids=lambda f: f.full_name)
def test_the_likelihood_is_the_sum_of_log_moments_over_problems(family):
    cells = counts_of_two_systems()
    free = draw_prior(family, np.random.default_rng(5), (2,))
    natural = family.natural(free)
    want = sum(
        (
            mine.problems
            * family.log_moment(
                {n: v[i] for n, v in natural.items()}, mine.successes, mine.failures
            )
        ).sum()
        for i, mine in enumerate(map(cells.of_system, (0, 1)))
    )
    got = family.log_likelihood(natural, family.likelihood_data(cells), NUMPY)
    np.testing.assert_allclose(got, want, rtol=1e-9)


@pytest.mark.parametrize("family", ONE_OF_EACH, ids=lambda f: f.full_name)
def test_the_graph_agrees_with_numpy_and_has_finite_gradients(family):
    import pytensor
    import pytensor.tensor as pt

    data = family.likelihood_data(counts_of_two_systems())
    free = draw_prior(family, np.random.default_rng(6), (2,))
    inputs = {name: pt.dvector(name) for name in free}
    value = family.log_likelihood(
        family.natural(inputs, graph()), {k: pt.as_tensor(v) for k, v in data.items()}, graph()
    )
    # Of no runs, their spread is no part of the likelihood.
    outputs = [value, *pt.grad(value, list(inputs.values()), disconnected_inputs="ignore")]
    mode = pytensor.compile.mode.Mode("py", "fast_compile")  # compiling takes longer than all else
    run = pytensor.function(list(inputs.values()), outputs, mode=mode, on_unused_input="ignore")
    rng = np.random.default_rng(7)
    for size in (1.0, 2.0, 4.0):  # within the prior, and far outside it
        point = {name: value + size * rng.normal(size=2) for name, value in free.items()}
        got, *gradients = run(*point.values())
        want = family.log_likelihood(family.natural(point), data, NUMPY)
        np.testing.assert_allclose(got, want, rtol=1e-9)
        assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_names_and_specs_that_mean_nothing_are_refused():
    with pytest.raises(OptionError, match="family must be one of 'beta'"):
        family_from_name("gamma")
    with pytest.raises(FitFileError, match="'gamma'"):
        family_from_spec({"name": "gamma"})
    with pytest.raises(OptionError, match="got 'gamma'"):
        family_from_name("gamma-mixture-2")
    with pytest.raises(OptionError, match="two or more families"):
        Mixture(Beta())
    with pytest.raises(OptionError, match="two or more families"):
        Mixture(Beta(), ZeroInflated(Beta()))
    with pytest.raises(OptionError, match="must not be applied twice"):
        ZeroInflated(OneInflated(ZeroInflated(Beta())))
    with pytest.raises(OptionError, match="needs a family"):
        ZeroInflated("beta")
    with pytest.raises(FitFileError, match="cannot be read"):
        family_from_spec({"name": "beta", "priors": {"log_a": {"centre": 0}}})


@pytest.mark.parametrize(("loc", "scale"), [(0.0, 0.0), (0.0, -1.0), (np.nan, 1.0), (0.0, np.inf)])
def test_a_prior_must_be_a_distribution(loc, scale):
    with pytest.raises(OptionError, match="finite, positive scale"):
        Prior(loc, scale)
    with pytest.raises(OptionError, match="'normal', 'logistic' or 'logit-beta'; got 'cauchy'"):
        Prior(0.0, 1.0, "cauchy")


def test_a_prior_from_a_median():
    prior = Prior.from_median(0.2, factor=np.e)
    assert (prior.loc, prior.scale) == (pytest.approx(np.log(0.2)), pytest.approx(1.0))
    with pytest.raises(OptionError, match="factor > 1"):
        Prior.from_median(0.2, factor=1.0)


def test_components_of_a_mixture_are_in_order_of_their_location():
    family = Mixture(Beta(), Beta(), Beta())
    natural = family.natural(draw_prior(family, np.random.default_rng(1), (1000,)))
    means = [natural[f"a_{j}"] / (natural[f"a_{j}"] + natural[f"b_{j}"]) for j in (1, 2, 3)]
    assert (means[0] < means[1]).all()
    assert (means[1] < means[2]).all()
    np.testing.assert_allclose(sum(natural[f"weight_{j}"] for j in (1, 2, 3)), 1.0)


def test_the_generalized_beta_holds_the_beta_and_the_kumaraswamy():
    a, b, k = np.float64(0.3), np.float64(7.0), np.array([1.0, 1000.0, 1e9])
    beta = Beta().log_moment({"a": a, "b": b}, 2.0, k)
    kumaraswamy = Kumaraswamy().log_moment({"a": a, "b": b}, 2.0, k)
    one = np.float64(1.0)
    both = GeneralizedBeta().log_moment({"a": a, "b": b, "g": one}, 2.0, k)
    np.testing.assert_allclose(both, beta, rtol=1e-10)
    both = GeneralizedBeta().log_moment({"a": one, "b": b, "g": a}, 2.0, k)
    np.testing.assert_allclose(both, kumaraswamy, rtol=1e-10)


def test_the_libby_novick_beta_holds_the_beta():
    a, b, k = np.float64(0.3), np.float64(7.0), np.array([1.0, 1000.0, 1e9])
    beta = Beta().log_moment({"a": a, "b": b}, 2.0, k)
    got = LibbyNovick().log_moment({"a": a, "b": b, "log_odds": np.float64(0.0)}, 2.0, k)
    np.testing.assert_allclose(got, beta, rtol=1e-10)
