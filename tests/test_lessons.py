"""What further attempts teach: against the closed forms of a conjugate beta."""

import numpy as np
import pytest

import bayespassk as bp
from bayespassk.planning.lessons import Cloud, lessons_of, standardised, variance_after

SIZES = np.array([0, 1, 4, 64, 1024])


@pytest.mark.parametrize(("c", "f"), [(0, 0), (0, 20), (3, 7), (40, 0)])
def test_the_variance_left_within_a_problem_is_that_of_a_beta(c, f):
    """At k = 1: Var p = AB / ((A+B)^2 (A+B+1)), times (A+B) / (A+B+m) expected after m.

    To 6%, as the successes to come are looked at in some places only.
    """
    a, b = 0.7, 3.0
    points = 24
    rng = np.random.default_rng(1)
    near = {"a": np.full(points, a), "b": np.full(points, b)}
    cloud = Cloud(near, rng.standard_normal((points, 2)))
    found = lessons_of(bp.Beta(), cloud, np.array([c]), np.array([f]), 1, SIZES, rng)
    alpha, beta = a + c, b + f
    total = alpha + beta
    want = alpha * beta / (total**2 * (total + 1)) * total / (total + SIZES)
    np.testing.assert_allclose(found.within[0], want, rtol=0.06)
    assert found.within[0, 0] == pytest.approx(want[0], rel=1e-9)
    assert (np.diff(found.within[0]) <= 0).all()


def test_variance_after_information_is_that_of_a_linear_model():
    """Slope' (I + information)^-1 slope, by inverting the matrix itself."""
    rng = np.random.default_rng(2)
    root = rng.standard_normal((3, 3))
    information, slope = root @ root.T, rng.standard_normal(3)
    want = 0.25 + slope @ np.linalg.inv(np.eye(3) + information) @ slope
    assert float(variance_after(0.25, slope, information)) == pytest.approx(want)


def test_standardised_draws_have_no_axis_along_which_they_do_not_differ():
    x = np.random.default_rng(3).standard_normal((500, 2))
    free = np.column_stack([x[:, 0], 3 * x[:, 0] + x[:, 1], np.ones(500)])
    z, to = standardised(free)
    assert z.shape == (500, 2)
    np.testing.assert_allclose(np.cov(z.T), np.eye(2), atol=1e-9)
    np.testing.assert_allclose((free - free.mean(0)) @ to, z)
