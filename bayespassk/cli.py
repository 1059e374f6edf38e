"""The command line: each command parses, calls one verb and prints."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bayespassk.errors import InputError, OptionError, SamplingError
from bayespassk.files import write

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayespassk.counts import Counts
    from bayespassk.families import Family

__all__ = ["main"]

FITTING = (
    "family",
    "true_positive_rate",
    "false_positive_rate",
    "weights",
    "stopping",
    "pooling",
    "covariates",
    "method",
    "draws",
    "tune",
    "chains",
    "target_accept",
)

READING = (
    "log_format",
    "errors",
    "system",
    "benchmark",
    "columns",
    "scorer",
    "filter",
    "metric",
    "threshold",
    "values",
    "tests",
    "batch",
)


class _Ks(click.ParamType[list[int]]):
    """Numbers of attempts, separated by commas."""

    name = "K,K,..."

    def convert(self, value: Any, *_context: Any) -> list[int]:
        from bayespassk.options import check_k

        return list(check_k(_number(part) for part in value.split(",")))


class _Sizes(click.ParamType[list[int]]):
    """Numbers of attempts to show, separated by commas."""

    name = "N,N,..."

    def convert(self, value: Any, *_context: Any) -> list[int]:
        try:
            return [int(part.replace("_", "")) for part in value.split(",")]
        except ValueError:
            raise OptionError(
                "attempts to show must be whole numbers separated by commas, as in 20,100; got "
                f"{value!r}"
            ) from None


class _Shares(click.ParamType[list[float]]):
    """Values of pass@k, separated by commas."""

    name = "P,P,..."

    def convert(self, value: Any, *_context: Any) -> list[float]:
        try:
            return [float(part) for part in value.split(",")]
        except ValueError:
            raise OptionError(
                f"--target must be values of pass@k separated by commas, as in 0.5,0.9; got "
                f"{value!r}. Whose pass@k is said by --of"
            ) from None


class _Pairs(click.ParamType[dict[str, str]]):
    """Names and what they stand for, as in n=attempts,c=successes."""

    name = "NAME=NAME,..."

    def convert(self, value: Any, *_context: Any) -> dict[str, str]:
        parts = [part.rpartition("=") for part in value.split(",")]
        if not all(name.strip() and sign for name, sign, _ in parts):
            raise OptionError(
                f"must be pairs with '=', separated by commas, as in n=attempts,c=successes; got "
                f"{value!r}"
            )
        return {name.strip(): meant.strip() for name, _, meant in parts}


def _number(text: str) -> float:
    try:
        return float(text.replace("_", ""))
    except ValueError:
        raise OptionError(
            f"k must be whole numbers separated by commas, as in 1,100,1e6; got {text!r}"
        ) from None


def _options(*options: Callable[..., Any]) -> Callable[..., Any]:
    """Return a decorator that adds several options, shown in this order."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def _option(*names: str, **settings: Any) -> Callable[..., Any]:
    return click.option(*names, show_default="default" in settings, **settings)


_reading = _options(
    _option("--log-format", metavar="FORMAT", help="What LOG is.  [default: see what is in it]"),
    _option("--errors", help="Attempts without an outcome: raise, drop or fail.  [default: raise]"),
    _option("--system", help="Name of the system, in place of the log's."),
    _option("--benchmark", help="Name of the benchmark, in place of the log's."),
    _option("--columns", type=_Pairs(), help="Columns of a table, as in n=attempts,c=successes."),
    _option("--scorer", metavar="NAME", help="Which score of an Inspect log."),
    _option("--filter", metavar="NAME", help="Which filter of lm-eval samples."),
    _option("--metric", metavar="NAME", help="Which metric of lm-eval samples."),
    _option("--threshold", type=float, help="Score from which an attempt is a success."),
    _option("--values", type=_Pairs(), help="What single scores are, as in P=0,partial=0."),
    _option("--tests", metavar="base|plus", help="Which tests of evalplus results."),
    _option("--batch", type=int, metavar="B", help="Attempts in a batch of Best-of-N."),
)
_sampling = _options(
    _reading,
    _option(
        "--stopping",
        metavar="RULE",
        help="How attempts were ended: fixed, first-success, batches:B or adaptive.  [default: "
        "what the log says, or fixed]",
    ),
    _option(
        "--pooling",
        default="auto",
        help="none; partial: systems learn from each other; auto: partial if there are several.",
    ),
    _option(
        "--covariates",
        metavar="FORMULA",
        help="Columns of LOG that the parameters depend on, as in 'level + log(size)'.",
    ),
    _option("--method", default="auto", help="auto, quadrature, nuts, advi or fullrank_advi."),
    _option("--draws", type=int, help="Draws kept, a chain.  [default: what the family needs]"),
    _option("--tune", type=int, help="Draws spent on tuning, a chain.  [default: likewise]"),
    _option("--chains", default=4, help="Independent chains."),
    _option("--target-accept", type=float, help="Raise it against divergences."),
)
_fitting = _options(
    _option("--family", default="libby-novick", help="Distribution of p; see 'families'."),
    _sampling,
)
_verifier = _options(
    _option(
        "--true-positive-rate",
        type=float,
        metavar="T",
        help="Of the verifier: how often it accepts a correct attempt.  [default: always]",
    ),
    _option(
        "--false-positive-rate",
        type=float,
        metavar="PHI",
        help="Of the verifier: how often it accepts a wrong attempt.  [default: never]",
    ),
)
_seed = _option("--seed", type=int, help="Repeats every random step.  [default: 1, or the fit's]")
_output = _option("-o", "--output", type=click.Path(), help="File to write instead of printing.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bayespassk")
def cli() -> None:
    """Forecast pass@k far beyond the attempts made, with credible bands.

    LOG is a CSV file with columns problem, attempts and successes, and optionally system and
    benchmark; or an evaluation log as it comes: of Inspect, lm-evaluation-harness, human-eval,
    evalplus and others, a file or a folder; see 'bayespassk convert --help'. Results go to
    standard output, progress and warnings to standard error. The exit status is 0, or 2 for bad
    input, 130 after an interruption, and 1 if some of the fits of 'batch' failed; a fit that did
    not converge gives 0 and a loud warning.
    """


