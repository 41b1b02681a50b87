"""Sharpness-aware minimisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.technique import Columns, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch

EPS = 1e-12


@dataclass(frozen=True)
class SAM(Technique):
    """The gradient is that where the loss is about the largest within `rho` of the weights (Foret et al. 2021).

    Both gradients of a step are of one batch, with one dropout. A step takes twice as long, that of all rows in its
    block.

    Parameters
    ----------
    rho
        How far, in the norm of all weights.
    """

    slots: ClassVar[tuple[str, ...]] = ("sam",)
    main: ClassVar[str] = "rho"
    rho: Any = tunable(Between(0.0, 10.0), Float(0.01, 0.2, log=True), off=0.0, weak=0.02, usual=0.05, strong=0.15)

    @staticmethod
    def on_ascent(v: Columns, theta: torch.Tensor, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        length = gradient.norm(dim=1, keepdim=True).add_(EPS)
        return theta + v.rho[:, None] / length * gradient, v.rho > 0
