"""One table of what each argument of a public function must be, and where that is enforced.

What a function can only tell from its arguments together, it tells itself; what is told here is
what they are one by one, so that no other library is the first to find a wrong one.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayespassk.counts import Counts
from bayespassk.errors import FitFileError, OptionError
from bayespassk.families import Family, as_family
from bayespassk.options import (
    check_each_k,
    check_flag,
    check_interval,
    check_number,
    check_target,
    check_text,
    check_whole,
    is_number,
    listed,
    seed_of,
    shown,
)

__all__ = ["ARGUMENTS", "check_arguments", "kind_of"]

type Kind = Callable[[Any, str], object]
"""What raises an error unless a value, called by its name, is what it must be."""


def check_arguments(function: str, given: Mapping[str, Any]) -> None:
    """Raise an error about the first argument of a public function that is not what it must be.

    The first statement of the function: ``check_arguments("thin", locals())``.

    Raises
    ------
    OptionError, FitFileError, CountsError
        If one is not.
    """
    for name, value in given.items():
        kind = kind_of(function, name)
        if kind is not None:
            kind(value, name)


def kind_of(function: str, name: str) -> Kind | None:
    """Return what an argument is checked with: of this function alone, or of all that have it."""
    return ARGUMENTS.get(f"{function}.{name}", ARGUMENTS.get(name))


# Kinds -------------------------------------------------------------------------------------------


def optional(kind: Kind) -> Kind:
    """Return the kind that None is of as well."""

    def check(value: Any, name: str) -> None:
        if value is not None:
            kind(value, name)

    return check


def whole(least: int, most: int) -> Kind:
    """Return the kind of whole numbers in a range."""

    def check(value: Any, name: str) -> None:
        check_whole(value, name, least, most)

    return check


def whole_up_to(most: int) -> Kind:
    """Return the kind of whole numbers of which the function knows how small they may be."""

    def check(value: Any, name: str) -> None:
        small = isinstance(value, int | np.integer) and not isinstance(value, bool) and value < 1
        if not small:
            check_whole(value, name, 1, most)

    return check


def a_seed(value: Any, _name: str) -> None:
    """Check a seed, without drawing one from a generator."""
    if not isinstance(value, np.random.Generator):
        seed_of(value)


def some_numbers(value: Any, name: str) -> None:
    """Check a number, or several in a row."""
    if isinstance(value, np.ndarray | xr.DataArray):
        fine = value.dtype.kind in "iuf"
    else:
        fine = all(map(is_number, listed(value)))
    if not fine or isinstance(value, Mapping | set | frozenset):
        raise OptionError(f"{name} must be a number, or one for each row; got {shown(value)}")


def a_table_of_numbers(value: Any, name: str) -> None:
    """Check numbers in rows of equal length."""
    try:
        fine = not isinstance(value, Mapping | set | str) and np.asarray(value, dtype=float).ndim
    except (TypeError, ValueError, OverflowError):
        fine = 0
    if not fine:
        raise OptionError(f"{name} must be rows of numbers, of equal length; got {shown(value)}")


def some_wholes(value: Any, name: str) -> None:
    """Check a whole number, or several in a row."""
    some_numbers(value, name)
    given = listed(value)
    if not given or np.ndim(value) > 1:
        raise OptionError(f"{name} must hold at least one whole number; got {shown(value)}")
    for one in given:
        if not float(one).is_integer():
            raise OptionError(f"{name} must be whole numbers; got {shown(one)}")


def some_texts(value: Any, name: str) -> None:
    """Check a text, or several in a row."""
    for one in listed(value):
        check_text(one, name)


def some_targets(value: Any, _name: str) -> None:
    """Check a target, or several in a row."""
    for one in listed(value):
        check_target(one)


def some_families(value: Any, _name: str) -> None:
    """Check a family or its name, or several in a row."""
    for one in listed(value):
        a_family(one if one is not None else "None", "")


def some_methods(value: Any, name: str) -> None:
    """Check names, families or functions, in a row or by their names."""
    if not isinstance(value, str | Family | Iterable) or isinstance(value, bytes | np.ndarray):
        raise OptionError(
            f"{name} must be a name, a family, several of them, or a dict of names to functions; "
            f"got {shown(value)}"
        )


def some_verdicts(value: Any, name: str) -> None:
    """Check whether each attempt was accepted."""
    if not isinstance(value, Iterable) or hasattr(value, "data_vars"):
        raise OptionError(f"{name} must be bools, one for each attempt; got {shown(value)}")


def a_pair(value: Any, name: str) -> None:
    """Check two positive numbers."""
    given = listed(value)
    if len(given) != 2 or not all(is_number(one) and 0 < one < np.inf for one in given):
        raise OptionError(f"{name} must be a pair of positive alpha and beta; got {shown(value)}")


def a_mapping(value: Any, name: str) -> None:
    """Check a mapping of names to something."""
    if not isinstance(value, Mapping) or isinstance(value, xr.Dataset | xr.DataTree):
        raise OptionError(f"{name} must be a dict of names to values; got {shown(value)}")
    for one in value:
        check_text(one, f"a name in {name}")


def names_or_mapping(value: Any, name: str) -> None:
    """Check a name, or a mapping."""
    if not isinstance(value, str):
        a_mapping(value, name)


def a_finite_number(value: Any, name: str) -> None:
    """Check a number that is not endless."""
    if not is_number(value) or not np.isfinite(value):
        raise OptionError(f"{name} must be a finite number; got {shown(value)}")


def a_path(value: Any, name: str) -> None:
    """Check the name of a file or folder."""
    if not isinstance(value, str | os.PathLike) or "\0" in os.fspath(value) or value == "":
        raise OptionError(f"{name} must be a path, as text or pathlib.Path; got {shown(value)}")


def a_path_or(*others: type) -> Kind:
    """Return the kind of paths and of what may be given in place of one."""

    def check(value: Any, name: str) -> None:
        if not isinstance(value, others):
            a_path(value, name)
        without_evidence(value, name)

    return check


def counts(value: Any, name: str) -> None:
    """Check counts, without estimates of log p, which few functions know what to do with."""
    counts_and_evidence(value, name)
    without_evidence(value, name)


def without_evidence(value: Any, name: str) -> None:
    """Check that counts, or those in a mapping, hold no estimates of log p."""
    for one in value.values() if isinstance(value, Mapping) else [value]:
        if isinstance(one, Counts) and one.evidence is not None:
            raise OptionError(
                f"{name} must hold attempts alone; these have log_p, estimates of log p, which "
                "bp.fit makes use of and this does not. What to do: leave log_p out, and the "
                "problems that have no attempts"
            )


def counts_and_evidence(value: Any, name: str) -> None:
    """Check counts."""
    if not isinstance(value, Counts):
        raise OptionError(
            f"{name} must be a bayespassk.Counts; got {type(value).__name__}. Make one with "
            "bp.read_csv or bp.Counts.from_dataframe"
        )


def a_family(value: Any, _name: str) -> None:
    """Check a family, or its name."""
    as_family(value)


def a_family_itself(value: Any, name: str) -> None:
    """Check a family, or its name, where there is no default."""
    a_family("None" if value is None else value, name)


def a_family_or_fit(value: Any, name: str) -> None:
    """Check a family, its name, or a fit."""
    (a_fit if isinstance(value, xr.DataTree) else a_family)(value, name)


def a_function(value: Any, name: str) -> None:
    """Check something to call."""
    if not callable(value):
        raise OptionError(f"{name} must be a function; got {shown(value)}")


def a_posterior(value: Any, name: str) -> None:
    """Check draws from elsewhere."""
    if not isinstance(value, xr.DataTree | xr.Dataset):
        raise OptionError(
            f"{name} must be an xarray.DataTree with the group posterior, or that Dataset; got "
            f"{type(value).__name__}. What to do: az.from_dict({{'posterior': draws}})"
        )


def a_fit(value: Any, name: str) -> None:
    """Check that something may be a fit; opening it says whether it is one."""
    if not isinstance(value, xr.DataTree) and not hasattr(value, "hierarchy"):
        raise FitFileError(
            f"{name} must be a fit, from bp.fit or bp.load: this is not a fit made by bayespassk, "
            f"but {shown(value)}"
        )


def some_fits(value: Any, name: str) -> None:
    """Check a fit, several by their names, or in a row."""
    if isinstance(value, xr.DataTree):
        return
    if isinstance(value, Mapping):
        a_mapping(value, name)
        value = list(value.values())
    elif not isinstance(value, list | tuple):
        raise OptionError(f"{name} must be several fits, in a list or dict; got {shown(value)}")
    for one in value:
        a_fit(one, f"each of {name}")


def draws(*dims: str) -> Kind:
    """Return the kind of arrays of draws with dims."""

    def check(value: Any, name: str) -> None:
        if not isinstance(value, xr.DataArray):
            raise OptionError(
                f"{name} must be a DataArray with dims {', '.join(dims)}; got {shown(value)}"
            )
        if set(value.dims) != set(dims):
            missing = [dim for dim in dims if dim not in value.dims]
            remedy = f": use .sel({missing[0]}=[...]), which keeps the dim" if missing else ""
            raise OptionError(
                f"{name} must have the dims {', '.join(dims)}; got "
                f"{', '.join(map(str, value.dims)) or 'none'}{remedy}"
            )
        for dim in dims[2:]:
            if dim not in value.coords:
                raise OptionError(f"{name} must have the coordinate {dim}; it has none")
        if value.size == 0 or value.dtype.kind != "f":
            raise OptionError(f"{name} must hold numbers; got {value.size} of {value.dtype}")

    return check


def draws_at(*dims: str) -> Kind:
    """Return the kind of arrays of draws whose last dim is one of these."""

    def check(value: Any, name: str) -> None:
        has = [dim for dim in dims if isinstance(value, xr.DataArray) and dim in value.dims]
        draws(*DRAWS, (has or [dims[0]])[0])(value, name)

    return check


def dataset(*names: str) -> Kind:
    """Return the kind of datasets that a verb returned, with these variables."""

    def check(value: Any, name: str) -> None:
        if not isinstance(value, xr.Dataset) or not set(names) <= set(value.variables):
            raise OptionError(
                f"{name} must be the Dataset that bayespassk made, with {', '.join(names)}; got "
                f"{shown(type(value))}"
            )

    return check


def frame(*names: str) -> Kind:
    """Return the kind of tables that a verb returned, with these columns."""

    def check(value: Any, name: str) -> None:
        import pandas as pd

        if not isinstance(value, pd.DataFrame):
            raise OptionError(f"{name} must be a DataFrame; got {type(value).__name__}")
        missing = [one for one in names if one not in value.columns]
        if missing or not len(value):
            raise OptionError(
                f"{name} must have rows, and the columns {', '.join(names)}; it has {len(value)} "
                f"rows{f', and no {missing[0]}' if missing else ''}"
            )

    return check


def axes(value: Any, name: str) -> None:
    """Check axes to draw in."""
    several = value.ravel().tolist() if isinstance(value, np.ndarray) else listed(value)
    if not several or not all(hasattr(one, "get_figure") for one in several):
        raise OptionError(f"{name} must be axes of matplotlib; got {shown(value)}")


def attempts_or_counts(value: Any, name: str) -> None:
    """Check a table of attempts, or counts."""
    if not isinstance(value, Counts):
        frame()(value, name)
    without_evidence(value, name)


def counts_or_logs(value: Any, name: str) -> None:
    """Check counts, or where there are some."""
    if not isinstance(value, Mapping | Counts | str | os.PathLike):
        raise OptionError(
            f"{name} must be a bayespassk.Counts, a mapping of names to these, or the path of a "
            f"log or a folder of logs; got {shown(value)}"
        )
    if not isinstance(value, Mapping | Counts):
        a_path(value, name)


# The table ---------------------------------------------------------------------------------------

MANY = 10**6
"""The most of what is done again and again: draws, replicates, thinnings."""

DRAWS = ("chain", "draw", "system")

ARGUMENTS: dict[str, Kind | None] = {
    "a": check_text,
    "against": optional(a_fit),
    "at": optional(a_mapping),
    "ax": optional(axes),
    "b": check_text,
    "benchmark": optional(check_text),
    "bins": whole(1, MANY),
    "budget": optional(check_number),
    "by": optional(some_texts),
    "chains": whole_up_to(1000),
    "check": dataset("p_value"),
    "client": None,  # which its own check takes to the cluster
    "cores": optional(whole_up_to(10_000)),
    "correct_accepted": whole(0, 2**53),
    "correct_rejected": whole(0, 2**53),
    "correction": check_flag,
    "cost": some_numbers,
    "costs": optional(some_numbers),
    "counts": counts,
    "covariates": optional(some_texts),
    "crossing": draws("chain", "draw"),
    "difference": draws("chain", "draw", "k"),
    "draws": whole_up_to(MANY),
    "errors": check_text,
    "exact": check_flag,
    "families": optional(some_families),
    "family": a_family,
    "fit": a_fit,
    "fits": some_fits,
    "forecast": draws(*DRAWS, "k"),
    "format": check_text,
    "half_width": optional(check_number),
    "horizon": optional(check_number),
    "k": lambda value, _name: check_each_k(value),
    "kind": check_text,
    "latent": check_flag,
    "limit": optional(some_numbers),
    "log_likelihood": check_flag,
    "log": None,  # a path, or what is held in memory, which readers know
    "m": None,  # whole numbers, a share of k or a word, which at_least knows
    "method": check_text,
    "methods": optional(some_methods),
    "most": None,  # which says how large it must be itself
    "n": optional(some_wholes),
    "name": check_text,
    "new_problem_cost": check_number,
    "new_problems": optional(whole_up_to(2**53)),
    "options": None,  # those of another function, which knows them
    "output": optional(a_path),
    "p": optional(some_numbers),
    "gumbel_tail.p": some_numbers,
    "parameters": a_mapping,
    "pass_at_k": some_numbers,
    "path": a_path,
    "permutations": whole(1, MANY),
    "posterior": a_posterior,
    "pit": draws("row"),
    "pooling": check_text,
    "prior": a_pair,
    "prob": lambda value, _name: check_interval(value, "eti"),
    "problems": whole(1, 10**8),
    "progress": check_flag,
    "queries": some_numbers,
    "random_seed": a_seed,
    "ranks": dataset("rank"),
    "require": some_texts,
    "reading": optional(a_mapping),
    "repeats": whole_up_to(MANY),
    "replicates": whole_up_to(MANY),
    "risk": some_numbers,
    "run": some_texts,
    "run_length": None,  # a whole number, or endless for a forecast, which check themselves
    "scores": frame("system", "method", "k", "truth", "point"),
    "simulations": whole_up_to(MANY),
    "solved": check_flag,
    "stopping": optional(check_text),
    "strategy": check_text,
    "system": optional(check_text),
    "tail_exponent": optional(draws(*DRAWS, "k")),
    "target": lambda value, _name: check_target(value),
    "target_accept": optional(check_number),
    "top": whole(2, MANY),
    "truth": optional(a_table_of_numbers),
    "system_from": optional(check_text),
    "truths": whole_up_to(MANY),
    "tune": optional(whole_up_to(MANY)),
    "utility": draws(*DRAWS, "k"),
    "unit": check_text,
    "way": check_text,
    "weights": names_or_mapping,
    "wrong_accepted": whole(0, 2**53),
    "wrong_rejected": whole(0, 2**53),
    "allocate.budget": check_number,
    "backtest.budget": optional(some_wholes),
    "backtest.k": optional(lambda value, _name: check_each_k(value)),
    "bootstrap.estimator": a_function,
    "calibrate.attempts": some_wholes,
    "calibrate.k": optional(lambda value, _name: check_each_k(value)),
    "calibrate.problems": whole(1, MANY),
    "Curve.attempts": optional(whole(1, 2**53)),
    "Curve.pass_at_k": some_numbers,
    "Curve.problems": whole(1, 10**8),
    "Curve.system": check_text,
    "curve": None,  # which its function knows
    "decimals": whole(1, 12),
    "design.attempts": some_wholes,
    "design.problems": some_wholes,
    "design.source": a_family_or_fit,
    "fit.draws": optional(whole_up_to(MANY)),
    "fit_many.by": some_texts,
    "fit.counts": counts_and_evidence,
    "thin.counts": counts_and_evidence,
    "fit_many.counts": counts_or_logs,
    "from_posterior.family": a_family_itself,
    "independence.attempts": attempts_or_counts,
    "log_log.at": optional(some_wholes),
    "paired_rates.base": some_verdicts,
    "paired_rates.plus": some_verdicts,
    "Plan.counts": a_path_or(Counts),
    "plot_compare.table": frame("system", "family", "elpd_diff", "dse"),
    "plot_budget.forecast": draws(*DRAWS, "budget"),
    "plot_design.table": frame("k", "problems", "attempts", "half_width", "lower", "upper"),
    "plot_difference.attempts": optional(whole(0, 2**53)),
    "plot_forecast.attempts": optional(whole(0, 2**53)),
    "plot_forecast.dots": check_text,
    "read_csv.covariates": some_texts,
    "read.runs": optional(check_text),
    "report.target": optional(some_targets),
    "report.weights": optional(names_or_mapping),
    "resampling_utility.cost": a_finite_number,
    "resampling_utility.k": optional(lambda value, _name: check_each_k(value)),
    "saber_budget.target": some_numbers,
    "simulate.family": a_family_itself,
    "simulate.attempts": whole(0, 2**53),
    "simulate.system": check_text,
    "compare_at_budget.forecast": draws(*DRAWS, "budget"),
    "cost_per_success.attempts": frame("problem", "success"),
    "cost_per_success.limit": None,  # a number, a word, or one for each system
    "forecast_budget.attempts": frame("problem", "success"),
    "forecast_budget.budget": some_numbers,
    "forecast_budget.limit": None,
    "summarize.forecast": draws_at("k", "queries", "risk", "budget"),
    "summarize_budget.budget": draws(*DRAWS, "pass_at_k"),
    "thin.attempts": some_wholes,
}
"""What each argument must be, by its name, or by those of the function and of the argument.

None stands for what the function checks by itself.
"""
