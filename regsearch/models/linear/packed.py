"""Symmetric matrices that are kept for later: their lower triangles alone, column by column, in half the room."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows
from regsearch.models.linear.blocks import mirrored
from regsearch.models.linear.rooms import Room


def packed(symmetric: Array, single: bool = False) -> NDArray[np.floating[Any]]:
    """``[e (e + 1) / 2]`` of a symmetric matrix ``[e, e]``, of double or of single precision."""
    size, start = len(symmetric), 0
    kind: type[np.floating[Any]] = np.float32 if single else np.float64
    triangle = Room().of_kind(kind, size * (size + 1) // 2)
    for i, row in enumerate(symmetric):
        triangle[start : start + size - i] = row[i:]
        start += size - i
    return triangle


def unpacked(triangle: NDArray[np.floating[Any]], room: Room, places: Rows | None = None, size: int = 0) -> Array:
    """The matrix ``[e, e]``, whole, of doubles, in a room.

    Where places ``[e]`` are given, it is there in one of this size, of which all else is to be written to.
    """
    if places is None:
        size = int(np.sqrt(2 * len(triangle)))
        places = np.arange(size)
    whole, start = room.of(size, size), 0
    for i, place in enumerate(places):
        end = start + len(places) - i
        whole[place, places[i:]] = triangle[start:end]
        start = end
    return mirrored(whole)
