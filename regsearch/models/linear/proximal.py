"""Any penalty with a proximal operator along a path of lambdas, fold by fold.

Each fold works on a few columns, minimises a quadratic with the penalty on them, at a few lambdas one after another,
and looks at all columns again. How far a point may be above its minimum is estimated, and not certified as by the
duality gaps of `gaussian.py` and `logistic.py`: ``sum_j d_j (|w_j| + d_j / h_j)``, d_j the distance of the gradient
to the penalty's subgradients and h_j the curvature along w_j, which is what a step along every coefficient promises,
and what each would if it were as wrong as it is large. Of a penalty that is not convex it tells how far a point is
from being stationary.

Notation and shapes

=========  =============  ===============================================================
symbol     shape          meaning
=========  =============  ===============================================================
K, S       int            folds, steps
p, m, e    int            columns, outputs, columns that a fold works on
w          [K, S, p, m]   coefficients of the centred and scaled columns
=========  =============  ===============================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.linear.general import GeneralTerms, Quadratic, excess
from regsearch.models.linear.spent import FreedomAlong, spent

ROUNDS = 100  # looks at all columns, at one lambda
INNER = 0.1  # share of what is allowed that the columns at work may leave ...
SURE = 0.5  # ... where they are all, and what is left is bounded


class LossPoint(Protocol):
    """Where a loss stands: coefficients ``[p, m]``, and what it keeps of them."""

    @property
    def w(self) -> Array: ...


PointT = TypeVar("PointT", bound=LossPoint)


class FoldLoss(Protocol[PointT]):
    """A loss on the training rows of one fold.

    Attributes
    ----------
    null
        The loss of the null model, by which gaps are measured.
    curvature
        ``[p]`` about the loss's along each coefficient.
    """

    null: float
    curvature: Array

    @property
    def convexity(self) -> float:
        """By how much of `curvature` it is convex at least, wherever; 0 is always right."""
        ...

    def origin(self) -> PointT:
        """Where all coefficients are zero."""
        ...

    def gradients(self, points: Sequence[PointT]) -> Array:
        """``[S, p, m]`` negative gradients."""
        ...

    def descend(self, point: PointT, terms: GeneralTerms, some: Rows, lambda_: float, tolerance: float) -> PointT:
        """Move some coefficients, the others being zero, to where they minimise the loss with the penalty.

        The intercepts are fitted along.
        """
        ...

    def blend(self, one: PointT, other: PointT, share: float) -> PointT:
        """The point between two, with so much of the first."""
        ...

    def quadratic(self, point: PointT, some: Rows) -> Quadratic:
        """The curvature at a point."""
        ...


class FittedPoint(NamedTuple, Generic[PointT]):
    """A point of a path, and its gap relative to the null model's loss."""

    point: PointT
    gap: float


