"""Symmetric matrices that are kept for later: their lower triangles alone, column by column, in half the room."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows
from regsearch.models.linear.blocks import mirrored


def packed(symmetric: Array, single: bool = False) -> NDArray[np.floating[Any]]:
    """``[e (e + 1) / 2]`` of a symmetric matrix ``[e, e]``, of double or of single precision."""
    size, start = len(symmetric), 0
    triangle: NDArray[np.floating[Any]] = np.empty(size * (size + 1) // 2, np.float32 if single else np.float64)
    for i, row in enumerate(symmetric):
        triangle[start : start + size - i] = row[i:]
        start += size - i
    return triangle


def unpacked(triangle: NDArray[np.floating[Any]], places: Rows | None = None, size: int = 0) -> Array:
    """The matrix ``[e, e]``, whole, of doubles; where places ``[e]`` are given, there in one of this size."""
    if places is None:
        size = int(np.sqrt(2 * len(triangle)))
        places = np.arange(size)
    whole, start = np.zeros((size, size)), 0
    for i, place in enumerate(places):
        end = start + len(places) - i
        whole[place, places[i:]] = triangle[start:end]
        start = end
    return mirrored(whole)
