"""The verdict: may these forecasts be used, and why."""

from collections.abc import Iterator, Mapping
from typing import Any

from bayespassk.asking.guard import contradicted
from bayespassk.asking.influence import FAR, LIMIT, MOST_SHIFT
from bayespassk.options import FINDING
from bayespassk.reporting.reach import reach, reach_sentence

__all__ = ["LEVELS", "verdict"]

SOUND, WARNINGS, UNUSABLE = LEVELS = ("sound", "read the warnings", "do not use")

SENTENCES = {
    SOUND: "Nothing was found that speaks against these forecasts.",
    WARNINGS: "The forecasts can be used if what is said here is kept in mind.",
    UNUSABLE: "The sampler did not converge: these numbers are not those of the model.",
}

MOST_FEW = 0.1
"""Share of problems with three attempts or more below which the spread of p is not told."""

NAMED = 3
"""How many cases of one kind are told; the rest are counted."""

type Reason = tuple[str, str]
"""A level, and a sentence."""


def verdict(data: Mapping[str, Any], most: Mapping[str, int]) -> dict[str, Any]:
    """Return the level, a sentence about it, and reasons: the gravest first.

    `data` is that of a report, `most` the most attempts at a problem of each system.
    """
    reasons = [
        *_sampler(data),
        *_attempts(data["data"]),
        *_few(data),
        *_impossible(data["data"]["systems"]),
        *_agreement(data["agreement"]),
        *_check(data["checks"]["rows"]),
        *_independence(data["independence"]),
        *_prior(data["sensitivity"]["rows"]),
        *_pooling(data["pooling"]["beyond"]),
        *_families(data, most),
    ]
    reasons.sort(key=lambda reason: -LEVELS.index(reason[0]))
    level = reasons[0][0]
    found = reach(data, most, _blocked(data, level))
    return {
        "level": level,
        "sentence": f"{SENTENCES[level]} {reach_sentence(found, data['asked']['k'])}",
        "reach": found,
        "reasons": [{"level": one, "text": text} for one, text in reasons],
    }


def _blocked(data: Mapping[str, Any], level: str) -> set[str]:
    """Return the systems none of whose forecasts is sound, at whatever k."""
    systems = data["data"]["systems"]
    if level == UNUSABLE:
        return {row["system"] for row in systems}
    bare = {row["system"] for row in systems if not 0 < row["successes"] < row["attempts"]}
    wrong = {row["system"] for row in contradicted(data["agreement"]["rows"])}
    missed = {row["system"] for row in data["checks"]["rows"] if row["p_value"] < FINDING}
    alike = {row["system"] for row in _dependent(data["independence"])}
    return bare | wrong | missed | alike | set(_too_few(systems))


