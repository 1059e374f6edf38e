"""What verbs are asked with: k, target, interval and seed, checked before anything is computed."""

import hashlib
import secrets
from collections.abc import Callable, Iterable
from typing import Literal, get_args

import numpy as np

from bayespassk.arrays import Floats, Ints
from bayespassk.errors import OptionError

__all__ = [
    "FINDING",
    "MOST_K",
    "TARGETS",
    "Known",
    "Target",
    "check_interval",
    "check_k",
    "check_target",
    "check_values",
    "seed_of",
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

FINDING = 0.05
"""A p-value of a check below this is a finding; 1 - this of replicated data are shown."""


def check_k(k: float | Iterable[float]) -> Ints:
    """Return the values of k as an array, or raise an error about the first bad one."""
    given = list(k) if isinstance(k, Iterable) else [k]
    if not given:
        raise OptionError("k must hold at least one number of attempts; got none")
    for value in given:
        whole = isinstance(value, int | float | np.number) and float(value).is_integer()
        if not whole or isinstance(value, bool) or not 1 <= value <= MOST_K:
            raise OptionError(f"k must be a whole number from 1 to 1e12; got {value!r}")
    if len(set(given)) < len(given):
        raise OptionError(f"k must not repeat a value; got {given!r}")
    return np.array([int(value) for value in given], dtype=np.int64)


def check_target(target: str, not_of_runs: str = "") -> None:
    """Raise an error unless `target` is one that is known.

    `not_of_runs` says what has no answer of a single run, if that is so.
    """
    known = [
        name for name in get_args(Target.__value__) if not (not_of_runs and name == "realised")
    ]
    if target not in known:
        *some, last = map(repr, known)
        what = f" for {not_of_runs}" if not_of_runs else ""
        raise OptionError(f"target must be {', '.join(some)} or {last}{what}; got {target!r}")


def check_interval(prob: float, kind: str) -> None:
    """Raise an error unless `prob` and `kind` describe a credible interval."""
    if not 0 < prob < 1:
        raise OptionError(f"prob must lie between 0 and 1, for instance 0.95; got {prob!r}")
    if kind not in ("eti", "hdi"):
        raise OptionError(f"kind must be 'eti' or 'hdi'; got {kind!r}")


def check_values(
    given: float | Iterable[float], name: str, rule: str, accept: Callable[[float], bool]
) -> Floats:
    """Return the values as an array, or raise an error about the first bad one."""
    values = list(given) if isinstance(given, Iterable) else [given]
    if not values:
        raise OptionError(f"{name} must hold at least one value; got none")
    for value in values:
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not number or not accept(value):
            raise OptionError(f"{name} must be {rule}; got {value!r}")
    if len(set(values)) < len(values):
        raise OptionError(f"{name} must not repeat a value; got {values!r}")
    return np.array(values, dtype=float)


def seed_of(random_seed: int | None) -> int:
    """Return a seed that was given, or one that nobody has had."""
    return secrets.randbits(31) if random_seed is None else int(random_seed)


def system_seed(seed: int, system: str) -> int:
    """Return a seed for one system that does not depend on which others are there."""
    name = int.from_bytes(hashlib.sha256(system.encode()).digest()[:8])
    return int(np.random.SeedSequence([seed, name]).generate_state(1)[0])
