"""Fits in files: written whole or not at all, and checked before anything is made of them."""

import hashlib
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.errors import FitFileError, InputError
from bayespassk.files import refuse_inputs, whole
from bayespassk.posterior.likelihood import attach_log_likelihood
from bayespassk.posterior.schema import CHECKSUM, check_fit, check_sizes, checksum

__all__ = ["files_of", "load", "save"]


def save(fit: xr.DataTree, path: str | os.PathLike[str], *, log_likelihood: bool = True) -> None:
    """Write a fit to a netCDF file, whole or not at all; an older file is replaced.

    A checksum of all but log_likelihood is added, which :func:`load` compares.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit`, :func:`load` or :func:`bayespassk.from_posterior`.
    path : path
        File to write. A symbolic link is followed, and an older file keeps its mode.
    log_likelihood : bool
        Keep the group log_likelihood, as 32-bit numbers: for ``az.loo`` of what ``az.from_netcdf``
        reads. It is by far the largest, and :func:`load` computes it again, to all digits.

    Raises
    ------
    FitFileError
        If `fit` is not a fit, or the file cannot be written.
    """
    check_arguments("save", locals())
    with _as_fit_error("this fit cannot be saved"):
        check_fit(fit)
        refuse_inputs(path, files_of(fit))
    kept = {name: group for name, group in fit.children.items() if name != "log_likelihood"}
    if log_likelihood and "log_likelihood" in fit.children:
        kept["log_likelihood"] = xr.DataTree(fit["log_likelihood"].to_dataset().astype("float32"))
    attrs = fit.attrs | {CHECKSUM: checksum(fit)}
    tree = xr.DataTree(xr.Dataset(attrs=attrs), children=kept)
    try:
        with whole(path) as temporary:
            try:
                tree.to_netcdf(temporary, engine="netcdf4")
                _seal(temporary)
            except RuntimeError as error:  # all that netCDF says of a write that failed
                raise FitFileError(
                    f"{path}: cannot be written: {error}. Is the disk full?"
                ) from None
    except InputError as error:
        raise FitFileError(str(error)) from None


def files_of(fit: xr.DataTree) -> list[str]:
    """Return the files that the counts of a fit were read from, as they were named."""
    return list(json.loads(fit.attrs["log"])["files"]) if "log" in fit.attrs else []


def load(path: str | os.PathLike[str]) -> xr.DataTree:
    """Return the fit in a netCDF file, read whole and checked; the file is closed.

    Parameters
    ----------
    path : path
        A file that :func:`save` wrote, or ``fit.to_netcdf``.

    Returns
    -------
    DataTree
        As :func:`bayespassk.fit` returned it.

    Raises
    ------
    FitFileError
        If the file is missing, is not netCDF, is not a fit made by bayespassk, or is not as
        :func:`save` wrote it.

    Notes
    -----
    The file may be anyone's: what it claims to hold is compared with its size before it is read,
    and everything that is used of it is checked; no code in it is run. The checksum finds what was
    changed by accident or by hand. It does not say who made the file: whoever wants to deceive
    computes it anew.
    """
    check_arguments("load", locals())
    if not Path(path).is_file():
        said = "is no file" if Path(path).exists() else "there is no such file"
        raise FitFileError(f"{path}: {said}")
    with _as_fit_error(f"{path}: not a netCDF file that can be read"):
        if not _is_sealed(Path(path)):
            _probe(Path(path))
        check_sizes(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that are none of ours
            with xr.open_datatree(path, engine="netcdf4", decode_times=False) as file:
                fit = file.load()
    with _as_fit_error(f"{path}"):
        claimed = fit.attrs.pop(CHECKSUM, None)
        check_fit(fit)
        if claimed is not None and claimed != checksum(fit):
            raise FitFileError(
                "what it holds is not what was saved: the checksum differs. The file was damaged, "
                "or changed since; take a copy, or make the fit again"
            )
        attach_log_likelihood(fit)  # if it was kept, it was kept in few digits
    return fit


SEAL = b"\nbayespassk sha256 "
"""What follows the netCDF in a file, before the hash of all bytes before."""


def _seal(path: Path) -> None:
    """Add the hash of a file to its end, where HDF5 does not look."""
    with path.open("r+b") as file:
        found = hashlib.file_digest(file, "sha256").digest()
        file.seek(0, os.SEEK_END)
        file.write(SEAL + found)


def _is_sealed(path: Path) -> bool:
    """Return whether a file ends with its hash; raise an error if that is of other bytes."""
    with path.open("rb") as file:
        size = max(0, path.stat().st_size - len(SEAL) - 32)
        digest, left = hashlib.sha256(), size
        while left and (block := file.read(min(left, 2**20))):
            digest.update(block)
            left -= len(block)
        end = file.read()
    if not end.startswith(SEAL):
        return False
    if end != SEAL + digest.digest():
        raise FitFileError("the file was damaged: its bytes are not those that were saved")
    return True


PROBE = """
import sys, warnings
warnings.simplefilter("ignore")
import netCDF4
import xarray as xr
with netCDF4.Dataset(sys.argv[1]) as file:
    for group in (file, *file.groups.values()):
        for one in (group, *group.variables.values()):
            for name in one.ncattrs():
                one.getncattr(name)
"""


def _probe(path: Path) -> None:
    """Let another process open a file first: a damaged one may end whoever reads it, or never."""
    command = [sys.executable, "-c", PROBE, os.fspath(path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise FitFileError(f"it cannot be opened within {PATIENCE:.0f} s") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise FitFileError(said[-1] if said else "whoever reads it is ended by the HDF5 library")


PATIENCE = 60.0
"""Seconds that another process may take to open a file."""


@contextmanager
def _as_fit_error(where: str) -> Iterator[None]:
    """Turn whatever is raised by what a file or tree holds into an error that says so."""
    try:
        yield
    except InputError as error:
        raise FitFileError(f"{where}: {error}") from None
    except Exception as error:
        # HDF5, netCDF4, xarray and json raise nearly everything of what somebody else made.
        said = " ".join(str(error).split()) or "nothing more is known"
        raise FitFileError(f"{where}: {type(error).__name__}: {said[:300]}") from None
