"""Gaussian noise on weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.technique import Columns, RandomNumbers, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class WeightNoise(Technique):
    """Each gradient is taken at kernels with Gaussian noise of deviation `sigma` added (Murray and Edwards 1994)."""

    slots: ClassVar[tuple[str, ...]] = ("weight_noise",)
    main: ClassVar[str] = "sigma"
    sigma: Any = tunable(
        Between(0.0, 100.0), Float(1e-3, 1.0, log=True), off=0.0, weak=0.004, usual=0.011, strong=0.063
    )

    @staticmethod
    def on_weights(v: Columns, theta: torch.Tensor, rng: RandomNumbers) -> torch.Tensor:
        noisy = theta.clone()
        for w in v.part.views(noisy):
            w.add_(v.sigma[:, None] * rng.normal(1, w.shape[1]))
        return noisy
