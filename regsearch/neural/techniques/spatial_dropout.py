"""Dropout of whole channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from regsearch.neural.dropping import drop
from regsearch.neural.technique import Columns, Draw, Place
from regsearch.neural.techniques.dropout import Dropout

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class SpatialDropout(Dropout):
    """Whole channels of a convolution are zero with probability `rate` (Tompson et al. 2015); units of other layers."""

    @staticmethod
    def on_hidden(v: Columns, h: torch.Tensor, place: Place, draw: Draw) -> torch.Tensor:
        return drop(h, v.rate[:, place.index], draw.uniform(1, *h.shape[1:3], *[1] * (h.dim() - 3)))
