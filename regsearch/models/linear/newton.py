"""Proximal Newton steps for the loss of one fold, on the coefficients that it works on.

Notation and shapes

========  =========  ==================================================================================
symbol    shape      meaning
========  =========  ==================================================================================
m, a, n   int        outputs, columns in play, training rows of the fold
mask      [m, a]     the e coefficients in play; a column may be in play for some outputs only
w         [m, a]     coefficients; flat ``[e]`` ones are ``w[mask]``
b         [m]        intercepts
corner    [m, m]     curvature of the intercepts
edge      [e, m]     curvature between coefficients and intercepts
gram      [e, e]     curvature of the coefficients, the intercepts fitted along
========  =========  ==================================================================================

The curvature is kept from step to step and from lambda to lambda while the duality gap shrinks fast enough: it changes
slowly, and forming it costs far more than a step. A step that does not lower the objective is shortened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse
from scipy.linalg import block_diag

from regsearch._types import Array, Matrix, Rows
from regsearch.data.row_table import RowTable
from regsearch.models.linear.glm_kernels import minimise
from regsearch.models.linear.row_columns import RowColumns
from regsearch.models.linear.sample import Sample

SLOW = 0.25  # a step that leaves more of the gap than this was taken with a curvature too old
INNER = 0.05  # share of the target, or of a gap far from it, that a quadratic model may leave unsolved ...
STRICTER = 0.3  # ... and how it is lowered whenever a step was slow
MAX_HALVINGS = 30
ROWS_AT_ONCE = 1024
COLUMNS_AT_ONCE = 32
ROUNDING = 1e-14  # relative increase of the objective that counts as none


class ColumnsInPlay(Protocol):
    """Some columns of a fold's training rows, scaled, and what Newton steps ask of them."""

    @property
    def shift(self) -> Array:
        """``[a]``: what is still to be subtracted from each."""
        ...

    def predict(self, w: Array) -> Array:
        """``[m, n]`` of coefficients ``[m, a]``."""
        ...

    def correlate(self, residual: Array) -> Array:
        """``[m, a]`` of residuals ``[m, n]``."""
        ...

    def sums(self, weights: Array) -> Array:
        """``[a]`` of weights ``[n]``, `shift` left out."""
        ...

    def gram(self, weights: Array, columns: Array) -> Array:
        """Weighted products of some columns, `shift` left out."""
        ...

    def products(self, factors: Array, mask: Array) -> tuple[Array, Array]:
        """``SS'`` and ``S factors'``; S ``[e, n]`` has, for each output, its columns in play times its factors."""
        ...

    def mapped(self, function: Callable[[Array], Array]) -> Array:
        """``[a, r]`` of what makes ``[q, r]`` of columns ``[q, n]``, given a few at a time; `shift` left out."""
        ...


def columns_in_play(matrix: Matrix, rows: Rows, columns: Rows, center: Array, inverse: Array) -> ColumnsInPlay:
    """Some columns of a fold's rows: those of a table stay where they are."""
    if isinstance(matrix, RowTable):
        return RowColumns(matrix, rows, columns, center[columns], inverse[columns])
    return WorkingColumns.of(matrix, rows, columns, center, inverse)


@dataclass(frozen=True)
class WorkingColumns:
    """Some columns of a fold's training rows, scaled; dense ones are centred, sparse ones by `shift` alone.

    Attributes
    ----------
    features
        ``[a, n]``, C-ordered or CSR.
    shift
        ``[a]`` what is still to be subtracted from each.
    """

    features: Matrix
    shift: Array

    @classmethod
    def of(cls, matrix: Matrix, rows: Rows, columns: Rows, center: Array, inverse: Array) -> WorkingColumns:
        center, inverse = center[columns], inverse[columns]
        if sparse.issparse(matrix):
            return cls(_sparse_rows(matrix[:, columns], rows, inverse), center * inverse)
        features = np.empty((len(columns), len(rows)))
        for feature, column in zip(features, columns, strict=True):  # one at a time: no copy of the rows left out
            np.take(matrix[:, column], rows, out=feature, mode="clip")
        features -= center[:, None]
        features *= inverse[:, None]
        return cls(features, np.zeros(len(columns)))

    def predict(self, w: Array) -> Array:
        return np.asarray(w @ self.features - (w @ self.shift)[:, None])

    def correlate(self, residual: Array) -> Array:
        return np.asarray(residual @ self.features.T - residual.sum(axis=1)[:, None] * self.shift)

    def sums(self, weights: Array) -> Array:
        return np.asarray(self.features @ weights)

    def gram(self, weights: Array, columns: Array) -> Array:
        return self.products(np.sqrt(weights)[None], columns[None])[0]

    def products(self, factors: Array, mask: Array) -> tuple[Array, Array]:
        count, n = int(mask.sum()), factors.shape[1]
        size = n if sparse.issparse(self.features) else ROWS_AT_ONCE  # what is dense is copied a few rows at a time
        gram, edge = np.zeros((count, count)), np.zeros((count, len(factors)))
        for start in range(0, n, size):
            part = slice(start, start + size)
            stack = self._stack(factors[:, part], mask, part)
            gram += _dense(stack @ stack.T)
            edge += stack @ factors[:, part].T
        return gram, edge

    def mapped(self, function: Callable[[Array], Array]) -> Array:
        parts = (self.features[start : start + COLUMNS_AT_ONCE] for start in range(0, len(self.shift), COLUMNS_AT_ONCE))
        return np.concatenate([function(_dense(part)) for part in parts])

    def _stack(self, factors: Array, mask: Array, part: slice) -> Matrix:
        if sparse.issparse(self.features):
            pairs = zip(factors, mask, strict=True)
            return sparse.vstack([self.features[some].multiply(factor) for factor, some in pairs], format="csr")
        features = self.features[:, part]
        pairs = zip(factors, mask, strict=True)
        return np.concatenate([(features if some.all() else features[some]) * factor for factor, some in pairs])


