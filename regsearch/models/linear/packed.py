"""Symmetric matrices that are kept for later: their lower triangles alone, column by column, in half the room."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dtpttr, dtrttp

from regsearch._types import Array
from regsearch.models.linear.blocks import mirrored


def packed(symmetric: Array) -> Array:
    """``[e (e + 1) / 2]`` of a symmetric matrix ``[e, e]``."""
    return np.asarray(dtrttp(symmetric.T, uplo="L")[0]) if len(symmetric) else np.empty(0)


def unpacked(triangle: Array) -> Array:
    """The matrix ``[e, e]``, whole."""
    size = int(np.sqrt(2 * len(triangle)))
    if not size:
        return np.empty((0, 0))
    return mirrored(np.asarray(dtpttr(size, triangle, uplo="L")[0]).T)
