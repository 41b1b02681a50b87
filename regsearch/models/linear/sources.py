"""Where the squared-error solver gets its inner products from: fold moments, or the rows themselves.

Notation and shapes (columns centred and scaled per fold)

=========  =============  ====================================================================
symbol     shape          meaning
=========  =============  ====================================================================
F, S, e    int            folds asked for, steps, columns in play
w          [F, S, p]      coefficients of the scaled columns
gradient   [F, S, p]      X'W(y - Xw), the negative gradient of the loss
moment     [K, p]         X'Wy
power      [K]            y'Wy: twice the null model's loss
inverse    [K, p]         one over the scales, 0 for constant columns
=========  =============  ====================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Matrix, Reals, Rows
from regsearch.models.linear.blocks import NUMBERS, mirrored, some_rows
from regsearch.models.linear.design import Design
from regsearch.models.linear.fold_rows import FoldRows
from regsearch.models.linear.moments import block_moments
from regsearch.models.linear.precision import DOUBLE, Precision
from regsearch.models.linear.spectrum import Spectrum, dual, primal, row_kernel
from regsearch.models.linear.working_columns import times

AT_ONCE = 64  # columns that are copied, to be multiplied ...
LEAST = 8  # ... or as few of long ones


@dataclass(frozen=True)
class Evaluation:
    """What a source knows of coefficients.

    Attributes
    ----------
    gradient
        ``[F, S, p]``.
    train, val
        ``[F, S]`` mean squared errors of both parts.
    residual
        ``[F, n]`` of the last step, by those who read the rows.
    """

    gradient: Array
    train: Array
    val: Array
    residual: Array | None = None


@dataclass(frozen=True)
class Blends:
    """Steps that lie between others: what is affine in coefficients need not be asked of the rows.

    Attributes
    ----------
    shares
        ``[F, S, S + 1]`` that steps have in the point before them all, and in each other; those that do not lie between
        others have themselves alone.
    gradient, residual
        ``[F, p]`` and ``[F, n]`` of the point before.
    """

    shares: Array
    gradient: Array
    residual: Array

    @property
    def own(self) -> NDArray[np.bool_]:
        """``[F, S]``: whether a step does not lie between others."""
        return np.asarray(np.diagonal(self.shares[:, :, 1:], axis1=1, axis2=2) == 1.0)


@dataclass(frozen=True)
class Walked:
    """Points of walks, as `descent.py` has them, of which the first two were there before.

    Attributes
    ----------
    w, gradient
        ``[F, N, p]``; gradients as they were kept on the way, but for rounding that has added up.
    plan, along, own
        ``[Q, 3]``, ``[F, Q]`` and ``[F, N]``.
    """

    w: Array
    gradient: Array
    plan: NDArray[np.intp]
    along: Array
    own: NDArray[np.bool_]


class Source(Protocol):
    """The inner products of a squared-error problem, fold by fold."""

    power: Array
    centers: Array  # [K, p] means of the design's matrix over the training rows
    target: Array  # [K] mean of y over the training rows

    @property
    def null(self) -> Array | None:
        """``[K, n]`` residuals of the null model, by those who read the rows."""
        ...

    def moment(self, scale: str) -> Array:
        """``[K, p]``."""
        ...

    def cross(self, k: int, left: Rows, right: Rows, scale: str) -> Array:
        """``[left, right]``: the block of X'WX of one fold for two sets of columns."""
        ...

    def square(self, k: int, some: Rows, scale: str, precision: Precision) -> Reals:
        """``[some, some]``: that of a set with itself, in a precision."""
        ...

    def rows(self, k: int) -> FoldRows | None:
        """The training rows of one fold; `None` where products of columns are always the better choice."""
        ...

    def evaluate(
        self, folds: Sequence[int], w: Array, scale: str, blends: Blends | None = None, walked: Walked | None = None
    ) -> Evaluation:
        """Gradient and losses of coefficients ``[F, S, p]``.

        Parameters
        ----------
        blends
            Which of them lie between others: for those who read the rows.
        walked
            How they came about: for others.
        """
        ...

    def losses(self, folds: Sequence[int], w: Array, scale: str) -> tuple[Array, Array]:
        """The losses alone, ``[F, S]`` of both parts."""
        ...

    def spectrum(self, k: int, scale: str) -> Spectrum:
        """The eigendecomposition of one fold."""
        ...


