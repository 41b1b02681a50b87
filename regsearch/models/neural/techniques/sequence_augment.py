"""Random changes of sequences that leave their class alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.errors import InvalidInput
from regsearch.models.neural.technique import Columns, ProblemInfo, RandomNumbers, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class SequenceAugment(Technique):
    """Every sequence of a training batch is changed anew (Um et al. 2017; cropping: Le Guennec et al. 2016).

    Parameters
    ----------
    jitter
        Deviation of Gaussian noise, where 1 is that of a channel in training.
    scaling
        Each channel's difference from its mean in training times up to ``1 + scaling`` or its inverse.
    shift
        Earlier or later by up to so much of the length; the ends go on as they are.
    crop
        A part is left, shorter by up to so much of the length, and stretched to the whole.
    """

    slots: ClassVar[tuple[str, ...]] = ("augment",)
    # each strong value is the middle, as all of them are strong together
    jitter: Any = tunable(Between(0.0, 10.0), Float(0.0, 0.3), off=0.0, strong=0.15)
    scaling: Any = tunable(Between(0.0, 4.0), Float(0.0, 0.3), off=0.0, strong=0.15)
    shift: Any = tunable(Between(0.0, 1.0), Float(0.0, 0.2), off=0.0, strong=0.1)
    crop: Any = tunable(Between(0.0, 0.9), Float(0.0, 0.4), off=0.0, strong=0.2)

    def check(self, info: ProblemInfo) -> None:
        if len(info.sides) != 1:
            got = f"a problem of rows read as {'x'.join(map(str, info.inputs))}" if info.sides else "a table"
            raise InvalidInput(
                f"SequenceAugment needs sequences, X [n, channels, length] and a net with dims=1, got {got}; "
                "leave it out."
            )

    @staticmethod
    def on_batch(v: Columns, x: torch.Tensor, rng: RandomNumbers) -> torch.Tensor:
        import torch

        batch, channels = x.shape[1:3]
        # drawn whole: what a row gets must not depend on what others use
        signed, places = 2 * rng.uniform(1, batch, channels) - 1, rng.uniform(1, 3, batch)
        noise = rng.normal(1, *x.shape[1:])
        if v.on.shift or v.on.crop:
            moved = (v.shift + v.crop > 0)[:, None, None, None]
            x = torch.where(moved, _stretched(v, x, places), x)
        if v.on.scaling:
            x = x * ((1 + v.scaling[:, None, None]) ** signed)[..., None]
        return x + v.jitter[:, None, None, None] * noise if v.on.jitter else x


def _stretched(v: Columns, x: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Sequences ``[R, B, channels, length]`` cropped and moved by numbers in (0, 1] ``[1 or R, 3, B]``."""
    import torch

    rows, last = len(v.crop), x.shape[-1] - 1
    cropped = v.crop[:, None] * places[:, 0]
    start = cropped * places[:, 1] + v.shift[:, None] * (2 * places[:, 2] - 1)  # in parts of the length
    at = torch.linspace(0, 1, last + 1, device=x.device, dtype=x.dtype)
    at = ((start[..., None] + (1 - cropped[..., None]) * at) * last).clamp(0, last)  # [R, B, length]
    before = at.floor().long().clamp(max=max(last - 1, 0))
    share = (at - before)[:, :, None]
    x = x.expand(rows, -1, -1, -1)
    index = before[:, :, None].expand(-1, -1, x.shape[2], -1)
    first, second = x.gather(-1, index), x.gather(-1, (index + 1).clamp(max=last))
    return first + share * (second - first)
