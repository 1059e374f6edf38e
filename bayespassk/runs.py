"""Runs: how the attempts at each problem divide into seeds, days, workers or temperatures."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayespassk.arrays import Ints
from bayespassk.errors import CountsError

__all__ = ["Runs"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Runs:
    """Attempts and successes of each run at each problem; what :class:`bayespassk.Counts` adds up.

    Attributes
    ----------
    row : array of int, dims (piece,)
        Which row of the counts a piece is of, in order.
    run : array of int, dims (piece,)
        Which of `names` it is.
    attempts, successes : array of int, dims (piece,)
        Of this run at this problem: 1 or more, and 0 to `attempts`.
    names : tuple of str
        What the runs are called. Runs of one name at several problems are one.
    """

    row: Ints
    run: Ints
    attempts: Ints
    successes: Ints
    names: tuple[str, ...]

    @classmethod
    def of(
        cls, row: Ints, names: Iterable[Any] | NDArray[Any], attempts: Ints, successes: Ints
    ) -> "Runs":
        """Return the runs of pieces in any order, several of which may be of one run at a row."""
        text = np.array([str(name) for name in names], dtype=object)
        known = list(dict.fromkeys(text))
        position = {name: i for i, name in enumerate(known)}
        run = np.fromiter(map(position.__getitem__, text), np.int64, len(text))
        key, inverse = np.unique(row * max(1, len(known)) + run, return_inverse=True)
        made, solved = (
            np.bincount(inverse, values, len(key)).astype(np.int64)
            for values in (attempts, successes)
        )
        some = made > 0
        key = key[some]
        return cls(
            row=key // max(1, len(known)),
            run=key % max(1, len(known)),
            attempts=made[some],
            successes=solved[some],
            names=tuple(known),
        )

    def totals(self, rows: int) -> tuple[Ints, Ints]:
        """Return attempts and successes of so many rows, dims (row,)."""
        made, solved = (
            np.bincount(self.row, values, rows).astype(np.int64)
            for values in (self.attempts, self.successes)
        )
        return made, solved

    def check(self, attempts: Ints, successes: Ints) -> None:
        """Raise an error unless runs add up to the counts.

        Raises
        ------
        CountsError
            If they do not at a row.
        """
        made, solved = self.totals(len(attempts))
        bad = np.flatnonzero((made != attempts) | (solved != successes))
        if len(bad):
            first = int(bad[0])
            raise CountsError(
                "the runs of a problem must add up to its attempts and successes: "
                f"{len(bad):,} of {len(attempts):,} rows break this, the first is row {first + 1}: "
                f"{solved[first]:,} of {made[first]:,} in runs, {successes[first]:,} of "
                f"{attempts[first]:,} in all. What to do: give counts and runs of the same attempts"
            )

    def of_rows(self, rows: NDArray[Any]) -> "Runs":
        """Return those of some rows, by position or as a mask, renumbered in the order given."""
        index = np.flatnonzero(rows) if rows.dtype == bool else np.asarray(rows)
        start = np.searchsorted(self.row, index)
        number = np.searchsorted(self.row, index, side="right") - start
        first = np.repeat(start - np.append(0, number.cumsum()[:-1]), number)
        piece = first + np.arange(number.sum())
        return Runs(
            row=np.repeat(np.arange(len(index)), number),
            run=self.run[piece],
            attempts=self.attempts[piece],
            successes=self.successes[piece],
            names=self.names,
        )

    def columns(self) -> dict[str, Ints]:
        """Return the numbers by name, dims (piece,)."""
        return {name: getattr(self, name) for name in ("row", "run", "attempts", "successes")}

    @property
    def shared(self) -> bool:
        """Whether some run is of several problems: its name says more than which attempts it is."""
        return bool(len(self.row) > len(np.unique(self.run)))
