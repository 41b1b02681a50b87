"""The way of all folds down the lambdas of squared error with an L1 part, each on columns of its own.

A fold works on the columns whose gradient is foretold to reach its threshold within the next few lambdas, by the line
through the two points before. One product of residuals with all columns, for all folds together, then tells whether
these were enough (Tibshirani et al. 2012). Points that lie between others need none: their gradients do so, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.linear.descent import Descent, GramDescent, PathPoint, RowDescent, Walk, onward
from regsearch.models.linear.kernels import duality_gaps
from regsearch.models.linear.penalty import Terms
from regsearch.models.linear.sources import Blends, Evaluation, Source, Walked

MARGIN = 0.97  # share of its threshold that a foretold gradient reaches
WIDE = 1.25  # times the rows, columns from which sweeps over rows are quicker than over their products
COPIES = 2  # numbers of single precision for each of the data, that copies of columns may have in all folds together
ROOM = 1.2  # times the columns in play, that a Gram matrix has room for, ...
BELOW = 2.0  # ... and their copies, of which what is not in use takes no memory


class ActiveSets:
    """Where each fold stands, and the columns that it works on.

    Parameters
    ----------
    convexity
        ``[K]``; see `regsearch.models.linear.kernels`.
    whole
        Whether to work on all columns.
    single
        Whether products of columns may be of single precision: every few lambdas start from gradients that are exact.
    max_sweeps
        What one lambda may take.
    """

    def __init__(
        self, source: Source, terms: Terms, scale: str, convexity: Array, whole: bool, single: bool, max_sweeps: int
    ) -> None:  # fmt: skip
        self.source, self.scale, self.whole, self.max_sweeps = source, scale, whole, max_sweeps
        self.moment, self.power, self.convexity = source.moment(scale), source.power, convexity
        folds, p = self.moment.shape
        self.l1 = np.ascontiguousarray(np.broadcast_to(terms.l1, (folds, p, 1))[:, :, 0], dtype=np.float64)
        self.l2 = float(terms.l2)
        tops = _tops(self.moment, self.l1)
        self.last = [PathPoint(float(top), np.zeros(p), own) for top, own in zip(tops, self.moment, strict=True)]
        self.older: list[PathPoint | None] = [None] * folds
        self.residual = source.null
        self.active = [np.arange(p if whole else 0) for _ in range(folds)]
        kind = np.float32 if single else np.float64
        self.grams = [Gram(source, k, scale, kind, COPIES * p // folds) for k in range(folds)]

    def advance(self, lambdas: Array, tolerances: Array) -> tuple[Array, Array, Evaluation]:
        """Solve the next lambdas: w ``[K, S, p]``, duality gaps ``[K, S]``, gradient and losses."""
        folds, p = self.moment.shape
        room = np.empty((2, folds, len(lambdas) + 2, p)) if self.whole and self.residual is None else None
        w = np.zeros((folds, len(lambdas), p)) if room is None else room[0, :, 2:]
        gap = np.empty((folds, len(lambdas)))
        gradient, train, val = np.empty(0), np.empty(0), np.empty(0)  # of all folds, which come first
        ends = None if self.residual is None else self.residual.copy()
        guesses: list[PathPoint | None] = [None] * folds
        for k in range(0 if self.whole else folds):
            self._extend(k, self._foretold(k, lambdas))
        pending = list(range(folds))
        while pending:
            walks = [
                self._walk(k, w[k], lambdas, tolerances, guesses[k], None if room is None else room[:, k])
                for k in pending
            ]
            these = slice(None) if len(pending) == folds else pending  # a view of all is no copy
            state = self.source.evaluate(pending, w[these], self.scale, *self._known(pending, walks, room))
            if len(pending) == folds:
                gradient, train, val = state.gradient, state.train, state.val
            else:
                gradient[pending], train[pending], val[pending] = state.gradient, state.train, state.val
            if ends is not None:
                ends[pending] = state.residual
            for k in pending:
                gap[k] = self._gaps(k, w[k], gradient[k], lambdas)
                guesses[k] = PathPoint(float(lambdas[-1]), w[k, -1], gradient[k, -1])
            pending = [k for k in pending if self._extended_where_violated(k, gradient[k], lambdas, gap[k], tolerances)]
        self.older, self.residual = list(self.last), ends
        self.last = [node for node in guesses if node is not None]
        return w, gap, Evaluation(gradient, train, val, ends)

    def _foretold(self, k: int, lambdas: Array) -> Array:
        """A mask of the columns that may be in use at these lambdas."""
        last = self.last[k]
        _, gradient = onward(self.older[k], last, float(lambdas[-1]))
        asked = np.abs(gradient) > MARGIN * lambdas[-1] * self.l1[k]
        return np.asarray(asked | (np.abs(last.kept) > lambdas[0] * self.l1[k]))

    def _walk(
        self, k: int, w: Array, lambdas: Array, tolerances: Array, guess: PathPoint | None, room: Array | None
    ) -> Walk:  # fmt: skip
        """The way of a fold, whose coefficients ``[S, p]`` are written to w, which is in its room where it has one."""
        some = slice(None) if self.whole else self.active[k]
        descent = self._descent(k, some, guess or self.last[k])
        older, last = (None if node is None else descent.node(node, some) for node in (self.older[k], self.last[k]))
        assert last is not None
        first = None if guess is None else guess.w[some]
        walk = Walk(descent, lambdas, tolerances * self.power[k] / 2, last, older, first, self.max_sweeps, room)
        walk.go()
        if room is None:
            w[:, some] = walk.w[2:]
        return walk

    def _descent(self, k: int, some: Rows | slice, near: PathPoint) -> Descent:
        """What its own columns explain of a fold."""
        l1, rows, active = self.l1[k, some], self.source.rows(k), self.active[k]
        if rows is not None and len(active) > WIDE * len(rows.aim):
            return RowDescent(rows.columns(active, self.scale), rows.aim, l1, self.l2)
        moment = self.moment[k, some]
        gram, zero = self.grams[k].of(active), PathPoint(np.inf, np.zeros(len(moment)), moment)
        at = PathPoint(near.lambda_, near.w[some], near.kept[some]) if gram.dtype == np.float32 else zero
        return GramDescent(gram, at, moment, float(self.power[k]), float(self.convexity[k]), l1, self.l2)

    def _known(self, folds: list[int], walks: list[Walk], room: Array | None) -> tuple[Blends | None, Walked | None]:
        """What a source need not be asked for; see `Source.evaluate`."""
        if room is not None:
            along, own = np.stack([walk.along for walk in walks]), np.stack([walk.own for walk in walks])
            return None, Walked(room[0], room[1], walks[0].plan, along, own)
        if self.residual is None:
            return None, None
        before = np.stack([self.last[k].kept for k in folds])
        return Blends(np.stack([walk.shares for walk in walks]), before, self.residual[folds]), None

    def _gaps(self, k: int, w: Array, gradient: Array, lambdas: Array) -> Array:
        power, convexity = float(self.power[k]), float(self.convexity[k])
        return duality_gaps(w, gradient, self.moment[k], power, convexity, self.l1[k], self.l2, lambdas)

    def _extended_where_violated(self, k: int, gradient: Array, lambdas: Array, gap: Array, tolerances: Array) -> bool:
        """Whether columns had to be added because the gap over all of them is too large."""
        if self.whole or np.all(gap <= tolerances * self.power[k] / 2):
            return False
        return self._extend(k, np.any(np.abs(gradient) > lambdas[:, None] * self.l1[k], axis=0))

    def _extend(self, k: int, columns: Array) -> bool:
        """Add columns (a mask) to the fold's own; whether any was new."""
        columns[self.active[k]] = False
        new = np.flatnonzero(columns)
        self.active[k] = np.concatenate([self.active[k], new])
        return len(new) > 0


