"""The multilayer perceptron."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.neural.architecture import ACTIVATIONS, Architecture, activation, activation_layer, normalise
from regsearch.tree import OneOf, Sizes, tunable

if TYPE_CHECKING:
    import torch
    from torch import nn

    from regsearch.neural.architecture import Forward, Site, Views


@dataclass(frozen=True)
class MLP(Architecture):
    """Fully connected layers, an activation after each hidden one.

    Parameters
    ----------
    hidden
        Widths of the hidden layers.
    activation
        ``relu``, ``gelu``, ``silu`` or ``tanh``.
    """

    kind: ClassVar[str] = "mlp"
    stacks: ClassVar[bool] = True
    hidden: Any = tunable(Sizes(), (64, 64))
    activation: Any = tunable(OneOf(ACTIVATIONS), "relu")

    def module(self, inputs: tuple[int, ...], outputs: int, norm: str) -> nn.Module:
        from torch import nn

        kinds = {"batch_norm": nn.BatchNorm1d, "layer_norm": nn.LayerNorm}
        layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        width = math.prod(inputs)
        for i, size in enumerate(self.hidden):
            layers[f"linear{i}"] = nn.Linear(width, size)
            if norm:
                layers[f"norm{i}"] = kinds[norm](size)
            layers[f"hidden{i}"] = activation_layer(self.activation)
            width = size
        layers["out"] = nn.Linear(width, outputs)
        return nn.Sequential(layers)

    def places(self, module: nn.Module) -> tuple[str, ...]:
        return tuple(f"hidden{i}" for i in range(len(self.hidden)))

    def forward(self, module: nn.Module) -> Forward:
        norm = {"BatchNorm1d": "batch_norm", "LayerNorm": "layer_norm"}.get(
            type(getattr(module, "norm0", None)).__name__, ""
        )
        act, layers = activation(self.activation), len(self.hidden)

        def run(p: Views, x: torch.Tensor, site: Site, training: bool) -> torch.Tensor:
            import torch

            rows = len(p["out.weight"])
            h = x.flatten(2)
            for i in range(layers):
                weight = p[f"linear{i}.weight"].transpose(1, 2)
                h = torch.baddbmm(p[f"linear{i}.bias"][:, None], h.expand(rows, -1, -1), weight)
                h = site(act(normalise(p, f"norm{i}", norm, h, training)), i)
            out = torch.baddbmm(p["out.bias"][:, None], h.expand(rows, -1, -1), p["out.weight"].transpose(1, 2))
            # classes before samples: a softmax over few classes is many times faster across than along memory
            return out.transpose(1, 2).contiguous()

        return run
