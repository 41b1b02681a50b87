"""Multi-task elastic net: a column is in use for all targets or for none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from regsearch._types import Array, Task
from regsearch.models.linear.general import GeneralTerms
from regsearch.models.linear.penalty import Penalty, Terms
from regsearch.models.linear.row_norms import RowTerms
from regsearch.space.domains import Between
from regsearch.space.tree import Float, number, tunable


@dataclass(frozen=True)
class MultiTaskElasticNet(Penalty):
    """Multi-task elastic net, ``lambda sum_j (l1_ratio |w_j|_2 + (1 - l1_ratio)/2 |w_j|_2^2)`` (Obozinski et al. 2010).

    w_j are the coefficients of a column for all targets: scikit-learn's ``MultiTaskElasticNet``. Of one target it is
    elastic net.
    """

    derived: ClassVar[tuple[str, ...]] = ()
    rowwise: ClassVar[bool] = True
    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    l1_ratio: Any = tunable(Between(0, 1), Float(0.05, 0.95))

    def terms(self, initial: Callable[[], Array]) -> GeneralTerms:
        l1_ratio = number(self.l1_ratio)
        if not l1_ratio:
            return Terms(np.zeros(1), 1.0)
        return RowTerms(np.full(1, l1_ratio), np.full(1, 1.0 - l1_ratio))
