"""Weights that are averaged: which, and what batch normalisation knows of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from regsearch import InvalidInput, Net
from regsearch.models.neural import CNN
from regsearch.models.neural import techniques as t
from regsearch.models.neural.network.streams import RandomStream, seed_of
from regsearch.testing.nets import EPOCHS, block, net, setup, train


def test_the_mean_of_the_last_epochs_counts() -> None:
    """Training is as without it; from its start on, each row's own, the mean of all epochs since is evaluated."""
    of = setup()
    plain = train(of, [net()]).weights[:, 0]
    found = train(of, [net(averaging=t.SWA(start)) for start in (0.0, 0.5, 0.75)]).weights
    for row, start in enumerate((0, 2, 3)):
        for epoch in range(EPOCHS):
            expected = plain[start : epoch + 1].mean(0) if epoch >= start else plain[epoch]
            np.testing.assert_allclose(found[epoch, row], expected, atol=1e-12)


def own() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6, momentum=0.3), nn.Dropout(0.5), nn.Linear(6, 1))


@pytest.mark.parametrize(("module", "image"), [(None, False), (CNN((3, 4)), True), (own, False)])
def test_statistics_are_those_of_torch(module: Any, image: bool) -> None:
    """Running statistics of averaged weights are those of `update_bn` on the same batches, and of no dropout."""
    of = setup("binary", image=image)
    norm = {} if module is own else {"norm": "batch_norm"}
    config = net(module, averaging=t.SWA(0.25), **norm)
    made = block(of, [config])
    found = made.advance(EPOCHS).weights[-1, 0]
    evaluator = made.evaluators[1]
    fold, layout = evaluator.fold, evaluator.network.layout
    plain = config.module.module(fold.data.shape, 1, config.norm).double()
    values = {name: view[0] for name, view in layout.views(torch.from_numpy(found[None])).items()}
    plain.load_state_dict(values, strict=False)
    for one in plain.modules():
        if isinstance(one, nn.Dropout):
            one.p = 0.0
    order = fold.rows["train"][RandomStream(seed_of(of.seed, 1, "statistics"), fold.y.dtype, fold.y.device)
                               .permutation(fold.n)]  # fmt: skip
    batches = [fold.scaling.apply(fold.data.take(order[i : i + 7]))[0] for i in range(0, fold.n, 7)]
    torch.optim.swa_utils.update_bn(batches, plain)
    for name, value in plain.named_buffers():
        if value.is_floating_point():
            torch.testing.assert_close(values[name], value, rtol=1e-10, atol=1e-12)


def test_one_technique_says_which_weights_count() -> None:
    """Two averages are refused at construction; one that is off is not."""
    with pytest.raises(InvalidInput, match=r"got Ema and SWA; leave one out"):
        Net(ema=0.9, averaging="swa")
    assert Net(ema=0.0, averaging="swa")


def test_a_layer_without_momentum_is_named() -> None:
    """Statistics that a layer does not say the momentum of cannot be computed anew, and the layer is named."""
    layers = nn.Linear(5, 2), nn.BatchNorm1d(2, momentum=None), nn.Linear(2, 1)
    made = block(setup(), [net(lambda: nn.Sequential(*layers), averaging=t.SWA(0.0))])
    with pytest.raises(InvalidInput, match=r"batch norm layers with a momentum, 1\.running_mean has none; give one"):
        made.advance(1)
