"""Rungs: epochs at which a trial must be among the best half of all that got there, or is given up.

Asynchronous successive halving (Li et al. 2020) on the mean validation curve of the folds, with one difference: trials
that arrive together are compared together. They come late and are lenient, for TPE takes what was given up for bad:
with an early rung it learns to propose what learns fast.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from regsearch._types import Array

FACTOR = 2  # one in so many goes on, and rungs are so many times apart
FIRST = 0.2  # share of the epochs before the first rung: regularization learns slowly, and must get the chance
LAST = 0.5  # share of the epochs after which nothing is given up any more
LEAST = 6  # trials that must have got to a rung before any is given up there


def rungs(horizon: int) -> tuple[int, ...]:
    """The epochs at which a training of so many epochs may be given up."""
    found = []
    epoch = max(1, round(FIRST * horizon))
    while epoch <= LAST * horizon:
        found.append(epoch)
        epoch *= FACTOR
    return tuple(found)


class Ladder:
    """What was reached at each rung.

    Parameters
    ----------
    past
        Mean validation curves of earlier trials.
    """

    def __init__(self, past: Iterable[Array] = ()) -> None:
        self._past = [np.fmax.accumulate(curve) for curve in past]
        self._reached: dict[int, list[float]] = {}

    def enter(self, rung: int, score: float) -> None:
        """Take note of the best score that a trial had by a rung."""
        self._at(rung).append(score)

    def rank(self, rung: int, score: float) -> tuple[int, int]:
        """How many did better at a rung, and how many got there."""
        reached = self._at(rung)
        return sum(other > score for other in reached), len(reached)

    def passes(self, rung: int, score: float) -> bool:
        """Whether a trial that has entered a rung goes on."""
        better, reached = self.rank(rung, score)
        return reached < LEAST or better < math.ceil(reached / FACTOR)

    def _at(self, rung: int) -> list[float]:
        if rung not in self._reached:
            self._reached[rung] = [float(curve[rung - 1]) for curve in self._past if len(curve) >= rung]
        return self._reached[rung]