@cli.command("fit")
@click.argument("counts", metavar="LOG", type=click.Path())
@click.option("-o", "--output", required=True, type=click.Path(), help="File to write (netCDF).")
@_fitting
@_verifier
@_seed
def fit_command(counts: str, output: str, **options: Any) -> None:
    """Fit a family to LOG and save the posterior."""
    from bayespassk.posterior.diagnostics import diagnostics
    from bayespassk.posterior.saving import save

    _check_folder(output)
    fit = _fit_counts(counts, **options)
    save(fit, output)
    click.echo(f"{output}: saved; {diagnostics(fit).message()}", err=True)


@cli.command("forecast")
@click.argument("source", metavar="FIT.nc|LOG", type=click.Path())
@_option("--k", type=_Ks(), default="1,10,100,1000,10000", help="Attempts allowed, up to 1e12.")
@_option("--target", default="benchmark", help="benchmark, population or realised.")
@_option("--prob", default=0.95, help="Posterior probability of the interval.")
@_option("--kind", default="eti", help="eti (equal-tailed) or hdi (highest-density).")
@_option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table")
@_output
@_seed
@_fitting
@_verifier
@_option(
    "--weights",
    type=click.Choice(["equal", "stacking", "pseudo_bma"]),
    default="equal",
    help="Weights of several families.",
)
@click.pass_context
def forecast_command(
    context: click.Context,
    /,
    source: str,
    k: list[int],
    target: Any,
    prob: float,
    kind: Any,
    form: str,
    output: str | None,
    seed: int | None,
    family: str,
    weights: Any,
    **options: Any,
) -> None:
    """Forecast pass@k from a saved fit, or from LOG, which is fitted first.

    With several families, as in --family beta,kumaraswamy, the forecast is their average. Where a
    verifier is sometimes wrong, the table has the apparent pass@k and the true one; see
    --false-positive-rate.
    """
    from bayespassk import texts
    from bayespassk.asking.summaries import summarize
    from bayespassk.options import check_interval, check_target

    check_target(target)
    check_interval(prob, kind)
    if output is not None:
        _check_folder(output)
    if _is_netcdf(source):
        from bayespassk.posterior.diagnostics import diagnostics
        from bayespassk.posterior.saving import load

        _refuse_fitting_options(context)
        fit = load(source)
        diagnostics(fit).warn()
        fits = {"saved": fit}
    else:
        if _has_verifier(options):
            _check_verdicts(family, target)
        fits = _fit_families(source, family, seed, **options)
    caption = texts.caption
    if _of_verdicts(fits):
        caption = texts.verdicts_caption
        (fit,) = fits.values()
        table, meta = _forecast_truth(fit, k, target, prob, kind, seed)
    else:
        draws, meta = _forecast(fits, k, target, weights, seed)
        table = summarize(draws, prob, kind=kind)
    if form == "json":
        text = texts.as_json(table, meta)
    elif form == "csv":
        text = texts.as_csv(table)
    else:
        text = f"{texts.as_text(table)}\n\n{caption(table, meta)}\n"
    _print(text, output)


