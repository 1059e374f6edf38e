"""A file is written whole, or what was there before is left; what is no file stays what it is."""

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import bayespassk as bp
from bayespassk import files

InputError = bp.errors.InputError


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
    with pytest.raises(InputError, match=r"table\.csv: cannot be written: No space left"):
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
    for path in (tmp_path / "nowhere" / "x", tmp_path / "folder", tmp_path / "folder" / "a" / "b"):
        with pytest.raises(InputError, match=f"{path.name}: cannot be written: "):
            files.write(path, "text")
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


# Links -----------------------------------------------------------------------------------------


def test_a_symbolic_link_is_followed_and_stays(tmp_path):
    there, link = tmp_path / "there", tmp_path / "link"
    there.mkdir()
    (there / "table.csv").write_text("before")
    link.symlink_to("there/table.csv")
    (tmp_path / "again").symlink_to(link)
    files.write(tmp_path / "again", "after")
    assert (there / "table.csv").read_text() == "after"
    assert link.is_symlink()
    assert (tmp_path / "again").is_symlink()
    assert [one.name for one in there.iterdir()] == ["table.csv"]


def test_a_link_to_what_is_not_there_yet_makes_it(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "new.csv")
    files.write(link, "text")
    assert link.is_symlink()
    assert (tmp_path / "new.csv").read_text() == "text"
    for name, target in (("circle", tmp_path / "circle"), ("lost", tmp_path / "nowhere" / "x")):
        (tmp_path / name).symlink_to(target)
        with pytest.raises(InputError, match=f"{name}: cannot be written: "):
            files.write(tmp_path / name, "text")


def test_all_names_of_a_file_stay_names_of_it(tmp_path):
    path, other = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_text("before, and longer")
    os.link(path, other)
    files.write(path, "after")
    assert other.read_text() == "after"
    assert path.samefile(other)


# Devices and pipes -----------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="has the devices of Linux")
def test_devices_are_written_to_and_stay(tmp_path):
    link = tmp_path / "null"
    link.symlink_to(os.devnull)
    for path in (os.devnull, link):
        files.write(path, "text")
        assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    assert link.is_symlink()
    with pytest.raises(InputError, match="/dev/full: cannot be written: No space left on device"):
        files.write("/dev/full", "text")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


@pytest.mark.skipif(os.name != "posix", reason="has named pipes")
def test_a_named_pipe_is_written_to_once_it_is_read(tmp_path):
    pipe, text = tmp_path / "pipe", "0123456789" * 20_000  # more than it holds
    os.mkfifo(pipe)
    read = []

    def reader():
        time.sleep(0.3)
        read.append(pipe.read_text())

    thread = threading.Thread(target=reader)
    thread.start()
    files.write(pipe, text)
    thread.join()
    assert read == [text]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(os.name != "posix", reason="has named pipes")
def test_a_pipe_that_nobody_reads_is_an_error_and_no_endless_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "READER", 0.1)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe: cannot be written: nobody has read this pipe"):
        files.write(tmp_path / "pipe", "text")


