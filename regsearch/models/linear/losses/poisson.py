"""Counts: the Poisson deviance with a log link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.log_link import LogLinked, check_not_negative, times_log
from regsearch.models.linear.sample import Sample


@dataclass(frozen=True)
class Poisson(LogLinked):
    """Poisson regression of counts and rates, ``mu - y log mu``, where the decision is ``log mu``."""

    @property
    def variance_power(self) -> float:
        return 1.0

    @property
    def scoring(self) -> str:
        return "neg_mean_poisson_deviance"

    def check_target(self, y: Array) -> None:
        check_not_negative(y, "Poisson")

    def sample(self, y: Array, weights: Array) -> Sample:
        from regsearch.models.linear.counts import CountSample

        return CountSample(self, y, weights)

    def sample_beside(self, y: Array, weights: Array, offset: Array) -> Sample:
        from regsearch.models.linear.counts import CountSample

        return CountSample(self, y, weights, offset)

    def _parts(self, eta: Array, y: Array) -> tuple[Array, Array]:
        return y, np.exp(eta)

    def _loss(self, eta: Array, y: Array, seen: Array, expected: Array) -> Array:
        return np.asarray(expected - y * eta + times_log(y) - y)

    def bent(self, eta: Array, y: Array, residual: Array) -> Array:
        return np.maximum(y - residual, 0.0)

    def dual(self, residual: Array, y: Array) -> Array:
        mean = np.maximum(y - residual, 0.0)
        return np.asarray(mean - times_log(mean) + times_log(y) - y)

    def reached(self, residual: Array, y: Array) -> bool:
        return bool((residual <= y).all())

    def estimator(self, lambda_: float, l1_ratio: float, n: float) -> Any:
        from sklearn.linear_model import PoissonRegressor

        return PoissonRegressor(alpha=lambda_ * (1 - l1_ratio), solver="newton-cholesky", tol=1e-8, max_iter=1000)
