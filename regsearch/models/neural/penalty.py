"""L1 and L2 on parameters and on activity: what the penalties of a net have in common.

On parameters the penalty is not part of the gradient: after each step comes the proximal map of the penalty in the
optimizer's own metric (Yun et al. 2021, "Adaptive proximal gradient methods for structured neural networks"), so that
an L1 part gives exact zeros and lambda means what it means in the objective ``(1/n) sum_i w_i loss_i + lambda *
penalty``.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from regsearch.models.neural import one_pass
from regsearch.models.neural.technique import Columns, HiddenLayer, Numbers, ProblemInfo, Technique

if TYPE_CHECKING:
    import torch


class WeightPenalty(Technique, abstract=True):
    """``lambda * (l1_ratio * |w|_1 + (1 - l1_ratio) / 2 * |w|_2^2)`` of kernels, biases or hidden outputs."""

    slots: ClassVar[tuple[str, ...]] = ("penalty", "bias_penalty", "activity_penalty")
    schedulable: ClassVar[bool] = True

    @abstractmethod
    def strengths(self) -> tuple[float, float]:
        """Factors of ``|w|_1`` and ``|w|_2^2 / 2``."""

    def numbers(self, info: ProblemInfo) -> Numbers:
        l1, l2 = self.strengths()
        return {"l1": l1, "l2": l2}

    @classmethod
    def implementation(cls, slot: str) -> type[Technique]:
        return ActivityPenalty if slot == "activity_penalty" else Proximal


class Proximal(Technique, abstract=True):
    """Soft-thresholds and shrinks parameters after each step."""

    @staticmethod
    def on_stepped(v: Columns, theta: torch.Tensor, rate: torch.Tensor) -> None:
        l1, l2 = v.at_strength(v.l1)[:, None], v.at_strength(v.l2)[:, None]
        for w, moved in zip(v.part.views(theta), v.part.views(rate), strict=True):
            if one_pass.serves(w):
                one_pass.shrink(w, moved, l1[:, 0], l2[:, 0])
                continue
            if v.on.l1:
                threshold = moved * l1
                w.sub_(w.clamp(-threshold, threshold))
            if v.on.l2:
                w.div_((moved * l2).add_(1))


class ActivityPenalty(Technique, abstract=True):
    """Penalises what leaves hidden layers: the mean over samples, summed over units, as Keras does."""

    @staticmethod
    def on_activity(v: Columns, h: torch.Tensor, layer: HiddenLayer) -> torch.Tensor:
        samples = h.shape[1]
        h = h.flatten(1)
        return (v.l1 * h.abs().sum(1) + v.l2 * h.square().sum(1) / 2) / samples
