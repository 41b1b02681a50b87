"""How much trains at a time: trials of a stack, and rows of a block."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING

from regsearch.models.neural.layout import Layout

if TYPE_CHECKING:
    import torch

MAX_STACKED = 16  # trials in training, of nets that stack: more, and the sampler learns too late; ...
MAX_UNSTACKED = 8  # ... those of nets that do not
MAX_ROWS = 24  # on a CPU more rows in a block gain little; sixteen trials of five folds are four blocks, for four cores
CACHE_BYTES = 20 * 2**19  # parameters, moments and gradients of a block: more, and each pass waits for memory
MEMORY_SHARE = 0.5  # of what a GPU has free: what is measured after an epoch, and other structures, need some too
COPIES = 12  # of a row's parameters: with moments and gradient, their snapshot, what techniques keep, a step's sums
ACTIVATIONS = 6  # of a layer's outputs: drawn numbers, mask, outputs, their gradients, and what is freed late


@dataclass(frozen=True)
class RowSize:
    """What a row of a block needs memory for.

    Attributes
    ----------
    parameters
        Q: the parameters and buffers of a net.
    units
        Of all layers, inputs included.
    samples
        Of a batch.
    number_bytes
        Of one number.
    """

    parameters: int
    units: int
    samples: int
    number_bytes: int

    @classmethod
    def of(cls, layout: Layout, inputs: int, places: Sequence[int], samples: int, dtype: torch.dtype) -> RowSize:
        """That of a net whose layers are its kernels, which is so of all nets that stack.

        The first of them have outputs at so many places each, the others at one.
        """
        kernels = layout.part("kernel").params
        at = chain(places, repeat(1))
        units = inputs + sum(param.shape[0] * count for param, count in zip(kernels, at, strict=False))
        return cls(layout.length, units, samples, dtype.itemsize)

    @property
    def cached_bytes(self) -> int:
        """What each step passes over, in single precision: of parameters, or of what leaves layers, with gradients."""
        return max(16 * self.parameters, 8 * self.samples * self.units)

    @property
    def allocated_bytes(self) -> int:
        """What is in memory at one time, roughly: where it does not suffice after all, a block is halved."""
        return self.number_bytes * (COPIES * self.parameters + ACTIVATIONS * self.samples * self.units)


@dataclass(frozen=True)
class StackLimits:
    """How much trains at a time.

    Attributes
    ----------
    stacked, unstacked
        Trials in training, of nets that stack and of nets that do not.
    rows
        Of a block, at most.
    row_bytes, block_bytes
        What of a row's size counts, and how much of it a block may have.
    """

    stacked: int
    unstacked: int
    rows: int
    row_bytes: Callable[[RowSize], int]
    block_bytes: int

    @classmethod
    def of(cls, device: torch.device) -> StackLimits:
        """Those of a device: a CPU's blocks stay in its cache, those of a GPU in its free memory."""
        if device.type == "cpu":
            return cls(MAX_STACKED, MAX_UNSTACKED, MAX_ROWS, lambda size: size.cached_bytes, CACHE_BYTES)
        free = int(MEMORY_SHARE * free_bytes(device))
        return cls(MAX_STACKED, MAX_UNSTACKED, sys.maxsize, lambda size: size.allocated_bytes, free)

    def rows_of(self, size: RowSize) -> int:
        """Rows of a block of nets of one size."""
        return max(1, min(self.rows, self.block_bytes // self.row_bytes(size)))


def free_bytes(device: torch.device) -> int:
    """Memory of a device that nobody uses, or that torch keeps for later; of a kind that does not say, a gibibyte."""
    import torch

    if device.type != "cuda":
        return 2**30
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + kept
