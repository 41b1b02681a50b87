"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from regsearch.models.neural.optimizer import Optimizer
from regsearch.models.neural.technique import Columns, Numbers, ProblemInfo
from regsearch.space.domains import Between, OneOf
from regsearch.space.tree import Float, number, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent with momentum (Polyak 1964; Nesterov 1983, as Sutskever et al. 2013 write it), as torch has it.

    A gradient that stays moves parameters ``1 / (1 - momentum)`` times as far as one step, and so does the
    `weight_decay` of `torch.optim.SGD`, which is part of the gradient. Penalties here move them as far, so that lambda
    means what it means in the objective. `WeightDecay` does not, as it is decoupled: its rate is that of torch divided
    by ``1 - momentum``.

    Parameters
    ----------
    lr
        Learning rate.
    momentum
        How much of the last step is in the next.
    form
        ``heavy_ball``, or ``nesterov``: the gradient counts as if taken where the momentum alone leads.
    """

    lr: Any = tunable(Between(1e-8, 100.0), Float(3e-3, 0.3, log=True), usual=0.03)
    momentum: Any = tunable(Between(0.0, 0.999), 0.9)
    form: Any = tunable(OneOf(("heavy_ball", "nesterov")), "heavy_ball")

    def numbers(self, info: ProblemInfo) -> Numbers:
        return {"momentum": number(self.momentum), "nesterov": float(self.form == "nesterov")}

    @staticmethod
    def init_state(v: Columns, theta: torch.Tensor) -> None:
        import torch

        v.velocity = torch.zeros_like(theta)

    @staticmethod
    def step(
        v: Columns, theta: torch.Tensor, gradient: torch.Tensor, lr: torch.Tensor, count: float | torch.Tensor
    ) -> torch.Tensor:
        momentum, nesterov = v.momentum[:, None], v.nesterov[:, None]
        v.velocity.mul_(momentum).add_(gradient)
        theta.addcmul_(v.velocity, lr * (1 - nesterov * (1 - momentum)), value=-1)
        theta.addcmul_(gradient, lr * nesterov, value=-1)
        return (lr / (1 - momentum)).expand_as(theta)
