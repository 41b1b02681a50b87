"""What coefficients make of the rows of a matrix."""

from __future__ import annotations

import numpy as np

from regsearch._types import Array, Matrix
from regsearch.data.row_table import RowTable


def decision(matrix: Array, coef: Array, intercept: Array) -> Array:
    """``[n, S, m]`` of a matrix ``[n, p]``, coefficients ``[S, p, m]`` and intercepts ``[S, m]``."""
    steps, p, m = coef.shape
    flat = coef.transpose(0, 2, 1).reshape(steps * m, p)
    return np.asarray(decisions(matrix, flat).T.reshape(-1, steps, m) + intercept)


def decisions(matrix: Matrix, coef: Array) -> Array:
    """``[C, n]`` of a matrix ``[n, p]`` and coefficients ``[C, p]``, reading few columns where few are in use."""
    used = np.flatnonzero(coef.any(axis=0))
    if len(used) < coef.shape[1] / 2 and not isinstance(matrix, RowTable):
        matrix, coef = matrix[:, used], coef[:, used]
    if isinstance(matrix, np.ndarray):
        return np.asarray(coef @ matrix.T)  # few coefficients: quicker turned round
    return np.asarray((matrix @ coef.T).T)
