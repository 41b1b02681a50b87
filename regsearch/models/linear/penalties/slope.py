"""SLOPE: the larger a coefficient among the others, the larger its penalty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch._types import Array
from regsearch.models.linear.penalty import Penalty
from regsearch.space.domains import Between
from regsearch.space.tree import Float, number, tunable

if TYPE_CHECKING:
    from regsearch.models.linear.sorted_terms import SortedTerms


@dataclass(frozen=True)
class SLOPE(Penalty):
    """SLOPE, ``lambda sum_i l_i |w|_(i)``, the weights l controlling a false discovery rate q (Bogdan et al. 2015).

    The largest coefficient weighs 1, the others less the larger q is. Columns that correlate get one size.
    """

    plain: ClassVar[bool] = False
    l1_ratio: ClassVar[float] = 1.0
    q: Any = tunable(Between(1e-6, 1), Float(0.01, 0.5, log=True), usual=0.1)

    def terms(self, initial: Callable[[], Array]) -> SortedTerms:
        from regsearch.models.linear.sorted_terms import SortedTerms

        return SortedTerms(number(self.q))
