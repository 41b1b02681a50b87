"""Decoupled weight decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.technique import Columns, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class WeightDecay(Technique):
    """Kernels shrink by ``lr * rate`` of themselves at each step (AdamW, Loshchilov and Hutter 2019)."""

    slots: ClassVar[tuple[str, ...]] = ("weight_decay",)
    main: ClassVar[str] = "rate"
    schedulable: ClassVar[bool] = True
    rate: Any = tunable(
        Between(0.0, 10.0), Float(1e-5, 1e-1, log=True), off=0.0, weak=6.3e-5, usual=2.5e-4, strong=0.04
    )

    @staticmethod
    def on_step(v: Columns, theta: torch.Tensor, lr: torch.Tensor) -> None:
        rate = v.rate_of()[:, None]
        for w in v.part.views(theta):
            w.mul_((1 - lr * rate).clamp(min=0))
