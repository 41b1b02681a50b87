"""The backend of a user's own loop: folds in step, epoch by epoch, given up at rungs as nets are.

Until its first rung a trial trains on one fold alone, then on all; see `regsearch.models.halving`. A loop is the user's
program, so that nothing of it can be stacked: one trial trains at a time, and workers train several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np

from regsearch.errors import FOREIGN, RegsearchError
from regsearch.models.base import Candidate, Outcome, Setup
from regsearch.models.deadline import Stop
from regsearch.models.halving import SuccessiveHalving, first_fold, rung_epochs
from regsearch.models.own_loop.own_state import load_shared
from regsearch.models.own_loop.training import FoldRun, LoopTraining
from regsearch.models.path import Trajectory

BATCH = 32  # rows between two updates, to guess how many updates an epoch has: a loop does not say


class LoopConfig(Protocol):
    """What the backend reads of a filled config."""

    last: int
    patience: int | None
    stop_at: int | None

    def begin(self, setup: Setup, fold: int) -> FoldRun:
        """The training of one fold, before its first epoch."""


@dataclass
class LoopBackend:
    """Trains candidates one after the other."""

    setup: Setup
    halving: SuccessiveHalving = field(init=False)

    def __post_init__(self) -> None:
        load_shared()
        self.halving = SuccessiveHalving(self.setup.history.curves, self.setup.averaging)

    def stream(self, candidates: Iterable[Candidate]) -> Iterator[Outcome]:
        for candidate in candidates:
            config: Any = candidate.config
            outcome = self.evaluate(candidate, config)
            self.halving.end(candidate.number, outcome.evidence)
            yield outcome

    def evaluate(self, candidate: Candidate, config: LoopConfig) -> Outcome:
        """Train a candidate to its end, or as far as it gets."""
        clock = self.setup.deadline.clock
        started = clock()
        begin = partial(config.begin, self.setup)
        with closing(LoopTraining(self.setup, begin, config.patience if config.stop_at is None else None)) as training:
            end, through = None, False
            try:
                with self.setup.deadline.interruptible():
                    end, through = self._train(candidate, config, training, lambda: self._stop(started)), True
            except RegsearchError:
                raise
            except FOREIGN as error:  # anyone's code: the trial fails with its words, the search goes on
                why = f"{type(error).__name__}: {error}"
                return Outcome(candidate, "failed", reason=why, seconds=clock() - started)
            end = end if through else self._stop(started)  # Ctrl-C ended it
            return self._outcome(candidate, config, training, end, clock() - started)

    def _stop(self, started: float) -> Stop | None:
        return self.setup.deadline.stop(self.setup.deadline.clock() - started)

    def _train(
        self, candidate: Candidate, config: LoopConfig, training: LoopTraining, stop: Callable[[], Stop | None]
    ) -> Stop | None:
        """Why a candidate is left before its end, if it is."""
        folds = range(len(self.setup.folds))
        rungs = self._rungs(config) if self.setup.prunes_in_folds(candidate) else ()
        begun = [first_fold(candidate.number, len(folds))] if rungs else folds
        for rung in rungs:
            end = training.advance(begun, rung, stop) or self._judge(candidate, training, rung)
            if end is None and not training.whole:
                end = training.catch_up(stop)
                if end is None:
                    self.halving.complete(rung, candidate.number, training.curve(0, training.epoch).val)
            if end is not None:
                return end.at(f"after epoch {training.epoch}") if end.state == "stopped" else end
            begun = folds
        return training.advance(folds, config.last, stop)

    def _rungs(self, config: LoopConfig) -> tuple[int, ...]:
        updates = max(1, min(map(len, self.setup.folds.train)) // BATCH)
        return rung_epochs(config.last, updates)

    def _judge(self, candidate: Candidate, training: LoopTraining, rung: int) -> Stop | None:
        """Why a candidate is given up at a rung, if it is; one that has ended before is judged there too."""
        val = training.curve(0, training.epoch).val
        verdict = self.halving.judge(rung, {candidate.number: val})[candidate.number]
        if verdict.goes_on:
            return None
        return Stop("pruned", verdict.said(rung))

    def _outcome(
        self, candidate: Candidate, config: LoopConfig, training: LoopTraining, end: Stop | None, seconds: float
    ) -> Outcome:
        trajectory = training.trajectory() if training.epoch else Trajectory()
        step = trajectory.deciding.best_step() if trajectory.scored else 0
        defined = trajectory.scored and trajectory.deciding.fitted.all()
        chosen = training.whole and config.stop_at is None and defined
        if end is not None and not (end.state == "stopped" and chosen):
            return Outcome.left(candidate, end, trajectory, seconds, step)
        if not defined:
            why = f"{self.setup.metrics[0].name} was not finite in a fold"
            return Outcome(candidate, "failed", reason=why, seconds=seconds)
        if config.stop_at is not None:
            step = trajectory.steps - 1
        if not np.isfinite(trajectory.deciding.mean()[step]):
            why = f"{self.setup.metrics[0].name} was not finite after epoch {step + 1}"
            return Outcome(candidate, "failed", reason=why, seconds=seconds)
        said = training.decisions(step), training.along(step)
        complete = Outcome(candidate, "complete", trajectory, step, *said, seconds)
        return complete if end is None else complete.stopped(end)
