"""A learning rate that falls along a cosine again and again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.technique import Columns, Technique
from regsearch.space.domains import Between, Whole
from regsearch.space.tree import tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class CosineRestarts(Technique):
    """The learning rate falls and starts anew, each period `factor` times as long (Loshchilov and Hutter 2017).

    Parameters
    ----------
    first
        Epochs of the first period.
    factor
        1 to 10.
    depth
        How far it falls: 1 to zero, 0 not at all.
    """

    slots: ClassVar[tuple[str, ...]] = ("schedule",)
    regularizes: ClassVar[bool] = False
    first: Any = tunable(Whole(1), 15)
    factor: Any = tunable(Between(1.0, 10.0), 2.0)
    depth: Any = tunable(Between(0.0, 1.0), 1.0, off=0.0)

    @staticmethod
    def on_rate(v: Columns, epoch: float, horizon: torch.Tensor) -> torch.Tensor:
        import torch

        start, length = torch.zeros_like(v.first), v.first.clone()
        while bool((over := epoch >= start + length).any()):
            start = torch.where(over, start + length, start)
            length = torch.where(over, length * v.factor, length)
        return 1 - v.depth * (1 - (math.pi * (epoch - start) / length).cos()) / 2
