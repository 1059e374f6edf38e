"""Run commands in this process, or by themselves where the process is what a test is about.

A process of its own imports and compiles all anew, which takes longer than most commands.
"""

import contextlib
import io
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass
from unittest import mock

from bayespassk import errors
from bayespassk.cli import main

OURS = [
    one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, Warning) and one.__module__ == errors.__name__
]


@dataclass(frozen=True)
class Done:
    """What a command wrote, and the status it ended with."""

    returncode: int
    stdout: str
    stderr: str


def run(*arguments, status=0):
    """Run ``bayespassk`` with these arguments; fail if it does not end with this status.

    Our own warnings are printed, as for a user, and any other is an error. What is not an error
    of ours is raised, with its traceback.
    """
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "argv", ["bayespassk", *map(str, arguments)]),
        mock.patch.dict(os.environ, {"COLUMNS": "100"}),
        warnings.catch_warnings(),  # which puts back what shows them, too
    ):
        for ours in OURS:
            warnings.simplefilter("default", ours)
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code
    done = Done(code or 0, out.getvalue(), err.getvalue())
    assert done.returncode == status, done.stderr
    return done


def run_by_itself(*arguments, status=0):
    """Run a command as its users do: in a process that imports what it needs, and ends."""
    done = subprocess.run(
        [sys.executable, "-m", "bayespassk", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "100"},
    )
    assert done.returncode == status, done.stderr
    return done
