"""Of this process: how many threads it samples with, and the bar that shows how far it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["one_thread_each", "progress", "threads"]

_THREADS: int | None = None
"""Threads that sample the chains of a fit; None for as many as there are cores."""

SPEED_OVER = 3600.0
"""Seconds that the rate shown is an average over."""


def threads() -> int | None:
    """Return how many threads sample the chains of a fit; None for as many as there are cores."""
    return _THREADS


def one_thread_each() -> None:
    """Sample the chains of each fit one after the other: for processes that run side by side."""
    global _THREADS  # noqa: PLW0603 -- of the process, as the cache of compiled models
    _THREADS = 1


@contextmanager
def progress(show: bool, start: str, of: int) -> Iterator[Callable[..., None]]:
    """Show a bar with rate and remaining time on standard error if that is a terminal.

    Yields what takes a description, how many are finished, and of how many, if that has changed.
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
        disable=not (show and console.is_terminal),
        speed_estimate_period=SPEED_OVER,
    ) as bar:
        shown = bar.add_task(start, total=of, rate="")

        def advance(description: str, finished: int, of: int | None = None) -> None:
            bar.update(shown, description=description, completed=finished, total=of)
            bar.update(shown, rate=_rate(bar.tasks[0].speed))

        yield advance


def _rate(speed: float | None) -> str:
    """Return how many a second, or a minute, or an hour."""
    if not speed:
        return ""
    for seconds, unit in ((1, "s"), (60, "min")):
        if speed * seconds >= 1:
            return f"{speed * seconds:.1f}/{unit}"
    return f"{speed * 3600:.1f}/h"
