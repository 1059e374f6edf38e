"""Every public function answers any argument: with what was asked, or with an error of ours."""

import inspect
import math
import signal
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayespassk as bp
from bayespassk.arguments import ARGUMENTS
from commands import run

SOLVED = [0, 0, 1, 4, 0, 2, 7, 0, 1, 0]

WRONG = {
    "None": None,
    "True": True,
    "-1": -1,
    "0": 0,
    "1.5": 1.5,
    "nan": math.nan,
    "inf": math.inf,
    "1e12": 10**12,
    "1e400": 10**400,
    "x": "x",
    "no text": "",
    "bytes": b"x",
    "complex": 1j,
    "nothing": [],
    "mixed": [1, "x"],
    "nested": [[1], [2]],
    "of None": [None],
    "a dict": {1: 2},
    "an empty dict": {},
    "a set": {"x"},
    "an object": object(),
    "a function": len,
    "a class": int,
    "array of one": np.array(3),
    "empty array": np.array([]),
    "table of numbers": np.ones((2, 2)),
    "array of text": np.array(["x"]),
    "missing": pd.NA,
    "a day": pd.Timestamp("2026-01-01"),
    "a frame": pd.DataFrame({"x": [1]}),
    "a dataset": xr.Dataset({"x": 1}),
    "a tree": xr.DataTree(),
    "an array of xarray": xr.DataArray([1.0]),
    "Generator": np.random.default_rng(1),
}

LONG = 60
"""Seconds that no answer may take: to what was asked by mistake, an hour is no answer."""


