"""Coordinate descent on columns that are mostly zeros, compiled by numba where it is installed.

The quadratic is that of a Newton step. No product of two columns is ever formed: a step of one coefficient reads and
writes the rows where its column has entries.

Notation and shapes

=========  ===========  ===============================================================================
symbol     shape        meaning
=========  ===========  ===============================================================================
m, e, n    int          outputs, columns in play, rows
ends       [e + 1]      where the entries of each column begin, and the last ones end
rows       [...]        the row of each entry
values     [...]        the entries
h          [n]          curvatures of the rows, of one output
bent       [...]        the entries times the h of their rows
edge       [e]          the same, summed over rows; `total` is the sum of h
inverse    [e]          one over bend + ridge; 0 of a coefficient that makes no difference
own        [n, m]       of several outputs every row has the curvature ``diag(own) - shares shares'``
shares     [n, m]
bend       [e], [m, e]  curvature of each coefficient; of one output with the intercept fitted along
pull       [n], [n, m]  negative gradient of the quadratic in the decisions, of one output but for ``drift h``
drift      float        what the intercept has still to go, its sign turned: it keeps the sum of all pulls at zero
some       [...]        places of the coefficients to move, in ``[m, e]`` as it lies in memory
threshold  [m e]        lambda l1: weight of |w_j|; infinite keeps a coefficient at zero
ridge      float        lambda l2: weight of w_j^2 / 2
=========  ===========  ===============================================================================
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows
from regsearch.models.compiling import compiled
from regsearch.models.linear.kernels import HISTORY, Flags, heading

Places = NDArray[np.uint32]
ROUNDING = 1e-12  # share of a column's power that is rounding, where the intercept explains the rest of it


@compiled
def product(rows: Places, values: Array, first: int, last: int, vector: Array) -> float:
    """Of the column between two ends and a vector ``[n]``: four sums, none of which waits for another."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    fours = first + (last - first) // 4 * 4
    for at in range(first, fours, 4):
        a += values[at] * vector[rows[at]]
        b += values[at + 1] * vector[rows[at + 1]]
        c += values[at + 2] * vector[rows[at + 2]]
        d += values[at + 3] * vector[rows[at + 3]]
    for at in range(fours, last):
        a += values[at] * vector[rows[at]]
    return (a + b) + (c + d)


@compiled
def chosen(
    ends: Places, rows: Places, values: Array, h: Array, total: float, some: Rows
) -> tuple[Places, Places, Array, Array, Array, Array]:
    """``ends``, ``rows``, ``values``, ``bent``, ``edge`` and ``bend`` of some columns, which then lie side by side."""
    own, count = np.zeros(len(some) + 1, ends.dtype), 0
    for i in range(len(some)):
        count += ends[some[i] + 1] - ends[some[i]]
        own[i + 1] = count
    places, entries, bent = np.empty(count, rows.dtype), np.empty(count), np.empty(count)
    edge, bend, to = np.empty(len(some)), np.empty(len(some)), 0
    for i in range(len(some)):
        linear, square = 0.0, 0.0
        for at in range(ends[some[i]], ends[some[i] + 1]):
            weighed = values[at] * h[rows[at]]
            places[to], entries[to], bent[to] = rows[at], values[at], weighed
            linear += weighed
            square += values[at] * weighed
            to += 1
        edge[i], rest = linear, square - linear**2 / total
        bend[i] = rest if rest > ROUNDING * square else 0.0
    return own, places, entries, bent, edge, bend


@compiled
def predict(ends: Places, rows: Places, values: Array, w: Array, n: int) -> Array:
    """``[n]``: the columns times their coefficients; those of zeros are not read."""
    ahead = np.zeros(n)
    for j in range(len(w)):
        if w[j] != 0.0:
            for at in range(ends[j], ends[j + 1]):
                ahead[rows[at]] += w[j] * values[at]
    return ahead


@compiled
def correlate(ends: Places, rows: Places, values: Array, residual: Array) -> Array:
    """``[e]``: products of the columns with residuals ``[n]``."""
    slope = np.empty(len(ends) - 1)
    for j in range(len(slope)):
        slope[j] = product(rows, values, ends[j], ends[j + 1], residual)
    return slope


