"""Multi-task lasso: a column is in use for all targets or for none, and nothing else is asked of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from regsearch._types import Array, Task
from regsearch.models.linear.penalty import Penalty
from regsearch.models.linear.row_norms import RowTerms


@dataclass(frozen=True)
class MultiTaskLasso(Penalty):
    """Multi-task lasso, ``lambda sum_j |w_j|_2``, w_j the coefficients of a column for all targets (Yuan & Lin 2006).

    scikit-learn's ``MultiTaskLasso``. Of one target it is the lasso.
    """

    rowwise: ClassVar[bool] = True
    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    l1_ratio: ClassVar[float] = 1.0

    def terms(self, initial: Callable[[], Array]) -> RowTerms:
        return RowTerms(np.ones(1), np.zeros(1))
