"""Counts that were not measured: simulated from a family, or thinned from a longer log."""

from collections.abc import Mapping

import numpy as np

from bayespassk.counts import Counts
from bayespassk.errors import OptionError
from bayespassk.families import Family

__all__ = ["simulate", "thin"]


def simulate(
    family: Family,
    parameters: Mapping[str, float],
    *,
    problems: int,
    attempts: int,
    system: str = "simulated",
    random_seed: int | None = None,
) -> Counts:
    """Return counts of one system whose success probabilities are drawn from `family`.

    Parameters
    ----------
    family : Family
        The distribution of p over problems; its priors play no part.
    parameters : mapping of str to float
        Natural parameters, such as ``{"a": 0.2, "b": 5.0}`` for :class:`bayespassk.Beta`.
    problems, attempts : int
        How many problems, and how many attempts at each.
    system : str
        Label of the system.
    random_seed : int, optional
        Repeats the result.

    Examples
    --------
    >>> import bayespassk as bp
    >>> bp.simulate(bp.Beta(), {"a": 0.2, "b": 5.0}, problems=50, attempts=100, random_seed=1)
    Counts: 50 rows, 1 system, 100 attempts a problem, 30 rows without success
    """
    rng = np.random.default_rng(random_seed)
    p = family.draw(
        {name: np.full(problems, value, dtype=float) for name, value in parameters.items()}, rng
    )
    return Counts(
        problem=np.arange(problems),
        attempts=np.full(problems, attempts),
        successes=rng.binomial(attempts, p),
        system=system,
    )


def thin(counts: Counts, attempts: int, *, random_seed: int | None = None) -> Counts:
    """Return what would have been seen with fewer attempts: a random subset of those made.

    Successes are drawn without replacement (hypergeometric), so the result is distributed
    exactly as a log with `attempts` attempts at each problem.

    Parameters
    ----------
    counts : Counts
        A log whose attempts were fixed in advance; not one that stopped at a success.
    attempts : int
        Attempts to keep at each problem.
    random_seed : int, optional
        Repeats the result.

    Raises
    ------
    OptionError
        If a problem has fewer attempts than are to be kept, or more than 1e9; or if the number of
        attempts was not fixed in advance.
    """
    if counts.stopping != "fixed":
        raise OptionError(
            "thinning needs attempts whose number was fixed in advance; these have stopping="
            f"{counts.stopping!r}, and fewer of them would not be what the rule had given"
        )
    least, most = int(counts.attempts.min()), int(counts.attempts.max())
    if not 0 < attempts <= least:
        raise OptionError(
            f"attempts must be from 1 to those made at every problem, of which there are as few "
            f"as {least:,}; got {attempts:,}"
        )
    if most >= 10**9:
        raise OptionError(f"thinning needs fewer than 1e9 attempts a problem; got {most:,}")
    rng = np.random.default_rng(random_seed)
    kept = rng.hypergeometric(counts.successes, counts.attempts - counts.successes, attempts)
    return Counts(
        benchmark=counts.benchmark,
        system=counts.system,
        problem=counts.problem,
        attempts=np.full(len(counts), attempts),
        successes=kept,
        covariates=counts.covariates,
    )
