"""Cross-stitch networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.sharing import TaskSharing
from regsearch.models.neural.technique import Columns, Numbers, ProblemInfo
from regsearch.space.domains import Between
from regsearch.space.tree import number, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class CrossStitch(TaskSharing):
    """Each target has a net of its own; what leaves their layers is mixed, by learned factors (Misra et al. 2016).

    Parameters
    ----------
    own
        The factor of a task's own at the start; those of the others are even shares of the rest.
    """

    structural: ClassVar[bool] = True
    towers: ClassVar[bool] = True
    stitched: ClassVar[bool] = True
    acts_on: ClassVar[str] = "stitch*.alpha"
    own: Any = tunable(Between(0.0, 1.0), 0.9)

    @classmethod
    def neutral(cls) -> CrossStitch:
        return cls(1.0)

    def numbers(self, info: ProblemInfo) -> Numbers:
        return {"own": number(self.own)}

    @staticmethod
    def on_start(v: Columns, theta: torch.Tensor) -> None:
        import torch

        for param in v.part.params:
            alpha = param.view(theta)
            tasks = round(alpha.shape[1] ** 0.5)
            same = torch.eye(tasks, dtype=theta.dtype, device=theta.device).flatten()
            own = v.own[:, None]
            alpha.copy_(own * same + (1 - own) / (tasks - 1) * (1 - same))
