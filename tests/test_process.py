"""The bar that shows how far a process is, and with how many threads it samples."""

import re
import threading
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


def test_what_is_left_is_told_by_the_work_and_not_by_what_came_before_it():
    assert process._line(60, 10, "Sampling", 2, 4) == "Sampling: 2 of 4 after 60 s; about 10 s left"


IN_A_NOTEBOOK = """
from bayespassk import process

process.PATIENCE = process.RENEWAL = 0.05
with process.progress(True, "Sampling", 8) as advance:
    time.sleep(0.3)
    advance("Sampling", 3)
    time.sleep(0.3)
with process.progress(False, "Sampling", 8):
    time.sleep(0.3)
print("done")
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the kernel's own libraries
def test_a_notebook_has_a_line_that_is_renewed_and_goes():
    import nbformat
    from nbclient import NotebookClient

    said = []

    class Client(NotebookClient):
        def process_message(self, message, cell, cell_index):
            if "display_data" in message["msg_type"]:
                said.append((message["msg_type"], message["content"]["data"]["text/plain"]))
            return super().process_message(message, cell, cell_index)

    code = nbformat.v4.new_code_cell(f"import time\n{IN_A_NOTEBOOK}")
    notebook = nbformat.v4.new_notebook(cells=[code])
    Client(notebook, timeout=60, kernel_name="python3").execute()
    assert said[0] == ("display_data", "Sampling: 0 of 8 after 1 s")
    assert {kind for kind, _ in said[1:]} == {"update_display_data"}
    assert said[-2][1].startswith("Sampling: 3 of 8 after 1 s; about")
    assert [output.get("text") for output in code.outputs] == [None, "done\n"]
    assert code.outputs[0].data == {"text/plain": ""}


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


@pytest.mark.parametrize("threads", [1, 3])
def test_work_in_threads_comes_in_order_and_ends_with_an_error(monkeypatch, threads):
    monkeypatch.setattr(process, "_THREADS", threads)
    began = []

    def work(i):
        began.append(i)
        time.sleep(0.01 * (3 - i % 3))
        if i == 4:
            raise ValueError(i)
        return i

    found = []
    with pytest.raises(ValueError, match="4"):
        found.extend(process.in_threads(work, range(200)))
    assert found == [0, 1, 2, 3]
    assert len(began) < 100  # the rest is not begun


def test_threads_are_as_many_as_the_process_may_have(monkeypatch):
    def names(given):
        monkeypatch.setattr(process, "_THREADS", given)
        barrier = threading.Barrier(given or 1)

        def work(_):
            barrier.wait(timeout=10)
            return threading.current_thread().name

        return set(process.in_threads(work, range(given * 3)))

    assert names(1) == {threading.current_thread().name}
    assert len(names(2)) == 2
