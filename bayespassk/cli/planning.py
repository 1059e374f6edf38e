"""The commands that say which attempts to make, before or after the first of them."""

from typing import TYPE_CHECKING, Any

import click

from bayespassk.cli.group import cli
from bayespassk.cli.options import (
    Sizes,
    figure_option,
    fitting_options,
    format_option,
    k_option,
    number,
    option,
    output_option,
    prob_option,
    seed_option,
    target_option,
)
from bayespassk.cli.printing import check_outputs, say, show, tell, write_figure, write_text
from bayespassk.cli.sources import fit_of, read_columns
from bayespassk.errors import OptionError

if TYPE_CHECKING:
    import xarray as xr

    from bayespassk.families import Family

__all__: list[str] = []


@cli.command("plan")
@click.argument("log", type=click.Path())
@k_option.but(type=str, default="10000", help="Attempts allowed in the question asked, up to 1e12.")
@option("--budget", type=float, help="Attempts that may be made from now on.")
@option("--half-width", type=float, help="Half the width of the band to reach, such as 0.02.")
@option("--ask", type=int, help="Attempts to allot now.  [default: the whole budget]")
@target_option
@option(
    "--strategy", default="bayes", help="bayes, fewest-successes, uniform or reset-and-discard."
)
@option("--new-problems", default=0, help="The most problems that could be added (population).")
@option("--limit", type=int, help="The most further attempts at a problem.")
@prob_option.but(help="Posterior probability of the band.")
@output_option
@seed_option
@fitting_options
def plan_command(
    log: str,
    k: str,
    budget: float | None,
    half_width: float | None,
    ask: int | None,
    output: str | None,
    seed: int | None,
    family: str,
    covariates: str | None,
    **options: Any,
) -> None:
    """Say where the next attempts should be made, given those of LOG.

    Prints a table of further attempts, or writes it to a CSV file: make them, and add what came
    of them to LOG. Where the evaluation stands is said on standard error.
    """
    from bayespassk import texts
    from bayespassk.families import family_from_name
    from bayespassk.planning.live import Plan

    if ask is None and budget is None:
        raise OptionError("--ask or --budget must be given, or there is nothing to allot")
    check_outputs(output, kinds=[".csv"])
    plan = Plan(
        read_columns(log, covariates, options),
        number(k),
        half_width,
        budget=ask if half_width is None and budget is None else budget,
        family=family_from_name(family),
        random_seed=1 if seed is None else seed,
        covariates=covariates,
        **options,
    )
    table = plan.ask(plan.left if ask is None else ask)
    say(plan.message())
    for system, many in table.attrs["new_problems"].items():
        tell(
            f"For {system!r} add {many:,} new problems, with "
            f"{table.attrs['new_attempts'][system]:,} attempts at them in all."
        )
    write_text(texts.as_csv(table), output)


@cli.command("design")
@click.argument("source", metavar="[FIT.nc|LOG]", required=False, type=click.Path())
@option("--problems", type=Sizes(), default="50,100,200", help="Numbers of problems.")
@option("--attempts", type=Sizes(), default="10,100,1000", help="Attempts at each of them.")
@k_option.but(default="10000")
@target_option.but(help="benchmark or population.")
@prob_option.but(help="Posterior probability of the band.")
@option("--of-system", help="Which system of the pilot, if there are several.")
@option("--truths", default=40, help="Over how many truths to look.")
@format_option
@output_option
@figure_option.but(help="File for a figure, such as design.png.")
@seed_option
@fitting_options
def design_command(
    source: str | None,
    form: str,
    output: str | None,
    figure: str | None,
    seed: int | None,
    problems: list[int],
    attempts: list[int],
    k: list[int],
    target: Any,
    prob: float,
    of_system: str | None,
    truths: int,
    family: str,
    **options: Any,
) -> None:
    """Say how wide a band to expect of so many problems and attempts, before making them.

    From a pilot: a saved fit, or LOG, which are fitted first. Without one, from the prior of
    the family, which is about benchmarks of all kinds.
    """
    from bayespassk import texts
    from bayespassk.families import family_from_name
    from bayespassk.planning.designing import design

    check_outputs(output, figure)
    known: Family | xr.DataTree
    if source is None:
        known = family_from_name(family)
    else:
        known = fit_of(source, warn=False, family=family, seed=seed, **options)
    table = design(
        known,
        problems,
        attempts,
        k,
        target=target,
        prob=prob,
        system=of_system,
        truths=truths,
        random_seed=1 if seed is None else seed,
    )
    if figure is not None:
        from bayespassk.plot import plot_design

        write_figure(lambda: plot_design(table), figure)
    text = texts.as_design(table)
    about, table.attrs = table.attrs, {}
    show(form, output, table, {"design": about}, text)
