"""Statistics over folds: standard errors of means and of differences, corrected where training sets overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from regsearch._types import Array
from regsearch.data.folds import Folds
from regsearch.data.problem import Problem
from regsearch.metrics.scorer import Metric


def standard_error(values: Array) -> float:
    """Standard error of a mean over folds; NaN for a single fold."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def resampled_se(values: Array, ratio: float) -> Array:
    """Standard errors of means over K folds ``[K, ...]``, corrected for training sets that overlap; NaN for one fold.

    ``sqrt((1/K + n_val/n_train) variance)`` (Nadeau & Bengio 2003, "Inference for the generalization error").
    """
    count = len(values)
    if count < 2:
        return np.full(values.shape[1:], np.nan)
    return np.asarray(np.sqrt((1 / count + ratio) * values.var(axis=0, ddof=1)))


def overlap(folds: Folds | None, count: int) -> float:
    """Rows that validate per row that trains, mean over folds; that of K-fold where the folds are not at hand."""
    if folds is None:
        return 1 / max(count - 1, 1)
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
