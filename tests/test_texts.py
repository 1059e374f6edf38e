"""Text says what its numbers are and where they came from."""

import csv
import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayespassk as bp
from bayespassk import texts
from bayespassk.files import write


@pytest.fixture(scope="module")
def forecast(fit):
    return bp.forecast(fit, [1, 1000, 10**12])


def test_json_holds_rows_and_provenance(counts, fit, forecast):
    table = bp.summarize(forecast, 0.9)
    found = json.loads(texts.as_json(table, texts.provenance(fit, forecast)))
    assert [row["k"] for row in found["rows"]] == [1, 1000, 10**12] * 2
    assert set(found["rows"][0]) == {"system", "k", "mean", "median", "lower", "upper"}
    assert found["rows"][1]["mean"] == pytest.approx(table["mean"][1], rel=1e-12)
    meta = found["meta"]
    assert meta["input_sha256"] == counts.sha256()
    assert (meta["version"], meta["seed"], meta["target"]) == (bp.__version__, 1, "benchmark")
    assert meta["family"] == "beta"
    assert meta["family_spec"]["priors"]["log_a"]["scale"] == bp.Beta().log_a.scale
    assert meta["interval"] == {"prob": 0.9, "kind": "eti"}
    assert set(meta["diagnostics"]) >= {"converged", "max_rhat", "min_ess", "divergences"}


def test_the_caption_says_how_far_beyond_the_attempts_and_how_often_bands_held(fit, forecast):
    table = bp.summarize(forecast)
    said = texts.caption(table, texts.provenance(fit, forecast))
    assert "At most 100 attempts were made at a problem; k = 1,000 is 10 times that (94%), k = 1,000,000,000,000 is 10,000,000,000 times that (99%)" in said  # fmt: skip
    near = bp.forecast(fit, [1, 100])
    assert "At most" not in texts.caption(bp.summarize(near), texts.provenance(fit, near))


def test_how_often_bands_held_is_what_the_page_has():
    page = (Path(__file__).parents[1] / "docs" / "explanation" / "accuracy.md").read_text()
    rows = re.findall(r"^\| (\d+) (?:to (\d+)|or more) \| \d+ \| (\d+) /", page, re.MULTILINE)
    assert rows
    found = tuple((int(a), int(b) if b else math.inf, int(held)) for a, b, held in rows)
    assert found == texts.HELD


def test_csv_quotes_what_users_wrote(forecast):
    table = bp.summarize(forecast.assign_coords(system=['a, "quoted"\nname', "=1+1"]))
    rows = list(csv.DictReader(io.StringIO(texts.as_csv(table))))
    assert rows[0]["system"] == 'a, "quoted"\nname'
    assert float(rows[1]["mean"]) == table["mean"][1]


def test_small_probabilities_are_not_shown_as_zero(forecast):
    table = bp.summarize(forecast * 1e-7)
    assert " 0.0000" not in texts.as_text(table)
    assert "1,000,000,000,000" in texts.as_text(table)


@pytest.mark.filterwarnings("ignore:another seed would move")
def test_the_caption_warns_if_the_fit_did_not_converge(counts):
    with pytest.warns(bp.errors.ConvergenceWarning):
        fit = bp.fit(
            counts,
            bp.Beta(),
            pooling="none",
            draws=20,
            tune=20,
            chains=2,
            random_seed=1,
            progress=False,
        )
    forecast = bp.forecast(fit, 10)
    text = texts.caption(bp.summarize(forecast), texts.provenance(fit, forecast))
    assert "did not converge" in text
    assert "Do not use its numbers yet" in text


@pytest.mark.filterwarnings("ignore:another seed would move")
@pytest.mark.filterwarnings("ignore::bayespassk.errors.FamilyWarning")
def test_even_a_hopeless_fit_makes_valid_json(counts):
    """Chains that never moved have an R-hat of infinity, for which JSON has no number."""
    with pytest.warns(bp.errors.ConvergenceWarning, match="R-hat"):
        fit = bp.fit(
            counts, bp.Beta(), pooling="none", draws=4, tune=1, random_seed=1, progress=False
        )
    forecast = bp.forecast(fit, 10)
    text = texts.as_json(bp.summarize(forecast), texts.provenance(fit, forecast))

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    found = json.loads(text, parse_constant=refuse)
    assert found["meta"]["diagnostics"]["converged"] is False


def test_files_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "out.csv"
    write(path, "old")

    def fail(temporary, text, **_):
        with temporary.open("wb") as file:
            file.write(text[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", fail)
    with pytest.raises(bp.errors.InputError, match=r"out\.csv: cannot be written: No space left"):
        write(path, "new text")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["out.csv"]


def crossing_table(probability_leads, probability_overtaken, median, lower, upper):
    table = pd.DataFrame(
        {
            "leader": ["x", "y"],
            "overtaken_by": ["y", "x"],
            "probability_leads": [probability_leads, 1 - probability_leads],
            "probability_overtaken": [probability_overtaken, 0.0],
            "median": [median, np.inf],
            "lower": [lower, np.inf],
            "upper": [upper, np.inf],
        }
    )
    table.attrs = {"prob": 0.95, "kind": "eti", "target": "benchmark", "most": 10**6}
    return table


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((1.0, 0.83, 1234, 300, np.inf), "x leads at k = 1 with probability > 0.99; if so, y overtakes it by k = 1,000,000 with probability 0.83, at about k = 1,230 (95%: 300 to never)."),
        ((0.98, 0.1, np.inf, 7e4, np.inf), "x leads at k = 1 with probability 0.98; if so, y overtakes it by k = 1,000,000 with probability 0.10 (95%: 70,000 to never)."),
        ((1.0, 0.0, np.inf, np.inf, np.inf), "x leads at k = 1 with probability > 0.99; if so, y overtakes it by k = 1,000,000 with probability < 0.01."),
        ((0.2, 0.2, 5, 2, 9), "y leads at k = 1 with probability 0.80; if so, x overtakes it by k = 1,000,000 with probability < 0.01.\nx leads at k = 1 with probability 0.20; if so, y overtakes it by k = 1,000,000 with probability > 0.99, at about k = 5 (95%: 2 to 9)."),
    ],
)  # fmt: skip
def test_who_overtakes_whom_is_said_in_sentences(numbers, text):
    assert texts.as_crossing(crossing_table(*numbers)) == text


def test_nobody_overtakes_where_the_curves_are_equal():
    table = crossing_table(0.0, 0.0, np.nan, np.nan, np.nan)
    table["probability_leads"] = 0.0
    assert texts.as_crossing(table) == "Neither leads at k = 1: the curves are equal."


def test_numbers_of_a_column_have_equally_many_decimals():
    assert texts.in_digits([0.3003, 5.623e-4, 0.0], "+") == ["+0.30030", "+0.00056", "+0.00000"]
    assert texts.in_digits([0.5, 0.25]) == ["0.5000", "0.2500"]
    assert texts.in_digits([0.5, 3e-9]) == ["0.5000", "3.0e-09"]
    assert texts.in_digits([-2e-6, 1.0]) == ["-0.000002", "1.000000"]


def test_a_table_says_n_and_which_k_are_within(fit):
    draws = bp.forecast(fit, [1, 100, 250, 10_000])
    table = texts.with_attempts(bp.summarize(draws), draws)
    assert table["n"].tolist() == [100] * 8
    assert table["k/n"].tolist() == [0.01, 1, 2.5, 100] * 2
    text = texts.as_text(table)
    assert [line.split()[3] for line in text.splitlines()[1:5]] == [
        "within",
        "within",
        "2.5",
        "100",
    ]
