"""Weight decay by constraint."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.technique import Columns, Technique
from regsearch.space.domains import Between, Whole
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch

TINY = 1e-30  # of a mean square: no bound is 0, and infinitely many times one that is 0 is no number


@dataclass(frozen=True)
class CPR(Technique):
    """Each kernel shrinks only while its mean square is above a bound, as long as it takes (Franke et al. 2024).

    The mean square is kept below the bound by an augmented Lagrangian: after each step the multiplier of a kernel moves
    by how far it is above, or below, and the kernel shrinks by twice its multiplier.

    Parameters
    ----------
    kappa
        The bound, in mean squares of the kernel after `warm_up` steps.
    warm_up
        Steps that are free; with none, the bound is a multiple of what the kernel started with.
    """

    slots: ClassVar[tuple[str, ...]] = ("weight_decay",)
    kappa: Any = tunable(Between(0.0, 1e6), Float(0.5, 8.0, log=True), off=math.inf, weak=6.0, usual=2.0, strong=0.6)
    warm_up: Any = tunable(Whole(0), 0)

    @classmethod
    def neutral(cls) -> CPR:
        return cls(math.inf, 0)

    @staticmethod
    def init_state(v: Columns, theta: torch.Tensor) -> None:
        squares = _mean_squares(v, theta)
        v.bound, v.multiplier = v.kappa[:, None] * squares, squares.new_zeros(squares.shape)
        v.taken = theta.new_zeros(len(theta))

    @staticmethod
    def on_stepped(v: Columns, theta: torch.Tensor, rate: torch.Tensor) -> None:
        import torch

        v.taken += 1
        squares, free = _mean_squares(v, theta), (v.taken <= v.warm_up)[:, None]
        v.bound.copy_(torch.where(free, v.kappa[:, None] * squares, v.bound))
        above = torch.where(free, 0.0, v.multiplier + squares - v.bound)
        v.multiplier.copy_(above.clamp_(min=0))
        shrinks = (1 - 2 * v.multiplier).clamp_(min=0)
        for i, kernel in enumerate(v.part.params):
            kernel.view(theta).flatten(1).mul_(shrinks[:, i : i + 1])


def _mean_squares(v: Columns, theta: torch.Tensor) -> torch.Tensor:
    """``[R, K]`` of the K kernels of rows ``[R, P]`` or longer."""
    import torch

    found = [kernel.view(theta).flatten(1).square().mean(1) for kernel in v.part.params]
    return torch.stack(found, 1).clamp_(min=TINY)
