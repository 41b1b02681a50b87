"""The text of nets of several tasks in a plain training loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from regsearch.models.neural.techniques.task_relation import LEAST
from regsearch.space.tree import number

if TYPE_CHECKING:
    from torch import nn

TASKS = '''

class TaskLinear(nn.Linear):
    """A linear layer for each task, from its own units to its own."""

    def __init__(self, tasks, inputs, outputs, bias=True):
        super().__init__(inputs, tasks * outputs, bias=bias)
        self.tasks = tasks

    def forward(self, x):
        kernels = self.weight.view(self.tasks, -1, self.in_features)
        out = x.view(len(x), self.tasks, -1).transpose(0, 1) @ kernels.transpose(1, 2)
        out = out.transpose(0, 1).flatten(1)
        return out if self.bias is None else out + self.bias


class StitchUnit(nn.Module):
    """A learned mixture of what leaves a layer of each task."""

    def __init__(self, tasks, own):
        super().__init__()
        same = torch.eye(tasks, dtype=DTYPE)
        self.alpha = nn.Parameter((own * same + (1 - own) / (tasks - 1) * (1 - same)).flatten())
        self.tasks = tasks

    def forward(self, x):
        mixes = self.alpha.view(self.tasks, self.tasks)
        return torch.einsum("ts,bsu->btu", mixes, x.view(len(x), self.tasks, -1)).flatten(1)
'''


def layer_text(layer: nn.Module, sharing: Any) -> str:
    """The call that makes a layer, where it is one of a net of several tasks; empty for torch's own."""
    kind, tasks = type(layer).__name__, getattr(layer, "tasks", 0)
    if kind == "StitchUnit":
        return f"StitchUnit({tasks}, {number(sharing.own)!r})"
    if kind != "TaskLinear":
        return ""
    inputs, outputs, free = layer.in_features, layer.out_features, layer.bias is not None
    return f"TaskLinear({tasks}, {inputs}, {int(outputs) // tasks}, bias={free})"  # type: ignore[arg-type]


def soft_sharing_lines(one: Any, tasks: int) -> dict[str, str]:
    """The step of a penalty on the distance of the tasks' kernels from their mean."""
    lines = (
        "with torch.no_grad():", '    for name in (name for name in KERNELS if name.startswith("linear")):',
        f"        of_tasks = weights[name].view({tasks}, -1)",
        "        pull = metric(optimizer.state[weights[name]], lr).expand(weights[name].shape).reshape(of_tasks.shape)",
        f"        pull = pull * {number(one.lambda_)!r}",
        "        of_tasks -= (of_tasks - of_tasks.mean(0)) * (pull / (1 + pull))",
    )  # fmt: skip
    return {"helper": "metric", "stepped": "\n".join(lines)}


def task_relation_lines(one: Any, tasks: int) -> dict[str, str]:
    """The step of a penalty by the covariance of tasks, and the covariance after an epoch."""
    step = (
        "with torch.no_grad():", '    last = weights["out.weight"]',
        "    moved = metric(optimizer.state[last], lr).expand(last.shape).mean()",
        f"    shrinks = 1 / (1 + moved * {number(one.lambda_)!r} / variances)",
        "    last.copy_(directions @ (shrinks[:, None] * (directions.T @ last)))",
    )  # fmt: skip
    learn = (
        "with torch.no_grad():", '    last = weights["out.weight"]',
        "    squares, directions = torch.linalg.eigh(last @ last.T)", "    roots = squares.clamp(min=0).sqrt()",
        f"    variances = (roots / roots.mean().clamp(min=1e-12)).clamp(min={LEAST!r})",
    )  # fmt: skip
    return {
        "helper": "metric", "stepped": "\n".join(step), "epoch_end": "\n".join(learn),
        "before": f"directions, variances = torch.eye({tasks}, dtype=DTYPE), torch.ones({tasks}, dtype=DTYPE)",
    }  # fmt: skip
