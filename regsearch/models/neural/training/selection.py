"""How a training run decides that an epoch is better, and which epoch counts if it ends now.

One epoch for all folds, by their mean; or fold by fold, by rows that each fold holds out; or simply the last. K folds.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from regsearch._types import Array
from regsearch.metrics.averaging import Averaging
from regsearch.models.neural.config import NetConfig


@dataclass(frozen=True)
class EpochResult:
    """What one epoch gave in every fold.

    Attributes
    ----------
    scores
        By part of the folds, ``[metrics, K]``.
    nonzero
        ``[K]``.
    epoch
        ``[K]``: its number, from 1; of several where folds have each their own.
    weights
        ``[S Q]`` for each fold, of its S nets.
    """

    scores: dict[str, Array]
    nonzero: Array
    epoch: Array
    weights: list[Array]


class EpochSelection(ABC):
    """Which epoch counts, as epochs come in.

    Attributes
    ----------
    weights
        ``[Q]`` for each fold: the parameters at the epoch that counts so far.
    """

    weights: list[Array]
    by_score: ClassVar[bool] = False  # whether the mean validation score, which is then reported, chooses the epoch
    chooses: ClassVar[bool] = True  # whether it chooses among the epochs so far, wherever training ends

    @abstractmethod
    def update(self, result: EpochResult) -> tuple[EpochResult, bool]:
        """Take in an epoch: what stands on the path for it, and whether it was an improvement."""

    def step(self, val: Array) -> int:
        """The step that counts of a path with validation scores ``[K, E]``."""
        return int(val.shape[1]) - 1


@dataclass
class LastEpoch(EpochSelection):
    """The last epoch counts, better or not: training has a fixed length."""

    chooses: ClassVar[bool] = False
    weights: list[Array] = field(default_factory=list)

    def update(self, result: EpochResult) -> tuple[EpochResult, bool]:
        self.weights = [one.copy() for one in result.weights]
        return result, True


@dataclass
class BestMean(EpochSelection):
    """The epoch with the best mean validation score over folds counts, the same in all of them.

    Parameters
    ----------
    averaging
        How folds are averaged.
    min_delta
        How much better a mean must be to be an improvement.
    """

    by_score: ClassVar[bool] = True
    averaging: Averaging
    min_delta: float
    weights: list[Array] = field(default_factory=list)
    best: float = -np.inf

    def update(self, result: EpochResult) -> tuple[EpochResult, bool]:
        mean = float(self.averaging.mean(result.scores["val"][0]))
        waiting = not np.isfinite(self.best)  # for a first epoch whose score is defined, with no patience lost
        improved = waiting or mean > self.best + self.min_delta
        if mean > self.best:
            self.weights = [one.copy() for one in result.weights]
        self.best = max(self.best, mean) if np.isfinite(mean) else self.best
        return result, improved

    def step(self, val: Array) -> int:
        mean = self.averaging.mean(val)
        return int(np.argmax(np.where(np.isnan(mean), -np.inf, mean)))


@dataclass
class BestPerFold(EpochSelection):
    """In each fold the epoch counts that is best on the fold's inner split; its validation rows only score it.

    Parameters
    ----------
    min_delta
        How much better a score must be to be an improvement.
    """

    min_delta: float
    weights: list[Array] = field(default_factory=list)
    point: EpochResult | None = None  # of the epochs that count so far
    best: Array | None = None  # [K]

    def update(self, result: EpochResult) -> tuple[EpochResult, bool]:
        improved = self._improved(result.scores["inner"][0])
        self.point = _merged(result, self.point, improved)
        self.weights = self.point.weights
        return self.point, bool(improved.any())

    def _improved(self, inner: Array) -> np.ndarray:
        """``[K]``: the folds whose inner split has a better score ``[K]`` than ever."""
        best = self.best if self.best is not None else np.full(len(inner), -np.inf)
        improved = inner > best + np.where(np.isfinite(best), self.min_delta, 0.0)
        self.best = np.where(improved, inner, best)
        return np.asarray(improved)


def _merged(new: EpochResult, old: EpochResult | None, improved: np.ndarray) -> EpochResult:
    """The new result in the folds that improved, the old one in the others."""
    if old is None:
        return replace(new, weights=[one.copy() for one in new.weights])
    return EpochResult(
        {part: np.where(improved, scores, old.scores[part]) for part, scores in new.scores.items()},
        np.where(improved, new.nonzero, old.nonzero),
        np.where(improved, new.epoch, old.epoch),
        [a.copy() if better else b for a, b, better in zip(new.weights, old.weights, improved, strict=True)],
    )


def selection_of(config: NetConfig, averaging: Averaging) -> EpochSelection:
    """How a filled config selects its epoch, where folds are averaged so."""
    if config.stopping.epochs:
        return LastEpoch()
    min_delta = float(config.stopping.min_delta)
    return BestPerFold(min_delta) if config.picking else BestMean(averaging, min_delta)


@dataclass
class Patience:
    """Counts epochs without an improvement.

    Parameters
    ----------
    limit
        How many end the training; infinite for a training of fixed length.
    """

    limit: float
    waited: int = 0

    @classmethod
    def of(cls, config: NetConfig) -> Patience:
        """What a filled config has."""
        return cls(math.inf if config.stopping.epochs else config.stopping.patience)

    def exhausted(self, improved: bool) -> bool:
        """Take note of an epoch; whether training ends with it."""
        self.waited = 0 if improved else self.waited + 1
        return self.waited >= self.limit
