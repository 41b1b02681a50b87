"""A stationary point of a quadratic with a concave penalty of each coefficient; compiled where numba is installed.

``P'(t) = clip(bend (end - t), 0, lambda)``, the slope of the penalty at the size t: that of MCP and of SCAD.
Coordinates descend one at a time (Breheny & Huang 2011); where that is slow, all in use leap to where their joint
slope is zero.

Notation and shapes

==========  ========  ==============================================================================
symbol      shape     meaning
==========  ========  ==============================================================================
e           int       number of coefficients
gram        [e, e]    curvature of the quadratic; symmetric, positive semi-definite
w           [e]       coefficients
slope       [e]       the *negative* gradient of the quadratic at w
bend        float     how fast the slope of the penalty falls ...
end         float     ... until it is none, at this size
==========  ========  ==============================================================================
"""

from __future__ import annotations

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.compiling import compiled
from regsearch.models.linear.bounded import LEAPS
from regsearch.models.linear.bounded import descend as descend_within
from regsearch.models.linear.leaps import leap, rounds


@compiled
def best(target: float, size: float, curvature: float, lambda_: float, bend: float, end: float) -> float:
    """The minimiser over u of ``curvature u^2 / 2 - target u + P(|u|)``.

    Where that is not convex, of P's tangent at `size`, which lowers it.
    """
    push, knee = abs(target), end - lambda_ / bend
    if curvature <= bend:
        found = max(push - min(max(bend * (end - size), 0.0), lambda_), 0.0) / curvature
    elif push <= lambda_ + curvature * knee:
        found = max(push - lambda_, 0.0) / curvature
    elif push < curvature * end:
        found = (push - bend * end) / (curvature - bend)
    else:
        found = push / curvature
    return float(np.sign(target) * found)


@compiled
def sweep(gram: Array, w: Array, slope: Array, lambda_: float, bend: float, end: float) -> float:
    """Minimise over each coefficient in turn, in place; returns about how much that can have lowered the objective."""
    worth = 0.0
    for j in range(w.shape[0]):
        curvature = gram[j, j]
        if curvature > 0.0:
            new = best(slope[j] + curvature * w[j], abs(w[j]), curvature, lambda_, bend, end)
            step = new - w[j]
            if step != 0.0:
                worth += abs(step) * curvature * (abs(w[j]) + abs(step))
                w[j] = new
                slope -= step * gram[j]
    return worth


@compiled
def used(w: Array, slope: Array, lambda_: float, bend: float, end: float) -> tuple[Rows, Array, Array, Array, Array]:
    """What is in use, as `leap` takes it: each up to where the slope of its penalty has a corner."""
    some = np.flatnonzero(w)
    count, knee = some.shape[0], end - lambda_ / bend
    bends, push, low, high = np.empty(count), np.empty(count), np.empty(count), np.empty(count)
    for i in range(count):
        here = w[some[i]]
        size, sign = abs(here), np.sign(here)
        push[i] = slope[some[i]] - sign * min(max(bend * (end - size), 0.0), lambda_)
        bends[i] = -bend if knee < size < end else 0.0
        inner = end if size >= end else (knee if size > knee else 0.0)
        outer = np.inf if size >= end else (end if size > knee else knee)
        low[i], high[i] = (inner, outer) if sign > 0.0 else (-outer, -inner)
    return some, bends, push, low, high


@compiled
def descend(gram: Array, w: Array, slope: Array, lambda_: float, bend: float, end: float, tolerance: float) -> None:
    """Go to a stationary point below in place: to the minimum with the penalty's tangents, and down from there.

    By sweeps, and by leaps where sweeps are slow.
    """
    nothing, limit, tangent = np.zeros(w.shape[0]), np.full(w.shape[0], np.inf), np.empty(w.shape[0])
    for j in range(w.shape[0]):
        tangent[j] = min(max(bend * (end - abs(w[j])), 0.0), lambda_)
    descend_within(gram, w, slope, tangent, nothing, -limit, limit, tolerance)
    for _ in range(LEAPS):
        for _ in range(rounds(w.shape[0])):
            if sweep(gram, w, slope, lambda_, bend, end) <= tolerance:
                return
        leap(gram, w, slope, *used(w, slope, lambda_, bend, end))
