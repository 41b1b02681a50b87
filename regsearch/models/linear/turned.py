"""Symmetric matrices in other axes, which each group of rows and columns has of its own: one pass over memory.

Householder's reflection ``1 - v v' / (1 + |u|)`` moves a direction to the first axis of its group, u being the first
number of the direction and v that direction with a one of the sign of u added to it there.

Notation and shapes

========  =========  ===========================================================================
symbol    shape      meaning
========  =========  ===========================================================================
a, G      int        rows that are read, and groups of them
matrix    [b, b]     symmetric; b is no less than a
some      [a]        which of its rows and columns, group by group
first     [G + 1]    where each group begins there
normal    [a]        v
share     [a]        v / (1 + |u|)
place     [a]        where what is read is written to
made      [a, a]     of either precision, whose lower triangle is written
========  =========  ===========================================================================
"""

from __future__ import annotations

import numpy as np

from regsearch._types import Array, Reals, Rows
from regsearch.models.compiling import compiled


@compiled
def _read(
    matrix: Reals, some: Rows, first: Rows, normal: Array, share: Array, start: int, group: int, rows: Array,
    sums: Array,
) -> None:  # fmt: skip
    """Write a group's rows, turned from either side, to the first of `rows`: from the columns of `start` to its own.

    Parameters
    ----------
    start, group
        Numbers of groups.
    sums
        ``[a]``, which is overwritten.
    """
    left, top, end = first[start], first[group], first[group + 1]
    sums[: end - left] = 0.0
    for i in range(top, end):
        read, row = matrix[some[i]], rows[i - top]
        for j in range(left, end):
            row[j - left] = read[some[j]]
            sums[j - left] += normal[i] * row[j - left]
    for i in range(top, end):
        row = rows[i - top]
        for j in range(end - left):
            row[j] -= share[i] * sums[j]
        for g in range(start, group + 1):
            along = 0.0
            for j in range(first[g], first[g + 1]):
                along += normal[j] * row[j - left]
            for j in range(first[g], first[g + 1]):
                row[j - left] -= share[j] * along


def _turned(matrix: Reals, some: Rows, first: Rows, normal: Array, share: Array) -> Array:
    """``[a, a]``, all of it."""
    made = np.asarray(matrix[np.ix_(some, some)], dtype=np.float64)
    for _ in range(2):  # from either side
        sums = np.add.reduceat(normal[:, None] * made, first[:-1])
        made = (made - share[:, None] * np.repeat(sums, np.diff(first), axis=0)).T
    return made


def _diagonal_of_all(matrix: Reals, some: Rows, first: Rows, normal: Array, share: Array) -> Array:
    return np.diag(_turned(matrix, some, first, normal, share)).copy()


def _diagonal(matrix: Reals, some: Rows, first: Rows, normal: Array, share: Array) -> Array:
    """``[a]``: what is on the diagonal of a matrix that is turned."""
    found, most = np.empty(len(some)), 0
    for g in range(len(first) - 1):
        most = max(most, first[g + 1] - first[g])
    rows, sums = np.empty((most, most)), np.empty(most)
    for g in range(len(first) - 1):
        _read(matrix, some, first, normal, share, g, g, rows, sums)
        for i in range(first[g + 1] - first[g]):
            found[first[g] + i] = rows[i, i]
    return found


turned_diagonal = compiled(_diagonal, plain=_diagonal_of_all)


def _write_all(
    matrix: Reals, some: Rows, first: Rows, normal: Array, share: Array, scale: Array, place: Rows, made: Reals,
) -> None:  # fmt: skip
    made[np.ix_(place, place)] = np.outer(scale, scale) * _turned(matrix, some, first, normal, share)


def _write(
    matrix: Reals, some: Rows, first: Rows, normal: Array, share: Array, scale: Array, place: Rows, made: Reals,
) -> None:  # fmt: skip
    """Write the lower triangle of a matrix that is turned, and has its axes scaled then."""
    most = 0
    for g in range(len(first) - 1):
        most = max(most, first[g + 1] - first[g])
    rows, sums = np.empty((most, len(some))), np.empty(len(some))
    for g in range(len(first) - 1):
        _read(matrix, some, first, normal, share, 0, g, rows, sums)
        for i in range(first[g], first[g + 1]):
            row, at = rows[i - first[g]], place[i]
            for j in range(first[g + 1]):
                made[max(at, place[j]), min(at, place[j])] = row[j] * scale[i] * scale[j]


write_turned = compiled(_write, plain=_write_all)
