"""L2: all weights shrink towards zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from regsearch.models.neural.penalty import WeightPenalty
from regsearch.space.domains import Between
from regsearch.space.tree import Float, number, tunable


@dataclass(frozen=True)
class L2Penalty(WeightPenalty):
    """``lambda / 2 * |w|_2^2`` as part of the objective; `WeightDecay` is the decoupled form."""

    kind: ClassVar[str] = "l2"
    started_early: ClassVar[bool] = True
    lambda_: Any = tunable(
        Between(0.0, 1e3), Float(1e-6, 1e-1, log=True), off=0.0, weak=1e-5, usual=5.6e-5, strong=0.01
    )

    def strengths(self) -> tuple[float, float]:
        return 0.0, number(self.lambda_)
