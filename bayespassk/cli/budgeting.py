"""The commands that ask a fit how often, at what risk and at what cost."""

from typing import TYPE_CHECKING, Any

import click

from bayespassk.cli.group import cli
from bayespassk.cli.options import (
    figure_option,
    fitting_options,
    format_option,
    k_option,
    option,
    output_option,
    prob_option,
    seed_option,
    target_option,
)
from bayespassk.cli.printing import check_outputs, show, write_figure
from bayespassk.cli.sources import families_of, fit_of, refuse_fit, take_reading
from bayespassk.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

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


class Queries(click.ParamType[list[float]]):
    """Numbers of queries, separated by commas."""

    name = "Q,Q,..."

    def convert(self, value: Any, *_context: Any) -> list[float]:
        """Return numbers."""
        from bayespassk.asking.deployment import check_queries

        try:
            each = [float(part.replace("_", "")) for part in value.split(",")]
        except ValueError:
            raise OptionError(
                f"--queries must be numbers separated by commas, as in 1000,1e6; got {value!r}"
            ) from None
        return [float(one) for one in check_queries(each)]


@cli.command("risk")
@click.argument("source", metavar="FIT.nc|LOG", type=click.Path())
@option("--queries", type=Queries(), default="1e3,1e6", help="How many queries, up to 1e15.")
@option("--attempts", "k", default=1, help="Attempts at each query.")
@target_option.but(default="population", help="Where queries come from: population or benchmark.")
@prob_option
@format_option
@output_option
@seed_option
@fitting_options
def risk_command(
    source: str,
    queries: list[float],
    k: int,
    target: Any,
    prob: float,
    form: str,
    output: str | None,
    seed: int | None,
    **options: Any,
) -> None:
    """Find the probability that at least one of many queries succeeds.

    From a saved fit, or from LOG, which is fitted first.
    """
    from bayespassk import texts
    from bayespassk.asking.deployment import DeploymentRisk, deployment_risk
    from bayespassk.asking.pass_at_k import PassAtK
    from bayespassk.asking.question import ask
    from bayespassk.asking.summaries import summarize
    from bayespassk.options import check_interval, check_k, check_target
    from bayespassk.posterior.fitted import opened

    ks = check_k(k)
    check_target(target, DeploymentRisk.not_of_runs)
    check_interval(prob, "eti")
    check_outputs(output)
    fit = fit_of(source, seed=seed, **options)
    draws = deployment_risk(fit, queries, k, target, random_seed=seed)
    table, meta = summarize(draws, prob), texts.provenance(fit, draws)
    each = ask(opened(fit), PassAtK(ks), target, seed, warn=False).mean(("chain", "draw"))
    table["expected"] = (each.isel(k=0) * draws["queries"]).values.ravel()
    text = f"{texts.as_text(table)}\n\n{texts.risk_caption(table, meta, k)}\n"
    show(form, output, table, meta, text)


class Budgets(click.ParamType[list[float]]):
    """Budgets, separated by commas."""

    name = "B,B,..."

    def convert(self, value: Any, *_context: Any) -> list[float]:
        """Return numbers."""
        from bayespassk.asking.spending import check_budgets

        try:
            each = [float(part.replace("_", "")) for part in value.split(",")]
        except ValueError:
            raise OptionError(
                f"--budget must be numbers separated by commas, as in 1e4,1e5; got {value!r}"
            ) from None
        return [float(one) for one in check_budgets(each)]


