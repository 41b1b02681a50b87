"""Elastic net: L1 and L2 together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from regsearch.models.neural.penalty import WeightPenalty
from regsearch.models.neural.technique import Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, number, tunable


@dataclass(frozen=True)
class ElasticNetPenalty(WeightPenalty):
    """``lambda * (l1_ratio * |w|_1 + (1 - l1_ratio) / 2 * |w|_2^2)`` (Zou and Hastie 2005)."""

    kind: ClassVar[str] = "elastic_net"
    started_early: ClassVar[bool] = True
    lambda_: Any = tunable(
        Between(0.0, 1e3), Float(1e-6, 1e-1, log=True), off=0.0, weak=1e-5, usual=5.6e-5, strong=0.0032
    )
    l1_ratio: Any = tunable(Between(0.0, 1.0), Float(0.05, 0.95))

    @classmethod
    def neutral(cls) -> ElasticNetPenalty:
        return cls(0.0, 0.5)

    def parts(self) -> dict[str, Technique]:
        l1, l2 = self.strengths()
        return {"L1 part": ElasticNetPenalty(l2, 0.0), "L2 part": ElasticNetPenalty(l1, 1.0)} if l1 and l2 else {}

    def strengths(self) -> tuple[float, float]:
        lambda_, ratio = number(self.lambda_), number(self.l1_ratio)
        return lambda_ * ratio, lambda_ * (1 - ratio)
