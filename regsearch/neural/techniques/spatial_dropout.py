"""Dropout of whole channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.neural.dropping import SHAPES, drop, rates
from regsearch.neural.technique import Columns, Draw, Facts, Place, Row, Technique
from regsearch.tree import Between, Float, OneOf, number, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class SpatialDropout(Technique):
    """Whole channels of a convolution are zero with probability `rate` (Tompson et al. 2015); units of other layers."""

    slots: ClassVar[tuple[str, ...]] = ("dropout",)
    main: ClassVar[str] = "rate"
    rate: Any = tunable(Between(0.0, 0.95), Float(0.0, 0.5), off=0.0)
    dropout_shape: Any = tunable(OneOf(tuple(SHAPES)), "flat")

    def row(self, facts: Facts) -> Row:
        return {"rate": rates(number(self.rate), self.dropout_shape, len(facts.places))}

    @staticmethod
    def on_hidden(v: Columns, h: torch.Tensor, place: Place, draw: Draw) -> torch.Tensor:
        return drop(h, v.rate[:, place.index], draw.uniform(1, *h.shape[1:3], *[1] * (h.dim() - 3)))
