"""Covariates become numbers in a way that can be repeated for new values, or are refused."""

import json
import re

import numpy as np
import pandas as pd
import pytest

import bayespassk as bp
from bayespassk.posterior.covariates import design_at, design_of, required
from bayespassk.posterior.pooling import Hierarchy

ROWS = 12
LEVEL = np.arange(ROWS) % 5 + 1
SIZE = np.repeat([7e9, 4e11, 8e9], 4)
KIND = np.array([*"abcacbabcbca"])


def make(**covariates):
    """Return counts of three systems at four problems."""
    return bp.Counts(
        problem=[*"wxyz"] * 3,
        attempts=[5] * ROWS,
        successes=[1] * ROWS,
        system=np.repeat(["s", "t", "u"], 4),
        covariates=covariates,
    )


@pytest.fixture(scope="module")
def counts():
    return make(**{"level": LEVEL, "size": SIZE, "kind": KIND, "a b": LEVEL**2, "scale": LEVEL**3})


# From covariates to columns --------------------------------------------------------------------

COLUMNS = [
    ("level", {"level": LEVEL}),
    (["level"], {"level": LEVEL}),
    (["level", "kind"], {"level": LEVEL, "kind[T.b]": KIND == "b", "kind[T.c]": KIND == "c"}),
    (["a b"], {"a b": LEVEL**2}),
    ("`a b` + log(size)", {"a b": LEVEL**2, "log(size)": np.log(SIZE)}),
    ("log(`a b`)", {"log(`a b`)": np.log(LEVEL**2)}),
    (["scale"], {"scale": LEVEL**3}),  # a column called like a function
    ("level + size", {"level": LEVEL, "size": SIZE}),  # of very different magnitude
    ("I(level**2) + level", {"I(level ** 2)": LEVEL**2, "level": LEVEL}),
    ("{level * size}", {"level * size": LEVEL * SIZE}),
    ("center(level)", {"center(level)": LEVEL}),
    ("C(level)", {f"C(level)[T.{i}]": i == LEVEL for i in (2, 3, 4, 5)}),
    ("level:size", {"level:size": LEVEL * SIZE}),
]


