"""Coordinate descent for squared error, compiled by numba where it is installed and plain Python otherwise.

Notation and shapes (one fold; the columns are centred and scaled, the row weights sum to one)

=========  ========  ==============================================================================
symbol     shape     meaning
=========  ========  ==============================================================================
e, S       int       number of columns in play, number of lambdas
gram       [e, e]    X'WX
moment     [e]       X'Wy
power      float     y'Wy: twice the null model's loss
convexity  float     no more than the smallest eigenvalue of X'WX, over all columns; 0 is always right
w          [e]       coefficients
gradient   [e]       X'W(y - Xw) = moment - gram w: the *negative* gradient of the loss
l1, l2     [e], 1    penalty weights; an infinite l1 keeps a coefficient at zero
=========  ========  ==============================================================================
"""

from __future__ import annotations

from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Reals
from regsearch.models.compiling import compiled

Flags = NDArray[np.bool_]
Places = NDArray[np.intp]
Place: TypeAlias = "int | np.uintp"  # the latter does not count from the end, which compiled code looks for
fused = partial(compiled, fastmath={"contract"})
summed = partial(compiled, fastmath={"reassoc", "contract"})
HISTORY = 5  # sweeps between two extrapolations
HEAVIEST = 1e150  # stands for a weight that is infinite
FAR = 100.0  # sum of the sizes of shares from which an extrapolation magnifies the rounding of residuals


@summed
def duality_gap(
    w: Array, gradient: Array, moment: Array, power: float, convexity: float, l1: Array, l2: float, lambda_: float
) -> float:
    """How far the objective at `w` can be above its minimum.

    The dual point is the residual r, shrunk by ``s <= 1``. With u = X'Wr and the penalty's conjugate P*, the gap is
    ``(1 - s)^2/2 |r|^2 + P(w) - s w'u + P*(s u)``. Two choices of s are valid: the largest with P*(s u) = 0, and, where
    P has a square to make P* finite, s = 1. For the second, `convexity` times |w|^2 / 2 counts as part of the penalty
    instead of the loss, which leaves the objective as it is and u + convexity w in place of u; that makes the gap
    quadratic in the error of w, as the suboptimality is. The smaller gap counts. A power that is not known is infinite.
    """
    excess, penalty, slope, fitted, norm = 0.0, 0.0, 0.0, 0.0, 0.0
    ridge = lambda_ * l2
    for j in range(w.shape[0]):  # without a branch, for vector instructions
        threshold, size = lambda_ * min(l1[j], HEAVIEST), abs(w[j])
        penalty += size * (threshold + ridge / 2 * size)
        slope += w[j] * gradient[j]
        fitted += w[j] * moment[j]
        norm += size * size
        over = max(abs(gradient[j] + convexity * w[j]) - threshold, 0.0)
        excess += over * over
    square, least = ridge + convexity, np.inf
    if square > 0.0:
        least = penalty - slope - convexity / 2 * norm + excess / (2 * square)
    gap, shrink = penalty - slope, 1.0
    for j in range(w.shape[0]):
        if gap >= least:  # the further it is shrunk, the larger
            break
        threshold, size = lambda_ * l1[j], abs(gradient[j])
        if shrink * size > threshold:
            shrink = threshold / size
            gap = penalty - shrink * slope + (1.0 - shrink) ** 2 / 2 * max(power - fitted - slope, 0.0)
    return max(min(gap, least), 0.0)


@summed
def duality_gaps(
    w: Array, gradient: Array, moment: Array, power: float, convexity: float, l1: Array, l2: float, lambdas: Array
) -> Array:
    """`duality_gap` of each step of a path: w and gradient ``[S, e]``, the result ``[S]``."""
    gaps = np.empty(lambdas.shape[0])
    for step in range(lambdas.shape[0]):
        gaps[step] = duality_gap(w[step], gradient[step], moment, power, convexity, l1, l2, lambdas[step])
    return gaps


