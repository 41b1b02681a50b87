"""The minimum of a quadratic with a penalty of groups; compiled where numba is installed.

Groups descend one at a time; where that is slow, all that are in use take a Newton step together: the penalty is smooth
where they are not zero.

Notation and shapes

==========  ========  ==============================================================================
symbol      shape     meaning
==========  ========  ==============================================================================
e, G        int       numbers of coefficients, and of groups
gram        [e, e]    curvature of the quadratic; symmetric, positive semi-definite
w           [e]       coefficients
slope       [e]       the *negative* gradient of the quadratic at w
alone       [e]       weight of |w_j|; infinite keeps it at zero
together    [G]       weight of a group's length
steep       [G]       no less than the largest eigenvalue of a group's block
some        [a]       coefficients of one group
==========  ========  ==============================================================================
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.linear.bounded import LEAPS
from regsearch.models.linear.kernels import compiled
from regsearch.models.linear.leaps import JITTER, factorise
from regsearch.models.linear.support import solve

HALVINGS = 20
SWEEPS = 20  # between two leaps
MEETS = 1e-12  # share of a coefficient that is rounding, where it is to be zero
INSIDE = 10  # steps within a group, each time it has its turn ...
QUIET = 0.1  # ... up to one that moves it by so much less than the first


class Groups(NamedTuple):
    """The penalty; see the module.

    Attributes
    ----------
    members, first
        ``[e]`` the coefficients group by group, and ``[G + 1]`` where each group begins.
    """

    members: Rows
    first: Rows
    alone: Array
    together: Array


@compiled
def steepest(gram: Array, members: Rows, first: Rows) -> Array:
    """``[G]``: no less than the largest eigenvalue of each group's block."""
    most = np.zeros(first.shape[0] - 1)
    for g in range(most.shape[0]):
        square = 0.0
        for i in members[first[g] : first[g + 1]]:
            row = 0.0
            for j in members[first[g] : first[g + 1]]:
                row += abs(gram[i, j])
                square += gram[i, j] ** 2
            most[g] = max(most[g], row)
        most[g] = min(most[g], np.sqrt(square))
    return most


@compiled
def settle(
    gram: Array, w: Array, slope: Array, some: Rows, alone: Array, together: float, steep: float, new: Array
) -> float:  # fmt: skip
    """Steps of proximal gradient descent within a group, in place; about how much the first can have lowered."""
    worth, count = 0.0, 1 if len(some) == 1 else INSIDE
    for turn in range(count):
        square, moved = 0.0, 0.0
        for j in some:
            ahead = w[j] + slope[j] / steep
            new[j] = np.sign(ahead) * max(abs(ahead) - alone[j] / steep, 0.0)
            square += new[j] ** 2
        share = max(1.0 - together / steep / np.sqrt(square), 0.0) if square > 0.0 else 0.0
        for j in some:
            size = abs(share * new[j] - w[j])
            moved += size * steep * (abs(w[j]) + size)
        if turn == 0:
            worth = moved
        if moved <= QUIET * worth:
            break
        for j in some:
            change = share * new[j] - w[j]
            w[j] += change
            for i in some:
                slope[i] -= change * gram[i, j]
    return worth


@compiled
def sweep(
    gram: Array, w: Array, slope: Array, members: Rows, first: Rows, alone: Array, together: Array, steep: Array,
    before: Array, new: Array,
) -> float:  # fmt: skip
    """Settle each group in turn, in place; returns about how much that can have lowered the objective."""
    worth = 0.0
    for g in range(steep.shape[0]):
        if steep[g] <= 0.0:
            continue
        some = members[first[g] : first[g + 1]]
        for j in some:
            before[j] = w[j]
        worth += settle(gram, w, slope, some, alone, together[g], steep[g], new)
        for j in some:
            new[j] = slope[j]  # which has its own moves
        for j in some:
            if w[j] != before[j]:
                slope -= (w[j] - before[j]) * gram[j]
        for j in some:
            slope[j] = new[j]
    return worth


