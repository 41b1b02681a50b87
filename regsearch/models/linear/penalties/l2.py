"""L2: all coefficients shrink, none becomes zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.penalty import Penalty, Terms


@dataclass(frozen=True)
class L2(Penalty):
    """Ridge, ``lambda/2 |w|_2^2`` (Hoerl & Kennard 1970)."""

    l1_ratio: ClassVar[float] = 0.0
    started_early: ClassVar[bool] = True

    def terms(self, initial: Callable[[], Array]) -> Terms:
        return Terms(np.zeros(1), 1.0)