@cli.command("budget")
@click.argument("source", metavar="FIT.nc|LOG", type=click.Path())
@_option("--target", "pass_at_k", type=_Shares(), default="0.9", help="pass@k to reach.")
@_option("--of", "target", default="benchmark", help="benchmark, population or realised.")
@_option("--prob", default=0.95, help="Posterior probability of the interval.")
@_option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table")
@_output
@_seed
@_fitting
@click.pass_context
def budget_command(
    context: click.Context,
    /,
    source: str,
    pass_at_k: list[float],
    target: Any,
    prob: float,
    form: str,
    output: str | None,
    seed: int | None,
    **options: Any,
) -> None:
    """Find the attempts a problem that it takes to reach a pass@k.

    From a saved fit, or from LOG, which is fitted first.
    """
    from bayespassk import texts
    from bayespassk.asking.budgets import budget_for, check_pass_at_k, summarize_budget
    from bayespassk.options import check_interval, check_target

    check_pass_at_k(pass_at_k)
    check_target(target)
    check_interval(prob, "eti")
    if output is not None:
        _check_folder(output)
    if _is_netcdf(source):
        from bayespassk.posterior.diagnostics import diagnostics
        from bayespassk.posterior.saving import load

        _refuse_fitting_options(context)
        fit = load(source)
        diagnostics(fit).warn()
    else:
        fit = _fit_counts(source, seed=seed, **options)
    budget = budget_for(fit, pass_at_k, target, random_seed=seed)
    table, meta = summarize_budget(budget, prob), texts.provenance(fit, budget)
    if form == "json":
        text = texts.as_json(table, meta | {"null": texts.NEVER})
    elif form == "csv":
        text = texts.as_csv(table)
    else:
        text = f"{texts.as_budget(table)}\n\n{texts.budget_caption(table, meta)}\n"
    _print(text, output)


@cli.command("check")
@click.argument("source", metavar="FIT.nc|LOG", type=click.Path())
@_option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table")
@_output
@_option("--figure", type=click.Path(), help="File for a figure, such as check.png.")
@_seed
@_fitting
@click.pass_context
def check_command(
    context: click.Context,
    /,
    source: str,
    form: str,
    output: str | None,
    figure: str | None,
    seed: int | None,
    **options: Any,
) -> None:
    """Compare the data with data replicated from a saved fit, or from a fit to LOG."""
    from bayespassk import texts
    from bayespassk.judging.replicating import check, summarize_check

    for path in (output, figure):
        if path is not None:
            _check_folder(path)
    if _is_netcdf(source):
        from bayespassk.posterior.diagnostics import diagnostics
        from bayespassk.posterior.saving import load

        _refuse_fitting_options(context)
        fit = load(source)
        diagnostics(fit).warn()
    else:
        fit = _fit_counts(source, seed=seed, **options)
    found = check(fit, random_seed=seed)
    if figure is not None:
        from bayespassk.plot import plot_check

        try:
            plot_check(found)[0, 0].figure.savefig(figure, dpi=150)
        except (ValueError, OSError) as error:
            raise OptionError(f"{figure}: cannot be written: {error}") from None
    table = summarize_check(found)
    meta = texts.check_provenance(fit, found)
    if form == "json":
        text = texts.as_json(table, meta)
    elif form == "csv":
        text = texts.as_csv(table)
    else:
        text = f"{texts.as_findings(table)}\n\n{texts.check_caption(meta)}\n"
    _print(text, output)


@cli.command("compare")
@click.argument("counts", metavar="LOG", type=click.Path())
@_option(
    "--families", default="libby-novick,beta,zero-inflated-beta", help="Names, between commas."
)
@_option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table")
@_output
@_seed
@_sampling
def compare_command(
    counts: str, families: str, form: str, output: str | None, seed: int | None, **options: Any
) -> None:
    """Compare families by how well they foretell problems of LOG left out."""
    from bayespassk import texts
    from bayespassk.judging.comparing import compare

    if output is not None:
        _check_folder(output)
    if "," not in families:
        raise OptionError(f"--families must name at least two, between commas; got {families!r}")
    fits = _fit_families(counts, families, seed, **options)
    table = compare(fits)
    each = {name: texts.provenance(fit) for name, fit in fits.items()}
    if form == "json":
        text = texts.as_json(table, {"fits": each})
    elif form == "csv":
        text = texts.as_csv(table)
    else:
        text = f"{texts.as_comparison(table)}\n\n{texts.comparison_caption(table, each)}\n"
    _print(text, output)


