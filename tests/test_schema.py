"""A file that is no fit as bayespassk writes it is refused, before it costs memory or says a number."""

import json
import shutil
import tracemalloc

import netCDF4
import numpy as np
import pytest
import xarray as xr

import bayespassk as bp
from bayespassk.posterior import schema

FitFileError = bp.errors.FitFileError


@pytest.fixture
def edited(fit_path, tmp_path):
    """A copy of a saved fit, and netCDF to change it with; its checksum goes if it is to."""

    def edit(change, sealed=False):
        path = tmp_path / "edited.nc"
        shutil.copy(fit_path, path)
        with netCDF4.Dataset(path, "a") as file:
            change(file)
            if not sealed:
                file.delncattr("checksum")
        return path

    return edit


def attribute(name, value):
    def change(file):
        file.setncattr(name, value)

    return change


def variable(group, name, value, at=0):
    def change(file):
        file[group][name][at] = value

    return change


def renamed(group, name, to="other"):
    def change(file):
        file[group].renameVariable(name, to)

    return change


def json_attribute(name, **values):
    def change(file):
        file.setncattr(name, json.dumps(json.loads(file.getncattr(name)) | values))

    return change


# The checksum ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        variable("observed_data", "successes", 99),
        variable("constant_data", "attempts", 101),
        variable("posterior", "log_a", -1.0),
        variable("posterior", "a", 1.0),
        variable("prior", "log_a", 0.0),
        variable("observed_data", "problem", "another"),
        variable("posterior", "system", "another"),
        attribute("random_seed", 2),
        attribute("bayespassk_version", "9.9.9"),
        attribute("more", "than was there"),
        attribute("checksum", "0" * 64),
        attribute("checksum", 7),
        json_attribute("sampling", draws=10),
        json_attribute("family", more=1),
    ],
)
def test_what_was_changed_after_it_was_saved_is_refused(edited, change):
    with pytest.raises(FitFileError, match="the checksum differs"):
        bp.load(edited(change, sealed=True))


def test_the_checksum_is_in_the_file_and_not_in_the_fit(fit, fit_path):
    with xr.open_datatree(fit_path) as file:
        assert file.attrs["checksum"] == schema.checksum(fit)
    assert "checksum" not in bp.load(fit_path).attrs


def test_a_checksum_does_not_depend_on_how_arrays_are_laid_out(fit):
    other = fit.copy(deep=True)
    other["posterior"]["log_a"].values = np.asfortranarray(other["posterior"]["log_a"].values)
    other.attrs = dict(reversed(other.attrs.items()))
    assert schema.checksum(other) == schema.checksum(fit)
    other["posterior"]["log_a"].values[0, 0, 0] = np.nextafter(
        fit["posterior"]["log_a"].values[0, 0, 0], 9
    )
    assert schema.checksum(other) != schema.checksum(fit)


@pytest.mark.parametrize(
    ("pooling", "options"),
    [
        ("none", {}),
        ("within", {}),
        ("none", {"covariates": "size", "method": "nuts", "chains": 1, "tune": 50}),
    ],
)
@pytest.mark.filterwarnings("ignore::bayespassk.errors.ConvergenceWarning")  # of few draws
def test_fits_of_all_kinds_are_read_back(pooling, options, tmp_path):
    """Systems of one name on two benchmarks, with and without covariates of problems."""
    rng = np.random.default_rng(1)
    counts = bp.Counts(
        problem=[str(i % 12) for i in range(48)],
        attempts=[10] * 48,
        successes=rng.binomial(10, 0.4, 48),
        system=["x"] * 12 + ["y"] * 12 + ["x"] * 12 + ["y"] * 12,
        benchmark=["a"] * 24 + ["b"] * 24,
        covariates={"size": rng.normal(size=48), "kind": ["p", "q"] * 24},
    )
    fit = bp.fit(counts, bp.Beta(), pooling=pooling, draws=50, random_seed=1, progress=False, **options)  # fmt: skip
    bp.save(fit, tmp_path / "fit.nc")
    xr.testing.assert_identical(bp.load(tmp_path / "fit.nc"), fit)


def test_what_later_versions_add_is_left_alone(edited):
    def more(file):
        group = file.createGroup("runs")
        group.createDimension("run", 3)
        group.createVariable("length", "i8", ("run",))[:] = [1, 2, 3]
        file["constant_data"].createVariable("run_counts", "i8", ("row",))[:] = 1
        file.setncattr("told", "more")

    assert "run_counts" in bp.load(edited(more))["constant_data"].dataset


