"""Branches of tasks that are found while a net trains."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.sharing import TaskSharing
from regsearch.models.neural.technique import Columns, Numbers, ProblemInfo, RandomNumbers
from regsearch.space.domains import Between
from regsearch.space.tree import Float, number, tunable

if TYPE_CHECKING:
    import torch

    from regsearch.models.neural.layout import Param


@dataclass(frozen=True)
class AdaptiveSharing(TaskSharing):
    """All tasks begin on one path, which branches from the last hidden layer down while it trains (Lu et al. 2017).

    A layer is decided on after each equal part of the first `until` of the horizon, the last hidden one first. There
    the branches of the layer above stay together that are alike: in how many samples, by their weights, two tasks are
    both hard or both not, by whether their losses are above their means of the batch. Pairs are merged, the most alike
    first, for as long as their mean is `affinity` at least. A branch begins with the weights that it leaves.

    The shape of what is computed stays: each task has a tower, and towers of one branch have one gradient, the sum of
    theirs, and one set of weights. What reads gradients before that, as clipping and SAM do, reads each tower's own;
    dropout takes units of each, and batch norm keeps statistics of each. Complexity counts the towers of a branch once.
    Lu et al. weigh the number of branches against how alike they are by a cost of their own, where this has `affinity`.
    How many branches a hidden layer has on average is a curve along the path.

    Parameters
    ----------
    affinity
        In which share of the samples tasks of a branch must agree. At 0 they share all layers but the last for ever; at
        1 each has a net of its own from the start.
    until
        The share of the horizon after which the first hidden layer is decided on; not before the end of an epoch.
    """

    structural: ClassVar[bool] = True
    towers: ClassVar[bool] = True
    recorded: ClassVar[str] = "branches"
    acts_on: ClassVar[str] = "[ln]*[0-9].*"  # linear0.weight, norm0.bias, ...: of hidden layers
    affinity: Any = tunable(Between(0.0, 1.0), Float(0.5, 0.9), off=1.0)
    until: Any = tunable(Between(0.0, 1.0), 0.5)

    def numbers(self, info: ProblemInfo) -> Numbers:
        due = self.due(len(info.hidden_layers), info.horizon)
        return {"affinity": number(self.affinity), "due": due, "tasks": info.targets}

    def due(self, layers: int, horizon: int) -> tuple[int, ...]:
        """After which epoch each of so many hidden layers is decided on."""
        last = horizon * number(self.until)
        return tuple(max(1, math.ceil(last * (layers - layer) / layers)) for layer in range(layers))

    @staticmethod
    def init_state(v: Columns, theta: torch.Tensor) -> None:
        rows, tasks, layers = len(theta), round(float(v.tasks[0])), len({_layer(param) for param in v.part.params})
        alone = theta.new_ones(1, layers, 1) * _numbers(theta, tasks)
        v.branch = alone.where((v.affinity == 1)[:, None, None], 0.0).contiguous()  # the first task of each task's own
        v.alike, v.samples = theta.new_zeros(rows, tasks, tasks), theta.new_zeros(rows)

    @staticmethod
    def on_start(v: Columns, theta: torch.Tensor) -> None:
        for param in v.part.params:
            towers = _towers(v, param, theta)
            towers.copy_(towers[:, :1].expand_as(towers).where((v.affinity < 1)[:, None, None], towers))

    @staticmethod
    def on_errors(v: Columns, errors: torch.Tensor, weight: torch.Tensor) -> None:
        weight = weight[:, None]
        means = (errors * weight).sum(2, keepdim=True) / weight.sum(2, keepdim=True)
        hard = (errors > means).to(errors.dtype)
        easy = 1 - hard
        v.alike += (hard * weight) @ hard.transpose(1, 2) + (easy * weight) @ easy.transpose(1, 2)
        v.samples += weight.sum(2)[:, 0]

    @staticmethod
    def on_gradient(v: Columns, gradient: torch.Tensor, theta: torch.Tensor, rng: RandomNumbers) -> None:
        for param in v.part.params:
            towers, branch = _towers(v, param, gradient), _branch(v, param)
            sums = towers.new_zeros(towers.shape).scatter_add_(1, branch.expand_as(towers), towers)
            made = sums.gather(1, branch.expand_as(towers))
            towers.copy_(made.where((v.affinity < 1)[:, None, None], towers))

    @staticmethod
    def on_stepped(v: Columns, theta: torch.Tensor, rate: torch.Tensor) -> None:
        for param in v.part.params:
            towers, branch = _towers(v, param, theta), _branch(v, param)
            towers.copy_(towers.gather(1, branch.expand_as(towers)))

    @staticmethod
    def on_epoch(v: Columns, theta: torch.Tensor, epoch: torch.Tensor, horizon: torch.Tensor) -> None:
        layers = v.branch.shape[1]
        for row in (v.affinity < 1).nonzero()[:, 0].tolist():
            due = (v.due[row] == epoch[row]).nonzero()[:, 0].tolist()
            if not due:
                continue
            alike = (v.alike[row] / v.samples[row]).tolist()
            for layer in reversed(due):
                above = v.branch[row, layer + 1].tolist() if layer < layers - 1 else range(len(alike))
                v.branch[row, layer] = theta.new_tensor(_merged(above, alike, float(v.affinity[row])))
            v.alike[row], v.samples[row] = 0.0, 0.0

    @staticmethod
    def on_count(v: Columns, theta: torch.Tensor) -> torch.Tensor:
        counted = theta.clone()
        for param in v.part.params:
            towers = _towers(v, param, counted)
            for task in range(1, towers.shape[1]):
                copies = (towers[:, :task] == towers[:, task, None]).all(2).any(1)
                towers[:, task] *= ~copies[:, None]
        return counted

    @staticmethod
    def on_record(v: Columns) -> torch.Tensor:
        own = v.branch == _numbers(v.branch, v.branch.shape[2])
        return own.sum(2).to(v.branch.dtype).mean(1)


def _numbers(like: torch.Tensor, tasks: int) -> torch.Tensor:
    """``[t]``: 0, 1, 2, ..."""
    import torch

    return torch.arange(tasks, dtype=like.dtype, device=like.device)


def _layer(param: Param) -> int:
    """The number of a parameter's hidden layer."""
    return int(re.sub(r"\D", "", param.name.partition(".")[0]))


def _towers(v: Columns, param: Param, theta: torch.Tensor) -> torch.Tensor:
    """``[R, t, ...]``: a parameter of each task."""
    return param.view(theta).view(len(theta), v.branch.shape[2], -1)


def _branch(v: Columns, param: Param) -> torch.Tensor:
    """``[R, t, 1]``: the first task of the branch of each, in a parameter's layer."""
    branch: torch.Tensor = v.branch[:, _layer(param), :, None].long()
    return branch


def _merged(above: Sequence[float], alike: Sequence[Sequence[float]], least: float) -> list[float]:
    """The first task of the branch of each task, where branches merge as long as they are alike enough on average."""
    groups = [[task for task, first in enumerate(above) if first == one] for one in sorted(set(above))]

    def mean(pair: tuple[int, int]) -> float:
        one, other = (groups[place] for place in pair)
        return sum(alike[i][j] for i in one for j in other) / (len(one) * len(other))

    while len(groups) > 1:
        best = max(((i, j) for i in range(len(groups)) for j in range(i + 1, len(groups))), key=mean)
        if mean(best) < least:
            break
        groups[best[0]] = sorted(groups[best[0]] + groups.pop(best[1]))
    firsts = {task: float(group[0]) for group in groups for task in group}
    return [firsts[task] for task in range(len(above))]
