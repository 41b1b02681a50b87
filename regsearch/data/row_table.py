"""A table of numbers too large to be copied: its rows are read a block at a time, as float64, from where they lie.

How a table is read depends on its shape alone, so that the same numbers say the same in memory and in a mapped file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows
from regsearch.data.features import is_frame, is_sparse
from regsearch.data.mapped import one_array

WHOLE = 2**23  # numbers of a table up to which a copy in float64 is no matter
BLOCK = 2**18  # numbers of a block
COLUMNS = 2**25  # numbers of some whole columns that are read together, where rows do not do


@dataclass(frozen=True, eq=False)
class RowTable:
    """Numbers ``[n, p]``, held as they were given.

    Attributes
    ----------
    values
        ``[n, p]`` of any type of numbers.
    fills
        ``[p]``: what missing entries are read as; `None` leaves them.
    notice
        Told what rows are read for, and how many have been.
    zeroed
        A column that is read as zeros; `None` for none.
    """

    values: NDArray[Any]
    fills: Array | None = None
    notice: Callable[[str], None] = lambda text: None
    zeroed: int | None = None

    __array_ufunc__ = None  # an array leaves products to this class

    @classmethod
    def of(cls, X: Any) -> RowTable | None:
        """That of a large table of one type of numbers; `None` where X is small or something else."""
        if is_sparse(X) or X.ndim != 2 or X.shape[0] * X.shape[1] <= WHOLE:
            return None
        values = one_array(X) if is_frame(X) else X
        return None if values is None else cls(values)

    @property
    def shape(self) -> tuple[int, int]:
        n, p = self.values.shape
        return int(n), int(p)

    def filled(self, fills: Array) -> RowTable:
        """The same with other fills."""
        return replace(self, fills=fills)

    def __getitem__(self, rows: Rows | slice) -> Array:
        """Some rows ``[r, p]``, a copy in C order."""
        some = self.values[rows] if isinstance(rows, slice) else self.values.take(rows, axis=0)
        block = np.array(some, dtype=np.float64, order="C")
        if self.fills is not None:
            np.copyto(block, self.fills, where=np.isnan(block))
        if self.zeroed is not None:
            block[:, self.zeroed] = 0.0
        return block

    def blocks(self, rows: Rows | None = None, what: str = "") -> Iterator[tuple[slice, Array]]:
        """All rows in their order, or some, with the part of them that each block is; `what` they are read for."""
        n, p = self.shape
        count, size = n if rows is None else len(rows), max(1, BLOCK // p)
        for start in range(0, count, size):
            if what:
                self.notice(f"{what}: {start / count:.0%} of {count} rows")
            part = slice(start, min(start + size, count))
            yield part, self[part if rows is None else rows[part]]
        if what:
            self.notice("")

    def column_blocks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Some whole columns ``[n, c]`` at a time, of the type that they have."""
        n, p = self.shape
        size = max(1, COLUMNS // n)
        for start in range(0, p, size):
            part = slice(start, min(start + size, p))
            columns = self.values[:, part]
            if self.fills is not None:
                columns = np.where(np.isnan(columns), self.fills[part], columns)
            if self.zeroed is not None and part.start <= self.zeroed < part.stop:
                columns = np.where(np.arange(part.start, part.stop) == self.zeroed, columns.dtype.type(0), columns)
            yield part, columns

    def __matmul__(self, coef: Array) -> Array:
        """``[n, q]`` of coefficients ``[p, q]``."""
        made = np.empty((self.shape[0], coef.shape[1]))
        for part, block in self.blocks():
            made[part] = block @ coef
        return made

    def sums(self, weights: Array) -> Array:
        """``[..., p]`` weighted sums of the columns, by weights ``[..., n]``."""
        total = np.zeros((*weights.shape[:-1], self.shape[1]))
        for part, block in self.blocks():
            total += weights[..., part] @ block
        return total

    @cached_property
    def missing(self) -> RowHoles | None:
        """The missing entries, if there are any."""
        if self.values.dtype.kind != "f":
            return None
        holes = RowHoles()
        return holes if any(np.isnan(block).any() for _, block in self.blocks()) else None


class RowHoles:
    """Missing entries of a `RowTable`, to fill inside each fold; see `regsearch.data.encoding.Missing`."""

    def fills(self, table: RowTable, weights: Array) -> Array:
        """One fill per column: the mean of what was observed, by weights ``[n]``; of a column never observed, 0."""
        total, seen = np.zeros(table.shape[1]), np.zeros(table.shape[1])
        for part, block in table.blocks():
            known = ~np.isnan(block)
            total += weights[part] @ np.where(known, block, 0.0)
            seen += weights[part] @ known
        return np.divide(total, seen, out=np.zeros_like(total), where=seen > 0)

    def fill(self, table: RowTable, fills: Array) -> RowTable:
        """The table, read with these fills."""
        return table.filled(fills)