@pytest.mark.parametrize(("covariates", "columns"), COLUMNS, ids=lambda v: str(v)[:30])
def test_columns_are_what_was_asked_for_standardised(counts, covariates, columns):
    """With mean 0 and standard deviation 1 over the rows, in the order of formulaic."""
    design = design_of(counts, covariates)
    assert set(design.columns) == set(columns)
    for i, name in enumerate(design.columns):
        raw = np.asarray(columns[name], dtype=float)
        np.testing.assert_allclose(design.values[:, i], (raw - raw.mean()) / raw.std(), atol=1e-9)
    np.testing.assert_allclose(design.values.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(design.values.std(0), 1)


def test_a_list_of_names_is_the_formula_of_their_sum(counts):
    one, two = design_of(counts, ["level", "kind"]), design_of(counts, "level + kind")
    assert one.columns == two.columns
    np.testing.assert_array_equal(one.values, two.values)


def test_what_varies_between_the_problems_of_a_system_is_told_from_what_does_not(counts):
    design = design_of(counts, "log(size) + level + kind + level:size")
    varies = dict(zip(design.columns, design.varies.tolist(), strict=True))
    assert varies.pop("log(size)") is False
    assert set(varies.values()) == {True}


def test_a_covariate_that_varies_in_one_system_only_varies():
    design = design_of(make(level=[1, 1, 1, 2, *[3] * 8]), "level")
    assert design.varies.tolist() == [True]


@pytest.mark.parametrize(
    ("formula", "names"),
    [
        ("level + log(size)", ["level", "size"]),
        ("center(level)", ["level"]),
        ("poly(level, 2) + bs(size, df=4)", ["level", "size"]),
        ("log(`a b`) + `c`", ["a b", "c"]),
        ("C(kind) * level", ["kind", "level"]),
        ("{level > 2}", ["level"]),
        (["log", "scale"], ["log", "scale"]),
        (["x.y", "a b"], ["a b", "x.y"]),
    ],
)
def test_a_formula_says_which_columns_it_needs(formula, names):
    """In functions that learn from a column, too."""
    assert required(formula) == names


BAD = [
    ("nope", "'nope' is not, which has 'level', 'size'"),
    ("log(nope)", "'nope' is not"),
    ("log(kind)", "cannot be evaluated"),
    ("log(level - 3)", "must give a finite number for every row"),
    ("{1 / (level - 3)}", "must give a finite number for every row"),
    ("level - 1", "a centre of their own"),
    ("0 + level", "a centre of their own"),
    ("level ~ size", "a centre of their own"),
    ("level | size", "a centre of their own"),
    ("", "must name at least one column"),
    ("  ", "must name at least one column"),
    ("1", "must name at least one column"),
    ("{1/0}", "must name at least one column"),
    ([], "must name at least one column"),
    (5, "must name at least one column"),
    (["a`b"], "names of columns or a formula"),
    ([None], "'None' is not"),
    ("a b", "names of columns or a formula"),
    ("level +", "names of columns or a formula"),
    ("((", "names of columns or a formula"),
    ("level)", "names of columns or a formula"),
    ("`level", "names of columns or a formula"),
    ("'level'", "names of columns or a formula"),
    (".", "names of columns or a formula"),
    ("\x00", "names of columns or a formula"),
    ("level" * 1000, "is not, which has"),
    ("sqrt(level)", "may call log.*'sqrt' is none of these"),
    ("lag(level)", "'lag' is none of these"),
    ("np.log(level)", r"may hold arithmetic.*np\.log"),
    ("{level.sum()}", "may hold arithmetic"),
    ("{level[0]}", "may hold arithmetic"),
    ("{__import__('os').getpid() + level}", "may hold arithmetic"),
    ("open('nothing')", "'open' is none of these"),
    ("{exit()}", "'exit' is none of these"),
    ("{(lambda: level)()}", "may hold arithmetic|may call"),
    ("{[x for x in level]}", "may hold arithmetic"),
    ("{().__class__.__bases__}", "may hold arithmetic"),
    ("frame", "'frame' is not"),  # nor what the code around it calls its variables
]


@pytest.mark.parametrize(("formula", "message"), BAD, ids=lambda v: str(v)[:30])
def test_formulas_that_cannot_be_used_are_refused_in_one_line(counts, formula, message):
    """With an error of ours, whatever is in them; nothing is called but functions of numbers."""
    with pytest.raises(bp.errors.OptionError, match=f"(?s){message}") as caught:
        design_of(counts, formula)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("covariates", "name"),
    [
        ({"a": [3] * ROWS}, "a"),
        ({"a": LEVEL, "b": ["x"] * ROWS, "c": [1e12] * ROWS}, "c"),
        ({"a": [0.1 + 0.2] * 6 + [0.3] * 6}, "a"),  # equal but for rounding
        ({"a": ["x"] * ROWS}, "a"),
    ],
)
def test_columns_that_are_the_same_for_all_rows_are_refused(covariates, name):
    with pytest.raises(bp.errors.OptionError, match=f"must differ between rows: '{name}'"):
        design_of(make(**covariates), name)


@pytest.mark.parametrize("formula", ["a + b", "a + c", "a + d + a:d", "d + C(d)", "a + I(3 - a)"])
def test_columns_that_follow_from_others_are_refused(formula):
    """Their effects could not be told apart."""
    counts = make(a=LEVEL, b=2 * LEVEL + 1, c=[*"vwxyz"] * 2 + ["v", "w"], d=KIND)
    if formula == "a + d + a:d":
        assert len(design_of(counts, formula).columns) == 5
        return
    with pytest.raises(bp.errors.OptionError, match="must not follow from each other"):
        design_of(counts, formula)


def test_numbers_of_small_and_large_magnitude_do_differ():
    for factor in (1e-100, 1e-13, 1.0, 1e100):
        design = design_of(make(a=LEVEL * factor, b=SIZE), "a + b")
        np.testing.assert_allclose(design.values[:, 0], (LEVEL - LEVEL.mean()) / LEVEL.std())


# At new values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "formula",
    [
        "level",
        "level + log(size)",
        "center(level) + kind",
        "scale(level)",
        "poly(level, 2)",
        "bs(level, df=4)",
        "C(level)",
        "level * kind",
        "log(`a b`)",
        "{level**2} + size",
    ],
)
def test_columns_at_the_values_of_a_row_are_those_of_that_row(counts, formula):
    """Also where a function learned from all rows: their mean, knots, or values of a text."""
    design = design_of(counts, formula)
    for row in (0, 3, 7, 11):
        at = {name: counts.covariates[name][row] for name in required(formula)}
        found = design_at(design.to_json(), counts.covariates, at)
        np.testing.assert_allclose(found, design.values[row], atol=1e-9)


