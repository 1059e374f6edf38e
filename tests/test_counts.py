"""Counts are valid by construction, and say what is wrong with what is not."""

import numpy as np
import pandas as pd
import pytest

import bayespassk as bp


def counts(**columns):
    usual = {"problem": ["a", "b", "c"], "attempts": [10, 10, 10], "successes": [1, 0, 10]}
    return bp.Counts(**(usual | columns))


BAD = [
    ({"successes": [1, -2, 3]}, "successes must not be negative: 1 of 3 rows breaks this, the first is row 2: .*problem='b', attempts=10, successes=-2"),
    ({"attempts": [-1, -2, 3]}, "attempts must not be negative: 2 of 3 rows break this, the first is row 1"),
    ({"successes": [1, 11, 12]}, "successes must not exceed attempts: 2 of 3 rows break this, the first is row 2.*attempts=10, successes=11"),
    ({"successes": [1, np.nan, 3]}, "successes must not be missing: 1 of 3 rows breaks this, the first is row 2"),
    ({"successes": [1, None, 3]}, "successes must not be missing"),
    ({"successes": [1, pd.NA, 3]}, "successes must not be missing"),
    ({"successes": ["1", " ", "3"]}, "successes must not be missing"),
    ({"successes": [1, "many", 3]}, "successes must be numbers: 1 of 3 rows breaks this, the first is row 2.*successes='many'"),
    ({"attempts": [10, "1,000", 10]}, "attempts must be numbers.*thousands separators"),
    ({"successes": [True, False, True]}, "successes must be numbers"),
    ({"successes": [0.5, 1, 2]}, "successes must be whole numbers.*not rates"),
    ({"attempts": [10, 10**20, 10]}, r"attempts must be at most 2\^53"),
    ({"attempts": [10, 1e300, 10]}, r"attempts must be at most 2\^53"),
    ({"attempts": [10, np.inf, 10]}, r"attempts must be at most 2\^53"),
    ({"attempts": ["10", "99999999999999999999", "10"]}, r"attempts must be at most 2\^53"),
    ({"problem": ["a", "b", "a"]}, r"each \(benchmark, system, problem\) must occur once: 1 of 3 rows breaks this, the first is row 3"),
    ({"problem": ["a", "", "c"]}, "problem must not be missing.*row 2"),
    ({"problem": ["a", "b\0", "c"]}, "problem must be text that a file can hold, without NUL or halves of characters: 1 of 3 rows breaks this, the first is row 2"),
    ({"system": ["x", "y", "\ud83d"]}, "system must be text that a file can hold.*row 3"),
    ({"covariates": {"level": ["a", "\ud83d", "b"]}}, "the covariate 'level' must be text that a file can hold.*row 2"),
    ({"system": ["x", None, "y"]}, "system must not be missing.*row 2"),
    ({"system": ["x", "y"]}, "system must be one name or one for each of the 3 problems; got 2"),
    ({"attempts": [10, 10]}, "attempts must have one value for each of the 3 problems"),
    ({"attempts": 10}, "attempts must have one value for each.*a single value"),
    ({"problem": "abc"}, "problem must be a sequence"),
    ({"problem": [], "attempts": [], "successes": []}, "there must be at least one row"),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "message"), BAD)
def test_each_rule_has_a_message_with_the_first_offender(columns, message):
    with pytest.raises(bp.errors.CountsError, match=f"(?s){message}"):
        counts(**columns)


def test_the_error_carries_its_numbers():
    with pytest.raises(bp.errors.CountsError) as caught:
        counts(successes=[1, 11, 12])
    assert caught.value.rule == "successes must not exceed attempts"
    assert (caught.value.rows, caught.value.first) == (2, 2)


@pytest.mark.parametrize(
    "successes",
    [
        [1, 0, 10],
        [1.0, 0.0, 10.0],
        ["1", " 0", "10.0"],
        np.array([1, 0, 10], dtype=np.uint8),
        pd.Series([1, 0, 10], dtype="Int64"),
        (1, 0, 10),
    ],
)
def test_whole_numbers_are_taken_in_any_dress(successes):
    made = counts(successes=successes)
    assert made.successes.tolist() == [1, 0, 10]
    assert made.successes.dtype == np.int64


