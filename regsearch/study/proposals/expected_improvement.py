"""Configs that a Gaussian process expects most of, given what is finished and what is running."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from regsearch._types import Array
from regsearch.space.tree import Node
from regsearch.study.proposals.gaussian_process import GaussianProcess, fit_hyperparameters, spread, standardized
from regsearch.study.proposals.vectors import Vectors

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

NUMBERS = 4  # leaves that are numbers, below which a density of each by itself finds as much
FINISHED = 8  # trials that it takes to learn from ...
KNOWN = 160  # ... and at most so many: half of them the best
AT_RANDOM, AROUND = 300, 200  # rows that are looked at first: anywhere, and near the `TOP` best so far
TOP, AROUND_SD = 8, 0.1
REFINED, REFINED_SD = 100, (0.06, 0.02)  # rows near the `FINE` best of these, in turn
FINE = 5


class Finished(NamedTuple):
    """What is learned from a trial: a row ``[L]``, and its score, which may be an expected one."""

    number: int
    score: float
    row: Array
    is_expected: bool


@dataclass
class ExpectedImprovement:
    """Of one search, as a function of its trials; a process is made once for each set of finished ones."""

    vectors: Vectors
    _rows: dict[int, Array | None] = field(default_factory=dict)  # by the number of a finished trial
    _fitted: tuple[Any, GaussianProcess] | None = None

    @classmethod
    def of(cls, space: Node) -> ExpectedImprovement | None:
        """For a space; `None` where it has leaves of one's own, or so few that are numbers that none is needed."""
        vectors = Vectors.of(space)
        return None if vectors is None or vectors.numbers < NUMBERS else cls(vectors)

    def best(self, trials: Sequence[FrozenTrial], random: np.random.Generator, count: int) -> Iterator[dict[str, Any]]:
        """Parameters of the so many best of the configs that were looked at; none where too little is finished.

        Parameters
        ----------
        trials
            Complete ones, whose scores are expected ones where they have intermediate values, as those of trials that
            were given up or are on their way, and running ones that have shown nothing yet.
        """
        running: list[FrozenTrial] = []
        ended: list[FrozenTrial] = []
        for one in trials:
            (ended if one.state.is_finished() else running).append(one)
        finished = [found for one in ended if (found := self._finished_one(one)) is not None]
        if len(finished) < FINISHED:
            return
        finished = [finished[i] for i in spread(np.array([one.score for one in finished]), KNOWN)]
        process = self._process(finished)
        beside = [row for one in running if (row := self._row(one)) is not None]
        if beside:
            process = process.beside(self.vectors.features(np.array(beside)))
        rows = np.array([one.row for one in finished])
        top = rows[np.argsort(-process.mean(self.vectors.features(rows)), kind="stable")[:TOP]]
        looked = np.concatenate(
            [self.vectors.draw(random, AT_RANDOM), self.vectors.draw_near(top, random, AROUND, AROUND_SD)]
        )
        value = process.improvement(self.vectors.features(looked))
        for sd in REFINED_SD:
            near = self.vectors.draw_near(looked[np.argsort(-value, kind="stable")[:FINE]], random, REFINED, sd)
            looked = np.concatenate([looked, near])
            value = np.concatenate([value, process.improvement(self.vectors.features(near))])
        for i in np.argsort(-value, kind="stable")[:count]:
            yield self.vectors.params(looked[i])

    def _finished_one(self, trial: FrozenTrial) -> Finished | None:
        """What is learned from a trial that is finished; `None` where it has no score or row."""
        score, row = trial.value, self._row(trial)
        if score is None or row is None or not math.isfinite(score):
            return None
        return Finished(trial.number, score, row, bool(trial.intermediate_values))

    def _row(self, trial: FrozenTrial) -> Array | None:
        """A trial as a row; `None` where not all of its parameters are known, as while it is proposed."""
        if trial.number in self._rows:
            return self._rows[trial.number]
        row = self.vectors.row(trial.params)
        whole = None if np.isnan(row[self.vectors.active(row[None])[0]]).any() else row
        if trial.state.is_finished():
            self._rows[trial.number] = whole
        return whole

    def _process(self, finished: Sequence[Finished]) -> GaussianProcess:
        known = [(one.number, one.score) for one in finished]
        if self._fitted is None or self._fitted[0] != known:
            X = self.vectors.features(np.array([one.row for one in finished]))
            y = standardized(np.array([one.score for one in finished]))
            expected = np.array([one.is_expected for one in finished], dtype=float)
            self._fitted = known, GaussianProcess(fit_hyperparameters(X, y, expected), X, y, expected)
        return self._fitted[1]
