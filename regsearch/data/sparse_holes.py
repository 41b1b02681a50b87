"""Missing entries of a sparse matrix, which are stored: an entry that is not is a zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array


@dataclass(frozen=True, eq=False)
class SparseHoles:
    """Missing entries of a CSC matrix, to fill inside each fold; see `regsearch.data.encoding.Missing`.

    Attributes
    ----------
    places
        Of each of them among the stored entries.
    """

    places: NDArray[np.integer[Any]]

    def fills(self, matrix: Any, weights: Array) -> Array:
        """One fill per column: the mean of what was observed, by weights ``[n]``; of a column never observed, 0."""
        missed = np.bincount(self._columns(matrix), weights[matrix.indices[self.places]], minlength=matrix.shape[1])
        total, seen = matrix.T @ weights, weights.sum() - missed  # holes hold 0
        return np.asarray(np.divide(total, seen, out=np.zeros_like(total), where=seen > 0))

    def fill(self, matrix: Any, fills: Array) -> Any:
        """Write each column's fill, in place; returns the matrix."""
        matrix.data[self.places] = fills[self._columns(matrix)]
        return matrix

    def _columns(self, matrix: Any) -> NDArray[np.intp]:
        return np.searchsorted(matrix.indptr, self.places, side="right") - 1
