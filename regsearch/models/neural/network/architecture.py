"""What an architecture is: a plain torch module, and its forward pass for many rows at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from regsearch.errors import InvalidInput
from regsearch.space.tree import Node

if TYPE_CHECKING:
    import torch
    from torch import nn

    from regsearch._types import Array
    from regsearch.models.neural.layout import Layout
    from regsearch.models.neural.network.hooks import HiddenHooks

    Views: TypeAlias = Mapping[str, torch.Tensor]
    Forward: TypeAlias = Callable[[Views, torch.Tensor, HiddenHooks, bool], torch.Tensor]

ACTIVATIONS = ("relu", "gelu", "silu", "tanh")
EPS = 1e-5  # of a normalisation
ROWS = {
    1: "sequences [n, channels, length]",
    2: "images [n, channels, height, width]",
    3: "volumes [n, channels, depth, height, width]",
}  # by `dims`
MOMENTUM = 0.1  # of the running statistics of batch normalisation


class Architecture(Node, abstract=True):
    """The shape of a net.

    `stacks` says whether `forward` takes many rows; where it does not, the stack runs rows one by one. `forks` says
    whether the net may train in a forked process.
    """

    scope: ClassVar[str] = "net"
    stacks: ClassVar[bool] = False
    forks: ClassVar[bool] = True

    def inputs(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """What a row of X that is no list is read as: its channels, then its sides."""
        return shape

    @abstractmethod
    def module(self, inputs: tuple[int, ...], outputs: int, norm: str) -> nn.Module:
        """A freshly initialised plain module, as production uses it: ``[B, *inputs]`` to ``[B, outputs]``.

        Parameters
        ----------
        norm
            ``batch_norm``, ``layer_norm`` or empty.
        """

    @abstractmethod
    def hidden_layers(self, module: nn.Module) -> tuple[str, ...]:
        """Names of the module's hidden layers, where dropout and activity penalties act, in order."""

    def named_layers(self, module: nn.Module) -> frozenset[str]:
        """The hidden layers on which nothing acts that does not name them."""
        return frozenset()

    def with_named(self, patterns: tuple[str, ...]) -> Architecture:
        """The architecture, with what patterns of names match among its hidden layers, if they may be any."""
        return self

    def check_layer(self, pattern: str, hidden_layers: tuple[str, ...]) -> None:
        """Refuse a pattern that names no hidden layer.

        Raises
        ------
        InvalidInput
            Naming those that there are.
        """
        if not any(fnmatchcase(name, pattern) for name in hidden_layers):
            there = ", ".join(self._known(hidden_layers))
            raise InvalidInput(f"A pattern must match a hidden layer, got {pattern!r}; there are {there}.")

    def _known(self, hidden_layers: tuple[str, ...]) -> tuple[str, ...]:
        """Which layers a pattern may name, where it is known which there are."""
        return hidden_layers

    def rates(self, module: nn.Module) -> tuple[float, ...]:
        """The module's own dropout rates, by hidden layer; empty where it has none."""
        return ()

    def gives_log_odds(self, module: nn.Module) -> bool:
        """Whether the one output of a module is made of two, as only two classes have it."""
        return False

    def places(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        """At how many places the first kernels have outputs, where that is more than one: those of convolutions."""
        return ()

    def on_columns(self, numeric: Callable[[], tuple[int, ...]]) -> Architecture:
        """The architecture for a table of which those columns have more than two values."""
        return self

    def on_tasks(self, heads: tuple[int, ...]) -> Architecture:
        """The architecture where it knows how many outputs each of several tasks has, of which one has more."""
        return self

    def set_start(self, layout: Layout, theta: torch.Tensor, rows: Callable[[], tuple[Array, Array]]) -> None:
        """Write into the start ``[Q]`` what training rows say, scaled ``[n, p]``, with their weights ``[n]``."""

    @abstractmethod
    def forward(self, module: nn.Module) -> Forward:
        """The module's forward pass in training, a function of its parameters.

        It maps parameters and buffers ``[R, ...]`` by name, a batch ``[1 or R, B, *inputs]``, hooks to call with what
        leaves each hidden layer, and whether to train, to ``[R, outputs, B]``.
        """


@dataclass(frozen=True)
class SidedArchitecture(Architecture, abstract=True):
    """A net that is told what the axes of X mean, where it is no table.

    Parameters
    ----------
    dims
        Axes beside the channels: 1 for sequences, X ``[n, channels, length]``; 2 for images,
        ``[n, channels, height, width]``; 3 for volumes, ``[n, channels, depth, height, width]``. Images and volumes of
        one channel need no axis for it.
    """

    dims: int = field(default=2, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dims not in ROWS:
            raise InvalidInput(f"dims of a net must be 1, 2 or 3, got {self.dims!r}; 2 for images.")

    def inputs(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (1, *shape) if len(shape) == self.dims > 1 else shape

    def check_inputs(self, inputs: tuple[int, ...]) -> None:
        """Refuse rows that have other axes.

        Raises
        ------
        InvalidInput
            Naming the axes that X must have.
        """
        if len(inputs) not in (1, self.dims + 1):
            raise InvalidInput(
                f"{type(self).__name__}(dims={self.dims}) reads {ROWS[self.dims]}, got rows of the shape "
                f"{'x'.join(map(str, inputs))}; use dims={len(inputs) - 1}, or reshape X."
            )


def norm_of(module: nn.Module) -> str:
    """The kind of the norm layers of a chain of layers, or empty."""
    from torch import nn

    first = getattr(module, "norm0", None)
    if first is None:
        return ""
    return "batch_norm" if isinstance(first, nn.modules.batchnorm._BatchNorm) else "layer_norm"


def activation(name: str) -> Any:
    """The torch function of an activation; it may overwrite what it is given."""
    import torch
    from torch.nn import functional

    return {"relu": torch.relu_, "gelu": functional.gelu, "silu": functional.silu, "tanh": torch.tanh_}[name]


def activation_layer(name: str) -> nn.Module:
    """The torch module of an activation."""
    from torch import nn

    layer: nn.Module = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}[name]()
    return layer


def normalise(p: Views, name: str, norm: str, h: torch.Tensor, training: bool) -> torch.Tensor:
    """Batch or layer normalisation of ``[R, B, units]`` with parameters ``[R, units]``; `h` without a norm."""
    if not norm:
        return h
    import torch

    from regsearch.models.neural.network.layers import normalised

    weight, bias = p[f"{name}.weight"][:, None], p[f"{name}.bias"][:, None]
    if norm == "batch_norm" and not training:
        scale = (p[f"{name}.running_var"] + EPS).rsqrt()[:, None] * weight
        return torch.addcmul(bias - p[f"{name}.running_mean"][:, None] * scale, h, scale)
    made, mean, var = normalised(h, weight, bias, 1 if norm == "batch_norm" else 2, EPS)
    if norm == "batch_norm":
        _run(p, name, mean, var, h.shape[1])
    return made


def _run(p: Views, name: str, mean: torch.Tensor, var: torch.Tensor, count: int) -> None:
    """Move the running statistics towards those of a batch, whose variance is made unbiased as torch does."""
    import torch

    with torch.no_grad():
        p[f"{name}.running_mean"].lerp_(mean.flatten(1), MOMENTUM)
        p[f"{name}.running_var"].lerp_((var * (count / max(count - 1, 1))).flatten(1), MOMENTUM)
