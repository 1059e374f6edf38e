"""The commands that ask a fit: how much is solved with k attempts, or who solves more."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from bayespassk.cli.group import cli
from bayespassk.cli.options import (
    Shares,
    figure_option,
    fitting_options,
    format_option,
    k_option,
    one_of,
    option,
    output_option,
    prob_option,
    seed_option,
    target_option,
    verifier_options,
    weights_option,
)
from bayespassk.cli.printing import FORMS, PAPERS, check_outputs, show, write_figure
from bayespassk.cli.sources import fit_families, fit_of, saved_fit
from bayespassk.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__: list[str] = []


@cli.command("forecast")
@click.argument("source", metavar="FIT.nc|LOG", type=click.Path())
@k_option
@target_option
@prob_option
@option(
    "--kind",
    default="eti",
    help="eti (equal-tailed) or hdi (highest-density).",
    shell_complete=one_of(lambda: ("eti", "hdi")),
)
@format_option.but(
    type=click.Choice(["table", "csv", "json", "md", "latex"]),
    help="md and latex: a table for a paper, a row a system.",
)
@output_option
@figure_option.but(help="File for a figure, such as forecast.png, .svg or .pdf.")
@seed_option
@fitting_options
@verifier_options
@weights_option
def forecast_command(
    source: str,
    k: list[int],
    target: Any,
    prob: float,
    kind: Any,
    form: str,
    output: str | None,
    figure: str | None,
    seed: int | None,
    family: str,
    weights: Any,
    **options: Any,
) -> None:
    """Forecast pass@k from a saved fit, or from LOG, which is fitted first.

    With several families, as in --families beta,kumaraswamy, the forecast is their average. Where a
    verifier is sometimes wrong, the table has the apparent pass@k and the true one; see
    --false-positive-rate.
    """
    from bayespassk import texts
    from bayespassk.asking.summaries import summarize
    from bayespassk.options import check_interval, check_target

    check_target(target)
    check_interval(prob, kind)
    check_outputs(output, figure, kinds=[*FORMS, *PAPERS])
    saved = saved_fit(source)
    if saved is not None:
        fits = {"saved": saved}
    else:
        if _has_verifier(options):
            _check_verdicts(family, target)
        fits = fit_families(source, family, seed, **options)
    caption = texts.caption
    if _of_verdicts(fits):
        if figure is not None:
            raise OptionError(
                "--figure draws one forecast, and with a verifier that errs there are several. "
                "What to do: 'bayespassk report' draws them"
            )
        caption = texts.verdicts_caption
        (fit,) = fits.values()
        table, meta = _forecast_truth(fit, k, target, prob, kind, seed)
    else:
        draws, meta = _forecast(fits, k, target, weights, seed)
        table = texts.with_attempts(summarize(draws, prob, kind=kind), draws)
        if figure is not None:
            _draw(fits, draws, target, weights, prob, figure)
    text = f"{texts.as_text(table)}\n\n{caption(table, meta)}\n"
    show(form, output, table, meta, text, _papers(fits, table, meta, target))


@cli.command("budget")
@click.argument("source", metavar="FIT.nc|LOG", type=click.Path())
@option("--pass-at-k", type=Shares(), default="0.9", help="What to reach.")
@target_option
@prob_option
@format_option
@output_option
@seed_option
@fitting_options
def budget_command(
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
    check_outputs(output)
    fit = fit_of(source, seed=seed, **options)
    budget = budget_for(fit, pass_at_k, target, random_seed=seed)
    table, meta = summarize_budget(budget, prob), texts.provenance(fit, budget)
    text = f"{texts.as_budget(table)}\n\n{texts.budget_caption(table, meta)}\n"
    show(form, output, table, meta | {"null": texts.NEVER}, text)


@cli.command("compare-systems")
@click.argument("source", metavar="FIT.nc|LOG", type=click.Path())
@option("-a", "a", metavar="SYSTEM", help="One system.  [default: all pairs on a benchmark]")
@option("-b", "b", metavar="SYSTEM", help="The system to compare it with.")
@k_option.but(default="1,10,100,1000")
@target_option
@prob_option.but(help="Posterior probability of the intervals.")
@format_option
@output_option
@seed_option
@fitting_options
def compare_systems_command(
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
    from bayespassk import texts
    from bayespassk.options import check_interval, check_target

    check_target(target)
    check_interval(prob, "eti")
    if (a is None) != (b is None):
        raise OptionError("-a and -b must be given together, one system each, or neither")
    check_outputs(output)
    fit = fit_of(source, seed=seed, **options)
    pairs = _pairs(fit) if a is None or b is None else [(a, b)]
    found = [_contrast(fit, one, other, k, target, prob, seed) for one, other in pairs]
    meta = texts.contrast_provenance(fit, [(draws, crossing) for draws, _, crossing in found])
    each = [
        f"{texts.as_difference(table, draws)}\n{texts.as_crossing(crossing)}\n"
        for draws, table, crossing in found
    ]
    tables = [table for _, table, _ in found]
    text = "\n".join([*each, f"{texts.difference_caption(tables[0], meta)}\n"])
    show(form, output, _joined(pairs, tables), meta, text)


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


def _draw(
    fits: "dict[str, xr.DataTree]",
    draws: "xr.DataArray",
    target: Any,
    weights: Any,
    prob: float,
    figure: str,
) -> None:
    """Draw a forecast into a file: rows at its k, or lines at many more up to the largest."""
    import warnings

    import numpy as np

    from bayespassk.plot import LABELLED, plot_forecast
    from bayespassk.posterior.fitted import opened
    from bayespassk.reporting.collecting import POINTS, estimates

    ks = draws["k"].values
    if len(ks) > 1 and draws.sizes["system"] <= LABELLED:
        grid = np.rint(np.geomspace(ks.min(), ks.max(), POINTS)).astype(np.int64)
        ks = np.union1d(ks, grid)
        with warnings.catch_warnings():  # given already, of the k asked for
            warnings.simplefilter("ignore")
            draws, _ = _forecast(fits, ks.tolist(), target, weights, draws.attrs["forecast_seed"])
    known = estimates(opened(next(iter(fits.values()))).counts, ks)
    truth = known if np.isfinite(known).any() else None
    write_figure(
        lambda: plot_forecast(draws, prob=prob, truth=truth, dots="Chen's estimate"), figure
    )


def _papers(
    fits: "dict[str, xr.DataTree]", table: "pd.DataFrame", meta: dict[str, Any], target: str
) -> "dict[str, Callable[[], str]]":
    """Return what makes tables for papers, by the names of their formats."""

    def paper(form: str) -> str:
        from bayespassk.posterior.fitted import opened
        from bayespassk.reporting import papers

        fitted = opened(next(iter(fits.values())), evidence=True)
        made = papers.paper(
            [{str(name): v for name, v in row.items()} for row in table.to_dict("records")],
            dict(zip(fitted.systems, fitted.most_attempts.tolist(), strict=True)),
            target=target,
            attempted=fitted.attempted(),
            family=meta["family"],
            prob=table.attrs["prob"],
        )
        return papers.markdown(made) if form == "md" else papers.latex(made)

    return {form: functools.partial(paper, form) for form in ("md", "latex")}


def _has_verifier(options: dict[str, Any]) -> bool:
    """Return whether a rate of a verifier was given."""
    return any(options[name] is not None for name in verifier_options.names)


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
    from bayespassk.asking import truth
    from bayespassk.asking.summaries import summarize

    draws = {
        "apparent": truth.apparent_pass_at_k(fit, k, target, random_seed=seed),
        "true": truth.true_pass_at_k(fit, k, target, random_seed=seed),
        "first pass": truth.first_pass_correct_at_k(fit, k, target, random_seed=seed),
        "ceiling": truth.first_pass_ceiling(fit, target, random_seed=seed),
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
    from bayespassk.asking.crossings import crossing_budget, summarize_crossing
    from bayespassk.asking.pairs import difference, summarize_difference

    draws = difference(fit, a, b, k, target, random_seed=seed)
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
        summarize_difference(draws, prob),
        summarize_crossing(crossing, prob),
    )


def _joined(pairs: list[tuple[str, str]], tables: "list[pd.DataFrame]") -> "pd.DataFrame":
    """Return the differences of all pairs in one table."""
    import pandas as pd

    named = [
        table.assign(a=a, b=b)[["a", "b", *table.columns]]
        for (a, b), table in zip(pairs, tables, strict=True)
    ]
    whole = pd.concat(named, ignore_index=True)
    whole.attrs = tables[0].attrs
    return whole
