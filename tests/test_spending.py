"""pass@budget: against simulation, against pass@k where costs are equal, and on real attempts."""

import json

import numpy as np
import pandas as pd
import pytest

import bayespassk as bp
from bayespassk.asking.spending import check_budgets
from commands import run

quiet = pytest.mark.filterwarnings("ignore::bayespassk.errors.ForecastWarning")
BUDGETS = [500.0, 1000.0, 3000.0, 10_000.0]


def made(seed=1, rows=40, attempts=12, system="s", scale=1.0):
    """Return attempts, and the p and log means that they were made of."""
    rng = np.random.default_rng(seed)
    p = rng.beta(0.6, 0.9, rows)
    mean = np.stack([7.0 - 0.5 * p, 6.6 - 0.7 * p], -1) + np.log(scale)
    mean = mean + 0.4 * rng.standard_normal((rows, 1))
    row = np.repeat(np.arange(rows), attempts)
    success = (rng.random(row.size) < p[row]).astype(int)
    cost = np.exp(mean[row, success] + 0.3 * rng.standard_normal(row.size))
    table = pd.DataFrame({"system": system, "problem": row, "success": success, "tokens": cost})
    return table, p, mean


def fitted(table, **options):
    settings = {"draws": 100, "pooling": "none", "random_seed": 1, "progress": False} | options
    return bp.fit(bp.Counts.from_attempts(table), bp.Beta(), **settings)


@pytest.fixture(scope="module")
def attempts():
    one, *_ = made(1, system="x")
    other, *_ = made(2, system="y", scale=2.0)
    return pd.concat([one, other], ignore_index=True)


@pytest.fixture(scope="module")
def both(attempts):
    return fitted(attempts)


def truth(p, mean, runs=400):
    """Return pass@budget at these p and costs, attempt after attempt."""
    rng = np.random.default_rng(9)
    solved = np.zeros((len(p), len(BUDGETS)))
    spent, open_ = np.zeros((len(p), runs)), np.ones((len(p), runs), bool)
    for _ in range(200):
        success = rng.random(spent.shape) < p[:, None]
        which = np.where(success, mean[:, 1:], mean[:, :1])
        spent = spent + np.exp(which + 0.3 * rng.standard_normal(spent.shape))
        for i, budget in enumerate(BUDGETS):
            solved[:, i] += (open_ & success & (spent <= budget)).mean(1)
        open_ &= ~success
    return solved.mean(0)


@quiet
def test_the_band_covers_what_was_simulated():
    """Of 8 logs and 4 budgets, the benchmark they were made of; and not by being wide."""
    inside, width = [], []
    for seed in range(8):
        table, p, mean = made(seed + 10, rows=30)
        draws = bp.forecast_budget(fitted(table), table, BUDGETS, unit="tokens")
        found = bp.summarize(draws, 0.9)
        want = truth(p, mean)
        inside.append((found["lower"] <= want) & (want <= found["upper"]))
        width.append(found["upper"] - found["lower"])
    assert 0.8 <= np.mean(inside) <= 0.99
    assert np.mean(width) < 0.15


@quiet
def test_with_equal_costs_it_is_pass_at_k(attempts):
    """Three attempts' worth, whichever the way: all cost 100, and log-normals hardly differ."""
    rng = np.random.default_rng(3)
    table = attempts.assign(tokens=100 * np.exp(0.001 * rng.standard_normal(len(attempts))))
    fit = fitted(table)
    for target in ("benchmark", "population"):
        want = bp.forecast(fit, [1, 3, 9], target).mean(("chain", "draw")).values
        for way in ("serial", "parallel"):
            budget = [110.0, 310.0, 910.0] if way == "serial" else [100.0, 300.0, 900.0]
            draws = bp.forecast_budget(fit, table, budget, unit="tokens", way=way, target=target)
            found = draws.mean(("chain", "draw")).values
            np.testing.assert_allclose(found, want, atol=0.012)