def asked(tmp_path):
    """Return arguments that each public function takes; some of them by names of others."""
    counts = bp.Counts(
        problem=[*map(str, range(10))] * 2,
        attempts=[8] * 20,
        successes=SOLVED + SOLVED[::-1],
        system=["a"] * 10 + ["b"] * 10,
    )
    fit = bp.fit(counts, bp.Beta(), draws=25, pooling="partial", random_seed=1, progress=False)
    bp.save(fit, tmp_path / "fit.nc")
    counts.to_dataframe().to_csv(tmp_path / "counts.csv", index=False)
    rows = [(str(i), str(j), int(j < n)) for i, n in enumerate(SOLVED) for j in range(8)]
    table = pd.DataFrame(rows, columns=["problem", "seed", "success"])
    table.to_csv(tmp_path / "attempts.csv", index=False)
    attempts = bp.read_attempts(tmp_path / "attempts.csv", run="seed")
    verified = bp.fit(
        counts, bp.Verified(bp.Beta(), true_positive_rate=0.9, false_positive_rate=0.01),
        draws=25, pooling="none", random_seed=1, progress=False,
    )  # fmt: skip
    fits = [fit, bp.fit(counts, bp.Kumaraswamy(), draws=25, pooling="partial", random_seed=1, progress=False)]  # fmt: skip
    forecast = bp.forecast(fit, [1, 10])
    scores = bp.backtest(counts, ["plug-in", "brown"], n=4, k=[4, 8], repeats=2, cores=1)
    seen, of = {"fit": fit}, {"counts": counts}
    made = [
        (system, str(i), int(j < n), 5.0 + i + j)
        for system, solved in (("a", SOLVED), ("b", SOLVED[::-1]))
        for i, n in enumerate(solved)
        for j in range(8)
    ]
    costs = pd.DataFrame(made, columns=["system", "problem", "success", "tokens"])
    seen_attempts = {"fit": fit, "attempts": costs}
    budgets = bp.forecast_budget(fit, costs, [10.0, 100.0], unit="tokens")
    k = {"k": [1, 10]}
    common = {"random_seed": 1}
    truth = bp.verifier
    return {
        bp.Beta: {"log_a": bp.Prior(0, 1), "log_b": bp.Prior(0, 1)},
        bp.Counts: {"problem": ["a", "b"], "attempts": [3, 4], "successes": [1, 0], "system": "x", "benchmark": "y", "stopping": "fixed", "covariates": {"size": [1, 2]}, "provenance": None},
        bp.GeneralizedBeta: {"log_g": bp.Prior(0, 1)},
        bp.Kumaraswamy: {"log_a": bp.Prior(0, 1)},
        bp.LibbyNovick: {"log_a": bp.Prior(0, 1)},
        bp.LogitNormal: {"mu": bp.Prior(0, 1)},
        bp.ScaledBeta: {"log_a": bp.Prior(0, 1)},
        bp.Mixture: {"components": bp.Beta(), "log_gap": bp.Prior(0, 1), "logit_weight": bp.Prior(0, 1)},
        bp.OneInflated: {"base": bp.Beta(), "logit_one": bp.Prior(0, 1)},
        bp.ZeroInflated: {"base": bp.Beta(), "logit_zero": bp.Prior(0, 1)},
        bp.Dependent: {"base": bp.Beta(), "sd": 0.3},
        bp.Verified: {"base": bp.Beta(), "true_positive_rate": 0.9, "false_positive_rate": 0.1},
        bp.Prior: {"loc": 0.0, "scale": 1.0, "kind": "normal", "spread": 1.0},
        bp.Plan: of | common | {"k": 10, "half_width": 0.1, "budget": 10, "target": "benchmark", "strategy": "bayes", "family": bp.Beta(), "pooling": "none", "prob": 0.9, "costs": 1.0, "limit": 10, "new_problems": 0},
        bp.add_predictive: seen | common | {"solved": False},
        bp.from_posterior: of | common | {"posterior": fit, "family": bp.Beta()},
        bp.agreement: seen | {"families": ["beta"]},
        bp.allocate: seen | common | {"budget": 10, "k": 10, "target": "benchmark", "strategy": "uniform", "horizon": 20, "costs": 1.0, "limit": 5, "new_problems": 0, "new_problem_cost": 0.0, "p": 0.1},
        bp.at_least: seen | k | common | {"m": 1, "target": "benchmark"},
        bp.average: {"fits": fits, "weights": "equal", "target": "benchmark"} | k | common,
        bp.backtest: of | common | {"methods": "plug-in", "n": 4, "k": 8, "repeats": 1, "budget": None, "replicates": 10, "output": None, "format": "csv", "cores": 1, "progress": False},
        bp.budget_for: seen | common | {"pass_at_k": 0.5, "target": "benchmark"},
        bp.build_model: of | {"family": bp.Beta(), "pooling": "none", "covariates": None, "latent": False},
        bp.calibrate: {"family": bp.Beta(), "problems": 5, "attempts": 5, "simulations": 2, "k": 10, "method": "quadrature", "draws": 20, "tune": 10, "chains": 1} | common,
        bp.check: seen | common | {"draws": 100},
        bp.compare: {"fits": fits, "exact": False, "progress": False},
        bp.coverage_at_cost: seen | common | {"cost": [1, 10], "target": "benchmark"},
        bp.crossing_budget: seen | common | {"a": "a", "b": "b", "target": "benchmark", "most": 100},
        bp.forecast_budget: seen_attempts | common | {"budget": [10.0, 100.0], "unit": "tokens", "way": "serial", "target": "benchmark", "limit": None},
        bp.cost_per_success: seen_attempts | common | {"unit": "tokens", "target": "benchmark", "limit": None},
        bp.compare_at_budget: {"forecast": budgets, "a": "a", "b": "b", "prob": 0.9},
        bp.plot_budget: {"forecast": budgets, "prob": 0.9, "ax": None},
        bp.deployment_risk: seen | common | {"queries": [1, 100], "k": 2, "target": "population"},
        bp.queries_for: seen | common | {"risk": 0.5, "k": 2, "target": "population"},
        bp.estimators.gumbel_tail: {"p": [0.1, 0.2, 0.3], "queries": 100, "top": 2},
        bp.design: {"source": bp.Beta(), "problems": 10, "attempts": 10, "k": 10, "target": "benchmark", "prob": 0.9, "system": None, "truths": 2} | common,
        bp.diagnostics: seen,
        bp.difference: seen | k | common | {"a": "a", "b": "b", "target": "benchmark"},
        bp.disagreement: {"fits": fits, "weights": "equal", "target": "benchmark"} | k | common,
        bp.family_from_name: {"name": "beta"},
        bp.family_of: seen,
        bp.fit: of | common | {"family": bp.Beta(), "method": "quadrature", "pooling": "none", "covariates": None, "draws": 25, "tune": None, "chains": 4, "target_accept": None, "progress": False},
        bp.fit_many: of | common | {"by": "system", "family": bp.Beta(), "k": [1, 10], "target": "benchmark", "prob": 0.9, "reading": None, "output": None, "client": None, "cores": 1, "progress": False},
        bp.forecast: seen | k | common | {"target": "benchmark", "at": None},
        bp.Curve: {"k": [1, 10], "pass_at_k": [0.2, 0.5], "problems": 100, "attempts": 20, "decimals": 3, "system": "x"},
        bp.forecast_curve: {"curve": bp.Curve([1, 10], [0.2, 0.5], 100), "family": bp.Beta(), "target": "benchmark"} | k | common,
        bp.forecast_new_system: seen | k | common | {"benchmark": None, "at": None},
        bp.gate: seen | common | {"require": "a > b at pass@1", "prob": 0.9, "against": fit, "target": "benchmark"},
        bp.independence: {"attempts": attempts, "permutations": 20} | common,
        bp.load: {"path": tmp_path / "fit.nc"},
        bp.load_example: {"name": "simulated"},
        bp.log_likelihood: seen,
        bp.loo_pit: seen | common,
        bp.pass_hat_k: seen | k | common | {"target": "benchmark"},
        bp.plot_backtest: {"scores": scores, "ax": None},
        bp.plot_check: {"check": bp.check(fit, draws=100), "ax": None},
        bp.plot_compare: {"table": bp.compare(fits, exact=False), "system": None, "ax": None},
        bp.plot_design: {"table": bp.design(bp.Beta(), 10, [10, 20], 10, truths=2), "ax": None},
        bp.plot_difference: {"difference": bp.difference(fit, "a", "b", [1, 10]), "prob": 0.9, "attempts": 8, "ax": None},
        bp.plot_family: seen | {"system": "a", "prob": 0.9, "ax": None},
        bp.plot_forecast: {"dots": "known", "forecast": forecast, "prob": 0.9, "attempts": 8, "truth": None, "tail_exponent": None, "ax": None},
        bp.plot_loo_pit: {"pit": bp.loo_pit(fit), "prob": 0.9, "ax": None},
        bp.prior_predictive: {"family": bp.Beta(), "draws": 10} | k | common,
        bp.probability_impossible: {"fit": fit, "p": 0.1},
        bp.rank_systems: seen | k | common | {"target": "benchmark", "benchmark": None},
        bp.read: {"log": tmp_path / "counts.csv", "format": "auto", "errors": "raise", "system": None, "benchmark": None, "stopping": None},
        bp.read_attempts: {"log": tmp_path / "attempts.csv", "format": "auto", "run": "seed", "errors": "raise", "system": None, "benchmark": None, "stopping": None},
        bp.read_csv: {"path": tmp_path / "counts.csv", "stopping": "fixed", "covariates": ()},
        bp.report: {"weights": None, "fits": fit, "path": tmp_path / "report.json", "target": "benchmark", "prob": 0.9} | k | common,
        bp.save: seen | {"path": tmp_path / "again.nc", "log_likelihood": False},
        bp.sensitivity: seen | k | common | {"target": "benchmark"},
        bp.share_above: seen | common | {"p": 0.1, "target": "benchmark"},
        bp.simulate: {"family": bp.Beta(), "parameters": {"a": 0.5, "b": 2.0}, "problems": 5, "attempts": 5, "system": "x"} | common,
        bp.summarize: {"forecast": forecast, "prob": 0.9, "kind": "eti"},
        bp.summarize_backtest: {"scores": scores, "by": None},
        bp.summarize_budget: {"budget": bp.budget_for(fit, 0.5), "prob": 0.9},
        bp.summarize_calibration: {"ranks": bp.calibrate(bp.Beta(), problems=5, attempts=5, simulations=20, draws=20, method="quadrature", chains=1, random_seed=1), "bins": 3},
        bp.summarize_check: {"check": bp.check(fit, draws=100)},
        bp.summarize_crossing: {"crossing": bp.crossing_budget(fit, "a", "b", most=100), "prob": 0.9},
        bp.summarize_difference: {"difference": bp.difference(fit, "a", "b", [1, 10]), "prob": 0.9},
        bp.tail_exponent: seen | k,
        bp.thin: of | common | {"attempts": 4},
        **{one: of | {"k": [1, 4]} for one in ESTIMATORS},
        bp.estimators.log_log: of | {"k": [1, 4], "at": None},
        bp.estimators.saber_plugin: of | {"k": [1, 4], "correction": True},
        bp.estimators.saber_anchored_interval: of | {"k": [1, 4], "prob": 0.9},
        bp.estimators.saber_budget: of | {"target": 0.5},
        bp.estimators.bootstrap: of | common | {"estimator": bp.estimators.plug_in, "k": [1, 4], "replicates": 5, "prob": 0.9},
        truth.apparent_pass_at_k: {"fit": verified, "target": "benchmark"} | k | common,
        truth.true_pass_at_k: {"fit": verified, "target": "benchmark"} | k | common,
        truth.first_pass_correct_at_k: {"fit": verified, "target": "benchmark"} | k | common,
        truth.first_pass_ceiling: {"fit": verified, "target": "benchmark"} | common,
        truth.resampling_utility: {"fit": verified, "cost": 0.1, "target": "benchmark"} | k | common,
        truth.best_resampling: {"utility": truth.resampling_utility(verified, 0.1, [1, 10]), "prob": 0.9},
        truth.audited_rates: {"correct_accepted": 9, "correct_rejected": 1, "wrong_accepted": 1, "wrong_rejected": 9, "prior": (0.5, 0.5)},
        truth.paired_rates: {"base": [True, False, True, False], "plus": [True, False, False, False], "prior": (0.5, 0.5)},
    }  # fmt: skip


