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

from regsearch._types import Array, Matrix, Rows
from regsearch.models.linear.blocks import Square, some_rows
from regsearch.models.linear.design import Design
from regsearch.models.linear.moments import block_moments, fold_moments
from regsearch.models.linear.spectrum import Spectrum, dual, primal, row_kernel


@dataclass(frozen=True)
class Evaluation:
    """What a source knows of coefficients: gradient ``[F, S, p]``, mean squared errors ``[F, S]`` of both parts."""

    gradient: Array
    train: Array
    val: Array


class Source(Protocol):
    """The inner products of a squared-error problem, fold by fold."""

    power: Array
    centers: Array  # [K, p] means of the design's matrix over the training rows
    target: Array  # [K] mean of y over the training rows

    def moment(self, scale: str) -> Array:
        """``[K, p]``."""
        ...

    def cross(self, k: int, left: Rows, right: Rows, scale: str) -> Array:
        """``[left, right]``: the block of X'WX of one fold for two sets of columns."""
        ...

    def rows(self, k: int, some: Rows, scale: str) -> tuple[Array, Array] | None:
        """Columns ``[e, rows]`` and target ``[rows]`` of one fold's training rows times the root of their weights.

        `None` where a Gram matrix of these columns is the better choice.
        """
        ...

    def evaluate(self, folds: Sequence[int], w: Array, scale: str) -> Evaluation:
        """Gradient and losses of coefficients ``[F, S, p]``."""
        ...

    def losses(self, folds: Sequence[int], w: Array, scale: str) -> tuple[Array, Array]:
        """The losses alone, ``[F, S]`` of both parts."""
        ...

    def spectrum(self, k: int, scale: str) -> Spectrum:
        """The eigendecomposition of one fold."""
        ...


class Covariances:
    """Weighted means and covariances of columns and targets, in the parts of each fold, for the sources of all targets.

    Attributes
    ----------
    train, val
        ``[K, p + t, p + t]`` covariances; of targets that differ between folds with a column for each fold's.
    train_mean, val_mean
        ``[K, p + t]``.
    places
        ``[t, K]``: which of those columns behind the p is that of a target in a fold.
    """

    def __init__(self, design: Design, y: Array) -> None:
        t = y.shape[-1]
        self.places = np.tile(np.arange(t)[:, None], design.folds)
        if y.ndim == 3:
            y, self.places = y.transpose(1, 2, 0).reshape(y.shape[1], -1), np.arange(t * len(y)).reshape(t, -1)
        moments = fold_moments(design, y)
        with np.errstate(invalid="ignore"):
            covariance = np.stack([part.scatter / (part.weight or np.nan) for part in moments])
        mean = np.stack([part.mean for part in moments])
        self.train, self.val = covariance[: design.folds], covariance[design.folds :]
        self.train_mean, self.val_mean = mean[: design.folds], mean[design.folds :]
        self._design = design
        self._grams: dict[str, Array] = {}

    def gram(self, scale: str) -> Array:
        """``[K, p, p]``."""
        if scale not in self._grams:
            p, inverse = self._design.shape[1], self._design.inverse_scales(scale)
            self._grams[scale] = self.train[:, :p, :p] * inverse[:, :, None] * inverse[:, None, :]
        return self._grams[scale]


