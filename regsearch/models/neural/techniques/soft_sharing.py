"""Soft sharing of parameters between tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.sharing import TaskSharing
from regsearch.models.neural.technique import Columns, Numbers, ProblemInfo
from regsearch.space.domains import Between
from regsearch.space.tree import Float, number, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class SoftSharing(TaskSharing):
    """Each target has a net of its own, and these nets are kept near one another (Duong et al. 2015).

    Penalised is ``lambda / 2`` times the squared distance of each task's kernels, but for the last layer, from their
    mean over tasks, by a proximal step as the other penalties are.

    Parameters
    ----------
    lambda_
        Strength; at 0 the nets know nothing of one another.
    """

    structural: ClassVar[bool] = True
    towers: ClassVar[bool] = True
    acts_on: ClassVar[str] = "[lo]*.weight"  # linear0, linear1, ... and out, which is left alone
    lambda_: Any = tunable(Between(0.0, 1e6), Float(1e-3, 10.0, log=True), off=0.0)

    def numbers(self, info: ProblemInfo) -> Numbers:
        return {"lambda_": number(self.lambda_), "tasks": tuple(range(info.targets))}

    @staticmethod
    def on_stepped(v: Columns, theta: torch.Tensor, rate: torch.Tensor) -> None:
        kernels, tasks = v.part.params[:-1], v.tasks.shape[1]
        for kernel in kernels:
            w, moved = (kernel.view(one).view(len(theta), tasks, -1) for one in (theta, rate))
            pull = moved * v.lambda_.view(-1, *[1] * (moved.dim() - 1))
            w.sub_((w - w.mean(1, keepdim=True)) * (pull / (1 + pull)))
