"""Proximal Newton steps for the loss of one fold on sparse columns, without products of two of them.

Notation: see `newton.py` and `column_kernels.py`. The Hessian is that of `Sample.hessian`, in `sample.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows
from regsearch.models.linear.column_kernels import (
    Places,
    beyond,
    chosen,
    correlate,
    descend_columns,
    predict,
    sweep_outputs,
)  # fmt: skip
from regsearch.models.linear.kernels import HISTORY, heading
from regsearch.models.linear.newton import SURE_PAST, Iterate, Newton
from regsearch.models.linear.working_columns import WorkingColumns

LOOSE = 10.0  # violations of optimality, each times its coefficient, over what they cost together
SWEEPS = 200  # in one Newton step
ROUNDS = 10  # of sweeps and a leap between two over all


class _Quadratic(Protocol):
    """A quadratic of a Newton step at coefficients w, flat, with their penalty."""

    w: Array

    def descend(self, some: Rows, tolerance: float) -> None:
        """Minimise, first over some coefficients, among which are all that are not zero, until none is worse.

        A violation v costs about ``v |w|_1`` at most; the tolerance bounds that.
        """
        ...

    def shift(self, columns: WorkingColumns, move: Array) -> Array:
        """``[m]`` where coefficients that moved by ``[m, a]`` have their intercepts, of centred columns."""
        ...


def _penalties(w: Array, move: Array, threshold: Array, ridge: float) -> float:
    """What penalties grow by."""
    held = np.where(move != 0, threshold, 0.0)
    return float(held @ (np.abs(w + move) - np.abs(w)) + ridge * (move @ (w + move / 2)))


@dataclass(frozen=True)
class SparseColumns(WorkingColumns):
    """The same, whose products with single vectors are compiled: those of scipy take as long to begin."""

    @cached_property
    def entries(self) -> tuple[Places, Places, Array]:
        """As `column_kernels` has them."""
        return _places(self.features.indptr), _places(self.features.indices), self.features.data

    def predict(self, w: Array) -> Array:
        n = self.features.shape[1]
        return np.stack([predict(*self.entries, one, n) - one @ self.shift for one in np.ascontiguousarray(w)])

    def correlate(self, residual: Array) -> Array:
        slopes = [correlate(*self.entries, one) - one.sum() * self.shift for one in np.ascontiguousarray(residual)]
        return np.stack(slopes)


class _OneOutput:
    """Of one output: the intercept is fitted along with every coefficient."""

    def __init__(
        self, columns: SparseColumns, h: Array, start: Array, pull: Array, threshold: Array, ridge: float
    ) -> None:
        self.entries, self.h, self.total = columns.entries, h, float(h.sum())
        self.w, self.drift, self.pull = start.copy(), 0.0, pull.copy()
        self.threshold, self.ridge = threshold, ridge
        self._settle(-float(pull.sum()) / self.total)

    def descend(self, some: Rows, tolerance: float) -> None:
        left = SWEEPS
        while left > 0:
            taken, drift = self._sweeps(some, tolerance, min(left, ROUNDS * HISTORY))
            self._settle(drift)
            wanted, worst = beyond(*self.entries, self.pull, self.w, self.threshold)
            if worst * np.abs(self.w).sum() <= tolerance and taken < ROUNDS * HISTORY:
                break
            left, some = left - taken, np.flatnonzero(wanted)

    def _sweeps(self, some: Rows, tolerance: float, most: int) -> tuple[int, float]:
        own, w = chosen(*self.entries, self.h, self.total, some), self.w[some]
        state = w, self.pull, self.threshold[some]
        found = descend_columns(*own, self.h, self.total, *state, self.ridge, tolerance, most)
        self.w[some] = w
        return found

    def _settle(self, drift: float) -> None:
        """Move the intercept to where it is best, which the pull does not know of."""
        self.drift += drift
        self.pull += drift * self.h

    def shift(self, columns: WorkingColumns, move: Array) -> Array:
        return np.asarray(move @ columns.shift - self.drift)


class _SeveralOutputs:
    """Of several outputs: intercepts are fitted after every sweep."""

    def __init__(
        self, columns: WorkingColumns, own: Array, shares: Array, start: Array, pull: Array, threshold: Array,
        ridge: float,
    ) -> None:  # fmt: skip
        features = columns.features
        self.features, self.own, self.shares = features, np.ascontiguousarray(own.T), np.ascontiguousarray(shares.T)
        squares = features.copy()
        squares.data **= 2
        bend = np.ascontiguousarray((squares @ (self.own - self.shares**2)).T)
        self.columns = (_places(features.indptr), _places(features.indices), features.data, self.own, self.shares)
        self.bend, self.w, self.pull = bend.ravel(), start.ravel().copy(), np.ascontiguousarray(pull.T)
        self.penalty = threshold.ravel(), ridge
        self.inverse = np.linalg.pinv(np.diag(own.sum(axis=1)) - shares @ shares.T, rcond=1e-12, hermitian=True)
        self.b = np.zeros(len(own))
        self._settle()

    def descend(self, some: Rows, tolerance: float) -> None:
        """Sweeps over some coefficients, extrapolated where they are heading, until one over all meets none worse."""
        taken, every = 0, np.arange(len(self.w))
        while taken < SWEEPS:
            points = np.empty((HISTORY + 1, len(some)))
            for _ in range(ROUNDS):
                points[0] = self.w[some]
                taken += HISTORY
                if self._sweeps(some, points, tolerance):
                    break
                self._leap(some, heading(points) @ points[1:] - points[-1])
            if self._sweeps(every, np.empty((2, len(every))), tolerance):
                break
            some = np.flatnonzero(self.w)

    def _sweeps(self, some: Rows, points: Array, tolerance: float) -> bool:
        """Whether violations cost no more than a tolerance; after each the next of points ``[s + 1, some]`` is told."""
        for point in points[1:]:
            worst = sweep_outputs(*self.columns, self.bend, some, self.w, self.pull, *self.penalty)
            self._settle()
            point[:] = self.w[some]
            if worst * np.abs(point).sum() <= tolerance:
                return True
        return False

    def _settle(self) -> None:
        """Move the intercepts to where they are best."""
        shift = self.inverse @ self.pull.sum(axis=0)
        self.b += shift
        self.pull -= self._bent(np.broadcast_to(shift, self.own.shape))

    def _bent(self, ahead: Array) -> Array:
        return np.asarray(self.own * ahead - self.shares * (self.shares * ahead).sum(axis=1, keepdims=True))

    def _leap(self, some: Rows, move: Array) -> None:
        """Move some coefficients, where that lowers the objective."""
        whole = np.zeros_like(self.w)
        whole[some] = move
        ahead = (whole.reshape(len(self.b), -1) @ self.features).T
        shift = -self.inverse @ self._bent(ahead).sum(axis=0)
        ahead = ahead + shift
        bent = self._bent(ahead)
        if np.vdot(ahead, self.pull - bent / 2) > _penalties(self.w, whole, *self.penalty):
            self.w += whole
            self.pull -= bent
            self.b += shift

    def shift(self, columns: WorkingColumns, move: Array) -> Array:
        return np.asarray(move @ columns.shift + self.b)


def _places(numbers: NDArray[np.integer]) -> Places:
    return numbers.view(np.uint32) if numbers.dtype == np.int32 else numbers.astype(np.uint32)


class ColumnNewton(Newton):
    """The penalised loss of one fold as a function of the coefficients in play; see `Newton`."""

    columns: SparseColumns

    def __init__(self, columns: WorkingColumns, *of: Any) -> None:
        super().__init__(SparseColumns(columns.features, columns.shift), *of)

    @property
    def past(self) -> int:
        """Few: where columns are many, some join at every lambda."""
        return SURE_PAST

    def _renewed(self, point: Iterate, slow: bool) -> bool:
        """A Hessian of rows costs next to nothing."""
        self._rows = self.sample.hessian(point.eta[:, 0], point.p[:, 0])
        return True

    def _step(self, point: Iterate, gradient: Array, lambda_: float, tolerance: float) -> Iterate | None:
        (own, shares), pull = self._rows, self.residual(point)
        if shares is None:
            penalty = lambda_ * self.l1[0], lambda_ * self.l2
            quadratic: _Quadratic = _OneOutput(self.columns, own[0], point.w[0], pull[0], *penalty)
        else:
            penalty = lambda_ * self.l1, lambda_ * self.l2
            quadratic = _SeveralOutputs(self.columns, own, shares, point.w, pull, *penalty)
        asked = (point.w != 0) | (np.abs(gradient) > lambda_ * self.l1)
        quadratic.descend(np.flatnonzero(asked), LOOSE * tolerance)
        move = quadratic.w.reshape(point.w.shape) - point.w
        return self._search(point, move, quadratic.shift(self.columns, move), lambda_)
