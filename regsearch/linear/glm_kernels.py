"""Coordinate descent on a penalised quadratic, compiled by numba where it is installed and plain Python otherwise.

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
from numpy.typing import NDArray

from regsearch.linear.kernels import compiled

Array = NDArray[np.float64]


@compiled
def sweep(gram: Array, w: Array, gradient: Array, threshold: Array, ridge: float, every: bool) -> float:
    """Minimise over each coefficient in turn, in place: all of them, or only those that are not zero.

    Returns the largest violation of optimality that was met.
    """
    worst = 0.0
    for j in range(w.shape[0]):
        curvature = gram[j, j] + ridge
        if curvature <= 0.0 or not (every or w[j] != 0.0):
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
def descend(
    gram: Array, start: Array, gradient: Array, threshold: Array, ridge: float, tolerance: float, max_sweeps: int
) -> Array:
    """The minimiser ``[e]``, from `start`: until a sweep over all finds nothing worse than the tolerance.

    A violation v costs a gap of about ``v |w|_1``; that is what the tolerance bounds.
    """
    w, slope = start.copy(), gradient.copy()
    every = True
    for _ in range(max_sweeps):
        worst = sweep(gram, w, slope, threshold, ridge, every)
        small = worst * np.abs(w).sum() <= tolerance
        if small and every:
            break
        every = small  # the zeros wait until the others have settled
    return w
