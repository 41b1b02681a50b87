"""Nets whose hidden layers, but for the first, have a connection that skips them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from regsearch.errors import InvalidInput
from regsearch.models.neural.architectures.cnn import CNN
from regsearch.models.neural.architectures.mlp import MLP
from regsearch.models.neural.network.architecture import Architecture, activation, norm_of, normalise

if TYPE_CHECKING:
    import torch
    from torch import nn

    from regsearch.models.neural.network.architecture import Forward, Views
    from regsearch.models.neural.network.hooks import HiddenHooks


@dataclass(frozen=True)
class ResidualMLP(MLP):
    """An `MLP` whose hidden layers, but for the first, add to what comes in (He et al. 2016)."""

    kind: ClassVar[str] = "residual_mlp"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_layers("hidden", self.hidden)

    def module(self, inputs: tuple[int, ...], outputs: int, norm: str) -> nn.Module:
        return _with_skips(super().module(inputs, outputs, norm), len(self.hidden))

    def hidden_layers(self, module: nn.Module) -> tuple[str, ...]:
        return _named(super().hidden_layers(module))

    def forward(self, module: nn.Module) -> Forward:
        from regsearch.models.neural.network.layers import head, linear
        from regsearch.models.neural.network.skip import fitted

        act, norm, hidden = activation(self.activation), norm_of(module), self.hidden

        def run(p: Views, x: torch.Tensor, hooks: HiddenHooks, training: bool) -> torch.Tensor:
            h = x.flatten(2).expand(len(p["out.weight"]), -1, -1)
            for i, width in enumerate(hidden):
                at = _prefix(i)
                made = linear(h, p[f"{at}linear{i}.weight"], p.get(f"{at}linear{i}.bias"))
                made = hooks(act(normalise(p, f"{at}norm{i}", norm, made, training)), i)
                h = hooks.added(fitted(h, width, 2), made, i) if i else made
            return head(h, p["out.weight"], p["out.bias"])

        return run


@dataclass(frozen=True)
class ResidualCNN(CNN):
    """A `CNN` whose convolutions, but for the first, add to what comes in, pooled alike (He et al. 2016)."""

    kind: ClassVar[str] = "residual_cnn"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_layers("channels", self.channels)
        if isinstance(self.kernel, int) and self.kernel % 2 == 0:
            raise InvalidInput(f"Skip connections need an odd kernel, got {self.kernel}; use {self.kernel + 1}.")

    def module(self, inputs: tuple[int, ...], outputs: int, norm: str) -> nn.Module:
        return _with_skips(super().module(inputs, outputs, norm), len(self.channels))

    def hidden_layers(self, module: nn.Module) -> tuple[str, ...]:
        return _named(super().hidden_layers(module))

    def forward(self, module: nn.Module) -> Forward:
        from regsearch.models.neural.network.layers import head
        from regsearch.models.neural.network.skip import fitted, halved

        act, channels, convolved = activation(self.activation), self.channels, self.convolution(norm_of(module))

        def run(p: Views, x: torch.Tensor, hooks: HiddenHooks, training: bool) -> torch.Tensor:
            h = x
            for i, width in enumerate(channels):
                made = hooks(act(convolved(p, h, _prefix(i), i, training)), i)
                if i:
                    came = fitted(halved(h.flatten(0, 1)), width, 1)
                    made = hooks.added(came.view(*h.shape[:2], *came.shape[1:]), made, i)
                h = made
            return head(h.flatten(2), p["out.weight"], p["out.bias"])

        return run


def with_skips(architecture: Architecture) -> Architecture:
    """The architecture with skip connections.

    Raises
    ------
    InvalidInput
        When there is no such thing, or there are too few layers.
    """
    made: dict[type[Architecture], Callable[..., Architecture]] = {MLP: ResidualMLP, CNN: ResidualCNN}
    if type(architecture) in (ResidualMLP, ResidualCNN):
        return architecture
    if isinstance(architecture, MLP) and type(architecture) is not MLP:
        raise InvalidInput(f"skip= is for an MLP, got a {type(architecture).__name__}; leave skip= out.")
    if type(architecture) not in made:
        raise InvalidInput("Your own module has its own connections: skip= is for MLP and CNN; leave it out.")
    return made[type(architecture)](**architecture.fields())


def _check_layers(name: str, sizes: object) -> None:
    if isinstance(sizes, tuple) and len(sizes) < 2:
        raise InvalidInput(
            f"Skip connections need two hidden layers at least, got {name}={sizes}; add one, or leave skip= out."
        )


def _with_skips(module: nn.Module, count: int) -> nn.Module:
    """A chain of layers whose hidden ones from the second on stand in a `Skip`."""
    from torch import nn

    from regsearch.models.neural.network.skip import Skip

    parts: OrderedDict[str, nn.Module] = OrderedDict()
    inside: dict[int, OrderedDict[str, nn.Module]] = {i: OrderedDict() for i in range(1, count)}
    for name, layer in module.named_children():
        index = int(name.lstrip("abcdefghijklmnopqrstuvwxyz") or 0)
        if index:
            inside[index][name] = layer
            parts.setdefault(f"skip{index}", layer)  # its place
        else:
            parts[name] = layer
    parts |= {f"skip{i}": Skip(layers) for i, layers in inside.items()}
    return nn.Sequential(parts)


def _prefix(index: int) -> str:
    return f"skip{index}." if index else ""


def _named(layers: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{_prefix(i)}{name}" for i, name in enumerate(layers))
