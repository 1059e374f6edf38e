"""What commands write, and where: never over what they read, and no terminal is told what to do."""

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from markdown_it import MarkdownIt

import bayespassk as bp
from bayespassk.cli import sources
from commands import run, run_by_itself

LIGHT = ("--family", "beta", "--pooling", "none", "--draws", "25")
NAMES = (
    "\x1b[31mred\x1b]0;owned\x07",
    "\x9b2Jclear",
    "\u202e9.0\u202c",
    "line\nbreak\rover",
    "=cmd|' /C calc'!A0",
)
WRITING = {
    "forecast": ("--k", "10", *LIGHT),
    "budget": LIGHT,
    "fit": LIGHT,
    "check": LIGHT,
    "plan": ("--ask", "5", *LIGHT),
    "convert": (),
    "compare-systems": ("--k", "10", *LIGHT),
    "report": ("--k", "10", *LIGHT),
}  # fmt: skip


def written(path, names=("a", "b")):
    counts = bp.Counts(
        problem=[*map(str, range(8))] * len(names),
        attempts=[9] * 8 * len(names),
        successes=[0, 1, 0, 2, 9, 0, 3, 1] * len(names),
        system=[name for name in names for _ in range(8)],
    )
    counts.to_dataframe().to_csv(path, index=False)
    return path


@pytest.fixture
def log(tmp_path):
    return written(tmp_path / "in.csv")


# What is read is never written over -------------------------------------------------------------


@pytest.mark.parametrize("command", [*WRITING, "design", "independence", "compare"])
@pytest.mark.parametrize("how", ["itself", "another way", "link", "hard link", "through a folder"])
def test_no_command_writes_over_what_it_reads(log, command, how, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = log.read_bytes()
    (tmp_path / "folder").symlink_to(tmp_path)
    name = {
        "itself": log,
        "another way": Path("x") / ".." / "in.csv",
        "link": tmp_path / "link.csv",
        "hard link": tmp_path / "hard.csv",
        "through a folder": tmp_path / "folder" / "in.csv",
    }[how]
    (tmp_path / "x").mkdir()
    (tmp_path / "link.csv").symlink_to(log)
    os.link(log, tmp_path / "hard.csv")
    done = run(command, log, *WRITING.get(command, ()), "-o", name, status=2)
    assert "this command reads" in done.stderr
    assert log.read_bytes() == before
    assert (tmp_path / "link.csv").is_symlink()


def test_figures_do_not_either_and_files_are_written_once(log, tmp_path):
    before = log.read_bytes()
    done = run("check", log, *LIGHT, "--figure", log, status=2)
    assert "this command reads" in done.stderr
    assert log.read_bytes() == before
    done = run("check", log, *LIGHT, "--figure", tmp_path / "x", "-o", tmp_path / "x", status=2)
    assert "would be written twice" in done.stderr


def test_a_log_in_a_folder_that_is_read_is_not_written_over(log, tmp_path):
    before = log.read_bytes()
    done = run("forecast", tmp_path, "-o", log, *LIGHT, status=2)
    assert "is in what this command reads" in done.stderr
    assert log.read_bytes() == before


def test_a_backtest_in_the_folder_of_its_log_leaves_that_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = written(tmp_path / "scores.csv")
    before = log.read_bytes()
    done = run("backtest", "scores.csv", "-o", ".", "--methods", "plug-in", status=2)
    assert "this command reads" in done.stderr
    assert log.read_bytes() == before


def test_no_function_writes_over_the_log_of_a_fit(log, tmp_path):
    before = log.read_bytes()
    fit = bp.fit(bp.read(log), "beta", draws=25, pooling="none", random_seed=1, progress=False)
    (tmp_path / "link.csv").symlink_to(log)
    for path in (log, tmp_path / "link.csv"):
        for write in (lambda path: bp.save(fit, path), lambda path: bp.report(fit, path)):
            with pytest.raises(bp.errors.InputError, match="is the log that this was made from"):
                write(path)
    assert log.read_bytes() == before


def test_a_saved_fit_is_not_written_over_by_what_is_asked_of_it(fit_path):
    for command, more in (
        ("forecast", ()),
        ("check", ()),
        ("budget", ()),
        ("design", ("--of-system", "small")),
    ):
        done = run(command, fit_path, *more, "-o", fit_path, status=2)
        assert "this command reads" in done.stderr
    bp.load(fit_path)


# Names say what is in a file ----------------------------------------------------------------------


def test_a_name_says_which_format_a_table_has(log, tmp_path):
    def text(name, *more):
        run("forecast", log, *WRITING["forecast"], "-o", tmp_path / name, *more)
        return (tmp_path / name).read_text()

    assert json.loads(text("out.json"))["rows"][0]["system"] == "a"
    assert json.loads(text("OUT.JSON")) == json.loads(text("out.json"))
    assert text("out.csv").startswith("system,n,k,k/n,mean,")
    assert "credible interval" in text("out.txt")
    assert text("explicit.csv", "--format", "table") == text("out.txt")
    assert text("plain", "--format", "json") == text("out.json")


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("fit", "fit.csv"), ("fit", "fit.json"), ("convert", "counts.json"), ("convert", "c.parquet"),
        ("plan", "plan.json"), ("forecast", "out.html"), ("forecast", "out.nc"), ("budget", "out.tex"),
    ],
)  # fmt: skip
def test_a_name_that_says_what_is_not_written_is_refused(log, tmp_path, command, name):
    done = run(command, log, *WRITING[command], "-o", tmp_path / name, status=2)
    assert "its name says that it is" in done.stderr
    assert not (tmp_path / name).exists()