@dataclass(frozen=True)
class Iterate:
    """Coefficients ``[m, a]``, intercepts ``[m]``, and the decisions, fitted values ``[m, 1, n]`` and loss there."""

    w: Array
    b: Array
    eta: Array
    p: Array
    loss: float


class Decided(Protocol):
    """A point whose decisions and fitted values ``[m, 1, n]`` are known."""

    @property
    def eta(self) -> Array: ...

    @property
    def p(self) -> Array: ...


@dataclass(frozen=True)
class Curvature:
    """The quadratic model of the loss: see the module; `couple` is ``edge corner^+``."""

    gram: Array
    couple: Array
    inverse: Array

    @classmethod
    def of(cls, sample: Sample, point: Decided, columns: ColumnsInPlay, mask: Array) -> Curvature:
        """The Hessian of a loss at a point."""
        eta = point.eta[:, 0]
        between = sample.between_rows(eta)
        if between is None:
            return cls.at(*sample.hessian(eta, point.p[:, 0]), columns, mask)
        means, some = columns.mapped(between)[mask[0]], mask[0]  # what rows share is of one output, without intercept
        gram = columns.gram(sample.hessian(eta, point.p[:, 0])[0][0], some) - means @ means.T
        return cls(gram, np.zeros((len(gram), 1)), np.zeros((1, 1)))

    @classmethod
    def at(cls, own: Array, shares: Array | None, columns: ColumnsInPlay, mask: Array) -> Curvature:
        """The Hessian ``X' (diag(own) - shares shares') X``; see `regsearch.models.linear.sample.Sample.hessian`."""
        gram = block_diag(*(columns.gram(one, some) for one, some in zip(own, mask, strict=True)))
        edge = block_diag(*(columns.sums(one)[some, None] for one, some in zip(own, mask, strict=True)))
        corner = np.diag(own.sum(axis=1))
        if shares is not None:
            gram_of_means, edge_of_means = columns.products(shares, mask)
            gram -= gram_of_means
            edge -= edge_of_means
            corner -= shares @ shares.T
        inverse = np.linalg.pinv(corner, rcond=1e-12, hermitian=True)
        shift = np.broadcast_to(columns.shift, mask.shape)[mask]
        outputs = np.nonzero(mask)[0]
        return cls(gram - edge @ inverse @ edge.T, (edge - shift[:, None] * corner[outputs]) @ inverse, inverse)


