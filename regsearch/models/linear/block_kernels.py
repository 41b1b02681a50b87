"""What blocks on the diagonal of a Hessian tell of minima, compiled by numba where it is installed.

Notation and shapes

=========  ========  ===============================================================================================
symbol     shape     meaning
=========  ========  ===============================================================================================
m, e       int       blocks, and coefficients of all of them, one block behind another
ends       [m + 1]   where the coefficients of each block begin, and those of the last one end
squares    [..]      the blocks ``[s, s]`` of so many coefficients, flat, one behind another
factors    [..]      the Cholesky factors of their supports; see `regsearch.models.linear.support`
active     [e]       the columns of each support, by their places in its block
count      [m]       how many there are
=========  ========  ===============================================================================================
"""

from __future__ import annotations

import numpy as np

from regsearch._types import Array
from regsearch.models.compiling import compiled
from regsearch.models.linear.glm_kernels import sweep
from regsearch.models.linear.kernels import Flags, Places
from regsearch.models.linear.support import append, solve


@compiled
def descend_blocks(
    squares: Array, ends: Places, w: Array, slope: Array, threshold: Array, ridge: float, tolerance: float, sweeps: int
) -> float:
    """Minimise over the coefficients of each block as if there were no others, in place, by so many sweeps at most.

    Returns what the violations of optimality that the first sweep met cost.
    """
    cost, at = 0.0, 0
    for k in range(len(ends) - 1):
        first, end = ends[k], ends[k + 1]
        square = squares[at : at + (end - first) ** 2].reshape(end - first, end - first)
        at += (end - first) ** 2
        for taken in range(sweeps):
            violated = sweep(square, w[first:end], slope[first:end], threshold[first:end], ridge)
            if taken == 0:
                cost += violated
            if violated <= tolerance:
                break
    return cost


@compiled
def extend_factors(
    squares: Array, ends: Places, ridge: float, live: Flags, known: Flags, active: Places, count: Places, factors: Array
) -> None:
    """Append what is live and not known to the supports; what others of its block explain is left out."""
    at, start = 0, 0
    for k in range(len(ends) - 1):
        first, size = ends[k], ends[k + 1] - ends[k]
        square, factor = squares[at : at + size**2].reshape(size, size), factors[start : start + size * (size + 1) // 2]
        at, start = at + size**2, start + size * (size + 1) // 2
        for j in range(size):
            if live[first + j] and not known[first + j]:
                known[first + j] = True
                if append(square, ridge, active[first : first + size], factor, count[k], j):
                    count[k] += 1


@compiled
def solve_blocks(ends: Places, active: Places, count: Places, factors: Array, right: Array) -> Array:
    """The solution of each block for its part of ``[e]``; zero outside the supports."""
    found, start = np.zeros_like(right), 0
    for k in range(len(ends) - 1):
        first, size = ends[k], ends[k + 1] - ends[k]
        factor = factors[start : start + size * (size + 1) // 2]
        start += size * (size + 1) // 2
        own = np.empty(count[k])
        for i in range(count[k]):
            own[i] = right[first + active[first + i]]
        own = solve(factor, own, False)
        for i in range(count[k]):
            found[first + active[first + i]] = own[i]
    return found
