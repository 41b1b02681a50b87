"""Sets whose curves are recorded: every fold of random configs, to the last epoch, without pruning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from neural import SEED, digits, setup_of, space, synthetic
from sklearn.datasets import load_breast_cancer, load_diabetes

from regsearch import CNN, MLP, Choice, Float, Net
from regsearch import nn_techniques as t
from regsearch._types import Array
from regsearch.models.base import Candidate
from regsearch.models.neural.training.batches import batch_slices
from regsearch.models.neural.training.stack import Stack
from regsearch.space.sampling import fill, random_params

FOLDER = Path(__file__).resolve().parents[2] / "build" / "replay"
PART = 16  # configs that train together, and are kept together


@dataclass(frozen=True)
class RecordedSet:
    """Data, a space and how much of it is recorded.

    Attributes
    ----------
    hidden
        What a reader should know of it.
    configs, folds, epochs
        The shape of its curves.
    """

    name: str
    data: Callable[[], tuple[Any, Any]]
    net: Callable[[int], Net]
    what: str
    configs: int = 128
    folds: int = 5
    epochs: int = 100

    @cached_property
    def space(self) -> Net:
        """The space, its nets trained to the last epoch."""
        return self.net(self.epochs)

    @cached_property
    def params(self) -> list[dict[str, Any]]:
        """Parameters of the random configs."""
        random = np.random.default_rng(SEED)
        return [random_params(self.space, random) for _ in range(self.configs)]

    @property
    def updates(self) -> int:
        """Updates of the weights in an epoch."""
        rows = len(self.data()[1]) * (self.folds - 1) // self.folds
        return len(batch_slices(rows, 0))

    @property
    def file(self) -> Path:
        return FOLDER / f"{self.name}_{self.configs}x{self.folds}x{self.epochs}.npz"

    def curves(self) -> Array:
        """``[configs, folds, epochs]`` scores that were recorded, larger is better; NaN where none was yet.

        Source: `record`.
        """
        if not self.file.exists():
            return np.full((self.configs, self.folds, self.epochs), np.nan)
        with np.load(self.file) as stored:
            return np.asarray(stored["val"])

    def record(self) -> Array:
        """Train what was not yet, part after part; killed between them, it goes on there."""
        setup, curves = setup_of(*self.data(), folds=self.folds), self.curves()
        for start in range(0, self.configs, PART):
            part = range(start, min(start + PART, self.configs))
            if np.isnan(curves[part]).all(axis=(1, 2)).any():
                candidates = [Candidate(i, fill(self.space, self.params[i])) for i in part]
                for outcome in Stack(setup).stream(candidates):
                    if outcome.state != "complete":
                        raise RuntimeError(f"{self.name}, config {outcome.number}: {outcome.reason}")
                    curves[outcome.number] = outcome.trajectory.deciding.val
                FOLDER.mkdir(parents=True, exist_ok=True)
                np.savez_compressed(self.file, val=curves)
            print(f"{self.name}: {part.stop} of {self.configs} configs recorded", flush=True)
        return curves


def _noisy_digits() -> tuple[Any, Any]:
    """300 digits, of which every fourth has a random label."""
    X, y = digits()
    random = np.random.default_rng(SEED)
    labels = np.where(random.random(300) < 0.25, random.integers(10, size=300), y[:300])
    return X[:300], labels


def _noisy_net(epochs: int) -> Net:
    """A space with a choice, each of whose options has leaves of its own."""
    return Net(
        MLP(hidden=(64, 64)), lr=Float(3e-4, 3e-2, log=True),
        penalty=Choice(None, t.L1Penalty(), t.L2Penalty(), t.ElasticNetPenalty()), weight_decay=t.WeightDecay(),
        dropout=Choice(None, t.Dropout(Float(0.01, 0.8))), input_noise=t.InputNoise(Float(1e-3, 2.0, log=True)),
        label_smoothing=t.LabelSmoothing(Float(1e-3, 0.5)), early_stopping=t.FixedEpochs(epochs),
    )  # fmt: skip


def _images() -> tuple[Any, Any]:
    """500 digits as images."""
    X, y = digits()
    return X[:500].reshape(-1, 8, 8), y[:500]


def _image_net(epochs: int) -> Net:
    return Net(
        CNN(channels=(8, 16)), lr=Float(1e-3, 3e-2, log=True), dropout=Float(0.0, 0.5),
        augment=Choice(None, t.Augment()), weight_decay=t.WeightDecay(), early_stopping=t.FixedEpochs(epochs),
    )  # fmt: skip


def _every_technique(epochs: int) -> Net:
    return space((64, 64), t.FixedEpochs(epochs))


def _regression_net(epochs: int) -> Net:
    return Net(
        MLP(hidden=(64, 64)), lr=Float(3e-4, 3e-2, log=True), penalty=t.ElasticNetPenalty(Float(1e-6, 1e-1, log=True)),
        weight_decay=t.WeightDecay(), dropout=t.Dropout(Float(0.01, 0.8)),
        input_noise=t.InputNoise(Float(1e-3, 2.0, log=True)), gradient_clipping=t.GradientClipping(),
        max_norm=t.MaxNorm(), schedule=t.Cosine(), early_stopping=t.FixedEpochs(epochs),
    )  # fmt: skip


SETS: Mapping[str, RecordedSet] = {
    one.name: one
    for one in (
        RecordedSet("digits", digits, _every_technique, "1797 digits, 2x64, every technique on",
                    configs=96),
        RecordedSet("cancer", lambda: load_breast_cancer(return_X_y=True), _every_technique,
                    "breast cancer, 2x64, every technique on"),
        RecordedSet("made", synthetic, _every_technique, "5000 made rows of 20 columns, 2x64, every technique on"),
        RecordedSet("noisy", _noisy_digits, _noisy_net,
                    "300 digits, a quarter of the labels random, choices of techniques", configs=200),
        RecordedSet("diabetes", lambda: load_diabetes(return_X_y=True), _regression_net,
                    "diabetes, a regression, 2x64"),
        RecordedSet("images", _images, _image_net, "500 digits as images, a CNN, with augmentation or without",
                    configs=64, epochs=40),
    )
}  # fmt: skip
