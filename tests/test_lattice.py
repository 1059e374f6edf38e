"""Posteriors on lattices: the same as by plain sums over boxes, and as by NUTS."""

import warnings

import numpy as np
import pytest
from arviz_stats.base import array_stats
from scipy import special as sp, stats

import bayespassk as bp
from bayespassk.families.base import declared, draw_prior, log_prior
from bayespassk.fitting import lattice
from bayespassk.fitting.importance import evenly
from bayespassk.fitting.lattice import takes
from bayespassk.fitting.model import Setup
from bayespassk.posterior.likelihood import cell_log_moments

QUIET = {"progress": False, "method": "quadrature"}
FALSE_ALARM = 1e-5
"""Of one comparison."""

SIGMAS = stats.norm.isf(FALSE_ALARM / 2)


def log_data(problems, attempts, successes, systems=("s",)):
    return bp.Counts(
        problem=np.tile(np.arange(problems), len(systems)),
        attempts=np.broadcast_to(attempts, problems * len(systems)),
        successes=np.ravel(successes),
        system=np.repeat(systems, problems),
    )


@pytest.fixture(scope="module")
def alone():
    rng = np.random.default_rng(3)
    return log_data(40, 30, rng.binomial(30, rng.beta(0.3, 2.0, 40)))


def by_sums(counts, family, points):
    """Return mean and sd of the free parameters over a box of 8 prior standard deviations."""
    priors = declared(family)
    axes = [prior.loc + prior.scale * np.linspace(-8, 8, points) for prior in priors.values()]
    free = dict(zip(priors, (axis.ravel() for axis in np.meshgrid(*axes)), strict=True))
    cells = Setup.of(counts, family, "none", None).cells
    moments = cell_log_moments(family, family.natural(free), cells)
    log_density = moments @ cells.problems + log_prior(family, free)
    weight = sp.softmax(log_density)
    means = {name: weight @ value for name, value in free.items()}
    return means, {n: np.sqrt(weight @ (v - means[n]) ** 2) for n, v in free.items()}


@pytest.mark.parametrize(
    ("family", "points"),
    [(bp.Beta(), 400), (bp.LogitNormal(), 300), (bp.LibbyNovick(), 110)],
    ids=lambda one: getattr(one, "name", ""),
)
def test_posteriors_are_those_of_plain_sums(alone, family, points):
    """Draws follow the weights to within one, so that their moments are nearly exact."""
    fit = bp.fit(alone, family, draws=5000, random_seed=1, **QUIET)
    assert bp.diagnostics(fit).converged
    means, sds = by_sums(alone, family, points)
    for name, mean in means.items():
        draws = fit["posterior"][name].values
        assert draws.mean() == pytest.approx(mean, abs=0.03 * sds[name])
        assert draws.std() == pytest.approx(sds[name], rel=0.02)
        exact = fit["exact"][name].sel(system="s")
        assert float(exact.sel(moment="mean")) == pytest.approx(mean, abs=0.001 * sds[name])
        assert float(exact.sel(moment="sd")) == pytest.approx(sds[name], rel=0.005)


def by_weights(counts, family, number):
    """Return draws of the prior, free and natural, and how much each weighs given the counts."""
    free = draw_prior(family, np.random.default_rng(8), (number,))
    natural = family.natural(free)
    cells = Setup.of(counts, family, "none", None).cells
    return free | natural, sp.softmax(cell_log_moments(family, natural, cells) @ cells.problems)


