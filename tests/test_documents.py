"""Every code block in the documents runs, and every link between them leads somewhere."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DOCSTRINGS = sorted((ROOT / "bayespassk").rglob("*.py"))


def name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_python_blocks_run_in_order(page):
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
    loaded = importlib.import_module(".".join(p for p in parts if p != "__init__"))
    result = doctest.testmod(loaded, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=name
)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize(
    "page", ["README.md", "docs/how-to/read-logs.md", "docs/how-to/many-fits.md"]
)
def test_pages_name_only_commands_and_options_that_exist(page):
    from click.testing import CliRunner

    from bayespassk.cli import cli

    for command, options in re.findall(
        r"bayespassk (fit|forecast|convert|demo|families|compare-systems|compare|check|budget|backtest|batch)(.*)",
        (ROOT / page).read_text(),
    ):
        usage = CliRunner().invoke(cli, [command, "--help"]).output
        for option in re.findall(r"(?<!\S)--?[a-z]+", options):
            assert option in usage, (command, option)
