"""Random numbers that depend on the seed, the fold, the epoch and what they are for, and on nothing else.

All trials of a fold draw the same numbers: cheaper, and it makes trials paired. What a row draws does not depend on the
rows beside it, on the techniques that others use, or on when it runs.

Trials come and go, and what goes on must not train in half-empty blocks: a step of a block takes about as long for four
rows as for ten. So rows may share a block wherever they are in their training, on a GPU those of other folds too: those
of one fold at one epoch are an *epoch group*, with batches and random numbers of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

MIN_UNIFORM = 2.0**-25


def seed_of(*parts: object) -> int:
    """A seed of 63 bits for a purpose."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "little") >> 1


class RandomStream:
    """The random numbers of one purpose in one epoch of one fold."""

    def __init__(self, seed: int, dtype: torch.dtype, device: torch.device) -> None:
        import torch

        self.generator = torch.Generator(device).manual_seed(seed)
        self.options = {"dtype": dtype, "device": device}

    def uniform(self, *shape: int) -> torch.Tensor:
        """Uniform in ``(0, 1]``: nothing is dropped at a rate of exactly 0."""
        import torch

        made: torch.Tensor = torch.empty(shape, **self.options)  # type: ignore[call-overload]
        return made.uniform_(MIN_UNIFORM, 1, generator=self.generator)

    def uniform_by_rows(self, *shape: int) -> Iterator[tuple[slice, torch.Tensor]]:
        """All rows, and the uniform numbers ``[1, *shape]`` of each."""
        yield slice(None), self.uniform(1, *shape)

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal."""
        import torch

        return torch.randn(shape, generator=self.generator, **self.options)  # type: ignore[call-overload,no-any-return]

    def permutation(self, n: int) -> torch.Tensor:
        """A permutation of n rows."""
        import torch

        return torch.randperm(n, generator=self.generator, device=self.generator.device)


@dataclass(frozen=True)
class EpochGroup:
    """Neighbouring rows of one fold that have trained for as many epochs: how many, and how many rows they are."""

    fold: int
    epoch: int
    rows: int


def epoch_groups(folds: Sequence[int], epochs: Sequence[int]) -> list[EpochGroup]:
    """The groups of rows that are of these folds and have trained for so many epochs."""
    grouped = groupby(zip(folds, epochs, strict=True))
    return [EpochGroup(fold, epoch, len(list(rows))) for (fold, epoch), rows in grouped]


def expand_to_rows(parts: Sequence[torch.Tensor], groups: Sequence[EpochGroup]) -> torch.Tensor:
    """What each group has ``[1, ...]``, by row ``[R, ...]``; what a single group has stays ``[1, ...]``."""
    import torch

    if len(parts) == 1:
        return parts[0]
    return torch.cat([part.expand(group.rows, *part.shape[1:]) for part, group in zip(parts, groups, strict=True)])


@dataclass(frozen=True)
class RandomStreams:
    """The random numbers of one purpose, each group's from its own stream; shapes are those of `expand_to_rows`."""

    streams: Sequence[RandomStream]
    groups: Sequence[EpochGroup]

    @classmethod
    def of(cls, stream: Callable[[EpochGroup], RandomStream], groups: Sequence[EpochGroup]) -> RandomStreams:
        """With the stream that each group has."""
        return cls([stream(group) for group in groups], groups)

    def uniform(self, *shape: int) -> torch.Tensor:
        """Uniform in ``(0, 1]``."""
        return expand_to_rows([stream.uniform(*shape) for stream in self.streams], self.groups)

    def uniform_by_rows(self, *shape: int) -> Iterator[tuple[slice, torch.Tensor]]:
        """Rows, and the uniform numbers ``[1, *shape]`` of each of them, without a copy for every row."""
        start = 0
        for stream, group in zip(self.streams, self.groups, strict=True):
            yield slice(start, start + group.rows), stream.uniform(1, *shape)
            start += group.rows

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal."""
        return expand_to_rows([stream.normal(*shape) for stream in self.streams], self.groups)
