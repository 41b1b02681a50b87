"""A worker: trains blocks in one process, and halves those that memory does not suffice for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from regsearch.errors import FOREIGN
from regsearch.models.neural.columns import RowConfig
from regsearch.models.neural.training.block import Block, BlockState, Stopped
from regsearch.models.neural.training.segment import Segment
from regsearch.models.neural.training.shared import SharedParts, Structure

BlockKey: TypeAlias = int  # number of a block


@dataclass(frozen=True)
class Trained:
    """A segment, the seconds it took, and the rows of a block that memory suffices for."""

    segment: Segment
    seconds: float
    max_rows: int


@dataclass(frozen=True)
class Failed:
    """What went wrong with a block."""

    message: str


class Worker:
    """Makes and trains blocks in one process."""

    def __init__(self, shared: SharedParts) -> None:
        self.shared = shared
        self.blocks: dict[BlockKey, Block] = {}
        self.max_rows = shared.limits.rows

    def make(self, key: BlockKey, structure: Structure, folds: Sequence[int], rows: Sequence[RowConfig]) -> None:
        self.blocks[key] = self.shared.block(structure, folds, rows)

    def keep(self, key: BlockKey, which: Sequence[int]) -> None:
        self.blocks[key].keep(which)

    def drop(self, key: BlockKey) -> None:
        del self.blocks[key]

    def pack(self, key: BlockKey) -> BlockState:
        return self.blocks.pop(key).pack()

    def unpack(self, key: BlockKey, structure: Structure, packed: BlockState) -> None:
        self.blocks[key] = self._unpacked(structure, packed)

    def join(self, key: BlockKey, structure: Structure, packed: BlockState) -> None:
        self.blocks[key].join([self._unpacked(structure, packed)])

    def _unpacked(self, structure: Structure, packed: BlockState) -> Block:
        block = self.shared.block(structure, packed.folds, packed.rows)
        block.unpack(packed)
        return block

    def advance(self, key: BlockKey, epochs: int, measure: bool = True) -> Trained | Failed:
        started = time.perf_counter()
        try:
            segment = self._within_memory(self.blocks[key], epochs, measure)
        except Stopped:
            raise
        except FOREIGN as error:  # a module is anyone's code: its trials fail with its words
            return Failed(f"{type(error).__name__}: {error}")
        return Trained(segment, time.perf_counter() - started, self.max_rows)

    def _within_memory(self, block: Block, epochs: int, measure: bool) -> Segment:
        """Advance a block; where memory does not suffice, in halves."""
        if len(block.rows) <= self.max_rows:
            before = None
            try:
                before = block.snapshot()
                return block.advance(epochs, measure)
            except (MemoryError, RuntimeError) as error:
                if not _out_of_memory(error) or len(block.rows) == 1:
                    raise
            if before is not None:
                block.restore(before)
            self.max_rows = max(1, min(self.max_rows, len(block.rows) // 2))
        halves = block.split()
        segments = [self._within_memory(half, epochs, measure) for half in halves]
        block.become(halves)
        return Segment.join(segments)


def _out_of_memory(error: BaseException) -> bool:
    import torch

    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)