class Newton:
    """The penalised loss of one fold as a function of the coefficients in play.

    Parameters
    ----------
    columns, mask
        Columns in play, and for which outputs.
    sample
        The loss on the fold's training rows.
    null
        ``[m, a]`` gradient of the null model.
    l1, l2
        Penalty weights ``[m, a]`` and their ridge.
    """

    def __init__(self, columns: ColumnsInPlay, mask: Array, sample: Sample, null: Array, l1: Array, l2: float) -> None:
        self.columns, self.mask, self.sample = columns, mask, sample
        self.null, self.l1, self.l2 = null, np.where(mask, l1, np.inf), l2
        self._curvature: Curvature | None = None
        self._slow = False  # whether sweeps over the coefficients in play were slow
        self._known: tuple[Iterate, float, float] | None = None  # a point, its lambda and its gap

    def point(self, w: Array, b: Array) -> Iterate:
        return self._at(w, b, (self.columns.predict(w) + b[:, None])[:, None])

    def ahead(self, before: Iterate, here: Iterate, share: float, lambda_: float) -> Iterate:
        """Where the last two points of a path lead to, so much further on, if that is better than staying.

        Coefficients that would change their signs become zero.
        """
        w, b = here.w + share * (here.w - before.w), here.b + share * (here.b - before.b)
        turned = (w * here.w <= 0) & (self.l1 > 0)
        w[turned] = 0.0
        kept = not turned.any()
        new = self._at(w, b, here.eta + share * (here.eta - before.eta)) if kept else self.point(w, b)
        return new if self._value(new, lambda_) < self._value(here, lambda_) else here

    def solve(self, point: Iterate, lambda_: float, target: float, max_steps: int) -> Iterate:
        """Newton steps from a point until the gap, over the coefficients in play, is at most the target."""
        before, inner = np.inf, INNER
        for _ in range(max_steps):
            gradient = self.columns.correlate(self.residual(point))
            gap = self._gap(point, gradient, lambda_)
            self._known = point, lambda_, gap
            if gap <= target:
                break
            slow = gap > SLOW * before
            inner *= STRICTER if slow else 1.0
            fresh = self._renewed(point, slow)
            before = gap
            ahead = self._step(point, gradient, lambda_, inner * max(target, INNER * gap))
            if ahead is None and fresh:
                break  # the objective cannot be lowered any more within rounding
            point, before = (point, 0.0) if ahead is None else (ahead, before)
        return point

    def _renewed(self, point: Iterate, slow: bool) -> bool:
        """Form the curvature at a point, where there is none or the last step was slow; whether it was formed."""
        if self._curvature is not None and not slow:
            return False
        self._curvature = Curvature.of(self.sample, point, self.columns, self.mask)
        return True

    def gap(self, point: Iterate, lambda_: float) -> float:
        """The duality gap of a point, over the coefficients in play."""
        if self._known is None or self._known[0] is not point or self._known[1] != lambda_:
            self._known = point, lambda_, self._gap(point, self.columns.correlate(self.residual(point)), lambda_)
        return self._known[2]

    def residual(self, point: Iterate) -> Array:
        """``[m, n]`` weighted."""
        return self.sample.residual(point.p)[:, 0]

    def _at(self, w: Array, b: Array, eta: Array) -> Iterate:
        shift = self.sample.shift(eta)
        eta = eta + shift[..., None]
        p, loss = self.sample.at(eta)
        return Iterate(w, b + shift[:, 0], eta, p, float(loss[0]))

    def _penalty(self, w: Array, lambda_: float) -> float:
        size = np.abs(w[self.mask])
        l1 = self.l1[self.mask]
        return float(lambda_ * (size @ np.where(size > 0, l1, 0.0) + self.l2 / 2 * size @ size))

    def _gap(self, point: Iterate, gradient: Array, lambda_: float) -> float:
        value = np.array([point.loss + self._penalty(point.w, lambda_)])
        threshold, ridge = lambda_ * self.l1[:, None], np.array([lambda_ * self.l2])
        slopes = gradient[:, None], self.null[:, None]
        return float(self.sample.gaps(value, point.p, *slopes, threshold, ridge)[0])

    def _step(self, point: Iterate, gradient: Array, lambda_: float, tolerance: float) -> Iterate | None:
        """The next point, or None if the model promised a decrease that no step length delivers."""
        assert self._curvature is not None
        model, w = self._curvature, point.w[self.mask]
        drift = self.residual(point).sum(axis=1)
        slope = gradient[self.mask] - model.couple @ drift
        threshold, ridge = lambda_ * self.l1[self.mask], lambda_ * self.l2
        found, self._slow = minimise(model.gram, w, slope, threshold, ridge, tolerance, self._slow)
        change = found - w
        move = np.zeros_like(point.w)
        move[self.mask] = change
        shift = model.inverse @ drift - change @ model.couple
        return self._search(point, move, shift, lambda_)

    def _search(self, point: Iterate, move: Array, shift: Array, lambda_: float) -> Iterate | None:
        """Halve a step until it does not raise the objective."""
        ahead = (self.columns.predict(move) + shift[:, None])[:, None]
        value = self._value(point, lambda_)
        for length in 0.5 ** np.arange(MAX_HALVINGS):
            new = self._moved(point, move, shift, ahead, length)
            if self._value(new, lambda_) <= value * (1 + ROUNDING):
                return new
        return None

    def _moved(self, point: Iterate, move: Array, shift: Array, ahead: Array, length: float) -> Iterate:
        return self._at(point.w + length * move, point.b + length * shift, point.eta + length * ahead)

    def _value(self, point: Iterate, lambda_: float) -> float:
        return point.loss + self._penalty(point.w, lambda_)


def further(steps: Array) -> float:
    """How far it is to the last of three numbers, by what it is from the first to the second."""
    return float((steps[2] - steps[1]) / (steps[1] - steps[0])) if steps[1] != steps[0] else 0.0


def _sparse_rows(columns: Matrix, rows: Rows, inverse: Array) -> Matrix:
    """``[a, rows]`` of sparse columns ``[n, a]``, scaled."""
    place = np.full(columns.shape[0], -1, dtype=columns.indices.dtype)
    place[rows] = np.arange(len(rows))
    at = place[columns.indices]
    kept = at >= 0
    ends = np.concatenate([[0], np.cumsum(kept)])[columns.indptr].astype(columns.indices.dtype)
    data = (columns.data * np.repeat(inverse, np.diff(columns.indptr)))[kept]
    return sparse.csr_array((data, at[kept], ends), shape=(columns.shape[1], len(rows)))


def _dense(product: Matrix) -> Array:
    return np.asarray(product.toarray() if sparse.issparse(product) else product)
