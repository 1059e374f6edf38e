"""The band to expect before any attempt is the band of evaluations that are simulated and fitted."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from click.testing import CliRunner

import bayespassk as bp
from bayespassk.cli import cli


def simulated(parameters, problems, attempts, k, target):
    """Return the mean half-width of the bands of a few simulated evaluations."""
    widths = []
    for seed in range(6):
        counts = bp.simulate(
            bp.Beta(), parameters, problems=problems, attempts=attempts, random_seed=seed
        )
        fit = bp.fit(
            counts,
            bp.Beta(),
            pooling="none",
            draws=400,
            chains=2,
            random_seed=seed,
            progress=False,
        )
        low, high = np.quantile(bp.forecast(fit, k, target), [0.025, 0.975])
        widths.append((high - low) / 2)
    return np.mean(widths)


@pytest.mark.filterwarnings("ignore::bayespassk.errors.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::bayespassk.errors.ForecastWarning")
@pytest.mark.parametrize("target", ["benchmark", "population"])
@pytest.mark.parametrize(("problems", "attempts", "k"), [(50, 10, 1000), (200, 100, 10_000)])
def test_the_width_is_that_of_simulated_evaluations(problems, attempts, k, target):
    """Within 25%. The truth is known here: a long pilot says it, the prior of the fits is the same."""
    truth = {"a": 0.2, "b": 5.0}
    pilot = bp.simulate(bp.Beta(), truth, problems=20_000, attempts=300, random_seed=1)
    fit = bp.fit(pilot, bp.Beta(), pooling="none", random_seed=1, progress=False)
    table = bp.design(fit, problems, attempts, k, target=target, truths=5)
    expected = simulated(truth, problems, attempts, k, target)
    assert table["half_width"].item() == pytest.approx(expected, rel=0.25)


def test_more_problems_and_more_attempts_narrow_the_band(fit):
    table = bp.design(fit, [50, 100], [10, 100], [10, 1000], system="small", truths=10)
    assert len(table) == 8
    wide = table.set_index(["k", "problems", "attempts"])["half_width"].unstack(["problems"])
    assert (wide[100] < wide[50]).all()
    assert (wide.xs(100, level="attempts") < wide.xs(10, level="attempts")).all().all()
    assert (table["total"] == table["problems"] * table["attempts"]).all()
    assert ((table["lower"] <= table["half_width"]) & (table["half_width"] <= table["upper"])).all()


def test_more_attempts_do_not_tell_what_other_problems_are_like():
    """However many attempts, the population's band is that of a finite number of problems."""
    table = bp.design(bp.Beta(), 50, [1000, 10**5], 10, target="population", truths=10)
    benchmark = bp.design(bp.Beta(), 50, [1000, 10**5], 10, truths=10)
    assert table["half_width"].iloc[1] > 0.8 * table["half_width"].iloc[0]
    assert benchmark["half_width"].iloc[1] < 0.2 * benchmark["half_width"].iloc[0]


def test_the_default_family_can_be_designed_for():
    table = bp.design(bp.LibbyNovick(), [50, 200], 100, 1000, truths=5)
    assert (np.diff(table["half_width"]) < 0).all()


def test_the_figure_has_a_line_for_each_number_of_problems():
    table = bp.design(bp.Beta(), [20, 50], [10, 100], 100, truths=5)
    ax = bp.plot_design(table)
    assert [line.get_xdata().tolist() for line in ax.get_lines()] == [[200, 2000], [500, 5000]]
    plt.close("all")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"problems": 0}, "problems must be whole numbers"),
        ({"attempts": [10, 2.5]}, "attempts must be whole numbers"),
        ({"attempts": []}, "attempts must hold at least one"),
        ({"target": "realised"}, "target must be 'benchmark' or 'population'"),
        ({"truths": 0}, "truths must be 1 or more"),
        ({"system": "small"}, "system needs a pilot"),
        ({"prob": 2}, "prob must lie between 0 and 1"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(bp.errors.OptionError, match=message):
        bp.design(bp.Beta(), **({"problems": 10, "attempts": 10, "k": 10} | options))


def test_a_pilot_of_several_systems_needs_the_name_of_one(fit):
    with pytest.raises(bp.errors.OptionError, match="one of those of the pilot, 'small', 'large'"):
        bp.design(fit, 10, 10)


def test_the_command_prints_a_table_and_draws_a_figure(tmp_path, fit_path):
    figure = tmp_path / "design.png"
    arguments = ["design", str(fit_path), "--of-system", "small", "--problems", "20,50"]
    arguments += ["--attempts", "10", "--k", "100", "--truths", "5"]
    run = CliRunner().invoke(cli, [*arguments, "--figure", str(figure)])
    assert run.exit_code == 0, run.output
    assert "the posterior of the pilot" in run.output
    assert figure.read_bytes().startswith(b"\x89PNG")
    found = json.loads(CliRunner().invoke(cli, [*arguments, "--format", "json"]).output)
    assert [row["problems"] for row in found["rows"]] == [20, 50]
    plt.close("all")
