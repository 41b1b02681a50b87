"""Elastic net: L1 and L2 together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.penalty import Penalty, Terms
from regsearch.space.domains import Between
from regsearch.space.tree import Float, number, tunable


@dataclass(frozen=True)
class ElasticNet(Penalty):
    """Elastic net, ``lambda (l1_ratio |w|_1 + (1 - l1_ratio)/2 |w|_2^2)`` (Zou & Hastie 2005)."""

    derived: ClassVar[tuple[str, ...]] = ()
    started_early: ClassVar[bool] = True
    l1_ratio: Any = tunable(Between(0, 1), Float(0.05, 0.95))

    def terms(self, initial: Callable[[], Array]) -> Terms:
        l1_ratio = number(self.l1_ratio)
        return Terms(np.full(1, l1_ratio), 1.0 - l1_ratio)
