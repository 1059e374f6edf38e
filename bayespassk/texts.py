"""Text of what others computed: tables, CSV and JSON, each with where its numbers came from."""

import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import xarray as xr

from bayespassk.options import FINDING, TARGETS
from bayespassk.posterior.diagnostics import diagnostics_of
from bayespassk.posterior.fitted import Fitted, opened
from bayespassk.terminal import CONTROLS, on_line

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ENDLESS",
    "NEVER",
    "as_agreement",
    "as_batch",
    "as_budget",
    "as_budget_contrast",
    "as_comparison",
    "as_crossing",
    "as_csv",
    "as_design",
    "as_difference",
    "as_findings",
    "as_independence",
    "as_json",
    "as_json_text",
    "as_queries_reached",
    "as_records",
    "as_text",
    "at_least_caption",
    "average_provenance",
    "budget_caption",
    "budget_contrast",
    "caption",
    "check_caption",
    "check_provenance",
    "comparison_caption",
    "contrast_provenance",
    "cost_caption",
    "counted",
    "difference_caption",
    "escaped",
    "families_verdict",
    "latexed",
    "provenance",
    "risk_caption",
    "times",
    "verdicts_caption",
    "with_attempts",
]


def provenance(fit: xr.DataTree | Fitted, forecast: xr.DataArray | None = None) -> dict[str, Any]:
    """Return what a number must carry with it, as data that JSON can hold."""
    fitted = opened(fit, evidence=True)
    found, attrs = diagnostics_of(fitted), fitted.tree.attrs
    meta = {
        "version": attrs["bayespassk_version"],
        "family": fitted.family.full_name,
        "family_spec": fitted.family.spec(),
        "method": attrs["method"],
        "sampler": attrs["sampler"],
        "sampling": json.loads(attrs["sampling"]),
        "pooling": attrs["pooling"],
        "covariates": fitted.formula,
        "seed": fitted.seed,
        "most_attempts": int(fitted.most_attempts.max()),
        "input_sha256": attrs["input_sha256"],
        "log": json.loads(attrs["log"]) if "log" in attrs else None,
        "diagnostics": {
            "converged": found.converged,
            "message": found.message(),
            "max_rhat": _finite(found.max_rhat),
            "min_ess": _finite(found.min_ess),
            "divergences": found.divergences,
            "pareto_k": _finite(found.pareto_k),
            "min_tail_ess": _finite(found.min_tail_ess),
            "min_bfmi": _finite(found.min_bfmi),
            "sd_error": _finite(found.sd_error),
            "at_max_depth": found.at_max_depth,
            "sd_ratio": _finite(found.sd_ratio),
            "band_off": _finite(found.band_off),
            "against": found.against,
            "systems": list(found.systems),
        },
    }
    if forecast is not None:
        meta["target"] = forecast.attrs["target"]
        meta["forecast_seed"] = int(forecast.attrs["forecast_seed"])
        if "agreement" in forecast.attrs:
            meta["agreement"] = json.loads(forecast.attrs["agreement"])
    return meta


def average_provenance(fits: Mapping[str, xr.DataTree], forecast: xr.DataArray) -> dict[str, Any]:
    """Return what an averaged forecast must carry with it.

    That of each fit; at the top what they share, and the worst of their diagnostics.
    """
    each = {name: provenance(fit, forecast) for name, fit in fits.items()}
    first, *others = each.values()
    meta = {k: v for k, v in first.items() if all(other[k] == v for other in others)}
    for key in ("method", "sampler", "seed"):
        meta.setdefault(key, ", ".join(str(one[key]) for one in each.values()))
    return meta | {
        "family": f"average of {', '.join(each)} with {forecast.attrs['weights']} weights",
        "family_spec": json.loads(forecast.attrs["family"]),
        "weights": json.loads(forecast.attrs["families"]),
        "diagnostics": _worst({name: one["diagnostics"] for name, one in each.items()}),
        "fits": each,
    }


