"""Times to an event, some of them censored: the partial likelihood of proportional hazards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from regsearch._types import Array, Task
from regsearch.errors import InvalidInput
from regsearch.models.linear.loss import Loss
from regsearch.models.linear.partial_likelihood import CoxSample
from regsearch.models.linear.sample import Sample
from regsearch.space.domains import OneOf
from regsearch.space.tree import tunable


@dataclass(frozen=True)
class Cox(Loss):
    """Proportional hazards of ``(event, time)``, by the partial likelihood (Cox 1972); the decision is a log hazard.

    Parameters
    ----------
    ties
        Of events at one time: ``breslow``, where each has all rows at risk, as glmnet has it; or ``efron``, where half
        of them have happened on average. Weights of rows count as so many rows with the first alone.
    """

    ties: Any = tunable(OneOf(("breslow", "efron")), "breslow")
    task: ClassVar[Task] = "survival"
    shipped_ratio: ClassVar[float | None] = None

    @property
    def scoring(self) -> str:
        return "d2_cox"

    def check_target(self, y: Array) -> None:
        if not (y > 0).any():
            raise InvalidInput("The cox loss needs an event in every fold's training rows, got none; use fewer folds.")

    def sample(self, y: Array, weights: Array) -> Sample:
        return CoxSample(y, weights, self.ties == "efron")

    def sample_beside(self, y: Array, weights: Array, offset: Array) -> Sample:
        return CoxSample(y, weights, self.ties == "efron", offset)

    def spread(self, y: Array, weights: Array) -> float:
        return 1.0

    def estimator(self, lambda_: float, l1_ratio: float, n: float) -> Any:
        """scikit-learn has none: one of its linear models holds the coefficients, and predicts log hazards."""
        from sklearn.linear_model import LinearRegression

        return LinearRegression()
