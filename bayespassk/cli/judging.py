"""The commands that judge: a fit against its data, families and methods against each other."""

from typing import Any

import click

from bayespassk.cli.group import cli, going_on_from
from bayespassk.cli.options import (
    Names,
    Sizes,
    cores_option,
    family_option,
    figure_option,
    fitting_options,
    format_option,
    k_option,
    option,
    output_option,
    prob_option,
    reading_options,
    sampling_options,
    seed_option,
    stopping_option,
    target_option,
    verifier_options,
    weights_option,
)
from bayespassk.cli.printing import (
    check_folder,
    check_outputs,
    say,
    show,
    warn,
    write_figure,
    write_text,
)
from bayespassk.cli.sources import fit_of, fits_of, read_log, refuse_fit, take_reading
from bayespassk.errors import OptionError

__all__: list[str] = []

CANDIDATES = "zero-inflated-libby-novick,libby-novick,beta"
"""The families that are compared if none are named."""


@cli.command("check")
@click.argument("source", metavar="FIT.nc|LOG", type=click.Path())
@format_option
@output_option
@figure_option.but(help="File for a figure, such as check.png.")
@seed_option
@fitting_options
def check_command(
    source: str,
    form: str,
    output: str | None,
    figure: str | None,
    seed: int | None,
    **options: Any,
) -> None:
    """Compare the data with data replicated from a saved fit, or from a fit to LOG."""
    from bayespassk import texts
    from bayespassk.asking.guard import agreements
    from bayespassk.judging.agreeing import explained
    from bayespassk.judging.independence import independence
    from bayespassk.judging.replicating import check, summarize_check
    from bayespassk.posterior.fitted import opened

    check_outputs(output, figure)
    fit = fit_of(source, seed=seed, **options)
    found = check(fit, random_seed=seed)
    if figure is not None:
        from bayespassk.plot import plot_check

        write_figure(lambda: plot_check(found)[0, 0], figure)
    table, meta = summarize_check(found), texts.check_provenance(fit, found)
    fitted = opened(fit)
    others = explained(fitted, agreements(fitted))
    said = texts.as_findings(table)
    if others is not None:
        meta["agreement"] = others.to_dict("records")
        said += f"\n\n{texts.as_agreement(others)}"
    runs = independence(fitted.counts, random_seed=fitted.seed_or(seed))
    meta["independence"] = texts.as_records(runs)
    said += f"\n\nIndependence of attempts\n{texts.as_independence(runs, fitted.stopping)}"
    show(form, output, table, meta, f"{said}\n\n{texts.check_caption(meta)}\n")


@cli.command("independence")
@click.argument("log", metavar="LOG", type=click.Path())
@format_option
@output_option
@seed_option
@reading_options
@stopping_option
def independence_command(
    log: str, form: str, output: str | None, seed: int | None, **options: Any
) -> None:
    """Test whether attempts depend on each other: runs, copies, drift.

    LOG has one row or record per attempt; in a folder each file is a run.
    """
    from bayespassk import texts
    from bayespassk.judging.independence import independence
    from bayespassk.logs import read_attempts

    check_outputs(output)
    refuse_fit(log)
    reading = take_reading(options)
    reading.pop("runs", None)  # each file is a run in any case
    attempts = read_attempts(log, **reading)
    table = independence(attempts, random_seed=1 if seed is None else seed)
    meta = {"attempts": len(attempts), "stopping": attempts.attrs["stopping"]}
    show(form, output, table, meta, f"{texts.as_independence(table, meta['stopping'])}\n")


