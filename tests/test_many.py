"""Many fits: each is what it would be by itself, and what goes wrong with one is its own affair."""

import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayespassk as bp
import made_logs
from bayespassk.counts import Provenance
from bayespassk.running import many
from bayespassk.running.journal import at_work_in
from commands import run, run_by_itself
from made_tasks import Bomb, pretend, score

BETA = {"family": bp.Beta(), "k": [10, 10_000], "progress": False}
HERE = BETA | {"cores": 1}


def made(systems, benchmarks=("b",), attempts=20):
    """Ten problems for each system on each benchmark."""
    rng = np.random.default_rng(1)
    rows = [
        (b, s, i, attempts, rng.binomial(attempts, rng.beta(0.5, 2)))
        for b in benchmarks
        for s in systems
        for i in range(10)
    ]
    return bp.Counts.from_dataframe(
        pd.DataFrame(rows, columns=["benchmark", "system", "problem", "attempts", "successes"])
    )


@pytest.fixture(scope="module")
def log():
    return made(["s1", "s2", "s3"], ["b1", "b2"])


@pytest.fixture(scope="module")
def table(log):
    return bp.fit_many(log, **HERE)


def same(table, other, leave=("seconds", "path")):
    pd.testing.assert_frame_equal(
        table.drop(columns=list(leave)).reset_index(drop=True),
        other.drop(columns=list(leave)).reset_index(drop=True),
    )


def journal(folder):
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()[1:]]


# The table -------------------------------------------------------------------------------------


def test_each_fit_is_what_it_would_be_by_itself(log, table):
    names = [f"{b}/{s}" for b in ("b1", "b2") for s in ("s1", "s2", "s3")]
    assert table["name"].tolist() == names
    assert set(table["status"]) == {"ok"}
    row = table.iloc[4]
    assert (row["benchmark"], row["system"], row["problems"], row["attempts"]) == (
        "b2",
        "s2",
        10,
        200,
    )
    own = log.select("b2/s2")
    assert row["successes"] == own.successes.sum()
    fit = bp.fit(own, bp.Beta(), random_seed=int(row["seed"]), progress=False)
    want = bp.summarize(bp.forecast(fit, [10, 10_000]))
    for k, one in zip((10, 10_000), want.itertuples(), strict=True):
        assert tuple(row[[f"pass@{k}", f"pass@{k}_lower", f"pass@{k}_upper"]]) == (one.mean, one.lower, one.upper)  # fmt: skip
    assert table["seed"].nunique() == 6
    assert table.attrs["family"] == bp.Beta().spec()
    assert table.attrs["options"]["pooling"] == "auto"


def test_nothing_depends_on_what_else_is_fitted_or_where(log, table):
    frame = log.to_dataframe()
    some = bp.Counts.from_dataframe(frame[frame["system"] != "s2"][::-1])
    found = bp.fit_many(some, **BETA, cores=2).sort_values("name")
    same(found, table[table["system"] != "s2"], ["seconds", "path"])


def test_what_is_fitted_together_is_said_by_by(log):
    together = bp.fit_many(log, by="benchmark", **HERE)
    assert together["name"].tolist() == ["b1"] * 3 + ["b2"] * 3
    assert together["system"].tolist() == ["s1", "s2", "s3"] * 2
    assert together["min_ess"].notna().all()  # of pooling
    found = bp.fit_many(log, by=["system", "benchmark"], **HERE)
    assert found["name"][0] == "s1/b1"
    (own,) = bp.fit_many(log.select("b1/s1"), by=(), **HERE)["name"]
    assert own == "all"
    split = log.split("system")
    assert list(split) == [("s1",), ("s2",), ("s3",)]
    assert split["s2",].systems == ("b1/s2", "b2/s2")
    assert log.split(()) == {(): log}