def test_columns_are_read_only_and_not_the_callers():
    mine = np.array([1, 0, 10])
    made = counts(successes=mine)
    mine[0] = 9
    assert made.successes[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        made.successes[0] = 5
    with pytest.raises(AttributeError):
        made.successes = mine


def test_a_problem_without_attempts_is_a_problem():
    assert counts(attempts=[10, 0, 10], successes=[1, 0, 10]).attempts.tolist() == [10, 0, 10]


def test_labels_are_system_names_unless_a_name_occurs_in_two_benchmarks():
    one = counts(problem=list("aab"), system=["x", "y", "x"])
    assert one.systems == ("x", "y")
    two = counts(problem=list("aab"), system=["x", "x", "y"], benchmark=["m", "g", "m"])
    assert two.systems == ("m/x", "g/x", "m/y")
    assert two.benchmarks == ("m", "g", "m")
    assert two.system_index.tolist() == [0, 1, 2]
    with pytest.raises(bp.errors.CountsError, match="Rename"):
        counts(problem=list("aaa"), system=["b/x", "x", "x"], benchmark=["a", "a/b", "z"])


def test_select_keeps_the_rows_of_one_system():
    both = counts(problem=list("aab"), system=["x", "y", "x"])
    assert both.select("x").problem.tolist() == ["a", "b"]
    with pytest.raises(
        bp.errors.CountsError, match="there is no system 'z'; the systems are 'x', 'y'"
    ):
        both.select("z")


def test_dataframes_come_and_go():
    made = counts(system=["x", "y", "x"], benchmark="m")
    frame = made.to_dataframe()
    assert list(frame.columns) == ["benchmark", "system", "problem", "attempts", "successes"]
    again = bp.Counts.from_dataframe(frame.assign(comment="ignored"))
    assert again.sha256() == made.sha256()
    with pytest.raises(
        bp.errors.CountsError, match=r"(?s)attempts is not.*'problem', 'n', 'successes'"
    ):
        bp.Counts.from_dataframe(
            frame.rename(columns={"attempts": "n"})[["problem", "n", "successes"]]
        )


def test_the_hash_is_of_the_contents():
    assert counts().sha256() == counts(attempts=[10.0, 10.0, 10.0]).sha256()
    assert counts().sha256() != counts(successes=[1, 1, 10]).sha256()
    assert counts(problem=["ab", "c", "d"]).sha256() != counts(problem=["a", "bc", "d"]).sha256()


STOPPED = {"attempts": [3, 10, 10], "successes": [1, 0, 1]}


def test_the_stopping_rule_goes_with_the_counts():
    made = counts(**STOPPED, system=["x", "y", "x"], stopping="first-success")
    assert repr(made).endswith("stopping 'first-success'")
    assert "stopping" not in repr(counts())
    assert made.select("x").stopping == "first-success"
    frame = made.to_dataframe()
    again = bp.Counts.from_dataframe(frame, stopping="first-success")
    assert again.sha256() == made.sha256()
    assert bp.Counts.from_dataframe(frame).sha256() != made.sha256()


def test_hashes_made_before_there_was_a_stopping_rule_stay():
    assert counts().sha256() == "83c622e8d9e7cceeffc908f627b2a1d005ef3103629adb2f29076d4ae6582ffd"
    assert counts(stopping="fixed").sha256() == counts().sha256()
    assert counts(stopping="adaptive").sha256() != counts().sha256()


@pytest.mark.parametrize(
    ("stopping", "columns"),
    [
        ("first-success", {"attempts": [3, 10, 7], "successes": [1, 0, 0]}),  # the last was cut
        ("batches:5", {"attempts": [5, 10, 10], "successes": [5, 0, 2]}),
        ("batches:4", {"attempts": [4, 10, 10], "successes": [4, 0, 2]}),  # 10 = 4 + 4 + 2, a cap
        ("batches:20", {"attempts": [10, 10, 10], "successes": [9, 0, 2]}),
        ("adaptive", {"attempts": [0, 10, 3], "successes": [0, 10, 2]}),
    ],
)
def test_counts_that_follow_a_rule_are_taken(stopping, columns):
    assert counts(**columns, stopping=stopping).stopping == stopping


BROKEN = [
    ("first-success", {"attempts": [3, 10, 10], "successes": [2, 0, 1]}, "successes must not exceed 1 where attempts end at the first success: 1 of 3 rows breaks this, the first is row 1.*stopping='first-success' true"),
    ("batches:5", {"attempts": [5, 7, 10], "successes": [1, 1, 0]}, "attempts made 5 at a time must be a multiple of 5, except at the cap, .* 1 of 3 rows breaks this, the first is row 2"),
    ("batches:5", {"attempts": [5, 10, 10], "successes": [1, 6, 0]}, "successes must not exceed the attempts of the last batch.*row 2"),
    ("batches:4", {"attempts": [4, 10, 10], "successes": [4, 3, 0]}, "successes must not exceed the attempts of the last batch.*row 2"),
]  # fmt: skip


@pytest.mark.parametrize(("stopping", "columns", "message"), BROKEN)
def test_counts_that_break_their_rule_are_refused(stopping, columns, message):
    with pytest.raises(bp.errors.CountsError, match=f"(?s){message}"):
        counts(**columns, stopping=stopping)


def test_the_cap_is_of_each_system():
    columns = {"attempts": [7, 10, 5], "successes": [1, 0, 1], "system": ["x", "y", "y"]}
    assert counts(**columns, stopping="batches:5").select("x").attempts.tolist() == [7]


@pytest.mark.parametrize("stopping", ["", "first", "batches", "batches:0", "batches:-1", "batches:2.5", None, 5])  # fmt: skip
def test_a_stopping_rule_must_be_known(stopping):
    with pytest.raises(bp.errors.OptionError, match="stopping must be 'fixed', 'first-success'"):
        counts(stopping=stopping)


@pytest.mark.parametrize("stopping", ["first-success", "batches:1", "adaptive"])
def test_what_needs_a_fixed_number_of_attempts_refuses_others(stopping):
    stopped = counts(**STOPPED, stopping=stopping)
    with pytest.raises(bp.errors.OptionError, match=f"thinning needs .* stopping='{stopping}'"):
        bp.thin(stopped, 1)
    with pytest.raises(
        bp.errors.OptionError, match=f"Chen's estimator needs .* stopping='{stopping}'"
    ):
        bp.estimators.chen(stopped, 1)


def test_equal_counts_are_equal_wherever_they_came_from(counts):
    again = bp.Counts.from_dataframe(counts.to_dataframe())
    assert again == counts
    assert hash(again) == hash(counts)
    assert len({again, counts}) == 1
    other = bp.thin(counts, 10, random_seed=1)
    assert other != counts
    assert bp.Counts.from_dataframe(counts.to_dataframe(), stopping="adaptive") != counts
    assert counts != "counts"


def test_a_notebook_shows_a_row_for_each_system(counts):
    page = counts._repr_html_()
    assert page.count("<tr>") == 3
    assert "<td>small</td><td>128</td><td>100</td>" in page
    hostile = bp.Counts(problem=["a"], attempts=[1], successes=[0], system="<img src=x>")
    assert "<img" not in hostile._repr_html_()
    assert "1 attempt a problem" in repr(hostile)
