"""Inspect's early stopping, driven as Inspect drives it, and by Inspect itself."""

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import bayespassk as bp

if importlib.util.find_spec("inspect_ai") is None:
    assert "BAYESPASSK_PRODUCERS" not in os.environ, "inspect_ai is not installed"
    pytest.skip("inspect_ai is not installed: uv sync --group producers", allow_module_level=True)

from bayespassk.harness.inspect_ai import NarrowEnough

HERE = Path(__file__).parent
P = np.random.default_rng(1).beta(0.4, 2.0, 20)


def drive(stopper, epochs, p=P, value=None, seed=1):
    """Run the protocol epoch by epoch; return attempts, successes and what is said in the end."""
    rng = np.random.default_rng(seed)

    async def go():
        made, solved = np.zeros((2, len(p)), dtype=int)
        await stopper.start_task(None, [SimpleNamespace(id=i) for i in range(len(p))], epochs)
        for epoch in range(1, epochs + 1):
            for i in range(len(p)):
                stop = await stopper.schedule_sample(i, epoch)
                if stop is not None:
                    assert (stop.id, stop.epoch) == (i, epoch)
                    assert stop.reason
                    continue
                success = rng.random() < p[i]
                made[i] += 1
                solved[i] += success
                scores = {"a": "CI"[1 - success]} if value is None else value
                await stopper.complete_sample(
                    i, epoch, {n: SimpleNamespace(score=SimpleNamespace(value=v)) for n, v in scores.items()}
                )  # fmt: skip
        return made, solved, await stopper.complete_task()

    return asyncio.run(go())


def test_it_ends_when_the_band_is_narrow_enough_and_says_so():
    made, solved, said = drive(NarrowEnough(20, 0.1, family="beta", batch=60), 60)
    assert said["status"] == "narrow enough"
    assert (said["upper"] - said["lower"]) / 2 <= 0.1
    assert said["attempts"] == said["outcomes"] == made.sum() < 60 * 20
    assert made.min() >= 3
    counts = bp.Counts(problem=range(20), attempts=made, successes=solved, stopping="adaptive")
    band = bp.summarize(bp.forecast(bp.fit(counts, "beta", random_seed=1), 20, random_seed=1))
    assert band["lower"].iloc[0] == pytest.approx(said["lower"], abs=0.005)


def test_epochs_go_where_they_narrow_the_band():
    """Samples that are nearly always solved get fewer than those that are now and then."""
    p = np.repeat([0.97, 0.03], 10)
    made, _, _ = drive(NarrowEnough(20, budget=400, family="beta", first=4), 60, p)
    assert made[10:].mean() > 2 * made[:10].mean()
    assert made.sum() == 400


def test_no_epoch_is_skipped_that_the_band_needs():
    """Where all epochs of all samples are not enough, none is skipped: a skipped one is lost."""
    made, _, said = drive(NarrowEnough(20, 0.01, family="beta", batch=60), 8)
    assert said["status"] == "all epochs made"
    assert (made == 8).all()


def test_what_it_cannot_read_is_attempted_as_without_it(caplog):
    made, _, said = drive(NarrowEnough(20, 0.2), 5, value={"a": 0.37})
    assert (made == 5).all()
    assert said["outcomes"] == 0
    assert "lower" not in said
    assert "leaves out attempts that it cannot read" in caplog.text
    made, _, said = drive(NarrowEnough(20, 0.2), 5, value={"a": 1, "b": 0})
    assert (made == 5).all()
    assert "choose scorer=" in caplog.text
    _, _, said = drive(NarrowEnough(20, 0.2, scorer="b", family="beta"), 5, value={"a": 1, "b": 0})
    assert said["outcomes"] == said["attempts"]
    _, _, said = drive(NarrowEnough(20, 0.2, threshold=0.3, family="beta"), 5, value={"a": 0.37})
    assert said["outcomes"] > 0


def test_options_are_checked_before_anything_runs():
    for wrong in ({"k": 0, "half_width": 0.1}, {"k": 5}, {"k": 5, "half_width": 2}, {"k": 5, "budget": 0}, {"k": 5, "budget": 9, "first": 1.5}, {"k": 5, "budget": 9, "target": "all"}):  # fmt: skip
        with pytest.raises(bp.errors.OptionError):
            NarrowEnough(**wrong)


SCRIPT = """
import json, sys
import numpy as np
from inspect_ai import Task, eval as run
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import includes
from inspect_ai.solver import generate
import bayespassk as bp
from bayespassk.harness.inspect_ai import NarrowEnough

rng = np.random.default_rng(1)
p = rng.beta(0.4, 2.0, 12)

def answer(messages, *_):
    text = "yes" if rng.random() < p[int(messages[-1].text.split()[-1])] else "no"
    output = ModelOutput.from_content("mock", text)
    output.usage = ModelUsage()
    return output

task = Task(
    dataset=MemoryDataset([Sample(input=f"Problem {i}", target="yes") for i in range(12)]),
    solver=generate(), scorer=includes(),
    early_stopping=NarrowEnough(k=20, half_width=0.16, family="beta", batch=36),
)
(log,) = run(
    task, model=get_model("mockllm/model", custom_outputs=answer), epochs=40, log_dir="logs",
    display="none", max_samples=4,
)
of_memory = bp.read(log)
print(json.dumps({
    "where": log.location, "metadata": log.results.early_stopping.metadata,
    "manager": log.results.early_stopping.manager, "stopping": of_memory.stopping,
    "skipped": len(log.results.early_stopping.early_stops),
    "sha": [bp.read(log.location).sha256(), of_memory.sha256()],
}))
"""


def test_inspect_runs_it_and_writes_the_report(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=False,
        timeout=300, env=os.environ | {"BAYESPASSK_REPORT": "reports"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["manager"] == f"bayespassk {bp.__version__}"
    assert found["metadata"]["status"] == "narrow enough"
    assert found["skipped"] == 12 * 40 - found["metadata"]["attempts"] > 0
    counts = bp.read(found["where"])
    assert counts.stopping == found["stopping"] == "adaptive"
    assert counts.attempts.sum() == found["metadata"]["attempts"]
    assert found["sha"][0] == found["sha"][1]
    (report,) = (tmp_path / "reports").glob("*.html")
    assert "pass@" in report.read_text()
