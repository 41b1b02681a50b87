"""What coefficients make of the rows of a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Matrix, Rows
from regsearch.data.row_table import RowTable
from regsearch.models.compiling import compiled
from regsearch.models.linear.blocks import NUMBERS, some_rows
from regsearch.models.linear.fours import add_to_four

Places = NDArray[np.int32]
LEAST = 32  # columns that are copied at a time ...
AT_ONCE = 2**13  # ... or numbers, where they do not lie by columns
EIGHT, FOUR = 8, 4  # columns, and decisions, that are at hand together ...
ROWS = 4104  # ... of so many rows: few enough to stay in the cache


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

    @property
    def apart(self) -> bool:
        """Whether no row is in two of them."""
        return bool((np.diff(self.rows) > 0).all())

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
    made = np.empty((count, len(parts.rows)))
    _write(matrix, coef, np.zeros((folds, count)), parts, parts.places, made)
    return parts.split(made)


def decisions_of_rows(matrix: Array, coef: Array, intercept: Array, parts: Parts) -> Array:
    """``[C, n]`` of rows that are in one part at most, by that one's coefficients ``[F, C, p]``; NaN of any other row.

    Intercepts ``[F, C]`` are added.
    """
    made = np.empty((coef.shape[1], len(matrix)))
    if len(parts.rows) < len(matrix):
        made.fill(np.nan)
    _write(matrix, coef, intercept, parts, parts.rows, made)
    return made


def _write(matrix: Array, coef: Array, intercept: Array, parts: Parts, places: Places, made: Array) -> None:
    """Write decisions ``[C, ...]`` of the rows of parts to places."""
    used = np.flatnonzero(coef.any(axis=(0, 1)))
    columns = np.zeros(-(-len(used) // EIGHT) * EIGHT, dtype=np.intp)
    columns[: len(used)] = used
    weights, starts = _by_fours(coef[:, :, used], EIGHT), _by_fours(intercept[:, :, None], 1)[0, :, :, 0]
    write = write_parts if matrix.flags.f_contiguous else _write_all_parts
    write(matrix.T, parts.rows, places, parts.folds, columns, weights, starts, made)


def _by_fours(coef: Array, size: int) -> Array:
    """Coefficients ``[F, C, a]`` as ``[a / size, C / 4, F, size, 4]``, the decisions last; what is more is zero."""
    folds, count, width = len(coef), -(-coef.shape[1] // FOUR), -(-coef.shape[2] // size)
    padded = np.zeros((folds, FOUR * count, size * width))
    padded[:, : coef.shape[1], : coef.shape[2]] = coef
    return np.ascontiguousarray(padded.reshape(folds, count, FOUR, width, size).transpose(3, 1, 0, 4, 2))


def _write_all_parts(
    turned: Array, rows: Places, places: Places, folds: Places, columns: Rows, weights: Array, starts: Array,
    made: Array,
) -> None:  # fmt: skip
    for k in range(starts.shape[1]):
        own = np.flatnonzero(folds == k)
        of_fold = weights[:, :, k].transpose(1, 3, 0, 2).reshape(FOUR * len(starts), -1)
        for part in some_rows(len(own), len(columns), AT_ONCE, LEAST):
            found = of_fold @ turned[columns[:, None], rows[own[part]]] + starts[:, k].reshape(-1, 1)
            made[:, places[own[part]]] = found[: len(made)]


@compiled
def _add_columns(turned: Array, columns: Rows, rows: Places, folds: Places, weights: Array, sums: Array) -> None:
    """Add to four sums of some rows, one row behind another, what eight columns of ``[p, n]`` make of them.

    Weights ``[F, 8, 4]`` are those of the columns for the four, by the fold of a row.
    """
    a, b, c, d = turned[columns[0]], turned[columns[1]], turned[columns[2]], turned[columns[3]]
    e, f, g, h = turned[columns[4]], turned[columns[5]], turned[columns[6]], turned[columns[7]]
    for i in range(len(rows)):
        r, at, place = np.uintp(rows[i]), FOUR * i, EIGHT * FOUR * folds[i]  # which does not count from the end
        add_to_four(sums, at, weights, place, a[r], b[r], c[r], d[r], e[r], f[r], g[r], h[r])


def _write_parts(
    turned: Array, rows: Places, places: Places, folds: Places, columns: Rows, weights: Array, starts: Array,
    made: Array,
) -> None:  # fmt: skip
    """Write to ``[C, ...]`` what columns ``[a]`` of ``[p, n]`` make of parts of rows, by weights of `_by_fours`.

    Columns are read as they lie, and every row has the weights of its fold, and its starts ``[C / 4, F, 4]``.
    """
    groups = len(starts)
    sums, some = np.empty((groups, FOUR * ROWS)), np.empty(starts.shape[1] * EIGHT * FOUR)
    for first in range(0, len(rows), ROWS):
        here, there, of = rows[first : first + ROWS], places[first : first + ROWS], folds[first : first + ROWS]
        for c in range(groups):
            for i in range(len(here)):
                for q in range(FOUR):
                    sums[c, FOUR * i + q] = starts[c, of[i], q]
        for j in range(len(weights)):
            for c in range(groups):
                some[:] = weights[j, c].ravel()
                if some.any():
                    _add_columns(turned, columns[EIGHT * j : EIGHT * j + EIGHT], here, of, some, sums[c])
        for c in range(len(made)):
            for i in range(len(here)):
                made[c, there[i]] = sums[c // FOUR, FOUR * i + c % FOUR]


write_parts = compiled(_write_parts, _write_all_parts)
