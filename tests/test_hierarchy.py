"""What systems share is the same in the model that is sampled, in densities and in draws."""

import math

import numpy as np
import pytest
from scipy import stats

import bayespassk as bp
from bayespassk.families import family_names
from bayespassk.families.base import declared
from bayespassk.posterior.pooling import (
    FREEDOM,
    Hierarchy,
    draw_effects,
    draw_hierarchy,
    log_hyperprior,
)
from bayespassk.special import NUMPY

FALSE_ALARM = 1e-4
"""Of one test that compares draws, all its comparisons together."""

FAMILIES = sorted(set(family_names()) - {"dependent-beta"})
SHAPES = ("one system", "four systems", "two benchmarks", "covariates of systems")


def counts_of(shape):
    """Two problems for each of one or four systems, in one benchmark or two."""
    systems = 1 if shape == "one system" else 4
    index = np.repeat(np.arange(systems), 2)
    return bp.Counts(
        problem=np.tile(["x", "y"], systems),
        attempts=np.full(2 * systems, 20),
        successes=np.random.default_rng(1).integers(0, 21, 2 * systems),
        system=[f"s{i}" for i in index],
        benchmark=[f"b{i % 2}" for i in index] if shape == "two benchmarks" else "b",
        covariates={"size": np.array([1.0, 3.0, 4.0, 9.0])[index]},
    )


def made(shape, family, share=0.0):
    """Return the model, as PyMC has it, its hierarchy, and the standardised covariate, if any."""
    counts = counts_of(shape)
    covariates = "size" if shape == "covariates of systems" else None
    model = bp.build_model(counts, family, pooling="partial", covariates=covariates)
    rng = np.random.default_rng(2)
    for name in model.named_vars:
        if name.startswith("data_share_"):
            model[name].set_value(np.full(model[name].get_value().shape, share))
        if name.startswith("data_location_"):  # anywhere: what is sampled must not matter
            model[name].set_value(rng.normal(size=model[name].get_value().shape))
    systems = len(counts.systems)
    nested = shape == "two benchmarks"
    hierarchy = Hierarchy(
        "partial",
        systems,
        ("b0", "b1") if nested else (),
        (0, 1, 0, 1) if nested else (),
        ("size",) if covariates else (),
        effects="student-t",
    )
    size = counts.covariates["size"][::2]
    design = ((size - size.mean()) / size.std())[:, None] if covariates else None
    return counts, model, hierarchy, design


def centres(name, values, design):
    """Return where the systems are expected, written out."""
    centre = values.get(f"benchmark_centre_{name}")
    centre = values[f"centre_{name}"] if centre is None else centre[[0, 1, 0, 1]]
    return centre if design is None else centre + (design * values[f"effect_{name}"]).sum(-1)


def assert_density(shape, family, share):
    """Assert that PyMC's density is ours of what it stands for, times the derivative of that.

    Of spreads, PyMC's is that of the logarithm, whose derivative is left out on both sides.
    """
    counts, model, hierarchy, design = made(shape, family, share)
    inside = [rv for rv in model.unobserved_RVs if not rv.name.startswith("raw_")]
    evaluate = model.compile_fn(
        [model.logp(jacobian=False), *model.replace_rvs_by_values(inside)],
        mode="FAST_COMPILE",
        point_fn=True,
    )
    rng = np.random.default_rng(3)
    for _ in range(3):
        point = {n: rng.normal(size=np.shape(v)) for n, v in model.initial_point().items()}
        got, *found = evaluate(point)
        values = {
            rv.name: np.atleast_1d(v)
            for rv, v in zip(inside, found, strict=True)  # numbers have a last dim of 1 here
        }
        want = sum(log_hyperprior(family, hierarchy, values, design))
        # parameter = centre + spread^(1 - share) (raw - ...)
        squares = 0.0
        for before, name in enumerate(declared(family)):
            spread = values[f"spread_{name}"][0]
            scale = spread * np.sqrt((FREEDOM + squares) / (FREEDOM + before))
            want += (1 - share) * np.log(scale * np.ones(hierarchy.systems)).sum()
            squares = squares + ((values[name] - centres(name, values, design)) / spread) ** 2
            if hierarchy.nested:
                want += (1 - share) * 2 * np.log(values[f"benchmark_spread_{name}"][0])
        natural = family.natural({name: values[name] for name in declared(family)}, NUMPY)
        for row, system in enumerate(counts.system_index):
            own = {name: value[system] for name, value in natural.items()}
            c, n = float(counts.successes[row]), float(counts.attempts[row])
            want += float(family.log_moment(own, c, n - c))
        # Nodes of a quadrature are those of all the counts in a model, but of one in `log_moment`.
        assert got == pytest.approx(float(want), rel=1e-6)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_model_of_every_family_has_the_density_that_is_written_once(name):
    assert_density("four systems", bp.family_from_name(name), 0.5)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_how_far_a_parameter_is_centred_does_not_change_the_posterior(shape, share):
    """Centred, not centred or between: the density of the parameters is one and the same."""
    assert_density(shape, bp.Beta(), share)


