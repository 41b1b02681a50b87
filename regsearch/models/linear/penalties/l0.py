"""L0: a price for every column in use, and no shrinkage but that of a ridge part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from regsearch._types import Array, Task
from regsearch.models.linear.counted import CountedTerms
from regsearch.models.linear.penalty import Penalty
from regsearch.space.domains import Between
from regsearch.space.tree import Float, number, tunable


@dataclass(frozen=True)
class L0(Penalty):
    """L0 with a ridge part, ``lambda (|w|_0 + ridge/2 |w|_2^2)``, by local search (Hazimeh & Mazumder 2020).

    For squared error alone: of another loss, every exchange of columns that is looked at would take a
    fit. Lambda is what a column has to lower the loss by to be in use.
    """

    plain: ClassVar[bool] = False
    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    other_losses: ClassVar[bool] = False
    l1_ratio: ClassVar[float] = 0.0
    ridge: Any = tunable(Between(0, 1e3), Float(1e-3, 10.0, log=True), off=0.0)

    @property
    def l2_share(self) -> Any:
        return self.ridge

    def terms(self, initial: Callable[[], Array]) -> CountedTerms:
        return CountedTerms(number(self.ridge))
