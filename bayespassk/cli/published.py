"""The command that asks a printed curve."""

from typing import Any

import click

from bayespassk.cli.group import cli
from bayespassk.cli.options import (
    Ks,
    Shares,
    family_option,
    format_option,
    k_option,
    option,
    output_option,
    prob_option,
    seed_option,
    target_option,
)
from bayespassk.cli.printing import check_outputs, show

__all__: list[str] = []


@cli.command("forecast-curve")
@click.option("--at", type=Ks(), required=True, help="The k whose pass@k are printed.")
@click.option("--pass-at-k", type=Shares(), required=True, help="The values printed, 0 to 1.")
@click.option("--problems", type=int, required=True, help="How many problems they are means of.")
@click.option(
    "--attempts",
    type=int,
    help="Attempts made at each problem.  [default: as many as the largest k]",
)
@option("--decimals", type=int, default=3, help="Of the printed values, as shares.")
@k_option
@target_option.but(help="Whose pass@k: benchmark or population.")
@prob_option
@family_option
@format_option
@output_option
@seed_option
def forecast_curve_command(
    at: list[int],
    pass_at_k: list[float],
    problems: int,
    attempts: int | None,
    decimals: int,
    k: list[int],
    target: Any,
    prob: float,
    family: str,
    form: str,
    output: str | None,
    seed: int | None,
) -> None:
    """Forecast pass@k from what a paper prints: pass@k at a few k, and the number of problems."""
    from bayespassk import texts
    from bayespassk.asking.summaries import summarize
    from bayespassk.options import check_interval
    from bayespassk.published import Curve, forecast_curve

    check_interval(prob, "eti")
    check_outputs(output)
    curve = Curve(at, pass_at_k, problems, attempts=attempts, decimals=decimals)
    seed = 1 if seed is None else seed
    draws = forecast_curve(curve, k, target, family=family, random_seed=seed)
    table, meta = summarize(draws, prob), dict(draws.attrs)
    text = (
        f"{texts.as_text(table)}\n\npass@k, target {target}, from a printed curve of {problems:,} "
        f"problems alone. lower, upper: {100 * prob:.4g}% equal-tailed credible interval. "
        f"Forecasts beyond k = {max(at):,} rest on the family.\n"
        f"Family {meta['family']}, importance sampling (bayespassk "
        f"{meta['bayespassk_version']}), seed {seed}; ESS {meta['ess']:,.0f}.\n"
    )
    show(form, output, table, meta, text)
