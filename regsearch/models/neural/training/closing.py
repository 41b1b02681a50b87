"""Which trials still come to their end before the time of a run is up: what trains beside them slows them down.

All rows advance together, so a trial ends after as many epochs of all rows as it has left. A trial that chooses its
epoch counts wherever it is stopped, once it trains on all folds; another, and the reference, at its end alone. Where
there is no time for that, trials are left: of those that do not count yet the ones that are furthest from it, so many
that the one next to it gets there; of the others the worst, so many that the reference does. And no trial begins that
could not end any more. A run that is cut off thus has used its time for trials that count.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from regsearch.models.base import REFERENCE
from regsearch.models.deadline import Deadline
from regsearch.models.neural.training.run import TrainingRun

CERTAIN = 0.9  # of the time that is left: an epoch may take longer than those before it, and its outcome is stored
LAST = 2  # measures, of which the quickest counts: the first epochs start processes, and any may be held up
GROWTH = 0.6  # power of its rows that an epoch takes: between all that they share, 0, and nothing, 1


@dataclass
class Closing:
    """Says what there is time for.

    Attributes
    ----------
    deadline
        That of the run; where it has none, there is time for everything.
    folds
        How many a whole trial trains on.
    """

    deadline: Deadline
    folds: int
    _paces: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=LAST))  # of an epoch of so many rows
    _shares: list[float] = field(default_factory=list)  # of its most epochs, what each complete trial took

    def measure(self, seconds: float, epochs: int, rows: int) -> None:
        """Take in what some epochs of all rows have taken."""
        self._paces.append((seconds / epochs, rows))

    def count(self, run: TrainingRun) -> None:
        """Take in how soon a complete trial has ended."""
        self._shares.append(run.epoch / run.config.last)

    def opens(self, runs: Sequence[TrainingRun]) -> bool:
        """Whether there is time for one more trial, as long as the longest of those in training."""
        longest = max((run.config.last for run in runs), default=0)
        return self._within(longest * self._share, sum(len(run.folds) for run in runs) + self.folds)

    def behind(self, runs: Sequence[TrainingRun]) -> list[TrainingRun]:
        """Which trials to leave for others that come to their end; never the reference: all are compared with it."""
        going = [run for run in runs if not run.done]
        references = [run for run in going if run.candidate.role == REFERENCE]
        searched = [run for run in going if run.candidate.role != REFERENCE]
        standing = sorted((run for run in searched if run.stands), key=_by_score)
        needing = sorted((run for run in searched if not run.stands), key=self._by_end)
        beside = self._rows([*references, *standing])
        late = needing[max(self._room(needing[:1], needing, beside), 0 if standing else 1) :]
        room = self._room(references, standing, self._rows(references) + self._rows(needing) - self._rows(late))
        return late + (standing[room:] if room else [])  # a reference alone is nothing to choose

    def _room(self, ending: Sequence[TrainingRun], runs: Sequence[TrainingRun], beside: int) -> int:
        """How many of some trials, the first of them, let others come to their end, beside so many rows."""
        left = max(map(self._left, ending), default=0.0)
        return sum(self._within(left, beside + self._rows(runs[:count])) for count in range(1, len(runs) + 1))

    def _within(self, epochs: float, rows: int) -> bool:
        """Whether there is time for so many epochs of so many rows; nothing is known of it before the first ones."""
        if len(self._paces) < LAST or math.isinf(self.deadline.at):
            return True
        epoch_s: float = min(seconds * (rows / before) ** GROWTH for seconds, before in self._paces)
        return epochs * epoch_s <= CERTAIN * self.deadline.left()

    def _by_end(self, run: TrainingRun) -> tuple[float, float, int]:
        """How near a trial is to its end, then how good it is."""
        return self._left(run), *_by_score(run)

    def _rows(self, runs: Sequence[TrainingRun]) -> int:
        """How many of them train, with those that are about to train on all folds."""
        return sum(self.folds if run.partial and run.judged else len(run.folds) for run in runs)

    def _left(self, run: TrainingRun) -> float:
        """Epochs until a trial is likely to count; one on a single fold has those of the other folds before it."""
        end = (run.config.last - (0 if run.partial else run.epoch)) * self._share
        if not run.partial or not run.selection.chooses:
            return end
        rung = run.rungs[0]
        return min(end, max(0, rung - run.epoch) + max(rung, run.epoch))

    @property
    def _share(self) -> float:
        """Of its epochs, what a trial is likely to take: patience ends many before their last."""
        return float(np.mean(self._shares)) if self._shares else 1.0


def _by_score(run: TrainingRun) -> tuple[float, int]:
    """How good a trial is so far, the best first."""
    score = float(np.nanmean(run.deciding[:, run.step])) if run.epoch else -math.inf
    return -score, run.candidate.number
