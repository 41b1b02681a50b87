"""Adaptive lasso: L1 with a weight for each column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from regsearch._types import Array
from regsearch.models.linear.penalty import Penalty, Terms, adaptive_weights
from regsearch.space.domains import Between
from regsearch.space.tree import Float, number, tunable


@dataclass(frozen=True)
class AdaptiveLasso(Penalty):
    """Adaptive lasso, ``lambda sum_j |w_j| / |w_j^ridge|^gamma`` (Zou 2006).

    The weights come from a ridge fit inside each fold, relative to its mean size, so that lambda keeps its meaning.
    At ``gamma = 0`` it is the lasso.
    """

    plain: ClassVar[bool] = False
    by_column: ClassVar[bool] = True
    l1_ratio: ClassVar[float] = 1.0
    gamma: Any = tunable(Between(0, 10), Float(0.5, 2.0), off=0.0)

    def terms(self, initial: Callable[[], Array]) -> Terms:
        return Terms(adaptive_weights(initial(), number(self.gamma)), 0.0)