def _worst(found: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the worst of the diagnostics of several fits, in the form of those of one."""

    def known(name: str) -> list[float]:
        return [one[name] for one in found.values() if one[name] is not None]

    bad = {name: one for name, one in found.items() if not one["converged"]}
    good = next(iter(found.values()))["message"]
    return {
        "converged": not bad,
        "message": "; ".join(f"{n}: {one['message']}" for n, one in bad.items()) or good,
        "max_rhat": max(known("max_rhat"), default=None),
        "min_ess": min(known("min_ess"), default=None),
        "divergences": sum(one["divergences"] for one in found.values()),
        "pareto_k": max(known("pareto_k"), default=None),
        "min_tail_ess": min(known("min_tail_ess"), default=None),
        "min_bfmi": min(known("min_bfmi"), default=None),
        "sd_error": max(known("sd_error"), default=None),
        "at_max_depth": sum(one["at_max_depth"] for one in found.values()),
        "sd_ratio": max(known("sd_ratio"), key=lambda x: abs(math.log(x or 1e-300)), default=None),
        "band_off": max(known("band_off"), default=None),
        "against": next((one["against"] for one in found.values() if one["against"]), None),
        "systems": list(dict.fromkeys(s for one in bad.values() for s in one["systems"])),
    }


def _finite(value: float | None) -> float | None:
    """Return None for what JSON has no number for."""
    return value if value is not None and math.isfinite(value) else None


def as_json(table: "pd.DataFrame", meta: dict[str, Any]) -> str:
    """Return one JSON object with the rows of `table` and `meta`."""
    about = {name: value for name, value in table.attrs.items() if name != "attempted"}
    meta = meta | ({"interval": about} if about else {})
    rows = json.loads(table.to_json(orient="records", double_precision=15))
    return as_json_text({"rows": rows, "meta": meta})


def as_json_text(data: Mapping[str, Any]) -> str:
    """Return data as JSON, with what a terminal would not print as escapes."""
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)
    return re.sub(CONTROLS, lambda one: f"\\u{ord(one[0]):04x}", text)  # the same, to a program


def as_agreement(table: "pd.DataFrame") -> str:
    """Return which families agree with attempts that contradict that of a fit."""
    first = (
        "Families beside Chen's estimate, where they are furthest apart: that of the fit, then the "
        "others, the best first:"
    )
    lines = [
        f"{on_line(str(row.system))}: {row.family} has pass@{row.k:,} = {row.expected:.3f}, "
        f"the attempts {row.estimate:.3f} (p = {row.p_value:.2g})"
        for row in table.itertuples(index=False)
    ]
    return "\n".join([first, *lines])


def as_independence(table: "pd.DataFrame", stopping: str) -> str:
    """Return what is known of attempts that depend on each other, a sentence each."""
    if table.empty:
        ended = "" if stopping == "fixed" else f", and attempts were ended by outcomes ({stopping})"
        return (
            "Nothing can be asked: of no system are there several runs and problems that were "
            f"solved sometimes, but not always{ended}."
        )
    lines = []
    for row in table.itertuples(index=False):
        p_value = float(str(row.p_value))
        p = f" (p = {p_value:.2g})" if math.isfinite(p_value) else ""
        lines.append(f"{on_line(str(row.system))}, {row.question}: {row.finding}{p}.")
    return "\n".join(lines)


def as_records(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return the rows of a table as plain data: None for what is not finite."""
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=15))
    return rows


def as_csv(table: "pd.DataFrame") -> str:
    """Return `table` as CSV with a header."""
    text = io.StringIO()
    table.to_csv(text, index=False, lineterminator="\n")
    return text.getvalue()


