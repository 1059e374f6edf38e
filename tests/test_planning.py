"""A live evaluation: ask, attempt, tell; and what happens if it is interrupted."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import bayespassk as bp
from bayespassk.cli import cli
from bayespassk.files import alone
from bayespassk.planning import live

PROBLEMS = 40
P = np.geomspace(0.002, 0.5, PROBLEMS)
LIGHT = {"family": bp.Beta(), "pooling": "none", "draws": 500, "chains": 2}

pytestmark = [
    pytest.mark.filterwarnings("ignore::bayespassk.errors.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::bayespassk.errors.ForecastWarning"),
]


def nothing_yet(**columns):
    return bp.Counts(
        problem=range(PROBLEMS), attempts=[0] * PROBLEMS, successes=[0] * PROBLEMS, **columns
    )


def run(batch, rng):
    """Return a batch with the outcomes of its attempts."""
    successes = rng.binomial(batch["attempts"], P[batch["problem"].astype(int)])
    return batch.assign(successes=successes)


def plan_of(counts, k=100, half_width=None, **options):
    return bp.Plan(counts, k, half_width, **(LIGHT | options))


def test_it_stops_when_the_band_is_narrow_enough():
    plan, rng, asked = (
        plan_of(nothing_yet(), half_width=0.05, budget=10_000),
        np.random.default_rng(1),
        0,
    )
    while not plan.done:
        batch = plan.ask(300)
        assert batch["attempts"].sum() <= 300
        asked += int(batch["attempts"].sum())
        plan.tell(run(batch, rng))
    assert plan.status == "narrow enough"
    assert plan.message().startswith("Narrow enough")
    assert plan.spent == asked == plan.counts.attempts.sum()
    assert plan.counts.stopping == "adaptive"
    row = plan.band.iloc[0]
    assert (row["upper"] - row["lower"]) / 2 <= 0.05


def test_it_stops_when_the_budget_is_spent_and_asks_no_more():
    plan, rng = (
        plan_of(nothing_yet(), budget=500, strategy="fewest-successes"),
        np.random.default_rng(1),
    )
    while not plan.done:
        plan.tell(run(plan.ask(200), rng))
    assert plan.status == "budget spent"
    assert plan.counts.attempts.sum() == plan.spent == 500
    assert plan.left == 0
    assert len(plan.ask(200)) == 0


def test_it_says_when_no_affordable_budget_will_do():
    plan = plan_of(nothing_yet(), k=10_000, half_width=0.002, budget=1000)
    plan.tell(run(plan.ask(400), np.random.default_rng(1)))
    assert plan.status == "out of reach"
    assert plan.needed == plan.left
    assert "accept a wider band" in plan.message()
    assert len(plan.ask(100))  # for those who want to spend it all the same


def test_what_the_band_needs_is_less_than_all_that_may_be_spent():
    plan = plan_of(nothing_yet(), half_width=0.05, budget=20_000)
    assert plan.needed == 20_000  # nothing is known yet
    plan.tell(run(plan.ask(400), np.random.default_rng(1)))
    assert 0 < plan.needed < plan.left
    assert plan.ask(plan.needed)["attempts"].sum() == pytest.approx(plan.needed, abs=1)


def test_a_population_cannot_be_known_from_few_problems_without_any_budget():
    """More attempts do not help: 40 problems are 40 problems."""
    plan = plan_of(nothing_yet(), half_width=0.005, target="population")
    plan.tell(run(plan.ask(4000), np.random.default_rng(1)))
    assert plan.status == "out of reach"


def test_before_the_first_attempt_all_problems_are_alike():
    batch = plan_of(nothing_yet(), half_width=0.05).ask(90)
    assert sorted(batch["attempts"]) == [2] * 30 + [3] * 10
    assert list(batch) == ["benchmark", "system", "problem", "attempts"]


def test_asking_changes_nothing_and_gives_the_same_again():
    plan = plan_of(nothing_yet(), budget=1000)
    plan.tell(run(plan.ask(200), np.random.default_rng(1)))
    before = plan.counts
    pd.testing.assert_frame_equal(plan.ask(100), plan.ask(100))
    assert plan.counts is before


def test_new_problems_are_added_for_the_population():
    plan = plan_of(nothing_yet(), budget=5000, target="population", new_problems=100)
    rng = np.random.default_rng(1)
    plan.tell(run(plan.ask(2000), rng))
    batch = plan.ask(2000)
    number, made = (batch.attrs[name]["system"] for name in ("new_problems", "new_attempts"))
    assert 0 < number <= 100
    # What is left does not pay for another new problem.
    assert 0 <= 2000 - made - batch["attempts"].sum() < made // number
    new = {"problem": [f"new {i}" for i in range(number)], "attempts": [made // number] * number}
    plan.tell(new | {"successes": [0] * number})
    assert len(plan.counts) == PROBLEMS + number
    assert plan.spent == 2000 + number * (made // number)
    again = plan.ask(500)
    assert again["attempts"].sum() + again.attrs["new_attempts"].get("system", 0) > 400
    assert again.attrs["new_problems"].get("system", 0) <= 100 - number


def test_a_batch_too_small_for_a_new_problem_is_not_empty():
    """Otherwise a loop would never end."""
    plan = plan_of(nothing_yet(), budget=5000, target="population", new_problems=1000, limit=60)
    plan.tell(run(plan.ask(2400), np.random.default_rng(1)))
    small = plan.ask(3)
    assert small["attempts"].sum() + sum(small.attrs["new_attempts"].values()) > 0


def test_limits_count_what_was_told_and_costs_what_was_spent():
    costs = np.where(np.arange(PROBLEMS) < 20, 1.0, 3.0)
    plan = plan_of(nothing_yet(), budget=10_000, limit=10, costs=costs)
    rng = np.random.default_rng(1)
    while not plan.done:
        plan.tell(run(plan.ask(300), rng))
    assert plan.counts.attempts.tolist() == [10] * PROBLEMS
    assert plan.spent == 10 * costs.sum()


def test_several_systems():
    both = bp.Counts(
        problem=[*range(PROBLEMS)] * 2,
        attempts=[10] * (2 * PROBLEMS),
        successes=[*np.random.default_rng(1).binomial(10, P)] * 2,
        system=["a"] * PROBLEMS + ["b"] * PROBLEMS,
    )
    plan = plan_of(both, budget=1000)
    batch = plan.ask(400)
    assert set(batch["system"]) == {"a", "b"}
    with pytest.raises(bp.errors.CountsError, match="must have a column system"):
        plan.tell({"problem": ["0"], "attempts": [1], "successes": [0]})
    plan.tell({"problem": ["0"], "attempts": [1], "successes": [1], "system": ["b"]})
    assert plan.counts.attempts[PROBLEMS] == 11


# The file -----------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "counts.csv"
    frame = pd.DataFrame(
        {
            "problem": [str(i) for i in range(PROBLEMS)],
            "level": ["007"] * PROBLEMS,
            "attempts": 10,
            "successes": np.random.default_rng(1).binomial(10, P),
        }
    )
    frame.to_csv(path, index=False)
    return path


def test_the_state_is_the_file_and_a_plan_made_anew_goes_on(path):
    plan = plan_of(path, budget=1000)
    batch = plan.ask(200)
    plan.tell(run(batch, np.random.default_rng(1)))
    again = plan_of(path, budget=800)
    np.testing.assert_array_equal(again.counts.attempts, plan.counts.attempts)
    np.testing.assert_array_equal(again.counts.successes, plan.counts.successes)
    assert again.counts.attempts.sum() == 10 * PROBLEMS + 200
    frame = pd.read_csv(path, dtype=str)
    assert list(frame) == ["problem", "level", "attempts", "successes"]
    assert set(frame["level"]) == {"007"}


def test_a_link_to_the_file_is_the_same_state(path, tmp_path):
    link = tmp_path / "folder" / "link.csv"
    link.parent.mkdir()
    link.symlink_to(path)
    path.chmod(0o600)
    plan_of(link, budget=1000).tell({"problem": ["3"], "attempts": [5], "successes": [1]})
    assert link.is_symlink()
    assert bp.read_csv(path).attempts.sum() == 10 * PROBLEMS + 5
    assert path.stat().st_mode & 0o777 == 0o600
    stale = plan_of(link, budget=1000)
    plan_of(path, budget=1000).tell({"problem": ["3"], "attempts": [5], "successes": [1]})
    with pytest.raises(bp.errors.InputError, match=r"counts\.csv: was changed since this plan"):
        stale.tell({"problem": ["3"], "attempts": [5], "successes": [1]})


def test_a_plan_waits_for_who_writes_the_file_and_not_for_ever(path, monkeypatch):
    plan = plan_of(path, budget=1000)
    before = path.read_bytes()
    monkeypatch.setattr(live, "PATIENCE", 0.1)
    told = {"problem": ["3"], "attempts": [5], "successes": [1]}
    with (
        alone(path.with_name(".counts.csv.lock"), "x"),
        pytest.raises(bp.errors.InputError, match="another process is at work there"),
    ):
        plan.tell(told)
    assert path.read_bytes() == before
    assert plan.spent == 0
    plan.tell(told)
    assert plan.spent == 5


def test_a_file_that_cannot_be_written_is_as_it_was_and_so_is_the_plan(path, monkeypatch):
    plan = plan_of(path, budget=1000)
    before, text = plan.counts, path.read_bytes()

    def fails(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", fails)
    with pytest.raises(bp.errors.InputError, match="No space left"):
        plan.tell({"problem": ["3"], "attempts": [5], "successes": [1]})
    assert path.read_bytes() == text
    assert plan.counts is before
    assert plan.spent == 0
    assert {one.name for one in path.parent.iterdir()} == {"counts.csv", ".counts.csv.lock"}


def test_a_file_that_somebody_else_changed_is_left_alone(path):
    plan = plan_of(path, budget=1000)
    other = plan_of(path, budget=1000)
    other.tell({"problem": ["3"], "attempts": [5], "successes": [1]})
    text = path.read_bytes()
    with pytest.raises(bp.errors.InputError, match="was changed since this plan read it"):
        plan.tell({"problem": ["3"], "attempts": [5], "successes": [1]})
    assert path.read_bytes() == text


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"problem": ["40"], "attempts": [5], "successes": [1]},
            "must be of problems in the counts",
        ),
        (
            {"problem": ["3"], "attempts": [5], "successes": [6]},
            "successes must not exceed attempts",
        ),
        ({"problem": ["3", "3"], "attempts": [5, 5], "successes": [1, 1]}, "must occur once"),
        ({"problem": ["3"], "attempts": [5]}, "successes is not"),
    ],
)
def test_outcomes_that_break_a_rule_change_nothing(path, row, message):
    plan = plan_of(path, budget=1000)
    before, text = plan.counts, path.read_bytes()
    with pytest.raises(bp.errors.CountsError, match=message):
        plan.tell(row)
    assert plan.counts is before
    assert path.read_bytes() == text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "half_width to reach, a budget, or both"),
        ({"half_width": 0.6}, "half_width must lie between 0 and 0.5"),
        ({"budget": 0}, "budget must be positive"),
        ({"budget": 10, "strategy": "oracle"}, "not for a plan"),
        ({"budget": 10, "target": "all"}, "target must be"),
        ({"budget": 10, "k": 0}, "k must be a whole number"),
        ({"budget": 10, "prob": 1}, "prob must lie between"),
    ],
)
def test_bad_options_are_refused_before_any_work(options, message):
    with pytest.raises(bp.errors.OptionError, match=message):
        plan_of(nothing_yet(), **options)
    with pytest.raises(bp.errors.OptionError, match="batch must be positive"):
        plan_of(nothing_yet(), budget=1).ask(0)


# On the command line ------------------------------------------------------------------------------


def test_the_command_writes_what_to_attempt_next(path, tmp_path):
    output = tmp_path / "next.csv"
    text = path.read_bytes()
    arguments = ["plan", str(path), "--k", "10000", "--budget", "500", "--family", "beta"]
    found = CliRunner().invoke(cli, [*arguments, "--pooling", "none", "-o", str(output)])
    assert found.exit_code == 0, found.output
    frame = pd.read_csv(output)
    assert list(frame) == ["benchmark", "system", "problem", "attempts"]
    assert frame["attempts"].sum() == 500
    assert path.read_bytes() == text
    assert "band of pass@10,000" in found.stderr


def test_the_command_needs_something_to_allot(path):
    found = CliRunner().invoke(cli, ["plan", str(path), "--half-width", "0.1"])
    assert isinstance(found.exception, bp.errors.OptionError)
    assert "--ask or --budget" in str(found.exception)
