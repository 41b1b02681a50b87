"""RAdam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from regsearch.models.neural.technique import Columns
from regsearch.models.neural.techniques.adam import BETAS, EPS, Adam
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch

LONGEST = 2 / (1 - BETAS[1]) - 1  # of the simple moving average that the mean of squares comes to


@dataclass(frozen=True)
class RAdam(Adam):
    """Adam whose first steps are not yet divided by the mean of squares, then by less of it (Liu et al. 2020).

    Parameters
    ----------
    lr
        Learning rate.
    """

    lr: Any = tunable(Between(1e-8, 100.0), Float(3e-4, 3e-2, log=True), usual=3e-3)

    @staticmethod
    def step(
        v: Columns, theta: torch.Tensor, gradient: torch.Tensor, lr: torch.Tensor, count: float | torch.Tensor
    ) -> torch.Tensor:
        import torch

        v.first.lerp_(gradient, 1 - BETAS[0])
        v.second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        count = torch.as_tensor(count, dtype=torch.float64, device=theta.device)
        left = BETAS[1] ** count
        length = LONGEST - 2 * count * left / (1 - left)
        adapts = length > 5
        rest = (length - 4) * (length - 2) * LONGEST / ((LONGEST - 4) * (LONGEST - 2) * length)
        factor = (rest.clamp(min=0) * (1 - left)).sqrt().to(theta.dtype)
        rate = torch.where(adapts, factor * lr / v.second.sqrt().add_(EPS), lr)
        theta.addcmul_(v.first / (1 - BETAS[0] ** count).to(theta.dtype), rate, value=-1)
        return rate
