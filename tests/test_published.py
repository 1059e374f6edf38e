"""Forecasts from a printed curve: its covariance by simulation, its posterior by a grid."""

import numpy as np
import pytest
from scipy import special, stats

import bayespassk as bp
from bayespassk.published import _Task
from commands import run

KS, N, MADE = [1, 10, 100], 164, 120


def chen(solved, made, k):
    """Return the mean over problems, dims (..., problem), of Chen's estimate."""
    ways = special.gammaln
    failed = made - solved
    log = (
        ways(failed + 1) - ways(np.maximum(failed - k, 0) + 1) - ways(made + 1) + ways(made - k + 1)
    )
    return (1 - np.where(failed >= k, np.exp(log), 0.0)).mean(-1)


def test_means_and_covariances_are_those_of_simulated_curves():
    rng = np.random.default_rng(1)
    a, b, many = 0.4, 3.0, 6000
    solved = rng.binomial(MADE, rng.beta(a, b, (many, N)))
    curves = np.stack([chen(solved, MADE, k) for k in KS], axis=-1)
    task = _Task(bp.Curve(KS, [0.1, 0.3, 0.6], N, attempts=MADE, decimals=6), bp.Beta())
    mean, covariance = task.moments({"a": np.array([a]), "b": np.array([b])})
    error = curves.std(0) / np.sqrt(many)
    assert (np.abs(curves.mean(0) - mean[0]) < 5 * error).all()
    np.testing.assert_allclose(np.cov(curves.T), covariance[0], rtol=0.12)


def test_the_posterior_is_that_of_a_grid():
    """Of a beta, whose moments are ratios of gamma functions; pass@k of new problems."""
    curve = bp.Curve(KS, [0.118, 0.46, 0.77], N, attempts=MADE)
    family = bp.Beta()
    log_a = np.linspace(-3.5, 1.0, 61)
    log_b = np.linspace(-2.0, 4.5, 81)
    a, b = (np.exp(v).ravel() for v in np.meshgrid(log_a, log_b, indexing="ij"))

    def fail(m):
        return np.exp(special.betaln(a, b + m) - special.betaln(a, b))

    mean = np.stack([1 - fail(k) for k in KS], axis=-1)
    covariance = np.empty((len(a), 3, 3))
    for i, k in enumerate(KS):
        for j, other in enumerate(KS):
            shared = np.arange(min(k, other) + 1)
            share = stats.hypergeom.pmf(shared, MADE, k, other)
            both = sum(w * fail(k + other - o) for o, w in zip(shared, share, strict=True))
            covariance[:, i, j] = (both - fail(k) * fail(other)) / N
    covariance += 1e-6 / 12 * np.eye(3)
    off = np.array(curve.pass_at_k) - mean
    squares = np.einsum("di,di->d", off, np.linalg.solve(covariance, off[..., None])[..., 0])
    log_density = -0.5 * squares - 0.5 * np.linalg.slogdet(covariance)[1]
    log_density += stats.norm.logpdf(np.log(a), family.log_a.loc, family.log_a.scale)
    log_density += stats.logistic.logpdf(np.log(b), family.log_b.loc, family.log_b.scale)
    weight = np.exp(log_density - log_density.max())
    value = 1 - fail(10_000)
    order = np.argsort(value)
    total = weight[order].cumsum() / weight.sum()
    want = np.interp([0.025, 0.25, 0.5, 0.75, 0.975], total, value[order])
    drawn = bp.forecast_curve(curve, 10_000, "population", family=family, random_seed=1)
    got = np.quantile(drawn, [0.025, 0.25, 0.5, 0.75, 0.975])
    np.testing.assert_allclose(got, want, atol=0.006)


def test_it_says_less_than_the_counts_it_is_of(counts):
    one = counts.select("small")
    values = np.round(bp.estimators.chen(one, KS), 3)
    curve = bp.Curve(KS, values, problems=len(one), attempts=100, system="small")
    ks = [100, 10_000]
    of_curve = bp.summarize(bp.forecast_curve(curve, ks, family=bp.Beta(), random_seed=1))
    fit = bp.fit(one, bp.Beta(), random_seed=1, progress=False)
    of_counts = bp.summarize(bp.forecast(fit, ks))
    widths = [(table["upper"] - table["lower"]).to_numpy() for table in (of_curve, of_counts)]
    assert (widths[0] > 0.85 * widths[1]).all()  # on average it is wider
    assert (of_curve["lower"] < of_counts["median"]).all()
    assert (of_curve["upper"] > of_counts["median"]).all()
    unknown = bp.Curve(KS, values, problems=len(one))
    wider = bp.summarize(bp.forecast_curve(unknown, 100, family=bp.Beta(), random_seed=1))
    assert wider["upper"].iloc[0] - wider["lower"].iloc[0] > 0.95 * widths[0][0]


