"""The multilayer perceptron."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.network.architecture import (
    ACTIVATIONS,
    SidedArchitecture,
    activation,
    activation_layer,
    norm_of,
    normalise,
)
from regsearch.space.domains import OneOf, Sizes
from regsearch.space.tree import tunable

if TYPE_CHECKING:
    import torch
    from torch import nn

    from regsearch.models.neural.network.architecture import Forward, Views
    from regsearch.models.neural.network.hooks import HiddenHooks


@dataclass(frozen=True)
class MLP(SidedArchitecture):
    """Fully connected layers, an activation after each hidden one.

    Parameters
    ----------
    hidden
        Widths of the hidden layers.
    activation
        ``relu``, ``gelu``, ``silu`` or ``tanh``.
    dims
        What the axes of X mean where it is no table, as of `CNN`; a row is one list of numbers to this net, and scaled
        by channel.
    """

    kind: ClassVar[str] = "mlp"
    stacks: ClassVar[bool] = True
    hidden: Any = tunable(Sizes(), (64, 64))
    activation: Any = tunable(OneOf(ACTIVATIONS), "relu")

    def module(self, inputs: tuple[int, ...], outputs: int, norm: str) -> nn.Module:
        from torch import nn

        self.check_inputs(inputs)
        kinds = {"batch_norm": nn.BatchNorm1d, "layer_norm": nn.LayerNorm}
        layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        width = math.prod(inputs)
        for i, size in enumerate(self.hidden):
            layers[f"linear{i}"] = nn.Linear(width, size, bias=norm != "batch_norm")  # which takes any bias out again
            if norm:
                layers[f"norm{i}"] = kinds[norm](size)
            layers[f"hidden{i}"] = activation_layer(self.activation)
            width = size
        layers["out"] = nn.Linear(width, outputs)
        return nn.Sequential(layers)

    def hidden_layers(self, module: nn.Module) -> tuple[str, ...]:
        return tuple(f"hidden{i}" for i in range(len(self.hidden)))

    def forward(self, module: nn.Module) -> Forward:
        from regsearch.models.neural.network.layers import head, linear, relu_mlp

        norm, act, layers = norm_of(module), activation(self.activation), len(self.hidden)
        weights = [
            f"{name}.{kind}" for name in (*(f"linear{i}" for i in range(layers)), "out") for kind in ("weight", "bias")
        ]
        rectified = self.activation == "relu" and not norm

        def run(p: Views, x: torch.Tensor, hooks: HiddenHooks, training: bool) -> torch.Tensor:
            h = x.flatten(2).expand(len(p["out.weight"]), -1, -1)
            if rectified and training and not hooks.penalties:
                masks = [hooks.mask((h.shape[1], width), i) for i, width in enumerate(self.hidden)]
                return relu_mlp(h, masks, *(p[name] for name in weights))
            for i in range(layers):
                h = linear(h, p[f"linear{i}.weight"], p.get(f"linear{i}.bias"))
                h = hooks(act(normalise(p, f"norm{i}", norm, h, training)), i)
            return head(h, p["out.weight"], p["out.bias"])

        return run
