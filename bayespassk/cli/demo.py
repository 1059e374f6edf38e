"""The command that shows a forecast, and what came true of it."""

import os
from typing import TYPE_CHECKING

import click

from bayespassk.cli.group import cli
from bayespassk.cli.options import seed_option

if TYPE_CHECKING:
    import pandas as pd

__all__: list[str] = []


@cli.command("demo")
@seed_option
def demo_command(seed: int | None) -> None:
    """Forecast a real log from 50 of its 10,000 attempts a problem, and show the truth."""
    from bayespassk import texts
    from bayespassk.asking.pass_at_k import forecast
    from bayespassk.asking.summaries import summarize
    from bayespassk.estimators import chen
    from bayespassk.fitting.verb import fit
    from bayespassk.logs import load_example
    from bayespassk.simulating import thin

    seed = 1 if seed is None else seed
    whole, ks = load_example("arithmetic"), [1, 10, 50, 100, 1000, 10_000]
    counts = thin(whole, 50, random_seed=seed)
    posterior = fit(counts, random_seed=seed)
    draws = forecast(posterior, ks)
    table = texts.with_attempts(summarize(draws), draws)
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
        f"Next: {_command()} forecast YOUR_COUNTS.csv --k 1000,1e6"
    )


def _command() -> str:
    """Return how the program is called where it now was: by itself, or by uv."""
    return f"{'uv run ' if 'UV_RUN_RECURSION_DEPTH' in os.environ else ''}bayespassk"


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