def as_text(table: "pd.DataFrame") -> str:
    """Return `table` as aligned text: attempts with thousands separators, two digits that count.

    A column k/n says which k are within the attempts.
    """
    shown = table.copy()
    for name in shown.columns.intersection(list(WHOLE)):
        shown[name] = [f"{k:,.0f}" if float(k).is_integer() else f"{k:,.6g}" for k in shown[name]]
    if "n" in shown:
        shown["k/n"] = ["within" if ratio <= 1 else times(ratio) for ratio in shown["k/n"]]
    for name in shown.columns.difference(["system", "what", "k/n", *WHOLE]):
        shown[name] = in_digits(shown[name])
    return str(shown.to_string(index=False))


WHOLE = ("k", "n", "m", "queries", "budget")
"""Columns of numbers of attempts and the like, mostly whole."""


def in_digits(values: Iterable[float], sign: str = "") -> list[str]:
    """Return numbers with equally many decimals, enough for two digits of the smallest.

    Never more than six: what is less than half of a millionth has its power of ten.
    """
    given = [float(value) for value in values]
    least = min((abs(v) for v in given if abs(v) >= TINY), default=1.0)
    places = min(6, max(4, math.ceil(-math.log10(least)) + 1))
    return [f"{v:{sign}.1e}" if 0 < abs(v) < TINY else f"{v:{sign}.{places}f}" for v in given]


TINY = 5e-7


def with_attempts(table: "pd.DataFrame", draws: xr.DataArray) -> "pd.DataFrame":
    """Return a table of forecasts with n, the most attempts at a problem, and k/n."""
    most = dict(
        zip(draws["system"].values.tolist(), draws["attempts"].values.tolist(), strict=True)
    )
    n = table["system"].map(most)
    shown = table.copy()
    place = list(shown.columns).index("k")
    shown.insert(place, "n", n)
    ratio = [float(k) / n if n else math.inf for k, n in zip(shown["k"], n, strict=True)]
    shown.insert(place + 2, "k/n", ratio)
    return shown


def caption(table: "pd.DataFrame", meta: dict[str, Any]) -> str:
    """Return what the numbers of `table` are, in plain sentences."""
    kind = {"eti": "equal-tailed", "hdi": "highest-density"}[table.attrs["kind"]]
    return (
        f"pass@k, target {meta['target']}: {TARGETS[meta['target']]}. lower, upper: "
        f"{100 * table.attrs['prob']:.4g}% {kind} credible interval. n: the most attempts at a "
        f"problem; within: k is not more.\n{_alone(table, meta)}"
        f"{_beyond(table, meta)}{_family(meta)}, {_sampled(meta)}.\n"
        f"bayespassk {meta['version']}, input sha256 {meta['input_sha256'][:16]}."
    )


def at_least_caption(table: "pd.DataFrame", meta: Mapping[str, Any]) -> str:
    """Return what the numbers of at least m of k are, in plain sentences."""
    target = str(meta["target"])
    run = "the share of the problems attempted that one new run of k attempts solves so often"
    return (
        f"The probability that at least m of k attempts at a problem succeed, target {target}: "
        f"{run if target == 'realised' else TARGETS[target]}{_interval(table, meta)}"
    )


def risk_caption(table: "pd.DataFrame", meta: Mapping[str, Any], k: int) -> str:
    """Return what the numbers of a risk at deployment are, in plain sentences."""
    source = {
        "population": "each query is a new problem of the kind",
        "benchmark": "each query is one of the problems attempted, at random",
    }[str(meta["target"])]
    return (
        f"The probability that at least one of so many queries succeeds, each tried {k:,} "
        f"time{'s' * (k > 1)}, target {meta['target']}: {source}. expected: successful queries, on "
        "average. It holds for queries of the kinds that are among the problems attempted, and of "
        f"no others{_interval(table, meta)}"
    )


