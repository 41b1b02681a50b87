"""Errors of decisions and their weighted means, of one target or several; notation as in `regsearch.metrics.scorer`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array


def errors_of(y: NDArray[Any], decision: Array) -> Array:
    """``[n, S]``, or ``[n, S, t]`` for several targets: how far a decision is above y."""
    errors: Array = decision[:, :, 0] - y[:, None] if y.ndim == 1 else decision - y[:, None]
    return errors


def weighted(values: Array, weights: Array) -> Array:
    """Weighted means over the rows of values ``[n, ...]``."""
    means: Array = weights @ values if values.ndim == 2 else np.tensordot(weights, values, 1)
    return means


def over_targets(values: Array) -> Array:
    """``[S]`` means of values ``[S, t]``; values ``[S]`` of one target as they are."""
    return values if values.ndim == 1 else np.asarray(values.mean(axis=1))
