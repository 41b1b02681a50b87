"""The coefficients that each fold works on where a penalty has an L1 part; for the notation see `logistic.py`."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows
from regsearch.models.linear.column_newton import ColumnNewton
from regsearch.models.linear.design import Design
from regsearch.models.linear.newton import PAST, Iterate, KeptCurvature, Newton, leading
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
        ``[m, S, n]`` fitted values on the fold's rows whose residuals tell the gaps.
    curvature
        ``[m, S]`` mean curvatures, which only an L2 part asks for.
    """

    columns: Rows
    w: Array
    b: Array
    loss: Array
    dual: Array
    curvature: Array

    @classmethod
    def room(cls, columns: Rows, m: int, steps: int, n: int) -> _Fitted:
        """To be written to."""
        w, dual = np.empty((m, steps, len(columns))), np.empty((m, steps, n))
        return cls(columns, w, np.empty((m, steps)), np.empty(steps), dual, np.zeros((m, steps)))

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

    def on(self, newton: Newton, columns: Rows) -> Iterate:
        """The point of columns among which are all that it uses."""
        w, held = np.zeros((len(self.w), len(columns))), np.isin(self.columns, columns)
        w[:, np.searchsorted(columns, self.columns[held])] = self.w[:, held]
        return newton.point(w, self.b)


class WorkingSets:
    """The way down the lambdas: where each fold stands, and the coefficients that it works on."""

    def __init__(self, solver: Fitting, terms: Terms, scale: str) -> None:
        folds, m, p = solver.shape
        self.solver, self.scale, self.l2 = solver, scale, float(terms.l2)
        self.l1 = np.broadcast_to(np.asarray(terms.l1, dtype=np.float64), (folds, p, m)).transpose(0, 2, 1)
        self.null, self.rooms = solver.null_slope(scale), Rooms()
        self.slope = list(self.null.astype(np.float32))  # [m, p] by fold, which tells whether to look at a column
        self.working = np.zeros((folds, m, p), dtype=bool)
        self.known: list[tuple[Array, KeptCurvature | None]] = [(self.working[0], None)] * folds
        self.slow = [False] * folds  # whether sweeps were
        self.past: list[list[tuple[float, _Standing]]] = [[] for _ in range(folds)]  # the last lambdas, and the points
        self.curvature = np.zeros((folds, m, 0))  # of the outputs at the last lambdas, where an L2 part asks for it

    def advance(self, lambdas: Array, tol: float) -> tuple[list[UsedColumns], Array, Array]:
        """Solve the next lambdas: coefficients of each fold, b ``[K, m, S]`` and duality gaps ``[K, S]``."""
        gap, target = np.empty((len(self.working), len(lambdas))), tol * self.solver.null
        fits = [fit for some in self._together(len(lambdas)) for fit in self._advance(some, lambdas, target, gap)]
        self.curvature = np.stack([fit.curvature for fit in fits])
        return [UsedColumns(fit.columns, fit.w) for fit in fits], np.stack([fit.b for fit in fits]), gap

    def _together(self, steps: int) -> list[list[int]]:
        """Folds that look at all columns together: no more than leave what they look at small beside the data."""
        design, (folds, m, _) = self.solver.design, self.working.shape
        size = folds if design.by_rows else max(1, design.room // (m * steps * max(design.shape)))
        return [list(range(start, min(start + size, folds))) for start in range(0, folds, size)]

    def _advance(self, folds: list[int], lambdas: Array, target: Array, gap: Array) -> list[_Fitted]:
        """Solve the next lambdas of some folds; their gaps are written."""
        found: dict[int, _Fitted] = {}
        for k in folds:
            if len(self.l1[k]) > 1:  # no curvature is grown: it is of as few as it can be
                self.working[k] = self._used(k)
            near = NEXT if len(lambdas) == 1 else NEAR
            self.working[k] |= np.abs(self.slope[k]) > near * lambdas[-1] * self.l1[k]
        pending = folds
        while pending:
            fits = self._solve_folds(pending, lambdas, target, found)
            residuals = [self.solver.samples[k].residual(fit.dual) for k, fit in zip(pending, fits, strict=True)]
            slopes = self.solver.correlate(pending, residuals, self.scale)
            again = []
            for k, fit, slope in zip(pending, fits, slopes, strict=True):
                gap[k] = self._gaps(k, slope, fit, lambdas)
                if np.any(gap[k] > target[k]) and self._extend(k, slope, lambdas):
                    again.append(k)
                self.slope[k] = slope[:, -1].astype(np.float32)
                found[k] = fit._replace(dual=fit.dual[:, :0].copy())  # it is large
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
        fit = _Fitted.room(columns, len(sample.y), len(lambdas), sample.y.shape[2])
        past = [] if before is not None else self.past[k][-newton.past :]
        known = [(at, one.on(newton, columns).passed) for at, one in past[:-1]]
        known += [(at, one.on(newton, columns)) for at, one in past[-1:]]
        for step, lambda_ in enumerate(lambdas):
            if before is not None or not known:
                starts = [(null if before is None else before.at(step)).on(newton, columns)]
            else:
                starts = [newton.ahead([one for _, one in known], leading([at for at, _ in known], lambda_), lambda_)]
                known[-1] = known[-1][0], known[-1][1].passed
            point = newton.solve(starts.pop(), float(lambda_), target, self.solver.max_steps)  # which lets go of it
            known = [*known, (float(lambda_), point)][-newton.past :]
            fit.w[:, step], fit.b[:, step] = point.w, point.b
            fit.loss[step], fit.dual[:, step] = point.loss, point.dual[:, 0]
            if self.l2:
                fit.curvature[:, step] = sample.mean_curvatures(point.eta, point.p)[:, 0]
        self._keep(k, newton)
        return fit

    def _newton(self, k: int, columns: Rows) -> Newton:
        design, sample = self.solver.design, self.solver.samples[k]
        inverse = design.inverse_scale(self.scale, k)[columns]
        place = columns, design.mean(k, columns), inverse, self.rooms.columns
        whole = 2 * len(columns) > self.solver.shape[2]  # products for several outputs read all columns
        some = columns_in_play(design.fold(k), design.train[k], *place, in_place=whole or len(sample.y) == 1)
        null, l1 = self.null[k][:, columns], self.l1[k][:, columns]
        by_columns = design.sparse and self.solver.newton is Newton and not sample.compares
        newton = ColumnNewton if by_columns else self.solver.newton
        made = newton(some, self.working[k][:, columns], sample, null, l1, self.l2, self.rooms)
        made.slow = self.slow[k]
        (mask, kept), self.known[k] = self.known[k], (self.working[k], None)
        if kept is not None:
            same, room = (mask == self.working[k]).all(), self.rooms.gram
            made.curvature = kept.whole(room) if same else kept.grown(some, mask[0, columns], room)
        return made

    def _keep(self, k: int, newton: Newton) -> None:
        """The curvature, for the next lambdas, where it is small beside the columns.

        Where those of all folds are much beside the data, of single precision: gaps do not come from it. Of several
        outputs it is none then, as the next are of other coefficients.
        """
        model, kept, self.slow[k] = newton.parting(), None, newton.slow
        room, m = len(newton.columns.shift) * newton.sample.y.shape[-1], len(newton.sample.y)
        much = model is not None and len(self.known) * model.gram.size / 2 > self.solver.design.room
        if model is not None and model.gram.size <= room and not (much and m > 1):
            kept = model.kept(single=much)
        self.known[k] = self.working[k].copy(), kept

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
