"""The arrays that go round, and how many numbers of them are held at a time."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["CHUNK", "Floats", "Ints"]

type Floats = NDArray[np.float64]
type Ints = NDArray[np.int64]

CHUNK = 4_000_000
"""Numbers held at a time, in 32 MB; where several arrays of them are, a part of it."""
