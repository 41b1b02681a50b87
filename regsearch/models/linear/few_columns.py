"""The way down the lambdas where a penalty has an L1 part and columns are few; for the notation see `logistic.py`.

Every coefficient is worked on from the first lambda on. A set that grows has its Gram matrix grown, its support
factorised anew and all other columns looked at after every few lambdas: of few columns that is more work than theirs.
What a fold knows then stays from lambdas to lambdas: the curvature, and where the points before were. What certifies a
fit is what its Newton steps know.
"""

from __future__ import annotations

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.linear.newton import Iterate, Newton, leading
from regsearch.models.linear.penalty import Terms
from regsearch.models.linear.rooms import Rooms
from regsearch.models.linear.threads import for_each
from regsearch.models.linear.working_columns import columns_in_play
from regsearch.models.linear.working_sets import Fitting, UsedColumns

FEW_COLUMNS = 128
BESIDE_ROWS = 2  # rows that a fold trains on, for each column: of more columns few are in use until a path's end
POINTS = 3  # of each fold that are held, by decisions and fitted values of every row ...
ANEW = 10  # ... and times that the path goes on from them, until they are made anew, as they gather rounding


def are_few(solver: Fitting) -> bool:
    """Whether the columns of a solver are few enough, also beside the rows, and dense, with one output."""
    (_, outputs, columns), rows = solver.shape, min(map(len, solver.design.train))
    few = columns <= FEW_COLUMNS and BESIDE_ROWS * columns <= rows
    return solver.newton is Newton and outputs == 1 and few and not solver.design.sparse


class FewColumns:
    """The way down the lambdas: where each fold stands, and what it knows of its loss."""

    def __init__(self, solver: Fitting, terms: Terms, scale: str) -> None:
        folds, m, p = solver.shape
        self.solver, self.scale, self.l2, self.rooms = solver, scale, float(terms.l2), Rooms()
        self.l1 = np.broadcast_to(np.asarray(terms.l1, dtype=np.float64), (folds, p, m)).transpose(0, 2, 1)
        self.null = solver.null_slope(scale)
        self.newton: list[Newton | None] = [None] * folds
        self.past: list[list[tuple[float, Iterate]]] = [[] for _ in range(folds)]  # the last lambdas, and the points
        self.curvature = np.zeros((folds, m, 0))  # of the outputs at the last lambdas, where an L2 part asks for it
        self.holds, self.steps = POINTS * folds * solver.design.shape[0] <= solver.design.room, 0

    def advance(self, lambdas: Array, tol: float) -> tuple[list[UsedColumns], Array, Array]:
        """Solve the next lambdas; see `regsearch.models.linear.working_sets.WorkingSets`."""
        target, self.steps = tol * self.solver.null, self.steps + 1

        def solve(k: int) -> tuple[UsedColumns, Array, Array, Array]:
            return self._solve(k, lambdas, float(target[k]))

        fits = for_each(solve, range(len(self.past)), self.solver.design.by_rows)
        self.rooms = Rooms()  # they may be large, and others may want them before the next lambdas do
        used, *each = zip(*fits, strict=True)
        b, gap, self.curvature = (np.stack(one) for one in each)
        return list(used), b, gap

    def _solve(self, k: int, lambdas: Array, target: float) -> tuple[UsedColumns, Array, Array, Array]:
        """Coefficients, b ``[m, S]``, gaps ``[S]`` and curvatures ``[m, S]`` of a fold."""
        newton, columns, sample = self._newton(k), self._columns(k), self.solver.samples[k]
        m, steps = len(sample.y), len(lambdas)
        w, gap = np.empty((m, steps, len(columns))), np.empty(steps)
        b, curvature = np.empty((m, steps)), np.zeros((m, steps))
        known = self._points(k, newton)
        for step, lambda_ in enumerate(lambdas):
            if known:
                start = newton.ahead([one for _, one in known], leading([at for at, _ in known], lambda_), lambda_)
                known[-1] = known[-1][0], newton.passed(known[-1][1])
            else:
                start = newton.point(np.zeros((m, len(columns))), sample.null_intercept)
            point = newton.solve(start, float(lambda_), target, self.solver.max_steps)
            known = [*known, (float(lambda_), point)][-newton.past :]
            w[:, step], b[:, step], gap[step] = newton.coefficients(point), point.b, newton.gap(point, float(lambda_))
            if self.l2:
                curvature[:, step] = sample.mean_curvatures(point.eta, point.p)[:, 0]
        self.past[k] = known if self.holds else [(at, point.bare) for at, point in known]
        del newton.columns  # which may be copies, in a room that others want
        return UsedColumns(columns, w), b, gap, curvature

    def _points(self, k: int, newton: Newton) -> list[tuple[float, Iterate]]:
        """The last lambdas of a fold, and its points there: as they are held, or as coefficients tell."""
        points = list(self.past[k])
        if points and (not self.holds or self.steps % ANEW == 0):
            points = [(at, one.bare) for at, one in points]
            at, last = points[-1]
            points[-1] = at, newton.point(last.w, last.b)
        return points

    def _columns(self, k: int) -> Rows:
        """Those that vary in a fold, and that its penalty lets in."""
        varies = self.solver.design.inverse_scale(self.scale, k) > 0
        return np.flatnonzero(varies & np.isfinite(self.l1[k, 0]))

    def _newton(self, k: int) -> Newton:
        """What a fold knows, beside its columns as they are read now."""
        design, columns = self.solver.design, self._columns(k)
        inverse = design.inverse_scale(self.scale, k)[columns]
        place = columns, design.mean(k, columns), inverse, self.rooms.columns
        matrix = design.fold(k)  # those may have filled it for other folds
        in_place = isinstance(matrix, np.ndarray) and matrix.flags.f_contiguous
        some = columns_in_play(matrix, design.train[k], *place, in_place=in_place)
        newton = self.newton[k]
        if newton is None:
            mask, of = np.ones((1, len(columns)), dtype=bool), (self.null[k][:, columns], self.l1[k][:, columns])
            newton = self.newton[k] = Newton(some, mask, self.solver.samples[k], *of, self.l2)
        newton.columns = some
        return newton
