"""A path while it is fitted: its points, their scores, and whether the rest of it is worth fitting."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from regsearch._types import Array
from regsearch.metrics.scorer import Metric
from regsearch.models.linear.design import Piece
from regsearch.models.path import Curves

RISE = 0.03  # a path ends once its mean loss has been this much above its minimum ...
PATIENCE = 0.1  # ... for this share of the path's points (at least 10)


@dataclass
class FittedPath:
    """The pieces of a path that have been fitted so far, with the scores of each."""

    pieces: list[Piece] = field(default_factory=list)
    curves: list[list[Curves]] = field(default_factory=list)

    def add(self, piece: Piece, curves: list[Curves]) -> None:
        self.pieces.append(piece)
        self.curves.append(curves)

    @property
    def steps(self) -> int:
        return sum(piece.coef.shape[1] for piece in self.pieces)

    def scores(self) -> list[Curves]:
        """One `Curves` for each metric, over all steps so far."""
        return [
            Curves(np.hstack([one.train for one in along]), np.hstack([one.val for one in along]))
            for along in zip(*self.curves, strict=True)
        ]

    def gap(self) -> Array:
        """``[K, S]`` relative duality gaps."""
        return np.hstack([piece.gap for piece in self.pieces])

    def complexity(self) -> Array:
        return np.hstack([piece.complexity for piece in self.pieces])

    def at(self, step: int) -> tuple[Array, Array]:
        """Coefficients ``[K, p, m]`` and intercepts ``[K, m]`` at a step."""
        for piece in self.pieces:
            if step < piece.coef.shape[1]:
                return piece.coef[:, step], piece.intercept[:, step]
            step -= piece.coef.shape[1]
        raise IndexError(step)

    def past_best(self, metric: Metric, points: int) -> bool:
        """Whether the mean validation curve has left its best point for good."""
        if metric.perfect is None:
            return False
        loss = metric.perfect - self.scores()[0].mean()
        tail = loss[-max(10, round(PATIENCE * points)) - 1 :]
        return len(loss) > len(tail) and bool((tail > (1 + RISE) * loss.min()).all())
