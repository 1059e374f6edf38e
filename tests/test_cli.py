"""The command line, as its users meet it: with a status, output and errors."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pandas as pd
import pytest

import bayespassk as bp
import made_logs
from bayespassk.cli.demo import _held
from commands import run, run_by_itself

LIGHT = ("--family", "beta", "--pooling", "none")
"""What compiles soonest, for tests that are not about the family."""


@pytest.fixture(scope="module")
def counts_path(counts, tmp_path_factory):
    path = tmp_path_factory.mktemp("counts") / "counts.csv"
    counts.to_dataframe().to_csv(path, index=False)
    return path


def test_counts_to_fit_to_forecast(counts, counts_path, tmp_path):
    fit_path = tmp_path / "fit.nc"
    done = run("fit", counts_path, "-o", fit_path, "--seed", 1)
    assert done.stdout == ""
    assert "integrated exactly" in done.stderr
    done = run_by_itself("forecast", fit_path, "--k", "1,1000,1e6", "--format", "json")
    found = json.loads(done.stdout)
    with warnings.catch_warnings():
        # prior and others weigh 40% in 'small', give or take 7% by the seed: either may be told
        warnings.simplefilter("ignore", bp.errors.ForecastWarning)
        want = bp.summarize(bp.forecast(bp.load(fit_path), [1, 1000, 10**6]))
    assert [row["k"] for row in found["rows"]] == want["k"].tolist()
    assert [row["upper"] for row in found["rows"]] == pytest.approx(want["upper"].tolist())
    assert found["meta"]["input_sha256"] == counts.sha256()
    assert found["meta"]["diagnostics"]["converged"] is True
    # the same from the counts at once, with the same seed
    direct = json.loads(run("forecast", counts_path, "--k", "1,1000,1e6", "--format", "json", "--seed", 1).stdout)  # fmt: skip
    assert direct["rows"] == found["rows"]


def test_a_forecast_that_is_mostly_the_prior_says_so(counts, tmp_path):
    """Of 'small' it weighs 61 to 65% by the seed, after two attempts at each problem."""
    counts_path, fit_path = tmp_path / "few.csv", tmp_path / "few.nc"
    bp.thin(counts, 2, random_seed=1).to_dataframe().to_csv(counts_path, index=False)
    run("fit", counts_path, "-o", fit_path, "--pooling", "none", "--seed", 1)
    said = r"at k = 1,000,000 the prior weighs more than the attempts .* \d\d% for 'small'"
    assert re.search(said, run("forecast", fit_path, "--k", "1,1e6").stderr)
    with pytest.warns(bp.errors.ForecastWarning, match=said):
        bp.forecast(bp.load(fit_path), [1, 10**6])


@pytest.fixture(scope="module")
def lean_path(counts, tmp_path_factory):
    """A fit of few draws: a budget at which systems cross is sought at each of them."""
    path = tmp_path_factory.mktemp("fits") / "lean.nc"
    bp.save(bp.fit(counts, bp.Beta(), pooling="none", draws=250, random_seed=1, progress=False), path)  # fmt: skip
    return path


def test_systems_are_compared_pair_by_pair(lean_path, tmp_path):
    fit_path = lean_path
    done = run("compare-systems", fit_path, "--k", "1,100")
    assert done.stderr == ""
    assert "small minus large, the 128 problems that both attempted" in done.stdout
    assert "large leads at k = 1 with probability > 0.99; if so, small overtakes it" in done.stdout
    assert "integrated exactly" in done.stdout
    out = tmp_path / "out.csv"
    run("compare-systems", fit_path, "--k", "1,100", "--target", "realised", "--format", "csv", "-o", out)  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [(row["a"], row["b"], row["k"]) for row in rows] == [
        ("small", "large", "1"),
        ("small", "large", "100"),
    ]
    done = run("compare-systems", fit_path, "-a", "large", "-b", "small", "--k", 1, "--target", "population", "--prob", 0.5, "--format", "json")  # fmt: skip
    found = json.loads(done.stdout)
    want = bp.summarize_difference(bp.difference(bp.load(fit_path), "large", "small", 1, "population"), 0.5)  # fmt: skip
    assert found["rows"][0]["upper_simultaneous"] == pytest.approx(want["upper_simultaneous"][0])
    assert found["meta"]["interval"] == {"prob": 0.5, "kind": "eti"}
    (pair,) = found["meta"]["pairs"]
    assert pair["crossing"]["rows"][0]["leader"] == "large"
    assert pair["crossing"]["rows"][0]["upper"] is None  # never


@pytest.mark.filterwarnings("ignore::bayespassk.errors.ConvergenceWarning")
def test_of_several_benchmarks_systems_of_the_same_are_compared(tmp_path):
    path = tmp_path / "counts.csv"
    rows = [
        f'{benchmark},"{system}",{problem},20,{successes}'
        for benchmark, systems in {
            "MATH": ["a,1", "b"],
            "code": ["a,1", "c", "b"],
            "one": ["d"],
        }.items()
        for system in systems
        for problem, successes in enumerate([0, 3, 18])
    ]
    path.write_text("\n".join(["benchmark,system,problem,attempts,successes", *rows]))
    done = run("compare-systems", path, *LIGHT, "--k", 10, "--draws", 200, "--chains", 2, "--format", "csv")  # fmt: skip
    found = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["a"], row["b"]) for row in found] == [
        ("MATH/a,1", "MATH/b"), ("code/a,1", "code/c"), ("code/a,1", "code/b"), ("code/c", "code/b")
    ]  # fmt: skip


@pytest.mark.parametrize("target", ["benchmark", "population", "realised"])
def test_formats_and_targets(fit_path, tmp_path, target):
    table = run("forecast", fit_path, "--k", 1000, "--target", target, "--prob", 0.5).stdout
    assert f"target {target}" in table
    assert "50% equal-tailed credible interval" in table
    out = tmp_path / "out.csv"
    done = run("forecast", fit_path, "--k", 1000, "--target", target, "--prob", 0.5, "--format", "csv", "-o", out)  # fmt: skip
    assert done.stdout == ""
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [row["system"] for row in rows] == ["small", "large"]
    assert all(0 < float(row["lower"]) < float(row["upper"]) <= 1 for row in rows)


def test_the_demo_forecasts_a_real_log_and_says_whether_it_was_right():
    done = run("demo")
    assert done.stderr == ""
    assert "50 of them at random (seed 1)" in done.stdout
    table = done.stdout[done.stdout.index("     system") :].split("\n\n")[0]
    rows = pd.read_csv(io.StringIO(table), sep=r"\s+", thousands=",")
    log = bp.load_example("arithmetic")
    assert rows["k"].tolist() == [1, 10, 50, 100, 1000, 10_000]
    assert rows["known"].tolist() == pytest.approx(bp.estimators.chen(log, rows["k"])[0], abs=6e-5)
    exact = [np.mean(1 - (1 - log.covariates["p"]) ** k) for k in rows["k"]]
    assert rows["exact"].tolist() == pytest.approx(exact, abs=6e-5)
    held = ((rows["lower"] <= rows["known"]) & (rows["known"] <= rows["upper"])).sum()
    said = "all 6 k." if held == 6 else f"{held} of 6 k, and missed it at"
    assert f"The band held the known pass@k at {said}" in done.stdout


def test_the_demo_says_where_the_band_missed():
    table = pd.DataFrame({"k": [1, 10, 1000], "lower": [0.1, 0.2, 0.3], "upper": [0.2, 0.3, 0.4]})
    assert (
        _held(table.assign(known=[0.1, 0.25, 0.4])) == "The band held the known pass@k at all 3 k."
    )
    assert _held(table.assign(known=[0.09, 0.25, 0.41])) == (
        "The band held the known pass@k at 1 of 3 k, and missed it at k = 1 (it was too high), "
        "1,000 (it was too low)."
    )


def test_a_fit_that_did_not_converge_gives_status_0_and_a_loud_warning(counts_path):
    done = run("forecast", counts_path, *LIGHT, "--format", "json", "--draws", 20, "--tune", 20, "--k", 10)  # fmt: skip
    assert "WARNING: the fit did not converge" in done.stderr
    diagnostics = json.loads(done.stdout)["meta"]["diagnostics"]
    assert diagnostics["converged"] is False
    assert diagnostics["min_ess"] < 400


def test_advi_from_the_command_line(counts_path):
    done = run("forecast", counts_path, *LIGHT, "--method", "advi", "--k", 100, "--format", "json")
    meta = json.loads(done.stdout)["meta"]
    assert meta["method"] == "advi"
    assert meta["diagnostics"]["pareto_k"] is not None


BAD = {
    "no such file": (["forecast", "none.csv"], "none.csv: cannot be read: No such file"),
    "bad rows": (["forecast", "{bad}"], "successes must not exceed attempts: 1 of 1 rows breaks this"),
    "k of zero": (["forecast", "{counts}", "--k", "0"], "k must be a whole number from 1 to 1e12; got 0"),
    "k of text": (["forecast", "{counts}", "--k", "1,ten"], "separated by commas, as in 1,100,1e6; got 'ten'"),
    "target": (["forecast", "{counts}", "--target", "future"], "target must be 'benchmark', 'population' or 'realised'"),
    "prob": (["forecast", "{counts}", "--prob", "95"], "prob must lie between 0 and 1"),
    "family": (["forecast", "{counts}", "--family", "gamma"], "got 'gamma'"),
    "method": (["fit", "{counts}", "-o", "{out}", "--method", "mle"], "method must be 'auto'"),
    "format": (["forecast", "{counts}", "--format", "xml"], "Invalid value for '--format'"),
    "folder": (["fit", "{counts}", "-o", "nowhere/fit.nc"], "the folder must exist"),
    "sampling a saved fit": (["forecast", "{fit}", "--draws", "10"], "--draws has no meaning for a saved fit"),
    "one system of two": (["compare-systems", "{fit}", "-a", "small"], "-a and -b must be given together"),
    "no such system": (["compare-systems", "{fit}", "-a", "small", "-b", "none"], "b must be one of the systems of the fit, 'small', 'large'; got 'none'"),
    "no such method": (["backtest", "{counts}", "--methods", "plug-in,guess"], "or default; got 'guess'"),
    "nothing hidden": (["backtest", "{counts}", "--n", "100"], "here from 1 to 99, so that some are hidden"),
    "n of text": (["backtest", "{counts}", "--n", "5,ten"], "whole numbers separated by commas, as in 20,100; got '5,ten'"),
    "no truth": (["backtest", "{counts}", "--k", "1000"], "k must be at most 100"),
    "a file for a folder": (["backtest", "{counts}", "-o", "{bad}"], "output must be a folder"),
    "no such log": (["convert", "{text}"], "no known format: it is text. Name the format"),
    "no such format": (["convert", "{counts}", "--log-format", "excel"], "format must be 'auto' or one of 'csv'"),
    "another format's option": (["convert", "{counts}", "--scorer", "x"], "has no option 'scorer'; it knows 'columns'"),
    "pairs": (["convert", "{counts}", "--columns", "attempts"], "must be pairs with '=', separated by commas"),
    "no outcome": (["forecast", "{errored}"], "1 of 3 attempts has none"),
    "errors": (["forecast", "{errored}", "--errors", "ignore"], "errors must be 'raise', 'drop'"),
    "reading a saved fit": (["forecast", "{fit}", "--errors", "drop"], "--errors has no meaning for a saved fit"),
    "no command": (["predict"], "No such command 'predict'"),
    "another netCDF": (["forecast", "{other}"], "not a netCDF file"),
}  # fmt: skip


@pytest.fixture
def places(counts_path, fit_path, tmp_path):
    """What the cases of BAD name in braces."""
    bad, other = tmp_path / "bad.csv", tmp_path / "other.nc"
    bad.write_text("problem,attempts,successes\na,1,2\n")
    other.write_bytes(b"\x89HDF and no more")
    text, errored = tmp_path / "notes.txt", tmp_path / "runs.csv"
    text.write_text("nothing to read")
    errored.write_text("problem,success\na,1\na,0\na,\n")
    return {"bad": bad, "counts": counts_path, "fit": fit_path, "other": other, "out": tmp_path / "fit.nc", "text": text, "errored": errored}  # fmt: skip


def refused(run, case, places):
    """Assert that a command ends with status 2 and the message of this case, and no file."""
    arguments, message = BAD[case]
    done = run(*(a.format(**places) for a in arguments), status=2)
    assert done.stdout == ""
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not places["out"].exists()
    if done.stderr.startswith("Error"):
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gives_status_2_and_one_readable_line(case, places):
    refused(run, case, places)


@pytest.mark.parametrize("case", ["no such file", "no command", "no outcome", "another netCDF"])
def test_bad_input_ends_a_process_without_more(case, places):
    """An error of use, of a file, of its rows, and one that a library reports."""
    refused(run_by_itself, case, places)


@pytest.fixture
def inspect_path(tmp_path):
    path = tmp_path / "log.json"
    path.write_bytes(made_logs.written("inspect", made_logs.inspect_json()))
    return path


def test_convert_writes_the_counts_of_a_log(inspect_path, tmp_path):
    done = run("convert", inspect_path)
    assert [row["successes"] for row in csv.DictReader(io.StringIO(done.stdout))] == ["2", "0", "4"]
    assert f"{inspect_path} read as inspect: 12 attempts, all with an outcome" in done.stderr
    assert "4 attempts a problem, 1 row without success" in done.stderr
    out = tmp_path / "counts.csv"
    done = run("convert", inspect_path, "-o", out, "--system", "mine", "--scorer", "match")
    assert done.stdout == ""
    assert bp.read_csv(out).systems == ("mine",)
    assert "read as inspect, scorer match: " in done.stderr
    log = tmp_path / "bon.jsonl"
    log.write_bytes(made_logs.logs()["best-of-n.log"])
    done = run("convert", log, "-o", out)
    assert "give --stopping batches:2 with it" in done.stderr
    bench = tmp_path / "bench.json"
    bench.write_bytes(made_logs.logs()["livecodebench.log"])
    run("convert", bench, "-o", out, "--covariates", "difficulty")
    kept = bp.read_csv(out, covariates=["difficulty"])
    assert kept.covariates["difficulty"].tolist() == ["easy", "hard", "easy"]


def test_commands_take_logs_and_say_what_they_took_them_for(inspect_path):
    asked = ("--k", 10, "--format", "json", "--draws", 200, "--family", "beta", "--pooling", "none")
    done = run("forecast", inspect_path, *asked, "--system", "mine", "--errors", "drop")
    assert "read as inspect: 12 attempts" in done.stderr
    found = json.loads(done.stdout)
    assert found["rows"][0]["system"] == "mine"
    log = found["meta"]["log"]
    assert (log["format"], log["errors"], log["dropped"]) == ("inspect", "drop", 0)
    assert len(log["sha256"][0]) == 64
    scores = run("backtest", inspect_path, "--methods", "plug-in", "--repeats", 2, "--cores", 1)
    assert "With 2 of 4 attempts at each problem hidden" in scores.stdout
    assert "read as inspect" in scores.stderr


@pytest.mark.parametrize(
    ("module", "name", "options"),
    [
        ("nutpie", "compile_pymc_model", ["--method", "nuts"]),
        ("bayespassk.fitting.lattice", "_lattice", ["--draws", "1000000"]),
    ],
    ids=["compiling", "integrating"],
)
def test_an_interruption_leaves_no_traceback_and_no_file(
    counts_path, tmp_path, module, name, options
):
    """A signal while imports and compilers run, and one while a lattice is summed and drawn from."""
    out = tmp_path / "fit.nc"
    code = (
        f"import os, signal, sys, threading, time, {module} as module\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a job's children ignore it\n"
        "def interrupt(): time.sleep(1.0); os.kill(os.getpid(), signal.SIGINT)\n"
        "thread = threading.Thread(target=interrupt, daemon=True)\n"
        f"original = module.{name}\n"
        "def start(*a, **k):\n"
        "    if not thread.ident: thread.start()\n"
        "    return original(*a, **k)\n"
        f"module.{name} = start\n"
        f"sys.argv = ['bayespassk', 'fit', {str(counts_path)!r}, '-o', {str(out)!r}, *{options!r}]\n"
        "import bayespassk.cli; bayespassk.cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr.splitlines()[-1] == "Interrupted; nothing was written."
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_of_the_sampler_leaves_no_file(counts_path, tmp_path, monkeypatch):
    """A signal while a million draws are made, of a model that this process has compiled."""
    import nutpie

    out, sample = tmp_path / "fit.nc", nutpie.sample

    def interrupt():
        time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGINT)

    def start(*arguments, **options):
        thread = threading.Thread(target=interrupt, daemon=True)
        thread.start()
        return sample(*arguments, **options)

    monkeypatch.setattr(nutpie, "sample", start)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        done = run("fit", counts_path, "-o", out, *LIGHT, "--method", "nuts", "--draws", 1_000_000, status=130)  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1] == "Interrupted; nothing was written."
    assert list(tmp_path.iterdir()) == []


def test_a_backtest_prints_what_it_found_or_keeps_it_in_a_folder(counts_path, tmp_path):
    asked = ("backtest", counts_path, "--methods", "plug-in, log-log", "--repeats", 2, "--cores", 1)
    done = run(*asked)
    assert done.stderr == ""
    assert "With 50 of 100 attempts at each problem hidden" in done.stdout
    assert "## n = 50, k = 100" in done.stdout
    assert "| log-log |" in done.stdout
    done = run(*asked, "--n", "5,10", "--k", "20,100", "-o", tmp_path / "out")
    assert done.stdout == ""
    assert "saved scores.csv and a summary" in done.stderr
    rows = list(csv.DictReader((tmp_path / "out" / "scores.csv").read_text().splitlines()))
    assert len(rows) == 2 * 2 * 2 * 2 * 2
    assert "![Error and coverage](summary.png)" in (tmp_path / "out" / "summary.md").read_text()


@pytest.mark.parametrize("cores", [1, 2])
def test_an_interrupted_backtest_goes_on_from_where_it_was(counts_path, tmp_path, cores):
    code = (
        "import os, signal, sys, bayespassk.cli, bayespassk.running.journal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a job's children ignore it\n"
        "append = bayespassk.running.journal.Journal.append\n"
        "def interrupt(self, line):\n"
        "    append(self, line)\n"
        "    if len(self.lines) == 2: os.kill(os.getpid(), signal.SIGINT)\n"
        "bayespassk.running.journal.Journal.append = interrupt\n"
        f"sys.argv = ['bayespassk', 'backtest', {str(counts_path)!r}, '--methods', 'plug-in', '--n', '5', "
        f"'--repeats', '300', '--cores', '{cores}', '-o', {str(tmp_path)!r}]\n"
        "bayespassk.cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 130, done.stderr
    want = f"Interrupted; what is finished is in {tmp_path}: the same command goes on from there."
    assert done.stderr.splitlines()[-1] == want
    assert (tmp_path / "journal.jsonl").read_text().count("\n") == 3
    run("backtest", counts_path, "--methods", "plug-in", "--n", 5, "--repeats", 4, "--cores", 1, "-o", tmp_path)  # fmt: skip
    assert 4 <= (tmp_path / "journal.jsonl").read_text().count("\n") <= 5


def test_version_and_help():
    assert bp.__version__ in run_by_itself("--version").stdout
    for command in ("fit", "forecast", "convert", "compare-systems", "demo"):
        assert command in run("--help").stdout
        assert "Usage:" in run(command, "--help").stdout


def test_a_verifier_that_is_wrong_has_a_table_of_what_seems_and_what_is(counts_path, tmp_path):
    fit_path = tmp_path / "fit.nc"
    rates = "--true-positive-rate", 0.95, "--false-positive-rate", 0.001
    run("fit", counts_path, "-o", fit_path, "--seed", 1, "--pooling", "none", "--family", "beta", "--draws", 250, *rates)  # fmt: skip
    done = run("forecast", fit_path, "--k", "1,100")
    assert "true-positive rate 0.95, false-positive rate 0.001, the same for all" in done.stdout
    assert "Family verified-beta, of verdicts: a success is what was accepted" in done.stdout
    found = json.loads(run("forecast", fit_path, "--k", "1,100", "--format", "json").stdout)
    fit, rows = bp.load(fit_path), found["rows"]
    assert [row["what"] for row in rows[:7]] == ["apparent"] * 2 + ["true"] * 2 + ["first pass"] * 2 + ["ceiling"]  # fmt: skip
    assert [row["k"] for row in rows[:7]] == [1, 100, 1, 100, 1, 100, None]
    assert found["meta"]["null"] == "the k of a ceiling: attempts without end"
    for what, draws in (
        ("apparent", bp.verifier.apparent_pass_at_k(fit, [1, 100])),
        ("true", bp.verifier.true_pass_at_k(fit, [1, 100])),
        ("first pass", bp.verifier.first_pass_correct_at_k(fit, [1, 100])),
        ("ceiling", bp.verifier.first_pass_ceiling(fit)),
    ):
        got = [row["median"] for row in rows if row["what"] == what]
        assert got == pytest.approx(bp.summarize(draws)["median"].tolist())
    text = run("forecast", fit_path, "--k", "1,100", "--format", "csv").stdout
    table = list(csv.DictReader(io.StringIO(text)))
    assert [row["k"] for row in table[:7]] == ["1", "100", "1", "100", "1", "100", "inf"]


def test_rates_that_mean_nothing_are_refused_before_anything_is_fitted(counts_path, fit_path):
    for arguments, what in (
        ((counts_path, "--false-positive-rate", 1.5), "false_positive_rate must be a number from 0 to 1"),
        ((counts_path, "--true-positive-rate", 0.1, "--false-positive-rate", 0.2), "must be above"),
        ((counts_path, "--false-positive-rate", 0.2, "--family", "beta,kumaraswamy"), "must be one family"),
        ((counts_path, "--false-positive-rate", 0.2, "--target", "realised"), "benchmark or population"),
        ((fit_path, "--false-positive-rate", 0.2), "has no meaning for a saved fit"),
    ):  # fmt: skip
        assert what in run("forecast", *arguments, status=2).stderr


def test_the_family_by_default_is_that_of_the_fit():
    """Named on the command line without importing families, which takes as long as all the rest."""
    from bayespassk.cli.judging import CANDIDATES
    from bayespassk.cli.options import FITTING
    from bayespassk.families import default_family

    assert "family" in FITTING
    shown = run("fit", "--help").stdout
    assert f"[default: {default_family().full_name}]" in " ".join(shown.split())
    assert CANDIDATES.split(",")[0] == default_family().full_name
