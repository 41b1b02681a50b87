"""Stochastic weight averaging."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.technique import Columns, Numbers, ProblemInfo, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, number, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class SWA(Technique):
    """What counts is the mean of the weights after each of the last epochs (Izmailov et al. 2018).

    Running statistics of batch normalisation, which no average of weights goes with, are computed anew from the
    training rows whenever the mean is evaluated.

    Parameters
    ----------
    swa_start
        From which part of all epochs on; 1 is never.
    """

    slots: ClassVar[tuple[str, ...]] = ("averaging",)
    swa_start: Any = tunable(Between(0.0, 1.0), Float(0.5, 0.9), off=1.0, weak=0.85, usual=0.75, strong=0.55)

    def first(self, horizon: int) -> float:
        """The epoch after which weights count."""
        share = number(self.swa_start)
        return math.inf if share == 1 else math.floor(share * horizon)

    def numbers(self, info: ProblemInfo) -> Numbers:
        return {"first": self.first(info.horizon)}

    @staticmethod
    def init_state(v: Columns, theta: torch.Tensor) -> None:
        v.mean = theta.clone()
        v.count = theta.new_zeros(len(theta))

    @staticmethod
    def on_epoch(v: Columns, theta: torch.Tensor, epoch: torch.Tensor, horizon: torch.Tensor) -> None:
        counts = epoch > v.first
        v.count += counts
        share = counts / v.count.clamp(min=1)
        v.mean.lerp_(theta, share[:, None].to(theta.dtype))

    @staticmethod
    def on_evaluate(v: Columns, theta: torch.Tensor) -> torch.Tensor:
        return v.mean.where(v.count[:, None] > 0, theta)

    @staticmethod
    def on_statistics(v: Columns) -> torch.Tensor:
        return v.count > 0