@cli.command("compare-systems")
@click.argument("source", metavar="FIT.nc|LOG", type=click.Path())
@_option("-a", "a", metavar="SYSTEM", help="One system.  [default: all pairs on a benchmark]")
@_option("-b", "b", metavar="SYSTEM", help="The system to compare it with.")
@_option("--k", type=_Ks(), default="1,10,100,1000", help="Attempts allowed, up to 1e12.")
@_option("--target", default="benchmark", help="benchmark, population or realised.")
@_option("--prob", default=0.95, help="Posterior probability of the intervals.")
@_option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table")
@_output
@_seed
@_fitting
@click.pass_context
def compare_systems_command(
    context: click.Context,
    /,
    source: str,
    a: str | None,
    b: str | None,
    k: list[int],
    target: Any,
    prob: float,
    form: str,
    output: str | None,
    seed: int | None,
    **options: Any,
) -> None:
    """Compare systems on the same problems: differences of pass@k, and who overtakes whom.

    From a saved fit, or from LOG, which is fitted first.
    """
    import pandas as pd

    from bayespassk import texts
    from bayespassk.options import check_interval, check_target

    check_target(target)
    check_interval(prob, "eti")
    if (a is None) != (b is None):
        raise OptionError("-a and -b must be given together, one system each, or neither")
    if output is not None:
        _check_folder(output)
    if _is_netcdf(source):
        from bayespassk.posterior.diagnostics import diagnostics
        from bayespassk.posterior.saving import load

        _refuse_fitting_options(context)
        fit = load(source)
        diagnostics(fit).warn()
    else:
        fit = _fit_counts(source, seed=seed, **options)
    pairs = _pairs(fit) if a is None or b is None else [(a, b)]
    found = [_contrast(fit, one, other, k, target, prob, seed) for one, other in pairs]
    meta = texts.contrast_provenance(fit, [(draws, crossing) for draws, _, crossing in found])
    if form == "table":
        each = [
            f"{texts.as_difference(table, draws)}\n{texts.as_crossing(crossing)}\n"
            for draws, table, crossing in found
        ]
        text = "\n".join([*each, f"{texts.difference_caption(found[0][1], meta)}\n"])
    else:
        tables = [
            table.assign(a=one, b=other)[["a", "b", *table.columns]]
            for (one, other), (_, table, _) in zip(pairs, found, strict=True)
        ]
        whole = pd.concat(tables, ignore_index=True)
        whole.attrs = found[0][1].attrs
        text = texts.as_json(whole, meta) if form == "json" else texts.as_csv(whole)
    _print(text, output)


@cli.command("report")
@click.argument("sources", metavar="LOG|FIT.nc...", nargs=-1, required=True, type=click.Path())
@_option(
    "-o",
    "--output",
    required=True,
    type=click.Path(),
    help="File to write: .html, .md, .json, .csv or .tex.",
)
@_option("--k", type=_Ks(), default="1,10,100,1000,10000", help="Attempts allowed, up to 1e12.")
@_option(
    "--target",
    metavar="NAME,NAME,...",
    help="Of benchmark, population and realised.  [default: all]",
)
@_option("--prob", default=0.95, help="Posterior probability of the intervals.")
@_option(
    "--family",
    default="libby-novick,beta,zero-inflated-beta",
    help="Names, between commas: the first forecasts, others are compared.",
)
@_sampling
@_verifier
@_seed
@click.pass_context
def report_command(
    context: click.Context,
    /,
    sources: tuple[str, ...],
    output: str,
    k: list[int],
    target: str | None,
    prob: float,
    family: str,
    seed: int | None,
    **options: Any,
) -> None:
    """Write a report for those who did not make the fits: a verdict, forecasts, checks.

    Of one or several saved fits of the same counts, or of LOG, to which families are fitted first.
    The forecasts are those of the first fit; the others are compared with it.
    """
    from bayespassk.options import check_interval
    from bayespassk.reporting import check_path, report

    check_path(output)
    _check_folder(output)
    check_interval(prob, "eti")
    targets: Any = None if target is None else [name.strip() for name in target.split(",")]
    if len(sources) == 1 and not _is_netcdf(sources[0]):
        fits = _fit_families(sources[0], family, seed, **options)
    else:
        _refuse_fitting_options(context)
        fits = _load_each(sources)
    found = report(fits, output, k=k, target=targets, prob=prob, random_seed=seed)
    verdict = found["verdict"]
    click.echo(f"{output}: saved. Verdict: {verdict['level']}. {verdict['sentence']}", err=True)
    for reason in verdict["reasons"]:
        if reason["level"] != "sound":
            click.secho(f"WARNING: {reason['text']}", err=True, fg="yellow")


