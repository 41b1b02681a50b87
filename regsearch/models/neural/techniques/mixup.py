"""Mixup: samples and their targets are averaged in pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.mixing import Samples, beside
from regsearch.models.neural.technique import Columns, Numbers, ProblemInfo, RandomNumbers, Technique
from regsearch.space.domains import Between
from regsearch.space.tree import Float, number, tunable

if TYPE_CHECKING:
    import torch

CELLS = 512  # of the table of quantiles, between which they are interpolated: to 1e-5


@dataclass(frozen=True)
class Mixup(Technique):
    """Each sample of a batch is mixed with another, and so is its target (Zhang et al. 2018).

    Parameters
    ----------
    alpha
        The share that is kept is drawn for each batch from ``Beta(alpha, alpha)``: at a small `alpha` mostly all of a
        sample or nothing, at 1 any share alike.
    """

    slots: ClassVar[tuple[str, ...]] = ("data_augmentation",)
    alpha: Any = tunable(Between(0.0, 100.0), Float(0.0, 1.0), off=0.0, weak=0.05, usual=0.2, strong=0.8)

    def numbers(self, info: ProblemInfo) -> Numbers:
        return {"shares": _shares(number(self.alpha))}

    @staticmethod
    def on_samples(v: Columns, samples: Samples, rng: RandomNumbers) -> Samples:
        others = samples.partners(rng.uniform(1, samples.weight.shape[1]))
        share = _interpolated(v.shares, rng.uniform(1))
        x = samples.x + beside(share, samples.x) * (others.x - samples.x)
        return samples.mixed(x, others, share[:, None])


@lru_cache(maxsize=1024)
def _shares(alpha: float) -> list[float]:
    """Quantiles, from 0 to 1, of the smaller share.

    Pairs are drawn at random, so that a share and what it leaves of 1 give the same mixed samples.
    """
    if not alpha:
        return [0.0] * (CELLS + 1)
    import numpy as np
    from scipy.special import betaincinv

    found: list[float] = betaincinv(alpha, alpha, np.linspace(0.0, 0.5, CELLS + 1)).tolist()
    return found


def _interpolated(table: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Quantiles ``[R]`` at uniform numbers ``[1 or R]``, of tables ``[R, CELLS + 1]``."""
    place = uniform * CELLS
    cell = place.ceil().long().sub(1)  # a uniform number is never 0
    low = table.gather(1, cell.expand(len(table))[:, None])[:, 0]
    high = table.gather(1, cell.add(1).expand(len(table))[:, None])[:, 0]
    return low + (place - cell) * (high - low)
