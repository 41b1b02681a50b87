"""Group lasso: the columns of a group are in use together or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from regsearch._types import Array
from regsearch.models.linear.groups import ColumnGroups, GroupTerms
from regsearch.models.linear.penalty import Penalty
from regsearch.space.tree import tunable


@dataclass(frozen=True)
class GroupLasso(Penalty):
    """Group lasso, ``lambda sum_g sqrt(d_g) |w_g|_2`` over groups of d_g coefficients (Yuan & Lin 2006).

    By default the one-hot columns of a category are a group, and any other column is one by itself. `groups` names
    others: ``{"blood": ["bp", "glucose"]}``. Of several classes, a group is of the coefficients of all.
    """

    plain: ClassVar[bool] = False
    l1_ratio: ClassVar[float] = 1.0
    groups: Any = tunable(ColumnGroups(), None)

    def names(self) -> tuple[str, ...]:
        return tuple(name for _, names in self.groups or () for name in names)

    def terms(self, initial: Callable[[], Array]) -> GroupTerms:
        return GroupTerms(0.0, self.groups)
