"""Estimates of log p beside counts: every family against integrals by other means, and by draws."""

import numpy as np
import pytest
from scipy import special as sp

import bayespassk as bp
from bayespassk.cells import distinct
from bayespassk.errors import OptionError
from bayespassk.evidence import Evidence
from bayespassk.families import Family
from bayespassk.families.base import declared, draw_prior
from bayespassk.families.evident import seen_by, without
from bayespassk.special import NUMPY, graph
from oracles import log_estimated_logit_normal, log_estimated_power

# successes, failures, log p, its standard error
SEEN = [
    (0, 0, -11.0, 0.3),
    (0, 0, -3.0, 0.02),
    (0, 50, -6.0, 1.5),
    (3, 47, -2.5, 0.4),
    (0, 0, -0.01, 0.5),
    (0, 0, -25.0, 2.0),
]
NONE = Evidence(np.full(2, np.nan), np.full(2, np.nan))


def seen(family, rows=SEEN):
    """The family as it sees the rows and two problems with counts alone, and what it sees."""
    c, f, log_p, se = (np.array(one) for one in zip(*rows, strict=True))
    evidence = Evidence(
        np.append(log_p, [np.nan] * 2).astype(float), np.append(se, [np.nan] * 2).astype(float)
    )
    return seen_by(family, np.append(c, [0, 2]), np.append(f, [50, 1]), None, evidence)


# Of each family its parameters, and those of an oracle that has the integrals by mpmath.
KNOWN = [
    (bp.Beta(), {"a": 0.3, "b": 8.0}, log_estimated_power, (0.3, 8.0, 1, 1)),
    (bp.Kumaraswamy(), {"a": 0.4, "b": 3.0}, log_estimated_power, (1.0, 3.0, 0.4, 1)),
    (bp.LogitNormal(), {"logit_median": -4.0, "sigma": 3.0}, log_estimated_logit_normal, (-4.0, 3.0)),
    (bp.GeneralizedBeta(), {"a": 0.8, "b": 5.0, "g": 0.5}, log_estimated_power, (0.8, 5.0, 0.5, 1)),
    (bp.ScaledBeta(), {"a": 0.3, "b": 3.0, "s": 0.5}, log_estimated_power, (0.3, 3.0, 1, 0.5)),
    (bp.ScaledBeta(), {"a": 0.3, "b": 0.5, "s": 0.05}, log_estimated_power, (0.3, 0.5, 1, 0.05)),
    (bp.ScaledBeta(), {"a": 0.2, "b": 50.0, "s": 0.9}, log_estimated_power, (0.2, 50.0, 1, 0.9)),
]  # fmt: skip


def of_one(values):
    return {name: np.array([value]) for name, value in values.items()}


@pytest.mark.parametrize(
    ("base", "values", "oracle", "own"),
    KNOWN,
    ids=lambda one: one.full_name if isinstance(one, Family) else "",
)
def test_the_likelihood_is_the_integral_by_mpmath(base, values, oracle, own, reference):
    family, a, b = seen(base)
    parameters = of_one(values)
    found = family.log_moment(parameters, a, b)[0]
    constants = family.constants(a.astype(float), b.astype(float))
    as_sampled = family.log_moments(parameters, constants, NUMPY)[0]
    for i, row in enumerate(SEEN):
        expected = reference(oracle, *own, *row)
        assert abs(found[i] - expected) < 1e-8, row
        assert abs(as_sampled[i] - expected) < 1e-8, row


BETA = {"a": 0.3, "b": 8.0}
STEEP = {"a": 0.3, "b": 8.0, "s": 0.6}
"""Of a scaled beta."""


