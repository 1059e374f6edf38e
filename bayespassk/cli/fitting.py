"""The commands that read a log, fit a family to it, and say which families there are."""

from typing import Any

import click

from bayespassk.cli.group import cli
from bayespassk.cli.options import (
    Names,
    fitting_options,
    option,
    output_option,
    reading_options,
    seed_option,
    stopping_option,
    verifier_options,
)
from bayespassk.cli.printing import check_outputs, say, warn, write_text
from bayespassk.cli.sources import fit_log, read_log

__all__: list[str] = []


@cli.command("fit")
@click.argument("counts", metavar="LOG", type=click.Path())
@output_option.but(required=True, help="File to write (netCDF).")
@fitting_options
@verifier_options
@seed_option
def fit_command(counts: str, output: str, **options: Any) -> None:
    """Fit a family to LOG and save the posterior."""
    from bayespassk.posterior.diagnostics import diagnostics
    from bayespassk.posterior.saving import save

    check_outputs(output, kinds=[".nc"])
    fit = fit_log(counts, **options)
    save(fit, output)
    say(f"{output}: saved; {diagnostics(fit).message()}")


@cli.command("convert")
@click.argument("log", metavar="LOG", type=click.Path())
@output_option.but(help="CSV file to write instead of printing.")
@option(
    "--covariates",
    type=Names(),
    metavar="NAME,...",
    help="Columns to keep, such as a difficulty.",
)
@stopping_option.but(help="How attempts were ended, if the log does not say.")
@reading_options
def convert_command(
    log: str, output: str | None, covariates: list[str] | None, **options: Any
) -> None:
    """Write the counts in LOG as CSV, one row per problem.

    FORMAT is csv, parquet, json, matrix (NumPy), human-eval, evalplus, lm-eval, inspect, monkeys
    (Large Language Monkeys), best-of-n (Best-of-N Jailbreaking), livecodebench, terminal-bench,
    harbor, tau-bench, swe-bench, promptfoo, nemo-skills, verl, verifiers, metr, qwen-math,
    lighteval or evalscope. By default it is found from what is in the file or folder.
    """
    from bayespassk import texts

    check_outputs(output, kinds=[".csv"])
    counts = read_log(log, options, covariates)
    write_text(texts.as_csv(counts.to_dataframe()), output)
    if counts.stopping != "fixed":
        warn(
            f"how attempts were ended is not in a CSV file: give --stopping {counts.stopping} with "
            "it"
        )


@cli.command("families")
def families_command() -> None:
    """List the families, and when to use each."""
    from bayespassk.families import family_names

    names = family_names()
    for name, when in names.items():
        click.echo(f"{name:{max(map(len, names))}}  {when}")
    click.echo(
        "\nThey combine: zero-inflated- and one-inflated- go before any name, -mixture-2 to "
        "-mixture-9 after a simple one."
    )
