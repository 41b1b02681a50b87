"""Adam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from regsearch.models.neural import one_pass
from regsearch.models.neural.optimizer import Optimizer
from regsearch.models.neural.technique import Columns
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch

BETAS, EPS = (0.9, 0.999), 1e-8


@dataclass(frozen=True)
class Adam(Optimizer):
    """Steps go by running means of the gradient and of its square (Kingma and Ba 2015).

    It is what a net without `optimizer=` trains by. With `weight_decay=` it is AdamW (Loshchilov and Hutter 2019), with
    `weight_decay=CPR()` AdamCPR (Franke et al. 2024).

    Parameters
    ----------
    lr
        Learning rate.
    """

    lr: Any = tunable(Between(1e-8, 100.0), Float(1e-4, 1e-2, log=True), usual=1e-3)

    @staticmethod
    def init_state(v: Columns, theta: torch.Tensor) -> None:
        import torch

        v.first, v.second = torch.zeros_like(theta), torch.zeros_like(theta)

    @staticmethod
    def step(
        v: Columns, theta: torch.Tensor, gradient: torch.Tensor, lr: torch.Tensor, count: float | torch.Tensor
    ) -> torch.Tensor:
        import torch

        # what the means are divided by to be unbiased; of the second its root
        bias1, bias2 = 1 - BETAS[0] ** count, (1 - BETAS[1] ** count) ** 0.5
        if one_pass.serves(theta):
            rate, ones = torch.empty_like(theta), torch.ones_like(lr)
            scale, floor, factor = ((ones * one).flatten() for one in (lr * bias2, EPS * bias2, -1 / bias1))
            one_pass.adam_step(theta, v.first, v.second, gradient, rate, (scale, floor, factor), BETAS)
            return rate
        v.first.lerp_(gradient, 1 - BETAS[0])
        v.second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        scale = v.second.sqrt().add_(EPS * bias2)  # the rates take the rest: one pass over the rows less
        rate = torch.div(lr * bias2, scale, out=scale)
        if isinstance(bias1, float):
            theta.addcmul_(v.first, rate, value=-1 / bias1)
        else:
            theta.addcmul_(v.first / -bias1, rate)
        return rate
