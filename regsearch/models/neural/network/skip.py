"""A skip connection as a plain module; importing this module imports torch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Skip(nn.Sequential):
    """Adds what comes in to what its layers make of it.

    Of images what comes in is pooled by 2 as the layers do it. Where the layers return more numbers, or channels, the
    rest is zero; where they return fewer, the last are left out (He et al. 2016, option A).
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[B, in, ...]`` to ``[B, out, ...]``."""
        h = x
        for layer in self:
            h = layer(h)
        x = functional.max_pool2d(x, 2) if x.dim() == 4 else x
        return fitted(x, h.shape[1], 1) + h


def fitted(x: torch.Tensor, size: int, axis: int) -> torch.Tensor:
    """With as many numbers along an axis: zeros are added, or the last are left out."""
    missing = size - x.shape[axis]
    return functional.pad(x, [0, 0] * (x.dim() - 1 - axis) + [0, missing]) if missing else x
