"""Evidence of p that is no count: estimates of log p with standard errors."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayespassk.arrays import Floats

__all__ = ["EVIDENCE", "LEAST_SE", "LOWEST", "Evidence"]

EVIDENCE = ("log_p", "log_p_se")
"""The names of its columns."""

LEAST_SE = 1e-6
"""A smaller standard error is told from none by no integral over p."""

LOWEST = -700.0
"""Of a smaller log p the probability is no number."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of log p of each problem beside its counts; NaN where nothing is.

    Attributes
    ----------
    log_p, log_p_se : array, dims (row,)
        The estimate of the natural logarithm of p, which is normal about log p, and its standard
        error.
    """

    log_p: Floats
    log_p_se: Floats

    @property
    def there(self) -> NDArray[np.bool_]:
        """Which rows have any, dims (row,)."""
        return np.isfinite(self.log_p)

    def of_rows(self, rows: Any) -> "Evidence":
        """Return that of some rows, by position or as a mask."""
        return Evidence(self.log_p[rows], self.log_p_se[rows])
