"""Gaussian noise on inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.technique import Columns, RandomNumbers, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class InputNoise(Technique):
    """Gaussian noise of deviation `sigma` on standardised inputs: to first order an L2 penalty (Bishop 1995)."""

    slots: ClassVar[tuple[str, ...]] = ("input_noise",)
    main: ClassVar[str] = "sigma"
    started_alone: ClassVar[bool] = True
    sigma: Any = tunable(Between(0.0, 100.0), Float(1e-3, 1.0, log=True), off=0.0, weak=0.004, usual=0.011, strong=0.5)

    @staticmethod
    def on_batch(v: Columns, x: torch.Tensor, rng: RandomNumbers) -> torch.Tensor:
        return x + v.sigma.view(-1, *[1] * (x.dim() - 1)) * rng.normal(1, *x.shape[1:])
