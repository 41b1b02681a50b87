"""Penalties of the differences between the coefficients of neighbouring columns.

``lambda (mix |w|_1 + (1 - mix) sum_j |w_{j+1} - w_j|)``: its prox fuses neighbours first, and shrinks what is
fused then (Friedman et al. 2007, proposition 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.general import GeneralTerms
from regsearch.models.linear.kernels import compiled

SAME = 1e-12  # relative difference of levels that is rounding


@dataclass(frozen=True)
class FusedTerms(GeneralTerms):
    """See the module; the order is that of the columns, for each output by itself."""

    tasks = ("regression", "binary")  # of several classes, what all could move by together is not determined
    mix: float

    def value(self, w: Array, lambda_: float) -> Array:
        jumps = np.abs(np.diff(w, axis=-2)).sum(axis=(-2, -1))
        return np.asarray(lambda_ * (self.mix * np.abs(w).sum(axis=(-2, -1)) + (1 - self.mix) * jumps))

    def prox(self, w: Array, step: float, lambda_: float = 1.0) -> Array:
        strength = step * lambda_
        rows = np.ascontiguousarray(np.swapaxes(w, -2, -1)).reshape(-1, w.shape[-2])
        fused = np.stack([fuse(row, strength * (1 - self.mix)) for row in rows])
        sizes = np.maximum(np.abs(fused) - strength * self.mix, 0.0)
        new = (np.sign(fused) * sizes).reshape(*w.shape[:-2], w.shape[-1], w.shape[-2])
        return np.swapaxes(new, -2, -1)


@compiled
def fuse(values: Array, strength: float) -> Array:
    """The minimiser over u of ``|u - values|^2 / 2 + strength sum_j |u_{j+1} - u_j|``.

    As the strength grows from 0, neighbours only ever meet, and runs of equal ones move at a constant rate in between.
    """
    level, size, rate = values.copy(), np.ones(values.shape[0]), np.zeros(values.shape[0])
    count, left = merge(level, size, values.shape[0]), strength
    while count > 1 and left > 0.0:
        run(level, size, rate, count)
        soonest = meeting(level, rate, count)
        level += min(soonest, left) * rate
        left -= soonest
        count = merge(level, size, count)
    result, at = np.empty(values.shape[0]), 0
    for i in range(count):
        result[at : at + int(size[i])] = level[i]
        at += int(size[i])
    return result


@compiled
def merge(level: Array, size: Array, count: int) -> int:
    """Make one run of neighbouring ones at the same level, in place; how many there are."""
    last = 0
    for i in range(1, count):
        if abs(level[i] - level[last]) <= SAME * (abs(level[i]) + abs(level[last])):
            level[last] = (level[last] * size[last] + level[i] * size[i]) / (size[last] + size[i])
            size[last] += size[i]
        else:
            last += 1
            level[last], size[last] = level[i], size[i]
    return last + 1


@compiled
def run(level: Array, size: Array, rate: Array, count: int) -> None:
    """How fast each run moves as the strength grows: towards its neighbours, by as much as it is short."""
    rate[:] = 0.0
    for i in range(count - 1):
        pull = np.sign(level[i + 1] - level[i])
        rate[i] += pull / size[i]
        rate[i + 1] -= pull / size[i + 1]


@compiled
def meeting(level: Array, rate: Array, count: int) -> float:
    """How much the strength has to grow until two neighbours meet."""
    soonest = np.inf
    for i in range(count - 1):
        gap = level[i + 1] - level[i]
        closing = (rate[i] - rate[i + 1]) * np.sign(gap)
        if closing > 0.0:
            soonest = min(soonest, abs(gap) / closing)
    return float(soonest)
