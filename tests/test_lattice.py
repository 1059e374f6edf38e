"""Posteriors on lattices: the same as by plain sums over boxes, and as by NUTS."""

import numpy as np
import pytest
from arviz_stats.base import array_stats
from scipy import special as sp, stats

import bayespassk as bp
from bayespassk.families.base import declared, log_prior
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
    [(bp.Beta(), 400), (bp.LogitNormal(), 300), (bp.LibbyNovick(), 70)],
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


@pytest.mark.parametrize("family", [bp.Beta(), bp.LibbyNovick()], ids=["beta", "libby-novick"])
def test_pooled_posteriors_are_those_of_nuts(family):
    rng = np.random.default_rng(4)
    tails = {"s": 0.15, "t": 0.3, "u": 0.3, "v": 0.5}
    successes = [rng.binomial(30, rng.beta(a, 2.0, 40)) for a in tails.values()]
    counts = log_data(40, 30, successes, tuple(tails))
    options = {"pooling": "partial", "random_seed": 1}
    fit = bp.fit(counts, family, draws=2000, **options, **QUIET)
    found = bp.diagnostics(fit)
    assert found.converged
    assert found.pareto_k < 0.5
    nuts = bp.fit(counts, family, draws=2000, method="nuts", progress=False, **options)
    for name in (n for n in nuts["posterior"].data_vars if n not in ("a", "b")):
        one, other = (each["posterior"][name].values.reshape(4, 2000, -1) for each in (fit, nuts))
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
@pytest.mark.parametrize("family", [bp.Beta(), bp.LibbyNovick()], ids=["beta", "libby-novick"])
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
    counts = bp.thin(example, 20, random_seed=1)
    small = {"draws": 20, "chains": 2, "random_seed": 1, "progress": False}
    assert bp.fit(counts, bp.Beta(), **small).attrs["method"] == "quadrature"
    with pytest.warns(bp.errors.ConvergenceWarning):
        assert bp.fit(counts, bp.Beta(), tune=20, **small).attrs["method"] == "nuts"
    with pytest.raises(bp.errors.OptionError, match="up to 3 parameters; beta-mixture-2 has 5"):
        bp.fit(counts, bp.family_from_name("beta-mixture-2"), method="quadrature")


def test_a_posterior_that_no_lattice_holds_is_told(alone, monkeypatch):
    monkeypatch.setattr("bayespassk.fitting.lattice.MOST_POINTS", 100)
    with pytest.warns(
        bp.errors.ConvergenceWarning, match="does not fit on a lattice.*method='nuts'"
    ):
        fit = bp.fit(alone, bp.Beta(), random_seed=1, **QUIET)
    assert not bp.diagnostics(fit).converged
