"""A penalty on what tells the groups of rows apart inside a net."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.errors import InvalidInput
from regsearch.models.neural.technique import Columns, HiddenLayer, Numbers, ProblemInfo, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, number, tunable

if TYPE_CHECKING:
    import torch

WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the kernels, in mean squared distances between the samples of a batch


@dataclass(frozen=True)
class MMD(Technique):
    """Maximum mean discrepancy between groups, the mean over pairs of them, of what leaves hidden layers.

    The study's ``groups`` (patients, sites, batches of a laboratory) are the domains: what a layer says of the samples
    of one shall be distributed as what it says of another's, so that a net reads what holds in groups that it has not
    seen. The kernel is a mean of Gaussians, whose widths are shares of the mean squared distance in the batch (Gretton
    et al. 2012; for nets Long et al. 2015, Li et al. 2018). Where groups differ in y, it has its price. Samples count
    alike, whatever they weigh.

    Parameters
    ----------
    lambda_
        Strength.
    """

    slots: ClassVar[tuple[str, ...]] = ("domain_penalty",)
    main: ClassVar[str] = "lambda_"
    schedulable: ClassVar[bool] = True
    lambda_: Any = tunable(Between(0.0, 1e3), Float(1e-2, 1e1, log=True), off=0.0, weak=2e-2, usual=0.2, strong=3.0)

    def check(self, info: ProblemInfo) -> None:
        if info.domains < 2:
            got = "one group" if info.domains else "rows without groups"
            raise InvalidInput(f"MMD needs groups=, the domains of rows, got a problem of {got}; leave it out.")

    def numbers(self, info: ProblemInfo) -> Numbers:
        strength = number(self.lambda_)
        if strength:
            self.check(info)  # data to train on anew may have none
        return {"lambda_": strength}

    @staticmethod
    def on_activity(v: Columns, h: torch.Tensor, layer: HiddenLayer) -> torch.Tensor:
        assert layer.domains is not None  # see numbers
        return v.at_strength(v.lambda_) * discrepancy(h.flatten(2), layer.domains)


def discrepancy(h: torch.Tensor, domains: torch.Tensor) -> torch.Tensor:
    """``[R]``: the mean over pairs of groups of the squared discrepancy of ``[R, B, units]``; 0 where there is one.

    Parameters
    ----------
    domains
        ``[1 or R, B]``: the group of each sample, numbered from 0.
    """
    import torch

    member = torch.nn.functional.one_hot(domains).to(h.dtype)  # [1 or R, B, G]
    count = member.sum(1)  # [1 or R, G]
    inner = h @ h.transpose(1, 2)
    square = inner.diagonal(dim1=1, dim2=2)
    distance = (square[:, :, None] + square[:, None] - 2 * inner).clamp(min=0)
    width = distance.detach().mean((1, 2)).clamp(min=1e-12)[:, None, None]
    kernel = sum(torch.exp(-distance / (share * width)) for share in WIDTHS) / len(WIDTHS)
    share = member / count.clamp(min=1)[:, None]
    within = share.transpose(1, 2) @ kernel @ share  # [R, G, G]
    own = within.diagonal(dim1=1, dim2=2)
    there = (count > 0).to(h.dtype)
    pairs = (there[:, :, None] * there[:, None]).triu(1)
    apart = (own[:, :, None] + own[:, None] - 2 * within) * pairs
    return apart.sum((1, 2)) / pairs.sum((1, 2)).clamp(min=1)
