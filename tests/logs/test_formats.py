"""Every format is recognised, read, and checked; a reader never guesses."""

import gzip
import json
import pickle
import zipfile

import numpy as np
import pytest

import bayespassk as bp
import made_logs as made
from made_logs import of, write

EXPECTED = {
    "lm-eval.log": {"a": (1, 1), "β ✓": (1, 0), "c/d": (1, 1)},
    "best-of-n.log": {"0": (4, 1), "1": (2, 1), "2": (4, 0)},
    "swe-bench.log": {"a": (1, 1), "β ✓": (1, 0), "c/d": (1, 1)},
    "monkeys.yaml": {"monkeys": (4, 2)},
    "monkeys.log": {"0": (4, 2), "1": (4, 0), "2": (4, 4)},
    "monkeys.parquet": {"0": (4, 2), "1": (4, 0), "2": (4, 4)},
    "matrix.npy": {"0": (4, 2), "1": (4, 0), "2": (4, 4)},
}  # fmt: skip


@pytest.mark.parametrize("name", made.logs())
def test_a_log_is_recognised_and_read(tmp_path, name):
    path = write(tmp_path, name, made.logs()[name])
    counts = bp.read(path, **made.options_of(name))
    assert of(counts) == EXPECTED.get(name, made.COUNTS)
    assert counts.provenance.format == made.format_of(name)
    assert counts.provenance.files == (str(path),)
    attempts = sum(n for n, _ in of(counts).values())
    assert (counts.provenance.attempts, counts.provenance.errored) == (attempts, 0)
    named = bp.read(path, made.format_of(name), **made.options_of(name))
    assert named.sha256() == counts.sha256()


@pytest.mark.parametrize("name", made.logs())
def test_names_can_be_given(tmp_path, name):
    path = write(tmp_path, name, made.logs()[name])
    counts = bp.read(path, system="mine", benchmark="ours", **made.options_of(name))
    assert (set(counts.system), set(counts.benchmark)) == ({"mine"}, {"ours"})
    assert of(counts) == EXPECTED.get(name, made.COUNTS)


LINES = [name for name in made.logs() if name.endswith((".log", ".csv", ".yaml"))]


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("dress", ["byte order mark", "windows", "no last line end", "gzip"])
def test_text_comes_in_any_dress(tmp_path, name, dress):
    content = made.logs()[name]
    dressed = {
        "byte order mark": b"\xef\xbb\xbf" + content,
        "windows": content.replace(b"\n", b"\r\n"),
        "no last line end": content.rstrip(b"\n"),
        "gzip": gzip.compress(content),
    }[dress]
    counts = bp.read(write(tmp_path, name, dressed), **made.options_of(name))
    assert of(counts) == EXPECTED.get(name, made.COUNTS)


def test_provenance_goes_with_the_counts(tmp_path):
    path = write(
        tmp_path, "x.jsonl", made.jsonl([*made.human_eval(), {"task_id": "a", "passed": None}])
    )
    counts = bp.read(path, errors="drop")
    where = counts.provenance
    assert len(where.sha256[0]) == 64
    assert (where.attempts, where.errored, where.missing, where.dropped) == (13, 1, 0, 1)
    assert str(where) == f"{path} read as human-eval: 13 attempts, 1 without an outcome left out"
    assert counts.select("system").provenance == where
    assert bp.thin(counts, 2, random_seed=1).provenance == where
    assert pickle.loads(pickle.dumps(counts)).provenance == where  # noqa: S301 -- our own
    assert json.loads(where.to_json())["dropped"] == 1
    assert counts.sha256() == bp.Counts.from_dataframe(counts.to_dataframe()).sha256()
    assert bp.Counts(problem=["a"], attempts=[1], successes=[1]).provenance is None


# Attempts without an outcome -------------------------------------------------------------------


def without_outcome():
    """Return logs of which one attempt has no outcome, and another is missing if that shows."""
    human = made.human_eval()
    human[1]["passed"] = None
    evalplus = made.evalplus()
    evalplus["eval"]["a"][1] |= {"base_status": None, "plus_status": None}
    harness = made.lm_eval()
    harness[1]["exact_match"] = float("nan")
    bench = made.live_code_bench()
    bench[0]["graded_list"][1] = None
    inspect = made.inspect_json()
    inspect["samples"][1]["scores"] = {}
    inspect["samples"][1]["error"] = {"message": "boom"}
    return {
        "human-eval": made.written("human-eval", human),
        "evalplus": made.written("evalplus", evalplus),
        "lm-eval": made.written("lm-eval", harness),
        "livecodebench": made.written("livecodebench", bench),
        "inspect": made.written("inspect", inspect),
        "csv": made.long_table().replace(b'a",1,0', b'a",1,'),
    }


