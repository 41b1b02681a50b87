"""Relaxed lasso: columns by the lasso, coefficients shrunk less."""

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
class RelaxedLasso(Penalty):
    """Relaxed lasso: columns are those of ``lambda |w|_1``, coefficients between its own and theirs without it.

    ``relax`` is how far they go from the first, at 0, to the second, at 1 (Hastie, Tibshirani & Tibshirani 2020).
    Where the lasso has several solutions, as with classes and the columns of a category, the second is the fit on the
    columns of the solution that was found, and another's differs; a relaxed elastic net has one.
    """

    plain: ClassVar[bool] = False
    l1_ratio: ClassVar[float] = 1.0
    relax: Any = tunable(Between(0, 1), Float(0.0, 1.0), off=0.0)

    def terms(self, initial: Callable[[], Array]) -> RelaxedTerms:
        return RelaxedTerms(Terms(np.ones(1), 0.0), number(self.relax))