ESTIMATORS = [
    getattr(bp.estimators, name)
    for name in ("bayes_at_n", "beta_binomial_mle", "brown", "chen", "discretised_beta", "plug_in", "saber_anchored")
]  # fmt: skip

PUBLIC = {
    getattr(room, name)
    for room in (bp, bp.estimators, bp.verifier)
    for name in room.__all__
    if callable(getattr(room, name))
} - {bp.Family, bp.Diagnostics, bp.Gate}
"""All but what nobody makes: the abstract family, the diagnostics of a fit, and verdicts."""


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return asked(tmp_path_factory.mktemp("arguments"))


def test_every_public_function_is_tried(usual):
    assert set(usual) == PUBLIC


def too_long(*_):
    raise TimeoutError(f"no answer in {LONG} s")


def call(function, arguments):
    """Call a function; return None, or what was raised that is no error of ours."""
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LONG)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one = [bp.Beta(), arguments.pop("components")] if "components" in arguments else []
            function(*one, **arguments)
    except (bp.errors.InputError, bp.errors.SamplingError):
        return None
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.alarm(0)
        plt.close("all")
    return None


NAMES = sorted(f"{one.__module__}.{one.__name__}" for one in PUBLIC)


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_kind_of_argument_is_an_error_of_ours_or_has_an_answer(usual, name, tmp_path, monkeypatch):  # fmt: skip
    monkeypatch.chdir(tmp_path)  # what takes "x" for a path may write there
    (function,) = (one for one in PUBLIC if f"{one.__module__}.{one.__name__}" == name)
    arguments = usual[function]
    assert call(function, dict(arguments)) is None
    wrong = {
        f"{one}={label}": said
        for one in arguments
        for label, value in WRONG.items()
        if not (one == "estimator" and callable(value))  # what it raises is its own
        and (said := call(function, arguments | {one: value}))
    }
    assert wrong == {}