def test_densities_are_those_of_scipy():
    """Written out for two systems of a beta, to the last constant."""
    family = bp.Beta(
        log_a=bp.Prior(-1.0, 0.5, spread=0.3), log_b=bp.Prior(2.0, 1.5, "logistic", spread=2.0)
    )
    values = {
        "centre_log_a": [-0.7], "spread_log_a": [0.2], "log_a": [-0.5, -1.1],
        "centre_logit_mean": [-3.0], "spread_logit_mean": [1.3], "logit_mean": [-1.0, -4.0],
    }  # fmt: skip
    values = {name: np.array(value) for name, value in values.items()}
    above, systems = log_hyperprior(family, Hierarchy("partial", 2), values)
    want_above = (
        stats.norm.logpdf(-0.7, -1.0, 0.5)
        + stats.halfnorm.logpdf(0.2, scale=0.3)
        + stats.logistic.logpdf(-3.0, -0.7 - 2.0, 1.5)  # logit of the mean is log a - log b
        + stats.halfnorm.logpdf(1.3, scale=2.0)
    )
    want_systems = (
        stats.norm.logpdf([-0.5, -1.1], -0.7, 0.2).sum()
        + stats.norm.logpdf([-1.0, -4.0], -3.0, 1.3).sum()
    )
    assert float(above) == pytest.approx(want_above)
    assert float(systems) == pytest.approx(want_systems)


def test_student_t_effects_are_one_t_of_all_parameters_of_a_system():
    """Whose density is that of SciPy; systems are independent of each other."""
    hierarchy = Hierarchy("partial", 2, effects="student-t")
    drawn = draw_hierarchy(bp.LibbyNovick(), hierarchy, np.random.default_rng(1), (5,))
    _, systems = log_hyperprior(bp.LibbyNovick(), hierarchy, drawn)
    names = list(declared(bp.LibbyNovick()))
    for draw in range(5):
        centre, spread = ([drawn[f"{what}_{n}"][draw, 0] for n in names] for what in ("centre", "spread"))  # fmt: skip
        x = np.stack([drawn[n][draw] for n in names], axis=-1)
        want = stats.multivariate_t.logpdf(x, centre, np.diag(np.square(spread)), df=FREEDOM)
        assert float(systems[draw]) == pytest.approx(want.sum())


def test_effects_of_a_new_system_are_those_of_one_that_is_drawn():
    """A common tail: squares of standardised effects go together."""
    hierarchy = Hierarchy("partial", 1, effects="student-t")
    rng = np.random.default_rng(2)
    one = np.stack(draw_effects(hierarchy, rng, (20_000,), 2))
    drawn = draw_hierarchy(bp.Beta(), hierarchy, rng, (20_000,))
    other = np.stack([((drawn[n] - drawn[f"centre_{n}"]) / drawn[f"spread_{n}"])[:, 0] for n in declared(bp.Beta())])  # fmt: skip
    tests = [(one[i], other[i]) for i in (0, 1)] + [((one**2).sum(0), (other**2).sum(0))]
    for pair in tests:
        assert stats.ks_2samp(*pair).pvalue > FALSE_ALARM / len(tests)
    normal = np.stack(draw_effects(Hierarchy("partial", 1), rng, (20_000,), 2))
    assert stats.kstest(normal.ravel(), "norm").pvalue > FALSE_ALARM


def test_densities_of_many_draws_are_those_of_each():
    """Dims before the last are kept, and nested benchmarks count as systems do."""
    _, _, hierarchy, _ = made("two benchmarks", bp.Beta())
    drawn = draw_hierarchy(bp.Beta(), hierarchy, np.random.default_rng(1), (3, 5))
    above, systems = log_hyperprior(bp.Beta(), hierarchy, drawn)
    assert above.shape == systems.shape == (3, 5)
    one = {name: value[1, 2] for name, value in drawn.items()}
    for whole, part in zip((above, systems), log_hyperprior(bp.Beta(), hierarchy, one), strict=True):  # fmt: skip
        assert whole[1, 2] == pytest.approx(float(part))
    moved = drawn | {"benchmark_centre_log_a": drawn["benchmark_centre_log_a"] + 0.1}
    assert np.array_equal(log_hyperprior(bp.Beta(), hierarchy, moved)[0], above)
    assert not np.isclose(log_hyperprior(bp.Beta(), hierarchy, moved)[1], systems).any()


