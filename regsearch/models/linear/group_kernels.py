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
convexity   float     see `regsearch.models.linear.general.Quadratic`
some        [a]       coefficients of one group, or of all that take a Newton step
==========  ========  ==============================================================================
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

from regsearch._types import Array, Reals, Rows
from regsearch.models.compiling import compiled
from regsearch.models.linear.bounded import LEAPS
from regsearch.models.linear.general import Quadratic
from regsearch.models.linear.kernels import HISTORY, heading, take_off
from regsearch.models.linear.leaps import JITTER

HALVINGS = 20
SWEEPS, SHARE = 20, 8  # between two leaps: so many, or one for each so many coefficients, which cost as much as a leap
MEETS = 1e-12  # share of a coefficient that is rounding, where it is to be zero
INSIDE = 10  # steps within a group, each time it has its turn ...
QUIET = 0.1  # ... up to one that moves it by so much less than the first
NEXT = 0.3  # share of what groups ask for on average, up to which one waits for the next sweep
FLAT = 1e-12  # curvature that is rounding


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
def distances(w: Array, slope: Array, members: Rows, first: Rows, alone: Array, together: Array) -> Array:
    """``[e]``: how far slopes are from the penalty's subgradients."""
    found = np.zeros_like(w)
    for g in range(len(first) - 1):
        some, norm, outside = members[first[g] : first[g + 1]], 0.0, 0.0
        for j in some:
            norm += w[j] ** 2
            outside += max(abs(slope[j]) - alone[j], 0.0) ** 2
        norm, outside = np.sqrt(norm), np.sqrt(outside)
        for j in some:
            if norm == 0.0:
                soft = max(abs(slope[j]) - alone[j], 0.0)
                found[j] = soft * (outside - together[g]) / outside if outside > together[g] else 0.0
                continue
            push = slope[j] - together[g] / norm * w[j]
            found[j] = abs(push - alone[j] * np.sign(w[j])) if w[j] != 0.0 else max(abs(push) - alone[j], 0.0)
    return found


@compiled
def steepest(gram: Reals, members: Rows, first: Rows) -> Array:
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
def above_minimum(
    gram: Reals, w: Array, slope: Array, members: Rows, first: Rows, alone: Array, together: Array, convexity: float,
    asked: Array,
) -> float:  # fmt: skip
    """How far the objective can be above its minimum; see `regsearch.models.linear.general.excess`.

    How much of that each group asks for is written to `asked`.
    """
    promised, square = 0.0, 0.0
    for g in range(together.shape[0]):
        norm, outside = 0.0, 0.0
        for j in members[first[g] : first[g + 1]]:
            norm += w[j] ** 2
            outside += max(abs(slope[j]) - alone[j], 0.0) ** 2
        norm, outside, before = np.sqrt(norm), np.sqrt(outside), square
        share = max(1.0 - together[g] / outside, 0.0) if outside > 0.0 else 0.0
        for j in members[first[g] : first[g + 1]]:
            left = max(abs(slope[j]) - alone[j], 0.0) * (1.0 if norm > 0.0 else share)
            if w[j] != 0.0:
                left = abs(slope[j] - together[g] / norm * w[j] - alone[j] * np.sign(w[j]))
            curvature = max(gram[j, j], FLAT)
            promised += left * (abs(w[j]) + left / curvature)
            square += left**2 / curvature
        asked[g] = square - before
    return min(promised, square / (2.0 * convexity)) if convexity > 0.0 else promised


@compiled
def settle(
    gram: Reals, w: Array, slope: Array, some: Rows, alone: Array, together: float, steep: float, new: Array
) -> None:  # fmt: skip
    """Steps of proximal gradient descent within a group, in place."""
    most, count = 0.0, 1 if len(some) == 1 else INSIDE
    for turn in range(count):
        square, moved = 0.0, 0.0
        for j in some:
            ahead = w[j] + slope[j] / steep
            new[j] = np.sign(ahead) * max(abs(ahead) - alone[j] / steep, 0.0)
            square += new[j] ** 2
        share = max(1.0 - together / steep / np.sqrt(square), 0.0) if square > 0.0 else 0.0
        for j in some:
            size = abs(share * new[j] - w[j])
            moved += size * (abs(w[j]) + size)
        if turn == 0:
            most = moved
        if moved <= QUIET * most:
            break
        for j in some:
            change = share * new[j] - w[j]
            w[j] += change
            for i in some:
                slope[i] -= change * gram[j, i]


