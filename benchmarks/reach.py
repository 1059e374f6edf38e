"""How the default's error and its band grow with k/n, over the cells of the page of the backtest.

python benchmarks/reach.py docs/explanation/accuracy.md
"""

import argparse
import re
from pathlib import Path

import pandas as pd

ENDS = [0, 10, 50, 200, 600, 2000]


def cells_of(page: str) -> pd.DataFrame:
    """Return a row for each cell: its log, n and k, and how the default did."""
    rows, log = [], ""
    for line in page.splitlines():
        if line.startswith("## "):
            log = line[3:]
        elif re.match(r"\| \d+ \| [\d,]+ \|", line):
            n, k, _, _, mae, bias, width, held, *_ = (
                part.strip(" *%").replace(",", "") for part in line.strip("|").split("|")
            )
            values = map(float, (n, k, mae, bias, width, held))
            rows.append([log, *values])
    return pd.DataFrame(rows, columns=["log", "n", "k", "MAE", "bias", "width", "held"])


def main() -> None:
    """Print the table, as means over cells that count alike."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    cells = cells_of(parser.parse_args().page.read_text(encoding="utf-8"))
    for reach, part in cells.groupby(pd.cut(cells["k"] / cells["n"], ENDS)):
        lowest = part.loc[part["held"].idxmin()]
        print(
            f"| {reach.left:,.0f} to {reach.right:,.0f} | {len(part)} | {part['MAE'].mean():.1f} "
            f"| {part['bias'].mean():+.1f} | {part['width'].mean():.0f} "
            f"| {part['held'].mean():.0f}% | {lowest['held']:.0f}% ({lowest['log']}, "
            f"n = {lowest['n']:.0f}, k = {lowest['k']:,.0f}) |"
        )


if __name__ == "__main__":
    main()
