"""Several nets as one: the mean of what they say. S nets.

Of classes it is the mean of probabilities, given as what nets return, log-odds or logits, so that whoever reads a net's
outputs need not know how many nets there are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from regsearch._types import Task


def mean_output(out: torch.Tensor, task: Task, nets: int, outputs: int) -> torch.Tensor:
    """The output of nets together, without the axis of nets.

    Parameters
    ----------
    out
        What each returns, with an axis of S nets and one of m outputs.
    nets, outputs
        Which axes these are.
    """
    if task == "regression":
        return out.mean(nets)
    if task == "binary":
        return functional.logsigmoid(out).logsumexp(nets) - functional.logsigmoid(-out).logsumexp(nets)
    return out.log_softmax(outputs).logsumexp(nets)


class MeanNet(nn.Module):
    """Nets whose mean counts, as a plain module.

    Parameters
    ----------
    nets
        Each from ``[B, *inputs]`` to ``[B, m]``.
    task
        What kind of outputs these are.
    """

    def __init__(self, nets: Sequence[nn.Module], task: Task) -> None:
        super().__init__()
        self.nets, self.task = nn.ModuleList(nets), task

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[B, m]``."""
        return mean_output(torch.stack([net(x) for net in self.nets]), self.task, 0, 2)
