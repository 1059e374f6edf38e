"""Runs of attempts, beside the counts that they add up to."""

import pickle

import numpy as np
import pandas as pd
import pytest

import bayespassk as bp
from bayespassk.errors import CountsError
from bayespassk.runs import Runs
from commands import run


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


@pytest.fixture
def attempts(tmp_path):
    """A table of attempts with seeds, and a folder with a file for each seed."""
    rng = np.random.default_rng(2)
    table = pd.DataFrame(
        [(f"p{i}", seed, int(rng.random() < 0.4)) for i in range(6) for seed in (1, 2) for _ in range(5)],
        columns=["problem", "seed", "success"],
    )  # fmt: skip
    table.to_csv(tmp_path / "attempts.csv", index=False)
    (tmp_path / "runs").mkdir()
    for seed, mine in table.groupby("seed"):
        mine[["problem", "success"]].to_csv(tmp_path / "runs" / f"{seed}.csv", index=False)
        counts = mine.groupby("problem")["success"].agg(attempts="size", successes="sum")
        (tmp_path / "counts").mkdir(exist_ok=True)
        counts.reset_index().to_csv(tmp_path / "counts" / f"{seed}.csv", index=False)
    return tmp_path, table


def test_logs_keep_runs_in_the_columns_or_files_that_are_named(attempts):
    folder, table = attempts
    want = table.groupby(["problem", "seed"], sort=False)["success"].sum().to_numpy()
    for counts in (
        bp.read(folder / "attempts.csv", run="seed"),
        bp.read(folder / "runs", runs="files"),
        bp.read(folder / "counts", runs="files"),
    ):
        assert len(counts) == 6
        assert sorted(counts.runs.successes.tolist()) == sorted(want.tolist())
        assert set(counts.runs.attempts.tolist()) == {5}
        assert len(counts.runs.names) == 2
    assert bp.read(folder / "attempts.csv").runs is None
    renamed = table.rename(columns={"seed": "run"})
    renamed.to_csv(folder / "named.csv", index=False)
    assert len(bp.read(folder / "named.csv").runs.names) == 2


def test_attempts_without_an_outcome_belong_to_their_run(tmp_path):
    (tmp_path / "log.csv").write_text(
        "problem,run,success\na,1,1\na,1,\na,2,0\na,2,1\n", encoding="utf-8"
    )
    dropped = bp.read(tmp_path / "log.csv", errors="drop").runs
    failed = bp.read(tmp_path / "log.csv", errors="fail").runs
    assert dropped.attempts.tolist() == [1, 2]
    assert failed.attempts.tolist() == [2, 2]
    assert failed.successes.tolist() == [1, 1]


def test_commands_read_runs(attempts):
    folder, _ = attempts
    out = run("check", folder / "attempts.csv", "--run", "seed", "--family", "beta")
    assert "Independence of attempts" in out.stdout
    assert "independent ones" in out.stdout
    out = run("check", folder / "attempts.csv", "--family", "beta")
    assert "not testable from counts alone" in out.stdout
