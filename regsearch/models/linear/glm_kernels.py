"""The minimum of a penalised quadratic: compiled by numba where it is installed and plain Python otherwise.

Coordinates descend one at a time; where that is slow, all that are not zero leap to their joint minimum.

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
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from regsearch._types import Array
from regsearch.models.linear.kernels import HISTORY, compiled, heading

SWEEPS, ROUNDS = 10, 2  # sweeps over what is not zero, after each of so many over all, before a leap
LEAPS = 50


@compiled
def sweep(gram: Array, w: Array, gradient: Array, threshold: Array, ridge: float) -> float:
    """Minimise over each coefficient in turn, in place; returns the largest violation of optimality that was met."""
    worst = 0.0
    for j in range(w.shape[0]):
        curvature = gram[j, j] + ridge
        if curvature <= 0.0:
            continue
        target = gradient[j] + gram[j, j] * w[j]
        new = np.sign(target) * max(abs(target) - threshold[j], 0.0) / curvature
        step = new - w[j]
        if step != 0.0:
            worst = max(worst, abs(step) * curvature)
            w[j] = new
            gradient -= step * gram[j]
    return worst


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
        worst = sweep(gram, w, gradient, threshold, ridge)
        if worst * np.abs(w).sum() <= tolerance:
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
    gram: Array, start: Array, gradient: Array, threshold: Array, ridge: float, tolerance: float, max_sweeps: int
) -> tuple[Array, Array, bool]:
    """Coefficients ``[e]`` from `start`, their gradient, and whether a sweep over all found nothing worse than allowed.

    A violation v costs a gap of about ``v |w|_1``; that is what the tolerance bounds. After each sweep over all, those
    that are not zero descend on a matrix of their own, `max_sweeps` at most.
    """
    w, slope = start.copy(), gradient.copy()
    for _ in range(ROUNDS):
        if sweep(gram, w, slope, threshold, ridge) * np.abs(w).sum() <= tolerance:
            return w, slope, True
        some = np.flatnonzero(w)
        rows = gram[some]
        new, inner = w[some], slope[some]
        descend_until(rows.T[some], new, inner, threshold[some], ridge, tolerance, max_sweeps)
        slope += (w[some] - new) @ rows
        w[some] = new
    return w, slope, False


def leap(gram: Array, w: Array, gradient: Array, threshold: Array, ridge: float) -> Array:
    """Go straight to the minimiser over what is not zero, or to where the first coefficient becomes zero on the way."""
    some = np.flatnonzero(w)
    corner = gram[np.ix_(some, some)]
    corner[np.diag_indices(len(some))] += ridge
    push = gradient[some] - ridge * w[some] - threshold[some] * np.sign(w[some])
    try:
        move = cho_solve(cho_factor(corner, overwrite_a=True), push)
    except LinAlgError:  # equal columns: sweeps are left to share between them
        return w
    with np.errstate(divide="ignore"):
        reach = np.where(w[some] * move < 0, -w[some] / move, np.inf)  # where each becomes zero
    length = min(1.0, float(reach.min(initial=1.0)))
    new = w.copy()
    new[some] = np.where(reach <= length, 0.0, w[some] + length * move)
    return new


def minimise(gram: Array, start: Array, gradient: Array, threshold: Array, ridge: float, tolerance: float) -> Array:
    """The minimiser ``[e]``: by sweeps, and by leaps where sweeps are slow."""
    w, slope, done = descend(gram, start, gradient, threshold, ridge, tolerance, SWEEPS)
    for _ in range(LEAPS):
        if done:
            break
        new = leap(gram, w, slope, threshold, ridge)
        slope = slope + gram @ (w - new)
        w, slope, done = descend(gram, new, slope, threshold, ridge, tolerance, SWEEPS)
    return w