@compiled
def sweep(
    gram: Reals, w: Array, slope: Array, members: Rows, first: Rows, alone: Array, together: Array, steep: Array,
    asked: Array, before: Array, new: Array,
) -> None:  # fmt: skip
    """Settle each group in turn that asks for it, in place."""
    enough = NEXT * asked.sum() / asked.shape[0]
    for g in range(steep.shape[0]):
        if steep[g] <= 0.0 or asked[g] <= enough:
            continue
        some = members[first[g] : first[g + 1]]
        for j in some:
            before[j] = w[j]
        settle(gram, w, slope, some, alone, together[g], steep[g], new)
        for j in some:
            new[j] = slope[j]  # which has its own moves
        for j in some:
            change = w[j] - before[j]
            if change != 0.0:
                row = gram[j]
                for i in range(slope.shape[0]):
                    slope[i] -= change * row[i]
        for j in some:
            slope[j] = new[j]


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
def descend(
    gram: Reals, w: Array, slope: Array, members: Rows, first: Rows, alone: Array, together: Array, steep: Array,
    convexity: float, tolerance: float, most: int,
) -> bool:  # fmt: skip
    """Sweep in place, going on where sweeps are heading; whether that came within the tolerance of the minimum."""
    before, new, asked = np.zeros(w.shape[0]), np.zeros(w.shape[0]), np.zeros(together.shape[0])
    points, slopes, seen = np.empty((HISTORY + 1, w.shape[0])), np.empty((HISTORY + 1, w.shape[0])), 0
    for _ in range(most):
        if above_minimum(gram, w, slope, members, first, alone, together, convexity, asked) <= tolerance:
            return True
        sweep(gram, w, slope, members, first, alone, together, steep, asked, before, new)
        points[seen], slopes[seen] = w, slope
        seen += 1
        if seen > HISTORY:
            shares = heading(points)
            ahead, there = shares @ points[1:], shares @ slopes[1:]  # the slope is affine in w
            fall = (slope + there) @ (ahead - w) / 2
            rise = value(ahead, members, first, alone, together) - value(w, members, first, alone, together)
            if rise < fall:
                w[:], slope[:] = ahead, there
            points[0], slopes[0], seen = w, slope, 1
    return False


@compiled
def newton_system(
    gram: Reals, w: Array, slope: Array, members: Rows, first: Rows, alone: Array, together: Array
) -> tuple[Rows, Array, Array]:  # fmt: skip
    """What is in use or free, the curvature of the objective there and its negative gradient."""
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
    return some[:count], corner, push


@compiled
def leap(
    gram: Reals, w: Array, slope: Array, members: Rows, first: Rows, alone: Array, together: Array, some: Rows,
    move: Array,
) -> None:  # fmt: skip
    """Take a Newton step in place, to where the first coefficient meets zero at most, if it lowers."""
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
            for j in range(w.shape[0]):
                if new[j] != w[j]:
                    take_off(slope, new[j] - w[j], gram[j])
            w[:] = new
            return
        length /= 2


def minimise(quadratic: Quadratic, start: Array, slope: Array, groups: Groups, tolerance: float) -> Array:
    """The minimiser ``[e]``, within about the tolerance."""
    gram, w, slope = quadratic.products, start.copy(), slope.copy()
    steep, most = steepest(gram, groups.members, groups.first), max(SWEEPS, len(w) // SHARE)
    for _ in range(LEAPS):
        if descend(gram, w, slope, *groups, steep, quadratic.convexity, tolerance, most):
            break
        some, corner, push = newton_system(gram, w, slope, *groups)
        factor, indefinite = dpotrf(corner.T, lower=1, overwrite_a=1) if len(some) else (corner, 1)
        if not indefinite:
            leap(gram, w, slope, *groups, some, dpotrs(factor, push, lower=1)[0])
    return w
