"""The forms of a report: HTML, Markdown, JSON, CSV and LaTeX. All text of users is escaped here."""

import base64
import re
from pathlib import Path
from typing import Any

from bayespassk.errors import InputError
from bayespassk.files import write
from bayespassk.reporting.collecting import Findings
from bayespassk.reporting.document import (
    Items,
    Section,
    Table,
    Text,
    headline,
    sections,
)
from bayespassk.reporting.figures import Figure, figures
from bayespassk.reporting.papers import latex, paper
from bayespassk.terminal import visible
from bayespassk.texts import as_csv, as_json_text, escaped, latexed

__all__ = ["as_report_csv", "as_report_json", "write_html", "write_latex", "write_markdown"]

CAVEAT = (
    "A verdict of sound is no proof. The attempts say nothing about success probabilities far "
    "below one over their number, so that far beyond them a forecast rests on the family and its "
    "priors; attempts must be independent given the problem, which counts alone cannot tell "
    "(bp.independence can, from attempts by run or in order), and a success must be a success."
)


def as_report_json(found: Findings) -> str:
    """Return the data of a report as JSON."""
    return as_json_text(found.data) + "\n"


COMPUTES = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""What a spreadsheet takes for the beginning of a formula, also in full width."""


def _as_cell(text: str) -> str:
    """Return text as a spreadsheet shows it rather than computes it: after an apostrophe."""
    return f"'{text}" if text.lstrip().startswith(COMPUTES) else text


def as_report_csv(found: Findings) -> str:
    """Return the forecasts as CSV, one a row; no name in it is a formula to a spreadsheet."""
    import pandas as pd

    asked = found.data["asked"]
    rows = [
        {"target": target, "system": _as_cell(row["system"]), "quantity": row["what"]}
        | {
            name: row[name]
            for name in ("k", "mean", "median", "lower", "upper", "alone")
            if name in row
        }
        | {"prob": asked["prob"], "family": asked["family"]}
        for target, each in found.data["forecast"].items()
        for row in each
    ]
    return as_csv(pd.DataFrame(rows).assign(verdict=found.data["verdict"]["level"]))


# HTML ------------------------------------------------------------------------------------------


def write_html(found: Findings, path: Path) -> None:
    """Write a page with everything in it: no script, and nothing that is loaded."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("bayespassk", "reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: visible(value) if isinstance(value, str) else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["items"] = lambda block: isinstance(block, Items)
    environment.tests["table"] = lambda block: isinstance(block, Table)
    drawn = figures(found, "svg")
    page = environment.get_template("page.html.jinja").render(
        data=found.data,
        headline=headline(found.data),
        caveat=CAVEAT,
        sections=sections(found.data),
        figures={key: [one for one in drawn if one.section == key] for key in _keys(drawn)},
        uri=lambda figure: (
            "data:image/svg+xml;base64," + base64.b64encode(figure.image).decode("ascii")
        ),
    )
    write(path, page)


def _keys(drawn: list[Figure]) -> set[str]:
    return {figure.section for figure in drawn}


# Markdown --------------------------------------------------------------------------------------


def write_markdown(found: Findings, path: Path) -> None:
    """Write Markdown, and its figures into a folder beside it."""
    folder = path.with_name(f"{path.stem}_files")
    drawn = figures(found, "png")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror or error}") from None
    for figure in drawn:
        write(folder / f"{figure.name}.png", figure.image)
    data = found.data
    verdict = data["verdict"]
    parts = [
        f"# {escaped(data['title'])}",
        f"**Verdict: {verdict['level']}.** {escaped(verdict['sentence'])}",
        _markdown_list([reason["text"] for reason in verdict["reasons"]]),
        CAVEAT,
        _markdown_list(headline(data)),
    ]
    for section in sections(data):
        parts.append(f"## {escaped(section.title)}")
        parts += _markdown_section(section, drawn, folder.name)
    write(path, "\n\n".join(parts) + "\n")


def _markdown_section(section: Section, drawn: list[Figure], folder: str) -> list[str]:
    first, *others = [_markdown(block) for block in section.blocks]
    images = [
        f"![{escaped(one.alt)}](<{_in_link(folder)}/{one.name}.png>)\n\n*{escaped(one.caption)}*"
        for one in drawn
        if one.section == section.key
    ]
    return [first, *images, *others]


def _in_link(folder: str) -> str:
    """Return the name of a folder as it is written within < and >."""
    return re.sub(r"([\\<>])", r"\\\1", folder)


def _markdown(block: Text | Items | Table) -> str:
    if isinstance(block, Text):
        return escaped(block.text)
    if isinstance(block, Items):
        return _markdown_list(block.items)
    lines = [
        _markdown_row(block.columns),
        _markdown_rule(block.numbers),
        *(_markdown_row(row) for row in block.rows),
    ]
    return f"{escaped(block.title)}:\n\n" + "\n".join(lines)


def _markdown_list(items: Any) -> str:
    return "\n".join(f"- {escaped(item)}" for item in items)


def _markdown_row(cells: Any) -> str:
    return f"| {' | '.join(escaped(cell) for cell in cells)} |"


def _markdown_rule(numbers: tuple[bool, ...]) -> str:
    return f"|{'|'.join('---:' if number else '---' for number in numbers)}|"


# LaTeX -----------------------------------------------------------------------------------------


def write_latex(found: Findings, path: Path) -> None:
    """Write the forecasts as tables, one for each target."""
    data = found.data
    asked = data["asked"]
    lines = [
        "% \\usepackage{booktabs}",
        *(
            f"% {latexed(line)}"
            for line in (
                f"bayespassk {data['version']}, input sha256 "
                f"{next(iter(data['fits'].values()))['input_sha256'][:16]}",
                f"Verdict: {data['verdict']['level']}. {data['verdict']['sentence']}",
            )
        ),
    ]
    attempts = {row["system"]: row["attempts_most"] for row in data["data"]["systems"]}
    tables = [
        latex(
            paper(
                data["forecast"][target],
                attempts,
                target=target,
                attempted=found.fit.attempted(),
                family=" and ".join(asked["average"] or [asked["family"]]),
                prob=asked["prob"],
            )
        )
        for target in asked["targets"]
    ]
    write(path, "\n".join(lines) + "\n\n" + "\n".join(tables))