# Devices, pipes, modes ---------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="has the devices of Linux")
@pytest.mark.parametrize("command", ["forecast", "fit", "convert"])
def test_devices_and_links_stay_what_they_are(log, command, tmp_path):
    run(command, log, *WRITING[command], "-o", os.devnull)
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    real = tmp_path / "real"
    real.touch(mode=0o600)
    (tmp_path / "link").symlink_to(real)
    run(command, log, *WRITING[command], "-o", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert real.stat().st_size > 100
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    done = run(command, log, *WRITING[command], "-o", "/dev/full", status=2)
    assert (
        done.stderr.splitlines()[-1]
        == "Error: /dev/full: cannot be written: No space left on device"
    )


@pytest.mark.skipif(os.name != "posix", reason="has named pipes")
def test_a_named_pipe_is_written_to_and_not_read_from(log, tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    run("convert", log, "-o", pipe)
    reader.join(30)
    assert read == [log.read_text()]
    done = run("forecast", pipe, status=2)
    assert (
        done.stderr
        == f"Error: {pipe}: is no file or folder, but a pipe, which can be read only once. Save what comes out of it to a file\n"
    )
    with pytest.raises(bp.errors.FitFileError, match="is no file"):
        bp.load(pipe)


@pytest.mark.skipif(sys.platform != "linux", reason="has the devices of Linux")
def test_a_full_standard_output_ends_with_one_line(log):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bayespassk", "convert", log], stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "Error: standard output: No space left on device\n"


# Terminals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [one for one in WRITING if one not in ("fit", "report")])
@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_nothing_that_a_terminal_would_obey_reaches_one(tmp_path, command, form):
    more = () if command in ("plan", "convert") else ("--format", form)
    log = written(tmp_path / "in.csv", NAMES)
    done = run(command, log, *WRITING[command], *more)
    for text in (done.stdout, done.stderr):
        assert harmless(text)


def harmless(text):
    return not set(text) & {*map(chr, (*range(9), *range(11, 32), *range(127, 160))), *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u2028\u2029"}  # fmt: skip


def test_files_have_names_as_they_are(tmp_path):
    log = written(tmp_path / "in.csv", NAMES)
    run("convert", log, "-o", tmp_path / "out.csv")
    assert bp.read_csv(tmp_path / "out.csv").systems == NAMES
    run("forecast", log, *WRITING["forecast"], "-o", tmp_path / "out.json")
    assert [
        row["system"] for row in json.loads((tmp_path / "out.json").read_text())["rows"]
    ] == list(NAMES)


@pytest.mark.parametrize("name", ["\x1b[31mx.csv", "\u202ex.csv", "a\nError: fine", "\x9bx"])
def test_errors_are_one_line_that_no_terminal_obeys(tmp_path, name):
    for arguments in (
        ("forecast", tmp_path / name),
        ("forecast", "x", "y", name),
        (name,),
        ("forecast", "x", f"--{name}"),
        ("fit", written(tmp_path / "in.csv"), "--family", name, "-o", tmp_path / "fit.nc"),
        ("forecast", tmp_path / "in.csv", "-o", tmp_path / name / "x"),
        ("convert", tmp_path / "in.csv", "--columns", f"n={name},c=successes"),
    ):
        done = run(*arguments, status=2)
        assert harmless(done.stderr)
        assert "Error" in done.stderr
        assert not any(line.startswith("Error: fine") for line in done.stderr.splitlines())


def test_reports_keep_names_from_obeying_and_spreadsheets_from_computing(tmp_path):
    log = written(tmp_path / "in.csv", (NAMES[0] + NAMES[2], NAMES[4]))
    for form in ("csv", "tex", "md", "html"):
        run("report", log, *WRITING["report"], "-o", tmp_path / f"r.{form}")
    text = (tmp_path / "r.csv").read_text()
    assert ",'=cmd|' /C calc'!A0," in text
    for form in ("tex", "md", "html"):
        assert harmless((tmp_path / f"r.{form}").read_text()), form


# Long work ---------------------------------------------------------------------------------------


def test_long_work_is_announced_unless_that_is_not_wanted(log, monkeypatch):
    monkeypatch.setattr(sources, "LONG", 0.0)
    done = run("forecast", log, *WRITING["forecast"])
    assert (
        "Fitting beta to 2 systems with 16 problems in all, by quadrature: this should take about 1 s."
        in done.stderr
    )
    for quiet in ("-q", "--quiet"):
        done = run("forecast", log, *WRITING["forecast"], quiet)
        assert "Fitting" not in done.stderr
        done = run(quiet, "forecast", log, *WRITING["forecast"])
        assert "Fitting" not in done.stderr
    assert "Fitting" in run("forecast", log, *WRITING["forecast"]).stderr  # the next is not quiet


def test_what_is_expected_grows_with_what_is_asked():
    few, many = (sources._expected(4, n, lattice=True, pooled=True) for n in (2, 500))
    assert few < 10
    assert 60 < many < 600
    assert sources._expected(2, 10, True, False) < sources._expected(2, 10, True, True)
    assert sources._expected(2, 10, False, True) < sources._expected(5, 10, False, True)


def test_quiet_leaves_warnings_and_errors(log, tmp_path):
    done = run("fit", log, *LIGHT, "-o", tmp_path / "fit.nc", "--quiet")
    assert done.stderr == ""
    log.write_text("problem,attempts,successes\na,9,0\nb,9,0\n")
    done = run("forecast", log, *LIGHT, "--k", "10", "--quiet")
    assert "WARNING" in done.stderr
    assert "Error" in run("forecast", "nowhere.csv", "-q", status=2).stderr


def test_every_command_can_be_quiet():
    assert "--quiet" in run_by_itself("--help").stdout
    for command in (*WRITING, "batch", "backtest", "demo", "families"):
        assert "--quiet" in run(command, "--help").stdout


def test_a_forecast_may_be_a_figure_and_a_table_for_a_paper(counts, tmp_path):
    path = tmp_path / "counts.csv"
    named = counts.to_dataframe().assign(system=lambda rows: rows["system"] + " 50% $x_1$ & |y|")
    named.to_csv(path, index=False)
    usual = ["forecast", path, "--family", "beta", "--pooling", "none", "--k", "10,100,1e6"]
    for name, begins in (("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF")):
        run(*usual, "--figure", tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(begins)
    run(*usual, "-o", tmp_path / "a.tex")
    source = (tmp_path / "a.tex").read_text()
    assert r"\label{tab:passk-benchmark}" in source
    assert "128 problems, n = 100 attempts at each. Target benchmark: the mean over" in source
    assert r"$k/n$ &  & within & within & 10,000 \\" in source
    assert r"small 50\% \$x\_1\$ \& \textbar{}y\textbar{} & 100 & 0." in source
    table = MarkdownIt().enable("table").render(run(*usual, "--format", "md").stdout)
    assert table.count("<tr>") == 3
    assert '<th style="text-align:right">k = 1,000,000 (10,000 n)</th>' in table
    assert "small 50% $x_1$ &amp; |y|" in table


def test_no_figure_of_several_quantities(counts, tmp_path):
    path = tmp_path / "counts.csv"
    counts.to_dataframe().to_csv(path, index=False)
    usual = ["forecast", path, "--family", "beta", "--pooling", "none", "--k", "10"]
    done = run(*usual, "--false-positive-rate", 0.01, "--figure", tmp_path / "a.png", status=2)
    assert "'bayespassk report' draws them" in done.stderr


def test_a_shell_completes_values():
    from bayespassk.cli import cli

    def completed(*words):
        found = ShellComplete(cli, {}, "bayespassk", "_BAYESPASSK_COMPLETE")
        return [one.value for one in found.get_completions(list(words[:-1]), words[-1])]

    assert completed("forecast", "--target", "") == ["benchmark", "population", "realised"]
    assert completed("compare", "--families", "beta,kum") == ["beta,kumaraswamy"]
    assert completed("fit", "--pooling", "w") == ["within"]
