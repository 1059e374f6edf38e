"""The hook that writes reports: tests/test_inspect_ai.py has it in a run of Inspect."""

import importlib.util
import os
from importlib import metadata
from types import SimpleNamespace

import pytest

if importlib.util.find_spec("inspect_ai") is None:
    assert "BAYESPASSK_PRODUCERS" not in os.environ, "inspect_ai is not installed"
    pytest.skip("inspect_ai is not installed: uv sync --group producers", allow_module_level=True)

from bayespassk.harness.inspect_hook import REPORT, Report, _write_report


def test_it_is_asked_for_by_the_environment(monkeypatch):
    monkeypatch.delenv(REPORT, raising=False)
    assert not Report().enabled()
    monkeypatch.setenv(REPORT, "reports")
    assert Report().enabled()


def test_inspect_finds_it_by_itself():
    (found,) = [
        one for one in metadata.entry_points(group="inspect_ai") if one.name == "bayespassk"
    ]
    assert found.value == "bayespassk.harness.inspect_hook"


def test_a_log_that_cannot_be_read_is_told_and_no_more(tmp_path, caplog):
    nothing = SimpleNamespace(location=str(tmp_path / "none.eval"), samples=None)
    _write_report(nothing, tmp_path / "reports")
    assert "no report of none" in caplog.text
    assert not (tmp_path / "reports").exists()