REDIRECTED = """
import sys
from bayespassk.files import write
print("before", flush=True)
write(sys.argv[1], "written\\n")
print("after")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="has the devices of Linux")
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_is_added_to_where_it_is_a_file(tmp_path, name):
    out = tmp_path / "out.txt"
    out.write_text("first\n")
    with out.open("a") as file:
        subprocess.run([sys.executable, "-c", REDIRECTED, name], stdout=file, check=True)
    assert out.read_text() == "first\nbefore\nwritten\nafter\n"


# Modes -----------------------------------------------------------------------------------------


@pytest.fixture
def umask():
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.skipif(os.name != "posix", reason="has modes")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o604])
@pytest.mark.usefixtures("umask")
def test_a_file_keeps_its_mode_and_a_new_one_has_that_of_the_umask(tmp_path, mode):
    path = tmp_path / "table.csv"
    files.write(path, "text")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(mode)
    files.write(path, "more")
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.skipif(os.name != "posix", reason="has modes")
def test_nobody_reads_a_private_file_while_it_is_written(tmp_path):
    path = tmp_path / "private.csv"
    path.write_text("before")
    path.chmod(0o600)
    with files.whole(path) as part:
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
        part.write_text("after")
    assert path.read_text() == "after"


def test_a_file_that_may_not_be_written_to_is_left_alone(tmp_path, monkeypatch):
    """Root may write to all, so that what the system says is told here."""
    path = tmp_path / "mine.csv"
    path.write_text("before")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match=r"mine\.csv: cannot be written: it may not be written to"):
        files.write(path, "after")
    assert path.read_text() == "before"


# What killed processes leave -------------------------------------------------------------------

KILLED = """
import os, signal, sys
from bayespassk.files import whole
with whole(sys.argv[1]) as part:
    part.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="has signals")
@pytest.mark.parametrize("name", ["fit.nc", "模" * 80, "x" * 255])
def test_what_a_killed_process_left_is_removed_by_the_next_that_writes_there(tmp_path, name):
    path = tmp_path / name
    path.write_text("before")
    for _ in range(2):
        subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert path.read_text() == "before"
    assert len(list(tmp_path.iterdir())) > 1
    files.write(tmp_path / "other", "text")
    assert {one.name for one in tmp_path.iterdir()} == {name, "other"}


def test_what_a_living_process_is_writing_is_left_alone(tmp_path):
    path = tmp_path / "fit.nc"
    with files.whole(path) as part:
        part.write_text("first")
        files.LOOKED.clear()
        files.write(path, "second")
        assert part.exists()
    assert path.read_text() == "first"
    mine = tmp_path / ".fit.nc.swp"  # that of an editor is none of ours
    mine.write_text("precious")
    files.LOOKED.clear()
    files.write(path, "third")
    assert {one.name for one in tmp_path.iterdir()} == {"fit.nc", ".fit.nc.swp"}


def test_of_another_machine_only_what_is_old_is_removed(tmp_path):
    part = tmp_path / ".fit.nc-0a1b2c3d.ffffffff-1-01234567.part"
    part.write_text("half")
    files.write(tmp_path / "x", "text")
    assert part.exists()
    os.utime(part, (0, 0))
    files.LOOKED.clear()
    files.write(tmp_path / "x", "text")
    assert not part.exists()


# Locks -----------------------------------------------------------------------------------------


def test_a_lock_is_held_by_one_and_free_again_afterwards(tmp_path):
    lock = tmp_path / ".lock"
    for _ in range(2):
        with (
            files.alone(lock, "the folder"),
            pytest.raises(InputError, match="the folder: another process is at work there"),
            files.alone(lock, "the folder"),
        ):
            pass


HOLDING = """
import sys, time
from pathlib import Path
from bayespassk.files import alone
with alone(Path(sys.argv[1]), "x"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_ends_with_its_process_however_that_ends(tmp_path):
    lock = tmp_path / ".lock"
    with subprocess.Popen([sys.executable, "-c", HOLDING, lock], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match="another process"), files.alone(lock, "x"):
            pass
        other.kill()
        other.wait()
    with files.alone(lock, "x"):
        pass


def test_who_is_patient_gets_the_lock_when_it_is_free(tmp_path):
    lock, order = tmp_path / ".lock", []

    def first():
        with files.alone(lock, "x"):
            order.append("held")
            time.sleep(0.5)
            order.append("left")

    thread = threading.Thread(target=first)
    thread.start()
    while not order:
        time.sleep(0.01)
    with files.alone(lock, "x", patience=30):
        assert order == ["held", "left"]
    thread.join()


def test_a_place_without_locks_is_told(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match="x: cannot be locked: "),
        files.alone(tmp_path / "file" / ".lock", "x"),
    ):
        pass