@pytest.mark.parametrize("se", [1e-6, 1e-4, 0.01])
@pytest.mark.parametrize(("base", "values"), [(bp.Beta(), BETA), (bp.ScaledBeta(), STEEP)], ids=["beta", "scaled-beta"])  # fmt: skip
def test_exact_log_probabilities_give_the_density(se, base, values):
    family, a, b = seen(base, [(0, 0, -9.0, se), (2, 10, -300.0, se), (0, 0, -1e-3, se)])
    found = family.log_moment(of_one(values), a, b)[0]
    log_s = np.log(values.get("s", 1.0))
    for i, (c, f, m) in enumerate([(0, 0, -9.0), (2, 10, -300.0)]):
        u = m - log_s
        density = 0.3 * u + 7 * np.log1p(-np.exp(u)) - sp.betaln(0.3, 8.0)  # of log p
        at = density + c * m + f * np.log1p(-np.exp(m))
        assert abs(found[i] - at) < 2 * se**2 * (f + 10) + 1e-8
    assert np.isfinite(found).all()


def test_many_narrow_estimates_are_all_resolved():
    rng = np.random.default_rng(1)
    rows = [(0, 0, m, 0.01) for m in np.sort(rng.uniform(-14, -0.5, 300))]
    family, a, b = seen(bp.Beta(), rows)
    found = family.log_moment({"a": np.array([0.3]), "b": np.array([8.0])}, a, b)[0]
    alone = []
    for row in rows[::20]:
        one, c, f = seen(bp.Beta(), [row])
        alone.append(one.log_moment({"a": np.array([0.3]), "b": np.array([8.0])}, c, f)[0, 0])
    assert np.abs(found[a < 0][::20] - alone).max() < 1e-8


@pytest.mark.parametrize(("base", "values"), [(bp.Beta(), BETA), (bp.ScaledBeta(), STEEP)], ids=["beta", "scaled-beta"])  # fmt: skip
def test_the_fast_way_is_the_slow_one(base, values):
    """Of sharp estimates only the nodes about them are kept; a graph is given all."""
    rng = np.random.default_rng(2)
    rows = [(0, 30, m, 0.01) for m in rng.uniform(-14, -0.6, 60)] + SEEN
    family, a, b = seen(base, rows)
    constants = family.constants(a.astype(float), b.astype(float))
    assert any(name.endswith("row_values") for name in constants)
    cells = distinct(np.zeros(len(a), dtype=int), a, b)
    data = family.likelihood_data(cells)
    assert not any(name.endswith("row_values") for name in data)
    kernel = next(
        value for name, value in data.items() if name.endswith("_kernel") and len(value) > 2
    )
    assert (kernel == 0).mean() > 0.5
    parameters = {name: np.array([v, 0.9 * v]) for name, v in values.items()}
    fast = family.log_moments(parameters, constants, NUMPY)
    for draw in range(2):
        slow = family.log_moments(parameters, data, NUMPY, np.full(len(cells.problems), draw))
        assert np.abs(fast[draw] - slow[cells.inverse]).max() < 1e-9


def test_what_a_density_excludes_has_its_likelihood_all_the_same():
    """Neither log p = -300 of a narrow logit-normal, nor p above the end of a scaled beta."""
    family, a, b = seen(bp.LogitNormal(), [(0, 0, -300.0, 0.1)])
    parameters = {"logit_median": np.array([-4.0]), "sigma": np.array([3.0])}
    constants = family.constants(a.astype(float), b.astype(float))
    by = 9 + 0.01  # the sum of the variances, as log p is logit p there
    want = -0.5 * 296**2 / by - 0.5 * np.log(2 * np.pi * by)
    assert family.log_moments(parameters, constants, NUMPY)[0, 0] == pytest.approx(want, rel=1e-6)
    assert family.log_moment(parameters, a, b)[0, 0] == pytest.approx(want, rel=1e-6)
    family, a, b = seen(bp.ScaledBeta(), [(0, 0, -0.5, 0.005)])
    constants = family.constants(a.astype(float), b.astype(float))
    ends = np.array([0.2, 0.4, 0.58])
    at = {"a": np.full(3, 0.3), "b": np.full(3, 2.0), "s": ends}
    found = family.log_moments(at, constants, NUMPY)[:, 0]
    near = -0.5 * ((-0.5 - np.log(ends)) / 0.005) ** 2
    assert np.isfinite(found).all()
    assert np.abs(found - near).max() < 30  # the density there, and the normal's constant


