"""Configs that a Gaussian process expects most of, given what is finished and what is running."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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
        finished = [one for one in trials if one.state.is_finished() and self._scored(one)]
        if len(finished) < FINISHED:
            return
        finished = [finished[i] for i in spread(np.array([one.value for one in finished], dtype=float), KNOWN)]
        running = [row for one in trials if not one.state.is_finished() and (row := self._row(one)) is not None]
        rows = np.array([self._row(one) for one in finished])
        process = self._process(rows, finished)
        if running:
            process = process.beside(self.vectors.features(np.array(running)))
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

    def _scored(self, trial: FrozenTrial) -> bool:
        return trial.value is not None and math.isfinite(trial.value) and self._row(trial) is not None

    def _row(self, trial: FrozenTrial) -> Array | None:
        """A trial as a row; `None` where not all of its parameters are known, as while it is proposed."""
        if trial.number in self._rows:
            return self._rows[trial.number]
        row = self.vectors.row(trial.params)
        whole = None if np.isnan(row[self.vectors.active(row[None])[0]]).any() else row
        if trial.state.is_finished():
            self._rows[trial.number] = whole
        return whole

    def _process(self, rows: Array, finished: Sequence[FrozenTrial]) -> GaussianProcess:
        known = [(trial.number, trial.value) for trial in finished]
        if self._fitted is None or self._fitted[0] != known:
            X, y = self.vectors.features(rows), standardized(np.array([trial.value for trial in finished], dtype=float))
            expected = np.array([bool(trial.intermediate_values) for trial in finished], dtype=float)
            self._fitted = known, GaussianProcess(fit_hyperparameters(X, y, expected), X, y, expected)
        return self._fitted[1]
