"""The loss of a quantile on one fold's training rows.

Its derivative is ``quantile - 1`` below zero and ``quantile`` above, and anything between at zero, where a fit puts as
many rows as it has coefficients: the residuals of the dual, p in `sample.py`, are found along with a fit.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.sample import Sample

WIDTH = 0.2  # of the mean distance of rows: how near to a fit those are that tell how densely they lie there
LEAST = 1e-12  # of a density


class QuantileSample(Sample):
    """``quantile r`` of residuals r above zero, ``(quantile - 1) r`` of others.

    Parameters
    ----------
    quantile
        Between 0 and 1.
    """

    def __init__(self, y: Array, weights: Array, quantile: float) -> None:
        super().__init__(y, weights)
        self.quantile = quantile
        order = np.argsort(self.y[0, 0], kind="stable")
        reached = np.cumsum(weights[order])
        place = min(int(np.searchsorted(reached, quantile * reached[-1])), len(order) - 1)
        self.null_intercept = self.y[0, 0][order[[place]]]

    def at(self, eta: Array) -> tuple[Array, Array]:
        residual = self.y - eta
        p = np.where(residual > 0, self.quantile, self.quantile - 1)
        return p, np.asarray((p * residual)[0] @ self.weights)

    def hessian(self, eta: Array, p: Array) -> tuple[Array, Array | None]:
        return self.weights * self._density(eta), None

    def mean_curvatures(self, eta: Array, p: Array) -> Array:
        return np.maximum(self._density(eta) @ self.weights, LEAST)

    def _density(self, eta: Array) -> Array:
        """Second derivatives, spread over a width: their mean is how densely rows lie about their decisions."""
        off = np.abs(self.y[:, 0] - eta) if eta.ndim == 2 else np.abs(self.y - eta)
        width = WIDTH * np.maximum(off @ self.weights, LEAST)[..., None]
        return np.asarray((off <= width) / (2 * width))

    def residual(self, p: Array) -> Array:
        return np.asarray(p * self.weights)

    def gaps(self, value: Array, p: Array, gradient: Array, null: Array, threshold: Array, ridge: Array) -> Array:
        """By the dual, ``sum_i d_i y_i`` of residuals d within their ends whose sum is zero; see `RowSample.gaps`.

        Residuals whose sum is not are mixed with those of the model without columns until both hold.
        """
        dual, share = self._feasible(p[0])
        gradient = (1 - share)[:, None] * gradient[0] + share[:, None] * null[0]
        size = np.where(np.isinf(threshold[0]), 0.0, np.abs(gradient))
        over = size > threshold[0]
        shrink = np.divide(threshold[0], size, out=np.ones_like(size), where=over).min(axis=1, initial=1.0)
        worth = dual @ (self.weights * (self.y[0, 0] - self.null_intercept))
        gap = value - shrink * worth
        if np.all(ridge > 0):
            excess = (np.where(over, size - threshold[0], 0.0) ** 2).sum(axis=1)
            gap = np.minimum(gap, value - worth + excess / (2 * ridge))
        return np.asarray(np.maximum(gap, 0.0))

    def _feasible(self, p: Array) -> tuple[Array, Array]:
        """Residuals ``[S, n]`` within their ends whose sum is zero, and the null model's share ``[S]`` in them."""
        moved = p - (p @ self.weights)[:, None]
        null = self.null_residual[0, 0] / np.maximum(self.weights, 1e-300)
        over = np.maximum(moved - self.quantile, 0) / np.maximum(moved - null, 1e-300)
        under = np.maximum(self.quantile - 1 - moved, 0) / np.maximum(null - moved, 1e-300)
        share = np.clip(np.where(self.weights > 0, np.maximum(over, under), 0.0).max(axis=1), 0.0, 1.0)
        return (1 - share)[:, None] * moved + share[:, None] * null, share

    @cached_property
    def _null(self) -> tuple[Array, Array]:
        """Of rows at the quantile itself, residuals that make their sum zero."""
        at = self.y[0, 0] == self.null_intercept
        p, loss = self.at(np.broadcast_to(self.null_intercept[:, None, None], self.y.shape))
        others = float(p[0, 0][~at] @ self.weights[~at])
        p[0, 0][at] = -others / float(self.weights[at].sum())
        return p, loss
