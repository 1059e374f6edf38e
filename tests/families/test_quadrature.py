"""What makes a quadrature fast changes nothing that it finds."""

import numpy as np
import pytest

import bayespassk as bp
from bayespassk.families import quadrature
from bayespassk.families.quadrature import Nodes, Smooth

RNG = np.random.default_rng(1)


@pytest.fixture(scope="module")
def parameters():
    free = {"log_a": (-1.5, 0.5), "log_b": (0.0, 1.0), "logit_knee": (-3.0, 1.0)}
    return bp.LibbyNovick().natural({n: RNG.normal(*one, size=300) for n, one in free.items()})


@pytest.mark.parametrize("columns", [3, 50])
def test_a_table_finds_what_halving_finds(columns):
    weights = RNG.exponential(size=(40, columns)) * (RNG.random((40, columns)) < 0.5)
    weights[:, 0] += 1e-12  # so that no row is empty, and one part of the table holds many
    weights[:5, 1:] = 0.0
    point = np.sort(RNG.integers(40, size=200))
    uniform = RNG.random((200, 30))
    uniform[:, 0], uniform[:, 1] = 0.0, np.nextafter(1, 0)
    cumulative = weights.cumsum(-1)
    cumulative /= cumulative[:, -1:]
    found = quadrature._looked_up(cumulative, point, uniform).reshape(uniform.shape)
    for i, row in enumerate(point):
        want = np.searchsorted(cumulative[row], uniform[i])
        np.testing.assert_array_equal(found[i] - row * columns, want)


def test_nodes_are_chosen_as_often_as_they_weigh_either_way(monkeypatch):
    weights = RNG.exponential(size=(3, 20))
    point = np.repeat([0, 1, 2], 20)
    many = RNG.random((60, 4000))
    found = quadrature._choose(weights, point, many)
    for row in range(3):
        share = np.bincount(found[point == row].ravel(), minlength=20) / 80_000
        np.testing.assert_allclose(share, weights[row] / weights[row].sum(), atol=0.005)
    monkeypatch.setattr(quadrature, "_looked_up", None)  # few numbers are found without a table
    few = quadrature._choose(np.tile(weights, (1, 100)), point, many[:, :1])
    assert few.shape == (60, 1)


def test_blocks_make_no_difference(parameters, monkeypatch):
    family, pairs = bp.LibbyNovick(), ([0.0, 3.0, 50.0], [100.0, 97.0, 1e9])
    whole = family.log_moment(parameters, *pairs)
    monkeypatch.setattr(quadrature, "BLOCK", 1)
    np.testing.assert_array_equal(family.log_moment(parameters, *pairs), whole)


@pytest.mark.parametrize(("a", "b"), [(0.0, 0.0), (0.0, 200.0), (30.0, 2.0), (5000.0, 0.0)])
def test_shares_above_are_those_of_each_threshold_by_itself(parameters, monkeypatch, a, b):
    above = np.array([0.0, 1e-9, 1e-3, 0.2, 0.9, 1 - 1e-6, 1.0])
    found = bp.LibbyNovick().survival(parameters, above, a, b)
    monkeypatch.setattr(Smooth, "_fill_above", Nodes._fill_above)
    np.testing.assert_allclose(
        found, bp.LibbyNovick().survival(parameters, above, a, b), rtol=1e-9, atol=1e-14
    )
    assert (np.diff(found) <= 0).all()
