"""What is kept of the points of a path, and what folds said there of the rows that they validate.

Notation and shapes

=========  =============  ===========================================================================
symbol     shape          meaning
=========  =============  ===========================================================================
K, S       int            folds, points
n, p, m    int            rows, columns, outputs
coef       [K, S, p, m]   coefficients of the caller's columns, most of them zero where there are many
said       [n, S, m]      mean decisions of each row over the folds that validate it
=========  =============  ===========================================================================

A whole path of coefficients is larger than the data where columns are many. Later only predictions are asked for:
points keep the coefficients of the columns that they use, or, where even these are more numbers, what they say.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.base import Setup
from regsearch.models.linear.coefficients import Coefficients, NonZero
from regsearch.models.linear.decisions import Parts, decisions_of_columns, decisions_of_parts, decisions_of_rows
from regsearch.models.linear.design import Piece, Solver
from regsearch.models.linear.solvers import Solvers
from regsearch.models.out_of_fold import out_of_fold_mean

STEPS_AT_ONCE = 10  # of a path, that decisions of all rows are made for
ON_THE_WAY = 4  # times as many numbers as a fold says, that scores make of them


@dataclass(frozen=True)
class KeptPoints:
    """Consecutive points of a path.

    Attributes
    ----------
    coef, intercept
        Those of a `Piece`.
    said
        In place of coefficients, where these would be more numbers; see the module.
    """

    coef: Coefficients | NonZero | None
    intercept: Array
    said: Array | None = None

    @classmethod
    def of(cls, piece: Piece, said: Array | None) -> KeptPoints:
        """Those of a piece, by its coefficients where nothing is said."""
        if said is not None:
            return cls(None, piece.intercept, said)
        return cls(piece.held.packed.light, piece.intercept)

    @staticmethod
    def say_less(piece: Piece, rows: int) -> bool:
        """Whether what is said of so many rows is less than the coefficients of a piece."""
        return rows < sum(map(len, piece.held.columns)) and rows < sum(map(np.count_nonzero, piece.held.used))

    def at(self, step: int) -> tuple[Array, Array]:
        """Coefficients ``[K, p, m]`` and intercepts ``[K, m]`` of a point."""
        assert self.coef is not None, "what is said there is kept"
        return self.coef.point(step), self.intercept[:, step]


class PathPredictions:
    """What folds say of rows, at points of their paths.

    Parameters
    ----------
    setup, solvers
        Of the search.
    """

    def __init__(self, setup: Setup, solvers: Solvers) -> None:
        self.setup, self.solvers, self.design = setup, solvers, solvers.design
        self._parts = dict[range, Parts]()

    def said(self, k: int, solver: Solver, eta: Array, rows: Rows | slice = slice(None)) -> Array:
        """What scores take for decisions ``[rows, S, m]`` of a fold, in the units of y."""
        return self.solvers.targets.undone(k, solver.predicted(self.solvers.decided(k, eta, rows)))

    def design_intercept(self, coef: Array, intercept: Array, columns: Rows | slice = slice(None)) -> Array:
        """Intercepts beside the columns of the design's matrix, of those beside the caller's."""
        return np.asarray(intercept + np.einsum("p,...pm->...m", self.design.shift[columns], coef))

    def of_every_row(self, piece: Piece, solver: Solver) -> Iterator[tuple[int, Array]]:
        """A fold, and what it says of all rows ``[n, s, m]``, at a few more steps of a piece each time.

        Every row is decided on, in either part or not: that is cheaper than a copy of the rows of one. Folds that see
        the same matrix read it together, as far as there is room for what they say, and for their coefficients.
        """
        room = self.design.room // (max(self.design.shape) * self.setup.problem.outputs)
        at_once = max(1, min(STEPS_AT_ONCE, piece.steps, room // ON_THE_WAY))
        together = max(1, room // at_once)
        starts = ((view, start) for view in self.design.views for start in range(0, len(view), together))
        for some in (view[start : start + together] for view, start in starts):
            matrix = self.design.fold(some[0])
            for start in range(0, piece.steps, at_once):
                part = slice(start, start + at_once)
                columns, coef = piece.held.part(part).together(some)
                intercept = self.design_intercept(coef, piece.intercept[some.start : some.stop, part], columns)
                flat = coef.transpose(0, 3, 1, 2)
                shape = flat.shape[:3]
                made = decisions_of_columns(matrix, columns, flat.reshape(math.prod(shape), len(columns)))
                eta = made.reshape(*shape, -1).transpose(0, 3, 2, 1)
                eta += intercept[:, None]
                yield from ((k, self.said(k, solver, one)) for k, one in zip(some, eta, strict=True))
                del made, eta  # before the next are made

    def together(self, by_fold: Sequence[Array]) -> Array:
        """``[n, S, m]``: the mean of what folds said ``[n_val, S, m]`` of the rows that they validate."""
        steps, m = by_fold[0].shape[1:]
        flat = ((rows, one.reshape(len(one), -1)) for rows, one in zip(self.setup.folds.val, by_fold, strict=True))
        return out_of_fold_mean(flat, (self.design.shape[0], steps * m)).reshape(-1, steps, m)

    def at(self, points: Sequence[tuple[KeptPoints, int]], solver: Solver) -> Iterator[Array]:
        """``[s, n, m]``: the mean of what folds say of the rows that they validate, at a few points each time."""
        most = self.design.room // (self.design.folds * self.setup.problem.outputs * max(self.design.shape))
        size = max(1, len(points) if self.design.by_rows else most)
        return (self._at(points[start : start + size], solver) for start in range(0, len(points), size))

    def _at(self, points: Sequence[tuple[KeptPoints, int]], solver: Solver) -> Array:
        """The same at all of some points."""
        asked = [i for i, (kept, _) in enumerate(points) if kept.said is None]
        if len(asked) == len(points):
            return self._mean(points, solver)
        made = np.empty((len(points), self.design.shape[0], self.setup.problem.outputs))
        for i, (kept, step) in enumerate(points):
            if kept.said is not None:
                made[i] = kept.said[:, step]
        if asked:
            made[asked] = self._mean([points[i] for i in asked], solver)
        return made

    def _mean(self, points: Sequence[tuple[KeptPoints, int]], solver: Solver) -> Array:
        """``[s, n, m]``, by the coefficients."""
        steps, m = len(points), self.setup.problem.outputs
        coef = np.empty((self.design.folds, steps, self.design.shape[1], m))
        intercept = np.empty((self.design.folds, steps, m))
        for i, (kept, step) in enumerate(points):
            coef[:, i], intercept[:, i] = kept.at(step)
        intercept = self.design_intercept(coef, intercept)
        if self._alone is not None:
            return np.asarray(solver.predicted(self._of_rows(coef, intercept, self._alone)))
        etas = ((k, rows, np.add(eta, intercept[k], out=eta)) for k, rows, eta in self._products(coef))
        found = ((rows, self.said(k, solver, eta, rows)) for k, rows, eta in etas)
        flat = ((rows, along.reshape(len(along), -1)) for rows, along in found)
        every = out_of_fold_mean(flat, (self.design.shape[0], steps * m))
        return every.reshape(-1, steps, m).transpose(1, 0, 2)

    @cached_property
    def _alone(self) -> Parts | None:
        """The rows that folds validate, where each is one fold's alone, of which coefficients say all."""
        known = self.solvers.targets.fitted or self.solvers.offset is not None
        if known or not self.design.shared or not isinstance(self.design.matrix, np.ndarray):
            return None
        parts = Parts.of(self.setup.folds.val)
        return parts if parts.apart else None

    def _of_rows(self, coef: Array, intercept: Array, parts: Parts) -> Array:
        """``[s, n, m]`` of coefficients ``[K, s, p, m]`` and intercepts ``[K, s, m]``."""
        folds, steps, p, m = coef.shape
        by_output = coef.transpose(0, 1, 3, 2).reshape(folds, steps * m, p)
        made = decisions_of_rows(self.design.matrix, by_output, intercept.reshape(folds, -1), parts)
        return made.reshape(steps, m, -1).transpose(0, 2, 1)

    def _products(self, coef: Array) -> Iterator[tuple[int, Rows, Array]]:
        """A fold, rows that it validates, and these times its coefficients ``[s, p, m]``, ``[rows, s, m]``."""
        folds, steps, p, m = coef.shape
        flat, val = coef.transpose(0, 1, 3, 2).reshape(folds, steps * m, p), self.setup.folds.val
        if self.design.by_rows:
            for view in self.design.views:
                of_view = flat[view.start : view.stop].reshape(-1, p).T
                for part, block in self.design.fold(view[0]).blocks(what="predicting rows"):
                    every = (block @ of_view).reshape(-1, len(view), steps, m)
                    held = ((k, np.flatnonzero(self.design.held[k, part])) for k in view)
                    yield from ((k, part.start + rows, every[rows, k - view.start]) for k, rows in held if len(rows))
            return
        for view in self.design.views:
            if view not in self._parts:
                self._parts[view] = Parts.of([val[k] for k in view])
            made = decisions_of_parts(self.design.fold(view[0]), flat[view.start : view.stop], self._parts[view])
            for k, one in zip(view, made, strict=True):
                yield k, val[k], np.moveaxis(one.reshape(steps, m, -1), -1, 0)
