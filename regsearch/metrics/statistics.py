"""Statistics over folds: standard errors of means and of differences, corrected where training sets overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from regsearch._types import Array
from regsearch.data.folds import Folds
from regsearch.data.problem import Problem
from regsearch.metrics.scorer import Metric

ALPHA = 0.05  # the level at which a difference is called one


@dataclass(frozen=True)
class Estimate:
    """A mean over folds with its standard error, such as that of a paired difference.

    Attributes
    ----------
    mean, se
        In the units of the values; the error is NaN for a single fold.
    folds
        How many values the mean is of.
    rounding
        Means up to this, either way, are zero but for rounding.
    """

    mean: float
    se: float
    folds: int
    rounding: float = 0.0

    @property
    def t(self) -> float:
        """The mean in standard errors; infinite where the folds do not differ or are one, 0 for a mean of rounding."""
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

        return float(stats.t.sf(t, self.folds - 1)) if math.isfinite(self.se) else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Low and high of the 95 % interval; NaN for a single fold."""
        from scipy import stats

        half = float(stats.t.isf(0.025, max(self.folds - 1, 1)) * self.se)
        return self.mean - half, self.mean + half

    @property
    def certain(self) -> bool:
        """Whether the mean lies above zero by more than one standard error."""
        return self.beyond(1.0)

    def beyond(self, errors: float) -> bool:
        """Whether the mean lies above zero by more than so many standard errors; never where those are not known."""
        return self.mean > max(errors * self.se, self.rounding)

    def __str__(self) -> str:
        mean, se = (value if abs(value) > self.rounding else 0.0 for value in (self.mean, self.se))
        return f"{mean:.3g} ± {se:.2g}"


def mean_over_folds(values: Array, ratio: float = 0.0, rounding: float = 0.0) -> Estimate:
    """The mean of values ``[K]`` of folds; see `standard_error` for the ratio."""
    return Estimate(float(values.mean()), float(standard_error(values, ratio)), len(values), rounding)


def paired_difference(first: Array, second: Array, ratio: float | None, rounding: float = 0.0) -> Estimate:
    """The mean of ``first - second``, scores ``[K]`` on the same folds, with its corrected error.

    Parameters
    ----------
    ratio
        As `overlap` gives it: `None` stands for that of K-fold cross-validation.
    """
    ratio = 1 / max(len(first) - 1, 1) if ratio is None else ratio
    return mean_over_folds(first - second, ratio, rounding)


def standard_error(values: Array, ratio: float = 0.0) -> Array:
    """Standard errors of means over K folds ``[K, ...]``; NaN for a single fold.

    ``sqrt((1/K + ratio) variance)``: with the ratio of validation to training rows it is corrected for training sets
    that overlap (Nadeau & Bengio 2003, "Inference for the generalization error").
    """
    count = len(values)
    if count < 2:
        return np.full(values.shape[1:], np.nan)
    return np.asarray(np.sqrt((1 / count + ratio) * values.var(axis=0, ddof=1)))


@overload
def overlap(folds: Folds) -> float: ...
@overload
def overlap(folds: Folds | None) -> float | None: ...
def overlap(folds: Folds | None) -> float | None:
    """Rows that validate per row that trains, mean over folds; `None` where the folds are not known."""
    if folds is None:
        return None
    return float(np.mean([len(val) / len(train) for train, val in zip(folds.train, folds.val, strict=True)]))


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
