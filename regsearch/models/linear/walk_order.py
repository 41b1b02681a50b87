"""In which order points of a path are solved, and where each starts: see `descent.py`, and there for the notation."""

from __future__ import annotations

from functools import cache

import numpy as np

from regsearch._types import Array
from regsearch.models.compiling import compiled
from regsearch.models.linear.kernels import Flags, Places

AHEAD = 10  # lambdas of which the last is solved first
ONWARD = 2.0  # times the way between the two points before that the next may be foretold


@cache
def plan(steps: int) -> Places:
    """The order of points: of a few the last, from those before, and then those in the middle of two that are known."""
    order: list[tuple[int, int, int]] = []
    for start in range(1, steps + 1, AHEAD):
        end = min(start + AHEAD, steps + 1)
        order.append((end, start, max(start - AHEAD, 0)))
        order.extend(_between(start, end))
    return np.array(order, dtype=np.intp)


def _between(start: int, end: int) -> list[tuple[int, int, int]]:
    middle = (start + end) // 2
    if middle == start:
        return []
    return [(middle, start, end), *_between(start, middle), *_between(middle, end)]


@compiled
def along(plan: Places, lambdas: Array) -> Array:
    """How far points are from the first to the other of a plan; 0, at the first, where that is not known or too far.

    The oldest point tells where the others are heading alone: none is made of it, even where it lies further down, as
    the top of a fold may lie below the first lambdas.
    """
    shares = np.zeros(len(plan))
    for q in range(len(plan)):
        node, first, other = lambdas[plan[q, 0]], lambdas[plan[q, 1]], lambdas[plan[q, 2]]
        if first <= other or plan[q, 2] == 0:
            known = np.isfinite(other) and other > first and first - node <= ONWARD * (other - first)
            shares[q] = min((first - node) / (first - other), 0.0) if known else 0.0
        else:
            shares[q] = min(max((first - node) / (first - other), 0.0), 1.0) if np.isfinite(first) else 1.0
    return shares


@compiled
def blends(plan: Places, along: Array, own: Flags) -> Array:
    """``[S, S + 1]``: what points behind two others are made of: of the second of these, and of each other."""
    shares = np.eye(len(own), len(own) - 1, -1)
    for q in range(len(plan)):
        node, first, other = plan[q, 0], plan[q, 1], plan[q, 2]
        if not own[node]:
            shares[node] = (1.0 - along[q]) * shares[first] + along[q] * shares[other]
    return shares[2:]
