"""Adaptive elastic net: L1 with a weight for each column, and L2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.penalty import Penalty, Terms, adaptive_weights
from regsearch.space.domains import Between
from regsearch.space.tree import Float, number, tunable


@dataclass(frozen=True)
class AdaptiveElasticNet(Penalty):
    """Adaptive elastic net: adaptive weights on the L1 part only (Zou & Zhang 2009)."""

    plain: ClassVar[bool] = False
    by_column: ClassVar[bool] = True
    derived: ClassVar[tuple[str, ...]] = ()
    l1_ratio: Any = tunable(Between(0, 1), Float(0.05, 0.95))
    gamma: Any = tunable(Between(0, 10), Float(0.5, 2.0), off=0.0)

    def terms(self, initial: Callable[[], Array]) -> Terms:
        l1_ratio = number(self.l1_ratio)
        if l1_ratio == 0:  # ridge; the weights have nothing to weigh
            return Terms(np.zeros(1), 1.0)
        return Terms(l1_ratio * adaptive_weights(initial(), number(self.gamma)), 1.0 - l1_ratio)