def test_columns_at_values_not_seen_go_on_as_the_formula_says(counts):
    design = design_of(counts, "center(level) + log(size)")
    found = design_at(design.to_json(), counts.covariates, {"level": 30, "size": 1e15})
    raw = dict(zip(design.columns, found * design.sd + design.mean, strict=True))
    assert raw["center(level)"] == pytest.approx(30 - LEVEL.mean())
    assert raw["log(size)"] == pytest.approx(np.log(1e15))


AT = [
    ("level", {}, "'level' is missing"),
    ("level + size", {"level": 1}, "exactly 'level', 'size'; 'size' is missing"),
    ("level", {"level": 1, "size": 2}, "'size' is not among them"),
    ("level", {"level": "much"}, "level must be a finite number.*got 'much'"),
    ("level", {"level": None}, "level must be a finite number"),
    ("level", {"level": np.nan}, "level must be a finite number"),
    ("level", {"level": np.inf}, "level must be a finite number"),
    ("level", {"level": [1, 2]}, "level must be a finite number"),
    ("kind", {"kind": "z"}, "kind='z' was not seen; the values seen are 'a', 'b', 'c'"),
    ("kind", {"kind": 1}, "kind=1 was not seen"),
    ("C(level)", {"level": 99}, r"'C\(level\)' cannot be evaluated at"),
    ("C(level)", {"level": 2.5}, r"'C\(level\)' cannot be evaluated at"),
    ("log(size)", {"size": 0}, r"'log\(size\)' cannot be evaluated at .* not finite there"),
    ("log(size)", {"size": -1}, r"'log\(size\)' cannot be evaluated at .* not finite there"),
]


@pytest.mark.parametrize(("formula", "at", "message"), AT)
def test_values_that_cannot_be_used_are_refused(counts, formula, at, message):
    design = design_of(counts, formula)
    with pytest.raises(bp.errors.OptionError, match=message):
        design_at(design.to_json(), counts.covariates, at)


def test_a_formula_in_a_file_is_not_trusted(counts):
    """What was saved is parsed again, so that a file cannot have anything else evaluated."""
    text = json.loads(design_of(counts, "level").to_json())
    text["formula"] = "{__import__('os').getpid() + level}"
    with pytest.raises(bp.errors.OptionError, match="may hold arithmetic"):
        design_at(json.dumps(text), counts.covariates, {"level": 1})


# Counts carry them -----------------------------------------------------------------------------


def test_covariates_are_carried_by_whatever_makes_counts_of_counts(counts):
    one = counts.select("t")
    assert one.covariates["size"].tolist() == [4e11] * 4
    assert one.covariates["kind"].tolist() == KIND[4:8].tolist()
    thin = bp.thin(counts, 3, random_seed=1)
    again = bp.Counts.from_dataframe(counts.to_dataframe(), covariates=counts.covariates)
    for other in (thin, again):
        assert set(other.covariates) == set(counts.covariates)
        for name, values in counts.covariates.items():
            assert other.covariates[name].tolist() == values.tolist()
            assert other.covariates[name].dtype == values.dtype


def test_covariates_are_read_from_a_file(counts, tmp_path):
    path = tmp_path / "counts.csv"
    counts.to_dataframe().to_csv(path, index=False)
    read = bp.read_csv(path, covariates=["level", "kind", "a b"])
    assert list(read.covariates) == ["level", "kind", "a b"]
    assert read.covariates["level"].tolist() == LEVEL.tolist()
    assert read.covariates["kind"].tolist() == KIND.tolist()
    assert bp.read_csv(path, covariates="level").covariates["level"].tolist() == LEVEL.tolist()
    assert not bp.read_csv(path).covariates
    with pytest.raises(bp.errors.CountsError, match="a covariate must be a column: 'nope' is not"):
        bp.read_csv(path, covariates=["nope"])


def test_a_file_with_a_missing_value_says_which(counts, tmp_path):
    frame = counts.to_dataframe()
    for name, empty in (("level", ""), ("kind", "NA")):
        broken = frame.astype({name: object})
        broken.loc[3, name] = empty
        broken.to_csv(tmp_path / "counts.csv", index=False)
        with pytest.raises(bp.errors.CountsError, match=f"1 of 12 rows of '{name}' breaks this, the first is row 4"):  # fmt: skip
            bp.read_csv(tmp_path / "counts.csv", covariates=[name])
        assert len(bp.read_csv(tmp_path / "counts.csv")) == ROWS


