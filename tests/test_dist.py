"""Distributions for models of one's own: as exact as the families, and drawn from what they say."""

import mpmath as mp
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from scipy import integrate, special as sp, stats

import bayespassk as bp
from bayespassk.families.quadrature import prior_parameters
from oracles import log_beta_moment, log_integral, log_moment_of_power

dist = bp.dist
FAST = pytensor.compile.mode.get_mode("FAST_COMPILE").excluding("fusion")
FALSE_ALARM = 1e-6

OWN = {
    "beta": (dist.BetaBinomial, (0.3, 2.0)),
    "kumaraswamy": (dist.KumaraswamyBinomial, (0.3, 2.0)),
    "libby-novick": (dist.LibbyNovickBinomial, (0.3, 1.0, -2.0)),
    "scaled-beta": (dist.ScaledBetaBinomial, (0.3, 2.0, 0.7)),
    "generalized-beta": (dist.GeneralizedBetaBinomial, (0.5, 2.0, 0.7)),
    "logit-normal": (dist.LogitNormalBinomial, (-2.0, 2.0)),
    "beta-mixture-2": (dist.BetaMixtureBinomial, ([0.3, 0.7], [0.3, 5.0], [5.0, 0.5])),
}


def log_choose(n, c):
    return mp.log(mp.binomial(n, c))


def log_libby_novick(a, b, log_odds, c, m):
    constant = -mp.log(mp.beta(a, b))

    def log_f(x):
        y = x - log_odds
        density = -a * mp.log1p(mp.exp(-y)) - b * mp.log1p(mp.exp(y))
        return constant + density - c * mp.log1p(mp.exp(-x)) - m * mp.log1p(mp.exp(x))

    return log_integral(log_f)


def log_logit_normal(mu, sigma, c, m):
    def log_f(x):
        density = -(((x - mu) / sigma) ** 2) / 2 - mp.log(sigma * mp.sqrt(2 * mp.pi))
        return density - c * mp.log1p(mp.exp(-x)) - m * mp.log1p(mp.exp(x))

    return log_integral(log_f)


ORACLES = {
    "beta": log_beta_moment,
    "kumaraswamy": lambda a, b, c, m: log_moment_of_power(1, b, a, 1, c, m),
    "libby-novick": log_libby_novick,
    "scaled-beta": lambda a, b, s, c, m: log_moment_of_power(a, b, 1, s, c, m),
    "generalized-beta": lambda a, b, g, c, m: log_moment_of_power(a, b, g, 1, c, m),
    "logit-normal": log_logit_normal,
    "beta-mixture-2": lambda w, a, b, c, m: mp.log(
        sum(mp.mpf(w[j]) * mp.exp(log_beta_moment(a[j], b[j], c, m)) for j in range(2))
    ),
}
PAIRS = [(0, 20), (3, 20), (0, 1_000_000), (1, 1_000_000), (400_000, 1_000_000), (999_999, 1_000_000)]  # fmt: skip


@pytest.mark.parametrize("name", OWN)
def test_log_probabilities_are_right_for_up_to_a_million_attempts(name):
    """Against integrals by mpmath, which share nothing with the package."""
    make, own = OWN[name]
    few = PAIRS if name in ("beta", "kumaraswamy", "beta-mixture-2") else PAIRS[1:5:3]
    c, n = np.array(few).T
    got = pm.logp(make.dist(*own, n=n), c).eval(mode=FAST)
    for value, (successes, attempts) in zip(got, few, strict=True):
        want = log_choose(attempts, successes) + ORACLES[name](
            *own, successes, attempts - successes
        )
        assert value == pytest.approx(float(want), abs=1e-7), successes


@pytest.mark.parametrize("name", OWN)
def test_draws_are_of_the_probabilities_which_sum_to_one(name):
    make, own = OWN[name]
    n, draws = 12, 4000
    variable = make.dist(*own, n=n, zero=0.1, one=0.05)
    probability = np.exp(pm.logp(variable, np.arange(n + 1)).eval(mode=FAST))
    assert probability.sum() == pytest.approx(1, abs=1e-9)
    drawn = pm.draw(variable, draws, random_seed=1, mode=FAST)
    seen = np.bincount(drawn, minlength=n + 1)
    assert stats.chisquare(seen, draws * probability / probability.sum()).pvalue > FALSE_ALARM


