"""Fits in files: written whole or not at all, read whole."""

import os
import tempfile
from pathlib import Path

import xarray as xr

from bayespassk.errors import FitFileError
from bayespassk.posterior.fitted import opened
from bayespassk.posterior.likelihood import attach_log_likelihood

__all__ = ["load", "save"]


def save(fit: xr.DataTree, path: str | os.PathLike[str], *, log_likelihood: bool = True) -> None:
    """Write a fit to a netCDF file, whole or not at all; an older file is replaced.

    Parameters
    ----------
    fit : DataTree
        From :func:`fit`, :func:`load` or :func:`from_posterior`.
    path : path
        Of the file, such as "fit.nc".
    log_likelihood : bool
        Keep the group log_likelihood, as 32-bit numbers: for ``az.loo`` of what ``az.from_netcdf``
        reads. It is by far the largest, and :func:`load` computes it again, to all digits.

    Raises
    ------
    FitFileError
        If `fit` is not a fit, or the file cannot be written.
    """
    path = Path(path)
    opened(fit)
    kept = {name: group for name, group in fit.children.items() if name != "log_likelihood"}
    if log_likelihood and "log_likelihood" in fit.children:
        kept["log_likelihood"] = xr.DataTree(fit["log_likelihood"].to_dataset().astype("float32"))
    tree = xr.DataTree(xr.Dataset(attrs=fit.attrs), children=kept)
    temporary = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        os.close(handle)
        tree.to_netcdf(temporary, engine="netcdf4")
        temporary.chmod(path.stat().st_mode if path.exists() else 0o644)
        temporary.replace(path)
    except OSError as error:
        raise FitFileError(f"{path}: cannot be written: {error.strerror or error}") from None
    except RuntimeError as error:  # all that netCDF says of a write that failed is "HDF error"
        raise FitFileError(f"{path}: cannot be written: {error}. Is the disk full?") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def load(path: str | os.PathLike[str]) -> xr.DataTree:
    """Return the fit in a netCDF file, read whole; the file is closed.

    Raises
    ------
    FitFileError
        If the file is missing, is not netCDF, or is not a fit made by bayespassk.
    """
    try:
        with xr.open_datatree(path, engine="netcdf4") as file:
            fit = file.load()
    except FileNotFoundError:
        raise FitFileError(f"{path}: there is no such file") from None
    except (OSError, RuntimeError, ValueError) as error:
        raise FitFileError(f"{path}: not a netCDF file that can be read: {error}") from None
    try:
        opened(fit)
    except FitFileError as error:
        raise FitFileError(f"{path}: {error}") from None
    attach_log_likelihood(fit)  # if it was kept, it was kept in few digits
    return fit
