"""Parts of samples: stretches of sequences, rectangles of images, boxes of volumes, and columns of tables.

Shapes: R rows, B samples, p columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from regsearch.models.neural.technique import RandomNumbers

if TYPE_CHECKING:
    import torch


def features(columns: int, share: torch.Tensor, least: int, rng: RandomNumbers) -> torch.Tensor:
    """``[1 or R, 1, p]``: which columns are of the part.

    Parameters
    ----------
    share
        ``[1 or R]``: how much of all columns, rounded down; `least` of them in any case.
    """
    rank = rng.uniform(1, columns).argsort(1).argsort(1)
    count = (share * columns).floor().clamp(min=least)
    return (rank < count[:, None])[:, None]


def patch(size: Sequence[int], side: torch.Tensor, rng: RandomNumbers, samples: int) -> torch.Tensor:
    """``[1 or R, samples, 1, *size]``: the places of a stretch, rectangle or box, its middle anywhere, cut by edges.

    Parameters
    ----------
    side
        ``[1 or R]``: how much of each side of a sample it has, rounded down to places.
    """
    middle = rng.uniform(1, len(size), samples)
    inside = [_inside(length, side, middle[:, axis]) for axis, length in enumerate(size)]
    found = inside[0]
    for one in inside[1:]:
        found = found[..., None] & one.view(*one.shape[:2], *[1] * (found.dim() - 2), -1)
    return found[:, :, None]


def _inside(length: int, side: torch.Tensor, middle: torch.Tensor) -> torch.Tensor:
    """``[1 or R, B, length]``: which places along an axis are inside, for middles in (0, 1] ``[1 or R, B]``."""
    import torch

    place = torch.arange(length, device=middle.device, dtype=middle.dtype)
    whole = (side * length).floor()[:, None, None]
    start = (middle * length).ceil()[..., None] - 1 - (whole / 2).floor()
    return (place >= start) & (place < start + whole)
