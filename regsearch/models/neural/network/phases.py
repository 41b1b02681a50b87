"""Rows of one block that are at different epochs: each phase has batches and random numbers of its own.

Trials come and go, and what goes on must not train in half-empty blocks: a step of a block takes about as long for four
rows as for ten. So rows may share a block wherever they are in their training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from regsearch.models.neural.network.streams import Stream

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Phase:
    """Neighbouring rows that have trained for as many epochs: how many, and how many rows they are."""

    epoch: int
    count: int


def phases(epochs: Sequence[int]) -> list[Phase]:
    """The phases of rows that have trained for so many epochs."""
    return [Phase(epoch, len(list(rows))) for epoch, rows in groupby(epochs)]


def side_by_side(parts: Sequence[torch.Tensor], among: Sequence[Phase]) -> torch.Tensor:
    """What each phase has ``[1, ...]``, by row ``[R, ...]``; what a single phase has stays ``[1, ...]``."""
    import torch

    if len(parts) == 1:
        return parts[0]
    return torch.cat([part.expand(phase.count, *part.shape[1:]) for part, phase in zip(parts, among, strict=True)])


@dataclass(frozen=True)
class Draws:
    """The random numbers of one purpose, each phase's from its own stream; shapes begin with 1, see `side_by_side`."""

    streams: Sequence[Stream]
    among: Sequence[Phase]

    @classmethod
    def of(cls, stream: Callable[[int], Stream], among: Sequence[Phase]) -> Draws:
        """With the stream that each epoch has."""
        return cls([stream(phase.epoch) for phase in among], among)

    def uniform(self, *shape: int) -> torch.Tensor:
        """Uniform in ``(0, 1]``."""
        return side_by_side([stream.uniform(*shape) for stream in self.streams], self.among)

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal."""
        return side_by_side([stream.normal(*shape) for stream in self.streams], self.among)
