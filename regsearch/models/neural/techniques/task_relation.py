"""Relations between tasks, learned with the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.sharing import TaskSharing
from regsearch.models.neural.technique import Columns
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch

LEAST = 0.01  # of a relation's variances, which are 1 on average


@dataclass(frozen=True)
class TaskRelation(TaskSharing):
    """The last layer's kernels W are penalised by ``lambda / 2 tr(W' C^-1 W)``, C the covariance of the tasks.

    C begins as the identity, where this is an L2 penalty, and after each epoch becomes what it is best for these
    kernels, ``(W W')^(1/2)`` with variances of 1 on average: tasks that are alike may grow together (Zhang and Yeung
    2010; of deep nets Long et al. 2017, here for the last layer).

    A task of more than two classes has a row of W for each: they are related one by one.

    Parameters
    ----------
    lambda_
        Strength.
    """

    acts_on: ClassVar[str] = "out.weight"
    lambda_: Any = tunable(Between(0.0, 1e6), Float(1e-5, 1e-1, log=True), off=0.0)

    @staticmethod
    def init_state(v: Columns, theta: torch.Tensor) -> None:
        import torch

        (kernel,) = v.part.params
        same = torch.eye(kernel.shape[0], dtype=theta.dtype, device=theta.device)
        v.directions, v.variances = same.repeat(len(theta), 1, 1), theta.new_ones(len(theta), kernel.shape[0])

    @staticmethod
    def on_stepped(v: Columns, theta: torch.Tensor, rate: torch.Tensor) -> None:
        (kernel,) = v.part.params
        w, moved = kernel.view(theta), kernel.view(rate).flatten(1).mean(1)
        shrinks = 1 / (1 + (moved * v.lambda_)[:, None] / v.variances)
        made = v.directions @ (shrinks[:, :, None] * (v.directions.transpose(1, 2) @ w))
        w.copy_(made.where(v.lambda_[:, None, None] > 0, w))

    @staticmethod
    def on_epoch(v: Columns, theta: torch.Tensor, epoch: torch.Tensor, horizon: torch.Tensor) -> None:
        import torch

        (kernel,) = v.part.params
        w = kernel.view(theta)
        squares, directions = torch.linalg.eigh(w @ w.transpose(1, 2))
        roots = squares.clamp(min=0).sqrt()
        variances = roots / roots.mean(1, keepdim=True).clamp(min=1e-12)
        v.directions.copy_(directions)
        v.variances.copy_(variances.clamp(min=LEAST))
