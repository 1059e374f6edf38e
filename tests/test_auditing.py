"""What an audit says of a verifier, and what it cannot say."""

import numpy as np
import pytest
from scipy import special, stats

import bayespassk as bp

TABLE = {"correct_accepted": 57, "correct_rejected": 3, "wrong_accepted": 2, "wrong_rejected": 138}


def rates_of(prior, draws=20_000):
    return special.expit(prior.draw(np.random.default_rng(1), prior.loc, (draws,)))


def test_an_audit_gives_the_conjugate_posteriors():
    rates = bp.verifier.audited_rates(**TABLE)
    for prior, frozen in (
        (rates["true_positive_rate"], stats.beta(57.5, 3.5)),
        (rates["false_positive_rate"], stats.beta(2.5, 138.5)),
    ):
        assert stats.kstest(rates_of(prior), frozen.cdf).pvalue > 1e-4
    informed = bp.verifier.audited_rates(**TABLE, prior=(1, 19))
    assert informed["false_positive_rate"] == bp.Prior.beta(3, 157)


def test_paired_verdicts_give_the_rate_of_the_weaker():
    """Passing plus alone is no pass, as evalplus counts."""
    base = np.array([1, 1, 1, 0, 0, 0, 1], dtype=bool)
    plus = np.array([1, 0, 0, 0, 0, 1, 1], dtype=bool)
    rates = bp.verifier.paired_rates(base, plus)
    assert rates["true_positive_rate"] == 1.0
    assert rates["false_positive_rate"] == bp.Prior.beta(2.5, 3.5)
    assert bp.verifier.paired_rates(base.astype(int).tolist(), plus.astype(int).tolist()) == rates


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"wrong_accepted": -1}, "wrong_accepted must be a whole number"),
        ({"wrong_accepted": 1.5}, "wrong_accepted must be a whole number"),
        ({"correct_accepted": 0, "correct_rejected": 0}, "attempts that are correct"),
        ({"wrong_accepted": 0, "wrong_rejected": 0}, "attempts that are wrong"),
        ({"correct_rejected": 0, "wrong_rejected": 0}, "rejected attempts too"),
        ({"prior": (0, 0.5), "wrong_accepted": 0}, "positive alpha and beta"),
    ],
)
def test_audits_that_say_nothing_are_refused(change, what):
    with pytest.raises(bp.errors.OptionError, match=what):
        bp.verifier.audited_rates(**TABLE | change)


@pytest.mark.parametrize(
    ("base", "plus", "what"),
    [
        ([True, False], [True], "same attempts; got 2 and 1"),
        ([True, True], [True, True], "all 2 attempts passed both"),
        ([0.5, 1.0], [True, True], "base must be a list of bools.*first that is not is"),
        ([True, False], [[True], [False]], "plus must be a list of bools"),
        (["pass", "fail"], [True, True], "base must be a list of bools"),
    ],
)
def test_pairs_that_are_none_are_refused(base, plus, what):
    with pytest.raises(bp.errors.OptionError, match=what):
        bp.verifier.paired_rates(base, plus)
