"""The coefficients that each fold works on where a penalty has an L1 part; for the notation see `logistic.py`."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.linear.column_newton import ColumnNewton
from regsearch.models.linear.design import Design
from regsearch.models.linear.newton import PAST, Iterate, KeptCurvature, Newton, leading
from regsearch.models.linear.penalty import Terms
from regsearch.models.linear.sample import Sample
from regsearch.models.linear.threads import for_each
from regsearch.models.linear.working_columns import columns_in_play

NEAR = 0.8  # share of the threshold at the last of some lambdas from which a gradient has its column worked on


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


class _Fitted(NamedTuple):
    """Decisions, fitted values and those that certify the fits ``[m, S, n]``, on a fold's rows, and losses ``[S]``."""

    eta: Array
    p: Array
    dual: Array
    loss: Array


class _Past(NamedTuple):
    """The last points: lambdas ``[h]``, w ``[K, m, h, p]`` and b ``[K, m, h]``."""

    lambdas: Array
    w: Array
    b: Array

    def points(self, k: int, columns: Rows, newton: Newton) -> list[tuple[float, Iterate]]:
        """Those of a fold on some of its columns, which are all that are not zero, and their lambdas."""
        some = range(max(0, len(self.lambdas) - newton.past), len(self.lambdas))
        return [(float(self.lambdas[i]), newton.point(self.w[k, :, i][:, columns], self.b[k, :, i])) for i in some]

    def later(self, lambdas: Array, w: Array, b: Array) -> _Past:
        """The last ones of these and others that come after."""
        return _Past(
            np.append(self.lambdas, lambdas)[-PAST:],
            np.concatenate([self.w, w[:, :, -PAST:]], axis=2)[:, :, -PAST:].copy(),
            np.concatenate([self.b, b[:, :, -PAST:]], axis=2)[:, :, -PAST:].copy(),
        )


