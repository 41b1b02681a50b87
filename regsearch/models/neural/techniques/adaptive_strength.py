"""A strength that follows the distance of two losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.technique import Columns, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch

FARTHEST = 100.0  # times and parts of what a strength is said to be


@dataclass(frozen=True)
class AdaptiveStrength(Technique):
    """A strength rises while a net overfits and falls while it does not, up to a hundred times and to a hundredth.

    Some of a fold's training rows are not trained on. After each epoch the strength is multiplied by ``exp(gain *
    (distance - target))``, where the distance is ``(a - b) / (a + b)`` of the loss a on these rows and b on those that
    are trained on. Rows that score a trial have no part in it; a refit holds some of all rows out and does the same.
    What became of a strength is a curve along the path.

    Parameters
    ----------
    gain
        How fast.
    target
        The distance at which it stays: between -1 and 1, 0 where both losses are one.
    share
        Of the training rows, those that are not trained on; more, where early stopping holds out more.
    """

    slots: ClassVar[tuple[str, ...]] = ("dropout_schedule", "penalty_schedule", "weight_decay_schedule")
    structural: ClassVar[bool] = True
    structural_fields: ClassVar[tuple[str, ...]] = ("share",)
    gain: Any = tunable(Between(0.0, 10.0), Float(0.1, 3.0, log=True), off=0.0)
    target: Any = tunable(Between(-1.0, 1.0), 0.05)
    share: Any = tunable(Between(0.1, 0.5), 0.2)

    @classmethod
    def neutral(cls) -> AdaptiveStrength:
        return cls(0.0)

    def held_out(self) -> Any:
        return self.share if self.acting else 0.0

    @staticmethod
    def init_state(v: Columns, theta: torch.Tensor) -> None:
        v.factor = theta.new_ones(len(theta))

    @staticmethod
    def on_strength(v: Columns, epoch: float | torch.Tensor, horizon: torch.Tensor) -> torch.Tensor:
        factor: torch.Tensor = v.factor
        return factor

    @staticmethod
    def on_losses(v: Columns, train: torch.Tensor, inner: torch.Tensor) -> None:
        distance = (inner - train) / (inner + train).clamp(min=1e-12)
        moved = (v.gain * (distance - v.target)).exp()
        v.factor.mul_(moved.where(v.gain > 0, 1.0)).clamp_(1 / FARTHEST, FARTHEST)

    @staticmethod
    def on_record(v: Columns) -> torch.Tensor:
        factor: torch.Tensor = v.factor
        return factor