@dataclass
class FoldPath(Generic[PointT]):
    """One fold on its way down the lambdas.

    Attributes
    ----------
    whole
        Whether it works on all columns.
    start
        The path of the penalty that each fit starts from.
    """

    loss: FoldLoss[PointT]
    terms: GeneralTerms
    tol: float
    whole: bool
    start: FoldPath[PointT] | None = None
    point: PointT = field(init=False)
    working: Rows = field(default_factory=lambda: np.arange(0))
    spending: FreedomAlong = field(default_factory=FreedomAlong)

    def __post_init__(self) -> None:
        self.point = self.loss.origin()

    @classmethod
    def of(cls, k: int, loss: FoldLoss[PointT], terms: GeneralTerms, tol: float, whole: bool) -> FoldPath[PointT]:
        """The path of a fold."""
        shape = loss.origin().w.shape
        terms = terms.of_fold(k, shape)
        start = None if terms.start is None else cls(loss, terms.start.of_fold(k, shape), tol, whole)
        return cls(loss, terms, tol, whole, start)

    def advance(self, lambdas: Array) -> list[FittedPoint[PointT]]:
        """Fit the next lambdas."""
        if self.start is None:
            fits = self._fit(self.terms, lambdas)
            self.point = fits[-1].point
            return fits
        starts = self.start.advance(np.array([self.terms.start_lambda(float(one)) for one in lambdas]))
        return [self.fit_from(one.point, self.terms, float(at)) for one, at in zip(starts, lambdas, strict=True)]

    def fit_from(self, point: PointT, terms: GeneralTerms, lambda_: float) -> FittedPoint[PointT]:
        """The fit that starts from a point; on what that has in use, so that no fit depends on those before."""
        self.point, self.working = point, np.arange(0)
        return self._fit(terms, np.array([lambda_]))[0]

    def _fit(self, terms: GeneralTerms, lambdas: Array) -> list[FittedPoint[PointT]]:
        """Fit terms from where the path stands, each lambda from the one before."""
        found: list[FittedPoint[PointT]] = []
        point, allowed = self.point, self.tol * self.loss.null
        inner = SURE if terms.convex and self.loss.convexity else INNER
        tolerance = inner * allowed
        self._extend(terms, point, float(lambdas[-1]))
        left = ROUNDS
        while len(found) < len(lambdas):
            points = self._down(terms, point, lambdas[len(found) :], tolerance)
            gaps = self._gaps(terms, points, lambdas[len(found) :])
            solved = int(np.argmax(np.append(gaps > allowed, True)))
            found += [FittedPoint(*one) for one in zip(points[:solved], gaps[:solved], strict=False)]
            if solved:
                point, tolerance, left = points[solved - 1], inner * allowed, ROUNDS
            if len(found) == len(lambdas):
                break
            before, point, left = point, points[solved], left - 1
            if self._extend(terms, point, float(lambdas[len(found)])):
                continue
            tolerance *= INNER
            if left <= 0 or (not solved and np.array_equal(point.w, before.w)):  # within rounding
                found.append(FittedPoint(point, float(gaps[solved])))
                tolerance, left = inner * allowed, ROUNDS
        return [FittedPoint(one, gap / self.loss.null if self.loss.null > 0 else 0.0) for one, gap in found]

    def _down(self, terms: GeneralTerms, point: PointT, lambdas: Array, tolerance: float) -> list[PointT]:
        """The points of lambdas on the columns at work."""
        some = self.working
        few = terms.restricted(some) if len(some) < len(point.w) else None
        points = []
        for lambda_ in lambdas:
            point = self.loss.descend(point, terms if few is None else few, some, float(lambda_), tolerance)
            points.append(point)
        return points

    def _gaps(self, terms: GeneralTerms, points: list[PointT], lambdas: Array) -> Array:
        """About how far each point is above its minimum."""
        along = zip(points, self.loss.gradients(points), lambdas, strict=True)
        shape = self.loss.curvature, self.loss.convexity if terms.convex else 0.0
        return np.array([excess(terms.distance(one.w, slope, float(at)), one.w, *shape) for one, slope, at in along])

    def _extend(self, terms: GeneralTerms, point: PointT, lambda_: float) -> bool:
        """Work on the columns in use and those that ask for it, too; whether any is new."""
        p, before = len(point.w), len(self.working)
        if self.whole or terms.restricted(np.arange(0)) is None:
            self.working = np.arange(p)
        else:
            asked = terms.score(point.w, self.loss.gradients([point])[0], lambda_) > 0
            asked |= point.w.any(axis=1)
            asked[self.working] = True
            self.working = np.flatnonzero(asked)
        return len(self.working) > before

    def freedom(self, points: Sequence[PointT], lambdas: Array) -> list[float]:
        """Effective degrees of freedom: the trace of the hat matrix of what is in use, or its number."""
        used = [point.w != 0 for point in points]
        most = points[int(np.argmax([one.sum() for one in used]))].w
        if self.terms.bends(most, np.flatnonzero(most)) is None:
            return [self._faces(point) for point in points]
        return self.spending.of(used, lambdas, lambda i: self._spent(points[i], float(lambdas[i])))

    def _faces(self, point: PointT) -> float:
        return float(len(np.unique(self.terms.faces(point.w)[point.w != 0])))

    def _spent(self, point: PointT, lambda_: float) -> float:
        used = point.w != 0
        bends = self.terms.bends(point.w, np.flatnonzero(used))
        if bends is None:
            return self._faces(point)
        kept = np.count_nonzero(used[self.working]) == np.count_nonzero(used)  # the loss still has their curvature
        some = self.working if kept else np.flatnonzero(used.any(axis=1))
        own, products = used[some].ravel(), self.loss.quadratic(point, some).products
        return spent(products, bends, lambda_, np.flatnonzero(own))


class DescendingFold(Protocol[PointT]):
    """One fold on its way down the lambdas."""

    @property
    def loss(self) -> FoldLoss[PointT]: ...

    def advance(self, lambdas: Array) -> list[FittedPoint[PointT]]:
        """The points of the next lambdas."""
        ...

    def freedom(self, points: Sequence[PointT], lambdas: Array) -> list[float]:
        """Their effective degrees of freedom."""
        ...


class Along(NamedTuple, Generic[PointT]):
    """Points ``[K][S]`` of all folds, their relative gaps and degrees of freedom ``[K, S]``."""

    points: list[list[PointT]]
    gap: Array
    freedom: Array


def walk(folds: Sequence[DescendingFold[PointT]], lambdas: Array) -> Along[PointT]:
    """Fit the next lambdas of all folds."""
    fits = [fold.advance(lambdas) for fold in folds]
    along = zip(folds, fits, strict=True)
    freedom = [fold.freedom([one.point for one in points], lambdas) for fold, points in along]
    return Along(
        [[one.point for one in along] for along in fits],
        np.array([[one.gap for one in along] for along in fits]),
        np.array(freedom),
    )
