"""Products of a few rows with all columns of a matrix, which is read as it lies.

BLAS copies a matrix for every product. Where the rows are few that is most of it.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from regsearch._types import Array
from regsearch.models.compiling import compiled

FEW = 24  # rows up to which a copy costs more than it gains ...
LEAST = 256  # ... where they are as long at least
LENGTH = 1024  # of the parts of columns and rows that stay in the cache


def are_few(rows: Array, matrix: Array) -> bool:
    """Whether products of rows ``[r, n]``, not of one, with a matrix ``[n, p]`` are quicker without a copy of it."""
    return 1 < len(rows) <= FEW and len(matrix) >= LEAST and matrix.flags.f_contiguous


@partial(compiled, fastmath={"reassoc", "contract"})
def _eight(left: Array, right: Array, one: Array, two: Array, three: Array, four: Array, found: Array) -> None:
    """Write the products of two rows with four columns, each read once; as many sums as there is room for at hand."""
    a, b, c, d, e, f, g, h = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(left.shape[0]):
        x, y = left[i], right[i]
        a += x * one[i]
        b += x * two[i]
        c += x * three[i]
        d += x * four[i]
        e += y * one[i]
        f += y * two[i]
        g += y * three[i]
        h += y * four[i]
    found[0, 0], found[0, 1], found[0, 2], found[0, 3] = a, b, c, d
    found[1, 0], found[1, 1], found[1, 2], found[1, 3] = e, f, g, h


def _all_times(few: Array, turned: Array) -> Array:
    return np.asarray(few @ turned.T)


def _few_times(few: Array, turned: Array) -> Array:
    """``[r, p]`` of rows ``[r, n]`` and a matrix turned round ``[p, n]``; at the end the last of either comes again."""
    made, found = np.zeros((few.shape[0], turned.shape[0])), np.empty((2, 4))
    last, end = few.shape[0] - 1, turned.shape[0] - 1
    for start in range(0, turned.shape[1], LENGTH):
        part = slice(start, start + LENGTH)
        for j in range(0, end + 1, 4):
            one, two = turned[j, part], turned[min(j + 1, end), part]
            three, four = turned[min(j + 2, end), part], turned[min(j + 3, end), part]
            for r in range(0, last + 1, 2):
                _eight(few[r, part], few[min(r + 1, last), part], one, two, three, four, found)
                for row in range(r, min(r + 2, last + 1)):
                    for column in range(j, min(j + 4, end + 1)):
                        made[row, column] += found[row - r, column - j]
    return made


few_times = compiled(_few_times, plain=_all_times)
