"""Squared error of one fold as the proximal solver reads it: a quadratic as it is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.linear.general import GeneralTerms, Quadratic
from regsearch.models.linear.sources import Source


@dataclass
class SquaredFold:
    """Half the weighted mean squared error; see `regsearch.models.linear.proximal.FoldLoss`."""

    source: Source
    k: int
    scale: str
    curvature: Array
    w: Array = field(init=False)
    null: float = field(init=False)
    _at: tuple[Rows, Quadratic] | None = None

    def __post_init__(self) -> None:
        self.moment = self.source.moment(self.scale)[self.k]
        self.w, self.null = np.zeros((len(self.moment), 1)), float(self.source.power[self.k]) / 2
        self._slope = self.moment.copy()

    def gradient(self) -> Array:
        return np.asarray(self._slope[:, None])

    def descend(self, terms: GeneralTerms, some: Rows, lambda_: float, tolerance: float) -> bool:
        new = terms.minimise(self.quadratic(some), self.w[some], self._slope[some, None], lambda_, tolerance)
        if np.array_equal(new, self.w[some]):
            return False
        self.w = np.zeros_like(self.w)
        self.w[some] = new
        self._slope = self._slope_at(self.w)
        return True

    def take_over(self, other: SquaredFold) -> None:
        self.w, self._slope = other.w, other._slope

    def blend(self, other: SquaredFold, share: float) -> None:
        self.w = share * other.w + (1 - share) * self.w
        self._slope = share * other._slope + (1 - share) * self._slope

    def _slope_at(self, w: Array) -> Array:
        if self._at is not None and len(self._at[0]) == len(w):
            return np.asarray(self.moment - self._at[1].gram @ w[:, 0])
        return np.asarray(self.source.evaluate([self.k], w[None, None, :, 0], self.scale).gradient[0, 0])

    def quadratic(self, some: Rows) -> Quadratic:
        """Kept for as long as the columns stay the same."""
        if self._at is None or not np.array_equal(self._at[0], some):
            self._at = some, Quadratic(np.ascontiguousarray(self.source.cross(self.k, some, some, self.scale)))
        return self._at[1]
