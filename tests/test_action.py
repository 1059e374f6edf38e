"""The steps of the GitHub Action, run by a shell as they are there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import bayespassk as bp

ACTION = yaml.safe_load((Path(__file__).parents[1] / "action.yml").read_text())


def run(folder, **inputs):
    """Run the step that asks, with its defaults, and return what it did."""
    (step,) = [one for one in ACTION["runs"]["steps"] if one.get("id") == "gate"]
    given = {name: one.get("default", "") for name, one in ACTION["inputs"].items()} | inputs
    filled = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: given[found[1]], value)
        for name, value in step["env"].items()
    }
    outputs, summary = folder / "outputs", folder / "summary.md"
    outputs.write_text("")
    summary.write_text("")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    files = {"GITHUB_OUTPUT": str(outputs), "GITHUB_STEP_SUMMARY": str(summary), "PATH": path}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        env=os.environ | filled | files, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    return done, outputs.read_text(), summary.read_text()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A fit whose name has blanks and what a shell would obey."""
    counts = bp.Counts(problem=range(20), attempts=[30] * 20, successes=range(20))
    path = tmp_path_factory.mktemp("a log") / "$(touch x) fit.nc"
    bp.save(bp.fit(counts, bp.Beta(), random_seed=1, progress=False), path)
    return str(path)


def test_every_input_is_used_and_described():
    text = str(ACTION["runs"])
    for name, one in ACTION["inputs"].items():
        assert f"inputs.{name} " in text
        assert one["description"]


@pytest.mark.parametrize(
    ("require", "extra", "code", "status"),
    [
        ("pass@5 >= 0.5\npass@1 >= baseline - 0.2", {"against": True}, 0, "met"),
        ("pass@1 >= 0.9", {}, 1, "not met"),
        ("pass@1 >= 0.317", {"cannot-tell": "fail"}, 3, "cannot tell"),
        ("nonsense", {}, 2, ""),
    ],
)
def test_the_job_ends_by_the_verdict(saved, tmp_path, require, extra, code, status):
    extra = {name: saved if value is True else value for name, value in extra.items()}
    done, outputs, summary = run(tmp_path, log=saved, require=require, **extra)
    assert done.returncode == code, done.stderr
    assert outputs == (f"status={status}\n" if status else "")
    assert not Path("x").exists()
    if status:
        assert "pass@1 >= " in summary
        assert "## " in summary  # the report
        assert "![" not in summary
