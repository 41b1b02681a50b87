"""How the scores of folds become one, and how far off that one may be.

Notation: K folds with scores s_k; shares a_k that sum to one; V_k the rows that validate in fold k, w_i their weights
(1 without), W_k their sum.

The mean is ``sum_k a_k s_k``. What a fold says of the expected score is off by the luck of its rows, with a variance of
``v / W_k``; folds that share rows share their luck. So the variance of the mean is
``v sum_i w_i (sum_{k: i in V_k} a_k / W_k)^2``, a fold's own is ``v sum_k a_k / W_k`` on average, and the second over
the first is how many folds with rows of their own the K folds are worth: K of any that share none, 5 of 5 folds however
often they are repeated. With that number E, what scores differ by estimates the variance of their mean by

    sum_k a_k (s_k - mean)^2 / (E - 1)

which is ``sd^2 / K`` where folds count alike and share no rows, and glmnet's ``cvsd^2`` where they count by size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.data.folds import Folds
from regsearch.metrics.statistics import Estimate, tolerance_of

FoldWeights: TypeAlias = Literal["equal", "size"]
FOLD_WEIGHTS: tuple[str, ...] = get_args(FoldWeights)
DIGITS = 9  # of the effective number of folds: beyond them it is rounding


@dataclass(frozen=True)
class Averaging:
    """Means over K folds and their standard errors.

    Attributes
    ----------
    folds
        K.
    effective
        How many folds with rows of their own they are worth; see the module.
    overlap
        Weight that validates per weight that trains, mean over folds: training sets have so much in common.
    shares
        ``[K]`` that sum to one; `None` where folds count alike.
    """

    folds: int
    effective: float
    overlap: float
    shares: Array | None = None

    @classmethod
    def of(cls, folds: Folds, score_weight: Array | None = None, by: FoldWeights = "equal") -> Averaging:
        """That of some folds, which count alike or by the weight of the rows that validate."""
        rows = 1 + max(int(part.max()) for part in (*folds.train, *folds.val))
        weight = np.ones(rows) if score_weight is None else score_weight
        held, trained = (np.array([weight[part].sum() for part in parts]) for parts in (folds.val, folds.train))
        shares = held / held.sum() if by == "size" else np.full(len(held), 1 / len(held))
        luck = np.zeros(len(weight))
        for val, one in zip(folds.val, shares / held, strict=True):
            luck[val] += one
        effective = round(float((shares / held).sum() / (weight @ luck**2)), DIGITS)
        return cls(len(held), effective, float(np.mean(held / trained)), shares if by == "size" else None)

    @classmethod
    def equal(cls, folds: int) -> Averaging:
        """That of folds of which no more is known than their number: equal parts of the rows."""
        return cls(folds, float(folds), 1 / max(folds - 1, 1))

    def some(self, which: NDArray[np.bool_]) -> Averaging:
        """That of some of the folds ``[K]`` alone."""
        count = int(which.sum())
        if count == self.folds:
            return self
        shares = None if self.shares is None or not count else self.shares[which] / self.shares[which].sum()
        return Averaging(count, min(self.effective, float(count)), self.overlap, shares)

    @property
    def weights(self) -> Array:
        """``[K]`` that sum to one, also where folds count alike."""
        return np.full(self.folds, 1 / self.folds) if self.shares is None else self.shares

    @property
    def squares(self) -> float:
        """The sum of their squares: the variance of a mean of folds that do not share their luck, by that of one."""
        return float(self.weights @ self.weights)

    def mean(self, values: Array) -> Array:
        """``[...]`` of values ``[K, ...]``; NaN of no fold."""
        if not len(values):
            return np.full(values.shape[1:], np.nan)
        if self.shares is None:  # as `mean` and `average` do, which take several times as long for a few numbers
            return np.asarray(np.add.reduce(values, axis=0) / len(values))
        return np.asarray(np.average(values, axis=0, weights=self.shares))

    def error(self, values: Array) -> Array:
        """``[...]`` standard errors of the means of values ``[K, ...]``; NaN where all folds validate the same rows."""
        if self.effective <= 1:
            return np.full(values.shape[1:], np.nan)
        return np.asarray(np.sqrt(self._spread(values) / (self.effective - 1)))

    def estimate(self, values: Array, rounding: float = 0.0) -> Estimate:
        """The mean of values ``[K]`` with its standard error."""
        return self._estimate(values, float(self.error(values)), rounding)

    def corrected(self, values: Array, rounding: float = 0.0) -> Estimate:
        """The mean of values ``[K]`` with an error that knows that training sets overlap.

        ``sqrt((1/K + overlap) variance)`` (Nadeau & Bengio 2003, "Inference for the generalization error"); where folds
        do not count alike, with the sum of the squares of their shares for 1/K. Its test has E - 1 degrees of freedom.
        """
        if self.effective <= 1:
            return self._estimate(values, np.nan, rounding)
        squares = self.squares
        variance = float(self._spread(values)) / (1 - squares)
        return self._estimate(values, float(np.sqrt((squares + self.overlap) * variance)), rounding)

    def difference(self, first: Array, second: Array, rounding: float = 0.0) -> Estimate:
        """The mean of ``first - second``, scores ``[K]`` on the same folds, with its `corrected` error.

        Parameters
        ----------
        rounding
            Of what these are differences of, as gaps are of scores; their own is allowed for in any case.
        """
        return self.corrected(first - second, max(rounding, tolerance_of(first, second)))

    def _estimate(self, values: Array, error: float, rounding: float) -> Estimate:
        return Estimate(float(self.mean(values)), error, self.folds, self.effective - 1, rounding)

    def _spread(self, values: Array) -> Array:
        """``[...]`` mean squared deviations."""
        return self.mean((values - self.mean(values)) ** 2)