@pytest.mark.parametrize(("name", "content"), without_outcome().items(), ids=without_outcome())
def test_attempts_without_an_outcome_are_not_guessed(tmp_path, name, content):
    path, options = write(tmp_path, "log", content), made.OPTIONS.get(name, {})
    problem = "β ✓" if name == "lm-eval" else "a"
    with pytest.raises(
        bp.errors.CountsError,
        match=r"every attempt must have an outcome: 1 of \d+ attempts has none .1 ended.*0 were planned.*the first is .*errors='fail'.*errors='drop'",
    ) as caught:
        bp.read(path, **options)
    assert caught.value.rows == 1
    whole = {"lm-eval": 1}.get(name, 4)
    dropped = bp.read(path, errors="drop", **options)
    failed = bp.read(path, errors="fail", **options)
    assert of(dropped)[problem][0] == whole - 1
    assert of(failed)[problem][0] == whole
    assert of(dropped)[problem][1] == of(failed)[problem][1]
    assert (dropped.provenance.dropped, failed.provenance.dropped) == (1, 0)
    assert len(dropped) == 3  # a problem is there, even if no attempt at it has an outcome


def test_planned_attempts_that_are_not_there_are_missing(tmp_path):
    cut = made.inspect_json() | {"status": "cancelled"}
    cut["samples"] = [one for one in cut["samples"] if (one["id"], one["epoch"]) < ("c/d", 3)]
    gone = sum(1 for one in made.inspect_samples()) - len(cut["samples"])
    path = write(tmp_path, "log.json", made.written("inspect", cut))
    with pytest.raises(
        bp.errors.CountsError,
        match=rf"{gone} of 12 attempts have none \(0 ended .* {gone} were planned",
    ):
        bp.read(path)
    assert bp.read(path, errors="drop").provenance.missing == gone
    assert sum(n for n, _ in of(bp.read(path, errors="fail")).values()) == 12
    best = [one for one in made.best_of_n() if (one["i"], one["n"]) != (2, 1)]
    path = write(tmp_path, "log.jsonl", made.jsonl(best))
    with pytest.raises(
        bp.errors.CountsError,
        match=r"1 of 10 attempts has none .*problem '2', whose last attempt is 3",
    ):
        bp.read(path)


def test_early_stopping_of_inspect_is_a_stopping_rule(tmp_path):
    log = made.inspect_json()
    log["samples"] = log["samples"][:5]
    log["results"]["early_stopping"] = {"manager": "m", "early_stops": [], "metadata": {}}
    counts = bp.read(write(tmp_path, "log", made.written("inspect", log)))
    assert counts.stopping == "adaptive"
    assert of(counts) == {"a": (4, 2), "β ✓": (1, 0), "c/d": (0, 0)}


# Scores that are not 0 or 1 --------------------------------------------------------------------


def graded():
    """Return logs with scores 0.25, 0.5, 0.75 and 1 at a problem."""
    scores = [0.25, 0.5, 0.75, 1]
    inspect = made.inspect_json()
    for one in inspect["samples"]:
        one["scores"]["match"]["value"] = scores[one["epoch"] - 1]
    harness = [
        one | {"doc_id": i, "exact_match": s}
        for i, s in enumerate(scores)
        for one in made.lm_eval()[:1]
    ]
    rows = "".join(f"a,{one}\n" for one in scores)
    return {
        "inspect": made.written("inspect", inspect),
        "lm-eval": made.jsonl(harness),
        "csv": f"problem,success\n{rows}".encode(),
        "parquet": made.parquet([{"problem": "a", "success": float(one)} for one in scores]),
    }


