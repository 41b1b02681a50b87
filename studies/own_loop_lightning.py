"""A training loop of one's own, in Lightning: diabetes.

Lightning's trainer goes on for one epoch at a time, and the loop says after each what the module predicts. It needs
``pip install pytorch-lightning``.

    python studies/own_loop_lightning.py --trials 10
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from regsearch import Float, Loop, Study
from regsearch.models.own_loop import EpochScores, LoopFold

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)  # it tells of each epoch that it has no GPU

X, y = load_diabetes(return_X_y=True)


class Net(lightning.LightningModule):
    """One hidden layer, for a y that is centred and scaled."""

    def __init__(self, config: Mapping[str, Any], centre: float, scale: float) -> None:
        super().__init__()
        self.config, self.centre, self.scale = config, centre, scale
        self.layers = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Dropout(config["dropout"]), nn.Linear(32, 1))

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        rows, target = batch
        return nn.functional.mse_loss(self.layers(rows)[:, 0], (target - self.centre) / self.scale)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=0.01, weight_decay=self.config["weight_decay"])

    def predict(self, X: Any) -> np.ndarray:
        self.eval()
        with torch.no_grad():
            said = self.layers(single(X))[:, 0].double().numpy()
        return self.centre + self.scale * said


def single(values: Any) -> torch.Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.float32)


def train(config: Mapping[str, Any], fold: LoopFold) -> Iterator[EpochScores]:
    """Let Lightning's trainer go on by an epoch, as often as there are; what is predicted after each."""
    net = Net(config, float(fold.y.mean()), float(fold.y.std()))
    batches = DataLoader(TensorDataset(single(fold.X), single(fold.y)), batch_size=64, shuffle=True)
    trainer = lightning.Trainer(
        max_epochs=0, logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        accelerator="cpu",
    )  # fmt: skip
    for epoch in range(fold.epochs):
        trainer.fit_loop.max_epochs = epoch + 1
        trainer.fit(net.train(), batches)
        yield fold.score(net.predict(fold.X), net.predict(fold.X_val))
    return net


study = Study(
    "own-loop-lightning",
    X,
    y,
    space=Loop(
        train,
        {"dropout": Float(0.0, 0.5), "weight_decay": Float(1e-3, 1.0, log=True)},
        plain={"dropout": 0.0, "weight_decay": 0.0},
        epochs=20,
        patience=6,
    ),
    cv=4,
    seed=0,
)

if __name__ == "__main__":
    raise SystemExit(study.main())
