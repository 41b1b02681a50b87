"""No penalty: the reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.penalty import Penalty, Terms


@dataclass(frozen=True)
class NoPenalty(Penalty):
    """No penalty: least squares or maximum likelihood, the reference that every study reports.

    With more columns than rows, or separable classes, it is the limit of ridge as lambda goes to zero.
    """

    kind: ClassVar[str] = "none"
    path: ClassVar[bool] = False
    l1_ratio: ClassVar[float] = 0.0

    def terms(self, initial: Callable[[], Array]) -> Terms:
        return Terms(np.zeros(1), 0.0)
