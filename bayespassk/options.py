"""What verbs are asked with: numbers, names, k, target, interval and seed, checked at the door."""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, get_args

import numpy as np

from bayespassk.arrays import Floats, Ints
from bayespassk.errors import OptionError

__all__ = [
    "FINDING",
    "MOST_K",
    "TARGETS",
    "Known",
    "Target",
    "check_each_k",
    "check_flag",
    "check_interval",
    "check_k",
    "check_number",
    "check_target",
    "check_text",
    "check_values",
    "check_whole",
    "is_number",
    "listed",
    "seed_of",
    "shown",
    "system_seed",
]

type Target = Literal["benchmark", "population", "realised"]
type Known = Literal["benchmark", "population"]
"""The targets of what is no matter of one run."""

TARGETS: dict[str, str] = {
    "benchmark": "the mean over the problems attempted",
    "population": "a new problem of the same kind",
    "realised": "the share of the problems attempted that one new run of k attempts would solve",
}
"""What pass@k is asked of, in words."""

MOST_K = 10**12

MOST_SEED = 2**63
"""Seeds are below this, as files of fits have whole numbers of 64 bits."""

LARGEST = 10**300
"""Whole numbers beyond are none that can be computed with."""

MOST_SHOWN = 120
"""Characters of a value that an error shows."""

FINDING = 0.05
"""A p-value of a check below this is a finding; 1 - this of replicated data are shown."""


def is_number(value: Any) -> bool:
    """Return whether a value is a real number, of Python or NumPy, which a float can hold."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return False
    return not isinstance(value, complex | np.complexfloating) and (
        not isinstance(value, int) or abs(value) < LARGEST
    )


def listed(given: Any) -> list[Any]:
    """Return what was given as a list: one value, or many; what is neither is one value."""
    if isinstance(given, np.ndarray | np.generic) and given.ndim == 0:
        return [given.item()]
    if isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping):
        return list(given)
    return [given]


def shown(value: Any) -> str:
    """Return a value as an error shows it: not all of one that is long."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


def check_number(value: Any, name: str) -> None:
    """Raise an error unless a value is a number."""
    if not is_number(value):
        raise OptionError(f"{name} must be a number; got {shown(value)}")


def check_whole(value: Any, name: str, least: int = 1, most: int = 2**53) -> None:
    """Raise an error unless a value is a whole number in a range."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not least <= value <= most:
        raise OptionError(
            f"{name} must be a whole number from {least:,} to {most:,}; got {shown(value)}"
        )


def check_text(value: Any, name: str) -> None:
    """Raise an error unless a value is text."""
    if not isinstance(value, str):
        raise OptionError(f"{name} must be text; got {shown(value)}")


def check_flag(value: Any, name: str) -> None:
    """Raise an error unless a value is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise OptionError(f"{name} must be True or False; got {shown(value)}")


def check_each_k(k: float | Iterable[float]) -> list[Any]:
    """Return the values of k as a list, which may repeat some, or raise an error."""
    given = listed(k)
    if not given:
        raise OptionError("k must hold at least one number of attempts; got none")
    for value in given:
        if not (is_number(value) and float(value).is_integer() and 1 <= value <= MOST_K):
            raise OptionError(f"k must be a whole number from 1 to 1e12; got {shown(value)}")
    return given


def check_k(k: float | Iterable[float]) -> Ints:
    """Return the values of k as an array, or raise an error about the first bad one."""
    given = check_each_k(k)
    if len(set(given)) < len(given):
        raise OptionError(f"k must not repeat a value; got {shown(given)}")
    return np.array([int(value) for value in given], dtype=np.int64)


def check_target(target: str, not_of_runs: str = "") -> None:
    """Raise an error unless `target` is one that is known.

    `not_of_runs` says what has no answer of a single run, if that is so.
    """
    known = [
        name for name in get_args(Target.__value__) if not (not_of_runs and name == "realised")
    ]
    if not isinstance(target, str) or target not in known:
        *some, last = map(repr, known)
        what = f" for {not_of_runs}" if not_of_runs else ""
        raise OptionError(f"target must be {', '.join(some)} or {last}{what}; got {shown(target)}")


def check_interval(prob: float, kind: str) -> None:
    """Raise an error unless `prob` and `kind` describe a credible interval."""
    if not is_number(prob) or not 0 < prob < 1:
        raise OptionError(f"prob must lie between 0 and 1, for instance 0.95; got {shown(prob)}")
    if not isinstance(kind, str) or kind not in ("eti", "hdi"):
        raise OptionError(f"kind must be 'eti' or 'hdi'; got {shown(kind)}")


def check_values(
    given: float | Iterable[float], name: str, rule: str, accept: Callable[[float], bool]
) -> Floats:
    """Return the values as an array, or raise an error about the first bad one."""
    values = listed(given)
    if not values:
        raise OptionError(f"{name} must hold at least one value; got none")
    for value in values:
        if not is_number(value) or not accept(value):
            raise OptionError(f"{name} must be {rule}; got {shown(value)}")
    if len(set(values)) < len(values):
        raise OptionError(f"{name} must not repeat a value; got {shown(values)}")
    return np.array(values, dtype=float)


def seed_of(random_seed: Any) -> int:
    """Return a seed that was given, one that a generator draws, or one that nobody has had.

    Raises
    ------
    OptionError
        If it is neither None, nor a whole number from 0, nor a NumPy Generator.
    """
    if random_seed is None:
        return secrets.randbits(31)
    if isinstance(random_seed, np.random.Generator):
        return int(random_seed.integers(2**31))
    whole = isinstance(random_seed, int | np.integer) and not isinstance(random_seed, bool)
    if not whole or not 0 <= random_seed < MOST_SEED:
        raise OptionError(
            "random_seed must be a whole number from 0 to 2**63 - 1, a NumPy Generator, or None; "
            f"got {shown(random_seed)}"
        )
    return int(random_seed)


def system_seed(seed: int, system: str) -> int:
    """Return a seed for one system that does not depend on which others are there."""
    name = int.from_bytes(hashlib.sha256(system.encode()).digest()[:8])
    return int(np.random.SeedSequence([seed, name]).generate_state(1)[0])
