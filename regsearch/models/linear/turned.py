"""Symmetric matrices in other axes, which each group of rows and columns has of its own: two passes over memory.

Householder's reflection ``1 - s v'``, ``s = v / (1 + |u|)``, moves a direction to the first axis of its group, u being
the first number of the direction and v that direction with a one of the sign of u added to it there. From either side
it leaves ``M - s p' - p s' + s c s'`` between two groups, p the products of rows with v and c of those with v again.

Notation and shapes

========  =========  ===========================================================================
symbol    shape      meaning
========  =========  ===========================================================================
a, G      int        rows that are read, and groups of them
matrix    [b, b]     symmetric; b is no less than a
some      [a]        which of its rows and columns
first     [G + 1]    where each group begins, where they are one after another
group     [a]        the group of each, where they are in any order
normal    [a]        v
share     [a]        s
scale     [a]        what each axis is scaled by then
made      [a, a]     of either precision, whose lower triangle is written
========  =========  ===========================================================================
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Reals, Rows
from regsearch.models.compiling import compiled

Numbers = NDArray[np.uint32]


def _diagonal(matrix: Reals, some: Rows, first: Rows, normal: Array, share: Array) -> Array:
    """``[a]``: what is on the diagonal of a matrix that is turned."""
    found, along = np.empty(len(some)), np.empty(len(some))
    for g in range(len(first) - 1):
        both = 0.0
        for i in range(first[g], first[g + 1]):
            total = 0.0
            for j in range(first[g], first[g + 1]):
                total += matrix[some[i], some[j]] * normal[j]
            along[i] = total
            both += normal[i] * total
        for i in range(first[g], first[g + 1]):
            found[i] = matrix[some[i], some[i]] - share[i] * (2.0 * along[i] - share[i] * both)
    return found


turned_diagonal = compiled(_diagonal)


def _write_all(
    matrix: Reals, some: Numbers, group: Numbers, normal: Array, share: Array, scale: Array, made: Reals
) -> None:  # fmt: skip
    """The same of all of it."""
    turned, size = np.asarray(matrix[np.ix_(some, some)], dtype=np.float64), int(group.max(initial=0)) + 1
    normals = np.zeros((size, len(some)))
    normals[group, np.arange(len(some))] = normal
    for _ in range(2):  # from either side
        turned = (turned - share[:, None] * (normals @ turned)[group]).T
    made[:] = np.tril(np.outer(scale, scale) * turned)


def _write(
    matrix: Reals, some: Numbers, group: Numbers, normal: Array, share: Array, scale: Array, made: Reals
) -> None:  # fmt: skip
    """Write the lower triangle of a matrix that is turned, and has its axes scaled then."""
    size = 0
    for i in range(len(group)):
        size = max(size, group[i] + 1)
    along, both, left = np.zeros((size, len(some))), np.zeros((size, size)), np.empty(size)
    for i in range(len(some)):
        sums, read = along[group[i]], matrix[some[i]]
        for j in range(len(some)):
            sums[j] += normal[i] * read[some[j]]
    for g in range(size):
        for j in range(len(some)):
            both[g, group[j]] += along[g, j] * normal[j]
    for i in range(len(some)):
        sums, read, row = along[group[i]], matrix[some[i]], made[i]
        for g in range(size):
            left[g] = along[g, i] - share[i] * both[group[i], g]
        for j in range(i + 1):
            row[j] = scale[i] * scale[j] * (read[some[j]] - share[i] * sums[j] - share[j] * left[group[j]])


write_turned = compiled(_write, plain=_write_all)
