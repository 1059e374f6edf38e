"""Counts that were not measured: simulated from a family, or thinned from a longer log."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats, Ints
from bayespassk.counts import Counts
from bayespassk.errors import OptionError
from bayespassk.families import Family, as_family
from bayespassk.families.base import Parameters
from bayespassk.families.dependent import dependence, effects
from bayespassk.options import check_number, seed_of
from bayespassk.runs import Runs

__all__ = ["in_runs", "made_with", "simulate", "thin"]


def simulate(
    family: Family | str,
    parameters: Mapping[str, float],
    *,
    problems: int,
    attempts: int,
    system: str = "simulated",
    run_length: int | None = None,
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
    run_length : int, optional
        Of a :class:`bayespassk.Dependent`, which needs it: attempts at each problem in a run; the
        last run is of what is left.
    random_seed : int, optional
        Repeats the result.

    Raises
    ------
    OptionError
        If `run_length` is given to a family without runs, or not given to one with runs.

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
    made = np.full(problems, attempts)
    natural = {name: np.asarray(value, dtype=float) for name, value in parameters.items()}
    return made_with(family, natural, p, made, rng, run_length, system)


def made_with(
    family: Family,
    natural: Parameters,
    p: Floats,
    attempts: Ints,
    rng: np.random.Generator,
    run_length: int | None = None,
    system: str = "simulated",
) -> Counts:
    """Return counts of attempts at problems whose p are known, in runs if the family has runs."""
    own = dependence(family)
    if (own is None) != (run_length is None) or not (run_length is None or run_length >= 1):
        raise OptionError(
            f"run_length must be 1 or more for a family with runs, and None for one without; got "
            f"{run_length!r} for {family.full_name}"
        )
    problem = np.arange(len(attempts))
    if own is None or run_length is None:
        successes = rng.binomial(attempts, p)
        return Counts(problem=problem, attempts=attempts, successes=successes, system=system)
    number = -(-attempts // run_length)
    row = np.repeat(problem, number)
    run = np.arange(len(row)) - np.repeat(number.cumsum() - number, number)
    made = np.minimum(run_length, attempts[row] - run * run_length)
    solved = in_runs(made, p[row], float(np.asarray(own.sd_of(natural)).ravel()[0]), rng)
    frame = {"row": row, "names": run, "attempts": made, "successes": solved}
    runs = Runs.of(**frame)
    successes = runs.totals(len(attempts))[1]
    return Counts(problem=problem, attempts=attempts, successes=successes, system=system, runs=runs)


def in_runs(attempts: Ints, p: Floats, sd: Floats | float, rng: np.random.Generator) -> Ints:
    """Return the successes of runs at problems with these p, whose effects have this `sd`.

    Of one shape after broadcasting.
    """
    shape = np.broadcast_shapes(np.shape(attempts), np.shape(p), np.shape(sd))
    mean, each = np.broadcast_to(p, shape), np.broadcast_to(sd, shape)
    of_run = np.empty(shape)
    for one in np.unique(sd):
        mine = each == one
        of_run[mine] = effects(float(one)).draw(mean[mine], rng)
    return rng.binomial(attempts, of_run)


def thin(counts: Counts, attempts: ArrayLike, *, random_seed: int | None = None) -> Counts:
    """Return what would have been seen with fewer attempts: a random subset of those made.

    Successes are drawn without replacement (hypergeometric), so the result is distributed
    exactly as a log with `attempts` attempts at each problem. Which run an attempt was of is not
    kept.

    Parameters
    ----------
    counts : Counts
        A log whose attempts were fixed in advance; not one that stopped at a success.
    attempts : int or array of int, dims (row,)
        Attempts to keep at each problem; of an array, one number for each row, 0 among them. Of a
        problem without attempts whose log p was estimated, none. Estimates of log p stay.
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
        cluster=counts.cluster,
        log_p=counts.log_p,
        log_p_se=counts.log_p_se,
        provenance=counts.provenance,
    )


def _to_keep(counts: Counts, attempts: ArrayLike) -> NDArray[np.int64]:
    """Return the attempts to keep at each row, or raise an error if they were not made."""
    given = np.asarray(attempts)
    if given.ndim == 0:
        only = np.zeros(len(counts), bool) if counts.evidence is None else counts.evidence.there
        only = only & (counts.attempts == 0)
        least = int(counts.attempts[~only].min(initial=2**53))
        if not 0 < given <= least:
            raise OptionError(
                f"attempts must be from 1 to those made at every problem, of which there are as "
                f"few as {least:,}; got {given:,}"
            )
        return np.where(only, 0, int(given))
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
