"""The command line as a whole: what commands register on, and how it ends."""

import difflib
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from bayespassk.errors import InputError, SamplingError

__all__ = ["cli", "did_you_mean", "going_on_from", "main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
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
        if category.__module__ == "bayespassk.errors":
            click.secho(f"WARNING: {message}", err=True, fg="yellow")
        else:
            show(message, category, *where, **more)

    warnings.showwarning = brief
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (InputError, SamplingError) as error:
        click.secho(f"Error: {error}{did_you_mean(str(error))}", err=True, fg="red")
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted; nothing was written.", err=True)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has had enough
        sys.stderr.close()
        sys.exit(1)


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
            f"Interrupted; what is finished is in {output}: the same command goes on from there.",
            err=True,
        )
        sys.exit(130)
