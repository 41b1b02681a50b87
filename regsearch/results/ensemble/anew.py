"""The selection of an ensemble, made anew on some of the rows: trials, the steps of their paths, and the picks.

Notation: P points, of the paths of trials, whose predictions are stored; n rows that some fold validates; q numbers
that are averaged (`regsearch.metrics.blending`).

Which configs were tried depends on all rows; that nothing here does over.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows
from regsearch.metrics.blending import to_average
from regsearch.results.bias.bootstrap import resampling_of
from regsearch.results.ensemble.pool import TrialPool
from regsearch.results.ensemble.selection import Judge, Selection

RESAMPLES = 50
CALLED = 15  # points of paths that a scorer without a formula is called for
FEWEST = 20  # trials that are looked at, however few an ensemble is selected from


class SelectionAnew:
    """The trials that may be chosen on some of the rows, and how.

    Of so many trials as an ensemble is selected from others may be the best there: twice as many are looked at.

    Attributes
    ----------
    resampling
        The trials, and resamples of the rows.
    said
        ``[n, P, q]``: what is averaged.
    """

    def __init__(self, pool: TrialPool, how: Selection) -> None:
        self.how, self.most = how, pool.count
        self.resampling = resampling = resampling_of(pool.study, pool.scoring, RESAMPLES)
        known = {trial.number for trial in pool.trials[: max(2 * pool.count, FEWEST)]}
        resampling.contenders = tuple(one for one in resampling.contenders if one.number in known)
        if pool.scoring.metric.kernel is None:
            resampling.keep_best(CALLED)
        said = np.concatenate([*resampling.decisions()]).transpose(1, 0, 2)
        self.said = to_average(pool.scoring.problem, said)
        starts = np.cumsum([0, *(len(one.steps) for one in resampling.contenders)])
        self._paths = [np.arange(*pair) for pair in pairwise(starts.tolist())]

    def of_rows(self, rows: Rows) -> Array:
        """``[len(rows), P, q]``: what all points say of some rows of the problem."""
        return self.said[np.searchsorted(self.resampling.rows, rows)]

    def chosen(self, judge: Judge, parts: Sequence[Array]) -> tuple[NDArray[np.intp], Array]:
        """The points ``[T]`` of the best trials by some rows, best first, and their weights ``[T]``.

        Parameters
        ----------
        parts
            ``[rows of a fold, P, q]`` for each fold of the judge.
        """
        scores = judge.scores(parts)
        best = np.array([path[scores[path].argmax()] for path in self._paths])
        best = best[np.argsort(-scores[best], kind="stable")][: self.most]
        return best, self.how.weights(judge, [part[:, best] for part in parts])

    def means(self, said: Array, best: NDArray[np.intp], weights: Array) -> Array:
        """``[r, q]`` of an ensemble, of what all points say of r rows."""
        return np.asarray(np.einsum("ntq,t->nq", said[:, best], weights))
