"""Max-norm: the weights into a neuron stay inside a ball."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.technique import Columns, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class MaxNorm(Technique):
    """After each step the weights into a neuron are scaled back to a norm of at most `limit` (Srebro et al. 2005)."""

    slots: ClassVar[tuple[str, ...]] = ("max_norm",)
    main: ClassVar[str] = "limit"
    limit: Any = tunable(Between(1e-6, 1e6), Float(0.5, 5.0), off=math.inf, weak=4.1, usual=3.4, strong=0.95)

    @staticmethod
    def on_stepped(v: Columns, theta: torch.Tensor, rate: torch.Tensor) -> None:
        import torch

        for kernel in v.part.params:
            w = kernel.view(theta).flatten(2)
            norm = torch.linalg.vector_norm(w, dim=2, keepdim=True)
            w.mul_((v.limit[:, None, None] / norm).clamp_(max=1))