@cli.command("backtest")
@click.argument("counts", metavar="LOG", type=click.Path())
@_option(
    "--methods",
    metavar="NAME,NAME,...",
    help="Estimators, families, averages (beta+kumaraswamy), partial:beta, default.  "
    "[default: all estimators, beta and default]",
)
@_option("--n", type=_Sizes(), help="Attempts to show at each problem.  [default: half of them]")
@_option("--budget", type=_Sizes(), help="Instead of --n: attempts to show of each system.")
@_option("--k", type=_Ks(), help="Attempts allowed.  [default: all that were made]")
@_option("--repeats", default=10, help="Random thinnings for each n.")
@_option("--cores", type=int, help="Processes.  [default: all cores]")
@_option("-o", "--output", type=click.Path(), help="Folder for the results; finished work is kept.")
@_option(
    "--format", "form", type=click.Choice(["csv", "parquet"]), default="csv", help="Of the scores."
)
@_option("--seed", default=1, help="Repeats every random step.")
@_reading
def backtest_command(
    counts: str, methods: str | None, form: Any, seed: int, output: str | None, **options: Any
) -> None:
    """Hide attempts of LOG, forecast them, and say whether the forecasts were right.

    With --output, the same command goes on where it was interrupted, and one with more methods,
    n, k or repeats computes only what is missing.
    """
    from bayespassk.backtesting.text import summary
    from bayespassk.backtesting.verb import backtest

    names = None if methods is None else [name.strip() for name in methods.split(",")]
    with _going_on_from(output):
        log = _read(counts, options)
        scores = backtest(log, names, output=output, format=form, random_seed=seed, **options)
    if output is None:
        click.echo(summary(scores), nl=False)
    else:
        click.echo(f"{output}: saved scores.{form} and a summary", err=True)


