"""What verbs are asked with is checked, and the seed of a system is its own."""

import subprocess
import sys

import numpy as np
import pytest

import bayespassk as bp
from bayespassk import options


@pytest.mark.parametrize(
    ("given", "want"),
    [
        (1, [1]), (10.0, [10]), (1e12, [10**12]), (np.int32(7), [7]), ([5, 1], [5, 1]),
        (np.array([1.0, 100.0]), [1, 100]), (range(1, 4), [1, 2, 3]), (iter([2, 3]), [2, 3]),
    ],
)  # fmt: skip
def test_k_are_whole_numbers_in_the_order_given(given, want):
    found = options.check_k(given)
    assert found.tolist() == want
    assert found.dtype == np.int64


@pytest.mark.parametrize(
    "bad", [0, -1, 1.5, np.nan, np.inf, 10**12 + 1, True, None, "5", [3, 0], np.array([2.5])]
)
def test_another_k_is_refused_by_its_value(bad):
    with pytest.raises(
        bp.errors.OptionError, match=r"k must be a whole number from 1 to 1e12; got "
    ):
        options.check_k(bad)


@pytest.mark.parametrize("bad", [[5, 1, 5], [5, 5.0]])
def test_k_that_repeat_are_refused(bad):
    with pytest.raises(bp.errors.OptionError, match="k must not repeat a value"):
        options.check_k(bad)


def test_no_k_at_all_is_refused():
    with pytest.raises(bp.errors.OptionError, match="at least one"):
        options.check_k([])


def test_there_are_three_targets():
    for target in ("benchmark", "population", "realised"):
        options.check_target(target)
    with pytest.raises(bp.errors.OptionError, match=r"target must be .* got 'realized'"):
        options.check_target("realized")


def test_an_interval_has_a_probability_and_a_kind():
    for kind in ("eti", "hdi"):
        options.check_interval(0.95, kind)
    for prob in (0, 1, 95, -0.5, np.nan):
        with pytest.raises(bp.errors.OptionError, match="prob must lie between 0 and 1"):
            options.check_interval(prob, "eti")
    with pytest.raises(bp.errors.OptionError, match="kind must be 'eti' or 'hdi'; got 'ci'"):
        options.check_interval(0.95, "ci")


def test_the_seed_of_a_system_is_its_own_and_the_same_in_every_process():
    """It follows from the two given alone: not from Python's hash, which differs by process."""
    names = ["", "a", "b", "模型", "a" * 1000]
    found = {
        (seed, name): options.system_seed(seed, name) for seed in (0, 1, 2**31) for name in names
    }
    assert len(set(found.values())) == len(found)
    code = "from bayespassk.options import system_seed; print(system_seed(1, 'a'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == found[1, "a"]
