"""The minimum of a quadratic with a penalty of each coefficient, within limits; compiled where numba is installed.

Coordinates descend one at a time; where that is slow, all that are free to move leap to their joint minimum.

Notation and shapes

==========  ========  ==============================================================================
symbol      shape     meaning
==========  ========  ==============================================================================
e           int       number of coefficients
gram        [e, e]    curvature of the quadratic; symmetric, positive semi-definite
w           [e]       coefficients
slope       [e]       the *negative* gradient of the quadratic at w
threshold   [e]       lambda l1: weight of |w_j|; 0 of what is not penalised, infinite keeps it at zero
ridge       [e]       lambda l2: weight of w_j^2 / 2
low, high   [e]       limits of w, ``low <= 0 <= high``
==========  ========  ==============================================================================
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from regsearch._types import Array
from regsearch.models.linear.kernels import compiled

SWEEPS = 10  # between two leaps
LEAPS = 200
JITTER = 1e-10  # of a diagonal: equal columns, such as those of a category beside the intercept, share what they have


class Bounds(NamedTuple):
    """The penalty and the limits, each ``[e]``; see the module."""

    threshold: Array
    ridge: Array
    low: Array
    high: Array


@compiled
def sweep(gram: Array, w: Array, slope: Array, threshold: Array, ridge: Array, low: Array, high: Array) -> float:
    """Minimise over each coefficient in turn, in place; returns about how much that can have lowered the objective."""
    worth = 0.0
    for j in range(w.shape[0]):
        curvature = gram[j, j] + ridge[j]
        if curvature <= 0.0:
            continue
        target = slope[j] + gram[j, j] * w[j]
        new = np.sign(target) * max(abs(target) - threshold[j], 0.0) / curvature
        new = min(max(new, low[j]), high[j])
        step = new - w[j]
        if step != 0.0:
            worth += abs(step) * curvature * (abs(w[j]) + abs(step))
            w[j] = new
            slope -= step * gram[j]
    return worth


@compiled
def sweeps(
    gram: Array, w: Array, slope: Array, threshold: Array, ridge: Array, low: Array, high: Array,
    tolerance: float, most: int,
) -> bool:  # fmt: skip
    """Sweep in place, so many times at most; whether the last lowered the objective by no more than the tolerance."""
    for _ in range(most):  # noqa: SIM110 - numba compiles no generator
        if sweep(gram, w, slope, threshold, ridge, low, high) <= tolerance:
            return True
    return False


def leap(gram: Array, w: Array, slope: Array, bounds: Bounds) -> Array:
    """Go to the joint minimiser of what is free to move, or to where the first of them meets zero or a limit."""
    threshold, ridge, low, high = bounds
    moving = ((w != 0) | (threshold == 0)) & (low < w) & (w < high) & (np.diag(gram) + ridge > 0)
    some = np.flatnonzero(moving)
    if not len(some):
        return w
    corner = gram[np.ix_(some, some)]
    corner[np.diag_indices(len(some))] += ridge[some] + JITTER * np.diag(corner)
    push = slope[some] - ridge[some] * w[some] - threshold[some] * np.sign(w[some])
    try:
        move = cho_solve(cho_factor(corner, overwrite_a=True), push)
    except LinAlgError:  # rounding beside columns of other sizes: sweeps are left
        return w
    here, edge = w[some], np.where(move > 0, high[some], low[some])
    edge = np.where((threshold[some] > 0) & (here * move < 0), 0.0, edge)  # a sign that changes is looked at again
    reach = np.divide(edge - here, move, out=np.full(len(some), np.inf), where=move != 0)
    length = min(1.0, float(reach.min(initial=1.0)))
    new = w.copy()
    new[some] = np.where(reach <= length, edge, here + length * move)
    return new


def minimise(gram: Array, start: Array, slope: Array, bounds: Bounds, tolerance: float) -> Array:
    """The minimiser ``[e]``, within about the tolerance: by sweeps, and by leaps where sweeps are slow."""
    w, slope = start.copy(), slope.copy()
    for _ in range(LEAPS):
        if sweeps(gram, w, slope, *bounds, tolerance, SWEEPS):
            break
        new = leap(gram, w, slope, bounds)
        slope += gram @ (w - new)
        w = new
    return w