@pytest.mark.parametrize("content", graded().values(), ids=graded())
def test_scores_that_are_not_0_or_1_need_a_threshold(tmp_path, content):
    path = write(tmp_path, "log", content)
    with pytest.raises(
        bp.errors.CountsError,
        match=r"scores must be 0 or 1.*\d+ of \d+ attempts break this, the first is .*0\.25.*threshold=0\.5",
    ):
        bp.read(path)
    for threshold, share in [(0.5, 0.75), (0.51, 0.5), (1, 0.25)]:
        counts = bp.read(path, threshold=threshold)
        assert counts.successes.sum() / counts.attempts.sum() == share
    counts = bp.read(path, values={0.25: 0, "0.5": True, 0.75: 0})
    assert counts.successes.sum() / counts.attempts.sum() == 0.5
    assert counts.provenance.options == {"values": "0.25=0,0.5=True,0.75=0"}


def test_words_of_inspect_are_what_its_metrics_take_them_for(tmp_path):
    def scored(*values, **options):
        log = made.inspect_json()
        log["eval"]["dataset"]["sample_ids"], log["eval"]["config"] = None, {}
        log["samples"] = [made.inspect_samples()[i] for i in range(len(values))]
        for one, value in zip(log["samples"], values, strict=True):
            one["scores"]["match"]["value"] = value
        return bp.read(write(tmp_path, "log", made.written("inspect", log)), **options)

    assert of(scored("C", "N", "I")) == {"a": (3, 1)}
    assert of(scored(True, 0, 1.0)) == {"a": (3, 2)}
    assert of(scored("yes", "No", "1")) == {"a": (3, 2)}
    with pytest.raises(bp.errors.CountsError, match=r"scores must be 0 or 1.*epoch 2: 'P'"):
        scored("C", "P")
    assert of(scored("C", "P", threshold=0.5)) == {"a": (2, 2)}
    assert of(scored("C", "P", values={"P": 0})) == {"a": (2, 1)}
    for value in ("c", "correct", [1, 0], ""):
        with pytest.raises(
            bp.errors.CountsError, match=r"scores must be numbers, or values must be given.*values="
        ):
            scored("C", value)
    assert of(scored("C", "correct", values={"correct": 1})) == {"a": (2, 2)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": float("nan")}, "threshold must be a finite number"),
        ({"threshold": "0.5"}, "threshold must be a finite number"),
        ({"values": {"P": 0.5}}, "values must say 0 or 1 for each score.*got 0.5 for 'P'"),
        ({"errors": "ignore"}, "errors must be 'raise', 'drop'.*got 'ignore'"),
        ({"filter": "x"}, r"an Inspect log \(format 'inspect'\) has no option 'filter'; it knows 'scorer', 'threshold', 'values'"),
        ({"stopping": "never"}, "stopping must be"),
        ({"format": "excel"}, "format must be 'auto' or one of 'csv', 'parquet'.*got 'excel'"),
    ],
)  # fmt: skip
def test_options_are_checked(tmp_path, options, message):
    path = write(tmp_path, "log", made.logs()["inspect.eval"])
    with pytest.raises(bp.errors.OptionError, match=message):
        bp.read(path, **options)


@pytest.mark.parametrize("name", made.logs())
def test_every_format_says_which_options_it_knows(tmp_path, name):
    path = write(tmp_path, name, made.logs()[name])
    with pytest.raises(bp.errors.OptionError, match="has no option 'colour'; it knows "):
        bp.read(path, colour="red")


# Several things to choose from -----------------------------------------------------------------


def test_several_scorers_are_named(tmp_path):
    entries = made.inspect_entries()
    for one in entries["summaries.json"]:
        one["scores"]["judge"] = {"value": {"tone": 1, "fact": 0}}
    path = write(tmp_path, "log.eval", made.zipped(entries))
    with pytest.raises(
        bp.errors.CountsError,
        match=r"choose scorer= one of 'match', 'judge\.tone', 'judge\.fact' \(--scorer match\)",
    ):
        bp.read(path)
    assert of(bp.read(path, scorer="judge.tone")) == dict.fromkeys(made.COUNTS, (4, 4))
    with pytest.raises(bp.errors.CountsError, match=r"no scorer 'judge'; it has 'match'"):
        bp.read(path, scorer="judge", errors="drop")


def test_several_metrics_are_named(tmp_path):
    records = [
        one | {"metrics": ["acc", "acc_norm"], "acc": 1.0, "acc_norm": 0.0}
        for one in made.lm_eval()
    ]
    path = write(tmp_path, "log.jsonl", made.jsonl(records))
    with pytest.raises(bp.errors.CountsError, match="choose metric= one of 'acc', 'acc_norm'"):
        bp.read(path)
    assert bp.read(path, metric="acc").successes.sum() == 3
    assert bp.read(path, metric="acc_norm").successes.sum() == 0
    with pytest.raises(
        bp.errors.CountsError, match="no metric 'doc': line 1 has 'acc', 'acc_norm'"
    ):
        bp.read(path, metric="doc")


