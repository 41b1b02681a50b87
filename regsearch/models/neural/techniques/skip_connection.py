"""Skip connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from regsearch.models.neural.technique import Technique


@dataclass(frozen=True)
class SkipConnection(Technique):
    """Hidden layers, but for the first, add to what comes in (He et al. 2016); see `ResidualMLP` and `ResidualCNN`."""

    slots: ClassVar[tuple[str, ...]] = ("skip",)
    structural: ClassVar[bool] = True
