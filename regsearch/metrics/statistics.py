"""Means with their errors and tests, and errors of scores on held-out rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from regsearch._types import Array
from regsearch.data.problem import Problem
from regsearch.metrics.scorer import Metric
from regsearch.numeric import format_number

ROUNDING = 1e-12  # relative difference of two scores that counts as none
ALPHA = 0.05  # the level at which a difference is called one
ALIKE = 1e-12  # share of a mean up to which its error is rounding


def tolerance_of(*scores: Array) -> float:
    """What such scores must differ by to differ at all, whatever their unit; 0 where none is a finite number."""
    return ROUNDING * max(float(np.max(np.abs(one), initial=0.0, where=np.isfinite(one))) for one in scores)


@dataclass(frozen=True)
class Estimate:
    """A mean over folds with its standard error, such as that of a paired difference.

    Folds that all say the same, as two or three do that count rows, do not show that there is no error. What is known
    then is that none of them says the contrary, which signs drawn at random do with a probability of ``2^-E``, E being
    the folds with rows of their own that they are worth.

    Attributes
    ----------
    mean, se
        In the units of the values; the error is NaN for a single fold.
    folds
        How many values the mean is of.
    freedom
        Degrees of freedom of the error: one less than the folds with rows of their own that those are worth.
    rounding
        Means up to this, either way, are zero but for rounding.
    """

    mean: float
    se: float
    folds: int
    freedom: float
    rounding: float = 0.0

    @property
    def t(self) -> float:
        """The mean in standard errors; infinite where these are not known, 0 for a mean of rounding."""
        if abs(self.mean) <= self.rounding:
            return 0.0
        return self.mean / self.se if self.se > 0 else math.copysign(math.inf, self.mean)

    @property
    def p(self) -> float:
        """Two-sided, of the t-test against zero; NaN for a single fold."""
        return 2 * self._beyond_t(abs(self.t))

    @property
    def p_greater(self) -> float:
        """One-sided: small where the mean lies above zero; NaN for a single fold."""
        return self._beyond_t(self.t)

    def _beyond_t(self, t: float) -> float:
        from scipy import stats

        if not math.isfinite(self.se):
            return math.nan
        if self.unanimous:
            return self._by_chance if t > 0 else 1 - self._by_chance
        return float(stats.t.sf(t, self.freedom))

    @property
    def unanimous(self) -> bool:
        """Whether all folds differ by the same, which is more than nothing: then the error is not known."""
        return abs(self.mean) > self.rounding and self._alike

    @property
    def _alike(self) -> bool:
        """Whether all folds say the same, but for rounding."""
        return self.se <= max(self.rounding, ALIKE * abs(self.mean))

    @property
    def _by_chance(self) -> float:
        """How often signs that are drawn at random all agree with the mean's."""
        return float(0.5 ** (self.freedom + 1))

    @property
    def interval(self) -> tuple[float, float]:
        """Low and high of the 95 % interval; NaN for a single fold, and where all say the same, zero included."""
        from scipy import stats

        if self._alike:
            return math.nan, math.nan
        half = float(stats.t.isf(0.025, self.freedom or 1) * self.se)
        return self.mean - half, self.mean + half

    @property
    def certain(self) -> bool:
        """Whether the mean lies above zero by more than one standard error."""
        return self.beyond(1.0)

    def beyond(self, errors: float) -> bool:
        """Whether the mean lies above zero by more than so many standard errors; never where those are not known.

        Of folds that all differ by the same: whether so many would be as unlikely.
        """
        from scipy import stats

        above = self.mean > max(errors * self.se, self.rounding)
        return above and (not self.unanimous or self._by_chance <= float(stats.t.sf(errors, self.freedom)))

    @property
    def shown(self) -> tuple[float, float]:
        """Mean and error as people read them, rounding as zero."""
        mean, se = (0.0 if abs(value) <= self.rounding else value for value in (self.mean, self.se))
        return mean, se

    def __str__(self) -> str:
        mean, se = self.shown
        error = f" ± {format_number(se, 2)}" if self.freedom > 0 else ""  # a single fold tells of none
        return f"{format_number(mean, 3)}{error}"


PARTS = 10  # of the held-out rows, each left out once


def scores_without(metric: Metric, fitted: Any, test: Problem) -> list[float]:
    """Held-out scores of a fitted estimator without each tenth of the rows, the same tenths for every estimator.

    Groups stay whole. Empty where there are fewer than ten rows or groups, or a score is not defined without some.
    """
    units = np.arange(test.rows) if test.groups is None else np.unique(test.groups, return_inverse=True)[1]
    count = int(units.max()) + 1
    if count < PARTS:
        return []
    part = np.random.default_rng(0).permutation(count)[units] % PARTS
    try:
        scores = [metric.score(fitted, test.take(np.flatnonzero(part != one))) for one in range(PARTS)]
    except ValueError:  # anyone's scorer: it may not take rows that lack a class
        return []
    return scores if np.isfinite(scores).all() else []


def difference_se(first: Sequence[float], second: Sequence[float]) -> float:
    """Standard error of the difference of two scores on the same rows, of theirs without each part; NaN without those.

    References
    ----------
    The delete-a-group jackknife: Kott (2001), "The delete-a-group jackknife", Journal of Official Statistics 17.
    """
    if not first or len(first) != len(second):
        return math.nan
    without = np.subtract(first, second)
    return math.sqrt((len(without) - 1) * float(without.var()))