def test_names_of_a_mapping_go_first_and_may_hold_anything(log, tmp_path):
    own = log.select("b1/s1")
    names = ["../up", "..", "a/b", "a b", "a_b", "Ä ✓" * 60, "x", "X", "con", "[red]"]
    found = bp.fit_many(dict.fromkeys(names, own), by=(), **HERE, output=tmp_path / "out")
    assert found["name"].tolist() == names
    paths = [Path(path) for path in found["path"]]
    assert len({path.name.lower() for path in paths}) == len(names)
    assert {path.parent for path in paths} == {tmp_path / "out" / "fits"}
    assert {path.name for path in (tmp_path / "out" / "fits").iterdir()} == {path.name for path in paths}  # fmt: skip
    assert not any(path.name.startswith(".") or len(path.name) > 100 for path in paths)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert bp.fit_many({"key": own}, **HERE)["name"].tolist() == ["key/b1/s1"]


def test_what_is_to_be_said_of_a_fit_is_in_the_table(monkeypatch):
    counts = bp.Counts(problem=["a", "b"] * 3, system=["x", "x", "y", "y", "z", "z"], attempts=[9] * 6, successes=[3, 8, 0, 0, 1, 2])  # fmt: skip
    fit, diagnostics = many.fit, many.diagnostics

    def odd(counts, *args, **options):
        np.log(np.zeros(1))  # any warning counts
        if counts.system[0] == "z":
            raise ZeroDivisionError("by | zero")
        return fit(counts, *args, **options)

    def bad(posterior):
        of_x = posterior["posterior"]["system"].item() == "x"
        return bp.Diagnostics(1.3, 12.0, 2, None, ("x",)) if of_x else diagnostics(posterior)

    monkeypatch.setattr(many, "fit", odd)
    monkeypatch.setattr(many, "diagnostics", bad)
    with pytest.warns(bp.errors.ConvergenceWarning, match=r"1 of 3 fits did not converge \('benchmark/x'\)") as told:  # fmt: skip
        found = bp.fit_many(counts, **HERE)
    assert (told[0].message.max_rhat, told[0].message.min_ess) == (1.3, 12.0)
    assert told[0].message.pareto_k is None
    assert found["status"].tolist() == ["warned", "warned", "failed"]
    assert found["why"][0] == "RuntimeWarning: divide by zero encountered in log"
    assert "1 of 1 systems had no success" in found["why"][1]
    assert found["why"][2] == "ZeroDivisionError: by | zero"
    assert found["converged"].tolist() == [False, True, pd.NA]
    assert found.loc[2, ["problems", "attempts", "successes"]].tolist() == [2, 18, 3]
    assert found.loc[2, ["pass@10", "seed", "max_rhat"]].isna().all()


def test_options_are_those_of_a_fit(log):
    one = log.select("b1/s1")
    found = bp.fit_many(one, **HERE, target="population", prob=0.5, draws=50, chains=2)
    seed = int(found["seed"][0])
    fit = bp.fit(one, bp.Beta(), draws=50, chains=2, random_seed=seed, progress=False)
    want = bp.summarize(bp.forecast(fit, 10, "population"), 0.5)
    assert found["pass@10_upper"][0] == want["upper"][0]
    other = bp.fit_many(one, **HERE, random_seed=2)
    assert other["seed"][0] != seed


