"""Coordinate descent over the rows of several targets' coefficients; compiled where numba is installed.

Notation and shapes (one fold; the columns are centred and scaled, the row weights sum to one)

=========  ========  ==============================================================================
symbol     shape     meaning
=========  ========  ==============================================================================
e, t       int       columns in play, targets
gram       [e, e]    X'WX
moment     [e, t]    X'WY
power      float     y'Wy of all targets: twice the null model's loss
powers     [e]       X'WX of each column with itself
convexity  float     no more than the smallest eigenvalue of X'WX, over all columns; 0 is always right
w          [e, t]    coefficients
gradient   [e, t]    X'W(Y - Xw): the *negative* gradient of the loss
l1, l2     [e]       penalty weights; an infinite l1 keeps a row at zero
=========  ========  ==============================================================================
"""

from __future__ import annotations

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.compiling import compiled
from regsearch.models.linear.kernels import HISTORY, heading
from regsearch.models.linear.leaps import JITTER

SWEEPS = 30  # before a Newton step of all rows in use ...
LARGEST = 1500  # ... where they have no more coefficients
HALVINGS = 20


@compiled
def row_gap(
    w: Array, gradient: Array, moment: Array, power: float, powers: Array, convexity: float, l1: Array, l2: Array,
    lambda_: float,
) -> float:  # fmt: skip
    """How far the objective at `w` can be above its minimum.

    By the two dual points of `kernels.duality_gap`, with norms of rows in place of absolute values. What an unpenalised
    row may still gain is estimated by a step along it, as the shrunken point leaves it none.
    """
    shrink, excess, penalty, slope, fitted, norm, free = 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    strong = True
    for j in range(w.shape[0]):
        if np.isinf(l1[j]) or powers[j] <= 0.0:
            continue
        threshold, ridge = lambda_ * l1[j], lambda_ * l2[j]
        square, push, pushed = 0.0, 0.0, 0.0
        for k in range(w.shape[1]):
            square += w[j, k] ** 2
            push += gradient[j, k] ** 2
            pushed += (gradient[j, k] + convexity * w[j, k]) ** 2
            slope += w[j, k] * gradient[j, k]
            fitted += w[j, k] * moment[j, k]
        size, push = np.sqrt(square), np.sqrt(push)
        penalty += threshold * size + ridge / 2 * square
        norm += square
        if ridge + convexity > 0.0:
            excess += max(np.sqrt(pushed) - threshold, 0.0) ** 2 / (2 * (ridge + convexity))
        else:
            strong = False
        if threshold == 0.0 and ridge == 0.0:
            free += push * (size + push / powers[j])
        elif push > threshold:
            shrink = min(shrink, threshold / push)
    residual = max(power - fitted - slope, 0.0)
    gap = (1.0 - shrink) ** 2 / 2 * residual + penalty - shrink * slope + free
    if strong:
        gap = min(gap, penalty - slope - convexity / 2 * norm + excess)
    return max(gap, 0.0)


@compiled
def row_gaps(
    w: Array, gradient: Array, moment: Array, power: float, powers: Array, convexity: float, l1: Array, l2: Array,
    lambdas: Array,
) -> Array:  # fmt: skip
    """`row_gap` of each step of a path: w and gradient ``[S, e, t]``, the result ``[S]``."""
    gaps = np.empty(lambdas.shape[0])
    for step in range(lambdas.shape[0]):
        gaps[step] = row_gap(w[step], gradient[step], moment, power, powers, convexity, l1, l2, lambdas[step])
    return gaps


@compiled
def row_sweep(gram: Array, w: Array, gradient: Array, l1: Array, l2: Array, lambda_: float, move: Array) -> None:
    """Minimise over each row in turn, in place; `move` ``[t]`` is written to."""
    for j in range(w.shape[0]):
        curvature = gram[j, j]
        if curvature <= 0.0 or np.isinf(l1[j]):
            continue
        square, changed = 0.0, 0.0
        for k in range(w.shape[1]):
            move[k] = gradient[j, k] + curvature * w[j, k]
            square += move[k] ** 2
        left = max(1.0 - lambda_ * l1[j] / np.sqrt(square), 0.0) if square > 0.0 else 0.0
        for k in range(w.shape[1]):
            move[k] = left * move[k] / (curvature + lambda_ * l2[j]) - w[j, k]
            changed += abs(move[k])
        if changed > 0.0:
            for i in range(w.shape[0]):
                for k in range(w.shape[1]):
                    gradient[i, k] -= gram[j, i] * move[k]
            for k in range(w.shape[1]):
                w[j, k] += move[k]


