"""The other side of the neural benchmarks: one net at a time, as a careful PyTorch script trains it, and skorch.

Everything is on: an elastic net in the loss, AdamW (biases do not decay), dropout of inputs and hidden units, noise on
inputs, label smoothing, clipping, max-norm, a cosine schedule along steps, and a moving average of the weights, which
is what is evaluated. Charitable choices: rows are standardised once, both losses are measured on whole tensors without
gradients (no loader), nothing is logged, no checkpoint is kept, and numbers too small to be normal are flushed to zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, TensorDataset

BATCH = 128


@dataclass(frozen=True)
class Split:
    """A fold's training and validation rows, standardised by the former."""

    x: torch.Tensor
    y: torch.Tensor
    x_val: torch.Tensor
    y_val: torch.Tensor

    @classmethod
    def of(cls, X: Any, y: Any, train: Any, val: Any) -> Split:
        mean, spread = X[train].mean(axis=0), X[train].std(axis=0)
        z = torch.as_tensor((X - mean) / np.where(spread > 0, spread, 1), dtype=torch.float32)
        labels = torch.as_tensor(y)
        return cls(z[train], labels[train], z[val], labels[val])


def net(inputs: int, outputs: int, config: Any) -> nn.Sequential:
    """The plain module of a config."""
    layers: list[nn.Module] = [nn.Dropout(config.techniques["input_dropout"].rate)]
    width = inputs
    for size in config.module.hidden:
        layers += [nn.Linear(width, size), nn.ReLU(), nn.Dropout(config.techniques["dropout"].rate)]
        width = size
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def fit(config: Any, split: Split, epochs: int, seed: int = 0) -> np.ndarray:
    """Train a config for some epochs of its horizon: ``[2, epochs]`` losses of the training and validation rows."""
    torch.manual_seed(seed)
    t, penalty = config.techniques, config.techniques["penalty"]
    model = net(split.x.shape[1], int(split.y.max()) + 1, config)
    kernels = [p for p in model.parameters() if p.dim() > 1]
    biases = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": kernels, "weight_decay": t["weight_decay"].rate}, {"params": biases, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.lr)
    loader = DataLoader(TensorDataset(split.x, split.y), batch_size=BATCH, shuffle=True)
    schedule = CosineAnnealingLR(optimizer, config.horizon * len(loader))
    criterion = nn.CrossEntropyLoss(label_smoothing=t["label_smoothing"].eps)
    average = AveragedModel(model, multi_avg_fn=partial(rising, t["ema"].decay))
    l1, l2 = penalty.lambda_ * penalty.l1_ratio, penalty.lambda_ * (1 - penalty.l1_ratio) / 2
    sigma, limit = t["input_noise"].sigma, t["max_norm"].limit
    along = []
    for _ in range(epochs):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x + sigma * torch.randn_like(x)), y)
            for w in kernels:
                loss = loss + l1 * w.abs().sum() + l2 * w.square().sum()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), t["gradient_clipping"].norm)
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                for w in kernels:
                    w.mul_((limit / w.norm(dim=1, keepdim=True)).clamp_(max=1))
            average.update_parameters(model)
        along.append(evaluate(average, split))
    return np.array(along).T


@torch.no_grad()
def rising(decay: float, average: Any, weights: Any, steps: Any) -> None:
    """A moving average whose decay starts small, as ours does; without that its losses would lag in short fits."""
    steps = float(steps) + 1
    torch._foreach_lerp_(average, weights, 1 - min(decay, (1 + steps) / (10 + steps)))


@torch.no_grad()
def evaluate(model: nn.Module, split: Split) -> tuple[float, float]:
    model.eval()
    criterion = nn.functional.cross_entropy
    return float(criterion(model(split.x), split.y)), float(criterion(model(split.x_val), split.y_val))


def fit_skorch(config: Any, split: Split, epochs: int, seed: int = 0) -> Any:
    """The same net in skorch with what takes no code of one's own.

    On: dropout of inputs and hidden units, weight decay, label smoothing, clipping, the cosine schedule. Off, in its
    favour: elastic net, noise, max-norm, averaging, the accuracy it measures by default. Its training loss is that of
    the batches as they were trained.
    """
    from skorch import NeuralNetClassifier
    from skorch.callbacks import GradientNormClipping, LRScheduler
    from skorch.dataset import Dataset
    from skorch.helper import predefined_split

    torch.manual_seed(seed)
    t = config.techniques
    steps = epochs * -(-len(split.x) // BATCH)
    made = NeuralNetClassifier(
        net(split.x.shape[1], int(split.y.max()) + 1, config),
        criterion=nn.CrossEntropyLoss(label_smoothing=t["label_smoothing"].eps),
        optimizer=torch.optim.AdamW, optimizer__weight_decay=t["weight_decay"].rate, lr=config.lr,
        batch_size=BATCH, iterator_train__shuffle=True, iterator_valid__batch_size=-1, max_epochs=epochs,
        train_split=predefined_split(Dataset(split.x_val, split.y_val)), verbose=0,
        callbacks=[
            ("clip", GradientNormClipping(t["gradient_clipping"].norm)),
            ("schedule", LRScheduler(CosineAnnealingLR, T_max=steps, step_every="batch")),
        ],
        callbacks__valid_acc=None, callbacks__print_log=None,
    )  # fmt: skip
    return made.fit(split.x, split.y)
