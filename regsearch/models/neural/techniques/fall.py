"""A strength that falls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.technique import Columns, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Fall(Technique):
    """The rate of dropout or weight decay, or a lambda, falls evenly from what it is said to be (Rennie et al. 2014).

    Parameters
    ----------
    final
        Which part of the rate is left at the horizon: the last epoch that training may come to.
    """

    slots: ClassVar[tuple[str, ...]] = ("dropout_schedule", "penalty_schedule", "weight_decay_schedule")
    final: Any = tunable(Between(0.0, 1.0), Float(0.0, 0.5), off=1.0)

    @staticmethod
    def on_strength(v: Columns, epoch: float | torch.Tensor, horizon: torch.Tensor) -> torch.Tensor:
        return 1 - (1 - v.final) * (epoch / horizon)