def _all_freedom(values: Array, strengths: Array) -> Array:
    return np.asarray((values / (values + strengths[:, None])).sum(axis=1))


def _freedom(values: Array, strengths: Array) -> Array:
    """``[S]`` sums over eigenvalues ``[r]``, each of what is left of it beside itself and a strength ``[S]``."""
    found = np.empty(len(strengths))
    for step in range(len(strengths)):
        spent, strength = 0.0, strengths[step]
        for j in range(len(values)):
            spent += values[j] / (values[j] + strength)
        found[step] = spent
    return found


ridge_freedom = summed(_freedom, plain=_all_freedom, error_model="numpy")


def _taken_off(values: Array, step: float, row: Array) -> None:
    values -= step * row[: len(values)]


def _take_off(values: Array, step: float, row: Array) -> None:
    """Take a multiple of a row, or of its beginning, off values: a loop, as compiled array arithmetic makes copies."""
    for i in range(values.shape[0]):
        values[i] -= step * row[i]


take_off = compiled(_take_off, plain=_taken_off)


def _four_taken_off(
    values: Array, rows: Reals, j: Place, a: float, k: Place, b: float, m: Place, c: float, q: Place, d: float
) -> None:
    size = len(values)
    values -= a * rows[j, :size] + b * rows[k, :size] + c * rows[m, :size] + d * rows[q, :size]


def _take_four_off(
    values: Array, rows: Reals, j: Place, a: float, k: Place, b: float, m: Place, c: float, q: Place, d: float
) -> None:
    """Take multiples of four rows, or of their beginnings, off values, which are read and written once."""
    for i in range(values.shape[0]):
        values[i] -= a * rows[j, i] + b * rows[k, i] + c * rows[m, i] + d * rows[q, i]


take_four_off = compiled(_take_four_off, plain=_four_taken_off, inline="always")


@fused
def sweep(gram: Array, w: Array, gradient: Array, l1: Array, l2: float, lambda_: float) -> None:
    """Minimise over each coefficient in turn, in place; three changes wait, to be taken off with the next."""
    waiting, ridge, zero = 0, lambda_ * l2, np.uintp(0)
    first, second, third, a, b, c = zero, zero, zero, 0.0, 0.0, 0.0  # those that wait, the last one first, their steps
    for i in range(w.shape[0]):
        j = np.uintp(i)
        threshold = lambda_ * l1[j]
        target = gradient[j] - c * gram[third, j] - b * gram[second, j] - a * gram[first, j]
        if w[j] == 0.0 and abs(target) <= threshold:
            continue
        curvature = gram[j, j]
        if curvature <= 0.0:
            continue
        target += curvature * w[j]
        new = 0.0
        if abs(target) > threshold:
            new = (target - np.copysign(threshold, target)) / (curvature + ridge)
        step = new - w[j]
        w[j] = new
        if waiting == 3:
            take_four_off(gradient, gram, j, step, first, a, second, b, third, c)
            waiting, a, b, c = 0, 0.0, 0.0, 0.0
        else:
            first, second, third, a, b, c = j, first, second, step, a, b
            waiting += 1
    if waiting:
        take_four_off(gradient, gram, first, a, second, b, third, c, third, 0.0)


@compiled
def sweep_rows(
    columns: Array, w: Array, residual: Array, squares: Array, work: Flags, l1: Array, l2: float, lambda_: float
) -> None:
    """`sweep` over the columns marked in `work`, keeping the residual instead of the gradient."""
    for j in range(w.shape[0]):
        if work[j]:
            target = columns[j] @ residual + squares[j] * w[j]
            new = np.sign(target) * max(abs(target) - lambda_ * l1[j], 0.0) / (squares[j] + lambda_ * l2)
            if new != w[j]:
                take_off(residual, new - w[j], columns[j])
                w[j] = new


def _whole_penalty(w: Array, l1: Array, l2: float, lambda_: float) -> float:
    used = w != 0.0
    return float(lambda_ * (l1[used] @ np.abs(w[used]) + l2 / 2 * (w @ w)))


