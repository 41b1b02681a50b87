"""Ways to choose the best point again on each resample, and to score it on what that leaves out.

Each gives ``[B]`` scores outside the resamples: of the point that is the best on all rows, and of each resample's own.
Notation as in `regsearch.results.bias.resampling`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.per_row import OF_A_MEAN, OF_ROWS, of_mean
from regsearch.metrics.scorer import formula
from regsearch.results.bias.resampling import FEWEST, Resampling, Single
from regsearch.results.stored_study import Scoring

PRODUCTS = 10_000_000_000  # P n B of a score that is a mean over rows
RANKED = 200_000_000  # P n B of a score that goes by the order of rows
RANKINGS = 50  # resamples that points are left out for
CALLS = 2500  # of a scorer without a formula
CALLED = 25  # the best so many points are scored by such a scorer

Method: TypeAlias = Callable[[Resampling], tuple[Array, Array]]


def method_of(scoring: Scoring) -> Method:
    """How to choose again by a metric."""
    if formula(scoring.metric) == "roc_auc":
        return by_ranks
    return by_means if is_mean_of_rows(scoring) else by_scorer


def is_mean_of_rows(scoring: Scoring) -> bool:
    """Whether a mean over rows determines the score."""
    name = formula(scoring.metric)
    return name in OF_ROWS and (scoring.problem.targets == 1 or name not in OF_A_MEAN)


def by_means(resampling: Resampling) -> tuple[Array, Array]:
    """A score that a mean over rows determines: matrix products of ``[P, n]`` scores and ``[n, B]`` shares."""
    name, share = formula(resampling.scoring.metric), resampling.weight / resampling.weight.sum()
    resampling.at_most(PRODUCTS // (resampling.points * len(resampling.rows)))
    inside, outside = resampling.shares()
    top, pooled = np.full(inside.shape[1], -np.inf), -math.inf
    winner, usual = np.full((2, inside.shape[1]), np.nan)
    unit = 0.0  # a power of two, which rounds nothing: single precision has no squares of large numbers
    for decisions in resampling.decisions():
        scores = resampling.row_scores(decisions)
        unit = unit or math.ldexp(1.0, math.frexp(float(np.abs(scores).max()))[1])
        single, whole = (scores / unit).astype(np.float32), scores @ share
        mine, theirs = single @ inside, single @ outside
        if whole.max() > pooled:
            pooled, usual = float(whole.max()), theirs[whole.argmax()].astype(float)
        first = mine.argmax(axis=0), np.arange(len(top))
        better = mine[first] > top
        top[better] = mine[first][better]
        winner[better] = theirs[first][better]
    return of_mean(name, usual * unit), of_mean(name, winner * unit)


def by_ranks(resampling: Resampling) -> tuple[Array, Array]:
    """The area under the ROC curve, mean over folds: each point is sorted once for all resamples."""
    resampling.keep_best(max(CALLED, RANKED // (RANKINGS * len(resampling.rows))))
    resampling.at_most(RANKED // (resampling.points * len(resampling.rows)))
    positive = resampling.scoring.problem.y[resampling.rows] == 1
    inside, outside = resampling.shares()
    share = np.column_stack([inside, resampling.weight.astype(np.float32)])

    def areas(decision: Array, shares: Single) -> Array:
        found = np.array([_auc(decision[part, 0], positive[part], shares[part]) for part in resampling.parts])
        return _mean_of(found, resampling.averaging)

    found = np.array([areas(decision, share) for batch in resampling.decisions() for decision in batch])
    first = found[:, :-1].argmax(axis=0)
    usable = np.isfinite(found[first, np.arange(len(first))])
    best = int(found[:, -1].argmax())
    winner, usual = np.full((2, len(first)), np.nan)
    for place, decision in enumerate(d for batch in resampling.decisions() for d in batch):
        mine = np.flatnonzero((first == place) & usable)
        if len(mine):
            winner[mine] = areas(decision, outside[:, mine])
        if place == best:
            usual = areas(decision, outside)
    return usual, winner


def _mean_of(found: Array, averaging: Averaging) -> Array:
    """``[...]`` means of the scores ``[K, ...]`` of folds that have one; minus infinity where none has."""
    known = np.isfinite(found)
    share = averaging.mean(known.astype(float))
    total = averaging.mean(np.where(known, found, 0.0))
    return np.where(share > 0, total / np.where(share > 0, share, 1.0), -np.inf)


def _auc(scores: Array, positive: NDArray[np.bool_], shares: Single) -> Array:
    """``[B]`` weighted shares of (negative, positive) pairs in the right order, ties counting half."""
    above, negative = np.flatnonzero(positive), np.flatnonzero(~positive)
    negative = negative[np.argsort(scores[negative])]
    below = np.zeros((len(negative) + 1, shares.shape[1]))
    np.cumsum(shares[negative], axis=0, out=below[1:])
    first, last = (np.searchsorted(scores[negative], scores[above], side) for side in ("left", "right"))
    mine = shares[above]
    ordered = np.einsum("ib,ib->b", mine, below[first]) + np.einsum("ib,ib->b", mine, below[last])
    with np.errstate(invalid="ignore"):  # one class alone has no order
        return np.asarray(ordered / 2 / (mine.sum(axis=0) * below[-1]))


def by_scorer(resampling: Resampling) -> tuple[Array, Array]:
    """Any other score, mean over folds: the metric on resampled rows, of the best points and with few resamples."""
    decisions = called_decisions(resampling)

    def scores(times: NDArray[np.int64]) -> Array:
        """``[P]`` scores of all points on rows that are there so many times."""
        return _compared(scores_of_parts(resampling, resampling.parts, decisions, times), resampling.averaging)

    best, outside = int(np.argmax(scores(np.ones(len(resampling.rows), dtype=np.int64)))), []
    for counts in resampling.counts().T:
        inside, rest = scores(counts), (counts == 0).astype(np.int64)
        if inside.max() > -np.inf:
            own = decisions[:, [best, int(np.argmax(inside))]]
            found = _compared(scores_of_parts(resampling, resampling.left, own, rest), resampling.left_averaging)
        outside.append(found if inside.max() > -np.inf else np.full(2, np.nan))  # else no point is the best of it
    usual, winner = np.array(outside).T
    return usual, winner


def _compared(found: Array, averaging: Averaging) -> Array:
    """``[P]`` means of scores ``[parts, P]`` over the parts that compare points; minus infinity without any."""
    known = np.asarray(np.isfinite(found).any(axis=1))
    if not known.any():
        return np.full(found.shape[1], -np.inf)
    return averaging.some(known).mean(np.where(np.isfinite(found), found, -np.inf)[known])


def called_decisions(resampling: Resampling) -> Array:
    """``[n, P, m]`` of as many points, and for as many resamples, as a scorer can be called for."""
    resampling.keep_best(min(CALLED, max(2, CALLS // (FEWEST * len(resampling.parts)))))
    decisions = np.concatenate(list(resampling.decisions())).transpose(1, 0, 2)
    resampling.at_most(CALLS // (decisions.shape[1] * len(resampling.parts)))
    return decisions


def scores_of_parts(
    resampling: Resampling, parts: Sequence[NDArray[np.intp]], decisions: Array, times: NDArray[np.int64]
) -> Array:
    """``[parts, P]`` scores of decisions ``[n, P, m]`` on rows that are there so many times ``[n]``."""
    drawn = (np.repeat(part, times[part]) for part in parts)
    return np.array([scores_of_rows(resampling, rows, decisions[rows]) for rows in drawn])


def scores_of_rows(resampling: Resampling, places: NDArray[np.intp], decisions: Array) -> Array:
    """``[p]`` scores of decisions ``[r, p, m]`` on the rows at some places; NaN where they cannot be scored."""
    unknown, problem = np.full(decisions.shape[1], np.nan), resampling.scoring.problem
    rows = resampling.rows[places]
    if not len(rows) or (problem.classes is not None and len(np.unique(problem.y[rows])) < 2):
        return unknown  # one class alone has no order
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a class may be missing from a resample: nobody's mistake
            return resampling.scoring.scores(rows, decisions)
    except ValueError:  # anyone's scorer: it may not take rows that lack a class
        return unknown
