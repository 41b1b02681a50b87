"""Label smoothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch._types import Task
from regsearch.models.neural.technique import Columns, ProblemInfo, RandomNumbers, Technique, classification_only
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class LabelSmoothing(Technique):
    """Targets are ``1 - eps`` of the label and `eps` spread over all classes (Szegedy et al. 2016).

    Of several tasks, those that are classes.
    """

    slots: ClassVar[tuple[str, ...]] = ("label_smoothing",)
    main: ClassVar[str] = "eps"
    eps: Any = tunable(Between(0.0, 0.95), Float(0.0, 0.2), off=0.0, weak=0.04, usual=0.07, strong=0.12)

    def check(self, info: ProblemInfo) -> None:
        classification_only(self, info)

    @staticmethod
    def on_target(v: Columns, y: torch.Tensor, rng: RandomNumbers, task: Task) -> torch.Tensor:
        if task == "regression":
            return y
        eps = v.eps[:, None, None]
        return y * (1 - eps) + eps / max(y.shape[1], 2)
