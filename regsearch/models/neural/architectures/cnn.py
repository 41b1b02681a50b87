"""The convolutional net."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.errors import InvalidInput
from regsearch.models.neural.network.architecture import (
    ACTIVATIONS,
    EPS,
    MOMENTUM,
    ROWS,
    SidedArchitecture,
    activation,
    activation_layer,
    norm_of,
)
from regsearch.space.domains import OneOf, Sizes, Whole
from regsearch.space.tree import tunable

if TYPE_CHECKING:
    import torch
    from torch import nn

    from regsearch.models.neural.network.architecture import Forward, Views
    from regsearch.models.neural.network.hooks import HiddenHooks


@dataclass(frozen=True)
class CNN(SidedArchitecture):
    """Convolutions, each with a pooling by 2 and an activation, then one linear layer.

    Convolutions gain nothing from being stacked on a CPU: rows train one by one, in a process per core.

    Parameters
    ----------
    channels
        Of each convolution.
    kernel
        Width of the convolutions, odd.
    activation
        ``relu``, ``gelu``, ``silu`` or ``tanh``.
    dims
        Axes that a convolution goes along: 1 for sequences, X ``[n, channels, length]``; 2 for images,
        ``[n, channels, height, width]``; 3 for volumes, ``[n, channels, depth, height, width]``. Images and volumes of
        one channel need no axis for it.
    """

    kind: ClassVar[str] = "cnn"
    channels: Any = tunable(Sizes(), (16, 32))
    kernel: Any = tunable(Whole(1), 3)
    activation: Any = tunable(OneOf(ACTIVATIONS), "relu")

    def module(self, inputs: tuple[int, ...], outputs: int, norm: str) -> nn.Module:
        from torch import nn

        self.check_inputs(inputs)
        channels, *sides = inputs
        Convolution, Norm, Pooling = (getattr(nn, f"{name}{self.dims}d") for name in ("Conv", "BatchNorm", "MaxPool"))
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for i, size in enumerate(self.channels):
            if min(sides) < 2:
                raise InvalidInput(
                    f"Each convolution halves every side, got {len(self.channels)} for "
                    f"{'x'.join(map(str, inputs[1:]))}; use fewer channels."
                )
            # batch normalisation takes any bias out again
            layers[f"conv{i}"] = Convolution(
                channels, size, self.kernel, padding=self.kernel // 2, bias=norm != "batch_norm"
            )
            if norm:
                layers[f"norm{i}"] = Norm(size) if norm == "batch_norm" else nn.GroupNorm(1, size)
            layers[f"pool{i}"] = Pooling(2)
            layers[f"hidden{i}"] = activation_layer(self.activation)
            channels = size
            # an even kernel pads one more than it takes
            sides = [(side + 1 - self.kernel % 2) // 2 for side in sides]
        layers["flatten"] = nn.Flatten()
        layers["out"] = nn.Linear(channels * math.prod(sides), outputs)
        return nn.Sequential(layers)

    def check_inputs(self, inputs: tuple[int, ...]) -> None:
        if len(inputs) == 1:
            raise InvalidInput(f"A CNN needs {ROWS[self.dims]}, got a table; use an MLP.")
        super().check_inputs(inputs)

    def hidden_layers(self, module: nn.Module) -> tuple[str, ...]:
        return tuple(f"hidden{i}" for i in range(len(self.channels)))

    def forward(self, module: nn.Module) -> Forward:
        from torch.nn import functional

        act, layers, convolved = activation(self.activation), len(self.channels), self.convolution(norm_of(module))

        def run(p: Views, x: torch.Tensor, hooks: HiddenHooks, training: bool) -> torch.Tensor:
            h = self.laid_out(x[0])
            for i in range(layers):
                h = hooks(act(convolved(p, h, "", i, training))[None], i)[0]
            return functional.linear(h.flatten(1), p["out.weight"][0], p["out.bias"][0]).T[None]

        return run

    def laid_out(self, x: torch.Tensor) -> torch.Tensor:
        """``[B, channels, *sides]`` with the channels of a place together: convolutions are twice as fast on it."""
        import torch

        order = {2: torch.channels_last, 3: torch.channels_last_3d}.get(self.dims)
        if order is None:
            return x
        if x.shape[1] == 1:  # contiguous in either order: torch goes by strides, which say the slow one
            return x.contiguous()[:, 0, ..., None].movedim(-1, 1)
        return x.contiguous(memory_format=order)

    def convolution(self, norm: str) -> Callable[[Views, torch.Tensor, str, int, bool], torch.Tensor]:
        """What a convolution, its norm and its pooling make of ``[B, channels, *sides]``.

        A function of parameters, what comes in, what stands in front of their names, the layer's number, and whether
        to train.
        """
        from torch.nn import functional

        convolve: Callable[..., torch.Tensor] = getattr(functional, f"conv{self.dims}d")
        pool, pad = getattr(functional, f"max_pool{self.dims}d"), self.kernel // 2

        def convolved(p: Views, h: torch.Tensor, at: str, i: int, training: bool) -> torch.Tensor:
            bias = p[f"{at}conv{i}.bias"][0] if norm != "batch_norm" else None
            h = convolve(h, p[f"{at}conv{i}.weight"][0], bias, padding=pad)
            pooled: torch.Tensor = pool(_normalised(p, f"{at}norm{i}", norm, h, training), 2)
            return pooled

        return convolved


def _normalised(p: Views, name: str, norm: str, h: torch.Tensor, training: bool) -> torch.Tensor:
    """Normalisation of ``[B, channels, *sides]``, by torch's own fast functions; `h` without a norm."""
    from torch.nn import functional

    if not norm:
        return h
    weight, bias = p[f"{name}.weight"][0], p[f"{name}.bias"][0]
    if norm == "layer_norm":
        return functional.group_norm(h, 1, weight, bias, EPS)
    mean, var = p[f"{name}.running_mean"][0], p[f"{name}.running_var"][0]
    return functional.batch_norm(h, mean, var, weight, bias, training, MOMENTUM, EPS)