def _penalty(w: Array, l1: Array, l2: float, lambda_: float) -> float:
    """Penalty of coefficients; an excluded column's is zero and costs nothing."""
    value = 0.0
    for j in range(w.shape[0]):
        if w[j] != 0.0:
            value += lambda_ * (l1[j] * abs(w[j]) + l2 / 2 * w[j] ** 2)
    return value


penalty = compiled(_penalty, plain=_whole_penalty)


@summed
def heading(points: Array) -> Array:
    """Shares ``[H]`` in the points ``[H + 1, e]`` but the first, summing to one, that tell where they are heading.

    Anderson acceleration of coordinate descent (Bertrand & Massias 2021): the combined step is the shortest possible.
    """
    size, shares = len(points) - 1, np.ones(len(points) - 1)
    moves, square = points[1:] - points[:-1], np.empty((len(points) - 1, len(points) - 1))
    for i in range(size):
        for j in range(i + 1):
            total = 0.0
            for m in range(points.shape[1]):
                total += moves[i, m] * moves[j, m]
            square[i, j] = square[j, i] = total
        square[i, i] = square[i, i] * (1 + 1e-12) + 1e-300
    for i in range(size):  # elimination by hand: numba takes seconds to compile a call of LAPACK
        for j in range(size):
            if j != i:
                factor = square[j, i] / square[i, i]
                for k in range(i, size):
                    square[j, k] -= factor * square[i, k]
                shares[j] -= factor * shares[i]
    for i in range(size):
        shares[i] /= square[i, i]
    shares /= shares.sum()
    return shares


@compiled
def objective(w: Array, gradient: Array, moment: Array, l1: Array, l2: float, lambda_: float) -> float:
    """The penalised loss, less the null model's."""
    return float(penalty(w, l1, l2, lambda_) - w @ (gradient + moment) / 2)


@compiled
def descend(
    gram: Array,
    near: Array,
    near_gradient: Array,
    moment: Array,
    power: float,
    convexity: float,
    l1: Array,
    l2: float,
    lambda_: float,
    tolerance: float,
    w: Array,
    gradient: Array,
    max_sweeps: int,
) -> bool:
    """Sweep until the duality gap is at most the tolerance (absolute), in place; whether it is.

    The Gram matrix may have room for more columns than those in play, which are its first. `near_gradient` is that of
    coefficients `near`, from which the matrix tells the others.
    """
    size = w.shape[0]
    points, gradients = np.empty((HISTORY + 1, size)), np.empty((HISTORY + 1, size))
    seen, combined = 0, False
    for _ in range(max_sweeps):
        if duality_gap(w, gradient, moment, power, convexity, l1, l2, lambda_) <= tolerance:
            if not combined:
                return True
            gradient_at(gram, near, near_gradient, w, gradient)  # combining magnifies the rounding
            combined = False
            continue
        sweep(gram, w, gradient, l1, l2, lambda_)
        points[seen], gradients[seen] = w, gradient
        seen += 1
        if seen > HISTORY:
            shares = heading(points)
            ahead, slope = shares @ points[1:], shares @ gradients[1:]  # the gradient is affine in w
            if objective(ahead, slope, moment, l1, l2, lambda_) < objective(w, gradient, moment, l1, l2, lambda_):
                w[:], gradient[:], combined = ahead, slope, True
                sweep(gram, w, gradient, l1, l2, lambda_)  # a combination may have signs that no sweep leaves
            points[0], gradients[0] = w, gradient
            seen = 1
    if combined:
        gradient_at(gram, near, near_gradient, w, gradient)
    return duality_gap(w, gradient, moment, power, convexity, l1, l2, lambda_) <= tolerance


