"""Dense columns of a fold's training rows, read where they lie: for the notation see `newton.py`.

A copy of those that a fold works on, centred and scaled, is as large as the data where most are in use. Products with
one vector take as long from the matrix itself, with zeros for the rows that are held out, and with those of several
outputs the columns that are not in play are read as well; those of columns with each other are formed from copies of a
few rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.compiling import compiled
from regsearch.models.linear.as_read import ColumnsAsRead
from regsearch.models.linear.blocks import Square, stacked_rows
from regsearch.models.linear.rooms import Room, Rooms

COLUMNS_AT_ONCE = 32
LEAST_USED = 0.5  # share of the rows that a fold trains on, below which a copy is smaller, and quicker to read


@dataclass(frozen=True)
class ReadColumns(ColumnsAsRead):
    """Those of a matrix.

    Attributes
    ----------
    turned
        ``[p, N]``: every column of it, all rows of it, one after another.
    """

    turned: Array

    @property
    def _of(self) -> tuple[Array, Rows, Array, Array]:
        return self.turned, self.columns, self.center, self.inverse

    def predict(self, w: Array) -> Array:
        if len(w) > 1:
            scaled = w * self.inverse
            coef = np.zeros((len(w), len(self.turned)))
            coef[:, self.columns] = scaled
            made = np.take(coef @ self.turned, self.rows, axis=1)
            made -= (scaled @ self.center)[:, None]
            return made
        made = np.empty((len(w), len(self.rows)))
        for one, decisions in zip(w, made, strict=True):
            add_up(*self._of, self.rows, one, np.zeros(self.turned.shape[1]), decisions)
        return made

    def correlate(self, residual: Array) -> Array:
        if len(residual) > 1:
            spread = np.zeros((len(residual), self.turned.shape[1]))
            spread[:, self.rows] = residual
            slopes = (spread @ self.turned.T)[:, self.columns]
            return np.asarray((slopes - residual.sum(axis=1)[:, None] * self.center) * self.inverse)
        made, every = np.empty((len(residual), len(self.columns))), np.zeros(self.turned.shape[1])
        for one, slopes in zip(residual, made, strict=True):
            multiply(*self._of, self.rows, one, every, slopes)
        return made

    def products(self, factors: Array, mask: Array, rooms: Rooms) -> tuple[Array, Array]:
        ends = np.cumsum(mask.sum(axis=1))
        square, edge = Square(ends[-1], rooms.gram), np.zeros((ends[-1], len(factors)))
        for part in stacked_rows(len(self.rows), len(self.columns), int(ends[-1])):
            stack = rooms.work.of(int(ends[-1]), len(self.rows[part]))
            for end, factor, some in zip(ends, factors[:, part], mask, strict=True):
                self._copy_of(np.flatnonzero(some), part, factor, stack[end - some.sum() : end])
            square.add(stack.T)
            edge += stack @ factors[:, part].T
        return square.whole(), edge

    def parts(self, room: Room) -> Iterator[tuple[slice, Array]]:
        every = np.arange(len(self.columns))
        for part in stacked_rows(len(self.rows), len(every), len(every)):
            alike = np.ones(len(self.rows[part]))
            yield part, self._copy_of(every, part, alike, room.of(len(every), len(alike)))

    def across(self, weights: Array, some: Rows, room: Room) -> Array:
        made = np.zeros((len(some), len(self.columns)))
        for part, block in self.parts(room):
            made += (block[some] * weights[part]) @ block.T
        return made

    def mapped(self, function: Callable[[Array], Array]) -> Array:
        count, alike = len(self.columns), np.ones(len(self.rows))
        starts = range(0, max(count, 1), COLUMNS_AT_ONCE)  # of no columns it tells r
        some = (np.arange(start, min(start + COLUMNS_AT_ONCE, count)) for start in starts)
        return np.concatenate([function(self._copy_of(one, slice(None), alike)) for one in some])

    def _copy_of(self, some: Rows, part: slice, factor: Array, made: Array | None = None) -> Array:
        """``[q, r]`` of some of the columns and a part of the rows, times a factor of each row."""
        made = np.empty((len(some), len(factor))) if made is None else made
        copied(self.turned, self.columns[some], self.rows[part], self.center[some], self.inverse[some], factor, made)
        return made


def _add_up(
    turned: Array, columns: Rows, center: Array, inverse: Array, rows: Rows, w: Array, every: Array, made: Array
) -> None:  # fmt: skip
    for start in range(0, len(columns), COLUMNS_AT_ONCE):
        some = slice(start, start + COLUMNS_AT_ONCE)
        every += (w[some] * inverse[some]) @ (turned[columns[some]] - center[some, None])
    np.take(every, rows, out=made)


def _add_up_numbers(
    turned: Array, columns: Rows, center: Array, inverse: Array, rows: Rows, w: Array, every: Array, made: Array
) -> None:  # fmt: skip
    """Add up columns ``[N]`` times coefficients ``[a]``, four that are not zero at a time, and write some rows."""
    used, n, start = np.flatnonzero(w), every.shape[0], 0
    while start + 4 <= used.shape[0]:
        c, d, e, f = used[start], used[start + 1], used[start + 2], used[start + 3]
        one, two, three, four = turned[columns[c]], turned[columns[d]], turned[columns[e]], turned[columns[f]]
        at_c, at_d, at_e, at_f = center[c], center[d], center[e], center[f]
        by_c, by_d, by_e, by_f = w[c] * inverse[c], w[d] * inverse[d], w[e] * inverse[e], w[f] * inverse[f]
        for i in range(n):
            every[i] += (
                (one[i] - at_c) * by_c + (two[i] - at_d) * by_d + (three[i] - at_e) * by_e + (four[i] - at_f) * by_f
            )
        start += 4
    for place in range(start, used.shape[0]):
        c = used[place]
        one, at_c, by_c = turned[columns[c]], center[c], w[c] * inverse[c]
        for i in range(n):
            every[i] += (one[i] - at_c) * by_c
    for i in range(rows.shape[0]):
        made[i] = every[rows[i]]


def _multiply(
    turned: Array, columns: Rows, center: Array, inverse: Array, rows: Rows, own: Array, residual: Array,
    made: Array,
) -> None:  # fmt: skip
    residual[rows] = own
    for start in range(0, len(columns), COLUMNS_AT_ONCE):
        some = slice(start, start + COLUMNS_AT_ONCE)
        made[some] = (turned[columns[some]] - center[some, None]) @ residual * inverse[some]


def _multiply_numbers(
    turned: Array, columns: Rows, center: Array, inverse: Array, rows: Rows, own: Array, residual: Array,
    made: Array,
) -> None:  # fmt: skip
    """Write the product ``[a]`` of each column with a residual, four at a time; that of other rows ``[N]`` is 0."""
    count, n, j = columns.shape[0], residual.shape[0], 0
    for i in range(rows.shape[0]):
        residual[rows[i]] = own[i]
    while j + 4 <= count:
        one, two, three, four = (
            turned[columns[j]], turned[columns[j + 1]], turned[columns[j + 2]], turned[columns[j + 3]]
        )  # fmt: skip
        at_one, at_two, at_three, at_four = center[j], center[j + 1], center[j + 2], center[j + 3]
        of_one, of_two, of_three, of_four = 0.0, 0.0, 0.0, 0.0
        for i in range(n):
            of_one += (one[i] - at_one) * residual[i]
            of_two += (two[i] - at_two) * residual[i]
            of_three += (three[i] - at_three) * residual[i]
            of_four += (four[i] - at_four) * residual[i]
        made[j], made[j + 1] = of_one * inverse[j], of_two * inverse[j + 1]
        made[j + 2], made[j + 3] = of_three * inverse[j + 2], of_four * inverse[j + 3]
        j += 4
    for place in range(j, count):
        one, at_one, of_one = turned[columns[place]], center[place], 0.0
        for i in range(n):
            of_one += (one[i] - at_one) * residual[i]
        made[place] = of_one * inverse[place]


def _copy(
    turned: Array, columns: Rows, rows: Rows, center: Array, inverse: Array, factor: Array, made: Array
) -> None:  # fmt: skip
    for place, j in enumerate(columns):
        made[place] = (turned[j, rows] - center[place]) * inverse[place] * factor


def _copy_numbers(
    turned: Array, columns: Rows, rows: Rows, center: Array, inverse: Array, factor: Array, made: Array
) -> None:  # fmt: skip
    """Write columns ``[q, r]``: less `center`, times `inverse` and the factor of each row."""
    for place in range(columns.shape[0]):
        column, at, by = turned[columns[place]], center[place], inverse[place]
        for i in range(rows.shape[0]):
            made[place, i] = (column[rows[i]] - at) * by * factor[i]


SUMS = {"reassoc", "contract"}  # what lets sums of numbers go to vector instructions: in another order, always the same
add_up = compiled(_add_up_numbers, _add_up, fastmath={"contract"})
multiply = compiled(_multiply_numbers, _multiply, fastmath=SUMS)
copied = compiled(_copy_numbers, _copy)
