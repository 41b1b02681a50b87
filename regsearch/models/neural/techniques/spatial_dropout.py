"""Dropout of whole channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regsearch.models.neural.dropout_masks import mask, scheduled
from regsearch.models.neural.technique import Columns, HiddenLayer, RandomNumbers
from regsearch.models.neural.techniques.dropout import Dropout

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class SpatialDropout(Dropout):
    """Whole channels of a convolution are zero with probability `rate` (Tompson et al. 2015); units of other layers."""

    @staticmethod
    def on_hidden(v: Columns, shape: Sequence[int], layer: HiddenLayer, rng: RandomNumbers) -> torch.Tensor:
        return mask(*scheduled(v, layer.index), rng, *shape[:2], *[1] * (len(shape) - 2))