BAD = {
    "counts": ({"counts": 3}, "must be a bayespassk.Counts, a mapping .* or the path .*; got 3"),
    "nothing": ({"counts": {}}, "with one at least"),
    "key": ({"counts": {1: made("a")}}, "counts must map names to bayespassk.Counts; got 1"),
    "value": ({"counts": {"a": "b.csv"}}, "got 'a' with 'b.csv'"),
    "by": ({"by": "problem"}, r"'benchmark', 'system', both or none; got \('problem',\)"),
    "by twice": ({"by": ["system", "system"]}, "both or none"),
    "family": ({"family": 3}, "family must be a family"),
    "k": ({"k": 0}, "k must be a whole number"),
    "target": ({"target": "all"}, "target must be"),
    "prob": ({"prob": 95}, "prob must lie"),
    "option": ({"drawz": 5}, "no option 'drawz'; those of a fit are method, pooling"),
    "cores": ({"cores": 0}, "cores must be"),
    "output": ({"output": __file__}, "output must be a folder"),
    "client": ({"client": "tcp://x:1", "cores": None}, "must be a dask.distributed.Client"),
    "both": ({"client": "tcp://x:1"}, "give client or cores, not both"),
    "reading": ({"reading": {"errors": "drop"}}, "reading is about logs"),
    "scorer": ({"reading": {"scorer": lambda *_: 1}, "cores": 2}, "that other processes can import"),
    "no logs": ({"counts": Path(__file__).parent / "nowhere"}, "nowhere: cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD.keys())
def test_what_means_nothing_is_refused_before_anything_is_done(log, options, message, monkeypatch):
    monkeypatch.setattr(many, "_run", lambda *_: pytest.fail("it was not refused"))
    given = {"counts": log, **HERE} | options
    with pytest.raises(bp.errors.InputError, match=message):
        bp.fit_many(given.pop("counts"), **given)


# The folder ------------------------------------------------------------------------------------


@pytest.fixture
def fitted(monkeypatch):
    """The systems that were fitted."""
    names, fit = [], many.fit

    def noting(counts, *args, **options):
        names.append(counts.systems[0])
        return fit(counts, *args, **options)

    monkeypatch.setattr(many, "fit", noting)
    return names


def test_a_folder_keeps_every_fit_as_it_comes(log, table, tmp_path, monkeypatch):
    out = tmp_path / "a" / "b"
    keep, seen = many._Book.keep, []

    def noting(book, task, made):
        keep(book, task, made)
        seen.append((len(journal(out)), len(list((out / "fits").iterdir()))))

    monkeypatch.setattr(many._Book, "keep", noting)
    found = bp.fit_many(log, **HERE, output=out)
    same(found, table)
    assert seen == [(i, i) for i in range(1, 7)]
    assert {path.name for path in out.iterdir()} == {
        ".lock",
        "fits",
        "journal.jsonl",
        "summary.csv",
    }
    for _, row in found.iterrows():
        fit = bp.load(row["path"])
        want = bp.summarize(bp.forecast(fit, [10, 10_000]))
        assert row[["pass@10", "pass@10000"]].tolist() == want["mean"].tolist()
        assert fit.attrs["input_sha256"] == log.select(f"{row['benchmark']}/{row['system']}").sha256()  # fmt: skip
    saved = pd.read_csv(out / "summary.csv", keep_default_na=False, na_values={"max_rhat": ""})
    assert saved.columns.tolist() == found.columns.tolist()
    assert saved["pass@10_lower"].tolist() == found["pass@10_lower"].tolist()


@pytest.mark.parametrize("how", ["cut short", "empty", "of another", "one byte"])
def test_a_kept_fit_is_what_was_kept_or_is_made_again(log, tmp_path, fitted, how):
    first = bp.fit_many(log, **HERE, output=tmp_path)
    paths, kept = [Path(path) for path in first["path"]], Path(first["path"][1]).read_bytes()
    damaged = {
        "cut short": kept[:5000],
        "empty": b"",
        "of another": paths[0].read_bytes(),
        "one byte": kept[:-1] + bytes([kept[-1] ^ 1]),
    }
    paths[1].write_bytes(damaged[how])
    del fitted[:]
    again = bp.fit_many(log, **HERE, output=tmp_path)
    assert fitted == ["s2"]
    same(again, first)
    assert bp.load(paths[1]).attrs["input_sha256"] == bp.load(first["path"][1]).attrs["input_sha256"]  # fmt: skip
    assert paths[1].read_bytes() != damaged[how]


def test_a_line_of_a_journal_that_makes_no_sense_is_done_again(log, tmp_path, fitted):
    one = log.select("b1/s1")
    first = bp.fit_many(one, **HERE, output=tmp_path)
    path = tmp_path / "journal.jsonl"
    header, line = path.read_text().splitlines()
    for change in ({"fit": 7}, {"key": None}, {"systems": "x"}, {"sha256": None}, {"file": "../x"}, {"systems": [{"pass_at_k": [[1]]}]}):  # fmt: skip
        path.write_text(f"{header}\n{json.dumps(json.loads(line) | change)}\n")
        del fitted[:]
        same(bp.fit_many(one, **HERE, output=tmp_path), first)
        assert fitted == ["s1"], change


def test_one_process_at_a_time_works_in_a_folder(log, tmp_path):
    with (
        at_work_in(tmp_path),
        pytest.raises(bp.errors.InputError, match="another process is at work there"),
    ):
        bp.fit_many(log, **HERE, output=tmp_path)
    bp.fit_many(log.select("b1/s1"), **HERE, output=tmp_path)


def test_only_what_is_missing_or_has_changed_is_fitted(log, tmp_path, fitted):
    first = bp.fit_many(log, **HERE, output=tmp_path)
    del fitted[:]
    again = bp.fit_many(log, **HERE, output=tmp_path)
    assert fitted == []
    pd.testing.assert_frame_equal(again, first)
    assert again.attrs == first.attrs
    explicit = bp.fit_many(log, **HERE, output=tmp_path, chains=4, method="auto")
    assert fitted == []
    same(explicit, first)
    frame = log.to_dataframe()
    frame.loc[(frame["system"] == "s3") & (frame["benchmark"] == "b2"), "successes"] = 7
    extra = made(["s9"], ["b1"]).to_dataframe()
    more = bp.Counts.from_dataframe(pd.concat([extra, frame], ignore_index=True))
    found = bp.fit_many(more, **HERE, output=tmp_path)
    assert fitted == ["s9", "s3"]
    same(found[1:6], first[:5])
    assert found["pass@10"][6] != first["pass@10"][5]
    del fitted[:]
    Path(first["path"][1]).unlink()
    bp.fit_many(log.split("benchmark")["b1",], **HERE, output=tmp_path)
    assert fitted == ["s2"]
    for change in ({"k": 10}, {"prob": 0.9}, {"family": bp.Kumaraswamy()}, {"draws": 500}, {"random_seed": 3}):  # fmt: skip
        del fitted[:]
        found = bp.fit_many(log.select("b1/s1"), **HERE | change, output=tmp_path)
        assert fitted == ["s1"], change
        assert len(found) == 1
    assert len(list((tmp_path / "fits").iterdir())) == 7


def test_what_failed_is_tried_again_and_leaves_no_old_file(log, tmp_path, monkeypatch):
    first = bp.fit_many(log, **HERE, output=tmp_path)
    fit = many.fit

    def broken(*_args, **_options):
        raise MemoryError

    monkeypatch.setattr(many, "fit", broken)
    one = log.select("b1/s1")
    found = bp.fit_many(one, **HERE, draws=500, output=tmp_path)
    assert (found["status"][0], found["why"][0], found["path"][0]) == ("failed", "MemoryError: ", "")  # fmt: skip
    assert not Path(first["path"][0]).exists()
    monkeypatch.setattr(many, "fit", fit)
    assert bp.fit_many(one, **HERE, draws=500, output=tmp_path)["status"][0] == "ok"


def test_an_interruption_keeps_what_is_finished(log, table, tmp_path, monkeypatch):
    fit, begun = many.fit, []

    def interrupted(counts, *args, **options):
        begun.append(counts)
        if len(begun) == 4:
            raise KeyboardInterrupt
        return fit(counts, *args, **options)

    monkeypatch.setattr(many, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bp.fit_many(log, **HERE, output=tmp_path)
    assert len(journal(tmp_path)) == len(pd.read_csv(tmp_path / "summary.csv")) == 3
    lines = (tmp_path / "journal.jsonl").read_bytes()
    (tmp_path / "journal.jsonl").write_bytes(lines[:-9])  # and a line was cut short
    same(bp.fit_many(log, **HERE, output=tmp_path), table)
    assert len(begun) == 4 + 4
    assert len(journal(tmp_path)) == 6


def test_other_work_in_the_folder_is_refused(log, tmp_path):
    bp.backtest(log, "plug-in", n=5, k=20, repeats=1, cores=1, output=tmp_path)
    with pytest.raises(
        bp.errors.OptionError, match="holds work with work None, and this has 'fits'"
    ):
        bp.fit_many(log, **HERE, output=tmp_path)


# Logs ------------------------------------------------------------------------------------------


@pytest.fixture
def logs(tmp_path):
    """A folder with six logs, two of them bad, and what is not one."""
    folder = tmp_path / "logs"
    (folder / "monkeys").mkdir(parents=True)
    made(["s1", "s2"]).to_dataframe().to_csv(folder / "a.csv", index=False)
    made(["s1"]).to_dataframe().to_csv(folder / "b.csv", index=False)
    made_logs.write(folder, "he.jsonl_results.jsonl", made_logs.jsonl(made_logs.human_eval()))
    completions = [{"task_id": "x", "completion": "..."}]
    made_logs.write(folder, "he.jsonl", made_logs.jsonl(completions))
    for i in range(3):
        made_logs.write(folder / "monkeys", f"{i}.yaml", made_logs.monkeys_yaml([0, 1, 1]))
    made_logs.write(folder, "bad.json", b'{"neither": "this nor that"}')
    made_logs.write(folder, "cut.csv.gz", b"\x1f\x8b\x08\x00")
    for name in ("README.md", ".hidden.csv"):
        made_logs.write(folder, name, b"problem,attempts,successes\n")
    (folder / "empty").mkdir()
    return folder


def test_each_log_of_a_folder_is_read_and_a_bad_one_is_a_row(logs):
    found = bp.fit_many(logs, **HERE, output=logs / "out")
    assert found["name"].tolist() == [
        "a.csv/b/s1", "a.csv/b/s2", "b.csv/b/s1", "bad.json", "cut.csv.gz",
        "he.jsonl_results.jsonl/benchmark/system", "monkeys/benchmark/system",
    ]  # fmt: skip
    bad = found[found["status"] == "failed"]
    assert bad["name"].tolist() == ["bad.json", "cut.csv.gz"]
    assert "no known format" in bad["why"].iloc[0]
    assert "the compressed file is damaged" in bad["why"].iloc[1]
    assert bad["problems"].isna().all()
    assert found["problems"][6] == 3
    assert found["pass@10"][0] != found["pass@10"][2] or found["seed"][0] != found["seed"][2]
    log = json.loads(bp.load(found["path"][5]).attrs["log"])
    assert log["format"] == "human-eval"
    shorter = ("problem,attempts,successes\nx,9,4\n", "problem,attempts,successes\ny,9,5\n")
    made_logs.write(logs, "bad.json", shorter[0].encode())
    made_logs.write(logs, "b.csv", shorter[1].encode())
    before = len(journal(logs / "out"))
    with pytest.raises(bp.errors.OptionError, match="output must not be the folder of the logs"):
        bp.fit_many(logs, **HERE, output=logs)
    again = bp.fit_many(logs, **HERE, by=(), output=logs / "out")
    assert again["name"].unique().tolist() == ["a.csv", "b.csv", "bad.json", "cut.csv.gz", "he.jsonl_results.jsonl", "monkeys"]  # fmt: skip
    assert len(journal(logs / "out")) == before + 6
    with pytest.raises(bp.errors.InputError, match=r"empty: holds no log: no file with \.csv"):
        bp.fit_many(logs / "empty", **HERE)


def test_options_of_reading_and_covariates_reach_every_log(tmp_path):
    rows = "problem,success,level\n" + "".join(f"{i},{i % 2},{i % 3}\n" for i in range(9))
    (tmp_path / "a.csv").write_text(rows + "9,,1\n")
    found = bp.fit_many(tmp_path, **HERE)
    assert "errors='drop'" in found["why"][0]
    found = bp.fit_many(tmp_path, **HERE, reading={"errors": "drop", "system": "mine"})
    assert (found["name"][0], found["attempts"][0]) == ("a.csv/benchmark/mine", 9)
    counts = made(["s"]).to_dataframe().assign(level=range(10))
    counts.to_csv(tmp_path / "a.csv", index=False)
    found = bp.fit_many(tmp_path, **HERE, covariates="level", method="quadrature")
    assert "takes neither covariates nor" in found["why"][0]  # so that the column was there
    (tmp_path / "b.csv").write_text("problem,attempts,successes\nx,9,4\n")
    found = bp.fit_many(tmp_path, **HERE, covariates="level", method="quadrature")
    assert "a covariate must be a column: 'level' is not" in found["why"][1]


# Processes -------------------------------------------------------------------------------------


def with_bomb(log):
    """The same counts, whose unpacking ends a process."""
    return log.with_provenance(Provenance(format="csv", options={"x": Bomb()}))


def test_a_fit_that_ends_its_process_is_a_row_and_another_process_goes_on(log, tmp_path):
    counts = {"a": log.select("b1/s1"), "bomb": with_bomb(log.select("b1/s2")), "c": log}
    want = bp.fit_many({"a": counts["a"], "c": log}, **HERE)
    found = bp.fit_many(counts, **BETA, cores=2, output=tmp_path)
    assert found["why"][1] == "3 processes ended by themselves at it"
    assert found["status"].tolist() == ["ok", "failed"] + ["ok"] * 6
    same(found.drop(index=1), want)
    assert len(journal(tmp_path)) == 8


def test_so_is_a_log_whose_reading_does(tmp_path):
    for i, response in enumerate(("2", "end")):
        record = {
            "doc_id": 0, "doc": {"question": "1 + 1?"}, "target": "2", "resps": [["3", "2", response]],
            "filtered_resps": ["2"], "filter": "none", "metrics": ["exact_match"], "exact_match": 1.0,
        }  # fmt: skip
        made_logs.write(tmp_path, f"samples_t{i}_2026-01-01T00-00-00.000000.jsonl", made_logs.jsonl([record]))  # fmt: skip
    found = bp.fit_many(tmp_path, **BETA, reading={"scorer": score}, cores=2)
    assert found["successes"].tolist() == [2, pd.NA]
    assert found["why"][1] == "3 processes ended by themselves at it"


# A cluster -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    distributed = pytest.importorskip("distributed")
    dask = pytest.importorskip("dask")
    folder = str(tmp_path_factory.mktemp("dask"))
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0, "temporary-directory": folder}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):  # fmt: skip
        yield client


def test_a_cluster_does_the_same_and_a_fit_that_ends_its_worker_is_a_row(log, tmp_path, client):
    counts = {"": log.select("b1/s1"), "bomb": with_bomb(log.select("b1/s2")), "c": log}
    want = bp.fit_many({"": counts[""], "c": log}, **HERE)
    found = bp.fit_many(counts, **BETA, client=client, output=tmp_path / "out")
    assert "those workers died while running it" in found["why"][1]
    assert found["status"].tolist() == ["ok", "failed"] + ["ok"] * 6
    same(found.drop(index=1), want)


def test_workers_need_the_same_version(log, client):
    client.run(pretend, "0.0.1")
    with pytest.raises(
        bp.errors.OptionError, match=r"all workers must have bayespassk 0\.1\.0.* has 0\.0\.1"
    ):
        bp.fit_many(log, **BETA, client=client)
    client.run(pretend, None)


@contextmanager
def processes(folder):
    """Start a scheduler and two workers, as a user would in three terminals."""
    address = folder / "scheduler.json"

    def start(module, *options):
        command = [sys.executable, "-m", f"distributed.cli.{module}", "--scheduler-file", address, "--dashboard-address", ":0", *options]  # fmt: skip
        return subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)

    started = [start("dask_scheduler", "--port", "0")]
    try:
        started += [start("dask_worker", "--nthreads", "1", "--no-nanny") for _ in range(2)]
        yield address, started
    finally:
        for process in started:
            process.kill()
            process.wait()


