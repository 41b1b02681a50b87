"""Snapshot ensembles: one training gives several nets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.technique import Columns, Numbers, ProblemInfo, Technique
from regsearch.space.domains import Between, Whole
from regsearch.space.tree import Choice, number, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Snapshots(Technique):
    """What counts is the mean of what several nets say: those at the ends of the last cycles (Huang et al. 2017).

    In each cycle the learning rate falls to zero along a cosine, then it starts anew; this stands in for `schedule=`.
    Probabilities, or numbers, are averaged. Within a cycle the weights as they are stand for those at its end. What is
    exported is all of these nets.

    Parameters
    ----------
    cycles
        How many there are until the horizon, the last epoch that training may come to; 0 is none.
    factor
        How much longer each cycle is than the one before it, 1 to 10.
    last
        How many nets count at most.
    """

    slots: ClassVar[tuple[str, ...]] = ("averaging",)
    replaces: ClassVar[tuple[str, ...]] = ("schedule",)
    cycles: Any = tunable(Whole(0), Choice(3, 5), off=0)
    factor: Any = tunable(Between(1.0, 10.0), 1.0)
    last: Any = tunable(Whole(1), 3)

    @classmethod
    def neutral(cls) -> Snapshots:
        return cls(0, 1.0, 1)

    def ends(self, horizon: int) -> tuple[float, ...]:
        """The epoch at which each cycle ends; where there is none, never."""
        factor, cycles = number(self.factor), range(1, round(number(self.cycles)) + 1)
        lengths = [k if factor == 1 else factor**k - 1 for k in cycles]
        return tuple(round(horizon * length / lengths[-1]) for length in lengths) or (math.inf,)

    def numbers(self, info: ProblemInfo) -> Numbers:
        return {"cycles": number(self.cycles), "last": number(self.last), "ends": self.ends(info.horizon)}

    @staticmethod
    def init_state(v: Columns, theta: torch.Tensor) -> None:
        rows, most = len(theta), int(v.last.max())
        v.kept = theta.new_zeros(rows, most, theta.shape[1])  # the latest first
        v.count = theta.new_zeros(rows)
        v.fresh = theta.new_zeros(rows)  # whether the latest is the weights as they are

    @staticmethod
    def on_rate(v: Columns, epoch: float | torch.Tensor, horizon: torch.Tensor) -> torch.Tensor:
        import torch

        start, stop = torch.zeros_like(horizon), horizon.clone()
        for end in v.ends.T:
            start = start.maximum(end.where(end <= epoch, 0.0))
            stop = stop.minimum(end.where(end > epoch, horizon))
        share = (epoch - start) / (stop - start).clamp(min=1)
        return ((1 + (math.pi * share).cos()) / 2).where(v.cycles > 0, 1.0)

    @staticmethod
    def on_epoch(v: Columns, theta: torch.Tensor, epoch: torch.Tensor, horizon: torch.Tensor) -> None:
        due = (v.ends == epoch[:, None]).any(1)
        v.fresh.copy_(due)
        v.count += v.fresh
        if bool(due.any()):
            of_rows = due[:, None]
            v.kept[:, 1:] = v.kept[:, :-1].clone().where(of_rows[:, None], v.kept[:, 1:])
            v.kept[:, 0] = theta.where(of_rows, v.kept[:, 0])

    @staticmethod
    def on_members(v: Columns, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        fresh = v.fresh.bool()[:, None, None]
        before = torch.cat([v.kept[:, 1:], v.kept[:, :1]], 1).where(fresh, v.kept)
        members = torch.cat([theta[:, None], before], 1)
        return members, (1 + v.count - v.fresh).minimum(v.last).long()
