"""Squared error of one fold as the proximal solver reads it: a quadratic as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.linear.general import GeneralTerms, Quadratic
from regsearch.models.linear.sources import Source


@dataclass(frozen=True)
class SquaredPoint:
    """Coefficients ``[p, 1]``."""

    w: Array


@dataclass
class SquaredFold:
    """Half the weighted mean squared error; see `regsearch.models.linear.proximal.FoldLoss`."""

    source: Source
    k: int
    scale: str
    curvature: Array
    null: float = field(init=False)
    _at: tuple[Rows, Quadratic] | None = None

    def __post_init__(self) -> None:
        self.moment = self.source.moment(self.scale)[self.k]
        self.null = float(self.source.power[self.k]) / 2

    def origin(self) -> SquaredPoint:
        return SquaredPoint(np.zeros((len(self.moment), 1)))

    def gradients(self, points: Sequence[SquaredPoint]) -> Array:
        w = np.stack([point.w[:, 0] for point in points])
        if self._at is not None and len(self._at[0]) == w.shape[1]:
            return np.asarray(self.moment - w @ self._at[1].gram)[..., None]
        return np.asarray(self.source.evaluate([self.k], w[None], self.scale).gradient[0, ..., None])

    def descend(
        self, point: SquaredPoint, terms: GeneralTerms, some: Rows, lambda_: float, tolerance: float
    ) -> SquaredPoint:
        quadratic, here = self.quadratic(point, some), point.w[some]
        slope = self.moment[some, None] - quadratic.gram @ here
        w = np.zeros_like(point.w)
        w[some] = terms.minimise(quadratic, here, slope, lambda_, tolerance)
        return SquaredPoint(w)

    def blend(self, one: SquaredPoint, other: SquaredPoint, share: float) -> SquaredPoint:
        return SquaredPoint(share * one.w + (1 - share) * other.w)

    def quadratic(self, point: SquaredPoint, some: Rows) -> Quadratic:
        """The same everywhere, kept for as long as the columns stay the same."""
        if self._at is None or not np.array_equal(self._at[0], some):
            self._at = some, Quadratic(np.ascontiguousarray(self.source.cross(self.k, some, some, self.scale)))
        return self._at[1]
