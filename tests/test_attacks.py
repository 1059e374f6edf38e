"""The attacks of benchmarks/attacks.py in small form: none of them does anything."""

import importlib.util
import os
import warnings
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "attacks.py"


def script():
    spec = importlib.util.spec_from_file_location("attacks", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(os.name != "posix", reason="kills processes as POSIX does")
@pytest.mark.parametrize(("attack", "many"), [("kills", 3), ("tells", 20), ("flips", 30)])
def test_an_attack_in_small_form_does_nothing(attack, many, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fits of few draws
        what, tried, bad = getattr(script(), attack)(tmp_path, many)
    assert tried == many
    assert bad == 0, what


@pytest.mark.skipif(os.name != "posix", reason="runs processes at once as POSIX does")
def test_two_runs_in_one_folder_do_each_piece_of_work_once(tmp_path):
    for what, tried, bad in script().runs(tmp_path, 3):
        assert tried == 3
        assert bad == 0, what
