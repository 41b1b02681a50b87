"""Ridge and least squares from one eigendecomposition per fold: every lambda is a rescaling.

Notation and shapes (one fold; A holds its training rows, centred, scaled and times the root of their weights)

=======  =========  =====================================================================
symbol   shape      meaning
=======  =========  =====================================================================
A        [n, p]     ``sqrt(w) (x - center) / scale``; never formed as a whole
values   [r]        the eigenvalues d of A'A, or equally of AA', above the rounding
shares   [r]        the target's projections on the left singular vectors of A
rotated  [S, r]     coefficients in the basis V of right singular vectors
=======  =========  =====================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from regsearch._types import Array, Matrix
from regsearch.models.linear.kernels import ridge_freedom

COLUMNS_AT_ONCE = 512
GCV_GRID = np.geomspace(1e-6, 1e3, 50)  # times the largest eigenvalue


@dataclass(frozen=True)
class Spectrum:
    """The singular values of a fold and how its target lies in them.

    Attributes
    ----------
    values, shares
        See the module.
    power
        Weighted variance of the target: twice the null model's loss.
    rows
        How many rows the training rows stand for.
    lift
        From ``[S, r]`` in the basis of right singular vectors to ``[S, p]`` coefficients.
    """

    values: Array
    shares: Array
    power: float
    rows: float
    lift: Callable[[Array], Array]

    def ridge(self, strengths: Array) -> Array:
        """``[S, p]`` ridge coefficients; strength 0 gives the least-squares solution of minimum norm."""
        return self.lift(np.sqrt(self.values) * self.shares / (self.values + strengths[:, None]))

    def freedom(self, strengths: Array) -> Array:
        """``[S]`` effective degrees of freedom, the rank at strength 0."""
        return ridge_freedom(self.values, strengths)

    def least(self, columns: int) -> float:
        """A safe lower bound of the eigenvalues of A'A on the `columns` columns that are not constant."""
        if len(self.values) < columns:
            return 0.0
        return max(float(self.values.min() - 1e-10 * self.values.max()), 0.0) if columns else 0.0

    def gcv(self) -> float:
        """The strength with the least generalized cross-validation error (Golub, Heath & Wahba 1979)."""
        if not len(self.values):
            return 1.0
        grid = self.values.max() * GCV_GRID
        lost = grid[:, None] / (self.values + grid[:, None])
        spare = max(self.rows - 1 - len(self.values), 0.0)  # the intercept is one degree
        outside = max(self.power - float(self.shares @ self.shares), 0.0) if spare else 0.0
        error = outside + lost**2 @ self.shares**2
        return float(grid[np.argmin(error / (spare + lost.sum(axis=1)) ** 2)])


def primal(gram: Array, moment: Array, power: float, rows: float) -> Spectrum:
    """From A'A ``[p, p]`` and A'y ``[p]``."""
    values, vectors = np.linalg.eigh(gram)
    kept = values > _cutoff(values)
    values, vectors = values[kept], vectors[:, kept]
    return Spectrum(values, vectors.T @ moment / np.sqrt(values), power, rows, lambda rotated: rotated @ vectors.T)


def dual(kernel: Array, target: Array, rows: float, back: Callable[[Array], Array]) -> Spectrum:
    """From AA' ``[n, n]``, the weighted target ``[n]`` and `back`, which maps ``[S, n]`` on rows to ``[S, p]`` by A."""
    values, vectors = np.linalg.eigh(kernel)
    kept = values > _cutoff(values)
    values, vectors = values[kept], vectors[:, kept]

    def lift(rotated: Array) -> Array:
        return back(rotated / np.sqrt(values) @ vectors.T)

    return Spectrum(values, vectors.T @ target, float(target @ target), rows, lift)


def row_kernel(matrix: Matrix, center: Array, inverse: Array, root: Array) -> Array:
    """AA' ``[n, n]`` of training rows, a few columns at a time; `inverse` is one over the scales, `root` sqrt(w)."""
    if not isinstance(matrix, np.ndarray):
        return _sparse_kernel(matrix, center, inverse, root)
    kernel = np.zeros((len(root), len(root)))
    for start in range(0, matrix.shape[1], COLUMNS_AT_ONCE):
        part = slice(start, start + COLUMNS_AT_ONCE)
        block = (matrix[:, part] - center[part]) * inverse[part]
        block *= root[:, None]
        kernel += block @ block.T
    return kernel


def _sparse_kernel(matrix: Matrix, center: Array, inverse: Array, root: Array) -> Array:
    scaled = matrix.multiply(inverse).tocsr()
    shift = center * inverse
    cross = scaled @ shift
    kernel = (scaled @ scaled.T).toarray() - cross[:, None] - cross + shift @ shift
    return np.asarray(kernel * root[:, None] * root)


def _cutoff(values: Array) -> float:
    """Eigenvalues up to this are rounding."""
    return float(np.finfo(float).eps * len(values) * max(values.max(initial=0.0), np.finfo(float).tiny))
