"""Nets with a layer in front that embeds columns of numbers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch._types import Array
from regsearch.errors import InvalidInput
from regsearch.models.neural.architectures.mlp import MLP
from regsearch.models.neural.embedding import Embedding
from regsearch.models.neural.layout import Layout
from regsearch.models.neural.network.architecture import Architecture
from regsearch.numeric import is_whole
from regsearch.space.domains import Family
from regsearch.space.tree import tunable

if TYPE_CHECKING:
    import torch
    from torch import nn

    from regsearch.models.neural.network.architecture import Forward, Views
    from regsearch.models.neural.network.hooks import HiddenHooks


@dataclass(frozen=True)
class Embedded(Architecture):
    """A perceptron behind an embedding.

    Parameters
    ----------
    net
        The perceptron.
    embedding
        What embeds.
    columns
        Which columns are embedded.
    """

    kind: ClassVar[str] = "embedded"
    stacks: ClassVar[bool] = True
    net: Any = tunable(Family(MLP))
    embedding: Any = tunable(Family(Embedding))
    columns: Any = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        places = tuple(self.columns) if isinstance(self.columns, (tuple, list)) else (None,)
        if not all(map(is_whole, places)) or sorted(set(places)) != list(places) or (places and places[0] < 0):
            raise InvalidInput(
                f"Embedded(columns=...) must be numbers of columns in their order, got {self.columns!r}."
            )
        object.__setattr__(self, "columns", places)

    def module(self, inputs: tuple[int, ...], outputs: int, norm: str) -> nn.Module:
        from torch import nn

        if len(inputs) != 1 or (self.columns and self.columns[-1] >= inputs[0]):
            raise InvalidInput(f"An embedding of the columns {self.columns} needs a table that has them, got {inputs}.")
        layer = self.embedding.layer(inputs[0], self.columns)
        behind = self.net.module((layer.outputs,), outputs, norm)
        return nn.Sequential(OrderedDict(embedding=layer, **dict(behind.named_children())))

    def hidden_layers(self, module: nn.Module) -> tuple[str, ...]:
        found: tuple[str, ...] = self.net.hidden_layers(module)
        return found

    def forward(self, module: nn.Module) -> Forward:
        behind: Forward = self.net.forward(module)
        layer: Any = module.get_submodule("embedding")
        places = {layer.columns.device: (layer.columns, layer.others)}

        def run(p: Views, x: torch.Tensor, hooks: HiddenHooks, training: bool) -> torch.Tensor:
            if x.device not in places:
                places[x.device] = (layer.columns.to(x.device), layer.others.to(x.device))
            own = {name.removeprefix(FRONT): value for name, value in p.items() if name.startswith(FRONT)}
            out: torch.Tensor = behind(p, layer.stacked(own, x.flatten(2), *places[x.device]), hooks, training)
            return out

        return run

    def on_columns(self, numeric: Callable[[], tuple[int, ...]]) -> Architecture:
        columns = numeric()
        net: Architecture = self.net
        return replace(self, columns=columns) if columns else net

    def on_tasks(self, heads: tuple[int, ...]) -> Architecture:
        return replace(self, net=self.net.on_tasks(heads))

    def set_start(self, layout: Layout, theta: torch.Tensor, rows: Callable[[], tuple[Array, Array]]) -> None:
        layer = self.embedding.layer(max(self.columns) + 1, self.columns)
        if not layer.fitted:
            return
        x, weight = rows()
        views = layout.views(theta[None])
        for name, value in layer.fit(x[:, list(self.columns)], weight).items():
            views[FRONT + name].copy_(theta.new_tensor(value))


FRONT = "embedding."  # in front of the names of the layer's parameters


def with_embedding(architecture: Architecture, embedding: Embedding) -> Architecture:
    """The architecture behind an embedding.

    Raises
    ------
    InvalidInput
        When it is no perceptron.
    """
    if not isinstance(architecture, MLP):
        raise InvalidInput(f"embedding= is for an MLP, got a {type(architecture).__name__}; leave it out.")
    return Embedded(architecture, embedding.shape())
