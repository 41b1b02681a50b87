"""Squared error of one fold as the proximal solver reads it: a quadratic as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv

from regsearch._types import Array, Reals, Rows
from regsearch.models.linear.blocks import mirrored
from regsearch.models.linear.general import GeneralTerms, Quadratic
from regsearch.models.linear.precision import DOUBLE, SINGLE, Precision
from regsearch.models.linear.sources import Source

PRODUCTS = 12  # from which an eigenvalue is guessed
SHARES = 0.95, 0.7, 0.2  # of the guess, the first of which is tried as a bound
DEPENDENT = 1e-9  # a bound that is rounding
CONVEX = 1e-2  # from which rounding to single precision leaves less to be gained than any tolerance that allows it


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
            return np.asarray(self.moment - _times(self._at[1].products, w.T).T)[..., None]
        return np.asarray(self.source.evaluate([self.k], w[None], self.scale).gradient[0, ..., None])

    def descend(
        self, point: SquaredPoint, terms: GeneralTerms, some: Rows, lambda_: float, tolerance: float
    ) -> SquaredPoint:
        quadratic, here = self.quadratic(point, some), point.w[some]
        slope = self.moment[some, None] - _times(quadratic.products, here)
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
        known, gram = self._at[0], self._at[1].products
        if not len(known) or not np.isin(known, some).all():
            return np.ascontiguousarray(self.source.cross(self.k, some, some, self.scale))
        old = np.isin(some, known)
        new, grown = some[~old], np.empty((len(some), len(some)))
        cross = self.source.cross(self.k, known, new, self.scale)
        grown[np.ix_(old, old)], grown[np.ix_(old, ~old)], grown[np.ix_(~old, old)] = gram, cross, cross.T
        grown[np.ix_(~old, ~old)] = self.source.cross(self.k, new, new, self.scale)
        return grown


def _times(gram: Reals, w: Array) -> Reals:
    """The product, in the precision of the first."""
    return np.asarray(gram @ w.astype(gram.dtype, copy=False))


def convex(form: Callable[[Precision], Reals], single: bool = False) -> Quadratic:
    """A quadratic that knows how convex it is: a guess that a factorisation confirms.

    It is formed in single precision where `single` allows that, and no coefficients are large beside what they explain.
    """
    for precision, enough in ((SINGLE, CONVEX), (DOUBLE, DEPENDENT))[not single :]:
        products = form(precision)
        convexity = _convexity(products, precision)
        if convexity > enough:
            return Quadratic(products, convexity)
    return Quadratic(products)


def _convexity(gram: Reals, precision: Precision) -> float:
    """A bound of the smallest eigenvalue of columns of unit size, less what is rounding; 0 where none is found."""
    unit = _unit(gram, precision.kind)[0]
    factor = _factored(unit, 0.0, precision)
    if factor is None:
        return 0.0

    def undone(vector: Array) -> Array:
        return np.asarray(precision.potrs(factor, vector, lower=1)[0], dtype=np.float64)

    least, rounding = 1.0 / largest_from_below(undone, len(unit)), len(unit) * float(np.finfo(precision.kind).eps)
    bounds = (share * least for share in SHARES)
    return next((bound - rounding for bound in bounds if _factored(unit, bound, precision) is not None), 0.0)


def _unit(gram: Reals, kind: type[np.floating[Any]]) -> tuple[Reals, Array, NDArray[np.bool_]]:
    """The Gram matrix of columns of unit size, made anew; the sizes of these, and which columns have any."""
    size = np.sqrt(np.diag(gram).astype(np.float64))
    used = size > 0
    unit = gram.astype(kind) if used.all() else gram[np.ix_(used, used)].astype(kind, copy=False)
    unit /= size[used, None]
    unit /= size[used]
    return unit, size[used], used


def _factored(unit: Reals, less: float, precision: Precision) -> Reals | None:
    """The lower Cholesky factor, of a diagonal of ones less something: in place of all but the triangle below it."""
    np.fill_diagonal(unit, 1.0 - less)
    mirrored(unit.T)
    factor, singular = precision.potrf(unit.T, lower=1, overwrite_a=1, clean=0) if len(unit) else (unit, 1)
    return None if singular else factor


def minimum(quadratic: Quadratic, slope: Array) -> Array:
    """Where a quadratic with some convexity is least, by its negative gradient at zero; 0 of columns without size."""
    unit, size, used = _unit(quadratic.products, np.float64)
    found = np.zeros(len(slope))
    found[used] = dposv(unit.T, slope[used] / size, lower=1, overwrite_a=1)[1] / size
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
