"""The training of one trial in all folds: its curves so far, the epoch that counts, and whether it has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from regsearch._types import Array
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.scorer import Metric
from regsearch.models.base import Candidate
from regsearch.models.neural.config import NetConfig
from regsearch.models.neural.training.halving import rung_epochs
from regsearch.models.neural.training.selection import EpochResult, EpochSelection, Patience, selection_of
from regsearch.models.out_of_fold import SpreadSteps
from regsearch.models.path import Curves

if TYPE_CHECKING:
    from regsearch.models.neural.training.block import Segment


Pooled: TypeAlias = Callable[[Sequence[Metric], Sequence[Array]], Array]


@dataclass
class TrainingRun:
    """A trial in training.

    Attributes
    ----------
    averaging
        How folds are averaged.
    train, val
        ``[metrics, K, E]`` scores after each epoch so far.
    nonzero
        ``[K, E]``.
    counting
        ``[K, E]``: the epoch that counts in each fold if training ends there.
    decisions
        Of some epochs, ``[n_val, m]`` for each fold, where the epoch that counts is chosen by them.
    ended
        Whether patience or the last epoch has ended it.
    failure
        Why it cannot go on.
    """

    candidate: Candidate
    config: NetConfig
    metrics: tuple[Metric, ...]
    averaging: Averaging
    train: Array
    val: Array
    nonzero: Array
    counting: Array
    selection: EpochSelection
    decisions: SpreadSteps
    patience: Patience
    seconds: float = 0.0
    ended: bool = False
    failure: str = ""

    @classmethod
    def start(cls, candidate: Candidate, metrics: tuple[Metric, ...], averaging: Averaging, kept: int) -> TrainingRun:
        """A run of no epochs yet, of which the decisions of so many are to be kept."""
        config = candidate.config
        assert isinstance(config, NetConfig)
        empty, selection = np.empty((len(metrics), averaging.folds, 0)), selection_of(config, averaging)
        return cls(
            candidate, config, metrics, averaging, empty, empty, empty[0], empty[0], selection,
            SpreadSteps(kept if selection.by_score else 0), Patience.of(config),
        )  # fmt: skip

    @property
    def epoch(self) -> int:
        """How many epochs it has trained for."""
        return int(self.nonzero.shape[1])

    @property
    def rungs(self) -> tuple[int, ...]:
        """The epochs at which it may be given up."""
        return rung_epochs(self.config.last) if self.candidate.role != "reference" else ()

    @property
    def rung(self) -> int | None:
        """The rung to judge it at now: one that it has come to, or the next one if it ended before."""
        ahead = [rung for rung in self.rungs if rung >= self.epoch]
        return ahead[0] if ahead and (self.ended or ahead[0] == self.epoch) and not self.failure else None

    @property
    def curves(self) -> dict[str, Curves]:
        return {m.name: Curves(self.train[i], self.val[i], self.averaging) for i, m in enumerate(self.metrics)}

    @property
    def step(self) -> int:
        """The step of its path that counts."""
        return self.selection.step(self.val[0])

    @property
    def weights(self) -> list[Array]:
        """``[Q]`` for each fold: the parameters at the epoch that counts so far."""
        return self.selection.weights

    def update(self, segments: Sequence[Segment], row: int, pooled: Pooled) -> None:
        """Take in what some epochs gave, one segment a fold, up to where training ends.

        Parameters
        ----------
        pooled
            From metrics and each fold's weights to scores ``[metrics, K]`` of all folds together.
        """
        for e in range(segments[0].weights.shape[0]):
            if self.ended or self.failure:
                return
            scores = {
                part: np.stack([s.scores[part][:, row, e] for s in segments], axis=1) for part in segments[0].scores
            }
            self.failure = self._diverged(scores)
            if not self.failure:
                together = [i for i, metric in enumerate(self.metrics) if metric.pooled]
                if together:
                    weights = [s.weights[e, row] for s in segments]
                    scores["val"][together] = pooled([self.metrics[i] for i in together], weights)
                nonzero = np.array([s.nonzero[row, e] for s in segments])
                epoch = np.full(len(segments), self.epoch + 1.0)
                if self.decisions.most:
                    self.decisions.add(self.epoch, [s.decisions[e, row] for s in segments])
                self._add(EpochResult(scores, nonzero, epoch, [s.weights[e, row] for s in segments]))

    def _diverged(self, scores: dict[str, Array]) -> str:
        """Which score of the next epoch is infinite; empty where none is. One that is not defined ends nothing."""
        wrong = ""
        for part, values in scores.items():
            folds = np.flatnonzero(np.isinf(values[0]))
            if len(folds):
                wrong = (
                    f"diverged: {self.metrics[0].name} on the {part} rows of fold {folds[0]} was not finite "
                    f"after epoch {self.epoch + 1}; a smaller lr or gradient_clipping may help"
                )
        return wrong

    def _add(self, result: EpochResult) -> None:
        """Take in one epoch."""
        point, improved = self.selection.update(result)
        self.train, self.val = (
            np.concatenate([curve, point.scores[part][:, :, None]], axis=2)
            for part, curve in (("train", self.train), ("val", self.val))
        )
        self.nonzero = np.concatenate([self.nonzero, point.nonzero[:, None]], axis=1)
        self.counting = np.concatenate([self.counting, point.epoch[:, None]], axis=1)
        self.ended = self.patience.exhausted(improved) or self.epoch >= self.config.last
        if self.ended and np.isnan(self.val[0][:, self.step].mean()):
            self.failure = f"{self.metrics[0].name} was not defined in all folds at {self._undefined}"

    @property
    def _undefined(self) -> str:
        """The epochs of which none can be chosen, in words."""
        known = np.isfinite(self.val[0].mean(axis=0)).any()
        return f"epoch {self.epoch}, which counts" if known else f"any of {self.epoch} epochs"
