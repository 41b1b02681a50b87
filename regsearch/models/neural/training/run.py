"""The training of one trial: its curves so far, the epoch that counts, and whether it has ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.scorer import Metric
from regsearch.models.base import Candidate
from regsearch.models.neural.config import NetConfig
from regsearch.models.neural.training.selection import EpochResult, EpochSelection, Patience, selection_of
from regsearch.models.out_of_fold import SpreadSteps
from regsearch.models.path import Curves

if TYPE_CHECKING:
    from regsearch.models.neural.training.segment import FoldEpoch
    from regsearch.models.neural.training.shared import Structure


Pooled: TypeAlias = Callable[["Structure", Sequence[Metric], Sequence[Array]], Array]


@dataclass(frozen=True)
class RunSettings:
    """What the runs of a stack have in common.

    Attributes
    ----------
    metrics
        Followed after each epoch; the first decides.
    averaging
        How all K folds are averaged.
    kept
        Of how many epochs decisions are kept.
    pooled
        From a structure, metrics and each fold's weights to scores ``[metrics, K]`` of all folds together.
    """

    metrics: tuple[Metric, ...]
    averaging: Averaging
    kept: int
    pooled: Pooled


@dataclass
class TrainingRun:
    """A trial in training on k of the K folds.

    Folds need not be equally far: an epoch counts once all of them have been through it.

    Attributes
    ----------
    folds
        The numbers of the k folds, ascending.
    train, val
        ``[metrics, k, E]`` scores after each epoch so far.
    nonzero
        ``[k, E]``.
    counting
        ``[k, E]``: the epoch that counts in each fold if training ends there.
    recorded
        By slot, ``[k, E]``: the factors that techniques which follow something have come to.
    decisions
        Of some epochs, ``[n_val, m]`` for each fold, where the epoch that counts is chosen by them.
    trained
        By fold, for how many epochs it has trained.
    rungs
        The epochs at which it may be given up.
    judged
        The last rung that it has passed.
    ended
        Whether patience or the last epoch has ended it.
    failure
        Why it cannot go on.
    """

    candidate: Candidate
    structure: Structure
    settings: RunSettings
    folds: tuple[int, ...]
    train: Array
    val: Array
    nonzero: Array
    counting: Array
    selection: EpochSelection
    decisions: SpreadSteps
    patience: Patience
    trained: dict[int, int]
    rungs: tuple[int, ...] = ()
    seconds: float = 0.0
    judged: int = 0
    ended: bool = False
    failure: str = ""
    recorded: dict[str, Array] = field(default_factory=dict)
    _ahead: dict[int, deque[FoldEpoch]] = field(default_factory=dict)  # by fold, epochs that the others lack
    _taken: list[FoldEpoch] = field(default_factory=list)  # of the only fold, for the run on all of them

    @classmethod
    def start(
        cls, candidate: Candidate, structure: Structure, settings: RunSettings, folds: tuple[int, ...],
        rungs: tuple[int, ...] = (),
    ) -> TrainingRun:  # fmt: skip
        """A run of no epochs yet."""
        config = candidate.config
        assert isinstance(config, NetConfig)
        empty = np.empty((len(settings.metrics), len(folds), 0))
        selection = selection_of(config, settings.averaging.some(_mask(folds, settings.averaging.folds)))
        return cls(
            candidate, structure, settings, folds, empty, empty, empty[0], empty[0], selection,
            SpreadSteps(settings.kept if selection.by_score else 0), Patience.of(config), dict.fromkeys(folds, 0),
            rungs, recorded=dict.fromkeys(config.recorded, empty[0]), _ahead={k: deque() for k in folds},
        )  # fmt: skip

    def widened(self) -> TrainingRun:
        """The run on all folds of a trial that was on one: it goes on there, and catches up on the others."""
        made = TrainingRun.start(
            self.candidate, self.structure, self.settings, tuple(range(self._all_folds)), self.rungs
        )
        made.seconds, made.judged = self.seconds, self.judged
        (fold,) = self.folds
        made.receive(fold, [*self._taken, *self._ahead[fold]])
        return made

    def narrowed(self) -> TrainingRun:
        """The run on those of its folds that have trained, where it has no epoch yet because the others have not."""
        folds = tuple(k for k in self.folds if self._ahead[k])
        if self.epoch or not folds or any(metric.pooled for metric in self.metrics):
            return self
        made = TrainingRun.start(self.candidate, self.structure, self.settings, folds)
        made.seconds = self.seconds
        for k in folds:
            made.receive(k, self._ahead[k])
        made.take_in()
        return made

    @property
    def config(self) -> NetConfig:
        config = self.candidate.config
        assert isinstance(config, NetConfig)
        return config

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self.settings.metrics

    @property
    def _all_folds(self) -> int:
        return self.settings.averaging.folds

    @property
    def partial(self) -> bool:
        """Whether it trains on some of the folds only."""
        return len(self.folds) < self._all_folds

    @property
    def epoch(self) -> int:
        """For how many epochs all of its folds have trained."""
        return int(self.nonzero.shape[1])

    @property
    def done(self) -> bool:
        """Whether there is nothing left to train."""
        return bool(self.failure) or (self.ended and not self.partial)

    @property
    def stands(self) -> bool:
        """Whether it could end here: what it has come to is what training of fewer epochs at most would come to."""
        begun = self.selection.chooses and self.epoch > 0 and not self.partial and not self.failure
        return begun and bool(np.isfinite(self.val[0][:, self.step]).all())

    @property
    def rung(self) -> int | None:
        """The rung to judge it at now: one that it has come to, or the next one if it ended before."""
        ahead = [rung for rung in self.rungs if rung >= self.epoch and rung > self.judged]
        return ahead[0] if ahead and (self.ended or ahead[0] == self.epoch) and not self.failure else None

    @property
    def marks(self) -> list[int]:
        """Epochs until it is to be looked at: at a rung, and when a fold has trained to the end."""
        rungs = [rung - self.epoch for rung in self.rungs if rung > self.judged]
        return [*rungs, *(self.config.last - trained for trained in self.trained.values())]

    @property
    def curves(self) -> dict[str, Curves]:
        """``[K, E]`` of every metric; NaN in folds that it does not train on."""
        train, val = self.on_all(self.train), self.on_all(self.val)
        return {m.name: Curves(train[i], val[i], self.settings.averaging) for i, m in enumerate(self.metrics)}

    @property
    def deciding(self) -> Array:
        """``[K, E]`` validation scores of the metric that decides: NaN in folds that it does not train on alone."""
        return self.on_all(np.nan_to_num(self.val[0], nan=-np.inf, posinf=np.inf, neginf=-np.inf))

    def on_all(self, values: Array) -> Array:
        """Values ``[..., k, E]`` of its folds as ``[..., K, E]``, NaN in the others."""
        if not self.partial:
            return values
        found = np.full((*values.shape[:-2], self._all_folds, values.shape[-1]), np.nan)
        found[..., list(self.folds), :] = values
        return found

    @property
    def step(self) -> int:
        """The step of its path that counts."""
        return self.selection.step(self.val[0])

    @property
    def weights(self) -> list[Array]:
        """``[Q]`` for each fold: the parameters at the epoch that counts so far."""
        return self.selection.weights

    # --- epochs come in ----------------------------------------------------------------------------------------

    def receive(self, fold: int, epochs: Iterable[FoldEpoch]) -> None:
        """Keep what epochs of a fold gave until `take_in`."""
        before = len(self._ahead[fold])
        self._ahead[fold].extend(epochs)
        self.trained[fold] += len(self._ahead[fold]) - before

    def take_in(self) -> None:
        """Take in the epochs that all folds have been through, up to where training ends."""
        while all(self._ahead.values()) and not (self.ended or self.failure):
            self._take([self._ahead[k].popleft() for k in self.folds])

    def _take(self, found: list[FoldEpoch]) -> None:
        """Take in one epoch, of each fold."""
        if self.partial:
            self._taken += found
        scores = {part: np.stack([one.scores[part] for one in found], axis=1) for part in found[0].scores}
        self.failure = self._diverged(scores)
        if self.failure:
            return
        weights = [one.weights for one in found]
        together = [i for i, metric in enumerate(self.metrics) if metric.pooled]
        if together:
            pooled = [self.metrics[i] for i in together]
            scores["val"][together] = self.settings.pooled(self.structure, pooled, weights)
        if self.decisions.most:
            self.decisions.add(self.epoch, [one.decisions for one in found])
        for slot, values in self.recorded.items():
            self.recorded[slot] = np.c_[values, [one.recorded[slot] for one in found]]
        nonzero, epoch = np.array([one.nonzero for one in found]), np.full(len(found), self.epoch + 1.0)
        self._add(EpochResult(scores, nonzero, epoch, weights))

    def _diverged(self, scores: dict[str, Array]) -> str:
        """Which score of the next epoch is infinite; empty where none is. One that is not defined ends nothing."""
        wrong = ""
        for part, values in scores.items():
            folds = np.flatnonzero(np.isinf(values[0]))
            if len(folds):
                wrong = (
                    f"diverged: {self.metrics[0].name} on the {part} rows of fold {self.folds[folds[0]]} was not "
                    f"finite after epoch {self.epoch + 1}; a smaller lr or gradient_clipping may help"
                )
        return wrong

    def _add(self, result: EpochResult) -> None:
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


def _mask(folds: Sequence[int], count: int) -> NDArray[np.bool_]:
    """``[count]``: whether a fold is one of them."""
    return np.isin(np.arange(count), folds)
