"""Piecewise linear encoding of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.embedding import Embedding
from regsearch.models.neural.technique import Numbers, ProblemInfo
from regsearch.space.domains import Whole
from regsearch.space.tree import Choice, tunable

if TYPE_CHECKING:
    from regsearch.models.neural.embedding_layers import ColumnEmbedding


@dataclass(frozen=True)
class PiecewiseLinear(Embedding):
    """Each column of numbers becomes how far its value has got through each of some bins (Gorishniy et al. 2022).

    Bins hold as many training rows each.

    Parameters
    ----------
    bins
        How many of a column.
    """

    structural_fields: ClassVar[tuple[str, ...]] = ("bins",)
    bins: Any = tunable(Whole(2), Choice(8, 32))

    @classmethod
    def neutral(cls) -> PiecewiseLinear:
        return cls(2)

    def numbers(self, info: ProblemInfo) -> Numbers:
        return {}

    def layer(self, inputs: int, columns: tuple[int, ...]) -> ColumnEmbedding:
        from regsearch.models.neural.embedding_layers import BinsLayer

        return BinsLayer(inputs, columns, self.bins)