@pytest.mark.parametrize("which", [0, 4], ids=["beta", "scaled-beta"])
def test_what_is_drawn_has_the_posterior_of_p_by_mpmath(which, reference):
    base, values, oracle, own = KNOWN[which]
    family, a, b = seen(base)
    draws = {key: np.full(40_000, value) for key, value in values.items()}
    p = family.draw_seen(draws, np.random.default_rng(1), a, b)
    for i, row in enumerate(SEEN):
        none = reference(oracle, *own, *row)
        for k in (1, 100, 10**6):
            expected = np.exp(reference(oracle, *own, *row, k) - none)
            fail = np.exp(k * np.log1p(-p[:, i]))
            assert abs(fail.mean() - expected) < 4 * fail.std() / 200 + 1e-4, (row, k)


FAMILIES = [
    bp.Beta(),
    bp.Kumaraswamy(),
    bp.LibbyNovick(),
    bp.GeneralizedBeta(),
    bp.LogitNormal(),
    bp.ScaledBeta(),
    bp.Mixture(bp.Beta(), bp.Beta()),
    bp.Mixture(bp.Beta(), bp.ScaledBeta()),
    bp.Mixture(bp.LogitNormal(), bp.LogitNormal(), bp.LogitNormal()),
    bp.ZeroInflated(bp.LibbyNovick()),
    bp.ZeroInflated(bp.ScaledBeta()),
    bp.OneInflated(bp.Beta()),
    bp.ZeroInflated(bp.OneInflated(bp.Kumaraswamy())),
]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda one: one.full_name)
def test_every_family_against_draws_of_its_p(family):
    rows = [(0, 0, -7.0, 0.8), (1, 20, -3.0, 0.7), (0, 30, -5.0, 1.0)]
    sees, a, b = seen(family, rows)
    free = {name: np.array([prior.loc]) for name, prior in declared(family).items()}
    parameters = family.natural(free)
    rng = np.random.default_rng(1)
    many = {name: np.full(400_000, value[0]) for name, value in parameters.items()}
    p = family.draw(many, rng)
    with np.errstate(divide="ignore"):
        log_p = np.log(p)
    found = sees.log_moment(parameters, a, b)[0]
    constants = sees.constants(a.astype(float), b.astype(float))
    assert np.allclose(sees.log_moments(parameters, constants, NUMPY)[0], found, atol=1e-7)
    again = sees.draw_seen({n: v[:20_000] for n, v in many.items()}, rng, a, b)
    above = sees.survival(parameters, 0.01, a, b)[0]
    for i, (c, f, m, s) in enumerate(rows):
        normal = np.exp(-(((m - log_p) / s) ** 2) / 2) / (s * np.sqrt(2 * np.pi))
        weight = np.where(p > 0, normal, 0.0) * p**c * np.where((f > 0) & (p == 1), 0, (1 - p) ** f)
        error = weight.std() / np.sqrt(len(p)) / weight.mean()
        assert abs(np.exp(found[i]) / weight.mean() - 1) < 5 * error
        size = weight.sum() ** 2 / (weight**2).sum()
        for of, value in ((lambda p: p > 0.01, above[i]), (lambda p: (1 - p) ** 300, None)):
            expected = (weight @ of(p)) / weight.sum()
            near = 5 * np.sqrt(of(p[weight > weight.max() / 100]).std() ** 2 / size) + 0.005
            drawn = of(again[:, i]).mean()
            assert abs(drawn - expected) < near + 0.02, (i, drawn, expected)
            assert value is None or abs(value - expected) < near
    assert sees.spec() == family.spec()
    assert sees.full_name == family.full_name
    assert without(sees) == family


