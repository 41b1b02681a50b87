"""Adam for many rows: a handful of operations on flat rows ``[R, P]`` for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regsearch.models.neural.columns import ActiveTechniques

if TYPE_CHECKING:
    import torch

BETAS, EPS = (0.9, 0.999), 1e-8


@dataclass(frozen=True)
class Adam:
    """The optimizer of some rows (Kingma and Ba 2015).

    Attributes
    ----------
    first, second
        ``[R, P]``: running means of the gradient and of its square.
    """

    first: torch.Tensor
    second: torch.Tensor

    @classmethod
    def zeros_like(cls, theta: torch.Tensor) -> Adam:
        """At the start of rows ``[R, P]``."""
        import torch

        return cls(torch.zeros_like(theta), torch.zeros_like(theta))

    @classmethod
    def concatenate(cls, parts: Sequence[Adam]) -> Adam:
        """Of the rows of several, one after another."""
        import torch

        return cls(torch.cat([one.first for one in parts]), torch.cat([one.second for one in parts]))

    def take(self, index: torch.Tensor) -> Adam:
        """Of some rows, in this order."""
        return Adam(self.first[index], self.second[index])

    def step(
        self, theta: torch.Tensor, gradient: torch.Tensor, lr: torch.Tensor, count: float | torch.Tensor,
        techniques: ActiveTechniques,
    ) -> None:  # fmt: skip
        """Change rows ``[R, P]`` in place, with what techniques do before and after.

        Parameters
        ----------
        lr
            ``[R]``.
        count
            The number of this step from 1, or ``[R]``.
        """
        import torch

        lr, count = lr[:, None], count if isinstance(count, float) else count[:, None]
        # what the means are divided by to be unbiased; of the second its root
        bias1, bias2 = 1 - BETAS[0] ** count, (1 - BETAS[1] ** count) ** 0.5
        self.first.lerp_(gradient, 1 - BETAS[0])
        self.second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        for active in techniques.with_hook("on_step"):
            active.technique.on_step(active.v, theta, lr)
        scale = self.second.sqrt().add_(EPS * bias2)  # the rates take the rest: one pass over the rows less
        rate = torch.div(lr * bias2, scale, out=scale)
        if isinstance(bias1, float):
            theta.addcmul_(self.first, rate, value=-1 / bias1)
        else:
            theta.addcmul_(self.first / -bias1, rate)
        for active in techniques.with_hook("on_stepped"):
            active.technique.on_stepped(active.v, theta, rate)