@cli.command("compare")
@click.argument("sources", metavar="LOG|FIT.nc...", nargs=-1, required=True, type=click.Path())
@family_option.but(default=CANDIDATES, help="Names, between commas; see 'families'.")
@format_option
@output_option
@seed_option
@sampling_options
def compare_command(
    sources: tuple[str, ...],
    family: str,
    form: str,
    output: str | None,
    seed: int | None,
    **options: Any,
) -> None:
    """Compare families by how well they foretell problems of LOG left out.

    Or compare saved fits of the same counts, two or more.
    """
    from bayespassk import texts
    from bayespassk.judging.comparing import compare

    check_outputs(output)
    if "," not in family:
        raise OptionError(f"--families must name at least two, between commas; got {family!r}")
    fits = fits_of(sources, family, seed, **options)
    if len(fits) < 2:
        raise OptionError(f"{sources[0]}: one saved fit; give another to compare it with, or LOG")
    table = compare(fits)
    each = {name: texts.provenance(fit) for name, fit in fits.items()}
    text = f"{texts.as_comparison(table)}\n\n{texts.comparison_caption(table, each)}\n"
    show(form, output, table, {"fits": each}, text)


@cli.command("report")
@click.argument("sources", metavar="LOG|FIT.nc...", nargs=-1, required=True, type=click.Path())
@output_option.but(required=True, help="File to write: .html, .md, .json, .csv or .tex.")
@k_option
@target_option.but(
    type=Names(), default=None, help="Of benchmark, population and realised.  [default: all]"
)
@prob_option.but(help="Posterior probability of the intervals.")
@family_option.but(
    default=CANDIDATES,
    help="Names, between commas: the first forecasts, others are compared; with --weights, their "
    "average.",
)
@weights_option.but(default=None, help="Forecast by the average of all families, so weighted.")
@sampling_options
@verifier_options
@seed_option
def report_command(
    sources: tuple[str, ...],
    output: str,
    k: list[int],
    target: Any,
    prob: float,
    family: str,
    weights: Any,
    seed: int | None,
    **options: Any,
) -> None:
    """Write a report for those who did not make the fits: a verdict, forecasts, checks.

    Of one or several saved fits of the same counts, or of LOG, to which families are fitted first.
    The forecasts are those of the first fit, and the others are compared with it; or with
    --weights the average of all.
    """
    from bayespassk.options import check_interval
    from bayespassk.reporting import check_path, report

    check_path(output)
    check_outputs(output, kinds=[".html", ".htm", ".md", ".json", ".csv", ".tex"])
    check_interval(prob, "eti")
    fits = fits_of(sources, family, seed, **options)
    found = report(fits, output, k=k, target=target, prob=prob, weights=weights, random_seed=seed)
    verdict = found["verdict"]
    say(f"{output}: saved. Verdict: {verdict['level']}. {verdict['sentence']}")
    for reason in verdict["reasons"]:
        if reason["level"] != "sound":
            warn(reason["text"])


@cli.command("backtest")
@click.argument("counts", metavar="LOG", type=click.Path())
@option(
    "--methods",
    type=Names(),
    help="Estimators, families, averages (beta+kumaraswamy), partial:beta, default.  "
    "[default: all estimators, beta and default]",
)
@option("--n", type=Sizes(), help="Attempts to show at each problem.  [default: half of them]")
@option("--budget", type=Sizes(), help="Instead of --n: attempts to show of each system.")
@k_option.but(default=None, help="Attempts allowed.  [default: all that were made]")
@option("--repeats", default=10, help="Random thinnings for each n.")
@cores_option
@output_option.but(help="Folder for the results; finished work is kept.")
@format_option.but(type=click.Choice(["csv", "parquet"]), default="csv", help="Of the scores.")
@seed_option.but(default=1, help="Repeats every random step.")
@reading_options
def backtest_command(
    counts: str,
    methods: list[str] | None,
    form: Any,
    seed: int,
    output: str | None,
    **options: Any,
) -> None:
    """Hide attempts of LOG, forecast them, and say whether the forecasts were right.

    With --output, the same command goes on where it was interrupted, and one with more methods,
    n, k or repeats computes only what is missing.
    """
    from bayespassk.backtesting.text import summary
    from bayespassk.backtesting.verb import backtest

    check_folder(output, "scores.csv", "scores.parquet", "summary.md", "journal.jsonl")
    with going_on_from(output):
        log = read_log(counts, options)
        scores = backtest(log, methods, output=output, format=form, random_seed=seed, **options)
    if output is None:
        write_text(summary(scores), None)
    else:
        say(f"{output}: saved scores.{form} and a summary")