@compiled
def follow(
    gram: Array,
    near: Array,
    near_gradient: Array,
    moment: Array,
    power: float,
    convexity: float,
    l1: Array,
    l2: float,
    lambdas: Array,
    targets: Array,
    plan: Places,
    along: Array,
    at: int,
    w: Array,
    gradient: Array,
    own: Flags,
    max_sweeps: int,
) -> int:
    """Solve points by sweeps in the order of a plan, from a place of it on; the first place where these are too few.

    Parameters
    ----------
    lambdas, targets
        ``[N]``; see `regsearch.models.linear.descent` for the points N and the plan.
    w, gradient, own
        ``[N, e]``, ``[N, e]`` and ``[N]``, written to.
    """
    for q in range(at, plan.shape[0]):
        node, first, other, share = plan[q, 0], plan[q, 1], plan[q, 2], along[q]
        here, slope = w[node], gradient[node]
        for j in range(here.shape[0]):
            here[j] = (1.0 - share) * w[first, j] + share * w[other, j]
            slope[j] = (1.0 - share) * gradient[first, j] + share * gradient[other, j]
        if share < 0.0:
            for j in range(here.shape[0]):
                if here[j] != 0.0 and here[j] * w[first, j] <= 0.0 and l1[j] > 0.0:
                    take_off(slope, -here[j], gram[j])
                    here[j] = 0.0
        elif duality_gap(here, slope, moment, power, convexity, l1, l2, lambdas[node]) <= targets[node]:
            own[node] = node == first
            continue
        loss = gram, near, near_gradient, moment, power, convexity, l1, l2
        if not descend(*loss, lambdas[node], targets[node], here, slope, max_sweeps):
            return q
    return len(plan)


@compiled
def gradient_at(gram: Array, near: Array, near_gradient: Array, w: Array, gradient: Array) -> None:
    """Write the gradient of the loss at w, by that of coefficients near to it."""
    gradient[:] = near_gradient
    moved = np.flatnonzero(w != near)
    away, fours = w[moved] - near[moved], len(moved) // 4 * 4
    for i in range(0, fours, 4):
        j, k, m, q = moved[i], moved[i + 1], moved[i + 2], moved[i + 3]
        take_four_off(gradient, gram, j, away[i], k, away[i + 1], m, away[i + 2], q, away[i + 3])
    for i in range(fours, len(moved)):
        take_off(gradient, away[i], gram[moved[i]])


@compiled
def descend_rows(
    columns: Array,
    target: Array,
    moment: Array,
    squares: Array,
    l1: Array,
    l2: float,
    lambda_: float,
    tolerance: float,
    w: Array,
    residual: Array,
    max_sweeps: int,
) -> bool:
    """`descend` without a Gram matrix: cheaper for more columns ``[e, n]`` than rows.

    Columns and target ``[n]`` are those of the training rows, times the root of their weights. Between two looks at all
    columns, only those with a coefficient, or a reason to get one, are swept.
    """
    power = float(target @ target)
    points, residuals = np.empty((HISTORY + 1, w.shape[0])), np.empty((HISTORY + 1, target.shape[0]))
    gradient = columns @ residual
    for _ in range(0, max_sweeps, HISTORY + 1):
        if duality_gap(w, gradient, moment, power, 0.0, l1, l2, lambda_) <= tolerance:
            return True
        work = (w != 0.0) | (np.abs(gradient) > lambda_ * l1)
        for seen in range(HISTORY + 1):
            sweep_rows(columns, w, residual, squares, work, l1, l2, lambda_)
            points[seen], residuals[seen] = w, residual
        shares = heading(points)
        ahead, left = shares @ points[1:], shares @ residuals[1:]
        gain = residual @ residual - left @ left + 2 * penalty(w, l1, l2, lambda_)
        if gain > 2 * penalty(ahead, l1, l2, lambda_):
            w[:] = ahead
            residual[:] = left if np.abs(shares).sum() < FAR else target - w @ columns
            sweep_rows(columns, w, residual, squares, work, l1, l2, lambda_)
        gradient = columns @ residual
    return duality_gap(w, gradient, moment, power, 0.0, l1, l2, lambda_) <= tolerance
