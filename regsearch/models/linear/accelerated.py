"""Proximal gradient descent on a quadratic, for penalties of which only the prox is known.

The quadratic makes a step cheap: one product with its curvature. After every few steps, the combination of them that is
heading furthest is taken where it lowers the objective (Anderson acceleration, Mai & Johansson 2020).

Notation: w, slope ``[e, m]``, gram ``[e m, e m]``; see `regsearch.models.linear.general`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from regsearch._types import Array

MOST_STEPS = 20_000
HISTORY = 6  # steps between two combinations


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

    def objective(w: Array) -> float:
        return value(w) - float(w.ravel() @ (moment - gram @ w.ravel() / 2))

    w, points = start, [start]
    for _ in range(MOST_STEPS):
        descent = (moment - gram @ w.ravel()).reshape(start.shape)
        new = prox(w + step * descent)
        moved = np.abs(new - w)
        w = new
        if (moved * (np.abs(new) + moved)).sum() / step <= tolerance:
            break
        points.append(w)
        if len(points) > HISTORY:
            ahead = _ahead(np.stack(points).reshape(len(points), -1)).reshape(w.shape)
            w = ahead if objective(ahead) < objective(w) else w
            points = [w]
    return w


def _ahead(points: Array) -> Array:
    """Where points ``[H + 1, e]`` are heading: the combination of the last H with the shortest combined step."""
    steps = np.diff(points, axis=0)
    square = steps @ steps.T
    square[np.diag_indices(len(square))] *= 1 + 1e-12
    square[np.diag_indices(len(square))] += 1e-300
    shares = np.linalg.lstsq(square / square.max(), np.ones(len(square)), rcond=None)[0]
    return np.asarray(shares / (shares.sum() or 1.0) @ points[1:])
