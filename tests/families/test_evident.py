"""Estimates of log p beside counts: every family against integrals by other means, and by draws."""

import mpmath as mp
import numpy as np
import pytest

import bayespassk as bp
from bayespassk.cells import distinct
from bayespassk.errors import OptionError
from bayespassk.evidence import Evidence
from bayespassk.families import family_from_name
from bayespassk.families.base import declared, draw_prior
from bayespassk.families.evident import seen_by, without
from bayespassk.special import NUMPY

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


def integral(density, row, power=0):
    """Log of the integral over p of density times what was seen times (1-p)^power, by mpmath."""
    c, f, m, s = row

    def of(x):
        log_p = -mp.log1p(mp.exp(-x))
        log_q = -mp.log1p(mp.exp(x))
        seen_there = c * log_p + (f + power) * log_q - ((m - log_p) / s) ** 2 / 2
        return mp.exp(density(log_p, log_q) + seen_there)

    at = m - np.log(-np.expm1(m))
    cuts = sorted({*(at + s * np.array([-12, -6, -3, -1, 0, 1, 3, 6, 12])), *range(-90, 61, 5)})
    return mp.log(mp.quad(of, [-400, -200, *cuts, 200])) - mp.log(s * mp.sqrt(2 * mp.pi))


# Densities on the logit axis, written here anew.
DENSITIES = {
    "beta": (
        {"a": 0.3, "b": 8.0},
        lambda u, v: 0.3 * u + 8 * v - mp.log(mp.beta(0.3, 8)),
    ),
    "kumaraswamy": (
        {"a": 0.4, "b": 3.0},
        lambda u, v: mp.log(1.2) + 0.4 * u + v + 2 * mp.log1p(-mp.exp(0.4 * u)),
    ),
    "logit-normal": (
        {"logit_median": -4.0, "sigma": 3.0},
        lambda u, v: -(((u - v + 4) / 3) ** 2) / 2 - mp.log(3 * mp.sqrt(2 * mp.pi)),
    ),
    "generalized-beta": (
        {"a": 0.8, "b": 5.0, "g": 0.5},
        lambda u, v: (
            mp.log(0.5) + 0.4 * u + v + 4 * mp.log1p(-mp.exp(0.5 * u)) - mp.log(mp.beta(0.8, 5))
        ),
    ),
}


@pytest.mark.parametrize("name", DENSITIES)
def test_the_likelihood_is_the_integral_by_mpmath(name):
    values, density = DENSITIES[name]
    family, a, b = seen(family_from_name(name))
    parameters = {key: np.array([value]) for key, value in values.items()}
    found = family.log_moment(parameters, a, b)[0]
    constants = family.constants(a.astype(float), b.astype(float))
    as_sampled = family.log_moments(parameters, constants, NUMPY)[0]
    for i, row in enumerate(SEEN):
        expected = float(integral(density, row))
        assert abs(found[i] - expected) < 1e-8, row
        assert abs(as_sampled[i] - expected) < 1e-8, row


@pytest.mark.parametrize("se", [1e-6, 1e-4, 0.01])
def test_exact_log_probabilities_give_the_density(se):
    values, density = DENSITIES["beta"]
    family, a, b = seen(bp.Beta(), [(0, 0, -9.0, se), (2, 10, -300.0, se), (0, 0, -1e-3, se)])
    found = family.log_moment({key: np.array([v]) for key, v in values.items()}, a, b)[0]
    for i, (c, f, m) in enumerate([(0, 0, -9.0), (2, 10, -300.0)]):
        log_q = float(np.log1p(-np.exp(m)))
        at = float(density(m, log_q)) - log_q + c * m + f * log_q  # of log p, not of its logit
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


def test_what_is_drawn_has_the_posterior_of_p_by_mpmath():
    values, density = DENSITIES["beta"]
    family, a, b = seen(bp.Beta())
    draws = {key: np.full(40_000, value) for key, value in values.items()}
    p = family.draw_seen(draws, np.random.default_rng(1), a, b)
    for i, row in enumerate(SEEN):
        none = integral(density, row)
        for k in (1, 100, 10**6):
            expected = float(mp.exp(integral(density, row, k) - none))
            fail = np.exp(k * np.log1p(-p[:, i]))
            assert abs(fail.mean() - expected) < 4 * fail.std() / 200 + 1e-4, (row, k)


FAMILIES = [
    bp.Beta(),
    bp.Kumaraswamy(),
    bp.LibbyNovick(),
    bp.GeneralizedBeta(),
    bp.LogitNormal(),
    bp.Mixture(bp.Beta(), bp.Beta()),
    bp.Mixture(bp.LogitNormal(), bp.LogitNormal(), bp.LogitNormal()),
    bp.ZeroInflated(bp.LibbyNovick()),
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
    "family",
    [
        bp.ScaledBeta(),
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


def test_estimates_too_narrow_for_memory_are_refused(monkeypatch):
    monkeypatch.setattr("bayespassk.families.evident.MOST_NUMBERS", 1000)
    family, a, b = seen(bp.Beta())
    with pytest.raises(OptionError, match="different problems takes"):
        family.constants(a.astype(float), b.astype(float))
