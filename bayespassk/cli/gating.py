"""The command that a pipeline asks whether a requirement is met."""

import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

import click

from bayespassk.cli.group import cli
from bayespassk.cli.options import (
    fitting_options,
    format_option,
    output_option,
    prob_option,
    seed_option,
    target_option,
)
from bayespassk.cli.printing import check_outputs, show
from bayespassk.cli.sources import baseline_of, fit_of
from bayespassk.errors import SamplingError

if TYPE_CHECKING:
    import xarray as xr

    from bayespassk.gating import Gate

__all__: list[str] = []

EXIT = {"met": 0, "not met": 1, "cannot tell": 3}


@cli.command("gate")
@click.argument("source", metavar="FIT.nc|LOG", type=click.Path())
@click.option(
    "--require",
    required=True,
    multiple=True,
    metavar="TEXT",
    help="Such as 'pass@10 >= 0.9', 'A > B at pass@10', 'pass@10 >= baseline - 0.02'. May be given "
    "again: all must be met.",
)
@click.option(
    "--against",
    metavar="FIT.nc|LOG",
    type=click.Path(),
    help="The baseline: a saved fit, or a log, which is fitted in the same way.",
)
@target_option
@prob_option.but(
    help="How probable a requirement must be to be met, or its contrary to be not met."
)
@format_option
@output_option
@seed_option
@fitting_options
def gate_command(
    source: str,
    require: tuple[str, ...],
    against: str | None,
    target: Any,
    prob: float,
    form: str,
    output: str | None,
    seed: int | None,
    **options: Any,
) -> None:
    """Tell whether a requirement is met, by the exit status.

    0: it is met. 1: it is not. 3: these attempts cannot tell, and about how many further ones
    should is said. 2: bad input, or anything else that went wrong; 130: interrupted. Of several
    requirements and systems 1 if one is not met, and else 3 if one cannot be told.
    """
    from bayespassk.gating import gate
    from bayespassk.options import check_target

    check_target(target)
    check_outputs(output)
    try:
        baseline = None if against is None else baseline_of(against, seed=seed, **options)
        fit = fit_of(source, seed=seed, **options)
        found = gate(fit, require, prob=prob, against=baseline, target=target, random_seed=seed)
        _show(found, fit, baseline, target, form, output)
    except BrokenPipeError:  # whoever reads has had enough; the status is for whoever waits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (click.ClickException, ValueError, SamplingError, OSError, MemoryError):
        raise  # which end with 2
    except Exception:
        traceback.print_exc()  # and not with 1, which would be a verdict
        sys.exit(2)
    sys.exit(EXIT[found.status])


def _show(
    found: "Gate",
    fit: "xr.DataTree",
    baseline: "xr.DataTree | None",
    target: str,
    form: str,
    output: str | None,
) -> None:
    """Print the verdict, or write it to a file."""
    from bayespassk import texts

    status = {"status": found.status, "exit": EXIT[found.status], "prob": found.prob}
    meta = status | {"target": target} | texts.provenance(fit)
    if baseline is not None:
        meta["baseline"] = texts.provenance(baseline)
    show(form, output, found.rows, meta, f"{found.message()}\n")
    sys.stdout.flush()
