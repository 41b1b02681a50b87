"""The text of nets of several tasks in a plain training loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from regsearch.export.code.loop import written
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


MERGED = '''

def merged(above, alike, least):
    """The first task of the branch of each, where branches merge as long as they are alike enough on average."""
    groups = [[task for task, first in enumerate(above) if first == one] for one in sorted(set(above))]
    mean = lambda a, b: float(alike[groups[a]][:, groups[b]].mean())
    while len(groups) > 1:
        a, b = max(((a, b) for a in range(len(groups)) for b in range(a + 1, len(groups))), key=lambda one: mean(*one))
        if mean(a, b) < least:
            break
        groups[a] = sorted(groups[a] + groups.pop(b))
    firsts = {task: group[0] for group in groups for task in group}
    return [firsts[task] for task in range(len(above))]
'''


def adaptive_sharing_lines(one: Any, tasks: int, hidden: Sequence[Sequence[str]], horizon: int) -> dict[str, str]:
    """The branches of tasks: towers of one have one gradient and one set of weights; layers are decided on in turn.

    Parameters
    ----------
    hidden
        The names of the parameters of each hidden layer.
    """
    layers = len(hidden)
    start = (
        f"hidden = [{', '.join(map(written, hidden))}]",
        f"branch, alike, samples = [[0] * {tasks} for _ in hidden], torch.zeros({tasks}, {tasks}, dtype=DTYPE), 0.0",
        f"towers = lambda name: weights[name].view({tasks}, -1)",
        "with torch.no_grad():", "    for name in (name for names in hidden for name in names):",
        "        towers(name).copy_(towers(name)[:1].expand_as(towers(name)).clone())",
    )  # fmt: skip
    note = (
        "errors = (out.detach() - t).square().T",
        "hard = (errors > (errors * w).sum(1, keepdim=True) / w.sum()).to(DTYPE)",
        "alike = alike + (hard * w) @ hard.T + ((1 - hard) * w) @ (1 - hard).T",
        "samples = samples + float(w.sum())",
    )
    each = ("for names, first in zip(hidden, branch):", "    for name in names:")
    gradient = (
        *each, f"        slope = weights[name].grad.view({tasks}, -1)",
        "        slope.copy_(torch.zeros_like(slope).index_add(0, torch.tensor(first), slope)[first])",
    )  # fmt: skip
    tied = ("with torch.no_grad():", *(f"    {line}" for line in each),
            "            towers(name).copy_(towers(name)[first])")  # fmt: skip
    due = one.due(layers, horizon)
    decide = (
        f"for layer in (one for one in reversed(range({layers})) if {due!r}[one] == epoch + 1):",
        f"    above = branch[layer + 1] if layer < {layers - 1} else range({tasks})",
        f"    branch[layer] = merged(above, alike / samples, {number(one.affinity)!r})",
        f"if epoch + 1 in {due!r}:", "    alike, samples = torch.zeros_like(alike), 0.0",
    )  # fmt: skip
    return {
        "helper": "merged", "before": "\n".join(start), "loss_lines": "\n".join(note), "gradient": "\n".join(gradient),
        "stepped": "\n".join(tied), "epoch_end": "\n".join(decide),
    }  # fmt: skip
