"""Random numbers that depend on the seed, the fold, the epoch and what they are for, and on nothing else.

All trials of a fold draw the same numbers: cheaper, and it makes trials paired. What a row draws does not depend on the
rows beside it, on the techniques that others use, or on when it runs.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

LEAST = 2.0**-25  # of a uniform number


def seed_of(*parts: object) -> int:
    """A seed of 63 bits for a purpose."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "little") >> 1


class Stream:
    """The random numbers of one purpose in one epoch of one fold."""

    def __init__(self, seed: int, dtype: torch.dtype, device: torch.device) -> None:
        import torch

        self.generator = torch.Generator(device).manual_seed(seed)
        self.options = {"dtype": dtype, "device": device}

    def uniform(self, *shape: int) -> torch.Tensor:
        """Uniform in ``(0, 1]``: nothing is dropped at a rate of exactly 0."""
        import torch

        made: torch.Tensor = torch.empty(shape, **self.options)  # type: ignore[call-overload]
        return made.uniform_(LEAST, 1, generator=self.generator)

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal."""
        import torch

        return torch.randn(shape, generator=self.generator, **self.options)  # type: ignore[call-overload,no-any-return]

    def order(self, n: int) -> torch.Tensor:
        """A permutation of n rows."""
        import torch

        return torch.randperm(n, generator=self.generator, device=self.generator.device)
