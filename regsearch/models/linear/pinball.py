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

        Residuals whose sum is not are mixed with those that are all at the other end, of which no centred column knows.
        Those of the model without columns are tried, too: a row at its decision may have any between the ends.
        """
        lead = self.y[0, 0] - self.null_intercept
        drift = p[0] @ self.weights
        end = np.where(drift > 0, self.quantile - 1, self.quantile)
        share = drift / (drift - end)
        worth = (1 - share) * (p[0] @ (self.weights * lead)) + share * end * float(self.weights @ lead)
        tried = ((1 - share)[:, None] * gradient[0], worth), (null[0], self.null_residual[0] @ lead)
        least = np.minimum(*(self._gap(value, *one, threshold[0], ridge) for one in tried))
        return np.asarray(np.maximum(least, 0.0))

    def _gap(self, value: Array, gradient: Array, worth: Array, threshold: Array, ridge: Array) -> Array:
        """``[S]``, of residuals with such gradients and duals, shrunk until the penalty allows them or as they are."""
        size = np.where(np.isinf(threshold), 0.0, np.abs(gradient))
        over = size > threshold
        shrink = np.divide(threshold, size, out=np.ones_like(threshold), where=over).min(axis=1, initial=1.0)
        gap = value - shrink * worth
        if np.all(ridge > 0):
            excess = (np.where(over, size - threshold, 0.0) ** 2).sum(axis=1)
            gap = np.minimum(gap, value - worth + excess / (2 * ridge))
        return np.asarray(gap)

    @cached_property
    def _null(self) -> tuple[Array, Array]:
        """Of rows at the quantile itself, residuals that make their sum zero."""
        at = self.y[0, 0] == self.null_intercept
        p, loss = self.at(np.broadcast_to(self.null_intercept[:, None, None], self.y.shape))
        others = float(p[0, 0][~at] @ self.weights[~at])
        p[0, 0][at] = -others / float(self.weights[at].sum())
        return p, loss