# Sizes -----------------------------------------------------------------------------------------


def claims(many, chunk=None):
    def change(file):
        file.createDimension("many", many)
        file.createVariable(
            "empty",
            "f8",
            ("many",),
            zlib=True,
            fill_value=0.0,
            chunksizes=None if chunk is None else (chunk,),
        )

    return change


def in_group(file):
    file = file["constant_data"]
    file.createDimension("many", 400_000_000)
    file.createVariable("empty", str, ("many",))


def unlimited(file):
    file.createDimension("many", None)
    file.createVariable("empty", "f8", ("many",), zlib=True, chunksizes=(100_000_000,))[0] = 1.0


@pytest.mark.parametrize("change", [claims(400_000_000), in_group, unlimited])
def test_a_file_that_claims_more_than_it_can_hold_costs_no_memory(edited, change):
    path = edited(change)
    assert path.stat().st_size < 8_000_000
    tracemalloc.start()
    try:
        with pytest.raises(FitFileError, match="claims to hold more than"):
            bp.load(path)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_types_of_its_own_and_deep_groups_are_refused(edited):
    with pytest.raises(FitFileError, match="types of its own"):
        bp.load(edited(lambda file: file.createCompoundType(np.dtype("i4,f8"), "pair")))
    with pytest.raises(FitFileError, match="nested too deeply"):
        bp.load(edited(lambda file: file.createGroup("a/b/c/d/e")))


# The schema ------------------------------------------------------------------------------------

BAD = {
    "no version": lambda file: file.delncattr("bayespassk_version"),
    "a version that LaTeX would obey": attribute("bayespassk_version", "\n\\input{/x}%"),
    "a sampler that a terminal would obey": attribute("sampler", "\x1b[31m"),
    "a hash that is none": attribute("input_sha256", "<script>"),
    "a seed that is none": attribute("random_seed", -1),
    "a seed that is text": attribute("random_seed", "1"),
    "a seed that is many": attribute("random_seed", [1, 2]),
    "another pooling": attribute("pooling", "all"),
    "no pooling": lambda file: file.delncattr("pooling"),
    "another stopping": attribute("stopping", "late"),
    "a family that is no JSON": attribute("family", "{"),
    "a family that is a list": attribute("family", "[]"),
    "a family that is a number": attribute("family", 7),
    "a family without priors": attribute("family", '{"name": "beta"}'),
    "priors that are a list": attribute("family", '{"name": "beta", "priors": []}'),
    "a prior that is a number": attribute("family", '{"name": "beta", "priors": {"log_a": 1}}'),
    "a prior of text": json_attribute("family", priors={"log_a": {"loc": "x", "scale": 1.0}}),
    "a family that nobody knows": attribute("family", '{"name": "gamma", "priors": {}}'),
    "a family deep in itself": attribute("family", '{"name": "zero-inflated", "priors": {}, "components": [' * 2000 + "]}" * 2000),
    "another family": attribute("family", '{"name": "scaled-beta", "priors": {}}'),
    "diagnostics that are a list": attribute("diagnostics", "[]"),
    "diagnostics without systems": attribute("diagnostics", "{}"),
    "diagnostics with more": json_attribute("diagnostics", more=1),
    "diagnostics of text": json_attribute("diagnostics", max_rhat="<b>"),
    "diagnostics of nobody": json_attribute("diagnostics", systems=["x\n\\input{/x}"]),
    "sampling that is a list": attribute("sampling", "[1]"),
    "sampling of text": json_attribute("sampling", draws="many"),
    "a hierarchy that is a list": attribute("hierarchy", "[]"),
    "a hierarchy with more": json_attribute("hierarchy", more=1),
    "a hierarchy of others": json_attribute("hierarchy", systems=10**9),
    "a hierarchy of no kind": json_attribute("hierarchy", pooling="all"),
    "a hierarchy of benchmarks": json_attribute("hierarchy", pooling="partial", benchmarks=["a"], benchmark=[7, 7]),
    "a hierarchy of numbers": json_attribute("hierarchy", problem_columns=[1]),
    "a hierarchy of other columns": json_attribute("hierarchy", problem_columns=["x"]),
    "a log that is text": attribute("log", '"x"'),
    "a log of numbers": json_attribute("log", files=[1]),
    "a log that says less": attribute("log", "{}"),
    "a design without covariates": attribute("design", "{}"),
    "a design with code": attribute("design", '{"formula": "__import__(\'os\').system(\'true\')", "columns": [], "mean": [], "sd": [], "varies": []}'),
    "an attribute of a megabyte": attribute("more", "x" * 2_000_000),
    "no parameter": renamed("posterior", "log_a"),
    "a parameter that is not a number": variable("posterior", "log_a", np.nan),
    "an endless parameter": variable("posterior", "logit_mean", np.inf),
    "no systems": renamed("posterior", "system"),
    "systems of one name": variable("posterior", "system", "large"),
    "no successes": renamed("observed_data", "successes"),
    "no problems": renamed("observed_data", "problem"),
    "no attempts": renamed("constant_data", "attempts"),
    "no index": renamed("constant_data", "system_index"),
    "more successes than attempts": variable("observed_data", "successes", 101),
    "fewer than none": variable("observed_data", "successes", -1),
    "attempts below none": variable("constant_data", "attempts", -(2**60)),
    "a system that there is not": variable("constant_data", "system_index", 7),
    "a system before the first": variable("constant_data", "system_index", -1),
    "a problem twice": lambda file: file["observed_data"]["problem"].__setitem__(0, file["observed_data"]["problem"][1]),
    "a group renamed": lambda file: file.renameGroup("constant_data", "other"),
    "no posterior": lambda file: file.renameGroup("posterior", "other"),
}  # fmt: skip


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_what_is_not_a_fit_is_refused_in_a_sentence(edited, change):
    path = edited(change)
    with pytest.raises(FitFileError) as found:
        bp.load(path)
    said = str(found.value)
    assert said.startswith(str(path))
    assert "\n" not in said
    assert "\x1b" not in said