@quiet
def test_new_problems_are_as_simulated(attempts):
    """Of the model's own draws, but none of its sums: p, costs and runs by NumPy."""
    table = attempts[attempts["system"] == "x"].reset_index(drop=True)
    fit = fitted(table)
    found = bp.forecast_budget(fit, table, BUDGETS, unit="tokens", target="population")
    parameters = fit["posterior"].dataset
    rng = np.random.default_rng(4)
    a, b = (float(parameters[name].median()) for name in ("a", "b"))
    p = rng.beta(a, b, 4000)
    mean = np.stack([7.0 - 0.5 * p, 6.6 - 0.7 * p], -1) + 0.4 * rng.standard_normal((4000, 1))
    want = truth(p, mean, runs=1)
    np.testing.assert_allclose(found.mean(("chain", "draw"))[0], want, atol=0.06)


@quiet
def test_one_run_is_the_benchmark_and_luck(attempts, both):
    each = {
        target: bp.forecast_budget(both, attempts, BUDGETS, unit="tokens", target=target)
        for target in ("benchmark", "realised")
    }
    realised = each["realised"]
    np.testing.assert_allclose(realised * 40, (realised * 40).round(), atol=1e-9)
    assert (realised.diff("budget") >= 0).all()
    means = [one.mean(("chain", "draw")).values for one in each.values()]
    np.testing.assert_allclose(*means, atol=0.02)
    assert (realised.std(("chain", "draw")) > each["benchmark"].std(("chain", "draw"))).all()


@quiet
def test_dims_coordinates_and_that_systems_do_not_depend_on_company(attempts, both):
    draws = bp.forecast_budget(both, attempts, BUDGETS, unit="tokens", way="parallel")
    assert draws.dims == ("chain", "draw", "system", "budget")
    assert draws["bought"].dims == draws.dims
    price = bp.cost_per_success(both, attempts, unit="tokens")
    want = np.array(BUDGETS) / price.sel(what="attempt").values[..., None]
    np.testing.assert_allclose(draws["bought"], want, rtol=1e-9)
    alone = attempts[attempts["system"] == "y"].reset_index(drop=True)
    one = bp.forecast_budget(fitted(alone), alone, BUDGETS, unit="tokens", way="parallel")
    np.testing.assert_allclose(one.sel(system="y"), draws.sel(system="y"))
    assert np.isinf(draws["limit"]).all()


def test_a_success_costs_what_was_spent_on_it(attempts, both):
    """Of all the attempts of a system: the sum of costs over the successes."""
    found = bp.cost_per_success(both, attempts, unit="tokens").sel(what="success")
    for system, own in attempts.groupby("system"):
        draws = found.sel(system=system).values
        plain = own["tokens"].sum() / own["success"].sum()
        low, high = np.quantile(draws, [0.005, 0.995])
        assert low < plain < high
    new = bp.cost_per_success(both, attempts, unit="tokens", target="population")
    assert (new.std(("chain", "draw")).sel(what="success") > found.std(("chain", "draw"))).all()


@quiet
def test_a_limit_is_found_and_kept(attempts):
    capped = attempts.assign(tokens=attempts["tokens"].clip(upper=900.0))
    fit = fitted(capped)
    draws = bp.forecast_budget(fit, capped, [900.0, 1800.0], unit="tokens", way="parallel")
    assert draws["limit"].values.tolist() == [900.0, 900.0]
    assert (draws["bought"].sel(budget=900.0) >= 1).all()
    free = bp.forecast_budget(fit, capped, [900.0], unit="tokens", way="parallel", limit=None)
    assert np.isinf(free["limit"]).all()
    per = bp.forecast_budget(fit, capped, [900.0], unit="tokens", limit={"x": 2000.0})
    assert per["limit"].values.tolist() == [2000.0, np.inf]