class FromMoments:
    """Everything from the moments of the folds' parts: made for many rows, which are read once.

    Parameters
    ----------
    known
        Of all targets.
    j
        Which of them this one is.
    """

    def __init__(self, design: Design, known: Covariances, j: int = 0) -> None:
        p, folds = design.shape[1], np.arange(design.folds)
        own = p + known.places[j]
        self._moment, self._val_moment = known.train[folds, :p, own], known.val[folds, :p, own]
        self._val_power, self._val_gram = known.val[folds, own, own], known.val[:, :p, :p]
        self._val_target, self._val_centers = known.val_mean[folds, own], known.val_mean[:, :p]
        self.centers, self.target = known.train_mean[:, :p], known.train_mean[folds, own]
        self.power = known.train[folds, own, own]
        self._design, self.gram = design, known.gram

    @classmethod
    def of(cls, design: Design, y: Array) -> list[FromMoments]:
        """One source for each of the targets ``[n, t]`` or ``[K, n, t]``, whose rows are read once for all."""
        known = Covariances(design, y)
        return [cls(design, known, j) for j in range(y.shape[-1])]

    def moment(self, scale: str) -> Array:
        return np.asarray(self._moment * self._design.inverse_scales(scale))

    def cross(self, k: int, left: Rows, right: Rows, scale: str) -> Array:
        gram: Array = self.gram(scale)[k]
        return gram if len(left) == len(right) == len(gram) else gram[np.ix_(left, right)]

    def rows(self, k: int, some: Rows, scale: str) -> None:
        return None

    def evaluate(self, folds: Sequence[int], w: Array, scale: str) -> Evaluation:
        index = list(folds)
        moment = self.moment(scale)[index][:, None]
        gradient = moment - w @ self.gram(scale)[index]
        train = self.power[index, None] - (w * (moment + gradient)).sum(axis=-1)
        return Evaluation(gradient, np.maximum(train, 0.0), self._val_loss(index, w, scale))

    def losses(self, folds: Sequence[int], w: Array, scale: str) -> tuple[Array, Array]:
        state = self.evaluate(folds, w, scale)
        return state.train, state.val

    def spectrum(self, k: int, scale: str) -> Spectrum:
        return primal(self.gram(scale)[k], self.moment(scale)[k], float(self.power[k]), float(self._design.counts[k]))

    def _val_loss(self, index: list[int], w: Array, scale: str) -> Array:
        """Squared bias plus variance of the validation residuals."""
        coef = w * self._design.inverse_scales(scale)[index][:, None]
        drift = self._val_centers[index] - self.centers[index]
        bias = (self._val_target - self.target)[index][:, None] - np.einsum("fsp,fp->fs", coef, drift)
        explained = coef * (2 * self._val_moment[index][:, None] - coef @ self._val_gram[index])
        return np.asarray(np.maximum(bias**2 + self._val_power[index][:, None] - explained.sum(axis=-1), 0.0))