def test_verdicts_are_what_the_family_says_of_them():
    """With rates that are known, and with rates of a model; a problem that is never solved too."""
    family = bp.Verified(
        bp.ZeroInflated(bp.Beta()), true_positive_rate=0.9, false_positive_rate=0.02
    )
    known = dist.BetaBinomial.dist(
        0.3, 2.0, n=30, zero=0.2, true_positive_rate=0.9, false_positive_rate=0.02
    )
    phi = pt.dscalar()
    learned = dist.BetaBinomial.dist(
        0.3, 2.0, n=30, zero=0.2, true_positive_rate=0.9, false_positive_rate=phi
    )
    c = np.arange(31)
    want = family.log_moment({"a": 0.3, "b": 2.0, "zero": 0.2}, c, 30 - c)
    want = want + np.log(sp.comb(30, c))
    np.testing.assert_allclose(pm.logp(known, c).eval(mode=FAST), want, atol=1e-7)
    found = pm.logp(learned, c).eval({phi: 0.02}, mode=FAST)
    np.testing.assert_allclose(found, want, atol=1e-6)


def test_a_parameter_for_each_problem_is_that_of_the_problem():
    """However parameters are batched: each by itself, by an index, or some of them not."""
    n, c = np.array([5, 9, 9, 40, 9]), np.array([1, 0, 9, 7, 0])
    a, b, log_odds = np.array([0.2, 0.4, 0.8, 0.2, 0.8]), 1.5, np.linspace(-3, 1, 5)
    got = pm.logp(dist.LibbyNovickBinomial.dist(a, b, log_odds, n=n), c).eval(mode=FAST)
    for i in range(5):
        one = pm.logp(dist.LibbyNovickBinomial.dist(a[i], b, log_odds[i], n=n[i]), c[i])
        assert got[i] == pytest.approx(one.eval(mode=FAST), abs=1e-8)
    system = np.array([0, 1, 1, 0, 1])
    each, knees = pt.dvector(), pt.dvector()
    variable = dist.LibbyNovickBinomial.dist(each[system], b, knees[system], n=n)
    logp = pm.logp(variable, c)
    values = {each: [0.2, 0.8], knees: [-3.0, 1.0]}
    want = pm.logp(
        dist.LibbyNovickBinomial.dist(np.array([0.2, 0.8])[system], b, np.array([-3.0, 1.0])[system], n=n), c
    )  # fmt: skip
    np.testing.assert_allclose(logp.eval(values, mode=FAST), want.eval(mode=FAST), atol=1e-7)
    grid = dist.KumaraswamyBinomial.dist(np.full((3, 1), 0.3), 2.0, n=n)
    assert pm.logp(grid, np.tile(c, (3, 1))).eval(mode=FAST).shape == (3, 5)
    assert pm.draw(grid, 2, random_seed=1, mode=FAST).shape == (2, 3, 5)


def test_what_is_taken_by_an_index_is_computed_once_for_each_system():
    """The density is evaluated at nodes of two systems, not of a thousand problems."""
    system = np.repeat([0, 1], 500)
    each = pt.dvector("a")
    variable = dist.KumaraswamyBinomial.dist(each[system], 2.0, n=np.full(1000, 7))
    f = pytensor.function([each], pm.logp(variable, np.tile(np.arange(5), 200)), mode=FAST)
    largest = 0
    for node in f.maker.fgraph.toposort():
        for out in node.outputs:
            if out.type.ndim == 2 and out.type.shape[0] is not None:
                largest = max(largest, out.type.shape[0])
    assert largest <= 10
    assert f(np.array([0.3, 0.6])).shape == (1000,)


