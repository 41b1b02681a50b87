"""Evaluating a moving average of the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.technique import Columns, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Choice, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Ema(Technique):
    """What counts is a moving average of the weights (Polyak and Juditsky 1992; Tarvainen and Valpola 2017).

    The decay starts small and rises to `decay`, so that the average is not held back by the random start.
    """

    slots: ClassVar[tuple[str, ...]] = ("averaging",)
    main: ClassVar[str] = "decay"
    decay: Any = tunable(Between(0.0, 0.99999), Choice(0.0, 0.9, 0.99, 0.999), off=0.0)

    @staticmethod
    def init_state(v: Columns, theta: torch.Tensor) -> None:
        v.mean = theta.clone()
        v.steps = theta.new_zeros(len(theta))

    @staticmethod
    def on_average(v: Columns, theta: torch.Tensor) -> None:
        v.steps += 1
        decay = v.decay.minimum((1 + v.steps) / (10 + v.steps))
        v.mean.lerp_(theta, (1 - decay)[:, None])

    @staticmethod
    def on_evaluate(v: Columns, theta: torch.Tensor) -> torch.Tensor:
        mean: torch.Tensor = v.mean
        return mean.where(v.decay[:, None] > 0, theta)
