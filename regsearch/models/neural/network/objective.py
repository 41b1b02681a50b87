"""Which outputs of a net are those of which task, and what it is trained on there.

Shapes: n rows, m outputs, t tasks; of one task alone all outputs are its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from regsearch._types import Array, Rows, Task
from regsearch.data.problem import Problem
from regsearch.data.tasks import TargetTask, slices

if TYPE_CHECKING:
    import torch

Parts: TypeAlias = tuple[tuple[slice, Task], ...]  # outputs, and what they are


def parts_of(task: Task, tasks: Sequence[TargetTask]) -> Parts:
    """The outputs of each of several tasks, or of one."""
    if not tasks:
        return ((slice(None), task),)
    return tuple((part, one.task) for one, part in zip(tasks, slices(tasks), strict=True))


def encoded_targets(problem: Problem) -> Array:
    """``[m, n]``: one-hot classes, the second of two, or numbers."""
    if problem.tasks:
        return np.concatenate([_encoded(y, one.outputs) for y, one in zip(problem.y.T, problem.tasks, strict=True)])
    if problem.task == "multiclass":
        return _encoded(problem.y, int(problem.y.max()) + 1)
    return np.asarray(problem.y, dtype=float).reshape(problem.rows, -1).T


def _encoded(y: Array, outputs: int) -> Array:
    """``[outputs, n]`` of numbers or codes ``[n]``."""
    return np.eye(outputs)[:, y.astype(np.intp)] if outputs > 1 else np.asarray(y, dtype=float)[None]


def numeric_outputs(problem: Problem) -> Array:
    """``[m]``: which outputs are numbers, of a regression."""
    parts = [np.full(one.outputs, one.classes is None) for one in problem.tasks]
    return np.concatenate(parts) if parts else np.full(problem.outputs, problem.task == "regression")


def shares_of(problem: Problem, rows: Rows, weight: Array) -> Array | None:
    """``[t]``: what the loss of each task is multiplied by before they are added; `None` for one task.

    The best constant costs 1/2 of standardised numbers, and the entropy of classes of these; this is divided out, so
    that the best constant of every task costs 1/2, and the sum is the mean over tasks.

    Parameters
    ----------
    rows
        To train on, the constant is theirs.
    weight
        ``[len(rows)]`` of these.
    """
    if not problem.tasks:
        return None
    found = []
    for y, one in zip(problem.y[rows].T, problem.tasks, strict=True):
        if one.classes is None:
            found.append(1.0)
            continue
        mass = np.bincount(y.astype(np.intp), weight, minlength=len(one.classes))
        share = mass[mass > 0] / mass.sum()
        found.append(0.5 / max(float(-(share @ np.log(share))), 1e-6))
    return np.array(found) / len(found)


def on_each(parts: Parts, y: torch.Tensor, change: Callable[[torch.Tensor, Task], torch.Tensor]) -> torch.Tensor:
    """Targets ``[1 or R, m, B]`` as a function of a task's own makes them, task by task."""
    if len(parts) == 1:
        return change(y, parts[0][1])
    import torch

    made = [change(y[:, part], task) for part, task in parts]
    rows = max(len(one) for one in made)
    return torch.cat([one.expand(rows, -1, -1) for one in made], 1)
