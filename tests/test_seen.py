"""Draws of the p of attempted problems: right in the mean, the same whatever is asked of them."""

import numpy as np
import pytest

import bayespassk as bp
from bayespassk.asking.pass_at_k import FailAtK, PassAtK, PassHatK
from bayespassk.asking.seen import Seen
from bayespassk.posterior.fitted import opened

KS = np.array([1, 30, 1000])


@pytest.fixture(scope="module")
def fitted(fit):
    return opened(fit)


@pytest.fixture(scope="module")
def equal_rows():
    """150 of the 200 problems have the same counts, more than are drawn one by one."""
    successes = np.r_[np.zeros(150, int), np.arange(50) % 21]
    counts = bp.Counts(problem=range(200), attempts=[20] * 200, successes=successes)
    return opened(bp.fit(counts, bp.Beta(), random_seed=1, progress=False))


@pytest.mark.parametrize(
    "question", [PassAtK(KS), FailAtK(KS * 1.0), PassHatK(KS)], ids=lambda q: q.name
)
@pytest.mark.parametrize("which", ["fitted", "equal_rows"])
def test_the_mean_is_what_is_expected_given_the_counts(question, which, request):
    """Within 5 standard errors at each k: false alarms are below 1e-5."""
    fitted = request.getfixturevalue(which)
    (part,) = fitted.parts[0]
    drawn = Seen(fitted, 0, 1).mean(question).reshape(-1, len(KS))
    flat = {name: value.ravel() for name, value in part.parameters.items()}
    c, f = (v[:, None].astype(float) for v in (part.cells.successes, part.cells.failures))
    each = question.expected(fitted.family, flat, c, f)
    expected = np.einsum("dcv,c->dv", each, part.cells.problems) / part.cells.problems.sum()
    error = (drawn - expected).std(0) / np.sqrt(len(drawn)) + 1e-12
    assert (np.abs((drawn - expected).mean(0)) < 5 * error).all()


def test_one_seed_gives_the_same_p_whatever_is_asked(fitted):
    both, alone = Seen(fitted, 0, 7).mean(PassAtK(KS)), Seen(fitted, 0, 7).mean(PassAtK(KS[:1]))
    np.testing.assert_array_equal(both[..., :1], alone)
    np.testing.assert_allclose(1 - both, Seen(fitted, 0, 7).mean(FailAtK(KS * 1.0)), atol=1e-12)
    assert (Seen(fitted, 0, 8).mean(PassAtK(KS)) != both).any()


def test_rows_are_those_that_are_looked_at(fitted):
    """Of the problems never solved pass@1 is below that of all."""
    rows = fitted.successes == 0
    few = Seen(fitted, 0, 1, rows)
    assert few.problems == int((rows & (fitted.system_index == 0)).sum())
    assert few.mean(PassAtK(KS)).mean() < Seen(fitted, 0, 1).mean(PassAtK(KS)).mean()


@pytest.mark.parametrize("which", ["fitted", "equal_rows"])
def test_a_run_solves_whole_problems_and_no_fewer_with_more_attempts(which, request):
    fitted = request.getfixturevalue(which)
    seen = Seen(fitted, 0, 1)
    solved = seen.realised(KS) * seen.problems
    np.testing.assert_allclose(solved, solved.round(), atol=1e-9)
    assert (np.diff(solved, axis=-1) >= 0).all()
