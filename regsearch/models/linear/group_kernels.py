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
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from regsearch._types import Array, Rows
from regsearch.models.linear.bounded import LEAPS
from regsearch.models.linear.kernels import compiled
from regsearch.models.linear.leaps import JITTER

HALVINGS = 20
SWEEPS, CHEAP = 20, 5000  # between two leaps, which cost as much as more sweeps over few coefficients
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
def sweeps(
    gram: Array, w: Array, slope: Array, members: Rows, first: Rows, alone: Array, together: Array, steep: Array,
    tolerance: float, most: int,
) -> bool:  # fmt: skip
    """Sweep in place, so many times at most; whether the last lowered the objective by no more than the tolerance."""
    before, new = np.zeros(w.shape[0]), np.zeros(w.shape[0])
    for _ in range(most):
        if sweep(gram, w, slope, members, first, alone, together, steep, before, new) <= tolerance:
            return True
    return False


def value(w: Array, groups: Groups) -> float:
    """The penalty."""
    used = w != 0
    lengths = np.sqrt(np.add.reduceat(w[groups.members] ** 2, groups.first[:-1]))
    some = lengths > 0
    return float(groups.alone[used] @ np.abs(w[used]) + groups.together[some] @ lengths[some])


def leap(gram: Array, w: Array, slope: Array, groups: Groups) -> Array:
    """A Newton step of all coefficients in use, or to where the first of them meets zero; w where it does not help."""
    group = np.empty(len(w), dtype=np.intp)
    group[groups.members] = np.repeat(np.arange(len(groups.first) - 1), np.diff(groups.first))
    free = (groups.alone == 0) & (groups.together[group] == 0)
    some = np.flatnonzero(((w != 0) | free) & (np.diag(gram) > 0))
    if not len(some):
        return w
    here, of, alone = w[some], group[some], groups.alone[some]
    length = np.sqrt(np.bincount(of, here**2, len(groups.first) - 1))[of]
    pull = np.divide(groups.together[of], length, out=np.zeros(len(some)), where=length > 0)
    bend = np.divide(pull, length**2, out=np.zeros(len(some)), where=length > 0)
    corner = gram[np.ix_(some, some)]
    corner -= (of[:, None] == of) * (bend * here)[:, None] * here
    corner[np.diag_indices(len(some))] += pull + JITTER * np.diag(gram)[some]
    try:
        move = cho_solve(cho_factor(corner, overwrite_a=True), slope[some] - pull * here - alone * np.sign(here))
    except LinAlgError:
        return w
    crossing = (alone > 0) & (here * move < 0)
    reach = np.divide(-here, move, out=np.full(len(some), np.inf), where=crossing)
    most = min(1.0, float(reach.min(initial=1.0)))
    ahead, before = np.zeros(len(w)), value(w, groups)
    ahead[some] = move
    fall, curved = float(slope @ ahead), float(ahead @ gram @ ahead)
    for length_ in most * 0.5 ** np.arange(HALVINGS):
        new = w + length_ * ahead
        new[some[reach <= length_]] = 0.0
        if value(new, groups) - length_ * fall + length_**2 * curved / 2 <= before:
            return np.asarray(new)
    return w


def minimise(gram: Array, start: Array, slope: Array, groups: Groups, tolerance: float) -> Array:
    """The minimiser ``[e]``, within about the tolerance: by sweeps, and by leaps where sweeps are slow."""
    w, slope = start.copy(), slope.copy()
    steep = steepest(gram, groups.members, groups.first)
    for _ in range(LEAPS):
        if sweeps(gram, w, slope, *groups, steep, tolerance, SWEEPS + CHEAP // len(w)):
            break
        new = leap(gram, w, slope, groups)
        slope += gram @ (w - new)
        w = new
    return w
