"""Giving an estimator up between two folds: its folds are its rungs.

A config is fitted on one fold first; which one goes by its number. It is given up there when it is not among the best
of those that were fitted on this fold (`regsearch.models.halving`) and is behind the best trial by more than the luck
of a fold, and after any further fold when it is behind by more than the luck of so many.

The luck of a fold is the deviation of the difference of two trials over folds: those that are hard are so for both. It
is estimated from the better half of the complete trials: those at the other end differ from the best by far more.
Before there are enough of them, a config is given up when its mean is worse than the best trial's worst fold.

K folds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from regsearch._types import Array
from regsearch.metrics.averaging import Averaging
from regsearch.models.halving import SuccessiveHalving, first_fold
from regsearch.models.path import Curves

DEVIATIONS = 2.0  # of the luck of its folds that a config may be behind
MIN_COMPLETE = 4  # trials beside the best, to know the luck of a fold


class AtBest(Sequence[Array]):
    """Curves ``[K, S]`` of earlier trials, each ``[K, 1]`` at its best step: as trials of some folds are compared."""

    def __init__(self, curves: Sequence[Array], averaging: Averaging) -> None:
        self.curves, self.averaging = curves, averaging

    def __len__(self) -> int:
        return len(self.curves)

    def __getitem__(self, index: Any) -> Any:
        found = self.curves[index]
        if isinstance(index, slice):
            return [at_best(one, self.averaging) for one in found]
        return at_best(found, self.averaging)


def at_best(val: Array, averaging: Averaging) -> Array:
    """``[K, 1]`` of scores ``[K, S]``: those at the step with the best mean."""
    return val[:, [Curves(val, val, averaging).best_step()]]


class FoldRungs:
    """What complete trials say of one that is fitted on some folds.

    Parameters
    ----------
    past
        ``[K, 1]`` validation scores of earlier trials, NaN in folds that they were not fitted on. What is added to it
        later, of trials that were fitted elsewhere, is known from then on.
    averaging
        How folds are averaged.
    """

    def __init__(self, past: Sequence[Array], averaging: Averaging) -> None:
        self.averaging, self.halving = averaging, SuccessiveHalving(past, averaging, min_trials=1, probes=0)
        self._read = 0  # how many of the earlier trials are among the complete ones, where they are that
        self._losses, self._complete = np.empty(0), np.empty((0, averaging.folds))  # minus means, scores: best first
        self._luck: tuple[int, Array, float | None] | None = None  # of so many complete ones, beside a best one
        self._take_in()

    def order(self, number: int) -> list[int]:
        """The folds in the order in which a trial is fitted on them."""
        first = first_fold(number, self.averaging.folds)
        return [first, *(k for k in range(self.averaging.folds) if k != first)]

    def end(self, number: int, val: Array | None) -> None:
        """Take note of how a trial has ended, as of one of an earlier run.

        Parameters
        ----------
        val
            ``[K]`` scores of a complete one, or of one that was given up; `None` of one that has failed.
        """
        self._take_in()
        if val is not None and np.isfinite(val).all():
            self._insert([val])
        self.halving.end(number, None if val is None else val[:, None])

    def why_given_up(self, number: int, scores: Array, folds: Sequence[int], best: Array | None) -> str:
        """Why a trial with scores on some folds is given up; empty where it goes on. To be asked after each fold.

        Parameters
        ----------
        scores
            ``[n]``, of the n `folds` in the order in which they were fitted.
        best
            ``[K]`` scores of the best trial; `None` before there is one.
        """
        val = np.full(self.averaging.folds, np.nan)
        val[list(folds)] = scores
        behind = "" if best is None else self._behind(val, best)
        if len(folds) > 1:
            return behind
        verdict = self.halving.judge(1, {number: val[:, None]}, () if behind else (number,))[number]
        found = f"{behind}; {verdict.better} of the last {verdict.compared} trials did better there"
        return found if behind and not verdict.goes_on else ""

    def _behind(self, val: Array, best: Array) -> str:
        """How a trial with scores on some folds ``[K]`` falls behind, in words; empty where it need not."""
        fitted = np.isfinite(val)
        over, count = self.averaging.some(fitted), int(fitted.sum())
        where = f"after {count} of {len(val)} folds"
        luck = self._luck_of_a_fold(best)
        if luck is None:
            worse = float(over.mean(val[fitted])) < best.min()
            return f"worse {where} than the best trial's worst fold" if worse else ""
        lost = float(over.mean(best[fitted] - val[fitted]))
        bar = DEVIATIONS * luck * math.sqrt(over.squares)
        return f"{lost:.3g} behind the best {where}, by luck at most {bar:.3g}" if lost > bar else ""

    def _luck_of_a_fold(self, best: Array) -> float | None:
        """The deviation over folds of what the better half of the complete trials loses to the best ``[K]``."""
        self._take_in()
        if self._luck is None or self._luck[0] != len(self._losses) or self._luck[1] is not best:
            self._luck = len(self._losses), best, self._reckoned_luck(best)
        return self._luck[2]

    def _reckoned_luck(self, best: Array) -> float | None:
        loss = -float(self.averaging.mean(best))
        first, last = (int(np.searchsorted(self._losses, loss, side)) for side in ("left", "right"))
        same = first + np.flatnonzero((self._complete[first:last] == best).all(axis=1))
        count = len(self._complete) - len(same)
        if count < MIN_COMPLETE:
            return None
        half = max(MIN_COMPLETE, count // 2)
        others = np.delete(self._complete[: half + len(same)], same[same < half + len(same)], axis=0)[:half]
        return float(np.sqrt((best - others).var(axis=1, ddof=1).mean()))

    def _take_in(self) -> None:
        """Take note of what was added to the earlier trials."""
        past = self.halving.past
        new, self._read = past[self._read :], len(past)
        self._insert([val[:, 0] for val in new if np.isfinite(val).all()])

    def _insert(self, complete: Sequence[Array]) -> None:
        """Take note of complete trials' scores ``[K]``; of equal ones the first stays the first."""
        if len(complete):
            losses = -np.array([self.averaging.mean(val) for val in complete])
            order = np.argsort(losses, kind="stable")
            places = np.searchsorted(self._losses, losses[order], "right")
            self._losses = np.insert(self._losses, places, losses[order])
            self._complete = np.insert(self._complete, places, np.array(complete)[order], axis=0)
