"""Text of users as a terminal or a page may have it: nothing turns what is read."""

import html
import re
from collections.abc import Iterable, Sequence

__all__ = ["CONTROLS", "html_table", "on_line", "printable", "visible"]

CONTROLS = "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"

BREAKS = "[\x0b-\x0d\x1c-\x1f\x85\u2028\u2029]"
"""White space that goes to another line, or back to the beginning of this one."""


def visible(text: str) -> str:
    """Return text in which nothing turns the order of what is around it, or hides it.

    Characters that control the direction of text can make "0.123" of "321.0" in a sentence about
    a name; they and other controls, but for white space, become the sign for what is unknown.
    """
    return re.sub(CONTROLS, "\ufffd", text)


def printable(text: str) -> str:
    """Return lines of text for a terminal: visible, and ended by newlines alone."""
    return re.sub(BREAKS, "\ufffd", visible(text))


def on_line(text: str) -> str:
    """Return text for a place within a line: visible, all white space a space."""
    return " ".join(visible(text).split())


MOST_ROWS = 20
"""Of a table in a notebook; the rest are counted."""


def html_table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table for a notebook; all of it is text, and numbers stand on the right."""
    every = [*rows]
    left = len(every) - MOST_ROWS
    lines = [_html_row("td", row) for row in every[:MOST_ROWS]]
    more = f"<p>and {left:,} more</p>" if left > 0 else ""
    return (
        f"<div><p>{_in_html(title)}</p><table class='dataframe'><thead>{_html_row('th', heads)}"
        f"</thead><tbody>{''.join(lines)}</tbody></table>{more}</div>"
    )


def _html_row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{_in_html(cell)}</{tag}>' for cell in cells)}</tr>"


def _in_html(text: str) -> str:
    return html.escape(on_line(text))
