"""Configs that a Gaussian process expects most of, given what is finished and what is running."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch._types import Array
from regsearch.space.tree import Node
from regsearch.space.vectors import Vectors
from regsearch.study.gaussian_process import GaussianProcess, Hyperparameters, fit_hyperparameters, standardized

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

NUMBERS = 4  # leaves that are numbers, below which a density of each by itself finds as much
FINISHED = 8  # trials that it takes to learn from
AT_RANDOM, AROUND = 300, 200  # rows that are looked at first: anywhere, and near the `TOP` best so far
TOP, AROUND_SD = 8, 0.1
REFINED, REFINED_SD = 100, (0.06, 0.02)  # rows near the `FINE` best of these, in turn
FINE = 5


@dataclass
class Proposals:
    """Of one search, as a function of its trials; scales are fitted once for each set of finished ones."""

    vectors: Vectors
    _rows: dict[int, Array] = field(default_factory=dict)  # by the number of a trial
    _fitted: tuple[Any, Hyperparameters] | None = None

    @classmethod
    def of(cls, space: Node) -> Proposals | None:
        """For a space; `None` where it has leaves of one's own, or so few that are numbers that none is needed."""
        vectors = Vectors.of(space)
        return None if vectors is None or vectors.numbers < NUMBERS else cls(vectors)

    def best(self, trials: Sequence[FrozenTrial], random: np.random.Generator, count: int) -> Iterator[dict[str, Any]]:
        """Parameters of the so many best of the configs that were looked at; none where too little is finished.

        Parameters
        ----------
        trials
            Complete ones, whose scores are expected ones where they have intermediate values, and running ones.
        """
        whole = [trial for trial in trials if self._is_whole(trial)]
        finished = [trial for trial in whole if trial.state.is_finished() and math.isfinite(trial.value or 0.0)]
        if len(finished) < FINISHED:
            return
        rows = np.array([self._row(trial) for trial in finished])
        process = self._process(rows, finished, [self._row(trial) for trial in whole if not trial.state.is_finished()])
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

    def _is_whole(self, trial: FrozenTrial) -> bool:
        """Whether all parameters of a trial are known: not those of one that is being proposed."""
        row = self._row(trial)
        return not np.isnan(row[self.vectors.active(row[None])[0]]).any()

    def _row(self, trial: FrozenTrial) -> Array:
        known = self._rows.get(trial.number)
        if known is None:
            known = self.vectors.row(trial.params)
            if trial.state.is_finished():
                self._rows[trial.number] = known
        return known

    def _process(self, rows: Array, finished: Sequence[FrozenTrial], running: Sequence[Array]) -> GaussianProcess:
        scores = np.array([trial.value for trial in finished], dtype=float)
        expected = np.array([bool(trial.intermediate_values) for trial in finished], dtype=float)
        X, y = self.vectors.features(rows), standardized(scores)
        known = ([trial.number for trial in finished], scores.tolist())
        if self._fitted is None or self._fitted[0] != known:
            self._fitted = known, fit_hyperparameters(X, y, expected)
        pending = self.vectors.features(np.array(running)) if running else X[:0]
        return GaussianProcess(self._fitted[1], X, y, expected, pending)
