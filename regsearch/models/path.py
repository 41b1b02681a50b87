"""Curves along a path, and one point of them.

Shapes: K folds, S steps of the path (one step for an estimator without an axis).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.statistics import ROUNDING
from regsearch.numeric import format_number

TINY = 1e-9  # relative difference of two scores that is not worth a word


@dataclass(frozen=True)
class Point:
    """One metric at one point of a path: means over folds, and their standard errors."""

    val: float
    val_se: float
    train: float
    gap: float
    gap_se: float

    @property
    def said(self) -> str:
        """Score and gap in words that follow the metric's name."""
        return f"{format_number(self.val, 5)}, gap {format_number(self.gap, 3)}"

    @property
    def floor(self) -> float:
        """One standard error below the validation score, rounding allowed for; the score itself for a single fold."""
        return self.val - (self.val_se if math.isfinite(self.val_se) else 0.0) - self.tolerance

    @property
    def tolerance(self) -> float:
        """What scores like these must differ by to differ at all, whatever their unit."""
        return ROUNDING * max(abs(self.val), abs(self.train))

    @property
    def least_difference(self) -> float:
        """What scores like these must differ by to be worth a word: those of nets are of single precision."""
        return TINY * max(abs(self.val), abs(self.train))


@dataclass(frozen=True)
class Curves:
    """One metric along a path: scores ``[K, S]``, larger is better; NaN in folds that were not fitted.

    Attributes
    ----------
    averaging
        How folds are averaged; `None` stands for folds that count alike and share no rows.
    unsolved
        ``[S]``: the points at which the solver of a fold ended above its tolerance; `None` where there are none.
    """

    train: Array
    val: Array
    averaging: Averaging | None = None
    unsolved: NDArray[np.bool_] | None = None

    def defined(self) -> Curves:
        """The same with NaN in both parts wherever one of them is not a finite number: such a point is not chosen."""
        known = np.isfinite(self.train) & np.isfinite(self.val)
        if known.all():
            return self
        return replace(self, train=np.where(known, self.train, np.nan), val=np.where(known, self.val, np.nan))

    @cached_property
    def fitted(self) -> NDArray[np.bool_]:
        """``[K]``: whether a fold was fitted."""
        return np.asarray(np.isfinite(self.val).any(axis=1))

    def over(self, folds: NDArray[np.bool_]) -> Averaging:
        """How some of the folds ``[K]`` are averaged."""
        return (self.averaging or Averaging.equal(len(self.val))).some(folds)

    def average(self, values: Array) -> Array:
        """``[S]`` means over the fitted folds of values ``[K, S]``."""
        return self.over(self.fitted).mean(values[self.fitted])

    def errors(self, values: Array) -> Array:
        """``[S]`` standard errors of those means."""
        return self.over(self.fitted).error(values[self.fitted])

    def mean(self) -> Array:
        """``[S]`` mean validation score over the fitted folds."""
        return self._mean

    @cached_property
    def _mean(self) -> Array:
        return self.average(self.val)

    def point(self, step: int, fitted: NDArray[np.bool_] | None = None) -> Point:
        """The metric at a step, over the given folds (by default those with a score of this metric)."""
        fitted = self.fitted if fitted is None else fitted
        over, val, train = self.over(fitted), self.val[fitted, step], self.train[fitted, step]
        gap = train - val
        return Point(
            float(over.mean(val)), float(over.error(val)), float(over.mean(train)), float(over.mean(gap)),
            float(over.error(gap)),
        )  # fmt: skip

    @property
    def choosable(self) -> NDArray[np.bool_]:
        """``[S]``: the points that may be chosen, which are those that are solved and have a score, if any are."""
        scored = np.isfinite(self.mean())
        solved = scored if self.unsolved is None else scored & ~self.unsolved
        return solved if solved.any() else scored

    def reaching(self, floor: float) -> NDArray[np.intp]:
        """The steps that may be chosen whose mean validation score is at least `floor`."""
        return np.asarray(np.flatnonzero((self.mean() >= floor) & self.choosable))

    def best_step(self) -> int:
        """The first step with the best mean of those that may be chosen."""
        return choose_step(np.where(self.choosable, self.mean(), np.nan))


@dataclass(frozen=True)
class Trajectory:
    """What a trial measured along its path, all folds in lockstep.

    Attributes
    ----------
    axis
        ``[S]``: where each step lies on the model's axis (lambda, epochs); NaN when the config has none.
    curves
        By metric name; the first decides. Empty when nothing was measured.
    complexity
        ``[K, S]``: effective degrees of freedom of a linear model, non-zero weights of a net; NaN when unknown.
    followed
        By name, ``[K, S]``: what else was kept of each step, such as what became of a strength.
    """

    axis: Array = field(default_factory=lambda: np.full(1, np.nan))
    curves: Mapping[str, Curves] = field(default_factory=dict)
    complexity: Array = field(default_factory=lambda: np.full((1, 1), np.nan))
    followed: Mapping[str, Array] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        return len(self.axis)

    @property
    def metric(self) -> str:
        """The metric that decides."""
        return next(iter(self.curves))

    @property
    def deciding(self) -> Curves:
        """The curves of the metric that decides."""
        return self.curves[self.metric]

    @property
    def scored(self) -> bool:
        """Whether some step has a score."""
        return bool(self.curves) and bool(self.deciding.fitted.any() and np.isfinite(self.deciding.mean()).any())

    @property
    def rising(self) -> bool:
        """Whether the deciding score is the best where the path ends, and the path could go on: beyond 0 is nothing."""
        if self.steps < 2 or not self.curves or self.axis[-1] == 0:
            return False
        mean = self.deciding.mean()
        return bool(np.isfinite(mean).any()) and choose_step(mean) == self.steps - 1

    def unsolved_at(self, step: int) -> bool:
        """Whether the solver of a fold ended above its tolerance at a step."""
        marks = self.deciding.unsolved if self.curves else None
        return marks is not None and bool(marks[step])

    def value(self, step: int) -> float | None:
        """Where on its axis a step lies, if the config has an axis."""
        value = float(self.axis[step])
        return None if math.isnan(value) else value

    def points(self, step: int) -> dict[str, Point]:
        """Every metric at a step, over the folds that were fitted; NaN where one is not defined in one of them."""
        if not self.curves:
            return {}
        fitted = self.deciding.fitted
        return {name: curves.point(step, fitted) for name, curves in self.curves.items()}

    def complexity_at(self, step: int) -> float:
        """Mean over the folds that were fitted at a step; NaN when unknown."""
        known = self.complexity[:, step]
        return float(known[np.isfinite(known)].mean()) if np.isfinite(known).any() else math.nan


def choose_step(mean: Array) -> int:
    """The first step with the best mean: among equals the most regularized, as paths descend."""
    step = int(np.argmax(mean))  # a tenth of what NaN would cost; it is the first of these where there are any
    return int(np.nanargmax(mean)) if np.isnan(mean[step]) else step
