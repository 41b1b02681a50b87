"""Fits between that of a penalty and that without it on the coefficients it chose, one fold at a time.

Both ends are kept, for as long as they fit in memory: of paths that differ in where between the ends they lie, the
first is fitted and the others are combinations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.general import GeneralTerms
from regsearch.models.linear.penalty import Terms
from regsearch.models.linear.proximal import FittedPoint, FoldLoss, FoldPath, LossPoint

ROOM = 2**25  # bytes that a fold may keep
FLAT = 1e-8  # the ridge that stands for none, relative to the curvature along a coefficient
PointT = TypeVar("PointT", bound=LossPoint)


class Ends(NamedTuple, Generic[PointT]):
    """The two fits of a lambda."""

    chosen: FittedPoint[PointT]
    again: FittedPoint[PointT]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(part.nbytes for end in self for part in vars(end.point).values() if isinstance(part, np.ndarray))


@dataclass
class RelaxedPath(Generic[PointT]):
    """One fold on its way down the lambdas.

    Attributes
    ----------
    chooser, refit
        The paths of the ends, of one loss.
    kept
        How much of the chooser's coefficients is kept.
    ends
        Those of the first lambdas, as far as any path came; none where they take too much room.
    step
        How many lambdas this path has passed.
    """

    chooser: FoldPath[PointT]
    refit: FoldPath[PointT]
    kept: float
    ends: list[Ends[PointT]] = field(default_factory=list)
    step: int = 0
    size: int = 0

    @property
    def loss(self) -> FoldLoss[PointT]:
        return self.chooser.loss

    def advance(self, lambdas: Array) -> list[FittedPoint[PointT]]:
        """The points of the next lambdas."""
        ends = self.ends[self.step : self.step + len(lambdas)] or self._fit(lambdas)
        self.step += len(lambdas)
        return [
            FittedPoint(self.loss.blend(one.chosen.point, one.again.point, self.kept), one.again.gap) for one in ends
        ]

    def freedom(self, points: Sequence[PointT], lambdas: Array) -> list[float]:
        """The numbers of coefficients in use."""
        return [float((point.w != 0).sum()) for point in points]

    def _fit(self, lambdas: Array) -> list[Ends[PointT]]:
        ends = [Ends(one, self._again(one.point)) for one in self.chooser.advance(lambdas)]
        self.size += sum(one.size for one in ends)
        self.ends = [*self.ends, *ends] if self.size <= ROOM else []
        return ends

    def _again(self, point: PointT) -> FittedPoint[PointT]:
        chosen = point.w != 0
        low, high = (np.broadcast_to(getattr(self.chooser.terms, name), chosen.shape) for name in ("low", "high"))
        flat = np.broadcast_to(FLAT * self.loss.curvature[:, None], chosen.shape)  # whatever the units of a column
        held = Terms(np.where(chosen, 0.0, np.inf), flat, low, high)
        return self.refit.fit_from(point, held, 1.0)


class KeptPaths(Generic[PointT]):
    """The folds of paths, the last relaxed ones of which are there for the next that share their ends."""

    def __init__(self) -> None:
        self._of: tuple[object, ...] = ()
        self._folds: list[RelaxedPath[PointT]] = []

    def folds(
        self, terms: GeneralTerms, of: tuple[object, ...],
        make: Callable[[GeneralTerms], list[FoldPath[PointT]]],
    ) -> list[FoldPath[PointT]] | list[RelaxedPath[PointT]]:  # fmt: skip
        """Those of a penalty, at the top of a path; `of` tells apart what else ends depend on."""
        if terms.start is None or terms.kept is None:
            return make(terms)
        of = *of, *((np.shape(part), np.asarray(part).tobytes()) for part in vars(terms.start).values())
        if of != self._of or any(fold.size > ROOM for fold in self._folds):
            pairs = zip(make(terms.start), make(terms.start), strict=True)
            self._of, self._folds = of, [RelaxedPath(*pair, terms.kept) for pair in pairs]
        for fold in self._folds:
            fold.kept, fold.step = terms.kept, 0
        return self._folds
