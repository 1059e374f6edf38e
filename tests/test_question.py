"""The one way in which questions are asked: targets, labels, seeds, and a new question in one file."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import bayespassk as bp
from bayespassk.asking.pass_at_k import PassAtK
from bayespassk.asking.question import ANSWERS, Mean, ask
from bayespassk.options import TARGETS
from bayespassk.posterior.fitted import opened


@dataclass(frozen=True, eq=False)
class Rate(Mean):
    """A question of one's own: the mean p, at no k at all."""

    values: np.ndarray
    name: ClassVar[str] = "rate"
    dim: ClassVar[str] = "power"
    not_of_runs: ClassVar[str] = "a rate"

    def each(self, drawn, value):
        return (-np.expm1(-drawn)) ** value

    def expected(self, family, parameters, c, f):
        moments = family.log_moment(parameters, c + np.append(0.0, self.values), f)
        return np.exp(moments[..., 1:] - moments[..., :1])

    def far(self, fitted, answers):  # noqa: ARG002 -- at no k
        return None


@pytest.fixture(scope="module")
def fitted(fit):
    return opened(fit)


def test_a_new_question_is_a_class_with_two_formulas(fitted):
    """It is pass@1 asked in other words, with target, labels, seed and origin for nothing."""
    for target in ("benchmark", "population"):
        found = ask(fitted, Rate(np.array([1.0])), target, 5)
        want = ask(fitted, PassAtK(np.array([1])), target, 5)
        np.testing.assert_allclose(found.values, want.values, rtol=1e-9)
        assert found.dims == ("chain", "draw", "system", "power")
        assert found.attrs == want.attrs
        assert found.name == "rate"


def test_what_has_no_answer_of_a_run_says_so_before_anything_is_computed(fitted):
    with pytest.raises(
        bp.errors.OptionError, match="'benchmark' or 'population' for a rate; got 'realised'"
    ):
        ask(fitted, Rate(np.array([1.0])), "realised")


def test_each_target_that_is_known_has_an_answer():
    assert set(ANSWERS) == set(TARGETS)


def test_an_opened_fit_is_not_opened_again(fitted):
    assert opened(fitted) is fitted
