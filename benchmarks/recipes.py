"""Run the recipes of docs/how-to/recipes.md, each in an environment and a folder of its own.

    uv build --wheel
    python benchmarks/recipes.py dist/bayespassk-*.whl

Prints how long each took from nothing: to install the harness and the wheel, to run, and to have
the band. With --cold nothing is taken from uv's cache: everything is downloaded. Needs uv.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "recipes.md"


@dataclass(frozen=True)
class Recipe:
    """A section of the page: what to install, what to run, and what prints the band."""

    title: str
    install: list[str]
    run: str
    band: str


def recipes(page: Path = PAGE) -> list[Recipe]:
    """Return the recipes of a page: of each section the blocks of bash, or that of Python."""
    found = []
    for section in re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title = section.splitlines()[0]
        blocks = re.findall(r"^```(bash|python)\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
        bash = [text for kind, text in blocks if kind == "bash"]
        if bash and bash[0].startswith("pip install"):
            install = bash[0].removeprefix("pip install").split()
            found.append(Recipe(title, install, "".join(bash[1:-1]), bash[-1]))
        elif [kind for kind, _ in blocks] == ["python"]:
            band = f"cat > loop.py <<'END'\n{blocks[0][1]}END\npython loop.py\n"
            found.append(Recipe(title, [], "", band))
    return found


def timed(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, str]:
    """Return how long a command took, and what it said."""
    begun = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - begun, done.stdout


def measured(recipe: Recipe, wheel: Path, cold: bool) -> tuple[list[float], str]:
    """Return the seconds to install, to run and to have the band, and the band."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        here = folder / "work"
        here.mkdir()
        environment = {
            **{n: v for n, v in os.environ.items() if n != "VIRTUAL_ENV"},
            "VIRTUAL_ENV": str(folder / "venv"),
            "PATH": f"{folder / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HF_HOME": str(folder / "hf"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        cache = ["--cache-dir", str(folder / "uv")] if cold else []
        begun = time.perf_counter()
        timed(
            ["uv", "venv", "--quiet", "--python", PYTHON, str(folder / "venv")], here, environment
        )
        packages = [*recipe.install, str(wheel.resolve())]
        timed(["uv", "pip", "install", "--quiet", *cache, *packages], here, environment)
        seconds = [time.perf_counter() - begun]
        shell = ["bash", "-euc"]
        took, said = timed([*shell, recipe.run or "true"], here, environment)
        seconds.append(took)
        took, said = timed([*shell, recipe.band], here, environment)
        return [*seconds, took], said


def main() -> None:
    """Print a table of seconds, and on standard error the bands."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--only", default="", help="part of the title of a recipe")
    parser.add_argument("--cold", action="store_true", help="download everything")
    options = parser.parse_args()
    print("| recipe | install, s | run, s | band, s | in all, s |\n|---|---|---|---|---|")
    for recipe in recipes():
        if options.only.lower() in recipe.title.lower():
            each, said = measured(recipe, options.wheel, options.cold)
            cells = [f"{one:.0f}" for one in (*each, sum(each))]
            print(f"| {recipe.title} | {' | '.join(cells)} |", flush=True)
            print(said, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