@pytest.mark.parametrize("name", [n for n in OWN if n != "beta-mixture-2"])
def test_gradients_are_those_of_differences(name):
    make, own = OWN[name]
    inputs = [pt.dscalar() for _ in own]
    logp = pm.logp(make.dist(*inputs, n=[20, 1000, 7]), [3, 0, 7]).sum()
    f = pytensor.function(inputs, [logp, *pt.grad(logp, inputs)], mode=FAST)
    _, *gradient = f(*own)
    for i, slope in enumerate(gradient):
        step = 1e-5
        up, down = (
            f(*(v + sign * step * (i == j) for j, v in enumerate(own)))[0] for sign in (1, -1)
        )
        assert slope == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-6)


def test_nodes_follow_the_data_when_these_change():
    """As pm.Data they may: nodes for 10 attempts would be far off at a million."""
    with pm.Model() as model:
        a = pm.LogNormal("a", -1.0, 1.0)
        n = pm.Data("n", np.array([10, 10]))
        c = pm.Data("c", np.array([5, 0]))
        dist.KumaraswamyBinomial("successes", a, 2.0, n=n, observed=c)
    f = model.compile_logp(vars=model.observed_RVs, mode=FAST)
    point = {"a_log__": np.log(0.3)}

    def want(pairs):
        each = [log_choose(n, c) + log_moment_of_power(1, 2.0, 0.3, 1, c, n - c) for c, n in pairs]
        return float(sum(each))

    assert f(point) == pytest.approx(want([(5, 10), (0, 10)]), abs=1e-7)
    with model:
        pm.set_data({"n": [1_000_000, 10], "c": [500_000, 3]})
    assert f(point) == pytest.approx(want([(500_000, 1_000_000), (3, 10)]), abs=1e-6)


def test_nodes_follow_the_prior_of_the_model():
    """A density far narrower than any that the family's own prior knows."""
    with pm.Model() as model:
        a = pm.LogNormal("a", np.log(3e4), 0.3)
        dist.LibbyNovickBinomial("successes", a, 3e4, -1.0, n=[10], observed=[2])
    found = model.compile_logp(vars=model.observed_RVs, mode=FAST)
    for value in (1.5e4, 3e4, 6e4):
        want = log_choose(10, 2) + log_libby_novick(value, 3e4, -1.0, 2, 8)
        assert found({"a_log__": np.log(value)}) == pytest.approx(float(want), abs=1e-6)


def test_a_flat_prior_leaves_the_nodes_of_the_family():
    with pm.Model() as model:
        log_a = pm.Flat("log_a")
        dist.KumaraswamyBinomial("successes", pm.math.exp(log_a), 2.0, n=[50], observed=[2])
    want = log_choose(50, 2) + log_moment_of_power(1, 2.0, 0.3, 1, 2, 48)
    f = model.compile_logp(mode=FAST)
    assert f({"log_a": np.log(0.3)}) == pytest.approx(float(want), abs=1e-7)


def test_what_cannot_be_has_no_probability_and_says_why():
    variable = dist.KumaraswamyBinomial.dist(0.3, 2.0, n=5)
    assert (pm.logp(variable, [-1, 6]).eval(mode=FAST) == -np.inf).all()
    a, share = pt.dscalar(), pt.dscalar()
    bad = pm.logp(dist.KumaraswamyBinomial.dist(a, 2.0, n=5, zero=share), 3)
    with pytest.raises(pm.logprob.utils.ParameterValueError, match="a > 0"):
        bad.eval({a: -1.0, share: 0.1}, mode=FAST)
    with pytest.raises(pm.logprob.utils.ParameterValueError, match="0 <= zero <= 1"):
        bad.eval({a: 1.0, share: 1.1}, mode=FAST)


