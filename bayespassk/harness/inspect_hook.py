"""Inspect's hook that writes a report when a task ends: Inspect loads it, as an entry point."""

import logging
import os
from pathlib import Path
from typing import Any

import anyio
from inspect_ai.hooks import Hooks, TaskEnd, hooks

__all__ = ["REPORT", "Report"]

REPORT = "BAYESPASSK_REPORT"
"""Environment variable: the folder to write a report of each task to."""

log = logging.getLogger(__name__)


@hooks(name="bayespassk_report", description="A report of pass@k when a task ends.")
class Report(Hooks):  # type: ignore[misc]  # Inspect need not be installed
    """Inspect's hook that writes a report of each task to the folder that the environment names.

    ``BAYESPASSK_REPORT=reports inspect eval task.py --epochs 20`` leaves ``reports/<log>.html``. A
    task whose log cannot be read is told in Inspect's log, and ends as it would.
    """

    def enabled(self) -> bool:
        """Return whether reports are wanted."""
        return bool(os.environ.get(REPORT))

    async def on_task_end(self, data: TaskEnd) -> None:
        """Write the report."""
        await anyio.to_thread.run_sync(_write_report, data.log, Path(os.environ[REPORT]))


def _write_report(evaluation: Any, folder: Path) -> None:
    from bayespassk.fitting.verb import fit
    from bayespassk.logs import read
    from bayespassk.reporting import report

    name = Path(str(evaluation.location or evaluation.eval.task_id)).stem
    try:
        counts = read(evaluation if evaluation.samples else evaluation.location, errors="drop")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.html"
        report(fit(counts, random_seed=1, progress=False), path)
    except (ValueError, OSError) as error:
        log.warning("bayespassk: no report of %s: %s", name, error)
        return
    log.warning("bayespassk: %s", path)
