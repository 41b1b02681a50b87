"""Symmetric matrices that are kept for later: their lower triangles alone, column by column, in half the room."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dtrttp

from regsearch._types import Array, Rows
from regsearch.models.linear.blocks import mirrored


def packed(symmetric: Array) -> Array:
    """``[e (e + 1) / 2]`` of a symmetric matrix ``[e, e]``."""
    return np.asarray(dtrttp(symmetric.T, uplo="L")[0]) if len(symmetric) else np.empty(0)


def unpacked(triangle: Array, places: Rows | None = None, size: int = 0) -> Array:
    """The matrix ``[e, e]``, whole; where places ``[e]`` are given, there in one of this size, with zeros beside it."""
    if places is None:
        size = int(np.sqrt(2 * len(triangle)))
        places = np.arange(size)
    whole, start = np.zeros((size, size)), 0
    for i, place in enumerate(places):
        end = start + len(places) - i
        whole[place, places[i:]] = triangle[start:end]
        start = end
    return mirrored(whole)
