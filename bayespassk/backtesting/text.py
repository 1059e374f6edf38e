"""What a backtest found, in words."""

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayespassk.files import write
from bayespassk.plot import as_image, plot_backtest
from bayespassk.scoring import compatible, summarize_backtest
from bayespassk.texts import as_csv, counted, escaped

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["summary", "write_scores"]


def write_scores(folder: Path, scores: "pd.DataFrame", form: str) -> None:
    """Write the scores of a backtest, what they say in words, and a figure."""
    if form == "parquet":
        table = io.BytesIO()
        scores.to_parquet(table, index=False)
        write(folder / "scores.parquet", table.getvalue())
    else:
        write(folder / "scores.csv", as_csv(scores))
    figure = None
    if scores["point"].notna().any():
        figure = "summary.png"
        write(folder / figure, as_image(plot_backtest(scores)))
    write(folder / "summary.md", summary(scores, figure))


def summary(scores: "pd.DataFrame", figure: str | None = None) -> str:
    """Return what a backtest found, as Markdown: tables, what the bands held, and from what.

    `figure` is a file to show.
    """
    table = summarize_backtest(scores)
    shown, about = str(table.columns[0]), scores.attrs
    parts = ["# Backtest", _question(scores, shown)]
    parts += [f"![Error and coverage]({figure})"] if figure else []
    for (size, k), rows in table.groupby([shown, "k"], sort=False):
        parts += [f"## {shown} = {size:,}, k = {k:,}", _table(rows)]
    parts += [WORDS, "## Did the bands hold?", *_verdicts(scores, table)]
    parts += _failures(scores)
    parts += [
        "## From what",
        f"bayespassk {about['version']}, seed {about['seed']}, "
        f"{counted(about['repeats'], 'thinning')} for each {shown}, {about['replicates']} "
        "resamplings for the bands of estimators, input sha256 "
        f"{about['input_sha256'][:16]}.",
    ]
    return "\n\n".join(parts) + "\n"


WORDS = (
    "Sorted by MAE, the mean absolute error of pass@k; in brackets its standard error for having "
    "so few systems, or, where there is one, so few thinnings of it. Log error: mean absolute "
    "error of log pass@k. CRPS and score: continuous ranked probability score, and interval score "
    "of the 95% band; smaller is better. Covered: share of 50%, 80% and 95% bands that held the "
    "truth, of forecasts that have one. Seconds: median, of a forecast of all systems."
)


def _question(scores: "pd.DataFrame", shown: str) -> str:
    """Return what was asked, in words."""
    about = scores.attrs
    least, most = about["attempts"]
    made = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    sizes = " or ".join(f"{size:,}" for size in about[shown])
    if shown == "n" and least == most:
        hidden = " or ".join(f"{most - size:,}" for size in about[shown])
        asked = f"With {hidden} of {made} attempts at each problem hidden"
    elif shown == "n":
        asked = f"With all but {sizes} of {made} attempts at each problem hidden"
    else:
        asked = (
            f"With all attempts hidden but {sizes} in all for each system, spread evenly over its "
            f"problems ({made} were made at each)"
        )
    systems = about["systems"]
    some = ", ".join(escaped(name) for name in systems[:8]) + (", ..." if systems[8:] else "")
    often = counted(about["repeats"], "time")
    return (
        f"{asked}, would these forecasts have been right, and would their bands have covered? The "
        "truth is Chen's estimate from all attempts. "
        f"{counted(len(systems), 'system')} ({some}), each hidden {often}." + _unjudged(scores)
    )


def _unjudged(scores: "pd.DataFrame") -> str:
    """Return for which k some systems have too few attempts."""
    each = scores.groupby("k", sort=False)["system"].nunique()
    number = len(scores.attrs["systems"])
    return "".join(
        f" At k = {k:,} only {judged} of {number} systems have that many attempts at every problem."
        for k, judged in each.items()
        if judged < number
    )


