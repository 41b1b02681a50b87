"""ShakeDrop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regsearch.models.neural.technique import Columns, HiddenLayer, RandomNumbers
from regsearch.models.neural.techniques.stochastic_depth import StochasticDepth

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ShakeDrop(StochasticDepth):
    """What stochastic depth would drop is multiplied by a random number instead (Yamada et al. 2019).

    By one from [-1, 1] on the way forward and by another, from [0, 1], on the way back.

    Parameters
    ----------
    skip_rate
        Of the last layer; it rises evenly from the first layer that has a skip connection.
    """

    @staticmethod
    def on_branch(
        v: Columns, shape: Sequence[int], layer: HiddenLayer, rng: RandomNumbers
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rate, scale = v.rate[:, layer.index], v.scale[:, layer.index]
        wide = (-1, *[1] * len(shape))
        kept = (rng.uniform(1, *shape) - rate.view(wide)).ceil_()
        forward, back = 2 * rng.uniform(1, *shape) - 1, rng.uniform(1, *shape)
        scale = scale.view(wide)
        return (kept + (1 - kept) * forward) * scale, (kept + (1 - kept) * back) * scale
