"""A learning rate that falls along a cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.technique import Columns, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Cosine(Technique):
    """The learning rate falls from its start to ``1 - depth`` of it at the horizon (Loshchilov and Hutter 2017)."""

    slots: ClassVar[tuple[str, ...]] = ("schedule",)
    regularizes: ClassVar[bool] = False
    depth: Any = tunable(Between(0.0, 1.0), 1.0, off=0.0)

    @staticmethod
    def on_rate(v: Columns, epoch: float, horizon: torch.Tensor) -> torch.Tensor:
        return 1 - v.depth * (1 - (math.pi * epoch / horizon).cos()) / 2
