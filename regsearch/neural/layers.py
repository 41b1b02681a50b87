"""Linear layers of many rows at once, with gradients that lie in memory as they are read.

The gradients that torch derives of a batched product are transposed views, which slow down every pass over them.
Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd.function import once_differentiable


class Hidden(torch.autograd.Function):
    """``[R, B, in]`` to ``[R, B, out]``."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """``x @ weight' + bias`` with weights ``[R, out, in]`` and biases ``[R, out]``."""
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor]:
        """Gradients of the three inputs."""
        x, weight = ctx.saved_tensors
        above = torch.bmm(gradient, weight) if ctx.needs_input_grad[0] else None
        return above, torch.bmm(gradient.transpose(1, 2), x), gradient.sum(1)


class Head(torch.autograd.Function):
    """``[R, B, in]`` to ``[R, out, B]``: outputs before samples, as a softmax is fastest across memory."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """``weight @ x' + bias`` with weights ``[R, out, in]`` and biases ``[R, out]``."""
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias[:, :, None], weight, x.transpose(1, 2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor]:
        """Gradients of the three inputs."""
        x, weight = ctx.saved_tensors
        above = torch.bmm(gradient.transpose(1, 2), weight) if ctx.needs_input_grad[0] else None
        return above, torch.bmm(gradient, x), gradient.sum(2)


linear: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor] = Hidden.apply
head: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor] = Head.apply
