"""Relaxed elastic net: columns by the elastic net, coefficients shrunk less."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.penalty import Penalty, Terms
from regsearch.models.linear.relaxed import RelaxedTerms
from regsearch.space.domains import Between
from regsearch.space.tree import Float, number, tunable


@dataclass(frozen=True)
class RelaxedElasticNet(Penalty):
    """Relaxed elastic net: columns are the elastic net's, coefficients between its own and theirs without it.

    ``relax`` is how far they go from the first, at 0, to the second, at 1 (Hastie, Tibshirani & Tibshirani 2020).
    """

    plain: ClassVar[bool] = False
    derived: ClassVar[tuple[str, ...]] = ()
    l1_ratio: Any = tunable(Between(1e-3, 1), Float(0.05, 0.95))
    relax: Any = tunable(Between(0, 1), Float(0.0, 1.0), off=0.0)

    def terms(self, initial: Callable[[], Array]) -> RelaxedTerms:
        return RelaxedTerms(Terms(np.full(1, number(self.l1_ratio)), 1.0 - number(self.l1_ratio)), number(self.relax))
