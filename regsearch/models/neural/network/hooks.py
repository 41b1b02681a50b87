"""What techniques do inside a net: to what leaves its hidden layers, in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from regsearch.models.neural.columns import Active
from regsearch.models.neural.technique import Draw, Place

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Site:
    """The hidden layers of a net in one pass; without techniques it leaves them as they are.

    Attributes
    ----------
    places
        Names of the layers.
    masks, watchers
        The techniques that mask what leaves a layer, and those that have a term of the loss from it.
    draws
        Random numbers by the key of a technique.
    terms
        The terms of the loss ``[R]`` that have come together.
    """

    places: Sequence[str] = ()
    masks: Sequence[Active] = ()
    watchers: Sequence[Active] = ()
    draws: Mapping[Any, Draw] = field(default_factory=dict)
    terms: list[torch.Tensor] = field(default_factory=list)

    def __call__(self, h: torch.Tensor, index: int) -> torch.Tensor:
        """What the next layer gets of what leaves a layer ``[R, B, ...]``."""
        for active in self.watchers:
            if active.at(self._place(index)):
                self.terms.append(active.technique.on_activity(active.v, h, self._place(index)))
        mask = self.mask(h.shape[1:], index)
        return h if mask is None else h * mask

    def mask(self, shape: Sequence[int], index: int) -> torch.Tensor | None:
        """Factors ``[R, *shape]`` of what leaves a layer, or `None` where all are 1.

        For a pass that multiplies by itself, which it may where there are no `watchers`.
        """
        made = None
        for active in self.masks:
            mask = active.technique.on_hidden(active.v, shape, self._place(index), self.draws[active.key])
            made = mask if made is None else made * mask
        return made

    def _place(self, index: int) -> Place:
        return Place(index, len(self.places), self.places[index])
