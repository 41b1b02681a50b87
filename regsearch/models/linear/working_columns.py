"""Some columns of a fold's training rows, and what Newton steps ask of them; for the notation see `newton.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from regsearch._types import Array, Matrix, Rows
from regsearch.data.row_table import RowTable
from regsearch.models.compiling import compiled
from regsearch.models.linear.blocks import Square, stacked_rows
from regsearch.models.linear.few_rows import are_few, few_times
from regsearch.models.linear.read_columns import COLUMNS_AT_ONCE, LEAST_USED, ReadColumns
from regsearch.models.linear.rooms import Room, Rooms
from regsearch.models.linear.row_columns import RowColumns

Places = NDArray[np.integer]


class ColumnsInPlay(Protocol):
    """Some columns of a fold's training rows, scaled, and what Newton steps ask of them."""

    @property
    def shift(self) -> Array:
        """``[a]``: what is still to be subtracted from each."""
        ...

    def predict(self, w: Array) -> Array:
        """``[m, n]`` of coefficients ``[m, a]``."""
        ...

    def correlate(self, residual: Array) -> Array:
        """``[m, a]`` of residuals ``[m, n]``."""
        ...

    def sums(self, weights: Array) -> Array:
        """``[a]`` of weights ``[n]``, `shift` left out."""
        ...

    def gram(self, weights: Array, columns: Array, rooms: Rooms) -> Array:
        """Weighted products of some columns, `shift` left out."""
        ...

    def products(self, factors: Array, mask: Array, rooms: Rooms) -> tuple[Array, Array]:
        """``SS'`` in its room, and ``S factors'``; S ``[e, n]`` has each output's columns in play times its factors.

        Sparse columns have no use for rooms.
        """
        ...

    def parts(self, room: Room) -> Iterator[tuple[slice, Array]]:
        """The columns ``[a, r]`` of a few rows at a time, `shift` left out; what is copied is in a room meanwhile."""
        ...

    def across(self, weights: Array, some: Rows, room: Room) -> Array | None:
        """Weighted products of some columns with all, where they are at hand as they are; else `None`.

        What comes and goes is in a room meanwhile.
        """
        ...

    def mapped(self, function: Callable[[Array], Array]) -> Array:
        """``[a, r]`` of what makes ``[q, r]`` of columns ``[q, n]``, given a few at a time; `shift` left out."""
        ...


def columns_in_play(
    matrix: Matrix, rows: Rows, columns: Rows, center: Array, inverse: Array, room: Room, in_place: bool = False
) -> ColumnsInPlay:
    """Some columns of a fold's rows, less `center` and times `inverse`, ``[a]``.

    Those of a table stay where they are, others are copied to a room. Dense ones may be read `in_place` as well, for as
    long as the matrix is not filled for another fold.
    """
    if isinstance(matrix, RowTable):
        return RowColumns(rows, columns, center, inverse, matrix)
    if in_place and isinstance(matrix, np.ndarray) and len(rows) > LEAST_USED * len(matrix):
        return ReadColumns(rows, columns, center, inverse, matrix.T)
    return WorkingColumns.of(matrix, rows, columns, center, inverse, room)


@dataclass(frozen=True)
class WorkingColumns:
    """Some columns of a fold's training rows, scaled; dense ones are centred, sparse ones by `shift` alone.

    Attributes
    ----------
    features
        ``[a, n]``, C-ordered or CSR.
    shift
        ``[a]`` what is still to be subtracted from each.
    """

    features: Matrix
    shift: Array

    @classmethod
    def of(cls, matrix: Matrix, rows: Rows, columns: Rows, center: Array, inverse: Array, room: Room) -> WorkingColumns:
        if sparse.issparse(matrix):
            return cls(_sparse_rows(matrix, columns, rows, inverse), center * inverse)
        features = room.of(len(columns), len(rows))
        scale(matrix.T, columns, rows, center, inverse, features)
        return cls(features, np.zeros(len(columns)))

    def predict(self, w: Array) -> Array:
        return np.asarray(w @ self.features - (w @ self.shift)[:, None])

    def correlate(self, residual: Array) -> Array:
        return np.asarray(residual @ self.features.T - residual.sum(axis=1)[:, None] * self.shift)

    def sums(self, weights: Array) -> Array:
        return np.asarray(self.features @ weights)

    def gram(self, weights: Array, columns: Array, rooms: Rooms) -> Array:
        return self.products(np.sqrt(weights)[None], columns[None], rooms)[0]

    def products(self, factors: Array, mask: Array, rooms: Rooms) -> tuple[Array, Array]:
        count, n = int(mask.sum()), factors.shape[1]
        if sparse.issparse(self.features):
            pairs = zip(factors, mask, strict=True)
            stack = sparse.vstack([self.features[some].multiply(factor) for factor, some in pairs], format="csr")
            return _dense(stack @ stack.T), stack @ factors.T
        square, edge = Square(count, rooms.gram), np.zeros((count, len(factors)))
        for part in stacked_rows(n, len(self.shift), count):
            dense = self._stack(factors[:, part], mask, part, rooms.work)
            square.add(dense.T)
            edge += dense @ factors[:, part].T
        return square.whole(), edge

    def parts(self, room: Room) -> Iterator[tuple[slice, Array]]:
        every = stacked_rows(self.features.shape[1], len(self.shift), len(self.shift))
        return ((part, _dense(self.features[:, part])) for part in every)

    def across(self, weights: Array, some: Rows, room: Room) -> Array | None:
        if sparse.issparse(self.features):
            return None
        return np.asarray((self.features[some] * weights) @ self.features.T)

    def mapped(self, function: Callable[[Array], Array]) -> Array:
        starts = range(0, max(len(self.shift), 1), COLUMNS_AT_ONCE)  # of no columns it tells r
        parts = (self.features[start : start + COLUMNS_AT_ONCE] for start in starts)
        return np.concatenate([function(_dense(part)) for part in parts])

    def _stack(self, factors: Array, mask: Array, part: slice, room: Room) -> Array:
        """``[e, rows]`` of dense columns, those of an output after another, in a room."""
        features, ends = self.features[:, part], np.cumsum(mask.sum(axis=1))
        made = room.of(int(ends[-1]), features.shape[1])
        for end, factor, some in zip(ends, factors, mask, strict=True):
            own = features if some.all() else features[some]
            np.multiply(own, factor, out=made[end - len(own) : end])
        return made


