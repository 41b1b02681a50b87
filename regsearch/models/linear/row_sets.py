"""The way down the lambdas of a penalty of rows: where each fold stands, and the columns that it works on.

Notation and shapes

=========  ===============  =============================================================
symbol     shape            meaning
=========  ===============  =============================================================
K, S       int              folds, steps
p, t       int              columns, targets
w          [K, S, p, t]     coefficients of the centred and scaled columns
gradient   [K, S, p, t]     X'W(Y - Xw), the negative gradient of the loss
=========  ===============  =============================================================

Every column counts where they are few; of many, each fold works on some, and one look at all the others, at a few
lambdas, tells which have to join.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.linear.row_kernels import descend_by_rows, row_gaps
from regsearch.models.linear.row_norms import RowTerms
from regsearch.models.linear.sources import Source


class RowFits(NamedTuple):
    """The points of some lambdas: w, duality gaps ``[K, S]`` and mean squared errors ``[K, S, t]`` of both parts."""

    w: Array
    gap: Array
    train: Array
    val: Array


class RowSets:
    """See the module.

    Parameters
    ----------
    sources
        Of all targets.
    powers
        ``[K, p]`` variances of the scaled columns.
    convexity
        ``[K]`` lower bounds of the eigenvalues of X'WX.
    whole
        Whether folds work on all columns.
    """

    def __init__(
        self, sources: Sequence[Source], terms: RowTerms, scale: str, powers: Array, convexity: Array, whole: bool,
        max_sweeps: int,
    ) -> None:  # fmt: skip
        self.sources, self.scale, self.powers, self.convexity = sources, scale, powers, convexity
        self.max_sweeps, (folds, p) = max_sweeps, powers.shape
        self.l1, self.l2 = (np.ascontiguousarray(np.broadcast_to(part, p), float) for part in (terms.l1, terms.l2))
        self.moment = np.stack([source.moment(scale) for source in sources], axis=-1)
        self.power = np.sum([source.power for source in sources], axis=0)
        self.w, self.gradient = np.zeros_like(self.moment), self.moment
        self.active = [np.arange(p if whole else 0) for _ in range(folds)]
        self.grams: list[tuple[Rows, Array]] = [(np.arange(0), np.empty((0, 0)))] * folds

    def advance(self, lambdas: Array, tolerance: float) -> RowFits:
        """Solve the next lambdas, each to a gap of so much of the null model's loss."""
        folds, p, t = self.w.shape
        steps = len(lambdas)
        w, gradient = np.zeros((folds, steps, p, t)), np.empty((folds, steps, p, t))
        gap, train, val = np.empty((folds, steps)), np.empty((folds, steps, t)), np.empty((folds, steps, t))
        w[:, 0] = self.w
        for k in range(folds):
            self._extend(k, self._asked(self.gradient[k], lambdas[-1]))
        pending = list(range(folds))
        while pending:
            for k in pending:
                self._solve(k, w[k], lambdas, tolerance)
            for j, source in enumerate(self.sources):
                state = source.evaluate(pending, np.ascontiguousarray(w[pending][..., j]), self.scale)
                gradient[pending, ..., j] = state.gradient
                train[pending, :, j], val[pending, :, j] = state.train, state.val
            for k in pending:
                of = self.moment[k], float(self.power[k]), self.powers[k], float(self.convexity[k])
                gap[k] = row_gaps(w[k], gradient[k], *of, self.l1, self.l2, lambdas)
            pending = [k for k in pending if self._goes_on(k, gap[k], gradient[k], lambdas, tolerance)]
        self.w, self.gradient = w[:, -1], gradient[:, -1]
        return RowFits(w, gap, train, val)

    def _solve(self, k: int, w: Array, lambdas: Array, tolerance: float) -> None:
        """Descend on the fold's own columns, from the first step's coefficients."""
        some = self.active[k]
        if not np.array_equal(self.grams[k][0], some):
            self.grams[k] = some, np.ascontiguousarray(self.sources[0].cross(k, some, some, self.scale))
        loss = self.moment[k, some], float(self.power[k]), float(self.convexity[k]), self.l1[some], self.l2[some]
        targets = np.full(len(lambdas), tolerance * float(self.power[k]) / 2)
        w[:, some] = descend_by_rows(self.grams[k][1], w[0, some], *loss, lambdas, targets, self.max_sweeps)

    def _goes_on(self, k: int, gap: Array, gradient: Array, lambdas: Array, tolerance: float) -> bool:
        """Whether columns had to be added because the gap over all of them is too large."""
        if (gap <= tolerance * self.power[k] / 2).all():
            return False
        asked = [self._asked(*one) for one in zip(gradient, lambdas, strict=True)]
        return self._extend(k, np.any(asked, axis=0))

    def _asked(self, gradient: Array, lambda_: float) -> Array:
        """``[p]``: which columns should not be zero."""
        return np.asarray(np.sqrt((gradient**2).sum(axis=-1)) > lambda_ * self.l1)

    def _extend(self, k: int, asked: Array) -> bool:
        """Add columns to the fold's own; whether any was new."""
        before = len(self.active[k])
        asked[self.active[k]] = True
        self.active[k] = np.flatnonzero(asked)
        return len(self.active[k]) > before


def row_freedom(w: Array, strength: Array, terms: RowTerms, powers: Array) -> Array:
    """``[K, S]`` effective degrees of freedom, at most, by lambdas ``[S]``.

    The penalty bends a row by ``lambda (l2 + l1 / |w|)`` across its direction and ``lambda l2`` along it, and columns
    of given variances spend the most where they do not correlate: ``d / (d + bend)`` is concave.
    """
    norms, t = np.sqrt((w**2).sum(axis=-1)), w.shape[-1]
    l1, l2 = (np.broadcast_to(part, w.shape[2]) for part in (terms.l1, terms.l2))
    power, strength = powers[:, None], strength[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        along = power / (power + strength * l2)
        across = power / (power + strength * (l2 + np.where(l1 > 0, l1 / norms, 0.0)))
        return np.asarray(np.where((norms > 0) & (power > 0), along + (t - 1) * across, 0.0).sum(axis=-1))