def _dependent(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the findings about attempts in runs that the family takes no account of."""
    known = ("common",) if found["modelled"] else ("runs", "common")
    return [row for row in found["rows"] if row["question"] in known and _is_finding(row)]


def _is_finding(row: Mapping[str, Any]) -> bool:
    return row["p_value"] is not None and row["p_value"] < FINDING_OF_RUNS


FINDING_OF_RUNS = 0.01
"""Stricter than that of checks: two questions are asked of each system."""


def _independence(found: Mapping[str, Any]) -> Iterator[Reason]:
    """Say whether attempts at a problem are independent, as far as it can be tested."""
    tested = [row for row in found["rows"] if row["p_value"] is not None]
    wrong = _dependent(found)
    worth = {row["system"]: row for row in found["rows"] if row["question"] == "effective"}
    for row in wrong[:NAMED]:
        effective = worth[row["system"]]
        text = f"Independence of attempts, {row['system']}: {row['finding']}."
        if row["question"] == "runs":
            text += f" Effective attempts: {effective['finding']}."
        yield WARNINGS, text
    if len(wrong) > NAMED:
        yield WARNINGS, f"So it is with further systems: {len(wrong) - NAMED:,} findings."
    if not tested:
        yield SOUND, "Independence of attempts: not testable from counts alone."
    elif not wrong and found["modelled"]:
        some = "; ".join(row["finding"] for row in list(worth.values())[:NAMED])
        yield SOUND, f"Independence of attempts: not assumed within runs: {some}."
    elif not wrong:
        yield SOUND, "Independence of attempts: tested over runs, nothing was found."


def _too_few(systems: list[dict[str, Any]]) -> list[str]:
    """Return the systems with too few attempts at nearly all problems to tell how p is spread."""
    return [
        row["system"]
        for row in systems
        if row["attempts"]
        and row["attempted_thrice"] < MOST_FEW * (row["problems"] - row["untried"])
    ]


def _few(data: Mapping[str, Any]) -> Iterator[Reason]:
    """Say where the attempts cannot tell a problem that is hard from one that had no luck."""
    few = _too_few(data["data"]["systems"])
    if few:
        yield (
            WARNINGS,
            f"Nearly all problems of {_some(few)} were attempted once or twice. That says next to "
            "nothing of how p is spread over problems, on which every forecast beyond the attempts "
            "rests: it is the prior's. Three attempts or more at each problem would tell.",
        )


def _impossible(systems: list[dict[str, Any]]) -> Iterator[Reason]:
    """Say where a forecast takes problems for impossible that may only be rarely solved."""
    found = [row for row in systems if row["held_impossible"]]
    if found:
        some = _some([f"{row['system']} ({row['held_impossible']:.0%})" for row in found])
        yield (
            WARNINGS,
            f"Most problems not solved by {some} are held to be impossible. The attempts do not "
            "tell these from problems that are solved once in more attempts than were made: "
            "beyond a third of the attempts, the forecast rests on that.",
        )


def _agreement(found: Mapping[str, Any]) -> Iterator[Reason]:
    """Say where the attempts contradict the family, and which family they do not."""
    wrong = contradicted(found["rows"])
    for row in wrong[:NAMED]:
        others = [
            one["family"]
            for one in (found["explained"] or [])[1:]
            if one["system"] == row["system"] and one["p_value"] >= FINDING
        ]
        remedy = (
            f"{others[0]} agrees with them."
            if others
            else "None of the families that need no sampler agrees with them."
        )
        yield (
            WARNINGS,
            f"The attempts at {row['system']} contradict the family: they show pass@{row['k']:,} = "
            f"{row['estimate']:.3f}, and the family {row['expected']:.3f} (p = "
            f"{row['p_value']:.2g}). {remedy}",
        )
    if len(wrong) > NAMED:
        yield WARNINGS, f"So do those at further systems: {len(wrong) - NAMED:,}."
    for name, rows in found["averaged"].items():
        some = [row["system"] for row in contradicted(rows)]
        if some:
            yield (
                WARNINGS,
                f"The attempts at {_some(some)} contradict family {name}, which the average is "
                "made of, too. Without it the average may be another.",
            )


def _sampler(data: Mapping[str, Any]) -> Iterator[Reason]:
    """Say of each fit whether its sampler converged."""
    main, average = data["asked"]["family"], data["asked"]["average"]
    for name, fit in data["fits"].items():
        found = fit["diagnostics"]
        if not found["converged"]:
            level = UNUSABLE if name == main or average else WARNINGS
            yield level, f"Family {name}: {found['message']}."
    if all(fit["diagnostics"]["converged"] for fit in data["fits"].values()):
        if all(fit["method"] == "quadrature" for fit in data["fits"].values()):
            yield SOUND, f"The posterior was {data['fits'][main]['diagnostics']['message']}."
            return
        several = f" of all {len(data['fits'])} fits" if len(data["fits"]) > 1 else ""
        yield SOUND, f"The sampler{several} converged."


def _attempts(data: Mapping[str, Any]) -> Iterator[Reason]:
    """Say what the attempts leave out."""
    systems = data["systems"]
    bare = [row["system"] for row in systems if row["attempts"] and not row["successes"]]
    full = [row["system"] for row in systems if 0 < row["attempts"] == row["successes"]]
    for what, some in (("success", bare), ("failure", full)):
        if some:
            yield (
                WARNINGS,
                f"No attempt of {_some(some)} was a {what}. The attempts only say that one is "
                "rare, and beyond them the forecast rests on the prior.",
            )
    nothing = [row["system"] for row in systems if not row["attempts"]]
    if nothing:
        yield WARNINGS, f"Nothing was attempted by {_some(nothing)}: the forecast is the prior."
    log = data["log"]
    if log is not None and log["errored"] + log["missing"]:
        fate = {"drop": "left out", "fail": "counted as failures"}[log["errors"]]
        yield (
            WARNINGS,
            f"{log['errored'] + log['missing']:,} of {log['attempts'] + log['missing']:,} attempts "
            f"of the log had no outcome and were {fate}. If they are not like the others, the "
            "forecasts are off.",
        )


def _check(rows: list[dict[str, Any]]) -> Iterator[Reason]:
    """Say what the family is wrong about."""
    missed = [row for row in rows if row["p_value"] < FINDING]
    for row in missed[:NAMED]:
        yield WARNINGS, f"Check of {row['system']}: {row['finding']}."
    if len(missed) > NAMED:
        yield WARNINGS, f"{len(missed) - NAMED:,} further findings are under Checks."
    if rows and not missed:
        yield (
            SOUND,
            "The attempts look like data that the family makes, in each of "
            f"{len(rows):,} respects looked at.",
        )


def _prior(rows: list[dict[str, Any]]) -> Iterator[Reason]:
    """Say where prior and others weigh more than a system's own attempts, or the prior moves it."""
    moved = [row for row in rows if abs(row["prior_shift"]) > MOST_SHIFT]
    if moved:
        most = max(moved, key=lambda row: abs(row["prior_shift"]))
        yield (
            WARNINGS,
            f"The prior moves {len(moved)} of {len(rows)} forecasts, most that of "
            f"{most['system']} at k = {most['k']:,}: by {most['prior_shift']:+.1f} of its "
            "standard deviations between half of its weight and twice of it.",
        )
    ruled = [row for row in rows if row["prior_share"] + row["others_share"] > LIMIT]
    pooled = any(row["others_share"] for row in rows)
    if not ruled:
        if moved:
            return
        own = "a system's own attempts weigh more than prior and other systems"
        yield (
            SOUND,
            f"At every k asked for, {own if pooled else 'the attempts weigh more than the prior'}.",
        )
        return
    k = max(row["k"] for row in ruled)
    at_k = sorted((row for row in ruled if row["k"] == k), key=lambda row: -row["own_share"])
    worst = list({row["system"]: row for row in at_k}.values())[::-1]
    what, own = "the prior weighs", "the attempts"
    if pooled:
        what, own = "prior and other systems weigh", "a system's own attempts"
    some = _some(
        [
            f"{row['system']} ({row['prior_share']:.0%}"
            + (f" and {row['others_share']:.0%})" if pooled else ")")
            for row in worst
        ]
    )
    yield (
        WARNINGS,
        f"At k = {k:,} {what} more than {own} in the forecast of {some}. "
        "More attempts or more problems would help, or a prior that you would defend.",
    )


def _pooling(rows: list[dict[str, Any]]) -> Iterator[Reason]:
    """Say which forecasts the other systems moved beyond what the system itself says."""
    if rows:
        some = _some(list(dict.fromkeys(row["system"] for row in rows)))
        yield (
            WARNINGS,
            f"Pooling moved the forecast of {some} beyond the 95% band of the system alone, at k = "
            f"{max(row['k'] for row in rows):,}. Systems that are not alike should not be pooled.",
        )


def _families(data: Mapping[str, Any], most: Mapping[str, int]) -> Iterator[Reason]:
    """Say whether another family is better, and whether families disagree far out."""
    main, found = data["asked"]["family"], data["comparison"]
    k = max(data["asked"]["k"])
    far = k > FAR * max(most.values())
    if found is None:
        if far:
            yield (
                WARNINGS,
                f"k = {k:,} is more than {FAR} times the attempts made at any problem, and no "
                "other family was compared: how much the choice of the family matters there is "
                "not known.",
            )
        return
    for text in found["warnings"]:
        yield WARNINGS, f"Of the comparison of families: {text}."
    if data["asked"]["average"]:
        yield (
            SOUND,
            f"The forecasts are the average of {', '.join(data['asked']['average'])}; checks, how "
            f"much is prior, the spread of p and its tail exponent are those of {main} alone.",
        )
    last = found["rows"][-1]["system"]
    row = next(r for r in found["rows"] if r["system"] == last and r["family"] == main)
    best = next(r["family"] for r in found["rows"] if r["system"] == last and r["rank"] == 0)
    if data["asked"]["average"]:
        pass
    elif row["elpd_diff"] < -2 * row["dse"] and row["elpd_diff"] < -4:
        yield (
            WARNINGS,
            f"Family {best} foretells unseen problems clearly better than {main}, whose "
            "forecasts these are.",
        )
    else:
        yield SOUND, f"No family compared foretells unseen problems clearly better than {main}."
    apart = [
        row
        for row in found["disagreement"]
        if row["family_share"] > LIMIT and row["k"] > FAR * most[row["system"]]
    ]
    if apart:
        k = max(row["k"] for row in apart)
        names = [row["system"] for row in apart if row["k"] == k]
        share = max(row["family_share"] for row in apart if row["k"] == k)
        yield (
            WARNINGS,
            f"At k = {k:,} the families disagree about {_some(names)}: which of them is right "
            f"makes up to {share:.0%} of the variance, and the attempts do not say. "
            + (
                "The band of the average holds them all."
                if data["asked"]["average"]
                else "The band of one family does not hold the others."
            ),
        )
    elif far:
        yield (
            WARNINGS,
            f"k = {k:,} is more than {FAR} times the attempts made at any problem: the forecast "
            "rests on the choice of the family. Those compared agree there: which of them is right "
            "makes less than half of the variance. Whether others would agree is not known.",
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
