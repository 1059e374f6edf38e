"""The fixture of pytest, in a run of pytest by itself."""

import subprocess
import sys
from importlib import metadata

import bayespassk as bp

TESTS = """
import bayespassk as bp

counts = bp.Counts(problem=range(20), attempts=[30] * 20, successes=[i for i in range(20)])
few = bp.Counts(problem=range(20), attempts=[3] * 20, successes=[0, 1] * 10)

def test_met(passk):
    assert passk(counts, "pass@5 >= 0.5").met

def test_not_met(passk):
    passk(counts, "pass@1 >= 0.9")

def test_unsure(passk):
    passk(few, "pass@5 >= 0.5")

def test_unsure_fails(passk):
    passk(few, "pass@5 >= 0.5", cannot_tell="fail")

def test_of_files(passk):
    passk("counts.csv", "pass@1 >= baseline - 0.2", against="fit.nc")
"""


def test_a_test_passes_fails_or_says_that_it_cannot_tell(tmp_path):
    (tmp_path / "test_model.py").write_text(TESTS)
    counts = bp.Counts(problem=range(20), attempts=[30] * 20, successes=range(20))
    counts.to_dataframe().to_csv(tmp_path / "counts.csv", index=False)
    bp.save(bp.fit(counts, random_seed=1, progress=False), tmp_path / "fit.nc")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "-p", "no:xdist"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    for name, outcome in {
        "test_met": "PASSED", "test_of_files": "PASSED", "test_not_met": "FAILED",
        "test_unsure_fails": "FAILED",
    }.items():  # fmt: skip
        assert f"{outcome} test_model.py::{name}" in done.stdout, done.stdout + done.stderr
    assert "2 failed, 2 passed, 1 skipped" in done.stdout
    assert "Cannot tell: pass@5 >= 0.5" in done.stdout
    assert "further attempts should tell" in done.stdout
    assert "Not met: pass@1 >= 0.9" in done.stdout


def test_pytest_finds_it_by_itself():
    (found,) = [one for one in metadata.entry_points(group="pytest11") if one.name == "bayespassk"]
    assert found.value == "bayespassk.harness.pytest_plugin"
