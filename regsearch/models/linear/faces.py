"""The minimum of a quadratic with a penalty that is linear on faces: of sorted sizes, or of jumps between neighbours.

Proximal gradient descent (Beck & Teboulle 2009, started again where it overshoots) tells which coefficients are equal,
or zero. On the face where they stay so the penalty is linear, and the minimum one linear solve away; on the way there
the first that meet are equal from then on. Compiled where numba is installed.

Notation and shapes

============  ========  ============================================================================
symbol        shape     meaning
============  ========  ============================================================================
e, c          int       numbers of coefficients, and of levels that they have on a face
gram          [e, e]    curvature of the quadratic; symmetric, positive semi-definite
moment        [e]       the negative gradient at w = 0
w             [e]       coefficients
weights       any       what `shrunk` reads of the penalty
label, sign   [e]       ``w = sign level[label]``; the label c stands for zero
cost          [c]       how fast the penalty grows with a level
above, below  [k]       pairs of levels that keep their order on the face; c stands for zero
============  ========  ============================================================================
"""

from __future__ import annotations

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.compiling import compiled
from regsearch.models.linear.bounded import LEAPS
from regsearch.models.linear.fusing import fuse
from regsearch.models.linear.leaps import JITTER, STEPS, factorise, solve

SORTED, FUSED = 0, 1  # kinds of penalties
POWERS = 8  # products with a vector, from which the largest eigenvalue is guessed
MEETINGS = 20  # levels that become equal between two looks at what else is to be


