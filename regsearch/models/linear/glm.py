"""Losses of single numbers along a path of lambdas, all folds in lockstep: what differs from the log-loss.

The path, its working sets and Newton steps are those of `logistic.py`. Here every intercept is at its best wherever a
gap is computed, so that residuals have the mean zero; and ridge takes Newton steps, too, in the basis of the fold's
singular vectors: the curvatures of rows differ by orders of magnitude.

Notation: see `sample.py`; m = 1 here, and p, the fitted values, are the residuals of the rows without their weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.linear.design import Design, Piece, of_fold
from regsearch.models.linear.freedom import curved_freedom
from regsearch.models.linear.glm_ridge import Basis, gcv_strength
from regsearch.models.linear.interior import InteriorPoint
from regsearch.models.linear.logistic import LogLoss
from regsearch.models.linear.loss import Loss
from regsearch.models.linear.newton import Curvature, Iterate, Newton
from regsearch.models.linear.read_columns import COLUMNS_AT_ONCE
from regsearch.models.linear.ridge_fits import FromLast, RidgeFits, WayDown
from regsearch.models.linear.rooms import Room, Rooms
from regsearch.models.linear.sample import Sample

ALIKE = 1e-12  # of a curvature of rows: what is rounding


class Glm(LogLoss):
    """A loss of single numbers on the folds of a design; see `regsearch.models.linear.design.Solver`.

    Parameters
    ----------
    design, tol, max_steps
        As of `LogLoss`.
    y
        ``[n, 1]`` targets, or ``[K, n, 1]``.
    loss
        What is minimised.
    offset
        ``[K, n]`` what is known of decisions; by default nothing.
    """

    def __init__(
        self, design: Design, y: Array, loss: Loss, tol: float = 1e-6, max_steps: int = 200,
        offset: Array | None = None,
    ) -> None:  # fmt: skip
        self.loss, self.newton, self.offset = loss, Newton if loss.smooth else InteriorPoint, offset
        super().__init__(design, y, tol, max_steps)
        each = [design.weights / design.weights.sum()] if y.ndim == 2 else design.fold_weights
        spreads = [loss.spread(of_fold(y, k)[:, 0], share) for k, share in enumerate(each)]
        self.spread = float(np.mean(spreads))

    def tells_apart(self, point: Piece) -> bool:
        return False

    def predicted(self, eta: Array) -> Array:
        return self.loss.predicted(eta)

    def _sample(self, y: Array, k: int) -> Sample:
        rows = self.design.train[k]
        targets, weights = np.ascontiguousarray(y[rows].T[:, None]), self.design.fold_weights[k, rows]
        if self.offset is None:
            return self.loss.sample(targets, weights)
        return self.loss.sample_beside(targets, weights, self.offset[k, rows])

    def _ridge_in(self, basis: Basis, sample: Sample, rows: float) -> RidgeFits:
        return NewtonRidge(basis, sample, rows, self.newton)

    def _settled(self, ridge: RidgeFits, theta: Array, strength: float, null: float) -> tuple[Array, bool]:
        return theta, False


@dataclass(frozen=True)
class BasisColumns:
    """All columns of a basis as Newton steps need them, none of which is made: that would be a copy of the rows."""

    basis: Basis

    @property
    def shift(self) -> Array:
        return np.zeros(len(self.basis.values))

    def predict(self, w: Array) -> Array:
        return self.basis.predict(w)

    def correlate(self, residual: Array) -> Array:
        return self.basis.correlate(residual)

    def sums(self, weights: Array) -> Array:
        return np.asarray(self.basis.correlate(weights[None])[0])

    def gram(self, weights: Array, columns: Array, rooms: Rooms) -> Array:
        return np.asarray(self.basis.gram(weights)[np.ix_(columns, columns)])

    def products(self, factors: Array, mask: Array, rooms: Rooms) -> tuple[Array, Array]:
        """Of the one output that there is."""
        ((factor,), (some,)) = factors, mask
        return self.gram(factor**2, some, rooms), self.basis.correlate(factor[None] ** 2).T[some]

    def parts(self, room: Room) -> Iterator[tuple[slice, Array]]:
        return iter([(slice(None), self.basis.predict(np.eye(len(self.basis.values))))])

    def across(self, weights: Array, some: Rows, room: Room) -> None:
        return None

    def mapped(self, function: Callable[[Array], Array]) -> Array:
        rank = len(self.basis.values)
        starts = range(0, max(rank, 1), COLUMNS_AT_ONCE)  # of no columns it tells r
        unit = (np.eye(min(COLUMNS_AT_ONCE, rank - start), rank, start) for start in starts)
        return np.concatenate([function(self.basis.predict(one)) for one in unit])


class NewtonRidge:
    """The ridge-penalised loss of one fold in the basis of its singular vectors; see `ridge_fits.RidgeFits`."""

    def __init__(self, basis: Basis, sample: Sample, rows: float, newton: type[Newton]) -> None:
        self.basis, self.sample, self.rows, self.newton = basis, sample, rows, newton

    @property
    def rank(self) -> int:
        return len(self.basis.values)

    def freedom(self, curvature: Array, strength: Array) -> Array:
        return curved_freedom(curvature, self.basis.values, strength)

    @property
    def _mean_curvature(self) -> float:
        return float(self.sample.null_curvatures[0])

    def largest_curvature(self) -> float:
        return self._mean_curvature * float(self.basis.values.max(initial=1e-300))

    def gcv(self) -> float:
        residual = self.sample.null_residual[0]
        slope = self.basis.correlate(residual)[0]
        weights = self.sample.weights
        power = float(np.divide(residual[0] ** 2, weights, out=np.zeros_like(weights), where=weights > 0).sum())
        return self._mean_curvature * gcv_strength(self.basis.values, slope**2, power, self.rows)

    def decisions(self, theta: Array) -> Array:
        """``[1, S, n]`` of coefficients ``[1, S, r + 1]``."""
        return np.asarray((self.basis.predict(theta[0, :, :-1]) + theta[0, :, -1:])[None])

    def start(self, intercept: Array) -> Array:
        return np.append(np.zeros(len(self.basis.values)), intercept)[None, None]

    def way(self, theta: Array) -> WayDown:
        return FromLast(self._solve, theta)

    def _solve(self, theta: Array, strength: Array, target: float, max_steps: int) -> tuple[Array, Array, Array]:
        rank, columns = len(self.basis.values), BasisColumns(self.basis)
        mask, slope = np.ones((1, rank), dtype=bool), self.basis.correlate(self.sample.null_residual[0])
        newton = self.newton(columns, mask, self.sample, slope, np.zeros((1, rank)), 1.0)
        point = newton.point(theta[:, 0, :-1], theta[:, 0, -1])
        if not theta[..., :-1].any():
            newton.curvature = self._curvature_of_null(point)
        found, gaps, freedom = np.empty((1, len(strength), rank + 1)), np.empty(len(strength)), np.empty(len(strength))
        for step, one in enumerate(strength):
            point = newton.solve(point, float(one), target, max_steps)
            found[0, step] = np.append(point.w[0], point.b)
            gaps[step] = newton.gap(point, float(one))
            curvature = self.sample.mean_curvatures(point.eta, point.p)
            freedom[step] = curved_freedom(curvature, self.basis.values, np.array([one]))[0]
        return found, gaps, freedom

    def _curvature_of_null(self, point: Iterate) -> Curvature | None:
        """That of the model without columns, whose products of the basis are known where all rows curve alike."""
        if self.newton is not Newton or self.sample.compares:
            return None
        own, _ = self.sample.hessian(point.eta[:, 0], point.p[:, 0])
        bend = float(own.sum())  # as weights sum to one
        if not bend > 0 or np.abs(own - bend * self.sample.weights).max() > ALIKE * own.max():
            return None
        return Curvature(np.diag(bend * self.basis.values), np.zeros((self.rank, 1)), np.array([[1 / bend]]), own)

    def coefficients(self, theta: Array) -> Array:
        return self.basis.lift(theta[0, :, :-1])[None]
