"""What a report says, in words and tables, before it has a form: text here is not escaped."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from bayespassk.families import family_from_spec
from bayespassk.families.base import priors_in_words
from bayespassk.options import FINDING, TARGETS
from bayespassk.texts import times

__all__ = [
    "Items",
    "Section",
    "Table",
    "Text",
    "forecast_table",
    "headline",
    "ratio",
    "sections",
    "share",
]


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Items:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table; `numbers` says which columns hold numbers. The first column names the rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[bool, ...]

    @property
    def spans(self) -> list[int]:
        """How many rows the name in a row is for; 0 if an earlier one has it."""
        lengths = [len(list(rows)) for _, rows in groupby(self.rows, lambda row: row[0])]
        return [length if i == 0 else 0 for length in lengths for i in range(length)]


@dataclass(frozen=True)
class Section:
    """A part of a report; figures whose section is `key` follow its first block."""

    key: str
    title: str
    blocks: tuple[Text | Items | Table, ...]


MOST_LINES = 6
"""Systems that the headline has a sentence for."""


def headline(data: Mapping[str, Any]) -> list[str]:
    """Return the answer in a few sentences: the first target, at the largest k that is sound.

    Where none is, at the least asked for, and it says so.
    """
    target, percent = data["asked"]["targets"][0], _percent(data)
    sound = {r["system"]: r["up_to"] for r in data["verdict"]["reach"] if r["target"] == target}
    least = min(data["asked"]["k"])
    said = [
        f"{row['system']}: {row['what']} at k = {row['k']:,} is {share(row['median'])} ({percent} "
        f"credible interval {share(row['lower'])} to {share(row['upper'])})"
        + ("." if sound[row["system"]] is not None else "; read why this is not held to be sound.")
        for row in data["forecast"][target]
        if row["k"] == (sound[row["system"]] or least)
    ]
    asked = f"Target {target}: {TARGETS[target]}. {forecaster(data)}"
    if len(said) > MOST_LINES:
        return [asked, f"{len(data['data']['systems'])} systems; see the forecasts below."]
    return [asked, *said]


def forecaster(data: Mapping[str, Any]) -> str:
    """Return whose the forecasts are, in a sentence."""
    average = data["asked"]["average"]
    if average is None:
        return f"The forecasts are those of family {data['asked']['family']}."
    each = {name: sorted({f"{one:.2f}" for one in row.values()}) for name, row in average.items()}
    said = (f"{name} ({' to '.join(dict.fromkeys((s[0], s[-1])))})" for name, s in each.items())
    return f"The forecasts are the average of families, with weights: {', '.join(said)}."


def _alone(data: Mapping[str, Any]) -> str:
    """Return that what follows is not of the average, but of one family of it; or nothing."""
    if data["asked"]["average"] is None:
        return ""
    name = data["asked"]["family"]
    return f"This is of family {name} alone; the forecasts are an average that it is a part of. "


def sections(data: Mapping[str, Any]) -> list[Section]:
    """Return the parts of a report, in their order."""
    return [
        _asked(data),
        _data(data),
        *(_forecast(data, target) for target in data["asked"]["targets"]),
        _family(data),
        *([_comparison(data)] if data["comparison"] else []),
        _checks(data),
        _sensitivity(data),
        _diagnostics(data),
        _provenance(data),
        _glossary(data),
    ]


def _asked(data: Mapping[str, Any]) -> Section:
    asked = data["asked"]
    ks = ", ".join(f"{k:,}" for k in asked["k"])
    return Section(
        "asked",
        "What was asked",
        (
            Text(
                "How often is a problem solved within k attempts, with more attempts than were "
                f"made? Asked for k = {ks}, of these targets:"
            ),
            Items(tuple(f"{target}: {TARGETS[target]}." for target in asked["targets"])),
            Text(
                f"{forecaster(data)} All were fitted to the attempts below. "
                + (
                    "A verifier that is sometimes wrong was taken into account: apparent pass@k is "
                    "what it accepts, true pass@k what is correct, and first pass correct what is "
                    "got by taking the first attempt that it accepts. "
                    if asked["verifier"]
                    else ""
                )
                + f"Intervals are equal-tailed credible intervals: given the family, its priors "
                f"and the attempts, pass@k lies within with probability {_percent(data)}."
            ),
        ),
    )


STOPPING = {
    "fixed": "their number was fixed in advance",
    "first-success": "at the first success, or at a cap",
    "adaptive": "they were allotted by what was seen, in a way not told",
}


def _data(data: Mapping[str, Any]) -> Section:
    found = data["data"]
    untried = any(row["untried"] for row in found["systems"])
    columns = ["System", "Benchmark", "Problems", "Attempts at each", "Attempts", "Successes",
               "Unsolved problems", "Always solved"]  # fmt: skip
    rows = [
        (
            row["system"],
            row["benchmark"],
            f"{row['problems']:,}",
            _range(row["attempts_least"], row["attempts_most"]),
            f"{row['attempts']:,}",
            f"{row['successes']:,}",
            f"{row['unsolved']:,}",
            f"{row['always_solved']:,}",
            *([f"{row['untried']:,}"] if untried else []),
        )
        for row in found["systems"]
    ]
    rule = found["stopping"]
    said = STOPPING.get(
        rule, f"they were made {rule.rpartition(':')[2]} at a time, until a success or a cap"
    )
    blocks: list[Text | Items | Table] = [
        Table(
            "What was attempted",
            (*columns, *(["Not attempted"] if untried else [])),
            tuple(rows),
            (False, False, *[True] * (len(columns) - 2 + untried)),
        ),
        Text(f"How attempts were ended: {said} (stopping rule {rule})."),
    ]
    if found["log"] is not None:
        blocks.append(Text(_log(found["log"])))
    return Section("data", "The attempts", tuple(blocks))


def _log(log: Mapping[str, Any]) -> str:
    options = "".join(f", {name} {value}" for name, value in log["options"].items())
    without = log["errored"] + log["missing"]
    fate = {"drop": "left out", "fail": "counted as failures"}.get(log["errors"], "refused")
    return f"Read as {log['format']}{options}: {log['attempts']:,} attempts, " + (
        f"{without:,} without an outcome {fate}." if without else "all with an outcome."
    )


def _forecast(data: Mapping[str, Any], target: str) -> Section:
    most = [row["attempts_most"] for row in data["data"]["systems"]]
    blocks: list[Text | Items | Table] = [
        Text(
            f"pass@k is here {TARGETS[target]}. n is the most attempts made at a problem, "
            f"{_range(min(most), max(most))}: forecasts for k within it stay near the attempts, "
            "and those beyond rest on the family."
        ),
        forecast_table(data, target),
    ]
    if data["pooling"]["known"]:
        blocks.append(Text("Alone: the median without what other systems lend by pooling."))
    elif data["pooling"]["pooling"] != "none":
        of = "of an average" if data["asked"]["average"] else "with this method"
        blocks.append(Text(f"How far pooling moved each system is not known {of}."))
    if data["estimate"]:
        blocks.append(
            Text(
                "Estimate: Chen's unbiased estimate from the attempts made, up to as many k as "
                "there are attempts at every problem. It uses no family"
                + (", and is of what the verifier accepts." if data["asked"]["verifier"] else ".")
            )
        )
    return Section(target, f"Forecast: {target}", tuple(blocks))


def forecast_table(data: Mapping[str, Any], target: str) -> Table:
    """Return the forecasts of one target."""
    known = {(row["system"], row["k"]): row["pass_at_k"] for row in data["estimate"]}
    verifier, several = data["asked"]["verifier"], bool(known)
    made = {row["system"]: row["attempts_most"] for row in data["data"]["systems"]}
    pooled = data["pooling"]["known"]
    rows = []
    for row in data["forecast"][target]:
        of_apparent = not verifier or row["what"].startswith("apparent")
        estimate = known.get((row["system"], row["k"])) if of_apparent else None
        rows.append(
            (
                row["system"],
                *([row["what"]] if verifier else []),
                f"{row['k']:,}",
                ratio(row["k"], made[row["system"]]),
                share(row["median"]),
                _interval(row),
                *([share(row["alone"])] if pooled else []),
                *(["–" if estimate is None else share(estimate)] if several else []),
            )
        )
    whose = ("System", "Quantity") if verifier else ("System",)
    columns = (*whose, "k", "k/n", "Median", f"{_percent(data)} interval")
    return Table(
        f"pass@k, target {target}",
        (*columns, *(["Alone"] if pooled else []), *(["Estimate"] if several else [])),
        tuple(rows),
        (*[False] * len(whose), *[True] * (4 + pooled + several)),
    )


def ratio(k: float, attempts: int) -> str:
    """Return how many times the attempts k is, or that it is within them."""
    if k <= attempts:
        return "within"
    if not math.isfinite(k):
        return "∞"
    return times(k / attempts) if attempts else "–"


def _family(data: Mapping[str, Any]) -> Section:
    rows = tuple(
        (
            row["system"],
            f"{row['k']:,}",
            f"{row['median']:.3f}",
            f"{row['lower']:.3f}–{row['upper']:.3f}",
        )
        for row in data["tail_exponent"]
    )
    return Section(
        "family",
        "How hard the problems are",
        (
            Text(
                f"{_alone(data)}Family {data['asked']['family']} describes how the success "
                "probability p of an attempt is spread over problems. Its end near p = 0, which "
                "few or no attempts speak of, decides the forecasts at large k. In the figures, "
                "dashed line and band are the share of problems whose p is at most that on the "
                "axis, as the family has it, and the solid line is of the problems attempted: the "
                "share to be expected there, given the counts of each. A grey bar is the interval "
                f"in which the p of a problem lies with probability {_percent(data)}, the hardest "
                "at the bottom. Left of one over the attempts, the dotted line, these say little."
            ),
            Text(
                "The tail exponent says how fast the problems left unsolved become fewer: with an "
                "exponent of 0.3, ten times the attempts leave half as many."
            ),
            Table(
                "Tail exponent of a new problem's fail@k, at the largest k",
                ("System", "k", "Median", f"{_percent(data)} interval"),
                rows,
                (False, True, True, True),
            ),
        ),
    )


def _comparison(data: Mapping[str, Any]) -> Section:
    found = data["comparison"]
    several = len({row["system"] for row in found["rows"]}) > 1
    rows = tuple(
        (
            *([row["system"]] if several else []),
            row["family"],
            f"{row['elpd']:.1f}",
            f"{row['elpd_diff']:z.1f}",
            f"{row['dse']:.1f}",
            f"{row['weight_stacking']:.2f}",
            f"{row['max_pareto_k']:.2f}",
        )
        for row in found["rows"]
    )
    names = list(found["disagreement"][0]["medians"])
    return Section(
        "comparison",
        "Other families",
        (
            Text(f"{found['verdict']} {JUDGED}"),
            Table(
                "Families by leave-one-out, the best first",
                (*(["System"] if several else []), "Family", "elpd", "Difference", "SE of it",
                 "Stacking weight", "Largest Pareto k"),
                rows,
                (*[False] * (1 + several), *[True] * 5),
            ),
            Text(
                "Far beyond the attempts, families that cannot be told apart here may forecast "
                "different things. The share of the variance that is which family is right: 0 "
                "where they agree, 1 where each is sure of something else. Of each family the "
                f"median and in brackets the {_percent(data)} interval."
            ),
            Table(
                f"Forecasts of each family, target {found['target']}",
                ("System", "k", *names, "Share of variance"),
                tuple(
                    (
                        row["system"],
                        f"{row['k']:,}",
                        *(
                            f"{share(row['medians'][name])} ({share(row['bands'][name][0])}–"
                            f"{share(row['bands'][name][1])})"
                            for name in names
                        ),
                        f"{row['family_share']:.2f}",
                    )
                    for row in found["disagreement"]
                ),
                (False, *[True] * (2 + len(names))),
            ),
        ),
    )  # fmt: skip


JUDGED = (
    "elpd is the log probability of the counts of each problem given those of all others, summed: "
    "higher is better, and a difference below two of its standard errors (SE), or below 4, says "
    "little. The stacking weight is the share of a family in the mixture of these that foretells "
    "best, and no probability that it is right. All this judges the attempts made, not the "
    "forecasts beyond them."
)


def _checks(data: Mapping[str, Any]) -> Section:
    found = data["checks"]
    adaptive = (
        " How attempts were allotted is not known, and they were replicated as they were: a small "
        "p-value may then come from that."
        if found["stopping"] == "adaptive"
        else ""
    )
    return Section(
        "checks",
        "Checks: does the family make such data?",
        (
            Text(
                f"{_alone(data)}From the fit, {found['replicated']:,} sets of data were drawn, "
                "with attempts ended as they were in the data. What the family expects is what 95% "
                f"of them hold; a p-value below {FINDING} is a finding. That the family fits the "
                f"attempts made says little about k far beyond them.{adaptive} In the figures, "
                "above, bars hold 95% of the replicated data and dots are the data; below is each "
                "statistic in standard deviations of replicated data, and an open dot is a finding."
            ),
            Table(
                "What the data are, and what the family expects",
                ("System", "Finding", "p-value"),
                tuple(
                    (row["system"], f"{row['finding']}.", f"{row['p_value']:.3f}")
                    for row in found["rows"]
                ),
                (False, False, True),
            ),
            *_independence(data["independence"]["rows"]),
        ),
    )


def _independence(rows: list[dict[str, Any]]) -> Iterator[Text | Table]:
    """Yield what is known of attempts that depend on each other."""
    if all(row["p_value"] is None for row in rows):
        yield Text(
            "Independence of attempts: not testable from counts alone. Which run (a seed, a day, a "
            "worker) each attempt is of would tell."
        )
        return
    yield Table(
        "Are attempts at a problem independent?",
        ("System", "Question", "Finding", "p-value"),
        tuple(
            (
                row["system"],
                row["question"],
                f"{row['finding']}.",
                "" if row["p_value"] is None else f"{row['p_value']:.3f}",
            )
            for row in rows
        ),
        (False, False, False, True),
    )


def _sensitivity(data: Mapping[str, Any]) -> Section:
    found = data["sensitivity"]
    pooled = any(row["others_share"] for row in found["rows"])
    others = ("Share of the others",) if pooled else ()
    lent = "Share of the others: likewise, what the systems lend that it is pooled with. "
    return Section(
        "sensitivity",
        "Sensitivity: how much is prior?",
        (
            Text(
                f"{_alone(data)}Share of the prior: how much of the precision of a forecast comes "
                "from the prior "
                "instead of the attempts, found by raising each to a power near 1. "
                f"{lent if pooled else ''}Above 0.5, together, they say more than the system's own "
                "attempts. Shift by the prior: how far twice its weight against half of it moves "
                "the mean, in standard deviations of the forecast; beyond 0.75 either way, the "
                "prior moves it. Band ratio: the width of the band over "
                "that of the prior alone; small where the attempts narrowed it down."
            ),
            Table(
                f"Sensitivity to the prior, target {found['target']}",
                ("System", "k", "Share of the prior", *others, "Shift by the prior", "Band ratio"),
                tuple(
                    (
                        row["system"],
                        f"{row['k']:,}",
                        f"{row['prior_share']:.2f}",
                        *([f"{row['others_share']:.2f}"] if pooled else []),
                        f"{row['prior_shift']:+.2f}",
                        "–" if row["band_ratio"] is None else f"{row['band_ratio']:.3f}",
                    )
                    for row in found["rows"]
                    if row["target"] == found["target"] and row["what"] == found["rows"][0]["what"]
                ),
                (False, *[True] * (4 + pooled)),
            ),
        ),
    )


def _diagnostics(data: Mapping[str, Any]) -> Section:
    def figure(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)

    rows = []
    for name, fit in data["fits"].items():
        found = fit["diagnostics"]
        rows.append(
            (
                name,
                fit["method"],
                "yes" if found["converged"] else "no",
                figure(found["max_rhat"], ".3f"),
                figure(found["min_ess"], ",.0f"),
                figure(found["divergences"] if fit["method"] == "nuts" else None, ",.0f"),
                figure(found["pareto_k"], ".2f"),
            )
        )
    said = [
        f"{name}: {fit['diagnostics']['message']}."
        for name, fit in data["fits"].items()
        if not fit["diagnostics"]["converged"]
    ]
    return Section(
        "diagnostics",
        "Diagnostics of the sampler",
        (
            Text(
                "A sampler has converged with an R-hat of at most 1.01, an effective sample size "
                "(ESS) of at least 400, no divergence and a Pareto k of at most 0.7; – where a "
                "method has no such number. By quadrature, the posterior is integrated exactly: "
                "nothing is sampled, but for what systems share."
            ),
            *([Items(tuple(said))] if said else []),
            Table(
                "Diagnostics of each fit",
                ("Fit", "Method", "Converged", "Largest R-hat", "Smallest ESS", "Divergences",
                 "Pareto k"),
                tuple(rows),
                (False, False, False, True, True, True, True),
            ),
        ),
    )  # fmt: skip


def _provenance(data: Mapping[str, Any]) -> Section:
    first = next(iter(data["fits"].values()))
    rows = [
        ("bayespassk", data["version"]),
        ("SHA-256 of the counts", first["input_sha256"]),
        ("Seed of the forecasts", str(data["asked"]["seed"])),
    ]
    for name, fit in data["fits"].items():
        sampling = ", ".join(f"{key} {value}" for key, value in fit["sampling"].items())
        covariates = f", covariates {fit['covariates']}" if fit["covariates"] else ""
        rows += [
            (
                f"Fit {name}",
                f"{fit['method']} by {fit['sampler']}, pooling {fit['pooling']}{covariates}, seed "
                f"{fit['seed']}, {sampling}; bayespassk {fit['version']}",
            ),
            (f"Priors of {name}", f"{priors_in_words(family_from_spec(fit['family_spec']))}."),
        ]
    log = data["data"]["log"]
    if log is not None:
        hashes = log["sha256"] or ["none: it was held in memory"] * len(log["files"])
        files = zip(log["files"], hashes, strict=True)
        rows += [(f"SHA-256 of {file}", sha) for file, sha in files]
    return Section(
        "provenance",
        "Where the numbers come from",
        (
            Table(
                "Provenance",
                ("What", "Value"),
                tuple(rows),
                (False, False),
            ),
        ),
    )


def _glossary(data: Mapping[str, Any]) -> Section:
    words = [
        "Problem: one task whose outcome can be verified. Attempt: one independent try at it. "
        "Success: an attempt that passed.",
        "System: what was evaluated, with its scaffold and decoding.",
        "pass@k: the probability that at least one of k attempts at a problem succeeds, averaged "
        "over problems; fail@k is the rest.",
        "Family: a parametric distribution of p, the success probability of an attempt, over "
        "problems.",
        "Prior and posterior: what is taken to be known of a family's parameters before the "
        "attempts, and after them.",
    ]
    if data["comparison"]:
        words.append(
            "Leave-one-out: each problem foretold from all others. Pareto k: how far that could be "
            "computed from one fit; where it could not, the fit was made again."
        )
    return Section("glossary", "Glossary", (Items(tuple(words)),))


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _percent(data: Mapping[str, Any]) -> str:
    return f"{100 * data['asked']['prob']:.4g}%"


def _interval(row: Mapping[str, Any]) -> str:
    return f"{share(row['lower'])}–{share(row['upper'])}"


def share(value: float | None) -> str:
    """Return a share with three decimals, or with as many as tell it from 0 and 1."""
    if value is None:
        return "–"
    if 0 < value < 5e-4:
        return f"{value:.1e}"
    if 0.9995 <= value < 1 - 5e-7:
        return f"{value:.{math.ceil(-math.log10(1 - value))}f}"
    return f"{value:.3f}"