@pytest.mark.parametrize("family", FAMILIES, ids=lambda one: one.full_name)
def test_an_estimate_of_a_problem_is_no_impossible_one(family):
    sees, a, b = seen(family, [(0, 0, -12.0, 0.5)])
    assert a[0] < 0
    assert b[0] < 0
    rng = np.random.default_rng(1)
    parameters = family.natural(draw_prior(family, rng, (500,)))
    p = sees.draw_seen(parameters, rng, a[:1], b[:1])
    assert ((p > 0) & (p < 1)).all()
    assert np.abs(np.median(np.log(p)) + 12) < 0.6


def test_counts_alone_are_what_they_were_and_outcomes_come_back():
    family, a, b = seen(bp.ZeroInflated(bp.LibbyNovick()))
    parameters = {"a": 0.3, "b": 4.0, "log_odds": -2.0, "zero": 0.1}
    parameters = {name: np.array([value]) for name, value in parameters.items()}
    plain = bp.ZeroInflated(bp.LibbyNovick()).log_moment(parameters, [0, 2], [50, 1])
    assert np.allclose(family.log_moment(parameters, a[-2:], b[-2:]), plain, atol=1e-9)
    successes, failures = family.outcomes(a, b)
    assert successes.tolist() == [0, 0, 0, 3, 0, 0, 0, 2]
    assert failures.tolist() == [0, 0, 50, 47, 0, 0, 50, 1]
    assert seen_by(bp.Beta(), a, b, None, None)[0] == bp.Beta()
    cells = distinct(np.zeros(8, dtype=int), a, b)
    assert len(cells.problems) == 8


@pytest.mark.parametrize(
    "base",
    [bp.Beta(), bp.ScaledBeta(), bp.ZeroInflated(bp.Mixture(bp.Beta(), bp.LogitNormal()))],
    ids=lambda one: one.full_name,
)
@pytest.mark.parametrize("systems", [1, 2])
def test_the_graph_agrees_with_numpy_and_has_finite_gradients(base, systems):
    import pytensor
    import pytensor.tensor as pt

    family, a, b = seen(base)
    data = family.likelihood_data(distinct(np.arange(len(a)) % systems, a, b))
    free = draw_prior(base, np.random.default_rng(6), (systems,))
    inputs = {name: pt.dvector(name) for name in free}
    value = family.log_likelihood(
        family.natural(inputs, graph()), {k: pt.as_tensor(v) for k, v in data.items()}, graph()
    )
    outputs = [value, *pt.grad(value, list(inputs.values()))]
    mode = pytensor.compile.mode.Mode("py", None)  # whose sums have fewer terms than NumPy takes
    got, *gradients = pytensor.function(list(inputs.values()), outputs, mode=mode)(*free.values())
    want = family.log_likelihood(family.natural(free), data, NUMPY)
    np.testing.assert_allclose(got, want, rtol=1e-9)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize(
    "family",
    [
        bp.Dependent(bp.Beta()),
        bp.ZeroInflated(bp.Dependent(bp.Beta(), sd=0.5)),
        bp.Verified(bp.Beta(), true_positive_rate=1.0, false_positive_rate=0.01),
        bp.OneInflated(bp.Beta()),
    ],
    ids=lambda one: one.full_name,
)
def test_what_cannot_take_estimates_says_so(family):
    rows = [(0, 0, -0.3, 0.5)]  # which does not exclude p = 1
    with pytest.raises(OptionError, match="log_p"):
        seen(family, rows)
    assert NONE.there.sum() == 0


def test_estimates_too_narrow_for_the_memory_of_a_graph_are_refused(monkeypatch):
    monkeypatch.setattr("bayespassk.families.evident.MOST_NUMBERS", 1000)
    rows = [(0, 0, m, 0.01) for m in np.linspace(-14, -1, 40)]
    family, a, b = seen(bp.Beta(), rows)
    family.constants(a.astype(float), b.astype(float))
    with pytest.raises(OptionError, match="different problems takes"):
        family.likelihood_data(distinct(np.zeros(len(a), dtype=int), a, b))
