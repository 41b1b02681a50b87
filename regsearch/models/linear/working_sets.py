"""The coefficients that each fold works on where a penalty has an L1 part; for the notation see `logistic.py`."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows
from regsearch.models.linear.block_newton import BlockNewton
from regsearch.models.linear.column_newton import ColumnNewton
from regsearch.models.linear.design import Design
from regsearch.models.linear.newton import PAST, KeptCurvature, Newton, leading
from regsearch.models.linear.penalty import Terms
from regsearch.models.linear.rooms import Rooms
from regsearch.models.linear.sample import Sample
from regsearch.models.linear.threads import for_each
from regsearch.models.linear.working_columns import columns_in_play

NEAR = 0.8  # share of the threshold at the last of some lambdas from which a gradient has its column worked on ...
NEXT = 0.9  # ... and at a single one


class Fitting(Protocol):
    """What is asked of a loss on all folds: see `regsearch.models.linear.logistic.LogLoss`."""

    design: Design
    samples: list[Sample]
    null: Array
    max_steps: int
    newton: type[Newton]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Folds, outputs, columns."""
        ...

    def null_slope(self, scale: str) -> Array:
        """``[K, m, p]`` negative gradient of the null model."""
        ...

    def correlate(self, folds: list[int], residuals: list[Array], scale: str) -> Array:
        """``[F, m, S, p]`` products of the scaled columns with weighted residuals ``[m, S, n]`` of each fold."""
        ...


class UsedColumns(NamedTuple):
    """Columns ``[a]`` that a fold uses, and their coefficients, scaled, ``[m, S, a]``."""

    columns: Rows
    w: Array


class _Fitted(NamedTuple):
    """The fits of some lambdas on a fold's columns in play ``[a]``, and what certifies them.

    Attributes
    ----------
    w, b, loss
        ``[m, S, a]``, ``[m, S]`` and ``[S]``.
    dual
        ``[m, S, n]`` fitted values on the fold's rows whose residuals tell the gaps; of no steps once these are told.
    slope, gap
        ``[m, S, p]`` gradients by these residuals, of all columns, and ``[S]``.
    curvature
        ``[m, S]`` mean curvatures, which only an L2 part asks for.
    """

    columns: Rows
    w: Array
    b: Array
    loss: Array
    dual: Array
    slope: Array
    gap: Array
    curvature: Array

    @classmethod
    def room(cls, columns: Rows, m: int, steps: int, n: int, p: int) -> _Fitted:
        """To be written to: a dual of so many rows, or slopes of so many columns."""
        w, dual, slope = (np.empty((m, steps, size)) for size in (len(columns), n, p))
        loss, gap = np.empty((2, steps))
        return cls(columns, w, np.empty((m, steps)), loss, dual, slope, gap, np.zeros((m, steps)))

    @property
    def used(self) -> _Fitted:
        """The same of the columns that are used at some step."""
        used = self.w.any(axis=(0, 1))
        return self._replace(columns=self.columns[used], w=self.w[:, :, used])

    def at(self, step: int) -> _Standing:
        w = self.w[:, step]
        used = w.any(axis=0)
        return _Standing(self.columns[used], w[:, used], self.b[:, step].copy())


class _Standing(NamedTuple):
    """Where a fold stands: w ``[m, a]`` of columns ``[a]`` that are used there, and b ``[m]``."""

    columns: Rows
    w: Array
    b: Array

    def on(self, columns: Rows) -> tuple[Array, Array]:
        """Its coefficients of columns among which are all that it uses, and its intercepts."""
        w, held = np.zeros((len(self.w), len(columns))), np.isin(self.columns, columns)
        w[:, np.searchsorted(columns, self.columns[held])] = self.w[:, held]
        return w, self.b


