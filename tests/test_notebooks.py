"""Every notebook runs from top to bottom, and shows what it was committed with.

After a change that is meant to change what they show:

    BAYESPASSK_BASELINE=write pytest tests/test_notebooks.py
"""

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"), key=lambda path: int(path.stem.partition("_")[0]))
NEEDS_LOGS = "8_replicating_the_papers"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
CLOSE = {"rel": 0.05, "abs": 0.02}

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell):
    """Return what a cell shows, as text: tables as HTML, whose lines do not break, and no figures."""
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/png" in data:
            yield "a figure"
        else:
            yield data.get("text/html") or data.get("text/plain") or output.get("text", "")


def changed(old, new):
    """Return the first pair of words or numbers that differ by more than other machines may make."""
    old, new = (re.sub(r"\s+", " ", text).strip() for text in (old, new))
    words = NUMBER.sub("#", old), NUMBER.sub("#", new)
    if words[0] != words[1]:
        return words
    for pair in zip(NUMBER.findall(old), NUMBER.findall(new), strict=True):
        before, after = (float(number.replace(",", "")) for number in pair)
        if after != pytest.approx(before, **CLOSE):
            return pair
    return None


def run(path):
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
    for cell in code(notebook):  # a slow machine shows progress, of which an empty line is left
        cell.outputs = [one for one in cell.outputs if one.get("data") != {"text/plain": ""}]
    return notebook


def test_there_are_ten_in_order():
    assert [path.stem.partition("_")[0] for path in NOTEBOOKS] == [f"{i}" for i in range(1, 11)]


@each
def test_notebook_is_committed_as_it_was_executed(path):
    text = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    assert [cell.execution_count for cell in code(notebook)] == [
        i for i, _ in enumerate(code(notebook), 1)
    ]
    assert "Things to try next" in notebook.cells[-1].source
    assert "image/png" in text
    assert len(text) < 400_000
    assert not re.search(r"/tmp/|/work/|/home/|/root/|[A-Z]:\\\\", text)  # noqa: S108 -- a machine's
    assert notebook.metadata == METADATA
    assert not any(cell.metadata for cell in notebook.cells)
    for cell in code(notebook):
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the kernel's own libraries
@each
def test_notebook_shows_what_it_was_committed_with(path, request, monkeypatch):
    if path.stem == NEEDS_LOGS:
        monkeypatch.setenv("BAYESPASSK_DATA", str(request.getfixturevalue("real_logs")))
    notebook = run(path)
    if os.environ.get("BAYESPASSK_BASELINE") == "write":
        nbformat.write(notebook, path)
    committed = nbformat.read(path, as_version=4)
    for before, after in zip(code(committed), code(notebook), strict=True):
        for old, new in zip(shown(before), shown(after), strict=True):
            assert changed(old, new) is None, before.source


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_without_the_published_logs_the_notebook_says_what_it_needs(tmp_path, monkeypatch):
    from nbclient.exceptions import CellExecutionError

    monkeypatch.setenv("BAYESPASSK_DATA", str(tmp_path))
    with pytest.raises(CellExecutionError, match="set BAYESPASSK_DATA to a folder with"):
        run(FOLDER / f"{NEEDS_LOGS}.ipynb")


@pytest.mark.parametrize(
    ("old", "new", "differ"),
    [
        ("pass@1,000 = 0.50", "pass@1,000 =  0.51", False),
        ("k = 9,527.0", "k = 9,600", False),
        ("pass@1,000 = 0.50", "pass@1,000 = 0.60", True),
        ("lower -0.10", "lower 0.10", True),
        ("upper inf", "upper 3", True),
        ("beta first", "kumaraswamy first", True),
    ],
)
def test_what_counts_as_a_change(old, new, differ):
    assert (changed(old, new) is not None) == differ
