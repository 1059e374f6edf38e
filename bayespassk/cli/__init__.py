"""The command line: each command parses, calls one verb and prints."""

from bayespassk.cli import (  # noqa: F401 -- their commands register on the group
    asking,
    budgeting,
    demo,
    fitting,
    gating,
    judging,
    planning,
    published,
    running,
)
from bayespassk.cli.group import cli, main

__all__ = ["cli", "main"]