def killed_after(process, folder, lines):
    """Kill a process as soon as so many fits are kept; return what to join, and when it was."""
    when = []

    def wait():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            path = folder / "journal.jsonl"
            if path.exists() and len(journal(folder)) >= lines:
                process.send_signal(signal.SIGKILL)
                when.append(len(journal(folder)))
                return
            time.sleep(0.005)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return when


def test_a_worker_or_the_scheduler_may_be_killed_in_the_middle(tmp_path):
    """Nothing is lost, and nothing that was finished is done twice."""
    distributed = pytest.importorskip("distributed")
    counts = made([f"s{i}" for i in range(24)])
    want = bp.fit_many(counts, **HERE)
    out = tmp_path / "out"
    with processes(tmp_path) as (address, (scheduler, worker, _)):
        with distributed.Client(scheduler_file=str(address)) as client:
            client.wait_for_workers(2, timeout=60)
            when = killed_after(worker, out, 6)
            with distributed.get_task_stream(client) as stream:
                found = bp.fit_many(counts, **BETA, client=client, output=out)
            assert 6 <= when[0] < 24
            assert worker.wait(10) == -signal.SIGKILL
            done = [one["key"] for one in stream.data]
        same(found, want)
        assert len({tuple(line["fit"]) for line in journal(out)}) == len(journal(out)) == 24
        assert len({one["worker"] for one in stream.data}) == 2
        # A result that the worker had not yet sent off when it was killed is made again.
        assert len(set(done)) <= len(done) <= 25
        out = tmp_path / "again"
        folder = tmp_path / "logs"
        folder.mkdir()
        counts.to_dataframe().to_csv(folder / "a.csv", index=False)
        where = json.loads(address.read_text())["address"]
        asked = ["batch", folder, "-o", out, "--family", "beta", "--k", "10,1e4", "--scheduler"]
        when = killed_after(scheduler, out, 5)
        broken = run_by_itself(*asked, where, status=2)
        assert "Error: the Dask scheduler cannot be reached any more" in broken.stderr
        assert "Traceback" not in broken.stderr
        before = len(journal(out))
        assert 5 <= when[0] <= before < 24
    done = run(*asked[:-1], "--cores", 1)
    assert "24 fits: 24 ok, 0 warned, 0 failed." in done.stderr
    assert len(journal(out)) == 24
    table = pd.read_csv(out / "summary.csv")
    assert table["system"].tolist() == [f"s{i}" for i in range(24)]


