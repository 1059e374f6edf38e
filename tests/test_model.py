"""The PyMC model has the density that NumPy has: what is sampled is what is forecast with."""

import numpy as np
import pytest

import bayespassk as bp
from bayespassk.families.base import declared, draw_prior, log_prior
from bayespassk.fitting.model import CENTRING, Setup, centring_of, model_of
from bayespassk.posterior.likelihood import cell_log_moments

AUDITED = bp.Prior.beta(30, 2), bp.Prior.beta(1.5, 80)
FAMILIES = [
    bp.Beta(), bp.Kumaraswamy(), bp.LibbyNovick(), bp.ScaledBeta(), bp.GeneralizedBeta(), bp.LogitNormal(),
    bp.Mixture(bp.Beta(), bp.Beta()), bp.ZeroInflated(bp.Beta()), bp.OneInflated(bp.Kumaraswamy()),
    bp.Verified(bp.Beta(), true_positive_rate=AUDITED[0], false_positive_rate=AUDITED[1]),
]  # fmt: skip


@pytest.fixture(scope="module")
def two():
    """Two systems, with problems that are hardly ever and nearly always solved, and ties."""
    return bp.Counts(
        system=["x"] * 5 + ["y"] * 4,
        problem=[*"abcde", *"abcd"],
        attempts=[10, 10, 10, 40, 1000, 7, 7, 7, 300],
        successes=[0, 0, 3, 40, 1, 7, 2, 2, 0],
    )


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.full_name)
def test_the_log_density_is_that_of_numpy(two, family):
    """Log prior + log likelihood of both systems, at five draws of the prior."""
    setup = Setup.of(two, family, "none", None)
    model = model_of(family, setup.hierarchy, setup.data(), two.systems)
    free = draw_prior(family, np.random.default_rng(1), (5, 2))
    assert {rv.name for rv in model.free_RVs} == set(free)
    logp = model.compile_logp(mode="FAST_COMPILE")
    found = [logp({name: value[i] for name, value in free.items()}).item() for i in range(5)]
    want = log_prior(family, free).sum(-1)
    for system in (0, 1):
        cells = setup.cells.of_system(system)
        natural = family.natural({name: value[:, system] for name, value in free.items()})
        want = want + cell_log_moments(family, natural, cells) @ cells.problems
    np.testing.assert_allclose(found, want, rtol=1e-9, atol=1e-9)


def test_a_system_by_itself_has_its_part_of_the_density(two):
    """What is sampled one system at a time is the model of all of them, cut in two."""
    family = bp.Beta()
    setup = Setup.of(two, family, "none", None)
    free = draw_prior(family, np.random.default_rng(2), (2,))
    both = model_of(family, setup.hierarchy, setup.data(), two.systems)
    parts = 0.0
    for system, name in enumerate(two.systems):
        own = setup.of_system(system)
        one = model_of(family, own.hierarchy, own.data(), (name,))
        point = {key: value[[system]] for key, value in free.items()}
        parts += one.compile_logp(mode="FAST_COMPILE")(point).item()
    assert both.compile_logp(mode="FAST_COMPILE")(free).item() == pytest.approx(parts, abs=1e-9)


def test_problems_that_differ_by_a_covariate_have_parameters_of_their_own():
    """The groups are the distinct (system, level); equal counts of different levels stay apart."""
    counts = bp.Counts(
        system=["x", "x", "x", "y"],
        problem=[*"abc", "a"],
        attempts=[5] * 4,
        successes=[1] * 4,
        covariates={"level": [0.0, 1.0, 1.0, 0.0]},
    )
    setup = Setup.of(counts, bp.Beta(), "none", "level")
    assert setup.group_system.tolist() == [0, 0, 1]
    assert setup.cells.problems.tolist() == [1, 2, 1]
    effects = [name for name, dims in setup.dims.items() if "problem_column" in dims]
    assert effects == ["problem_effect_log_a", "problem_effect_logit_mean"]
    second = setup.of_system(1)
    assert second.cells.problems.tolist() == [1]
    assert second.cells.system.tolist() == [0]
    assert second.problem_design.tolist() == setup.problem_design[[2]].tolist()


def test_how_a_parameter_is_sampled_does_not_change_what_is(two):
    """Centring is of data named so: at every point the density of natural parameters is the same."""
    family = bp.Beta()
    setup = Setup.of(two, family, "partial", None)
    found = centring_of(setup, np.random.default_rng(1))
    assert set(found) == set(declared(family))
    for one in found.values():
        assert np.isfinite(one.location).all()
        assert ((one.share >= 0) & (one.share < 1)).all()
    extra = set(setup.data(found)) - set(setup.family.likelihood_data(setup.cells))
    assert all(name.startswith(CENTRING) for name in extra)
    assert extra == set(setup.data()) - set(setup.family.likelihood_data(setup.cells))
