"""Linear layers of many rows at once, with gradients that lie in memory as they are read.

The gradients that torch derives of a batched product are transposed views, which slow down every pass over them.
Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from regsearch.models.neural import one_pass


class Hidden(torch.autograd.Function):
    """``[R, B, in]`` to ``[R, B, out]``."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """``x @ weight' + bias`` with weights ``[R, out, in]`` and biases ``[R, out]``, or none."""
        ctx.save_for_backward(x, weight)
        if bias is None:
            return torch.bmm(x, weight.transpose(1, 2))
        return torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor | None]:
        """Gradients of the three inputs."""
        x, weight = ctx.saved_tensors
        above = torch.bmm(gradient, weight) if ctx.needs_input_grad[0] else None
        return above, torch.bmm(gradient.transpose(1, 2), x), gradient.sum(1) if ctx.needs_input_grad[2] else None


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


class ReluMLP(torch.autograd.Function):
    """A whole perceptron with rectified linear units ``[R, B, in]`` to ``[R, out, B]``, as one step of autograd.

    One node instead of three a layer: for small nets, keeping book of the nodes takes longer than their arithmetic.
    """

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, masks: Sequence[torch.Tensor | None], *weights: torch.Tensor
    ) -> torch.Tensor:
        """Layers of `weights` (a kernel and a bias each); `masks` are factors of what leaves the hidden ones."""
        hidden = [x]
        for mask, weight, bias in zip(masks, weights[::2], weights[1::2], strict=False):
            h = torch.baddbmm(bias[:, None], hidden[-1], weight.transpose(1, 2))
            if mask is None:
                h.relu_()
            elif _in_one_pass(h, mask):
                one_pass.rectify(h, mask)
            else:
                h.relu_().mul_(mask)
            hidden.append(h)
        ctx.save_for_backward(*weights[::2], *hidden)
        ctx.masks = masks
        return torch.baddbmm(weights[-1][:, :, None], weights[-2], hidden[-1].transpose(1, 2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the inputs, where they are wanted, and of the weights."""
        layers = len(ctx.masks) + 1
        kernels, hidden = ctx.saved_tensors[:layers], ctx.saved_tensors[layers:]
        found = [gradient.sum(2), torch.bmm(gradient, hidden[-1])]
        gradient = gradient.transpose(1, 2)
        for i in reversed(range(layers - 1)):
            gradient, mask = torch.bmm(gradient, kernels[i + 1]), ctx.masks[i]
            # what a mask zeroed has no gradient already, so that what is left of the unit tells whether it was active
            if mask is not None and _in_one_pass(gradient, mask):
                one_pass.rectify_back(gradient, hidden[i + 1], mask)
            else:
                gradient = gradient if mask is None else gradient.mul_(mask)
                gradient = torch.ops.aten.threshold_backward(gradient, hidden[i + 1], 0)
            found += [gradient.sum(1), torch.bmm(gradient.transpose(1, 2), hidden[i])]
        above = torch.bmm(gradient, kernels[0]) if ctx.needs_input_grad[0] else None
        return above, None, *reversed(found)


def _in_one_pass(h: torch.Tensor, mask: torch.Tensor) -> bool:
    """Whether each unit has a factor of its own, and a pass over both can be compiled."""
    return mask.shape == h.shape and mask.is_contiguous() and one_pass.serves(h)


class Normalised(torch.autograd.Function):
    """``[R, B, units]`` with mean 0 and variance 1 over the batch or the units, then scaled and shifted.

    torch's own variance along such axes is a scalar loop, and its gradient passes over the batch nine times.
    """

    @staticmethod
    def forward(
        ctx: Any, h: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, over: int, eps: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Also the mean and the variance, without correction; `over` is the axis, parameters are ``[R, 1, units]``."""
        mean = h.mean(over, keepdim=True)
        unit = h - mean
        var = unit.square().mean(over, keepdim=True)
        inverse = (var + eps).rsqrt_()
        ctx.save_for_backward(unit.mul_(inverse), inverse, weight)
        ctx.mark_non_differentiable(mean, var)
        ctx.over = over
        return torch.addcmul(bias, unit, weight), mean, var

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor, *_: Any) -> tuple[torch.Tensor | None, ...]:
        """Gradients of `h`, where it is wanted, and of the parameters."""
        unit, inverse, weight = ctx.saved_tensors
        along = gradient * unit
        of_weight, of_bias = along.sum(1, keepdim=True), gradient.sum(1, keepdim=True)
        above = None
        if ctx.needs_input_grad[0]:
            scaled = gradient * weight
            if ctx.over == 1:  # the sums are there already
                mean, slope = (total * (weight / gradient.shape[1]) for total in (of_bias, of_weight))
            else:
                mean, slope = scaled.mean(2, keepdim=True), along.mul_(weight).mean(2, keepdim=True)
            above = scaled.sub_(mean).addcmul_(unit, slope, value=-1).mul_(inverse)
        return above, of_weight, of_bias, None, None


linear: Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor] = Hidden.apply
relu_mlp: Callable[..., torch.Tensor] = ReluMLP.apply
normalised: Callable[..., tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = Normalised.apply
head: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor] = Head.apply
