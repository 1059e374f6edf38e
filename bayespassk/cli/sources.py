"""What a command asks about: a saved fit, or a log, which is read and fitted."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bayespassk.cli.options import FITTING, READING
from bayespassk.cli.printing import say
from bayespassk.errors import InputError, OptionError
from bayespassk.process import duration

if TYPE_CHECKING:
    import xarray as xr

    from bayespassk.counts import Counts
    from bayespassk.families import Family

__all__ = [
    "baseline_of",
    "families_of",
    "fit_families",
    "fit_log",
    "fit_of",
    "fits_of",
    "read_columns",
    "read_log",
    "refuse_fit",
    "saved_fit",
    "take_reading",
]


def fit_of(source: str, *, warn: bool = True, **options: Any) -> "xr.DataTree":
    """Return the fit in a file, or one to the counts in a log; see :func:`saved_fit`."""
    fit = saved_fit(source, warn=warn)
    return fit_log(source, **options) if fit is None else fit


def fits_of(
    sources: Sequence[str], families: str, seed: int | None, **options: Any
) -> "dict[str, xr.DataTree]":
    """Return the fits in files, or those of several families to the counts in one log."""
    if len(sources) == 1 and not _is_netcdf(sources[0]):
        return fit_families(sources[0], families, seed, **options)
    _refuse_fitting_options()
    return _load_each(sources)


def saved_fit(source: str, *, warn: bool = True) -> "xr.DataTree | None":
    """Return the fit in a file, or None if it is a log; warn if the fit did not converge.

    Raises
    ------
    OptionError
        If options were given that say how a log is read or fitted, and the file is a fit.
    """
    if not _is_netcdf(source):
        return None
    _refuse_fitting_options()
    return _loaded(source, warn)


def baseline_of(source: str, **options: Any) -> "xr.DataTree":
    """Return the fit in a file, whatever options say how another log is fitted, or one to a log."""
    return _loaded(source, True) if _is_netcdf(source) else fit_log(source, **options)


def _loaded(source: str, warn: bool) -> "xr.DataTree":
    from bayespassk.posterior.diagnostics import diagnostics
    from bayespassk.posterior.saving import load

    fit = load(source)
    if warn:
        diagnostics(fit).warn()
    return fit


def fit_log(path: str, family: str, seed: int | None, **options: Any) -> "xr.DataTree":
    """Return a fit of one family to the counts in a log."""
    (fit,) = _fit_each(path, [family], seed, **options).values()
    return fit


def fit_families(
    path: str, families: str, seed: int | None, **options: Any
) -> "dict[str, xr.DataTree]":
    """Return a fit for each of the families named, between commas."""
    return _fit_each(path, families.split(","), seed, **options)


def families_of(
    names: Sequence[str], true_positive_rate: float | None, false_positive_rate: float | None
) -> "list[Family]":
    """Return the families of these names, seen through a verifier if it is sometimes wrong."""
    from bayespassk.families import Family, Verified, family_from_name

    families: list[Family] = [family_from_name(name.strip()) for name in names]
    if true_positive_rate is None and false_positive_rate is None:
        return families
    rates = {
        "true_positive_rate": 1.0 if true_positive_rate is None else true_positive_rate,
        "false_positive_rate": 0.0 if false_positive_rate is None else false_positive_rate,
    }
    return [Verified(one, **rates) for one in families]


def read_columns(path: str, formula: str | None, options: dict[str, Any]) -> "Counts":
    """Return the counts in a log with the columns that a formula of covariates names."""
    from bayespassk.posterior.covariates import required

    return read_log(path, options, None if formula is None else required(formula))


def read_log(
    path: str, options: dict[str, Any], covariates: Sequence[str] | None = None
) -> "Counts":
    """Return the counts in a log; take the options that are about reading it from the others.

    Say on standard error what the log was taken for, unless it was a table of counts.
    """
    from bayespassk.logs import read

    refuse_fit(path)
    if path != "-":
        _check_source(path)
    taken = take_reading(options) | ({"covariates": covariates} if covariates else {})
    counts = read(path, **taken)
    where = counts.provenance
    if where is not None and (where.format != "csv" or where.options or where.notes):
        say(f"{where}. {counts}.")
    return counts


def refuse_fit(path: str) -> None:
    """Raise an error if a file is a saved fit where the log itself is needed."""
    if _is_netcdf(path):
        name = click.get_current_context().info_name
        raise OptionError(
            f"{path}: a saved fit, and '{name}' reads the attempts again, of which a fit keeps no "
            "more than counts. What to do: give the log that was fitted"
        )


def take_reading(options: dict[str, Any]) -> dict[str, Any]:
    """Return what :func:`bayespassk.read` is to be given; take it from the options."""
    names = {"log_format": "format"}
    taken = {names.get(name, name): options.pop(name, None) for name in READING}
    return {name: value for name, value in taken.items() if value is not None}


def _fit_each(
    path: str,
    names: list[str],
    seed: int | None,
    covariates: str | None,
    true_positive_rate: float | None = None,
    false_positive_rate: float | None = None,
    **options: Any,
) -> "dict[str, xr.DataTree]":
    from bayespassk.fitting.verb import fit

    families = families_of(names, true_positive_rate, false_positive_rate)
    if len(set(families)) < len(families):
        raise OptionError(f"families must differ; got {','.join(names)!r}")
    counts = read_columns(path, covariates, options)
    options |= {"covariates": covariates, "random_seed": 1 if seed is None else seed}
    for one in families:
        _say_what_is_done(counts, one, **options)
    return {one.full_name: fit(counts, one, **options) for one in families}


LONG = 10.0
"""Seconds from which on it is said beforehand how long a fit should take."""


def _say_what_is_done(
    counts: "Counts",
    family: "Family",
    *,
    method: str,
    pooling: str,
    covariates: str | None,
    tune: int | None,
    target_accept: float | None,
    **_others: Any,
) -> None:
    """Say what is about to be fitted and how long it should take, if that is long."""
    from bayespassk.families.base import declared
    from bayespassk.fitting.lattice import takes

    plain = covariates is None and tune is None and target_accept is None
    lattice = method == "quadrature" or (method == "auto" and plain and takes(family))
    systems = len(counts.systems)
    pooled = pooling != "none" and systems > len(set(counts.benchmarks)) and "advi" not in method
    seconds = _expected(len(declared(family)), systems, lattice, pooled)
    if seconds < LONG:
        return
    how = "quadrature" if lattice else "NUTS" if method == "auto" else method
    learning = ", which learn from each other," if pooled else ""
    say(
        f"Fitting {family.full_name} to {systems:,} system{'s' * (systems > 1)}{learning} with "
        f"{len(counts):,} problems in all, by {how}: this should take about {duration(seconds)}."
    )


def _expected(parameters: int, systems: int, lattice: bool, pooled: bool) -> float:
    """Return about how many seconds a fit takes, as measured on two cores of 2026.

    Within a factor of two or three for what it was measured with: families of two to five
    parameters, 2 to 500 systems of 5 to 100 problems.
    """
    if lattice:
        alone = 0.0012 * math.exp(parameters) * (2 if pooled else 1)
        return systems * (alone + (0.04 * (parameters - 1) if pooled else 0.0))
    return 10 + systems * (0.25 * 2.8**parameters if pooled else 0.012 * 4.0**parameters)


def _load_each(paths: Sequence[str]) -> "dict[str, xr.DataTree]":
    """Return saved fits by the names of their families, or of their files if these are equal."""
    from bayespassk.posterior.fitted import family_of
    from bayespassk.posterior.saving import load

    fits = [load(path) for path in paths]
    names = [family_of(fit).full_name for fit in fits]
    for known in (names, [Path(path).stem for path in paths], list(paths)):
        if len(set(known)) == len(fits):
            return dict(zip(known, fits, strict=True))
    raise OptionError(f"fits must differ: one of them was given twice, of {', '.join(paths)}")


def _check_source(path: str) -> None:
    """Refuse what cannot be read again and again, such as a pipe."""
    there = Path(path)
    if there.exists() and not there.is_file() and not there.is_dir():
        what = "a pipe" if there.is_fifo() else "a device"
        raise InputError(
            f"{path}: is no file or folder, but {what}, which can be read only once. Save what "
            "comes out of it to a file"
        )


def _is_netcdf(path: str) -> bool:
    if path == "-" or (Path(path).exists() and not Path(path).is_file()):  # a folder, or a pipe
        return False
    try:
        with Path(path).open("rb") as file:
            return file.read(4) == b"\x89HDF"
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None


def _refuse_fitting_options() -> None:
    """Refuse what was asked of the fitting of a log where a saved fit was given."""
    context = click.get_current_context()
    for name in FITTING:
        if context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE:
            raise OptionError(
                f"--{name.replace('_', '-')} has no meaning for a saved fit; give it to "
                "'bayespassk fit', or give the log instead of the fit"
            )
