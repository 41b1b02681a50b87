"""Adversarial training: half of the loss is that of inputs that were moved to where it is larger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.mixing import beside
from regsearch.models.neural.technique import Columns, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class AdversarialTraining(Technique):
    """Half of the loss is that of inputs moved by the fast gradient sign method (Goodfellow et al. 2015).

    Each scaled input moves by `epsilon` to where the loss of its sample is larger. It is not cut to a range:
    standardised features have none. A step takes about twice as long, that of all rows in its block.

    Parameters
    ----------
    epsilon
        How far, in deviations where inputs are standardised.
    """

    slots: ClassVar[tuple[str, ...]] = ("data_augmentation",)
    epsilon: Any = tunable(Between(0.0, 10.0), Float(1e-3, 0.3, log=True), off=0.0, weak=0.003, usual=0.01, strong=0.1)

    @staticmethod
    def on_adversary(v: Columns, x: torch.Tensor, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x + beside(v.epsilon, x) * gradient.sign(), (v.epsilon > 0).to(x.dtype) / 2