@quiet
def test_who_is_ahead_and_where_they_cross(attempts, both):
    """One costs twice as much as the other, and is behind at small budgets, at least."""
    draws = bp.forecast_budget(both, attempts, np.geomspace(300, 3e4, 12), unit="tokens")
    table = bp.compare_at_budget(draws, "x", "y", 0.9)
    away = draws.sel(system="x") - draws.sel(system="y")
    np.testing.assert_allclose(table["mean"], away.mean(("chain", "draw")))
    np.testing.assert_allclose(table["probability_a_above"], (away > 0).mean(("chain", "draw")))
    assert table["probability_a_above"].iloc[1] > 0.95
    assert table["probability_crossed"].is_monotonic_increasing


def test_crossings_are_where_lines_meet():
    import xarray as xr

    one = np.array([0.1, 0.3, 0.5, 0.6])
    other = np.array([0.2, 0.35, 0.4, 0.65])
    draws = xr.DataArray(
        np.stack([one, other])[None, None].repeat(20, 1),
        dims=("chain", "draw", "system", "budget"),
        coords={"system": ["a", "b"], "budget": [1.0, 10.0, 100.0, 1000.0]},
    )
    table = bp.compare_at_budget(draws, "a", "b")
    assert table["probability_crossed"].tolist() == [0, 0, 1, 1]
    assert table.attrs["crossing"] == pytest.approx([10 ** (1 + 1 / 3)] * 3)
    with pytest.raises(bp.errors.OptionError, match="there is no system 'c'; there are a, b"):
        bp.compare_at_budget(draws, "a", "c")


def test_who_leads_is_seen_where_they_first_differ():
    import xarray as xr

    one, other = np.array([0.0, 0.0, 0.2, 0.4]), np.array([0.0, 0.1, 0.2, 0.3])
    draws = xr.DataArray(
        np.stack([one, other])[None, None].repeat(20, 1),
        dims=("chain", "draw", "system", "budget"),
        coords={"system": ["a", "b"], "budget": [1.0, 10.0, 100.0, 1000.0]},
    )
    table = bp.compare_at_budget(draws, "a", "b")
    assert table["probability_crossed"].tolist() == [0, 0, 0, 1]
    assert table.attrs["crossing"] == pytest.approx([100.0] * 3)


def test_attempts_without_a_cost_are_left_out_and_told_of(attempts, both):
    lacking = attempts.copy()
    lacking.loc[lacking.index % 4 == 0, "tokens"] = np.nan
    lacking.loc[lacking.index % 8 == 0, "tokens"] = 0.0
    with pytest.warns(bp.errors.ForecastWarning, match="25% of the attempts of '.' have no tokens"):
        found = bp.cost_per_success(both, lacking, unit="tokens")
    full = bp.cost_per_success(both, attempts, unit="tokens")
    ratio = found.mean(("chain", "draw")) / full.mean(("chain", "draw"))
    np.testing.assert_allclose(ratio, 1, atol=0.08)


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (
            lambda t: t.iloc[1:],
            {},
            "attempts must be those that were fitted: 1 of 80 problems have",
        ),
        (lambda t: t[t["problem"] > 0], {}, "2 problems of the fit have none"),
        (
            lambda t: t.drop(columns="tokens"),
            {},
            "attempts must have a column 'tokens'; it has sys",
        ),
        (
            lambda t: t.assign(tokens=-1.0),
            {},
            "tokens must be numbers, 0 to 1e.18: 960 of 960 rows",
        ),
        (lambda t: t.assign(tokens="x"), {}, "the first is row 1 with 'x'"),
        (lambda t: t.assign(tokens=np.nan), {}, "the attempts of 'x' have no tokens that is more"),
        (None, {"way": "both"}, "way must be 'serial' or 'parallel'; got 'both'"),
        (None, {"limit": 10.0}, "limit must be no less than any cost"),
        (None, {"limit": "none"}, "limit must be a number, 'auto' or None; got 'none'"),
        (
            None,
            {"limit": {"z": 1e9}},
            "limit must be of systems of the fit; got 'z', there are 'x'",
        ),
        (None, {"limit": True}, "limit must be a positive number"),
        (None, {"way": "parallel", "target": "realised"}, "for way='parallel'; got 'realised'"),
    ],
)
def test_what_means_nothing_is_said(attempts, both, change, options, said):
    table = attempts if change is None else change(attempts).reset_index(drop=True)
    with pytest.raises(bp.errors.InputError, match=said):
        bp.forecast_budget(both, table, BUDGETS, unit="tokens", **options)


