"""Squared error of one fold as the proximal solver reads it: a quadratic as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg.lapack import dposv, dpotrf, dpotrs

from regsearch._types import Array, Rows
from regsearch.models.linear.general import GeneralTerms, Quadratic
from regsearch.models.linear.sources import Source

PRODUCTS = 12  # from which an eigenvalue is guessed
SHARES = 0.95, 0.7, 0.2  # of the guess, the first of which is tried as a bound
DEPENDENT = 1e-9  # a bound that is rounding


@dataclass(frozen=True)
class SquaredPoint:
    """Coefficients ``[p, 1]``."""

    w: Array


@dataclass
class SquaredFold:
    """Half the weighted mean squared error; see `regsearch.models.linear.proximal.FoldLoss`.

    Parameters
    ----------
    every
        The quadratic of all columns, where it is at hand.
    """

    source: Source
    k: int
    scale: str
    curvature: Array
    every: Quadratic | None = None
    null: float = field(init=False)

    def __post_init__(self) -> None:
        self.moment = self.source.moment(self.scale)[self.k]
        self.null = float(self.source.power[self.k]) / 2
        nothing = np.arange(0), Quadratic(np.empty((0, 0)))
        self._at = nothing if self.every is None else (np.arange(len(self.moment)), self.every)

    @property
    def convexity(self) -> float:
        """Of all columns; 0 where only some of them are at work."""
        return self._at[1].convexity if self._whole else 0.0

    @property
    def _whole(self) -> bool:
        return len(self._at[0]) == len(self.moment)

    def origin(self) -> SquaredPoint:
        return SquaredPoint(np.zeros((len(self.moment), 1)))

    def gradients(self, points: Sequence[SquaredPoint]) -> Array:
        w = np.stack([point.w[:, 0] for point in points])
        if self._whole:
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
        if not np.array_equal(self._at[0], some):
            self._at = some, Quadratic(self._grown(some))
        return self._at[1]

    def _grown(self, some: Rows) -> Array:
        """The Gram matrix of some columns, with what is known of those at work so far."""
        known, gram = self._at[0], self._at[1].gram
        if not len(known) or not np.isin(known, some).all():
            return np.ascontiguousarray(self.source.cross(self.k, some, some, self.scale))
        old = np.isin(some, known)
        new, grown = some[~old], np.empty((len(some), len(some)))
        cross = self.source.cross(self.k, known, new, self.scale)
        grown[np.ix_(old, old)], grown[np.ix_(old, ~old)], grown[np.ix_(~old, old)] = gram, cross, cross.T
        grown[np.ix_(~old, ~old)] = self.source.cross(self.k, new, new, self.scale)
        return grown


def convex(gram: Array) -> Quadratic:
    """A quadratic that knows how convex it is: a guess that a factorisation confirms."""
    size = np.sqrt(np.diag(gram))
    used = size > 0
    unit = gram.copy() if used.all() else gram[np.ix_(used, used)]
    unit /= size[used, None]
    unit /= size[used]
    least = _least(unit)
    if least is None:
        return Quadratic(gram)
    for share in SHARES:
        lower = unit.copy()
        lower.flat[:: len(lower) + 1] -= share * least
        if share * least > DEPENDENT and not dpotrf(lower.T, lower=1, overwrite_a=1)[1]:
            return Quadratic(gram, share * least)
    return Quadratic(gram)


def _least(unit: Array) -> float | None:
    """About the smallest eigenvalue; `None` where there is no Cholesky factor."""
    factor, singular = dpotrf(unit.T, lower=1) if len(unit) else (unit, 1)
    return None if singular else 1.0 / largest_from_below(lambda vector: dpotrs(factor, vector, lower=1)[0], len(unit))


def minimum(quadratic: Quadratic, slope: Array) -> Array:
    """Where a quadratic with some convexity is least, by its negative gradient at zero; 0 of columns without size."""
    size = np.sqrt(np.diag(quadratic.gram))
    used, found = size > 0, np.zeros(len(slope))
    unit = quadratic.gram[np.ix_(used, used)]
    unit /= size[used, None]
    unit /= size[used]
    found[used] = dposv(unit.T, slope[used] / size[used], lower=1, overwrite_a=1)[1] / size[used]
    return found


def largest_from_below(product: Callable[[Array], Array], size: int) -> float:
    """About the largest eigenvalue of a symmetric matrix, by a few of its products with vectors (Lanczos 1950)."""
    vector = np.where(np.arange(size) % 3, 1.0, -1.0) / np.sqrt(size)
    before, beside = np.zeros(size), 0.0
    diagonal, off = list[float](), list[float]()
    for _ in range(min(PRODUCTS, size)):
        ahead = product(vector) - beside * before
        diagonal.append(float(vector @ ahead))
        ahead -= diagonal[-1] * vector
        beside = float(np.linalg.norm(ahead))
        off.append(beside)
        if beside <= DEPENDENT * abs(diagonal[0]):
            break
        before, vector = vector, ahead / beside
    couple = np.diag(off[: len(diagonal) - 1], 1)
    return float(np.linalg.eigvalsh(np.diag(diagonal) + couple + couple.T)[-1])
