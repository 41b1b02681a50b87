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
own        [n, m]       of several outputs every row has the curvature ``diag(own) - shares shares'``
shares     [n, m]
bend       [e], [m, e]  curvature of each coefficient; of one output with the intercept fitted along
pull       [n], [n, m]  negative gradient of the quadratic in the decisions, but for ``drift h``
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

Places = NDArray[np.uint32]
ROUNDING = 1e-12  # share of a column's power that is rounding, where the intercept explains the rest of it


def _product(rows: Places, values: Array, first: int, last: int, vector: Array) -> float:
    """Of the column between two ends and a vector ``[n]``: terms may be added in any order, and so several at once."""
    total = 0.0
    for at in range(first, last):
        total += values[at] * vector[rows[at]]
    return total


product = compiled(_product, fastmath={"reassoc", "contract", "nsz"})


@compiled
def bends(ends: Places, rows: Places, values: Array, h: Array, total: float) -> tuple[Array, Array, Array]:
    """``bent``, ``edge`` and ``bend`` of one output."""
    bent, edge, bend = np.empty_like(values), np.zeros(len(ends) - 1), np.zeros(len(ends) - 1)
    for j in range(len(ends) - 1):
        linear, square = 0.0, 0.0
        for at in range(ends[j], ends[j + 1]):
            bent[at] = values[at] * h[rows[at]]
            linear += bent[at]
            square += values[at] * bent[at]
        edge[j], rest = linear, square - linear**2 / total
        bend[j] = rest if rest > ROUNDING * square else 0.0
    return bent, edge, bend


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
    ends: Places, rows: Places, values: Array, bent: Array, edge: Array, bend: Array, total: float, some: Rows,
    w: Array, pull: Array, drift: float, threshold: Array, ridge: float,
) -> tuple[float, float]:  # fmt: skip
    """Minimise over some of the coefficients in turn, in place: the largest violation that was met, and the drift."""
    worst = 0.0
    for j in some:
        curvature = bend[j] + ridge
        if curvature <= 0.0:
            continue
        first, last = ends[j], ends[j + 1]
        target = drift * edge[j] + bend[j] * w[j] + product(rows, values, first, last, pull)
        new = np.sign(target) * max(abs(target) - threshold[j], 0.0) / curvature
        step = new - w[j]
        if step != 0.0:
            worst = max(worst, abs(step) * curvature)
            w[j] = new
            for at in range(first, last):
                pull[rows[at]] -= step * bent[at]
            drift += step * edge[j] / total
    return worst, drift


@compiled
def descend_columns(
    ends: Places, rows: Places, values: Array, bent: Array, edge: Array, bend: Array, total: float, some: Rows,
    w: Array, pull: Array, drift: float, threshold: Array, ridge: float, points: Array, tolerance: float,
) -> tuple[bool, float]:  # fmt: skip
    """Sweeps over some of the coefficients, among them all that are not zero, in place; the drift is what it becomes.

    After each the coefficients are written to the next of `points` ``[s + 1, some]``. It ends with the last of these,
    or with the first sweep whose violations cost no more than the tolerance: whether that was.
    """
    for taken in range(1, len(points)):
        worst, drift = sweep_columns(
            ends, rows, values, bent, edge, bend, total, some, w, pull, drift, threshold, ridge
        )  # fmt: skip
        size, point = 0.0, points[taken]
        for i in range(len(some)):
            point[i] = w[some[i]]
            size += abs(point[i])
        if worst * size <= tolerance:
            return True, drift
    return False, drift


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