@pytest.mark.parametrize("shape", SHAPES)
def test_draws_are_those_of_the_model(shape):
    """Kolmogorov-Smirnov tests of every variable, and of what ties systems together."""
    import pymc as pm

    family = bp.Beta()
    _, model, hierarchy, design = made(shape, family, 0.3)
    ours = draw_hierarchy(family, hierarchy, np.random.default_rng(4), (4000,), design)
    names = sorted(ours)
    with model:
        drawn = pm.draw([model[n] for n in names], 2000, random_seed=5, mode="FAST_COMPILE")
    theirs = dict(zip(names, (v.reshape(2000, -1) for v in drawn), strict=True))
    tests = []
    for name in names:
        assert ours[name].shape == (4000, theirs[name].shape[1])
        tests += [(ours[name][:, i], theirs[name][:, i]) for i in range(theirs[name].shape[1])]
    for name in ("log_a", "logit_mean"):
        tests.append([each[name][:, 0] - each[f"centre_{name}"][:, 0] for each in (ours, theirs)])
        tests.append([np.ptp(each[name], axis=1) for each in (ours, theirs)])
        tests.append([each[name][:, 0] - each[name][:, -2:].mean(1) for each in (ours, theirs)])
    worst = min(stats.ks_2samp(*pair).pvalue for pair in tests)
    assert worst > FALSE_ALARM / len(tests)


def test_systems_of_one_benchmark_are_closer_than_those_of_two():
    """Systems 0 and 2 share a benchmark, 0 and 1 do not."""
    _, _, hierarchy, _ = made("two benchmarks", bp.Beta())
    drawn = draw_hierarchy(bp.Beta(), hierarchy, np.random.default_rng(6), (20_000,))
    x = drawn["log_a"]
    # The variance of a t with 4 degrees is twice the square of its scale, so that differences have
    # variances 4 E[spread^2], and 2 E[benchmark spread^2] more: 1 and 1.5.
    for pair, want in (((0, 2), 1.0), ((0, 1), 1.5)):
        difference = x[:, pair[0]] - x[:, pair[1]]
        error = (difference**2).std() / math.sqrt(len(x))
        assert abs((difference**2).mean() - want) < stats.norm.isf(FALSE_ALARM / 4) * error


def test_a_hierarchy_is_read_back_from_text():
    plain = Hierarchy("none", 3)
    rich = Hierarchy("partial", 3, ("b/1", "ü"), (0, 1, 0), ("log(size)",), ("level", "kind[T.x]"))
    for hierarchy in (plain, rich):
        back = Hierarchy.from_json(hierarchy.to_json())
        assert back == hierarchy
        assert hash(back) == hash(hierarchy)
        assert back.nested == (hierarchy is rich)


def test_a_hierarchy_of_version_0_1_0_has_normal_effects():
    """As it was written then; what is made now says otherwise."""
    text = (
        '{"pooling": "partial", "systems": 3, "benchmarks": [], "benchmark": [], '
        '"system_columns": [], "problem_columns": []}'
    )
    assert Hierarchy.from_json(text) == Hierarchy("partial", 3, effects="normal")
    counts = counts_of("four systems")
    fit = bp.fit(counts, bp.Beta(), pooling="partial", draws=20, random_seed=1, progress=False)
    assert '"effects": "student-t"' in fit.attrs["hierarchy"]


def test_the_spread_between_systems_is_half_that_of_the_prior_unless_it_is_given():
    """Of a logistic, whose standard deviation is pi / sqrt(3) of its scale, too."""
    assert bp.Prior(0.0, 1.2).between == pytest.approx(0.6)
    assert bp.Prior(0.0, 1.2, "logistic").between == pytest.approx(
        stats.logistic.std(scale=1.2) / 2
    )
    assert bp.Prior(0.0, 1.2, spread=0.1).between == 0.1
    narrow = bp.Beta(log_a=bp.Prior(0.0, 1.0, spread=0.01))
    drawn = draw_hierarchy(narrow, Hierarchy("partial", 4), np.random.default_rng(1), (100,))
    assert np.ptp(drawn["log_a"], axis=1).max() < 0.2
    assert np.ptp(drawn["logit_mean"], axis=1).max() > 0.2


@pytest.mark.parametrize("spread", [0.0, -1.0, math.inf, math.nan])
def test_a_spread_that_means_nothing_is_refused(spread):
    with pytest.raises(
        bp.errors.OptionError, match="spread of a prior must be finite and positive"
    ):
        bp.Prior(0.0, 1.0, spread=spread)


def test_a_spread_is_kept_by_a_saved_fit():
    from bayespassk.families import family_from_spec

    family = bp.Beta(log_a=bp.Prior(-1.0, 0.5, spread=0.2))
    assert family_from_spec(family.spec()) == family
    old = family.spec()
    del old["priors"]["log_a"]["spread"]  # as before there was one
    assert family_from_spec(old).log_a.spread is None
