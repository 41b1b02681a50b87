"""Penalties of each coefficient that grow less the larger it is, so that large coefficients are hardly shrunk.

They are not convex. A fit starts from the lasso's at the same lambda and descends from there, coefficient by
coefficient (Breheny & Huang 2011), to where the objective falls no more. So what is found depends on the config and the
fold alone, and not on the way there.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.linear.general import GeneralTerms, Quadratic
from regsearch.models.linear.penalty import Terms


@dataclass(frozen=True)
class ConcaveTerms(GeneralTerms):
    """``sum_j P(|w_j|)`` with a P that has the slope lambda at 0, and no slope beyond ``gamma lambda``."""

    convex = False
    gamma: float

    @property
    @abstractmethod
    def bend(self) -> float:
        """How fast P' falls from lambda to none."""

    def slope(self, size: Array, lambda_: float) -> Array:
        """P' at sizes of coefficients."""
        return np.asarray(np.clip(self.bend * (self.gamma * lambda_ - size), 0.0, lambda_))

    @property
    def start(self) -> Terms:
        return Terms(np.ones(1), 0.0)

    def lambda_max(self, gradient: Array) -> float:
        return float(np.abs(gradient).max(initial=0.0))

    def distance(self, w: Array, gradient: Array, lambda_: float) -> Array:
        resting = np.maximum(np.abs(gradient) - lambda_, 0.0)
        return np.where(w == 0, resting, np.abs(gradient - np.sign(w) * self.slope(np.abs(w), lambda_)))

    def restricted(self, some: Rows) -> ConcaveTerms:
        return self

    def minimise(self, quadratic: Quadratic, w: Array, slope: Array, lambda_: float, tolerance: float) -> Array:
        from regsearch.models.linear.concave_kernels import descend

        new = w.ravel().copy()
        descend(quadratic.gram, new, slope.flatten(), lambda_, self.bend, self.gamma * lambda_, tolerance)
        return new.reshape(w.shape)
