"""What a command has found is printed, or written to a file."""

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bayespassk.errors import OptionError
from bayespassk.files import check_writable, write
from bayespassk.process import is_quiet
from bayespassk.terminal import printable

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "FORMS",
    "PAPERS",
    "check_folder",
    "check_outputs",
    "say",
    "show",
    "tell",
    "warn",
    "write_figure",
    "write_text",
]

FORMS = {".csv": "csv", ".json": "json"}
"""The formats of a table that the name of a file stands for."""

KINDS = {
    ".csv": "CSV", ".json": "JSON", ".nc": "netCDF", ".parquet": "Parquet", ".html": "HTML",
    ".htm": "HTML", ".md": "Markdown", ".tex": "LaTeX", ".png": "PNG", ".pdf": "PDF", ".svg": "SVG",
}  # fmt: skip
"""What the names of files say is in them."""


def check_outputs(
    output: str | None, *figures: str | None, kinds: Sequence[str] = tuple(FORMS)
) -> None:
    """Refuse files that cannot be written, or should not be, before spending time on them.

    Parameters
    ----------
    output : str or None
        Where the answer is to be written; its name must not say that it is of another kind.
    *figures : str or None
        Further files to write.
    kinds : sequence of str
        Suffixes of what the command can write.

    Raises
    ------
    OptionError
        If a file cannot be written, is what the command reads, is to be written twice, or has the
        name of what the command does not write.
    """
    suffix = "" if output is None else Path(output).suffix.lower()
    paths = [path for path in (output, *figures) if path is not None]
    for path in paths:
        try:
            check_writable(Path(path))
        except OSError as error:
            raise OptionError(f"{path}: cannot be written: {error.strerror or error}") from None
        for source in _sources():
            _check_not_read(path, source)
    if len({os.path.realpath(path) for path in paths}) < len(paths):
        raise OptionError(f"{paths[0]}: would be written twice. Give files that differ")
    if suffix in KINDS and suffix not in kinds:
        known = " or ".join(f"{KINDS[one]} ({one})" for one in kinds)
        raise OptionError(
            f"{output}: its name says that it is {KINDS[suffix]}, and what this command writes is "
            f"{known}. Give a name that says so"
        )


def check_folder(output: str | None, *names: str) -> None:
    """Refuse a folder if what is written into it would go over a file that the command reads."""
    for source in [] if output is None else _sources():
        for name in names:
            _check_not_read(str(Path(output or "") / name), source, within=False)


def _sources() -> Iterator[str]:
    """Yield what the command was given to read: its arguments."""
    context = click.get_current_context()
    for one in context.command.params:
        if isinstance(one, click.Argument) and (given := context.params[one.name or ""]):
            yield from [given] if isinstance(given, str) else given


def _check_not_read(path: str, source: str, within: bool = True) -> None:
    """Refuse to write over what is read, whatever name either is called by."""
    from bayespassk.logs.reading import SUFFIXES

    one, other = Path(path), Path(source)
    if not one.exists() or not other.exists() or not stat.S_ISREG(one.stat().st_mode):
        return
    within = (
        within
        and other.is_dir()
        and Path(os.path.realpath(one)).is_relative_to(os.path.realpath(other))
    )
    if one.samefile(other) or (within and one.suffix.lower() in SUFFIXES):
        where = "in what" if within else "what"
        raise OptionError(
            f"{path}: is {where} this command reads ({source}), and would be lost. Give another "
            "file to write"
        )


PAPERS = {".md": "md", ".tex": "latex"}
"""The formats of a table for a paper that the name of a file stands for."""


def show(
    form: str,
    output: str | None,
    table: "pd.DataFrame",
    meta: dict[str, Any],
    text: str,
    papers: Mapping[str, Callable[[], str]] | None = None,
) -> None:
    """Print a table, or write it to a file: as JSON with `meta`, as CSV, or as `text` has it.

    The name of a file says which, unless the option does. `papers` make further formats.
    """
    from bayespassk import texts

    source = click.get_current_context().get_parameter_source("form")
    if output is not None and source is not click.core.ParameterSource.COMMANDLINE:
        form = (FORMS | PAPERS).get(Path(output).suffix.lower(), form)
    if papers and form in papers:
        text = papers[form]()
    elif form == "json":
        text = texts.as_json(table, meta)
    elif form == "csv":
        text = texts.as_csv(table)
    write_text(text, output)


def write_text(text: str, output: str | None) -> None:
    """Write to a file, or else print: what a terminal would obey is then replaced."""
    if output is not None:
        write(output, text)
        return
    shown = printable(text)
    click.echo(shown, nl=not text.endswith("\n"))
    if shown != text:
        warn("characters that a terminal would obey were replaced; -o writes names as they are")


def write_figure(draw: Callable[[], Any], path: str) -> None:
    """Write the figure that `draw` makes axes of, in the format that the name of the file says."""
    from bayespassk.plot import as_image

    form = Path(path).suffix.lower().removeprefix(".") or "png"
    try:
        image = as_image(draw(), form)
    except ValueError as error:
        raise OptionError(f"{path}: cannot be written: {error}") from None
    write(path, image)


def say(text: str) -> None:
    """Say on standard error what was done, unless that is not wanted."""
    if not is_quiet():
        tell(text)


def tell(text: str) -> None:
    """Say on standard error what must be known."""
    click.echo(printable(text), err=True)


def warn(text: str) -> None:
    """Warn on standard error."""
    click.secho(f"WARNING: {printable(text)}", err=True, fg="yellow")
