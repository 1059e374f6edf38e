"""Runs of attempts, beside the counts that they add up to."""

import pickle

import numpy as np
import pandas as pd
import pytest

import bayespassk as bp
from bayespassk.errors import CountsError
from bayespassk.runs import Runs


def frame():
    return pd.DataFrame(
        {
            "problem": ["a", "a", "b", "c", "c", "c"],
            "run": [1, 2, 1, 1, 2, 3],
            "attempts": [20, 10, 5, 7, 8, 9],
            "successes": [3, 9, 0, 7, 1, 2],
        }
    )


def test_runs_add_up_to_counts_and_come_back():
    counts = bp.Counts.from_runs(frame())
    np.testing.assert_array_equal(counts.attempts, [30, 5, 24])
    np.testing.assert_array_equal(counts.successes, [12, 0, 10])
    back = counts.to_dataframe()
    pd.testing.assert_frame_equal(
        back[["problem", "run", "attempts", "successes"]].astype({"run": int}),
        frame(),
        check_dtype=False,
    )
    assert bp.Counts.from_dataframe(frame()).sha256() == counts.sha256()
    again = pickle.loads(pickle.dumps(counts))  # noqa: S301
    assert again.sha256() == counts.sha256()


def test_other_runs_of_the_same_counts_have_another_hash():
    other = frame().assign(successes=[4, 8, 0, 7, 1, 2])
    assert bp.Counts.from_runs(other).sha256() != bp.Counts.from_runs(frame()).sha256()


def test_the_order_of_rows_does_not_matter_to_runs():
    shuffled = frame().iloc[[5, 0, 3, 2, 4, 1]]
    counts = bp.Counts.from_runs(shuffled)
    one = counts.to_dataframe().sort_values(["problem", "run"])
    np.testing.assert_array_equal(one["successes"], frame()["successes"])


@pytest.mark.parametrize("rows", [[2, 0], [False, True, True], [1]])
def test_some_rows_keep_their_own_runs(rows):
    counts = bp.Counts.from_runs(frame())
    some = counts.of_rows(np.array(rows))
    index = np.flatnonzero(rows) if isinstance(rows[0], bool) else rows
    want = pd.concat([frame()[frame()["problem"] == "abc"[i]] for i in index])
    np.testing.assert_array_equal(some.to_dataframe()["successes"], want["successes"])


def test_attempts_become_counts_with_runs():
    attempts = pd.DataFrame(
        {"problem": ["a", "b", "a", "a"], "run": [1, 1, 2, 1], "success": [1, 0, 0, 1]}
    )
    counts = bp.Counts.from_attempts(attempts)
    np.testing.assert_array_equal(counts.attempts, [3, 1])
    np.testing.assert_array_equal(counts.runs.successes, [2, 0, 0])
    assert bp.Counts.from_attempts(attempts.drop(columns="run")).runs is None
    with pytest.raises(CountsError, match="success must be 0 or 1; row 2"):
        bp.Counts.from_attempts(attempts.assign(success=[1, 2, 0, 1]))


def test_no_attempts_at_a_problem_are_taken_away_with_their_runs():
    counts = bp.Counts.from_runs(frame()).without_attempts(0)
    np.testing.assert_array_equal(counts.attempts, [0, 5, 24])
    assert 0 not in counts.runs.row


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"successes": [3, 11, 0, 7, 1, 2]}, "successes must not exceed attempts.*row 2"),
        ({"run": [1, None, 1, 1, 2, 3]}, "run must not be missing.*row 2"),
        ({"cluster": ["x", "y", "x", "z", "z", "z"]}, "cluster must be the same.*row 2"),
    ],
)
def test_rows_that_break_a_rule_are_named(change, told):
    with pytest.raises(CountsError, match=told):
        bp.Counts.from_runs(frame().assign(**change))


def test_runs_of_other_attempts_are_refused():
    runs = Runs.of(np.array([0, 0]), ["x", "y"], np.array([5, 5]), np.array([1, 2]))
    with pytest.raises(CountsError, match="must add up"):
        bp.Counts(problem=["a"], attempts=[10], successes=[4], runs=runs)


def test_clusters_go_with_their_rows():
    counts = bp.Counts(
        problem=["a", "b", "c"], attempts=[3] * 3, successes=[1] * 3, cluster=["x", "y", "x"]
    )
    assert list(counts.of_rows(np.array([1, 2])).cluster) == ["y", "x"]
    assert "2 clusters" in repr(counts)
    assert bp.Counts.from_dataframe(counts.to_dataframe()).sha256() == counts.sha256()
