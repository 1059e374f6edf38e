"""The command line: each command parses, calls one verb and prints."""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bayespassk.errors import InputError, OptionError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["main"]

FITTING = ("family", "method", "draws", "tune", "chains", "target_accept")


class _Ks(click.ParamType[list[int]]):
    """Numbers of attempts, separated by commas."""

    name = "K,K,..."

    def convert(self, value: Any, *_context: Any) -> list[int]:
        from bayespassk.forecasting import check_k

        return list(check_k(_number(part) for part in value.split(",")))


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


_fitting = _options(
    _option("--family", default="beta", help="Distribution of p over problems."),
    _option("--method", default="nuts", help="nuts, advi or fullrank_advi."),
    _option("--draws", default=1000, help="Draws kept, a chain."),
    _option("--tune", default=1000, help="Draws spent on tuning, a chain."),
    _option("--chains", default=4, help="Independent chains."),
    _option("--target-accept", default=0.95, help="Raise it against divergences."),
)
_seed = _option("--seed", type=int, help="Repeats every random step.  [default: 1, or the fit's]")
_output = _option("-o", "--output", type=click.Path(), help="File to write instead of printing.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bayespassk")
def cli() -> None:
    """Forecast pass@k far beyond the attempts made, with credible bands.

    COUNTS is a CSV file with columns problem, attempts and successes, and optionally system and
    benchmark. Results go to standard output, progress and warnings to standard error. The exit
    status is 0, or 2 for bad input; a fit that did not converge gives 0 and a loud warning.
    """


@cli.command("fit")
@click.argument("counts", type=click.Path())
@click.option("-o", "--output", required=True, type=click.Path(), help="File to write (netCDF).")
@_fitting
@_seed
def fit_command(counts: str, output: str, **options: Any) -> None:
    """Fit a family to COUNTS and save the posterior."""
    from bayespassk.posterior import diagnostics, save

    _check_folder(output)
    fit = _fit_counts(counts, **options)
    save(fit, output)
    click.echo(f"{output}: saved; {diagnostics(fit).message()}", err=True)


@cli.command("forecast")
@click.argument("source", metavar="FIT.nc|COUNTS.csv", type=click.Path())
@_option("--k", type=_Ks(), default="1,10,100,1000,10000", help="Attempts allowed, up to 1e12.")
@_option("--target", default="benchmark", help="benchmark, population or realised.")
@_option("--prob", default=0.95, help="Posterior probability of the interval.")
@_option("--kind", default="eti", help="eti (equal-tailed) or hdi (highest-density).")
@_option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table")
@_output
@_seed
@_fitting
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
    **options: Any,
) -> None:
    """Forecast pass@k from a saved fit, or from COUNTS, which are fitted first."""
    from bayespassk import report
    from bayespassk.forecasting import check_interval, check_target, forecast, summarize

    check_target(target)
    check_interval(prob, kind)
    if output is not None:
        _check_folder(output)
    if _is_netcdf(source):
        from bayespassk.posterior import diagnostics, load

        _refuse_fitting_options(context)
        fit = load(source)
        diagnostics(fit).warn()
    else:
        fit = _fit_counts(source, seed=seed, **options)
    draws = forecast(fit, k, target=target, random_seed=seed)
    table = summarize(draws, prob, kind=kind)
    meta = report.provenance(fit, draws)
    if form == "json":
        text = report.as_json(table, meta)
    elif form == "csv":
        text = report.as_csv(table)
    else:
        text = f"{report.as_text(table)}\n\n{report.caption(table, meta)}\n"
    if output is None:
        click.echo(text, nl=not text.endswith("\n"))
    else:
        report.write(output, text)


@cli.command("demo")
@_seed
def demo_command(seed: int | None) -> None:
    """Forecast the bundled example from 100 of its 10,000 attempts, and show the truth."""
    from bayespassk import report
    from bayespassk.estimators import chen
    from bayespassk.fitting import fit
    from bayespassk.forecasting import forecast, summarize
    from bayespassk.logs import load_example
    from bayespassk.simulating import thin

    seed = 1 if seed is None else seed
    whole, ks = load_example(), [1, 10, 100, 1000, 10_000]
    click.echo(f"The bundled example (simulated). {whole}.")
    counts = thin(whole, 100, random_seed=seed)
    click.echo(f"What 100 attempts a problem would have shown. {counts}.\n")
    posterior = fit(counts, random_seed=seed)
    draws = forecast(posterior, ks)
    table = summarize(draws)
    table["known"] = chen(whole, ks).ravel()
    click.echo(report.as_text(table))
    click.echo(f"\n{report.caption(table, report.provenance(posterior, draws))}")
    inside = ((table["lower"] <= table["known"]) & (table["known"] <= table["upper"])).sum()
    click.echo(
        "known: pass@k from all 10,000 attempts, which the forecast has not seen; "
        f"{inside} of {len(table)} lie in their interval.\n"
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
    except InputError as error:
        click.secho(f"Error: {error}", err=True, fg="red")
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted; nothing was written.", err=True)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has had enough
        sys.stderr.close()
        sys.exit(1)


def _fit_counts(path: str, family: str, seed: int | None, **options: Any) -> "xr.DataTree":
    from bayespassk.families import family_from_name
    from bayespassk.fitting import fit
    from bayespassk.logs import read_csv

    chosen = family_from_name(family)
    return fit(read_csv(path), chosen, random_seed=1 if seed is None else seed, **options)


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
    for name in FITTING:
        if context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE:
            raise OptionError(
                f"--{name.replace('_', '-')} has no meaning for a saved fit; give it to "
                "'bayespassk fit', or give the counts instead of the fit"
            )