# The command line ------------------------------------------------------------------------------


LIGHT = ("--family", "beta", "--k", "10,1e4")


def test_a_batch_says_what_failed_in_its_status_and_goes_on(logs, tmp_path):
    (logs / "line\nbreak.json").write_text("{}")
    out = tmp_path / "out"
    done = run("batch", logs, "-o", out, *LIGHT, "--cores", 1, status=1)
    assert done.stdout == ""
    said = [line for line in done.stderr.splitlines() if not line.startswith("Fits")]
    first, *failed = said
    assert first == f"{out}: 8 fits: 5 ok, 0 warned, 3 failed. What and why is in summary.csv."
    assert [line.split(":")[1] for line in failed] == [" 'bad.json'", " 'cut.csv.gz'", " 'line\\nbreak.json'"]  # fmt: skip
    for name in ("bad.json", "cut.csv.gz", "line\nbreak.json"):
        (logs / name).unlink()
    done = run("batch", logs, "-o", out, *LIGHT, "--by", "log", "--true-positive-rate", 0.9, "--cores", 1)  # fmt: skip
    assert "4 fits: 4 ok, 0 warned, 0 failed." in done.stderr
    table = pd.read_csv(out / "summary.csv")
    assert table["name"].tolist()[:3] == ["a.csv", "a.csv", "b.csv"]
    assert bp.family_of(bp.load(table["path"][0])).full_name == "verified-beta"