def test_older_samples_of_the_harness_say_less(tmp_path):
    records = [
        {k: v for k, v in one.items() if k not in ("metrics", "filter")} for one in made.lm_eval()
    ]
    assert bp.read(write(tmp_path, "log", made.jsonl(records))).successes.sum() == 2


def test_multiple_choice_has_several_requests_and_one_attempt(tmp_path):
    records = [one | {"resps": [[[-1.5, False]], [[-0.5, True]]]} for one in made.lm_eval()]
    path = write(tmp_path, "log", made.jsonl(records))
    assert bp.read(path).attempts.tolist() == [1, 1, 1]
    with pytest.raises(bp.errors.CountsError, match=r"a scorer needs one request .* line 1 has 2"):
        bp.read(path, scorer=lambda *_: 1)
    with pytest.raises(bp.errors.OptionError, match="scorer must be a function"):
        bp.read(path, scorer="exact_match")


def test_old_results_of_evalplus(tmp_path):
    for value in (
        {
            "nfiles": 2,
            "base": [["pass", []], ["fail", [True]]],
            "plus": [["fail", []], ["fail", []]],
        },
        [["pass", "fail"], ["fail", "fail"]],
    ):
        path = write(tmp_path, "log", json.dumps({"eval": {"T/0": value}}).encode())
        assert of(bp.read(path, tests="base")) == {"T/0": (2, 1)}
        assert of(bp.read(path, tests="plus")) == {"T/0": (2, 0)}
    path = write(tmp_path, "log", b'{"eval": {"T/0": [["pass", []], ["timeout", []]]}}')
    assert of(bp.read(path)) == {"T/0": (2, 1)}


# The same attempt twice ------------------------------------------------------------------------


def repeated():
    inspect = made.inspect_json()
    inspect["samples"].append(inspect["samples"][0])
    bench = made.live_code_bench()
    return {
        "inspect": (made.written("inspect", inspect), r"1 of 13 attempts is there again, .*problem='a', attempt=1"),
        "lm-eval": (made.jsonl([*made.lm_eval(), made.lm_eval()[1]]), "1 of 4 attempts is there again.*'β ✓'"),
        "best-of-n": (made.jsonl([*made.best_of_n(), made.best_of_n()[2]]), r"attempt 11 of the log: .*problem='0', attempt=2"),
        "csv": (made.long_table() + b"sys,a,1,1\nsys,a,2,1\n", r"2 of 14 attempts are there again, .*attempt 13 of the log: .*problem='a', attempt='1'"),
        "livecodebench": (json.dumps([*bench, bench[0]]).encode(), "each question must occur once: 'a'"),
        "monkeys": (made.jsonl([*made.monkeys_rows(), made.monkeys_rows()[0]]), "line 4: each problem must occur once: 0"),
        "evalplus": (b'{"eval": {"a": [], "a": []}}', "the key 'a' occurs twice"),
    }  # fmt: skip


@pytest.mark.parametrize("name", repeated())
def test_the_same_attempt_twice_is_refused(tmp_path, name):
    content, message = repeated()[name]
    with pytest.raises(bp.errors.CountsError, match=message):
        bp.read(write(tmp_path, "log", content), **made.OPTIONS.get(name, {}))


# Stopping rules --------------------------------------------------------------------------------


def best_of_n(**problems):
    """Return a log from the number of attempts and the place of the first success of problems."""
    return made.jsonl(
        {"i": name, "n": n, "flagged": n == first}
        for name, (size, first) in problems.items()
        for n in range(size)
    )


