"""CSV files are read or refused with a message that names the file."""

import re
import zlib

import numpy as np
import pytest
from scipy.stats import binomtest, chi2

import bayespassk as bp

GOOD = "benchmark,system,problem,attempts,successes\nMATH,x,1,100,3\nMATH,x,2,100,0\n"


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "counts.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        GOOD.replace(",", ", "),
        GOOD.replace("MATH,x,", 'MATH,"x",').replace("successes", "successes").rstrip("\n"),
        GOOD.replace("100", "1e2"),
    ],
    ids=["plain", "windows", "byte order mark", "spaces", "quotes", "floats"],
)
def test_files_as_they_come(write, content):
    counts = bp.read_csv(write(content))
    assert counts.systems == ("x",)
    assert counts.problem.tolist() == ["1", "2"]
    assert counts.successes.tolist() == [3, 0]


def test_system_and_benchmark_may_be_missing_and_other_columns_are_ignored(write):
    counts = bp.read_csv(write("note,problem,attempts,successes\nhello,007,10,1\n,NA,10,2\n"))
    assert counts.problem.tolist() == ["007", "NA"]  # names are text, whatever they look like
    assert counts.systems == ("system",)


def test_names_keep_their_unicode(write):
    counts = bp.read_csv(write("problem,attempts,successes\nπροβλημα ✓,10,1\n"))
    assert counts.problem.tolist() == ["προβλημα ✓"]


BAD = {
    "empty": ("", "the file is empty"),
    "blank lines": ("\n\n", "the file is empty"),
    "header only": ("problem,attempts,successes\n", "there must be at least one row"),
    "wrong columns": (
        "task,n,c\na,10,1\n",
        "problem, attempts, successes are not; .*'task', 'n', 'c'",
    ),
    "one column missing": ("problem,attempts\na,10\n", "successes is not"),
    "negative": ("problem,attempts,successes\na,10,-1\n", "successes must not be negative.*row 1"),
    "more successes": ("problem,attempts,successes\na,10,1\nb,10,11\n", "must not exceed.*row 2"),
    "missing": (
        "problem,attempts,successes\na,10,1\nb,,1\n",
        "attempts must not be missing.*row 2",
    ),
    "NaN": ("problem,attempts,successes\na,NaN,1\n", "attempts must not be missing"),
    "text": ("problem,attempts,successes\na,ten,1\n", "attempts must be numbers.*'ten'"),
    "huge": ("problem,attempts,successes\na,99999999999999999999999,1\n", r"at most 2\^53"),
    "infinite": ("problem,attempts,successes\na,inf,1\n", r"at most 2\^53"),
    "duplicates": ("problem,attempts,successes\na,10,1\na,10,1\n", "must occur once.*row 2"),
    "ragged": ('problem,attempts,successes\n"a,10,1\n', "not a comma-separated file"),
    "not text": (b"\x89HDF\r\n\x1a\n\xff\xfe\x00", "not a comma-separated file in UTF-8"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD.keys())
def test_bad_files_are_refused_with_their_name_and_the_rule(write, content, message):
    path = write(content)
    with pytest.raises(bp.errors.CountsError, match=f"(?s)counts.csv: .*{message}"):
        bp.read_csv(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(bp.errors.InputError, match=r"none\.csv: cannot be read: No such file"):
        bp.read_csv(tmp_path / "none.csv")
    with pytest.raises(bp.errors.InputError, match="cannot be read"):
        bp.read_csv(tmp_path)


def test_the_example_is_what_its_script_makes(example):
    assert example.systems == ("small", "large")
    assert len(example) == 256
    assert (example.attempts == 10_000).all()


@pytest.fixture(scope="module")
def arithmetic():
    return bp.load_example("arithmetic")


def test_the_arithmetic_example_is_of_problems_that_were_held_out(arithmetic):
    assert arithmetic.systems == ("transformer",)
    assert len(arithmetic) == len(set(arithmetic.problem)) == 128
    assert (arithmetic.attempts == 10_000).all()
    for problem in arithmetic.problem:
        assert re.fullmatch(r"(0|[1-9]\d{0,3})[-+*](0|[1-9]\d{0,3})=", problem)
        assert zlib.crc32(problem.encode()) % 8 == 0, problem


def test_the_counts_of_the_arithmetic_example_are_binomial_with_its_exact_p(arithmetic):
    """Of files that the script makes with other seeds, fewer than one in a thousand would fail."""
    c, n, p = arithmetic.successes, arithmetic.attempts, arithmetic.covariates["p"]
    assert min(binomtest(*one).pvalue for one in zip(c, n, p, strict=True)) * len(c) > 5e-4
    often = n * p > 5
    z = (c - n * p)[often] / np.sqrt(n * p * (1 - p))[often]
    assert min(chi2(often.sum()).sf((z**2).sum()), chi2(often.sum()).cdf((z**2).sum())) > 1e-4


def test_the_arithmetic_example_is_like_published_logs(arithmetic):
    """Rare successes, a tail towards zero, and a -log pass@k that falls as a power of k."""
    ks = np.array([50, 100, 1000, 10_000])
    p = arithmetic.covariates["p"]
    curve = np.array([(1 - (1 - p) ** k).mean() for k in ks])
    assert bp.estimators.chen(arithmetic, ks)[0] == pytest.approx(curve, abs=0.03)
    slopes = -np.diff(np.log(-np.log(curve))) / np.diff(np.log(ks))
    assert (slopes > 0.25).all()
    assert (slopes < 0.45).all()
    assert 0.02 < p.mean() < 0.3
    assert 0.1 < (arithmetic.successes <= 5).mean() < 0.4


def test_an_example_that_is_not_there():
    with pytest.raises(
        bp.errors.OptionError, match=r"'simulated' or 'arithmetic'; got '\.\./secret'"
    ):
        bp.load_example("../secret")
