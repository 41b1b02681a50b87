"""Numbers with outliers: squared error near zero, absolute error far from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.loss import Loss
from regsearch.models.linear.row_loss import RowFormulas, RowSample
from regsearch.models.linear.sample import Sample
from regsearch.space.domains import Between
from regsearch.space.tree import number, tunable

NORMAL = 1.4826  # standard deviation of normal numbers over their median distance from the median
EVEN = 1e-12  # how far a share may be off a half
OUTSIDE = 0.05  # of the curvature of a majorizer, in rows that have none: a quadratic model then always has a minimum


@dataclass(frozen=True)
class Huber(Loss):
    """Huber's loss, ``r^2 / 2`` up to a residual of ``d`` and ``d |r| - d^2 / 2`` beyond it (Huber 1964).

    Parameters
    ----------
    epsilon
        d in units of y: its median distance from the median in a fold's training rows, times 1.4826, which is the
        standard deviation of normal numbers. With large ones it is squared error, with small ones absolute error.
    """

    epsilon: Any = tunable(Between(0.001, 1000.0), 1.35, weak=10.0, usual=1.35, strong=0.1)
    likelihood: ClassVar[bool] = False
    shipped_as_fitted: ClassVar[bool] = True

    @property
    def scoring(self) -> str:
        return "neg_mean_absolute_error"

    def check_target(self, y: Array) -> None:
        """Any number will do."""

    def sample(self, y: Array, weights: Array) -> Sample:
        return RowSample(_Formulas(self.distance(y[0, 0], weights)), y, weights)

    def distance(self, y: Array, weights: Array) -> float:
        """d, by targets ``[n]`` of training rows; by the mean distance where more than half of them are equal."""
        apart = np.abs(y - _median(y, weights))
        spread = _median(apart, weights)
        return number(self.epsilon) * float(NORMAL * spread if spread > 0 else weights @ apart / weights.sum())

    def estimator(self, lambda_: float, l1_ratio: float, n: float) -> Any:
        from sklearn.linear_model import HuberRegressor

        return HuberRegressor(tol=1e-8, max_iter=10_000)

    def fill(self, model: Any, y: Array, eta: Array, weights: Array, lambda_: float) -> None:
        """The scale that scikit-learn estimates along, and its parameters in units of it.

        It minimises ``sum_i w_i (s + H(r_i / s) s) + alpha |w|^2``, H being twice Huber's loss: of given coefficients s
        is the root of the mean of ``min(|r|, d)^2``, and those are best where ``d = epsilon s`` and
        ``lambda = alpha s / sum_i w_i``.
        """
        distance = self.distance(y, weights)
        scale = float(np.sqrt(weights @ np.minimum(np.abs(y - eta), distance) ** 2 / weights.sum()))
        if scale > 0:
            model.set_params(epsilon=max(distance / scale, 1.0), alpha=lambda_ * float(weights.sum()) / scale)
        model.scale_, model.outliers_, model.n_iter_ = scale, np.abs(y - eta) > distance, 0


def _median(values: Array, weights: Array) -> float:
    """That of the repeated rows that weights stand for, whatever they sum to."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    both = np.searchsorted(reached, [0.5 - EVEN, 0.5 + EVEN])
    return float(values[order][np.minimum(both, len(values) - 1)].mean())


@dataclass(frozen=True)
class _Formulas(RowFormulas):
    """Of a distance in units of y."""

    distance: float

    def value(self, eta: Array, y: Array) -> Array:
        residual = self.residual(eta, y)
        return np.asarray(residual * (y - eta) - residual**2 / 2)

    def residual(self, eta: Array, y: Array) -> Array:
        return np.clip(y - eta, -self.distance, self.distance)

    def curvature(self, eta: Array, y: Array) -> Array:
        off = np.abs(y - eta)
        return np.where(off <= self.distance, 1.0, OUTSIDE * self.distance / np.maximum(off, self.distance))

    def dual(self, residual: Array, y: Array) -> Array:
        return np.asarray(residual * y - residual**2 / 2)
