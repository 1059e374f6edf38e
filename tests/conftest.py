"""Fits are made once a session: compiling takes longer than all that tests do with them."""

import os
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

import bayespassk as bp

mpl.use("agg")

settings.register_profile("patient", deadline=None)  # a busy machine is no fault
settings.load_profile("patient")

LONGEST = (
    "test_pooling.py",
    "test_notebooks.py",
    "test_many.py",
    "test_producers.py",
    "test_recovery.py",
    "test_verifying.py",
    "test_fitting.py",
    "test_covariates.py",
    "test_contract.py",
    "test_cli.py",
    "test_documents.py",
    "test_reporting.py",
    "test_lattice.py",
    "test_adaptive.py",
    "test_pooling_calibration.py",
)
"""Files to begin with, the longest first, so that no process is left with one at the end."""

DATA = Path(os.environ.get("BAYESPASSK_DATA", Path(__file__).parents[2] / "shared" / "data"))


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run calibration at full size")


def pytest_xdist_auto_num_workers(config):
    """Return a process for each core; none where one file is named, which is there sooner."""
    named = {argument.partition("::")[0] for argument in config.args}
    one_file = len(named) == 1 and named.pop().endswith(".py")
    return 0 if one_file else len(os.sched_getaffinity(0))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    last = len(LONGEST)
    order = {name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, last))


@pytest.fixture(scope="session")
def full_size(request) -> bool:
    """Whether calibration tests run at full size rather than in their smaller form."""
    return bool(request.config.getoption("--slow"))


@pytest.fixture(scope="session")
def real_logs() -> Path:
    """The folder of published logs; tests that need it are skipped, with this reason, without."""
    if not (DATA / "monkeys_math.csv").exists():
        pytest.skip(f"the published logs are not here: no {DATA / 'monkeys_math.csv'}")
    return DATA


@pytest.fixture(scope="session")
def example() -> bp.Counts:
    return bp.load_example()


@pytest.fixture(scope="session")
def counts(example) -> bp.Counts:
    """The example as 100 attempts a problem would have shown it."""
    return bp.thin(example, 100, random_seed=1)


@pytest.fixture(scope="session")
def fit(counts):
    return bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, progress=False)


@pytest.fixture(scope="session")
def nuts(counts):
    """The same posterior, sampled."""
    return bp.fit(counts, bp.Beta(), pooling="none", method="nuts", random_seed=1, progress=False)


@pytest.fixture(scope="session")
def fit_path(fit, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("fits") / "fit.nc"
    bp.save(fit, path)
    return path


HOSTILE = (
    "<script>document.title = 'owned'</script>",
    "\"'><img src=x onerror=\"document.title='owned'\"> javascript:alert(1) </td></table>",
    "$x_{$ & % # \\\\ \\input{x} ~ ^ {} [2] *a* `b` ![c](javascript:alert(1)) 模型 🤖 \u202e",
    "m" * 200,
)
"""Names that try to be more than text: in HTML, in Markdown, in LaTeX, and by their length."""


@pytest.fixture(scope="session")
def hostile_fits(tmp_path_factory):
    """Fits of counts whose every name is hostile: systems, benchmark, problems, the file's, fits'."""
    rng = np.random.default_rng(1)
    path = tmp_path_factory.mktemp("logs") / '<b>log<b> & "more".csv'
    rows = [
        (HOSTILE[i], f"</title>{HOSTILE[0]}", f"{HOSTILE[j % 4]}{j}", 40, rng.binomial(40, p))
        for i in range(4)
        for j, p in enumerate(rng.beta(0.4, 3.0, 40))
    ]
    columns = ["system", "benchmark", "problem", "attempts", "successes"]
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
    counts = bp.read_csv(path)
    families = {f"{HOSTILE[0]}{HOSTILE[2]}": bp.Beta(), "other": bp.Kumaraswamy()}
    return {
        name: bp.fit(counts, family, pooling="none", draws=250, random_seed=1, progress=False)
        for name, family in families.items()
    }