def log_of_runs(a, b, sd, runs):
    """Return the log probability of (successes, attempts) of runs, p ~ Beta(a, b), by brute force."""
    z, weight = np.polynomial.hermite_e.hermegauss(90)
    weight = weight / weight.sum()
    x = np.linspace(-60, 40, 40_001)
    log_yes, log_no = sp.log_expit(x[:, None] + sd * z), sp.log_expit(-x[:, None] - sd * z)
    p, q = np.exp(log_yes) @ weight, np.exp(log_no) @ weight
    slope = np.exp(log_yes + log_no) @ weight
    total = np.exp((a - 1) * np.log(p) + (b - 1) * np.log(q) - sp.betaln(a, b)) * slope
    for c, n in runs:
        total = total * sp.comb(n, c) * (np.exp(c * log_yes + (n - c) * log_no) @ weight)
    return np.log(np.trapezoid(total, x))


RUNS = [[(3, 10), (0, 10), (1, 7)], [(0, 10), (0, 10), (0, 0)], [(4, 4), (4, 4), (0, 4)]]


@pytest.mark.parametrize("sd", [0.3, 1.5])
def test_runs_at_a_problem_are_one_outcome(sd):
    c, n = np.array(RUNS).transpose(2, 0, 1)
    want = [log_of_runs(0.5, 2.0, sd, one) for one in RUNS]
    own = {"a": 0.5, "b": 2.0}
    known = dist.DependentBinomial.dist(bp.Beta(), own, sd, n=n)
    np.testing.assert_allclose(pm.logp(known, c).eval(mode=FAST), want, atol=2e-6)
    spread = pt.dscalar()
    learned = pm.logp(dist.DependentBinomial.dist(bp.Beta(), own, spread, n=n), c)
    f = pytensor.function([spread], [learned, pt.grad(learned.sum(), spread)], mode=FAST)
    found, slope = f(sd)
    np.testing.assert_allclose(found, want, atol=1e-3)
    up, down = (f(sd + step)[0].sum() for step in (1e-5, -1e-5))
    assert slope == pytest.approx((up - down) / 2e-5, rel=1e-4)


def test_runs_of_each_problem_have_its_parameters():
    """Also by an index, of systems; and what is impossible at a run is so at the problem."""
    c, n = np.array(RUNS).transpose(2, 0, 1)
    a, sds, system = pt.dvector(), pt.dvector(), np.array([0, 1, 0])
    own = {"a": a[system], "b": 2.0}
    logp = pm.logp(dist.DependentBinomial.dist(bp.Beta(), own, sds[system], n=n), c)
    found = logp.eval({a: [0.5, 0.8], sds: [0.4, 1.2]}, mode=FAST)
    want = [log_of_runs(a, 2.0, sd, one) for a, sd, one in zip((0.5, 0.8, 0.5), (0.4, 1.2, 0.4), RUNS, strict=True)]  # fmt: skip
    np.testing.assert_allclose(found, want, atol=1e-3)
    fixed = dist.DependentBinomial.dist(bp.Beta(), {"a": 0.5, "b": 2.0}, 1.0, n=n)
    bad = c.copy()
    bad[1, 2] = 1
    assert list(np.isfinite(pm.logp(fixed, bad).eval(mode=FAST))) == [True, False, True]


def test_runs_are_drawn_from_their_probabilities():
    n = np.array([3, 2])
    outcomes = [(i, j) for i in range(4) for j in range(3)]
    variable = dist.DependentBinomial.dist(
        bp.ZeroInflated(bp.Beta()), {"a": 0.5, "b": 1.0, "zero": 0.2}, 1.2, n=n
    )
    of_each = np.exp([pm.logp(variable, np.array(one)).eval(mode=FAST) for one in outcomes]).ravel()
    assert of_each.sum() == pytest.approx(1, abs=1e-6)
    drawn = pm.draw(variable, 4000, random_seed=1, mode=FAST)
    seen = [(drawn == one).all(-1).sum() for one in outcomes]
    assert stats.chisquare(seen, 4000 * of_each / of_each.sum()).pvalue > FALSE_ALARM


