"""Columns of a table that is read by blocks of rows, as Newton steps need them; see `newton.py` for the notation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from regsearch._types import Array, Rows
from regsearch.data.row_table import RowTable
from regsearch.models.linear.as_read import ColumnsAsRead
from regsearch.models.linear.rooms import Room, Rooms

AT_ONCE = 4  # columns that are held: one of five million rows takes 40 MB


@dataclass(frozen=True)
class RowColumns(ColumnsAsRead):
    """Those of a table."""

    table: RowTable

    def predict(self, w: Array) -> Array:
        """``[m, n]`` of coefficients ``[m, a]``."""
        made = np.empty((len(w), len(self.rows)))
        for part, block in self._blocks():
            made[:, part] = w @ block.T
        return made

    def correlate(self, residual: Array) -> Array:
        """``[m, a]`` of residuals ``[m, n]``."""
        total = np.zeros((len(residual), len(self.columns)))
        for part, block in self._blocks():
            total += residual[:, part] @ block
        return total

    def products(self, factors: Array, mask: Array, rooms: Rooms) -> tuple[Array, Array]:
        """``SS'`` in its room, and ``S factors'``; S ``[e, n]`` has each output's columns in play times its factors."""
        count = int(mask.sum())
        gram, edge = rooms.gram.of(count, count), np.zeros((count, len(factors)))
        gram[:] = 0.0
        for part, block in self._blocks():
            pairs = zip(factors[:, part], mask, strict=True)
            stack = np.concatenate([block.T[some] * factor for factor, some in pairs])
            gram += stack @ stack.T
            edge += stack @ factors[:, part].T
        return gram, edge

    def parts(self, room: Room) -> Iterator[tuple[slice, Array]]:
        """The columns ``[a, r]`` of a few rows at a time."""
        return ((part, block.T) for part, block in self._blocks())

    def across(self, weights: Array, some: Rows, room: Room) -> None:
        return None

    def mapped(self, function: Callable[[Array], Array]) -> Array:
        """``[a, r]`` of what makes ``[q, r]`` of columns ``[q, n]``, given some at a time: each reads the table."""
        made = []
        for first in range(0, max(len(self.columns), 1), AT_ONCE):  # of no columns it tells r
            some = [block[:, first : first + AT_ONCE].T for _, block in self._blocks()]
            made.append(function(np.concatenate(some, axis=1)))
        return np.concatenate(made)

    def _blocks(self) -> Iterator[tuple[slice, Array]]:
        whole = len(self.columns) == self.table.shape[1]
        for part, block in self.table.blocks(self.rows):
            some = block if whole else block[:, self.columns]  # both are copies, to be written to
            some -= self.center
            some *= self.inverse
            yield part, some
