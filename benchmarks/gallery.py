"""Draw the figures of docs/gallery.md, by the code that is on the page.

Run ``python benchmarks/gallery.py`` after a change of the page or of a figure.
"""

import argparse
import re
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

PAGE = Path(__file__).parents[1] / "docs" / "gallery.md"


def main() -> None:
    """Run the page, and save the figure of each section under the name that the page has for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=PAGE.parent, help="where images/gallery is")
    options = parser.parse_args()
    mpl.use("agg")
    namespace: dict[str, object] = {}
    for section in PAGE.read_text(encoding="utf-8").split("\n## "):
        for block in re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE):
            exec(block, namespace)  # noqa: S102 -- our own page
        for image in re.findall(r"!\[[^]]*\]\((\S+)\)", section):
            path = options.folder / image
            path.parent.mkdir(parents=True, exist_ok=True)
            plt.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
            print(path)
        plt.close("all")


if __name__ == "__main__":
    main()
