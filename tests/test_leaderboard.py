"""The leaderboard: an entry is one file, and one command makes the table."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayespassk as bp

FOLDER = Path(__file__).parents[1] / "benchmarks" / "leaderboard"

OF_ARRAYS = '''"""Chen's estimate, and nothing beyond n."""

import numpy as np

def forecast(counts, k):
    return np.full((len(counts.systems), len(k)), 0.5)
'''

OF_DRAWS = '''"""Draws."""

import numpy as np

def forecast(counts, k, seed):
    return np.random.default_rng(seed).random((50, len(counts.systems), len(k)))
'''


@pytest.fixture(scope="module")
def board():
    spec = importlib.util.spec_from_file_location("leaderboard", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    sys.modules["leaderboard"] = module
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = before
    del sys.modules["leaderboard"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with a corpus of two systems, and what says how it is split."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(1)
    rows = [
        (system, problem, 100, rng.binomial(100, rng.beta(0.4, 2.0)))
        for system in "ab"
        for problem in range(15)
    ]
    frame = pd.DataFrame(rows, columns=["system", "problem", "attempts", "successes"])
    frame.assign(benchmark="tiny").to_csv(folder / "log.csv", index=False)
    (folder / "corpora.toml").write_text(
        '["tiny one"]\nfile = "log.csv"\nn = [5, 20]\nk = [40, 100]\nrepeats = 1\n'
    )
    return folder


def test_one_command_makes_the_table(board, data, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "entries"
    folder.mkdir()
    for name in ("log_log", "beta_binomial_point"):
        (folder / f"{name}.py").write_text((FOLDER / "entries" / f"{name}.py").read_text())
    (folder / "of_arrays.py").write_text(OF_ARRAYS)
    (folder / "of_draws.py").write_text(OF_DRAWS)
    table = tmp_path / "table.md"
    command = [data, "-o", tmp_path / "out", "--folder", folder, "--table", table, "--cores", 1]
    monkeypatch.setattr(sys, "argv", ["run.py", *map(str, command)])
    board.main()
    text = table.read_text()
    assert text in capsys.readouterr().out
    assert "tiny one 2" in text
    for name in ("log-log", "beta-binomial-point", "of-arrays", "of-draws"):
        assert text.count(f"| `{name}` |") == 2
    scores = by_hand(tmp_path / "out")
    assert f"{scores['of-arrays']:.2f}" in text
    best = scores.idxmin()
    assert text.index(f"| `{best}` |") == min(text.index(f"| `{name}` |") for name in scores.index)


def by_hand(folder):
    """Return the CRPS of each entry, by hand, from what the backtest wrote."""
    (path,) = folder.rglob("scores.csv")
    frame = pd.read_csv(path)
    frame = frame[frame["k"] >= 2 * frame["n"]]
    assert len(frame) == 4 * 2 * 2 * 2
    return (100 * frame.groupby(["method", "system"])["crps"].mean()).groupby("method").mean()


def test_an_entry_that_is_not_there_is_named(board):
    with pytest.raises(SystemExit, match=r"no such entry: nobody; there are .*log-log"):
        board.entries_of(FOLDER / "entries", ["nobody"])


def test_every_entry_is_one_that_can_be_asked(board, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER.parent))
    counts = bp.Counts(problem=[*range(9)] * 2, attempts=[8] * 18, successes=[*range(9)] * 2, system=["a"] * 9 + ["b"] * 9)  # fmt: skip
    for entry in board.entries_of(FOLDER / "entries"):
        assert entry.module.__doc__.splitlines()[0].endswith(".")
        if callable(entry.module.forecast):
            found = entry(counts, [10, 100], 1)
            assert (found.sizes["system"], found.sizes["k"]) == (2, 2), entry.name
            assert set(found.dims) <= {"draw", "system", "k"}


def test_the_table_is_of_the_entries_that_there_are(board):
    text = (FOLDER / "table.md").read_text()
    for entry in board.entries_of(FOLDER / "entries"):
        assert f"| `{entry.name}` |" in text
