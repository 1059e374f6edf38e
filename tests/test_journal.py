"""What was written is there again, what was cut short is not, and other work is refused."""

import json

import pytest

import bayespassk as bp
from bayespassk.running.journal import NAME, Journal

HEADER = {"version": "1", "seed": 7}


def test_lines_are_there_again_and_more_can_be_added(tmp_path):
    folder = tmp_path / "a" / "b"
    first = Journal(folder, HEADER)
    assert first.lines == []
    first.append({"k": 1, "name": "模型"})
    again = Journal(folder, HEADER)
    assert again.lines == [{"k": 1, "name": "模型"}]
    again.append({"k": 2})
    assert Journal(folder, HEADER).lines == again.lines == [{"k": 1, "name": "模型"}, {"k": 2}]


def test_a_line_is_in_the_file_once_append_returns(tmp_path):
    journal = Journal(tmp_path, HEADER)
    journal.append({"k": 1})
    lines = (tmp_path / NAME).read_text().splitlines()
    assert [json.loads(line) for line in lines] == [HEADER, {"k": 1}]


@pytest.mark.parametrize("left", [1, 5, 9])
def test_a_last_line_that_was_cut_short_is_dropped(tmp_path, left):
    """Also one that is JSON but lacks its newline: what follows would be on the same line."""
    journal = Journal(tmp_path, HEADER)
    journal.append({"k": 1})
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole + b'{"k": 2}\n'[:-1][:left])
    again = Journal(tmp_path, HEADER)
    assert again.lines == [{"k": 1}]
    assert journal.path.read_bytes() == whole
    again.append({"k": 3})
    assert Journal(tmp_path, HEADER).lines == [{"k": 1}, {"k": 3}]


def test_a_header_that_was_cut_short_is_written_again(tmp_path):
    (tmp_path / NAME).write_text('{"version": "1", "se')
    assert Journal(tmp_path, HEADER).lines == []
    assert json.loads((tmp_path / NAME).read_text()) == HEADER


def test_a_journal_of_other_work_is_refused_and_left_as_it_is(tmp_path):
    journal = Journal(tmp_path, HEADER)
    journal.append({"k": 1})
    before = journal.path.read_bytes()
    with pytest.raises(bp.errors.OptionError, match=r"holds work with seed 7, and this has 8"):
        Journal(tmp_path, HEADER | {"seed": 8})
    with pytest.raises(
        bp.errors.OptionError, match=r"holds work with more None, and this has True"
    ):
        Journal(tmp_path, HEADER | {"more": True})
    assert journal.path.read_bytes() == before


@pytest.mark.parametrize("bad", ["not JSON", "[1, 2]", "7", ""])
def test_a_line_in_the_middle_that_is_none_of_a_journal_is_named(tmp_path, bad):
    Journal(tmp_path, HEADER).append({"k": 1})
    with (tmp_path / NAME).open("a") as file:
        file.write(f'{bad}\n{{"k": 2}}\n')
    with pytest.raises(bp.errors.OptionError, match="line 3 is not one of a journal"):
        Journal(tmp_path, HEADER)


def test_a_folder_that_cannot_be_one_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(bp.errors.InputError, match=f"{NAME}: cannot be used"):
        Journal(tmp_path / "file", HEADER)


def test_a_journal_writes_what_json_has_no_number_for(tmp_path):
    Journal(tmp_path, {"a": 1}).append({"x": [float("nan"), float("inf"), 0.1]})
    assert Journal(tmp_path, {"a": 1}).lines == [{"x": [None, None, 0.1]}]