@pytest.mark.filterwarnings("ignore::bayespassk.errors.ForecastWarning")
@pytest.mark.parametrize("attempts", [2, 1], ids=["two attempts", "one attempt"])
@pytest.mark.parametrize(
    "family",
    [
        bp.ZeroInflated(bp.LibbyNovick()),
        bp.OneInflated(bp.LibbyNovick()),
        bp.ZeroInflated(bp.OneInflated(bp.Beta())),
    ],
    ids=lambda one: one.full_name,
)
def test_inflations_are_integrated_as_by_weighted_draws_of_the_prior(family, attempts):
    """Moments and quantiles of the share, whose left tail is flat, among them; and of pass@k."""
    counts = log_data(8, attempts, np.minimum([0, 0, 0, 0, 1, 2, 2, 2], attempts))
    fit = bp.fit(counts, family, draws=2000, random_seed=1, progress=False)
    assert fit.attrs["method"] == "quadrature"
    assert bp.diagnostics(fit).converged
    values, weight = by_weights(counts, family, 40_000)
    size = 1 / (weight**2).sum()
    assert size > 2000
    natural = {name: values[name] for name in family.natural(values)}
    for k in (1, 100):
        values[f"pass@{k}"] = -np.expm1(family.log_moment(natural, 0, k))
    for name, value in values.items():
        if name.startswith("pass@"):
            k = int(name.removeprefix("pass@"))
            draws = bp.forecast(fit, [k], target="population").values.ravel()
        else:
            draws = fit["posterior"][name].values.ravel()
        mean = weight @ value
        sd = np.sqrt(weight @ (value - mean) ** 2)
        fourth = weight @ ((value - mean) / sd) ** 4
        # Those of the fit are less uncertain than 8,000 independent ones.
        error = np.sqrt(1 / size + 1 / 8000)
        assert abs(draws.mean() - mean) < SIGMAS * error * sd, name
        assert abs(draws.var() / sd**2 - 1) < SIGMAS * error * np.sqrt(fourth), name
        order = np.argsort(value)
        for q in (0.025, 0.5, 0.975):
            true = value[order][np.searchsorted(weight[order].cumsum(), q)]
            allowed = SIGMAS * error * np.sqrt(q * (1 - q)) + 1 / 8000
            assert (draws < true).mean() <= q + allowed, (name, q)
            assert (draws <= true).mean() >= q - allowed, (name, q)


def test_of_a_share_that_nothing_needs_the_whole_left_tail_is_kept():
    """Every problem solved once: the prior of the logit falls as exp(x), and the data say little."""
    counts = log_data(100, 200, np.r_[1, np.linspace(2, 199, 99).astype(int)])
    fit = bp.fit(counts, bp.ZeroInflated(bp.Beta()), draws=4000, random_seed=1, **QUIET)
    assert bp.diagnostics(fit).converged
    draws = fit["posterior"]["logit_zero"].values
    # No problem of 100 without a success: with a share z, (1-z)^100, and z is logistic about -6.
    x = np.linspace(-120, 20, 400_001)
    weight = sp.softmax(-100 * np.logaddexp(0, x) + stats.logistic.logpdf(x, -6.0, 2.0))
    mean = weight @ x
    sd = np.sqrt(weight @ (x - mean) ** 2)
    exact = fit["exact"]["logit_zero"].values[:, 0]
    assert exact == pytest.approx([mean, sd], abs=0.01 * sd)
    for q in (0.001, 0.025, 0.5, 0.975):
        true = np.interp(q, weight.cumsum(), x)
        assert np.quantile(draws, q) == pytest.approx(true, abs=(0.3 if q == 0.001 else 0.06) * sd)


def test_what_has_too_many_parameters_for_a_lattice_is_said(alone):
    two = bp.ZeroInflated(bp.OneInflated(bp.LibbyNovick()))
    assert takes(bp.ZeroInflated(bp.OneInflated(bp.Beta())))
    assert not takes(two)
    assert not takes(bp.Mixture(bp.Beta(), bp.Beta()))
    with pytest.raises(bp.errors.OptionError, match=r"4 with inflations; .* has 5: use"):
        bp.fit(alone, two, **QUIET)


@pytest.mark.parametrize(
    ("attempts", "successes"),
    [(30, None), (20, np.r_[np.zeros(19, dtype=int), 1])],
    ids=["many solved", "skewed"],
)
@pytest.mark.parametrize("family", [bp.Beta(), bp.LibbyNovick()], ids=lambda one: one.name)
def test_draws_are_smooth_and_have_the_quantiles_of_a_much_finer_lattice(
    alone, family, attempts, successes, monkeypatch
):
    counts = alone if successes is None else log_data(len(successes), attempts, successes)
    fit = bp.fit(counts, family, draws=1000, random_seed=1, **QUIET)
    kept = []

    def finer(*given):
        kept.append(grown(*given))
        return kept[-1]

    grown = lattice._lattice
    monkeypatch.setattr(lattice, "STEP", {2: 0.08, 3: 0.25})
    monkeypatch.setattr(lattice, "_lattice", finer)
    bp.fit(counts, family, draws=10, random_seed=1, **QUIET)
    weight = sp.softmax(kept[0].log_density)
    for i, name in enumerate(declared(family)):
        draws, x = fit["posterior"][name].values.ravel(), kept[0].x[:, i]
        assert 1000 < len(np.unique(draws)) < 2000  # and none so often that it is a mode
        assert np.unique(draws, return_counts=True)[1].max() <= lattice.TOGETHER
        mean = weight @ x
        sd = np.sqrt(weight @ (x - mean) ** 2)
        assert abs(draws.mean() - mean) < 0.02 * sd
        assert draws.std() == pytest.approx(sd, rel=0.02)
        skewness = weight @ ((x - mean) / sd) ** 3
        assert stats.skew(draws) == pytest.approx(skewness, abs=0.2)
        order = np.argsort(x)
        below = weight[order].cumsum()
        for q in (0.025, 0.25, 0.5, 0.75, 0.975):
            share = np.interp(np.quantile(draws, q), x[order], below)
            assert share == pytest.approx(q, abs=0.01 if 0.1 < q < 0.9 else 0.006), (name, q)
        assert draws.min() > x.min() - 0.1 * sd
        assert draws.max() < x.max() + 0.1 * sd


