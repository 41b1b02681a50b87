"""What coefficients make of the rows of a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Matrix, Rows
from regsearch.data.row_table import RowTable
from regsearch.models.compiling import compiled
from regsearch.models.linear.blocks import NUMBERS

Places = NDArray[np.int32]
LEAST = 32  # columns that are copied at a time
UNROLLED = 4  # columns, and decisions, that are at hand together ...
ROWS = 2056  # ... of so many rows: few enough to stay in the cache, and none that lie a power of two apart


def decisions(matrix: Matrix, coef: Array) -> Array:
    """``[C, n]`` of a matrix ``[n, p]`` and coefficients ``[C, p]``, reading few columns where few are in use."""
    used = np.flatnonzero(coef.any(axis=0))
    return decisions_of_columns(matrix, used, coef[:, used])


def decisions_of_columns(matrix: Matrix, columns: Rows, coef: Array) -> Array:
    """``[C, n]`` of a matrix ``[n, p]`` and coefficients ``[C, a]`` of some columns, ascending."""
    p = matrix.shape[1]
    few, dense = len(columns) < p / 2, isinstance(matrix, np.ndarray)
    if few and dense:
        return _of_some(matrix, columns, coef)
    if few and not isinstance(matrix, RowTable):
        return np.asarray((matrix[:, columns] @ coef.T).T)
    if len(columns) < p:
        some, coef = coef, np.zeros((len(coef), p))
        coef[:, columns] = some
    return np.asarray(coef @ matrix.T if dense else (matrix @ coef.T).T)  # few coefficients: quicker turned round


def _of_some(matrix: Array, columns: Rows, coef: Array) -> Array:
    """The same, of copies of a few columns at a time."""
    made, size = np.zeros((len(coef), len(matrix))), max(LEAST, NUMBERS // max(len(matrix), 1))
    for start in range(0, len(columns), size):
        part = slice(start, start + size)
        made += coef[:, part] @ matrix.T[columns[part]]
    return made


def of_rows(values: Array, rows: Rows) -> Array:
    """Values ``[n, ...]`` of some rows, taken along the axis by which they lie."""
    turned = values.T
    return np.take(turned, rows, axis=-1).T if turned.flags.c_contiguous else values[rows]


@dataclass(frozen=True)
class Parts:
    """Rows of a matrix, a part for each fold, one behind another.

    Attributes
    ----------
    rows, places, folds
        ``[r]``: the rows of all parts in their order, as columns are read, the place of each, and whose it is.
    ends
        ``[F + 1]``: where each part begins, and the last one ends.
    """

    rows: Places
    places: Places
    folds: Places
    ends: Rows

    @classmethod
    def of(cls, parts: Sequence[Rows]) -> Parts:
        rows, sizes = np.concatenate(parts).astype(np.int32), [len(part) for part in parts]
        places, folds = np.argsort(rows, kind="stable"), np.repeat(np.arange(len(parts), dtype=np.int32), sizes)
        return cls(rows[places], places.astype(np.int32), folds[places], np.cumsum([0, *sizes]))

    def split(self, values: Array) -> list[Array]:
        """``[C, r]`` of all parts as those of each."""
        return [values[:, start:end] for start, end in pairwise(self.ends)]


def decisions_of_parts(matrix: Matrix, coef: Array, parts: Parts) -> list[Array]:
    """``[C, r]`` of the rows of each part of a matrix ``[n, p]``, by coefficients ``[F, C, p]``."""
    folds, count, p = coef.shape
    if not isinstance(matrix, np.ndarray):
        rows = np.empty_like(parts.rows)
        rows[parts.places] = parts.rows
        every = decisions(matrix, coef.reshape(-1, p)).reshape(folds, count, -1)
        return [one[:, some] for one, some in zip(every, np.split(rows, parts.ends[1:-1]), strict=True)]
    used = np.flatnonzero(coef.any(axis=(0, 1)))
    padded, width = (UNROLLED * -(-size // UNROLLED) for size in (count, len(used)))  # what is more is zero
    columns, few = np.zeros(width, dtype=np.intp), np.zeros((folds, padded, width))
    columns[: len(used)], few[:, :count, : len(used)] = used, coef[:, :, used]
    made = np.empty((padded, len(parts.rows)))
    write_parts(matrix.T, parts.rows, parts.places, parts.folds, columns, few, made)
    return parts.split(made[:count])


def _write_all_parts(
    turned: Array, rows: Places, places: Places, folds: Places, columns: Rows, coef: Array, made: Array
) -> None:
    for k, of_fold in enumerate(coef):
        made[:, places[folds == k]] = of_fold @ turned[columns[:, None], rows[folds == k]]


@compiled
def _sort(folds: Places, sorted_to: Rows, starts: Rows) -> None:
    """Write where each of some rows goes for those of a fold to lie together, and where each fold begins there."""
    count = np.zeros(len(starts), dtype=np.intp)
    for i in range(len(folds)):
        count[folds[i] + 1] += 1
    for k in range(1, len(starts)):
        count[k] += count[k - 1]
    starts[:] = count
    for i in range(len(folds)):
        sorted_to[i] = count[folds[i]]
        count[folds[i]] += 1


@compiled
def _copy(turned: Array, columns: Rows, rows: Places, sorted_to: Rows, values: Array) -> None:
    """Write some rows of four columns of ``[p, n]``, one column behind another, each in a room of its own."""
    one, two, three, four = turned[columns[0]], turned[columns[1]], turned[columns[2]], turned[columns[3]]
    for i in range(len(rows)):
        row, to = np.uintp(rows[i]), np.uintp(sorted_to[i])  # which do not count from the end
        values[to], values[ROWS + to] = one[row], two[row]
        values[2 * ROWS + to], values[3 * ROWS + to] = three[row], four[row]


@partial(compiled, fastmath={"contract"})
def _add_products(values: Array, w: Array, sums: Array, count: int) -> None:
    """Add to four sums what four columns, copied, make of so many rows by coefficients ``[4, 4]``."""
    a, b, d, e = w[0, 0], w[0, 1], w[0, 2], w[0, 3]
    f, g, h, m = w[1, 0], w[1, 1], w[1, 2], w[1, 3]
    o, p, q, r = w[2, 0], w[2, 1], w[2, 2], w[2, 3]
    s, t, u, v = w[3, 0], w[3, 1], w[3, 2], w[3, 3]
    for i in range(count):
        x1, x2, x3, x4 = values[i], values[ROWS + i], values[2 * ROWS + i], values[3 * ROWS + i]
        sums[i] += x1 * a + x2 * b + x3 * d + x4 * e
        sums[ROWS + i] += x1 * f + x2 * g + x3 * h + x4 * m
        sums[2 * ROWS + i] += x1 * o + x2 * p + x3 * q + x4 * r
        sums[3 * ROWS + i] += x1 * s + x2 * t + x3 * u + x4 * v


def _write_parts(
    turned: Array, rows: Places, places: Places, folds: Places, columns: Rows, coef: Array, made: Array
) -> None:
    """Write to ``[C, r]`` what columns ``[a]`` of ``[p, n]`` make of parts of rows, by coefficients ``[F, C, a]``.

    Both C and a are multiples of four. Columns are read as they lie, and copied with the rows of a fold together.
    """
    fold_count, count, width = coef.shape
    values, sums = np.empty(UNROLLED * ROWS), np.empty(count * ROWS)
    sorted_to, starts = np.empty(ROWS, dtype=np.intp), np.empty(fold_count + 1, dtype=np.intp)
    for first in range(0, len(rows), ROWS):
        here, there = rows[first : first + ROWS], places[first : first + ROWS]
        _sort(folds[first : first + ROWS], sorted_to, starts)
        sums[:] = 0.0
        for j in range(0, width, UNROLLED):
            _copy(turned, columns[j : j + UNROLLED], here, sorted_to, values)
            for k in range(fold_count):
                start, size = starts[k], starts[k + 1] - starts[k]
                for c in range(0, count, UNROLLED):
                    w = coef[k, c : c + UNROLLED, j : j + UNROLLED]
                    if size and w.any():
                        _add_products(values[start:], w, sums[c * ROWS + start :], size)
        for c in range(count):
            for i in range(len(here)):
                made[c, there[i]] = sums[c * ROWS + sorted_to[i]]


write_parts = compiled(_write_parts, _write_all_parts, fastmath={"contract"})
