"""Proximal Newton steps for the loss of one fold and several outputs, without products of columns for two of them.

A Hessian of all outputs has the square of their number of blocks, and would be larger than the data. Here what it makes
of a move is read off the rows, in two products with the columns. Its blocks on the diagonal alone are formed: they tell
which coefficients should join or leave, and precondition conjugate gradients to the minimum with these signs. They need
not be those of the point.

Notation: see `newton.py` and `output_blocks.py`; vectors ``[e + m]`` have the intercepts' changes among the
coefficients.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.likelihood import LogSample
from regsearch.models.linear.newton import Iterate, Newton
from regsearch.models.linear.output_blocks import OutputBlocks

LOOSE = 5.0  # violations of optimality, each times its coefficient, over what they cost together
ROUNDS = 30  # of moves to where blocks have their minima, and then to that of all with these signs
STEPS = 60  # of conjugate gradients to one ...
LONG = 30  # ... from which blocks are formed anew


class _At(NamedTuple):
    """Coefficients and intercepts, and the negative gradient of a quadratic there."""

    w: Array
    slope: Array


class BlockNewton(Newton):
    """The penalised loss of one fold as a function of the coefficients in play; see `Newton`."""

    sample: LogSample

    def __init__(self, *of: Any) -> None:
        super().__init__(*of)
        self._blocks: OutputBlocks | None = None
        ends = np.cumsum(self.mask.sum(axis=1) + 1)
        self._intercepts = ends - 1
        self._coefficients = np.delete(np.arange(ends[-1]), self._intercepts)
        self._weight, self._weighed = self._all(self._lasso), self._all(self._finite)
        self._held = self._all(np.full(len(self._lasso), self.l2))

    def _all(self, coefficients: Array, intercepts: Array | float = 0.0) -> Array:
        """The vector of coefficients ``[e]`` and intercepts ``[m]``."""
        made = np.empty(len(coefficients) + len(self.mask))
        made[self._coefficients], made[self._intercepts] = coefficients, intercepts
        return made

    def behind(self, w: Array, b: Array) -> Iterate:
        """Where many leads to is decided on anew: decisions of all of them would be large."""
        return Iterate(w, b, np.empty(0), np.empty(0), np.nan)

    def passed(self, point: Iterate) -> Iterate:
        return self.behind(point.w, point.b)

    def _moved(self, point: Iterate, move: Array, shift: Array, ahead: Array, length: float) -> Iterate:
        """What lies ahead becomes the decisions at the end of the whole step, which is tried first: it is large."""
        if length == 1:
            ahead += point.eta
        eta = ahead if length == 1 else point.eta + length * (ahead - point.eta)
        return self._at(point.w + length * move, point.b + length * shift, eta)

    def coefficients(self, point: Iterate) -> Array:
        """Those of all classes may be shifted: where that costs nothing, until one of them is zero.

        Classes that are as many above zero as below leave an absolute penalty the same for as long as none turns.
        """
        w = point.w
        alike = self.mask.all(axis=0) & (self.l1 == self.l1[:1]).all(axis=0) & (self.l1[0] > 0)
        even = alike & (w != 0).all(axis=0) & (2 * (w > 0).sum(axis=0) == len(w))
        if self.l2 or not even.any():
            return w
        above = np.min(w, axis=0, where=w > 0, initial=np.inf)
        below = np.max(w, axis=0, where=w < 0, initial=-np.inf)
        return w - np.where(even, np.where(above <= -below, above, below), 0.0)

    def parting(self) -> None:
        """Nothing is taken up where the same coefficients are in play again."""
        self._blocks = None
        super().parting()

    def _renewed(self, point: Iterate, slow: bool) -> bool:
        """The Hessian is read off the rows."""
        return True

    def _step(self, point: Iterate, gradient: Array, lambda_: float, tolerance: float) -> Iterate | None:
        if self._blocks is None:
            live = self.mask & ((point.w != 0) | (np.abs(gradient) > lambda_ * self.l1))
            self._blocks = OutputBlocks(
                self.columns, self.mask, live, point.p[:, 0], self.sample.weights, self.rooms
            )  # fmt: skip
        start = _At(
            self._all(point.w[self.mask]), self._all(gradient[self.mask], self.residual(point).sum(axis=1))
        )  # fmt: skip
        change = self._minimum(start, point, lambda_, LOOSE * tolerance).w - start.w
        move = np.zeros_like(point.w)
        move[self.mask] = change[self._coefficients]
        return self._search(point, move, change[self._intercepts], lambda_)

    def _minimum(self, here: _At, point: Iterate, lambda_: float, tolerance: float) -> _At:
        """Of the quadratic at a point and the penalty: blocks tell signs, with which conjugate gradients go on."""
        assert self._blocks is not None
        blocks, taken = self._blocks, 0
        for _ in range(ROUNDS):
            there, cost = blocks.descended(*here, lambda_ * self._weight, lambda_ * self.l2, tolerance)
            if cost <= tolerance:
                break
            signed = self._towards(here, there - here.w, point, lambda_)
            if signed is here:  # within rounding
                break
            here, steps = self._polished(signed, point, lambda_, tolerance)
            taken += steps
        if taken >= LONG:
            self._blocks = None
        return here

    def _times(self, move: Array, point: Iterate) -> Array:
        """The Hessian at a point times a vector."""
        w = np.zeros(self.mask.shape)
        w[self.mask] = move[self._coefficients]
        ahead = self.columns.predict(w)
        ahead += move[self._intercepts, None]
        self.sample.bend(point.p[:, 0], ahead)
        return self._all(self.columns.correlate(ahead)[self.mask], ahead.sum(axis=1))

    def _grown(self, w: Array, move: Array, lambda_: float) -> float:
        """What a move adds to the penalty."""
        return float(lambda_ * (self._weighed @ (np.abs(w + move) - np.abs(w)) + (self._held * move) @ (w + move / 2)))

    def _towards(self, here: _At, move: Array, point: Iterate, lambda_: float) -> _At:
        """As far along a move as lowers the objective most, by its slope and curvature at the start."""
        bent, held = self._times(move, point), float(lambda_ * (self._held * move) @ move)
        gain, bend = float(here.slope @ move) - self._grown(here.w, move, lambda_) + held / 2, float(move @ bent) + held
        if not gain > 0:
            return here
        share = min(1.0, gain / bend) if bend > 0 else 1.0
        return _At(here.w + share * move, here.slope - share * bent)

    def _polished(self, here: _At, point: Iterate, lambda_: float, tolerance: float) -> tuple[_At, int]:
        """Where the minimum with the signs as they are is, or the first sign changes on the way; and steps taken.

        What would change its sign becomes zero, if that is better.
        """
        move, bent, taken = self._signed(here, point, lambda_, tolerance)
        turned = (here.w + move) * here.w < 0
        turned[self._intercepts] = False
        if turned.any():
            whole = np.where(turned, -here.w, move)
            ahead = self._times(whole, point)
            if self._grown(here.w, whole, lambda_) < whole @ (here.slope - ahead / 2):
                move, bent = whole, ahead
            else:
                reach = float((here.w[turned] / -move[turned]).min())
                move, bent = reach * move, reach * bent
        return _At(here.w + move, here.slope - bent), taken

    def _signed(self, here: _At, point: Iterate, lambda_: float, tolerance: float) -> tuple[Array, Array, int]:
        """A move of what is not zero to the minimum with these signs, the Hessian times it, and steps taken."""
        assert self._blocks is not None
        live, held = here.w != 0, lambda_ * self._held
        live[self._intercepts] = True
        size = float(np.abs(here.w[self._coefficients]).sum())
        left = np.where(live, here.slope - held * here.w - lambda_ * self._weighed * np.sign(here.w), 0.0)
        self._blocks.factorise(live, lambda_ * self.l2)
        move, bent, way, before = np.zeros_like(left), np.zeros_like(left), np.zeros_like(left), np.inf
        for taken in range(STEPS):
            ahead = np.where(live, self._blocks.solved(left), 0.0)
            now = float(left @ ahead)
            if not now > 0 or np.abs(left).max() * size <= tolerance:
                return move, bent, taken
            way = ahead + now / before * way
            along = self._times(way, point)
            curved = along + held * way
            length, before = now / float(way @ curved), now
            move += length * way
            bent += length * along
            left -= np.where(live, length * curved, 0.0)
        return move, bent, STEPS
