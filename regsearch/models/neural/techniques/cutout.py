"""Cutout: a part of each sample is masked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.patches import features, patch
from regsearch.models.neural.technique import Columns, RandomNumbers, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Cutout(Technique):
    """A part of a sample is 0: of standardised inputs, their mean (DeVries and Taylor 2017).

    Of an image the part is a rectangle at a place of its own, which the edges may cut; of a sequence it is a stretch,
    of a volume a box. Of the rows of a table it is some of the columns as the net sees them, at least one, the same in
    the whole batch (Kadra et al. 2021).

    Parameters
    ----------
    probability
        Of an image, or of a batch of a table, to be changed.
    patch
        How much of each side of an image, sequence or volume, or of the columns of a table, is masked.
    """

    slots: ClassVar[tuple[str, ...]] = ("data_augmentation",)
    probability: Any = tunable(Between(0.0, 1.0), Float(0.0, 1.0), off=0.0, weak=0.1, usual=0.3, strong=0.8)
    patch: Any = tunable(Between(0.0, 1.0), Float(0.0, 1.0), usual=0.25)

    @classmethod
    def neutral(cls) -> Cutout:
        return cls(0.0, 0.25)

    @staticmethod
    def on_batch(v: Columns, x: torch.Tensor, rng: RandomNumbers) -> torch.Tensor:
        image = x.dim() > 3
        samples = x.shape[1] if image else 1
        chosen = rng.uniform(1, samples) <= v.probability[:, None]  # [R, B or 1]
        cut = patch(x.shape[3:], v.patch, rng, samples) if image else features(x.shape[2], v.patch, 1, rng)
        return x.masked_fill(cut & chosen.view(*chosen.shape, *[1] * (cut.dim() - 2)), 0)