def test_errors_name_the_parameter():
    with pytest.raises(bp.errors.OptionError, match="are a, b; 'b' is missing"):
        dist.MixedBinomial.dist(bp.Beta(), {"a": 1.0}, n=3)
    with pytest.raises(bp.errors.OptionError, match="'c' is none of them"):
        dist.MixedBinomial.dist(bp.Beta(), {"a": 1.0, "b": 1.0, "c": 1.0}, n=3)
    with pytest.raises(bp.errors.OptionError, match="got no false_positive_rate"):
        dist.BetaBinomial.dist(1.0, 1.0, n=3, true_positive_rate=0.9)
    with pytest.raises(bp.errors.OptionError, match="need a last dim of one length"):
        dist.BetaMixtureBinomial.dist([1.0], [1.0], [2.0], n=3)
    with pytest.raises(bp.errors.OptionError, match="attempts of a run have a p of their own"):
        pm.logp(dist.LogitP.dist(bp.Dependent(bp.Beta(), sd=1.0), {"a": 1.0, "b": 1.0}), 0.0)


CONTINUOUS = {
    "libby-novick": (dist.LibbyNovick, (0.6, 1.2, -1.0), 1.0),
    "scaled-beta": (dist.ScaledBeta, (0.6, 2.0, 0.7), 0.7),
    "generalized-beta": (dist.GeneralizedBeta, (0.6, 2.0, 1.4), 1.0),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_densities_of_p_have_the_moments_of_the_family_and_its_draws(name):
    make, own, most = CONTINUOUS[name]
    variable = make.dist(*own)
    p = pt.dscalar()
    f = pytensor.function([p], pm.logp(variable, p), mode=FAST)
    assert f(0.0) == f(1.0) == f(-0.2) == f(1.2) == -np.inf
    x = np.linspace(-40, 35, 6000)  # logit (p / most)
    inside = most * sp.expit(x)
    density = np.exp([float(f(one)) for one in inside]) * inside * sp.expit(-x)
    family = bp.family_from_name(name)
    parameters = dict(zip(prior_parameters(family), own, strict=True))
    for a, b in ((0, 0), (1, 0), (2, 3)):
        got = integrate.trapezoid(density * inside**a * (1 - inside) ** b, x)
        assert got == pytest.approx(np.exp(family.log_moment(parameters, a, b)), rel=2e-5)
    drawn = pm.draw(variable, 2000, random_seed=1, mode=FAST)
    cdf = integrate.cumulative_trapezoid(density, x, initial=0.0)
    assert stats.kstest(drawn, lambda v: np.interp(v, inside, cdf)).pvalue > FALSE_ALARM


def test_p_is_sampled_on_an_axis_without_ends():
    with pm.Model() as model:
        s = pm.Beta("s", 2, 2)
        dist.ScaledBeta("p", 0.6, 2.0, s)
        dist.LibbyNovick("q", 0.6, 2.0, 0.0)
    f = model.compile_logp(mode=FAST)
    point = model.initial_point()
    assert all(np.isfinite(f(point | {"p_interval__": v})) for v in (-9.0, 9.0))
    bounded = f(point) - f(point | {"s_logodds__": point["s_logodds__"] - 5})
    assert np.isfinite(bounded)  # below a smaller s too


def test_logits_of_all_parts_together():
    """Of a mixture with a share that is never solved, the density is that of the rest."""
    family = bp.ZeroInflated(bp.Mixture(bp.Beta(), bp.Kumaraswamy()))
    own = {"a_1": 0.5, "b_1": 3.0, "a_2": 2.0, "b_2": 1.5, "weight_1": 0.4, "weight_2": 0.6, "zero": 0.3}  # fmt: skip
    variable = dist.LogitP.dist(family, own)
    x = np.linspace(-80, 40, 8001)
    density = np.exp(pm.logp(variable, x).eval(mode=FAST))
    assert integrate.trapezoid(density, x) == pytest.approx(1, abs=1e-6)
    mean = integrate.trapezoid(density * sp.expit(x), x)
    assert mean == pytest.approx(np.exp(family.log_moment(own, 1, 0)) / 0.7, rel=1e-6)
    drawn = pm.draw(variable, 2000, random_seed=1, mode=FAST)
    cdf = integrate.cumulative_trapezoid(density, x, initial=0.0)
    assert stats.kstest(drawn, lambda v: np.interp(v, x, cdf)).pvalue > FALSE_ALARM
