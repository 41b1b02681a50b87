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
from regsearch.models.neural.network.objective import Parts


def mean_output(out: torch.Tensor, parts: Parts, nets: int, outputs: int) -> torch.Tensor:
    """The output of nets together, without the axis of nets.

    Parameters
    ----------
    out
        What each returns, with an axis of S nets and one of m outputs.
    parts
        Which outputs are those of which task.
    nets, outputs
        Which axes these are.
    """
    if len(parts) == 1:
        return _mean(out, parts[0][1], nets, outputs)
    split = (out.narrow(outputs, part.start, part.stop - part.start) for part, _ in parts)
    made = [_mean(one, task, nets, outputs) for one, (_, task) in zip(split, parts, strict=True)]
    return torch.cat(made, outputs - 1)  # the axis of nets, which came before, is gone


def _mean(out: torch.Tensor, task: Task, nets: int, outputs: int) -> torch.Tensor:
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
    parts
        Which outputs are those of which task.
    """

    def __init__(self, nets: Sequence[nn.Module], parts: Parts) -> None:
        super().__init__()
        self.nets, self.parts = nn.ModuleList(nets), parts

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[B, m]``."""
        return mean_output(torch.stack([net(x) for net in self.nets]), self.parts, 0, 2)