def test_the_size_of_a_batch_follows_from_the_log(tmp_path):
    path = write(tmp_path, "log", best_of_n(a=(10, 6), b=(5, 0), c=(20, None)))
    assert bp.read(path).stopping == "batches:5"
    assert bp.read(path, stopping="adaptive").stopping == "adaptive"
    path = write(tmp_path, "log", best_of_n(a=(10, 9), b=(20, 19), c=(30, None)))
    with pytest.raises(
        bp.errors.CountsError,
        match=r"how many attempts were made at a time: 1, 2, 5, 10 are possible.*batch=60",
    ):
        bp.read(path)
    assert bp.read(path, batch=10).stopping == "batches:10"
    path = write(tmp_path, "log", best_of_n(a=(10, 3), b=(5, 0), c=(20, None)))
    with pytest.raises(
        bp.errors.CountsError,
        match=r"must end with the first batch that holds a success.*stopping='fixed'",
    ):
        bp.read(path)
    with pytest.raises(bp.errors.CountsError, match="any are possible"):
        bp.read(write(tmp_path, "log", best_of_n(a=(10, None), b=(10, None))))
    with pytest.raises(bp.errors.OptionError, match="batch must be a whole number"):
        bp.read(path, batch=0)


def test_a_batch_cut_by_the_cap_is_allowed(tmp_path):
    path = write(tmp_path, "log", best_of_n(a=(8, 7), b=(4, 0), c=(10, None)))
    assert bp.read(path).stopping == "batches:4"


# Tables and matrices ---------------------------------------------------------------------------


def test_columns_are_renamed_by_request_only(tmp_path):
    path = write(tmp_path, "x.csv", b"task,n,c\na,4,2\nb,4,0\n")
    with pytest.raises(
        bp.errors.CountsError,
        match=r"problem, attempts, successes are not; the columns found are 'task', 'n', 'c'.*columns=",
    ):
        bp.read(path)
    counts = bp.read(path, columns={"task": "problem", "n": "attempts", "c": "successes"})
    assert of(counts) == {"a": (4, 2), "b": (4, 0)}
    assert counts.provenance.options == {"columns": "task=problem,n=attempts,c=successes"}
    with pytest.raises(bp.errors.CountsError, match="columns names 'N', which is not there"):
        bp.read(path, columns={"N": "attempts"})
    with pytest.raises(
        bp.errors.OptionError, match=r"one of benchmark, system, problem.*got 'tries' for 'n'"
    ):
        bp.read(path, columns={"n": "tries"})
    with pytest.raises(bp.errors.OptionError, match="must give each name once"):
        bp.read(path, columns={"n": "attempts", "c": "attempts"})


BAD_TABLES = {
    "both forms": ("problem,attempts,successes,success\na,1,1,1\n", "this has both"),
    "no problem": ("attempt,success\n1,1\n", "the column problem must be there"),
    "double": ("problem,success,success\na,1,1\n", "a column must be there once: success"),
    "long row": ("problem,attempts,successes\na,b,3,1\nc,3,1\n", "one has more"),
    "blank name": ("problem,success\n,1\n", "problem must not be missing: .* row 1"),
    "blank attempt": (
        "problem,attempt,success\na,1,1\na,,1\n",
        "attempt must not be missing: .* row 2",
    ),
    "a word": (
        "problem,success\na,1\na,maybe\n",
        r"scores must be numbers.* 1 of 2 .*row 2: 'maybe'",
    ),
    "header only": ("problem,success\n", "there must be at least one row"),
}


