"""Nothing mixes devices: data on one whose tensors have shapes alone is trained on and scored there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from regsearch.models.neural import CNN, MLP
from regsearch.models.neural import techniques as t
from regsearch.models.neural.network.loss import Tally
from regsearch.models.neural.training import block
from regsearch.models.neural.training.shared import SharedParts, Structure
from regsearch.testing.nets import net, setup

META = torch.device("meta")
FOLDS = (0, 1, 2)


class OneDevice(TorchDispatchMode):
    """Refuses what CUDA refuses: tensors of two devices in one operation, but for copies, scalars and indices."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor) and one.dim()]
        if not str(func).startswith(("aten.copy_", "aten._to_copy", "aten.index.")):
            assert len({one.device.type for one in tensors}) <= 1, func
        return func(*args, **(kwargs or {}))


class Drawn:
    """Random numbers there: that device has no generator."""

    def __init__(self, seed: int, dtype: torch.dtype, device: torch.device) -> None:
        self.options: dict[str, Any] = {"dtype": dtype, "device": device}

    def uniform(self, *shape: int) -> torch.Tensor:
        return torch.rand(shape, **self.options)

    def normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(shape, **self.options)

    def permutation(self, n: int) -> torch.Tensor:
        return torch.randperm(n, device=self.options["device"])


def moved(of: Any, structure: Structure) -> SharedParts:
    """Shared parts whose data and folds lie there; what they are made from is looked at, so that they move late."""
    shared = SharedParts(of, "cpu")
    folds = [shared.fold(structure, k) for k in FOLDS]
    for k in FOLDS:  # which may start from what rows say
        shared.network(structure, k)
    data = shared.data(structure)
    data.device = META
    for place in (data, *folds, *(fold.scaling for fold in folds)):
        for name, value in vars(place).items():
            if isinstance(value, torch.Tensor):
                object.__setattr__(place, name, value.to(META))
    for fold in folds:
        fold.rows = {part: rows.to(META) for part, rows in fold.rows.items()}
    return shared


SEVERAL = {"task": "regression", "targets": 3}
AUGMENT = t.Augment(20.0, 0.5, 0.5, 0.1, 0.1, 0.1, 0.3, 0.1)
ALL = net(
    dropout=0.3, input_dropout=0.2, input_noise=0.1, penalty=t.ElasticNetPenalty(0.1, 0.5), weight_decay=0.1,
    gradient_clipping=1.0, max_norm=2.0, schedule="cosine", averaging=0.9, label_noise=0.1, weight_noise=0.1,
    label_smoothing=0.1, activity_penalty=t.L2Penalty(0.1), batch_size=12,
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "configs"),
    [
        ({}, [ALL, net(batch_size=12)]), ({}, [net(norm="batch_norm", class_weight="balanced")] * 2),
        ({"image": True}, [net(MLP((4,)), augment=AUGMENT), net(MLP((4,)))]),
        ({"image": True}, [net(CNN((3, 4)), augment=AUGMENT)]),
        ({}, [net(embedding=t.Periodic(4, 2, sigma), scale="robust", batch_size=12) for sigma in (0.1, 0.3)]),
        ({}, [net(embedding=t.PiecewiseLinear(4), skip="skip_connection", batch_size=12)] * 2),
        (SEVERAL, [net(tasks=t.SoftSharing(0.1), batch_size=12)] * 2),
        (SEVERAL, [net(tasks=t.CrossStitch(), embedding=t.PiecewiseLinear(3), batch_size=12)] * 2),
        (SEVERAL, [net(tasks=t.TaskRelation(0.1), batch_size=12)] * 2),
    ],
    ids=["techniques", "norm", "images", "convolutions", "periodic", "bins", "soft", "stitches", "relations"],
)  # fmt: skip
def test_training_and_scores_stay_on_the_device(
    task: dict[str, Any], configs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch of rows of all folds, halves of them, and scores of weights in main memory mix no devices."""
    monkeypatch.setattr(block, "RandomStream", Drawn)
    metrics = ("neg_mean_squared_error", "r2") if task == SEVERAL else ("neg_log_loss", "accuracy")
    of = setup(**({"task": "multiclass", "scoring": metrics} | task))
    structure = SharedParts(of, "cpu").structure(configs[0])
    shared = moved(of, structure)
    rows = [(k, shared.row_config(config, structure)) for k in FOLDS for config in configs]
    rows = rows if structure.stacks else rows[:1]
    with torch.no_grad(), OneDevice():
        made = shared.block(structure, [k for k, _ in rows], [row for _, row in rows])
        for step in made.steps():
            step()
        for part in made.split() if structure.stacks else ():
            part.keep([1, 0])
        assert {tensor.device for tensor in (made.evaluated()[0], *made._state())} == {META}
        outputs = list(scored(shared, structure, torch.zeros(2, made.theta.shape[1], dtype=made.theta.dtype)))
    assert {out.device for out in outputs} == {META}


def scored(shared: SharedParts, structure: Structure, theta: torch.Tensor) -> Iterator[torch.Tensor]:
    """What rows of weights say of each part of a fold, once their scores are taken note of."""
    evaluator = shared.evaluator(structure, 0)
    for part in evaluator.fold.parts:
        tally = Tally(shared.setup.metrics, evaluator.fold, part)
        for out, samples in evaluator.outputs(theta if structure.stacks else theta[:1], part):
            tally.add(out, samples)
            yield evaluator.fold.decisions(out)
