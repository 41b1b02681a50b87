"""A trial of a user's loop: one generator a fold, which go on epoch by epoch.

Notation: K folds; S epochs; M metrics; n_k validation rows of fold k; m outputs.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from regsearch._types import Array
from regsearch.errors import FOREIGN, InvalidInput, warn
from regsearch.metrics.pooled import pooled_scores
from regsearch.models.base import Setup
from regsearch.models.deadline import Stop
from regsearch.models.out_of_fold import PathDecisions, SpreadSteps, out_of_fold_mean, steps_kept
from regsearch.models.own_loop.fold import EpochScores, LoopFold, told
from regsearch.models.own_loop.own_state import OwnState
from regsearch.models.path import Curves, Trajectory

Train = Callable[[Mapping[str, Any], LoopFold], Iterator[Any]]


class FoldRun:
    """One fold, as far as it is trained.

    Attributes
    ----------
    scores
        Of each epoch.
    returned
        What the loop returned, once it has ended.
    """

    def __init__(self, train: Train, params: Mapping[str, Any], fold: LoopFold) -> None:
        self.fold = fold
        self.scores: list[EpochScores] = []
        self.returned: Any = None
        self.ended = False
        self._state = OwnState(fold.seed)
        with self._state.in_place():
            self._loop = iter(train(dict(params), fold))

    @property
    def epoch(self) -> int:
        return len(self.scores)

    def next(self, metrics: Sequence[Any]) -> None:
        """Train one more epoch; a loop that has come to its end says the same from then on.

        Raises
        ------
        InvalidInput
            When the loop ends before its first epoch, or tells what is no score.
        """
        yielded = None if self.ended else self._go_on()
        if not self.ended:
            self.scores.append(told(yielded, metrics))
        elif self.scores:
            self.scores.append(self.scores[-1])
        else:
            raise InvalidInput("A loop must yield after each epoch, got none; yield fold.score(...) in the loop.")

    def finish(self) -> Any:
        """What the loop returns after its last epoch.

        Raises
        ------
        InvalidInput
            When it goes on.
        """
        if not self.ended:
            self._go_on()
        if not self.ended:
            raise InvalidInput(
                f"A loop must end after fold.epochs epochs, here {self.fold.epochs}, got one more; loop over "
                "range(fold.epochs)."
            )
        return self.returned

    def _go_on(self) -> Any:
        with self._state.in_place(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as of other models: they would come again with every epoch
            try:
                return next(self._loop)
            except StopIteration as end:
                self.ended, self.returned = True, end.value
                return None

    def close(self) -> None:
        """End the loop where it stands."""
        close = getattr(self._loop, "close", None)
        if close is None:
            return
        with self._state.in_place():
            try:
                close()
            except FOREIGN as error:  # anyone's code, in a training that nobody waits for any more
                warn(f"A loop could not be ended: {type(error).__name__}: {error}", RuntimeWarning)


@dataclass
class LoopTraining:
    """All folds of a trial.

    Attributes
    ----------
    patience
        Epochs without a better mean after which it ends; `None` for none.
    runs
        By fold, those that were begun.
    epoch
        How many epochs all of them are known to have.
    """

    setup: Setup
    begin: Callable[[int], FoldRun]
    patience: int | None
    runs: dict[int, FoldRun] = field(default_factory=dict)
    epoch: int = 0
    best: int = 0
    done: bool = False
    _best_mean: float = -math.inf
    _pooled: dict[int, list[Array]] = field(default_factory=dict)  # by metric, ``[K]`` of each epoch

    def __post_init__(self) -> None:
        problem = self.setup.problem
        self._spread = SpreadSteps(steps_kept(problem.rows, problem.outputs))

    def advance(self, folds: Sequence[int], to: int, stop: Callable[[], Stop | None]) -> Stop | None:
        """Train some folds, or the rest of all, until an epoch; why it ends before, if it does."""
        for fold in folds:
            if fold not in self.runs:
                self.runs[fold] = self.begin(fold)
        while self.epoch < to and not self.done:
            for run in self.runs.values():
                while run.epoch <= self.epoch:
                    run.next(self.setup.metrics)
                    if self._lacking(to) and (ends := stop()) is not None:
                        self._count()
                        return ends
            self._count()
        return None

    def _lacking(self, to: int) -> bool:
        """Whether a fold is to train further: of what has come to its end, nothing is thrown away."""
        return any(run.epoch < to for run in self.runs.values())

    @property
    def whole(self) -> bool:
        """Whether all folds are trained."""
        return len(self.runs) == len(self.setup.folds)

    def catch_up(self, stop: Callable[[], Stop | None]) -> Stop | None:
        """Bring all folds to where the first one is; where that ends before, only that one counts."""
        reached, first = self.epoch, dict(self.runs)
        self.epoch, self.best, self._best_mean = 0, 0, -math.inf
        ends = self.advance(range(len(self.setup.folds)), reached, stop)
        if ends is not None:
            for run in (run for k, run in self.runs.items() if k not in first):
                run.close()
            self.runs, self.epoch = first, reached
        return ends

    def _count(self) -> None:
        """Take in the epochs that all runs have."""
        reached = min(run.epoch for run in self.runs.values())
        for epoch in range(self.epoch, reached):
            self._take_in(epoch)
        self.epoch = max(self.epoch, reached)

    def _take_in(self, epoch: int) -> None:
        if self.whole:
            self._score_together(epoch)
        held = {epoch - 1, self.best, *self._spread.kept}
        mean = self._mean(epoch)
        if math.isfinite(mean) and mean > self._best_mean:
            self.best, self._best_mean = epoch, mean
        if self.whole:
            self._spread.add(epoch, True)
            self._forget(held - {self.best, *self._spread.kept})  # but not the last one, which may be what counts
            self.done = self.patience is not None and epoch - self.best >= self.patience

    def _mean(self, epoch: int) -> float:
        """The mean over folds of the deciding validation score after an epoch."""
        if 0 in self._pooled:
            return float(self.setup.averaging.mean(self._pooled[0][epoch]))
        runs = sorted(self.runs)
        val = np.array([[self.runs[k].scores[epoch].val[0]] for k in runs])
        return float(self.setup.averaging.some(np.isin(np.arange(len(self.setup.folds)), runs)).mean(val)[0])

    def _forget(self, epochs: Iterable[int]) -> None:
        """Leave out the decisions of some epochs."""
        for run in self.runs.values():
            for epoch in epochs:
                if epoch >= 0 and run.scores[epoch].decisions is not None:
                    run.scores[epoch] = replace(run.scores[epoch], decisions=None)

    def _score_together(self, epoch: int) -> None:
        """Compute scores that are those of all folds' predictions together."""
        setup = self.setup
        for j, metric in enumerate(setup.metrics):
            if metric.pooled:
                found = [run.scores[epoch].decisions for _, run in sorted(self.runs.items())]
                said = [one[:, None] for one in found if one is not None]
                together = pooled_scores(metric, setup.problem, setup.folds.val, said, setup.averaging, {})
                self._pooled.setdefault(j, []).append(together[:, 0])

    # --- what came of it -----------------------------------------------------------------------------------------

    def curve(self, j: int, epochs: int) -> Curves:
        """The scores of a metric in some first epochs, NaN in folds that are not trained."""
        shape = (len(self.setup.folds), epochs)
        train, val = np.full(shape, np.nan), np.full(shape, np.nan)
        for k, run in self.runs.items():
            train[k] = [one.train[j] for one in run.scores[:epochs]]
            val[k] = [one.val[j] for one in run.scores[:epochs]]
        for epoch, together in enumerate(self._pooled.get(j, ())[:epochs]):
            val[:, epoch] = together
        return Curves(train, val, self.setup.averaging)

    def trajectory(self) -> Trajectory:
        """What was measured in the epochs that all runs have."""
        curves = {metric.name: self.curve(j, self.epoch).defined() for j, metric in enumerate(self.setup.metrics)}
        unknown = np.full((len(self.setup.folds), self.epoch), np.nan)
        return Trajectory(np.arange(1.0, self.epoch + 1), curves, unknown)

    def decisions(self, epoch: int) -> Array | None:
        """``[n, m]`` after an epoch; `None` where the loop does not tell predictions, or they are forgotten."""
        found = [(k, run.scores[epoch].decisions) for k, run in sorted(self.runs.items())]
        said = [(self.setup.folds.val[k], one) for k, one in found if one is not None]
        problem = self.setup.problem
        return out_of_fold_mean(said, (problem.rows, problem.outputs)) if len(said) == len(found) else None

    def along(self, chosen: int) -> PathDecisions | None:
        """Decisions after some epochs beside the chosen one."""
        steps = [step for step in sorted({self.best, *self._spread.kept}) if step != chosen]
        found = [(step, one) for step in steps if (one := self.decisions(step)) is not None]
        return PathDecisions.of([step for step, _ in found], [one for _, one in found])

    def close(self) -> None:
        """End all loops where they stand, as well as they can be: what they came to is known."""
        for run in self.runs.values():
            run.close()
