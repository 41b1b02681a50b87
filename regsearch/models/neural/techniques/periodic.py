"""Periodic embeddings of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.embedding import Embedding
from regsearch.models.neural.technique import Columns, Numbers, ProblemInfo
from regsearch.space.domains import Between, Whole
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch

    from regsearch.models.neural.embedding_layers import ColumnEmbedding


@dataclass(frozen=True)
class Periodic(Embedding):
    """Each column of numbers goes on beside a linear map of cosines of it, whose frequencies are learned.

    From Gorishniy et al. 2022, in the form of RealMLP (Holzmueller et al. 2024): with phases, and the column itself.

    Parameters
    ----------
    frequencies
        How many cosines of a column.
    width
        How many numbers these become.
    sigma
        Deviation of the frequencies at the start, in cycles per unit of the scaled column.
    """

    structural_fields: ClassVar[tuple[str, ...]] = ("frequencies", "width")
    acts_on: ClassVar[str] = "embedding.frequency"
    frequencies: Any = tunable(Whole(1), 16)
    width: Any = tunable(Whole(1), 3)
    sigma: Any = tunable(Between(1e-6, 1e3), Float(0.02, 1.0, log=True), usual=0.1)

    @classmethod
    def neutral(cls) -> Periodic:
        return cls(sigma=1.0)

    def numbers(self, info: ProblemInfo) -> Numbers:
        return {"sigma": self.sigma}

    def shape(self) -> Periodic:
        return type(self)(self.frequencies, self.width, 1.0)

    def layer(self, inputs: int, columns: tuple[int, ...]) -> ColumnEmbedding:
        from regsearch.models.neural.embedding_layers import PeriodicLayer

        return PeriodicLayer(inputs, columns, self.frequencies, self.width)

    @staticmethod
    def on_start(v: Columns, theta: torch.Tensor) -> None:
        for frequencies in v.part.views(theta):
            frequencies.mul_(v.sigma[:, None])
