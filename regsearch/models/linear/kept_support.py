"""Minima of penalised quadratics that share a Gram matrix, one after another: what a path asks of its Newton steps.

From one to the next the support changes by a few columns, and the ridge by a few per cent. So the Cholesky factor of a
support is kept, as the preconditioner of conjugate gradients: columns that have joined are appended to it, those that
have left stay in it, and it is of the ridge that it was made with. A few steps of these find the minimum with the signs
as they are, and a sweep over all coordinates then tells which should join or leave.

Shapes are those of `regsearch.models.linear.glm_kernels`; `active`, `factor` and `count` are those of
`regsearch.models.linear.support`, of the columns that the factor knows.
"""

from __future__ import annotations

import numpy as np

from regsearch._types import Array
from regsearch.models.compiling import compiled
from regsearch.models.linear.glm_kernels import descend, sweep
from regsearch.models.linear.kernels import Flags, Places
from regsearch.models.linear.rooms import Room
from regsearch.models.linear.support import append, first_support, minimise_on_support, solve

SWEEPS = 5  # over what is not zero, after each over all ...
TRIES = 2  # ... before a support is solved for, unless these are known to be slow
ROUNDS = 12  # minima with the signs as they are, each followed by a sweep
STEPS = 8  # of conjugate gradients to one of them
LONG = 8  # steps in one round from which a factor is made anew
SHARE = 0.1  # of the tolerance that conjugate gradients may leave
OLD = 0.5  # share of the ridge of a factor below which it is made anew


@compiled
def precondition(factor: Array, active: Places, count: int, residual: Array) -> Array:
    """``[e]``: the residual times the inverse of what the factor is of."""
    right = np.empty(count)
    for i in range(count):
        right[i] = residual[active[i]]
    right = solve(factor, right, False)
    found = np.zeros_like(residual)
    for i in range(count):
        found[active[i]] = right[i]
    return found


@compiled
def towards_minimum(
    gram: Array, ridge: float, push: Array, live: Flags, active: Places, factor: Array, count: int, tolerance: float
) -> tuple[Array, Array, int]:
    """A move ``[e]`` of what is live to the minimum with these signs, gram times it, and steps taken."""
    move, bent, residual = np.zeros_like(push), np.zeros_like(push), push.copy()
    way = np.where(live, precondition(factor, active, count, residual), 0.0)
    left, square, steps = residual @ way, residual @ residual, 0
    while steps < STEPS and left > 0.0:
        steps += 1
        along = gram @ way
        length = left / (way @ along + ridge * (way @ way))
        move += length * way
        bent += length * along
        residual -= np.where(live, length * (along + ridge * way), 0.0)
        if left * (residual @ residual) <= tolerance * square:  # about what is left now, without asking the factor
            break
        ahead = np.where(live, precondition(factor, active, count, residual), 0.0)
        before, left, square = left, residual @ ahead, residual @ residual
        way = ahead + left / before * way
    return move, bent, steps


@compiled
def go(gram: Array, w: Array, gradient: Array, threshold: Array, ridge: float, move: Array, bent: Array) -> None:
    """Move in place, and what would change its sign to zero, or all until the first is there if that is worse."""
    reach, ahead, slope = 1.0, w + move, gradient - bent
    for j in range(w.shape[0]):
        if ahead[j] * w[j] < 0.0:
            reach = min(reach, w[j] / (w[j] - ahead[j]))
            slope += ahead[j] * gram[j]
            ahead[j] = 0.0
    change = ahead - w
    rise = (
        threshold @ (np.abs(ahead) - np.abs(w)) + ridge / 2 * (change @ (ahead + w)) - change @ (gradient + slope) / 2
    )
    if reach == 1.0 or rise < 0.0:
        w[:], gradient[:] = ahead, slope
    else:
        w += reach * move
        gradient -= reach * bent


@compiled
def polish(
    gram: Array, w: Array, gradient: Array, threshold: Array, ridge: float, tolerance: float,
    active: Places, factor: Array, count: int, known: float,
) -> tuple[int, bool, int]:  # fmt: skip
    """Minimise in place: how many columns the factor has now, whether that is the minimum, and the most steps taken.

    The factor is of the ridge `known`.
    """
    inside, most = np.zeros(w.shape[0], dtype=np.bool_), 0
    for i in range(count):
        inside[active[i]] = True
    for _ in range(ROUNDS):
        for j in range(w.shape[0]):
            if w[j] != 0.0 and not inside[j]:
                if not append(gram, known, active, factor, count, j):
                    return count, False, most
                inside[j] = True
                count += 1
        live = w != 0.0
        push = np.where(live, gradient - ridge * w - threshold * np.sign(w), 0.0)
        move, bent, steps = towards_minimum(gram, ridge, push, live, active, factor, count, SHARE * tolerance)
        most = max(most, steps)
        go(gram, w, gradient, threshold, ridge, move, bent)
        if sweep(gram, w, gradient, threshold, ridge) <= tolerance:
            return count, True, most
    return count, False, most


class Minimiser:
    """Minima with one Gram matrix; what is known of a support is kept from one to the next.

    Parameters
    ----------
    slow
        Whether sweeps over all coordinates are known to be.
    room
        Of the factor.
    """

    def __init__(self, gram: Array, slow: bool, room: Room) -> None:
        self.gram, self.slow = np.ascontiguousarray(gram), slow
        self._count, self._ridge, self._dependent = 0, 0.0, False
        self._active, self._room = np.empty(len(gram), dtype=np.intp), room.of(gram.size)  # of the factor

    def minimum(
        self, start: Array, gradient: Array, threshold: Array, ridge: float, tolerance: float
    ) -> tuple[Array, Array]:
        """The minimiser ``[e]`` and the gradient there, from a start where the negative gradient is known."""
        w, slope, penalty = start, gradient, (threshold, ridge, tolerance)
        if not self.slow:
            w, slope, done = descend(self.gram, start, gradient, *penalty, SWEEPS, TRIES, self._room)
            if done:
                return w, slope
            self.slow = True
        if not self._dependent:
            found, there, done = self._polished(w, slope, *penalty)
            if done:
                return found, there
        w, slope, done = descend(self.gram, w, slope, *penalty, SWEEPS, 1, self._room)
        if done:
            return w, slope
        moment = slope + self.gram @ w
        of = self.gram, moment, np.inf, 0.0, threshold, ridge, 1.0, tolerance, w
        found = minimise_on_support(*of, room=self._room)[0]
        return found, moment - self.gram @ found

    def _polished(
        self, start: Array, gradient: Array, threshold: Array, ridge: float, tolerance: float
    ) -> tuple[Array, Array, bool]:
        w, slope = start.copy(), gradient.copy()
        if not self._count or not OLD * self._ridge <= ridge <= self._ridge / OLD:
            self._make(w, ridge)
        if not self._count and w.any():
            self._dependent = True
            return start, gradient, False
        state = self._active, self._room, self._count, self._ridge
        self._count, done, steps = polish(self.gram, w, slope, threshold, ridge, tolerance, *state)
        if not done or steps >= LONG:
            self._count = 0
        return w, slope, done

    def _make(self, w: Array, ridge: float) -> None:
        """The factor of a support."""
        self._ridge, self._count = ridge, first_support(self.gram, ridge, w, self._active, self._room)
