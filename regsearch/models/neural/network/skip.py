"""A skip connection as a plain module; importing this module imports torch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Skip(nn.Sequential):
    """Adds what comes in to what its layers make of it.

    What has sides is pooled by 2 as the layers do it. Where the layers return more numbers, or channels, the
    rest is zero; where they return fewer, the last are left out (He et al. 2016, option A).
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[B, in, ...]`` to ``[B, out, ...]``."""
        h = x
        for layer in self:
            h = layer(h)
        return fitted(halved(x), h.shape[1], 1) + h


def halved(x: torch.Tensor) -> torch.Tensor:
    """The largest of every two places along each side of ``[B, channels, *sides]``; ``[B, units]`` as they are."""
    pool = {3: functional.max_pool1d, 4: functional.max_pool2d, 5: functional.max_pool3d}.get(x.dim())
    return x if pool is None else pool(x, 2)


def fitted(x: torch.Tensor, size: int, axis: int) -> torch.Tensor:
    """With as many numbers along an axis: zeros are added, or the last are left out."""
    missing = size - x.shape[axis]
    return functional.pad(x, [0, 0] * (x.dim() - 1 - axis) + [0, missing]) if missing else x
