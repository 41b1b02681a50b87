"""Squared error from the moments of the folds' parts; for the notation see `sources.py`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from regsearch._types import Array, Reals, Rows
from regsearch.models.linear.design import Design
from regsearch.models.linear.kernels import Flags, Places
from regsearch.models.linear.moments import fold_moments
from regsearch.models.linear.path_losses import dense_points, path_losses
from regsearch.models.linear.precision import Precision
from regsearch.models.linear.sources import Blends, Evaluation, Walked
from regsearch.models.linear.spectrum import Spectrum, primal

ROUNDING = 1e-12  # of twice the null model's loss: what a duality gap may be off by for a gradient that was kept


class Covariances:
    """Weighted means and covariances of columns and targets, in the parts of each fold, for the sources of all targets.

    Attributes
    ----------
    train, val
        ``[K, p + t, p + t]`` covariances; of targets that differ between folds with a column for each fold's.
    train_mean, val_mean
        ``[K, p + t]``.
    drift
        ``[K, p + t]``: how much larger means are in validation.
    places
        ``[t, K]``: which of those columns behind the p is that of a target in a fold.
    """

    def __init__(self, design: Design, y: Array) -> None:
        t = y.shape[-1]
        self.places = np.tile(np.arange(t)[:, None], design.folds)
        if y.ndim == 3:
            y, self.places = y.transpose(1, 2, 0).reshape(y.shape[1], -1), np.arange(t * len(y)).reshape(t, -1)
        parts, width = 2 * design.folds, design.shape[1] + y.shape[1]
        covariance, mean = np.empty((parts, width, width)), np.empty((parts, width))
        for place, part in fold_moments(design, y):
            np.divide(part.scatter, part.weight or np.nan, out=covariance[place])
            mean[place] = part.mean
        self.train, self.val = covariance[: design.folds], covariance[design.folds :]
        self.train_mean, self.val_mean = mean[: design.folds], mean[design.folds :]
        self.drift = self.val_mean - self.train_mean
        self._design = design
        self._grams: dict[str, Array] = {}

    def gram(self, scale: str) -> Array:
        """``[K, p, p]``."""
        if scale not in self._grams:
            p, inverse = self._design.shape[1], self._design.inverse_scales(scale)
            made = self._grams[scale] = self.train[:, :p, :p] * inverse[:, :, None]
            made *= inverse[:, None, :]
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
        self._moment, moment = (np.ascontiguousarray(part[folds, :p, own]) for part in (known.train, known.val))
        self.centers, self.target = known.train_mean[:, :p], known.train_mean[folds, own]
        self.power = known.train[folds, own, own]
        apart, power = known.val_mean[folds, own] - self.target, known.val[folds, own, own]
        self._val = known.val, moment, known.drift, apart, power
        self._design, self.gram = design, known.gram
        self._moments: dict[str, Array] = {}

    @classmethod
    def of(cls, design: Design, y: Array) -> list[FromMoments]:
        """One source for each of the targets ``[n, t]`` or ``[K, n, t]``, whose rows are read once for all."""
        known = Covariances(design, y)
        return [cls(design, known, j) for j in range(y.shape[-1])]

    @property
    def null(self) -> None:
        return None

    def moment(self, scale: str) -> Array:
        if scale not in self._moments:
            self._moments[scale] = self._moment * self._design.inverse_scales(scale)
        return self._moments[scale]

    def cross(self, k: int, left: Rows, right: Rows, scale: str) -> Array:
        gram: Array = self.gram(scale)[k]
        return gram if len(left) == len(right) == len(gram) else gram[np.ix_(left, right)]

    def square(self, k: int, some: Rows, scale: str, precision: Precision) -> Reals:
        return self.cross(k, some, some, scale).astype(precision.kind, copy=False)

    def rows(self, k: int) -> None:
        return None

    def evaluate(
        self, folds: Sequence[int], w: Array, scale: str, blends: Blends | None = None, walked: Walked | None = None
    ) -> Evaluation:
        index = np.array(folds, dtype=np.intp)
        if walked is None:
            gradient = self._gradients(index, w, scale)
            every = np.empty((0, 3), dtype=np.intp), np.empty((len(w), 0)), np.ones(w.shape[:2], dtype=bool)
            return Evaluation(gradient, *self._losses(index, np.ascontiguousarray(w), gradient, scale, *every))
        gradient = self._kept(index, walked, scale)
        of = walked.w, gradient, scale, walked.plan, walked.along, walked.own
        train, val = self._losses(index, *of)
        return Evaluation(gradient[:, 2:], train[:, 2:], val[:, 2:])

    def _gradients(self, index: Rows, w: Array, scale: str) -> Array:
        return np.asarray(self.moment(scale)[index][:, None] - _times(w, self.gram(scale), index))

    def _kept(self, index: Rows, walked: Walked, scale: str) -> Array:
        """Gradients as they were kept, where those of the last step are right but for rounding, and exact there."""
        w, kept = walked.w, walked.gradient
        last = self._gradients(index, w[:, -1:], scale)[:, 0]
        off = np.abs(last - kept[:, -1]).max(axis=1, initial=0.0) * np.abs(w[:, -1]).sum(axis=1)
        if (off > ROUNDING * self.power[index]).any():
            return self._gradients(index, w, scale)
        kept[:, -1] = last
        return kept

    def _losses(
        self, index: Rows, w: Array, gradient: Array, scale: str, plan: Places, along: Array, own: Flags
    ) -> tuple[Array, Array]:
        """``[F, N]`` of both parts; see `path_losses.py`."""
        inverse, p = self._design.inverse_scales(scale), w.shape[2]
        starts, places, coef = dense_points(w, own, index, inverse)
        products = np.empty(coef.shape)
        for k, (start, end) in zip(index, pairwise(starts), strict=True):
            np.matmul(coef[start:end], self._val[0][k, :p, :p], out=products[start:end])
        of = w, gradient, index, self.moment(scale), self.power, inverse, *self._val
        train, val = np.maximum(path_losses(*of, plan, along, own, places, products), 0.0)
        return train, val

    def losses(self, folds: Sequence[int], w: Array, scale: str) -> tuple[Array, Array]:
        state = self.evaluate(folds, w, scale)
        return state.train, state.val

    def spectrum(self, k: int, scale: str) -> Spectrum:
        return primal(self.gram(scale)[k], self.moment(scale)[k], float(self.power[k]), float(self._design.counts[k]))


def _times(w: Array, matrices: Array, folds: Rows) -> Array:
    """``[F, S, p]`` times those ``[K, p, p]`` of its folds, without a copy of them."""
    made = np.empty(w.shape)
    for k, one, product in zip(folds, w, made, strict=True):
        np.matmul(one, matrices[k], out=product)
    return made
