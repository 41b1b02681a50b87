"""L1: weights that matter little become exactly zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from regsearch.models.neural.penalty import WeightPenalty
from regsearch.space.domains import Between
from regsearch.space.tree import Float, number, tunable


@dataclass(frozen=True)
class L1Penalty(WeightPenalty):
    """``lambda * |w|_1`` (Tibshirani 1996), by proximal steps: zeros are exact."""

    kind: ClassVar[str] = "l1"
    lambda_: Any = tunable(
        Between(0.0, 1e3), Float(1e-6, 1e-1, log=True), off=0.0, weak=1e-5, usual=5.6e-5, strong=0.0032
    )

    def strengths(self) -> tuple[float, float]:
        return number(self.lambda_), 0.0
