"""What an ensemble is selected from: the best trials, each at its own step, and what they say of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from regsearch._types import Array, Rows
from regsearch.errors import InvalidInput
from regsearch.metrics.blending import to_average, to_decisions
from regsearch.results.stored_study import Scoring, StoredStudy
from regsearch.storage.trial import Trial

CELLS = 10_000_000  # numbers that are averaged at a time: of many rows fewer trials
CALLS = 12_000  # of a scorer without a formula
BY_FOLD, TOGETHER = 6, 20  # selections that score each fold, and that score all rows at once
FEWEST = 3  # trials, whatever the work


@dataclass(frozen=True)
class Entry:
    """A trial at its step, and its decisions ``[n, m]`` there."""

    number: int
    step: int
    decisions: Array


class TrialPool:
    """The trials of a study that an ensemble may have.

    Parameters
    ----------
    most
        How many are looked at, the best; fewer where rows are many or the scorer is slow.

    Raises
    ------
    InvalidInput
        When none has predictions of all rows that score.
    """

    def __init__(self, study: StoredStudy, scoring: Scoring, most: int) -> None:
        self.study, self.scoring = study, scoring
        self.most, self._rows = most, np.unique(np.concatenate(scoring.folds.val))
        if not self.trials:
            raise InvalidInput(
                f"An ensemble takes trials whose predictions outside training are stored and say what they score, as "
                f"those do not that label by a threshold of their own or rank by a decision function that is not their "
                f"probabilities'; {study.name!r} has none. Search a family that makes some."
            )

    @cached_property
    def trials(self) -> tuple[Trial, ...]:
        """Those that a rule may choose and whose predictions say what they score, best first, each config once."""
        by_config = {trial.key: trial for trial in reversed(self.study.candidates)}
        first = (trial for trial in self.study.candidates if by_config[trial.key] is trial)
        return tuple(one for one in first if not one.reads_more and self._fits(self.study.decisions(one.number)))

    def _fits(self, kept: Array | None) -> bool:
        outputs = self.scoring.problem.outputs
        return kept is not None and kept.shape[1] == outputs and bool(np.isfinite(kept[self._rows]).all())

    @property
    def count(self) -> int:
        """How many trials there are to select from."""
        return min(self.most, len(self.trials))

    def best(self) -> list[Entry]:
        """The best trials, each at its own step."""
        return [self._entry(trial) for trial in self.trials[: self.count]]

    def _entry(self, trial: Trial) -> Entry:
        decisions = self.study.decisions(trial.number)
        assert decisions is not None, "what is in a pool has predictions"
        return Entry(trial.number, trial.step, decisions)


def blended(scoring: Scoring, entries: Sequence[Entry], weights: Array, rows: Rows) -> Array:
    """``[len(rows), m]`` decisions of an ensemble of some entries, of which each weighs so much."""
    problem, picked = scoring.problem, np.flatnonzero(weights).tolist()
    mean = sum(weights[t] * to_average(problem, entries[t].decisions[rows]) for t in picked)
    return to_decisions(problem, np.asarray(mean))


def affordable(scoring: Scoring, picks: int) -> int:
    """How many trials can be tried for so many picks in a bearable time and space."""
    rows, problem = sum(map(len, scoring.folds.val)), scoring.problem
    most = CELLS // (rows * (problem.outputs if problem.classes is None else max(2, problem.outputs)))
    if scoring.metric.kernel is None:
        most = min(most, CALLS // (picks * (BY_FOLD * len(scoring.folds.val) + TOGETHER)))
    return max(FEWEST, most)
