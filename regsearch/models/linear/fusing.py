"""Neighbours fused: the prox of the sum of jumps between them; compiled where numba is installed."""

from __future__ import annotations

import numpy as np

from regsearch._types import Array
from regsearch.models.compiling import compiled


@compiled
def fuse(values: Array, strength: float) -> Array:
    """The minimiser over u of ``|u - values|^2 / 2 + strength sum_j |u_{j+1} - u_j|`` (Condat 2013, algorithm 1).

    One pass: the run that begins at `start` has a level between `low` and `high`, from which the sums of what is taken
    off, `under` and `over`, tell when it cannot go on, and where it ends.
    """
    count, u = values.shape[0], np.empty(values.shape[0])
    at, start, end_low, end_high = 0, 0, 0, 0
    under, over, low, high = strength, -strength, values[0] - strength, values[0] + strength
    while True:
        if at == count - 1:
            if under < 0.0:
                u[start : end_low + 1] = low
                start = end_low + 1
                at = end_low = start
                low, under = values[start], strength
                over = low + under - high
            elif over > 0.0:
                u[start : end_high + 1] = high
                start = end_high + 1
                at = end_high = start
                high, over = values[start], -strength
                under = high + over - low
            else:
                u[start:] = low + under / (at - start + 1)
                return u
            continue
        under += values[at + 1] - low
        over += values[at + 1] - high
        if under < -strength:
            u[start : end_low + 1] = low
            start = end_low + 1
            at = end_low = end_high = start
            low, high, under, over = values[start], values[start] + 2 * strength, strength, -strength
        elif over > strength:
            u[start : end_high + 1] = high
            start = end_high + 1
            at = end_low = end_high = start
            low, high, under, over = values[start] - 2 * strength, values[start], strength, -strength
        else:
            at += 1
            if under >= strength:
                end_low = at
                low += (under - strength) / (at - start + 1)
                under = strength
            if over <= -strength:
                end_high = at
                high += (over + strength) / (at - start + 1)
                over = -strength
