"""Counts that were not measured: simulated from a family, or thinned from a longer log."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayespassk.arguments import check_arguments
from bayespassk.counts import Counts
from bayespassk.errors import OptionError
from bayespassk.families import Family, as_family
from bayespassk.options import check_number, seed_of

__all__ = ["simulate", "thin"]


def simulate(
    family: Family | str,
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
    check_arguments("simulate", locals())
    family = as_family(family)
    rng = np.random.default_rng(seed_of(random_seed))
    for name, value in parameters.items():
        check_number(value, f"the parameter {name}")
    try:
        p = family.draw(
            {name: np.full(problems, value, dtype=float) for name, value in parameters.items()}, rng
        )
    except (KeyError, ValueError) as error:
        raise OptionError(
            f"parameters must be the natural ones of {family.full_name}, in their range: "
            f"{'there is no ' if isinstance(error, KeyError) else ''}{error}; got {parameters!r}"
        ) from None
    return Counts(
        problem=np.arange(problems),
        attempts=np.full(problems, attempts),
        successes=rng.binomial(attempts, p),
        system=system,
    )


def thin(counts: Counts, attempts: ArrayLike, *, random_seed: int | None = None) -> Counts:
    """Return what would have been seen with fewer attempts: a random subset of those made.

    Successes are drawn without replacement (hypergeometric), so the result is distributed
    exactly as a log with `attempts` attempts at each problem.

    Parameters
    ----------
    counts : Counts
        A log whose attempts were fixed in advance; not one that stopped at a success.
    attempts : int or array of int, dims (row,)
        Attempts to keep at each problem; of an array, one number for each row, 0 among them.
    random_seed : int, optional
        Repeats the result.

    Raises
    ------
    OptionError
        If a problem has fewer attempts than are to be kept, or more than 1e9; if `attempts` has
        another length than the counts; or if the number of attempts was not fixed in advance.
    """
    check_arguments("thin", locals())
    if counts.stopping != "fixed":
        raise OptionError(
            "thinning needs attempts whose number was fixed in advance; these have stopping="
            f"{counts.stopping!r}, and fewer of them would not be what the rule had given"
        )
    kept, most = _to_keep(counts, attempts), int(counts.attempts.max())
    if most >= 10**9:
        raise OptionError(f"thinning needs fewer than 1e9 attempts a problem; got {most:,}")
    rng = np.random.default_rng(seed_of(random_seed))
    successes = rng.hypergeometric(counts.successes, counts.attempts - counts.successes, kept)
    return Counts(
        benchmark=counts.benchmark,
        system=counts.system,
        problem=counts.problem,
        attempts=kept,
        successes=successes,
        covariates=counts.covariates,
        provenance=counts.provenance,
    )


def _to_keep(counts: Counts, attempts: ArrayLike) -> NDArray[np.int64]:
    """Return the attempts to keep at each row, or raise an error if they were not made."""
    given = np.asarray(attempts)
    if given.ndim == 0:
        least = int(counts.attempts.min())
        if not 0 < given <= least:
            raise OptionError(
                f"attempts must be from 1 to those made at every problem, of which there are as "
                f"few as {least:,}; got {given:,}"
            )
        return np.full(len(counts), int(given))
    if given.shape != (len(counts),) or not np.issubdtype(given.dtype, np.integer):
        raise OptionError(
            f"attempts must be one whole number, or one for each of the {len(counts):,} rows; got "
            f"an array of {given.dtype} of shape {given.shape}"
        )
    bad = np.flatnonzero((given < 0) | (given > counts.attempts))
    if len(bad):
        raise OptionError(
            f"attempts must be from 0 to those made at the problem: {len(bad):,} of "
            f"{len(counts):,} rows {'breaks' if len(bad) == 1 else 'break'} this, the first is row "
            f"{bad[0] + 1}: {given[bad[0]]:,} of {counts.attempts[bad[0]]:,}"
        )
    return given.astype(np.int64)
