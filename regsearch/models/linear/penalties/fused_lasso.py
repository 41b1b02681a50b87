"""Fused lasso: neighbouring columns have equal coefficients, or none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch._types import Array, Task
from regsearch.models.linear.penalty import Penalty
from regsearch.space.domains import Between
from regsearch.space.tree import Float, number, tunable

if TYPE_CHECKING:
    from regsearch.models.linear.fused import FusedTerms


@dataclass(frozen=True)
class FusedLasso(Penalty):
    """Fused lasso, ``lambda (mix |w|_1 + (1 - mix) sum_j |w_{j+1} - w_j|)`` (Tibshirani et al. 2005).

    For columns in an order, such as times or wavelengths: that of X. Of a DataFrame, numbers come before booleans, and
    these before the columns of categories. Columns of one unit want ``scale="none"``. Not for several classes: what the
    coefficients of all of them could move by together, along a run of columns, is often not determined.
    """

    plain: ClassVar[bool] = False
    tasks: ClassVar[tuple[Task, ...]] = ("regression", "binary", "survival")
    l1_ratio: ClassVar[float] = 1.0
    mix: Any = tunable(Between(0.01, 1), Float(0.05, 0.95))

    def terms(self, initial: Callable[[], Array]) -> FusedTerms:
        from regsearch.models.linear.fused import FusedTerms

        return FusedTerms(number(self.mix))