class FromRows:
    """Everything from the rows, for the columns asked for: made for many columns; targets are ``[n]`` or ``[K, n]``."""

    def __init__(self, design: Design, y: Array) -> None:
        self._design, self._y = design, np.broadcast_to(y, (design.folds, design.shape[0]))
        self.centers = design.means
        weights = design.fold_weights
        self.target = weights @ y if y.ndim == 1 else np.einsum("kn,kn->k", weights, y)
        self._residual = (y - self.target[:, None]) * design.fold_weights  # [K, n] of the null model, weighted
        self.power = np.einsum("kn,kn->k", self._residual, y - self.target[:, None])
        held = design.held * design.weights
        with np.errstate(invalid="ignore"):
            self._held_weights = held / held.sum(axis=1, keepdims=True)
        self._moments: dict[str, Array] = {}

    def moment(self, scale: str) -> Array:
        if scale not in self._moments:
            null = np.zeros((self._design.folds, 1, self._design.shape[1]))
            self._moments[scale] = self.evaluate(range(self._design.folds), null, scale).gradient[:, 0]
        return self._moments[scale]

    def cross(self, k: int, left: Rows, right: Rows, scale: str) -> Array:
        matrix, inverse = self._design.fold(k), self._design.inverse_scales(scale)[k]
        weights, centers = self._design.fold_weights[k], self.centers[k]
        if isinstance(matrix, np.ndarray) and left is right:
            product = self._square(k, matrix, left)
        elif isinstance(matrix, np.ndarray):
            weighted = (matrix[:, right] - centers[right]) * weights[:, None]
            product = matrix[:, left].T @ weighted
            product -= np.outer(centers[left], weighted.sum(axis=0))  # zero but for rounding, which these magnify
        else:
            weighted = matrix[:, right].multiply(weights[:, None]).tocsc()
            product = (matrix[:, left].T @ weighted).toarray() - np.outer(centers[left], centers[right])
        return np.asarray(product * inverse[left][:, None] * inverse[right])

    def _square(self, k: int, matrix: Array, some: Rows) -> Array:
        """Products of all pairs of some columns, a few training rows at a time."""
        train, centers, square = self._design.train[k], self.centers[k, some], Square(len(some))
        for block in some_rows(len(train), len(some)):
            rows = train[block]
            part = matrix.T[some[:, None], rows]
            part -= centers[:, None]
            part *= np.sqrt(self._design.fold_weights[k, rows])
            square.add(part.T)
        return square.whole()

    def rows(self, k: int, some: Rows, scale: str) -> tuple[Array, Array] | None:
        rows = self._design.train[k]
        if self._design.sparse or len(some) <= len(rows):
            return None
        root = np.sqrt(self._design.fold_weights[k, rows])
        columns = self._design.fold(k).T[some[:, None], rows]
        columns -= self.centers[k, some, None]
        columns *= self._design.inverse_scales(scale)[k, some, None]
        columns *= root
        return columns, (self._y[k, rows] - self.target[k]) * root

    def evaluate(self, folds: Sequence[int], w: Array, scale: str) -> Evaluation:
        coef = w * self._design.inverse_scales(scale)[list(folds)][:, None]
        gradient = np.empty_like(w)
        train, val = np.empty(w.shape[:2]), np.empty(w.shape[:2])
        for at, some in self._views(folds):
            residual, train[at], val[at] = self._misses(some, coef[at])
            gradient[at] = self._gradient(some, residual)
        gradient *= self._design.inverse_scales(scale)[list(folds)][:, None]
        return Evaluation(gradient, train, val)

    def losses(self, folds: Sequence[int], w: Array, scale: str) -> tuple[Array, Array]:
        coef = w * self._design.inverse_scales(scale)[list(folds)][:, None]
        train, val = np.empty(w.shape[:2]), np.empty(w.shape[:2])
        for at, some in self._views(folds):
            _, train[at], val[at] = self._misses(some, coef[at])
        return train, val

    def _views(self, folds: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
        """Folds that see the same matrix: where they are among those asked for, and which they are."""
        for view in self._design.views:
            at = [i for i, k in enumerate(folds) if k in view]
            if at:
                yield at, [folds[i] for i in at]

    def spectrum(self, k: int, scale: str) -> Spectrum:
        design, inverse = self._design, self._design.inverse_scales(scale)[k]
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

    def _misses(self, folds: list[int], coef: Array) -> tuple[Array, Array, Array]:
        """Residuals ``[n, F, S]`` and losses ``[F, S]`` of both parts, for folds that share a matrix."""
        intercept = self.target[folds, None] - np.einsum("fsp,fp->fs", coef, self.centers[folds])
        residual = self._y[folds].T[:, :, None] - intercept - _predict(self._design.fold(folds[0]), coef)
        square = residual**2
        train = np.einsum("fn,nfs->fs", self._design.fold_weights[folds], square)
        return residual, train, np.einsum("fn,nfs->fs", self._held_weights[folds], square)

    def _gradient(self, folds: list[int], residual: Array) -> Array:
        """``[F, S, p]`` of the unscaled columns, by residuals that are written to."""
        residual *= self._design.fold_weights[folds].T[:, :, None]
        drift = residual.sum(axis=0)  # zero but for rounding, which a large center would magnify
        product = np.asarray(self._design.fold(folds[0]).T @ residual.reshape(len(residual), -1))
        gradient = product.reshape(-1, *residual.shape[1:]).transpose(1, 2, 0)
        return np.asarray(gradient - drift[:, :, None] * self.centers[folds, None])


def _predict(matrix: Matrix, coef: Array) -> Array:
    """``[n, F, S]`` of coefficients ``[F, S, p]``, reading only the columns in use."""
    flat = coef.reshape(-1, coef.shape[-1])
    used = np.flatnonzero(flat.any(axis=0))
    if len(used) < flat.shape[1] / 2:
        matrix, flat = matrix[:, used], flat[:, used]
    return np.asarray(matrix @ flat.T).reshape(-1, *coef.shape[:2])