class WorkingSets:
    """The way down the lambdas: where each fold stands, and the coefficients that it works on."""

    def __init__(self, solver: Fitting, terms: Terms, scale: str) -> None:
        folds, m, p = solver.shape
        self.solver, self.scale, self.l2 = solver, scale, float(terms.l2)
        self.l1 = np.broadcast_to(np.asarray(terms.l1, dtype=np.float64), (folds, p, m)).transpose(0, 2, 1)
        self.null, self.rooms = solver.null_slope(scale), Rooms()
        self.step_by_step = m > 1 and not solver.design.by_rows  # a look at all columns reads a table
        self.slope = list(self.null.astype(np.float32))  # [m, p] by fold, which tells whether to look at a column
        self.working = np.zeros((folds, m, p), dtype=bool)
        self.known: list[tuple[Array, KeptCurvature | None]] = [(self.working[0], None)] * folds
        self.slow = [False] * folds  # whether sweeps were
        self.past: list[list[tuple[float, _Standing]]] = [[] for _ in range(folds)]  # the last lambdas, and the points
        self.curvature = np.zeros((folds, m, 0))  # of the outputs at the last lambdas, where an L2 part asks for it

    def advance(self, lambdas: Array, tol: float) -> tuple[list[UsedColumns], Array, Array]:
        """Solve the next lambdas: coefficients of each fold, b ``[K, m, S]`` and duality gaps ``[K, S]``."""
        target, numbers = tol * self.solver.null, len(lambdas) * self.working.shape[1] * max(self.solver.design.shape)
        folds = self.solver.design.together(numbers)
        fits = [fit for some in folds for fit in self._advance(list(some), lambdas, target)]
        self.curvature = np.stack([fit.curvature for fit in fits])
        b, gap = np.stack([fit.b for fit in fits]), np.stack([fit.gap for fit in fits])
        return [UsedColumns(fit.columns, fit.w) for fit in fits], b, gap

    def _advance(self, folds: list[int], lambdas: Array, target: Array) -> list[_Fitted]:
        """Solve the next lambdas of some folds."""
        found: dict[int, _Fitted] = {}
        for k in folds:
            if len(self.l1[k]) > 1:  # no curvature is grown: it is of as few as it can be
                self.working[k] = self._used(k)
            near = NEXT if len(lambdas) == 1 else NEAR
            self.working[k] |= np.abs(self.slope[k]) > near * lambdas[-1] * self.l1[k]
        pending = folds
        while pending:
            fits = self._solve_folds(pending, lambdas, target, found)
            if not self.step_by_step:
                fits = [fit._replace(slope=slope, gap=gap) for fit, slope, gap in self._looked(pending, fits, lambdas)]
            again = []
            for k, fit in zip(pending, fits, strict=True):
                if np.any(fit.gap > target[k]) and self._extend(k, fit.slope, lambdas):
                    again.append(k)
                self.slope[k] = fit.slope[:, -1].astype(np.float32)
                found[k] = fit._replace(dual=fit.dual[:, :0].copy(), slope=fit.slope[:, :0].copy())  # they are large
            pending = again
        for k, fit in found.items():
            points = [(float(lambdas[step]), fit.at(step)) for step in range(len(lambdas))[-PAST:]]
            self.past[k] = [*self.past[k], *points][-PAST:]
        return [found[k].used for k in folds]

    def _used(self, k: int) -> NDArray[np.bool_]:
        """``[m, p]``: the coefficients that the last points of a fold use."""
        used = np.zeros(self.working[k].shape, dtype=bool)
        for _, one in self.past[k]:
            used[:, one.columns] |= one.w != 0
        return used

    def _solve_folds(self, folds: list[int], lambdas: Array, target: Array, found: dict[int, _Fitted]) -> list[_Fitted]:
        def solve(k: int) -> _Fitted:
            return self._solve(k, lambdas, float(target[k]), found.get(k))

        fits = for_each(solve, folds, self.solver.design.by_rows)
        self.rooms = Rooms()  # they are large, and others may want them before the next columns do
        return fits

    def _solve(self, k: int, lambdas: Array, target: float, before: _Fitted | None) -> _Fitted:
        """Solve on a fold's working coefficients.

        Each step starts from the ones before it, or, once all steps have been solved, from itself.
        """
        columns, sample = np.flatnonzero(self.working[k].any(axis=0)), self.solver.samples[k]
        newton, null = self._newton(k, columns), _Standing(columns[:0], self.null[k][:, :0], sample.null_intercept)
        m, n, p = len(sample.y), sample.y.shape[2], self.working.shape[2]
        fit = _Fitted.room(columns, m, len(lambdas), *((0, p) if self.step_by_step else (n, 0)))
        past = [] if before is not None else self.past[k][-newton.past :]
        known = [(at, newton.behind(*one.on(columns))) for at, one in past[:-1]]
        known += [(at, newton.point(*one.on(columns))) for at, one in past[-1:]]
        for step, lambda_ in enumerate(lambdas):
            if before is not None or not known:
                starts = [newton.point(*(null if before is None else before.at(step)).on(columns))]
            else:
                starts = [newton.ahead([one for _, one in known], leading([at for at, _ in known], lambda_), lambda_)]
                known[-1] = known[-1][0], newton.passed(known[-1][1])
            point = newton.solve(starts.pop(), float(lambda_), target, self.solver.max_steps)  # which lets go of it
            known = [*known, (float(lambda_), point)][-newton.past :]
            fit.w[:, step], fit.b[:, step] = newton.coefficients(point), point.b
            fit.loss[step] = point.loss
            if self.step_by_step:
                at = slice(step, step + 1)
                one = fit._replace(w=fit.w[:, at], loss=fit.loss[at], dual=point.dual)
                ((_, fit.slope[:, at], fit.gap[at]),) = self._looked([k], [one], lambdas[at])
            else:
                fit.dual[:, step] = point.dual[:, 0]
            if self.l2:
                fit.curvature[:, step] = sample.mean_curvatures(point.eta, point.p)[:, 0]
            del point  # before the next is sought
        self._keep(k, newton)
        return fit

    def _newton(self, k: int, columns: Rows) -> Newton:
        design, sample = self.solver.design, self.solver.samples[k]
        inverse = design.inverse_scale(self.scale, k)[columns]
        place = columns, design.mean(k, columns), inverse, self.rooms.columns
        several, matrix = len(sample.y) > 1, design.fold(k)
        by_columns = isinstance(matrix, np.ndarray) and matrix.flags.f_contiguous
        in_place = 2 * len(columns) > self.solver.shape[2] if several else by_columns  # of several all are read
        some = columns_in_play(matrix, design.train[k], *place, in_place=in_place)
        null, l1 = self.null[k][:, columns], self.l1[k][:, columns]
        dense = BlockNewton if several else self.solver.newton
        newton = ColumnNewton if design.sparse and self.solver.newton is Newton and not sample.compares else dense
        made = newton(some, self.working[k][:, columns], sample, null, l1, self.l2, self.rooms)
        made.slow = self.slow[k]
        (mask, kept), self.known[k] = self.known[k], (self.working[k], None)
        if kept is not None:
            same, room = (mask == self.working[k]).all(), self.rooms.gram
            made.curvature = kept.whole(room) if same else kept.grown(some, mask[0, columns], room)
        return made

    def _keep(self, k: int, newton: Newton) -> None:
        """The curvature, for the next lambdas, where it is small beside the columns.

        Where those of all folds are much beside the data, of single precision: gaps do not come from it.
        """
        model, kept, self.slow[k] = newton.parting(), None, newton.slow
        room = len(newton.columns.shift) * newton.sample.y.shape[-1]
        if model is not None and model.gram.size <= room:
            kept = model.kept(single=len(self.known) * model.gram.size / 2 > self.solver.design.room)
        self.known[k] = self.working[k].copy(), kept

    def _looked(self, folds: list[int], fits: list[_Fitted], lambdas: Array) -> list[tuple[_Fitted, Array, Array]]:
        """Fits of folds, with the slopes ``[m, S, p]`` and gaps ``[S]`` that a look at all columns tells."""
        residuals = [self.solver.samples[k].residual(fit.dual) for k, fit in zip(folds, fits, strict=True)]
        slopes = self.solver.correlate(folds, residuals, self.scale)
        del residuals  # before more is made
        each = zip(folds, fits, slopes, strict=True)
        return [(fit, slope, self._gaps(k, slope, fit, lambdas)) for k, fit, slope in each]

    def _gaps(self, k: int, slope: Array, fit: _Fitted, lambdas: Array) -> Array:
        """``[S]``, of so few lambdas at a time that little is held beside them."""
        sample, (m, steps, p) = self.solver.samples[k], slope.shape
        penalty = Terms(self.l1[k][:, fit.columns], self.l2).value(fit.w.transpose(1, 0, 2), 1.0)
        value, gap = fit.loss + lambdas * penalty, np.empty(steps)
        size = max(1, self.solver.design.room // (m * max(p, fit.dual.shape[2])))
        for part in (slice(start, start + size) for start in range(0, steps, size)):
            threshold = lambdas[part, None] * self.l1[k][:, None]
            slopes = slope[:, part], self.null[k][:, None]
            gap[part] = sample.gaps(value[part], fit.dual[:, part], *slopes, threshold, lambdas[part] * self.l2)
        return gap

    def _extend(self, k: int, slope: Array, lambdas: Array) -> bool:
        """Work on the coefficients ``[m, S, p]`` that should not be zero; whether any is new."""
        wanted = np.any(np.abs(slope) > lambdas[:, None] * self.l1[k][:, None], axis=1)
        new = bool(np.any(wanted & ~self.working[k]))
        self.working[k] |= wanted
        return new