@compiled
def falling(values: Array) -> Rows:
    """Places of values, the largest size first; a heap, as numba takes seconds to compile a sort of numpy."""
    count = values.shape[0]
    order = np.arange(count)
    for end in range(-(count // 2), count):  # the first half makes the heap, the rest takes the smallest out of it
        size, root = count, -1 - end
        if end >= 0:
            size, root = count - 1 - end, 0
            order[0], order[size] = order[size], order[0]
        while 2 * root + 1 < size:
            child = 2 * root + 1
            if child + 1 < size and abs(values[order[child + 1]]) < abs(values[order[child]]):
                child += 1
            if abs(values[order[root]]) <= abs(values[order[child]]):
                break
            order[root], order[child] = order[child], order[root]
            root = child
    return order


@compiled
def shrink_sorted(values: Array, weights: Array) -> Array:
    """Sorted sizes less their weights, those that would change places given one (Bogdan et al. 2015, algorithm 4)."""
    count = values.shape[0]
    order, start, last = falling(values), np.arange(count), 0
    total, level, new = np.empty(count), np.empty(count), np.empty(count)
    for i in range(count):
        start[last], total[last] = i, abs(values[order[i]]) - weights[i]
        level[last] = max(total[last], 0.0)
        while last > 0 and level[last - 1] <= level[last]:
            last -= 1
            total[last] += total[last + 1]
            level[last] = max(total[last] / (i + 1 - start[last]), 0.0)
        last += 1
    block = 0
    for i in range(count):
        if block + 1 < last and i == start[block + 1]:
            block += 1
        new[order[i]] = np.sign(values[order[i]]) * level[block]
    return new


@compiled
def shrink_fused(values: Array, weights: Array) -> Array:
    """Neighbours fused, then sizes shrunk; weights are those of sizes and of jumps, and the number of outputs."""
    outputs, new = int(weights[2]), np.empty(values.shape[0])
    one = np.empty(values.shape[0] // outputs)
    for output in range(outputs):
        for j in range(one.shape[0]):
            one[j] = values[j * outputs + output]
        level = fuse(one, weights[1])
        for j in range(one.shape[0]):
            new[j * outputs + output] = np.sign(level[j]) * max(abs(level[j]) - weights[0], 0.0)
    return new


@compiled
def shrunk(kind: int, values: Array, weights: Array, largest: float) -> Array:
    """The prox of a penalty at a step of ``1 / largest``."""
    scaled = weights / largest
    if kind == SORTED:
        return shrink_sorted(values, scaled)
    scaled[2] = weights[2]
    return shrink_fused(values, scaled)


@compiled
def guess_largest(gram: Array) -> float:
    """About the largest eigenvalue, from below."""
    vector, largest = gram @ np.ones(gram.shape[0]), 0.0
    for _ in range(POWERS):
        length = float(np.sqrt(vector @ vector))
        if length == 0.0:
            break
        vector = vector / length
        ahead = gram @ vector
        largest, vector = float(vector @ ahead), ahead
    return max(largest, 1e-300)


@compiled
def step_down(
    kind: int, gram: Array, moment: Array, w: Array, weights: Array, largest: float, tolerance: float, most: int
) -> tuple[bool, float]:
    """Steps in place, so many at most: whether the last hardly lowers the objective, and the inverse of its length."""
    ahead, before, speed = w.copy(), gram @ w, 1.0
    pull = before
    for _ in range(most):
        new = shrunk(kind, ahead + (moment - pull) / largest, weights, largest)
        here, moved = gram @ new, new - ahead
        square, bent = float(moved @ moved), float(moved @ (here - pull))
        if bent > largest * square * (1.0 + 1e-9):
            largest = 1.1 * bent / square
            continue
        worth = 0.0
        for j in range(w.shape[0]):
            worth += largest * abs(moved[j]) * (abs(new[j]) + abs(moved[j]))
        if worth <= tolerance:
            w[:] = new
            return True, largest
        faster = (1.0 + np.sqrt(1.0 + 4.0 * speed**2)) / 2.0
        share = (speed - 1.0) / faster
        if moved @ (new - w) < 0.0:
            share, faster = 0.0, 1.0
        ahead, pull = new + share * (new - w), here + share * (here - before)
        w[:], before, speed = new, here, faster
    return False, largest


@compiled
def sorted_face(w: Array, weights: Array) -> tuple[Rows, Array, Array, Rows, Rows]:
    """Label, sign, cost, above and below of what is equal in size."""
    order = falling(w)
    label, sign, cost, count = np.zeros(w.shape[0], dtype=np.intp), np.sign(w), np.zeros(w.shape[0]), 0
    for i in range(w.shape[0]):
        if w[order[i]] == 0.0:
            label[order[i]] = -1
            continue
        if i == 0 or abs(w[order[i]]) != abs(w[order[i - 1]]):
            count += 1
        label[order[i]] = count - 1
        cost[count - 1] += weights[i]
    label[label < 0] = count
    return label, sign, cost[:count], np.arange(count), np.arange(1, count + 1)


@compiled
def fused_face(w: Array, weights: Array) -> tuple[Rows, Array, Array, Rows, Rows]:
    """Label, sign, cost, above and below of runs of equal neighbours."""
    outputs, label, count = int(weights[2]), np.empty(w.shape[0], dtype=np.intp), 0
    cost = np.zeros(w.shape[0])
    for j in range(w.shape[0]):
        if w[j] == 0.0:
            label[j] = -1
            continue
        if j < outputs or w[j] != w[j - outputs]:
            label[j] = count
            count += 1
        else:
            label[j] = label[j - outputs]
        cost[label[j]] += weights[0] * np.sign(w[j])
    label[label < 0] = count
    above, below, pairs = np.empty(2 * w.shape[0], dtype=np.intp), np.empty(2 * w.shape[0], dtype=np.intp), 0
    for j in range(w.shape[0]):
        if w[j] != 0.0:
            above[pairs], below[pairs] = (label[j], count) if w[j] > 0.0 else (count, label[j])
            pairs += 1
        if j >= outputs and label[j] != label[j - outputs]:
            up, down = (j, j - outputs) if w[j] > w[j - outputs] else (j - outputs, j)
            above[pairs], below[pairs] = label[up], label[down]
            pairs += 1
            if w[up] != 0.0:
                cost[label[up]] += weights[1]
            if w[down] != 0.0:
                cost[label[down]] -= weights[1]
    return label, np.ones(w.shape[0]), cost[:count], above[:pairs], below[:pairs]


@compiled
def leap(
    gram: Array, moment: Array, w: Array, label: Rows, sign: Array, cost: Array, above: Rows, below: Rows
) -> bool:  # fmt: skip
    """Go to the minimum on a face, or to where the first levels meet, in place; whether any do."""
    count = cost.shape[0]
    corner, push, level, move = np.zeros((count, count)), -cost, np.zeros(count + 1), np.zeros(count + 1)
    some = np.flatnonzero(label < count)
    for i in some:
        push[label[i]] += sign[i] * moment[i]
        level[label[i]] = sign[i] * w[i]
        row = corner[label[i]]
        for j in some:
            row[label[j]] += sign[i] * sign[j] * gram[i, j]
    push -= corner @ level[:count]
    for at in range(count):
        corner[at, at] *= 1.0 + JITTER
    if count == 0 or not factorise(corner):
        return False
    move[:count] = solve(corner, push)
    length, first = 1.0, -1
    for pair in range(above.shape[0]):
        rate = move[below[pair]] - move[above[pair]]
        if rate > 0.0 and level[above[pair]] - level[below[pair]] < length * rate:
            length, first = (level[above[pair]] - level[below[pair]]) / rate, pair
    level += max(length, 0.0) * move
    if first >= 0:
        if above[first] < count:
            level[above[first]] = level[below[first]]
        else:
            level[below[first]] = 0.0
    for i in some:
        w[i] = sign[i] * level[label[i]]
    return first >= 0


@compiled
def descend(kind: int, gram: Array, moment: Array, w: Array, weights: Array, tolerance: float) -> None:
    """Go to the minimum in place: by steps, and by leaps where steps are slow."""
    largest = guess_largest(gram)
    for _ in range(LEAPS):
        levels = (sorted_face(w, weights) if kind == SORTED else fused_face(w, weights))[2].shape[0]
        done, largest = step_down(kind, gram, moment, w, weights, largest, tolerance, 2 * max(STEPS, levels))
        if done:
            return
        for _ in range(MEETINGS):
            label, sign, cost, above, below = sorted_face(w, weights) if kind == SORTED else fused_face(w, weights)
            if not leap(gram, moment, w, label, sign, cost, above, below):
                break
