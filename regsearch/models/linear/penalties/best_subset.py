"""Best subset: every choice of few columns is looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from regsearch._types import Array, Task
from regsearch.models.linear.counted import EverySubsetTerms
from regsearch.models.linear.penalty import Penalty


@dataclass(frozen=True)
class BestSubset(Penalty):
    """Best subset, ``lambda |w|_0``, the least of all subsets of at most 15 columns: a reference.

    For squared error alone: of another loss, every subset would take a fit. Columns that are worth their price only
    together may be in use at the top of a path, where none alone is.
    """

    plain: ClassVar[bool] = False
    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    other_losses: ClassVar[bool] = False
    l1_ratio: ClassVar[float] = 0.0

    @property
    def l2_share(self) -> float:
        return 0.0

    def terms(self, initial: Callable[[], Array]) -> EverySubsetTerms:
        return EverySubsetTerms(0.0)
