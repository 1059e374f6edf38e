"""Attempts that depend on each other are told, and those that do not are not."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit, logit

import bayespassk as bp
from commands import run
from oracles import log_beta_moment

FALSE_ALARM = 1e-4


def made(seed, problems=40, runs=5, each=10, spread=0.0, common=0.0, drift=0.0, copied=False):
    """Attempts in runs whose effects on the logit have these standard deviations."""
    rng = np.random.default_rng([seed, 3])
    p = rng.beta(0.6, 1.5, problems).clip(1e-6, 1 - 1e-6)
    effect = rng.normal(0, spread, (problems, runs)) + rng.normal(0, common, runs)
    later = drift * (np.arange(each) / (each - 1) - 0.5)
    success = rng.random((problems, runs, each)) < expit(
        (logit(p)[:, None] + effect)[..., None] + later
    )
    if copied:
        success[:, 1] = success[:, 0]
    problem, run, _ = np.indices(success.shape)
    return pd.DataFrame({"problem": problem.ravel(), "run": run.ravel(), "success": success.ravel().astype(int)})  # fmt: skip


def told(frame, question="runs", **options):
    table = bp.independence(frame, **{"permutations": 200} | options)
    return table.set_index("question").loc[question]


@pytest.mark.parametrize("question", ["runs", "common", "copies", "order"])
def test_independent_attempts_are_found_wanting_as_often_as_it_says(question, full_size):
    """One false alarm of this test in 10,000 runs, for each question."""
    number = 400 if full_size else 60
    found = sum(told(made(seed), question)["p_value"] < 0.05 for seed in range(number))
    assert stats.binom.sf(found - 1, number, 0.06) > FALSE_ALARM


@pytest.mark.parametrize(
    ("question", "how", "least"),
    [
        ("runs", {"spread": 1.0}, 0.9),
        ("runs", {"spread": 0.3, "problems": 120, "each": 20}, 0.5),
        ("common", {"common": 0.5}, 0.7),
        ("copies", {"copied": True}, 0.9),
        ("order", {"drift": 1.0}, 0.8),
    ],
)
def test_what_depends_is_found(question, how, least):
    found = [told(made(seed, **how), question) for seed in range(20)]
    assert np.mean([one["p_value"] < 0.05 for one in found]) >= least
    assert not found[0]["finding"].startswith("nothing") or found[0]["p_value"] >= 0.05


def test_runs_that_differ_problem_by_problem_are_not_better_at_all_alike():
    found = [told(made(seed, spread=1.0), "common")["p_value"] < 0.05 for seed in range(60)]
    assert stats.binom.sf(sum(found) - 1, 60, 0.06) > FALSE_ALARM


@pytest.mark.parametrize("rho", [0.05, 0.2])
def test_the_band_of_the_correlation_holds_the_truth(rho):
    number, held = 40, 0
    for seed in range(number):
        rng = np.random.default_rng([seed, 4])
        scale = 1 / rho - 1
        p = np.repeat(rng.beta(0.6, 1.5, (60, 1)).clip(1e-9, 1 - 1e-9), 5, axis=1)
        own = rng.beta(p * scale, (1 - p) * scale)
        success = rng.random((60, 5, 12)) < own[..., None]
        problem, run, _ = np.indices(success.shape)
        frame = pd.DataFrame({"problem": problem.ravel(), "run": run.ravel(), "success": success.ravel() * 1})  # fmt: skip
        one = told(frame, permutations=100)
        held += one["lower"] <= rho <= one["upper"]
    assert stats.binom.cdf(held, number, 0.95) > FALSE_ALARM


def test_the_posterior_of_the_correlation_is_that_of_plain_sums():
    """Three problems in two runs: beta moments by an oracle, on a grid of rho and p."""
    successes, attempts = np.array([[3, 0], [1, 2], [4, 4]]), 4
    frame = pd.DataFrame(
        [
            {"problem": i, "run": r, "success": int(j < c)}
            for i, row in enumerate(successes)
            for r, c in enumerate(row)
            for j in range(attempts)
        ]
    )
    rates = (successes.sum(1) + 0.5) / (2 * attempts + 1)
    mean, size = rates.mean(), rates.mean() * (1 - rates.mean()) / rates.var() - 1
    rho, p = np.linspace(0.005, 0.945, 95), expit(np.linspace(-9, 9, 41))
    weight = p ** (mean * size) * (1 - p) ** ((1 - mean) * size)
    density = []
    for one in rho:
        a, b = p * (1 / one - 1), (1 - p) * (1 / one - 1)
        moment = np.array(
            [
                [float(log_beta_moment(x, y, c, attempts - c)) for x, y in zip(a, b, strict=True)]
                for c in range(attempts + 1)
            ]
        )
        density.append(np.prod([(np.exp(moment[row].sum(0)) * weight).sum() for row in successes]))
    below = np.cumsum(density) / np.sum(density)
    found = told(frame)
    want = np.interp([0.5, 0.025, 0.975], below, rho + 0.005)
    np.testing.assert_allclose([found["value"], found["lower"], found["upper"]], want, atol=0.02)


def test_effective_attempts_follow_from_it():
    frame = made(1, spread=1.0)
    table = bp.independence(frame).set_index("question")
    rho = table.loc["runs"]
    assert table.loc["effective", "value"] == pytest.approx(50 / (1 + 9 * rho["value"]))
    assert table.loc["effective", "lower"] == pytest.approx(50 / (1 + 9 * rho["upper"]))
    assert "50 attempts at a problem are worth" in table.loc["effective", "finding"]


def test_systems_are_apart_and_results_repeat():
    both = pd.concat([made(1).assign(system="a"), made(2, spread=1.0).assign(system="b")])
    table = bp.independence(both)
    assert table["system"].unique().tolist() == ["a", "b"]
    pd.testing.assert_frame_equal(table, bp.independence(both))
    alone = bp.independence(both[both["system"] == "b"])
    pd.testing.assert_frame_equal(table[table["system"] == "b"].reset_index(drop=True), alone)


def test_completions_that_recur_are_counted():
    frame = made(1).assign(completion="x")
    assert told(frame, "completions")["value"] == pytest.approx(1 - 40 / 2000)
    frame["completion"] = np.arange(len(frame))
    assert told(frame, "completions")["finding"] == "no completion occurs twice at a problem"


def test_what_was_ended_by_its_outcomes_has_no_drift_to_ask_for():
    frame = made(1)
    frame.attrs["stopping"] = "first-success"
    assert "order" not in set(bp.independence(frame)["question"])


def test_counts_with_runs_say_what_their_attempts_do():
    frame = made(2, spread=1.0)
    one, other = bp.independence(frame), bp.independence(bp.Counts.from_attempts(frame))
    one, other = (table.set_index("question") for table in (one, other))
    assert list(other.index) == ["runs", "common", "effective"]
    for question in other.index:
        names = ["value", "lower", "upper"]
        np.testing.assert_allclose(one.loc[question, names].astype(float), other.loc[question, names].astype(float), rtol=0.05)  # fmt: skip


def test_what_counts_cannot_tell_is_said(counts):
    table = bp.independence(counts)
    assert len(table) == len(counts.systems)
    assert table["p_value"].isna().all()
    assert table["finding"].str.startswith("not testable from counts alone").all()
    frame = made(1)
    frame.attrs["stopping"] = "first-success"
    assert not {"runs", "common", "order"} & set(bp.independence(frame)["question"])


def test_what_is_not_attempts_is_refused():
    frame = made(1)
    for bad, message in (
        ([1, 0], "must be a DataFrame.*got list"),
        (frame.drop(columns="problem"), "must have a column 'problem'"),
        (frame.assign(success=frame["success"].astype(float).where(frame.index != 4, 0.5)), "success must be 0 or 1; row 5 has 0.5"),
    ):  # fmt: skip
        with pytest.raises(bp.errors.OptionError, match=message):
            bp.independence(bad)
    with pytest.raises(bp.errors.OptionError, match="permutations must be a whole number from 100"):
        bp.independence(frame, permutations=5)


# Attempts from logs ------------------------------------------------------------------------------


def test_attempts_of_a_table_keep_their_order_and_runs(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        "problem,seed,day,attempt,success\nx,1,mo,0,1\ny,1,mo,0,0\nx,1,mo,1,0\nx,2,tu,0,1\n"
    )
    found = bp.read_attempts(path, run=("seed", "day"))
    assert found["run"].tolist() == ["1, mo"] * 3 + ["2, tu"]
    assert found["problem"].tolist() == ["x", "y", "x", "x"]
    assert found["attempt"].tolist() == [0, 0, 1, 2]
    assert found["success"].tolist() == [1, 0, 0, 1]
    assert found.attrs["stopping"] == "fixed"
    with pytest.raises(bp.errors.CountsError, match=r"a\.csv: run names the column 'worker'"):
        bp.read_attempts(path, run="worker")
    path.write_text("problem,seed,attempt,success\nx,1,0,1\nx,1,0,0\n")
    with pytest.raises(bp.errors.CountsError, match="each attempt at a problem must occur once"):
        bp.read_attempts(path, run="seed")


def test_files_of_a_folder_are_runs(tmp_path):
    for name, outcomes in (("a", "101"), ("b", "001")):
        rows = "".join(f"x,{j},{c}\n" for j, c in enumerate(outcomes))
        (tmp_path / f"{name}.csv").write_text(f"problem,attempt,success\n{rows}")
    found = bp.read_attempts(tmp_path)
    assert [run[-5:] for run in found["run"]] == ["a.csv"] * 3 + ["b.csv"] * 3
    assert found["success"].tolist() == [1, 0, 1, 0, 0, 1]
    with pytest.raises(bp.errors.InputError, match="holds 2 tables"):
        bp.read(tmp_path)


def test_attempts_without_outcome_and_tables_of_counts(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("problem,success\nx,1\nx,\nx,0\n")
    assert bp.read_attempts(path, errors="fail")["success"].tolist() == [1, 0, 0]
    assert bp.read_attempts(path, errors="drop")["success"].tolist() == [1, 0]
    with pytest.raises(bp.errors.CountsError, match=r"a\.csv: every attempt must have an outcome"):
        bp.read_attempts(path)
    path.write_text("problem,attempts,successes\nx,3,1\n")
    with pytest.raises(bp.errors.CountsError, match="it holds counts, one row per problem"):
        bp.read_attempts(path)


def test_real_attempts_add_up_to_their_counts(real_logs):
    """Every attempt-level log there is; those that were stopped at a success say so."""
    for name, options in (
        ("reasoning_models_attempts.csv.gz", {}),
        ("terminal_bench_attempts.csv", {"errors": "drop"}),
        ("bon_llama3_8b_text_t1.0_n10000.jsonl", {}),
    ):
        counts = bp.read(real_logs / name, **options)
        found = bp.read_attempts(real_logs / name, **options)
        assert len(found) == counts.attempts.sum()
        sums = found.groupby(["benchmark", "system", "problem"], sort=False)["success"].sum()
        assert sums.tolist() == counts.successes[counts.attempts > 0].tolist()
        assert found.attrs["stopping"] == counts.stopping


def test_the_command_line_tells_it(tmp_path):
    path = tmp_path / "a.csv"
    made(1, spread=1.5).to_csv(path, index=False)
    done = run("independence", path, "--run", "run")
    assert "system, runs: attempts of one run are alike (rho " in done.stdout
    found = json.loads(run("independence", path, "--run", "run", "--format", "json").stdout)
    assert found["rows"][0]["question"] == "runs"
    assert found["meta"] == {"attempts": 2000, "stopping": "fixed"}
    renamed = ("--columns", "task=problem,passed=success", "--stopping", "first-success")
    other = made(1).drop(columns="run")
    other.rename(columns={"problem": "task", "success": "passed"}).to_csv(path, index=False)
    told = json.loads(run("independence", path, *renamed, "--format", "json").stdout)
    assert told["meta"]["stopping"] == "first-success"
    assert told["rows"] == []
    said = run("independence", path, *renamed).stdout
    assert "attempts were ended by outcomes (first-success)" in said
