"""The other side of the neural benchmarks: one net at a time, as a careful PyTorch script trains it, and skorch.

Everything is on: an elastic net in the loss, AdamW (biases do not decay), dropout of inputs and hidden units, noise on
inputs, label smoothing, clipping, max-norm, a cosine schedule along steps, and a moving average of the weights, which
is what is evaluated. Charitable choices: rows are standardised once, both losses are measured on whole tensors without
gradients (no loader), nothing is logged, no checkpoint is kept, and numbers too small to be normal are flushed to zero.
On a GPU all rows lie there, batches are taken by index without a loader, the optimizer is one fused kernel, and images
are augmented there, by this package's own transformations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, TensorDataset

from regsearch.models.neural.technique import Columns

BATCH = 128


@dataclass(frozen=True)
class Split:
    """A fold's training and validation rows, standardised by the former."""

    x: torch.Tensor
    y: torch.Tensor
    x_val: torch.Tensor
    y_val: torch.Tensor

    @classmethod
    def of(cls, X: Any, y: Any, train: Any, val: Any, device: str = "cpu") -> Split:
        mean, spread = X[train].mean(axis=0), X[train].std(axis=0)
        z = torch.as_tensor((X - mean) / np.where(spread > 0, spread, 1), dtype=torch.float32, device=device)
        labels = torch.as_tensor(y, device=device)
        return cls(z[train], labels[train], z[val], labels[val])

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a sample."""
        return tuple(self.x.shape[1:])


@dataclass(frozen=True)
class Batches:
    """The training rows of a split in batches, by index and where they lie."""

    split: Split

    def __len__(self) -> int:
        return math.ceil(len(self.split.x) / BATCH)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        x, y = self.split.x, self.split.y
        for rows in torch.split(torch.randperm(len(x), device=x.device), BATCH):
            yield x[rows], y[rows]


def loader_of(split: Split) -> Any:
    """Shuffled batches: a loader's where rows lie in main memory."""
    if split.x.is_cuda:
        return Batches(split)
    return DataLoader(TensorDataset(split.x, split.y), batch_size=BATCH, shuffle=True)


def net(shape: tuple[int, ...], outputs: int, config: Any) -> nn.Sequential:
    """The plain module of a config."""
    layers: list[nn.Module] = [nn.Dropout(config.techniques["input_dropout"].rate)]
    for name, layer in config.module.module(shape, outputs, "").named_children():
        if isinstance(layer, nn.Flatten) and len(shape) == 1:
            continue
        layers.append(layer)
        if name.startswith("hidden"):
            layers.append(nn.Dropout(config.techniques["dropout"].rate))
    return nn.Sequential(*layers)


def augmentation(config: Any, like: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """What changes images ``[B, ...]`` at random, as the technique of the package does it for one net."""
    technique = config.techniques.get("augment")
    if technique is None:
        return lambda x: x
    options: dict[str, Any] = {"dtype": like.dtype, "device": like.device}
    numbers = technique.fields()
    v = Columns(**{name: torch.tensor([value], **options) for name, value in numbers.items()})
    v.on = SimpleNamespace(**{name: bool(value) for name, value in numbers.items()})
    rng = SimpleNamespace(
        uniform=lambda *shape: torch.rand(shape, **options), normal=lambda *shape: torch.randn(shape, **options)
    )
    return lambda x: technique.on_batch(v, technique.on_raw(v, x[None], rng), rng)[0]


def fit(config: Any, split: Split, epochs: int, seed: int = 0) -> np.ndarray:
    """Train a config for some epochs of its horizon: ``[2, epochs]`` losses of the training and validation rows."""
    torch.manual_seed(seed)
    t, penalty = config.techniques, config.techniques["penalty"]
    model = net(split.shape, int(split.y.max()) + 1, config).to(split.x.device)
    kernels = [p for p in model.parameters() if p.dim() > 1]
    biases = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": kernels, "weight_decay": t["weight_decay"].rate}, {"params": biases, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.lr, fused=split.x.is_cuda)
    loader, augmented = loader_of(split), augmentation(config, split.x)
    schedule = CosineAnnealingLR(optimizer, config.horizon * len(loader))
    criterion = nn.CrossEntropyLoss(label_smoothing=t["label_smoothing"].eps)
    average = AveragedModel(model, multi_avg_fn=partial(rising, t["averaging"].decay, count(1)))
    l1, l2 = penalty.lambda_ * penalty.l1_ratio, penalty.lambda_ * (1 - penalty.l1_ratio) / 2
    sigma, limit = t["input_noise"].sigma, t["max_norm"].limit
    along = []
    for _ in range(epochs):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            seen = augmented(x)
            loss = criterion(model(seen + sigma * torch.randn_like(seen)), y)
            for w in kernels:
                loss = loss + l1 * w.abs().sum() + l2 * w.square().sum()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), t["gradient_clipping"].norm)
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                for rows in (w.flatten(1) for w in kernels):
                    rows.mul_((limit / rows.norm(dim=1, keepdim=True)).clamp_(max=1))
            average.update_parameters(model)
        along.append(evaluate(average, split))
    return np.array(along).T


@torch.no_grad()
def rising(decay: float, counted: Iterator[int], average: Any, weights: Any, _: Any) -> None:
    """A moving average whose decay starts small, as ours does; without that its losses would lag in short fits.

    Steps are counted here: torch's own count lies where the weights do, and reading it would wait for a GPU.
    """
    steps = next(counted) + 1
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
        net(split.shape, int(split.y.max()) + 1, config),
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
