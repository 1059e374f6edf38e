"""Scores of forecasts whose truth is known, and tables of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats
from bayespassk.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PROBS", "compatible", "crps", "interval_score", "scores_of", "summarize_backtest"]


PROBS = (50, 80, 95)
"""Probabilities of the equal-tailed bands that are scored, in percent."""

ROUNDING = 1e-9
"""A band that ends within this of the truth holds it: both may be the same share of problems."""


def crps(draws: Floats, truth: float) -> float:
    """Return the continuous ranked probability score of draws, dims (draw,): smaller is better.

    ``E|x - truth| - E|x - x'| / 2``, x and x' independent draws with replacement: the integral of
    the squared difference between the distribution function of the draws and that of the truth.
    """
    x, m = np.sort(draws), len(draws)
    spread = (2 * np.arange(1, m + 1) - m - 1) @ x / m**2
    return float(np.abs(x - truth).mean() - spread)


def interval_score(lower: float, upper: float, truth: float, prob: float) -> float:
    """Return the width of an interval, and 2 / (1 - prob) times how far the truth lies outside."""
    outside = max(lower - truth, 0.0) + max(truth - upper, 0.0)
    return float(upper - lower + 2 / (1 - prob) * outside)


def scores_of(truth: float, point: float, draws: Floats | None, floor: float) -> dict[str, Any]:
    """Return the scores of one forecast: a point, and the draws, dims (draw,), if it has any.

    `floor` is the least that `point` and `truth` count for in the error on the log scale.
    """
    found: dict[str, Any] = {
        "truth": truth,
        "point": point,
        "error": point - truth,
        "log_error": float(np.log(max(point, floor)) - np.log(max(truth, floor))),
    }
    for percent in PROBS:
        prob = percent / 100
        ends = [np.nan, np.nan]
        if draws is not None:
            ends = np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2]).tolist()
        lower, upper = ends
        found |= {
            f"lower_{percent}": lower,
            f"upper_{percent}": upper,
            f"inside_{percent}": None
            if draws is None
            else bool(lower - ROUNDING <= truth <= upper + ROUNDING),
            f"width_{percent}": upper - lower,
            f"interval_score_{percent}": np.nan
            if draws is None
            else interval_score(lower, upper, truth, prob),
        }
    return found | {"crps": abs(point - truth) if draws is None else crps(draws, truth)}


def summarize_backtest(scores: "pd.DataFrame", by: Sequence[str] | None = None) -> "pd.DataFrame":
    """Return for each method how far its forecasts were off, and how often its bands held.

    Parameters
    ----------
    scores : DataFrame
        From :func:`bayespassk.backtest`, or some of its rows.
    by : sequence of str, default n (or budget), method, k
        Columns to group by; with "system" among them, each system by itself.

    Returns
    -------
    pandas.DataFrame
        One row for each group, in their order, with the columns of `by` and:

        * forecasts: how many; failed: how many more there should be. Methods that failed on
          different systems are not to be compared.
        * mae: mean absolute error of the point forecast; mae_se_thinnings: its standard error for
          having so few thinnings of these systems; mae_se_systems: its standard error for having
          so few systems, NaN with one. A system and repeat counts once, however many rows it has.
        * bias: mean error; rmse: root of the mean squared error; log_error: mean absolute error
          of log pass@k
        * coverage_50, coverage_80, coverage_95: share of bands that held the truth; width_50,
          width_80, width_95: their mean width; interval_score_95: its mean
        * crps: mean continuous ranked probability score
        * seconds: median time of a forecast of all systems and k; the first fit of a family in a
          process also compiles it
        * not_converged: share of forecasts from fits that did not converge

    Raises
    ------
    OptionError
        If `scores` is not such a table, or a column of `by` is not in it.

    Notes
    -----
    Thinnings of one log share its truth, so forecasts of one system are not independent of each
    other: a coverage of 0.95 in 70 forecasts of 7 systems is the experience of about 7. Look at
    mae_se_systems before saying that a method is better on systems like these, and at
    mae_se_thinnings only for these very systems.

    References
    ----------
    Gneiting and Raftery 2007, doi:10.1198/016214506000001437 (interval score, CRPS).

    Examples
    --------
    >>> import bayespassk as bp
    >>> methods = ["plug-in", "log-log"]
    >>> scores = bp.backtest(bp.load_example(), methods, n=50, k=1000, repeats=3, cores=1)
    >>> bp.summarize_backtest(scores)[["n", "method", "k", "forecasts", "mae"]].round(2)
        n   method     k  forecasts   mae
    0  50  plug-in  1000          6  0.29
    1  50  log-log  1000          6  0.03
    """
    check_arguments("summarize_backtest", locals())
    import pandas as pd

    shown = "budget" if "budget" in scores else "n"
    by = [shown, "method", "k"] if by is None else [by] if isinstance(by, str) else list(by)
    if not by:
        raise OptionError("by must name one column at least; got none")
    for name in (*by, "truth", "point", "crps"):
        if name not in scores:
            raise OptionError(
                f"scores must be a table from bp.backtest, and by must name its columns; it has no "
                f"column {name!r}"
            )
    rows = [
        dict(zip(by, key, strict=True)) | _summary(group)
        for key, group in scores.groupby(by, sort=False)
    ]
    return pd.DataFrame(rows)


def _summary(group: "pd.DataFrame") -> dict[str, Any]:
    good = group[group["point"].notna()]
    absolute = good["error"].abs()
    thinnings, systems = _standard_errors(absolute.groupby([good["system"], good["repeat"]]).mean())
    found: dict[str, Any] = {
        "forecasts": len(good),
        "failed": len(group) - len(good),
        "mae": absolute.mean(),
        "mae_se_thinnings": thinnings,
        "mae_se_systems": systems,
        "bias": good["error"].mean(),
        "rmse": np.sqrt((good["error"] ** 2).mean()),
        "log_error": good["log_error"].abs().mean(),
    }
    for percent in PROBS:
        found[f"coverage_{percent}"] = good[f"inside_{percent}"].astype(float).mean()
    for percent in PROBS:
        found[f"width_{percent}"] = good[f"width_{percent}"].mean()
    return found | {
        "interval_score_95": good["interval_score_95"].mean(),
        "crps": good["crps"].mean(),
        "seconds": good["seconds"].median(),
        "not_converged": 1.0 - good["converged"].astype(float).mean(),
    }


def _standard_errors(values: "pd.Series[float]") -> tuple[float, float]:
    """Return those of a mean over (system, repeat): within systems, and between them."""
    each = values.groupby(level=0)
    within = np.sqrt((each.var() / each.size()).sum(min_count=1)) / max(1, len(each))
    if (each.size() < 2).any():
        within = np.nan
    means = each.mean()
    between = means.std() / np.sqrt(len(means)) if len(means) > 1 else np.nan
    return float(within), float(between)


def compatible(share: float, number: float) -> tuple[float, float]:
    """Return the 95% Wilson interval of a probability seen as a share of independent cases."""
    z2 = 1.96**2
    centre = (share + z2 / (2 * number)) / (1 + z2 / number)
    half = np.sqrt(z2 * (share * (1 - share) / number + z2 / (4 * number**2))) / (1 + z2 / number)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))
