"""How far each forecast of a report is sound: up to which k, and from which it is the family's."""

from collections.abc import Iterator, Mapping
from typing import Any

from bayespassk.asking.influence import FAR, LIMIT, MOST_SHIFT

__all__ = ["reach", "reach_sentence"]

NAMED = 3

type Where = tuple[str, str, int]
"""Target, system and k."""


def reach(
    data: Mapping[str, Any], most: Mapping[str, int], blocked: set[str]
) -> list[dict[str, Any]]:
    """Return for each target and system how far its forecasts are sound.

    `up_to` is the largest k asked for such that nothing speaks against any forecast up to it: the
    prior and other systems weigh less than its own attempts, the prior does not move it, nor does
    pooling beyond the band alone, families compared agree, and k is at most 10 times the attempts:
    beyond, nothing in the data tells whether the family is right, whatever other families say. Nor
    do the attempts tell impossible problems from such with p below 1/n: where most problems not
    solved are held to be impossible, k is at most a third of the attempts.
    None where there is no such k: always for systems in `blocked`. `rests_on_family_from` is the
    smallest k asked for that is so far beyond the attempts, or at which families disagree; None
    where there is none.
    """
    against = set(_against(data))
    never = {row["system"] for row in data["data"]["systems"] if row["held_impossible"]}
    apart = set(_apart(data, most))
    rows = []
    for target in data["asked"]["targets"]:
        for system, attempts in most.items():
            up_to, family = None, None
            sound = system not in blocked
            for k in sorted(data["asked"]["k"]):
                of_family = (
                    k > FAR * attempts
                    or (system, k) in apart
                    or (system in never and 3 * k > attempts)
                )
                if of_family and family is None:
                    family = k
                sound = sound and not of_family and (target, system, k) not in against
                up_to = k if sound else up_to
            rows.append(
                {"target": target, "system": system, "up_to": up_to, "rests_on_family_from": family}
            )
    return rows


def _against(data: Mapping[str, Any]) -> Iterator[Where]:
    for row in data["sensitivity"]["rows"]:
        if row["prior_share"] + row["others_share"] > LIMIT or abs(row["prior_shift"]) > MOST_SHIFT:
            yield row["target"], row["system"], row["k"]
    for row in data["pooling"]["beyond"]:
        yield row["target"], row["system"], row["k"]


def _apart(data: Mapping[str, Any], most: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Yield systems and k, beyond the attempts, at which families compared do not agree."""
    for row in data["comparison"]["disagreement"] if data["comparison"] else ():
        if row["family_share"] > LIMIT and row["k"] > most[row["system"]]:
            yield row["system"], row["k"]


def reach_sentence(rows: list[dict[str, Any]], ks: list[int]) -> str:
    """Return what the rows of the first target say, in a sentence or two."""
    mine = [row for row in rows if row["target"] == rows[0]["target"]]
    said = []
    sound = {row["system"]: row["up_to"] for row in mine}
    if set(sound.values()) == {max(ks)}:
        said.append(f"Sound up to k = {max(ks):,}, the largest asked for.")
    elif set(sound.values()) == {None}:
        said.append("Sound at no k asked for.")
    else:
        each = [
            f"{system} {'at none' if k is None else f'{k:,}'}"
            for system, k in list(sound.items())[:NAMED]
        ]
        one = next(iter(sound.values()))
        same = len(set(sound.values())) == 1 and one is not None
        more = f" and {len(sound) - NAMED:,} more" if len(sound) > NAMED else ""
        said.append(
            f"Sound up to k = {one:,}." if same else f"Sound up to k: {', '.join(each)}{more}."
        )
    first = [row["rests_on_family_from"] for row in mine if row["rests_on_family_from"] is not None]
    if first:
        said.append(f"From k = {min(first):,} on, forecasts rest on the choice of the family.")
    return " ".join(said)
