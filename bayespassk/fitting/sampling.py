"""What samplers share: how much to sample, and that one model is compiled at a time."""

import threading
from dataclasses import dataclass

from bayespassk.arrays import Floats

__all__ = ["COMPILING", "Draws", "Size"]

type Draws = dict[str, Floats]

COMPILING = threading.Lock()
"""Two threads that compile at once can hang."""


@dataclass(frozen=True)
class Size:
    """How much to sample."""

    draws: int
    tune: int
    chains: int
    target_accept: float
