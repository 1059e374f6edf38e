"""Tables of forecasts for papers: a row a system, the k across, as LaTeX or Markdown."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bayespassk.options import TARGETS
from bayespassk.reporting.document import ratio, share
from bayespassk.texts import escaped, latexed

__all__ = ["Paper", "latex", "markdown", "paper"]


@dataclass(frozen=True)
class Paper:
    """A table for a paper.

    Attributes
    ----------
    caption, label : str
        What the numbers are, and by what name LaTeX refers to the table.
    ks : tuple of str
        The k, as columns are headed.
    ratios : tuple of str
        How many times the attempts each k is; empty where systems differ in these.
    rows : tuple of (str, str, tuple of (str, str))
        A system, the most attempts at a problem, and for each k the median and its interval.
    """

    caption: str
    label: str
    ks: tuple[str, ...]
    ratios: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]


def paper(
    rows: Sequence[Mapping[str, Any]],
    attempts: Mapping[str, int],
    *,
    target: str,
    attempted: str,
    family: str,
    prob: float,
    what: str = "pass@k",
) -> Paper:
    """Return the table of rows with system, k, median, lower and upper.

    `attempts` has the most attempts at a problem of each system, `attempted` says in words what
    was attempted. Several quantities have a row each, called by their `what`.
    """
    ks = list(dict.fromkeys(row["k"] for row in rows))
    found: dict[str, list[tuple[str, str]]] = {}
    most: dict[str, int] = {}
    for row in rows:
        name = f"{row['system']}, {row['what']}" if row.get("what", what) != what else row["system"]
        interval = f"{share(row['lower'])}–{share(row['upper'])}"
        found.setdefault(name, []).append((share(row["median"]), interval))
        most[name] = attempts[row["system"]]
    n = set(most.values())
    ratios = tuple(ratio(k, n.copy().pop()) for k in ks) if len(n) == 1 and n != {0} else ()
    return Paper(
        f"{what} on {attempted} attempts at each. Target {target}: {TARGETS[target]}. Posterior "
        f"median and {100 * prob:.4g}% equal-tailed credible interval, family {family}. Beyond n "
        "attempts a forecast rests on the family.",
        f"tab:passk-{target}",
        tuple(f"{k:,}" if math.isfinite(k) else "∞" for k in ks),
        ratios,
        tuple((name, f"{most[name]:,}", tuple(cells)) for name, cells in found.items()),
    )


def latex(table: Paper) -> str:
    r"""Return a table of LaTeX with the package booktabs: medians, and intervals under them."""
    columns = len(table.ks)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latexed(table.caption)}}}",
        rf"\label{{{table.label}}}",
        rf"\begin{{tabular}}{{lr{'r' * columns}}}",
        r"\toprule",
        rf" & & \multicolumn{{{columns}}}{{c}}{{pass@$k$, $k =$}} \\",
        rf"\cmidrule(l){{3-{columns + 2}}}",
        _row(["System", "$n$", *map(latexed, table.ks)]),
    ]
    if table.ratios:
        lines.append(_row(["$k/n$", "", *map(latexed, table.ratios)]))
    lines.append(r"\midrule")
    for system, n, cells in table.rows:
        lines.append(_row([latexed(system), latexed(n), *(latexed(median) for median, _ in cells)]))
        small = (rf"\scriptsize {latexed(interval)}" for _, interval in cells)
        lines.append(_row(["", "", *small]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def markdown(table: Paper) -> str:
    """Return a table of Markdown under its caption."""
    heads = [f"k = {k}" for k in table.ks]
    if table.ratios:
        said = [one if one == "within" else f"{one} n" for one in table.ratios]
        heads = [f"{head} ({one})" for head, one in zip(heads, said, strict=True)]
    lines = [
        _cells(["System", "n", *heads]),
        f"|---|{'---:|' * (len(heads) + 1)}",
        *(
            _cells([system, n, *(f"{median} ({interval})" for median, interval in cells)])
            for system, n, cells in table.rows
        ),
    ]
    return f"{escaped(table.caption)}\n\n" + "\n".join(lines) + "\n"


def _cells(cells: Sequence[str]) -> str:
    return f"| {' | '.join(escaped(cell) for cell in cells)} |"