def test_draws_within_cells_leave_a_density_with_an_edge_as_it_is():
    """An exponential on half a line: what is only spread over cells would leak beyond zero."""
    x = np.arange(0.25, 30, 0.5)[:, None]
    even = np.zeros(len(x), dtype=bool)
    one = lattice._Lattice(
        x,
        -x[:, 0],
        -x[:, 0],
        np.log(0.5),
        even,
        np.array([[0.5]]),
        np.full((len(x), 1), -0.5),
        True,
        0.5,
    )
    rng = np.random.default_rng(1)
    chosen = evenly(sp.softmax(-x[:, 0]), 30_000, rng)
    draws = lattice._within(one, chosen, one.slope[chosen], rng)[:, 0]
    assert draws.min() >= -0.5 * 0.5 / 24 - 1e-9
    assert draws.mean() == pytest.approx(1.0, abs=0.02)
    assert draws.std() == pytest.approx(1.0, abs=0.02)
    assert np.quantile(draws, [0.5, 0.9, 0.99]) == pytest.approx(
        stats.expon.ppf([0.5, 0.9, 0.99]), abs=0.05
    )


def test_exact_moments_are_of_natural_parameters_too_and_are_saved(alone, tmp_path):
    fit = bp.fit(alone, bp.Beta(), draws=5000, random_seed=1, **QUIET)
    bp.save(fit, tmp_path / "fit.nc")
    exact = bp.load(tmp_path / "fit.nc")["exact"].dataset
    assert set(exact.data_vars) == set(fit["prior"].data_vars)
    for name in exact.data_vars:
        draws = fit["posterior"][name].values
        mean, sd = exact[name].values[:, 0]
        assert draws.mean() == pytest.approx(mean, abs=0.03 * sd)
        assert draws.std() == pytest.approx(sd, rel=0.03)
    both = log_data(40, 30, [alone.successes, alone.successes[::-1]], ("s", "t"))
    assert "exact" not in bp.fit(both, bp.Beta(), random_seed=1, **QUIET)


@pytest.mark.parametrize(
    "family",
    [bp.Beta(), bp.LibbyNovick(), bp.ZeroInflated(bp.Beta())],
    ids=lambda one: one.full_name,
)
def test_pooled_posteriors_are_those_of_nuts(family, full_size):
    if family != bp.Beta() and not full_size:
        pytest.skip("compiles and samples for a minute: run with --slow")
    rng = np.random.default_rng(4)
    tails = {"s": 0.15, "t": 0.3, "u": 0.3, "v": 0.5}
    successes = [rng.binomial(30, rng.beta(a, 2.0, 40)) for a in tails.values()]
    counts = log_data(40, 30, successes, tuple(tails))
    options = {"pooling": "partial", "random_seed": 1}
    fit = bp.fit(counts, family, draws=2000, **options, **QUIET)
    found = bp.diagnostics(fit)
    assert found.converged
    assert found.pareto_k < 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.errors.ConvergenceWarning)
        nuts = bp.fit(counts, family, method="nuts", draws=2000, progress=False, **options)
    for name in (n for n in nuts["posterior"].data_vars if n not in ("a", "b", "zero")):
        one, other = (
            value.reshape(*value.shape[:2], -1)
            for value in (each["posterior"][name].values for each in (fit, nuts))
        )
        for i in range(one.shape[-1]):
            sd = other[..., i].std()
            error = np.sqrt(1 / found.min_ess + 1 / array_stats.ess(other[..., i]))
            # Spreads below a quarter of a posterior standard deviation are not told apart.
            allowed = SIGMAS * error + 0.05
            assert abs(one[..., i].mean() - other[..., i].mean()) < allowed * sd, (name, i)
            assert one[..., i].std() == pytest.approx(sd, rel=allowed), (name, i)