class Gram:
    """The Gram matrix of a fold's columns, which only ever grow at the end, with room for more of them.

    Parameters
    ----------
    kind
        Of numbers.
    most
        Up to how many columns are copied beside it, to multiply those that join.
    """

    def __init__(self, source: Source, k: int, scale: str, kind: type[np.floating[Any]], most: int) -> None:
        self.source, self.k, self.scale, self.most = source, k, scale, most
        self._products, self._columns, self._known = np.empty((0, 0), kind), np.empty((0, 0), kind), 0

    def of(self, some: Rows) -> Array:
        """``[room, room]``, of which the first are those of some columns."""
        known, count = self._known, len(some)
        if known == 0 and count > self.most:
            self._products = self._cross(some, some)
        elif known < count:
            cross, corner = self._joining(some[:known], some[known:])
            self._products = _with_room(self._products, known, count)
            self._products[known:count, :known], self._products[:known, known:count] = cross, cross.T
            self._products[known:count, known:count] = corner
        self._known = count
        return self._products

    def _joining(self, old: Rows, new: Rows) -> tuple[Array, Array]:
        """Products of columns that join with those known ``[new, old]``, and with each other."""
        known, count = len(old), len(old) + len(new)
        rows = self.source.rows(self.k)
        if count > self.most or rows is None:
            self._columns = self._columns[:0]
            return self._cross(new, old), self._cross(new, new)
        joining = rows.columns(new, self.scale, kind=self._products.dtype.type)
        self._columns = _with_room(self._columns, known, count, width=joining.shape[1])
        self._columns[known:count] = joining
        return joining @ self._columns[:known].T, joining @ joining.T

    def _cross(self, left: Rows, right: Rows) -> Array:
        return self.source.cross(self.k, left, right, self.scale).astype(self._products.dtype, copy=False)


def _with_room(values: Array, known: int, count: int, width: int | None = None) -> Array:
    """Values whose first rows, or rows and columns, are known, with room for so many and some more."""
    if count <= len(values):
        return values
    size = int((ROOM if width is None else BELOW) * count)
    made = np.empty((size, size if width is None else width), values.dtype)
    if known:
        beside = known if width is None else width
        made[:known, :beside] = values[:known, :beside]
    return made


def _tops(moment: Array, l1: Array) -> Array:
    """``[K]`` lambdas from which on no coefficient is in use; infinite where some are not penalised."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.max(np.abs(moment) / l1, axis=1, initial=0.0, where=moment != 0.0))
