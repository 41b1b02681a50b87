"""Layers of nets that stand side by side, one for each of m tasks; importing this module imports torch.

What leaves a layer is ``[B, m u]``: the u units of the first task, then those of the second, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class TaskLinear(nn.Linear):
    """A linear layer for each task, from its own units to its own."""

    def __init__(self, tasks: int, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, tasks * outputs, bias=bias)
        self.tasks = tasks

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[B, m in]`` to ``[B, m out]``."""
        bias = None if self.bias is None else self.bias[None]
        return task_linear(x[None], self.weight[None], bias, self.tasks)[0]


class TaskHeads(nn.Linear):
    """A last linear layer for each task, from its own units to its outputs, of which some task has more than one."""

    def __init__(self, inputs: int, heads: Sequence[int]) -> None:
        super().__init__(inputs, sum(heads))
        self.owners = owners_of(heads)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[B, m in]`` to ``[B, outputs]``."""
        return task_heads(x[None], self.weight[None], self.bias[None], self.owners)[0]


class StitchUnit(nn.Module):
    """What leaves a layer of each task becomes a learned mixture of what leaves those of all (Misra et al. 2016)."""

    def __init__(self, tasks: int) -> None:
        super().__init__()
        self.tasks = tasks
        self.alpha = nn.Parameter(torch.eye(tasks).flatten())  # flat: no kernel, so nothing decays it

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[B, m u]``."""
        return stitched(x[None], self.alpha[None], self.tasks)[0]


def task_linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, tasks: int) -> torch.Tensor:
    """``[R, B, m in]`` to ``[R, B, m out]``, with weights ``[R, m out, in]`` and biases ``[R, m out]``."""
    inputs = weight.shape[2]
    of_tasks = x.reshape(*x.shape[:2], tasks, inputs).transpose(1, 2)
    made = torch.matmul(of_tasks, weight.reshape(len(weight), tasks, -1, inputs).transpose(2, 3))
    out = made.transpose(1, 2).flatten(2)
    return out if bias is None else out + bias[:, None]


def owners_of(heads: Sequence[int]) -> tuple[int, ...]:
    """The task of each output."""
    return tuple(task for task, outputs in enumerate(heads) for _ in range(outputs))


def task_heads(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, owners: Sequence[int]) -> torch.Tensor:
    """``[R, B, m in]`` to ``[R, B, outputs]``, with weights ``[R, outputs, in]`` and biases ``[R, outputs]``."""
    tasks = max(owners) + 1
    of_tasks = x.reshape(*x.shape[:2], tasks, weight.shape[2])
    own = of_tasks[:, :, list(owners)]  # [R, B, outputs, in]
    return torch.einsum("rboi,roi->rbo", own.expand(len(weight), -1, -1, -1), weight) + bias[:, None]


def stitched(x: torch.Tensor, alpha: torch.Tensor, tasks: int) -> torch.Tensor:
    """``[R, B, m u]`` mixed by ``[R, m m]``."""
    of_tasks, shares = x.reshape(*x.shape[:2], tasks, -1), alpha.reshape(len(alpha), tasks, tasks)
    return torch.einsum("rts,rbsu->rbtu", shares, of_tasks).flatten(2)
