"""Weights that are averaged: which, and what batch normalisation knows of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, mean_squared_error
from torch import nn

from regsearch import InvalidInput
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


@pytest.mark.parametrize("image", [False, True])
@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_snapshots_are_nets_at_the_ends_of_cycles(task: str, image: bool) -> None:
    """What counts are the weights of a training with the same restarts, and those at the ends of cycles before; scored
    is the mean of what these nets predict, in the search and after the refit.
    """
    of = setup(task, image=image)
    module = CNN((3,)) if image else None
    stop = t.FixedEpochs(6)
    restarts = net(module, schedule=t.CosineRestarts(2, 1.0), early_stopping=stop)
    config = net(module, averaging=t.Snapshots(3, last=2), early_stopping=stop, schedule="cosine")
    plain, found = (train(of, [one], 6) for one in (restarts, config))
    made = block(of, [config]).evaluators[1]
    for epoch, nets in enumerate([[1], [2], [3, 2], [4, 2], [5, 4], [6, 4]]):
        expected = [plain.weights_of(0, one - 1) for one in nets]
        np.testing.assert_allclose(found.weights_of(0, epoch), np.concatenate(expected), atol=1e-12)
        ((out, rows),) = (
            made.outputs(torch.from_numpy(np.stack(expected)), "val") if not image else _each(made, expected)
        )
        score = sklearn_score(made, task, out, rows)
        assert found.scores["val"][0, 0, epoch] == pytest.approx(score, abs=1e-10)
    np.testing.assert_allclose(found.nonzero[0, -1], plain.nonzero[0, [5, 3]].sum())


def _each(evaluator: Any, weights: list[Any]) -> list[Any]:
    """What nets that do not stack return, as if they did."""
    outs = [next(iter(evaluator.outputs(torch.from_numpy(one[None]), "val"))) for one in weights]
    return [(torch.cat([out for out, _ in outs]), outs[0][1])]


def sklearn_score(evaluator: Any, task: str, out: torch.Tensor, rows: torch.Tensor) -> float:
    """The score of the mean prediction of nets that return ``[S, m, B]``."""
    y = evaluator.fold.data.problem.y[rows.numpy()]
    if task == "regression":
        return -float(mean_squared_error(y, evaluator.fold.decisions(out)[:, 0].numpy().mean(0)))
    p = np.stack([1 - out[:, 0].sigmoid(), out[:, 0].sigmoid()], 1) if task == "binary" else out.softmax(1).numpy()
    return -float(log_loss(y, p.mean(0).T))


def test_a_refit_of_snapshots_is_all_of_them() -> None:
    """The refit predicts the mean of its nets' probabilities, by one plain module, and so does what is read back."""
    of = setup("multiclass").problem
    stop = t.FixedEpochs(6)
    model = net(averaging=t.Snapshots(3, last=2), early_stopping=stop, norm="batch_norm").refit(of, 0)
    rate = t.CosineRestarts(2, 1.0)
    alone = [
        net(schedule=rate, early_stopping=t.FixedEpochs(epochs, 6), norm="batch_norm").refit(of, 0)
        for epochs in (6, 4)
    ]  # fmt: skip
    expected = np.mean([one.predict_proba(of.X) for one in alone], 0)
    np.testing.assert_allclose(model.predict_proba(of.X), expected, atol=1e-10)
    assert sum(name.startswith("module.nets.1.") for name in model.tensors) == len(alone[0].module_.state_dict())


def test_a_layer_without_momentum_is_named() -> None:
    """Statistics that a layer does not say the momentum of cannot be computed anew, and the layer is named."""
    layers = nn.Linear(5, 2), nn.BatchNorm1d(2, momentum=None), nn.Linear(2, 1)
    made = block(setup(), [net(lambda: nn.Sequential(*layers), averaging=t.SWA(0.0))])
    with pytest.raises(InvalidInput, match=r"batch norm layers with a momentum, 1\.running_mean has none; give one"):
        made.advance(1)
