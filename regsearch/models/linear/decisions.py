"""What coefficients make of the rows of a matrix."""

from __future__ import annotations

import numpy as np

from regsearch._types import Array, Matrix, Rows
from regsearch.data.row_table import RowTable
from regsearch.models.linear.blocks import NUMBERS

LEAST = 32  # columns that are copied at a time


def decision(matrix: Array, coef: Array, intercept: Array) -> Array:
    """``[n, S, m]`` of a matrix ``[n, p]``, coefficients ``[S, p, m]`` and intercepts ``[S, m]``."""
    steps, p, m = coef.shape
    flat = coef.transpose(0, 2, 1).reshape(steps * m, p)
    return np.asarray(decisions(matrix, flat).T.reshape(-1, steps, m) + intercept)


def decisions(matrix: Matrix, coef: Array) -> Array:
    """``[C, n]`` of a matrix ``[n, p]`` and coefficients ``[C, p]``, reading few columns where few are in use."""
    used = np.flatnonzero(coef.any(axis=0))
    few = len(used) < coef.shape[1] / 2
    if isinstance(matrix, np.ndarray):  # few coefficients: quicker turned round
        return _of_some(matrix, coef, used) if few else np.asarray(coef @ matrix.T)
    if few and not isinstance(matrix, RowTable):
        matrix, coef = matrix[:, used], coef[:, used]
    return np.asarray((matrix @ coef.T).T)


def _of_some(matrix: Array, coef: Array, used: Rows) -> Array:
    """The same, of copies of a few columns at a time."""
    made, size = np.zeros((len(coef), len(matrix))), max(LEAST, NUMBERS // max(len(matrix), 1))
    for start in range(0, len(used), size):
        some = used[start : start + size]
        made += coef[:, some] @ matrix.T[some]
    return made