@compiled
def row_objective(w: Array, gradient: Array, moment: Array, l1: Array, l2: Array, lambda_: float) -> float:
    """The penalised loss, less the null model's."""
    value = 0.0
    for j in range(w.shape[0]):
        square = 0.0
        for k in range(w.shape[1]):
            square += w[j, k] ** 2
            value -= w[j, k] * (gradient[j, k] + moment[j, k]) / 2
        if square > 0.0:
            value += lambda_ * (l1[j] * np.sqrt(square) + l2[j] / 2 * square)
    return value


@compiled
def sweep_rows_down(
    gram: Array, w: Array, moment: Array, power: float, powers: Array, convexity: float, l1: Array, l2: Array,
    lambda_: float, tolerance: float, limit: int,
) -> bool:  # fmt: skip
    """Sweep in place until the gap is at most the tolerance; whether it is, after no more than `limit` sweeps.

    Every few sweeps a combination of the last takes their place, where it is lower; see `kernels.heading`.
    """
    e, t = w.shape
    gradient, move = moment - gram @ w, np.empty(t)
    points, slopes = np.empty((HISTORY + 1, e * t)), np.empty((HISTORY + 1, e * t))
    seen = 0
    for _ in range(limit):
        if row_gap(w, gradient, moment, power, powers, convexity, l1, l2, lambda_) <= tolerance:
            gradient = moment - gram @ w  # without the rounding of all the steps
            if row_gap(w, gradient, moment, power, powers, convexity, l1, l2, lambda_) <= tolerance:
                return True
        row_sweep(gram, w, gradient, l1, l2, lambda_, move)
        points[seen], slopes[seen] = w.ravel(), gradient.ravel()
        seen += 1
        if seen > HISTORY:
            shares = heading(points)
            ahead = np.ascontiguousarray(shares @ points[1:]).reshape((e, t))
            slope = np.ascontiguousarray(shares @ slopes[1:]).reshape((e, t))
            before = row_objective(w, gradient, moment, l1, l2, lambda_)
            if row_objective(ahead, slope, moment, l1, l2, lambda_) < before:
                w[:] = ahead
                gradient = slope
                row_sweep(gram, w, gradient, l1, l2, lambda_, move)
            points[0], slopes[0] = w.ravel(), gradient.ravel()
            seen = 1
    return row_gap(w, moment - gram @ w, moment, power, powers, convexity, l1, l2, lambda_) <= tolerance


def row_leap(gram: Array, w: Array, moment: Array, l1: Array, l2: Array, lambda_: float) -> None:
    """A Newton step of all rows in use together, in place, where it lowers the objective: sweeps can be slow there."""
    norms = np.sqrt((w**2).sum(axis=1))
    free = (l1 == 0) & (np.diag(gram) > 0)
    some: Rows = np.flatnonzero((norms > 0) | free)
    (a, t), gradient = (len(some), w.shape[1]), moment - gram @ w
    if not 0 < a * t <= LARGEST:
        return
    pull = np.divide(lambda_ * l1[some], norms[some], out=np.zeros(a), where=norms[some] > 0)
    along = np.divide(w[some], norms[some, None], out=np.zeros((a, t)), where=norms[some, None] > 0)
    push = gradient[some] - (pull + lambda_ * l2[some])[:, None] * w[some]
    bend = np.zeros((a, t, a, t))
    at = np.arange(a)
    bend[at, :, at, :] = (pull + lambda_ * l2[some])[:, None, None] * np.eye(t)
    bend[at, :, at, :] -= pull[:, None, None] * along[:, :, None] * along[:, None, :]
    corner = bend.reshape(a * t, a * t) + np.kron(gram[np.ix_(some, some)], np.eye(t))
    corner[np.diag_indices(a * t)] += JITTER * np.repeat(np.diag(gram)[some], t)
    move = np.linalg.solve(corner, push.ravel()).reshape(a, t)
    before = row_objective(w, gradient, moment, l1, l2, lambda_)
    for length in 0.5 ** np.arange(HALVINGS):
        new = w.copy()
        new[some] += length * move
        if row_objective(new, moment - gram @ new, moment, l1, l2, lambda_) < before:
            w[:] = new
            return


def descend_by_rows(
    gram: Array, start: Array, moment: Array, power: float, convexity: float, l1: Array, l2: Array, lambdas: Array,
    tolerances: Array, max_sweeps: int,
) -> Array:  # fmt: skip
    """Coefficients ``[S, e, t]`` along the lambdas, each warm-started from the one before."""
    path, w = np.empty((len(lambdas), *start.shape)), np.ascontiguousarray(start, dtype=np.float64).copy()
    powers = np.ascontiguousarray(np.diag(gram))
    for step, (lambda_, tolerance) in enumerate(zip(lambdas, tolerances, strict=True)):
        for _ in range(0, max_sweeps, SWEEPS):
            known = (moment, power, powers, convexity, l1, l2, float(lambda_))
            if sweep_rows_down(gram, w, *known, float(tolerance), SWEEPS):
                break
            row_leap(gram, w, moment, l1, l2, float(lambda_))
        path[step] = w
    return path
