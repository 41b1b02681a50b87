"""Running statistics of batch normalisation, computed anew for weights that no training step has passed through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regsearch.errors import InvalidInput
from regsearch.models.neural.network.evaluator import NO_HOOKS, Evaluator
from regsearch.models.neural.network.streams import RandomStream, seed_of
from regsearch.models.neural.training.batches import batch_slices

if TYPE_CHECKING:
    import torch


def with_statistics(evaluator: Evaluator, theta: torch.Tensor, batch_size: int, seed: int) -> torch.Tensor:
    """Rows ``[R, Q]`` whose running statistics are means over the batches of the training rows.

    As `torch.optim.swa_utils.update_bn`, with batches that are the same whenever it is done for a fold.

    Raises
    ------
    InvalidInput
        When a layer does not say how much of a batch is in its running statistics.
    """
    import torch

    network, fold = evaluator.network, evaluator.fold
    if not network.running:
        return theta
    running = [(param, momentum) for param, momentum in network.running if momentum]
    if len(running) < len(network.running):
        name = next(param.name for param, momentum in network.running if not momentum)
        raise InvalidInput(f"Averaged weights need batch norm layers with a momentum, {name} has none; give one.")
    stream = RandomStream(seed_of(seed, fold.number, "statistics"), theta.dtype, theta.device)
    order = fold.rows["train"][stream.permutation(fold.n)]
    moved, made, slices = theta.clone(), theta.clone(), batch_slices(fold.n, batch_size)
    views = network.layout.views(moved)
    for param, _ in running:
        param.view(made).zero_()
    for part in slices:
        for param, _ in running:
            param.view(moved).zero_()
        with torch.no_grad():
            evaluator.forward(views, fold.scaling.apply(fold.data.take(order[part])), NO_HOOKS, True)
        for param, momentum in running:  # what a batch moves a statistic to from zero
            param.view(made).add_(param.view(moved), alpha=1 / (momentum * len(slices)))
    return made
