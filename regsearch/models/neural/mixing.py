"""Mixing the samples of a batch with one another: who is mixed with whom, and what that makes of targets and weights.

Shapes: R rows, B samples, m outputs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Samples:
    """What a step trains on: inputs ``[1 or R, B, ...]``, targets ``[1 or R, m, B]`` and weights ``[1 or R, B]``.

    Of several tasks, `shares` ``[1 or R, t]`` are what the loss of each counts.
    """

    x: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor
    shares: torch.Tensor | None = None

    def partners(self, random: torch.Tensor) -> Samples:
        """The same samples in the order of random numbers ``[1 or R, B]``: the partner of each."""
        import torch

        order = random.argsort(1)
        if len(order) == 1:
            return Samples(self.x[:, order[0]], self.y[:, :, order[0]], self.weight[:, order[0]])
        x = torch.take_along_dim(self.x, order.view(*order.shape, *[1] * (self.x.dim() - 2)), 1)
        y, weight = (torch.take_along_dim(of, at, -1) for of, at in ((self.y, order[:, None]), (self.weight, order)))
        return Samples(x, y, weight)

    def mixed(self, x: torch.Tensor, others: Samples, share: torch.Tensor) -> Samples:
        """Changed inputs, of which a `share` ``[R, 1]`` is that of others; a share of 0 changes no bit of the rest.

        The loss of a mixed sample is ``(1 - share) * weight * loss`` of its own target and ``share * weight * loss`` of
        the other's. All losses here are, but for what no parameter changes, linear in the target: so it is the loss of
        one target with one weight.
        """
        weight = self.weight + share * (others.weight - self.weight)
        part = (share * others.weight / weight)[:, None]
        return replace(self, x=x, y=self.y + part * (others.y - self.y), weight=weight)


def beside(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Values ``[R]`` beside inputs ``[R, B, ...]``."""
    return values.view(-1, *[1] * (x.dim() - 1))
