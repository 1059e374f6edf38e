"""The guard: a forecast whose family the attempts contradict says so, and others do not."""

import json
import warnings

import numpy as np
import pytest

import bayespassk as bp
from bayespassk import texts
from bayespassk.asking.guard import contradicted
from commands import run

QUIET = {"pooling": "none", "random_seed": 1, "progress": False}


@pytest.fixture(scope="module")
def half():
    """Two systems: p from a beta; and half of the problems impossible, the others near 0.3."""
    rng = np.random.default_rng(3)
    p = np.concatenate([rng.beta(0.5, 2.0, 150), np.where(rng.random(150) < 0.5, 0.0, 0.3)])
    return bp.Counts(
        problem=np.tile(np.arange(150), 2),
        system=np.repeat(["right", "wrong"], 150),
        attempts=np.full(300, 60),
        successes=rng.binomial(60, p),
    )


@pytest.fixture(scope="module")
def fit_of_half(half):
    return bp.fit(half, bp.Beta(), **QUIET)


def test_a_forecast_says_where_the_attempts_contradict_its_family(half, fit_of_half):
    with pytest.warns(bp.errors.FamilyWarning, match="for 1 of 2 systems: 'wrong': pass@") as told:
        draws = bp.forecast(fit_of_half, [10, 1000])
    (one,) = [w.message for w in told if w.category is bp.errors.FamilyWarning]
    assert one.systems == ("wrong",)
    assert one.p_value[0] < 0.01
    rows = json.loads(draws.attrs["agreement"])
    assert [row["system"] for row in rows] == ["right", "wrong"]
    assert texts.provenance(fit_of_half, draws)["agreement"] == rows
    row = rows[1]
    chen = bp.estimators.chen(half.select("wrong"), [row["k"]])
    assert row["estimate"] == pytest.approx(np.ravel(chen)[0])
    assert [one["system"] for one in contradicted(rows)] == ["wrong"]


def test_a_family_that_is_right_is_not_told_of(half):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.errors.ForecastWarning)  # half are impossible
        warnings.simplefilter("error", bp.errors.FamilyWarning)
        bp.forecast(bp.fit(half.select("right"), bp.Beta(), **QUIET), 1000)
        bp.forecast(bp.fit(half.select("wrong"), bp.ZeroInflated(bp.Beta()), **QUIET), 1000)


def test_where_nothing_can_be_compared_nothing_is_said():
    counts = bp.Counts(problem=[0, 1], attempts=[3, 4], successes=[1, 1], stopping="first-success")
    fit = bp.fit(counts, bp.Beta(), **QUIET)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.errors.ForecastWarning)
        assert bp.forecast(fit, 10).attrs["agreement"] == "[]"


def test_the_command_line_says_so_in_json_and_on_standard_error(half, tmp_path):
    path = tmp_path / "half.csv"
    half.to_dataframe().to_csv(path, index=False)
    given = ("--family", "beta", "--pooling", "none", "--seed", 1, "--format", "json")
    done = run("forecast", path, "--k", "10", *given)
    assert "contradict the family for 1 of 2 systems" in done.stderr
    rows = json.loads(done.stdout)["meta"]["agreement"]
    assert [row["p_value"] < 0.01 for row in rows] == [False, True]
    done = run("check", path, *given)
    families = [row["family"] for row in json.loads(done.stdout)["meta"]["agreement"]]
    assert families[0] == "beta"
    assert families.index("zero-inflated-beta") < families.index("kumaraswamy")
    done = run("check", path, *given[:-1], "table")
    assert "wrong: zero-inflated-beta has pass@" in done.stdout


def lumps(problems=120, attempts=30):
    """Attempts at problems of which 60% are solved about once in 400, the others half of the time."""
    rng = np.random.default_rng(5)
    p = np.where(np.arange(problems) < 0.6 * problems, 0.0025, rng.uniform(0.4, 0.8, problems))
    return bp.Counts(
        problem=np.arange(problems),
        attempts=np.full(problems, attempts),
        successes=rng.binomial(attempts, p) * (np.arange(problems) >= 0.6 * problems),
    )


def test_problems_held_to_be_impossible_are_told_of():
    """None of the rare ones is solved: whether they are impossible the attempts do not say."""
    fit = bp.fit(lumps(), **QUIET)
    with pytest.warns(
        bp.errors.ForecastWarning, match="most problems not solved by 1 of 1"
    ) as told:
        bp.forecast(fit, [1, 100])
    (one,) = [w.message for w in told if "impossible" in str(w.message)]
    assert one.systems == ("system",)
    assert one.k == 100
    share = bp.probability_impossible(fit).values[lumps().successes == 0].mean()
    assert f"{share:.0%} of 'system'" in str(one)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bp.forecast(fit, 10)  # a third of the attempts
        warnings.simplefilter("ignore", bp.errors.FamilyWarning)
        bp.forecast(bp.fit(lumps(), bp.LibbyNovick(), **QUIET), 100)
