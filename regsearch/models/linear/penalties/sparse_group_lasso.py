"""Sparse group lasso: few groups of columns, and few columns of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from regsearch._types import Array
from regsearch.models.linear.groups import ColumnGroups, GroupTerms
from regsearch.models.linear.penalty import Penalty
from regsearch.space.domains import Between
from regsearch.space.tree import Float, number, tunable


@dataclass(frozen=True)
class SparseGroupLasso(Penalty):
    """Sparse group lasso, ``lambda (mix |w|_1 + (1 - mix) sum_g sqrt(d_g) |w_g|_2)`` (Simon et al. 2013).

    Groups are those of the group lasso, which it is at ``mix = 0``; at 1 it is the lasso.
    """

    plain: ClassVar[bool] = False
    l1_ratio: ClassVar[float] = 1.0
    mix: Any = tunable(Between(0, 1), Float(0.05, 0.95))
    groups: Any = tunable(ColumnGroups(), None)

    def names(self) -> tuple[str, ...]:
        return tuple(name for _, names in self.groups or () for name in names)

    def terms(self, initial: Callable[[], Array]) -> GroupTerms:
        return GroupTerms(number(self.mix), self.groups)
