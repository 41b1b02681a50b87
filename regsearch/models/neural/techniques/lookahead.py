"""Lookahead: weights go back part of the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.technique import Columns, Technique
from regsearch.space.domains import Between, Whole
from regsearch.space.tree import Float, Int, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Lookahead(Technique):
    """Every few steps slow weights go part of the way to the fast ones, which go on from there (Zhang et al. 2019).

    What is evaluated are the fast weights.

    Parameters
    ----------
    slow_step
        Which part of the way.
    steps
        How many.
    """

    slots: ClassVar[tuple[str, ...]] = ("lookahead",)
    main: ClassVar[str] = "slow_step"
    slow_step: Any = tunable(Between(0.0, 1.0), Float(0.5, 0.8), off=1.0)
    steps: Any = tunable(Whole(1), Int(5, 10))

    @classmethod
    def neutral(cls) -> Lookahead:
        return cls(1.0, 5)

    @staticmethod
    def init_state(v: Columns, theta: torch.Tensor) -> None:
        v.slow = theta.clone()
        v.taken = theta.new_zeros(len(theta))

    @staticmethod
    def on_stepped(v: Columns, theta: torch.Tensor, rate: torch.Tensor) -> None:
        v.taken += 1
        due = (v.taken % v.steps == 0)[:, None]
        if not bool(due.any()):
            return
        slow = v.slow[:, : theta.shape[1]]
        slow.copy_(slow.lerp(theta, v.slow_step[:, None]).where(due, slow))
        theta.copy_(slow.where(due, theta))
