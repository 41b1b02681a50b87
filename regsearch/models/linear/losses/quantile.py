"""Quantiles: the pinball loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from regsearch._types import Array
from regsearch.models.linear.loss import Loss
from regsearch.models.linear.pinball import QuantileSample
from regsearch.models.linear.sample import Sample
from regsearch.space.domains import Between
from regsearch.space.tree import number, tunable


@dataclass(frozen=True)
class Quantile(Loss):
    """Quantile regression: ``q r`` of a residual above zero, ``(q - 1) r`` below (Koenker & Bassett 1978).

    Fits are exact, by an interior-point method, and certified as all are.

    Parameters
    ----------
    quantile
        q: the median by default.
    """

    quantile: Any = tunable(Between(0.001, 0.999), 0.5)
    likelihood: ClassVar[bool] = False
    shipped_ratio: ClassVar[float] = 1.0
    smooth: ClassVar[bool] = False

    @property
    def scoring(self) -> str:
        """That of the quantile; of one that is searched the absolute error."""
        fixed = isinstance(self.quantile, (int, float))
        return f"neg_mean_pinball_loss_{self.quantile:g}" if fixed else "neg_mean_absolute_error"

    def check_target(self, y: Array) -> None:
        """Any number will do."""

    def sample(self, y: Array, weights: Array) -> Sample:
        return QuantileSample(y, weights, number(self.quantile))

    def estimator(self, lambda_: float, l1_ratio: float, n: float) -> Any:
        from sklearn.linear_model import QuantileRegressor

        return QuantileRegressor(quantile=number(self.quantile), alpha=lambda_ * l1_ratio, solver="highs")
