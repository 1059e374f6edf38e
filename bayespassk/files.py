"""Every output is written here: whole or not at all, to where its name leads, and for good."""

import errno
import hashlib
import os
import platform
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bayespassk.errors import InputError

__all__ = ["alone", "check_writable", "refuse_inputs", "sync_folder", "whole", "write"]

PART = re.compile(r"\..*\.(?P<host>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}\.part")
"""The name of what is being written: of which machine and process, which may have been killed."""

LOOKED: dict[Path, float] = {}
"""When a folder was last looked through for what killed processes left there."""

SECOND, DAY = 1.0, 86400.0

READER = 30.0
"""Seconds that a named pipe may take to be read."""

OPEN = re.compile(r"/dev/fd/(\d+)|/proc/self/fd/(\d+)")
"""What this process has open already, and must be added to: it may be a file with more in it."""


def write(path: str | os.PathLike[str], text: str | bytes) -> None:
    """Write `text` to a file, whole or not at all; see :func:`whole`.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    with whole(path) as temporary:
        temporary.write_bytes(text.encode() if isinstance(text, str) else text)


@contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a file to write to, which becomes `path` when the block ends without an error.

    A symbolic link is followed, and stays. A file keeps its mode and owner, and a new one has that
    of the umask. When the block has ended, the file is there for good: it and its folder are
    synced. What processes that were killed have left in the folder is removed.

    Devices, pipes, and files with several names (hard links) are written through, not replaced.

    Raises
    ------
    InputError
        If it cannot be written. What was there is then as it was, if it is a file of one name.
    """
    path = Path(path)
    try:
        known = check_writable(path)
        if known is None or (stat.S_ISREG(known.st_mode) and not _is_shared(path, known)):
            yield from _replaced(Path(os.path.realpath(path)), known)
        else:
            with tempfile.TemporaryDirectory() as folder:
                part = Path(folder) / "whole"
                part.touch()
                yield part
                _write_through(path, known, part.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None


def check_writable(path: Path) -> os.stat_result | None:
    """Return the status of what a name leads to, None if that is not there yet.

    Raises
    ------
    OSError
        If it is nothing that may be written to.
    """
    try:
        known = path.stat()
    except FileNotFoundError:
        folder = Path(os.path.realpath(path)).parent
        if not folder.is_dir():
            raise FileNotFoundError(
                errno.ENOENT, "the folder must exist; give a file in one"
            ) from None
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, f"there is no leave to write in {folder}") from None
        return None
    if stat.S_ISDIR(known.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder; give a file in one")
    if stat.S_ISBLK(known.st_mode):
        raise PermissionError(errno.EPERM, "it is a disk; give a file")
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "it may not be written to")
    return known


def _is_shared(path: Path, known: os.stat_result) -> bool:
    """Return whether a file has other names, or is open already, so that it must stay the same."""
    return known.st_nlink > 1 or _open_already(path) is not None


def _open_already(path: Path) -> int | None:
    """Return the descriptor that a name such as /dev/stdout stands for, or None."""
    name = os.path.abspath(path)  # noqa: PTH100 -- resolve follows links
    standard = {"/dev/stdout": 1, "/dev/stderr": 2}
    found = OPEN.fullmatch(name)
    return int(found[1] or found[2]) if found else standard.get(name)


def _replaced(path: Path, known: os.stat_result | None) -> Iterator[Path]:
    """Yield a file beside `path`, and put it in its place."""
    _remove_leftovers(path.parent)
    begin = f"{path.name[:40]}-{_hashed(path.name)}"  # of any length that a name may have
    part = path.with_name(
        f".{begin}.{_hashed(platform.node())}-{os.getpid()}-{secrets.token_hex(4)}.part"
    )
    mode = 0o666 if known is None else stat.S_IMODE(known.st_mode)
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))  # as the umask has it
        yield part
        with part.open("r+b") as file:
            os.fsync(file.fileno())
        if known is not None:
            _keep_owner(part, known)
            part.chmod(mode)
        part.replace(path)
        sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _keep_owner(part: Path, known: os.stat_result) -> None:
    """Give a file the owner of the one that it replaces, where that is allowed."""
    now = part.stat()
    if (now.st_uid, now.st_gid) != (known.st_uid, known.st_gid):
        with suppress(OSError):
            os.chown(part, known.st_uid, known.st_gid)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last, where the file system can be asked to."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _hashed(name: str) -> str:
    return hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:8]


def _remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed left in a folder; it is looked at once a second."""
    now = time.monotonic()
    if now - LOOKED.get(folder, -SECOND) < SECOND:
        return
    LOOKED[folder] = now
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 -- the names are enough
            found = PART.fullmatch(name)
            if found is not None and not _is_at_work(folder / name, found):
                (folder / name).unlink(missing_ok=True)


def _is_at_work(part: Path, found: re.Match[str]) -> bool:
    """Return whether whoever writes a file may still be there."""
    with suppress(OSError):
        if time.time() - part.stat().st_mtime > DAY:
            return False
    if os.name != "posix" or found["host"] != _hashed(platform.node()):
        return True
    try:
        os.kill(int(found["process"]), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is somebody else's
        return True
    return True


def _write_through(path: Path, known: os.stat_result, content: bytes) -> None:
    """Write to what is there, which stays what it is."""
    with os.fdopen(_opened(path, known), "wb") as file:
        file.write(content)
        file.flush()
        if stat.S_ISREG(known.st_mode):
            os.fsync(file.fileno())


def _opened(path: Path, known: os.stat_result) -> int:
    """Open what is there; of a named pipe, wait a while for who reads it."""
    already = _open_already(path)
    if already is not None:
        return os.dup(already)
    flags = os.O_WRONLY | (os.O_TRUNC if stat.S_ISREG(known.st_mode) else 0)
    if not stat.S_ISFIFO(known.st_mode):
        return os.open(path, flags)
    end = time.monotonic() + READER
    while True:
        try:
            handle = os.open(path, flags | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > end:
                raise OSError(
                    errno.ENXIO, f"nobody has read this pipe for {READER:.0f} s"
                ) from None
            time.sleep(0.05)
        else:
            os.set_blocking(handle, True)
            return handle


def refuse_inputs(path: str | os.PathLike[str], inputs: Iterable[str]) -> None:
    """Raise an error if a file to write is one of those that something was made from.

    Raises
    ------
    InputError
        If it is, by whatever name.
    """
    with suppress(OSError):
        for one in inputs:
            if Path(one).is_file() and Path(path).exists() and Path(path).samefile(one):
                raise InputError(
                    f"{path}: is the log that this was made from ({one}), and would be lost. Give "
                    "another file to write"
                )


@contextmanager
def alone(path: Path, whose: str, patience: float = 0.0) -> Iterator[None]:
    """Hold a lock while the block runs, which another process that asks for it waits for.

    It ends with the process, however that ends. The file of the lock may stay.

    Parameters
    ----------
    path : Path
        Of the file that is the lock: hidden, and nothing else.
    whose : str
        What the lock is of, to say where it is held.
    patience : float
        Seconds to wait for it.

    Raises
    ------
    InputError
        If another process holds it for longer, or the file system has no locks.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=patience, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(
            f"{whose}: another process is at work there. What to do: wait until it is done, then "
            "say the same again; or choose another place"
        ) from None
    except (OSError, NotImplementedError) as error:
        said = getattr(error, "strerror", None) or error
        raise InputError(f"{whose}: cannot be locked: {said}") from None
    try:
        yield
    finally:
        lock.release()
