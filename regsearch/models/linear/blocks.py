"""Products of all rows that are summed over copies of a few: as little as possible is held beside the sum."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk

from regsearch._types import Array, Rows
from regsearch.models.linear.rooms import Room

NUMBERS = 2**17  # of a copy: 1 MiB, small beside data that are large, and wide enough for products of matrices ...
LEAST = 256  # ... of no fewer rows
SHARE, LITTLE = 8, 2**13  # of those that are copied, and numbers that are little all the same
FEW = 64  # rows, where there are as many numbers in each
AT_ONCE = 64  # rows and columns that are mirrored
FloatT = TypeVar("FloatT", bound=np.floating[Any])


def some_rows(rows: int, columns: int, numbers: int = NUMBERS, least: int = LEAST) -> Iterator[slice]:
    """Consecutive parts of so many rows."""
    size = max(least, numbers // max(columns, 1))
    return (slice(start, start + size) for start in range(0, rows, size))


def copy_of_rows(matrix: Any, rows: Rows, room: Room) -> Array:
    """``[r, p]`` of rows of an array, in a room where it lies by columns, or of a table: to be written to."""
    if not isinstance(matrix, np.ndarray) or not matrix.flags.f_contiguous:
        return np.asarray(matrix[rows])
    made = room.of(matrix.shape[1], len(rows))
    return np.take(matrix.T, rows, axis=1, out=made, mode="clip").T  # no other mode writes there itself


def stacked_rows(rows: int, columns: int, stacked: int) -> Iterator[slice]:
    """The same of columns of which some are stacked, or each several times: parts are little beside the columns."""
    numbers = min(NUMBERS, max(LITTLE, rows * columns // SHARE))
    return some_rows(rows, stacked, numbers, FEW if stacked > columns else LEAST)


class Square:
    """The sum of ``A'A`` over blocks A of rows, of which one triangle is formed; in a room, where there is one."""

    def __init__(self, columns: int, room: Room | None = None) -> None:
        self._lower = (room or Room()).of(columns, columns).T
        self._lower[:] = 0.0

    def add(self, block: Array) -> None:
        """Take in a block ``[r, columns]``."""
        if not block.size:
            return
        by_columns = block.flags.f_contiguous
        part, turned = (block, 1) if by_columns else (block.T, 0)
        self._lower = dsyrk(1.0, part, 1.0, self._lower, trans=turned, lower=1, overwrite_c=1)

    def whole(self) -> Array:
        """The sum ``[columns, columns]``, whose triangle is not to be added to any more."""
        return mirrored(self._lower.T)


def mirrored(upper: NDArray[FloatT]) -> NDArray[FloatT]:
    """A symmetric matrix, in place, of which the upper triangle is there."""
    size = len(upper)
    for start in range(0, size, AT_ONCE):
        end = min(start + AT_ONCE, size)
        corner = np.triu(upper[start:end, start:end])
        upper[start:end, start:end] = corner + np.triu(corner, 1).T
        upper[end:, start:end] = upper[start:end, end:].T
    return upper
