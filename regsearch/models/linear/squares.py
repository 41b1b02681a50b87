"""Squared error where columns are mostly zeros, and too many for products of all pairs of them.

Such columns are read as those of any other smooth loss, by `logistic.py`; see `gaussian.py` for all others.
"""

from __future__ import annotations

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.design import Design
from regsearch.models.linear.gaussian import spread_of
from regsearch.models.linear.logistic import LogLoss
from regsearch.models.linear.ridge_fits import RidgeFits
from regsearch.models.linear.row_loss import RowFormulas, RowSample
from regsearch.models.linear.sample import Sample


class Squares(LogLoss):
    """Half the mean squared error on the folds of a design; see `regsearch.models.linear.design.Solver`.

    Parameters
    ----------
    design, tol, max_steps
        As of `LogLoss`.
    y
        ``[n, 1]`` target, or ``[K, n, 1]``.
    """

    def __init__(self, design: Design, y: Array, tol: float = 1e-6, max_steps: int = 200) -> None:
        super().__init__(design, y, tol, max_steps)
        self.spread = spread_of(design, y)

    def _settled(self, ridge: RidgeFits, theta: Array, strength: float, null: float) -> tuple[Array, bool]:
        return theta, False

    def _sample(self, y: Array, k: int) -> Sample:
        rows = self.design.train[k]
        return RowSample(_SquaredError(), np.ascontiguousarray(y[rows].T[:, None]), self.design.fold_weights[k, rows])


class _SquaredError(RowFormulas):
    def value(self, eta: Array, y: Array) -> Array:
        return np.asarray((y - eta) ** 2 / 2)

    def residual(self, eta: Array, y: Array) -> Array:
        return np.asarray(y - eta)

    def curvature(self, eta: Array, y: Array) -> Array:
        return np.ones_like(eta)

    def dual(self, residual: Array, y: Array) -> Array:
        return np.asarray(residual * y - residual**2 / 2)

    def start(self, y: Array, weights: Array) -> float:
        return float(weights @ y)

    def shift(self, eta: Array, y: Array, weights: Array) -> Array:
        return np.asarray((y - eta) @ weights)
