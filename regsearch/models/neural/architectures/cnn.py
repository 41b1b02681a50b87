"""The convolutional net."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.errors import InvalidInput
from regsearch.models.neural.network.architecture import (
    ACTIVATIONS,
    EPS,
    MOMENTUM,
    Architecture,
    activation,
    activation_layer,
)
from regsearch.space.domains import OneOf, Sizes, Whole
from regsearch.space.tree import tunable

if TYPE_CHECKING:
    import torch
    from torch import nn

    from regsearch.models.neural.network.architecture import Forward, Views
    from regsearch.models.neural.network.hooks import HiddenHooks


@dataclass(frozen=True)
class CNN(Architecture):
    """Convolutions, each with a pooling by 2 and an activation, then one linear layer.

    Convolutions gain nothing from being stacked on a CPU: rows train one by one, a thread each.

    Parameters
    ----------
    channels
        Of each convolution.
    kernel
        Width of the convolutions, odd.
    activation
        ``relu``, ``gelu``, ``silu`` or ``tanh``.
    """

    kind: ClassVar[str] = "cnn"
    channels: Any = tunable(Sizes(), (16, 32))
    kernel: Any = tunable(Whole(1), 3)
    activation: Any = tunable(OneOf(ACTIVATIONS), "relu")

    def module(self, inputs: tuple[int, ...], outputs: int, norm: str) -> nn.Module:
        from torch import nn

        if len(inputs) != 3:
            raise InvalidInput("A CNN needs images [n, channels, height, width], got a table; use an MLP.")
        channels, height, width = inputs
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for i, size in enumerate(self.channels):
            if min(height, width) < 2:
                raise InvalidInput(
                    f"Each convolution halves the image, got {len(self.channels)} for {inputs[1]}x{inputs[2]}; "
                    "use fewer channels."
                )
            # batch normalisation takes any bias out again
            layers[f"conv{i}"] = nn.Conv2d(
                channels, size, self.kernel, padding=self.kernel // 2, bias=norm != "batch_norm"
            )
            if norm:
                layers[f"norm{i}"] = nn.BatchNorm2d(size) if norm == "batch_norm" else nn.GroupNorm(1, size)
            layers[f"pool{i}"] = nn.MaxPool2d(2)
            layers[f"hidden{i}"] = activation_layer(self.activation)
            channels = size
            # an even kernel pads one more than it takes
            height, width = ((edge + 1 - self.kernel % 2) // 2 for edge in (height, width))
        layers["flatten"] = nn.Flatten()
        layers["out"] = nn.Linear(channels * height * width, outputs)
        return nn.Sequential(layers)

    def hidden_layers(self, module: nn.Module) -> tuple[str, ...]:
        return tuple(f"hidden{i}" for i in range(len(self.channels)))

    def forward(self, module: nn.Module) -> Forward:
        norm = {"BatchNorm2d": "batch_norm", "GroupNorm": "layer_norm"}.get(
            type(getattr(module, "norm0", None)).__name__, ""
        )
        act, layers, pad = activation(self.activation), len(self.channels), self.kernel // 2

        def run(p: Views, x: torch.Tensor, hooks: HiddenHooks, training: bool) -> torch.Tensor:
            import torch
            from torch.nn import functional

            h = x[0].contiguous(memory_format=torch.channels_last)  # convolutions are twice as fast on it
            for i in range(layers):
                bias = p[f"conv{i}.bias"][0] if norm != "batch_norm" else None
                h = functional.conv2d(h, p[f"conv{i}.weight"][0], bias, padding=pad)
                h = functional.max_pool2d(normalise_images(p, f"norm{i}", norm, h, training), 2)
                h = hooks(act(h)[None], i)[0]
            return functional.linear(h.flatten(1), p["out.weight"][0], p["out.bias"][0]).T[None]

        return run


def normalise_images(p: Views, name: str, norm: str, h: torch.Tensor, training: bool) -> torch.Tensor:
    """Normalisation of ``[B, channels, height, width]``, by torch's own fast functions; `h` without a norm."""
    from torch.nn import functional

    if not norm:
        return h
    weight, bias = p[f"{name}.weight"][0], p[f"{name}.bias"][0]
    if norm == "layer_norm":
        return functional.group_norm(h, 1, weight, bias, EPS)
    mean, var = p[f"{name}.running_mean"][0], p[f"{name}.running_var"][0]
    return functional.batch_norm(h, mean, var, weight, bias, training, MOMENTUM, EPS)