def test_an_interrupted_batch_ends_its_processes_and_goes_on_from_where_it_was(tmp_path):
    logs, out = tmp_path / "logs", tmp_path / "out"
    logs.mkdir()
    made([f"s{i}" for i in range(12)]).to_dataframe().to_csv(logs / "a.csv", index=False)
    code = (
        "import os, signal, sys, bayespassk.cli, bayespassk.running.journal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a job's children ignore it\n"
        "append = bayespassk.running.journal.Journal.append\n"
        "def interrupt(self, line):\n"
        "    append(self, line)\n"
        "    if len(self.lines) == 5: os.kill(os.getpid(), signal.SIGINT)\n"
        "bayespassk.running.journal.Journal.append = interrupt\n"
        f"sys.argv = ['bayespassk', 'batch', {str(logs)!r}, '-o', {str(out)!r}, *{LIGHT!r}, '--cores', '2']\n"
        "bayespassk.cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 130, done.stderr
    want = f"Interrupted; what is finished is in {out}: the same command goes on from there."
    assert done.stderr.splitlines()[-1] == want
    assert len(journal(out)) == 5
    assert len(pd.read_csv(out / "summary.csv")) in (4, 5)
    first = {tuple(line["fit"]): line["seconds"] for line in journal(out)}
    assert "12 fits: 12 ok" in run("batch", logs, "-o", out, *LIGHT, "--cores", 1).stderr
    again = {tuple(line["fit"]): line["seconds"] for line in journal(out)}
    assert len(journal(out)) == len(again) == 12
    assert again | first == again
