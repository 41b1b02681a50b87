"""Leaps of many coefficients to their joint minimum, for where steps of one at a time are slow; compiled by numba.

Notation and shapes

==========  ========  ==============================================================================
symbol      shape     meaning
==========  ========  ==============================================================================
e, a        int       numbers of coefficients, and of those that move
gram        [e, e]    curvature of the quadratic; symmetric, positive semi-definite
w, slope    [e]       coefficients, and the *negative* gradient of the quadratic there
some        [a]       places of those that move
==========  ========  ==============================================================================
"""

from __future__ import annotations

import numpy as np

from regsearch._types import Array, Reals, Rows
from regsearch.models.compiling import compiled

STEPS = 10  # rounds of steps of one at a time between two leaps, or more of many: a leap costs as much
BLOCK, STRIPE = 32, 128  # columns that are factored, and changed, at a time
JITTER = 1e-10  # of a diagonal: equal columns, such as those of a category beside the intercept, share what they have


@compiled
def rounds(count: int) -> int:
    """How many rounds of steps of so many coefficients go before a leap."""
    return max(STEPS, count // 3)


def _all_among(gram: Reals, some: Rows) -> Reals:
    return gram[np.ix_(some, some)]


def _among(gram: Reals, some: Rows) -> Reals:
    """``[a, a]``: the curvature of those that move."""
    made = np.empty((len(some), len(some)), gram.dtype)
    for i in range(len(some)):
        row = gram[some[i]]
        for j in range(len(some)):
            made[i, j] = row[np.uintp(some[j])]  # which does not count from the end
    return made


among = compiled(_among, plain=_all_among)


@compiled
def factorise(corner: Array) -> bool:
    """Make a matrix ``[a, a]`` its lower Cholesky factor, in place; whether it is positive definite.

    A few columns at a time: what they take off the rest is one product of matrices.
    """
    size, most = corner.shape[0], np.diag(corner).copy()
    for start in range(0, size, BLOCK):
        end = min(start + BLOCK, size)
        for i in range(start, end):
            row = corner[i, start:end]
            for j in range(i - start):
                row[j] = (row[j] - row[:j] @ corner[start + j, start : start + j]) / corner[start + j, start + j]
            rest = row[i - start] - row[: i - start] @ row[: i - start]
            if not rest > 1e-14 * abs(most[i]):
                return False
            row[i - start] = np.sqrt(rest)
        below = corner[end:, start:end].T.copy()
        for j in range(end - start):
            for i in range(j):
                below[j] -= corner[start + j, start + i] * below[i]
            below[j] /= corner[start + j, start + j]
        left = below.T.copy()
        corner[end:, start:end] = left
        for first in range(end, size, STRIPE):  # below the diagonal alone
            last = min(first + STRIPE, size)
            corner[first:, first:last] -= left[first - end :] @ below[:, first - end : last - end].copy()
    return True


@compiled
def solve(factor: Array, right: Array) -> Array:
    """The solution x ``[a]`` of ``factor factor' x = right``, of a factor that `factorise` makes."""
    x = right.copy()
    for i in range(x.shape[0]):
        x[i] = (x[i] - factor[i, :i] @ x[:i]) / factor[i, i]
    for i in range(x.shape[0] - 1, -1, -1):
        x[i] /= factor[i, i]
        x[:i] -= x[i] * factor[i, :i]
    return x


@compiled
def leap(
    gram: Array, w: Array, slope: Array, some: Rows, bend: Array, push: Array, low: Array, high: Array
) -> bool:  # fmt: skip
    """Go to the minimum of a quadratic of a few coefficients, or to where the first is at an end, in place.

    Whether there is a minimum, and so anything is done.

    Parameters
    ----------
    bend, push
        ``[a]``: what the penalty adds to the diagonal of the curvature, and the negative gradient of the objective.
    low, high
        ``[a]``: the ends between which the objective is this quadratic.
    """
    count = some.shape[0]
    corner = np.empty((count, count))
    for i in range(count):
        for j in range(count):
            corner[i, j] = gram[some[i], some[j]]
        corner[i, i] += bend[i] + JITTER * abs(corner[i, i])
    if not factorise(corner):
        return False
    move = solve(corner, push)
    length = 1.0
    for i in range(count):
        if move[i] != 0.0:
            length = min(length, ((high[i] if move[i] > 0.0 else low[i]) - w[some[i]]) / move[i])
    for i in range(count):
        if move[i] != 0.0:
            end = high[i] if move[i] > 0.0 else low[i]
            new = end if (end - w[some[i]]) / move[i] <= length else w[some[i]] + length * move[i]
            slope -= (new - w[some[i]]) * gram[some[i]]
            w[some[i]] = new
    return True
