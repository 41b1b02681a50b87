"""Gradient clipping by its norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.technique import Columns, RandomNumbers, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch

EPS = 1e-6  # as in `torch.nn.utils.clip_grad_norm_`


@dataclass(frozen=True)
class GradientClipping(Technique):
    """A gradient longer than `norm` is scaled back to it (Pascanu et al. 2013)."""

    slots: ClassVar[tuple[str, ...]] = ("gradient_clipping",)
    main: ClassVar[str] = "norm"
    regularizes: ClassVar[bool] = False
    norm: Any = tunable(Between(1e-6, 1e6), Float(0.1, 10.0, log=True), off=math.inf)

    @staticmethod
    def on_gradient(v: Columns, gradient: torch.Tensor, theta: torch.Tensor, rng: RandomNumbers) -> None:
        length = gradient.norm(dim=1, keepdim=True).add_(EPS)
        gradient.mul_((v.norm[:, None] / length).clamp_(max=1))
