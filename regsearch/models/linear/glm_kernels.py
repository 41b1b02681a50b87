"""Descent on a penalised quadratic, one coordinate at a time: compiled by numba where it is installed.

Notation and shapes

==========  ========  ==============================================================================
symbol      shape     meaning
==========  ========  ==============================================================================
e           int       number of coefficients in play
gram        [e, e]    curvature of the quadratic; symmetric, positive semi-definite
w           [e]       coefficients
gradient    [e]       the *negative* gradient of the quadratic at w
threshold   [e]       lambda l1: weight of |w_j|; infinite keeps a coefficient at zero
ridge       float     lambda l2: weight of w_j^2 / 2
==========  ========  ==============================================================================
"""

from __future__ import annotations

import numpy as np

from regsearch._types import Array
from regsearch.models.compiling import compiled
from regsearch.models.linear.kernels import HISTORY, heading, take_off


@compiled
def sweep(gram: Array, w: Array, gradient: Array, threshold: Array, ridge: float) -> float:
    """Minimise over each coefficient in turn, in place; returns what the violations of optimality that were met cost.

    A violation v costs a duality gap of about ``v |w|_1`` at most, and all of them ``|v|^2 / 2`` over the ridge.
    """
    worst, squares, norm = 0.0, 0.0, 0.0
    for j in range(w.shape[0]):
        curvature = gram[j, j] + ridge
        if curvature <= 0.0:
            continue
        target = gradient[j] + gram[j, j] * w[j]
        new = np.sign(target) * max(abs(target) - threshold[j], 0.0) / curvature
        step = new - w[j]
        norm += max(abs(new), abs(w[j]))
        if step != 0.0:
            violation = abs(step) * curvature
            worst, squares = max(worst, violation), squares + violation**2
            w[j] = new
            gradient -= step * gram[j]
    return min(worst * norm, squares / (2.0 * ridge)) if ridge > 0.0 else worst * norm


@compiled
def objective(w: Array, gradient: Array, moment: Array, threshold: Array, ridge: float) -> float:
    """The penalised quadratic; `moment` is its negative gradient at zero."""
    return float(threshold @ np.abs(w) + ridge / 2 * (w @ w) - w @ (gradient + moment) / 2)


@compiled
def descend_until(
    gram: Array, w: Array, gradient: Array, threshold: Array, ridge: float, tolerance: float, max_sweeps: int
) -> None:
    """Sweep in place, extrapolating where the sweeps are heading, until one meets nothing worse than the tolerance."""
    moment = gradient + gram @ w
    points, gradients = np.empty((HISTORY + 1, w.shape[0])), np.empty((HISTORY + 1, w.shape[0]))
    seen = 0
    for _ in range(max_sweeps):
        if sweep(gram, w, gradient, threshold, ridge) <= tolerance:
            break
        points[seen], gradients[seen] = w, gradient
        seen += 1
        if seen > HISTORY:
            shares = heading(points)
            ahead, slope = shares @ points[1:], shares @ gradients[1:]  # the gradient is affine in w
            lower = objective(ahead, slope, moment, threshold, ridge) < objective(w, gradient, moment, threshold, ridge)
            if lower:
                w[:], gradient[:] = ahead, slope
            points[0], gradients[0] = w, gradient
            seen = 1


@compiled
def descend(
    gram: Array, start: Array, gradient: Array, threshold: Array, ridge: float, tolerance: float, max_sweeps: int,
    rounds: int, room: Array,
) -> tuple[Array, Array, bool]:  # fmt: skip
    """Coefficients ``[e]`` from `start`, their gradient, and whether a sweep over all found nothing worse than allowed.

    After each sweep over all, those that are not zero descend on a matrix of their own, `max_sweeps` at most: it lies
    in a room ``[e^2]``.
    """
    w, slope = start.copy(), gradient.copy()
    for _ in range(rounds):
        if sweep(gram, w, slope, threshold, ridge) <= tolerance:
            return w, slope, True
        some = np.flatnonzero(w)
        own, new, inner = room[: len(some) ** 2].reshape(len(some), len(some)), w[some], slope[some]
        for i in range(len(some)):
            own[i] = gram[some[i]][some]
        descend_until(own, new, inner, threshold[some], ridge, tolerance, max_sweeps)
        for i in range(len(some)):
            take_off(slope, new[i] - w[some[i]], gram[some[i]])
        w[some] = new
    return w, slope, False
