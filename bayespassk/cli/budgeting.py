"""The commands that ask a fit how often, at what risk and at what cost."""

import warnings
from collections.abc import Callable
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


class Risks(click.ParamType[list[float]]):
    """Probabilities, separated by commas."""

    name = "P,P,..."

    def convert(self, value: Any, *_context: Any) -> list[float]:
        """Return numbers between 0 and 1."""
        try:
            each = [float(part) for part in value.split(",")]
        except ValueError:
            each = []
        if not each or not all(0 < one < 1 for one in each):
            raise OptionError(
                "--reach must be probabilities between 0 and 1, separated by commas, as in "
                f"0.01,0.5; got {value!r}"
            )
        return each


@cli.command("risk")
@click.argument("source", metavar="FIT.nc|LOG", type=click.Path())
@option("--queries", type=Queries(), default="1e3,1e6", help="How many queries, up to 1e15.")
@option("--attempts", "k", default=1, help="Attempts at each query.")
@option("--reach", type=Risks(), help="Probabilities: say after how many queries they are reached.")
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
    reach: list[float] | None,
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
    from bayespassk.asking.deployment import DeploymentRisk, deployment_risk, queries_for
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
    if reach is not None:
        with warnings.catch_warnings():  # given already
            warnings.simplefilter("ignore")
            wanted = queries_for(fit, reach, k, target, random_seed=seed)
        meta["queries_for"] = _reached(wanted, prob)
        text += f"{texts.as_queries_reached(meta['queries_for'])}\n"
    show(form, output, table, meta, text)


def _reached(draws: "xr.DataArray", prob: float) -> list[dict[str, Any]]:
    """Return median and interval of numbers of queries: draws each, None where infinite."""
    import numpy as np

    found = []
    for system in draws["system"].values:
        for risk in draws["risk"].values:
            each = draws.sel(system=system, risk=risk).values.ravel()
            q = [0.5, (1 - prob) / 2, (1 + prob) / 2]
            ends = np.quantile(each, q, method="inverted_cdf")
            values = [float(one) if np.isfinite(one) else None for one in ends]
            found.append(
                {"system": str(system), "risk": float(risk)}
                | dict(zip(("median", "lower", "upper"), values, strict=True))
            )
    return found


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
@option("-a", "a", metavar="SYSTEM", help="Compare this system with -b: who is ahead, who crosses.")
@option("-b", "b", metavar="SYSTEM", help="The system to compare it with.")
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
    a: str | None,
    b: str | None,
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

    LOG has one row or record per attempt, with what it cost in tokens, seconds or dollars. With -a
    and -b: which of two systems is ahead at each budget, and where they cross.
    """
    from bayespassk import texts
    from bayespassk.asking.spending import compare_at_budget, cost_per_success, forecast_budget
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
    counts = Counts.from_attempts(attempts)
    _check_pair(a, b, counts.systems)
    (one,) = families_of([family], None, None)
    options |= {"random_seed": 1 if seed is None else seed}
    found = fit(counts, one, **options)
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

    def at(budgets: list[float]) -> "xr.DataArray":
        with warnings.catch_warnings():  # given already
            warnings.simplefilter("ignore")
            return forecast_budget(found, attempts, budgets, way=way, target=target, **asked)

    if figure is not None:
        _draw(draws, at, budget, prob, figure)
    text = f"{texts.as_text(table)}\n\n{texts.cost_caption(table, meta)}\n"
    if a is not None and b is not None:
        grid = _between(attempts, unit, (a, b), budget)
        contrast = compare_at_budget(at(grid), a, b, prob)
        meta["comparison"] = texts.budget_contrast(contrast, budget)
        text = f"{texts.as_budget_contrast(meta['comparison'], unit)}\n\n{text}"
    show(form, output, table, meta, text)


def _check_pair(a: str | None, b: str | None, systems: tuple[str, ...]) -> None:
    """Raise an error unless both are given, or neither, and are two of the systems."""
    if a is None and b is None:
        return
    if a is None or b is None or a == b or not {a, b} <= set(systems):
        raise OptionError(
            "-a and -b must be given together, two different systems of the log: "
            f"{', '.join(map(repr, systems))}; got {a!r} and {b!r}"
        )


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


def _between(
    attempts: "pd.DataFrame", unit: str, systems: tuple[str, str], budget: list[float]
) -> list[float]:
    """Return budgets at which to look for a crossing: from the cost of a cheap attempt on."""
    import numpy as np

    costs = attempts[unit].astype(float)
    costs = costs[(costs > 0) & attempts["system"].isin(systems)]
    cheap = float(costs.quantile(0.1)) if len(costs) else min(budget)
    grid = np.geomspace(min(cheap, *budget), max(budget), 40)
    return [float(one) for one in np.union1d(grid, budget)]


def _draw(
    draws: "xr.DataArray",
    at: Callable[[list[float]], "xr.DataArray"],
    budget: list[float],
    prob: float,
    figure: str,
) -> None:
    """Draw pass@budget into a file: at one budget as it is, or else on a grid between them."""
    import numpy as np

    from bayespassk.plot import plot_budget

    if len(budget) > 1:
        draws = at(np.union1d(np.geomspace(min(budget), max(budget), 30), budget).tolist())
    write_figure(lambda: plot_budget(draws, prob=prob), figure)
