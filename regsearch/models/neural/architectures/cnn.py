"""The convolutional net."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
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

    Rows of a stack are convolved one after the other, as many at once are no quicker on a CPU; the rest goes together.

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
    stacks: ClassVar[bool] = True
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
            sides = [side // 2 for side in self._convolved(sides)]
        layers["flatten"] = nn.Flatten()
        layers["out"] = nn.Linear(channels * math.prod(sides), outputs)
        return nn.Sequential(layers)

    def _convolved(self, sides: Sequence[int]) -> list[int]:
        """The sides after a convolution: an even kernel pads one more than it takes."""
        return [side + 1 - self.kernel % 2 for side in sides]

    def places(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        sides, found = list(inputs[1:]), []
        for _ in self.channels:
            sides = self._convolved(sides)
            found.append(math.prod(sides))
            sides = [side // 2 for side in sides]
        return tuple(found)

    def check_inputs(self, inputs: tuple[int, ...]) -> None:
        if len(inputs) == 1:
            raise InvalidInput(f"A CNN needs {ROWS[self.dims]}, got a table; use an MLP.")
        super().check_inputs(inputs)

    def hidden_layers(self, module: nn.Module) -> tuple[str, ...]:
        return tuple(f"hidden{i}" for i in range(len(self.channels)))

    def forward(self, module: nn.Module) -> Forward:
        from regsearch.models.neural.network.layers import head

        act, layers, convolved = activation(self.activation), len(self.channels), self.convolution(norm_of(module))

        def run(p: Views, x: torch.Tensor, hooks: HiddenHooks, training: bool) -> torch.Tensor:
            h = x
            for i in range(layers):
                h = hooks(act(convolved(p, h, "", i, training)), i)
            return head(h.flatten(2), p["out.weight"], p["out.bias"])

        return run

    def laid_out(self, x: torch.Tensor) -> torch.Tensor:
        """``[B, channels, *sides]`` with the channels of a place together: pooling is many times faster on it."""
        import torch

        order = {2: torch.channels_last, 3: torch.channels_last_3d}.get(self.dims)
        if order is None:
            return x
        if x.shape[1] == 1:  # contiguous in either order: torch goes by strides, which say the slow one
            return x.contiguous()[:, 0, ..., None].movedim(-1, 1)
        return x.contiguous(memory_format=order)

    def convolution(self, norm: str) -> Callable[[Views, torch.Tensor, str, int, bool], torch.Tensor]:
        """What a convolution, its norm and its pooling make of ``[1 or R, B, channels, *sides]``.

        A function of parameters, what comes in, what stands in front of their names, the layer's number, and whether
        to train.
        """
        import torch
        from torch.nn import functional

        convolve: Callable[..., torch.Tensor] = getattr(functional, f"conv{self.dims}d")
        pool, pad = getattr(functional, f"max_pool{self.dims}d"), self.kernel // 2

        def convolved(p: Views, h: torch.Tensor, at: str, i: int, training: bool) -> torch.Tensor:
            weights = p[f"{at}conv{i}.weight"].unbind()
            biases = p[f"{at}conv{i}.bias"].unbind() if norm != "batch_norm" else [None] * len(weights)
            samples = [self.laid_out(one) for one in h.unbind()]
            samples = samples if len(h) > 1 else samples * len(weights)
            made = [convolve(*one, padding=pad) for one in zip(samples, weights, biases, strict=True)]
            if norm:
                made = [_normalised(p, f"{at}norm{i}", norm, one, training, r) for r, one in enumerate(made)]
            pooled: torch.Tensor = pool(torch.cat(made) if len(made) > 1 else made[0], 2)
            return pooled.view(len(weights), -1, *pooled.shape[1:])

        return convolved


def _normalised(p: Views, name: str, norm: str, h: torch.Tensor, training: bool, row: int) -> torch.Tensor:
    """Normalisation of ``[B, channels, *sides]`` of a row, by torch's own fast functions."""
    from torch.nn import functional

    weight, bias = p[f"{name}.weight"][row], p[f"{name}.bias"][row]
    if norm == "layer_norm":
        return functional.group_norm(h, 1, weight, bias, EPS)
    mean, var = p[f"{name}.running_mean"][row], p[f"{name}.running_var"][row]
    return functional.batch_norm(h, mean, var, weight, bias, training, MOMENTUM, EPS)
