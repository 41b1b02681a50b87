"""A net ready to train: its forward pass, the layout of its parameters, and where it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from regsearch.models.neural.layout import Layout, Param, Role
from regsearch.models.neural.network.architecture import Architecture
from regsearch.models.neural.network.streams import seed_of

if TYPE_CHECKING:
    import torch
    from torch import nn

    from regsearch.models.neural.network.architecture import Forward


@dataclass(frozen=True)
class Network:
    """One fold's net.

    Attributes
    ----------
    make_forward
        Makes a forward pass; each thread needs its own, as a user's module holds state while it runs.
    theta
        ``[Q]``: where every trial of the fold starts.
    hidden_layers, rates
        Names of its hidden layers, and the dropout rates that the module has of its own.
    named
        The hidden layers on which nothing acts that does not name them.
    other_state
        By name in the state of the module: what is no real number, as it was made; the name that a tied parameter is
        trained under; or nothing for a buffer that the module does not save.
    running
        The running statistics of batch normalisation, and how much of a batch a training pass takes into each.
    stacks
        Whether a forward pass takes several rows.
    """

    layout: Layout
    make_forward: Callable[[], Forward]
    theta: torch.Tensor
    hidden_layers: tuple[str, ...]
    rates: tuple[float, ...]
    other_state: dict[str, torch.Tensor | str]
    running: tuple[tuple[Param, float | None], ...] = ()
    stacks: bool = False
    named: frozenset[str] = frozenset()


def make_network(
    architecture: Architecture, inputs: tuple[int, ...], outputs: int, norm: str, seed: int, fold: int
) -> Network:
    """The net of a fold; its start depends on the seed and the fold alone."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, fold, "start"))
        module = architecture.module(inputs, outputs, norm)
    layout = Layout(_parameters(module))
    values = dict(module.named_parameters()) | dict(module.named_buffers())
    theta = torch.empty(1, layout.length, dtype=torch.float64)
    for param in layout.params:
        param.view(theta).copy_(values[param.name].detach())
    hidden_layers = architecture.hidden_layers(module)
    state = module.state_dict(keep_vars=True)
    known = {param.name for param in layout.params}
    names = {id(value): name for name, value in values.items() if name in known}
    other = {name: names.get(id(value), value) for name, value in state.items() if name not in known}
    temporary = known - set(state)  # buffers that the module does not save
    other |= dict.fromkeys(temporary, "")
    return Network(
        layout, partial(architecture.forward, module), theta[0], hidden_layers, architecture.rates(module), other,
        tuple(_running(module, layout)), architecture.stacks, architecture.named_layers(module),
    )  # fmt: skip


def _running(module: nn.Module, layout: Layout) -> Iterator[tuple[Param, float | None]]:
    """The running statistics of a module's layers, with the momentum of each."""
    buffers = {param.name: param for param in layout.buffers}
    for name, child in module.named_modules():
        for statistic in ("running_mean", "running_var"):
            param = buffers.get(f"{name}.{statistic}")
            if param is not None and hasattr(child, "momentum"):
                yield param, child.momentum


def _parameters(module: nn.Module) -> list[tuple[str, tuple[int, ...], Role]]:
    """Name, shape and role of everything in a module that is a real number."""
    norms = {name for name, child in module.named_modules() if "Norm" in type(child).__name__}
    found: list[tuple[str, tuple[int, ...], Role]] = []
    for name, value in module.named_parameters():
        of_norm = name.rpartition(".")[0] in norms
        role: Role = "norm" if of_norm else "kernel" if value.dim() > 1 else "bias"
        role = role if value.requires_grad else "buffer"  # frozen: neither trained nor penalised
        found.append((name, tuple(value.shape), role))
    buffers = [(name, value) for name, value in module.named_buffers() if value.is_floating_point()]
    return found + [(name, tuple(value.shape), "buffer") for name, value in buffers]
