"""Every benchmark can be imported: one that the package has left behind is found here."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
OF_THEIR_OWN = {"inspect_plan": ["inspect_ai"], "make_arithmetic": ["jax", "optax"]}
"""Packages that a benchmark has of its own, which need not be here."""


def test_there_are_benchmarks():
    assert len(list(FOLDER.glob("*.py"))) > 15
    assert all((FOLDER / f"{name}.py").exists() for name in OF_THEIR_OWN)


@pytest.mark.filterwarnings("default::DeprecationWarning")  # of packages that only benchmarks use
@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_a_benchmark_imports_what_there_is(path, monkeypatch):
    """And does nothing more: what it prints or writes is in its main."""
    for package in OF_THEIR_OWN.get(path.stem, []):
        pytest.importorskip(package, reason=f"{path.name} needs {package}, which is not here")
    monkeypatch.syspath_prepend(str(FOLDER))  # some share a function with another
    monkeypatch.setattr(sys, "argv", [str(path), "--no-such-option"])
    name = f"benchmark_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    assert callable(module.main)
    assert re.search(r"^if __name__ == .__main__.:$", path.read_text(), re.MULTILINE)
