"""One who trains blocks, in one process, and halves those that memory does not suffice for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from regsearch.models.neural.columns import Row
from regsearch.models.neural.training.block import Block, Packed, Segment, Stopped
from regsearch.models.neural.training.shared import Structure, Workshop

Key: TypeAlias = tuple[int, int]  # cohort and fold
ROWS = 8  # more rows in a block gain little, and fewer blocks are hard to share out among cores


@dataclass(frozen=True)
class Done:
    """A segment, the seconds it took, and the rows of a block that memory suffices for."""

    segment: Segment
    seconds: float
    most: int


@dataclass(frozen=True)
class Trouble:
    """What went wrong with a block."""

    text: str


class Hand:
    """Makes and trains blocks in one process."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self.blocks: dict[Key, Block] = {}
        self.most = ROWS

    def make(self, key: Key, structure: Structure, rows: Sequence[Row]) -> None:
        self.blocks[key] = self.workshop.block(structure, key[1], rows)

    def keep(self, key: Key, which: Sequence[int]) -> None:
        self.blocks[key].keep(which)

    def drop(self, key: Key) -> None:
        del self.blocks[key]

    def pack(self, key: Key) -> Packed:
        return self.blocks.pop(key).pack()

    def unpack(self, key: Key, structure: Structure, packed: Packed) -> None:
        self.blocks[key] = self._unpacked(key, structure, packed)

    def join(self, key: Key, structure: Structure, packed: Packed) -> None:
        self.blocks[key].join([self._unpacked(key, structure, packed)])

    def _unpacked(self, key: Key, structure: Structure, packed: Packed) -> Block:
        block = self.workshop.block(structure, key[1], packed.rows)
        block.unpack(packed)
        return block

    def advance(self, key: Key, epochs: int, measure: bool = True) -> Done | Trouble:
        started = time.perf_counter()
        try:
            segment = self._within_memory(self.blocks[key], epochs, measure)
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - a module is anyone's code: its trials fail with its words
            return Trouble(f"{type(error).__name__}: {error}")
        return Done(segment, time.perf_counter() - started, self.most)

    def _within_memory(self, block: Block, epochs: int, measure: bool) -> Segment:
        """Advance a block; where memory does not suffice, in halves."""
        if len(block.rows) <= self.most:
            before = block.snapshot()
            try:
                return block.advance(epochs, measure)
            except (MemoryError, RuntimeError) as error:
                if not _out_of_memory(error) or len(block.rows) == 1:
                    raise
            block.restore(before)
            self.most = max(1, min(self.most, len(block.rows) // 2))
        halves = block.split()
        segments = [self._within_memory(half, epochs, measure) for half in halves]
        block.become(halves)
        return Segment.join(segments)


def _out_of_memory(error: BaseException) -> bool:
    import torch

    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)
