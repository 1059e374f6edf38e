"""Distinct rows and histograms, against pandas and a search row by row."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from bayespassk.cells import coded, distinct

NAMES = ["system", "successes", "failures"]
rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 2**53)), min_size=1, max_size=60
)


@given(rows)
def test_distinct_rows_stand_for_all_rows(given_rows):
    system, successes, failures = (np.array(column) for column in zip(*given_rows, strict=True))
    cells = distinct(system, successes, failures)
    assert len(set(zip(cells.system, cells.successes, cells.failures, strict=True))) == len(
        cells.system
    )
    assert (cells.system[cells.inverse] == system).all()
    assert (cells.successes[cells.inverse] == successes).all()
    assert (cells.failures[cells.inverse] == failures).all()
    assert (np.bincount(cells.inverse) == cells.problems).all()
    for one in np.unique(system):
        mine = cells.of_system(int(one))
        assert (mine.successes[mine.inverse] == successes[system == one]).all()
        assert mine.problems.sum() == (system == one).sum()
        histogram = cells.histogram(cells.successes)
        at = (histogram.system == one) & (histogram.value == 0)
        assert histogram.problems[at].sum() == ((system == one) & (successes == 0)).sum()


@given(rows)
def test_distinct_rows_are_those_of_pandas_in_their_order(given_rows):
    table = pd.DataFrame(given_rows, columns=NAMES)
    cells = distinct(*(table[name].to_numpy() for name in NAMES))
    groups = table.groupby(NAMES, sort=True)
    want = groups.size().reset_index(name="problems")
    found = pd.DataFrame({name: getattr(cells, name) for name in [*NAMES, "problems"]})
    pd.testing.assert_frame_equal(found, want)
    assert cells.inverse.tolist() == groups.ngroup().tolist()


@given(rows)
def test_a_histogram_counts_problems_not_cells(given_rows):
    table = pd.DataFrame(given_rows, columns=NAMES)
    cells = distinct(*(table[name].to_numpy() for name in NAMES))
    found = cells.histogram(cells.successes)
    want = table.groupby(["system", "successes"], sort=True).size()
    assert list(zip(found.system, found.value, strict=True)) == want.index.tolist()
    assert found.problems.tolist() == want.tolist()


@given(rows)
def test_the_cells_of_one_system_are_those_of_its_rows_alone(given_rows):
    table = pd.DataFrame(given_rows, columns=NAMES)
    cells = distinct(*(table[name].to_numpy() for name in NAMES))
    for system, mine in table.groupby("system"):
        found = cells.of_system(system)
        want = distinct(*((mine[name] * (name != "system")).to_numpy() for name in NAMES))
        for name in (*NAMES, "problems", "inverse"):
            np.testing.assert_array_equal(getattr(found, name), getattr(want, name))


@pytest.mark.parametrize("top", [3, 999, 10**6, 2**62])
def test_codes_are_positions_among_sorted_values_with_and_without_sorting(top):
    """Both ways: small values are counted, large ones sorted."""
    values = np.random.default_rng(1).integers(0, top, 200, endpoint=True)
    number, codes = coded(values)
    ordered = sorted(set(values.tolist()))
    assert number == len(ordered)
    assert codes.tolist() == [ordered.index(value) for value in values.tolist()]


def test_many_large_columns_do_not_overflow():
    """Packed into one integer as they are, these would be equal modulo 2**64."""
    large = np.array([0, 2**62, 2**62, 0])
    cells = distinct(np.array([0, 4, 0, 4]), large, large[::-1].copy())
    assert len(cells.problems) == 4
