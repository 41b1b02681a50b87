"""Layer normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from regsearch.models.neural.technique import Technique


@dataclass(frozen=True)
class LayerNorm(Technique):
    """Hidden layers are normalised over the units of each sample (Ba et al. 2016)."""

    slots: ClassVar[tuple[str, ...]] = ("norm",)
    structural: ClassVar[bool] = True