def test_numbers_of_another_kind_are_refused(fit, tmp_path):
    for group, name in (("observed_data", "successes"), ("constant_data", "system_index")):
        other = fit.copy(deep=True)
        other[group] = xr.DataTree(
            other[group].dataset.assign({name: other[group].dataset[name] * 1.0})
        )
        other.to_netcdf(tmp_path / "other.nc", engine="netcdf4")
        with pytest.raises(FitFileError, match="must be whole numbers"):
            bp.load(tmp_path / "other.nc")
    few = fit.copy(deep=True)
    few["posterior"] = xr.DataTree(few["posterior"].dataset.transpose("draw", "chain", "system"))
    few.to_netcdf(tmp_path / "other.nc", engine="netcdf4")
    with pytest.raises(FitFileError, match="'log_a' of the posterior must be of dims chain, draw"):
        bp.load(tmp_path / "other.nc")


@pytest.mark.parametrize("bad", [None, 7, 1.5, b"x\0y", "x\0y", [], object()])
def test_a_path_that_is_none_is_told(bad):
    with pytest.raises(bp.errors.InputError):
        bp.load(bad)


@pytest.mark.parametrize(
    "bad", ["{", "[]", "7", '{"name": "beta"}', '{"name": "beta", "priors": 1}', None]
)
def test_a_tree_that_was_read_otherwise_is_told_too(fit, bad):
    other = fit.copy(deep=True)
    other.attrs["family"] = bad
    with pytest.raises(FitFileError):
        bp.forecast(other, 10)


def test_a_fit_that_was_taken_apart_is_not_saved(fit, tmp_path):
    other = fit.copy(deep=True)
    other.attrs["random_seed"] = -1
    with pytest.raises(FitFileError, match="this fit cannot be saved: the attribute random_seed"):
        bp.save(other, tmp_path / "fit.nc")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", range(40))
def test_a_file_with_a_few_other_bytes_is_read_as_it_was_or_refused(fit, fit_path, tmp_path, seed):
    """Whatever HDF5 and netCDF raise becomes an error of ours; no number changes unseen."""
    rng = np.random.default_rng(seed)
    whole = bytearray(fit_path.read_bytes())
    where = rng.integers(0, len(whole) if seed % 2 else 20_000, 1 + seed % 3)
    for place in where:
        whole[place] ^= int(rng.integers(1, 256))
    path = tmp_path / "flipped.nc"
    path.write_bytes(whole)
    try:
        again = bp.load(path)
    except FitFileError:
        return
    assert schema.checksum(again) == schema.checksum(fit)