class FromRows:
    """Everything from the rows, for the columns asked for: made for many columns; targets are ``[n]`` or ``[K, n]``."""

    def __init__(self, design: Design, y: Array) -> None:
        self._design, self._y = design, np.broadcast_to(y, (design.folds, design.shape[0]))
        self.centers = design.means
        weights = design.fold_weights
        self.target = weights @ y if y.ndim == 1 else np.einsum("kn,kn->k", weights, y)
        self._null = y - self.target[:, None]
        self.power = np.einsum("kn,kn,kn->k", self._null, self._null, design.fold_weights)
        held = design.held * design.weights
        with np.errstate(invalid="ignore"):
            self._held_weights = held / held.sum(axis=1, keepdims=True)
        self._moments: dict[str, Array] = {}

    @property
    def null(self) -> Array:
        return self._null

    def moment(self, scale: str) -> Array:
        if scale not in self._moments:
            null = np.zeros((self._design.folds, 1, self._design.shape[1]))
            self._moments[scale] = self.evaluate(range(self._design.folds), null, scale).gradient[:, 0]
        return self._moments[scale]

    def cross(self, k: int, left: Rows, right: Rows, scale: str) -> Array:
        matrix, inverse = self._design.fold(k), self._design.inverse_scale(scale, k)
        weights, centers = self._design.fold_weights[k], self.centers[k]
        if isinstance(matrix, np.ndarray) and left is right:
            return np.asarray(self.square(k, left, scale, DOUBLE), dtype=np.float64)
        if isinstance(matrix, np.ndarray):
            weighted = (matrix[:, right] - centers[right]) * weights[:, None]
            product = matrix[:, left].T @ weighted
            product -= np.outer(centers[left], weighted.sum(axis=0))  # zero but for rounding, which these magnify
        else:
            weighted = matrix[:, right].multiply(weights[:, None]).tocsc()
            product = (matrix[:, left].T @ weighted).toarray() - np.outer(centers[left], centers[right])
        product *= inverse[left][:, None]
        product *= inverse[right]
        return np.asarray(product)

    def square(self, k: int, some: Rows, scale: str, precision: Precision) -> Reals:
        """Of dense columns a few training rows at a time."""
        if self._design.sparse:
            return self.cross(k, some, some, scale).astype(precision.kind, copy=False)
        lower, of = np.zeros((len(some), len(some)), precision.kind, order="F"), self._of_rows(k)
        for block in some_rows(len(self._design.train[k]), len(some)):
            columns = of.columns(some, scale, block, precision.kind)
            lower = precision.syrk(1.0, columns.T, 1.0, lower, trans=1, lower=1, overwrite_c=1)
        return mirrored(lower.T)

    def rows(self, k: int) -> FoldRows | None:
        return None if self._design.sparse else self._of_rows(k)

    def _of_rows(self, k: int) -> FoldRows:
        return FoldRows(self._design, k, self._null[k])

    def evaluate(
        self, folds: Sequence[int], w: Array, scale: str, blends: Blends | None = None, walked: Walked | None = None
    ) -> Evaluation:
        index, own = np.asarray(folds), np.ones(w.shape[:2], dtype=bool) if blends is None else blends.own
        at = np.argwhere(own)
        of = index[at[:, 0]]
        residual = self._residuals(of, w, at, scale)
        gradient = self._gradients(of, residual, scale)
        if blends is None or own.all():
            residual, gradient = residual.reshape(*w.shape[:2], -1), gradient.reshape(w.shape)
        else:
            residual = _blended(blends.shares, own, blends.residual, residual)
            gradient = _blended(blends.shares, own, blends.gradient, gradient)
        return Evaluation(gradient, *self._losses(index, residual), residual[:, -1])

    def losses(self, folds: Sequence[int], w: Array, scale: str) -> tuple[Array, Array]:
        index, at = np.asarray(folds), np.argwhere(np.ones(w.shape[:2]))
        residual = self._residuals(index[at[:, 0]], w, at, scale)
        return self._losses(index, residual.reshape(*w.shape[:2], -1))

    def spectrum(self, k: int, scale: str) -> Spectrum:
        design, inverse = self._design, self._design.inverse_scale(scale, k)
        rows, p = design.train[k], design.shape[1]
        if p <= len(rows):
            scatter = block_moments(design.fold(k), self._y[k, :, None], design.fold_weights[k], rows).scatter
            gram = scatter[:-1, :-1] * inverse[:, None] * inverse
            return primal(gram, scatter[:-1, -1] * inverse, float(self.power[k]), float(design.counts[k]))
        root = np.sqrt(design.fold_weights[k, rows])
        shift = self.centers[k] * inverse

        def back(dual_coef: Array) -> Array:
            weighted = np.zeros((design.shape[0], len(dual_coef)))
            weighted[rows] = (dual_coef * root).T
            lifted = np.asarray(design.fold(k).T @ weighted) * inverse[:, None]
            return np.asarray((lifted - np.outer(shift, weighted.sum(axis=0))).T)

        kernel = row_kernel(design.fold(k)[rows], self.centers[k], inverse, root)
        return dual(kernel, (self._y[k, rows] - self.target[k]) * root, float(design.counts[k]), back)

    def _views(self, folds: Rows) -> Iterator[tuple[NDArray[np.bool_], Matrix]]:
        """Which of some folds see the same matrix, and that."""
        for view in self._design.views:
            at = (folds >= view.start) & (folds < view.stop)
            if at.any():
                yield at, self._design.fold(view.start)

    def _residuals(self, folds: Rows, w: Array, at: Rows, scale: str) -> Array:
        """``[C, n]`` of all rows, by coefficients at places ``[C, 2]`` of those ``[F, S, p]``, of these folds."""
        used = np.flatnonzero(w.any(axis=(0, 1)))
        pairs = folds[:, None], used
        coef = w[at[:, :1], at[:, 1:], used] * self._design.inverse_scales(scale)[pairs]
        residual = self._null[folds] + np.einsum("cu,cu->c", coef, self.centers[pairs])[:, None]
        for some, matrix in self._views(folds):
            residual[some] = _less_fitted(matrix, coef[some], used, residual[some])
        return np.asarray(residual)

    def _gradients(self, folds: Rows, residual: Array, scale: str) -> Array:
        """``[C, p]`` by residuals ``[C, n]``."""
        weighted = residual * self._design.fold_weights[folds]
        drift = weighted.sum(axis=1, keepdims=True)  # zero but for rounding, which a large center would magnify
        gradient = np.empty((len(folds), self._design.shape[1]))
        for some, matrix in self._views(folds):
            gradient[some] = times(weighted[some], matrix)
        gradient -= drift * self.centers[folds]
        gradient *= self._design.inverse_scales(scale)[folds]
        return gradient

    def _losses(self, folds: Rows, residual: Array) -> tuple[Array, Array]:
        """``[F, S]`` of both parts, by residuals ``[F, S, n]``."""
        square = (residual**2).transpose(0, 2, 1)
        parts = self._design.fold_weights[folds], self._held_weights[folds]
        train, val = ((weights[:, None] @ square)[:, 0] for weights in parts)
        return train, val


