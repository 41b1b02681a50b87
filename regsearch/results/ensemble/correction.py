"""What an ensemble is worth: it is selected anew without each group of rows, and scored on those.

The score of an ensemble on the rows that it was selected on flatters it twice: trials stand at the steps of their
paths that these rows liked best, and the picks suit them. So, for each fold, trials, steps and picks are chosen on the
rows of the other folds alone, and the fold's rows score that ensemble, and beside it the trial that would have been the
best alone: chosen likewise, so that the two can be compared. What the ensemble of all rows scores more on the same
rows, mean over folds, is the optimism, which is taken off its score. The ensembles that are scored so were selected on
fewer rows, by one fold: the corrected score is rather a little too low than too high.

What the other folds cannot do over is the search itself: which configs were tried depends on all rows, as it does in
the corrected score of a single trial (`regsearch.results.bias`).

Many folds are left out in ten groups; of repeated folds those of the first repetition are. A single fold is cut in
five parts, groups of rows kept whole, and steps stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.blending import to_average, to_decisions
from regsearch.metrics.pooled import pooled_scores, repetitions
from regsearch.results.ensemble.library import Entry, Library
from regsearch.results.ensemble.selection import Judge, Selection
from regsearch.results.stored_study import Scoring

GROUPS = 10  # of folds that are left out in turn
PARTS = 5  # of a single fold


@dataclass(frozen=True)
class HeldOut:
    """The rows that are left out of a selection in turn.

    Attributes
    ----------
    cells
        Rows that are scored together: of C folds, or parts of one.
    folds
        ``[C]`` of them, by number.
    group
        ``[C]``: which cells are left out together.
    averaging
        How scores of cells are averaged.
    """

    cells: Sequence[Rows]
    folds: NDArray[np.intp]
    group: NDArray[np.intp]
    averaging: Averaging

    @property
    def groups(self) -> int:
        return int(self.group.max()) + 1 if len(self.group) else 0

    def rows(self, group: int) -> Rows:
        """Those of a group."""
        return np.unique(np.concatenate([self.cells[c] for c in np.flatnonzero(self.group == group).tolist()]))


def held_out(scoring: Scoring, averaging: Averaging) -> HeldOut:
    """What is left out in turn of the rows that score."""
    val = scoring.folds.val
    if len(val) == 1:
        parts = _parts(scoring, val[0])
        every = np.arange(len(parts))
        return HeldOut(parts, np.zeros(len(parts), np.intp), every, Averaging.equal(len(parts)))
    first = np.array(repetitions(val)[0])
    group = np.arange(len(first)) * min(GROUPS, len(first)) // len(first)
    return HeldOut([val[k] for k in first], first, group, averaging.some(np.isin(np.arange(len(val)), first)))


def _parts(scoring: Scoring, rows: Rows) -> list[Rows]:
    """A few parts of some rows, drawn at random; groups stay whole."""
    groups = scoring.problem.groups
    unit = np.unique(rows if groups is None else groups[rows], return_inverse=True)[1]
    count = int(unit.max()) + 1
    part = (np.random.default_rng(0).permutation(count) % PARTS)[unit]
    return [rows[part == one] for one in range(min(PARTS, count))]


@dataclass(frozen=True)
class OutOfSelection:
    """Scores ``[C]`` on rows of cells.

    Attributes
    ----------
    usual
        Of the ensemble that was selected on all rows.
    ensemble, single
        Of the ensembles, and of the best trials, that were selected without those rows.
    trials
        From how many.
    """

    usual: Array
    ensemble: Array
    single: Array
    trials: int


def out_of_selection(
    library: Library, averaging: Averaging, left: HeldOut, how: Selection, usual: Array
) -> OutOfSelection:
    """Select without each group of rows, and score on it.

    Parameters
    ----------
    usual
        ``[n, m]`` decisions of the ensemble that was selected on all rows.
    """
    scoring = library.scoring
    said = np.stack([usual, np.full(usual.shape, np.nan), np.full(usual.shape, np.nan)], axis=1)
    for group in range(left.groups):
        out = left.rows(group)
        entries = library.best_over(_folds_without(scoring, left, group, out))
        judge = Judge(scoring, averaging, [np.setdiff1d(val, out) for val in scoring.folds.val])
        weights = how.weights(judge, [one.decisions for one in entries])
        said[out, 1] = blended(scoring, entries, weights, out)
        said[out, 2] = entries[0].decisions[out]
    by_way = _scores(scoring, left, said)
    return OutOfSelection(by_way[:, 0], by_way[:, 1], by_way[:, 2], library.count)


def _folds_without(scoring: Scoring, left: HeldOut, group: int, out: Rows) -> NDArray[np.bool_]:
    """``[K]``: the folds that say nothing of the rows left out; where there are none, those that are not left out."""
    val = scoring.folds.val
    if len(val) == 1:
        return np.ones(1, dtype=bool)
    others = ~np.isin(np.arange(len(val)), left.folds[left.group == group])
    apart = others & np.array([not np.isin(rows, out).any() for rows in val])
    return apart if apart.any() else others


def blended(scoring: Scoring, entries: Sequence[Entry], weights: Array, rows: Rows) -> Array:
    """``[len(rows), m]`` decisions of an ensemble of some entries, of which each weighs so much."""
    problem, picked = scoring.problem, np.flatnonzero(weights).tolist()
    mean = sum(weights[t] * to_average(problem, entries[t].decisions[rows]) for t in picked)
    return to_decisions(problem, np.asarray(mean))


def _scores(scoring: Scoring, left: HeldOut, said: Array) -> Array:
    """``[C, S]`` scores of decisions ``[n, S, m]`` by cell."""
    parts = [said[rows] for rows in left.cells]
    if scoring.metric.pooled:
        return pooled_scores(scoring.metric, scoring.problem, left.cells, parts, left.averaging)
    return np.array([scoring.scores(rows, one) for rows, one in zip(left.cells, parts, strict=True)])
