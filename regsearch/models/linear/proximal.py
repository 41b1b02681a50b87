"""Any penalty with a proximal operator along a path of lambdas, fold by fold.

Each fold works on a few columns, minimises a quadratic with the penalty on them, and looks at all columns again. How
far a point may be above its minimum is estimated, and not certified as by the duality gaps of `gaussian.py` and
`logistic.py`: ``sum_j d_j (|w_j| + d_j / h_j)``, d_j the distance of the gradient to the penalty's subgradients and h_j
the curvature along w_j, which is what a step along every coefficient promises, and what each would if it were as wrong
as it is large. Of a penalty that is not convex it tells how far a point is from being stationary.

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

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.linear.general import GeneralTerms, Quadratic, excess
from regsearch.models.linear.penalty import Terms

ROUNDS = 100  # looks at all columns, at one lambda
LossT = TypeVar("LossT")
FLAT = 1e-6  # the ridge that stands for none
INNER = 0.1  # share of what is allowed that the columns at work may leave


class FoldLoss(Protocol):
    """A loss on the training rows of one fold, at coefficients that are moved along the path.

    Attributes
    ----------
    w
        ``[p, m]`` where it stands.
    null
        The loss of the null model, by which gaps are measured.
    curvature
        ``[p]`` about the loss's along each coefficient.
    """

    null: float
    curvature: Array

    @property
    def w(self) -> Array: ...

    def gradient(self) -> Array:
        """``[p, m]`` negative gradient where it stands."""
        ...

    def descend(self, terms: GeneralTerms, some: Rows, lambda_: float, tolerance: float) -> bool:
        """Move some coefficients to where they minimise the loss with the penalty, the intercepts fitted along.

        Whether any moved.
        """
        ...

    def blend(self: LossT, other: LossT, share: float) -> None:
        """Stand between where it and the same loss stand, with so much of the other."""
        ...

    def take_over(self: LossT, other: LossT) -> None:
        """Stand where the same loss stands that has walked another path."""
        ...

    def quadratic(self, some: Rows) -> Quadratic:
        """The curvature where it stands."""
        ...


@dataclass
class FoldPath:
    """One fold on its way down the lambdas."""

    loss: FoldLoss
    terms: GeneralTerms
    tol: float
    whole: bool
    start: FoldPath | None = None
    working: Rows | None = None

    @classmethod
    def of(cls, k: int, losses: tuple[FoldLoss, FoldLoss], terms: GeneralTerms, tol: float, whole: bool) -> FoldPath:
        """The path of a fold; the second of the same two losses is for a start that walks beside."""
        loss, again = losses
        terms = terms.of_fold(k, loss.w.shape)
        start = None if terms.start is None else cls(again, terms.start.of_fold(k, loss.w.shape), tol, whole)
        return cls(loss, terms, tol, whole, start)

    def advance(self, lambda_: float) -> float:
        """Fit the next lambda; the gap relative to the null model's loss."""
        if self.start is not None:
            self.start.advance(self.terms.start_lambda(lambda_))
            self.loss.take_over(self.start.loss)
        if self.start is not None and self.terms.kept is not None:
            return self._relaxed(self.start, self.terms.kept)
        return self._fit(self.terms, lambda_)

    def _relaxed(self, start: FoldPath, kept: float) -> float:
        """Fit the start's coefficients without its penalty, and stand between the two."""
        chosen = start.loss.w != 0
        low, high = (np.broadcast_to(getattr(start.terms, name), chosen.shape) for name in ("low", "high"))
        gap = self._fit(Terms(np.where(chosen, 0.0, np.inf), np.full(chosen.shape, FLAT), low, high), 1.0)
        self.loss.blend(start.loss, kept)
        return gap

    def _fit(self, terms: GeneralTerms, lambda_: float) -> float:
        """Fit terms from where the loss stands."""
        allowed = self.tol * self.loss.null
        gap = np.inf
        for _ in range(ROUNDS):
            gradient = self.loss.gradient()
            distance = terms.distance(self.loss.w, gradient, lambda_)
            gap = excess(distance, self.loss.w, self.loss.curvature)
            if gap <= allowed:
                break
            some = self._columns(terms, gradient, lambda_)
            if not self.loss.descend(self._restricted(terms, some), some, lambda_, INNER * min(allowed, gap)):
                break  # within rounding
        return gap / self.loss.null if self.loss.null > 0 else 0.0

    def freedom(self, lambda_: float) -> float:
        """Effective degrees of freedom: the trace of the hat matrix of what is in use, or its number."""
        used = self.loss.w != 0
        ridge = lambda_ * self.terms.ridge(used.shape)
        if not ridge[used].any():
            return float(used.sum())
        some = np.arange(len(used)) if self.working is None else self.working
        own = used[some].ravel()
        gram = self.loss.quadratic(some).gram[np.ix_(own, own)]
        held = gram + np.diag(ridge[some].ravel()[own] + FLAT * np.diag(gram))  # columns without a penalty may repeat
        return float(np.trace(np.linalg.solve(held, gram)))

    def _columns(self, terms: GeneralTerms, gradient: Array, lambda_: float) -> Rows:
        """The columns to work on: those that were, those in use, and those that ask for it."""
        p = len(self.loss.w)
        if self.whole or terms.restricted(np.arange(0)) is None:
            return np.arange(p)
        asked = terms.score(self.loss.w, gradient, lambda_) > 0
        asked |= self.loss.w.any(axis=1)
        if self.working is not None:
            asked[self.working] = True
        self.working = np.flatnonzero(asked)
        return self.working

    def _restricted(self, terms: GeneralTerms, some: Rows) -> GeneralTerms:
        few = terms.restricted(some) if len(some) < len(self.loss.w) else None
        return terms if few is None else few


def walk(folds: list[FoldPath], lambdas: Array) -> Iterator[tuple[Array, Array]]:
    """Gaps and degrees of freedom ``[K]`` of each lambda, where each fold's loss then stands."""
    for lambda_ in lambdas:
        gaps = np.array([fold.advance(float(lambda_)) for fold in folds])
        yield gaps, np.array([fold.freedom(float(lambda_)) for fold in folds])
