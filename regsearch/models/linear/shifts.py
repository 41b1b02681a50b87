"""What sparse columns that all store fully are shifted by: one far from zero would cancel in sums of products."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from regsearch._types import Array, Matrix, Rows


def shifted(matrices: tuple[Matrix, ...]) -> tuple[tuple[Matrix, ...], Array]:
    """Matrices with the sparse columns that all store fully shifted to a median, and the shift ``[p]``.

    A median, because no few rows (a fold's held-out ones, say) can move it far; of several matrices, that of the first.
    """
    n, p = matrices[0].shape
    shift = np.zeros(p)
    if not sparse.issparse(matrices[0]):
        return matrices, shift
    matrices = tuple(matrix.tocsc() for matrix in matrices)
    if not all(matrix.has_canonical_format for matrix in matrices):
        return matrices, shift
    full = np.flatnonzero(np.all([np.diff(matrix.indptr) == n for matrix in matrices], axis=0))
    if not len(full):
        return matrices, shift
    first = matrices[0]
    shift[full] = [np.median(first.data[first.indptr[j] : first.indptr[j + 1]]) for j in full]
    return tuple(_less(matrix, full, shift) for matrix in matrices), shift


def _less(matrix: Matrix, columns: Rows, shift: Array) -> Matrix:
    """A CSC matrix less what some of its columns, which are fully stored, are shifted by."""
    data = matrix.data.copy()
    for j in columns:
        data[matrix.indptr[j] : matrix.indptr[j + 1]] -= shift[j]
    return sparse.csc_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)
