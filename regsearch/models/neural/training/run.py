"""A trial on its way through the stack: its curves so far, its best epoch, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from regsearch._types import Array
from regsearch.metrics.scorer import Metric
from regsearch.models.base import Candidate
from regsearch.models.neural.config import Recipe
from regsearch.models.neural.training.halving import rungs
from regsearch.models.path import Curves

if TYPE_CHECKING:
    from regsearch.models.neural.training.block import Segment


@dataclass
class Flight:
    """A trial in flight.

    Attributes
    ----------
    train, val
        ``[metrics, K, E]`` scores after each epoch so far.
    nonzero
        ``[K, E]``.
    picked
        ``[K, E]``: the epoch that counts in each fold if training ends there.
    weights
        ``[K, Q]``: the parameters at the epoch that counts so far.
    ended
        Whether patience or the last epoch has ended it.
    failure
        Why it cannot go on.
    """

    candidate: Candidate
    config: Recipe
    metrics: tuple[Metric, ...]
    train: Array
    val: Array
    nonzero: Array
    picked: Array
    weights: list[Array] = field(default_factory=list)
    seconds: float = 0.0
    ended: bool = False
    failure: str = ""
    best: float = -np.inf
    _waited: int = 0
    _inner: Array | None = None  # [K] best score of each fold's inner split

    @classmethod
    def begin(cls, candidate: Candidate, metrics: tuple[Metric, ...], folds: int) -> Flight:
        config = candidate.config
        assert isinstance(config, Recipe)
        empty = np.empty((len(metrics), folds, 0))
        return cls(candidate, config, metrics, empty, empty, empty[0], empty[0])

    @property
    def epoch(self) -> int:
        return int(self.nonzero.shape[1])

    @property
    def rungs(self) -> tuple[int, ...]:
        """The epochs at which it may be given up."""
        return rungs(self.config.last) if self.candidate.role != "reference" else ()

    @property
    def rung(self) -> int | None:
        """The rung to judge it at now: one that it has come to, or the next one if it ended before."""
        ahead = [rung for rung in self.rungs if rung >= self.epoch]
        return ahead[0] if ahead and (self.ended or ahead[0] == self.epoch) and not self.failure else None

    @property
    def curves(self) -> dict[str, Curves]:
        return {m.name: Curves(self.train[i], self.val[i]) for i, m in enumerate(self.metrics)}

    @property
    def step(self) -> int:
        """The step of its path that counts."""
        if self.config.inner or self.config.stopping.epochs:
            return self.epoch - 1
        return int(np.argmax(self.val[0].mean(axis=0)))

    def take(self, segments: list[Segment], row: int) -> None:
        """Take in what some epochs gave, one segment a fold, up to where training ends."""
        for e in range(segments[0].weights.shape[0]):
            scores = {
                part: np.stack([s.scores[part][:, row, e] for s in segments], axis=1) for part in segments[0].scores
            }
            nonzero = np.array([s.nonzero[row, e] for s in segments])
            self._diverged(scores)
            if self.ended or self.failure:
                return
            weights = [s.weights[e, row] for s in segments]
            self._epoch(scores, nonzero, weights)

    def _diverged(self, scores: dict[str, Array]) -> None:
        for part, values in scores.items():
            folds = np.flatnonzero(~np.isfinite(values[0]))
            if len(folds):
                self.failure = (
                    f"diverged: {self.metrics[0].name} on the {part} rows of fold {folds[0]} was not finite "
                    f"after epoch {self.epoch + 1}; a smaller lr or gradient_clipping may help"
                )

    def _epoch(self, scores: dict[str, Array], nonzero: Array, weights: list[Array]) -> None:
        """Take in one epoch: scores ``[metrics, K]`` by part."""
        number = np.full(len(nonzero), self.epoch + 1.0)
        train, val = scores["train"], scores["val"]
        improved = np.zeros(0, dtype=bool)
        if self.config.inner:
            improved = self._improved_inside(scores["inner"][0])
            if self.epoch:  # a fold whose inner split got no better keeps what it had
                train, val = (
                    np.where(improved, new, old[:, :, -1]) for new, old in ((train, self.train), (val, self.val))
                )
                nonzero = np.where(improved, nonzero, self.nonzero[:, -1])
                number = np.where(improved, number, self.picked[:, -1])
                weights = [
                    new if better else old for new, old, better in zip(weights, self.weights, improved, strict=True)
                ]
        mean = float(np.mean(val[0] if not self.config.inner else scores["inner"][0]))
        fixed = bool(self.config.stopping.epochs)
        better = (
            bool(improved.any())
            if self.config.inner
            else mean > self.best + (self._delta if np.isfinite(self.best) else 0)
        )
        self._waited = 0 if better else self._waited + 1
        if self.config.inner or fixed or mean > self.best:
            self.weights = [one.copy() for one in weights]
        self.best = max(self.best, mean)
        self.train, self.val = (
            np.concatenate([a, b[:, :, None]], axis=2) for a, b in ((self.train, train), (self.val, val))
        )
        self.nonzero, self.picked = (
            np.concatenate([a, b[:, None]], axis=1) for a, b in ((self.nonzero, nonzero), (self.picked, number))
        )
        patient = fixed or self._waited < self.config.stopping.patience
        self.ended = self.epoch >= self.config.last or not patient

    @property
    def _delta(self) -> float:
        return 0.0 if self.config.stopping.epochs else float(self.config.stopping.min_delta)

    def _improved_inside(self, inner: Array) -> np.ndarray:
        """``[K]``: the folds whose inner split has a better score ``[K]`` than ever."""
        old = self._inner if self._inner is not None else np.full(len(inner), -np.inf)
        improved = inner > old + np.where(np.isfinite(old), self._delta, 0.0)
        self._inner = np.where(improved, inner, old)
        return np.asarray(improved)
