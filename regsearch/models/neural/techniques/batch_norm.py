"""Batch normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from regsearch.models.neural.technique import Technique


@dataclass(frozen=True)
class BatchNorm(Technique):
    """Hidden layers are normalised over the batch (Ioffe and Szegedy 2015); running means serve evaluation."""

    slots: ClassVar[tuple[str, ...]] = ("norm",)
    structural: ClassVar[bool] = True
