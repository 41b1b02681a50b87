"""Noise on targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch._types import Task
from regsearch.models.neural.technique import Columns, RandomNumbers, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class LabelNoise(Technique):
    """In each batch a label is replaced by any class with probability `level` (Xie et al. 2016, DisturbLabel).

    In a regression, Gaussian noise of deviation `level` is added to standardised targets.
    """

    slots: ClassVar[tuple[str, ...]] = ("label_noise",)
    main: ClassVar[str] = "level"
    level: Any = tunable(Between(0.0, 1.0), Float(5e-3, 0.3, log=True), off=0.0, weak=0.011, usual=0.021, strong=0.13)

    @staticmethod
    def on_target(v: Columns, y: torch.Tensor, rng: RandomNumbers, task: Task) -> torch.Tensor:
        level = v.level[:, None, None]
        if task == "regression":
            return y + level * rng.normal(1, *y.shape[1:])
        replaced = 1 - (rng.uniform(1, 1, y.shape[2]) - level).ceil_()
        anything = rng.uniform(1, 1, y.shape[2])
        if task == "binary":
            return y + replaced * ((2 * anything).ceil_() - 1 - y)
        return y + replaced * (_one_hot(anything, y) - y)


def _one_hot(uniform: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """``[1, m, B]``: a class at random for each uniform number ``[1, 1, B]``."""
    import torch

    classes = y.shape[1]
    code = torch.arange(1, classes + 1, device=y.device, dtype=y.dtype)[None, :, None]
    return (code == (uniform * classes).ceil_()).to(y.dtype)
