"""Stochastic depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.dropout_masks import mask, survival
from regsearch.models.neural.technique import Columns, HiddenLayer, Numbers, ProblemInfo, RandomNumbers, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, number, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class StochasticDepth(Technique):
    """Layers with a skip connection add nothing, at random for each sample (Huang et al. 2016).

    What they add otherwise is scaled up, so that its mean stays and evaluation needs no factor.

    Parameters
    ----------
    skip_rate
        Of the last layer; it rises evenly from the first layer that has a skip connection.
    """

    slots: ClassVar[tuple[str, ...]] = ("skip",)
    structural: ClassVar[bool] = True
    skip_rate: Any = tunable(Between(0.0, 0.95), Float(0.0, 0.8), off=0.0, weak=0.1, usual=0.3, strong=0.6)

    @property
    def acting(self) -> tuple[str, ...]:
        return (self.kind,)  # at a rate of 0 the skip connections are still there

    def numbers(self, info: ProblemInfo) -> Numbers:
        skips = max(len(info.hidden_layers) - 1, 1)
        return survival([number(self.skip_rate) * i / skips for i in range(len(info.hidden_layers))])

    @staticmethod
    def on_branch(
        v: Columns, shape: Sequence[int], layer: HiddenLayer, rng: RandomNumbers
    ) -> tuple[torch.Tensor, torch.Tensor]:
        kept = mask(v.rate[:, layer.index], v.scale[:, layer.index], rng, *shape)
        return kept, kept
