"""Penalties of the differences between the coefficients of neighbouring columns.

``lambda (mix |w|_1 + (1 - mix) sum_j |w_{j+1} - w_j|)``: its prox fuses neighbours first, and shrinks what is
fused then (Friedman et al. 2007, proposition 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.linear.fusing import fuse
from regsearch.models.linear.general import SAME, GeneralTerms, Quadratic


@dataclass(frozen=True)
class FusedTerms(GeneralTerms):
    """See the module; the order is that of the columns, for each output by itself."""

    spends = "runs of neighbouring coefficients that are not zero"
    mix: float

    def value(self, w: Array, lambda_: float) -> Array:
        jumps = np.abs(np.diff(w, axis=-2)).sum(axis=(-2, -1))
        return np.asarray(lambda_ * (self.mix * np.abs(w).sum(axis=(-2, -1)) + (1 - self.mix) * jumps))

    def prox(self, w: Array, step: float, lambda_: float = 1.0) -> Array:
        strength = step * lambda_
        rows = np.ascontiguousarray(np.swapaxes(w, -2, -1)).reshape(-1, w.shape[-2])
        fused = np.stack([fuse(row, strength * (1 - self.mix)) for row in rows])
        sizes = np.maximum(np.abs(fused) - strength * self.mix, 0.0)
        new = (np.sign(fused) * sizes).reshape(*w.shape[:-2], w.shape[-1], w.shape[-2])
        return np.swapaxes(new, -2, -1)

    def faces(self, w: Array) -> Rows:
        """Runs of neighbours at one level."""
        begins = np.abs(np.diff(w, axis=0, prepend=np.nan)) > SAME * np.abs(w).max(initial=0.0)
        begins[:1] = True
        outputs = np.arange(w.shape[1]) * len(w)
        return np.where(w != 0, np.cumsum(begins, axis=0) + outputs, -1)

    def minimise(self, quadratic: Quadratic, w: Array, slope: Array, lambda_: float, tolerance: float) -> Array:
        from regsearch.models.linear.faces import FUSED, descend

        new = w.flatten()
        weights = np.array([lambda_ * self.mix, lambda_ * (1 - self.mix), w.shape[1]])
        descend(FUSED, quadratic.gram, slope.ravel() + quadratic.gram @ new, new, weights, tolerance)
        return new.reshape(w.shape)
