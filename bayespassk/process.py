"""Of this process: how many threads it samples with, and what is said of how far it is."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from bayespassk.terminal import on_line

__all__ = [
    "be_quiet",
    "cores",
    "duration",
    "in_notebook",
    "in_threads",
    "is_quiet",
    "one_thread_each",
    "progress",
    "threads",
]

_THREADS: int | None = None
"""Threads that sample the chains of a fit; None for as many as there are cores."""

_QUIET: bool = False
"""Whether nothing is said but warnings and errors."""

MOST_THREADS = 8
"""That work side by side: each holds arrays of its own."""

PATIENCE, PAUSE = 5.0, 30.0
"""Seconds until work is spoken of where there is no terminal, and until it is spoken of again."""

RENEWAL = 1.0
"""Seconds until a notebook has a newer line in place of the last."""

SPEED_OVER = 3600.0
"""Seconds that the rate shown is an average over."""


def threads() -> int | None:
    """Return how many threads sample the chains of a fit; None for as many as there are cores."""
    return _THREADS


def cores() -> int:
    """Return how many cores this process may use."""
    here = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if here else os.cpu_count() or 1


def one_thread_each() -> None:
    """Sample the chains of each fit one after the other: for processes that run side by side."""
    global _THREADS  # noqa: PLW0603 -- of the process, as the cache of compiled models
    _THREADS = 1


def in_threads[One, Found](
    function: Callable[[One], Found], items: Sequence[One]
) -> Iterator[Found]:
    """Yield what a function makes of each item, in their order, by a thread for each core.

    For functions that leave Python for most of their time, as those of large arrays do.
    """
    many = min(threads() or cores(), len(items), MOST_THREADS)
    if many < 2:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(many) as pool:
        try:
            yield from pool.map(function, items)
        except BaseException:  # an interruption waits for what has begun and no more
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def is_quiet() -> bool:
    """Return whether nothing is to be said but warnings and errors."""
    return _QUIET


def be_quiet(quiet: bool) -> None:
    """Say nothing but warnings and errors in this process from now on, or do again."""
    global _QUIET  # noqa: PLW0603 -- of the process, as its standard error
    _QUIET = quiet


@contextmanager
def progress(show: bool, start: str, of: int) -> Iterator[Callable[..., None]]:
    """Show a bar with rate and remaining time on standard error, or lines where it is no terminal.

    Lines come after seconds only: what takes less says nothing. A notebook has one line, which is
    renewed and goes when the work is done. Yields what takes a description, how many are finished,
    and of how many, if that has changed.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not (show and console.is_terminal) or in_notebook():
        with _lines(show and not _QUIET, start, of) as advance:
            yield advance
        return
    columns = (
        TextColumn("{task.description}", markup=False),  # it may hold names of users' systems
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns,
        console=console,
        transient=True,
        disable=_QUIET,
        speed_estimate_period=SPEED_OVER,
    ) as bar:
        shown = bar.add_task(start, total=of, rate="")

        def advance(description: str, finished: int, of: int | None = None) -> None:
            bar.update(shown, description=on_line(description), completed=finished, total=of)
            bar.update(shown, rate=_rate(bar.tasks[0].speed))

        yield advance


@contextmanager
def _lines(show: bool, start: str, of: int) -> Iterator[Callable[..., None]]:
    """Say on standard error, now and then, what is done, how much of it, and how long it takes."""
    began, done = time.monotonic(), threading.Event()
    since, now = began, (start, 0, of)

    def advance(description: str, finished: int, of: int | None = None) -> None:
        nonlocal now, since
        now = description, finished, now[2] if of is None else of
        if finished == 0:  # what came before, such as compiling, says nothing of the rest
            since = time.monotonic()

    notebook = _Renewed() if show and in_notebook() else None

    def speak() -> None:
        pause = PATIENCE
        while not done.wait(pause):
            at = time.monotonic()
            line = _line(at - began, at - since, *now)
            if notebook is None:
                print(line, file=sys.stderr, flush=True)
            else:
                notebook.say(line)
            pause = PAUSE if notebook is None else RENEWAL

    speaker = threading.Thread(target=speak, daemon=True)
    if show:
        speaker.start()
    try:
        yield advance
    finally:
        done.set()
        if show:
            speaker.join()
        if notebook is not None:
            notebook.end()


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class _Renewed:
    """A line beneath a cell of a notebook, in whose place the next one comes."""

    def __init__(self) -> None:
        self._shown: Any = None

    def say(self, line: str) -> None:
        """Show a line in place of the last."""
        text = {"text/plain": line}
        if self._shown is None:
            display = import_module("IPython.display").display
            self._shown = display(text, raw=True, display_id=True)
        else:
            self._shown.update(text, raw=True)

    def end(self) -> None:
        """Leave nothing."""
        if self._shown is not None:
            self._shown.update({"text/plain": ""}, raw=True)


def _line(seconds: float, working: float, description: str, finished: int, of: int) -> str:
    """Return how far work is after so many seconds, of which it was `working` on what counts."""
    text = f"{on_line(description)}: {finished:,} of {of:,} after {duration(seconds)}"
    if not 0 < finished < of:
        return text
    return f"{text}; about {duration(working * (of / finished - 1))} left"


def duration(seconds: float) -> str:
    """Return a time to two digits, in seconds, minutes or hours."""
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * unit:
            return f"{float(f'{seconds / unit:.2g}'):g} {name}"
    return f"{float(f'{max(seconds, 1):.2g}'):g} s"


def _rate(speed: float | None) -> str:
    """Return how many a second, or a minute, or an hour."""
    if not speed:
        return ""
    for seconds, unit in ((1, "s"), (60, "min")):
        if speed * seconds >= 1:
            return f"{speed * seconds:.1f}/{unit}"
    return f"{speed * 3600:.1f}/h"
