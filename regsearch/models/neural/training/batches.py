"""The minibatches of an epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regsearch.models.neural.network.data import Fold, Scaling
from regsearch.models.neural.network.streams import EpochGroup, RandomStream, expand_to_rows

if TYPE_CHECKING:
    import torch

USUAL_SIZE = 128  # rows of a batch when nothing is said
MAX_GATHERED = 2**22  # numbers that are gathered for a whole epoch: more than a cache holds gain nothing


@dataclass(frozen=True)
class Batch:
    """Inputs ``[1 or R, B, ...]``, targets ``[1 or R, m, B]``, weights ``[1 or R, B]``; how to scale what is raw.

    Where rows have groups, `domains` are those of the samples ``[1 or R, B]``; of several tasks, `shares` ``[1 or R,
    t]`` are what the loss of each counts.
    """

    x: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor
    scaling: Scaling | None
    domains: torch.Tensor | None = None
    shares: torch.Tensor | None = None


def batch_slices(n: int, size: int) -> list[slice]:
    """Batches of `size` of n samples; a last one of one sample joins the one before it: it cannot be normalised.

    A size of 0 cuts batches of one size, of about `USUAL_SIZE`: a few rows more must not mean twice the steps.
    """
    if not size:
        parts = max(1, round(n / USUAL_SIZE))
        return [slice(n * i // parts, n * (i + 1) // parts) for i in range(parts)]
    starts = list(range(0, n, size))
    if len(starts) > 1 and n - starts[-1] == 1:
        starts.pop()
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], n], strict=True)]


def epoch_batches(
    folds: Mapping[int, Fold], groups: Sequence[EpochGroup], slices: Sequence[slice],
    order: Callable[[EpochGroup], RandomStream], raw: bool,
) -> Iterator[Batch]:  # fmt: skip
    """The batches of an epoch, not yet changed by any technique; each group has its own.

    Parameters
    ----------
    folds
        By number; they have as many training rows.
    order
        The random numbers that shuffle the rows in an epoch.
    raw
        Whether inputs are wanted before they are scaled.
    """
    of_groups = [_group_batches(folds[group.fold], slices, order(group), raw) for group in groups]
    scaling = _scaling([folds[group.fold] for group in groups], groups)
    for batches in zip(*of_groups, strict=True):
        x, y, weight = (expand_to_rows([getattr(b, name) for b in batches], groups) for name in ("x", "y", "weight"))
        others = ([one for b in batches if (one := getattr(b, name)) is not None] for name in ("domains", "shares"))
        domains, shares = (expand_to_rows(found, groups) if found else None for found in others)
        yield Batch(x, y, weight, batches[0].scaling and scaling, domains, shares)


def _group_batches(fold: Fold, slices: Sequence[slice], stream: RandomStream, raw: bool) -> Iterator[Batch]:
    """The batches of one group.

    Inputs are gathered and scaled at once where they are few and no technique wants them raw: a batch is a slice.
    """
    order = fold.rows["train"][stream.permutation(fold.n)]
    data = fold.data
    x = None if raw or fold.n * math.prod(data.shape) > MAX_GATHERED else fold.scaling.apply(data.take(order))
    y, weight = fold.y[:, order][None], fold.weight[order][None]
    domains = None if data.domains is None else data.domains[order][None]
    for part in slices:
        inputs = data.take(order[part]) if x is None else x[:, part]
        yield Batch(
            inputs, y[:, :, part], weight[:, part], fold.scaling if x is None else None,
            None if domains is None else domains[:, part], fold.shares,
        )  # fmt: skip


def _scaling(folds: Sequence[Fold], groups: Sequence[EpochGroup]) -> Scaling:
    """How the inputs of groups, each of its fold, are scaled."""
    if len({fold.number for fold in folds}) == 1:
        return folds[0].scaling
    return Scaling.of_rows([fold.scaling for fold in folds], [group.rows for group in groups])
