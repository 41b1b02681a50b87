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

from regsearch._types import Array, Rows
from regsearch.models.compiling import compiled
from regsearch.models.linear.leaps import leap, rounds

LEAPS = 200


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
def free(
    w: Array, slope: Array, gram: Array, threshold: Array, ridge: Array, low: Array, high: Array
) -> tuple[Rows, Array, Array, Array, Array]:
    """What is free to move, as `leap` takes it: a sign that changes is looked at again."""
    count, some = 0, np.empty(w.shape[0], dtype=np.intp)
    for j in range(w.shape[0]):
        if (w[j] != 0.0 or threshold[j] == 0.0) and low[j] < w[j] < high[j] and gram[j, j] + ridge[j] > 0.0:
            some[count] = j
            count += 1
    some = some[:count]
    bend, push, left, right = np.empty(count), np.empty(count), np.empty(count), np.empty(count)
    for i in range(count):
        j = some[i]
        bend[i], push[i] = ridge[j], slope[j] - ridge[j] * w[j] - threshold[j] * np.sign(w[j])
        left[i] = max(low[j], 0.0) if threshold[j] > 0.0 and w[j] > 0.0 else low[j]
        right[i] = min(high[j], 0.0) if threshold[j] > 0.0 and w[j] < 0.0 else high[j]
    return some, bend, push, left, right


@compiled
def descend(
    gram: Array, w: Array, slope: Array, threshold: Array, ridge: Array, low: Array, high: Array, tolerance: float
) -> None:
    """Go to the minimum in place: by sweeps, and by leaps where sweeps are slow."""
    for _ in range(LEAPS):
        for _ in range(rounds(w.shape[0])):
            if sweep(gram, w, slope, threshold, ridge, low, high) <= tolerance:
                return
        leap(gram, w, slope, *free(w, slope, gram, threshold, ridge, low, high))


def minimise(gram: Array, start: Array, slope: Array, bounds: Bounds, tolerance: float) -> Array:
    """The minimiser ``[e]``, within about the tolerance."""
    w = start.copy()
    descend(gram, w, slope.copy(), *bounds, tolerance)
    return w
