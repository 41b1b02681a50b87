"""What an optimizer is: a step for many rows at once. R rows, P trainable parameters of a row.

Its moments are state as a technique's is: columns that `init_state` adds, which go along when rows come and go. What
the slots of a net do before and after a step is the same whatever the optimizer: penalties are proximal maps in its own
metric, which is how far a gradient that stays 1 moves a parameter in a step, and weight decay is decoupled.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.technique import Columns, Numbers, ProblemInfo, Technique

if TYPE_CHECKING:
    import torch


class Optimizer(Technique, abstract=True):
    """How a gradient moves parameters; `lr` is a field of every one, as the usual range is its own."""

    slots: ClassVar[tuple[str, ...]] = ("optimizer",)
    structural: ClassVar[bool] = True
    regularizes: ClassVar[bool] = False
    lr: Any

    def numbers(self, info: ProblemInfo) -> Numbers:
        """Of the step; the learning rate is that of a row, which schedules change."""
        return {}

    @staticmethod
    @abstractmethod
    def step(
        v: Columns, theta: torch.Tensor, gradient: torch.Tensor, lr: torch.Tensor, count: float | torch.Tensor
    ) -> torch.Tensor:
        """Move rows ``[R, P]`` in place.

        Parameters
        ----------
        lr
            ``[R, 1]``.
        count
            The number of this step from 1, or ``[R, 1]``.

        Returns
        -------
        ``[R, P]``: how far a gradient that stays 1 moves each parameter in a step.
        """
