"""Quantile regression of one fold with a penalty, on the coefficients that it works on, by an interior-point method.

The loss is linear but for its corners, and a linear program with its dual: rows have the weights d of the dual between
their ends, coefficients with an L1 part the same. Newton's steps on the conditions of both, held off the ends by a
barrier that shrinks (Mehrotra 1992; for quantiles Portnoy & Koenker 1997), reach any accuracy in about twenty, each of
which costs a weighted Gram matrix. The points here are those of `newton.py`, p being the dual residuals d / weight.

Notation and shapes

========  ======  =====================================================================================
symbol    shape   meaning
========  ======  =====================================================================================
n, e      int     training rows, coefficients in play
w, b      [e], 1  coefficients and intercept
dual      [n]     d, between ``weight (quantile - 1)`` and ``weight quantile``; their sum is zero
slack     [n]     two: how far d is below its upper end and above its lower one
side      [n]     two: what of a residual is above and below zero; times its slack it is the barrier's size
========  ======  =====================================================================================

The L1 part of a coefficient is the same with w for the residual and ``lambda l1`` for both ends.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from regsearch._types import Array
from regsearch.models.linear.newton import Curvature, Iterate, Newton
from regsearch.models.linear.pinball import QuantileSample
from regsearch.models.linear.rooms import Rooms
from regsearch.models.linear.working_columns import ColumnsInPlay

BACK = 0.995  # share of the way to an end that a step may go
START = 0.1  # of the mean distance, that a start is off its corner
STEADY = 1e-13  # of the largest curvature, that is added to all: columns may be equal
TINY = 1e-300


@dataclass
class _Corners:
    """Absolute values, weighed differently on either side: numbers ``[k]`` whose duals lie between two ends."""

    low: Array
    high: Array
    dual: Array
    above: Array
    below: Array

    @classmethod
    def at(cls, values: Array, low: Array, high: Array) -> _Corners:
        off = START * float(np.abs(values).mean()) + 1e-12 if len(values) else 1.0
        return cls(low, high, (low + high) / 2, np.maximum(values, 0) + off, np.maximum(-values, 0) + off)

    @property
    def slack(self) -> tuple[Array, Array]:
        return self.high - self.dual, self.dual - self.low

    @property
    def products(self) -> float:
        """The sum of the sides times their slacks, which the barrier makes equal and then small."""
        over, under = self.slack
        return float(self.above @ over + self.below @ under)

    @property
    def bend(self) -> Array:
        """How fast duals move with their numbers."""
        over, under = self.slack
        return np.asarray(1.0 / (self.above / over + self.below / under))

    def wanted(self, values: Array, barrier: float, second: tuple[Array, Array]) -> Array:
        """How far numbers are from what duals, sides and barrier say: ``bend (change + wanted)`` moves duals there."""
        over, under = self.slack
        up, down = (barrier - second[0]) / over, (barrier - second[1]) / under
        return np.asarray(values - up + down)

    def sides(self, move: Array, barrier: float, second: tuple[Array, Array]) -> tuple[Array, Array]:
        """What the sides change by where duals move."""
        over, under = self.slack
        up = (barrier - second[0] - self.above * over + self.above * move) / over
        return up, (barrier - second[1] - self.below * under - self.below * move) / under

    def reach(self, move: Array, up: Array, down: Array) -> tuple[float, float]:
        """How far sides and duals may go: the first must stay positive, the others between their ends."""
        over, under = self.slack
        sides = [_far(self.above, up), _far(self.below, down)]
        return min(sides), min(_far(over, -move), _far(under, move))


def _far(sizes: Array, changes: Array) -> float:
    """How many changes leave no size below zero."""
    down = changes < 0
    return float((sizes[down] / -changes[down]).min(initial=np.inf))


Moves: TypeAlias = tuple[Array, Array, Array]  # of duals, and of the sides above and below


class _Program:
    """Where the method stands at one lambda."""

    def __init__(
        self, columns: ColumnsInPlay, start: Iterate, sample: QuantileSample, bound: Array, ridge: float
    ) -> None:
        self.rooms = Rooms()
        self.columns, self.ridge, self.held = columns, ridge, np.flatnonzero(bound > 0)
        self.y, self.w, self.b = sample.y[0, 0], start.w[0].copy(), float(start.b[0])
        ends = sample.weights * (sample.quantile - 1), sample.weights * sample.quantile
        self.rows = _Corners.at(self.y - start.eta[0, 0], *ends)
        self.coefs = _Corners.at(self.w[self.held], -bound[self.held], bound[self.held])

    def step(self) -> bool:
        """A step without a barrier foresees how far that may shrink, then the step; False without a digit left."""
        rows, coefs = self.rows, self.coefs
        model = Curvature.at(rows.bend[None], None, self.columns, np.ones((1, len(self.w)), dtype=bool), self.rooms)
        corner = model.gram + np.diag(np.full(len(self.w), self.ridge))
        corner[self.held, self.held] += coefs.bend
        corner[np.diag_indices(len(self.w))] += STEADY * float(np.diag(corner).max(initial=0.0))
        try:
            factor = cho_factor(corner, check_finite=False)
        except LinAlgError:
            return False
        none = np.zeros(1), np.zeros(1)
        *_, of_rows, of_coefs = self._moves(model, factor, 0.0, none, none)
        count = 2 * (len(rows.dual) + len(coefs.dual))
        barrier = (rows.products + coefs.products) / count
        aim = barrier * (self._after(of_rows, of_coefs) / count / barrier) ** 3
        second = [(-move * up, move * down) for move, up, down in (of_rows, of_coefs)]
        change, shift, of_rows, of_coefs = self._moves(model, factor, aim, *second)
        primal, dual = self._lengths(of_rows, of_coefs)
        if not (np.isfinite(change).all() and np.isfinite(shift) and max(primal, dual) > 0):
            return False
        self.w, self.b = self.w + primal * change, self.b + primal * shift
        for corners, (move, up, down) in ((rows, of_rows), (coefs, of_coefs)):
            corners.dual = corners.dual + dual * move
            corners.above, corners.below = corners.above + primal * up, corners.below + primal * down
        return True

    def _moves(
        self, model: Curvature, factor: Any, barrier: float,
        second_rows: tuple[Array, Array], second_coefs: tuple[Array, Array],
    ) -> tuple[Array, float, Moves, Moves]:  # fmt: skip
        """Newton's step: changes of w and b, and of duals and sides of rows and coefficients."""
        rows, coefs = self.rows, self.coefs
        left = self.y - self.columns.predict(self.w[None])[0] - self.b
        row_want = rows.wanted(left, barrier, second_rows)
        coef_want = coefs.wanted(self.w[self.held], barrier, second_coefs)
        pull = rows.bend * row_want + rows.dual
        push = self.columns.correlate(pull[None])[0] - self.ridge * self.w
        push[self.held] -= coefs.dual + coefs.bend * coef_want
        couple, total = model.couple[:, 0], float(pull.sum())
        change = cho_solve(factor, push - couple * total, check_finite=False)
        shift = float(model.inverse[0, 0]) * total - float(couple @ change)
        row_move = rows.bend * (row_want - self.columns.predict(change[None])[0] - shift)
        coef_move = coefs.bend * (coef_want + change[self.held])
        of_rows = (row_move, *rows.sides(row_move, barrier, second_rows))
        return change, shift, of_rows, (coef_move, *coefs.sides(coef_move, barrier, second_coefs))

    def _lengths(self, of_rows: Moves, of_coefs: Moves) -> tuple[float, float]:
        """How far coefficients, and duals, may go."""
        far = zip(self.rows.reach(*of_rows), self.coefs.reach(*of_coefs), strict=True)
        primal, dual = (min(1.0, BACK * min(both)) for both in far)
        return primal, dual

    def _after(self, of_rows: Moves, of_coefs: Moves) -> float:
        """The sum of sides times slacks after a step."""
        primal, dual = self._lengths(of_rows, of_coefs)
        total = 0.0
        for corners, (move, up, down) in ((self.rows, of_rows), (self.coefs, of_coefs)):
            over, under = corners.slack
            total += float((corners.above + primal * up) @ (over - dual * move))
            total += float((corners.below + primal * down) @ (under + dual * move))
        return max(total, 0.0)

    def sparse(self) -> Array:
        """Coefficients, exactly zero where they are smaller than what their duals are off the ends."""
        over, under = self.coefs.slack
        size = float(np.abs(self.w).max(initial=0.0)) / max(float(self.coefs.high.max(initial=0.0)), 1e-300)
        w: Array = self.w.copy()
        w[self.held[np.abs(w[self.held]) < np.minimum(over, under) * size]] = 0.0
        return w


class InteriorPoint(Newton):
    """The penalised loss of one fold as a function of the coefficients in play; see `Newton`."""

    sample: QuantileSample

    def solve(self, point: Iterate, lambda_: float, target: float, max_steps: int) -> Iterate:
        """Steps until the gap, over the coefficients in play, is at most the target."""
        least = self.gap(point, lambda_)
        if least <= target:
            return point
        program = _Program(self.columns, point, self.sample, lambda_ * self.l1[0], lambda_ * self.l2)
        for _ in range(max_steps):
            with np.errstate(all="ignore"):  # at the last digit
                going = program.step()
            if not going:
                break
            here = self.point(program.sparse()[None], np.array([program.b]))
            here = replace(here, p=(program.rows.dual / np.maximum(self.sample.weights, TINY))[None, None])
            gap = self.gap(here, lambda_)
            point, least = (here, gap) if gap < least else (point, least)
            if least <= target or not np.isfinite(gap):
                break
        return point