def as_queries_reached(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the same as sentences: after how many queries a probability is reached."""

    def digits(value: float | None) -> str:
        return "no number" if value is None else f"{float(f'{value:.3g}'):,.6g}"

    return "\n".join(
        f"{on_line(row['system'])}: a risk of {row['risk']:g} by query {digits(row['median'])} "
        f"({digits(row['lower'])} to {digits(row['upper'])})."
        for row in rows
    )


def cost_caption(table: "pd.DataFrame", meta: Mapping[str, Any]) -> str:
    """Return what the numbers of pass@budget are, in plain sentences, and what a success costs."""
    unit, target = on_line(str(meta["unit"])), str(meta["target"])
    how = {
        "serial": "attempts one after the other until one succeeds or it is spent",
        "parallel": "as many attempts at each as it buys on average",
    }[str(meta["way"])]
    prices = "; ".join(
        f"{on_line(one['system'])} {one['median']:,.4g} "
        f"({one['lower']:,.4g} to {one['upper']:,.4g})"
        for one in meta["cost_per_success"]
    )
    return (
        f"The share of problems solved within a budget of {unit} for each: {how}. Target {target}. "
        "bought: attempts that a budget buys, the median. Costs are log-normal given problem and "
        f"outcome{_interval(table, meta)}\nIn {unit}, a success costs: {prices}."
    )


def budget_contrast(table: "pd.DataFrame", budgets: Iterable[float]) -> dict[str, Any]:
    """Return what :func:`bayespassk.compare_at_budget` found, as data that JSON can hold.

    At the `budgets` asked for; the others of the table were there to look for a crossing.
    """
    crossing = table.attrs["crossing"]
    ends = dict(zip(("median", "lower", "upper"), crossing or [None] * 3, strict=True))
    return {
        "a": table.attrs["a"],
        "b": table.attrs["b"],
        "rows": table[table["budget"].isin(list(budgets))].to_dict("records"),
        "crossing": ends
        | {
            "probability": float(table["probability_crossed"].iloc[-1]),
            "from": float(table["budget"].iloc[0]),
            "to": float(table["budget"].iloc[-1]),
        },
    }


def as_budget_contrast(found: Mapping[str, Any], unit: str) -> str:
    """Return the same as text: who is ahead at each budget, and where they cross."""
    import pandas as pd

    a, b, unit = on_line(found["a"]), on_line(found["b"]), on_line(unit)
    shown = pd.DataFrame(found["rows"]).drop(columns="probability_crossed")
    shown["budget"] = [f"{one:,.6g}" for one in shown["budget"]]
    for name in ("mean", "median", "lower", "upper"):
        shown[name] = in_digits(shown[name], "+")
    shown[f"P({a} above)"] = [_chance(p) for p in shown.pop("probability_a_above")]
    at = found["crossing"]
    low, high, median, lower, upper = (
        "" if at[name] is None else f"{float(f'{at[name]:.3g}'):,.6g}"
        for name in ("from", "to", "median", "lower", "upper")
    )
    between = f"between {low} and {high} {unit}"
    says = f"They do not cross {between}: who is ahead there stays ahead."
    if median:
        says = (
            f"P(they cross {between}): {_chance(at['probability'])}; where they do, at {median} "
            f"({lower} to {upper})."
        )
    return f"{a} minus {b}, at equal budget\n{shown.to_string(index=False)}\n{says}"


def _interval(table: "pd.DataFrame", meta: Mapping[str, Any]) -> str:
    """Return what a caption ends with: the interval, and where the numbers came from."""
    return (
        f". lower, upper: {100 * table.attrs['prob']:.4g}% equal-tailed credible interval.\n"
        f"{_family(meta)}, {_sampled(meta)}.\n"
        f"bayespassk {meta['version']}, input sha256 {meta['input_sha256'][:16]}."
    )


HELD = ((2, 5, 96), (5, 20, 94), (20, 100, 93), (100, 500, 94), (500, math.inf, 99))
"""How many in 100 of the default's 95% bands held on published logs, by k / n: from, below, held.

Of docs/explanation/accuracy.md, corpora weighing equally.
"""


def _beyond(table: "pd.DataFrame", meta: Mapping[str, Any]) -> str:
    """Return how far beyond the attempts each k is, and how often bands held at such k."""
    most = meta.get("most_attempts", 0)
    far = sorted({k for k in table["k"] if most and math.isfinite(k) and k >= HELD[0][0] * most})
    if not far:
        return ""
    each = []
    for k in far:
        (held,) = (held for low, high, held in HELD if low <= k / most < high)
        each.append(f"k = {k:,.0f} is {times(k / most)} times that ({held}%)")
    return (
        f"At most {most:,} attempts were made at a problem; {', '.join(each)}. In brackets: how "
        "many of the default's 95% bands held so far beyond the attempts on published logs, for k "
        "up to 10,000; see 'Against every published estimator' in the documentation.\n"
    )


def times(ratio: float) -> str:
    """Return how many times something is, as for k beside the attempts made."""
    return f"{ratio:,.0f}" if ratio >= 10 or ratio == round(ratio) else f"{ratio:.1f}"


def _alone(table: "pd.DataFrame", meta: Mapping[str, Any]) -> str:
    """Return what is known of the systems without the others."""
    if "alone" in table:
        return "alone: the median without what other systems lend.\n"
    if meta.get("pooling", "none") == "none":
        return ""
    return f"How far pooling moved each system is not known: {UNKNOWN}.\n"


UNKNOWN = "only method quadrature fits each alone as well, and not for averages"

ENDLESS = "the k of a ceiling: attempts without end"
"""What an infinite k is."""


def verdicts_caption(table: "pd.DataFrame", meta: dict[str, Any]) -> str:
    """Return what the numbers of a forecast of verdicts and of their truth are."""
    known = meta["family_spec"]["known"]
    names = {
        "true-positive rate": "true_positive_rate",
        "false-positive rate": "false_positive_rate",
    }
    rates = ", ".join(
        f"{said} {known[name]:.6g}" if name in known else f"{said} learned with the parameters"
        for said, name in names.items()
    )
    return (
        "apparent: one of k attempts is accepted; true: one is correct; first pass: the first that "
        "is accepted is correct; ceiling: the most that taking the first pass can reach.\n"
        f"Verifier: {rates}, the same for all problems.\n{caption(table, meta)}"
    )


NEVER = "not within 1e12 attempts"
"""What an infinite budget is."""


def as_budget(table: "pd.DataFrame") -> str:
    """Return the table of :func:`bayespassk.summarize_budget` as aligned text."""
    shown = table.copy()
    for name in ("median", "lower", "upper", "attempts_made"):
        shown[name] = [f"{k:,.0f}" if math.isfinite(k) else "never" for k in shown[name]]
    shown["pass_at_k"] = [f"{share:.6g}" for share in shown["pass_at_k"]]
    shown["probability_never"] = [f"{share:.3f}" for share in shown["probability_never"]]
    return str(shown.to_string(index=False))


def budget_caption(table: "pd.DataFrame", meta: Mapping[str, Any]) -> str:
    """Return what the numbers of a budget are, in plain sentences."""
    return (
        f"The attempts a problem at which pass@k reaches pass_at_k, target {meta['target']}: "
        f"{TARGETS[meta['target']]}. lower, upper: {100 * table.attrs['prob']:.4g}% equal-tailed "
        f"credible interval.\nnever: {NEVER}; probability_never is the probability of that under "
        "this family and its priors, which rule far beyond attempts_made.\n"
        f"{_family(meta)}, {_sampled(meta)}.\n"
        f"bayespassk {meta['version']}, input sha256 {meta['input_sha256'][:16]}."
    )


def _family(meta: Mapping[str, Any]) -> str:
    """Return the family, and of what it speaks where that is not the truth."""
    verdicts = ", of verdicts: a success is what was accepted, rightly or wrongly"
    return f"Family {meta['family']}{verdicts * meta['family'].startswith('verified-')}"


def _sampled(meta: Mapping[str, Any]) -> str:
    """Return how a fit was made and whether it converged."""
    found = meta["diagnostics"]
    figures = [
        f"{name} {value:{form}}"
        for name, value, form in (
            ("max R-hat", found["max_rhat"], ".3f"),
            ("min ESS", found["min_ess"], ",.0f"),
            ("Pareto k", found["pareto_k"], ".2f"),
        )
        if value is not None
    ]
    if meta["method"] == "nuts":  # nothing else can diverge
        figures.append(f"{found['divergences']} divergences")
    pooled = {"partial": "partial pooling, ", "within": "partial pooling within benchmarks, "}
    shared = pooled.get(meta["pooling"], "")
    if meta.get("covariates"):
        shared += f"covariates {meta['covariates']}, "
    return (
        f"{shared}{meta['method']} ({meta['sampler']}), seed {meta['seed']}; "
        f"{', '.join(figures)}{': ' * bool(figures)}{found['message']}"
    )


def check_provenance(fit: xr.DataTree, check: xr.Dataset) -> dict[str, Any]:
    """Return what a check must carry with it."""
    return provenance(fit) | {
        "stopping": check.attrs["stopping"],
        "check_seed": int(check.attrs["check_seed"]),
        "replicated": check.sizes["sample"],
    }


def as_findings(table: "pd.DataFrame") -> str:
    """Return the table of :func:`bayespassk.summarize_check` as aligned text: the findings."""
    if table.empty:
        return "no system was attempted: there is nothing to check"
    names = [on_line(str(system)) for system in table["system"]]
    width = max(6, *map(len, names))
    lines = [f"{'system':{width}}  p_value  finding"]
    lines += [
        f"{name:{width}}  {row.p_value:7.3f}  {row.finding}"
        for name, row in zip(names, table.itertuples(index=False), strict=True)
    ]
    return "\n".join(lines)


def check_caption(meta: Mapping[str, Any]) -> str:
    """Return what the numbers of a check are, in plain sentences."""
    adaptive = (
        "Attempts were allotted in a way not told, and were replicated as they were: p_value may "
        "be small though the family is right.\n"
    )
    return (
        f"{meta['replicated']:,} data sets were replicated from the fit, stopping rule "
        f"{meta['stopping']}; the family expects what 95% of right fits leave, and misses where "
        f"p_value is below {FINDING}. That the family fits the attempts made says little about k "
        f"far beyond them.\n{adaptive if meta['stopping'] == 'adaptive' else ''}"
        f"{_family(meta)}, {_sampled(meta)}.\n"
        f"bayespassk {meta['version']}, input sha256 {meta['input_sha256'][:16]}."
    )


COMPARISON = {
    "elpd": ".1f", "se": ".1f", "p": ".1f", "elpd_diff": ".1f", "dse": ".1f",
    "weight_stacking": ".2f", "weight_pseudo_bma": ".2f", "max_pareto_k": ".2f",
}  # fmt: skip


def as_comparison(table: "pd.DataFrame") -> str:
    """Return the table of :func:`bayespassk.compare` as aligned text."""
    shown = table.copy()
    for name, form in COMPARISON.items():
        shown[name] = [f"{value:{form}}" for value in shown[name]]
    return str(
        shown.rename(columns=lambda name: name.removeprefix("weight_")).to_string(index=False)
    )


def comparison_caption(table: "pd.DataFrame", each: Mapping[str, dict[str, Any]]) -> str:
    """Return what a comparison says, in plain sentences; `each` is where the fits came from."""
    first = next(iter(each.values()))
    fits = "\n".join(f"{name}: {_sampled(meta)}." for name, meta in each.items())
    return (
        "elpd: log probability of the counts of each problem given those of all others "
        "(leave-one-out), summed; higher is better. se, dse: standard errors of elpd, elpd_diff. "
        "stacking, pseudo_bma: weights.\n"
        f"{families_verdict(table)}\n"
        "Leave-one-out judges the attempts made. It says little about k far beyond them, where "
        "families it cannot tell apart may part: forecast with several, as in 'bayespassk forecast "
        f"COUNTS.csv --families {','.join(each)}'.\n"
        f"{fits}\n"
        f"bayespassk {first['version']}, input sha256 {first['input_sha256'][:16]}."
    )


def families_verdict(table: "pd.DataFrame") -> str:
    """Return which families are clearly worse: by two standard errors, and by 4."""
    system = table["system"].iloc[-1]
    rows = table[table["system"] == system]
    where = "Over all systems" if rows.shape[0] < table.shape[0] else "Here"
    best = rows["family"].iloc[0]
    clear = (rows["elpd_diff"] < -2 * rows["dse"]) & (rows["elpd_diff"] < -4)
    worse = ", ".join(rows["family"][clear])
    rest = ", ".join(rows["family"][~clear].iloc[1:])
    if not worse:
        return f"{where} no family is clearly better: {best} is first, but within the error."
    tail = f"; {rest} within the error of it" if rest else ""
    return f"{where} {best} foretells unseen problems clearly better than {worse}{tail}."


def contrast_provenance(
    fit: xr.DataTree,
    pairs: Sequence[tuple[xr.DataArray, "pd.DataFrame"]],
) -> dict[str, Any]:
    """Return what differences of systems must carry with them.

    `pairs` holds the difference of each pair of systems and its table of the crossing budget.
    """

    def of(difference: xr.DataArray, crossing: "pd.DataFrame") -> dict[str, Any]:
        names = [n for n in ("a", "b", "problems", "dropped") if n in difference.attrs]
        rows = json.loads(crossing.to_json(orient="records", double_precision=15))
        return {name: difference.attrs[name] for name in names} | {
            "crossing": dict(crossing.attrs) | {"rows": rows}
        }

    return provenance(fit, pairs[0][0]) | {"pairs": [of(*pair) for pair in pairs]}


def as_difference(table: "pd.DataFrame", difference: xr.DataArray) -> str:
    """Return the table of :func:`bayespassk.summarize_difference` as aligned text."""
    about = difference.attrs
    a, b = on_line(about["a"]), on_line(about["b"])
    head = f"{a} minus {b}"
    if "problems" in about:
        head += f", the {about['problems']:,} problems that both attempted"
        left = about["dropped"]
        head += f" ({left:,} that only one attempted left out)" if left else ""
    shown = table.copy()
    shown["k"] = [f"{k:,}" for k in shown["k"]]
    for name in shown.columns.difference(["k", "probability_a_above"]):
        shown[name] = in_digits(shown[name], "+")
    above = f"P({a} above)"
    shown[above] = [_chance(p) for p in shown.pop("probability_a_above")]
    return f"{head}\n{shown.to_string(index=False)}"


def as_crossing(table: "pd.DataFrame") -> str:
    """Return the table of :func:`bayespassk.summarize_crossing` as sentences.

    One about the system that leads at first, and one about the other if that may well lead.
    """
    rows = table.sort_values("probability_leads", ascending=False, kind="stable")
    likely = rows[rows["probability_leads"] > 0.05]
    if likely.empty:
        return "Neither leads at k = 1: the curves are equal."
    return "\n".join(_overtaking(row, table.attrs) for row in likely.itertuples(index=False))


def _overtaking(row: Any, about: Mapping[Any, Any]) -> str:
    """Return what is said about one leader."""
    given = row.probability_overtaken / row.probability_leads
    when = f", at about k = {_attempts(row.median)}" if math.isfinite(row.median) else ""
    if math.isfinite(row.lower):
        when += f" ({100 * about['prob']:.4g}%: {_attempts(row.lower)} to {_attempts(row.upper)})"
    return (
        f"{on_line(row.leader)} leads at k = 1 with probability {_chance(row.probability_leads)}; "
        f"if so, {on_line(row.overtaken_by)} overtakes it by k = {about['most']:,} with "
        f"probability "
        f"{_chance(given)}{when}."
    )


def _attempts(k: float) -> str:
    """Return a crossing budget to three digits."""
    return f"{float(f'{k:.3g}'):,.0f}" if math.isfinite(k) else "never"


def _chance(probability: float) -> str:
    """Return a probability from draws, which are too few for an exact 0 or 1."""
    if 0.01 <= probability <= 0.99:
        return f"{probability:.2f}"
    return "> 0.99" if probability > 0.5 else "< 0.01"


def difference_caption(table: "pd.DataFrame", meta: Mapping[str, Any]) -> str:
    """Return what the numbers of a comparison of systems are, in plain sentences."""
    percent = f"{100 * table.attrs['prob']:.4g}%"
    crossing = meta["pairs"][0]["crossing"]
    return (
        f"Difference of pass@k, target {meta['target']}: {TARGETS[meta['target']]}. lower, upper: "
        f"{percent} equal-tailed credible interval of each k; *_simultaneous: a band that holds "
        f"the whole curve with probability {percent}.\n"
        "Overtaken: pass@k has the opposite order of that at k = 1, target "
        f"{crossing['target']}; never: not by k = {crossing['most']:,}. Beyond the attempts made "
        "both curves rest on the family: look at another before believing a crossing there.\n"
        f"{_family(meta)}, {_sampled(meta)}.\n"
        f"bayespassk {meta['version']}, input sha256 {meta['input_sha256'][:16]}."
    )


def as_design(table: "pd.DataFrame") -> str:
    """Return the table of :func:`bayespassk.design` as aligned text, and what its numbers are."""
    about, shown = table.attrs, table.copy()
    for name in ("k", "problems", "attempts", "total"):
        shown[name] = [f"{value:,}" for value in shown[name]]
    for name in ("half_width", "lower", "upper"):
        shown[name] = [f"{value:.4f}" for value in shown[name]]
    whence = "the posterior of the pilot" if about["pilot"] else "the prior, of all kinds"
    return (
        f"{shown.to_string(index=False)}\n\n"
        f"half_width: half the width to expect of the {100 * about['prob']:.4g}% band of pass@k, "
        f"target {about['target']}; the median over {about['truths']} truths from {whence}, lower "
        f"and upper of 80% of them.\n"
        f"Family {about['family']}, fitted to each evaluation by itself. Seed {about['seed']}.\n"
    )


FAILURES = 10
"""How many are told one by one."""


def as_batch(table: "pd.DataFrame") -> str:
    """Return what became of the fits in the table of :func:`bayespassk.fit_many`."""
    fits = table.drop_duplicates("name")
    numbers = fits["status"].value_counts()
    bad = fits[fits["status"] == "failed"]
    told = ", ".join(f"{numbers.get(name, 0):,} {name}" for name in ("ok", "warned", "failed"))
    lines = [f"{counted(len(fits), 'fit')}: {told}. What and why is in summary.csv."]
    lines += [
        f"failed: {name!r}: {on_line(why)}"
        for name, why in zip(bad["name"][:FAILURES], bad["why"], strict=False)
    ]
    left = len(bad) - FAILURES
    return "\n".join(lines + [f"... and {left:,} more"] * (left > 0))


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is, on one line and within a cell of a table."""
    line = re.sub(r"([\\`*_{}\[\]<>#|~!&$])", r"\\\1", on_line(text))
    return re.sub(r"^(\d*)([-+=.):])(?=[-=\s]|$)", r"\1\\\2", line)  # no list, no heading


LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "[": "{[}", "]": "{]}", "*": "{*}",  # which mean something after the end of a row
    "–": "--", "∞": r"$\infty$", "\ufffd": "?",
}  # fmt: skip


def latexed(text: str) -> str:
    """Return text that LaTeX sets as it is, on one line."""
    return "".join(LATEX.get(one, one) for one in on_line(text))


def counted(number: int, noun: str) -> str:
    """Return a number and its noun, in the plural where it must be."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
