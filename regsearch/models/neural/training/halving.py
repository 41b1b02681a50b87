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

REDUCTION_FACTOR = 2  # one in so many goes on, and rungs are so many times apart
FIRST_SHARE = 0.2  # of the epochs before the first rung: regularization learns slowly, and must get the chance
LAST_SHARE = 0.5  # of the epochs after which nothing is given up any more
MIN_TRIALS = 6  # that must have got to a rung before any is given up there


def rung_epochs(last: int) -> tuple[int, ...]:
    """The epochs at which a training of so many epochs may be given up."""
    found = []
    epoch = max(1, round(FIRST_SHARE * last))
    while epoch <= LAST_SHARE * last:
        found.append(epoch)
        epoch *= REDUCTION_FACTOR
    return tuple(found)


class SuccessiveHalving:
    """The scores at each rung, and who goes on.

    Parameters
    ----------
    past
        Mean validation curves of earlier trials.
    """

    def __init__(self, past: Iterable[Array] = ()) -> None:
        self._past = [np.fmax.accumulate(curve) for curve in past]
        self._scores: dict[int, list[float]] = {}

    def add(self, rung: int, score: float) -> None:
        """Take note of the best score that a trial had by a rung."""
        self._at(rung).append(score)

    def rank(self, rung: int, score: float) -> tuple[int, int]:
        """How many did better at a rung, and how many got there."""
        scores = self._at(rung)
        return sum(other > score for other in scores), len(scores)

    def promotes(self, rung: int, score: float) -> bool:
        """Whether a trial whose score was added at a rung goes on."""
        better, count = self.rank(rung, score)
        return count < MIN_TRIALS or better < math.ceil(count / REDUCTION_FACTOR)

    def _at(self, rung: int) -> list[float]:
        if rung not in self._scores:
            self._scores[rung] = [float(curve[rung - 1]) for curve in self._past if len(curve) >= rung]
        return self._scores[rung]
