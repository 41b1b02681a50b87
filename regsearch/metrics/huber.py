"""Huber's loss as a score, of a distance in the units of y, and what is explained of it.

Losses are ``r^2 / 2`` of residuals up to the distance d and ``d |r| - d^2 / 2`` of larger ones (Huber 1964).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.metrics.residuals import errors_of, over_targets, weighted

TINY = float(np.finfo(float).tiny)


def huber_losses(residual: Array, distance: float) -> Array:
    """Of each residual."""
    near = np.clip(residual, -distance, distance)
    return np.asarray(near * residual - near**2 / 2)


def huber_center(y: Array, weights: Array, distance: float) -> float:
    """The constant with the least mean loss, of targets ``[n]``: residuals, cut at the distance, have the mean zero."""
    from scipy.optimize import brentq

    low, high = float(y.min()), float(y.max())
    if low == high:
        return low
    near = max(1e-14 * (high - low), TINY)
    return float(brentq(lambda center: weights @ np.clip(y - center, -distance, distance), low, high, xtol=near))


def neg_huber(y: NDArray[Any], decision: Array, weights: Array, distance: float) -> Array:
    """``[S]`` minus the mean loss; notation as in `regsearch.metrics.scorer`."""
    return -over_targets(weighted(huber_losses(errors_of(y, decision), distance), weights))


def d2_huber(y: NDArray[Any], decision: Array, weights: Array, distance: float) -> Array:
    """``[S]``: the share of the loss of the best constant that is explained."""
    losses = weighted(huber_losses(errors_of(y, decision), distance), weights)
    center = np.array([huber_center(target, weights, distance) for target in y.reshape(len(y), -1).T])
    null = weights @ huber_losses(y.reshape(len(y), -1) - center, distance)
    with np.errstate(divide="ignore", invalid="ignore"):  # y may be constant on a few rows: no finite score
        return over_targets(1 - losses / (null if y.ndim > 1 else null[0]))


def mean_huber_loss(y_true: Any, y_pred: Any, *, distance: float, sample_weight: Any = None) -> float:
    """The mean loss, as scikit-learn's functions of metrics are called."""
    y, decision, weights = _checked(y_true, y_pred, sample_weight)
    return -float(neg_huber(y, decision, weights, distance)[0])


def d2_huber_score(y_true: Any, y_pred: Any, *, distance: float, sample_weight: Any = None) -> float:
    """One less the loss over that of the best constant, as scikit-learn's functions of metrics are called."""
    y, decision, weights = _checked(y_true, y_pred, sample_weight)
    return float(d2_huber(y, decision, weights, distance)[0])


def _checked(y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Array, Array, Array]:
    y, predicted = np.asarray(y_true, dtype=float), np.asarray(y_pred, dtype=float)
    weights = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    return y, predicted.reshape(len(y), 1, -1), weights / weights.sum()
