"""The command line as a whole: what commands register on, and how it ends."""

import difflib
import io
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from bayespassk.errors import InputError, SamplingError
from bayespassk.process import be_quiet
from bayespassk.terminal import printable

__all__ = ["cli", "did_you_mean", "going_on_from", "main"]


def _hush(_context: click.Context, _option: click.Parameter, quiet: bool) -> None:
    if quiet:
        be_quiet(True)


class _Quiet(click.Option):
    """The option that all commands have, and the program before them."""

    def __init__(self) -> None:
        super().__init__(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_hush,
            help="Say nothing but warnings and errors beside the answer.",
        )


class _Commands(click.Group):
    """Commands, each of which can be quiet."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command, and to the command what all have."""
        cmd.params.append(_Quiet())
        super().add_command(cmd, name)


@click.group(
    cls=_Commands,
    params=[_Quiet()],
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="bayespassk")
def cli() -> None:
    """Forecast pass@k far beyond the attempts made, with credible bands.

    LOG is a CSV file with columns problem, attempts and successes, and optionally system and
    benchmark; or an evaluation log as it comes: of Inspect, lm-evaluation-harness, human-eval,
    evalplus and others, a file or a folder, or - for standard input; see 'bayespassk convert
    --help'. Results go to
    standard output, progress and warnings to standard error. The exit status is 0, or 2 for bad
    input, 130 after an interruption, and 1 if some of the fits of 'batch' failed; a fit that did
    not converge gives 0 and a loud warning.
    """


def main() -> None:
    """Run the command line; the entry point of the package."""
    show = warnings.showwarning

    def brief(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        said = printable(str(message))
        if category.__module__ == "bayespassk.errors":
            click.secho(f"WARNING: {said}", err=True, fg="yellow")
        else:
            show(said, category, *where, **more)

    warnings.showwarning = brief
    be_quiet(False)
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        text = io.StringIO()
        error.show(text)
        said = text.getvalue().replace(error.message, _in_one_line(error.message))
        click.echo(printable(said), err=True, nl=False)
        sys.exit(2)
    except (InputError, SamplingError) as error:
        _end(f"{error}{did_you_mean(str(error))}")
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted; nothing was written.", err=True)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has had enough
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        _forget_output()
        _end(f"{error.filename or 'standard output'}: {error.strerror or error}")
    except MemoryError:
        _end("memory ran out. Ask of fewer problems, systems or draws at a time")


def _end(why: str) -> None:
    """Say in one line why there is no answer, and end."""
    click.secho(f"Error: {_in_one_line(why)}", err=True, fg="red")
    sys.exit(2)


def _in_one_line(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", printable(text))


def _forget_output() -> None:
    """Drop what standard output could not take, or Python would try again as it ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def did_you_mean(message: str) -> str:
    """Return which of the values that an error lists was likely meant by the one it got, if any."""
    listed, sign, got = message.partition("; got '")
    if not sign:
        return ""
    given = got.partition("'")[0]
    near = difflib.get_close_matches(given, re.findall(r"'([^']+)'", listed), n=1)
    return f". Did you mean {near[0]!r}?" if near and near[0] != given else ""


@contextmanager
def going_on_from(output: str | None) -> Iterator[None]:
    """Say, after an interruption, that what is finished is kept."""
    try:
        yield
    except KeyboardInterrupt:
        if output is None:
            raise
        click.echo(
            printable(
                f"Interrupted; what is finished is in {output}: the same command goes on from "
                "there."
            ),
            err=True,
        )
        sys.exit(130)
