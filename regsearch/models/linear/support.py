"""Squared error with an L1 part, solved on a support: for columns so alike that sweeps over them hardly move.

With the signs of the coefficients fixed the objective is a quadratic, whose minimum is one linear solve away. On the
way there the first coefficient to become zero leaves the support; once there, the column that gains most enters it.
That is the feature-sign search (Lee, Battle, Raina & Ng 2007), with the updates of a Cholesky factor that make least
angle regression fast. Every step lowers the objective, and there are finitely many supports with signs. A column that
the support explains, such as a copy of another, takes the place of one of them: the objective is linear in that.

Notation and shapes (see `regsearch.models.linear.kernels`)

=========  ======  ==================================================================================
symbol     shape   meaning
=========  ======  ==================================================================================
e          int     number of columns
a          int     number of columns in the support, the `count` of functions
active     [e]     its first a are the columns of the support
factor     [..]    begins with the Cholesky factor (lower) of the support's gram + ridge: ``a (a + 1) / 2`` numbers,
                   of each row those up to the diagonal, behind those of the row before
sign       [e]     the signs that coefficients have, or will get; 0 of those outside the support
threshold  [e]     lambda l1
ridge      float   lambda l2
barred     [e]     columns that rounding alone lets in
push       [e]     negative gradient of the objective with the signs as they are; of use on the support
move       [a]     a change of the support's coefficients
=========  ======  ==================================================================================
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.blas import dtrsm
from scipy.linalg.lapack import dpotrf

from regsearch._types import Array
from regsearch.models.compiling import compiled
from regsearch.models.linear.kernels import Flags, Places, duality_gap, take_off

DEPENDENT = 1e-12  # share of a column's power that is rounding, where others explain the rest of it
VIOLATED = 1e-12  # relative excess of a gradient over its threshold that is rounding
MOST = 10_000  # steps
AT_ONCE = 32  # rows of a factor that are made together
REFINEMENTS = 3  # solves on one support, where rounding keeps the gap above the target


@compiled
def row_of(factor: Array, i: int) -> Array:
    """``[i + 1]``: a row of the factor."""
    start = i * (i + 1) // 2
    return factor[start : start + i + 1]


@compiled
def append(gram: Array, ridge: float, active: Places, factor: Array, count: int, j: int) -> bool:
    """Make column j the last of the support; whether the others do not explain it.

    Row `count` of the factor is written to all the same.
    """
    row = row_of(factor, count)
    for i in range(count):
        other = row_of(factor, i)
        row[i] = (gram[j, active[i]] - other[:i] @ row[:i]) / other[i]
    power = gram[j, j] + ridge
    rest = power - row[:count] @ row[:count]
    if rest <= DEPENDENT * power:
        return False
    row[count], active[count] = np.sqrt(rest), j
    return True


@compiled
def remove(active: Places, factor: Array, count: int, at: int) -> None:
    """Take the column at a place out of the support; rotations make its factor triangular again."""
    cosine, sine = np.empty(count), np.empty(count)
    for i in range(at, count - 1):
        active[i], row = active[i + 1], row_of(factor, i + 1)
        for j in range(at, i + 1):
            left, right = row[j], row[j + 1]
            if j == i:
                length = np.sqrt(left**2 + right**2)
                cosine[i], sine[i] = left / length, right / length
            row[j], row[j + 1] = cosine[j] * left + sine[j] * right, cosine[j] * right - sine[j] * left
        row_of(factor, i)[:] = row[: i + 1]


@compiled
def solve(factor: Array, right: Array, halfway: bool) -> Array:
    """The solution x ``[a]`` of ``factor factor' x = right``, or, once halfway, of ``factor' x = right``."""
    x = right.copy()
    if not halfway:
        for i in range(x.shape[0]):
            row = row_of(factor, i)
            x[i] = (x[i] - row[:i] @ x[:i]) / row[i]
    for i in range(x.shape[0] - 1, -1, -1):
        row = row_of(factor, i)
        x[i] /= row[i]
        take_off(x[:i], x[i], row)
    return x


@compiled
def first_zero(w: Array, sign: Array, active: Places, move: Array) -> tuple[float, int]:
    """How many times a move until a coefficient changes sign, and its place; infinity where none does."""
    reach, at = np.inf, -1
    for i in range(move.shape[0]):
        j = active[i]
        if sign[j] * move[i] < 0.0 and abs(w[j]) < reach * abs(move[i]):
            reach, at = abs(w[j] / move[i]), i
    return reach, at


@compiled
def refresh(
    gram: Array, moment: Array, threshold: Array, ridge: float, w: Array, sign: Array, gradient: Array, push: Array
) -> None:
    """Write the gradient of the loss, and the push, at w."""
    gradient[:] = moment
    for j in range(w.shape[0]):
        if w[j] != 0.0:
            gradient -= w[j] * gram[j]
    for j in range(w.shape[0]):
        if sign[j] != 0.0:
            push[j] = gradient[j] - ridge * w[j] - threshold[j] * sign[j]


@compiled
def enter(
    gram: Array, ridge: float, w: Array, sign: Array, push: Array, active: Places, factor: Array, count: int, j: int
) -> int:
    """Take a column into the support, in exchange for those that it and others explain; the new count.

    Its sign is 0 afterwards where it is itself what the others explain.
    """
    while not append(gram, ridge, active, factor, count, j):
        move = -solve(factor, row_of(factor, count)[:count], True)  # makes up for one more of column j
        gain = push[j]
        for i in range(count):
            gain += move[i] * push[active[i]]
        way = sign[j] if w[j] == 0.0 or gain * sign[j] > 0.0 else -sign[j]
        move *= way
        reach, at = first_zero(w, sign, active, move)
        own = np.inf if way == sign[j] else abs(w[j])
        if own <= reach:
            reach, at = own, -1
        if np.isinf(reach):  # rounding: there is nothing to gain
            reach = 0.0
        for i in range(count):
            w[active[i]] += reach * move[i]
        w[j] += reach * way
        if at < 0:
            w[j], sign[j] = 0.0, 0.0
            return count
        w[active[at]], sign[active[at]] = 0.0, 0.0
        remove(active, factor, count, at)
        count -= 1
    return count + 1


@compiled
def most_gaining(gram: Array, ridge: float, threshold: Array, gradient: Array, sign: Array, barred: Flags) -> int:
    """The column outside whose coefficient alone would lower the objective most; -1 where none would."""
    best, found = 0.0, -1
    for j in range(gradient.shape[0]):
        excess = abs(gradient[j]) - threshold[j]
        passed = sign[j] != 0.0 or barred[j] or gram[j, j] <= 0.0
        if not passed and excess > VIOLATED * threshold[j]:
            gain = excess**2 / (gram[j, j] + ridge)
            if gain > best:
                best, found = gain, j
    return found


@compiled
def go_to_minimum(
    w: Array, sign: Array, push: Array, barred: Flags, active: Places, factor: Array, count: int
) -> tuple[int, int]:
    """Go to the minimum with these signs, letting go of what becomes zero on the way; new count, and steps taken."""
    right, steps = np.empty(count), 0
    for i in range(count):
        right[i] = push[active[i]]
    while count > 0:
        steps += 1
        move = solve(factor, right, False)
        reach, at = first_zero(w, sign, active, move)
        for i in range(count):
            w[active[i]] += min(reach, 1.0) * move[i]
        if reach >= 1.0:
            break
        left = active[at]
        w[left], sign[left] = 0.0, 0.0
        barred[left] = reach == 0.0  # rounding alone had let it in
        remove(active, factor, count, at)
        right[at : count - 1] = right[at + 1 : count]
        right = (1.0 - reach) * right[: count - 1]
        count -= 1
    return count, steps


@compiled
def search(
    gram: Array, moment: Array, power: float, convexity: float, l1: Array, l2: float, lambda_: float, tolerance: float,
    w: Array, sign: Array, factor: Array, active: Places, count: int, max_steps: int,
) -> tuple[bool, int]:  # fmt: skip
    """Minimise in place; see `minimise_on_support`.

    The support is that of the start already, or of no column (`count` is 0).
    """
    e, ridge, threshold = w.shape[0], lambda_ * l2, lambda_ * l1
    gradient, push = np.empty(e), np.zeros(e)
    refresh(gram, moment, threshold, ridge, w, sign, gradient, push)
    steps, refined, barred = 0, 0, np.zeros(e, dtype=np.bool_)
    for j in range(e if count == 0 else 0):
        if w[j] != 0.0:
            count = enter(gram, ridge, w, sign, push, active, factor, count, j)
    while steps < max_steps and refined <= REFINEMENTS:
        refresh(gram, moment, threshold, ridge, w, sign, gradient, push)
        count, more = go_to_minimum(w, sign, push, barred, active, factor, count)
        steps += more + 1
        refresh(gram, moment, threshold, ridge, w, sign, gradient, push)
        if duality_gap(w, gradient, moment, power, convexity, l1, l2, lambda_) <= tolerance:
            return True, steps
        j = most_gaining(gram, ridge, threshold, gradient, sign, barred)
        if j < 0:
            refined += 1
        else:
            sign[j] = 1.0 if gradient[j] > 0.0 else -1.0
            push[j] = gradient[j] - threshold[j] * sign[j]
            count = enter(gram, ridge, w, sign, push, active, factor, count, j)
            barred[j] = sign[j] == 0.0
    return False, steps


def minimise_on_support(
    gram: Array, moment: Array, power: float, convexity: float, l1: Array, l2: float, lambda_: float, tolerance: float,
    start: Array, max_steps: int = MOST, room: Array | None = None,
) -> tuple[Array, bool, int]:  # fmt: skip
    """Coefficients ``[e]``, from `start`, whether their duality gap is at most the tolerance, and steps taken.

    The factor is written to a room ``[e (e + 1) / 2]`` or larger, where there is one.
    """
    w, active = start.copy(), np.zeros(len(start), dtype=np.intp)
    factor = np.empty(len(start) * (len(start) + 1) // 2) if room is None else room
    loss = np.ascontiguousarray(gram), moment, power, convexity, l1, l2
    count = first_support(loss[0], lambda_ * l2, w, active, factor)
    done, steps = search(*loss, lambda_, tolerance, w, np.sign(start), factor, active, count, max_steps)
    return w, done, steps


def first_support(gram: Array, ridge: float, w: Array, active: Places, factor: Array) -> int:
    """Write the support of w and its factor, all at once, and give its size; 0 where columns must enter one by one.

    That is where one of them is what others explain, and others must make room for it.
    """
    some = np.flatnonzero(w)
    for start in range(0, len(some), AT_ONCE):
        rows = some[start : start + AT_ONCE]
        block = gram[rows][:, some[: start + len(rows)]]
        for first in range(0, start, AT_ONCE):
            above, part = rows_of(factor, first, first + AT_ONCE), block[:, first : first + AT_ONCE]
            part -= block[:, :first] @ above[:, :first].T
            part[:] = dtrsm(1.0, above[:, first:].T, part.T, trans_a=1).T
        own = block[:, start:]
        own -= block[:, :start] @ block[:, :start].T
        own[np.diag_indices(len(own))] += ridge
        upper, failed = dpotrf(own.T)
        if failed or np.any(upper.diagonal() ** 2 <= DEPENDENT * (gram[rows, rows] + ridge)):
            return 0
        own[:] = upper.T
        write_rows(factor, start, block)
    active[: len(some)] = some
    return len(some)


@compiled
def rows_of(factor: Array, first: int, end: int) -> Array:
    """``[r, end]``: consecutive rows of the factor, and zeros behind them."""
    rows = np.zeros((end - first, end))
    for i in range(first, end):
        rows[i - first, : i + 1] = row_of(factor, i)
    return rows


@compiled
def write_rows(factor: Array, first: int, rows: Array) -> None:
    """Make the lower triangle of ``[r, first + r]`` consecutive rows of the factor."""
    for i in range(rows.shape[0]):
        row_of(factor, first + i)[:] = rows[i, : first + i + 1]
