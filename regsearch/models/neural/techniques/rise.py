"""A strength that rises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.technique import Columns, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Rise(Technique):
    """The rate of dropout or weight decay, or a lambda, rises evenly to what it is said to be (Morerio et al. 2017).

    It gets there at the horizon: the last epoch that training may come to.

    Parameters
    ----------
    initial
        Which part of the rate training starts with.
    """

    slots: ClassVar[tuple[str, ...]] = ("dropout_schedule", "penalty_schedule", "weight_decay_schedule")
    initial: Any = tunable(Between(0.0, 1.0), Float(0.0, 0.5), off=1.0)

    @staticmethod
    def on_strength(v: Columns, epoch: float | torch.Tensor, horizon: torch.Tensor) -> torch.Tensor:
        return 1 - (1 - v.initial) * (1 - epoch / horizon)
