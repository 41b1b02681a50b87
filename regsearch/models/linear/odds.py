"""Log-loss of two classes beside an offset: decisions are log-odds, of which a part is known in every row.

The null model's probabilities differ from row to row then, so that what `logistic.py` knows of them in closed form is
not so. The loss is one of each row as those of `glm.py` are.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, xlogy

from regsearch._types import Array
from regsearch.models.linear.design import Design
from regsearch.models.linear.glm import NewtonRidge
from regsearch.models.linear.glm_ridge import Basis
from regsearch.models.linear.likelihood import null_intercept
from regsearch.models.linear.logistic import LogLoss
from regsearch.models.linear.ridge_fits import RidgeFits
from regsearch.models.linear.row_loss import BesideOffset, RowFormulas, RowSample
from regsearch.models.linear.sample import Sample


class Odds(LogLoss):
    """Log-loss of two classes on the folds of a design; see `regsearch.models.linear.design.Solver`.

    Parameters
    ----------
    design, tol, max_steps
        As of `LogLoss`.
    y
        ``[n, 1]`` targets, 0 or 1.
    offset
        ``[K, n]`` what is known of the log-odds.
    """

    def __init__(self, design: Design, y: Array, offset: Array, tol: float = 1e-6, max_steps: int = 200) -> None:
        self.offset = offset
        super().__init__(design, y, tol, max_steps)

    def _sample(self, y: Array, k: int) -> Sample:
        rows = self.design.train[k]
        beside = BesideOffset(LogOdds(), self.offset[k, rows])
        return RowSample(beside, np.ascontiguousarray(y[rows].T[:, None]), self.design.fold_weights[k, rows])

    def _ridge_in(self, basis: Basis, sample: Sample, rows: float) -> RidgeFits:
        return NewtonRidge(basis, sample, rows, self.newton)


class LogOdds(RowFormulas):
    """Log-loss of a label, 0 or 1."""

    def value(self, eta: Array, y: Array) -> Array:
        return np.asarray(np.logaddexp(0.0, eta) - y * eta)

    def residual(self, eta: Array, y: Array) -> Array:
        return np.asarray(y - expit(eta))

    def curvature(self, eta: Array, y: Array) -> Array:
        p = expit(eta)
        return np.asarray(p * (1 - p))

    def dual(self, residual: Array, y: Array) -> Array:
        """The entropy of ``y - residual``."""
        q = np.clip(y - residual, 0.0, 1.0)
        return np.asarray(-xlogy(q, q) - xlogy(1 - q, 1 - q))

    def start(self, y: Array, weights: Array) -> float:
        return float(null_intercept(y.reshape(1, 1, -1), weights)[0])

    def around(self, eta: Array, y: Array, weights: Array) -> tuple[Array, Array]:
        level = self.start(y, weights)  # of equal decisions
        return level - eta.max(axis=1), level - eta.min(axis=1)
