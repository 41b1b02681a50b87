"""Robust scaling, and clipping that keeps the order of what it clips (Holzmueller et al. 2024, RealMLP)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regsearch._types import Array
from regsearch.data.weights import ROUNDING, Spread, weighted_quantiles

if TYPE_CHECKING:
    import torch

FARTHEST = 3.0  # what no clipped value gets to


def smoothly_clipped(z: torch.Tensor) -> torch.Tensor:
    """``z / sqrt(1 + (z / 3)^2)``: about z near 0, and never beyond 3."""
    return z / (1 + (z / FARTHEST).square()).sqrt()


def quartiles(x: Array, weight: Array) -> Array:
    """``[3, p]`` of columns ``[n, p]``."""
    return weighted_quantiles(x, weight, (0.25, 0.5, 0.75))


def robust_scale(found: Array, spread: Spread, reach: Array) -> tuple[Array, Array]:
    """What columns are shifted and divided by, from their quartiles ``[3, p]``.

    The median and the distance of the other two; half the range `reach` ``[p]`` where they are one, 1 of a constant.
    """
    low, median, high = found
    apart = high - low > ROUNDING * spread.size
    return median, np.where(spread.varies, np.where(apart, high - low, reach / 2), 1.0)
