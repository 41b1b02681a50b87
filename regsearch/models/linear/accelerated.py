"""Accelerated proximal gradient descent on a quadratic, for penalties of which only the prox is known.

FISTA (Beck & Teboulle 2009) that starts anew where it overshoots (O'Donoghue & Candes 2015). The quadratic makes a step
cheap: one product with its curvature. Where a step does not lower the objective, as a penalty that is not convex may
make it, the plain step is taken, which always does.

Notation: w, slope ``[e, m]``, gram ``[e m, e m]``; see `regsearch.models.linear.general`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from regsearch._types import Array

MOST_STEPS = 20_000


def accelerated(
    gram: Array, start: Array, slope: Array, step: float,
    prox: Callable[[Array], Array], value: Callable[[Array], float], tolerance: float,
) -> Array:  # fmt: skip
    """Coefficients ``[e, m]``, from `start`, where the quadratic has the negative gradient `slope`.

    Parameters
    ----------
    prox, value
        The penalty's, for the step length `step`.
    tolerance
        It ends where a step promises to lower the objective by no more than this.
    """
    moment = slope.ravel() + gram @ start.ravel()
    w = last = start
    ahead, inertia = start, 1.0
    best = np.inf
    for _ in range(MOST_STEPS):
        descent = (moment - gram @ ahead.ravel()).reshape(start.shape)
        new = prox(ahead + step * descent)
        moved = np.abs(ahead - new)
        if (moved * (np.abs(new) + moved)).sum() / step <= tolerance:
            return new if value(new) < np.inf else w
        here = value(new) - float(new.ravel() @ (moment - gram @ new.ravel() / 2))
        if here > best and ahead is not w:  # the last steps went too far
            ahead, inertia = w, 1.0
            continue
        w, last, best = new, w, here
        faster = (1 + np.sqrt(1 + 4 * inertia**2)) / 2
        ahead, inertia = w + (inertia - 1) / faster * (w - last), faster
    return w
