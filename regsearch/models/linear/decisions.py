"""What coefficients make of the rows of a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np

from regsearch._types import Array, Matrix, Rows
from regsearch.data.row_table import RowTable
from regsearch.models.compiling import compiled
from regsearch.models.linear.blocks import NUMBERS

LEAST = 32  # columns that are copied at a time
UNROLLED = 4  # columns, and decisions, that are at hand together ...
ROWS = 1032  # ... of so many rows: few enough to stay in the cache, and none that lie a power of two apart


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


def decisions_of_parts(matrix: Matrix, coef: Array, parts: Sequence[Rows]) -> list[Array]:
    """``[C, r]`` of some rows of a matrix ``[n, p]``, a part for each of the coefficients ``[F, C, p]``."""
    folds, count, p = coef.shape
    if not isinstance(matrix, np.ndarray):
        every = decisions(matrix, coef.reshape(-1, p)).reshape(folds, count, -1)
        return [one[:, rows] for one, rows in zip(every, parts, strict=True)]
    used, ends = [np.flatnonzero(own.any(axis=0)) for own in coef], np.cumsum([0, *map(len, parts)])
    rows, width = (UNROLLED * -(-size // UNROLLED) for size in (count, max(map(len, used))))  # what is more is zero
    columns, few = np.zeros((folds, width), dtype=np.intp), np.zeros((folds, rows, width))
    for some, own, place, here in zip(used, coef, columns, few, strict=True):
        place[: len(some)], here[:count, : len(some)] = some, own[:, some]
    made = np.zeros((rows, ends[-1]))
    add_parts(matrix.T, np.concatenate(parts), ends, columns, few, made)
    return [made[:count, start:end] for start, end in pairwise(ends)]


def _add_parts(turned: Array, rows: Rows, ends: Rows, columns: Rows, coef: Array, made: Array) -> None:
    for some, of_fold, (start, end) in zip(columns, coef, pairwise(ends), strict=True):
        made[:, start:end] += of_fold @ turned[some[:, None], rows[start:end]]


@compiled
def _copy(turned: Array, columns: Rows, rows: Rows, values: Array) -> None:
    """Write some rows of four columns of ``[p, n]`` one column behind another, each in a room of its own."""
    one, two, three, four = turned[columns[0]], turned[columns[1]], turned[columns[2]], turned[columns[3]]
    for i in range(len(rows)):
        row = np.uintp(rows[i])  # which does not count from the end
        values[i], values[ROWS + i] = one[row], two[row]
        values[2 * ROWS + i], values[3 * ROWS + i] = three[row], four[row]


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


def _add_numbers_of_parts(turned: Array, rows: Rows, ends: Rows, columns: Rows, coef: Array, made: Array) -> None:
    """Add to ``[C, rows]`` what columns ``[F, a]`` of ``[p, n]`` make of each part, by coefficients ``[F, C, a]``.

    Both C and a are multiples of four. Of some rows of each part folds come inside columns, so that these are read
    while they are in the cache; what is summed lies in rooms of one length, so that numbers are added four at a time.
    """
    folds, count, width = coef.shape
    values, sums = np.empty(UNROLLED * ROWS), np.empty(folds * count * ROWS)
    longest = np.max(ends[1:] - ends[:-1])
    for start in range(0, longest, ROWS):
        for at in range(0, len(sums), ROWS):
            sums[at : at + min(longest - start, ROWS)] = 0.0
        for j in range(0, width, UNROLLED):
            for k in range(folds):
                here = rows[ends[k] + start : min(ends[k] + start + ROWS, ends[k + 1])]
                if not len(here) or not coef[k, :, j : j + UNROLLED].any():
                    continue
                _copy(turned, columns[k, j : j + UNROLLED], here, values)
                for c in range(0, count, UNROLLED):
                    w = coef[k, c : c + UNROLLED, j : j + UNROLLED]
                    at = (k * count + c) * ROWS
                    _add_products(values, w, sums[at : at + UNROLLED * ROWS], len(here))
        for k in range(folds):
            first, end = ends[k] + start, min(ends[k] + start + ROWS, ends[k + 1])
            for c in range(count if end > first else 0):
                at = (k * count + c) * ROWS
                made[c, first:end] += sums[at : at + end - first]


add_parts = compiled(_add_numbers_of_parts, _add_parts, fastmath={"contract"})