def test_budgets_are_positive():
    with pytest.raises(bp.errors.OptionError, match="budget must be positive"):
        check_budgets([1.0, 0.0])


@quiet
def test_the_command_prints_what_python_returns(attempts, tmp_path):
    path = tmp_path / "attempts.csv"
    attempts.to_csv(path, index=False)
    figure = tmp_path / "cost.png"
    light = ("--family", "beta", "--pooling", "none", "--draws", 25, "--unit", "tokens")
    done = run("cost", path, *light, "--budget", "1e3,1e4", "--format", "json", "--figure", figure)
    found = json.loads(done.stdout)
    assert [row["budget"] for row in found["rows"]] == [1e3, 1e4] * 2
    assert all(0 < row["lower"] < row["upper"] <= 1 for row in found["rows"])
    assert figure.stat().st_size > 1000
    table = run("cost", path, *light, "--budget", "1e3", "--way", "parallel").stdout
    assert "1,000" in table
    assert "a success costs" in table
    run("cost", path, *light, "--budget", "none", status=2)


@quiet
def test_the_command_says_who_is_ahead_and_where_they_cross(attempts, tmp_path):
    path = tmp_path / "attempts.csv"
    attempts.to_csv(path, index=False)
    light = ("--family", "beta", "--pooling", "none", "--draws", 25, "--unit", "tokens")
    asked = ("cost", path, *light, "--budget", "1e3,1e4", "-a", "x")
    found = json.loads(run(*asked, "-b", "y", "--format", "json").stdout)["meta"]["comparison"]
    assert [row["budget"] for row in found["rows"]] == [1e3, 1e4]
    assert 0 <= found["crossing"]["probability"] <= 1
    assert found["crossing"]["from"] <= 1e3 < found["crossing"]["to"] == 1e4
    shown = run(*asked, "-b", "y").stdout
    assert shown.startswith("x minus y, at equal budget")
    assert "cross between" in shown
    for b in ((), ("-b", "x"), ("-b", "z")):
        assert "two different systems of the log: 'x', 'y'" in run(*asked, *b, status=2).stderr


@quiet
def test_the_figure_has_a_line_a_system(attempts, both):
    draws = bp.forecast_budget(both, attempts, np.geomspace(300, 3e4, 12), unit="tokens")
    ax = bp.plot_budget(draws)
    assert ax.get_xscale() == "log"
    assert "tokens" in ax.get_xlabel()
    assert len(ax.get_lines()) >= 2


@quiet
def test_bands_held_on_real_attempts(real_logs):
    """One system, forecast from 10 of 80 attempts; benchmarks/budgets.py has all of them."""
    import importlib.util
    from pathlib import Path
    from types import SimpleNamespace

    path = Path(__file__).parents[1] / "benchmarks" / "budgets.py"
    spec = importlib.util.spec_from_file_location("budgets", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    whole = bp.read_attempts(real_logs / "reasoning_models_attempts.csv.gz")
    whole = whole.sample(frac=1, random_state=1)
    args = SimpleNamespace(shown=10, run=False, unit="output_tokens")
    rows = []
    for system in ("LIMO-v2",):
        own = whole[whole["system"] == system].reset_index(drop=True)
        own["place"] = own.groupby("problem", sort=False).cumcount()
        rows += module.held(own, 0, [1e4, 5e4], args)
    cells = pd.DataFrame(rows)
    assert len(cells) == 4
    inside = (cells["lower"] <= cells["truth"]) & (cells["truth"] <= cells["upper"])
    assert inside.sum() >= 3
    assert (cells["mean"] - cells["truth"]).abs().mean() < 0.04
