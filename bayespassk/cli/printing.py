"""What a command has found is printed, or written to a file."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bayespassk.errors import OptionError
from bayespassk.files import write

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_folders", "show", "write_figure", "write_text"]


def check_folders(*paths: str | None) -> None:
    """Refuse files that cannot be written before spending time on them."""
    for path in paths:
        if path is None:
            continue
        folder = Path(path).resolve().parent
        if not folder.is_dir() or Path(path).is_dir():
            raise OptionError(
                f"{path}: cannot be written: the folder must exist; give a file in one"
            )


def show(
    form: str, output: str | None, table: "pd.DataFrame", meta: dict[str, Any], text: str
) -> None:
    """Print a table, or write it to a file: as JSON with `meta`, as CSV, or as `text` has it."""
    from bayespassk import texts

    if form == "json":
        text = texts.as_json(table, meta)
    elif form == "csv":
        text = texts.as_csv(table)
    write_text(text, output)


def write_text(text: str, output: str | None) -> None:
    """Write to a file, or else to standard output."""
    if output is None:
        click.echo(text, nl=not text.endswith("\n"))
    else:
        write(output, text)


def write_figure(draw: Callable[[], Any], path: str) -> None:
    """Write the figure that `draw` makes axes of, in the format that the name of the file says."""
    from bayespassk.plot import figure_of

    try:
        figure_of(draw()).savefig(path, dpi=150)
    except (ValueError, OSError) as error:
        raise OptionError(f"{path}: cannot be written: {error}") from None