@pytest.mark.parametrize(
    ("covariates", "message"),
    [
        ({"level": [1, 2]}, "must have one value for each of the 12 problems; got shape (2,)"),
        ({"level": 3}, "must have one value for each of the 12 problems; got shape ()"),
        ({"level": np.ones((12, 2))}, "got shape (12, 2)"),
        ({"level": [*range(11), np.nan]}, "1 of 12 rows of 'level' breaks this, the first is row 12"),
        ({"kind": [None, None, *"abcdefghij"]}, "2 of 12 rows of 'kind' break this, the first is row 1"),
        ({"level": [*range(11), np.inf]}, "must hold finite numbers or text"),
        ({"problem": LEVEL}, "must not be called 'problem'"),
        ({"attempts": LEVEL}, "must not be called 'attempts'"),
        ({"a/b": LEVEL}, "must not be blank or hold '/' or '`'"),
        ({"a`b": LEVEL}, "must not be blank or hold '/' or '`'"),
        ({" ": LEVEL}, "must not be blank or hold '/' or '`'"),
    ],
)  # fmt: skip
def test_covariates_are_valid_by_construction(covariates, message):
    with pytest.raises(bp.errors.CountsError, match=re.escape(message)):
        make(**covariates)


def test_covariates_are_read_only_and_not_the_callers():
    mine = LEVEL.copy()
    counts = make(level=mine)
    mine[0] = 99
    assert counts.covariates["level"][0] == 1
    with pytest.raises(ValueError, match="read-only"):
        counts.covariates["level"][0] = 5
    with pytest.raises(TypeError):
        counts.covariates["level"] = mine


def test_truth_values_categories_and_times_are_text():
    for values in (LEVEL > 2, pd.Categorical(KIND), pd.date_range("2025", periods=ROWS)):
        counts = make(x=values)
        assert counts.covariates["x"].tolist() == [str(v) for v in values]
    assert design_of(make(x=LEVEL > 2), "x").columns == ("x[T.True]",)


def test_the_hash_changes_with_covariates_and_not_without():
    """Hashes of counts without covariates are those made before there were any."""
    bare = bp.Counts(problem=["a", "b"], attempts=[5, 5], successes=[1, 0])
    assert bare.sha256() == bp.Counts(problem=["a", "b"], attempts=[5, 5], successes=[1, 0], covariates={}).sha256()  # fmt: skip
    hashes = [
        make(**covariates).sha256()
        for covariates in ({}, {"a": LEVEL}, {"b": LEVEL}, {"a": LEVEL + 1}, {"a": KIND}, {"a": LEVEL, "b": LEVEL})
    ]  # fmt: skip
    assert len(set(hashes)) == len(hashes)
    assert make(a=LEVEL).sha256() == hashes[1]


def test_the_hash_of_counts_without_covariates_is_pinned():
    """So that fits made earlier are still those of the same counts."""
    bare = bp.Counts(problem=["a", "b"], attempts=[5, 5], successes=[1, 0])
    assert bare.sha256() == "9a2679e102cb86c5f7b4ff4cf99b81fbb737d0b728f7d638c984e966c3a24575"


# The model knows which covariates are whose ----------------------------------------------------


def test_a_covariate_of_systems_needs_pooling(counts):
    with pytest.raises(bp.errors.OptionError, match=r"'log\(size\)' is the same for all problems of a system.*pooling='partial'"):  # fmt: skip
        bp.build_model(counts, bp.Beta(), pooling="none", covariates="level + log(size)")
    model = bp.build_model(counts, bp.Beta(), covariates="level + log(size)", pooling="partial")
    names = {rv.name for rv in model.free_RVs}
    assert {"effect_log_a", "problem_effect_log_a", "effect_logit_mean"} <= names
    assert model.coords["system_column"] == ("log(size)",)
    assert model.coords["problem_column"] == ("level",)


def test_covariates_that_are_not_named_are_not_looked_at(counts):
    model = bp.build_model(counts, bp.Beta(), pooling="none")
    assert {rv.name for rv in model.free_RVs} == {"log_a", "logit_mean"}
    assert Hierarchy("none", 3).problem_columns == ()