@compiled
def value(w: Array, members: Rows, first: Rows, alone: Array, together: Array) -> float:
    """The penalty."""
    total = 0.0
    for g in range(together.shape[0]):
        square = 0.0
        for j in members[first[g] : first[g + 1]]:
            if w[j] != 0.0:
                total += alone[j] * abs(w[j])
                square += w[j] ** 2
        if square > 0.0:
            total += together[g] * np.sqrt(square)
    return total


@compiled
def newton_step(
    gram: Array, w: Array, slope: Array, members: Rows, first: Rows, alone: Array, together: Array
) -> tuple[Rows, Array]:  # fmt: skip
    """What is in use or free, and its Newton step; of none where rounding leaves no step."""
    some, of, pull, bend, count = (
        np.zeros(len(w), dtype=np.intp),
        np.zeros(len(w)),
        np.zeros(len(w)),
        np.zeros(len(w)),
        0,
    )
    for g in range(together.shape[0]):
        square = 0.0
        for j in members[first[g] : first[g + 1]]:
            square += w[j] ** 2
        for j in members[first[g] : first[g + 1]]:
            if gram[j, j] > 0.0 and (w[j] != 0.0 or (alone[j] == 0.0 and together[g] == 0.0)):
                some[count], of[count] = j, g
                if square > 0.0 and together[g] > 0.0:
                    pull[count], bend[count] = together[g] / np.sqrt(square), together[g] / square**1.5
                count += 1
    corner, push = np.empty((count, count)), np.empty(count)
    for i in range(count):
        j = some[i]
        push[i] = slope[j] - pull[i] * w[j] - (alone[j] * np.sign(w[j]) if w[j] != 0.0 else 0.0)
        for k in range(count):
            corner[i, k] = gram[j, some[k]] - (bend[i] * w[j] * w[some[k]] if of[i] == of[k] else 0.0)
        corner[i, i] += pull[i] + JITTER * gram[j, j]
    if not factorise(corner):
        return some[:0], push[:0]
    return some[:count], solve(corner, push, False)


@compiled
def leap(
    gram: Array, w: Array, slope: Array, members: Rows, first: Rows, alone: Array, together: Array
) -> None:  # fmt: skip
    """A Newton step of all coefficients in use in place, to where the first meets zero at most, if it lowers."""
    some, move = newton_step(gram, w, slope, members, first, alone, together)
    length, change, ahead = 1.0, np.zeros(w.shape[0]), np.zeros(w.shape[0])
    for i in range(some.shape[0]):
        j = some[i]
        if alone[j] > 0.0 and w[j] * move[i] < 0.0:
            length = min(length, -w[j] / move[i])
        ahead[j] = move[i]
        change += move[i] * gram[j]
    fall, curved, before = slope @ ahead, change @ ahead, value(w, members, first, alone, together)
    for _ in range(HALVINGS):
        new = w + length * ahead
        for i in range(some.shape[0]):
            j = some[i]
            if alone[j] > 0.0 and new[j] * w[j] <= MEETS * w[j] ** 2:
                new[j] = 0.0
        if value(new, members, first, alone, together) - length * fall + length**2 * curved / 2 <= before:
            slope -= gram @ (new - w)
            w[:] = new
            return
        length /= 2


@compiled
def descend(
    gram: Array, w: Array, slope: Array, members: Rows, first: Rows, alone: Array, together: Array, tolerance: float
) -> None:  # fmt: skip
    """Go to the minimum in place: by sweeps, and by leaps where sweeps are slow."""
    steep, before, new = steepest(gram, members, first), np.zeros(w.shape[0]), np.zeros(w.shape[0])
    for _ in range(LEAPS):
        for _ in range(SWEEPS):
            if sweep(gram, w, slope, members, first, alone, together, steep, before, new) <= tolerance:
                return
        leap(gram, w, slope, members, first, alone, together)


def minimise(gram: Array, start: Array, slope: Array, groups: Groups, tolerance: float) -> Array:
    """The minimiser ``[e]``, within about the tolerance."""
    w = start.copy()
    descend(gram, w, slope.copy(), *groups, tolerance)
    return w
