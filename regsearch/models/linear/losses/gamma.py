"""Positive amounts: the gamma deviance with a log link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import xlogy

from regsearch._types import Array
from regsearch.errors import InvalidInput
from regsearch.models.linear.log_link import LogLinked


@dataclass(frozen=True)
class Gamma(LogLinked):
    """Gamma regression of positive amounts, ``log mu + y / mu``, where the decision is ``log mu``."""

    dispersed: ClassVar[bool] = True

    @property
    def variance_power(self) -> float:
        return 2.0

    @property
    def scoring(self) -> str:
        return "neg_mean_gamma_deviance"

    def check_target(self, y: Array) -> None:
        if y.min() <= 0:
            raise InvalidInput(
                f"The gamma loss needs targets above 0, got {y.min():g}; choose loss='tweedie', which takes zeros."
            )

    def _loss(self, eta: Array, y: Array, seen: Array, expected: Array) -> Array:
        return np.asarray(eta - np.log(y) + seen - 1)

    def bent(self, eta: Array, y: Array, residual: Array) -> Array:
        return np.maximum(1 + residual, 0.0)

    def dual(self, residual: Array, y: Array) -> Array:
        ratio = np.maximum(1 + residual, 0.0)  # y / mu
        return np.asarray(residual + residual * np.log(y) - xlogy(ratio, ratio))

    def estimator(self, lambda_: float, l1_ratio: float, n: float) -> Any:
        from sklearn.linear_model import GammaRegressor

        return GammaRegressor(alpha=lambda_ * (1 - l1_ratio), solver="newton-cholesky", tol=1e-8, max_iter=1000)