@pytest.mark.filterwarnings("ignore::bayespassk.errors.PriorDrivenWarning")
@pytest.mark.filterwarnings("ignore::bayespassk.errors.PoolingWarning")
@pytest.mark.parametrize("pooling", ["none", "partial"])
@pytest.mark.parametrize(
    ("attempts", "successes"),
    [
        (10, np.zeros((2, 5), dtype=int)),
        (10, np.full((2, 5), 10)),
        (1, np.tile([0, 1, 1, 0, 0], (2, 1))),
        (3_000_000, np.tile([0, 1, 3_000_000, 1_000_000, 7], (2, 1))),
        (0, np.zeros((2, 5), dtype=int)),
    ],
    ids=["none solved", "all solved", "one attempt", "millions", "no attempt"],
)
@pytest.mark.parametrize(
    "family",
    [bp.Beta(), bp.LibbyNovick(), bp.ZeroInflated(bp.LibbyNovick())],
    ids=lambda one: one.full_name,
)
def test_extremes_end_and_converge(attempts, successes, family, pooling):
    counts = log_data(5, attempts, successes, ("s", "t"))
    fit = bp.fit(counts, family, pooling=pooling, draws=100, random_seed=1, **QUIET)
    assert bp.diagnostics(fit).converged
    for name, values in fit["posterior"].data_vars.items():
        assert np.isfinite(values).all(), name


def test_without_attempts_the_posterior_is_the_prior():
    counts = log_data(5, 0, np.zeros(5, dtype=int))
    with pytest.warns(bp.errors.PriorDrivenWarning):
        fit = bp.fit(counts, bp.Beta(), draws=5000, random_seed=1, **QUIET)
    prior = declared(bp.Beta())["log_a"]
    draws = fit["posterior"]["log_a"].values
    assert draws.mean() == pytest.approx(prior.loc, abs=0.01 * prior.scale)
    assert draws.std() == pytest.approx(prior.scale, rel=0.01)


@pytest.mark.parametrize("pooling", ["none", "partial"])
def test_fits_repeat(example, pooling):
    counts = bp.thin(example, 20, random_seed=1)
    options = {"pooling": pooling, "draws": 50} | QUIET
    one, two, three = (bp.fit(counts, bp.Beta(), random_seed=s, **options) for s in (1, 1, 2))
    assert one["posterior"].identical(two["posterior"])
    assert not one["posterior"].identical(three["posterior"])


def test_the_method_is_chosen_by_what_it_can_do(example):
    """That NUTS is, where options of NUTS are given: tests/test_fitting.py, which compiles it."""
    counts = bp.thin(example, 20, random_seed=1)
    small = {"draws": 20, "chains": 2, "random_seed": 1, "progress": False}
    assert bp.fit(counts, bp.Beta(), **small).attrs["method"] == "quadrature"
    with pytest.raises(bp.errors.OptionError, match="4 with inflations; beta-mixture-2 has 5"):
        bp.fit(counts, bp.family_from_name("beta-mixture-2"), method="quadrature")


def test_a_posterior_that_no_lattice_holds_is_told(alone, monkeypatch):
    monkeypatch.setattr("bayespassk.fitting.lattice.MOST_POINTS", 100)
    with pytest.warns(
        bp.errors.ConvergenceWarning, match="does not fit on a lattice.*method='nuts'"
    ):
        fit = bp.fit(alone, bp.Beta(), random_seed=1, **QUIET)
    assert not bp.diagnostics(fit).converged


@pytest.mark.parametrize("points", [5, lattice.RUN, 3 * lattice.RUN + 7])
def test_a_point_is_drawn_as_often_as_its_weight_says(points):
    rng = np.random.default_rng(points)
    weight = rng.exponential(size=points).astype(np.float32)
    weight[::3] = 0.0
    likelihood = rng.uniform(0.5, 2, points).astype(np.float32)
    drawn = lattice._one_each(np.tile(weight / likelihood, (20_000, 1)), likelihood, rng)
    times = np.bincount(drawn, minlength=points)
    assert times[weight == 0].sum() == 0
    some = weight > 0
    want = weight[some].astype(float)
    want *= len(drawn) / want.sum()
    assert stats.chisquare(times[some], want).pvalue > 1e-6
