"""The bar that shows how far a process is, and with how many threads it samples."""

import re
import time

import pytest

from bayespassk import process


@pytest.mark.parametrize(
    ("speed", "said"),
    [(None, ""), (12.34, "12.3/s"), (0.5, "30.0/min"), (0.001, "3.6/h")],
)
def test_rates_are_said_in_units_that_suit_them(speed, said):
    assert process._rate(speed) == said


def test_progress_has_rate_and_remaining_time_in_a_terminal_only(capsys, monkeypatch):
    def show():
        with process.progress(True, "Fits [bold]", 8) as advance:
            for i in range(5):
                time.sleep(0.01)
                advance("Fits [bold]", i, 8)

    show()
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    show()
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)
    assert "Fits [bold]" in shown
    assert "4/8" in shown
    assert re.search(r"\d/s .*left \d:\d\d:\d\d", shown)


def test_long_work_is_spoken_of_where_there_is_no_terminal(capsys, monkeypatch):
    monkeypatch.setattr(process, "PATIENCE", 0.05)
    monkeypatch.setattr(process, "PAUSE", 0.05)

    def work():
        with process.progress(True, "Fits", 8) as advance:
            time.sleep(0.1)
            advance("Fits of \x1b[31mx", 2)
            time.sleep(0.2)
        return capsys.readouterr().err

    first, *_, last = work().splitlines()
    assert first == "Fits: 0 of 8 after 1 s"
    assert last == "Fits of \ufffd[31mx: 2 of 8 after 1 s; about 1 s left"
    process.be_quiet(True)
    try:
        assert work() == ""
    finally:
        process.be_quiet(False)
    assert work() != ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "1 s"),
        (59.4, "59 s"),
        (80, "80 s"),
        (125, "2.1 min"),
        (3600, "60 min"),
        (9000, "2.5 h"),
    ],
)
def test_durations_are_said_to_two_digits(seconds, said):
    assert process.duration(seconds) == said


def test_progress_is_not_shown_if_it_is_not_wanted(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with process.progress(False, "Fits", 8) as advance:
        advance("Fits", 3)
    assert capsys.readouterr() == ("", "")


def test_progress_takes_another_number_of_pieces(capsys, monkeypatch):
    """An adaptive plan does not know at its start how many there will be."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with process.progress(True, "Pieces", 8) as advance:
        advance("Pieces", 3, 17)
    assert "3/17" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)


def test_a_process_samples_with_every_core_until_told_otherwise(monkeypatch):
    monkeypatch.setattr(process, "_THREADS", None)
    assert process.threads() is None
    process.one_thread_each()
    assert process.threads() == 1
