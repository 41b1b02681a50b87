"""Whole searches replayed: a sampler proposes, a surrogate trains, rungs give up; time is epochs of one fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from regsearch._types import Array
from regsearch.models.path import Curves
from regsearch.space.config import digest
from regsearch.space.sampling import sample
from regsearch.space.starts import initial_params
from regsearch.storage.optuna_study import searched_study
from regsearch.study.expected_scores import ExpectedScores
from replays.recording import RecordedSet
from replays.rungs import PATIENCE
from replays.surrogate import Surrogate

IN_FLIGHT, REFILL, STRIDE = 16, 4, 5  # as `regsearch.models.neural.training.stack` has them

Sampling = Callable[["Search", int], Any]  # from a search and the number of trials to an Optuna sampler


@dataclass
class Live:
    """A trial in training."""

    number: int
    asked: Any
    curves: Array
    length: int
    epoch: int = 0
    folds: int = 1


@dataclass
class Search:
    """One search.

    Attributes
    ----------
    spent, scores
        Of complete trials in the order in which they were: when, and what they scored.
    """

    recorded: RecordedSet
    surrogate: Surrogate
    sampling: Sampling
    halving: Any
    rungs: tuple[int, ...]
    seed: int
    told: bool = True
    in_flight: int = IN_FLIGHT
    spent: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    pruned: int = 0

    def __post_init__(self) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.study = optuna.create_study(direction="maximize")
        self.expected = ExpectedScores()
        self.view = searched_study(self.study, self.expected.values) if self.told else self.study
        self.known: set[str] = set()
        self.live: list[Live] = []
        self.now = 0.0
        self.count = 0

    def run(self, trials: int, starts: bool = True, until: float = np.inf) -> Search:
        for params in initial_params(self.recorded.space) if starts else ():
            self.study.enqueue_trial(params)
        while True:
            free = self.in_flight - len(self.live)
            if self.count < trials and self.now < until and (not self.live or free >= max(1, self.in_flight // REFILL)):
                for _ in range(min(free, trials - self.count)):
                    self._ask()
            if not self.live:
                return self
            self._advance()
            self._end()

    def _ask(self) -> None:
        self.view.sampler = self.sampling(self, self.count)
        asked = self.view.ask()
        config = sample(self.recorded.space, asked)
        self.known.add(digest(config))
        curves = self.surrogate(asked.params)
        self.live.append(
            Live(asked.number, asked, curves, _length(curves), folds=1 if self.rungs and self.lazy else len(curves))
        )
        self.count += 1

    lazy = True

    def is_known(self, config: Any) -> bool:
        return digest(config) in self.known

    def _advance(self) -> None:
        marks = [mark - one.epoch for one in self.live for mark in (*self.rungs, one.length)]
        stride = min([STRIDE, *(ahead for ahead in marks if ahead > 0)])
        for one in self.live:
            one.epoch += stride
            self.now += stride * one.folds

    def _seen(self, one: Live) -> Array:
        val = np.full((len(one.curves), one.epoch), np.nan)
        if one.folds == 1:
            fold = one.number // 8 % len(val)
            val[fold] = one.curves[fold, : one.epoch]
        else:
            val[:] = one.curves[:, : one.epoch]
        return val

    def _end(self) -> None:
        out = []
        for rung in self.rungs:
            at = [one for one in self.live if one.epoch == rung]
            if not at:
                continue
            verdicts = self.halving.judge(rung, {one.number: self._seen(one) for one in at})
            for one in at:
                if not verdicts[one.number].goes_on:
                    out.append(one)
                elif one.folds == 1:
                    self.now += (len(one.curves) - 1) * one.epoch
                    one.folds = len(one.curves)
                    self.halving.complete(rung, one.number, self._seen(one))
        for one in out:
            self._tell_pruned(one)
        ended = [one for one in self.live if one.epoch >= one.length and one not in out]
        for one in ended:
            score = float(one.curves[:, : one.length].mean(axis=0).max())
            self.study.tell(one.asked, score)
            self.expected.add_complete(Curves(one.curves[:, : one.length], one.curves[:, : one.length]), score)
            self.spent.append(self.now)
            self.scores.append(score)
        gone = {id(one) for one in (*out, *ended)}
        self.live = [one for one in self.live if id(one) not in gone]

    def _tell_pruned(self, one: Live) -> None:
        import optuna

        val = self._seen(one)
        one.asked.report(float(np.nanmean(val, axis=0).max()), step=one.epoch)
        self.study.tell(one.asked, state=optuna.trial.TrialState.PRUNED)
        self.expected.add_given_up(one.number, Curves(val, val))
        self.pruned += 1

    def reach(self, score: float) -> float:
        """When a score was reached."""
        return next((when for when, found in zip(self.spent, self.scores, strict=True) if found >= score), np.inf)


def _length(curves: Array) -> int:
    """Epochs until patience has run out."""
    mean, best, since = curves.mean(axis=0), -np.inf, 0
    for epoch, score in enumerate(mean, 1):
        best, since = (score, 0) if score > best else (best, since + 1)
        if since >= PATIENCE:
            return epoch
    return len(mean)