class WorkingSets:
    """The way down the lambdas: where each fold stands, and the coefficients that it works on."""

    def __init__(self, solver: Fitting, terms: Terms, scale: str) -> None:
        folds, m, p = solver.shape
        self.solver, self.scale, self.l2 = solver, scale, float(terms.l2)
        self.l1 = np.array(np.broadcast_to(terms.l1, (folds, p, m)).transpose(0, 2, 1), dtype=np.float64, order="C")
        self.null = self.slope = solver.null_slope(scale)
        self.w, self.b = np.zeros((folds, m, p)), np.stack([sample.null_intercept for sample in solver.samples])
        self.working = np.zeros((folds, m, p), dtype=bool)
        self.known: list[tuple[Array, KeptCurvature | None]] = [(self.working[0], None)] * folds
        self.past = _Past(np.empty(0), self.w[:, :, None][:, :, :0], self.b[:, :, None][:, :, :0])
        self.curvature = np.zeros((folds, m, 0))  # of the outputs at the last lambdas, where an L2 part asks for it

    def advance(self, lambdas: Array, tol: float) -> tuple[Array, Array, Array]:
        """Solve the next lambdas: w ``[K, m, S, p]``, b ``[K, m, S]`` and duality gaps ``[K, S]``."""
        w, b = np.repeat(self.w[:, :, None], len(lambdas), axis=2), np.repeat(self.b[:, :, None], len(lambdas), axis=2)
        slope, gap, self.curvature = np.empty_like(w), np.empty((len(w), len(lambdas))), np.zeros(b.shape)
        self.working |= np.abs(self.slope) > NEAR * lambdas[-1] * self.l1
        target, pending, again = tol * self.solver.null, list(range(len(w))), False
        while pending:
            fits = self._solve_folds(pending, w, b, lambdas, target, again)
            residuals = [self.solver.samples[k].residual(fit.dual) for k, fit in zip(pending, fits, strict=True)]
            slope[pending] = self.solver.correlate(pending, residuals, self.scale)
            for k, fit in zip(pending, fits, strict=True):
                gap[k] = self._gaps(k, w[k], slope[k], fit, lambdas)
                if self.l2:
                    self.curvature[k] = self.solver.samples[k].mean_curvatures(fit.eta, fit.p)
            pending = [k for k in pending if np.any(gap[k] > target[k]) and self._extend(k, slope[k], lambdas)]
            again = True
        self.w, self.b, self.slope = w[:, :, -1], b[:, :, -1], slope[:, :, -1]
        self.past = self.past.later(lambdas, w, b)
        return w, b, gap

    def _solve_folds(
        self, folds: list[int], w: Array, b: Array, lambdas: Array, target: Array, again: bool
    ) -> list[_Fitted]:
        def solve(k: int) -> _Fitted:
            return self._solve(k, w[k], b[k], lambdas, float(target[k]), again)

        return for_each(solve, folds, self.solver.design.by_rows)

    def _solve(self, k: int, w: Array, b: Array, lambdas: Array, target: float, again: bool) -> _Fitted:
        """Solve on a fold's working coefficients, in place.

        Each step starts from the one before it, or, once all steps have been solved, from itself.
        """
        columns = np.flatnonzero(self.working[k].any(axis=0))
        newton, points = self._newton(k, columns), list[Iterate]()
        known = [] if again else self.past.points(k, columns, newton)
        for step, lambda_ in enumerate(lambdas):
            if again or not known:
                start = newton.point(w[:, step, columns], b[:, step])
            else:
                start = newton.ahead([one for _, one in known], leading([at for at, _ in known], lambda_), lambda_)
            points.append(newton.solve(start, float(lambda_), target, self.solver.max_steps))
            known = [*known, (float(lambda_), points[-1])][-newton.past :]
            w[:, step, columns], b[:, step] = points[-1].w, points[-1].b
        self._keep(k, newton)
        eta, p, dual = (np.concatenate([getattr(one, name) for one in points], axis=1) for name in ("eta", "p", "dual"))
        return _Fitted(eta, p, dual, np.array([point.loss for point in points]))

    def _newton(self, k: int, columns: Rows) -> Newton:
        design, sample = self.solver.design, self.solver.samples[k]
        inverse = design.inverse_scales(self.scale)[k]
        some = columns_in_play(design.fold(k), design.train[k], columns, design.means[k], inverse)
        null, l1 = self.null[k][:, columns], self.l1[k][:, columns]
        by_columns = design.sparse and self.solver.newton is Newton and not sample.compares
        newton = ColumnNewton if by_columns else self.solver.newton
        made = newton(some, self.working[k][:, columns], sample, null, l1, self.l2)
        (mask, kept), self.known[k] = self.known[k], (self.working[k], None)
        known = None if kept is None else kept.whole()
        if known is not None and (mask != self.working[k]).any():
            known = known.grown(some, mask[0, columns])
        if known is not None:
            made.curvature = known
        return made

    def _keep(self, k: int, newton: Newton) -> None:
        """The curvature, for the next lambdas, where it is small beside the columns."""
        model = newton.curvature
        room = len(newton.columns.shift) * newton.sample.y.shape[-1]
        small = model is not None and model.gram.size <= room
        self.known[k] = self.working[k].copy(), model.kept() if model is not None and small else None

    def _gaps(self, k: int, w: Array, slope: Array, fit: _Fitted, lambdas: Array) -> Array:
        l1 = self.l1[k][:, None]
        penalty = lambdas * Terms(self.l1[k], self.l2).value(w.transpose(1, 0, 2), 1.0)
        threshold = lambdas[:, None] * l1
        slopes = slope, self.null[k][:, None]
        return self.solver.samples[k].gaps(fit.loss + penalty, fit.dual, *slopes, threshold, lambdas * self.l2)

    def _extend(self, k: int, slope: Array, lambdas: Array) -> bool:
        """Work on the coefficients ``[m, S, p]`` that should not be zero; whether any is new."""
        wanted = np.any(np.abs(slope) > lambdas[:, None] * self.l1[k][:, None], axis=1)
        new = bool(np.any(wanted & ~self.working[k]))
        self.working[k] |= wanted
        return new