def _blended(shares: Array, own: NDArray[np.bool_], before: Array, found: Array) -> Array:
    """``[F, S, ...]`` of all steps, by the point before ``[F, ...]`` and those that are their own ``[C, ...]``."""
    folds, steps = own.shape
    every = np.empty((folds, steps, before.shape[1]))
    every[own] = found
    for k, (share, alone) in enumerate(zip(shares, own, strict=True)):
        known = np.concatenate([before[k : k + 1], every[k, alone]])
        every[k, ~alone] = share[~alone][:, np.append(True, alone)] @ known
    return every


def _less_fitted(matrix: Matrix, coef: Array, used: Rows, values: Array) -> Array:
    """Values ``[C, n]`` less what coefficients ``[C, u]`` of the columns in use make of the rows."""
    few = len(used) < matrix.shape[1] / 2
    if few and isinstance(matrix, np.ndarray):
        size = min(AT_ONCE, max(LEAST, NUMBERS // len(matrix)))
        for part in (slice(start, start + size) for start in range(0, len(used), size)):
            values -= coef[:, part] @ matrix.T[used[part]]
        return values
    if few:
        return np.asarray(values - (matrix[:, used] @ coef.T).T)
    whole = np.zeros((matrix.shape[1], len(coef)))
    whole[used] = coef.T
    return np.asarray(values - (matrix @ whole).T)
