"""CutMix: a part of each sample is that of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.mixing import Samples
from regsearch.models.neural.patches import features, patch
from regsearch.models.neural.technique import Columns, RandomNumbers, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class CutMix(Technique):
    """A part of each sample of a batch is that of another, and as large a share of its target (Yun et al. 2019).

    Of an image the part is a rectangle, of a sequence a stretch, of a volume a box. Of a row of a table it is some of
    the columns as the net sees them, the same in the whole batch (Kadra et al. 2021). Its share is drawn for each
    batch, any share alike.

    Parameters
    ----------
    probability
        Of a batch to be changed.
    """

    kind: ClassVar[str] = "cutmix"
    slots: ClassVar[tuple[str, ...]] = ("data_augmentation",)
    probability: Any = tunable(Between(0.0, 1.0), Float(0.0, 1.0), off=0.0, weak=0.1, usual=0.3, strong=0.8)

    @staticmethod
    def on_samples(v: Columns, samples: Samples, rng: RandomNumbers) -> Samples:
        import torch

        others, x = samples.partners(rng.uniform(1, samples.weight.shape[1])), samples.x
        chosen, share = rng.uniform(1), rng.uniform(1)
        cut = patch(x.shape[3:], share.sqrt(), rng, 1) if x.dim() > 3 else features(x.shape[2], share, 1, rng)
        cut = cut & _wide(chosen <= v.probability, cut)
        part = cut.flatten(1).to(x.dtype).mean(1)
        return samples.mixed(torch.where(cut, others.x, x), others, part[:, None])


def _wide(values: torch.Tensor, cut: torch.Tensor) -> torch.Tensor:
    return values.view(-1, *[1] * (cut.dim() - 1))