def test_the_table_has_every_argument_and_no_others():
    used = set()
    for function in PUBLIC:
        if inspect.isclass(function) and function not in (bp.Plan, bp.Curve):
            continue  # they are data, and check themselves
        if function is bp.family_from_name:
            continue  # which the table is made with
        for name in inspect.signature(function).parameters:
            own = f"{function.__name__}.{name}"
            assert own in ARGUMENTS or name in ARGUMENTS, own
            used.add(own if own in ARGUMENTS else name)
    assert used == set(ARGUMENTS)


def test_every_public_function_begins_with_its_line():
    """So that nothing is computed, and nothing of another library asked, before."""
    for function in PUBLIC - {bp.family_from_name}:
        if inspect.isclass(function) and function not in (bp.Plan, bp.Curve):
            continue
        source = inspect.getsource(function.__init__ if inspect.isclass(function) else function)
        assert f'check_arguments("{function.__name__}", ' in source, function.__name__


# What is accepted --------------------------------------------------------------------------------


def test_a_family_may_be_called_by_its_name(usual):
    counts = usual[bp.fit]["counts"]
    sizes = {"draws": 25, "pooling": "none", "random_seed": 1, "progress": False}
    named, built = (bp.fit(counts, family, **sizes) for family in ("beta", bp.Beta()))
    for one in (named, built):
        one.attrs.pop("created_at")  # which is another if a second ends between them
    xr.testing.assert_identical(named, built)
    named = bp.fit_many(counts, family="beta", k=10, cores=1, draws=25)
    assert named.attrs["family"] == bp.Beta().spec()
    for verb, arguments in (
        (bp.simulate, ({"a": 1.0, "b": 2.0},)),
        (bp.prior_predictive, ([1, 10],)),
        (bp.design, (10, 10)),
    ):
        sizes = {"problems": 4, "attempts": 4} if verb is bp.simulate else {}
        found = [verb(one, *arguments, random_seed=1, **sizes) for one in ("beta", bp.Beta())]
        assert str(found[0]) == str(found[1])
    with pytest.raises(bp.errors.OptionError, match="family must be one of 'beta', 'kumaraswamy'"):
        bp.fit(counts, "gamma")


