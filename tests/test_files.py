"""A file is written whole, or what was there before is left."""

from pathlib import Path

import pytest

import bayespassk as bp
from bayespassk import files


@pytest.mark.parametrize(
    ("given", "want"), [("é模\n", "é模\n".encode()), (b"\x00\xff", b"\x00\xff")]
)
def test_text_and_bytes_are_written_as_they_are(tmp_path, given, want):
    """Text as UTF-8, without a change of its newlines; over what was there; by a string too."""
    path = tmp_path / "table.csv"
    for where in (path, str(path)):
        path.write_text("before, and longer than what comes")
        files.write(where, given)
        assert path.read_bytes() == want
    assert [one.name for one in tmp_path.iterdir()] == ["table.csv"]


def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch):
    """The disk is full half way."""

    def full(self, data):
        with self.open("wb") as file:
            file.write(data[:3])
        raise OSError(28, "No space left on device")

    path = tmp_path / "table.csv"
    path.write_text("before")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(bp.errors.InputError, match=r"table\.csv: cannot be written: No space left"):
        files.write(path, "after, which is longer")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    path = tmp_path / "table.csv"
    path.write_text("before")
    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write(path, "after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_is_none_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "nowhere" / "x", tmp_path / "folder"):
        with pytest.raises(bp.errors.InputError, match=f"{path.name}: cannot be written: "):
            files.write(path, "text")
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]
