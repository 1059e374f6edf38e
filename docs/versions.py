"""Build the site of every release, beside each other, with a list of versions on every page.

    python docs/versions.py build/site

SITE/0.1.0 is built from the tag v0.1.0, in an environment of its own, SITE/main from the branch or
commit that --also names; SITE/versions.json lists them, the newest first, and SITE/index.html leads
to the newest release. What is there already is not built again. Needs git and uv.
"""

import argparse
import json
import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
TAG = re.compile(r"v(\d+)\.(\d+)\.(\d+)")


def releases(tags: list[str]) -> list[str]:
    """Return the tags that are of releases, the newest first."""
    numbers = {
        tag: tuple(map(int, found.groups())) for tag in tags if (found := TAG.fullmatch(tag))
    }
    return sorted(numbers, key=numbers.__getitem__, reverse=True)


def build(commit: str, output: Path) -> None:
    """Build the site of a commit from a tree of its own."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        _git("worktree", "add", "--detach", str(tree), commit)
        try:
            command = ["uv", "run", "--group", "docs", "sphinx-build", "-q", "docs", str(output)]
            subprocess.run(command, cwd=tree, check=True)
        finally:
            _git("worktree", "remove", "--force", str(tree))


def index(site: Path, tags: list[str], also: str | None) -> None:
    """Write what lists the versions, and the page that leads to the newest release."""
    names = [tag.removeprefix("v") for tag in tags]
    every = [*names, "main"] if also else names
    (site / "versions.json").write_text(json.dumps(every), encoding="utf-8")
    page = f'<!doctype html><meta http-equiv="refresh" content="0; url={every[0]}/index.html">\n'
    (site / "index.html").write_text(page, encoding="utf-8")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout


def main() -> None:
    """Build what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--also", default="HEAD", help="commit that is called main; '' for none")
    options = parser.parse_args()
    site = options.site.resolve()
    site.mkdir(parents=True, exist_ok=True)
    tags = releases(_git("tag").split())
    for tag in tags:
        if not (site / tag.removeprefix("v") / "index.html").exists():
            build(tag, site / tag.removeprefix("v"))
    if options.also:
        build(options.also, site / "main")
    if not tags and not options.also:
        raise SystemExit("there is no tag such as v0.1.0, and nothing else to build")
    index(site, tags, options.also)


if __name__ == "__main__":
    main()