@cli.command("batch")
@click.argument("logs", metavar="LOGDIR", type=click.Path())
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(),
    help="Folder for the results; finished fits are kept.",
)
@_option(
    "--by",
    default="benchmark,system",
    help="What is fitted by itself: benchmark,system; benchmark; system; or log, all of each log.",
)
@_option("--k", type=_Ks(), default="1,10,100,1000,10000", help="Attempts allowed, up to 1e12.")
@_option("--target", default="benchmark", help="benchmark, population or realised.")
@_option("--prob", default=0.95, help="Posterior probability of the interval.")
@_option("--cores", type=int, help="Processes.  [default: all cores]")
@_option(
    "--scheduler", metavar="ADDRESS", help="Of a Dask cluster to use instead, as tcp://HOST:8786."
)
@_option("--seed", default=1, help="Repeats every random step.")
@_fitting
@_verifier
def batch_command(
    logs: str,
    output: str,
    by: str,
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
    from bayespassk.many import fit_many
    from bayespassk.workers import connected

    (one,) = _families([family], true_positive_rate, false_positive_rate)
    names = {"log_format": "format"}
    given = {name: options.pop(name) for name in (*READING, "stopping")}
    reading = {names.get(name, name): value for name, value in given.items() if value is not None}
    with (
        _going_on_from(output),
        nullcontext() if scheduler is None else connected(scheduler) as client,
    ):
        table = fit_many(
            logs,
            by=() if by == "log" else [name.strip() for name in by.split(",")],
            family=one,
            reading=reading,
            output=output,
            client=client,
            random_seed=seed,
            **options,
        )
    click.echo(f"{output}: {texts.as_batch(table)}", err=True)
    if (table["status"] == "failed").any():
        sys.exit(1)


@cli.command("convert")
@click.argument("log", metavar="LOG", type=click.Path())
@_option("-o", "--output", type=click.Path(), help="CSV file to write instead of printing.")
@_option("--covariates", metavar="NAME,...", help="Columns to keep, such as a difficulty.")
@_option("--stopping", metavar="RULE", help="How attempts were ended, if the log does not say.")
@_reading
def convert_command(log: str, output: str | None, covariates: str | None, **options: Any) -> None:
    """Write the counts in LOG as CSV, one row per problem.

    FORMAT is csv, parquet, matrix (NumPy), human-eval, evalplus, lm-eval, inspect, monkeys (Large
    Language Monkeys), best-of-n (Best-of-N Jailbreaking) or livecodebench. By default it is found
    from what is in the file or folder.
    """
    from bayespassk import texts

    if output is not None:
        _check_folder(output)
    names = [] if covariates is None else [name.strip() for name in covariates.split(",")]
    counts = _read(log, options, covariates=names)
    _print(texts.as_csv(counts.to_dataframe()), output)
    if counts.stopping != "fixed":
        click.echo(
            f"How attempts were ended is not in a CSV file: give --stopping {counts.stopping} with "
            "it.",
            err=True,
        )


@cli.command("plan")
@click.argument("log", type=click.Path())
@_option("--k", default="10000", help="Attempts allowed in the question asked, up to 1e12.")
@_option("--budget", type=float, help="Attempts that may be made from now on.")
@_option("--half-width", type=float, help="Half the width of the band to reach, such as 0.02.")
@_option("--ask", type=int, help="Attempts to allot now.  [default: the whole budget]")
@_option("--target", default="benchmark", help="benchmark, population or realised.")
@_option(
    "--strategy", default="bayes", help="bayes, fewest-successes, uniform or reset-and-discard."
)
@_option("--new-problems", default=0, help="The most problems that could be added (population).")
@_option("--limit", type=int, help="The most further attempts at a problem.")
@_option("--prob", default=0.95, help="Posterior probability of the band.")
@_output
@_seed
@_fitting
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
    from bayespassk.planning import Plan
    from bayespassk.posterior.covariates import required

    if ask is None and budget is None:
        raise OptionError("--ask or --budget must be given, or there is nothing to allot")
    if output is not None:
        _check_folder(output)
    columns = [] if covariates is None else required(covariates)
    plan = Plan(
        _read(log, options, covariates=columns),
        _number(k),
        half_width,
        budget=ask if half_width is None and budget is None else budget,
        family=family_from_name(family),
        random_seed=1 if seed is None else seed,
        covariates=covariates,
        **options,
    )
    table = plan.ask(plan.left if ask is None else ask)
    click.echo(plan.message(), err=True)
    for system, number in table.attrs["new_problems"].items():
        click.echo(
            f"For {system!r} add {number:,} new problems, with "
            f"{table.attrs['new_attempts'][system]:,} attempts at them in all.",
            err=True,
        )
    _print(texts.as_csv(table), output)


@cli.command("design")
@click.argument("source", metavar="[FIT.nc|LOG]", required=False, type=click.Path())
@_option("--problems", type=_Sizes(), default="50,100,200", help="Numbers of problems.")
@_option("--attempts", type=_Sizes(), default="10,100,1000", help="Attempts at each of them.")
@_option("--k", type=_Ks(), default="10000", help="Attempts allowed, up to 1e12.")
@_option("--target", default="benchmark", help="benchmark or population.")
@_option("--prob", default=0.95, help="Posterior probability of the band.")
@_option("--of-system", help="Which system of the pilot, if there are several.")
@_option("--truths", default=40, help="Over how many truths to look.")
@_option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table")
@_output
@_option("--figure", type=click.Path(), help="File for a figure, such as design.png.")
@_seed
@_fitting
@click.pass_context
def design_command(
    context: click.Context,
    /,
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
    from bayespassk.designing import design
    from bayespassk.families import Family, family_from_name

    for path in (output, figure):
        if path is not None:
            _check_folder(path)
    known: Family | xr.DataTree
    if source is None:
        known = family_from_name(family)
    elif _is_netcdf(source):
        from bayespassk.posterior.saving import load

        _refuse_fitting_options(context)
        known = load(source)
    else:
        known = _fit_counts(source, family=family, seed=seed, **options)
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
        from bayespassk.plot import figure_of, plot_design

        try:
            figure_of(plot_design(table)).savefig(figure, dpi=150)
        except (ValueError, OSError) as error:
            raise OptionError(f"{figure}: cannot be written: {error}") from None
    if form == "json":
        about, table.attrs = table.attrs, {}
        text = texts.as_json(table, {"design": about})
    elif form == "csv":
        text = texts.as_csv(table)
    else:
        text = texts.as_design(table)
    _print(text, output)


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


@cli.command("demo")
@_seed
def demo_command(seed: int | None) -> None:
    """Forecast a real log from 50 of its 10,000 attempts a problem, and show the truth."""
    from bayespassk import texts
    from bayespassk.asking.pass_at_k import forecast
    from bayespassk.asking.summaries import summarize
    from bayespassk.estimators import chen
    from bayespassk.fitting import fit
    from bayespassk.logs import load_example
    from bayespassk.simulating import thin

    seed = 1 if seed is None else seed
    whole, ks = load_example("arithmetic"), [1, 10, 50, 100, 1000, 10_000]
    counts = thin(whole, 50, random_seed=seed)
    posterior = fit(counts, random_seed=seed)
    draws = forecast(posterior, ks)
    table = summarize(draws)
    table["known"] = chen(whole, ks).ravel()
    p = whole.covariates["p"]
    table["exact"] = [(1 - (1 - p) ** k).mean() for k in ks]
    click.echo(
        "A small language model, trained for minutes, attempts arithmetic that it was never "
        f"shown.\nAll that it did. {whole}.\n"
        f"What is shown to the forecast, 50 of them at random (seed {seed}). {counts}.\n\n"
        f"{texts.as_text(table)}\n\n"
        f"{texts.caption(table, texts.provenance(posterior, draws))}\n"
        "known: pass@k from all 10,000 attempts. exact: from the probability of each right answer, "
        "as the model has it. The forecast has seen neither.\n"
        f"{_held(table)}\n"
        "Next: bayespassk forecast YOUR_COUNTS.csv --k 1000,1e6"
    )


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
        click.secho(f"Error: {error}", err=True, fg="red")
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted; nothing was written.", err=True)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has had enough
        sys.stderr.close()
        sys.exit(1)


def _fit_counts(path: str, family: str, seed: int | None, **options: Any) -> "xr.DataTree":
    (fit,) = _fit_each(path, [family], seed, **options).values()
    return fit


def _fit_families(
    path: str, names: str, seed: int | None, **options: Any
) -> "dict[str, xr.DataTree]":
    """Return a fit for each of the families named, between commas."""
    return _fit_each(path, names.split(","), seed, **options)


def _fit_each(
    path: str,
    names: list[str],
    seed: int | None,
    covariates: str | None,
    true_positive_rate: float | None = None,
    false_positive_rate: float | None = None,
    **options: Any,
) -> "dict[str, xr.DataTree]":
    from bayespassk.fitting import fit
    from bayespassk.posterior.covariates import required

    families = _families(names, true_positive_rate, false_positive_rate)
    if len(set(families)) < len(families):
        raise OptionError(f"families must differ; got {','.join(names)!r}")
    columns = [] if covariates is None else required(covariates)
    counts = _read(path, options, covariates=columns)
    options |= {"covariates": covariates, "random_seed": 1 if seed is None else seed}
    return {one.full_name: fit(counts, one, **options) for one in families}


def _load_each(paths: tuple[str, ...]) -> "dict[str, xr.DataTree]":
    """Return saved fits by the names of their families, or of their files if these are equal."""
    from bayespassk.posterior.fitted import family_of
    from bayespassk.posterior.saving import load

    fits = [load(path) for path in paths]
    names = [family_of(fit).full_name for fit in fits]
    for known in (names, [Path(path).stem for path in paths], list(paths)):
        if len(set(known)) == len(fits):
            return dict(zip(known, fits, strict=True))
    raise OptionError(f"fits must differ: one of them was given twice, of {', '.join(paths)}")


def _families(
    names: list[str], true_positive_rate: float | None, false_positive_rate: float | None
) -> "list[Family]":
    """Return the families of these names, seen through a verifier if it is sometimes wrong."""
    from bayespassk.families import Family, Verified, family_from_name

    families: list[Family] = [family_from_name(name.strip()) for name in names]
    if true_positive_rate is None and false_positive_rate is None:
        return families
    rates = {
        "true_positive_rate": 1.0 if true_positive_rate is None else true_positive_rate,
        "false_positive_rate": 0.0 if false_positive_rate is None else false_positive_rate,
    }
    return [Verified(one, **rates) for one in families]


@contextmanager
def _going_on_from(output: str | None) -> Iterator[None]:
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


def _read(path: str, options: dict[str, Any], **more: Any) -> "Counts":
    """Return the counts in a log; take the options that are about reading it from the others.

    Say on standard error what the log was taken for, unless it was a table of counts.
    """
    from bayespassk.logs import read

    taken = {name: options.pop(name, None) for name in (*READING, "stopping")} | more
    given = {name: value for name, value in taken.items() if value not in (None, [])}
    counts = read(path, given.pop("log_format", "auto"), **given)
    where = counts.provenance
    if where is not None and (where.format != "csv" or where.options):
        click.echo(f"{where}. {counts}.", err=True)
    return counts


def _forecast(
    fits: "dict[str, xr.DataTree]", k: list[int], target: Any, weights: Any, seed: int | None
) -> "tuple[xr.DataArray, dict[str, Any]]":
    """Return the forecast of a fit, or the average of several, and where it came from."""
    from bayespassk import texts
    from bayespassk.asking.pass_at_k import forecast
    from bayespassk.judging.averaging import average

    if len(fits) > 1:
        draws = average(fits, k, target, weights=weights, random_seed=seed)
        return draws, texts.average_provenance(fits, draws)
    (fit,) = fits.values()
    draws = forecast(fit, k, target, random_seed=seed)
    return draws, texts.provenance(fit, draws)


def _has_verifier(options: dict[str, Any]) -> bool:
    return any(options[f"{one}_positive_rate"] is not None for one in ("true", "false"))


def _check_verdicts(family: str, target: str) -> None:
    """Refuse what is not offered of the truth behind verdicts, before anything is fitted."""
    if "," in family:
        raise OptionError(
            f"--family must be one family where a verifier is sometimes wrong; got {family!r}"
        )
    if target == "realised":
        raise OptionError(
            "--target must be benchmark or population where a verifier is sometimes wrong; got "
            f"{target!r}"
        )


def _of_verdicts(fits: "dict[str, xr.DataTree]") -> bool:
    """Return whether there is one fit, whose family tells verdicts from the truth."""
    from bayespassk.families import Verified
    from bayespassk.posterior.fitted import family_of

    return len(fits) == 1 and isinstance(family_of(*fits.values()), Verified)


def _forecast_truth(
    fit: "xr.DataTree", k: list[int], target: Any, prob: float, kind: Any, seed: int | None
) -> "tuple[pd.DataFrame, dict[str, Any]]":
    """Return a table of the apparent and the true pass@k, and where it came from."""
    import pandas as pd

    from bayespassk import texts
    from bayespassk.asking import truth as verifying
    from bayespassk.asking.summaries import summarize

    draws = {
        "apparent": verifying.apparent_pass_at_k(fit, k, target, random_seed=seed),
        "true": verifying.true_pass_at_k(fit, k, target, random_seed=seed),
        "first pass": verifying.first_pass_correct_at_k(fit, k, target, random_seed=seed),
        "ceiling": verifying.first_pass_ceiling(fit, target, random_seed=seed),
    }
    tables = []
    for what, one in draws.items():
        table = summarize(one, prob, kind=kind).astype({"k": object})
        table.insert(1, "what", what)
        tables.append(table)
    place = {str(name): i for i, name in enumerate(draws["true"]["system"].values)}
    whole = pd.concat(tables, ignore_index=True)
    whole = whole.sort_values("system", key=lambda names: names.map(place), kind="stable")
    whole.attrs = tables[0].attrs
    meta = texts.provenance(fit, draws["true"])
    return whole, meta | {"null": texts.ENDLESS}


def _pairs(fit: "xr.DataTree") -> list[tuple[str, str]]:
    """Return all pairs of systems that are on the same benchmark."""
    from itertools import combinations

    from bayespassk.posterior.fitted import opened

    fitted = opened(fit)
    systems, benchmarks = fitted.systems, fitted.benchmarks
    places = combinations(range(len(systems)), 2)
    pairs = [(systems[i], systems[j]) for i, j in places if benchmarks[i] == benchmarks[j]]
    if not pairs:
        raise OptionError(
            "there must be two systems on one benchmark to compare; found "
            + ", ".join(f"{s!r} on {b!r}" for s, b in zip(systems, benchmarks, strict=True))
        )
    return pairs


def _contrast(
    fit: "xr.DataTree",
    a: str,
    b: str,
    k: list[int],
    target: Any,
    prob: float,
    seed: int | None,
) -> "tuple[xr.DataArray, pd.DataFrame, pd.DataFrame]":
    """Return the difference of two systems, its table, and that of their crossing budget."""
    from bayespassk.asking import pairs as contrasting
    from bayespassk.asking.crossings import crossing_budget, summarize_crossing

    draws = contrasting.difference(fit, a, b, k, target, random_seed=seed)
    crossing = crossing_budget(
        fit,
        a,
        b,
        "benchmark" if target == "realised" else target,
        most=max(10**6, *k),
        random_seed=seed,
    )
    return (
        draws,
        contrasting.summarize_difference(draws, prob),
        summarize_crossing(crossing, prob),
    )


def _held(table: "pd.DataFrame") -> str:
    """Return whether the band of a forecast held what is known, in a sentence."""
    high, low = table["lower"] > table["known"], table["upper"] < table["known"]
    if not (high | low).any():
        return f"The band held the known pass@k at all {len(table)} k."
    missed = ", ".join(
        f"{k:,} (it was too {'high' if above else 'low'})"
        for k, above in zip(table["k"][high | low], high[high | low], strict=True)
    )
    return (
        f"The band held the known pass@k at {(~(high | low)).sum()} of {len(table)} k, and missed "
        f"it at k = {missed}."
    )


def _print(text: str, output: str | None) -> None:
    """Write to a file, or else to standard output."""
    if output is None:
        click.echo(text, nl=not text.endswith("\n"))
    else:
        write(output, text)


def _is_netcdf(path: str) -> bool:
    try:
        with Path(path).open("rb") as file:
            return file.read(4) == b"\x89HDF"
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None


def _check_folder(path: str) -> None:
    """Refuse an output that cannot be written before spending time on it."""
    folder = Path(path).resolve().parent
    if not folder.is_dir() or Path(path).is_dir():
        raise OptionError(f"{path}: cannot be written: the folder must exist; give a file in one")


def _refuse_fitting_options(context: click.Context) -> None:
    for name in (*FITTING, *READING):
        if context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE:
            raise OptionError(
                f"--{name.replace('_', '-')} has no meaning for a saved fit; give it to "
                "'bayespassk fit', or give the log instead of the fit"
            )
