"""What the folds say of the rows that they validate, as one array of all rows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from regsearch._types import Array, Rows


def out_of_fold_mean(parts: Iterable[tuple[Rows, Array]], shape: tuple[int, int]) -> Array:
    """Mean decision of each row over the folds that validate it.

    Parameters
    ----------
    parts
        Rows ``[r]`` without repetition and decisions ``[r, m]`` for them, of each fold, or of pieces of folds.
    shape
        ``(n, m)``.

    Returns
    -------
    Array
        ``[n, m]``; NaN in rows that no fold validates.
    """
    total, times = np.zeros(shape), np.zeros((shape[0], 1))
    for rows, decisions in parts:
        total[rows] += decisions
        times[rows] += 1
    with np.errstate(invalid="ignore"):
        return np.asarray(total / times)