@pytest.mark.parametrize(("content", "message"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_bad_tables(tmp_path, content, message):
    with pytest.raises(bp.errors.CountsError, match=f"x.csv: .*{message}"):
        bp.read(write(tmp_path, "x.csv", content.encode()))


def test_covariates_are_kept(tmp_path):
    path = write(tmp_path, "x.csv", b"problem,attempts,successes,level\na,4,2,1\nb,4,0,5\n")
    assert bp.read(path, covariates="level").covariates["level"].tolist() == [1, 5]
    path = write(
        tmp_path,
        "x.parquet",
        made.parquet([{"problem": "a", "attempts": 4, "successes": 2, "level": "x"}]),
    )
    assert bp.read(path, covariates=["level"]).covariates["level"].tolist() == ["x"]
    path = write(tmp_path, "x", made.logs()["livecodebench.log"])
    counts = bp.read(path, covariates=["difficulty", "platform"])
    assert counts.covariates["difficulty"].tolist() == ["easy", "hard", "easy"]
    assert counts.benchmarks == ("LiveCodeBench",)
    with pytest.raises(bp.errors.CountsError, match="must have 'level'"):
        bp.read(path, covariates=["level"])
    with pytest.raises(bp.errors.OptionError, match="this has one per attempt"):
        bp.read(write(tmp_path, "y.csv", made.long_table()), covariates=["system"])


def test_a_matrix_has_nan_where_nothing_was_attempted():
    counts = bp.read(
        np.array([[1, 0, np.nan], [0, np.nan, np.nan], [1, 1, 1]]), problems=list("abc")
    )
    assert of(counts) == {"a": (2, 1), "b": (1, 0), "c": (3, 3)}
    assert bp.read(np.array([[True, False]])).successes.tolist() == [1]
    for bad, message in [
        (
            np.array([[0, 2, 0.5]]),
            r"outcomes must be 0, 1 or NaN .*2 of 3 break this, the first is in row 1, column 2: 2\.0",
        ),
        (np.array([1, 0]), "must be a matrix of numbers"),
        (np.array([["1"]]), "must be a matrix of numbers"),
        (np.zeros((0, 3)), "there must be at least one row"),
    ]:
        with pytest.raises(bp.errors.CountsError, match=f"array: .*{message}"):
            bp.read(bad)
    with pytest.raises(bp.errors.OptionError, match="a name for each of the 1 rows; got 2"):
        bp.read(np.array([[1]]), problems=["a", "b"])
    with pytest.raises(bp.errors.OptionError, match="an array has format 'matrix'"):
        bp.read(np.array([[1]]), "csv")


def test_large_matrices_are_read_in_parts(monkeypatch):
    from bayespassk.logs import matrix

    outcomes = np.random.default_rng(1).integers(0, 2, (50, 7))
    monkeypatch.setattr(matrix, "CELLS", 20)
    assert bp.read(outcomes).successes.tolist() == outcomes.sum(axis=1).tolist()


def test_tables_of_attempts_are_read_in_parts(tmp_path, monkeypatch):
    from bayespassk.logs import csv_table, parquet_table

    monkeypatch.setattr(csv_table, "ROWS", 3)
    monkeypatch.setattr(parquet_table, "ROWS", 3)
    for name in ("csv-long.csv", "parquet-long.parquet"):
        assert of(bp.read(write(tmp_path, name, made.logs()[name]))) == made.COUNTS
    bad = made.long_table() + b"sys,a,9,maybe\nsys,a,1,1\n"
    with pytest.raises(bp.errors.CountsError, match="row 13: 'maybe'"):
        bp.read(write(tmp_path, "x.csv", bad))


def test_parquet_without_pyarrow_is_a_clear_error(tmp_path, monkeypatch):
    import sys

    path = write(tmp_path, "x.parquet", made.logs()["parquet.parquet"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(bp.errors.InputError, match=r'pip install "bayespassk\[parquet\]"'):
        bp.read(path)


# Folders ---------------------------------------------------------------------------------------


def test_a_folder_of_problems(tmp_path):
    for i, some in enumerate(made.OUTCOMES.values()):
        write(tmp_path, f"{i}.yaml", made.monkeys_yaml(some))
    counts = bp.read(tmp_path, system="Pythia", benchmark="MATH")
    assert of(counts) == {"0": (4, 2), "1": (4, 0), "2": (4, 4)}
    assert len(counts.provenance.files) == len(counts.provenance.sha256) == 3
    assert str(counts.provenance).startswith("3 files read as monkeys: 12 attempts")


def test_folders_are_one_log(tmp_path):
    with pytest.raises(bp.errors.InputError, match="the folder holds no log"):
        bp.read(tmp_path)
    write(tmp_path, "notes.txt", b"nothing to read")
    write(tmp_path, ".hidden.csv", b"nothing to read")
    write(tmp_path, "samples.jsonl", b'{"task_id": "a", "completion": "x"}\n')  # beside its results
    write(tmp_path, "samples_results.jsonl", made.logs()["human-eval.log"])
    assert of(bp.read(tmp_path)) == made.COUNTS
    with pytest.raises(bp.errors.InputError, match="holds no log of format 'inspect'"):
        bp.read(tmp_path, "inspect")
    write(tmp_path, "other.eval", made.logs()["inspect.eval"])
    with pytest.raises(
        bp.errors.InputError,
        match=r"must be of one format; these are of several: inspect: .*human-eval: ",
    ):
        bp.read(tmp_path)
    assert of(bp.read(tmp_path, "human-eval")) == made.COUNTS
    write(tmp_path, "broken.eval", b"PK\x03\x04")
    with pytest.raises(bp.errors.CountsError, match=r"broken.eval: the compressed file is damaged"):
        bp.read(tmp_path)


def test_a_table_is_a_log_of_its_own(tmp_path):
    write(tmp_path, "a.csv", made.table())
    assert of(bp.read(tmp_path)) == made.COUNTS
    write(tmp_path, "b.csv", made.table())
    with pytest.raises(bp.errors.InputError, match=r"holds 2 tables.*read one, such as .*a\.csv"):
        bp.read(tmp_path)


def test_logs_of_several_systems_are_read_together(tmp_path):
    for model in ("a", "b"):
        log = made.inspect_json()
        log["eval"]["model"] = model
        write(tmp_path, f"{model}.json", made.written("inspect", log))
    assert bp.read(tmp_path).systems == ("a", "b")
    with pytest.raises(
        bp.errors.CountsError,
        match=r"must be in one file: 3 of 3 problems .*a\.json and in .*b\.json",
    ):
        bp.read(tmp_path, system="one")


# .eval -----------------------------------------------------------------------------------------


def test_an_interrupted_eval_has_no_header_and_its_summaries_in_parts(tmp_path):
    entries, samples = made.inspect_entries(), made.inspect_samples()
    for name in ("header.json", "summaries.json", "reductions.json"):
        del entries[name]
    entries["_journal/summaries/1.json"], entries["_journal/summaries/2.json"] = (
        samples[:3],
        samples[3:10],
    )
    path = write(tmp_path, "log.eval", made.zipped(entries))  # two samples have no summary yet
    assert of(bp.read(path)) == made.COUNTS
    for epoch in (3, 4):
        del entries[f"samples/c/d_epoch_{epoch}.json"]
    path = write(tmp_path, "log.eval", made.zipped(entries))
    assert of(bp.read(path, errors="drop")) == made.COUNTS | {"c/d": (2, 2)}


def test_invalidated_samples_have_no_outcome(tmp_path):
    entries = made.inspect_entries()
    entries["header.json"]["invalidated"] = True
    entries["samples/a_epoch_1.json"]["invalidation"] = {"author": "x"}
    path = write(tmp_path, "log.eval", made.zipped(entries))
    assert of(bp.read(path, errors="drop")) == made.COUNTS | {"a": (3, 1)}


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_any_compression_of_a_zip(tmp_path, compression):
    path = write(tmp_path, "log.eval", made.zipped(made.inspect_entries(), compression))
    assert of(bp.read(path)) == made.COUNTS


def test_zstandard_compression_of_newer_logs(tmp_path):
    from bayespassk.logs.files import zipfile as newer

    path = tmp_path / "log.eval"
    with newer.ZipFile(path, "w", newer.ZIP_ZSTANDARD) as archive:
        for name, value in made.inspect_entries().items():
            archive.writestr(name, json.dumps(value))
    assert of(bp.read(path)) == made.COUNTS
    content = bytearray(path.read_bytes())
    place = content.index(b"header.json") + 40
    content[place : place + 20] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(bp.errors.CountsError, match=r"log\.eval: "):
        bp.read(path)


# The published logs ----------------------------------------------------------------------------


def test_the_published_log_of_inspect(real_logs):
    counts = bp.read(real_logs / "logs" / "inspect_popularity.eval")
    assert (len(counts), int(counts.attempts.sum()), int(counts.successes.sum())) == (10, 10, 8)
    assert (counts.systems, counts.benchmarks) == (("openai/gpt-4o-mini",), ("popularity",))
    assert counts.problem.tolist() == [str(i) for i in range(1, 11)]


def test_the_published_log_of_best_of_n_gives_the_published_counts(real_logs):
    counts = bp.read(real_logs / "bon_llama3_8b_text_t1.0_n10000.jsonl")
    published = bp.read_csv(real_logs / "bon_jailbreaking_text.csv").select("Llama 3 8B IT")
    assert of(counts) == of(published)
    assert counts.stopping == "batches:60"


@pytest.mark.parametrize(
    "name", ["monkeys_math", "code_contests", "pythia_checkpoints", "bon_jailbreaking_text"]
)
def test_the_published_counts(real_logs, name):
    path = real_logs / f"{name}.csv"
    assert bp.read(path).sha256() == bp.read_csv(path).sha256()
    assert bp.read(path).provenance == bp.read_csv(path).provenance
