"""Dropout of inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.dropout_masks import mask, survival
from regsearch.models.neural.technique import Columns, Numbers, ProblemInfo, RandomNumbers, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, number, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class InputDropout(Technique):
    """Standardised inputs are zero, that is at their mean, with probability `rate` (Srivastava et al. 2014)."""

    slots: ClassVar[tuple[str, ...]] = ("input_dropout",)
    main: ClassVar[str] = "rate"
    rate: Any = tunable(Between(0.0, 0.95), Float(0.0, 0.3), off=0.0, weak=0.06, usual=0.1, strong=0.27)

    def numbers(self, info: ProblemInfo) -> Numbers:
        return survival(number(self.rate))

    @staticmethod
    def on_batch(v: Columns, x: torch.Tensor, rng: RandomNumbers) -> torch.Tensor:
        return x * mask(v.rate, v.scale, rng, *x.shape[1:])
