"""What a family needs to know of the counts, in a graph: computed when the counts are known."""

from typing import Any

import numpy as np
import pytensor.tensor as pt
from numpy.typing import NDArray
from pytensor.graph.basic import Apply, Constant
from pytensor.graph.op import Op

from bayespassk.arrays import Floats, Ints
from bayespassk.cells import distinct
from bayespassk.dist.resolving import edges_for
from bayespassk.families import Dependent, Family
from bayespassk.families.dependent import with_spreads
from bayespassk.families.quadrature import log_peak
from bayespassk.runs import Runs
from bayespassk.special import log_binomial

__all__ = ["CHOICES", "GROUP", "ROW", "constants_of"]

CHOICES, GROUP, ROW = "log_binomial", "cell_group", "row_cell"
"""Names among the constants: log C(n, c), the group of each distinct row, and that of each row."""


def constants_of(
    family: Family,
    typical: dict[str, Floats] | None,
    successes: Any,
    attempts: Any,
    group: Any,
) -> dict[str, Any]:
    """Return the constants of :meth:`Family.log_moments` and log C(n, c), of counts in a graph.

    Of distinct rows, which are evaluated once. Where all counts are constants these are too. Counts
    that may change, such as ``pm.Data``, have them looked up at every evaluation, and made anew
    where they are others than the last time.

    Parameters
    ----------
    family : Family
    typical : dict of str to array, dims (draw,), or None
        Natural parameters that nodes are chosen for; None stands for draws of the family's prior.
    successes, attempts : tensor of int, dims (row,)
        Or of a :class:`Dependent`, dims (row, run).
    group : tensor of int, dims (row,)
        Rows of one group share their parameters.
    """
    op = (_OfRuns if isinstance(family, Dependent) else _Constants)(family, typical)
    given = [successes, attempts, group]
    if all(isinstance(one, Constant) for one in given):
        found = [pt.as_tensor_variable(value) for value in op.of(*(one.data for one in given))]
    else:
        found = op(*given, return_list=True)
    return dict(zip(op.names, found, strict=True))


class _Constants(Op):  # type: ignore[misc]  # PyTensor has no types
    """Takes counts, dims (row,), to the arrays that a family makes of them. It has no gradient."""

    SMALLEST = np.array([1]), np.array([2]), np.array([0])

    def __init__(self, family: Family, typical: dict[str, Floats] | None) -> None:
        self.family, self.typical = family, typical
        self.finer = np.zeros(0) if typical is None else edges_for(family, typical)
        one = self._made(*self.SMALLEST)
        self.names = tuple(one)
        self.kinds = tuple((value.dtype, value.ndim) for value in one.values())
        self.last: tuple[bytes, list[NDArray[Any]]] | None = None

    def _made(self, c: Ints, n: Ints, group: Ints) -> dict[str, NDArray[Any]]:
        inside = (c >= 0) & (c <= n)  # others are impossible, whatever their moments
        c, n = np.where(inside, c, 0), np.where(inside, n, 0)
        cells = distinct(group, c, n - c)
        a, b = cells.successes.astype(float), cells.failures.astype(float)
        return {
            **self.family.constants(a, b, self.typical, finer=self.finer),
            CHOICES: np.asarray(log_binomial(a + b, a)),
            GROUP: cells.system,
            ROW: cells.inverse,
            "peak": log_peak(a, b),
        }

    def of(self, *given: NDArray[Any]) -> list[NDArray[Any]]:
        """Return the arrays of these successes, attempts and groups, in the order of `names`."""
        key = b"".join(one.tobytes() for one in given)
        if self.last is None or self.last[0] != key:
            made = self._made(*(np.asarray(one, dtype=np.int64) for one in given))
            # What only many attempts need, the largest values of p^a (1-p)^b, is there or not.
            arrays = [
                np.asarray(made[name] if name in made else made["peak"], dtype=dtype)
                for name, (dtype, _) in zip(self.names, self.kinds, strict=True)
            ]
            self.last = key, arrays
        return self.last[1]

    def make_node(self, *given: Any) -> Apply:
        """Return the application of this to successes, attempts and groups."""
        outputs = [pt.tensor(dtype=d.name, shape=(None,) * ndim) for d, ndim in self.kinds]
        return Apply(self, [pt.as_tensor_variable(one) for one in given], outputs)

    def perform(self, node: Apply, inputs: Any, output_storage: Any) -> None:
        """Put the arrays of these counts where they are wanted."""
        del node
        for place, value in zip(output_storage, self.of(*map(np.asarray, inputs)), strict=True):
            place[0] = value.copy()

    def __str__(self) -> str:
        return "_Constants"

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Return that nothing here is differentiable: counts are whole, nodes are a choice."""
        return [[False] * len(node.outputs) for _ in node.inputs]


class _OfRuns(_Constants):
    """Takes counts, dims (row, run), to the arrays that a family makes of them."""

    SMALLEST = np.array([[1]]), np.array([[2]]), np.array([0])

    def _made(self, c: Ints, n: Ints, group: Ints) -> dict[str, NDArray[Any]]:
        inside = (c >= 0) & (c <= n)
        c, n = np.where(inside, c, 0), np.where(inside, n, 0)
        row, run = np.nonzero(n)
        runs = Runs.of(row, run, n[row, run], c[row, run])
        family, *seen = self.family.seeing(c.sum(1), (n - c).sum(1), runs)
        cells = distinct(group, *seen)
        a, b = cells.successes.astype(float), cells.failures.astype(float)
        choices = np.zeros(len(a))
        choices[cells.inverse] = log_binomial(n, c).sum(1)
        return {
            **with_spreads(family, family.constants(a, b, self.typical, finer=self.finer)),
            CHOICES: choices,
            GROUP: cells.system,
            ROW: cells.inverse,
        }
