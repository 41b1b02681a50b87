"""What the score of an ensemble is worth: it is selected anew on bootstrap samples, as a single choice is made anew.

The score of an ensemble on the rows that it was selected on flatters it twice: trials stand at the steps of their paths
that these rows liked best, and the picks suit them. On each resample of the rows both are chosen anew, and scored on
the rows outside it; what they fall short of what the ensemble of all rows scores there is the optimism, which is taken
off its score. `regsearch.results.bias.bootstrap` has the target, the interval and the sources.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.metrics.blending import to_average, to_decisions
from regsearch.metrics.per_row import of_mean
from regsearch.metrics.scorer import formula
from regsearch.numeric import format_number
from regsearch.results.bias import Corrected
from regsearch.results.bias.bootstrap import settled, too_few
from regsearch.results.bias.choosing import is_mean_of_rows
from regsearch.results.ensemble.anew import SelectionAnew
from regsearch.results.ensemble.pool import TrialPool
from regsearch.results.ensemble.selection import Judge

WORK = 300_000_000  # numbers that are scored: of many rows fewer resamples


def corrected(plain: Corrected, pool: TrialPool, anew: SelectionAnew, usual: Array) -> Corrected:
    """The score of an ensemble without what it owes to the selection.

    Parameters
    ----------
    plain
        Its score.
    usual
        ``[n, m]`` decisions of the ensemble that was selected on all rows.
    """
    scoring, resampling = pool.scoring, anew.resampling
    if why := too_few(scoring):
        return replace(plain, why=why)
    if scoring.metric.kernel is None:
        resampling.score_together()
    each = len(resampling.rows) * (resampling.points + anew.how.picks * pool.count)
    resampling.at_most(WORK // each if scoring.metric.kernel is not None else 1)
    scores = np.array([_outside(anew, times, usual) for times in resampling.counts().T])

    def say(worth: float) -> str:
        return f"selecting it from {pool.count} trials is worth {format_number(worth, 2)} of it."

    return settled(plain, resampling, usual[resampling.rows], (scores[:, 0], scores[:, 1]), say, pool.count)


def _outside(anew: SelectionAnew, times: NDArray[np.int64], usual: Array) -> tuple[float, float]:
    """Outside a resample, the scores of the usual ensemble and of its own."""
    resampling = anew.resampling
    mean = anew.means(anew.said, *anew.chosen(*_drawn(anew, times)))
    problem = resampling.scoring.problem
    both = np.stack([to_average(problem, usual[resampling.rows]), mean], axis=1)
    if is_mean_of_rows(resampling.scoring):
        share = resampling.weight * (times == 0)
        scores = resampling.row_scores(to_decisions(problem, both).transpose(1, 0, 2)) @ (share / share.sum())
        found = of_mean(formula(resampling.scoring.metric), scores)
    else:
        left = [part[times[part] == 0] for part in resampling.left]
        judge = Judge(resampling.scoring, resampling.left_averaging, [resampling.rows[places] for places in left])
        found = judge.scores([both[places] for places in left])
    return float(found[0]), float(found[1])


def _drawn(anew: SelectionAnew, times: NDArray[np.int64]) -> tuple[Judge, list[Array]]:
    """What scores rows that are there so many times, and what all points say of these."""
    resampling = anew.resampling
    drawn = [np.repeat(part, times[part]) for part in resampling.parts]
    judge = Judge(resampling.scoring, resampling.averaging, [resampling.rows[rows] for rows in drawn])
    return judge, [anew.said[rows] for rows in drawn]