def _table(rows: "pd.DataFrame") -> str:
    lines = [
        "| method | MAE | bias | RMSE | log error | CRPS | covered 50 / 80 / 95 | width 95 "
        "| score 95 | seconds | failed |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    ranked = rows.sort_values("mae", kind="stable")
    return "\n".join([*lines, *(_row(row) for row in ranked.itertuples(index=False))])


def _row(row: Any) -> str:
    error = row.mae_se_systems if math.isfinite(row.mae_se_systems) else row.mae_se_thinnings
    cells = [
        escaped(row.method),
        f"{_number(row.mae)} ({_number(error)})",
        _number(row.bias, "+.3f"),
        _number(row.rmse),
        _number(row.log_error, ".2f"),
        _number(row.crps),
        " / ".join(_percent(one) for one in (row.coverage_50, row.coverage_80, row.coverage_95)),
        _number(row.width_95),
        _number(row.interval_score_95),
        _number(row.seconds, ".2g"),
        str(row.failed or ""),
    ]
    return f"| {' | '.join(cells)} |"


def _verdicts(scores: "pd.DataFrame", table: "pd.DataFrame") -> list[str]:
    """Return a sentence about the 95% bands of each method that has a posterior, or its own."""
    shown, kinds = str(table.columns[0]), scores.attrs["methods"]
    rows = table[table["coverage_95"].notna()]
    rows = rows[[kinds[name]["kind"] != "estimator" for name in rows["method"]]]
    if rows.empty:
        return ["No method here has a band that claims to hold the truth."]
    said = [_verdict(row, shown, scores) for row in rows.itertuples(index=False)]
    last = (
        "Forecasts of one system share its truth and its problems, which is why they count as one "
        "in what is compatible (Wilson's interval). That bands held here does not show that they "
        "will at k beyond the attempts of this log."
    )
    return ["\n".join(said), last]


def _verdict(row: Any, shown: str, scores: "pd.DataFrame") -> str:
    size = getattr(row, shown)
    mine = (scores[shown] == size) & (scores["k"] == row.k) & (scores["method"] == row.method)
    good = scores[mine & scores["inside_95"].notna()]
    systems, thinnings = good["system"].nunique(), good["repeat"].nunique()
    low, high = compatible(row.coverage_95, systems)
    return (
        f"- **{escaped(row.method)}**, {shown} = {size:,}, k = {row.k:,}: the 95% bands held the "
        f"truth in {_percent(row.coverage_95)} of {counted(len(good), 'forecast')} "
        f"({counted(systems, 'system')} x {counted(thinnings, 'thinning')} of the same log, so "
        f"about {systems} independent {'one' if systems == 1 else 'ones'}): compatible with a "
        f"coverage of {_percent(low)} to {_percent(high)}"
        + (". The bands are too narrow." if high < 0.95 else ".")
        + (" One system says little." if systems == 1 else "")
    )


def _failures(scores: "pd.DataFrame") -> list[str]:
    """Return what did not work: forecasts that failed, and fits that did not converge."""
    lines = []
    for name, rows in scores.groupby("method", sort=False):
        failed = rows[rows["point"].isna()]
        bare = rows[rows["point"].notna() & (rows["note"] != "")]
        of = f"of {counted(len(rows), 'forecast')}"
        for what, some in (("failed", failed), ("have no band", bare)):
            if len(some):
                lines.append(
                    f"- **{escaped(str(name))}**: {len(some):,} {of} {what}. The first says: "
                    f"{escaped(some['note'].iloc[0])}"
                )
        known = rows[rows["converged"].notna()]
        bad = int((~known["converged"].astype(bool)).sum())
        if bad:
            lines.append(
                f"- **{escaped(str(name))}**: {bad:,} {of} are from fits that did not converge "
                f"(effective sample size from {_number(known['min_ess'].min(), ',.0f')}, R-hat up "
                f"to {_number(known['max_rhat'].max())}, {int(known['divergences'].max())} "
                "divergences at most in a fit)"
            )
    return ["## What did not work", "\n".join(lines)] if lines else []


def _percent(share: float) -> str:
    return f"{share:.0%}" if math.isfinite(share) else "-"


def _number(value: float, form: str = ".3f") -> str:
    return format(value, form) if math.isfinite(value) else "-"