@compiled
def sweep_columns(
    ends: Places, rows: Places, values: Array, bent: Array, edge: Array, bend: Array, inverse: Array, total: float,
    w: Array, pull: Array, drift: float, threshold: Array,
) -> tuple[float, float]:  # fmt: skip
    """Minimise over the coefficients in turn, in place: the largest violation that was met, and the drift."""
    worst = 0.0
    for j in range(len(w)):
        if inverse[j] == 0.0:
            continue
        first, last = ends[j], ends[j + 1]
        target = drift * edge[j] + bend[j] * w[j] + product(rows, values, first, last, pull)
        size = max(abs(target) - threshold[j], 0.0) * inverse[j]
        new = size if target > 0.0 else -size
        step = new - w[j]
        if step != 0.0:
            worst = max(worst, abs(step) / inverse[j])
            w[j] = new
            for at in range(first, last):
                pull[rows[at]] -= step * bent[at]
            drift += step * edge[j] / total
    return worst, drift


@compiled
def leap_columns(
    ends: Places, rows: Places, values: Array, h: Array, total: float,
    w: Array, pull: Array, drift: float, threshold: Array, ridge: float, new: Array,
) -> float:  # fmt: skip
    """Move the coefficients to new ones, in place, where that lowers the objective; the drift is what it becomes."""
    ahead = predict(ends, rows, values, new - w, len(h))
    fall = ahead * h
    lost = float(fall.sum())
    gain = ahead @ pull - ahead @ fall / 2 + lost * (drift + lost / total / 2)
    for j in range(len(w)):
        if new[j] != w[j]:
            gain -= threshold[j] * (abs(new[j]) - abs(w[j])) + ridge / 2 * (new[j] ** 2 - w[j] ** 2)
    if not gain > 0.0:
        return drift
    w[:] = new
    pull -= fall
    return drift + lost / total


@compiled
def descend_columns(
    ends: Places, rows: Places, values: Array, bent: Array, edge: Array, bend: Array, h: Array, total: float,
    w: Array, pull: Array, threshold: Array, ridge: float, tolerance: float, sweeps: int,
) -> tuple[int, float]:  # fmt: skip
    """Sweeps over the coefficients, extrapolated where they are heading, in place, from a drift of zero.

    Until the violations that one meets cost no more than the tolerance: how many were taken, and the drift.
    """
    inverse, points, drift, taken = np.zeros(len(w)), np.empty((HISTORY + 1, len(w))), 0.0, 0
    for j in range(len(w)):
        if bend[j] + ridge > 0.0:
            inverse[j] = 1.0 / (bend[j] + ridge)
    points[0] = w
    while taken < sweeps:
        taken += 1
        worst, drift = sweep_columns(
            ends, rows, values, bent, edge, bend, inverse, total, w, pull, drift, threshold
        )  # fmt: skip
        if worst * np.abs(w).sum() <= tolerance:
            break
        at = (taken - 1) % HISTORY + 1
        points[at] = w
        if at == HISTORY:
            new = heading(points) @ points[1:]
            drift = leap_columns(ends, rows, values, h, total, w, pull, drift, threshold, ridge, new)
            points[0] = w
    return taken, drift


@compiled
def beyond(ends: Places, rows: Places, values: Array, pull: Array, w: Array, threshold: Array) -> tuple[Flags, float]:
    """``[e]`` whether coefficients are not zero or should not be, and the largest violation of those that are zero."""
    found, worst = w != 0.0, 0.0
    for j in range(len(w)):
        if not found[j] and threshold[j] < np.inf:
            over = abs(product(rows, values, ends[j], ends[j + 1], pull)) - threshold[j]
            found[j], worst = over > 0.0, max(worst, over)
    return found, worst


@compiled
def sweep_outputs(
    ends: Places, rows: Places, values: Array, own: Array, shares: Array, bend: Array, some: Rows,
    w: Array, pull: Array, threshold: Array, ridge: float,
) -> float:  # fmt: skip
    """The same for several outputs, w and all that goes with it flat; intercepts stay where they are."""
    worst, e, m = 0.0, len(ends) - 1, own.shape[1]
    for place in some:
        c, j = place // e, place % e
        curvature = bend[place] + ridge
        if curvature <= 0.0:
            continue
        first, last = ends[j], ends[j + 1]
        target = bend[place] * w[place]
        for at in range(first, last):
            target += values[at] * pull[rows[at], c]
        new = np.sign(target) * max(abs(target) - threshold[place], 0.0) / curvature
        step = new - w[place]
        if step != 0.0:
            worst = max(worst, abs(step) * curvature)
            w[place] = new
            for at in range(first, last):
                i, ahead = rows[at], step * values[at]
                pull[i, c] -= ahead * own[i, c]
                ahead *= shares[i, c]
                for d in range(m):
                    pull[i, d] += ahead * shares[i, d]
    return worst