def held(seed, target):
    """Return whether bands held the truth of a simulated benchmark, at each k."""
    rng = np.random.default_rng(seed)
    family = bp.Beta()
    a, b = np.exp(rng.normal(np.log(0.4), 0.3)), np.exp(rng.normal(np.log(4.0), 0.5))
    p = rng.beta(a, b, N)
    solved = rng.binomial(MADE, p)
    values = np.round([chen(solved, MADE, k) for k in KS], 3)
    ks = np.array([10, 1000, 10**5])
    curve = bp.Curve(KS, values, N, attempts=MADE)
    found = bp.summarize(bp.forecast_curve(curve, ks, target, family=family, random_seed=seed))
    truth = -np.expm1(ks[:, None] * np.log1p(-p)).mean(1)
    if target == "population":
        truth = 1 - np.exp(special.betaln(a, b + ks) - special.betaln(a, b))
    return (found["lower"].to_numpy() <= truth) & (truth <= found["upper"].to_numpy())


@pytest.mark.filterwarnings("ignore::bayespassk.errors.FamilyWarning")
@pytest.mark.parametrize("target", ["benchmark", "population"])
def test_bands_hold_as_often_as_they_say(target, full_size):
    if target == "population" and not full_size:
        pytest.skip("with --slow: it has the posterior that the other target has")
    many = 200 if full_size else 8
    each = np.array([held(seed, target) for seed in range(many)])
    for share in each.sum(0):
        assert stats.binom.cdf(share, many, 0.95) > 1e-4


def test_seeds_repeat_and_what_it_rests_on_is_said():
    curve = bp.Curve([1, 10], [0.2, 0.5], 100)
    one, same, other = (
        bp.forecast_curve(curve, [10, 1e12], family="beta", random_seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one.values != other.values).any()
    assert one.attrs["target"] == "benchmark"
    assert one.attrs["ess"] > 400
    assert "problems=100" in one.attrs["curve"]
    assert ((one >= 0) & (one <= 1)).all()
    assert (one.diff("k") >= 0).all()


def test_a_curve_that_no_parameters_make_is_told():
    with pytest.warns(bp.errors.FamilyWarning, match="the curve contradicts beta"):
        bp.forecast_curve(bp.Curve([1, 2, 3], [0.2, 0.21, 0.6], 500), 10, family="beta", random_seed=1)  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([1, 10], [0.5], 10), "a value for each"),
        (([10, 1], [0.2, 0.5], 100), "rising"),
        (([1, 10], [0.5, 0.4], 100), "not fall"),
        (([1, 10], [0.5, 1.4], 100), "0 to 1"),
        (([1, 10], [0.01, 0.5], 100), "at k = 1 fewer than two of 100 problems"),
        (([1, 10], [0.5, 0.99], 100), "at k = 10 fewer than two"),
    ],
)
def test_what_is_no_curve_is_refused(arguments, says):
    with pytest.raises(bp.errors.OptionError, match=says):
        bp.Curve(*arguments)


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(bp.errors.OptionError, match="attempts must be 10"):
        bp.Curve([1, 10], [0.2, 0.5], 100, attempts=5)
    curve = bp.Curve([1, 10], [0.2, 0.5], 100)
    with pytest.raises(bp.errors.OptionError, match="'benchmark' or 'population'"):
        bp.forecast_curve(curve, 10, "realised")
    with pytest.raises(bp.errors.OptionError, match="independent attempts"):
        bp.forecast_curve(curve, 10, family=bp.Dependent(bp.Beta()))
    with pytest.raises(bp.errors.OptionError, match=r"must be a bayespassk\.Curve"):
        bp.forecast_curve([1, 2], 10)


def test_on_the_command_line():
    done = run("forecast-curve", "--at", "1,10", "--pass-at-k", "0.2,0.5", "--problems", 100, "--k", "10,1e4", "--family", "beta")  # fmt: skip
    assert "from a printed curve of 100 problems alone" in done.stdout
    assert "10,000" in done.stdout
    bad = run("forecast-curve", "--at", "10,1", "--pass-at-k", "0.2,0.5", "--problems", 100, status=2)  # fmt: skip
    assert "rising" in bad.stderr
