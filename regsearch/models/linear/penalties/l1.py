"""L1: coefficients that matter little become exactly zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.penalty import Penalty, Terms


@dataclass(frozen=True)
class L1(Penalty):
    """Lasso, ``lambda |w|_1`` (Tibshirani 1996)."""

    l1_ratio: ClassVar[float] = 1.0

    def terms(self, initial: Callable[[], Array]) -> Terms:
        return Terms(np.ones(1), 0.0)
