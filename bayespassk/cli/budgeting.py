"""The commands that ask a fit how often, at what risk and at what cost."""

from typing import Any

import click

from bayespassk.cli.group import cli
from bayespassk.cli.options import (
    fitting_options,
    format_option,
    k_option,
    option,
    output_option,
    prob_option,
    seed_option,
    target_option,
)
from bayespassk.cli.printing import check_outputs, show
from bayespassk.cli.sources import fit_of
from bayespassk.errors import OptionError

__all__: list[str] = []


class Wanted(click.ParamType[Any]):
    """How many successes: a whole number or several, a share of k, or a word."""

    name = "M|SHARE|WORD"

    def convert(self, value: Any, *_context: Any) -> Any:
        """Return numbers, or the word."""
        if value in ("majority", "all"):
            return value
        try:
            each = [float(part.replace("_", "")) for part in value.split(",")]
        except ValueError:
            raise OptionError(
                "--m must be whole numbers separated by commas, a share of k between 0 and 1, "
                f"'majority' or 'all'; got {value!r}"
            ) from None
        return each[0] if len(each) == 1 else each


@cli.command("at-least")
@click.argument("source", metavar="FIT.nc|LOG", type=click.Path())
@option(
    "--m",
    "m",
    type=Wanted(),
    default="majority",
    help="Successes wanted: one number or one for each k, a share of k, majority or all.",
)
@k_option.but(default="1,5,10")
@target_option
@prob_option
@format_option
@output_option
@seed_option
@fitting_options
def at_least_command(
    source: str,
    m: Any,
    k: list[int],
    target: Any,
    prob: float,
    form: str,
    output: str | None,
    seed: int | None,
    **options: Any,
) -> None:
    """Find the probability that at least m of k attempts succeed.

    From a saved fit, or from LOG, which is fitted first. A share of k is rounded up: G-Pass@k.
    """
    import numpy as np

    from bayespassk import texts
    from bayespassk.asking.at_least import at_least, successes_wanted
    from bayespassk.asking.summaries import summarize
    from bayespassk.options import check_interval, check_target

    wanted = successes_wanted(m, np.array(k))
    check_target(target)
    check_interval(prob, "eti")
    check_outputs(output)
    fit = fit_of(source, seed=seed, **options)
    draws = at_least(fit, m, k, target, random_seed=seed)
    table, meta = summarize(draws, prob), texts.provenance(fit, draws)
    table.insert(1, "m", np.tile(wanted, draws.sizes["system"]))
    text = f"{texts.as_text(table)}\n\n{texts.at_least_caption(table, meta)}\n"
    show(form, output, table, meta, text)
