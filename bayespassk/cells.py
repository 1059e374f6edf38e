"""Distinct rows: outcomes that are equal are evaluated once and weighted."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bayespassk.arrays import Ints

__all__ = ["Cells", "Histogram", "coded", "distinct"]


@dataclass(frozen=True)
class Cells:
    """The distinct (system, successes, failures) among the rows of a `Counts`.

    Attributes
    ----------
    system : array of int, dims (cell,)
        Position of the system.
    successes, failures : array of int, dims (cell,)
        Successful and failed attempts at a problem.
    problems : array of int, dims (cell,)
        How many problems have these counts.
    inverse : array of int, dims (row,)
        The cell of each row.
    """

    system: Ints
    successes: Ints
    failures: Ints
    problems: Ints
    inverse: Ints

    def of_system(self, system: int) -> "Cells":
        """Return the cells of one system, renumbered as the only one (position 0)."""
        mine = self.system == system
        position = np.cumsum(mine) - 1
        rows = mine[self.inverse]
        return Cells(
            np.zeros(mine.sum(), dtype=np.int64),
            self.successes[mine],
            self.failures[mine],
            self.problems[mine],
            position[self.inverse[rows]],
        )

    def histogram(self, values: Ints) -> "Histogram":
        """Return how many problems of each system have each of `values`, dims (cell,)."""
        first, inverse = _group(self.system, values)
        problems = np.bincount(inverse, weights=self.problems).astype(np.int64)
        return Histogram(self.system[first], values[first], problems)


class Histogram(NamedTuple):
    """Distinct (system, value) and how many problems have them, dims (value,)."""

    system: Ints
    value: Ints
    problems: Ints


def distinct(system: Ints, successes: Ints, failures: Ints) -> Cells:
    """Return the distinct rows of three columns of integers, in sorted order."""
    first, inverse = _group(system, successes, failures)
    problems = np.bincount(inverse).astype(np.int64)
    return Cells(system[first], successes[first], failures[first], problems, inverse)


def _group(*columns: Ints) -> tuple[Ints, Ints]:
    """Return the first row of each distinct combination, and the combination of each row.

    One combination at a time is packed into a single integer. The packed integer is at most the
    number of rows times the number of distinct values of a column, so it cannot overflow.
    """
    number, codes = 1, np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        more, code = coded(column)
        number, codes = coded(codes * more + code)
    first = np.empty(number, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return first, codes


def coded(values: Ints) -> tuple[int, Ints]:
    """Return how many distinct numbers from 0 there are, and the position of each among them.

    Without sorting, which takes longest where there are many, unless they are large or negative.
    """
    width = int(values.max(initial=0)) + 1
    if width > max(1000, 4 * len(values)) or values.min(initial=0) < 0:
        distinct, codes = np.unique(values, return_inverse=True)
        return len(distinct), codes
    there = np.zeros(width, dtype=bool)
    there[values] = True
    position = np.cumsum(there) - 1
    return int(position[-1]) + 1, position[values]
