"""What the score of an ensemble is worth: it is selected anew on bootstrap samples, as a single choice is made anew.

The score of an ensemble on the rows that it was selected on flatters it twice: trials stand at the steps of their paths
that these rows liked best, and the picks suit them. On each resample of the rows both are chosen anew, and scored on
the rows outside it; what they fall short of what the ensemble of all rows scores there is the optimism, which is taken
off its score. `regsearch.results.bias.bootstrap` has the target, the interval and the sources.

Which configs were tried depends on all rows; that no resample does over, here as there.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.metrics.blending import to_average
from regsearch.results.bias import Corrected
from regsearch.results.bias.bootstrap import resampling_of, settled, too_few
from regsearch.results.bias.resampling import Resampling
from regsearch.results.ensemble.library import Library
from regsearch.results.ensemble.selection import Judge, Selection
from regsearch.results.formatting import format_number

RESAMPLES = 50
WORK = 300_000_000  # numbers that are scored: of many rows fewer resamples
CALLED = 15  # points of paths that a scorer without a formula is called for


def corrected(plain: Corrected, library: Library, how: Selection, usual: Array) -> Corrected:
    """The score of an ensemble without what it owes to the selection.

    Parameters
    ----------
    plain
        Its score.
    usual
        ``[n, m]`` decisions of the ensemble that was selected on all rows.
    """
    scoring = library.scoring
    if why := too_few(scoring):
        return replace(plain, why=why)
    resampling = resampling_of(library.study, scoring, RESAMPLES)
    known = {trial.number for trial in library.trials[: 2 * library.count]}
    resampling.contenders = tuple(one for one in resampling.contenders if one.number in known)
    if scoring.metric.kernel is None:
        resampling.keep_best(CALLED)
        resampling.score_together()
    each = len(resampling.rows) * (resampling.points + how.picks * library.count)
    resampling.at_most(WORK // each if scoring.metric.kernel is not None else 1)
    again = _Again(resampling, how, library.count)
    scores = np.array([again.scores(times, usual) for times in resampling.counts().T])

    def say(worth: float) -> str:
        return f"selecting it from {library.count} trials is worth {format_number(worth, 2)} of it."

    return settled(plain, resampling, (scores[:, 0], scores[:, 1]), say)


class _Again:
    """The selection of an ensemble from the trials of a resampling, each at the step that a resample likes best."""

    def __init__(self, resampling: Resampling, how: Selection, most: int) -> None:
        self.resampling, self.how, self.most = resampling, how, most
        problem = resampling.scoring.problem
        said = np.concatenate([*resampling.decisions()]).transpose(1, 0, 2)
        self.said = to_average(problem, said)  # [n, P, q]
        starts = np.cumsum([0, *(len(one.steps) for one in resampling.contenders)])
        self.paths = [np.arange(*pair) for pair in pairwise(starts.tolist())]

    def scores(self, times: NDArray[np.int64], usual: Array) -> tuple[float, float]:
        """Outside a resample, of the usual ensemble and of its own."""
        problem = self.resampling.scoring.problem
        inside, parts = self._judge(times)
        points = inside.scores(parts)
        best = np.array([path[points[path].argmax()] for path in self.paths])
        best = best[np.argsort(-points[best], kind="stable")][: self.most]
        weights = self.how.weights(inside, [part[:, best] for part in parts])
        mean = np.einsum("ntq,t->nq", self.said[:, best], weights)
        both = np.stack([to_average(problem, usual[self.resampling.rows]), mean], axis=1)
        outside, _ = self._judge((times == 0).astype(np.int64))
        found = outside.scores([both[np.repeat(part, (times == 0)[part])] for part in self.resampling.parts])
        return float(found[0]), float(found[1])

    def _judge(self, times: NDArray[np.int64]) -> tuple[Judge, list[Array]]:
        """What scores rows that are there so many times, and what all points say of these."""
        resampling = self.resampling
        drawn = [np.repeat(part, times[part]) for part in resampling.parts]
        judge = Judge(resampling.scoring, resampling.averaging, [resampling.rows[rows] for rows in drawn])
        return judge, [self.said[rows] for rows in drawn]
