"""What an embedding is: a layer in front of a net that makes several numbers of each column of numbers."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from regsearch.errors import InvalidInput
from regsearch.models.neural.technique import ProblemInfo, Technique

if TYPE_CHECKING:
    from regsearch.models.neural.embedding_layers import ColumnEmbedding


class Embedding(Technique, abstract=True):
    """Of columns that have more than two values; the others go into the net as they are."""

    slots: ClassVar[tuple[str, ...]] = ("embedding",)
    structural: ClassVar[bool] = True
    regularizes: ClassVar[bool] = False
    acts_on: ClassVar[str] = "embedding.*"

    def check(self, info: ProblemInfo) -> None:
        if info.sides:
            raise InvalidInput(f"{type(self).__name__} needs a table, got a problem of images; leave it out.")

    def shape(self) -> Embedding:
        """What of it is part of the net's computation: rows of one shape train together."""
        return self

    @abstractmethod
    def layer(self, inputs: int, columns: tuple[int, ...]) -> ColumnEmbedding:
        """The layer as it starts, for rows of so many numbers, of which some are embedded."""
