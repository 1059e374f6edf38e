"""What the documents say is so: their code runs, and what they link to and name is there."""

import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from click.testing import CliRunner

import bayespassk as bp
from bayespassk.cli import cli

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "AGENTS.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
DOCSTRINGS = sorted((ROOT / "bayespassk").rglob("*.py"))


def name(path):
    return str(path.relative_to(ROOT))


# What a page says of a forecast far beyond the attempts is said by the forecast, too.
@pytest.mark.filterwarnings("ignore::bayespassk.errors.ForecastWarning")
@pytest.mark.filterwarnings("ignore::bayespassk.errors.FamilyWarning")
@pytest.mark.filterwarnings("ignore:another seed would move:bayespassk.errors.ConvergenceWarning")
@pytest.mark.parametrize("page", PAGES, ids=name)
def test_python_blocks_run_in_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where files go that a page writes
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    namespace = {}
    for block in blocks:
        exec(compile(block, name(page), "exec"), namespace)  # noqa: S102 -- our own pages
    plt.close("all")


@pytest.mark.parametrize("module", DOCSTRINGS, ids=name)
def test_docstring_examples_run(module):
    import doctest
    import importlib

    parts = module.relative_to(ROOT).with_suffix("").parts
    if parts[-1] == "__main__":
        return
    if parts[-1].startswith("inspect_") and "harness" in parts:
        pytest.importorskip("inspect_ai", reason="uv sync --group producers")
    loaded = importlib.import_module(".".join(p for p in parts if p != "__init__"))
    result = doctest.testmod(loaded, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def prose(page):
    """Return the text of a page, or that of the cells of a notebook that hold text."""
    if page.suffix != ".ipynb":
        return page.read_text()
    cells = json.loads(page.read_text())["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


@pytest.mark.parametrize(
    "page", [*PAGES, *NOTEBOOKS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=name
)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", prose(page)):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=name)
def test_pages_name_only_commands_and_options_that_exist(page):
    text = prose(page).replace("\\\n", " ")
    for command, rest in re.findall(r"\bbayespassk ([a-z-]+)((?: [^`\n]*)?)(?=[`\n])", text):
        options = re.findall(r"(?<!\S)(--?[a-z][a-z-]*)", rest.split("#")[0])
        if command in cli.commands:
            usage = CliRunner().invoke(cli, [command, "--help"]).output
            assert [one for one in options if one not in re.split(r"[\s,]+", usage)] == [], command
        else:
            assert not options, command


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_pages_name_only_scripts_and_options_that_exist(page):
    text = page.read_text().replace("\\\n", " ")
    for script, rest in re.findall(r"(benchmarks/\w+\.py)([^`\n]*)", text):
        source = (ROOT / script).read_text()
        for option in re.findall(r"(?<!\S)(--?[a-z][a-z-]*)", rest):
            assert f'"{option}"' in source, (script, option)


def test_the_reference_has_every_public_name_and_no_other():
    page = (ROOT / "docs" / "reference" / "api.md").read_text()
    listed = re.findall(r"^   ([A-Za-z_.]+)$", page, re.MULTILINE)
    assert len(set(listed)) == len(listed)
    spaces = {"dist", "errors", "estimators", "verifier"}
    within = {f"{space}.{one}" for space in spaces for one in getattr(bp, space).__all__}
    assert set(listed) == set(bp.__all__) - spaces | within
