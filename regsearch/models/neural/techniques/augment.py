"""Random changes of images that leave their class alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.errors import InvalidInput
from regsearch.models.neural.technique import Columns, ProblemInfo, RandomNumbers, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch

WARPS = ("rotation", "zoom", "scale", "shift")


@dataclass(frozen=True)
class Augment(Technique):
    """Every image of a training batch is changed anew (Simard et al. 2003; Cubuk et al. 2020 for magnitudes).

    Parameters
    ----------
    rotation
        Up to so many degrees either way.
    reflection, flip
        Probability of a mirror image, left to right and upside down. Off unless given: a mirrored 2 is no 2.
    zoom
        Up to a factor of ``1 + zoom`` larger or smaller.
    shift
        Up to so much of the height and width.
    scale
        Like `zoom`, each axis by itself.
    contrast
        Differences from the image's mean times up to ``1 + contrast`` or its inverse.
    noise
        Deviation of Gaussian noise, where 1 is that of the training images.
    """

    slots: ClassVar[tuple[str, ...]] = ("augment",)
    # each strong value is the middle, as all of them are strong together
    rotation: Any = tunable(Between(0.0, 180.0), Float(0.0, 30.0), off=0.0, strong=15.0)
    reflection: Any = tunable(Between(0.0, 1.0), 0.0, off=0.0)
    flip: Any = tunable(Between(0.0, 1.0), 0.0, off=0.0)
    zoom: Any = tunable(Between(0.0, 4.0), Float(0.0, 0.3), off=0.0, strong=0.15)
    shift: Any = tunable(Between(0.0, 1.0), Float(0.0, 0.2), off=0.0, strong=0.1)
    scale: Any = tunable(Between(0.0, 4.0), Float(0.0, 0.3), off=0.0, strong=0.15)
    contrast: Any = tunable(Between(0.0, 4.0), Float(0.0, 0.5), off=0.0, strong=0.25)
    noise: Any = tunable(Between(0.0, 10.0), Float(0.0, 0.3), off=0.0, strong=0.15)

    def check(self, info: ProblemInfo) -> None:
        if len(info.sides) != 2:
            got = f"a problem of rows read as {'x'.join(map(str, info.inputs))}" if info.sides else "a table"
            raise InvalidInput(
                "Augment needs images, X [n, channels, height, width] or [n, height, width] (sequences have "
                f"SequenceAugment), got {got}; leave it out."
            )

    @staticmethod
    def on_raw(v: Columns, x: torch.Tensor, rng: RandomNumbers) -> torch.Tensor:
        import torch

        batch = x.shape[1]
        random = rng.uniform(1, 9, batch)  # drawn whole: what a row gets must not depend on what others use
        signed = 2 * random - 1
        if v.on.reflection:
            x = torch.where(_wide(random[:, 0] <= v.reflection[:, None]), x.flip(-1), x)
        if v.on.flip:
            x = torch.where(_wide(random[:, 1] <= v.flip[:, None]), x.flip(-2), x)
        if any(getattr(v.on, name) for name in WARPS):
            changed = sum(getattr(v, name) for name in WARPS) > 0
            x = torch.where(_wide(changed[:, None]), _warp(v, x, signed[:, 2:8]), x)
        if v.on.contrast:
            mean = x.mean((-3, -2, -1), keepdim=True)
            factor = _wide((1 + v.contrast[:, None]) ** signed[:, 8])
            x = torch.where(_wide(v.contrast[:, None] > 0), mean + (x - mean) * factor, x)
        return x

    @staticmethod
    def on_batch(v: Columns, x: torch.Tensor, rng: RandomNumbers) -> torch.Tensor:
        noise = rng.normal(1, *x.shape[1:])  # used or not: the next batch's draws depend on it
        return x + _wide(v.noise[:, None]) * noise if v.on.noise else x


def _wide(values: torch.Tensor) -> torch.Tensor:
    """``[R, B]`` beside images ``[R, B, channels, height, width]``."""
    return values[:, :, None, None, None]


def _warp(v: Columns, x: torch.Tensor, signed: torch.Tensor) -> torch.Tensor:
    """Images ``[R, B, ...]`` rotated, stretched and moved by numbers in [-1, 1] ``[1 or R, 6, B]``; edges go on."""
    import torch
    from torch.nn import functional

    rows, (_, batch, channels, height, width) = len(v.rotation), x.shape
    angle = signed[:, 0] * (v.rotation[:, None] * (math.pi / 180))
    zoom = (1 + v.zoom[:, None]) ** -signed[:, 1]
    across, down = (zoom * (1 + v.scale[:, None]) ** -signed[:, i] for i in (2, 3))
    # from places in the new image to places in the old one, in halves of its height and width
    cos, sin, ratio = angle.cos(), angle.sin(), height / width
    to = torch.stack(
        [across * cos, -across * sin * ratio, 2 * v.shift[:, None] * signed[:, 4],
         down * sin / ratio, down * cos, 2 * v.shift[:, None] * signed[:, 5]], dim=-1,
    )  # fmt: skip
    grid = functional.affine_grid(to.view(-1, 2, 3), [rows * batch, channels, height, width], align_corners=False)
    flat = x.expand(rows, -1, -1, -1, -1).reshape(rows * batch, channels, height, width)
    return functional.grid_sample(flat, grid, padding_mode="border", align_corners=False).view(rows, *x.shape[1:])
