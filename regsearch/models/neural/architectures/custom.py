"""A user's own module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.errors import InvalidInput
from regsearch.models.neural.network.architecture import Architecture

if TYPE_CHECKING:
    import torch
    from torch import nn

    from regsearch.models.neural.network.architecture import Forward, Views
    from regsearch.models.neural.network.hooks import HiddenHooks


@dataclass(frozen=True)
class Custom(Architecture):
    """What a function without arguments returns: a `torch.nn.Module` from ``[B, *inputs]`` to ``[B, outputs]``.

    Of two classes it may have one output, the logit, or two: their difference is the logit then. Rows train one by one,
    a thread each. Its ``nn.Dropout`` layers are the hidden layers: their rates are those of the technique `Dropout`, or
    their own where it is not used. Any other layer is one to the techniques that name it. Other random numbers that its
    forward pass draws from the global generator of torch are not the study's: results would not repeat.
    """

    kind: ClassVar[str] = "custom"
    forks: ClassVar[bool] = False  # what it does may not survive it
    factory: Any
    named: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        made = hasattr(self.factory, "state_dict") and not isinstance(self.factory, type)
        if made or not callable(self.factory):
            raise InvalidInput(
                "Net(module=...) needs a function without arguments that makes a new nn.Module, got "
                f"{self.factory!r}; each fold trains a fresh one: pass lambda: {type(self.factory).__name__}(...)."
            )

    def module(self, inputs: tuple[int, ...], outputs: int, norm: str) -> nn.Module:
        from torch import nn

        if norm:
            raise InvalidInput("Your own module has its own norms: norm= is for MLP and CNN; leave it out.")
        made = self.factory()
        if not isinstance(made, nn.Module):
            raise InvalidInput(f"Net(module=...) needs a function that returns an nn.Module, got {made!r}.")
        if outputs == 1 and _own_outputs(made, inputs) == 2:
            made.register_forward_hook(_log_odds)
        return made

    def gives_log_odds(self, module: nn.Module) -> bool:
        return _log_odds in module._forward_hooks.values()

    def hidden_layers(self, module: nn.Module) -> tuple[str, ...]:
        named = self.named_layers(module)
        return tuple(name for name, child in module.named_modules() if _drops(child) or name in named)

    def named_layers(self, module: nn.Module) -> frozenset[str]:
        names = [name for name, child in module.named_modules() if name and not _drops(child)]
        return frozenset(name for name in names if any(fnmatchcase(name, pattern) for pattern in self.named))

    def _known(self, hidden_layers: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name, _ in self.factory().named_modules() if name)

    def with_named(self, patterns: tuple[str, ...]) -> Custom:
        return replace(self, named=patterns)

    def rates(self, module: nn.Module) -> tuple[float, ...]:
        layers = [module.get_submodule(name) for name in self.hidden_layers(module)]
        own = tuple(float(layer.p) if _drops(layer) else 0.0 for layer in layers)  # type: ignore[arg-type]
        return own if any(map(_drops, layers)) else ()

    def forward(self, module: nn.Module) -> Forward:
        import copy

        import torch

        own = copy.deepcopy(module)  # a pass changes its mode, and puts its own layers into it
        layers = {name: (i, own.get_submodule(name)) for i, name in enumerate(self.hidden_layers(own))}
        stands_in = {name: _hook_module(i, layer) for name, (i, layer) in layers.items() if _drops(layer)}
        current = _Current()
        for name, one in stands_in.items():
            own.set_submodule(name, one)
        hooked = [name for name in layers if name not in stands_in]
        for name in hooked:
            i, layer = layers[name]
            layer.register_forward_hook(partial(current.on_output, i, name))

        def run(p: Views, x: torch.Tensor, hooks: HiddenHooks, training: bool) -> torch.Tensor:
            current.hooks = hooks
            for one in stands_in.values():
                one.begin(hooks)
            own.train(training)
            out = torch.func.functional_call(own, {name: value[0] for name, value in p.items()}, (x[0],))
            _check_called(stands_in)
            if not training:
                current.check(hooked)
            if not isinstance(out, torch.Tensor) or out.dim() != 2:
                got = f"the shape {list(out.shape)}" if isinstance(out, torch.Tensor) else type(out).__name__
                raise InvalidInput(f"Your module must return [rows, outputs], got {got}; end it with an nn.Linear.")
            return out.T[None]

        return run


class _Current:
    """The hooks of the pass that is running, for layers that are not replaced, and which of these were ever called."""

    hooks: HiddenHooks

    def __init__(self) -> None:
        self.called: set[str] = set()

    def check(self, names: Iterable[str]) -> None:
        """Refuse a layer that is never called: what names it would do nothing."""
        for name in names:
            if name not in self.called:
                raise InvalidInput(
                    f"A technique acts on what leaves a layer when it is called, your module does not call {name!r}: "
                    "name one that it calls."
                )

    def on_output(self, index: int, name: str, layer: Any, given: Any, out: Any) -> torch.Tensor:
        """What the next layer gets of what a layer returns ``[B, ...]``."""
        import torch

        self.called.add(name)
        if not isinstance(out, torch.Tensor):
            raise InvalidInput(
                f"A technique acts on what is one tensor, the layer {name!r} returns a {type(out).__name__}; name one "
                "behind it."
            )
        changed: torch.Tensor = self.hooks(out[None], index)[0]
        return changed


def _drops(layer: nn.Module) -> bool:
    from torch import nn

    return isinstance(layer, nn.modules.dropout._DropoutNd)


def _own_outputs(module: nn.Module, inputs: tuple[int, ...]) -> int:
    """How many outputs a module has; 0 where it cannot be given rows, which is said where nets are checked."""
    import torch

    training = module.training
    try:
        with torch.no_grad():
            out = module.eval()(torch.zeros(2, *inputs, dtype=next(module.parameters()).dtype))
    except Exception:  # noqa: BLE001 - anyone's module
        return 0
    finally:
        module.train(training)
    return out.shape[1] if isinstance(out, torch.Tensor) and out.dim() == 2 else 0


def _log_odds(module: nn.Module, given: Any, out: torch.Tensor) -> torch.Tensor:
    """The log-odds ``[B, 1]`` of two classes, from an output ``[B, 2]`` for each."""
    return out[:, 1:] - out[:, :1]


def _hook_module(index: int, layer: Any) -> Any:
    """A module that stands for a dropout layer, and calls the hooks."""
    from torch import nn

    class HookModule(nn.Module):
        hooks: Any = None
        inplace = layer.inplace
        was_read = was_called = False

        @property
        def p(self) -> Any:
            self.was_read = True
            return layer.p

        def begin(self, hooks: HiddenHooks) -> None:
            self.hooks, self.was_read, self.was_called = hooks, False, False

        def forward(self, h: torch.Tensor) -> torch.Tensor:
            self.was_called = True
            out: torch.Tensor = self.hooks(h[None], index)[0]
            return out

    return HookModule()


def _check_called(stands_in: Mapping[str, Any]) -> None:
    for name, one in stands_in.items():
        if one.was_read and not one.was_called:
            raise InvalidInput(
                f"A dropout layer drops when it is called, your module reads the rate of {name!r} without: that is not "
                f"the rate of the space; write self.{name}(x)."
            )
