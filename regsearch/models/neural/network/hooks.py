"""What techniques do inside a net: to what leaves its hidden layers, in training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import mul
from typing import TYPE_CHECKING, Any

from regsearch.models.neural.columns import ActiveTechnique
from regsearch.models.neural.technique import HiddenLayer, RandomNumbers

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class HiddenHooks:
    """What is called with the output of each hidden layer in one pass; without techniques it returns it as it is.

    Attributes
    ----------
    hidden_layers, named
        Names of the layers, and those of them on which nothing acts that does not name them.
    masks, penalties, branches
        The techniques that mask what leaves a layer, those that have a term of the loss from it, and those that change
        what a layer adds to what comes in.
    streams
        Random numbers by the key of a technique.
    terms
        The terms of the loss ``[R]`` that have come together.
    drawn
        The factors that layers have been given so far.
    repeated
        Factors to give instead of new ones.
    domains
        The groups of the samples, see `HiddenLayer`.
    """

    hidden_layers: Sequence[str] = ()
    masks: Sequence[ActiveTechnique] = ()
    penalties: Sequence[ActiveTechnique] = ()
    streams: Mapping[Any, RandomNumbers] = field(default_factory=dict)
    branches: Sequence[ActiveTechnique] = ()
    terms: list[torch.Tensor] = field(default_factory=list)
    drawn: list[torch.Tensor] = field(default_factory=list)
    repeated: Iterator[torch.Tensor] | None = None
    named: frozenset[str] = frozenset()
    domains: torch.Tensor | None = None

    def again(self) -> HiddenHooks:
        """For another pass in which layers get the same factors."""
        return replace(self, terms=[], repeated=iter(self.drawn) if self.masks or self.branches else None)

    def __call__(self, h: torch.Tensor, index: int) -> torch.Tensor:
        """What the next layer gets of what leaves a layer ``[R, B, ...]``."""
        for active in self.penalties:
            if active.acts_at(self._layer(index)):
                self.terms.append(active.technique.on_activity(active.v, h, self._layer(index)))
        mask = self.mask(h.shape[1:], index)
        return h if mask is None else h * mask

    def mask(self, shape: Sequence[int], index: int) -> torch.Tensor | None:
        """Factors ``[R, *shape]`` of what leaves a layer, or `None` where all are 1.

        For a pass that multiplies by itself, which it may where there are no `penalties`.
        """
        acting = [active for active in self.masks if active.acts_at(self._layer(index))]
        if not acting:
            return None
        if self.repeated is not None:
            return next(self.repeated)
        layer = self._layer(index)
        factors = [one.technique.on_hidden(one.v, shape, layer, self.streams[one.key]) for one in acting]
        self.drawn.append(reduce(mul, factors))
        return self.drawn[-1]

    def added(self, x: torch.Tensor, made: torch.Tensor, index: int) -> torch.Tensor:
        """What comes in ``[R, B, ...]``, and to it what a layer made of it."""
        if not self.branches:
            return x + made
        shape = (made.shape[1], *[1] * (made.dim() - 2))
        for active in self.branches:
            if self.repeated is not None:
                forward, back = next(self.repeated), next(self.repeated)
            else:
                forward, back = active.technique.on_branch(
                    active.v, shape, self._layer(index), self.streams[active.key]
                )
                self.drawn.extend((forward, back))
            made = made * forward if forward is back else made * back + (made * (forward - back)).detach()
        return x + made

    def _layer(self, index: int) -> HiddenLayer:
        name = self.hidden_layers[index]
        return HiddenLayer(index, len(self.hidden_layers), name, name in self.named, self.domains)
