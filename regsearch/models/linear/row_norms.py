"""Penalties of the coefficients of a column in all outputs together: in use for all of them, or for none.

``lambda sum_j (l1_j |w_j|_2 + l2_j/2 |w_j|_2^2)``, w_j the row ``[m]`` of a column. Of one output it is elastic net.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from regsearch._types import Array, Rows
from regsearch.errors import InvalidInput
from regsearch.models.linear.general import GeneralTerms, PenalisedColumns, Quadratic
from regsearch.models.linear.spent import Bends


@dataclass(frozen=True)
class RowTerms(GeneralTerms):
    """See the module.

    Attributes
    ----------
    l1, l2
        ``[p]`` or ``[1]`` weights; an infinite l1 keeps a row at zero.
    """

    rowwise: ClassVar[bool] = True
    spends: ClassVar[str] = "coefficients that are not zero, held back by the norms of their rows"
    l1: Array
    l2: Array

    def value(self, w: Array, lambda_: float) -> Array:
        norms = _norms(w)
        with np.errstate(invalid="ignore"):
            linear = np.where(norms > 0, self.l1 * norms, 0.0)
        return np.asarray(lambda_ * (linear + self.l2 / 2 * norms**2).sum(axis=-1))

    def prox(self, w: Array, step: float, lambda_: float = 1.0) -> Array:
        step, norms = step * lambda_, _norms(w)
        left = np.maximum(norms - step * self.l1, 0.0) / (1 + step * self.l2)
        return np.asarray(w * np.divide(left, norms, out=np.zeros_like(norms), where=norms > 0)[..., None])

    def lambda_max(self, gradient: Array) -> float:
        l1 = np.broadcast_to(self.l1, gradient.shape[:-1])
        return float(np.max(_norms(gradient)[l1 > 0] / l1[l1 > 0], initial=0.0))

    def distance(self, w: Array, gradient: Array, lambda_: float) -> Array:
        norms, push = _norms(w), gradient - lambda_ * self.l2[..., None] * w
        size = _norms(push)
        with np.errstate(invalid="ignore"):
            over = np.maximum(size - lambda_ * self.l1, 0.0)
            pull = np.divide(lambda_ * self.l1, norms, out=np.zeros_like(norms), where=norms > 0)
        resting = push * np.divide(over, size, out=np.zeros_like(size), where=size > 0)[..., None]
        return np.abs(np.where((norms > 0)[..., None], push - pull[..., None] * w, resting))

    def restricted(self, some: Rows) -> RowTerms:
        return RowTerms(self.l1[some], self.l2[some])

    def of_fold(self, k: int, shape: tuple[int, ...]) -> RowTerms:
        return RowTerms(*(np.broadcast_to(part, shape[:1]) for part in (self.l1, self.l2)))

    def on(self, columns: PenalisedColumns) -> RowTerms:
        if columns.limited:
            raise InvalidInput("Limits of coefficients need a penalty of each alone, got rows; choose elastic_net.")
        return self if columns.alike else RowTerms(self.l1 * columns.factors, self.l2 * columns.factors)

    @property
    def unpenalised(self) -> Array:
        return np.asarray((self.l1 == 0) & (self.l2 == 0))[:, None]

    @property
    def weights(self) -> Array:
        return self.l1[:, None]

    @property
    def at_top(self) -> RowTerms:
        return replace(self, l1=np.where(self.unpenalised[:, 0], 0.0, np.inf))

    def ridge(self, shape: tuple[int, ...]) -> Array:
        return np.broadcast_to(self.l2[:, None], shape)

    def bends(self, w: Array, own: Rows) -> Bends:
        """A norm is curved across its direction: ``(1 - w w' / |w|^2) / |w|``."""
        row = own // w.shape[1]
        norms = _norms(w)[row]
        l1, l2 = (np.broadcast_to(part, len(w))[row] for part in (self.l1, self.l2))
        return Bends(l2, l1 / norms, w.ravel()[own] / norms, row)

    def minimise(self, quadratic: Quadratic, w: Array, slope: Array, lambda_: float, tolerance: float) -> Array:
        from regsearch.models.linear.group_kernels import Groups, minimise

        (e, m), ridge = w.shape, lambda_ * np.repeat(np.broadcast_to(self.l2, len(w)), w.shape[1])
        rows = Groups(np.arange(e * m), np.arange(0, e * m + 1, m), np.zeros(e * m), lambda_ * self.l1)
        flat, start = slope.ravel() - ridge * w.ravel(), w.ravel()
        held = Quadratic(quadratic.gram + np.diag(ridge), quadratic.convexity)
        return minimise(held, start, flat, rows, tolerance).reshape(w.shape)


def _norms(w: Array) -> Array:
    """``[..., p]`` of coefficients ``[..., p, m]``."""
    return np.asarray(np.sqrt((w**2).sum(axis=-1)))
