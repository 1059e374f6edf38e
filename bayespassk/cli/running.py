"""The command that makes many fits, on all cores or on a cluster."""

import sys
from contextlib import nullcontext
from typing import Any

import click

from bayespassk.cli.group import cli, going_on_from
from bayespassk.cli.options import (
    Names,
    cores_option,
    fitting_options,
    k_option,
    option,
    output_option,
    prob_option,
    seed_option,
    target_option,
    verifier_options,
)
from bayespassk.cli.printing import say, tell
from bayespassk.cli.sources import families_of, take_reading

__all__: list[str] = []


@cli.command("batch")
@click.argument("logs", metavar="LOGDIR", type=click.Path())
@output_option.but(required=True, help="Folder for the results; finished fits are kept.")
@option(
    "--by",
    type=Names(),
    metavar="TEXT",
    default="benchmark,system",
    help="What is fitted by itself: benchmark,system; benchmark; system; or log, all of each log.",
)
@k_option
@target_option
@prob_option
@cores_option
@option(
    "--scheduler", metavar="ADDRESS", help="Of a Dask cluster to use instead, as tcp://HOST:8786."
)
@seed_option.but(default=1, help="Repeats every random step.")
@fitting_options
@verifier_options
def batch_command(
    logs: str,
    output: str,
    by: list[str],
    scheduler: str | None,
    seed: int,
    family: str,
    true_positive_rate: float | None,
    false_positive_rate: float | None,
    **options: Any,
) -> None:
    """Fit each system of each log in LOGDIR by itself, on all cores or on a cluster.

    Each file and each folder in LOGDIR is a log. One that cannot be read, or a fit that fails, does
    not stop the others. The same command goes on where it was interrupted, and fits what has failed
    or changed since. What is kept: each fit, a journal, and summary.csv with the forecasts and
    with what failed and why. The exit status is 1 if anything failed.
    """
    from bayespassk import texts
    from bayespassk.running.many import fit_many
    from bayespassk.running.workers import connected

    (one,) = families_of([family], true_positive_rate, false_positive_rate)
    reading = take_reading(options)
    with (
        going_on_from(output),
        nullcontext() if scheduler is None else connected(scheduler) as client,
    ):
        table = fit_many(
            logs,
            by=() if by == ["log"] else by,
            family=one,
            reading=reading,
            output=output,
            client=client,
            random_seed=seed,
            **options,
        )
    said, failed = f"{output}: {texts.as_batch(table)}", (table["status"] == "failed").any()
    if failed:
        tell(said)
        sys.exit(1)
    say(said)
