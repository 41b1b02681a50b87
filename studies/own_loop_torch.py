"""A training loop of one's own, in plain torch: handwritten digits.

The loop trains a net as any script does, and says after each epoch what it predicts; folds, rungs, the epoch that is
best on the mean of the folds, and the gap are the search's. The reference is the loop without dropout, weight decay and
label smoothing, trained to the last epoch.

    python studies/own_loop_torch.py --trials 20
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from regsearch import Float, Loop, Study
from regsearch.models.own_loop import EpochScores, LoopFold

X, y = load_digits(return_X_y=True)


class Digits(nn.Module):
    """Two hidden layers; what it predicts as scikit-learn's models do."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(64, 64), nn.ReLU(), nn.Dropout(dropout), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)  # type: ignore[no-any-return]

    def predict_proba(self, X: Any) -> np.ndarray:
        self.eval()
        with torch.no_grad():
            return self(scaled(X)).softmax(dim=1).double().numpy()

    def predict(self, X: Any) -> np.ndarray:
        return self.predict_proba(X).argmax(axis=1)


def scaled(X: Any) -> torch.Tensor:
    """Images as the net has them: from 0 to 1."""
    return torch.as_tensor(np.asarray(X), dtype=torch.float32) / 16


def train(config: Mapping[str, Any], fold: LoopFold) -> Iterator[EpochScores]:
    """Train on a fold; what is predicted after each epoch."""
    net, images, labels = Digits(config["dropout"]), scaled(fold.X), torch.as_tensor(fold.y)
    loss = nn.CrossEntropyLoss(label_smoothing=config["label_smoothing"])
    optimizer = torch.optim.AdamW(net.parameters(), lr=config["lr"], weight_decay=config["weight_decay"])
    for _ in range(fold.epochs):
        net.train()
        for rows in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            loss(net(images[rows]), labels[rows]).backward()
            optimizer.step()
        yield fold.score(net.predict_proba(fold.X), net.predict_proba(fold.X_val))
    return net


study = Study(
    "own-loop-torch",
    X,
    y,
    space=Loop(
        train,
        {
            "lr": Float(1e-3, 1e-2, log=True),
            "dropout": Float(0.0, 0.5),
            "weight_decay": Float(1e-3, 3.0, log=True),
            "label_smoothing": Float(0.0, 0.2),
        },
        plain={"dropout": 0.0, "weight_decay": 0.0, "label_smoothing": 0.0},
        epochs=40,
        patience=10,
    ),
    cv=5,
    seed=0,
)

if __name__ == "__main__":
    raise SystemExit(study.main())