@compiled
def scale(turned: Array, columns: Rows, rows: Rows, center: Array, inverse: Array, features: Array) -> None:
    """Write columns ``[a, rows]`` of a matrix turned round ``[p, n]``: less `center`, times `inverse`."""
    for i in range(len(columns)):
        features[i] = (turned[columns[i]][rows] - center[i]) * inverse[i]


def _sparse_rows(matrix: Matrix, columns: Rows, rows: Rows, inverse: Array) -> Matrix:
    """``[a, rows]`` of sparse columns of a matrix, scaled."""
    place: Places = np.full(matrix.shape[0], -1, dtype=matrix.indices.dtype)
    place[rows] = np.arange(len(rows))
    ends: Places = np.zeros(len(columns) + 1, dtype=place.dtype)
    count_entries(matrix.indptr, matrix.indices, columns, place, ends)
    at, data = np.empty(ends[-1], dtype=place.dtype), np.empty(ends[-1])
    copy_entries(matrix.indptr, matrix.indices, matrix.data, columns, place, inverse, at, data)
    return sparse.csr_array((data, at, ends), shape=(len(columns), len(rows)))


@compiled
def count_entries(starts: Places, rows: Places, columns: Rows, place: Places, ends: Places) -> None:
    """Where each of some columns ends, of rows that have a place."""
    for i, j in enumerate(columns):
        ends[i + 1] = ends[i]
        for e in range(starts[j], starts[j + 1]):
            ends[i + 1] += place[rows[e]] >= 0


@compiled
def copy_entries(
    starts: Places, rows: Places, values: Array, columns: Rows, place: Places, inverse: Array, at: Places, data: Array
) -> None:  # fmt: skip
    """Write the entries of some columns in rows that have a place: that place, and the entry times `inverse`."""
    count = 0
    for i, j in enumerate(columns):
        for e in range(starts[j], starts[j + 1]):
            if place[rows[e]] >= 0:
                at[count], data[count] = place[rows[e]], values[e] * inverse[i]
                count += 1


def _dense(product: Matrix) -> Array:
    return np.asarray(product.toarray() if sparse.issparse(product) else product)


def weighted_sums(matrix: Matrix, columns: Rows, weights: Array) -> Array:
    """``[a]`` sums of some columns by weights ``[n]`` of their rows."""
    if not sparse.issparse(matrix):
        return np.asarray(times(weights, matrix)[columns])
    sums = np.zeros(len(columns))
    sum_entries(matrix.indptr, matrix.indices, matrix.data, columns, weights, sums)
    return sums


@compiled
def sum_entries(starts: Places, rows: Places, values: Array, columns: Rows, weights: Array, sums: Array) -> None:
    """Add up the entries of some columns, by weights of their rows."""
    for i, j in enumerate(columns):
        for e in range(starts[j], starts[j + 1]):
            sums[i] += values[e] * weights[rows[e]]


def _all_fives(starts: Places, rows: Places, values: Array, five: Array, made: Array) -> None:
    made[:] = (sparse.csc_array((values, rows, starts), shape=(len(five), made.shape[1])).T @ five).T


def _fives(starts: Places, rows: Places, values: Array, five: Array, made: Array) -> None:
    """Write products of sparse columns with five vectors ``[n, 5]``, to ``[5, p]``."""
    for j in range(len(starts) - 1):
        a, b, c, d, f = 0.0, 0.0, 0.0, 0.0, 0.0
        for e in range(starts[j], starts[j + 1]):
            value, i = values[e], np.uintp(rows[e])  # which does not count from the end
            a += value * five[i, 0]
            b += value * five[i, 1]
            c += value * five[i, 2]
            d += value * five[i, 3]
            f += value * five[i, 4]
        made[0, j], made[1, j], made[2, j], made[3, j], made[4, j] = a, b, c, d, f


fives = compiled(_fives, plain=_all_fives, fastmath={"contract"})


def _sparse_times(few: Array, matrix: Matrix) -> Array:
    """``[r, p]`` of rows ``[r, n]``, five at a time: as many as there are lambdas between two looks at all columns."""
    if len(few) == 1:
        return np.asarray((matrix.T @ few[0])[None])
    made = np.empty((-(-len(few) // 5) * 5, matrix.shape[1]))
    for start in range(0, len(few), 5):
        five = np.zeros((few.shape[1], 5))
        five[:, : len(few) - start] = few[start : start + 5].T
        fives(matrix.indptr, matrix.indices, matrix.data, five, made[start : start + 5])
    return made[: len(few)]


def times(spread: Array, matrix: Matrix) -> Array:
    """``[..., p]`` of ``[..., n]``."""
    flat = spread.reshape(-1, spread.shape[-1])
    if isinstance(matrix, RowTable):
        found = matrix.sums(flat)
    elif sparse.issparse(matrix):
        found = _sparse_times(flat, matrix)
    elif are_few(flat, matrix):
        found = few_times(np.ascontiguousarray(flat), matrix.T)
    else:
        found = flat @ matrix
    return np.asarray(found).reshape(*spread.shape[:-1], -1)
