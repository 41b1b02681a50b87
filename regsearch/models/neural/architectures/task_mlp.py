"""Perceptrons side by side, one for each of several targets."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.errors import InvalidInput
from regsearch.models.neural.architectures.cnn import CNN
from regsearch.models.neural.architectures.mlp import MLP
from regsearch.models.neural.network.architecture import Architecture, activation, activation_layer, normalise
from regsearch.models.neural.sharing import TaskSharing
from regsearch.numeric import is_whole
from regsearch.space.domains import OneOf
from regsearch.space.tree import tunable

if TYPE_CHECKING:
    import torch
    from torch import nn

    from regsearch.models.neural.network.architecture import Forward, Views
    from regsearch.models.neural.network.hooks import HiddenHooks

MOST = 2**31  # outputs that no task reaches


@dataclass(frozen=True)
class TaskMLP(MLP):
    """An `MLP` for each target.

    Parameters
    ----------
    ties
        ``none``, or ``stitches`` that mix what leaves the hidden layers of all.
    heads
        How many outputs each task has, where some have more than one; else empty.
    """

    kind: ClassVar[str] = "task_mlp"
    ties: Any = tunable(OneOf(("none", "stitches")), "none")
    heads: Any = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        heads = tuple(self.heads) if isinstance(self.heads, (tuple, list)) else (None,)
        if not all(is_whole(one) and 0 < one < MOST for one in heads):
            raise InvalidInput(f"TaskMLP(heads=...) must be numbers of outputs, got {self.heads!r}.")
        object.__setattr__(self, "heads", heads)

    def on_tasks(self, heads: tuple[int, ...]) -> Architecture:
        return replace(self, heads=heads)

    def module(self, inputs: tuple[int, ...], outputs: int, norm: str) -> nn.Module:
        from torch import nn

        from regsearch.models.neural.task_layers import StitchUnit, TaskHeads, TaskLinear

        if self.heads and sum(self.heads) != outputs:
            raise InvalidInput(f"Tasks of {self.heads} outputs cannot have {outputs} in all.")
        if norm == "layer_norm":
            raise InvalidInput("Nets of several tasks take batch_norm: layer_norm would mix the tasks; leave it out.")
        layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        width, tasks = math.prod(inputs), len(self.heads) or outputs
        for i, size in enumerate(self.hidden):
            free = norm != "batch_norm"
            layers[f"linear{i}"] = (
                TaskLinear(tasks, width, size, bias=free) if i else nn.Linear(width, tasks * size, bias=free)
            )
            if norm:
                layers[f"norm{i}"] = nn.BatchNorm1d(tasks * size)
            layers[f"hidden{i}"] = activation_layer(self.activation)
            if self.ties == "stitches":
                layers[f"stitch{i}"] = StitchUnit(tasks)
            width = size
        layers["out"] = TaskHeads(width, self.heads) if self.heads else TaskLinear(tasks, width, 1)
        return nn.Sequential(layers)

    def forward(self, module: nn.Module) -> Forward:
        from regsearch.models.neural.network.layers import linear
        from regsearch.models.neural.task_layers import owners_of, stitched, task_heads, task_linear

        act, layers, mixes = activation(self.activation), len(self.hidden), self.ties == "stitches"
        norm, owners = "batch_norm" if hasattr(module, "norm0") else "", owners_of(self.heads)

        def run(p: Views, x: torch.Tensor, hooks: HiddenHooks, training: bool) -> torch.Tensor:
            rows, outputs = p["out.weight"].shape[:2]
            tasks = len(self.heads) or outputs
            h = x.flatten(2).expand(rows, -1, -1)
            for i in range(layers):
                weight, bias = p[f"linear{i}.weight"], p.get(f"linear{i}.bias")
                h = task_linear(h, weight, bias, tasks) if i else linear(h, weight, bias)
                h = hooks(act(normalise(p, f"norm{i}", norm, h, training)), i)
                h = stitched(h, p[f"stitch{i}.alpha"], tasks) if mixes else h
            last = p["out.weight"], p["out.bias"]
            return (task_heads(h, *last, owners) if owners else task_linear(h, *last, tasks)).transpose(1, 2)

        return run


def with_tasks(architecture: Architecture, sharing: TaskSharing) -> Architecture:
    """The architecture for tasks that share so.

    Raises
    ------
    InvalidInput
        When it cannot be that of several nets, or is the user's own.
    """
    if type(architecture) is MLP and sharing.towers:
        return TaskMLP(**architecture.fields(), ties="stitches" if sharing.stitched else "none")
    if sharing.towers or not isinstance(architecture, MLP | CNN):
        known = "an MLP" if sharing.towers else "an MLP or a CNN"
        raise InvalidInput(
            f"tasks={type(sharing).kind!r} is for {known}, got a {type(architecture).__name__}; leave it out."
        )
    return architecture