def test_a_generator_is_a_seed_that_goes_on(usual):
    counts = usual[bp.thin]["counts"]
    first, again = (
        [bp.thin(counts, 3, random_seed=rng).successes.tolist() for _ in range(3)]
        for rng in (np.random.default_rng(7), np.random.default_rng(7))
    )
    assert first == again
    assert first[0] != first[1] != first[2]
    fit = usual[bp.forecast]["fit"]
    one, other = (
        bp.forecast(fit, 10, "realised", random_seed=np.random.default_rng(3)) for _ in range(2)
    )
    xr.testing.assert_identical(one, other)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda *_: bp.thin(None, 3), "counts must be a bayespassk.Counts; got NoneType"),
        (lambda *_: bp.load(None), "path must be a path, as text or pathlib.Path; got None"),
        (
            lambda *_: bp.simulate("beta", {"a": 1, "b": 1}, problems=3, attempts=-1),
            "attempts must be a whole number from 0",
        ),
        (
            lambda *_: bp.simulate("beta", {"a": -1, "b": 1}, problems=3, attempts=1),
            "parameters must be the natural ones of beta, in their range",
        ),
        (lambda *_: bp.simulate("beta", {"a": 1}, problems=3, attempts=1), "there is no 'b'"),
        (
            lambda one, _: bp.forecast(one, b"x"),
            "k must be a whole number from 1 to 1e12; got b'x'",
        ),
        (
            lambda one, _: bp.forecast(one, 10, random_seed=-1),
            "random_seed must be a whole number from 0",
        ),
        (
            lambda one, _: bp.summarize(one),
            "forecast must be a DataArray with dims chain, draw, system, k",
        ),
        (
            lambda one, _: bp.summarize(bp.forecast(one, [1, 10]).sel(k=10)),
            r"got chain, draw, system: use .sel\(k=\[...\]\), which keeps the dim",
        ),
        (
            lambda one, _: bp.summarize(bp.forecast(one, 10), prob=None),
            "prob must lie between 0 and 1, for instance 0.95; got None",
        ),
        (
            lambda _, counts: bp.fit(counts, draws=10**12),
            "draws must be a whole number from 1 to 1,000,000",
        ),
        (
            lambda one, _: bp.allocate(one, 10, p="anything"),
            "p must be a number, or one for each row; got 'anything'",
        ),
        (lambda one, _: bp.compare([one, one], exact="x"), "exact must be True or False; got 'x'"),
        (
            lambda _, counts: bp.fit(counts, bp.Beta(log_a=5)),
            "log_a of beta must be a bp.Prior; got 5",
        ),
        (lambda *_: bp.Prior("x", 1), "loc of a prior must be a number; got 'x'"),
    ],
)
def test_an_error_names_the_argument_the_rule_and_the_value(usual, call, said):
    with pytest.raises(bp.errors.InputError, match=said):
        call(usual[bp.forecast]["fit"], usual[bp.thin]["counts"])


COMMANDS = (
    ("forecast",), ("budget",), ("compare-systems",), ("check",), ("compare",), ("plan", "--ask", "5"),
    ("design", "--truths", "2"), ("fit", "-o", "x.nc"), ("report", "-o", "x.json"),
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("option", [("--seed", "-1"), ("--draws", "1000000000000"), ("--chains", "0")])  # fmt: skip
def test_commands_refuse_what_no_function_takes(usual, command, option, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if command[0] == "design" and option[0] != "--seed":
        command = (*command, usual[bp.read]["log"])
    name, *more = command
    log = [] if name == "design" and option[0] == "--seed" else [usual[bp.read]["log"]]
    done = run(name, *dict.fromkeys([*log, *more]), *option, status=2)
    assert done.stdout == ""
    error = done.stderr.splitlines()[-1]
    assert error.startswith("Error: ")
    assert {"--seed": "random_seed", "--draws": "draws", "--chains": "chains"}[option[0]] in error
    assert list(tmp_path.iterdir()) == []
