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
def _write_twelve(
    few: Array, turned: Array, q: int, r: int, s: int, j: int, k: int, m: int, o: int, start: int, end: int, made: Array
) -> None:
    """Write the products of three rows with four columns, of a part of their length: as many sums as are at hand."""
    a, b, c, d, e, f, g, h, t, u, v, w = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for place in range(start, end):
        i = np.uintp(place)  # which does not count from the end
        x, y, z = few[q, i], few[r, i], few[s, i]
        value = turned[j, i]  # one column after another: no number waits for its turn
        a += x * value
        b += y * value
        c += z * value
        value = turned[k, i]
        d += x * value
        e += y * value
        f += z * value
        value = turned[m, i]
        g += x * value
        h += y * value
        t += z * value
        value = turned[o, i]
        u += x * value
        v += y * value
        w += z * value
    made[q, j], made[r, j], made[s, j] = a, b, c
    made[q, k], made[r, k], made[s, k] = d, e, f
    made[q, m], made[r, m], made[s, m] = g, h, t
    made[q, o], made[r, o], made[s, o] = u, v, w


def _all_times(few: Array, turned: Array) -> Array:
    return np.asarray(few @ turned.T)


def _few_times(few: Array, turned: Array) -> Array:
    """``[r, p]`` of rows ``[r, n]`` and a matrix turned round ``[p, n]``; at the end the last of either comes again."""
    last, end, length = few.shape[0] - 1, turned.shape[0] - 1, turned.shape[1]
    made, part = np.zeros((last + 1, end + 1)), np.empty((last + 1, end + 1))
    for start in range(0, length, LENGTH):
        stop = min(start + LENGTH, length)
        for j in range(0, end + 1, 4):
            k, m, o = min(j + 1, end), min(j + 2, end), min(j + 3, end)
            for q in range(0, last + 1, 3):
                _write_twelve(few, turned, q, min(q + 1, last), min(q + 2, last), j, k, m, o, start, stop, part)
        made += part
    return made


few_times = compiled(_few_times, plain=_all_times)