@cli.command("cost")
@click.argument("log", metavar="LOG", type=click.Path())
@option("--budget", type=Budgets(), help="What may be spent on a problem.", required=True)
@option("--unit", default="output_tokens", help="The column of costs: seconds, dollars, tokens.")
@option(
    "--way",
    default="serial",
    type=click.Choice(["serial", "parallel"]),
    help="Attempts one after the other until one succeeds, or as many as a budget buys.",
)
@option("--limit", type=float, help="What no attempt costs more than.  [default: see the log]")
@target_option
@prob_option
@format_option
@output_option
@figure_option.but(help="File for a figure, such as cost.png, .svg or .pdf.")
@seed_option
@fitting_options
def cost_command(
    log: str,
    budget: list[float],
    unit: str,
    way: Any,
    limit: float | None,
    target: Any,
    prob: float,
    form: str,
    output: str | None,
    figure: str | None,
    seed: int | None,
    family: str,
    **options: Any,
) -> None:
    """Forecast the share of problems solved within a budget for each, and what a success costs.

    LOG has one row or record per attempt, with what it cost in tokens, seconds or dollars.
    """
    from bayespassk import texts
    from bayespassk.asking.spending import cost_per_success, forecast_budget
    from bayespassk.asking.summaries import summarize
    from bayespassk.counts import Counts
    from bayespassk.fitting.verb import fit
    from bayespassk.logs import read_attempts
    from bayespassk.options import check_interval, check_target

    check_target(target)
    check_interval(prob, "eti")
    check_outputs(output, figure)
    refuse_fit(log)
    if options.pop("covariates") is not None:
        raise OptionError("--covariates is not for attempts one by one, which 'cost' reads")
    reading = take_reading(options)
    reading.pop("runs", None)
    attempts = read_attempts(log, **reading)
    (one,) = families_of([family], None, None)
    options |= {"random_seed": 1 if seed is None else seed}
    found = fit(Counts.from_attempts(attempts), one, **options)
    asked: dict[str, Any] = {
        "unit": unit,
        "limit": "auto" if limit is None else limit,
        "random_seed": seed,
    }
    draws = forecast_budget(found, attempts, budget, way=way, target=target, **asked)
    of: Any = "population" if target == "population" else "benchmark"
    price = cost_per_success(found, attempts, target=of, **asked)
    table, meta = summarize(draws, prob), texts.provenance(found, draws)
    table["bought"] = _medians(draws["bought"].transpose("system", "budget", "chain", "draw"))
    meta |= {"unit": unit, "way": way, "cost_per_success": _prices(price, prob)}
    if figure is not None:
        _draw(found, attempts, draws, budget, way, target, prob, figure, asked)
    text = f"{texts.as_text(table)}\n\n{texts.cost_caption(table, meta)}\n"
    show(form, output, table, meta, text)


def _medians(values: "xr.DataArray") -> Any:
    """Return the median over draws of each system and budget, one after the other."""
    import numpy as np

    return np.median(values.values.reshape(values.shape[0] * values.shape[1], -1), axis=-1)


def _prices(price: "xr.DataArray", prob: float) -> list[dict[str, Any]]:
    """Return what a success costs at each system: median and interval."""
    import numpy as np

    found = []
    for system in price["system"].values:
        draws = price.sel(system=system, what="success").values
        ends = np.quantile(draws, [0.5, (1 - prob) / 2, (1 + prob) / 2])
        found.append(
            {"system": str(system)}
            | dict(zip(("median", "lower", "upper"), ends.tolist(), strict=True))
        )
    return found


def _draw(
    fit: "xr.DataTree",
    attempts: "pd.DataFrame",
    draws: "xr.DataArray",
    budget: list[float],
    way: Any,
    target: Any,
    prob: float,
    figure: str,
    asked: dict[str, Any],
) -> None:
    """Draw pass@budget into a file: at one budget as it is, or else on a grid between them."""
    import warnings

    import numpy as np

    from bayespassk.asking.spending import forecast_budget
    from bayespassk.plot import plot_budget

    if len(budget) > 1:
        grid = np.union1d(np.geomspace(min(budget), max(budget), 30), budget).tolist()
        with warnings.catch_warnings():  # given already
            warnings.simplefilter("ignore")
            draws = forecast_budget(fit, attempts, grid, way=way, target=target, **asked)
    write_figure(lambda: plot_budget(draws, prob=prob), figure)
