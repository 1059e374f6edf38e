"""Which families agree with the attempts."""

import numpy as np
import pytest

import bayespassk as bp
from bayespassk.asking.guard import agreements
from bayespassk.judging.agreeing import explained
from bayespassk.posterior.fitted import opened

QUIET = {"pooling": "none", "random_seed": 1, "progress": False}


@pytest.fixture(scope="module")
def never_or_often():
    """Half of the problems are impossible, and the others near 0.3."""
    rng = np.random.default_rng(3)
    p = np.where(rng.random(150) < 0.5, 0.0, 0.3)
    return bp.Counts(
        problem=np.arange(150), attempts=np.full(150, 60), successes=rng.binomial(60, p)
    )


def test_the_family_that_made_the_attempts_agrees_with_them(never_or_often):
    fit = bp.fit(never_or_often, bp.Beta(), **QUIET)
    table = bp.agreement(fit)
    assert list(table) == ["system", "family", "k", "estimate", "expected", "p_value"]
    assert table["family"][0] == "beta"
    assert table["p_value"][0] < 0.01
    assert (table["p_value"][1:].diff().dropna() <= 0).all()
    found = table.set_index("family")["p_value"]
    assert found["zero-inflated-beta"] > 0.05
    assert len(table) == 10
    some = bp.agreement(fit, ["kumaraswamy", bp.Mixture(bp.Beta(), bp.Beta())][:1])
    assert some["family"].tolist() == ["beta", "kumaraswamy"]
    assert bp.agreement(fit, [])["family"].tolist() == ["beta"]


def test_each_system_has_its_own_rows(fit):
    table = bp.agreement(fit, ["kumaraswamy", "beta"])
    assert table["system"].tolist() == ["small"] * 3 + ["large"] * 3
    assert set(table["family"]) == {"beta", "kumaraswamy", "beta with other priors"}
    assert explained(opened(fit), agreements(opened(fit))) is None


def test_what_is_not_a_family_is_refused(fit):
    with pytest.raises(bp.errors.OptionError, match="no-such"):
        bp.agreement(fit, ["no-such"])


def test_without_attempts_to_compare_there_are_no_rows():
    counts = bp.Counts(problem=[0, 1], attempts=[3, 4], successes=[1, 1], stopping="first-success")
    assert len(bp.agreement(bp.fit(counts, bp.Beta(), **QUIET))) == 0
