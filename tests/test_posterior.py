"""Fits are saved whole or not at all, and what is read back is what was saved."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import bayespassk as bp
from bayespassk.posterior import likelihood


def test_a_saved_fit_is_read_back_whole(fit, fit_path):
    again = bp.load(fit_path)
    xr.testing.assert_identical(again, fit)
    xr.testing.assert_identical(bp.forecast(again, [7, 7000]), bp.forecast(fit, [7, 7000]))


def test_the_tree_survives_xarrays_own_saving_too(fit, tmp_path):
    fit.to_netcdf(tmp_path / "plain.nc", engine="netcdf4")
    xr.testing.assert_identical(bp.load(tmp_path / "plain.nc"), fit)


def test_a_fit_may_be_saved_over_the_file_it_came_from(fit_path):
    again = bp.load(fit_path)
    bp.save(again, fit_path)
    xr.testing.assert_identical(bp.load(fit_path), again)


def test_a_failed_save_leaves_the_old_file_and_no_litter(fit, tmp_path, monkeypatch):
    path = tmp_path / "fit.nc"
    path.write_bytes(b"precious")

    def fail(_, temporary, **__):
        temporary.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", fail)
    with pytest.raises(bp.errors.FitFileError, match="cannot be written: No space left"):
        bp.save(fit, path)
    assert [file.name for file in tmp_path.iterdir()] == ["fit.nc"]
    assert path.read_bytes() == b"precious"


def test_what_cannot_be_saved_or_read_is_refused(fit, tmp_path):
    with pytest.raises(bp.errors.FitFileError, match="cannot be written"):
        bp.save(fit, tmp_path / "none" / "fit.nc")
    with pytest.raises(bp.errors.FitFileError, match="not a fit made by bayespassk"):
        bp.save(xr.DataTree(), tmp_path / "fit.nc")
    with pytest.raises(bp.errors.FitFileError, match="there is no such file"):
        bp.load(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("problem,attempts,successes\n")
    with pytest.raises(bp.errors.FitFileError, match="not a netCDF file"):
        bp.load(tmp_path / "text.nc")
    xr.Dataset({"x": 1}).to_netcdf(tmp_path / "other.nc", engine="netcdf4")
    with pytest.raises(
        bp.errors.FitFileError, match=r"other\.nc: this is not a fit made by bayespassk"
    ):
        bp.load(tmp_path / "other.nc")


FULL = """
import resource, signal, sys
import bayespassk as bp
fit = bp.load(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
bp.save(fit, sys.argv[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_disk_that_fills_up_leaves_the_old_file(fit, tmp_path):
    path = tmp_path / "fit.nc"
    bp.save(fit, path)
    before = path.read_bytes()
    assert len(before) > 100_000
    done = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True, check=False)  # fmt: skip
    assert f"FitFileError: {path}: cannot be written: NetCDF: HDF error. Is the disk full?" in done.stderr  # fmt: skip
    assert [file.name for file in tmp_path.iterdir()] == ["fit.nc"]
    assert path.read_bytes() == before


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_a_file_that_was_cut_short_is_refused(fit_path, tmp_path, share):
    whole = fit_path.read_bytes()
    path = tmp_path / "cut.nc"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(bp.errors.FitFileError, match="not a netCDF file that can be read"):
        bp.load(path)


def test_large_fits_go_without_the_log_likelihood(counts, fit, monkeypatch):
    monkeypatch.setattr(likelihood, "LOG_LIKELIHOOD_LIMIT", 1000)
    lean = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, progress=False)
    assert "log_likelihood" not in lean.children
    xr.testing.assert_identical(bp.log_likelihood(lean), fit["log_likelihood"]["successes"])


def test_prior_draws_come_from_the_prior(fit):
    log_a = fit["prior"]["log_a"].values.ravel()
    prior = bp.Beta().log_a
    error = 4.5 / np.sqrt(log_a.size)  # false alarm 1e-5
    assert abs(log_a.mean() - prior.loc) < error * prior.scale
    assert abs(log_a.std() / prior.scale - 1) < error
