"""Lion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from regsearch.models.neural.optimizer import Optimizer
from regsearch.models.neural.technique import Columns
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch

BETAS, SQUARES, EPS = (0.9, 0.99), 0.999, 1e-12


@dataclass(frozen=True)
class Lion(Optimizer):
    """Every step has the sign of a running mean of the gradient, and one size (Chen et al. 2023).

    Its learning rate is a third to a tenth of Adam's, its `weight_decay` as much larger. A sign has no scale: for what
    a penalty of strength lambda is beside it, the running mean's own deviation s is followed, since what is small
    beside it moves the mean of its sign by ``sqrt(2 / pi) / s`` of itself.

    Parameters
    ----------
    lr
        Learning rate: how far each parameter moves in a step.
    """

    lr: Any = tunable(Between(1e-8, 100.0), Float(3e-5, 3e-3, log=True), usual=3e-4)

    @staticmethod
    def init_state(v: Columns, theta: torch.Tensor) -> None:
        import torch

        v.first, v.second = torch.zeros_like(theta), torch.zeros_like(theta)

    @staticmethod
    def step(
        v: Columns, theta: torch.Tensor, gradient: torch.Tensor, lr: torch.Tensor, count: float | torch.Tensor
    ) -> torch.Tensor:
        counting = v.first.lerp(gradient, 1 - BETAS[0])
        v.first.lerp_(gradient, 1 - BETAS[1])
        theta.addcmul_(counting.sign(), lr, value=-1)
        v.second.mul_(SQUARES).addcmul_(counting, counting, value=1 - SQUARES)
        deviation = (v.second / (1 - SQUARES**count)).sqrt_().clamp_(min=EPS)
        return lr * math.sqrt(2 / math.pi) / deviation
